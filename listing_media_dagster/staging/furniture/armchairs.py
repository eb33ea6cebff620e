"""Armchairs with shells of their own, a pouf and a bench. Roles: upholstery, legs."""

from __future__ import annotations

import numpy as np

from listing_media_dagster.path_tracer.solids import Part, moved
from listing_media_dagster.staging.arrangement import Size
from listing_media_dagster.staging.furniture.shells import Points, fitted
from listing_media_dagster.staging.furniture.sofas import tapered_legs
from listing_media_dagster.staging.furniture.soft_solids import (
    bar,
    bolster,
    cord,
    leaning,
    padded,
    pillow,
    round_pad,
    rounded_box,
)

ROLES = ("upholstery", "legs")


def barrel_armchair(size: Size, seed: int) -> list[Part]:
    """A curved shell round a thick round seat, on a recessed round base."""
    width, height, depth = size
    half, low = 0.075, 0.06
    turn = np.radians(np.linspace(-128, 128, 48))
    plan = np.stack([(width / 2 - half) * np.sin(turn), -(depth / 2 - half) * np.cos(turn)], 1)
    share = np.clip((np.cos(turn) + 0.35) / 1.35, 0, 1) ** 0.8
    top = height - 0.17 * (1 - share)
    path = np.stack([plan[:, 0], (top + low) / 2, plan[:, 1]], 1)
    shell = bolster("upholstery", path, half, (top - low) / 2, 3.2, 0.05, 34)
    seat = round_pad((width / 2 - 0.11, depth / 2 - 0.075), 0.17, 0.06, 0.03)
    body = round_pad((width / 2 - 0.10, depth / 2 - 0.09), 0.22, 0.04, 0.0)
    parts = [shell.part("upholstery")]
    parts += moved([seat.part("upholstery")], None, (0, 0.265, 0.035))
    parts += moved([body.part("upholstery")], None, (0, 0.06, 0.02))
    parts += moved([round_pad((width * 0.33, depth * 0.33), 0.07, 0.006, 0.0).part("legs")], None, (0, 0, 0))
    rest = pillow("upholstery", (width * 0.52, 0.34, 0.18), seed, 0.05, 0.003)
    parts += moved(rest, leaning(16), (0, 0.43 + 0.15, -depth / 2 + 0.25))
    return fitted(parts, size)


def wing_armchair(size: Size, seed: int) -> list[Part]:
    """A high back with wings that sweep down into rolled arms, a loose seat cushion, slender legs."""
    width, height, depth = size
    leg, arm_top, wing = 0.17, 0.60, 0.085
    inner = width - 2 * wing - 0.06
    parts = padded(
        "upholstery", (inner + 0.1, 0.15, depth - 0.12), seed, 0.03, (0, 0, 0.01), 0, 0.004, centre=(0, leg + 0.075, 0)
    )
    back = padded(
        "upholstery", (inner + 0.08, height - leg - 0.05, 0.14), seed + 1, 0.06, (0, 0.02, 0.03), 0.003, 0, 0.05
    )
    parts += moved(back, leaning(10), (0, (height + leg) / 2, -depth / 2 + 0.16))
    for side in (-1, 1):
        parts += moved(
            _wing(height, depth, leg, arm_top, wing, side), None, (side * (width / 2 - wing / 2 - 0.035), 0, 0)
        )
        roll = np.stack(
            [
                np.full(10, side * (width / 2 - 0.062)),
                np.full(10, arm_top - 0.02),
                np.linspace(-depth / 2 + 0.22, depth / 2 - 0.08, 10),
            ],
            1,
        )
        parts.append(bolster("upholstery", roll, 0.062, 0.055, 2.2, 0.02).part("upholstery"))
    parts += padded(
        "upholstery",
        (inner, 0.14, depth - 0.24),
        seed + 4,
        0.05,
        (0.008, 0.03, 0.015),
        0.004,
        0.004,
        0.03,
        (0, leg + 0.215, 0.085),
    )
    lumbar = pillow("upholstery", (inner * 0.8, 0.3, 0.13), seed + 6, 0.06, 0.003)
    parts += moved(lumbar, leaning(16), (0, leg + 0.42, -depth / 2 + 0.31))
    return fitted([*parts, *tapered_legs(width, depth, leg, 0.10, 0.025)], size)


def _wing(height: float, depth: float, leg: float, arm_top: float, thick: float, side: int) -> list[Part]:
    """One side of a wing chair: as deep as the arm below, curving back to the wing above; leans with the back."""
    shell = rounded_box((thick, height - leg - 0.02, 1.0), 0.04, 0.05)

    def shape(points: Points) -> Points:
        y = points[:, 1] + (height + leg) / 2
        rise = np.clip((y - arm_top) / (height - arm_top), 0, 1)
        reach = np.interp(
            y, [0, arm_top - 0.06, arm_top + 0.04, arm_top + 0.16, height - 0.1, height], [1, 1, 0.66, 0.5, 0.44, 0.30]
        )
        rear = -depth / 2 + 0.16 - 0.16 * np.clip((y - leg) / (height - leg), 0, 1) + 0.04
        front = rear + (depth - 0.15) * reach
        z = rear + (points[:, 2] + 0.5) * (front - rear)
        x = points[:, 0] + side * 0.035 * rise * np.clip((z - rear) / 0.3, 0, 1)
        return np.stack([x, y, z], 1)

    return [shell.shaped(shape).part("upholstery")]


def round_pouf(size: Size, seed: int) -> list[Part]:
    """A round stuffed pouf of segments sewn together. Role: upholstery."""
    width, height, depth = size
    pad = round_pad((width / 2, depth / 2), height, height * 0.42, 0.02, 120)
    turn = np.arctan2(pad.points[:, 2], pad.points[:, 0])
    seams = -0.010 * np.exp(-((np.abs((turn / (2 * np.pi) * 10) % 1 - 0.5) / 0.05) ** 2))
    away = np.hypot(pad.points[:, 0], pad.points[:, 2]) / (width / 2)
    shell = pad.swollen(seams * np.clip(away * 2 - 0.1, 0, 1))
    ring = np.linspace(0, 2 * np.pi, 49)[:-1]
    knot = round_pad((0.045, 0.045), 0.012, 0.005, 0.004)
    top = moved([knot.part("upholstery")], None, (0, height + 0.010, 0))
    loop = np.stack([np.cos(ring) * 0.045, np.full(48, height + 0.013), np.sin(ring) * 0.045], 1)
    del seed
    return fitted([shell.part("upholstery"), *top, cord("upholstery", loop, 0.003)], size)


def upholstered_bench(size: Size, seed: int) -> list[Part]:
    """A long padded seat with piped edges on slim tapered legs."""
    width, height, depth = size
    seat = padded(
        "upholstery", (width, 0.12, depth), seed, 0.035, (0.0, 0.022, 0.0), 0.0025, 0.004, 0.04, (0, height - 0.07, 0)
    )
    apron = [
        bar("legs", (-width / 2 + 0.06, height - 0.145, z), (width / 2 - 0.06, height - 0.145, z), (0.024, 0.045))
        for z in (depth / 2 - 0.06, -depth / 2 + 0.06)
    ]
    ends = [
        bar("legs", (x, height - 0.145, -depth / 2 + 0.06), (x, height - 0.145, depth / 2 - 0.06), (0.024, 0.045))
        for x in (width / 2 - 0.06, -width / 2 + 0.06)
    ]
    return fitted([*seat, *apron, *ends, *tapered_legs(width, depth, height - 0.15, 0.07, 0.02)], size)
