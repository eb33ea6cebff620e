"""Doors by their form where contrast is faint, and where exactly the edges of an opening's frame are.

An edge that is faint in each row is sure over the two metres of a jamb: what changes the same way all along is summed
with its sign, in which grain, shadows and stains cancel. A door's jambs stand on the floor and end at its head, and the
head ends at the jambs; mouldings of panelled walls stop over the skirting, corners and pilasters run up to the ceiling.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import cv2
import numpy as np
from numpy.typing import NDArray

from listing_media_dagster.staging.arrays import Floats
from listing_media_dagster.staging.flat_wall import Flat

FAINT = 0.4  # change of colour for each px of the flattened wall, summed over a jamb
MOST = 4.0  # change of colour for each px beyond which an edge is an edge, however strong
SHADING = 21  # px of the flattened wall over which light changes
SAME_WAY = 0.62  # share of an edge's length that changes the way its sum does
OVER_NOISE = 3.0  # times the usual column's or row's change
HEAD = (1.2, 2.35)  # camera heights
FOOT = (0.04, 0.3)  # camera heights: skirtings end here
LEAF, PAIR = (0.46, 0.85), (0.85, 1.65)  # camera heights between the jambs of one leaf and of two
TALLER = (1.75, 3.6), (1.15, 2.2)  # height to width of one leaf and of two
ENDS = 0.55  # of a jamb's strength may go on over the head, of a head's beyond the jambs
NEAR_CORNER = 0.12  # camera heights: the wall's own ends are upright edges that go on over any head
CASING = 0.17  # camera heights of the casing's width at most, and of what a jamb may be found off by
CASING_EDGE = 0.3  # of the jamb's strength that the casing's outer edge has at least


@dataclass(frozen=True)
class Gradient:
    """Signed change of L*a*b* for each px along a flattened wall and down it, both (h, w, 3), 0 out of the picture."""

    across: NDArray[np.float32]
    down: NDArray[np.float32]

    def upright(self, rows: slice) -> tuple[Floats, Floats]:
        """Return for each column how strong an upright edge runs through all `rows`, and over what share of them."""
        return _summed(self.across[rows], 0)

    def level(self, columns: slice) -> tuple[Floats, Floats]:
        """Return for each row how strong a level edge runs through all `columns`, and over what share of them."""
        return _summed(self.down[:, columns], 1)


def gradient_of(flat: Flat) -> Gradient:
    """Return how the colour changes on the wall."""
    smooth = cv2.GaussianBlur(flat.lab, (0, 0), 0.8)
    inside = cv2.erode(flat.seen.astype(np.uint8), np.ones((5, 5), np.uint8)).astype(np.float32)[..., None]
    across, down = (cv2.Scharr(smooth, cv2.CV_32F, *axis) / 16 * inside for axis in ((1, 0), (0, 1)))
    return Gradient(np.asarray(across, np.float32), np.asarray(down, np.float32))


def _summed(change: NDArray[np.float32], axis: int) -> tuple[Floats, Floats]:
    capped = np.clip(change, -MOST, MOST)  # a few strong rows aren't to speak for all
    mean = capped.mean(axis=axis, keepdims=True)
    strength = np.linalg.norm(_without_shading(mean.squeeze(axis)), axis=1)
    along = (capped * mean).sum(axis=2)
    agree = (along > 0.15 * (mean**2).sum(axis=2)).mean(axis=axis)
    return strength.astype(np.float64), agree.astype(np.float64)


def _without_shading(change: NDArray[np.float32]) -> NDArray[np.float32]:
    """Take the slow change out of (n, 3) that light makes across a wall."""
    return np.asarray(change - cv2.blur(change, (1, SHADING)), np.float32) if len(change) > 0 else change


def faint_doors(flat: Flat, gradient: Gradient, height: float) -> list[tuple[int, int, int]]:
    """Return (left, right, top) px of doors that are framed by faint edges, best first, none over another."""
    unit, rows = height / flat.metres, len(flat.lab)
    jamb = slice(rows - int(1.15 * unit), rows - int(FOOT[0] * unit))
    heads = slice(max(3, rows - int(HEAD[1] * unit)), rows - int(HEAD[0] * unit))
    if jamb.start < 0 or heads.stop - heads.start < 3:
        return []
    edges = _edges_of(*gradient.upright(jamb), 2)
    found = []
    for left, right in combinations(edges, 2):
        wide = (right - left) / unit
        leaves = 0 if LEAF[0] < wide < LEAF[1] else 1 if PAIR[0] < wide < PAIR[1] else None
        if leaves is None:
            continue
        top, worth = _head(gradient, left, right, heads, unit)
        if top is not None and TALLER[leaves][0] < (rows - top) / (right - left) < TALLER[leaves][1]:
            found.append((worth, left, right, top))
    chosen: list[tuple[int, int, int]] = []
    for _, left, right, top in sorted(found, reverse=True):
        if all(right <= other[0] or left >= other[1] for other in chosen):
            chosen.append((left, right, top))
    return chosen


def _edges_of(strength: Floats, agree: Floats, apart: int) -> list[int]:
    """Return where an edge peaks that is sure along all its length."""
    least = max(FAINT, OVER_NOISE * float(np.median(strength)))
    peaks = []
    for at in np.flatnonzero((strength > least) & (agree > SAME_WAY)):
        around = strength[max(0, at - 2) : at + 3]
        if strength[at] == around.max() and apart < at < len(strength) - apart:
            peaks.append(int(at))
    return peaks


def _head(gradient: Gradient, left: int, right: int, heads: slice, unit: float) -> tuple[int | None, float]:
    """Return the row of the edge that joins two jambs and at which they end, and how sure it is; None without one."""
    rows, width = gradient.across.shape[:2]
    strength, agree = gradient.level(slice(left + 2, right - 1))
    joined = [heads.start + at for at in _edges_of(strength[heads], agree[heads], 0)]
    best: tuple[int | None, float] = (None, 0.0)
    for top in joined:
        below = gradient.upright(slice(top + 3, rows - int(FOOT[1] * unit)))
        over = gradient.upright(slice(max(0, top - int(0.16 * unit)), max(1, top - int(0.05 * unit))))
        sides = [slice(max(0, side - 1), side + 2) for side in (left, right)]
        if min(below[1][side].max() for side in sides) < SAME_WAY:
            continue
        least = min(below[0][side].max() for side in sides)
        free = [side for side in sides if NEAR_CORNER * unit < side.start < width - NEAR_CORNER * unit]
        goes_on = max((over[0][side].max() / max(below[0][side].max(), 1e-6) for side in free), default=1.0)
        beyond = _level_beyond(gradient, top, left, right, unit) / max(float(strength[top]), 1e-6)
        foot = gradient.upright(slice(rows - int(FOOT[1] * unit), rows - int(FOOT[0] * unit)))
        stands = min(foot[0][side].max() / max(below[0][side].max(), 1e-6) for side in sides)
        if least > FAINT and goes_on < ENDS and beyond < ENDS and stands > 0.4:
            worth = float(least + strength[top])
            best = max(best, (top, worth), key=lambda each: each[1])
    return best


def _level_beyond(gradient: Gradient, top: int, left: int, right: int, unit: float) -> float:
    """Return how strongly the head's edge goes on beyond both jambs."""
    clear, reach = int(CASING * unit) + 2, int(0.4 * unit)
    around = slice(max(0, top - 1), top + 2)
    width = gradient.down.shape[1]
    beside = (slice(max(0, left - reach), left - clear), slice(right + clear, min(right + reach, width)))
    found = (gradient.level(columns)[0][around].max() for columns in beside if columns.stop - columns.start >= 5)
    return float(max(found, default=0.0))


def framed_sides(gradient: Gradient, left: int, right: int, top: int, unit: float) -> tuple[float, float]:
    """Return where (px, in parts) the outer edges of a doorway's casing are, or its jambs' where it has none.

    `left` and `right` are px within 0.1 camera heights of the jambs.
    """
    rows = slice(top + int(0.1 * unit), len(gradient.across) - int(0.2 * unit))
    strength, agree = gradient.upright(rows)
    return _outermost(strength, agree, left, -1, unit), _outermost(strength, agree, right, 1, unit)


def _outermost(strength: Floats, agree: Floats, side: int, way: int, unit: float) -> float:
    inward, outward = int(0.05 * unit), int(CASING * unit)
    low, high = (side - outward, side + inward) if way < 0 else (side - inward, side + outward)
    near = np.arange(max(1, low), min(len(strength) - 1, high + 1))
    if len(near) == 0:
        return float(side)
    least = CASING_EDGE * float(strength[near].max())
    peaks = [
        at
        for at in near
        if strength[at] > least and agree[at] > SAME_WAY and strength[at] >= max(strength[at - 1], strength[at + 1])
    ]
    if not peaks:
        return float(side)
    at = min(peaks) if way < 0 else max(peaks)
    before, peak, after = strength[at - 1 : at + 2]
    bend = before - 2 * peak + after
    return float(at + 0.5 + (0.5 * (before - after) / bend if bend < 0 else 0.0))
