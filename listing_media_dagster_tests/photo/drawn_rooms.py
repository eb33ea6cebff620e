"""Rooms drawn from a known camera: what the geometry tests measure against."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray


def draw_room(
    *,
    size: tuple[int, int] = (1200, 800),
    focal: float = 700.0,
    yaw: float = 0.0,
    pitch: float = 0.0,
    roll: float = 0.0,
    k1: float = 0.0,
    noise: float = 2.0,
) -> NDArray[np.uint8]:
    """A box-shaped room with doors, windows, cupboards and floor boards. Angles in degrees, k1 as in `LensModel`."""
    canvas = np.full((size[1], size[0], 3), 205, np.uint8)
    for number, (corners, shade) in enumerate(_surfaces()):
        outline = _project(np.array(corners, float), size, focal, (yaw, pitch, roll), k1)
        if outline is None:
            continue
        points = np.round(outline * 16).astype(np.int32)
        tint = (shade, shade - 4, shade - 10 - number % 3)
        cv2.fillPoly(canvas, [points], tint, lineType=cv2.LINE_AA, shift=4)
    grain = np.random.default_rng(7).normal(0, noise, canvas.shape)
    return np.clip(canvas + grain, 0, 255).astype(np.uint8)


def _surfaces() -> list[tuple[list[tuple[float, float, float]], int]]:
    """Polygons (x right, y down, z ahead, metres, camera at the origin) and their grey, far ones first."""
    left, right, floor, ceiling, back, near = -2.6, 2.6, 1.3, -1.3, 4.5, 0.8
    surfaces = [([(left, ceiling, back), (right, ceiling, back), (right, floor, back), (left, floor, back)], 205)]
    surfaces.append(([(left, ceiling, near), (left, ceiling, back), (left, floor, back), (left, floor, near)], 178))
    surfaces.append(([(right, ceiling, near), (right, ceiling, back), (right, floor, back), (right, floor, near)], 190))
    for board in range(14):
        x, x2 = left + board * 0.3714, left + (board + 1) * 0.3714
        surfaces.append(
            ([(x, floor, near), (x2, floor, near), (x2, floor, back), (x, floor, back)], 105 + 14 * (board % 2))
        )
    surfaces.append(
        ([(left, ceiling, near), (right, ceiling, near), (right, ceiling, back), (left, ceiling, back)], 232)
    )
    for x, wide, top, bottom, grey in (
        (-2.1, 0.8, -0.8, 1.3, 150),
        (-0.6, 1.3, -0.9, 0.3, 245),
        (1.2, 0.9, -0.8, 1.3, 140),
    ):
        surfaces.append(([(x, top, back), (x + wide, top, back), (x + wide, bottom, back), (x, bottom, back)], grey))
    for z, deep, top, bottom, grey in (
        (1.2, 0.7, -1.0, 1.3, 120),
        (2.4, 0.9, -0.9, 0.4, 240),
        (3.6, 0.6, -0.8, 1.3, 130),
    ):
        surfaces += [
            ([(wall, top, z), (wall, top, z + deep), (wall, bottom, z + deep), (wall, bottom, z)], grey)
            for wall in (left, right)
        ]
    return surfaces


def _project(
    corners: NDArray[np.float64], size: tuple[int, int], focal: float, angles: tuple[float, float, float], k1: float
) -> NDArray[np.float64] | None:
    closed = np.vstack([corners, corners[:1]])
    edges = [np.linspace(a, b, 60, endpoint=False) for a, b in pairwise(closed)]
    yaw, pitch, roll = np.radians(angles)
    turn = cv2.Rodrigues(np.array([0, yaw, 0]))[0]
    nod = cv2.Rodrigues(np.array([pitch, 0, 0]))[0]
    lean = cv2.Rodrigues(np.array([0, 0, roll]))[0]
    seen = np.concatenate(edges) @ (lean @ nod @ turn).T
    seen = seen[seen[:, 2] > 0.05]
    if len(seen) < 3:
        return None
    flat = seen[:, :2] / seen[:, 2:] * focal
    square = np.sum(flat**2, axis=1, keepdims=True) / (np.hypot(*size) / 2) ** 2
    square = np.minimum(square, 1.6)
    return flat * (1 + k1 * square) + np.array(size) / 2
