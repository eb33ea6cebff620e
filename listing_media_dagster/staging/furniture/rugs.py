"""Rugs: pile with a rounded edge. Role: pile."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from listing_media_dagster.path_tracer.solids import Part, part
from listing_media_dagster.staging.arrangement import Size
from listing_media_dagster.staging.furniture.soft_solids import (
    Points,
    fitted,
    grid_faces,
    lumps,
    round_pad,
    rounded_box,
)

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
    """Loose knotted yarns along the two short ends."""
    rng = np.random.default_rng(seed)
    count = max(8, int(depth / 0.014))
    parts: list[Part] = []
    for side in (-1, 1):
        z = np.linspace(-depth / 2 + 0.008, depth / 2 - 0.008, count)
        bend = rng.uniform(-0.008, 0.008, (2, count))
        x = side * (width / 2 - tassel - 0.004)
        reach = side * tassel * rng.uniform(0.85, 1.0, count)
        spine = np.stack(
            [
                np.stack([np.full(count, x), np.full(count, 0.006), z], 1),
                np.stack([x + 0.5 * reach, np.full(count, 0.004), z + bend[0]], 1),
                np.stack([x + reach, np.full(count, 0.0025), z + bend.sum(0)], 1),
            ],
            1,
        )
        parts.append(_yarns("pile", spine, 0.0026, turned_over=side > 0))
    return parts


def _yarns(material: str, spine: Points, radius: float, turned_over: bool) -> Part:
    """Four-sided yarns along spines (N, K, 3) that run roughly along x."""
    ring = np.array([[0, 1, 0], [0, 0, 1], [0, -1, 0], [0, 0, -1]], np.float64)
    count, knots = spine.shape[:2]
    points = spine[:, :, None] + radius * ring
    last = 4 * knots - 4
    one = np.concatenate([grid_faces(knots, 4, closed=True), [[last, last + 1, last + 2], [last, last + 2, last + 3]]])
    one = one[:, ::-1] if turned_over else one
    faces = one[None] + (4 * knots * np.arange(count))[:, None, None]
    uv = 0.02 + 0.05 * np.stack([points[..., 0] - points[..., 0].min(), points[..., 2] + points[..., 1]], -1)
    return part(material, points, np.broadcast_to(ring, points.shape), uv, faces)


def round_rug(size: Size, seed: int) -> list[Part]:
    """A round or oval rug whose texture repeats in metres."""
    width, thick, depth = size
    pad = round_pad((width / 2, depth / 2), thick, thick * 0.48, 0.0, 120)
    wavy = pad.points * [1, 1, 1]
    wavy[:, 1] *= 1 + 0.06 * lumps(pad.points[:, [0, 2]], seed, 0.5)
    return fitted([replace(pad, points=wavy).part("pile")], size)
