"""How furnished a room looks: bare rooms have few colours and lines in few directions, lived-in ones many of both."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

VERSION = "1"

_LONG_EDGE = 640
_CELLS = 24
_CEILING_ROWS = 6  # furniture stands in the lower three quarters of a photo
_EDGE = 4.0  # L* change over a pixel that counts as an edge
# Half-way between bare and furnished rooms; measured on 6 bare and 5 furnished or cluttered rooms of real listings,
# which lie at 0.60 to 0.68 and at 0.98 to 1.46.
_HALF_FURNISHED = 0.83
_SLOPE = 12.0


def measure_furnishing(rgb: NDArray[np.uint8]) -> float:
    """Return how furnished the room in `rgb` (uint8 (H, W, 3), sRGB) looks: 0 is bare, 1 is full, 0.5 the border.

    It tells a bare room from a furnished one; of kitchens, bathrooms and exteriors it knows nothing.
    """
    height, width = rgb.shape[:2]
    scale = min(1.0, _LONG_EDGE / max(height, width))
    small = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else rgb
    lab = cv2.cvtColor(small, cv2.COLOR_RGB2LAB).astype(np.float32)
    index = _number_of_colours(lab) / 360 + _share_of_busy_cells(lab[..., 0])
    return float(1 / (1 + np.exp(-_SLOPE * (index - _HALF_FURNISHED))))


def _number_of_colours(lab: NDArray[np.float32]) -> int:
    """Count the distinct colours of a 64x64 miniature, in steps of 20 in lightness and 8 in a and b."""
    miniature = cv2.resize(lab, (64, 64), interpolation=cv2.INTER_AREA).reshape(-1, 3)
    return len(np.unique((miniature / [20, 8, 8]).astype(int), axis=0))


def _share_of_busy_cells(lightness: NDArray[np.float32]) -> float:
    """Return the share of image cells whose edges run in many directions, as those of furniture do."""
    smooth = cv2.GaussianBlur(lightness, (0, 0), 1.2)
    across, down = (cv2.Sobel(smooth, cv2.CV_32F, dx, 1 - dx, scale=0.25) for dx in (1, 0))
    strength = np.hypot(across, down)
    strength[strength <= _EDGE] = 0
    direction = np.arctan2(down, across) % np.pi
    rows, columns = smooth.shape[0] // _CELLS, smooth.shape[1] // _CELLS
    busy = 0
    for row in range(_CEILING_ROWS, _CELLS):
        for column in range(_CELLS):
            cell = np.s_[row * rows : (row + 1) * rows, column * columns : (column + 1) * columns]
            weights = strength[cell]
            if np.count_nonzero(weights) > 0.08 * weights.size:
                share = np.histogram(direction[cell], 8, (0, np.pi), weights=weights)[0] / weights.sum()
                busy += -(share[share > 0] * np.log2(share[share > 0])).sum() > 1.9
    return busy / (_CELLS * (_CELLS - _CEILING_ROWS))
