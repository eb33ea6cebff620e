"""Leaves by the hundred: a few bent blades of role `leaves`, repeated along their ways, one sheet cell each."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from listing_media_dagster.path_tracer.solids import Part, part
from listing_media_dagster.staging.furniture.joinery import Points, in_cell, repeated

VEINED = range(12)  # cells of the leaves' sheet
MARGINED = range(12, 16)
Outline = tuple[tuple[float, float], ...]


def foliage(
    outline: Outline, bases: Points, ways: Points, lengths: Points, seed: int,
    droop: float = 0.3, wave: float = 0.0, fold: float = 0.12,
    cells: range = VEINED, rows: int = 10, columns: int = 5,
) -> list[Part]:  # fmt: skip
    """Leaves (N) that start at `bases` and grow along `ways` (N, 3), `lengths` m long, upper side up."""
    rng = np.random.default_rng(seed)
    shapes = [
        leaf(outline, droop * rng.uniform(0.6, 1.5), wave, fold, int(rng.integers(1 << 30)), rows, columns)
        for _ in range(6)
    ]
    axes = growing_along(ways, rng.normal(0, 0.25, len(ways))) * np.asarray(lengths)[:, None, None]
    kinds, pictures = rng.integers(0, len(shapes), len(ways)), rng.integers(cells.start, cells.stop, len(ways))
    parts = []
    for kind, cell in {(int(k), int(c)) for k, c in zip(kinds, pictures, strict=True)}:
        chosen = (kinds == kind) & (pictures == cell)
        parts.append(repeated(in_cell(shapes[kind], cell), axes[chosen], bases[chosen]))
    return parts


def leaf(outline: Outline, droop: float, wave: float, fold: float, seed: int, rows: int, columns: int) -> Part:
    """A leaf 1 long growing along z, upper side +y: `outline` gives (z, half-width), `fold` lifts its sides."""
    rng = np.random.default_rng(seed)
    z, half = np.array(outline).T
    along = np.linspace(0, 1, rows)
    width = np.interp(along, z, half)
    across = np.linspace(-1, 1, columns)
    x = width[:, None] * across
    ripple = wave * np.sin(along[:, None] * 15 + rng.uniform(0, 6.3) + 1.5 * across) * np.abs(across)
    y = -droop * along[:, None] ** 2 * 0.5 + fold * np.abs(x) + ripple
    points = np.stack(
        [x, np.broadcast_to(y, x.shape), np.broadcast_to(along[:, None] * (1 - 0.08 * droop), x.shape)], -1
    )
    normals = np.cross(np.gradient(points, axis=0), np.gradient(points, axis=1))
    normals /= np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-9)
    index = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]
    faces = np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)])
    uv = np.stack(np.broadcast_arrays(across[None] * 0.5 + 0.5, along[:, None]), -1)
    return part("leaves", points, normals, uv, faces)


def growing_along(ways: Points, rolls: NDArray[np.float64]) -> Points:
    """Frames (N, 3, 3) whose z goes along `ways` and whose y is as far up as it can be, rolled by `rolls` rad."""
    z = ways / np.linalg.norm(ways, axis=1, keepdims=True)
    x = np.cross((0.02, 1.0, 0.01), z)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    y = np.cross(z, x)
    cos, sin = np.cos(rolls)[:, None], np.sin(rolls)[:, None]
    return np.stack([cos * x + sin * y, cos * y - sin * x, z], -1)
