"""What hard furniture is joined from: boards, beams, rods, slabs, turned and moulded parts, every edge rounded.

All are closed, in metres, y up, with outward normals; u runs along the grain. `solids` has the plainer constructors.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from listing_media_dagster.path_tracer.solids import Part, box, lathe, merged, moved, part
from listing_media_dagster.staging.arrangement import Size

Points = NDArray[np.float64]
Place = Sequence[float] | Points
Axis = Literal["x", "y", "z"]


# A box's 24 vertices: on which side of each axis they are, and along which axis they face.
_BOX = box("", (0, 0, 0), (1, 1, 1), 0.25)
_AT_HIGH = _BOX.vertices > 0.5
_FACES_ALONG = np.abs(_BOX.normals) > 0.5


def board(material: str, low: Place, high: Place, grain: Axis = "x", bevel: float = 0.003) -> Part:
    """An upright box between two corners whose grain runs along `grain`; no two boards show the same grain."""
    lo, hi = np.minimum(low, high).astype(float), np.maximum(low, high).astype(float)
    inset = min(bevel, float((hi - lo).min()) / 2.01)
    vertices = np.where(_AT_HIGH, hi, lo) + np.where(_FACES_ALONG, 0, np.where(_AT_HIGH, -inset, inset))
    axis = "xyz".index(grain)
    first, second = (other for other in range(3) if other != axis)
    # On each face the other coordinate that varies; end grain shows both across the grain.
    across = np.where(_FACES_ALONG[:, first], vertices[:, second], vertices[:, first])
    along = np.where(_FACES_ALONG[:, axis], vertices[:, second], vertices[:, axis])
    shift = lo @ [3.17, 5.71, 2.39]
    return part(material, vertices, _BOX.normals, np.stack([along + shift, across + 0.61 * shift], 1), _BOX.faces)


def lofted(material: str, rings: object) -> Part:
    """A skin over closed `rings` (K, N, 3) with flat ends; u runs in metres along the rings' order, v round them."""
    skin = np.asarray(rings, np.float64)
    skin = np.concatenate([skin, skin[:, :1]], 1)
    around = np.concatenate([skin[:, 1:], skin[:, 1:2]], 1) - np.concatenate([skin[:, -2:-1], skin[:, :-1]], 1)
    normals = _unit(np.cross(around, np.gradient(skin, axis=0)))
    centres = skin[:, :-1].mean(1, keepdims=True)
    if np.sum((skin - centres) * normals) < 0:
        normals = -normals
    along = np.linalg.norm(np.diff(skin, axis=0), axis=-1).mean(1).cumsum()
    round_ = np.linalg.norm(np.diff(skin, axis=1), axis=-1).max(0).cumsum()
    shift = float(skin[0, 0] @ [3.17, 5.71, 2.39])
    uv = np.stack(np.meshgrid(np.r_[0, along] + shift, np.r_[0, round_], indexing="ij"), -1)
    ends = [_cap(material, skin[end, :-1], (centres[end] - centres[other])[0]) for end, other in ((0, -1), (-1, 0))]
    return merged([_grid(material, skin, normals, uv), *ends])[material]


def swept(
    material: str, path: object, section: Points, scale: object = 1.0, up: Place | None = None, bevel: float = 0.002
) -> Part:
    """A bar: the closed `section` (N, 2) m carried along `path` (K, 3), its ends rounded by `bevel` m.

    `scale` is one number, one a point, or (K, 2) for both of the section's axes. The section's second axis keeps to
    `up` where it is given; otherwise it twists as little as it can.
    """
    points = np.asarray(path, np.float64)
    factors = np.asarray(scale, np.float64)
    factors = factors[:, None] if factors.ndim == 1 else factors
    scales = np.broadcast_to(factors, (len(points), 2))
    points, scales = _with_rounded_ends(points, scales, np.abs(section).max(0), bevel)
    tangents = _unit(np.gradient(points, axis=0))
    tangents[0], tangents[-1] = _unit(points[2] - points[0]), _unit(points[-1] - points[-3])
    first = np.asarray(up if up is not None else _any_across(tangents[0]), np.float64)
    rings = np.empty((len(points), len(section), 3))
    other = first
    for i, tangent in enumerate(tangents):
        other = first if up is not None else other
        other = _unit(other - tangent * float(other @ tangent))
        side = np.cross(other, tangent)
        rings[i] = points[i] + (section[:, :1] * scales[i, 0]) * side + (section[:, 1:] * scales[i, 1]) * other
    return lofted(material, rings)


def rod(material: str, path: object, radius: float | Place, sides: int = 14, bevel: float = 0.002) -> Part:
    """A round bar along a path of points (K, 3); `radius` m, one or one for each point."""
    radii = np.broadcast_to(np.asarray(radius, float), (len(np.asarray(path)),))
    return swept(material, path, ellipse(2.0, 2.0, sides), radii, bevel=min(bevel, float(radii.min()) * 0.8))


def leg(material: str, foot: Place, head: Place, foot_radius: float, head_radius: float) -> Part:
    """A round leg, tapered and leaning as it may, whose foot and head are cut level."""
    low, high = np.asarray(foot, float), np.asarray(head, float)
    round_ = ellipse(2.0, 2.0, 18)
    rings = []
    for share, shrink in ((0, 0.6), (0.004, 0.85), (0.012, 1), (0.35, 1), (0.7, 1), (1, 1)):
        radius = shrink * (foot_radius + (head_radius - foot_radius) * share)
        x, y, z = low + (high - low) * share
        rings.append(np.column_stack([x + radius * round_[:, 0], np.full(18, y), z + radius * round_[:, 1]]))
    return lofted(material, rings)


def beam(
    material: str, start: Place, end: Place, size: tuple[float, float], end_size: tuple[float, float] | None = None,
    up: Place = (0, 0, 1), bevel: float = 0.003,
) -> Part:  # fmt: skip
    """A square bar from `start` to `end`, `size` m across and along `up`, tapering to `end_size`."""
    tip = end_size or size
    section = rounded_rectangle(*size, min(bevel, *(0.45 * s for s in (*size, *tip))), 3)
    scale = np.array([(1.0, 1.0), (tip[0] / size[0], tip[1] / size[1])])
    return swept(material, [start, end], section, scale, up, min(bevel, 0.4 * min(*size, *tip)))


def slab(
    material: str, outline: Points, low: float, high: float, bevel: float = 0.004, dome: float = 0.0,
    grain: Literal["x", "z"] = "x",
) -> Part:  # fmt: skip
    """A horizontal plate with the star-shaped `outline` (N, 2) of x, z m, from y `low` to `high`, edges rounded.

    `dome` m is how far the middle of top and bottom rises over the rounded edge, which suits cushions.
    """
    edge = min(bevel, (high - low - 2 * dome) / 2.01)
    angles = np.linspace(0, np.pi / 2, 7 if edge > 0.01 else 4)
    outward = _outward(outline)
    profile = [(outline - outward * edge * (1 - np.cos(a)), edge * (1 - np.sin(a))) for a in angles]
    border, middle = profile[-1][0], outline.mean(0)
    shares = (0.93, 0.8, 0.6, 0.35, 0.12) if dome else (0.5,)
    profile += [(border * s + middle * (1 - s), -dome * (1 - s**2)) for s in shares]
    under = [np.column_stack([flat[:, 0], np.full(len(flat), low + dome + y), flat[:, 1]]) for flat, y in profile[::-1]]
    over = [np.column_stack([flat[:, 0], np.full(len(flat), high - dome - y), flat[:, 1]]) for flat, y in profile]
    return _planar(lofted(material, under + over), grain)


def turned_part(
    material: str, profile: Sequence[tuple[float, float]], at: Place = (0, 0, 0), fillet: float = 0.004,
    stretch: tuple[float, float] = (1.0, 1.0), sides: int = 48,
) -> Part:  # fmt: skip
    """Turn an (r, y) profile, given from the bottom up the outside, about the vertical through `at`."""
    path = filleted(profile, fillet) if fillet else np.asarray(profile, float)
    path = path[np.r_[True, np.linalg.norm(np.diff(path, axis=0), axis=1) > 1e-7]]
    return lathe(material, [(r, y) for r, y in path], [float(v) for v in at], stretch, sides)


def shell(material: str, grid: object, thickness: float) -> Part:
    """A moulded sheet: the surface through `grid` (R, C, 3) thickened to `thickness` m, with a rounded rim."""
    points = np.asarray(grid, np.float64)
    facing = _unit(np.cross(np.gradient(points, axis=1), np.gradient(points, axis=0)))
    uv = np.stack([points[..., 1] + points[..., 2], points[..., 0]], -1)
    half = thickness / 2
    pieces = [
        _grid(material, points + half * facing, facing, uv),
        _grid(material, points - half * facing, -facing, uv),
    ]
    border, normal = _border(points), _border(facing)
    outward = _unit(np.cross(np.roll(border, -1, 0) - np.roll(border, 1, 0), normal))
    if np.sum(outward * (border - points.mean((0, 1)))) < 0:
        outward = -outward
    angles = np.linspace(-np.pi / 2, np.pi / 2, 6)
    rim = np.array([border + half * (np.sin(a) * normal + 0.8 * np.cos(a) * outward) for a in angles])
    normals = np.array([np.sin(a) * normal + np.cos(a) * outward for a in angles])
    rim, normals = (np.concatenate([each, each[:, :1]], 1) for each in (rim, normals))
    pieces.append(_grid(material, rim, normals, rim[..., :2]))
    return merged(pieces)[material]


def ellipsoid(material: str, centre: Place, radii: Place, power: float = 2.0, sides: int = 28) -> Part:
    """A rounded solid with half-axes `radii` m; `power` over 2 makes it boxier."""
    latitude, longitude = np.linspace(-np.pi / 2, np.pi / 2, sides // 2 + 1), np.linspace(0, 2 * np.pi, sides + 1)
    lat, lon = np.meshgrid(latitude, longitude, indexing="ij")
    direction = np.stack([np.cos(lat) * np.sin(lon), np.sin(lat), np.cos(lat) * np.cos(lon)], -1)
    rounded = np.sign(direction) * np.abs(direction) ** (2 / power)
    normals = _unit(np.sign(rounded) * np.abs(rounded) ** (power - 1) / np.asarray(radii) + 1e-9 * direction)
    points = np.asarray(centre) + rounded * np.asarray(radii)
    return _grid(material, points, normals, points[..., :2] + points[..., 2:])


def repeated(template: Part, axes: object, offsets: object) -> Part:
    """Copies of `template`, each turned (and scaled) by one of `axes` (N, 3, 3) and put at one of `offsets` (N, 3)."""
    matrices, shifts = np.asarray(axes, np.float64), np.asarray(offsets, np.float64)
    vertices = np.einsum("nij,vj->nvi", matrices, template.vertices) + shifts[:, None]
    normals = _unit(np.einsum("nij,vj->nvi", np.linalg.inv(matrices).transpose(0, 2, 1), template.normals))
    count = len(template.vertices)
    faces = template.faces[None] + (np.arange(len(matrices)) * count)[:, None, None]
    return part(template.material, vertices, normals, np.tile(template.uv, (len(matrices), 1)), faces)


def upright(parts: Iterable[Part]) -> list[Part]:
    """What was drawn lying in x-z, stood up to face +z: -z of the drawing becomes up."""
    return moved(parts, [[1, 0, 0], [0, 0, -1], [0, 1, 0]])


def fitted(parts: Iterable[Part], size: Size) -> list[Part]:
    """Return the parts stretched to fill `size` exactly, standing on y = 0 round the origin."""
    parts = list(parts)
    everything = np.concatenate([piece.vertices for piece in parts])
    low, high = everything.min(0), everything.max(0)
    scale = np.asarray(size) / np.maximum(high - low, 1e-6)
    foot = np.array([(low[0] + high[0]) / 2, low[1], (low[2] + high[2]) / 2])
    return [
        replace(
            piece,
            vertices=((piece.vertices - foot) * scale).astype(np.float32),
            normals=_unit(piece.normals / scale).astype(np.float32),
        )
        for piece in parts
    ]


def in_cell(piece: Part, cell: int, across: int = 4) -> Part:
    """Return the part with its uv squeezed into one cell of a sheet of `across` x `across` pictures over 1 m."""
    low, high = piece.uv.min(0), piece.uv.max(0)
    inside = 0.04 + 0.92 * (piece.uv - low) / np.maximum(high - low, 1e-6)
    corner = np.array([cell % across, cell // across % across])
    return replace(piece, uv=((inside + corner) / across).astype(np.float32))


# Outlines and paths


def ellipse(width: float, depth: float, sides: int = 64) -> Points:
    """The outline (N, 2) of an ellipse about the origin, counter-clockwise."""
    angles = np.linspace(0, 2 * np.pi, sides, endpoint=False)
    return np.column_stack([width / 2 * np.cos(angles), depth / 2 * np.sin(angles)])


def rounded_rectangle(width: float, depth: float, radius: float, steps: int = 8) -> Points:
    """The outline (N, 2) of a rectangle about the origin with rounded corners, counter-clockwise."""
    radius = min(radius, width / 2.001, depth / 2.001)
    angles = np.linspace(0, np.pi / 2, steps)
    corners = ((1, 1, 0.0), (-1, 1, np.pi / 2), (-1, -1, np.pi), (1, -1, 1.5 * np.pi))
    arcs = [
        np.column_stack(
            [
                sx * (width / 2 - radius) + radius * np.cos(a + angles),
                sy * (depth / 2 - radius) + radius * np.sin(a + angles),
            ]
        )
        for sx, sy, a in corners
    ]
    return np.concatenate(arcs)


def squircle(rows: int, columns: int, roundness: float = 0.6) -> tuple[Points, Points]:
    """Grids (rows, columns) of t and s in -1..1 over a square whose corners are rounded: 0 sharp .. 1 a disc."""
    t, s = np.meshgrid(np.linspace(-1, 1, rows), np.linspace(-1, 1, columns), indexing="ij")
    return t * np.sqrt(1 - roundness * s**2 / 2), s * np.sqrt(1 - roundness * t**2 / 2)


def pebble(width: float, depth: float, seed: int, sides: int = 96) -> Points:
    """A soft irregular outline (N, 2) that just fills `width` x `depth`."""
    rng = np.random.default_rng(seed)
    angles = np.linspace(0, 2 * np.pi, sides, endpoint=False)
    radius = 1 + 0.09 * np.cos(2 * angles + rng.uniform(0, 6.3)) + 0.05 * np.cos(3 * angles + rng.uniform(0, 6.3))
    outline = np.column_stack([radius * np.cos(angles), radius * np.sin(angles)])
    outline -= (outline.max(0) + outline.min(0)) / 2
    return np.asarray(outline / np.ptp(outline, axis=0) * (width, depth))


def curve(points: object, count: int = 24) -> Points:
    """A smooth path (count, D) through `points` (K, D): Catmull and Rom's spline."""
    knots = np.asarray(points, np.float64)
    knots = np.vstack([2 * knots[0] - knots[1], knots, 2 * knots[-1] - knots[-2]])
    run = np.linspace(0, len(knots) - 3, count)
    start = np.minimum(run.astype(int), len(knots) - 4)
    t = (run - start)[:, None]
    p0, p1, p2, p3 = (knots[start + i] for i in range(4))
    bend = (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2 + (3 * p1 - p0 - 3 * p2 + p3) * t**3
    return np.asarray(p1 + 0.5 * ((p2 - p0) * t + bend), np.float64)


def filleted(points: object, radius: float, steps: int = 4) -> Points:
    """The path (K, D) with corners sharper than 25 degrees rounded by about `radius` m, less on short legs."""
    path = np.asarray(points, np.float64)
    rounded = [path[:1]]
    for before, corner, after in zip(path[:-2], path[1:-1], path[2:], strict=True):
        back, ahead = before - corner, after - corner
        lengths = np.linalg.norm(back), np.linalg.norm(ahead)
        if back @ ahead < -0.9 * lengths[0] * lengths[1]:
            rounded.append(corner[None])
            continue
        reach = min(radius, 0.45 * lengths[0], 0.45 * lengths[1])
        start, end = corner + back / lengths[0] * reach, corner + ahead / lengths[1] * reach
        t = np.linspace(0, 1, steps + 1)[:, None]
        rounded.append((1 - t) ** 2 * start + 2 * t * (1 - t) * corner + t**2 * end)
    return np.concatenate([*rounded, path[-1:]])


# Inside


def _unit(vectors: object) -> Points:
    array = np.asarray(vectors, np.float64)
    return np.asarray(array / np.maximum(np.linalg.norm(array, axis=-1, keepdims=True), 1e-12))


def _any_across(direction: Points) -> Points:
    return np.asarray(np.eye(3)[int(np.abs(direction).argmin())], np.float64)


def _outward(plan: Points) -> Points:
    """Unit normals (N, 2) of a closed outline, whichever way it is wound."""
    along = np.roll(plan, -1, 0) - np.roll(plan, 1, 0)
    normals = _unit(np.column_stack([along[:, 1], -along[:, 0]]))
    return normals if np.sum(normals * (plan - plan.mean(0))) > 0 else -normals


def _with_rounded_ends(points: Points, scales: Points, half: Points, bevel: float) -> tuple[Points, Points]:
    angles = np.linspace(0, np.pi / 2, 4)
    begin = [points[0] + _unit(points[1] - points[0]) * bevel * (1 - np.sin(a)) for a in angles[::-1]]
    end = [points[-1] + _unit(points[-2] - points[-1]) * bevel * (1 - np.sin(a)) for a in angles]
    shrunk = [1 - bevel * (1 - np.cos(a)) / half for a in angles]
    first, last = [scales[0] * s for s in shrunk[::-1]], [scales[-1] * s for s in shrunk]
    return np.array([*begin, *points[1:-1], *end[::-1]]), np.array([*first, *scales[1:-1], *last])


def _cap(material: str, ring: Points, way: Points) -> Part:
    """The flat face inside a ring (N, 3), facing `way`."""
    middle = ring - ring.mean(0)
    normal = _unit(np.cross(middle, np.roll(middle, -1, 0)).sum(0))
    normal = normal if normal @ way > 0 else -normal
    points = np.vstack([ring, ring.mean(0)])
    flat = {0: (2, 1), 1: (0, 2), 2: (0, 1)}[int(np.abs(normal).argmax())]
    index = np.arange(len(ring))
    faces = np.stack([index, np.roll(index, -1), np.full(len(ring), len(ring))], 1)
    return part(material, points, np.tile(normal, (len(points), 1)), points[:, flat], faces)


def _grid(material: str, points: Points, normals: Points, uv: Points) -> Part:
    rows, columns = points.shape[:2]
    index = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]
    faces = np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)])
    return part(material, points, normals, uv, faces)


def _border(grid: Points) -> Points:
    return np.concatenate([grid[0, :-1], grid[:-1, -1], grid[-1, :0:-1], grid[:0:-1, 0]])


def _planar(piece: Part, grain: Literal["x", "z"]) -> Part:
    """Lay the texture flat over horizontal faces; on upright ones it runs round the edge."""
    x, y, z = piece.vertices.T
    flat = np.abs(piece.normals[:, 1]) > 0.5
    along, across = (x, z) if grain == "x" else (z, x)
    sideways = np.where(np.abs(piece.normals[:, 0]) > np.abs(piece.normals[:, 2]), z, x)
    uv = np.where(flat[:, None], np.stack([along, across], 1), np.stack([sideways, y], 1))
    return replace(piece, uv=uv.astype(np.float32))
