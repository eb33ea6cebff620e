"""The deterministic base look of a listing photo: measured per photo, agreed for the listing, applied per photo.

`estimate_look` measures one photo, `agree_on_look` decides what all photos of a listing share, `enhance` makes the
picture. Nothing generative: every output pixel is its own input pixel, balanced, lifted, calmed and sharpened.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from listing_media_dagster.listing import Operation, OperationName
from listing_media_dagster.photo import quality
from listing_media_dagster.photo.channels import brightest_channel, darkest_channel
from listing_media_dagster.photo.develop import CODED_EXPONENT, DevelopPlan, balanced_levels, develop
from listing_media_dagster.photo.look import (
    ListingLook,
    LookEstimate,
    agree_on_look,
    estimate_look,
    find_sky,
    light_to_correct,
    measure_levels,
)
from listing_media_dagster.photo.mixed_light import local_cast
from listing_media_dagster.photo.quality import neutral_consistency
from listing_media_dagster.photo.tone import (
    ToneDecision,
    ToneTargets,
    decide_tone,
    guided_coefficients,
    highlight_tables,
    local_strength,
)
from listing_media_dagster.photo.white_balance import (
    Surfaces,
    chroma_of,
    lab_of_neutral,
    mean_chroma,
    neutral_weight,
    read_surfaces,
    surface_weight,
    to_lab,
    warmth_and_tint,
    white_level,
)

__all__ = [
    "ENHANCE_VERSION",
    "Enhanced",
    "ListingLook",
    "LookEstimate",
    "agree_on_look",
    "enhance",
    "estimate_look",
    "neutral_consistency",
]

ENHANCE_VERSION = "3"

FloatArray = NDArray[Any]  # float32; OpenCV's stubs promise no more than "some number"
Bytes = NDArray[Any]  # uint8


@dataclass(frozen=True)
class Enhanced:
    """`rgb`: uint8 (H, W, 3), sRGB, the size of the input; `operations`: what was done; `metrics`: before and after."""

    rgb: Bytes
    operations: tuple[Operation, ...]
    metrics: dict[str, float]


def enhance(
    rgb: Bytes, estimate: LookEstimate, look: ListingLook, strength: float = 1.0, is_exterior: bool | None = None
) -> Enhanced:
    """Make the base picture of `rgb` (uint8 (H, W, 3), sRGB, upright): same size, nothing invented.

    strength: 0 (the very same pixels, no operations) to 1. is_exterior: what the photo shows if somebody knows, else it
    is judged from sky and vegetation. Raises ValueError for a strength outside 0..1.
    """
    if not 0.0 <= strength <= 1.0:
        raise ValueError(f"strength is {strength}: give a number from 0 (untouched) to 1 (full)")
    if strength == 0.0:
        return Enhanced(rgb=rgb.copy(), operations=(), metrics={})
    exterior = estimate.exterior_likelihood >= 0.5 if is_exterior is None else is_exterior
    small = quality.small_copy(rgb)
    sky = find_sky(to_lab(small), overcast=True) if exterior else np.zeros(small.shape[:2], np.float32)
    surfaces = read_surfaces(small).without(sky > 0.3)
    plan, light, decision = _plan(small, surfaces, sky, estimate, look, strength, exterior)
    result = develop(rgb, plan)
    metrics = _metrics(small, surfaces, result, estimate)
    return Enhanced(rgb=result, operations=_operations(plan, light, decision, strength, exterior), metrics=metrics)


def _plan(
    small: Bytes,
    surfaces: Surfaces,
    sky: FloatArray,
    estimate: LookEstimate,
    look: ListingLook,
    strength: float,
    exterior: bool,
) -> tuple[DevelopPlan, tuple[float, float], ToneDecision]:
    light = light_to_correct(estimate, look, exterior)
    gains = _gains(light[0] * strength, light[1] * strength)
    blown = darkest_channel(small) >= 248
    balanced = _balanced(small, gains)
    surfaces = surfaces.under(light[0] * strength, light[1] * strength)
    local = None
    if not estimate.monochrome and not exterior and estimate.mixed_light > 0.03:
        red, blue = cv2.split(local_cast(small, surfaces) * np.float32(0.9 * strength))
        surfaces = surfaces.under(red, blue)
        # green stays: brightness is the exposure's business
        local = (cv2.exp(red * -CODED_EXPONENT), cv2.exp(blue * -CODED_EXPONENT))
        balanced = _scaled(balanced, cv2.merge([local[0], np.ones_like(local[0]), local[1]]))
    level_now = brightest_channel(balanced)
    levels = measure_levels(level_now, blown, sky, surfaces)
    targets = (
        ToneTargets(look.exterior_median, look.exterior_white)
        if exterior
        else ToneTargets(look.interior_median, look.interior_white)
    )
    decision = decide_tone(
        median=levels.median,
        white=levels.white,
        black=levels.black,
        targets=targets,
        exterior=exterior,
        night=estimate.night,
    )
    black = decision.black * strength
    level = np.clip(level_now.astype(np.float32) / 255.0 - black, 0.0, 1.0) / (1.0 - black)
    paint = None if exterior or estimate.monochrome else _white_paint(surfaces, level, light)
    slope, offset = local_strength(level, decision, sky if exterior else None, paint)
    factor, held_back = highlight_tables(decision)
    # what the eye sees after the lift is what has to be calmed and what may be sharpened
    visible = estimate.noise_luma * (1.0 + 0.7 * decision.passes * max(decision.exposure, 0.0))
    return (
        DevelopPlan(
            gains=gains,
            local_gains=local,
            black=black,
            white=white_level(small) or 255,
            strength=(slope * np.float32(strength), offset * np.float32(strength)),
            highlights=(factor, held_back * np.float32(strength)),
            passes=decision.passes,
            lift_saturation=1.0 - 0.50 * strength,
            chroma_kept=None if paint is None else (1.0 - 0.55 * strength * paint).astype(np.float32),
            luma_noise=strength * estimate.noise_luma if visible > 1.0 else 0.0,
            chroma_noise=strength * estimate.noise_chroma
            if estimate.noise_chroma > 0.5 and not estimate.monochrome
            else 0.0,
            sharpen=strength * float(np.clip(1.1 - estimate.sharpness / 40.0, 0.25, 0.9)),
            sharpen_radius=1.2 if estimate.sharpness < 12.0 else 0.9,
            sharpen_core=min(8.0, 0.8 + 1.2 * visible),
        ),
        light,
        replace(decision, black=black),
    )


def _white_paint(surfaces: Surfaces, level: FloatArray, light: tuple[float, float]) -> FloatArray:
    """Likelihood of white paint without texture, float32 (h, w) 0..1: its last trace of colour is light, not paint.

    light: the cast taken out of the surfaces. Daylight that strays into a lamp-lit room lies between it and neutral.
    """
    likely = np.minimum(1.5 * neutral_weight(surfaces, spread=0.8), 1.0)
    if (lamp := float(warmth_and_tint(np.array(light[0]), np.array(light[1]))[0])) > 0.2:
        likely = np.maximum(likely, _daylit_paint(surfaces, lamp))
    # A ceiling under warm lamps is further from neutral; a part of that is taken out, less and less down the walls.
    height = np.linspace(0.0, 1.0, level.shape[0], dtype=np.float32)[:, None]
    likely = np.maximum(likely, np.clip(1.3 - 2.2 * height, 0.0, 0.75) * neutral_weight(surfaces, spread=2.5))
    # Texture and trim leave gaps along every edge of a wall: close them, then let the map follow brightness edges.
    closed = cv2.morphologyEx(likely, cv2.MORPH_CLOSE, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (9, 9)))
    slope, offset = guided_coefficients(level, closed, 16, 0.002)
    return np.asarray(np.clip(slope * level + offset, 0.0, 1.0), np.float32)


def _daylit_paint(surfaces: Surfaces, lamp: float) -> FloatArray:
    """Likelihood of bright white paint that is bluish only by daylight, float32 (h, w) 0..1, in a room lit by a lamp.

    lamp: warmth of the light taken out. Blue paint is darker than white, and mostly bluer than daylight.
    """
    warmth, _ = warmth_and_tint(surfaces.log_rg, surfaces.log_bg)
    back = np.clip(-warmth, 0.0, lamp)
    whitened = surfaces.under(*(back * np.float32(-part) for part in chroma_of(1.0, 0.0)))
    bright = np.clip((surfaces.plain - 0.25) / 0.5, 0.0, 1.0)
    return np.asarray(np.minimum(1.5 * neutral_weight(whitened), 1.0) * bright, np.float32)


def _balanced(small: Bytes, gains: tuple[float, float, float]) -> Bytes:
    level = np.arange(256, dtype=np.float32) / 255.0
    tables = [np.clip(balanced_levels(level, gain) * 255.0 + 0.5, 0, 255).astype(np.uint8) for gain in gains]
    return np.asarray(cv2.LUT(small, cv2.merge(tables).reshape(1, 256, 3)), np.uint8)


def _scaled(small: Bytes, gains: FloatArray) -> Bytes:
    return np.asarray(np.clip(small.astype(np.float32) * gains + 0.5, 0, 255), np.uint8)


def _gains(log_rg: float, log_bg: float) -> tuple[float, float, float]:
    """Linear R, G, B factors that make a surface seen as `(log_rg, log_bg)` neutral at unchanged luminance."""
    red, blue = math.exp(log_rg), math.exp(log_bg)
    luminance = 0.2126 * red + 0.7152 + 0.0722 * blue
    return luminance / red, luminance, luminance / blue


def _metrics(before: Bytes, surfaces: Surfaces, result: Bytes, estimate: LookEstimate) -> dict[str, float]:
    """Measured before (`before`: small copy; `estimate`) and after, casts on the same surfaces."""
    after = quality.small_copy(result)
    tiles = quality.native_tiles(result)
    highlights, shadows = quality.clipped_shares(result)
    weight = surface_weight(surfaces, *estimate.illuminant)
    pairs: dict[str, tuple[float, float]] = {
        "clipped_highlights": (estimate.clipped_highlights, highlights),
        "clipped_shadows": (estimate.clipped_shadows, shadows),
        "noise": (estimate.noise_luma, quality.noise_sigma(tiles)[0]),
        "sharpness": (estimate.sharpness, quality.sharpness(tiles)),
    }
    casts = [lab_of_neutral(*mean_chroma(small, weight)) for small in (before, after)]
    pairs["neutral_a"], pairs["neutral_b"] = zip(*casts, strict=True)
    pairs["neutral_cast"] = (math.hypot(*casts[0]), math.hypot(*casts[1]))
    lumas = [quality.luma(small) for small in (before, after)]
    for name, measure in _LUMA_MEASURES.items():
        pairs[name] = (measure(lumas[0]), measure(lumas[1]))
    metrics = {f"{name}_{when}": round(pair[i], 5) for name, pair in pairs.items() for i, when in _WHEN}
    metrics["neutral_confidence"] = estimate.confidence
    metrics["halo_before"] = 0.0
    metrics["halo_after"] = round(quality.halo_measure(before, after), 3)
    return metrics


_WHEN = ((0, "before"), (1, "after"))
_LUMA_MEASURES: dict[str, Callable[[Bytes], float]] = {
    "luma_mean": lambda y: float(y.mean()),
    "luma_median": lambda y: float(np.median(y)),
    "contrast": lambda y: float(np.percentile(y, 95) - np.percentile(y, 5)),
}


def _operations(
    plan: DevelopPlan, light: tuple[float, float], decision: ToneDecision, strength: float, exterior: bool
) -> tuple[Operation, ...]:
    def done(name: OperationName, **parameters: Any) -> Operation:
        return Operation(name=name, parameters={**parameters, "strength": strength}, version=ENHANCE_VERSION)

    operations = []
    if plan.gains != (1.0, 1.0, 1.0) or plan.local_gains is not None:
        a, b = lab_of_neutral(*light)
        operations.append(
            done(
                OperationName.WHITE_BALANCE,
                gains=[round(gain, 4) for gain in plan.gains],
                cast_ab=[round(a, 2), round(b, 2)],
                mixed_light=plan.local_gains is not None,
            )
        )
    operations.append(
        done(
            OperationName.EXPOSURE,
            curve=round(decision.exposure, 4),
            passes=decision.passes,
            black=round(decision.black, 4),
            scene="exterior" if exterior else "interior",
        )
    )
    operations.append(
        done(
            OperationName.LOCAL_TONE,
            shadow_lift=decision.shadow_lift,
            paint_lift=decision.paint_lift,
            highlight_restraint=decision.highlight_restraint,
            sky_restraint=decision.sky_restraint,
        )
    )
    if plan.luma_noise > 0 or plan.chroma_noise > 0:
        operations.append(
            done(OperationName.DENOISE, luma=round(plan.luma_noise, 2), chroma=round(plan.chroma_noise, 2))
        )
    operations.append(
        done(
            OperationName.SHARPEN,
            amount=round(plan.sharpen, 3),
            radius_px=plan.sharpen_radius,
            threshold=round(plan.sharpen_core, 4),
        )
    )
    return tuple(operations)
