"""Straight edges: where they are, whether the other picture has them too, and which of them light alone may draw."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from listing_media_dagster.staging.structure_measures import DARKEST, Floats, Image, Mask, Pair, luminance

FAINT = 0.02
"""Gradients below this (natural log a px) are wall texture and noise, not edges."""
KEPT = 0.4
"""An edge survives if at least this share of its contrast does."""
BESIDE_PX = 5
"""How far beside an edge the slope of the light that falls across it is read: beyond the edge's own blur."""
PENUMBRA_PX, SHARP = 8, 0.24
"""Reach over which a shadow's border may fade, and the share of its step that a sharp edge rises in one px."""
HAIRLINE = 0.05
"""Natural log below which a line is too faint for an edge of architecture."""


def find_lines(colours: Image, shortest: float) -> Floats:
    """Return straight edges (n, 4) of at least `shortest` px."""
    grey = np.clip(np.exp(luminance(colours)) - DARKEST, 0, 255).astype(np.uint8)
    lines = cv2.createLineSegmentDetector(cv2.LSD_REFINE_STD).detect(grey)[0]
    if lines is None:
        return np.zeros((0, 4))
    ends = np.asarray(lines, float).reshape(-1, 4)
    long = np.hypot(ends[:, 2] - ends[:, 0], ends[:, 3] - ends[:, 1]) >= shortest
    return np.asarray(ends[long])


@dataclass(frozen=True)
class Samples:
    """Points (n, 2) along lines every 2 px, their unit normals (n, 2) and the number of the line each lies on."""

    points: Floats
    normals: Floats
    line: NDArray[np.int64]

    @classmethod
    def along(cls, lines: Floats) -> Samples:
        points, normals, numbers = [np.zeros((0, 2))], [np.zeros((0, 2))], [np.zeros(0, np.int64)]
        for number, (x1, y1, x2, y2) in enumerate(lines):
            length = max(float(np.hypot(x2 - x1, y2 - y1)), 1e-6)
            steps = np.linspace(0, 1, max(2, int(length / 2)))[:, None]
            points.append(np.array([x1, y1]) + steps * np.array([x2 - x1, y2 - y1]))
            normals.append(np.tile([-(y2 - y1) / length, (x2 - x1) / length], (len(steps), 1)))
            numbers.append(np.full(len(steps), number))
        return cls(np.concatenate(points), np.concatenate(normals), np.concatenate(numbers))

    def contrast(self, slope: Image, reach: int) -> Floats:
        """Return the slope across each point's line at -reach..reach px along its normal, (2·reach + 1, n)."""
        offsets = np.arange(-reach, reach + 1)[:, None, None]
        picked = _pick(slope, self.points[None] + offsets * self.normals[None])
        return np.asarray((picked * self.normals[None]).sum(2))

    def within(self, mask: Mask) -> Mask:
        return np.asarray(_pick(mask.astype(np.float32), self.points[None])[0] > 0.5)


def _pick(image: NDArray[np.float32], points: Floats) -> Floats:
    """Return the image at points (m, n, 2), between pixels if need be. An image row holds 32767 points at most."""
    if not points.size:
        return np.zeros(points.shape[:2] + image.shape[2:])
    x, y = (points[..., axis].astype(np.float32) for axis in (0, 1))
    parts = [slice(start, start + 30000) for start in range(0, points.shape[1], 30000)]
    picked = [cv2.remap(image, x[:, part], y[:, part], cv2.INTER_LINEAR, None, cv2.BORDER_REPLICATE) for part in parts]
    return np.asarray(np.concatenate(picked, axis=1), np.float64)


def compare_lines(
    lines: Floats, here: Image, there: Image, seen: Mask, reach: int, shaded: bool = False
) -> tuple[Floats, Floats]:
    """Return for each line how many of its samples are seen with contrast `here`, and how many of those are `there`.

    An edge may lie `reach` px off and keep `KEPT` of its contrast; it must keep its sign. `shaded`: light may have been
    taken away `there`. A shadow's border that lies along an edge slopes on both sides of it, and is taken off.
    """
    samples = Samples.along(lines)
    own = samples.contrast(here, 1)
    strongest = np.take_along_axis(own, np.abs(own).argmax(0)[None], 0)[0]
    counted = samples.within(seen) & (np.abs(strongest) > FAINT)
    other = samples.contrast(there, 1 + reach) * np.sign(strongest)
    if shaded:
        beside = samples.contrast(there - here, BESIDE_PX + 1) * np.sign(strongest)
        other = np.maximum(other, other - (beside[:3].mean(0) + beside[-3:].mean(0)) / 2)
    found = other.max(0) >= KEPT * np.abs(strongest)
    total = np.bincount(samples.line, counted, len(lines))
    return np.asarray(total, float), np.asarray(np.bincount(samples.line, counted & found, len(lines)), float)


def are_strips(lines: Floats, slope: Image, width: int) -> Mask:
    """Return which lines (n, 4) have an edge of the opposite sign and like strength within `width` px: (n,)."""
    samples = Samples.along(lines)
    across = samples.contrast(slope, width)
    own = across[width - 1 : width + 2]
    strongest = np.take_along_axis(own, np.abs(own).argmax(0)[None], 0)[0]
    opposite = (-across * np.sign(strongest)).max(0) > 0.5 * np.abs(strongest)
    total = np.bincount(samples.line, minlength=len(lines))
    return np.asarray(np.bincount(samples.line, opposite, len(lines)) > 0.5 * np.maximum(total, 1))


def are_light(lines: Floats, pair: Pair) -> Mask:
    """Return which lines (n, 4) may be light's doing: where staged differs from base as at a shadow's border: (n,).

    A sharp edge rises within 3 px, so that its steepest px is at least a quarter of the whole step, and no shadow
    brightens a side of it; a hairline with next to no step is where the light on two walls was joined.
    """
    samples = Samples.along(lines)
    across = samples.contrast(pair.staged_slope - pair.base_slope, PENUMBRA_PX)
    count = np.maximum(np.bincount(samples.line, minlength=len(lines)), 1)
    near = np.abs(across[PENUMBRA_PX - 2 : PENUMBRA_PX + 3]).max(0)
    steepest, step = (np.bincount(samples.line, each, len(lines)) / count for each in (near, np.abs(across.sum(0))))
    sides = [samples.points + side * samples.normals for side in (-PENUMBRA_PX / 2, PENUMBRA_PX / 2)]
    change = _pick(luminance(pair.staged - pair.base), np.stack(sides)).max(0)
    brighter = np.bincount(samples.line, change, len(lines)) / count > HAIRLINE
    return np.asarray(((steepest < SHARP * step) & ~brighter) | (np.maximum(steepest, step) < HAIRLINE))
