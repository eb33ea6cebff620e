"""What is asked of a generated picture beside its architecture, counted into the structure gate's verdict."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from listing_media_dagster.listing import Verdict
from listing_media_dagster.staging.structure_gate import THRESHOLD
from listing_media_dagster.staging.structure_measures import DARKEST, grown

Rgb = NDArray[np.uint8]
Image = NDArray[np.float32]

BESIDE_PX = 6  # of what is round furniture counts: outlines are most of what tells whether a piece is there
STRONGEST = 0.1  # natural log a px: beyond it an edge is an edge, however strong
KEPT_LEAST = 0.35
"""Of path-traced rooms redrawn softer, darker, inverted or 6 px off, furniture is kept by 0.53 to 1.0; in rooms drawn
empty, mirrored or as noise by at most 0.18."""


def weighed(verdict: Verdict, name: str, value: float, excess: float, reason: str) -> Verdict:
    """Return the verdict with one more measure, which fails it with `reason` where it `excess`-fold reaches its limit.

    Up to 1 the measure is within its limit, and the score falls with it as with the gate's own.
    """
    score = min(verdict.score or 0.0, max(0.0, 1 - (1 - THRESHOLD) * max(excess, 0.0)))
    changed = {"score": round(score, 4), "evidence": {**verdict.evidence, name: round(value, 4)}}
    if excess > 1:
        said = f"{verdict.reason}; {reason}" if verdict.reason else reason
        changed |= {"outcome": "failed", "reason": said}
    return verdict.model_copy(update=changed)


def furniture_kept(drawn: Rgb, given: Rgb, covered: Image) -> float:
    """Return how far furniture stands in `drawn` where it stands in `given`, -1..1: do their edges lie together?

    Both are uint8 (h, w, 3); `covered` (h, w) is the furniture's coverage 0..1. Colours and materials may differ.
    """
    where = grown(covered > 0.5, BESIDE_PX)
    if not where.any():
        return 1.0
    mine, theirs = (_edges(picture)[where] for picture in (drawn, given))
    mine, theirs = mine - mine.mean(), theirs - theirs.mean()
    return float((mine * theirs).mean() / max(float(mine.std() * theirs.std()), 1e-6))


def _edges(rgb: Rgb) -> Image:
    """How much of an edge is where (h, w), whichever side of it is the lighter."""
    grey = np.log(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).astype(np.float32) + DARKEST)
    smooth = cv2.GaussianBlur(grey, (0, 0), 1.5)
    across, down = (cv2.Scharr(smooth, cv2.CV_32F, *axis, scale=1 / 32) for axis in ((1, 0), (0, 1)))
    return np.asarray(cv2.GaussianBlur(np.minimum(np.hypot(across, down), STRONGEST), (0, 0), 2.0), np.float32)
