"""The deterministic base look of a listing photo: measured per photo, agreed for the listing, applied per photo.

`estimate_look` measures one photo, `agree_on_look` decides what all photos of a listing share, `enhance` makes the
picture. Nothing generative: every output pixel is its own input pixel, balanced, lifted, calmed and sharpened.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from listing_media_dagster.listing import Operation, OperationName
from listing_media_dagster.photo import quality
from listing_media_dagster.photo.channels import brightest_channel
from listing_media_dagster.photo.develop import CODED_EXPONENT, DevelopPlan, develop
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
from listing_media_dagster.photo.tone import ToneDecision, ToneTargets, decide_tone, guided_coefficients, local_strength
from listing_media_dagster.photo.white_balance import Illuminant, lab_of_neutral, neutral_weight

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

ENHANCE_VERSION = "1"

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
    sky = find_sky(small, overcast=True) if exterior else np.zeros(small.shape[:2], np.float32)
    plan, light, decision = _plan(small, sky, estimate, look, strength, exterior)
    result = develop(rgb, plan)
    metrics = _metrics(rgb, result, estimate)
    return Enhanced(rgb=result, operations=_operations(plan, light, decision, strength, exterior), metrics=metrics)


def _plan(
    small: Bytes, sky: FloatArray, estimate: LookEstimate, look: ListingLook, strength: float, exterior: bool
) -> tuple[DevelopPlan, tuple[float, float], ToneDecision]:
    light = light_to_correct(estimate, look, exterior)
    gains = _gains(light[0] * strength, light[1] * strength)
    local = None
    balanced = _scaled(small, np.array(gains, np.float32) ** CODED_EXPONENT)
    if not estimate.monochrome and not exterior and estimate.mixed_light > 0.03:
        field = 0.9 * strength * local_cast(balanced, Illuminant(0.0, 0.0, 1.0))
        local = np.stack(_gains(field[..., 0], field[..., 1]), axis=2).astype(np.float32) ** np.float32(CODED_EXPONENT)
        balanced = _scaled(balanced, local)
    levels = measure_levels(balanced, sky)
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
    level = np.clip(brightest_channel(balanced).astype(np.float32) / 255.0 - black, 0.0, 1.0) / (1.0 - black)
    paint = None if exterior or estimate.monochrome else _white_paint(balanced, level)
    slope, offset = local_strength(level, decision, sky if exterior else None, paint)
    # what the eye sees after the lift is what has to be calmed and what may be sharpened
    visible = estimate.noise_luma * (1.0 + 0.7 * decision.passes * max(decision.exposure, 0.0))
    return (
        DevelopPlan(
            gains=gains,
            local_gains=local,
            black=black,
            strength=(slope * np.float32(strength), offset * np.float32(strength)),
            base=guided_coefficients(level, level, max(4, round(0.03 * max(level.shape))), 0.01),
            passes=decision.passes,
            clarity=decision.clarity * strength,
            lift_saturation=1.0 - 0.50 * strength,
            paint=paint,
            cleaning=0.55 * strength,
            luma_noise=strength * estimate.noise_luma if visible > 1.0 else 0.0,
            chroma_noise=strength * estimate.noise_chroma
            if estimate.noise_chroma > 0.5 and not estimate.monochrome
            else 0.0,
            sharpen=strength * float(np.clip(1.1 - estimate.sharpness / 40.0, 0.25, 0.9)),
            sharpen_radius=1.2 if estimate.sharpness < 12.0 else 0.9,
            sharpen_core=min(0.03, 0.003 + 1.2 * visible / 255.0),
        ),
        light,
        replace(decision, black=black),
    )


def _white_paint(balanced: Bytes, level: FloatArray) -> FloatArray:
    """Likelihood of white paint without texture, float32 (h, w) 0..1: its last trace of colour is light, not paint."""
    likely = np.minimum(1.5 * neutral_weight(balanced, spread=0.8), 1.0)
    # A ceiling under warm lamps is further from neutral; a part of that is taken out, less and less down the walls.
    height = np.linspace(0.0, 1.0, balanced.shape[0], dtype=np.float32)[:, None]
    likely = np.maximum(likely, np.clip(1.3 - 2.2 * height, 0.0, 0.75) * neutral_weight(balanced, spread=2.5))
    # Texture and trim leave gaps along every edge of a wall: close them, then let the map follow brightness edges.
    closed = cv2.morphologyEx(likely, cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8))
    slope, offset = guided_coefficients(level, closed, 6, 0.002)
    return np.asarray(np.clip(slope * level + offset, 0.0, 1.0), np.float32)


def _scaled(small: Bytes, gains: FloatArray) -> Bytes:
    return np.asarray(np.clip(small.astype(np.float32) * gains + 0.5, 0, 255), np.uint8)


def _gains(log_rg: Any, log_bg: Any) -> tuple[Any, Any, Any]:
    """Linear R, G, B factors that make a surface seen as `(log_rg, log_bg)` neutral at unchanged luminance."""
    red, blue = np.exp(log_rg), np.exp(log_bg)
    luminance = 0.2126 * red + 0.7152 + 0.0722 * blue
    if np.ndim(log_rg) == 0:
        return float(luminance / red), float(luminance), float(luminance / blue)
    return luminance / red, luminance, luminance / blue


def _metrics(before: Bytes, after: Bytes, estimate: LookEstimate) -> dict[str, float]:
    small0, small1 = quality.small_copy(before), quality.small_copy(after)
    metrics: dict[str, float] = {}
    for name, full, small in (("before", before, small0), ("after", after, small1)):
        tiles = quality.native_tiles(full)
        y = quality.luma(small).astype(np.float32)
        cast = quality.neutral_cast(small, surfaces_of=small0)
        highlights, shadows = quality.clipped_shares(full)
        metrics |= {
            f"neutral_cast_{name}": round(cast.delta_e, 3),
            f"neutral_a_{name}": round(cast.a, 3),
            f"neutral_b_{name}": round(cast.b, 3),
            f"luma_mean_{name}": round(float(y.mean()), 2),
            f"luma_median_{name}": round(float(np.median(y)), 2),
            f"contrast_{name}": round(float(np.percentile(y, 95) - np.percentile(y, 5)), 2),
            f"clipped_highlights_{name}": round(highlights, 5),
            f"clipped_shadows_{name}": round(shadows, 5),
            f"noise_{name}": round(quality.noise_sigma(tiles)[0], 3),
            f"sharpness_{name}": round(quality.sharpness(tiles), 3),
        }
    metrics["neutral_confidence"] = estimate.confidence
    metrics["halo_before"] = 0.0
    metrics["halo_after"] = round(quality.halo_measure(small0, small1), 3)
    return metrics


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
            clarity=decision.clarity,
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
