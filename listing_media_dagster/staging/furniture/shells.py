"""Surfaces while they are shaped: points first, normals last, so that seams between their patches stay smooth."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from listing_media_dagster.path_tracer.solids import Part, part
from listing_media_dagster.staging.arrangement import Size

Points = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Shell:
    """A surface being shaped: points (N, 3) m, uv (N, 2) m, faces (M, 3); points with one `weld` number are one."""

    points: Points
    uv: Points
    faces: Indices
    weld: Indices

    def normals(self) -> Points:
        """Unit normals (N, 3), averaged over the faces that meet at a point."""
        a, b, c = (self.points[self.faces[:, i]] for i in range(3))
        across = np.cross(b - a, c - a)
        corners = self.weld[self.faces].ravel()
        count = int(self.weld.max()) + 1
        sums = [np.bincount(corners, np.repeat(across[:, i], 3), count) for i in range(3)]
        total: Points = np.stack(sums, 1).astype(np.float64)[self.weld]
        flat = np.linalg.norm(total, axis=1) < 1e-12  # a pillow's pointed corners: the two sides cancel out
        return unit(np.where(flat[:, None], self.points - self.points.mean(0), total))

    def shaped(self, shape: Callable[[Points], Points]) -> Shell:
        return replace(self, points=shape(self.points))

    def swollen(self, amount: Points) -> Shell:
        """Move every point along its normal by `amount` (N,) m; welded points must get equal amounts."""
        return replace(self, points=self.points + self.normals() * amount[:, None])

    def part(self, material: str) -> Part:
        return part(material, self.points, self.normals(), self.uv, self.faces)


def unit(vectors: Points) -> Points:
    """Vectors (..., 3) brought to length 1."""
    lengths: Points = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / (lengths + 1e-15)


def fitted(parts: Iterable[Part], size: Size) -> list[Part]:
    """Return the parts stretched to fill exactly the box `size` m that stands on y = 0 round the vertical axis."""
    pieces = list(parts)
    corners = np.concatenate([piece.vertices for piece in pieces])
    low, high = corners.min(0), corners.max(0)
    scale = (np.asarray(size) / np.maximum(high - low, 1e-6)).astype(np.float32)
    origin = np.array([(low[0] + high[0]) / 2, low[1], (low[2] + high[2]) / 2], np.float32)
    result = []
    for piece in pieces:
        normals = unit((piece.normals / scale).astype(np.float64)).astype(np.float32)
        result.append(replace(piece, vertices=(piece.vertices - origin) * scale, normals=normals))
    return result


def grid_faces(rows: int, columns: int, turned_over: bool = False, closed: bool = False) -> Indices:
    """Triangles of a grid of points laid out row by row; `closed` joins the last column to the first.

    Facing first-index cross second-index axis, unless `turned_over`.
    """
    index = np.arange(rows * columns).reshape(rows, columns)
    if closed:
        index = np.concatenate([index, index[:, :1]], 1)
    a, b, c, d = index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]
    faces = np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)])
    return faces[:, ::-1] if turned_over else faces


def lumps(points: Points, seed: int, wavelength: float, waves: int = 10) -> Points:
    """Smooth noise (N,) of about unit deviation over points (N, 2 or 3), its features `wavelength` m wide."""
    rng = np.random.default_rng(seed)
    direction = rng.standard_normal((waves, points.shape[1]))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    pitch = 2 * np.pi / wavelength * rng.uniform(0.6, 1.6, waves)
    phase = points @ (direction * pitch[:, None]).T + rng.uniform(0, 2 * np.pi, waves)
    noise: Points = np.cos(phase).sum(1) * np.sqrt(2 / waves)
    return noise


def creases(points: Points, seed: int, count: int, length: float, width: float, spread: float = np.pi) -> Points:
    """Depth 0..1 (N,) of `count` slack folds on a plane: points (N, 2) m; each `length` by `width` m.

    They lie within `spread` radians of the first axis, where the points are.
    """
    rng = np.random.default_rng(seed)
    low, high = points.min(0), points.max(0)
    depth = np.zeros(len(points))
    for _ in range(count):
        away = points - rng.uniform(low, high)
        angle = rng.uniform(-spread / 2, spread / 2)
        along = away @ np.array([np.cos(angle), np.sin(angle)])
        across = away @ np.array([-np.sin(angle), np.cos(angle)]) + rng.uniform(-1.2, 1.2) * along**2
        reach, breadth = length * rng.uniform(0.5, 1.2), width * rng.uniform(0.7, 1.3)
        depth = np.maximum(depth, rng.uniform(0.4, 1) * np.exp(-((along / reach) ** 2) - (across / breadth) ** 2))
    return depth
