"""Deciding how bright each part of a photo becomes: one exposure for the frame, and a local lift or restraint on top.

The tone curve is `x + g*x*(1 - x)`, applied twice or more: it maps black to black and white to white for any strength
`g` in [-1, 1], so no strength can clip. Decisions are taken on a small copy; `local_strength` returns `g` as a line per
place (slope and offset over the pixel's own brightness), which keeps edges at full size without a halo (guided filter,
He et al. 2013, coefficients at low resolution).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[Any]  # float32; OpenCV's stubs promise no more than "some number"

_STRONGEST = 0.80


@dataclass(frozen=True)
class ToneTargets:
    """Where a finished frame should sit, sRGB-coded 0..1: its median, and its bright matt surfaces (white paint)."""

    median: float
    white: float


@dataclass(frozen=True)
class ToneDecision:
    """How a frame is to be toned. Strengths are the curve's g; levels are coded 0..1.

    passes: how often the curve is applied (more for very dark frames). black: level that becomes black. paint_level:
    level of white paint; what is brighter is a window or a lamp.
    """

    exposure: float
    passes: int
    black: float
    shadow_lift: float
    paint_lift: float
    paint_level: float
    highlight_restraint: float
    sky_restraint: float


def tone_curve(level: FloatArray | float, strength: FloatArray | float, passes: int = 2) -> FloatArray:
    """The curve itself, on sRGB-coded brightness 0..1."""
    for _ in range(passes):
        level = level + strength * level * (1.0 - level)
    return np.asarray(level, np.float32)


def strength_to_reach(level: float, target: float, passes: int = 2) -> float:
    """The curve strength that takes `level` to `target`, both coded 0..1, within what the curve can do."""
    low, high = -_STRONGEST, _STRONGEST
    for _ in range(24):
        middle = 0.5 * (low + high)
        if float(tone_curve(level, middle, passes)) < target:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)


def decide_tone(
    *, median: float, white: float, black: float, targets: ToneTargets, exterior: bool, night: bool
) -> ToneDecision:
    """Choose exposure and local amounts from a frame's own levels (coded 0..1) and the listing's targets.

    Pure. A frame already near its targets gets next to nothing; an interior is never darkened as a whole (high-key
    white rooms are meant to be white), a dusk exterior stays dusk.
    """
    if exterior:
        return _decide_outdoors(median, white, black, targets, night)
    # Two passes of the curve give about two stops in the shadows; a frame darker than that needs four,
    passes = 2 if strength_to_reach(white, targets.white) < 0.98 * _STRONGEST else 4
    # and is not taken all the way: eight bits don't hold enough shades down there.
    reach = 1.0 if passes == 2 else 0.88
    for_median = strength_to_reach(median, reach * targets.median, passes)
    for_white = strength_to_reach(min(white, 0.97), reach * targets.white, passes)
    # The white surfaces lead; the median follows as long as they don't get pushed past their target.
    exposure = min(0.35 * for_median + 0.65 * for_white, for_white + 0.40 / passes)
    return ToneDecision(
        exposure=float(np.clip(exposure, 0.0, _STRONGEST if passes == 2 else 0.55)),
        passes=passes,
        # without a dark point (a white room, thick haze) there is nothing to anchor
        black=float(np.clip(0.8 * black, 0.0, 0.045) * np.clip((0.45 - black) / 0.2, 0.0, 1.0)),
        shadow_lift=0.52 / passes,
        paint_lift=0.48 / passes,
        paint_level=min(white, 0.93),
        highlight_restraint=0.90 / passes,
        sky_restraint=0.0,
    )


def _decide_outdoors(median: float, white: float, black: float, targets: ToneTargets, night: bool) -> ToneDecision:
    for_median = strength_to_reach(median, targets.median)
    for_white = strength_to_reach(min(white, 0.97), targets.white)
    haze = float(np.clip((black - 0.10) / 0.3, 0.0, 1.0))
    return ToneDecision(
        exposure=float(np.clip(0.6 * min(for_median, for_white + 0.15), 0.0, 0.20 if night else 0.30)),
        passes=2,
        black=float(np.clip(0.8 * black, 0.0, 0.04 + 0.10 * haze)),
        shadow_lift=0.10 if night else 0.28,
        paint_lift=0.0,
        paint_level=max(white, 0.90),
        highlight_restraint=0.10,
        sky_restraint=0.0 if night else 0.10,
    )


def highlight_tables(decision: ToneDecision) -> tuple[FloatArray, FloatArray]:
    """(factor, offset) applied to the curve's strength by the pixel's own level: two tables, float32 (256,).

    What is brighter than the room's white paint is a window or a lamp: it stays as it was seen, its top held back. This
    knows only brightness, never the neighbourhood, which could draw a halo; and the resulting curve always rises.
    """
    level = np.arange(256, dtype=np.float32) / 255.0
    start, hold, width = decision.paint_level + 0.02, 1.0, 0.23
    while True:
        window = _ramp(level, start, min(start + width, 1.02))
        factor = 1.0 - 0.85 * hold * window
        offset = -decision.highlight_restraint * hold * window * _ramp(level, 0.60, 0.95)
        toned = tone_curve(level, decision.exposure * factor + offset, decision.passes)
        if hold < 0.01 or float(np.diff(toned).min()) > 0.25 / 255.0:
            return factor.astype(np.float32), offset.astype(np.float32)
        # too steep a fall: spread it over more of the range first, then hold back less
        width, hold = (width + 0.15, hold) if start + width < 1.0 else (width, 0.8 * hold)


def guided_coefficients(
    guide: FloatArray, target: FloatArray, radius: int, epsilon: float
) -> tuple[FloatArray, FloatArray]:
    """Slope and offset of `target` as a local line over `guide` (both float32 (h, w)), smoothed over the window."""
    size = (2 * radius + 1, 2 * radius + 1)

    def mean(array: FloatArray) -> FloatArray:
        return np.asarray(cv2.blur(array, size, borderType=cv2.BORDER_REFLECT), np.float32)

    mean_guide, mean_target = mean(guide), mean(target)
    variance = mean(guide * guide) - mean_guide * mean_guide
    covariance = mean(guide * target) - mean_guide * mean_target
    slope = covariance / (variance + epsilon)
    return mean(slope), mean(mean_target - slope * mean_guide)


def smooth_base(level: FloatArray) -> FloatArray:
    """Brightness with texture removed and edges kept: float32 (h, w), 0..1."""
    radius = max(4, round(0.03 * max(level.shape)))
    slope, offset = guided_coefficients(level, level, radius, 0.01)
    return slope * level + offset


def local_strength(
    level: FloatArray, decision: ToneDecision, sky: FloatArray | None = None, paint: FloatArray | None = None
) -> tuple[FloatArray, FloatArray]:
    """Curve strength over the frame as (slope, offset) over coded brightness `level`: each float32 (h, w).

    level: brightest channel 0..1 after white balance, small copy. sky and paint: likelihood 0..1 of sky and of white
    paint, same size.
    """
    base = smooth_base(level)
    shadow = np.clip((0.55 - base) / 0.55, 0.0, 1.0)
    strength = decision.exposure + decision.shadow_lift * shadow
    if paint is not None:
        strength = strength + decision.paint_lift * paint * np.clip((0.88 - base) / 0.25, 0.0, 1.0)
    if sky is not None:
        restrained = min(decision.exposure, 0.0) - decision.sky_restraint * _ramp(base, 0.35, 0.8)
        strength = strength * (1.0 - sky) + sky * restrained
    strength = np.clip(strength, -_STRONGEST, _STRONGEST + 0.1).astype(np.float32)
    return guided_coefficients(level, strength, max(3, round(0.02 * max(level.shape))), 0.004)


def _ramp(value: FloatArray, start: float, end: float) -> FloatArray:
    t = np.clip((value - start) / (end - start), 0.0, 1.0)
    return np.asarray(t * t * (3.0 - 2.0 * t), np.float32)
