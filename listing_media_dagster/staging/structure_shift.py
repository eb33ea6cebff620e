"""Whether the frame itself moved: the similarity that takes corners of the base to where staged shows them."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from listing_media_dagster.staging.structure_measures import Image, Pair, luminance


@dataclass(frozen=True)
class Registration:
    """How staged lies over base: `shift` full-size px, `zoom` factor, `points` that agree on it."""

    shift: float = 0.0
    zoom: float = 1.0
    points: int = 0


def register(pair: Pair) -> Registration:
    """Fit shift and zoom to corners of the base that are found again in what is visible of the edit."""
    before, after = (_flattened(image) for image in (pair.base, pair.staged))
    allowed = cv2.erode(pair.visible.astype(np.uint8), np.ones((5, 5), np.uint8))
    corners = cv2.goodFeaturesToTrack(before, 600, 0.02, 6, mask=allowed)
    if corners is None or len(corners) < 12:
        return Registration()
    options = {"winSize": (19, 19), "maxLevel": 4}
    there, found, _ = cv2.calcOpticalFlowPyrLK(before, after, corners, None, **options)  # type: ignore[call-overload]
    back, refound, _ = cv2.calcOpticalFlowPyrLK(after, before, there, None, **options)  # type: ignore[call-overload]
    good = (found[:, 0] > 0) & (refound[:, 0] > 0) & (np.linalg.norm(back - corners, axis=2)[:, 0] < 0.25)
    source, target = corners[good, 0], there[good, 0]
    if len(source) < 12:
        return Registration()
    cv2.setRNGSeed(1)
    fit, inliers = cv2.estimateAffinePartial2D(source, target, ransacReprojThreshold=0.5)
    if fit is None or inliers.sum() < max(10, 0.2 * len(source)):
        return Registration(points=int(inliers.sum()) if inliers is not None else 0)
    centre = source[inliers[:, 0] > 0].mean(0)  # where the fit is known best
    moved = fit[:, :2] @ centre + fit[:, 2] - centre
    return Registration(
        float(np.hypot(*moved)) * pair.factor, float(np.hypot(fit[0, 0], fit[1, 0])), int(inliers.sum())
    )


def _flattened(colours: Image) -> NDArray[np.uint8]:
    """Fine contrast only, as 8 bit: what corners are followed on, whatever the light does."""
    return np.asarray(np.clip(128 + 220 * _fine(luminance(colours), 12.0), 0, 255), np.uint8)


def _fine(image: Image, coarse: float) -> Image:
    return np.asarray(image - cv2.GaussianBlur(image, (0, 0), coarse), np.float32)
