"""Things that grow: trees, hedges and lawns, as leaf and blade triangles placed by seeded chance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from listing_media_dagster.path_tracer import solids as g
from listing_media_dagster.path_tracer.solids import Floats, Part


def leaves(material: str, centres: Floats, size: float, seed: int, outward: Floats | None = None) -> Part:
    """A folded four-cornered leaf at each of (N, 3) centres, about `size` m long, facing roughly `outward` (N, 3)."""
    rng = np.random.default_rng(seed)
    count = len(centres)
    facing = rng.standard_normal((count, 3)) + np.array([0, 0.7, 0])
    if outward is not None:
        facing += 1.2 * outward
    facing /= np.linalg.norm(facing, axis=1, keepdims=True)
    along = np.cross(facing, rng.standard_normal((count, 3)))
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    across = np.cross(facing, along)
    length = size * rng.uniform(0.6, 1.3, (count, 1))
    tip, base = centres + along * length / 2, centres - along * length / 2
    left = centres + across * length * 0.27 + facing * length * 0.06
    right = centres - across * length * 0.27 + facing * length * 0.06
    vertices = np.stack([base, left, tip, right], 1).reshape(-1, 3)
    start = np.arange(count)[:, None] * 4
    faces = np.concatenate([start + np.array([0, 1, 2]), start + np.array([0, 2, 3])])
    uv = np.repeat(rng.random((count, 2)) * 4, 4, 0)
    return g.part(material, vertices, np.repeat(facing, 4, 0), uv, faces)


def crown(
    material: str, centre: Sequence[float], radii: Sequence[float], count: int, size: float, seed: int, clumps: int = 26
) -> Part:
    """A tree crown: leaves on the skins of clumps inside an ellipsoid, so that gaps let the sky through."""
    rng = np.random.default_rng(seed)
    way = rng.standard_normal((clumps, 3))
    way /= np.linalg.norm(way, axis=1, keepdims=True)
    middles = way * rng.uniform(0.35, 0.8, (clumps, 1)) ** 0.8
    reach = rng.uniform(0.22, 0.42, clumps)
    pick = rng.integers(clumps, size=count)
    skin = rng.standard_normal((count, 3))
    skin /= np.linalg.norm(skin, axis=1, keepdims=True)
    local = middles[pick] + skin * (reach[pick, None] * rng.uniform(0.55, 1.05, (count, 1)))
    return leaves(material, np.asarray(centre) + local * np.asarray(radii), size, seed + 1, skin.astype(np.float32))


def tree(
    base: Sequence[float],
    height: float,
    spread: float,
    seed: int,
    leaf: str = "leaf",
    count: int = 26000,
    leaf_size: float = 0.10,
) -> list[Part]:
    """A broadleaf tree: tapered trunk, a few limbs and a crown."""
    rng = np.random.default_rng(seed)
    x, y, z = base
    lean = rng.normal(0, 0.02, 2) * height
    trunk = [(x + lean[0] * f**2, y + height * 0.62 * f, z + lean[1] * f**2) for f in np.linspace(0, 1, 6)]
    girth = 0.028 * height
    pieces = [g.tube("bark", trunk, [girth * (1.25 - 0.9 * f) for f in np.linspace(0, 1, 6)], 10)]
    for i in range(6):
        start = np.array(trunk[2 + i % 3])
        turn = rng.uniform(0, 2 * np.pi)
        end = start + np.array([np.cos(turn) * spread * 0.55, height * 0.26, np.sin(turn) * spread * 0.55])
        bend = (start + end) / 2 + np.array([0, -0.05 * height, 0])
        pieces.append(g.tube("bark", [list(start), list(bend), list(end)], [girth * 0.4, girth * 0.28, girth * 0.1], 7))
    centre = (x + lean[0], y + height * 0.64, z + lean[1])
    pieces.append(crown(leaf, centre, (spread, height * 0.38, spread), count, leaf_size, seed + 3, 40))
    return pieces


def shrub(
    base: Sequence[float], width: float, height: float, seed: int, leaf: str = "shrub", count: int = 5000
) -> list[Part]:
    x, y, z = base
    return [
        crown(leaf, (x, y + height * 0.5, z), (width / 2 * 1.1, height * 0.55, width / 2 * 1.1), count, 0.05, seed, 14)
    ]


def hedge(
    low: Sequence[float],
    high: Sequence[float],
    seed: int,
    leaf: str = "shrub",
    density: float = 900.0,
    size: float = 0.06,
) -> list[Part]:
    """A clipped hedge between two corners: a dark core and leaves over its faces, `density` a square metre."""
    rng = np.random.default_rng(seed)
    lo, hi = np.asarray(low, float), np.asarray(high, float)
    across = hi - lo
    areas = np.array([across[1] * across[2], across[0] * across[2], across[0] * across[1]])
    points, outward = [], []
    for axis in range(3):
        for sign in (-1, 1):
            count = int(areas[axis] * density)
            p = lo + rng.random((count, 3)) * across
            p[:, axis] = (hi if sign > 0 else lo)[axis] + rng.normal(0, 0.035, count)
            normal = np.zeros((count, 3))
            normal[:, axis] = sign
            points.append(p)
            outward.append(normal)
    core = g.box("shadow green", list(lo + 0.05), list(hi - 0.05))
    spots, facing = np.concatenate(points).astype(np.float32), np.concatenate(outward).astype(np.float32)
    return [core, leaves(leaf, spots, size, seed + 1, facing)]


def lawn_blades(
    spots: Floats, viewer: Sequence[float], seed: int, height: float = 0.055, material: str = "blade"
) -> Part:
    """A bent blade of grass at each (N, 3) spot; blades grow wider with distance so that few suffice."""
    rng = np.random.default_rng(seed)
    count = len(spots)
    away = np.linalg.norm(spots - np.asarray(viewer), axis=1)[:, None]
    turn = rng.uniform(0, 2 * np.pi, count)
    across = np.stack([np.cos(turn), np.zeros(count), np.sin(turn)], 1) * (0.0016 + 0.0005 * away)
    lean = np.stack([-np.sin(turn), np.zeros(count), np.cos(turn)], 1)
    tall = height * rng.uniform(0.55, 1.25, (count, 1))
    bend = rng.uniform(0.1, 0.9, (count, 1))
    middle = spots + np.array([0, 1, 0]) * tall * 0.6 + lean * tall * bend * 0.25
    tip = spots + np.array([0, 1, 0]) * tall * (1.05 - 0.3 * bend) + lean * tall * bend * 0.8
    vertices = np.stack([spots - across, spots + across, middle + across * 0.8, middle - across * 0.8, tip], 1)
    normals = np.repeat((lean * 0.35 + np.array([0, 1.0, 0])), 5, 0)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    start = np.arange(count)[:, None] * 5
    faces = np.concatenate([start + np.array([0, 1, 2]), start + np.array([0, 2, 3]), start + np.array([3, 2, 4])])
    uv = np.repeat(spots[:, [0, 2]] / 6 + rng.normal(0, 0.05, (count, 2)), 5, 0)
    return g.part(material, vertices.reshape(-1, 3), normals, uv, faces)


def lawn_spots(
    low: Sequence[float], high: Sequence[float], viewer: Sequence[float], near_density: float, seed: int
) -> Floats:
    """Seeded (N, 3) points at y = 0 in an (x, z) rectangle: `near_density` a m² at 2 m, then as 1 / distance^1.5."""
    rng = np.random.default_rng(seed)
    area = (high[0] - low[0]) * (high[1] - low[1])
    count = int(area * near_density)
    spots = np.stack([rng.uniform(low[0], high[0], count), np.zeros(count), rng.uniform(low[1], high[1], count)], 1)
    away = np.linalg.norm(spots - np.asarray(viewer), axis=1)
    return spots[rng.random(count) < (2.0 / np.maximum(away, 2.0)) ** 1.5].astype(np.float32)
