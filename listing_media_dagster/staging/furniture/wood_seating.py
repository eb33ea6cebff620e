"""Sofa and armchair with a wooden frame and slim cushions. Roles: upholstery, legs (the frame), cushions, accents."""

from __future__ import annotations

from listing_media_dagster.path_tracer.solids import Part, moved
from listing_media_dagster.staging.arrangement import Size
from listing_media_dagster.staging.furniture.shells import fitted
from listing_media_dagster.staging.furniture.sofas import scatter
from listing_media_dagster.staging.furniture.soft_solids import bar, leaning, padded

SEAT_TOP = 0.44


def wood_frame_sofa(size: Size, seed: int) -> list[Part]:
    seats = max(2, round((size[0] - 0.16) / 0.64))
    return fitted([*_frame(size), *_cushions(size, seats, seed), *scatter(size, SEAT_TOP, 0.0, seed)], size)


def wood_frame_armchair(size: Size, seed: int) -> list[Part]:
    return fitted([*_frame(size), *_cushions(size, 1, seed)], size)


def _frame(size: Size) -> list[Part]:
    """Tapered posts under paddle arms, rails round the seat, a slatted raked back."""
    width, height, depth = size
    x, front, back = width / 2 - 0.035, depth / 2 - 0.10, -depth / 2 + 0.14
    arm = 0.60
    parts: list[Part] = []
    for side in (-1, 1):
        parts.append(
            bar(
                "legs", (side * x, arm - 0.01, front), (side * x, 0, front + 0.035), (0.036, 0.048), (0.026, 0.03), 0.01
            )
        )
        parts.append(
            bar("legs", (side * x, 0.0, back - 0.07), (side * x, arm - 0.01, back), (0.026, 0.03), (0.036, 0.048), 0.01)
        )
        parts.append(
            bar(
                "legs",
                (side * x, arm, back - 0.10),
                (side * x, arm + 0.012, front + 0.09),
                (0.065, 0.026),
                (0.08, 0.024),
                0.011,
            )
        )
        parts.append(bar("legs", (side * x, 0.27, back), (side * x, 0.30, front), (0.024, 0.055)))
        parts.append(
            bar(
                "legs",
                (side * (x - 0.03), 0.28, back),
                (side * (x - 0.03), height - 0.02, -depth / 2 + 0.03),
                (0.032, 0.04),
                radius=0.01,
            )
        )
    for z, y in ((front, 0.30), (back, 0.27)):
        parts.append(bar("legs", (-x, y, z), (x, y, z), (0.028, 0.06)))
    rake = (back - (-depth / 2 + 0.03)) / (height - 0.30)
    for y in (height - 0.04, 0.52):
        z = back - rake * (y - 0.28)
        parts.append(bar("legs", (-x + 0.03, y, z), (x - 0.03, y, z), (0.024, 0.06)))
    slats = max(4, round(width / 0.13))
    for number in range(1, slats):
        at = -x + 0.03 + 2 * (x - 0.03) * number / slats
        parts.append(
            bar(
                "legs",
                (at, 0.30, back),
                (at, height - 0.05, -depth / 2 + 0.035),
                (0.032, 0.012),
                radius=0.004,
                up=(0, 0, 1),
            )
        )
    for number in range(1, 6):
        z = back + (front - back) * number / 6
        parts.append(bar("legs", (-x, 0.285, z), (x, 0.285, z), (0.06, 0.014), radius=0.004))
    return parts


def _cushions(size: Size, seats: int, seed: int) -> list[Part]:
    width, height, depth = size
    inner = width - 0.15
    place, seat_depth = inner / seats, depth - 0.27
    parts: list[Part] = []
    for number in range(seats):
        x = inner * ((number + 0.5) / seats - 0.5)
        seat = padded(
            "upholstery",
            (place - 0.006, 0.125, seat_depth),
            seed + number,
            0.035,
            (0.004, 0.02, 0.008),
            0.004,
            0.0035,
            0.032,
        )
        parts += moved(seat, leaning(2.5), (x, 0.375, depth / 2 - 0.055 - seat_depth / 2))
        rest = padded(
            "upholstery",
            (place - 0.01, height - 0.40, 0.13),
            seed + 10 + number,
            0.04,
            (0.006, 0.012, 0.03),
            0.003,
            0,
            0.04,
        )
        parts += moved(rest, leaning(14), (x, 0.44 + (height - 0.40) / 2 - 0.015, -depth / 2 + 0.20))
    return parts
