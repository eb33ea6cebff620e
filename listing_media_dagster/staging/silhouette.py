"""How much of each pixel furniture covers: its triangles drawn at four times the picture's size, no rays traced."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

from listing_media_dagster.path_tracer.materials import Image
from listing_media_dagster.path_tracer.solids import Part
from listing_media_dagster.staging.arrays import Floats
from listing_media_dagster.staging.render import Window
from listing_media_dagster.staging.room import PhotoCamera

FINER = 4  # subpixels a side
SMALL = 1.5  # subpixels: of smaller triangles only dots are drawn
NEAR = 0.05  # m before the camera, where triangles are cut off
_FIXED_POINT = 4  # bits behind the point that cv2 draws with


def silhouette(parts: Iterable[Part], camera: PhotoCamera, window: Window) -> Image:
    """Return the coverage (h, w) 0..1 of `window`."""
    size = window.size
    drawn = np.zeros((size[1] * FINER, size[0] * FINER), np.uint8)
    for piece in parts:
        triangles = _before_camera(piece.vertices[piece.faces].astype(float), camera)
        outline = camera.project(triangles.reshape(-1, 3)).reshape(-1, 3, 2)
        fine = (outline - (window.left, window.top)) * FINER - 0.5  # cv2 puts a pixel's centre on whole numbers
        inside = (fine.max(axis=1) > -1).all(axis=1) & (fine.min(axis=1) < (drawn.shape[1], drawn.shape[0])).all(axis=1)
        fine = fine[inside]
        small = (np.ptp(fine, axis=1) < SMALL).all(axis=1)
        _dot(drawn, fine[small])
        fixed = np.round(np.clip(fine[~small], -3e4, 3e4) * 2**_FIXED_POINT).astype(np.int32)
        for triangle in fixed:
            cv2.fillConvexPoly(drawn, triangle, 255, cv2.LINE_8, _FIXED_POINT)
    return np.asarray(cv2.resize(drawn, size, interpolation=cv2.INTER_AREA) / 255, np.float32)


def _dot(drawn: NDArray[np.uint8], triangles: Floats) -> None:
    """Draw triangles (N, 3, 2) no larger than a subpixel as those that their corners and middles lie in."""
    dots = np.concatenate([triangles.reshape(-1, 2), triangles.mean(axis=1)]) + 0.5
    columns, rows = np.floor(dots).astype(int).T
    seen = (columns >= 0) & (columns < drawn.shape[1]) & (rows >= 0) & (rows < drawn.shape[0])
    drawn[rows[seen], columns[seen]] = 255


def _before_camera(triangles: Floats, camera: PhotoCamera) -> Floats:
    """Return triangles (N, 3, 3) m with what lies behind `NEAR` pulled onto it along the edges that cross it."""
    away = (triangles - camera.position) @ camera.axes[2]
    ahead = away > NEAR
    whole = ahead.all(axis=1)
    crossing = ~whole & ahead.any(axis=1)
    cut = [_cut(triangle, depths) for triangle, depths in zip(triangles[crossing], away[crossing], strict=True)]
    return np.concatenate([triangles[whole], *cut]) if cut else triangles[whole]


def _cut(triangle: Floats, away: Floats) -> Floats:
    """The part of one triangle (3, 3) before `NEAR`, as one or two triangles."""
    kept: list[Floats] = []
    for i in range(3):
        j = (i + 1) % 3
        if away[i] > NEAR:
            kept.append(triangle[i])
        if (away[i] > NEAR) != (away[j] > NEAR):
            step = (NEAR - away[i]) / (away[j] - away[i])
            kept.append(triangle[i] + step * (triangle[j] - triangle[i]))
    return np.array([[kept[0], kept[i], kept[i + 1]] for i in range(1, len(kept) - 1)])
