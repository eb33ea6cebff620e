"""Applying a decided look to every pixel of a full-size photo, strip by strip, in a bounded amount of memory.

Nothing is decided here: `DevelopPlan` holds small maps and numbers, `develop` carries them out. The order is that of a
raw developer: white balance, denoise, tone, sharpen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[Any]  # float32; OpenCV's stubs promise no more than "some number"
Bytes = NDArray[Any]  # uint8

_STRIP_ROWS = 256
_PAD_ROWS = 16
# Effective exponent of the sRGB curve above the shadows: a linear gain w is close to w ** (1 / 2.25) on coded values.
CODED_EXPONENT = 1.0 / 2.25
_WEIGHTS = (0.299, 0.587, 0.114)


@dataclass(frozen=True)
class DevelopPlan:
    """Everything `develop` needs. Maps are float32 (h, w[, n]) on a small copy and are stretched over the frame.

    gains: linear R, G, B factors of the global white balance; local_gains: coded factors per channel on top, or None.
    black: coded level mapped to 0. strength: (slope, offset) of the tone curve strength over brightness, or None.
    base: (slope, offset) of the texture-free brightness, for clarity. paint: likelihood of white paint, 0..1, whose
    leftover colour is reduced by `cleaning`. The noise sigmas are 8-bit levels to remove (0 = off).
    """

    gains: tuple[float, float, float] = (1.0, 1.0, 1.0)
    local_gains: FloatArray | None = None
    black: float = 0.0
    strength: tuple[FloatArray, FloatArray] | None = None
    passes: int = 2
    base: tuple[FloatArray, FloatArray] | None = None
    clarity: float = 0.0
    lift_saturation: float = 1.0
    paint: FloatArray | None = None
    cleaning: float = 0.0
    luma_noise: float = 0.0
    chroma_noise: float = 0.0
    sharpen: float = 0.0
    sharpen_radius: float = 1.0
    sharpen_core: float = 0.004


def develop(rgb: Bytes, plan: DevelopPlan) -> Bytes:
    """Return `rgb` (uint8 (H, W, 3), sRGB) developed by `plan`; same size.

    Peak extra memory: the result and about 100 MB for a 12 MP photo, whatever its height.
    """
    height, width = rgb.shape[:2]
    result = np.empty_like(rgb)
    tables = _channel_tables(plan)
    for top in range(0, height, _STRIP_ROWS):
        bottom = min(top + _STRIP_ROWS, height)
        first, last = max(0, top - _PAD_ROWS), min(height, bottom + _PAD_ROWS)
        strip = _develop_strip(np.ascontiguousarray(rgb[first:last]), first, (height, width), plan, tables)
        result[top:bottom] = strip[top - first : bottom - first]
    return result


def _channel_tables(plan: DevelopPlan) -> list[FloatArray]:
    level = np.arange(256, dtype=np.float32) / 255.0
    # A toe instead of a cut: what is darker than twice the black level bends towards 0 and never reaches it.
    toe = level * level / (4.0 * max(plan.black, 1e-6))
    anchored = np.where(level < 2.0 * plan.black, toe, level - plan.black) / (1.0 - plan.black)
    return [(anchored * gain**CODED_EXPONENT).astype(np.float32) for gain in plan.gains]


def stretch(small: FloatArray, first_row: int, rows: int, frame: tuple[int, int]) -> FloatArray:
    """Rows `first_row`… of `small` enlarged to `frame` (height, width), pixel centres aligned."""
    scale_y, scale_x = small.shape[0] / frame[0], small.shape[1] / frame[1]
    matrix = np.array(
        [[scale_x, 0.0, 0.5 * scale_x - 0.5], [0.0, scale_y, (first_row + 0.5) * scale_y - 0.5]], np.float64
    )
    return np.asarray(
        cv2.warpAffine(
            small,
            matrix,
            (frame[1], rows),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        ),
        np.float32,
    )


def _develop_strip(
    source: Bytes, first: int, frame: tuple[int, int], plan: DevelopPlan, tables: list[FloatArray]
) -> Bytes:
    rows = source.shape[0]
    coded = cv2.split(source)
    planes = [cv2.LUT(plane, table) for plane, table in zip(coded, tables, strict=True)]
    balanced = plan.gains != (1.0, 1.0, 1.0) or plan.local_gains is not None
    if plan.local_gains is not None:
        for plane, gain in zip(planes, cv2.split(plan.local_gains), strict=True):
            cv2.multiply(plane, stretch(gain, first, rows, frame), dst=plane)
    if balanced:
        _keep_blown_white(planes, coded)
    if plan.luma_noise > 0 or plan.chroma_noise > 0:
        _denoise(planes, plan)
    if balanced or plan.strength is not None:
        _apply_tone(planes, coded if balanced else None, first, frame, plan)
    if plan.sharpen > 0:
        _sharpen(planes, plan)
    return np.asarray(cv2.merge([cv2.addWeighted(p, 255.0, p, 0.0, 0.0, dtype=cv2.CV_8U) for p in planes]), np.uint8)


def _keep_blown_white(planes: list[FloatArray], coded: Sequence[Any]) -> None:
    """Where channels are at their end their ratio is no colour: such pixels go to white instead of a false tint.

    Correcting (255, 255, 200) as if it were a colour gives the cyan and magenta rims seen around over-exposed lamps.
    """
    # Blue is left out of the test for a clipped channel: pale skies clip blue first, and their colour is true.
    highest = cv2.max(coded[0], coded[1])
    lowest = cv2.min(cv2.min(coded[0], coded[1]), coded[2])
    blown = cv2.multiply(cv2.LUT(lowest, _ramp_table(160.0, 246.0)), cv2.LUT(highest, _ramp_table(246.0, 255.0)))
    white = cv2.multiply(highest, blown, scale=1.0 / 255.0, dtype=cv2.CV_32F)
    keep = 1.0 - blown
    for plane in planes:
        cv2.multiply(plane, keep, dst=plane)
        cv2.add(plane, white, dst=plane)


def _ramp_table(start: float, end: float) -> FloatArray:
    """Smooth step from 0 at level `start` to 1 at `end`, as a table over the 256 levels."""
    t = np.clip((np.arange(256, dtype=np.float32) - start) / (end - start), 0.0, 1.0)
    return np.asarray(t * t * (3.0 - 2.0 * t), np.float32)


def _apply_tone(
    planes: list[FloatArray], coded: Sequence[Any] | None, first: int, frame: tuple[int, int], plan: DevelopPlan
) -> None:
    brightest: FloatArray = cv2.max(cv2.max(planes[0], planes[1]), planes[2])
    gain: FloatArray = np.ones_like(brightest)
    if coded is not None:
        # White balance may not spend more than half of a pixel's headroom: no channel is pushed into clipping.
        before = cv2.max(cv2.max(coded[0], coded[1]), coded[2])
        ceiling = cv2.LUT(before, (0.5 + np.arange(256, dtype=np.float32) / 510.0).astype(np.float32))
        allowed = cv2.min(brightest, ceiling)
        gain = cv2.divide(allowed + 1e-6, brightest + 1e-6)
        brightest = allowed
    if plan.strength is not None:
        rows = brightest.shape[0]
        slope, offset = (stretch(part, first, rows, frame) for part in plan.strength)
        strength = cv2.multiply(slope, brightest, dst=slope)
        strength = np.clip(cv2.add(strength, offset, dst=strength), -0.95, 0.95, out=strength)
        if plan.clarity > 0 and plan.base is not None:
            slope, offset = (stretch(part, first, rows, frame) for part in plan.base)
            detail = brightest - cv2.add(cv2.multiply(slope, brightest, dst=slope), offset, dst=offset)
            # towards the whites clarity fades, so that it can't clip them
            local = 1.0 + (4.0 * plan.clarity) * detail * (1.0 - brightest)
            cv2.multiply(gain, local, dst=gain)
            brightest = np.minimum(brightest * local, 1.0)
        for _ in range(plan.passes):
            step = 1.0 + cv2.multiply(strength, 1.0 - brightest)
            cv2.multiply(gain, step, dst=gain)
            cv2.multiply(brightest, step, dst=brightest)
    if plan.lift_saturation < 1.0 or plan.paint is not None:
        # Lifted shadows keep their ratios and would look over-coloured: hand back a little of the chroma gained.
        grey = _luma(planes)
        keep = 1.0 - (1.0 - plan.lift_saturation) * (1.0 - 1.0 / np.maximum(gain, 1.0))
        if plan.paint is not None:
            keep *= 1.0 - plan.cleaning * stretch(plan.paint, first, gain.shape[0], frame)
        scaled = gain * keep
        shared = (gain - scaled) * grey
        for plane in planes:
            cv2.multiply(plane, scaled, dst=plane)
            cv2.add(plane, shared, dst=plane)
    else:
        for plane in planes:
            cv2.multiply(plane, gain, dst=plane)


def _luma(planes: list[FloatArray]) -> FloatArray:
    grey = cv2.addWeighted(planes[0], _WEIGHTS[0], planes[1], _WEIGHTS[1], 0.0)
    return np.asarray(cv2.addWeighted(grey, 1.0, planes[2], _WEIGHTS[2], 0.0), np.float32)


def _guided(guide: FloatArray, target: FloatArray, radius: int, epsilon: float) -> FloatArray:
    size = (2 * radius + 1, 2 * radius + 1)
    mean_guide = cv2.blur(guide, size)
    variance = cv2.blur(guide * guide, size) - mean_guide * mean_guide
    if target is guide:
        slope = variance / (variance + epsilon)
        offset = mean_guide - slope * mean_guide
    else:
        mean_target = cv2.blur(target, size)
        slope = (cv2.blur(guide * target, size) - mean_guide * mean_target) / (variance + epsilon)
        offset = mean_target - slope * mean_guide
    return np.asarray(cv2.blur(slope, size) * guide + cv2.blur(offset, size), np.float32)


def _denoise(planes: list[FloatArray], plan: DevelopPlan) -> None:
    grey = _luma(planes)
    change = np.zeros_like(grey)
    if plan.luma_noise > 0:
        sigma = plan.luma_noise / 255.0
        change = 0.8 * (_guided(grey, grey, 2, (1.8 * sigma) ** 2) - grey)
    red, blue = planes[0] - grey, planes[2] - grey
    if plan.chroma_noise > 0:
        size = (grey.shape[1], grey.shape[0])
        half = (max(1, size[0] // 2), max(1, size[1] // 2))
        guide = cv2.resize(grey, half, interpolation=cv2.INTER_AREA)
        epsilon = (3.0 * max(plan.luma_noise, plan.chroma_noise) / 255.0) ** 2 + 1e-5
        for chroma in (red, blue):
            small = cv2.resize(chroma, half, interpolation=cv2.INTER_AREA)
            calm = _guided(guide, small, 5, epsilon)
            chroma += cv2.resize(calm - small, size, interpolation=cv2.INTER_LINEAR)
    light = grey + change
    green = (grey - _WEIGHTS[0] * (red + grey) - _WEIGHTS[2] * (blue + grey)) / _WEIGHTS[1]
    planes[0], planes[1], planes[2] = red + light, green + change, blue + light


def _sharpen(planes: list[FloatArray], plan: DevelopPlan) -> None:
    """Unsharp mask on luma, cored against noise and held between the neighbours' extremes: no overshoot, no halo."""
    grey = _luma(planes)
    detail = grey - cv2.GaussianBlur(grey, (0, 0), plan.sharpen_radius)
    cored = detail - np.clip(detail, -plan.sharpen_core, plan.sharpen_core)
    wanted = grey + plan.sharpen * cored
    kernel = np.ones((3, 3), np.uint8)
    slack = 0.006
    held = cv2.max(cv2.min(wanted, cv2.dilate(grey, kernel) + slack), cv2.erode(grey, kernel) - slack)
    # half of what is left to white and to black may be used: sharpening clips nothing
    brightest = cv2.max(cv2.max(planes[0], planes[1]), planes[2])
    change = cv2.max(cv2.min(held - grey, 0.5 - 0.5 * brightest), -0.5 * grey)
    for plane in planes:
        cv2.add(plane, change, dst=plane)
