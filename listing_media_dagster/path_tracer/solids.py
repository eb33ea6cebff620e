"""Solids that scenes are built from: triangles in metres, y up, with normals and texture coordinates in metres.

Pure numpy; `mitsuba_scene` hands them to the path tracer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Vector = Sequence[float]


@dataclass(frozen=True)
class Part:
    """Triangles of one material: vertices and normals (N, 3) m, uv (N, 2) m, faces (M, 3)."""

    material: str
    vertices: Floats
    normals: Floats
    uv: Floats
    faces: NDArray[np.int32]


def part(material: str, vertices: object, normals: object, uv: object, faces: object) -> Part:
    return Part(
        material,
        np.asarray(vertices, np.float32).reshape(-1, 3),
        np.asarray(normals, np.float32).reshape(-1, 3),
        np.asarray(uv, np.float32).reshape(-1, 2),
        np.asarray(faces, np.int32).reshape(-1, 3),
    )


def merged(parts: Iterable[Part]) -> dict[str, Part]:
    """Return one part for each material, in order of first appearance."""
    groups: dict[str, list[Part]] = {}
    for piece in parts:
        groups.setdefault(piece.material, []).append(piece)
    result = {}
    for material, group in groups.items():
        starts = np.cumsum([0, *(len(piece.vertices) for piece in group[:-1])])
        result[material] = part(
            material,
            np.concatenate([piece.vertices for piece in group]),
            np.concatenate([piece.normals for piece in group]),
            np.concatenate([piece.uv for piece in group]),
            np.concatenate([piece.faces + start for piece, start in zip(group, starts, strict=True)]),
        )
    return result


def moved(pieces: Iterable[Part], rotation: object = None, offset: Vector = (0, 0, 0)) -> list[Part]:
    """Return the pieces turned by an orthonormal 3x3 `rotation` (reflections allowed), then shifted by `offset` m."""
    matrix = np.eye(3, dtype=np.float32) if rotation is None else np.asarray(rotation, np.float32)
    shift = np.asarray(offset, np.float32)
    return [
        replace(piece, vertices=piece.vertices @ matrix.T + shift, normals=piece.normals @ matrix.T) for piece in pieces
    ]


def turned(degrees: float) -> Floats:
    """Rotation about the vertical axis."""
    angle = np.radians(degrees)
    return np.array(
        [[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]], dtype=np.float32
    )


def quad(material: str, corner: Vector, along_u: Vector, along_v: Vector, normal: Vector | None = None) -> Part:
    """A parallelogram; texture coordinates run in metres from `corner`. `normal` may differ from the true one."""
    origin, u, v = (np.asarray(vector, np.float64) for vector in (corner, along_u, along_v))
    face = np.cross(u, v) if normal is None else np.asarray(normal, np.float64)
    face = face / np.linalg.norm(face)
    width, height = np.linalg.norm(u), np.linalg.norm(v)
    return part(
        material,
        [origin, origin + u, origin + u + v, origin + v],
        np.tile(face, (4, 1)),
        [(0, 0), (width, 0), (width, height), (0, height)],
        [(0, 1, 2), (0, 2, 3)],
    )


def _box_faces() -> list[tuple[int, int, int]]:
    def index(bits: tuple[int, int, int], axis: int) -> int:
        return (bits[0] + 2 * bits[1] + 4 * bits[2]) * 3 + axis

    faces: list[tuple[int, int, int]] = []
    for axis in range(3):
        first, second = (other for other in range(3) if other != axis)
        for sign in (0, 1):
            ring = []
            for a, b in ((0, 0), (1, 0), (1, 1), (0, 1)):
                bits = [0, 0, 0]
                bits[axis], bits[first], bits[second] = sign, a, b
                ring.append(index((bits[0], bits[1], bits[2]), axis))
            faces += [(ring[0], ring[1], ring[2]), (ring[0], ring[2], ring[3])]
        for a in (0, 1):  # the four bevels that run along this axis
            for b in (0, 1):
                ends = []
                for along in (0, 1):
                    bits = [0, 0, 0]
                    bits[axis], bits[first], bits[second] = along, a, b
                    ends.append((bits[0], bits[1], bits[2]))
                p, q, r, s = (
                    index(ends[0], first),
                    index(ends[1], first),
                    index(ends[1], second),
                    index(ends[0], second),
                )
                faces += [(p, q, r), (p, r, s)]
    faces += [(3 * corner, 3 * corner + 1, 3 * corner + 2) for corner in range(8)]
    return faces


_BOX_FACES = _box_faces()


def box(material: str, low: Vector, high: Vector, bevel: float = 0.0) -> Part:
    """An upright box between two corners, its edges rounded by `bevel` m; texture is projected along the axes."""
    lo, hi = np.minimum(low, high).astype(np.float64), np.maximum(low, high).astype(np.float64)
    inset = min(bevel, float((hi - lo).min()) / 2.01)
    vertices, normals, uv = [], [], []
    for corner in range(8):
        bits = np.array([corner & 1, corner >> 1 & 1, corner >> 2 & 1])
        for axis in range(3):
            point = np.where(bits == 1, hi - inset, lo + inset)
            point[axis] = hi[axis] if bits[axis] else lo[axis]
            normal = np.zeros(3)
            normal[axis] = 1 if bits[axis] else -1
            vertices.append(point)
            normals.append(normal)
            uv.append({0: (point[2], point[1]), 1: (point[0], point[2]), 2: (point[0], point[1])}[axis])
    return part(material, vertices, normals, uv, _BOX_FACES)


def frame(material: str, low: Vector, high: Vector, width: float, bevel: float = 0.0) -> list[Part]:
    """Four bars `width` m wide round the border of the x-y rectangle, as deep as low..high in z."""
    (x0, y0, z0), (x1, y1, z1) = low, high
    return [
        box(material, (x0, y0, z0), (x0 + width, y1, z1), bevel),
        box(material, (x1 - width, y0, z0), (x1, y1, z1), bevel),
        box(material, (x0 + width, y0, z0), (x1 - width, y0 + width, z1), bevel),
        box(material, (x0 + width, y1 - width, z0), (x1 - width, y1, z1), bevel),
    ]


def panel_with_openings(
    material: str, length: float, height: float, openings: Sequence[tuple[float, float, float, float]]
) -> Part:
    """The x-y rectangle at z = 0, facing -z, with (x0, y0, x1, y1) cut out."""
    xs = sorted({0.0, length, *(min(x, length) for o in openings for x in (o[0], o[2]))})
    ys = sorted({0.0, height, *(min(y, height) for o in openings for y in (o[1], o[3]))})
    vertices: list[tuple[float, float, float]] = []
    faces: list[tuple[int, int, int]] = []
    for x0, x1 in pairwise(xs):
        for y0, y1 in pairwise(ys):
            x, y = (x0 + x1) / 2, (y0 + y1) / 2
            if any(o[0] < x < o[2] and o[1] < y < o[3] for o in openings):
                continue
            start = len(vertices)
            vertices += [(x0, y0, 0), (x1, y0, 0), (x1, y1, 0), (x0, y1, 0)]
            faces += [(start, start + 1, start + 2), (start, start + 2, start + 3)]
    return part(material, vertices, np.tile((0, 0, -1), (len(vertices), 1)), [v[:2] for v in vertices], faces)


def tube(material: str, path: Sequence[Vector], radius: float | Sequence[float], sides: int = 20) -> Part:
    """A round bar along a path of points; `radius` m, one or one for each point. Ends are closed."""
    points = np.asarray(path, np.float64)
    radii = np.broadcast_to(np.asarray(radius, np.float64), (len(points),))
    tangents = np.gradient(points, axis=0)
    tangents /= np.linalg.norm(tangents, axis=1, keepdims=True)
    side = np.cross(tangents[0], (0.0, 0.0, 1.0) if abs(tangents[0][2]) < 0.9 else (1.0, 0.0, 0.0))
    angles = np.linspace(0, 2 * np.pi, sides, endpoint=False)
    vertices, normals, uv, faces = [], [], [], []
    run = 0.0
    for i, point in enumerate(points):
        run += float(np.linalg.norm(point - points[i - 1])) if i else 0.0
        side = side - tangents[i] * float(side @ tangents[i])
        side /= np.linalg.norm(side)
        other = np.cross(tangents[i], side)
        ring = np.cos(angles)[:, None] * side + np.sin(angles)[:, None] * other
        vertices.append(point + radii[i] * ring)
        normals.append(ring)
        uv.append(np.stack([angles * radii[i], np.full(sides, run)], 1))
    for i in range(len(points) - 1):
        for k in range(sides):
            a, b = i * sides + k, i * sides + (k + 1) % sides
            faces += [(a, b, b + sides), (a, b + sides, a + sides)]
    count = len(points) * sides
    for end, sign in ((0, -1.0), (len(points) - 1, 1.0)):
        ring = vertices[end]
        vertices.append(np.vstack([ring, points[end][None]]))
        normals.append(np.tile(sign * tangents[end], (sides + 1, 1)))
        uv.append(np.zeros((sides + 1, 2)))
        faces += [(count + k, count + (k + 1) % sides, count + sides) for k in range(sides)]
        count += sides + 1
    return part(material, np.concatenate(vertices), np.concatenate(normals), np.concatenate(uv), faces)


def lathe(
    material: str,
    profile: Sequence[tuple[float, float]],
    centre: Vector,
    stretch: tuple[float, float] = (1.0, 1.0),
    sides: int = 48,
) -> Part:
    """Turn an (r, y) profile about the vertical through `centre`; `stretch` scales x and z for ovals."""
    outline = np.asarray(profile, np.float64)
    tangent = np.gradient(outline, axis=0)
    slope = np.stack([tangent[:, 1], -tangent[:, 0]], 1)
    slope /= np.linalg.norm(slope, axis=1, keepdims=True) + 1e-12
    angles = np.linspace(0, 2 * np.pi, sides + 1)
    cos, sin = np.cos(angles), np.sin(angles)
    vertices = np.stack(
        [
            outline[:, None, 0] * cos * stretch[0],
            np.repeat(outline[:, None, 1], sides + 1, 1),
            outline[:, None, 0] * sin * stretch[1],
        ],
        -1,
    )
    normals = np.stack(
        [
            slope[:, None, 0] * cos / stretch[0],
            np.repeat(slope[:, None, 1], sides + 1, 1),
            slope[:, None, 0] * sin / stretch[1],
        ],
        -1,
    )
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True) + 1e-12
    uv = np.stack(np.meshgrid(angles * outline[:, 0].max(), outline[:, 1]), -1)
    faces = []
    for i in range(len(outline) - 1):
        for k in range(sides):
            a = i * (sides + 1) + k
            faces += [(a, a + 1, a + sides + 2), (a, a + sides + 2, a + sides + 1)]
    return part(material, vertices + np.asarray(centre), normals, uv, faces)


def height_field(material: str, xs: Floats, zs: Floats, heights: Floats) -> Part:
    """A surface y = heights[z, x] over the grid xs, zs (m)."""
    grid_x, grid_z = np.meshgrid(xs, zs)
    slope_z, slope_x = np.gradient(heights, zs, xs)
    normals = np.stack([-slope_x, np.ones_like(heights), -slope_z], -1)
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    rows, columns = heights.shape
    index = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]
    faces = np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)])
    return part(material, np.stack([grid_x, heights, grid_z], -1), normals, np.stack([grid_x, grid_z], -1), faces)


def curtain(
    material: str, x0: float, x1: float, y0: float, y1: float, z: float, folds: int, depth: float, seed: int
) -> Part:
    """A hanging cloth in the x-y plane at `z`, `folds` waves deep `depth` m, looser toward the hem."""
    rng = np.random.default_rng(seed)
    xs, ys = np.linspace(0, 1, folds * 14), np.linspace(0, 1, 16)
    grid_x, grid_y = np.meshgrid(xs, ys)
    phase = np.cumsum(rng.uniform(0.75, 1.25, len(xs)))
    phase *= 2 * np.pi * folds / phase[-1]
    sway = np.interp(xs, np.linspace(0, 1, folds + 2), rng.uniform(-0.5, 0.5, folds + 2))
    waves = np.sin(phase)[None] * depth * (0.75 + 0.25 * (1 - grid_y)) + sway[None] * depth * (1 - grid_y)
    points = np.stack([x0 + (x1 - x0) * grid_x, y0 + (y1 - y0) * grid_y, z + waves], -1)
    du, dv = np.gradient(points, axis=1), np.gradient(points, axis=0)
    normals = np.cross(du, dv)
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    index = np.arange(grid_x.size).reshape(grid_x.shape)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]
    faces = np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)])
    return part(material, points, normals, points[..., :2], faces)
