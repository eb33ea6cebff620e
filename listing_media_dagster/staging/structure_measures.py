"""What the structure gate looks at: a staged image and its base at one reduced size, as log colours, and masks on them.

What is measured on a `Pair` lives in the other `structure_` modules, the limits and the verdict in `structure_gate`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Image = NDArray[np.float32]
Mask = NDArray[np.bool_]

WORKING_SIDE = 1024
DARKEST = 12.0
"""Added to 0..255 before logarithms are taken, so that noise in the dark is no contrast."""


@dataclass(frozen=True)
class Pair:
    """Base and staged at working size: log colours (h, w, 3), the gradients (h, w, 2) of their log luminance.

    `edited` is the edit mask, `hidden` what furniture covers, `floor` the floor, `factor` full-size px a working px.
    """

    base: Image
    staged: Image
    base_slope: Image
    staged_slope: Image
    edited: Mask
    hidden: Mask
    floor: Mask
    factor: float

    @property
    def visible(self) -> Mask:
        return self.edited & ~self.hidden

    @property
    def long_side(self) -> int:
        return int(max(self.edited.shape))


def log_colours(rgb: NDArray[np.uint8], size: tuple[int, int]) -> Image:
    """Return natural log colours (h, w, 3) of rgb uint8 at `size` (width, height): light then only adds."""
    small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    return np.asarray(np.log(small + DARKEST), np.float32)


def luminance(colours: Image) -> Image:
    """Return the mean (h, w) of log colours (h, w, 3)."""
    return np.asarray(cv2.transform(colours, np.full((1, 3), 1 / 3, np.float32)), np.float32)


def slopes(colours: Image) -> Image:
    """Return the gradient (h, w, 2) of the log luminance, a px, after a blur of 1 px."""
    smooth = cv2.GaussianBlur(luminance(colours), (0, 0), 1.0)
    across, down = (cv2.Scharr(smooth, cv2.CV_32F, *axis, scale=1 / 32) for axis in ((1, 0), (0, 1)))
    return np.asarray(np.dstack([across, down]), np.float32)


def grown(mask: Mask, px: float) -> Mask:
    """Return `mask` with everything within `px` of it."""
    if not mask.any():
        return mask
    return np.asarray(cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 3) <= px)


def opened(mask: Mask, px: float) -> Mask:
    """Return `mask` without whatever is thinner than 2·px."""
    return grown(~grown(~mask, px), px)


def closed(mask: Mask, px: float) -> Mask:
    """Return `mask` with every gap narrower than 2·px filled."""
    return ~grown(~grown(mask, px), px)


def filled(outline: Floats, shape: tuple[int, ...]) -> Mask:
    canvas = np.zeros(shape[:2], np.uint8)
    cv2.fillPoly(canvas, [np.round(outline).astype(np.int32)], 1)
    return canvas.astype(bool)


def components(mask: Mask, smallest: float) -> Iterator[tuple[Mask, int]]:
    """Yield the connected parts of `mask` of at least `smallest` px, each with its area, largest first."""
    count, labels, facts, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    areas = facts[1:count, cv2.CC_STAT_AREA]
    for number in np.argsort(-areas, kind="stable"):
        if areas[number] < smallest:
            return
        yield labels == number + 1, int(areas[number])
