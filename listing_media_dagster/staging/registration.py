"""Laying a model's picture over the one it was given: edit models shift and zoom by some pixels, and drift in tone.

Pictures are uint8 (H, W, 3) sRGB of one size; `where` (H, W) says what both should show alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from listing_media_dagster.staging.arrays import Floats, Image, Mask, Rgb
from listing_media_dagster.staging.structure_measures import DARKEST

FARTHEST, ZOOM_MOST, TURN_MOST = 0.05, 0.08, 3.0  # of the long side; of the scale; degrees
STILL_PX = 0.15  # in the corners; below, the picture is left as it is: resampling would only soften it
LEFT_PX, LEFT_CORNERS_PX = 0.75, 1.25  # that may be left in the middle, and by zoom in the corners, after it is undone
FEWEST = 12  # points
ALIKE = 10.0  # levels by which pictures without corners may differ at most and still lie alike
TONE_MOST = 0.7  # natural log: a drift beyond it is no drift
NEAR, FAR = 0.03, 0.15  # of the long side: reaches over which tone is compared


class Misregistered(ValueError):
    """A model's picture that can't be laid over what it was given; `str()` says by how much it is off."""


@dataclass(frozen=True)
class Shift:
    """A similarity (2, 3) from the picture given to the one drawn, found at `points` corners."""

    matrix: Floats
    points: int

    def at(self, size: tuple[int, int]) -> tuple[float, float, float]:
        """Return px moved at the middle of a picture of `size` (width, height), zoom, and turn in degrees."""
        middle = np.array(size) / 2
        moved = self.matrix[:, :2] @ middle + self.matrix[:, 2] - middle
        zoom = float(np.hypot(self.matrix[0, 0], self.matrix[1, 0]))
        turn = float(np.degrees(np.arctan2(self.matrix[1, 0], self.matrix[0, 0])))
        return float(np.hypot(*moved)), zoom, turn


def laid_over(drawn: Rgb, given: Rgb, where: Mask) -> tuple[Rgb, Mask, Shift]:
    """Return `drawn` with its shift and zoom undone and its tone that of `given`, where it is valid, and the shift.

    Raises `Misregistered` where it shows too little of `where` again, or is too far off to be the same view.
    """
    size = (given.shape[1], given.shape[0])
    shift = _found_shift(drawn, given, where)
    px, zoom, turn = shift.at(size)
    if px > FARTHEST * max(size) or abs(zoom - 1) > ZOOM_MOST or abs(turn) > TURN_MOST:
        raise Misregistered(f"the model moved the view by {px:.0f} px, zoom {zoom:.3f}, turn {turn:.1f}°")
    valid = np.ones(given.shape[:2], bool)
    if px + _corners_px(zoom, size) > STILL_PX:
        drawn, valid = _undone(drawn, shift.matrix)
        left = _similarity(drawn, given, where & valid)
        if left is not None:
            px_left, zoom_left, _ = left.at(size)
            corners_left = _corners_px(zoom_left, size)
            if px_left > LEFT_PX or corners_left > LEFT_CORNERS_PX:
                raise Misregistered(
                    f"the model bent the view: {px_left:.1f} px in the middle and {corners_left:.1f} px in the corners "
                    f"are left after {px:.1f} px and a zoom of {zoom:.3f} were undone"
                )
    return _toned(drawn, given, where & valid), valid, shift


def _corners_px(zoom: float, size: tuple[int, int]) -> float:
    """Return by how many px a zoom moves the corners: what it is in a small picture isn't even seen."""
    return abs(zoom - 1) * max(size) / 2


def _found_shift(drawn: Rgb, given: Rgb, where: Mask) -> Shift:
    """Return the shift by the corners `where` both are alike, else by all there are, else none at all."""
    found = _similarity(drawn, given, where) or _similarity(drawn, given, np.ones_like(where))
    if found is not None:
        return found
    seen = where if where.any() else np.ones_like(where)
    apart = np.abs(_smooth(drawn) - _smooth(given))[seen]
    if float(np.mean(np.abs(apart - np.median(apart, axis=0)))) > ALIKE:
        raise Misregistered("the model's picture shows nothing by which it could be laid over the photo")
    return Shift(np.array([[1.0, 0, 0], [0, 1, 0]]), 0)


def _smooth(rgb: Rgb) -> Image:
    return np.asarray(cv2.GaussianBlur(rgb.astype(np.float32), (0, 0), 3.0), np.float32)


def _similarity(drawn: Rgb, given: Rgb, where: Mask) -> Shift | None:
    """Return the similarity that most corners of `given` agree on, None if too few are found again."""
    before, after = _fine_contrast(given), _fine_contrast(drawn)
    allowed = cv2.erode(where.astype(np.uint8), np.ones((5, 5), np.uint8))
    corners = cv2.goodFeaturesToTrack(before, 800, 0.01, 5, mask=allowed)
    if corners is None or len(corners) < FEWEST:
        return None
    options = {"winSize": (21, 21), "maxLevel": 5}
    there, found, _ = cv2.calcOpticalFlowPyrLK(before, after, corners, None, **options)  # type: ignore[call-overload]
    back, again, _ = cv2.calcOpticalFlowPyrLK(after, before, there, None, **options)  # type: ignore[call-overload]
    good = (found[:, 0] > 0) & (again[:, 0] > 0) & (np.linalg.norm(back - corners, axis=2)[:, 0] < 0.5)
    if good.sum() < FEWEST:
        return None
    cv2.setRNGSeed(1)
    fit, inliers = cv2.estimateAffinePartial2D(corners[good, 0], there[good, 0], ransacReprojThreshold=0.8)
    if fit is None or inliers.sum() < max(FEWEST, 0.25 * good.sum()):
        return None
    return Shift(np.asarray(fit, float), int(inliers.sum()))


def _fine_contrast(rgb: Rgb) -> NDArray[np.uint8]:
    """What corners are followed on: fine contrast of log luminance, whatever the light does."""
    grey = np.log(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).astype(np.float32) + DARKEST)
    fine = grey - cv2.GaussianBlur(grey, (0, 0), 12.0)
    return np.asarray(np.clip(128 + 220 * fine, 0, 255), np.uint8)


def _undone(drawn: Rgb, matrix: Floats) -> tuple[Rgb, Mask]:
    size = (drawn.shape[1], drawn.shape[0])
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    back = cv2.warpAffine(drawn, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    ones = np.ones(drawn.shape[:2], np.float32)
    inside = cv2.warpAffine(ones, matrix, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderValue=0)
    return np.asarray(back, np.uint8), np.asarray(inside > 0.999)


def _toned(drawn: Rgb, given: Rgb, where: Mask) -> Rgb:
    """Return `drawn` brought to the tone of `given` by what both show `where`, near by before far off."""
    if not where.any():
        return drawn
    side = max(where.shape)
    apart = np.log(given.astype(np.float32) + DARKEST) - np.log(drawn.astype(np.float32) + DARKEST)
    overall = np.median(apart[where], axis=0).astype(np.float32)
    seen = (where & (np.abs(apart - overall).max(axis=2) < TONE_MOST)).astype(np.float32)
    correction = np.broadcast_to(overall, apart.shape)
    weight = seen[..., None]
    for reach in (FAR, NEAR):
        near = _blurred(seen, reach * side)[..., None]
        found = _blurred((apart - correction) * weight, reach * side) / np.maximum(near, 1e-4)
        correction = correction + found * np.clip(near * 4, 0, 1)
    correction = np.clip(correction, -TONE_MOST, TONE_MOST)
    toned = (drawn.astype(np.float32) + DARKEST) * np.exp(correction) - DARKEST
    return np.asarray(np.clip(np.rint(toned), 0, 255), np.uint8)


def _blurred(image: Image, reach: float) -> Image:
    """A wide Gaussian blur, worked out reduced."""
    factor = max(1.0, reach / 6)
    size = (max(1, round(image.shape[1] / factor)), max(1, round(image.shape[0] / factor)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), reach / factor)
    return np.asarray(cv2.resize(small, (image.shape[1], image.shape[0]), interpolation=cv2.INTER_LINEAR), np.float32)
