"""What a photo shows of its light, and what all photos of a listing agree on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from listing_media_dagster.photo import quality
from listing_media_dagster.photo.channels import brightest_channel, darkest_channel
from listing_media_dagster.photo.mixed_light import local_cast
from listing_media_dagster.photo.white_balance import (
    Surfaces,
    chroma_of,
    estimate_illuminant,
    neutral_weight,
    read_surfaces,
    to_lab,
    warmth_and_tint,
)

LOOK_VERSION = "2"

FloatArray = NDArray[Any]  # float32
Bytes = NDArray[Any]  # uint8

_CHROMA_STEP = 0.02
_CHROMA_TOLERANCE = 0.05
_MOST_ELSEWHERE = 0.6
_ENOUGH_EVIDENCE = 0.5
_LEVEL_STEP = 0.01
_LEVEL_TOLERANCE = 0.035


class LookEstimate(BaseModel):
    """What one photo shows of its light.

    Chromaticities are `(ln R/G, ln B/G)` of linear light, levels sRGB-coded 0..1, noise in 8-bit levels.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    illuminant: tuple[float, float]
    confidence: float
    mixed_light: float
    monochrome: bool
    median: float
    white: float
    black: float
    clipped_highlights: float
    clipped_shadows: float
    noise_luma: float
    noise_chroma: float
    sharpness: float
    sky_share: float
    sky_depth: float
    green_share: float
    night: bool

    @property
    def exterior_likelihood(self) -> float:
        """0..1; used only where nobody said what the photo shows."""
        return exterior_likelihood(self.sky_share, self.sky_depth, self.green_share)


class ListingLook(BaseModel):
    """What all photos of a listing share. Quantised, so that one more photo normally leaves it identical."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str = LOOK_VERSION
    interior_light: tuple[float, float] = (0.0, 0.0)
    exterior_light: tuple[float, float] = (0.0, 0.0)
    interior_median: float = 0.66
    interior_white: float = 0.91
    exterior_median: float = 0.60
    exterior_white: float = 0.94


def estimate_look(rgb: Bytes) -> LookEstimate:
    """Measure the light, levels and noise of `rgb` (uint8 (H, W, 3), sRGB, upright, any size)."""
    small = quality.small_copy(rgb)
    lab = to_lab(small)
    sky, green = find_sky(lab), green_share(lab)
    sky_share, sky_depth = float((sky > 0.5).mean()), _blueness(lab, sky)
    spread = brightest_channel(small).astype(np.int16) - darkest_channel(small)
    monochrome = float(np.percentile(spread, 99)) <= 4.0
    outdoors = exterior_likelihood(sky_share, sky_depth, green) >= 0.5
    surfaces = read_surfaces(small)
    if outdoors:
        surfaces = surfaces.without(sky > 0.3)
    light = estimate_illuminant(surfaces)
    chroma = (light.log_rg, light.log_bg)
    mixed = 0.0
    if not monochrome and light.confidence > 0:
        warmth, _ = warmth_and_tint(*cv2.split(local_cast(small, surfaces.under(*chroma))))
        low, high = np.percentile(warmth[::4, ::4], [5, 95])
        mixed = float(high - low)
    counted_out = sky if outdoors else np.zeros_like(sky)
    levels = measure_levels(brightest_channel(small), darkest_channel(small) >= 248, counted_out, surfaces)
    tiles = quality.native_tiles(rgb)
    noise_luma, noise_chroma = quality.noise_sigma(tiles)
    highlights, shadows = quality.clipped_shares(rgb)
    return LookEstimate(
        illuminant=(0.0, 0.0) if monochrome else (round(chroma[0], 4), round(chroma[1], 4)),
        confidence=0.0 if monochrome else round(light.confidence, 3),
        mixed_light=round(mixed, 3),
        monochrome=monochrome,
        median=round(levels.median, 3),
        white=round(levels.white, 3),
        black=round(levels.black, 3),
        clipped_highlights=round(highlights, 5),
        clipped_shadows=round(shadows, 5),
        noise_luma=round(noise_luma, 2),
        noise_chroma=round(noise_chroma, 2),
        sharpness=round(quality.sharpness(tiles), 2),
        sky_share=round(sky_share, 3),
        sky_depth=round(sky_depth, 2),
        green_share=round(green, 3),
        night=levels.median < 0.30 and levels.white < 0.85,
    )


def agree_on_look(estimates: Mapping[str, LookEstimate], previous: ListingLook | None = None) -> ListingLook:
    """Decide what all photos of the listing share, from each photo's estimate (keys: photo ids).

    Pure and independent of order. `previous`, the look an earlier run agreed on, is returned unchanged while the photos
    still agree with it within tolerance, so that photos already enhanced with it can be reused.
    """
    inside = [e for _, e in sorted(estimates.items()) if e.exterior_likelihood < 0.5 and not e.monochrome]
    outside = [e for _, e in sorted(estimates.items()) if e.exterior_likelihood >= 0.5 and not e.monochrome]
    median = float(np.median([e.median for e in inside])) if inside else 0.64
    consensus = ListingLook(
        interior_light=_consensus_light(inside),
        exterior_light=_consensus_light(outside),
        interior_median=_quantise(min(max(median + 0.02, 0.64), 0.70), _LEVEL_STEP),
    )
    if (
        previous is not None
        and previous.version == consensus.version
        and abs(previous.interior_median - consensus.interior_median) <= _LEVEL_TOLERANCE
        and _still_agreed(previous.interior_light, consensus.interior_light, inside)
        and _still_agreed(previous.exterior_light, consensus.exterior_light, outside)
    ):
        return previous
    return consensus


def light_to_correct(estimate: LookEstimate, look: ListingLook, exterior: bool) -> tuple[float, float]:
    """The cast to take out, `(ln R/G, ln B/G)`: the photo's own estimate, leaning on the listing's where it is weak.

    Pure. Weak evidence, most of all for a strong cast, is followed in part only: a painted wall keeps its paint.
    Outdoors the camera is right more often than the estimate, so little is taken.
    """
    if estimate.monochrome:
        return 0.0, 0.0
    prior = look.exterior_light if exterior else look.interior_light
    trust = estimate.confidence
    warmth, tint = warmth_and_tint(*_mix(prior, estimate.illuminant, trust))
    # where the photo says little, the other photos of the home are fair evidence
    trust = max(trust, 0.5) if prior != (0.0, 0.0) else trust
    full = (0.97 if not exterior else 0.15 if estimate.night else 0.5) * min(0.3 + 0.85 * trust, 1.0)
    knee = 0.12 if exterior else 0.34
    beyond = 0.4 + 0.58 * trust * trust
    kept = math.copysign(min(abs(float(warmth)), knee) + beyond * max(abs(float(warmth)) - knee, 0.0), float(warmth))
    return chroma_of(full * kept, full * float(np.clip(tint, -0.12, 0.12)))


def exterior_likelihood(sky_share: float, sky_depth: float, green_share: float) -> float:
    """How likely a photo was taken outdoors, 0..1, from blue sky at its top edge and vegetation.

    sky_depth: mean -b* of the sky. A white ceiling in the shade is faintly blue as well: alone, only deep blue counts.
    """
    deep = min(max((sky_depth - 8.0) / 8.0, 0.0), 1.0)
    return min(sky_share / 0.08, 1.0) * (0.35 + 0.25 * deep) + min(green_share / 0.10, 1.0) * 0.4


def find_sky(lab: FloatArray, overcast: bool = False) -> FloatArray:
    """Likelihood of sky, float32 (h, w) 0..1, in `lab` (CIELAB, float32 (h, w, 3), small copy).

    Sky is smooth, blue, and joined to the top edge of the frame.
    overcast: also take bright grey for sky; only sensible when the photo is known to be taken outdoors.
    """
    grey = cv2.GaussianBlur(lab[..., 0], (0, 0), 1.5)
    rough = np.hypot(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1)) / 8.0
    blue = (lab[..., 2] < -7.0) & (lab[..., 1] < 12.0) & (lab[..., 0] > 8.0)
    candidate = blue | ((lab[..., 0] > 72.0) & (lab[..., 2] < 6.0) & (np.abs(lab[..., 1]) < 6.0)) if overcast else blue
    mask: Bytes = (candidate & (rough < 2.5)).astype(np.uint8)
    mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=4)
    at_top = set(np.unique(labels[: max(2, lab.shape[0] // 50)])) - {0}
    big = [label for label in at_top if stats[label, cv2.CC_STAT_AREA] > 0.01 * mask.size]
    chosen = cv2.morphologyEx(np.isin(labels, big).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((7, 7), np.uint8))
    return np.asarray(cv2.GaussianBlur(chosen.astype(np.float32), (0, 0), 2.0), np.float32)


def _blueness(lab: FloatArray, sky: FloatArray) -> float:
    inside = sky > 0.5
    return float(-lab[..., 2][inside].mean()) if inside.any() else 0.0


def green_share(lab: FloatArray) -> float:
    """Share of the frame that is the green of grass and leaves."""
    return float(((lab[..., 1] < -7.0) & (lab[..., 2] > 6.0) & (lab[..., 0] > 12.0)).mean())


@dataclass(frozen=True)
class Levels:
    """Coded levels 0..1 of a frame: its median, its white paint, its darkest part."""

    median: float
    white: float
    black: float


def measure_levels(level: Bytes, blown: NDArray[np.bool_], sky: FloatArray, surfaces: Surfaces) -> Levels:
    """Levels of the brightest channel `level` (uint8 (h, w)), blown pixels with their surroundings and sky left out."""
    around = cv2.dilate(blown.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    counted = ~around & (sky < 0.3)
    if counted.mean() < 0.05:
        counted = np.ones_like(counted)
    values = level[counted].astype(np.float32) / 255.0
    paint = (neutral_weight(surfaces) > 0.15) & counted
    usual = float(np.percentile(values, 88))
    # A few bright neutral pixels (a sink, a sheet of paper) don't speak for the walls.
    trust = min(float(paint.mean()) / 0.12, 1.0)
    white = usual if trust < 0.1 else max(usual, float(np.percentile(level[paint], 75)) / 255.0)
    white = trust * white + (1.0 - trust) * usual
    return Levels(float(np.median(values)), white, float(np.percentile(level, 0.5)) / 255.0)


def _mix(one: tuple[float, float], other: tuple[float, float], share: float) -> tuple[Any, Any]:
    return (1 - share) * one[0] + share * other[0], (1 - share) * one[1] + share * other[1]


def _consensus_light(estimates: Sequence[LookEstimate]) -> tuple[float, float]:
    """Confidence-weighted median chromaticity, quantised; neutral where there is too little evidence."""
    weights = np.array([e.confidence for e in estimates], float)
    if weights.sum() < _ENOUGH_EVIDENCE:
        return 0.0, 0.0
    found = []
    for axis in (0, 1):
        values = np.array([e.illuminant[axis] for e in estimates], float)
        order = np.argsort(values, kind="stable")
        reached = np.cumsum(weights[order])
        found.append(float(values[order][int(np.searchsorted(reached, 0.5 * weights.sum()))]))
    return _quantise(found[0], _CHROMA_STEP), _quantise(found[1], _CHROMA_STEP)


def _quantise(value: float, step: float) -> float:
    return round(round(value / step) * step, 4) + 0.0


def _still_agreed(
    light: tuple[float, float], consensus: tuple[float, float], estimates: Sequence[LookEstimate]
) -> bool:
    """Whether `light`, agreed on earlier, still stands: near the consensus, or with photos on either side of it.

    Where half of the rooms are lamp-lit and half are not, one photo more moves the median from one half to the other.
    """
    if math.dist(light, consensus) <= _CHROMA_TOLERANCE:
        return True
    weights = np.array([e.confidence for e in estimates], float)
    off = np.array([e.illuminant for e in estimates], float).reshape(-1, 2) - light
    sides = [weights @ (off > _CHROMA_TOLERANCE), weights @ (off < -_CHROMA_TOLERANCE)]
    return weights.sum() >= _ENOUGH_EVIDENCE and bool(np.max(sides) <= _MOST_ELSEWHERE * weights.sum())
