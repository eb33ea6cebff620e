"""Coffee, side and dining tables. Roles: `top` and `legs`."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np

from listing_media_dagster.path_tracer.solids import Part
from listing_media_dagster.staging.arrangement import Size
from listing_media_dagster.staging.furniture.designs import Design, Kind
from listing_media_dagster.staging.furniture.joinery import (
    Axis,
    beam,
    board,
    ellipse,
    filleted,
    leg,
    pebble,
    rounded_rectangle,
    slab,
    swept,
    turned_part,
)

CORNERS = tuple(product((-1, 1), (-1, 1)))


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


def coffee_table_drum(size: Size, seed: int) -> list[Part]:
    """A fluted drum under a plain round top."""
    width, height, depth = size
    sides = 384
    flute = 0.975 + 0.025 * np.abs(np.sin(np.arange(sides) * np.pi / 8)) ** 0.7
    drum = ellipse(width - 0.03, depth - 0.03, sides) * flute[:, None]
    foot = ellipse(width - 0.09, depth - 0.09, 64)
    return [
        slab("legs", foot, 0.0, 0.03, 0.003),
        slab("legs", drum, 0.025, height - 0.022, 0.004),
        slab("top", ellipse(width, depth, 96), height - 0.024, height, 0.006),
    ]


def coffee_table_rect(size: Size, seed: int) -> list[Part]:
    """A rounded top on four round posts that carry a shelf."""
    width, height, depth = size
    x, z = width / 2 - 0.06, depth / 2 - 0.06
    parts = [
        slab("top", rounded_rectangle(width, depth, 0.05), height - 0.03, height, 0.007),
        slab("top", rounded_rectangle(width - 0.1, depth - 0.1, 0.03), 0.13, 0.15, 0.005),
    ]
    parts += [leg("legs", (sx * x, 0, sz * z), (sx * x, height - 0.028, sz * z), 0.017, 0.021) for sx, sz in CORNERS]
    return parts


def coffee_table_frame(size: Size, seed: int) -> list[Part]:
    """A slim top on a frame of square steel tube."""
    width, height, depth = size
    under = height - 0.024
    parts = steel_frame("legs", (width - 0.02, under, depth - 0.02), 0.02, floor_rails="z")
    return [slab("top", rounded_rectangle(width, depth, 0.012), under, height, 0.004), *parts]


def coffee_table_stone(size: Size, seed: int) -> list[Part]:
    """A pebble-shaped stone top on three stout stone columns."""
    width, height, depth = size
    top = slab("top", pebble(width, depth, seed, 128), height - 0.045, height, 0.018)
    columns = []
    for k, (x, z) in enumerate(((-0.25, 0.05), (0.18, 0.17), (0.14, -0.2))):
        radius = (0.15, 0.12, 0.10)[k] * min(width, depth)
        profile = [(0, 0), (radius, 0), (radius, height - 0.04), (0, height - 0.04)]
        columns.append(turned_part("legs", profile, (x * width, 0, z * depth), 0.012))
    return [top, *columns]


def side_table_c(size: Size, seed: int) -> list[Part]:
    """A C of steel tube that slides under a sofa, with a small top."""
    width, height, depth = size
    tube, under = 0.02, height - 0.02
    half, z = tube / 2, depth / 2 - 0.03
    parts = [slab("top", rounded_rectangle(width, depth, 0.02), under, height, 0.005)]
    x = width / 2 - 0.012
    for sz in (-1, 1):
        path = filleted(
            [
                (x, half, sz * z),
                (-x + half, half, sz * z),
                (-x + half, under - half, sz * z),
                (x, under - half, sz * z),
            ],
            0.03,
        )
        parts.append(swept("legs", path, rounded_rectangle(tube, tube, 0.003, 3), up=(0, 0, 1)))
    parts += [board("legs", (-x, y, -z), (-x + tube, y + tube, z), "z") for y in (0.0, under - tube)]
    return parts


def dining_table_round(size: Size, seed: int) -> list[Part]:
    """A round top on a turned pedestal with a wide foot."""
    width, height, depth = size
    under, r = height - 0.032, 0.29 * min(width, depth)
    waist = 0.25 * r
    profile = [
        (0, 0), (r, 0), (r, 0.018), (0.93 * r, 0.035), (0.6 * r, 0.09), (1.08 * waist, 0.22), (waist, 0.36),
        (1.12 * waist, under - 0.14), (1.9 * waist, under - 0.02), (1.9 * waist, under + 0.002), (0, under + 0.002),
    ]  # fmt: skip
    return [
        slab("top", ellipse(width, depth, 128), under, height, 0.009),
        turned_part("legs", profile, fillet=0.05, sides=64),
    ]


def dining_table_trestle(size: Size, seed: int) -> list[Part]:
    """A thick plank top on two trestles tied by a rail."""
    width, height, depth = size
    thick = 0.045
    under, x, reach = height - thick, width / 2 - 0.32, depth / 2 - 0.1
    planks = max(3, round(depth / 0.19))
    edges = np.linspace(-depth / 2, depth / 2, planks + 1)
    parts = [
        board("top", (-width / 2, under, low + 0.0006), (width / 2, height, high - 0.0006), bevel=0.004)
        for low, high in pairwise(edges)
    ]
    for sx in (-1, 1):
        at = sx * x
        parts.append(board("legs", (at - 0.05, 0, -reach), (at + 0.05, 0.07, reach), "z", 0.008))
        parts.append(board("legs", (at - 0.045, under - 0.07, -reach), (at + 0.045, under + 0.001, reach), "z", 0.008))
        parts.append(board("legs", (at - 0.045, 0.06, -0.06), (at + 0.045, under - 0.06, 0.06), "y", 0.006))
        parts += [
            beam("legs", (at, 0.062, sz * (reach - 0.05)), (at, under - 0.066, sz * 0.07), (0.06, 0.05), up=(1, 0, 0))
            for sz in (-1, 1)
        ]
    return [*parts, board("legs", (-x, 0.2, -0.022), (x, 0.3, 0.022), bevel=0.006)]


def steel_frame(material: str, size: Size, tube: float, floor_rails: Axis | None = None) -> list[Part]:
    """The edges of a box of square tube: four posts, four rails under the top, and rails along the floor."""
    width, height, depth = size
    x, z = width / 2, depth / 2
    parts = [
        board(material, (sx * x, 0, sz * z), (sx * (x - tube), height, sz * (z - tube)), "y", 0.002)
        for sx, sz in CORNERS
    ]
    levels = [(height - tube, "xz"), (0.0, floor_rails or "")]
    for y, axes in levels:
        for sign in (-1, 1):
            if "x" in axes:
                parts.append(
                    board(material, (-x + tube, y, sign * z), (x - tube, y + tube, sign * (z - tube)), "x", 0.002)
                )
            if "z" in axes:
                parts.append(
                    board(material, (sign * x, y, -z + tube), (sign * (x - tube), y + tube, z - tube), "z", 0.002)
                )
    return parts


ROLES = ("top", "legs")
DESIGNS: tuple[Design, ...] = (
    Design(
        "coffee_table_round", Kind.COFFEE_TABLE, (0.85, 0.40, 0.85), (0.6, 0.32, 0.6), (1.1, 0.48, 1.1),
        ROLES, coffee_table_round,
    ),
    Design(
        "coffee_table_drum", Kind.COFFEE_TABLE, (0.8, 0.36, 0.8), (0.5, 0.3, 0.5), (1.1, 0.45, 1.1),
        ROLES, coffee_table_drum,
    ),
    Design(
        "coffee_table_rect", Kind.COFFEE_TABLE, (1.15, 0.42, 0.6), (0.8, 0.35, 0.45), (1.4, 0.48, 0.8),
        ROLES, coffee_table_rect,
    ),
    Design(
        "coffee_table_frame", Kind.COFFEE_TABLE, (1.1, 0.4, 0.6), (0.7, 0.32, 0.45), (1.4, 0.48, 0.9),
        ROLES, coffee_table_frame,
    ),
    Design(
        "coffee_table_stone", Kind.COFFEE_TABLE, (1.15, 0.34, 0.75), (0.8, 0.28, 0.55), (1.4, 0.42, 0.95),
        ROLES, coffee_table_stone,
    ),
    Design(
        "side_table_round", Kind.SIDE_TABLE, (0.45, 0.52, 0.45), (0.35, 0.4, 0.35), (0.6, 0.62, 0.6),
        ROLES, side_table_round,
    ),
    Design(
        "side_table_c", Kind.SIDE_TABLE, (0.42, 0.58, 0.32), (0.35, 0.5, 0.26), (0.55, 0.66, 0.42),
        ROLES, side_table_c,
    ),
    Design(
        "dining_table_rect", Kind.DINING_TABLE, (1.8, 0.75, 0.9), (1.2, 0.7, 0.75), (2.8, 0.78, 1.1),
        ROLES, dining_table_rect,
    ),
    Design(
        "dining_table_round", Kind.DINING_TABLE, (1.2, 0.75, 1.2), (0.8, 0.7, 0.8), (1.6, 0.78, 1.6),
        ROLES, dining_table_round,
    ),
    Design(
        "dining_table_trestle", Kind.DINING_TABLE, (2.0, 0.76, 0.95), (1.5, 0.7, 0.8), (2.8, 0.78, 1.1),
        ROLES, dining_table_trestle,
    ),
)  # fmt: skip
