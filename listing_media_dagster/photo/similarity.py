"""A photo's small grey likeness, and how alike two of them are whatever their exposure.

Duplicates and bracket sets are both found with it: they differ in what they conclude, not in how they look.
"""

from __future__ import annotations

import base64
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from listing_media_dagster.listing import Noun

SIDE = 64

Grey = NDArray[np.float32]


class Likeness(Noun):
    """A SIDE x SIDE grey picture of the whole frame (stretched to a square), sRGB-coded.

    `pixels` is base64 of uint8 in row order, stretched so that 0 is `low` and 255 is `high` (0..255 in the photo):
    a frame four stops under keeps its steps.
    """

    low: float
    high: float
    pixels: str

    @property
    def range(self) -> float:
        return self.high - self.low


def likeness_of(rgb: NDArray[np.uint8]) -> Likeness:
    """Return the likeness of `rgb: uint8 (H, W, 3), sRGB`, which may be a reduced copy of the photo."""
    grey = cv2.resize(rgb.astype(np.float32), (SIDE, SIDE), interpolation=cv2.INTER_AREA) @ np.array(
        [0.299, 0.587, 0.114], np.float32
    )
    low, high = float(grey.min()), float(grey.max())
    codes = np.rint((grey - low) * (255.0 / max(high - low, 1e-3))).astype(np.uint8)
    return Likeness(low=round(low, 4), high=round(high, 4), pixels=base64.b64encode(codes.tobytes()).decode())


@lru_cache(maxsize=4096)
def grey_of(likeness: Likeness) -> Grey:
    """Return `grey: float32 (SIDE, SIDE)`, 0..255 sRGB-coded."""
    codes = np.frombuffer(base64.b64decode(likeness.pixels), np.uint8).reshape(SIDE, SIDE)
    return codes.astype(np.float32) * (likeness.range / 255.0) + np.float32(likeness.low)


def linear(grey: Grey) -> Grey:
    """Return sRGB-coded `grey` (0..255) as linear light (0..1)."""
    c = grey / 255.0
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4).astype(np.float32)
