"""Chairs. Roles: `frame` and `seat`."""

from __future__ import annotations

import numpy as np

from listing_media_dagster.path_tracer.solids import Part
from listing_media_dagster.staging.arrangement import Size
from listing_media_dagster.staging.furniture.designs import Design, Kind
from listing_media_dagster.staging.furniture.joinery import (
    Points,
    curve,
    fitted,
    rod,
    rounded_rectangle,
    slab,
    swept,
)


def chair_spindle(size: Size, seed: int) -> list[Part]:
    """A saddled seat, turned legs with stretchers, and a bent top rail on spindles."""
    seat_y, half, back_z = 0.45, 0.2, -0.19
    seat = _seat_outline(0.44, 0.43)
    parts = [slab("seat", seat, seat_y - 0.035, seat_y, 0.012)]
    feet = {(sx, sz): np.array([sx * 0.215, 0.0, sz * 0.205]) for sx in (-1, 1) for sz in (-1, 1)}
    heads = {(sx, sz): np.array([sx * 0.15, seat_y - 0.03, sz * 0.14]) for sx in (-1, 1) for sz in (-1, 1)}
    for key, foot in feet.items():
        knots = [foot * (1 - t) + heads[key] * t for t in (0, 0.3, 0.62, 0.85, 1)]
        parts.append(rod("frame", knots, (0.0105, 0.0155, 0.0185, 0.0165, 0.012), 16, 0.003))

    def along(key: tuple[int, int], t: float) -> Points:
        return feet[key] * (1 - t) + heads[key] * t

    for sx in (-1, 1):
        path = np.linspace(along((sx, -1), 0.42), along((sx, 1), 0.42), 7)
        parts.append(rod("frame", path, (0.007, 0.009, 0.0115, 0.012, 0.0115, 0.009, 0.007), 12))
    left, right = ((along((sx, -1), 0.42) + along((sx, 1), 0.42)) / 2 for sx in (-1, 1))
    parts.append(rod("frame", np.linspace(left, right, 7), (0.007, 0.009, 0.0115, 0.012, 0.0115, 0.009, 0.007), 12))
    rail = curve(
        [
            (-0.235, 0.76, back_z - 0.02),
            (-0.13, 0.785, back_z - 0.085),
            (0, 0.79, back_z - 0.105),
            (0.13, 0.785, back_z - 0.085),
            (0.235, 0.76, back_z - 0.02),
        ],
        40,
    )
    taper = np.interp(np.abs(np.linspace(-1, 1, 40)), (0, 0.75, 1), (1.0, 0.95, 0.7))
    parts.append(swept("frame", rail, rounded_rectangle(0.021, 0.062, 0.010, 5), taper, up=(0, 1, 0), bevel=0.006))
    for share in np.linspace(-1, 1, 8):
        t = 0.5 + 0.42 * share
        top = rail[round(t * 39)] + (0, -0.012, 0)
        bottom = (share * half * 0.82, seat_y - 0.02, back_z + 0.045 * share**2 + 0.008)
        radius = 0.0095 if abs(share) == 1 else 0.0065
        parts.append(rod("frame", np.linspace(bottom, top, 5), radius * np.array([0.9, 1.15, 1.2, 1.05, 0.85]), 10))
    return fitted(parts, size)


def _seat_outline(width: float, depth: float) -> Points:
    """A seat wider in front than behind, its corners well rounded."""
    outline = rounded_rectangle(width, depth, 0.12, 14)
    return outline * np.column_stack([1 + 0.1 * outline[:, 1] / (depth / 2), np.ones(len(outline))])


DESIGNS: tuple[Design, ...] = (
    Design(
        "chair_spindle", Kind.CHAIR, (0.48, 0.80, 0.50), (0.44, 0.76, 0.46), (0.54, 0.86, 0.56),
        ("frame", "seat"), chair_spindle,
    ),
)  # fmt: skip
