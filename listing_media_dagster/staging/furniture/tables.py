"""Tables and desks. Roles: `top` and `legs`."""

from __future__ import annotations

import numpy as np

from listing_media_dagster.path_tracer.solids import Part
from listing_media_dagster.staging.arrangement import Size
from listing_media_dagster.staging.furniture.designs import Design, Kind
from listing_media_dagster.staging.furniture.joinery import beam, board, ellipse, leg, rounded_rectangle, slab


def coffee_table_round(size: Size, seed: int) -> list[Part]:
    """A round top over a ring on four tapered, splayed legs."""
    return _round_on_legs(size, 0.032, 4)


def side_table_round(size: Size, seed: int) -> list[Part]:
    """A small round top on three tapered, splayed legs."""
    return _round_on_legs(size, 0.024, 3)


def _round_on_legs(size: Size, thick: float, legs: int) -> list[Part]:
    width, height, depth = size
    under = height - thick
    parts = [
        slab("top", ellipse(width, depth, 96), under, height, 0.008),
        slab("legs", ellipse(width * 0.66, depth * 0.66, 64), under - 0.022, under + 0.002, 0.006),
    ]
    for k in range(legs):
        angle = np.pi / 4 + 2 * np.pi * k / legs
        way = np.array([np.cos(angle), np.sin(angle)])
        foot, head = way * (width / 2 - 0.045, depth / 2 - 0.045), way * (width * 0.28, depth * 0.28)
        parts.append(leg("legs", (foot[0], 0.0, foot[1]), (head[0], under - 0.006, head[1]), 0.012, 0.021))
    return parts


def dining_table_rect(size: Size, seed: int) -> list[Part]:
    """A solid top over an apron on four square legs that taper to the foot."""
    width, height, depth = size
    post, inset, thick = 0.064, 0.055, 0.034
    x, z = width / 2 - inset - post / 2, depth / 2 - inset - post / 2
    parts = [slab("top", rounded_rectangle(width, depth, 0.025), height - thick, height, 0.007)]
    parts += [
        beam(
            "legs",
            (sx * x, height - thick + 0.002, sz * z),
            (sx * x, 0, sz * z),
            (post, post),
            (0.6 * post, 0.6 * post),
            bevel=0.006,
        )
        for sx in (-1, 1)
        for sz in (-1, 1)
    ]
    low, high = height - thick - 0.08, height - thick + 0.001
    for sign in (-1, 1):
        parts.append(board("legs", (-x, low, sign * z - 0.011), (x, high, sign * z + 0.011)))
        parts.append(board("legs", (sign * x - 0.011, low, -z), (sign * x + 0.011, high, z), "z"))
    return parts


DESIGNS: tuple[Design, ...] = (
    Design(
        "coffee_table_round", Kind.COFFEE_TABLE, (0.85, 0.40, 0.85), (0.6, 0.32, 0.6), (1.1, 0.48, 1.1),
        ("top", "legs"), coffee_table_round,
    ),
    Design(
        "side_table_round", Kind.SIDE_TABLE, (0.45, 0.52, 0.45), (0.35, 0.4, 0.35), (0.6, 0.62, 0.6),
        ("top", "legs"), side_table_round,
    ),
    Design(
        "dining_table_rect", Kind.DINING_TABLE, (1.8, 0.75, 0.9), (1.2, 0.7, 0.75), (2.8, 0.78, 1.1),
        ("top", "legs"), dining_table_rect,
    ),
)  # fmt: skip
