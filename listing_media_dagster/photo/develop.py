"""Applying a decided look to every pixel of a full-size photo, strip by strip, in a bounded amount of memory.

Nothing is decided here: `DevelopPlan` holds small maps and numbers, `develop` carries them out. The order is that of a
raw developer: white balance, denoise, tone, sharpen. Strips are small enough for the processor's cache and their
buffers are used again: fresh memory for every step would cost as much as the arithmetic.
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

_BLOCK = 8
_STRIP_ROWS = 14 * _BLOCK
_PAD_ROWS = _BLOCK
_PAD_ROWS_DENOISE = 3 * _BLOCK
# Effective exponent of the sRGB curve above the shadows: a linear gain w is close to w ** (1 / 2.25) on coded values.
CODED_EXPONENT = 1.0 / 2.25
_WEIGHTS = (0.299, 0.587, 0.114)
_FLOOR = 1e-4


@dataclass(frozen=True)
class DevelopPlan:
    """Everything `develop` needs. Maps are float32 (h, w) on a small copy and are stretched over the frame.

    gains: linear R, G, B factors of the global white balance. local_gains: coded factors for R and B on top, or None.
    black: coded level mapped to 0. white: 8-bit level at which the photo's lamps and windows are cut off. strength:
    (slope, offset) of the tone curve's strength over brightness, or None; highlights: (factor, offset) on that
    strength by the pixel's own level, two float32 tables (256,), or None. passes: how often the curve is applied.
    lift_saturation: chroma kept by a pixel lifted without end. chroma_kept: map of the share of chroma kept by place,
    or None. The noise sigmas are 8-bit levels to remove (0 = off). sharpen_core: detail in 8-bit levels that is left
    alone.
    """

    gains: tuple[float, float, float] = (1.0, 1.0, 1.0)
    local_gains: tuple[FloatArray, FloatArray] | None = None
    black: float = 0.0
    white: int = 255
    strength: tuple[FloatArray, FloatArray] | None = None
    highlights: tuple[FloatArray, FloatArray] | None = None
    passes: int = 2
    lift_saturation: float = 1.0
    chroma_kept: FloatArray | None = None
    luma_noise: float = 0.0
    chroma_noise: float = 0.0
    sharpen: float = 0.0
    sharpen_radius: float = 1.0
    sharpen_core: float = 1.0

    @property
    def balances(self) -> bool:
        return self.gains != (1.0, 1.0, 1.0) or self.local_gains is not None

    @property
    def maps(self) -> dict[str, FloatArray]:
        pairs = (self.local_gains, ("red", "blue")), (self.strength, ("slope", "offset"))
        named = {name: plane for planes, names in pairs if planes for name, plane in zip(names, planes, strict=True)}
        return named if self.chroma_kept is None else {**named, "chroma": self.chroma_kept}


class _Buffers:
    """Float planes of one strip, handed out by name and used again for the next strip."""

    def __init__(self, rows: int, width: int) -> None:
        self._rows, self._width = rows, width
        self._planes: dict[str, FloatArray] = {}

    def plane(self, name: str, rows: int) -> FloatArray:
        if name not in self._planes:
            self._planes[name] = np.empty((self._rows, self._width), np.float32)
        return self._planes[name][:rows]


def develop(rgb: Bytes, plan: DevelopPlan) -> Bytes:
    """Return `rgb` (uint8 (H, W, 3), sRGB) developed by `plan`; same size.

    Peak extra memory: the result and some 30 MB for a 12 MP photo, twice that with denoising.
    """
    height, width = rgb.shape[:2]
    result = np.empty_like(rgb)
    tables = _channel_tables(plan)
    maps = {name: _Stretched(small, (height, width)) for name, small in plan.maps.items()}
    pad = _PAD_ROWS_DENOISE if plan.luma_noise > 0 or plan.chroma_noise > 0 else _PAD_ROWS
    buffers = _Buffers(_STRIP_ROWS + 2 * pad, width)
    for top in range(0, height, _STRIP_ROWS):
        bottom = min(top + _STRIP_ROWS, height)
        first, last = max(0, top - pad), min(height, bottom + pad)
        strip = _develop_strip(np.ascontiguousarray(rgb[first:last]), first, plan, maps, tables, buffers)
        result[top:bottom] = strip[top - first : bottom - first]
    return result


def _channel_tables(plan: DevelopPlan) -> list[FloatArray]:
    level = np.arange(256, dtype=np.float32) / 255.0
    # A toe instead of a cut: what is darker than twice the black level bends towards 0 and never reaches it.
    toe = level * level / (4.0 * max(plan.black, 1e-6))
    anchored = np.where(level < 2.0 * plan.black, toe, level - plan.black) / (1.0 - plan.black)
    return [balanced_levels(anchored, gain) + np.float32(_FLOOR) for gain in plan.gains]


def balanced_levels(coded: FloatArray, gain: float) -> FloatArray:
    """sRGB-coded levels (0..1, any shape) with their linear light times `gain`: float32, above 1 where it overflows."""
    linear = np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4) * gain
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1.0 / 2.4) - 0.055).astype(np.float32)


class _Stretched:
    """A small map (h, w), float32, readable at full size in blocks of `_BLOCK` rows, pixel centres aligned."""

    def __init__(self, small: FloatArray, frame: tuple[int, int]) -> None:
        # Rows are brought to one for each block first, with one beyond either end: then a strip is a plain enlargement.
        blocks = -(-frame[0] // _BLOCK) + 2
        scale = _BLOCK * small.shape[0] / frame[0]
        matrix = np.array([[1.0, 0.0, 0.0], [0.0, scale, -0.5 * scale - 0.5]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        size = (small.shape[1], blocks)
        self._rows = cv2.warpAffine(small, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
        self._width = frame[1]

    def rows(self, first: int, count: int) -> FloatArray:
        """`count` rows from row `first`, a multiple of `_BLOCK`: float32 (count, width)."""
        begin, end = first // _BLOCK, -(-(first + count) // _BLOCK)
        size = (self._width, (end - begin + 2) * _BLOCK)
        large = cv2.resize(self._rows[begin : end + 2], size, interpolation=cv2.INTER_LINEAR)
        return np.asarray(large[_BLOCK : _BLOCK + count])


def _develop_strip(
    source: Bytes,
    first: int,
    plan: DevelopPlan,
    maps: dict[str, _Stretched],
    tables: list[FloatArray],
    buffers: _Buffers,
) -> Bytes:
    rows = source.shape[0]
    coded = cv2.split(source)
    planes = [buffers.plane(name, rows) for name in ("red", "green", "blue")]
    for plane, levels, table in zip(planes, coded, tables, strict=True):
        cv2.LUT(levels, table, dst=plane)
    if plan.local_gains is not None:
        cv2.multiply(planes[0], maps["red"].rows(first, rows), dst=planes[0])
        cv2.multiply(planes[2], maps["blue"].rows(first, rows), dst=planes[2])
    if plan.balances:
        _keep_cut_red_warm(planes, coded, plan.white)
        _keep_blown_white(planes, coded, plan.white)
    if plan.luma_noise > 0 or plan.chroma_noise > 0:
        _denoise(planes, plan)
    if plan.balances or plan.strength is not None:
        _apply_tone(planes, coded, first, plan, maps, buffers)
    made = np.asarray(cv2.merge([cv2.convertScaleAbs(plane, alpha=255.0) for plane in planes]))
    return _sharpen(made, plan) if plan.sharpen > 0 else made


def _keep_cut_red_warm(planes: list[FloatArray], coded: Sequence[Any], white: int) -> None:
    """Where red is at its end the light was redder still: balancing may not take red below green there.

    Otherwise a patch of sun on a wooden floor, (255, 225, 130) under warm light, comes out lime.
    """
    cut_off = _ramp_table(white - 9.0, white)
    suspect = cv2.bitwise_and(
        cv2.LUT(coded[0], (cut_off > 0).astype(np.uint8) * np.uint8(255)), cv2.compare(coded[0], coded[1], cv2.CMP_GT)
    )
    if cv2.countNonZero(suspect) == 0:
        return
    where = np.nonzero(suspect)
    red, green = planes[0][where], planes[1][where]
    planes[0][where] = red + cut_off[coded[0][where]] * np.maximum(green - red, 0.0)


def _keep_blown_white(planes: list[FloatArray], coded: Sequence[Any], white: int) -> None:
    """Where channels are at their end their ratio is no colour: such pixels go to white instead of a false tint.

    Correcting (255, 255, 200) as if it were a colour gives the cyan and magenta rims seen around over-exposed lamps.
    """
    # Blue is left out of the test for a clipped channel: pale skies clip blue first, and their colour is true.
    highest = cv2.max(coded[0], coded[1])
    lowest = cv2.min(cv2.min(coded[0], coded[1]), coded[2])
    cut_off, filled = _ramp_table(white - 9.0, white), _ramp_table(white - 95.0, white - 9.0)
    suspect = cv2.min(cv2.LUT(highest, (cut_off > 0).astype(np.uint8)), cv2.LUT(lowest, (filled > 0).astype(np.uint8)))
    if cv2.countNonZero(suspect) == 0:
        return
    where = np.nonzero(suspect)
    blown = filled[lowest[where]] * cut_off[highest[where]]
    level = highest[where] * np.float32(1.0 / 255.0) * blown
    for plane in planes:
        plane[where] = plane[where] * (1.0 - blown) + level


def _ramp_table(start: float, end: float) -> FloatArray:
    """Smooth step from 0 at level `start` to 1 at `end`, as a table over the 256 levels."""
    t = np.clip((np.arange(256, dtype=np.float32) - start) / (end - start), 0.0, 1.0)
    return np.asarray(t * t * (3.0 - 2.0 * t), np.float32)


# White balance may not spend more than half of a pixel's headroom: no channel is pushed into clipping.
_CEILING = (0.5 + np.arange(256, dtype=np.float32) / 510.0).astype(np.float32)

# Nor may a lift: whatever the strength, a level below white stays below it, and a rising one stays rising.
_LEVELS = np.arange(256, dtype=np.float32) / 255.0
_LIFT_CEILING = np.maximum.accumulate(1.0 - (1.0 - _LEVELS) * (0.2 + 0.3 * _ramp_table(217.0, 255.0))).astype(
    np.float32
)


def _apply_tone(
    planes: list[FloatArray],
    coded: Sequence[Any],
    first: int,
    plan: DevelopPlan,
    maps: dict[str, _Stretched],
    buffers: _Buffers,
) -> None:
    rows = planes[0].shape[0]
    brightest, toned, one, other = (buffers.plane(name, rows) for name in ("brightest", "toned", "one", "other"))
    cv2.max(cv2.max(planes[0], planes[1], dst=brightest), planes[2], dst=brightest)
    before = cv2.max(cv2.max(coded[0], coded[1]), coded[2])
    if plan.balances:
        cv2.min(brightest, cv2.LUT(before, _CEILING, dst=one), dst=toned)
    else:
        toned[:] = brightest
    if plan.strength is not None:
        strength = cv2.multiply(maps["slope"].rows(first, rows), toned, dst=one)
        cv2.add(strength, maps["offset"].rows(first, rows), dst=strength)
        if plan.highlights is not None:
            cv2.multiply(strength, cv2.LUT(before, plan.highlights[0], dst=other), dst=strength)
            cv2.add(strength, cv2.LUT(before, plan.highlights[1], dst=other), dst=strength)
        np.clip(strength, -0.95, 0.95, out=strength)
        for _ in range(plan.passes):
            cv2.multiply(toned, toned, dst=other)
            cv2.subtract(toned, other, dst=other)
            cv2.multiply(other, strength, dst=other)
            cv2.add(toned, other, dst=toned)
        cv2.min(toned, cv2.LUT(before, _LIFT_CEILING, dst=other), dst=toned)
    gain = cv2.divide(toned, brightest, dst=one)
    if plan.lift_saturation >= 1.0 and plan.chroma_kept is None:
        for plane in planes:
            cv2.multiply(plane, gain, dst=plane)
        return
    # Lifted shadows keep their ratios and would look over-coloured: hand back a little of the chroma gained.
    keep = cv2.divide(brightest, toned, dst=other)
    np.minimum(keep, 1.0, out=keep)
    cv2.addWeighted(keep, 1.0 - plan.lift_saturation, keep, 0.0, plan.lift_saturation, dst=keep)
    if plan.chroma_kept is not None:
        cv2.multiply(keep, maps["chroma"].rows(first, rows), dst=keep)
    grey = _luma(planes, brightest)
    scaled = cv2.multiply(gain, keep, dst=keep)
    shared = cv2.subtract(gain, scaled, dst=gain)
    cv2.multiply(shared, grey, dst=shared)
    for plane in planes:
        cv2.multiply(plane, scaled, dst=plane)
        cv2.add(plane, shared, dst=plane)


def _luma(planes: list[FloatArray], out: FloatArray | None = None) -> FloatArray:
    grey = cv2.addWeighted(planes[0], _WEIGHTS[0], planes[1], _WEIGHTS[1], 0.0, dst=out)
    return np.asarray(cv2.scaleAdd(planes[2], _WEIGHTS[2], grey, dst=out))


def _guided(guide: FloatArray, target: FloatArray, radius: int, epsilon: float) -> FloatArray:
    size = (2 * radius + 1, 2 * radius + 1)
    mean_guide = cv2.blur(guide, size)
    variance = cv2.subtract(cv2.blur(cv2.multiply(guide, guide), size), cv2.multiply(mean_guide, mean_guide))
    spread = variance + np.float32(epsilon)
    if target is guide:
        slope = cv2.divide(variance, spread, dst=variance)
        offset = cv2.subtract(mean_guide, cv2.multiply(slope, mean_guide))
    else:
        mean_target = cv2.blur(target, size)
        covariance = cv2.subtract(cv2.blur(cv2.multiply(guide, target), size), cv2.multiply(mean_guide, mean_target))
        slope = cv2.divide(covariance, spread, dst=covariance)
        offset = cv2.subtract(mean_target, cv2.multiply(slope, mean_guide))
    return np.asarray(cv2.add(cv2.multiply(cv2.blur(slope, size), guide), cv2.blur(offset, size)))


def _denoise(planes: list[FloatArray], plan: DevelopPlan) -> None:
    grey = _luma(planes)
    if plan.chroma_noise > 0:
        size = (grey.shape[1], grey.shape[0])
        half = (max(1, size[0] // 2), max(1, size[1] // 2))
        guide = cv2.resize(grey, half, interpolation=cv2.INTER_AREA)
        epsilon = (4.0 * max(plan.luma_noise, plan.chroma_noise) / 255.0) ** 2 + 1e-5
        calmed = []
        for plane in (planes[0], planes[2]):
            small = cv2.resize(cv2.subtract(plane, grey), half, interpolation=cv2.INTER_AREA)
            calm = cv2.subtract(_guided(guide, small, 5, epsilon), small)
            calmed.append(cv2.resize(calm, size, interpolation=cv2.INTER_LINEAR))
        red, blue = calmed
        cv2.add(planes[0], red, dst=planes[0])
        cv2.add(planes[2], blue, dst=planes[2])
        # luma stays what it was: green takes what red and blue gave
        cv2.scaleAdd(red, -_WEIGHTS[0] / _WEIGHTS[1], planes[1], dst=planes[1])
        cv2.scaleAdd(blue, -_WEIGHTS[2] / _WEIGHTS[1], planes[1], dst=planes[1])
    if plan.luma_noise > 0:
        radius = 2 if plan.luma_noise < 2.0 else 3
        change = cv2.subtract(_guided(grey, grey, radius, (2.6 * plan.luma_noise / 255.0) ** 2), grey)
        for plane in planes:
            cv2.scaleAdd(change, 0.85, plane, dst=plane)
    for plane in planes:
        np.maximum(plane, _FLOOR, out=plane)


def _sharpen(rgb: Bytes, plan: DevelopPlan) -> Bytes:
    """Unsharp mask on luma, cored against noise and held between the neighbours' extremes: no overshoot, no halo.

    Half of what is left to white and to black may be used at most: sharpening clips nothing.
    """
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    blurred = cv2.GaussianBlur(grey, (5, 5), plan.sharpen_radius)
    level = np.arange(256, dtype=np.float32)
    # 0.5: detail is whole levels by now, and half of those at the threshold are signal
    amount = np.clip(plan.sharpen * np.maximum(level - plan.sharpen_core + 0.5, 0.0) + 0.5, 0, 255)
    table = np.where(level == 0, 0, amount).astype(np.uint8)
    kernel = np.ones((3, 3), np.uint8)
    brightest = cv2.max(cv2.max(*cv2.split(rgb)[:2]), rgb[..., 2])
    up = cv2.LUT(cv2.subtract(grey, blurred), table)
    up = cv2.min(up, cv2.subtract(cv2.dilate(grey, kernel), grey))
    up = cv2.min(up, cv2.LUT(brightest, _HALF_TO_WHITE))
    down = cv2.LUT(cv2.subtract(blurred, grey), table)
    down = cv2.min(down, cv2.subtract(grey, cv2.erode(grey, kernel)))
    down = cv2.min(down, cv2.LUT(grey, _HALF_TO_BLACK))
    lifted = cv2.add(rgb, cv2.merge([up, up, up]), dst=rgb)
    return np.asarray(cv2.subtract(lifted, cv2.merge([down, down, down]), dst=rgb))


_HALF_TO_WHITE = ((255 - np.arange(256)) // 2).astype(np.uint8)
_HALF_TO_BLACK = (np.arange(256) // 2).astype(np.uint8)
