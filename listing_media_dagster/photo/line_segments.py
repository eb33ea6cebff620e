"""Straight edges of a photo: the evidence that lens and vertical correction both rest on."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

SEARCH_SIDE = 1280
MIN_LENGTH = 0.02
"""Shorter segments than this share of the long side are texture."""

Image = NDArray[np.uint8]
Segments = NDArray[np.float64]
"""float64 (n, 2, 2): both ends (x, y) in full-size pixels from the centre of the picture, y down."""


def find_segments(rgb: Image) -> Segments:
    """Find straight edges in rgb uint8 (H, W, 3), at a reduced size (LSD, von Gioi et al. 2010)."""
    height, width = rgb.shape[:2]
    scale = min(1.0, SEARCH_SIDE / max(height, width))
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    if scale < 1:
        grey = cv2.resize(grey, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)
    lines = cv2.createLineSegmentDetector(cv2.LSD_REFINE_STD).detect(grey)[0]
    if lines is None:
        return np.zeros((0, 2, 2))
    ends = np.asarray(lines, np.float64).reshape(-1, 2, 2)
    ends = ends[lengths(ends) >= MIN_LENGTH * max(grey.shape)]
    factor = np.array([width / grey.shape[1], height / grey.shape[0]])
    return np.asarray((ends + 0.5) * factor - np.array([width, height]) / 2, np.float64)


def lengths(segments: Segments) -> NDArray[np.float64]:
    return np.asarray(np.linalg.norm(segments[:, 1] - segments[:, 0], axis=1), np.float64)


def tilt_from_vertical(segments: Segments) -> NDArray[np.float64]:
    """Signed angle of each segment from the image's vertical in degrees, -90..90, positive = leaning right."""
    along = segments[:, 1] - segments[:, 0]
    down = np.where(along[:, 1:] < 0, -along, along)
    return np.asarray(np.degrees(np.arctan2(-down[:, 0], down[:, 1])), np.float64)
