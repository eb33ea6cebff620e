"""Rugs: pile with a rounded edge. Role: pile."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from listing_media_dagster.path_tracer.solids import Part
from listing_media_dagster.staging.arrangement import Size
from listing_media_dagster.staging.furniture.shells import fitted, lumps
from listing_media_dagster.staging.furniture.soft_solids import round_pad, rounded_box, yarns

WHOLE = 2.0  # m: what a texture that shows a whole rug spans, see `bordered_rug`
BAND = 0.5  # m from a rug's edge over which such a texture keeps its scale


def plain_rug(size: Size, seed: int) -> list[Part]:
    """A rectangular rug whose texture repeats in metres."""
    width, thick, depth = size
    shell = rounded_box((width, thick, depth), thick * 0.48, 0.08)
    flat = shell.points[:, [0, 2]]
    wavy = shell.points * [1, 1, 1]
    wavy[:, 1] *= 1 + 0.06 * lumps(flat, seed, 0.5)
    wavy[:, [0, 2]] *= 1 + 0.0015 * lumps(flat, seed + 1, 0.8)[:, None]
    return fitted([replace(shell, points=wavy).part("pile")], size)


def bordered_rug(size: Size, seed: int) -> list[Part]:
    """A rug with a short fringe at both ends, whose texture is a picture of a whole rug `WHOLE` m square.

    Borders keep their width at every size: `BAND` m along each edge keep the picture's scale, the middle stretches.
    """
    width, thick, depth = size
    tassel = 0.05
    rug = plain_rug((width - 2 * tassel, thick, depth), seed)[0]
    u = _nine_slice(rug.vertices[:, 0], width - 2 * tassel)
    v = _nine_slice(rug.vertices[:, 2], depth)
    woven = replace(rug, uv=np.stack([u, v], 1).astype(np.float32))
    return fitted([woven, *_fringe(width, depth, tassel, seed)], size)


def _nine_slice(place: NDArray[np.float32], length: float) -> NDArray[np.float32]:
    half, band = length / 2, min(BAND, length / 2 * 0.9)
    return np.interp(place, [-half, band - half, half - band, half], [0, band, WHOLE - band, WHOLE]).astype(np.float32)


def _fringe(width: float, depth: float, tassel: float, seed: int) -> list[Part]:
    """Loose yarns along the two short ends."""
    rng = np.random.default_rng(seed)
    count = max(8, int(depth / 0.014))
    z = np.linspace(-depth / 2 + 0.008, depth / 2 - 0.008, count)
    parts: list[Part] = []
    for side in (-1, 1):
        x = np.full(count, side * (width / 2 - tassel - 0.004))
        reach = side * tassel * rng.uniform(0.85, 1.0, count)
        bend = rng.uniform(-0.008, 0.008, (2, count))
        knots = ((x, 0.006, z), (x + reach / 2, 0.004, z + bend[0]), (x + reach, 0.0025, z + bend.sum(0)))
        spines = np.stack([np.stack(np.broadcast_arrays(*knot), 1) for knot in knots], 1)
        parts.append(yarns("pile", spines, 0.0026))
    return parts


def round_rug(size: Size, seed: int) -> list[Part]:
    """A round or oval rug whose texture repeats in metres."""
    width, thick, depth = size
    pad = round_pad((width / 2, depth / 2), thick, thick * 0.48, 0.0, 120)
    wavy = pad.points * [1, 1, 1]
    wavy[:, 1] *= 1 + 0.06 * lumps(pad.points[:, [0, 2]], seed, 0.5)
    return fitted([replace(pad, points=wavy).part("pile")], size)
