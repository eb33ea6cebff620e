"""Handing a part of a photo to a model at the size it works at, and laying what it drew into the photo at full size.

Photos are uint8 (H, W, 3) sRGB, masks (H, W). What a mask doesn't hold stays the photo, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from listing_media_dagster.staging.arrays import Image, Mask, Rgb
from listing_media_dagster.staging.render import Window
from listing_media_dagster.staging.shadow import carried_over
from listing_media_dagster.staging.structure_measures import DARKEST

CONTEXT = 0.15  # of the mask's box, shown to the model on every side
PROPORTIONS = (2.0, 1.5, 1.0, 2 / 3, 0.5)  # width over height of what a model is shown, if it isn't the whole photo
FEATHER = 0.004  # of the window's long side
DETAIL_MOST = 1.35  # factor by which detail too fine for the model may lighten or darken what it drew
LIGHT_REACH = 0.012  # of the long side: the model's light on the floor is taken no finer
DARKER, BRIGHTER = 0.6, 1.05  # factors that light on the floor is kept between: no furnishing brightens a floor


@dataclass(frozen=True)
class Cutting:
    """A window of a photo, and the `size` (width, height) px at which a model is shown it."""

    window: Window
    size: tuple[int, int]

    def shown(self, rgb: Rgb) -> Rgb:
        """Return the window of a photo as the model is shown it."""
        part = rgb[self.window.rows_columns]
        method = cv2.INTER_AREA if self.size[0] < part.shape[1] else cv2.INTER_CUBIC
        return np.asarray(cv2.resize(part, self.size, interpolation=method), np.uint8)

    def shown_map(self, field: Image | Mask) -> Image:
        """Return the window of a mask or map (H, W) at the model's size, float32."""
        part = field[self.window.rows_columns].astype(np.float32)
        method = cv2.INTER_AREA if self.size[0] < part.shape[1] else cv2.INTER_LINEAR
        return np.asarray(cv2.resize(part, self.size, interpolation=method), np.float32)

    def enlarged(self, image: Rgb | Image) -> Image:
        """Return an image (h, w) or (h, w, 3) of `size` at the window's full size, float32."""
        method = cv2.INTER_CUBIC if image.ndim == 3 else cv2.INTER_LINEAR
        return np.asarray(cv2.resize(image.astype(np.float32), self.window.size, interpolation=method), np.float32)


def cut_round(mask: Mask, working_size: Callable[[tuple[int, int]], tuple[int, int]]) -> Cutting:
    """Return the part of the photo round `mask`, with what a model needs to see of its surroundings.

    It is as small as that allows: the smaller it is, the more of the photo's detail the model gets to see. Few
    proportions are used, so that models can draw the parts of several photos together.
    """
    height, width = mask.shape
    x, y, across, down = cv2.boundingRect(mask.astype(np.uint8))
    needed = 2 * CONTEXT * max(across, down)
    shapes = [_shaped(across + needed, down + needed, proportion) for proportion in PROPORTIONS]
    fitting = [(w, h) for w, h in shapes if w <= width and h <= height]
    w, h = min(fitting, key=lambda shape: shape[0] * shape[1], default=(width, height))
    left = min(max(x + across // 2 - w // 2, 0), width - w)
    top = min(max(y + down // 2 - h // 2, 0), height - h)
    window = Window(left, top, left + w, top + h)
    return Cutting(window, working_size(window.size))


def _shaped(across: float, down: float, proportion: float) -> tuple[int, int]:
    """Return the smallest (width, height) of a proportion that holds a box."""
    width = max(across, down * proportion)
    return round(width), round(width / proportion)


def furnished(start: Rgb, cutting: Cutting, drawn: Rgb, valid: Mask, furniture: Image, floor: Mask) -> tuple[Rgb, Mask]:
    """Return the rendered photo `start` with its furniture as the model drew it, and the pixels that may differ (H, W).

    `drawn` and `valid` are of the cutting's size, registered. What the model changed of the render's colours is laid on
    the render, by its `furniture` coverage (H, W) 0..1: outlines stay the render's, and so does detail too fine for the
    model's size. On `floor` the model's light is taken and nothing else, so that the floor keeps its boards.
    """
    place = cutting.window.rows_columns
    given, covered = cutting.shown(start), cutting.shown_map(furniture)
    seen = cutting.enlarged(valid.astype(np.float32)) > 0.999
    alpha = np.where(seen, furniture[place], 0)
    lit = _inner(floor[place], 3 * FEATHER * max(cutting.window.size)) * seen * (1 - furniture[place])
    own = start[place].astype(np.float32) + DARKEST
    recolouring, sure = _recolouring(drawn, given, covered)
    made = own * np.exp(alpha[..., None] * cutting.enlarged(recolouring))
    # What the model's size can't hold is the render's fabric, but also its edges, which the model may have moved.
    fine = own / np.maximum(cutting.enlarged(given) + DARKEST, 1)
    faint = np.clip(fine, 1 / DETAIL_MOST, DETAIL_MOST) / np.maximum(fine, 1e-3)
    made *= 1 + (cutting.enlarged(sure) * alpha)[..., None] * (faint - 1)
    made *= (1 + lit * (cutting.enlarged(_light(drawn, given, covered)) - 1))[..., None]
    touched = (alpha > 0) | (lit > 0)
    result, changed = start.copy(), np.zeros(start.shape[:2], bool)
    result[place][touched] = np.clip(np.rint(made[touched] - DARKEST), 0, 255).astype(np.uint8)
    changed[place] = touched
    return result, changed


def _recolouring(drawn: Rgb, given: Rgb, covered: Image) -> tuple[Image, Image]:
    """Return the natural log (h, w, 3) by which the model changed the colours of furniture, carried to its outline.

    Along the outline itself the model may have drawn the wall behind: there what it did further inside counts. The
    second image (h, w), 0..1, is how far inside a piece the model is taken by its word.
    """
    change = np.log(drawn.astype(np.float32) + DARKEST) - np.log(given.astype(np.float32) + DARKEST)
    rim = max(1.5, FEATHER * max(covered.shape))
    sure = _inner(covered > 0.98, rim)
    return carried_over(change, sure, (rim, 3 * rim, 9 * rim)), sure


def painted_over(base: Rgb, cutting: Cutting, drawn: Rgb, valid: Mask, mask: Mask) -> Rgb:
    """Return `base` with the model's picture inside `mask` (H, W), fading in from its border."""
    place = cutting.window.rows_columns
    seen = cutting.enlarged(valid.astype(np.float32)) > 0.999
    share = _inner(mask[place], 2 * FEATHER * max(cutting.window.size)) * seen
    own = base[place].astype(np.float32)
    made = own + share[..., None] * (cutting.enlarged(drawn) - own)
    result = base.copy()
    touched = share > 0
    result[place][touched] = np.clip(np.rint(made[touched]), 0, 255).astype(np.uint8)
    return result


def _inner(mask: Mask, px: float) -> Image:
    """Return a weight (h, w) that rises from 0 outside `mask` to 1 at `px` inside it."""
    padded = cv2.copyMakeBorder(
        mask.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_REPLICATE
    )  # a picture's edge is no border
    depth = cv2.distanceTransform(padded, cv2.DIST_L2, 5)[1:-1, 1:-1]
    share = np.clip((depth - 0.5) / max(px, 1.0), 0, 1)
    return np.asarray(share * share * (3 - 2 * share), np.float32)


def _light(drawn: Rgb, given: Rgb, covered: Image) -> Image:
    """Return the factor (h, w) by which the model lit what no furniture covers, smoothed."""
    bare = np.asarray(covered < 0.02, np.float32)
    reach = LIGHT_REACH * max(bare.shape)
    levels = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32) + DARKEST for image in (drawn, given)]
    share = np.maximum(cv2.GaussianBlur(bare, (0, 0), reach), 1e-3)
    before, after = (cv2.GaussianBlur(level * bare, (0, 0), reach) / share for level in reversed(levels))
    return np.asarray(np.clip(after / np.maximum(before, 1), DARKER, BRIGHTER), np.float32)
