"""Sofas. Roles: upholstery, legs, cushions (the loose scatter cushions)."""

from __future__ import annotations

import numpy as np

from listing_media_dagster.path_tracer.solids import Part, moved, turned
from listing_media_dagster.staging.arrangement import Size
from listing_media_dagster.staging.furniture.soft_solids import beam, fitted, leaning, padded, pillow

ROLES = ("upholstery", "legs", "cushions")


def track_sofa(size: Size, seed: int) -> list[Part]:
    """Slim square arms, two or three seat cushions with loose back cushions, tapered legs."""
    width, _, _ = size
    seats = max(1, round((width - 0.3) / 0.62))
    return fitted([*_track_body(size, seats, seed), *scatter(width, 0.43, 0.02, seed)], size)


def track_armchair(size: Size, seed: int) -> list[Part]:
    return fitted(_track_body(size, 1, seed), size)


def _track_body(size: Size, seats: int, seed: int, arm: float = 0.13, leg: float = 0.13) -> list[Part]:
    width, height, depth = size
    front, back = depth / 2, -depth / 2
    frame_top, seat_top, arm_top = 0.27, 0.44, 0.60
    inner = width - 2 * arm
    parts = padded(
        "upholstery", (width - 0.02, frame_top - leg, depth - 0.06), seed, 0.02, centre=(0, (leg + frame_top) / 2, 0)
    )
    for side in (-1, 1):
        parts += padded(
            "upholstery",
            (arm, arm_top - leg, depth - 0.02),
            seed + 10 + side,
            0.03,
            (0.008, 0.012, 0.008),
            0.0015,
            0.0035,
            centre=(side * (width - arm) / 2, (arm_top + leg) / 2, 0),
        )
    shell_top = height - 0.09
    backrest = padded("upholstery", (inner + 0.02, shell_top - leg, 0.16), seed + 20, 0.05, (0, 0.01, 0.01), 0.002)
    parts += moved(backrest, leaning(7), (0, (shell_top + leg) / 2, back + 0.13))
    seat_depth = depth - 0.25
    place = inner / seats
    for number in range(seats):
        x = -inner / 2 + place * (number + 0.5)
        parts += padded(
            "upholstery",
            (place - 0.008, seat_top - frame_top - 0.02, seat_depth),
            seed + 30 + number,
            0.05,
            (0.012, 0.035, 0.02),
            0.006,
            0.0035,
            spacing=0.026,
            centre=(x, (seat_top + frame_top) / 2 - 0.005, front - seat_depth / 2 - 0.005),
        )
        rest = pillow("upholstery", (place * 1.02, 0.50, 0.24), seed + 40 + number, 0.03, 0.0035)
        tilt = 13 + np.random.default_rng(seed + number).uniform(-1.5, 1.5)
        parts += moved(rest, leaning(tilt), (x, seat_top + 0.205, back + 0.275))
    return [*parts, *tapered_legs(width, depth, leg)]


def tapered_legs(width: float, depth: float, height: float, inset: float = 0.07, splay: float = 0.03) -> list[Part]:
    """Four tapered legs leaning outward."""
    legs = []
    for sx in (-1, 1):
        for sz in (-1, 1):
            x, z = sx * (width / 2 - inset), sz * (depth / 2 - inset)
            foot = (x + sx * splay, 0.0, z + sz * splay)
            legs.append(beam("legs", (x, height + 0.02, z), foot, (0.042, 0.042), (0.024, 0.024), 0.011))
    return legs


def scatter(width: float, seat_top: float, back: float, seed: int) -> list[Part]:
    """Three scatter cushions leaning in a sofa's corners; `back` is where their foot stands along z."""
    rng = np.random.default_rng(seed + 90)
    parts: list[Part] = []
    for side, extent, inward in ((-1, 0.46, 0.40), (1, 0.48, 0.40), (1, 0.40, 0.63)):
        cushion = pillow("cushions", (extent, extent, 0.17), seed + int(100 * inward) + side, 0.08, 0.003)
        leant = moved(cushion, leaning(22 + rng.uniform(-3, 3)))
        turn = turned(-side * (24 - 18 * (inward > 0.5)) + rng.uniform(-4, 4))
        parts += moved(leant, turn, (side * (width / 2 - inward), seat_top + extent * 0.47, back))
    return parts
