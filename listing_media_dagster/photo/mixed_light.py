"""How the colour of the light changes over one frame: lamps here, daylight there, the same white paint everywhere.

Paint changes at edges, light changes gradually. The drift of the light is therefore rebuilt from the small colour steps
between neighbours, leaving out the large ones, and is tied down where surfaces are surely neutral (the idea of retinex,
Land and McCann 1971, on chromaticity alone).
"""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from listing_media_dagster.photo.channels import brightest_channel, darkest_channel
from listing_media_dagster.photo.white_balance import Illuminant, log_chroma, neutral_weight, surface_weight, to_linear

FloatArray = NDArray[Any]  # float32
Bytes = NDArray[Any]  # uint8

_GRID = 80
_STEP = 0.045
_DRIFT_LIMIT = 0.75
_REST_LIMIT = 0.22


def local_cast(small: Bytes, light: Illuminant, ignore: NDArray[np.bool_] | None = None) -> FloatArray:
    """How the light's colour departs from `light` over the frame: float32 (h, w, 2), offsets of `(ln R/G, ln B/G)`.

    small: uint8 (h, w, 3), sRGB, ≤ 640 px. The gradual drift is followed far (a lamp-lit corner of a daylight room);
    what else likely white surfaces still show is taken in part, so that a tinted wall keeps its tint.
    """
    drift = light_drift(small, light, ignore)
    centre = (light.log_rg + drift[..., 0], light.log_bg + drift[..., 1])
    # Ceilings are white in nearly every home, even where a lamp turns them yellow: near the top, believe more.
    ceiling = np.clip(1.0 - np.arange(small.shape[0], dtype=np.float32) / (0.5 * small.shape[0]), 0.0, 1.0)[:, None]
    weight = neutral_weight(small, centre=centre, spread=1.2)
    weight = np.maximum(weight, ceiling * neutral_weight(small, centre=centre, spread=2.2))
    if ignore is not None:
        weight = np.where(ignore, 0.0, weight).astype(np.float32)
    reach = 0.055 * max(small.shape[:2])
    mass = _blur_widely(weight, reach)
    rest = []
    for channel, reference in zip(log_chroma(to_linear(small)), centre, strict=True):
        offset = np.clip(channel - reference, -0.5, 0.5) * weight
        rest.append(_blur_widely(offset.astype(np.float32), reach) / (mass + 0.06))
    return np.asarray(drift + _bounded(np.stack(rest, axis=2), _REST_LIMIT), np.float32)


def light_drift(small: Bytes, light: Illuminant, ignore: NDArray[np.bool_] | None = None) -> FloatArray:
    """The gradual part of `local_cast`, same shape and unit."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.linalg import splu

    scale = min(1.0, _GRID / max(small.shape[:2]))
    size = (max(2, round(small.shape[1] * scale)), max(2, round(small.shape[0] * scale)))
    grid = np.asarray(cv2.resize(small, size, interpolation=cv2.INTER_AREA), np.uint8)
    usable = (brightest_channel(grid) < 250) & (darkest_channel(grid) > 12)
    if ignore is not None:
        usable &= cv2.resize(ignore.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) == 0
    offsets = [
        plane - own for plane, own in zip(log_chroma(to_linear(grid)), (light.log_rg, light.log_bg), strict=True)
    ]
    anchor = np.where(usable, surface_weight(grid, light), 0.0).ravel() * 0.5 + 1e-4
    number = np.arange(size[0] * size[1]).reshape(size[1], size[0])
    rows, columns, values = [number.ravel()], [number.ravel()], [anchor]
    right_side = np.stack([anchor * np.clip(plane, -0.2, 0.2).ravel() * (anchor > 1e-3) for plane in offsets], axis=1)
    for one, other in ((np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:-1], np.s_[1:])):
        steps = [plane[one] - plane[other] for plane in offsets]
        length = np.hypot(*steps)
        level = brightest_channel(grid).astype(np.float32)
        same = usable[one] & usable[other] & (np.abs(level[one] - level[other]) < 24)
        small_step = same * np.exp(-((length / _STEP) ** 2))
        i, j = number[one].ravel(), number[other].ravel()
        weight = (0.15 + 0.85 * small_step).ravel()
        rows += [i, j, i, j]
        columns += [i, j, j, i]
        values += [weight, weight, -weight, -weight]
        for axis, step in enumerate(steps):
            pull = weight * (small_step * step).ravel()
            np.add.at(right_side[:, axis], i, pull)
            np.add.at(right_side[:, axis], j, -pull)
    matrix = coo_matrix((np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))).tocsc()
    solved = splu(matrix).solve(right_side).reshape(size[1], size[0], 2).astype(np.float32)
    smooth = cv2.GaussianBlur(_bounded(solved, _DRIFT_LIMIT), (0, 0), 1.5)
    return np.asarray(cv2.resize(smooth, (small.shape[1], small.shape[0]), interpolation=cv2.INTER_CUBIC), np.float32)


def _bounded(field: FloatArray, limit: float) -> FloatArray:
    """`field` (h, w, 2) with its length softly held below `limit`."""
    length = np.hypot(field[..., 0], field[..., 1])[..., None] + 1e-6
    return np.asarray(field * (limit * np.tanh(length / limit) / length), np.float32)


def _blur_widely(plane: FloatArray, sigma: float) -> FloatArray:
    """Gaussian of many pixels' reach: three box passes, as good and far cheaper."""
    side = 2 * round((math.sqrt(4.0 * sigma * sigma + 1.0) - 1.0) / 2.0) + 1
    for _ in range(3):
        plane = np.asarray(cv2.blur(plane, (side, side), borderType=cv2.BORDER_REFLECT))
    return plane
