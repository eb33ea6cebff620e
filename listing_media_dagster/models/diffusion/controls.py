"""The pictures that steer a diffusion model, drawn from what is known of a room: depth, lines, what may change."""

from __future__ import annotations

from typing import Any, TypeVar, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from listing_media_dagster.models.model import Field, Rgb

Values = TypeVar("Values", np.uint8, np.float32)


def depth_picture(depth: Field) -> Rgb:
    """Return inverse depth as depth ControlNets were shown it: the nearest surface white, the farthest black.

    `depth` is (H, W) in metres; what isn't finite or positive (glass, sky) counts as farthest.
    """
    seen = np.isfinite(depth) & (depth > 0)
    if not seen.any():
        return np.zeros((*depth.shape, 3), np.uint8)
    inverse = np.where(seen, 1 / np.where(seen, depth, 1), 0)
    # A few stray near pixels mustn't squeeze the room into the dark end. Every 8th row tells where the ends are.
    rows = slice(None, None, 8 if seen[::8].any() else 1)
    farthest, nearest = np.percentile(inverse[rows][seen[rows]], (0.1, 99.9))
    inverse = np.where(seen, inverse, farthest)
    share = np.clip((inverse - farthest) / max(float(nearest - farthest), 1e-6), 0, 1)
    return _grey(np.round(share * 255).astype(np.uint8))


def lines_picture(lines: NDArray[np.uint8]) -> Rgb:
    """Return white lines on black as three channels; `lines` is (H, W)."""
    return _grey(lines)


def hide_masked(image: Rgb, mask: Field) -> Rgb:
    """Return `image` black where `mask` (H, W; 0..1) lets the model draw: the repaint control."""
    kept: Rgb = np.where((mask < 0.5)[..., None], image, np.uint8(0))
    return kept


def resized(picture: NDArray[Values], size: tuple[int, int]) -> NDArray[Values]:
    """Return uint8 or float32 (H, W[, 3]) `picture` at `size` (width, height) px; the same array where it has that."""
    height, width = picture.shape[:2]
    if (width, height) == size:
        return picture
    shrinks = size[0] * size[1] < width * height
    result: Any = cv2.resize(cast(Any, picture), size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    return cast("NDArray[Values]", result)


def _grey(values: NDArray[np.uint8]) -> Rgb:
    return np.repeat(values[..., None], 3, axis=2)
