"""Whether a surface is still the same one: what staged shows that no light on the base's surface could show."""

from __future__ import annotations

import cv2
import numpy as np

from listing_media_dagster.staging.structure_lines import KEPT
from listing_media_dagster.staging.structure_measures import DARKEST, Image, Mask, Pair, luminance

BRIGHTER, TINTED = 0.12, 0.12
"""Natural logs by which no furnishing brightens a surface, and by which its shadow tints none."""
TEXTURE_PX = 5.0
"""Reach over which the contrast of textures is compared."""
ALL_THREE = np.ones((1, 3), np.float32)


def light_free_difference(pair: Pair) -> tuple[Mask, Mask]:
    """Return where staged differs from base as light alone can't: (recoloured, restructured), both (h, w).

    A shadow darkens all channels alike and smoothly, so what is brighter, tinted, or carries other fine contrast than
    the base did is another surface.
    """
    seen = (~pair.hidden).astype(np.float32)
    brightened = _averaged(luminance(pair.staged - pair.base), seen, 1.5) > BRIGHTER
    recoloured = brightened | (_tint(pair, seen) > TINTED)
    before, after = (_seen_detail(luminance(image), seen) for image in (pair.base, pair.staged))
    own, other, together = (
        _averaged(product, seen, TEXTURE_PX) for product in (before * before, after * after, before * after)
    )
    # what of the staged contrast the base doesn't explain, and what of the base's is gone
    gain = np.clip(together / (own + 1e-5), 0.0, 1.3)
    unexplained = np.sqrt(np.maximum(other - 2 * gain * together + gain * gain * own, 0))
    lost = np.sqrt(own) * np.maximum(KEPT - gain, 0) / KEPT
    return recoloured, (unexplained > 0.5 * np.sqrt(own) + 0.035) | (lost > 0.035)


def _tint(pair: Pair, seen: Image) -> Image:
    """Return how far (h, w) staged is in hue from its base in any other light, as a natural log.

    Renderers take light away in linear light, painters and blending in coded levels; either explains a shade.
    """
    levels = [np.asarray(np.exp(image) - DARKEST, np.float32) for image in (pair.base, pair.staged)]
    base, staged = (_averaged(image, seen, 1.5) for image in levels)
    return np.minimum(
        _off_hue(staged, _levels(_dimmed(_light(base), _light(staged)))), _off_hue(staged, _dimmed(base, staged))
    )


def _dimmed(base: Image, staged: Image) -> Image:
    """Return base (h, w, 3) as dark as staged, in its own hue."""
    less = cv2.transform(staged, ALL_THREE) / np.maximum(cv2.transform(base, ALL_THREE), 1e-4)
    return np.asarray(base * less[..., None], np.float32)


def _off_hue(staged: Image, expected: Image) -> Image:
    red, green, blue = cv2.split(np.log((staged + DARKEST) / (expected + DARKEST)))
    return np.asarray(cv2.max(cv2.max(red, green), blue) - cv2.min(cv2.min(red, green), blue), np.float32)


def _light(levels: Image) -> Image:
    """Return the linear light 0..1 of sRGB levels 0..255."""
    code = np.clip(levels / 255, 0, 1)
    return np.asarray(np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4), np.float32)


def _levels(light: Image) -> Image:
    """Return the sRGB levels of linear light; beyond white they go on."""
    return np.asarray(255 * np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055), np.float32)


def _seen_detail(image: Image, seen: Image) -> Image:
    """Return the fine contrast (h, w) of what is seen; furniture beside it adds none."""
    return np.asarray((image - _averaged(image, seen, 4.0)) * seen, np.float32)


def _averaged(image: Image, seen: Image, reach: float) -> Image:
    """Return a Gaussian average over what is `seen` (h, w) 0..1 alone."""
    weight = seen if image.ndim == 2 else seen[..., None]
    share = np.maximum(cv2.GaussianBlur(seen, (0, 0), reach), 1e-3)
    around = cv2.GaussianBlur(image * weight, (0, 0), reach)
    return np.asarray(around / (share if image.ndim == 2 else share[..., None]), np.float32)
