"""Plants. Roles: `leaves`, `trunk`, `pot`, `soil`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from listing_media_dagster.path_tracer.solids import Part, part
from listing_media_dagster.staging.arrangement import Size
from listing_media_dagster.staging.furniture.designs import Design, Kind
from listing_media_dagster.staging.furniture.joinery import (
    Points,
    curve,
    fitted,
    in_cell,
    repeated,
    rod,
    turned_part,
)

CELLS = 12  # of the leaves' sheet that show veins; the last four show pale margins


def plant_fiddle(size: Size, seed: int) -> list[Part]:
    """A fiddle-leaf fig: two or three slim trunks under large, wavy, upright leaves."""
    width, height, _ = size
    rng = np.random.default_rng(seed)
    pot_height, pot_radius = 0.26 * height**0.5, min(0.17, 0.24 * width)
    parts = potted(pot_radius, pot_height)
    bases, ways, lengths = [], [], []
    for stem in range(3):
        turn = 2 * np.pi * stem / 3 + rng.uniform(-0.4, 0.4)
        lean = np.array([np.cos(turn), 0, np.sin(turn)])
        top = (1.0, 0.86, 0.74)[stem] * (height - 0.1)
        knots = [
            lean * r + (0, y, 0)
            for r, y in (
                (0.03, pot_height - 0.05),
                (0.05, pot_height + 0.3 * (top - pot_height)),
                (0.09, 0.75 * top),
                (0.10, top),
            )
        ]
        path = curve(knots, 24)
        parts.append(rod("trunk", path, np.linspace(0.013, 0.006, 24), 10))
        for share in np.linspace(0.42, 1.0, 17):
            turn += 2.4 + rng.normal(0, 0.25)
            at = path[min(23, int(share * 23))]
            rise = 0.35 + 0.9 * max(0.0, (share - 0.6) / 0.4) + rng.normal(0, 0.12)
            bases.append(at)
            ways.append((np.cos(turn) * np.cos(rise), np.sin(rise), np.sin(turn) * np.cos(rise)))
            lengths.append(rng.uniform(0.2, 0.31) * (1.0 if share < 0.93 else 0.75))
    outline = ((0, 0.05), (0.12, 0.2), (0.3, 0.24), (0.45, 0.27), (0.7, 0.36), (0.88, 0.27), (0.97, 0.1), (1, 0.01))
    parts += foliage(outline, np.array(bases), np.array(ways), np.array(lengths), seed, droop=0.35, wave=0.035)
    return fitted(parts, size)


def potted(radius: float, height: float) -> list[Part]:
    """A slightly tapered pot with a thick rim, full of soil."""
    foot, inner = 0.78 * radius, radius - 0.012
    profile = [
        (0, 0),
        (foot, 0),
        (radius, 0.75 * height),
        (radius, height),
        (inner, height),
        (inner - 0.01, 0.8 * height),
    ]
    ground = [(0, height - 0.045), (inner - 0.001, height - 0.04)]
    return [
        turned_part("pot", profile, fillet=0.008, sides=64),
        turned_part("soil", ground[::-1], fillet=0.0, sides=32),
    ]


def foliage(
    outline: tuple[tuple[float, float], ...], bases: Points, ways: Points, lengths: Points, seed: int,
    droop: float = 0.3, wave: float = 0.0, fold: float = 0.12,
) -> list[Part]:  # fmt: skip
    """Leaves (N) that start at `bases` and grow along `ways` (N, 3), `lengths` m long, upper side up."""
    rng = np.random.default_rng(seed)
    shapes = [leaf(outline, droop * rng.uniform(0.6, 1.5), wave, fold, int(rng.integers(1 << 30))) for _ in range(6)]
    axes = _leaf_axes(ways, rng.normal(0, 0.25, len(ways))) * np.asarray(lengths)[:, None, None]
    kinds, cells = rng.integers(0, len(shapes), len(ways)), rng.integers(0, CELLS, len(ways))
    parts = []
    for kind, cell in {(int(k), int(c)) for k, c in zip(kinds, cells, strict=True)}:
        chosen = (kinds == kind) & (cells == cell)
        parts.append(repeated(in_cell(shapes[kind], cell), axes[chosen], bases[chosen]))
    return parts


def leaf(outline: tuple[tuple[float, float], ...], droop: float, wave: float, fold: float, seed: int) -> Part:
    """A leaf 1 long growing along z, upper side +y: `outline` gives (z, half-width), `fold` lifts its sides."""
    rng = np.random.default_rng(seed)
    z, half = np.array(outline).T
    along = np.linspace(0, 1, 10)
    width = np.interp(along, z, half)
    across = np.linspace(-1, 1, 5)
    x = width[:, None] * across
    ripple = wave * np.sin(along[:, None] * 15 + rng.uniform(0, 6.3) + 1.5 * across) * np.abs(across)
    y = -droop * along[:, None] ** 2 * 0.5 + fold * np.abs(x) + ripple
    points = np.stack(
        [x, np.broadcast_to(y, x.shape), np.broadcast_to(along[:, None] * (1 - 0.08 * droop), x.shape)], -1
    )
    normals = np.cross(np.gradient(points, axis=0), np.gradient(points, axis=1))
    normals /= np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-9)
    rows, columns = x.shape
    index = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]
    faces = np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)])
    uv = np.stack(np.broadcast_arrays(across[None] * 0.5 + 0.5, along[:, None]), -1)
    return part("leaves", points, normals, uv, faces)


def _leaf_axes(ways: Points, rolls: NDArray[np.float64]) -> Points:
    """Frames (N, 3, 3) whose z goes along `ways` and whose y is as far up as it can be, rolled by `rolls` rad."""
    z = ways / np.linalg.norm(ways, axis=1, keepdims=True)
    x = np.cross((0.02, 1.0, 0.01), z)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    y = np.cross(z, x)
    cos, sin = np.cos(rolls)[:, None], np.sin(rolls)[:, None]
    return np.stack([cos * x + sin * y, cos * y - sin * x, z], -1)


DESIGNS: tuple[Design, ...] = (
    Design(
        "plant_fiddle", Kind.PLANT, (0.8, 1.7, 0.8), (0.5, 1.0, 0.5), (1.0, 2.2, 1.0),
        ("leaves", "trunk", "pot", "soil"), plant_fiddle,
    ),
)  # fmt: skip
