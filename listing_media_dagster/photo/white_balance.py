"""Finding the colour of the light in a photo, and how it varies over the frame.

Everything here works on a small linear-light copy. Chromaticity is kept as natural logs of linear channel
ratios, `(ln R/G, ln B/G)`: a change of illuminant is a shift there, whatever the brightness of the surface.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from listing_media_dagster.photo.channels import brightest_channel, darkest_channel

FloatArray = NDArray[Any]  # float32; OpenCV's stubs promise no more than "some number"
Bytes = NDArray[Any]  # uint8

# Unit vectors in (ln R/G, ln B/G). Residual casts after a camera's own white balance lie along the Planckian
# locus (tungsten 2850 K is near (0.72, -1.24) from D65) and rarely stray far to green or magenta.
_WARM = (0.50, -0.866)
_MAGENTA = (0.866, 0.50)

_CODED = np.arange(256) / 255.0
_LINEAR = np.where(_CODED <= 0.04045, _CODED / 12.92, ((_CODED + 0.055) / 1.055) ** 2.4).astype(np.float32)

# linear sRGB to XYZ relative to the D65 white point
_RGB_TO_XYZ = np.array(
    [[0.4339539, 0.3762150, 0.1898430], [0.2126729, 0.7151522, 0.0721750], [0.0177578, 0.1094766, 0.8727756]],
    np.float32,
)

_WARM_SIGMA = 0.24
_COOL_SIGMA = 0.16
_TINT_SIGMA = 0.07
_BIN = 0.02
_CLUSTER = 0.07
_LOWEST_WHITE = 220
_LAMP_TRUST = 0.95
_R_RANGE = (-0.70, 1.10)
_B_RANGE = (-1.50, 0.80)
_BINS = (round((_R_RANGE[1] - _R_RANGE[0]) / _BIN), round((_B_RANGE[1] - _B_RANGE[0]) / _BIN))


@dataclass(frozen=True)
class Illuminant:
    """Colour of the light left in the photo: `(ln R/G, ln B/G)` of a neutral surface, and the trust in it (0..1)."""

    log_rg: float
    log_bg: float
    confidence: float


def to_linear(rgb: Bytes) -> FloatArray:
    """Linear light 0..1 (float32) of sRGB-coded `rgb` (uint8), IEC 61966-2-1."""
    return np.asarray(cv2.LUT(rgb, _LINEAR), np.float32)


def log_chroma(linear: FloatArray) -> tuple[FloatArray, FloatArray]:
    """`(ln R/G, ln B/G)` of linear light, steadied near black."""
    red, green, blue = cv2.split(cv2.log(linear + np.float32(0.002)))
    return cv2.subtract(red, green), cv2.subtract(blue, green)


def to_lab(rgb: Bytes) -> FloatArray:
    """CIELAB (D65), float32 (h, w, 3), of `rgb` (uint8, sRGB). OpenCV's own conversion first spends 60 ms on tables."""
    xyz = cv2.transform(to_linear(rgb), _RGB_TO_XYZ)
    root = cv2.pow(np.maximum(xyz, np.float32(0.008856)), 1.0 / 3.0)
    x, y, z = cv2.split(np.where(xyz > np.float32(0.008856), root, np.float32(7.787) * xyz + np.float32(16.0 / 116.0)))
    return np.asarray(cv2.merge([116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]))


def warmth_and_tint(log_rg: FloatArray, log_bg: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The same chromaticity along the warm-cool axis (warm positive) and across it (magenta positive)."""
    return (
        log_rg * _WARM[0] + log_bg * _WARM[1],
        log_rg * _MAGENTA[0] + log_bg * _MAGENTA[1],
    )


def chroma_of(warmth: float, tint: float) -> tuple[float, float]:
    """Back from warmth and tint to `(ln R/G, ln B/G)`."""
    return (
        float(warmth * _WARM[0] + tint * _MAGENTA[0]),
        float(warmth * _WARM[1] + tint * _MAGENTA[1]),
    )


@dataclass(frozen=True)
class Surfaces:
    """What the pixels of a small copy say about white paint; every map is float32 (h, w).

    log_rg, log_bg: log chromaticity. luminance: linear, 0..1. plain: 0..1.2, larger for bright, smooth, properly
    exposed surfaces.
    """

    log_rg: FloatArray
    log_bg: FloatArray
    luminance: FloatArray
    plain: FloatArray

    def under(self, light_rg: float | FloatArray, light_bg: float | FloatArray) -> Surfaces:
        """The same surfaces with a light's colour taken out; numbers, or a map of each."""
        return replace(self, log_rg=self.log_rg - light_rg, log_bg=self.log_bg - light_bg)

    def without(self, ignore: NDArray[np.bool_]) -> Surfaces:
        """The same with some pixels left out, such as those of a sky."""
        return replace(self, plain=np.where(ignore, np.float32(0.0), self.plain))


def read_surfaces(small: Bytes) -> Surfaces:
    """Look for paint in `small`: uint8 (h, w, 3), sRGB, at most about 640 px.

    Sources of light, blown windows and deep shade say nothing about paint and get no weight.
    """
    linear = to_linear(small)
    log_rg, log_bg = log_chroma(linear)
    luminance = cv2.transform(linear, np.array([[0.2126, 0.7152, 0.0722]], np.float32))
    usable = (brightest_channel(small) < 252) & (darkest_channel(small) > 10) & ~_sources(small)
    if not usable.any():
        return Surfaces(log_rg, log_bg, luminance, np.zeros(small.shape[:2], np.float32))
    # the 85th percentile is walls and ceiling; above lie windows
    bright = max(float(np.percentile(luminance[usable][::4], 85)), 1e-3)
    relative = np.clip(luminance / bright, 0.0, 1.2)
    coded = cv2.GaussianBlur(small, (0, 0), 1.0)
    across = brightest_channel(cv2.convertScaleAbs(cv2.Sobel(coded, cv2.CV_16S, 1, 0)))
    down = brightest_channel(cv2.convertScaleAbs(cv2.Sobel(coded, cv2.CV_16S, 0, 1)))
    flat = cv2.LUT(cv2.add(across, down), np.exp(-np.arange(256, dtype=np.float32) / 24.0))
    return Surfaces(log_rg, log_bg, luminance, np.asarray(relative * np.sqrt(relative) * flat * usable, np.float32))


def white_level(small: Bytes) -> int | None:
    """Level at which the lamps and windows of `small` (uint8 (h, w, 3), sRGB) are cut off, or None if nothing is.

    255 in a camera's picture and often less in an edited or merged one. What is cut off shows no colour, whatever the
    light's: as a reference for white it would be wrong in every warm room.
    """
    darkest = darkest_channel(small)
    counts = np.bincount(darkest.ravel(), minlength=256)
    reached = np.cumsum(counts[::-1])[::-1]
    top = int(np.flatnonzero(reached >= max(0.0005 * darkest.size, 12.0)).max(initial=0))
    # painted white shades off gradually; only what is cut off piles up with next to nothing below
    piled, below = int(reached[max(top - 3, 0)]), int(counts[max(top - 15, 0) : max(top - 5, 0)].sum())
    if top < _LOWEST_WHITE or below > 0.5 * piled:
        return None
    # a flat pale sky piles up as well, but has a colour
    colour = (brightest_channel(small) - darkest)[darkest >= top - 3]
    return top if float(colour.mean()) <= 3.0 else None


def _sources(small: Bytes) -> NDArray[np.bool_]:
    """Where lamps and windows are cut off, with a narrow rim: bool (h, w)."""
    white = white_level(small)
    if white is None:
        return np.zeros(small.shape[:2], np.bool_)
    cut_off = (darkest_channel(small) >= white - 3).astype(np.uint8)
    return np.asarray(cv2.dilate(cut_off, np.ones((5, 5), np.uint8)) > 0)


def neutral_weight(surfaces: Surfaces, spread: float = 1.0) -> FloatArray:
    """How likely each pixel shows a white or grey surface, float32 (h, w) 0..1.2.

    The colour of white paint lies near the Planckian locus around neutral; `spread` widens that belief.
    """
    warmth, tint = warmth_and_tint(surfaces.log_rg, surfaces.log_bg)
    sigma = np.where(warmth > 0, np.float32(_WARM_SIGMA * spread), np.float32(_COOL_SIGMA * spread))
    exponent = -0.5 * ((warmth / sigma) ** 2 + (tint / np.float32(_TINT_SIGMA * spread)) ** 2)
    return np.asarray(surfaces.plain * cv2.exp(exponent), np.float32)


def estimate_illuminant(surfaces: Surfaces) -> Illuminant:
    """The dominant colour of neutral surfaces, with its confidence.

    The densest cluster of likely neutral pixels in log chromaticity wins. A photo without smooth, bright, nearly
    neutral surfaces gets confidence 0.
    """
    first = _lamp_lit(surfaces, _densest_neutral(surfaces, spread=1.0))
    # Strong tungsten or shade pushes every surface out of the usual range: look wider. A painted wall does the same,
    # but then other things in the room keep their neutral or cooler colours, and the wall is not to be believed.
    wide = _densest_neutral(surfaces, spread=2.0)
    if first.confidence >= 0.35:
        # a lamp's cut-off glare or a patch of daylight may not speak for a room that is lamp-lit beyond doubt
        wide = _lamp_lit(surfaces, replace(wide, confidence=0.0))
        return wide if wide.confidence > first.confidence + 0.15 else first
    contrary = _contrary(surfaces, wide)
    share = float((surfaces.plain * contrary).sum()) / max(float(surfaces.plain.sum()), 1e-6)
    # a window with daylight is contrary too, and rarely a fifth of what counts
    doubt = min(max((share - 0.08) / 0.20, 0.0), 1.0)
    wide = _lamp_lit(surfaces, replace(wide, confidence=wide.confidence * (1.0 - 0.75 * doubt)))
    return wide if wide.confidence > first.confidence + 0.15 else first


def _contrary(surfaces: Surfaces, light: Illuminant) -> NDArray[np.bool_]:
    """Where surfaces are far more neutral than `light`, or coloured the other way: bool (h, w)."""
    warmth, _ = warmth_and_tint(surfaces.log_rg, surfaces.log_bg)
    own, _ = warmth_and_tint(np.array(light.log_rg), np.array(light.log_bg))
    return np.asarray((np.abs(warmth) < 0.55 * abs(float(own))) | (warmth * np.sign(own) < 0))


def _lamp_lit(surfaces: Surfaces, light: Illuminant) -> Illuminant:
    """`light` with more confidence where a lamp's colour explains a warm frame better than coloured paint does.

    Under a warm lamp nothing in the room is both neutral and as bright as its walls, wood is warmer still, and most of
    what is plain has the one colour. Beside yellow paint, white trim is neutral and brighter; and paint as warm as wood
    leaves the floor no warmer than the wall.
    """
    warmth, tint = warmth_and_tint(np.array(light.log_rg), np.array(light.log_bg))
    total = float(surfaces.plain.sum())
    if light.confidence >= _LAMP_TRUST or not 0.2 < warmth < 1.5 or total < 1e-3:
        return light
    distance = (surfaces.log_rg - light.log_rg) ** 2 + (surfaces.log_bg - light.log_bg) ** 2
    alike = surfaces.plain * cv2.exp(distance * (-0.5 / (2 * _CLUSTER) ** 2))
    reach = 0.06 * max(alike.shape)
    around = blur_widely(alike, reach)
    nearby = blur_widely(alike * surfaces.luminance, reach) / (around + np.float32(1e-4))
    white = _contrary(surfaces, light) & (surfaces.luminance > 0.85 * nearby) & (around > 0.02)
    own, _ = warmth_and_tint(surfaces.log_rg, surfaces.log_bg)
    warmer = float(((own > warmth + 0.35) & (surfaces.luminance > 0.002)).mean())
    trust = _LAMP_TRUST * _rise(float(alike.sum()) / total, 0.35, 0.60)
    trust *= 1.0 - _rise(float((surfaces.plain * white).sum()) / total, 0.015, 0.06)
    trust *= 0.5 + 0.5 * _rise(warmer, 0.005, 0.025)
    return replace(light, confidence=max(light.confidence, trust * math.exp(-0.5 * (float(tint) / 0.14) ** 2)))


def _rise(value: float, start: float, end: float) -> float:
    """0 below `start`, 1 above `end`, straight between."""
    return min(max((value - start) / (end - start), 0.0), 1.0)


def _densest_neutral(surfaces: Surfaces, spread: float) -> Illuminant:
    weight = neutral_weight(surfaces, spread)
    keep = weight > 1e-4
    if int(keep.sum()) < 50:
        return Illuminant(0.0, 0.0, 0.0)
    r, b, w = surfaces.log_rg[keep], surfaces.log_bg[keep], weight[keep]
    rows = np.clip((r - _R_RANGE[0]) / _BIN, 0, _BINS[0] - 1).astype(np.int32)
    columns = np.clip((b - _B_RANGE[0]) / _BIN, 0, _BINS[1] - 1).astype(np.int32)
    density = np.bincount(rows * _BINS[1] + columns, weights=w, minlength=_BINS[0] * _BINS[1]).reshape(_BINS)
    smooth = cv2.GaussianBlur(density.astype(np.float32), (0, 0), 2.5)
    peak = np.unravel_index(int(smooth.argmax()), smooth.shape)
    centre_r = _R_RANGE[0] + (peak[0] + 0.5) * _BIN
    centre_b = _B_RANGE[0] + (peak[1] + 0.5) * _BIN
    near = w * np.exp(-((r - centre_r) ** 2 + (b - centre_b) ** 2) / (2 * _CLUSTER**2))
    total = float(near.sum())
    if total < 1e-3:
        return Illuminant(0.0, 0.0, 0.0)
    share = total / weight.size
    confidence = 1.0 - math.exp(-share / 0.025)
    return Illuminant(float((near * r).sum() / total), float((near * b).sum() / total), float(confidence))


def surface_weight(surfaces: Surfaces, light_rg: float, light_bg: float) -> FloatArray:
    """Where the surfaces lie on which that light was found: float32 (h, w), larger = surer."""
    lit = surfaces.under(light_rg, light_bg)
    distance = lit.log_rg**2 + lit.log_bg**2
    return np.asarray(neutral_weight(lit) * cv2.exp(distance * (-0.5 / _CLUSTER**2)), np.float32)


def mean_chroma(small: Bytes, weight: FloatArray) -> tuple[float, float]:
    """Weighted mean `(ln R/G, ln B/G)` of `small` (uint8 (h, w, 3), sRGB); neutral where there is no weight."""
    log_rg, log_bg = log_chroma(to_linear(small))
    total = float(weight.sum())
    if total < 1e-6:
        return 0.0, 0.0
    return float((weight * log_rg).sum() / total), float((weight * log_bg).sum() / total)


def lab_of_neutral(log_rg: float, log_bg: float, lightness: float = 85.0) -> tuple[float, float]:
    """CIELAB `(a*, b*)` that a neutral surface of the given L* shows under this cast."""
    linear = np.array([math.exp(log_rg), 1.0, math.exp(log_bg)])
    luminance = ((lightness + 16.0) / 116.0) ** 3
    linear *= luminance / float(linear @ np.array([0.2126, 0.7152, 0.0722]))
    xyz = _RGB_TO_XYZ.astype(float) @ linear
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16.0 / 116.0)
    return float(500.0 * (f[0] - f[1])), float(200.0 * (f[1] - f[2]))


def blur_widely(plane: FloatArray, sigma: float) -> FloatArray:
    """Gaussian of many pixels' reach: three box passes, as good and far cheaper."""
    side = 2 * round((math.sqrt(4.0 * sigma * sigma + 1.0) - 1.0) / 2.0) + 1
    blurred = np.asarray(plane, np.float32)
    for _ in range(3):
        blurred = np.asarray(cv2.blur(blurred, (side, side), borderType=cv2.BORDER_REFLECT))
    return blurred
