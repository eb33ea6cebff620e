"""Desks and the chair that goes with them. Roles: `top`, `legs`, `front`, `handles`; the chair's: `frame`, `seat`."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from listing_media_dagster.path_tracer.solids import Part, moved
from listing_media_dagster.staging.arrangement import Size
from listing_media_dagster.staging.furniture.designs import Design, Kind
from listing_media_dagster.staging.furniture.joinery import (
    board,
    ellipsoid,
    fitted,
    leg,
    rod,
    rounded_rectangle,
    shell,
    slab,
    squircle,
    swept,
    turned_part,
)
from listing_media_dagster.staging.furniture.storage import BOARD, PROUD, case, knob_bar, panel_front
from listing_media_dagster.staging.furniture.tables import steel_frame


def desk_simple(size: Size, seed: int) -> list[Part]:
    """A top with a shallow drawer on four splayed round legs."""
    width, height, depth = size
    thick, box = 0.024, 0.085
    under = height - thick - box
    x, z = width / 2 - 0.09, depth / 2 - 0.08
    front = depth / 2 - PROUD
    parts = [slab("top", rounded_rectangle(width, depth, 0.02), height - thick, height, 0.006)]
    parts += case("legs", (-x, under, -depth / 2 + 0.02), (x, height - thick + 0.001, front - 0.004))
    span, rows = (-x + BOARD, x - BOARD), (under + BOARD, height - thick - BOARD)
    parts += panel_front(span, rows, front - 0.001, "x")
    parts += knob_bar((-0.07, sum(rows) / 2), (0.07, sum(rows) / 2), front - 0.001)
    foot, head = np.array((x + 0.05, z + 0.04)), np.array((x - 0.03, z - 0.02))
    parts += [
        leg("legs", (sx * foot[0], 0, sz * foot[1]), (sx * head[0], under + 0.002, sz * head[1]), 0.012, 0.02)
        for sx in (-1, 1)
        for sz in (-1, 1)
    ]
    return parts


def desk_drawers(size: Size, seed: int) -> list[Part]:
    """A top on a steel frame at one end and a case of three drawers at the other."""
    width, height, depth = size
    thick, chest = 0.028, 0.4
    under, front = height - thick, depth / 2 - PROUD
    x1 = width / 2 - 0.02
    parts = [slab("top", rounded_rectangle(width, depth, 0.008), under, height, 0.005)]
    parts += case("front", (x1 - chest, 0.04, -depth / 2 + 0.02), (x1, under + 0.001, front - 0.004))
    rows = np.linspace(0.04 + BOARD, under - BOARD, 4)
    for low, high in pairwise(rows):
        parts += panel_front((x1 - chest + BOARD, x1 - BOARD), (low, high), front - 0.004, "x")
        middle = x1 - chest / 2
        parts += knob_bar((middle - 0.06, high - 0.05), (middle + 0.06, high - 0.05), front - 0.004)
    parts.append(board("legs", (x1 - chest + 0.03, 0, -depth / 2 + 0.05), (x1 - 0.03, 0.042, front - 0.05)))
    frame = steel_frame("legs", (0.03, under + 0.001, depth - 0.06), 0.03, "z")
    left = -width / 2 + 0.045
    parts += [_shifted(piece, left) for piece in frame]
    parts.append(board("legs", (left, under - 0.10, -depth / 2 + 0.06), (x1 - chest, under - 0.04, -depth / 2 + 0.078)))
    return parts


def office_chair(size: Size, seed: int) -> list[Part]:
    """A padded shell on a gas spring and five legs with castors."""
    parts: list[Part] = []
    for k in range(5):
        angle = np.pi / 2 + 2 * np.pi * k / 5
        way = np.array([np.cos(angle), 0, np.sin(angle)])
        spine = [way * r + (0, y, 0) for r, y in ((0.03, 0.115), (0.15, 0.105), (0.29, 0.075))]
        parts.append(swept("frame", spine, rounded_rectangle(0.042, 0.034, 0.008, 4), (1, 0.85, 0.6), up=(0, 1, 0)))
        across = np.array([-way[2], 0, way[0]])
        parts.append(rod("frame", [way * 0.29 + (0, 0.04, 0), way * 0.29 + (0, 0.08, 0)], 0.008))
        for side in (-1, 1):
            hub = way * 0.305 + (0, 0.028, 0)
            parts.append(rod("frame", [hub + side * 0.006 * across, hub + side * 0.024 * across], 0.028, 24, 0.006))
    parts.append(
        turned_part(
            "frame",
            [
                (0, 0.06),
                (0.045, 0.06),
                (0.04, 0.13),
                (0.026, 0.14),
                (0.026, 0.30),
                (0.016, 0.305),
                (0.016, 0.43),
                (0, 0.43),
            ],
        )
    )
    parts.append(slab("frame", rounded_rectangle(0.2, 0.22, 0.04), 0.405, 0.43, 0.006))
    parts.append(slab("seat", rounded_rectangle(0.49, 0.47, 0.13, 12), 0.425, 0.5, 0.03, 0.008))
    t, s = squircle(20, 17, 0.5)
    half = 0.235 - 0.025 * np.abs(t) ** 3 - 0.012 * t
    lumbar = 0.028 * np.sin(np.pi * (t + 1) / 2)
    back = np.stack([half * s, 0.765 + 0.235 * t, -0.255 - 0.055 * t + 0.05 * s**2 + lumbar], -1)
    parts.append(shell("seat", back, 0.045))
    stay = [(0, 0.415, -0.05), (0, 0.42, -0.2), (0, 0.5, -0.262), (0, 0.72, -0.268)]
    parts.append(swept("frame", stay, rounded_rectangle(0.06, 0.014, 0.005, 4), up=(0, 0.4, 1), bevel=0.004))
    for side in (-1, 1):
        arm = [
            (side * 0.2, 0.42, -0.02),
            (side * 0.285, 0.43, -0.02),
            (side * 0.29, 0.5, -0.02),
            (side * 0.29, 0.655, -0.03),
        ]
        parts.append(rod("frame", arm, 0.012, 12))
        parts.append(_shifted(slab("frame", rounded_rectangle(0.055, 0.24, 0.025), 0.65, 0.675, 0.01), side * 0.29))
    return fitted([*parts, ellipsoid("frame", (0, 0.42, 0), (0.05, 0.012, 0.05))], size)


def _shifted(piece: Part, x: float) -> Part:
    return moved([piece], offset=(x, 0, 0))[0]


DESIGNS: tuple[Design, ...] = (
    Design(
        "desk_simple", Kind.DESK, (1.25, 0.75, 0.6), (0.9, 0.72, 0.5), (1.6, 0.78, 0.75),
        ("top", "legs", "front", "handles"), desk_simple,
    ),
    Design(
        "desk_drawers", Kind.DESK, (1.4, 0.75, 0.65), (1.1, 0.72, 0.55), (1.8, 0.78, 0.8),
        ("top", "legs", "front", "handles"), desk_drawers,
    ),
    Design(
        "office_chair", Kind.OFFICE_CHAIR, (0.64, 0.98, 0.64), (0.58, 0.9, 0.58), (0.7, 1.15, 0.7),
        ("frame", "seat"), office_chair,
    ),
)  # fmt: skip
