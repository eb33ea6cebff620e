"""Finding the colour of the light in a photo, and how it varies over the frame.

Everything here works on a small linear-light copy. Chromaticity is kept as natural logs of linear channel
ratios, `(ln R/G, ln B/G)`: a change of illuminant is a shift there, whatever the brightness of the surface.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from listing_media_dagster.photo.channels import brightest_channel, darkest_channel

FloatArray = NDArray[Any]  # float32; OpenCV's stubs promise no more than "some number"
Bytes = NDArray[Any]  # uint8

# Unit vectors in (ln R/G, ln B/G). Residual casts after a camera's own white balance lie along the Planckian
# locus (tungsten 2850 K is near (0.72, -1.24) from D65) and rarely stray far to green or magenta.
_WARM = np.array([0.50, -0.866], np.float32)
_MAGENTA = np.array([0.866, 0.50], np.float32)

_CODED = np.arange(256) / 255.0
_LINEAR = np.where(_CODED <= 0.04045, _CODED / 12.92, ((_CODED + 0.055) / 1.055) ** 2.4).astype(np.float32)

_WARM_SIGMA = 0.24
_COOL_SIGMA = 0.16
_TINT_SIGMA = 0.07
_BIN = 0.02
_CLUSTER = 0.07
_R_RANGE = (-0.70, 1.10)
_B_RANGE = (-1.50, 0.80)


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
    lifted = linear + 0.002
    logs = np.log(lifted)
    return logs[..., 0] - logs[..., 1], logs[..., 2] - logs[..., 1]


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


def neutral_weight(
    small: Bytes, centre: tuple[float | FloatArray, float | FloatArray] = (0.0, 0.0), spread: float = 1.0
) -> FloatArray:
    """How likely each pixel shows a white or grey surface under the room's light, 0..1.

    small: uint8 (h, w, 3), sRGB, at most about 640 px. White paint is bright, smooth, unclipped, and its colour lies
    near the Planckian locus around `centre` (log chromaticity of the light: two numbers, or a map (h, w) of each);
    `spread` widens that belief.
    Sources of light, blown windows and deep shade say nothing and get none.
    """
    linear = to_linear(small)
    luminance = linear @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    usable = (brightest_channel(small) < 252) & (darkest_channel(small) > 10)
    if not usable.any():
        return np.zeros(small.shape[:2], np.float32)
    bright = max(float(np.percentile(luminance[usable], 95)), 1e-3)
    relative = np.clip(luminance / bright, 0.0, 1.2)
    coded = cv2.GaussianBlur(small, (0, 0), 1.0).astype(np.float32)
    across, down = np.abs(cv2.Sobel(coded, cv2.CV_32F, 1, 0)), np.abs(cv2.Sobel(coded, cv2.CV_32F, 0, 1))
    edges = brightest_channel(across) + brightest_channel(down)
    flat = np.exp(-edges / 24.0)
    warmth, tint = warmth_and_tint(*log_chroma(linear))
    warmth0, tint0 = warmth_and_tint(np.array(centre[0]), np.array(centre[1]))
    off = warmth - warmth0
    sigma = np.where(off > 0, _WARM_SIGMA, _COOL_SIGMA) * spread
    belief = np.exp(-0.5 * (off / sigma) ** 2 - 0.5 * ((tint - tint0) / (_TINT_SIGMA * spread)) ** 2)
    weight = relative * np.sqrt(relative) * flat * belief * usable
    return np.asarray(weight, np.float32)


def estimate_illuminant(small: Bytes, ignore: NDArray[np.bool_] | None = None) -> Illuminant:
    """The dominant colour of neutral surfaces in `small` (uint8 (h, w, 3), sRGB, ≤ 640 px), with its confidence.

    The densest cluster of likely neutral pixels in log chromaticity wins. `ignore` masks pixels that are known not to
    be neutral (a sky). A photo without smooth, bright, nearly neutral surfaces gets confidence 0.
    """
    first = _densest_neutral(small, ignore, spread=1.0)
    if first.confidence >= 0.35:
        return first
    # Strong tungsten or shade pushes every surface out of the usual range: look wider. A painted wall does the same,
    # but then other things in the room keep their neutral or cooler colours, and the wall is not to be believed.
    wide = _densest_neutral(small, ignore, spread=2.0)
    warmth, _ = warmth_and_tint(*log_chroma(to_linear(small)))
    own, _ = warmth_and_tint(np.array(wide.log_rg), np.array(wide.log_bg))
    seen = (darkest_channel(small) > 16) & (brightest_channel(small) < 250)
    contrary = (np.abs(warmth) < 0.55 * abs(float(own))) | (warmth * np.sign(own) < 0)
    share = float((contrary & seen).sum()) / max(int(seen.sum()), 1)
    wide = Illuminant(wide.log_rg, wide.log_bg, wide.confidence * (0.3 + 0.7 * math.exp(-share / 0.02)))
    return wide if wide.confidence > first.confidence else first


def _densest_neutral(small: Bytes, ignore: NDArray[np.bool_] | None, spread: float) -> Illuminant:
    weight = neutral_weight(small, spread=spread)
    if ignore is not None:
        weight = np.where(ignore, 0.0, weight).astype(np.float32)
    log_rg, log_bg = log_chroma(to_linear(small))
    keep = weight > 1e-4
    if int(keep.sum()) < 50:
        return Illuminant(0.0, 0.0, 0.0)
    r, b, w = log_rg[keep], log_bg[keep], weight[keep]
    bins = (round((_R_RANGE[1] - _R_RANGE[0]) / _BIN), round((_B_RANGE[1] - _B_RANGE[0]) / _BIN))
    density, _, _ = np.histogram2d(r, b, bins=bins, range=(_R_RANGE, _B_RANGE), weights=w)
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


def surface_weight(small: Bytes, light: Illuminant) -> FloatArray:
    """Where the surfaces lie on which `light` was found: float32 (h, w), larger = surer."""
    log_rg, log_bg = log_chroma(to_linear(small))
    distance = (log_rg - light.log_rg) ** 2 + (log_bg - light.log_bg) ** 2
    centre = (light.log_rg, light.log_bg)
    return np.asarray(neutral_weight(small, centre) * np.exp(-distance / (2 * _CLUSTER**2)), np.float32)


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
    # sRGB primaries to XYZ, relative to D65
    xyz = (
        np.array(
            [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
        )
        @ linear
        / np.array([0.95047, 1.0, 1.08883])
    )
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16.0 / 116.0)
    return float(500.0 * (f[0] - f[1])), float(200.0 * (f[1] - f[2]))
