"""What the camera and its processing did to a photo, so that what is laid in looks taken by it: softness and grain."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from listing_media_dagster.path_tracer.materials import Image

RENDERED = 0.45  # px: the softness that what is laid in already has
SOFTEST = 2.0  # px: what is blurred more is out of focus or shaken, not the camera's way
COARSEST = 2 / 255  # sRGB levels: more is a wall's texture
CLUMPED = 0.6  # px: grain after demosaicing and JPEG isn't white


@dataclass(frozen=True)
class CameraLook:
    """`softness` is the deviation of the photo's blur in px, `noise` that of its grain in sRGB levels 0..1."""

    softness: float
    noise: float
    seed: int

    def softened(self, image: Image) -> Image:
        more = max(self.softness**2 - RENDERED**2, 0.0) ** 0.5
        return np.asarray(cv2.GaussianBlur(image, (0, 0), more), np.float32) if more > 0.2 else image

    def grain(self, shape: tuple[int, ...], part: int) -> Image:
        """Return grain (h, w, 3) in sRGB levels, mostly in brightness, another for each `part` of the photo."""
        chance = np.random.default_rng((self.seed, part))
        grey = chance.standard_normal((*shape, 1), np.float32)
        tint = chance.standard_normal((*shape, 3), np.float32)
        grain = cv2.GaussianBlur(0.9 * grey + 0.4 * tint, (0, 0), CLUMPED)
        return np.asarray(grain * (self.noise / max(float(grain.std()), 1e-6)), np.float32)


def camera_look(rgb: NDArray[np.uint8], seed: int) -> CameraLook:
    """Measure the softness of the sharpest edges and the grain of the flattest parts of rgb (H, W, 3)."""
    grey = (cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY) / np.float32(255)).astype(np.float32)
    return CameraLook(_softness(grey), _noise(grey), seed)


def _softness(grey: Image) -> float:
    """Blur once more and see by how much gradients fall: little where the edge was soft (Zhuo and Sim 2011)."""
    more = 1.0
    before, after = _gradient(grey), _gradient(np.asarray(cv2.GaussianBlur(grey, (0, 0), more), np.float32))
    strong = before >= max(0.04, float(np.percentile(before, 98)))
    if strong.sum() < 50:
        return RENDERED
    fall = float(np.percentile(before[strong] / np.maximum(after[strong], 1e-4), 75))
    return float(np.clip(more / max(fall**2 - 1, 0.05) ** 0.5, RENDERED, SOFTEST))


def _gradient(grey: Image) -> Image:
    across, down = cv2.Sobel(grey, cv2.CV_32F, 1, 0, scale=0.125), cv2.Sobel(grey, cv2.CV_32F, 0, 1, scale=0.125)
    return np.asarray(cv2.magnitude(across, down), np.float32)


def _noise(grey: Image) -> float:
    """The deviation of fine detail in the flatter of 16 px tiles; where all is textured it is cut at `COARSEST`."""
    detail = grey - cv2.GaussianBlur(grey, (0, 0), 1.5)
    rows, columns = grey.shape[0] // 16, grey.shape[1] // 16
    if not rows or not columns:
        return 0.0
    tiles = detail[: rows * 16, : columns * 16].reshape(rows, 16, columns, 16)
    return min(float(np.percentile(tiles.std(axis=(1, 3)), 20)), COARSEST)
