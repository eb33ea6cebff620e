"""How the colour of the light changes over one frame: lamps here, daylight there, the same white paint everywhere.

Paint changes at edges, light changes gradually. The drift of the light is therefore rebuilt from the small colour steps
between neighbours, leaving out the large ones, and is tied down where surfaces are surely neutral (the idea of retinex,
Land and McCann 1971, on chromaticity alone).
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from listing_media_dagster.photo.channels import brightest_channel, darkest_channel
from listing_media_dagster.photo.white_balance import Surfaces, blur_widely, neutral_weight, surface_weight

FloatArray = NDArray[Any]  # float32
Bytes = NDArray[Any]  # uint8

_GRID = 80
_STEP = 0.045
_DRIFT_LIMIT = 0.75
_REST_LIMIT = 0.22
_NEIGHBOURS: tuple[tuple[Any, Any], ...] = ((np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:-1], np.s_[1:]))


def local_cast(small: Bytes, surfaces: Surfaces) -> FloatArray:
    """How the light's colour departs from neutral over the frame: float32 (h, w, 2), offsets of `(ln R/G, ln B/G)`.

    small: uint8 (h, w, 3), sRGB, ≤ 640 px; surfaces: read from it, with the frame's own light already taken out. The
    gradual drift is followed far (a lamp-lit corner of a daylight room); what else likely white surfaces still show is
    taken in part, so that a tinted wall keeps its tint.
    """
    drift = light_drift(small, surfaces)
    rest = surfaces.under(drift[..., 0], drift[..., 1])
    # Ceilings are white in nearly every home, even where a lamp turns them yellow: near the top, believe more.
    ceiling = np.clip(1.0 - np.arange(small.shape[0], dtype=np.float32) / (0.5 * small.shape[0]), 0.0, 1.0)[:, None]
    weight = np.maximum(neutral_weight(rest, 1.2), ceiling * neutral_weight(rest, 2.2))
    reach = 0.055 * max(small.shape[:2])
    mass = blur_widely(weight, reach) + np.float32(0.06)
    fields = [blur_widely(np.clip(p, -0.5, 0.5) * weight, reach) / mass for p in (rest.log_rg, rest.log_bg)]
    return np.asarray(drift + _bounded(np.stack(fields, axis=2), _REST_LIMIT), np.float32)


def light_drift(small: Bytes, surfaces: Surfaces) -> FloatArray:
    """The gradual part of `local_cast`, same arguments, shape and unit."""
    scale = min(1.0, _GRID / max(small.shape[:2]))
    size = (max(2, round(small.shape[1] * scale)), max(2, round(small.shape[0] * scale)))

    def reduced(plane: FloatArray) -> FloatArray:
        return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA))

    level, darkest = reduced(brightest_channel(small)), reduced(darkest_channel(small))
    usable = (level < 250) & (darkest > 12)
    level = level.astype(np.float32)
    offsets = [reduced(surfaces.log_rg), reduced(surfaces.log_bg)]
    grid = Surfaces(offsets[0], offsets[1], reduced(surfaces.luminance), reduced(surfaces.plain))
    anchor = np.where(usable, surface_weight(grid, 0.0, 0.0), 0.0) * 0.5 + 1e-4
    links, pulls = [], np.stack([anchor * np.clip(plane, -0.2, 0.2) * (anchor > 1e-3) for plane in offsets], axis=2)
    for one, other in _NEIGHBOURS:
        steps = [plane[one] - plane[other] for plane in offsets]
        same = usable[one] & usable[other] & (np.abs(level[one] - level[other]) < 24)
        small_step = same * np.exp(-((np.hypot(*steps) / _STEP) ** 2))
        weight = (0.15 + 0.85 * small_step).astype(np.float32)
        links.append(weight)
        pull = np.stack([weight * small_step * step for step in steps], axis=2)
        pulls[one] += pull
        pulls[other] -= pull
    solved = _settle(anchor, links, pulls)
    smooth = cv2.GaussianBlur(_bounded(solved, _DRIFT_LIMIT), (0, 0), 1.5)
    return np.asarray(cv2.resize(smooth, (small.shape[1], small.shape[0]), interpolation=cv2.INTER_CUBIC), np.float32)


def _settle(fixed: FloatArray, links: list[FloatArray], pulls: FloatArray) -> FloatArray:
    """The field (h, w, 2) that balances anchors `fixed`, `links` to the right and lower neighbours, and `pulls`.

    Conjugate gradients with a diagonal preconditioner on the grid's Laplacian: symmetric and positive definite.
    """

    def applied(field: FloatArray) -> FloatArray:
        result = fixed[..., None] * field
        for (one, other), weight in zip(_NEIGHBOURS, links, strict=True):
            flow = weight[..., None] * (field[one] - field[other])
            result[one] += flow
            result[other] -= flow
        return np.asarray(result)

    diagonal = fixed.copy()
    for (one, other), weight in zip(_NEIGHBOURS, links, strict=True):
        diagonal[one] += weight
        diagonal[other] += weight
    field = np.zeros_like(pulls)
    rest = pulls.copy()
    scaled = rest / diagonal[..., None]
    direction = scaled.copy()
    power = float((rest * scaled).sum())
    first = power
    for _ in range(400):
        if power <= 1e-6 * first:
            break
        image = applied(direction)
        step = power / float((direction * image).sum())
        field += step * direction
        rest -= step * image
        scaled = rest / diagonal[..., None]
        previous, power = power, float((rest * scaled).sum())
        direction = scaled + (power / previous) * direction
    return field.astype(np.float32)


def _bounded(field: FloatArray, limit: float) -> FloatArray:
    """`field` (h, w, 2) with its length softly held below `limit`."""
    length = np.hypot(field[..., 0], field[..., 1])[..., None] + 1e-6
    return np.asarray(field * (limit * np.tanh(length / limit) / length), np.float32)
