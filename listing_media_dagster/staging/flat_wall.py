"""A wall as seen from the front, on which upright and level edges are columns and rows."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from listing_media_dagster.staging.glazing import Framed
from listing_media_dagster.staging.room import Opening, PhotoCamera, Wall

PX_PER_HEIGHT = 60.0  # px of the flattened wall for each camera height
LARGEST_WALL = 900  # px along


@dataclass(frozen=True)
class Flat:
    """A wall seen from the front: L*a*b* (h, w, 3), row 0 at `top` m, column 0 at `left` m, `metres` a pixel."""

    lab: NDArray[np.float32]
    seen: NDArray[np.bool_]
    left: float
    top: float
    metres: float

    def along(self, first: float, last: float) -> tuple[float, float]:
        return self.left + first * self.metres, self.left + last * self.metres

    def level(self, row: float) -> float:
        return self.top - row * self.metres


def flatten_wall(
    lab: NDArray[np.float32], scale: float, wall: Wall, camera: PhotoCamera, ceiling: float
) -> Flat | None:
    """Return the wall as seen from the front, from floor to ceiling; None if too little of it is in the picture."""
    metres = camera.height / PX_PER_HEIGHT
    columns = min(LARGEST_WALL, int((wall.span[1] - wall.span[0]) / metres))
    rows = int(ceiling / metres)
    if columns < 12 or rows < 12:
        return None
    along = wall.span[0] + (np.arange(columns) + 0.5) * metres
    level = ceiling - (np.arange(rows) + 0.5) * metres
    spread, rise = np.meshgrid(along, level)
    plane = np.full(spread.size, wall.offset)
    points = (plane, rise.ravel(), spread.ravel()) if wall.axis == "x" else (spread.ravel(), rise.ravel(), plane)
    pixels = camera.project(np.column_stack(points)) * scale - 0.5
    x, y = (np.nan_to_num(pixels[:, i], nan=-9.0).reshape(rows, columns).astype(np.float32) for i in (0, 1))
    seen = (x >= 0) & (y >= 0) & (x <= lab.shape[1] - 1) & (y <= lab.shape[0] - 1)
    picture = cv2.remap(lab, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return Flat(np.asarray(picture, np.float32), np.asarray(seen), float(wall.span[0]), ceiling, metres)


def slopes(flat: Flat) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return how steeply the colour changes along the wall and down it, (h, w) per px; 0 out of the picture."""
    smooth = cv2.GaussianBlur(flat.lab, (0, 0), 0.8)
    inside = cv2.erode(flat.seen.astype(np.uint8), np.ones((5, 5), np.uint8)).astype(np.float32)
    across, down = (
        np.linalg.norm(cv2.Scharr(smooth, cv2.CV_32F, *axis) / 16, axis=2) * inside for axis in ((1, 0), (0, 1))
    )
    return np.asarray(across, np.float32), np.asarray(down, np.float32)


def opening_in(framed: Framed, wall: Wall, camera: PhotoCamera) -> Opening:
    """Return what is framed on the wall with its outline in the picture."""
    span, bottom, top = framed.span, framed.bottom, framed.top
    corners = np.array([[a, b] for a, b in ((span[0], bottom), (span[1], bottom), (span[1], top), (span[0], top))])
    plane = np.full(4, wall.offset)
    points = (plane, corners[:, 1], corners[:, 0]) if wall.axis == "x" else (corners[:, 0], corners[:, 1], plane)
    outline = np.nan_to_num(camera.project(np.column_stack(points)), nan=0.0)
    return Opening(framed.kind, outline, span, bottom, top)
