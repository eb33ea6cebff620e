"""Beds with their bedding. Roles: frame, legs, mattress (also the sheets), duvet, pillows, cushions, throw."""

from __future__ import annotations

import numpy as np

from listing_media_dagster.path_tracer.solids import Part, moved, turned
from listing_media_dagster.staging.arrangement import Size
from listing_media_dagster.staging.furniture.soft_solids import beam, fitted, leaning, padded, pillow
from listing_media_dagster.staging.furniture.textiles import Cloth, Couch, draped

BEDDING = ("mattress", "duvet", "pillows", "cushions", "throw")


def upholstered_bed(size: Size, seed: int) -> list[Part]:
    """A headboard padded in upright channels, low padded rails, slim wooden legs."""
    width, height, depth = size
    rail, board = 0.34, 0.11
    channels = max(3, round(width / 0.26))
    each = width / channels
    parts: list[Part] = []
    for number in range(channels):
        x = -width / 2 + each * (number + 0.5)
        parts += padded(
            "frame",
            (each + 0.006, height - 0.14, board),
            seed + number,
            0.045,
            (0.0, 0.012, 0.03),
            0.002,
            spacing=0.05,
            centre=(x, (height + 0.14) / 2, -depth / 2 + board / 2),
        )
    length = depth - board
    parts += padded(
        "frame", (width - 0.06, rail - 0.12, length - 0.03), seed + 50, 0.035, centre=(0, (rail + 0.12) / 2, board / 2)
    )
    for sx in (-1, 1):
        for sz in (-1, 1):
            x, z = sx * (width / 2 - 0.09), sz * (depth / 2 - 0.09)
            parts.append(beam("legs", (x, 0.13, z), (x, 0.0, z), (0.05, 0.05), (0.034, 0.034), 0.012))
    parts += bedding((width - 0.08, length - 0.05), rail - 0.04, -depth / 2 + board + 0.01, seed)
    return fitted(parts, size)


def bedding(
    mattress: tuple[float, float], base: float, head: float, seed: int, thick: float = 0.24, fall: float = 0.36
) -> list[Part]:
    """A made bed: `mattress` width, length m lying at `base`, its head end at z = `head`.

    The duvet falls `fall` m at the sides; two pillows stand behind two, one on a single bed, cushions before them.
    """
    width, length = mattress
    top = base + thick
    parts = padded(
        "mattress",
        (width, thick, length),
        seed,
        0.05,
        (0, 0.01, 0),
        0,
        0.004,
        0.08,
        (0, base + thick / 2, head + length / 2),
    )
    x, foot = width / 2 - 0.03, head + length - 0.03
    couch = Couch(-x, x, head + 0.62, foot, top + 0.04, 0.065)
    parts.append(draped("duvet", couch, Cloth(fall, fall - 0.02, 0.045, 0.016, 0.03, seed), 0.026))
    folded = couch.over(couch.z0 - 0.02, couch.z0 + 0.26, 0.013)
    parts.append(draped("mattress", folded, Cloth(fall - 0.03, 0.0, 0.016, 0.016, 0.03, seed), 0.03))
    across = couch.over(foot - 0.62, foot - 0.10, 0.014)
    parts.append(draped("throw", across, Cloth(fall - 0.07, 0.0, 0.018, 0.016, 0.03, seed), 0.03))
    return [*parts, *_pillows(width, top, head, seed)]


def _pillows(width: float, top: float, head: float, seed: int) -> list[Part]:
    rng = np.random.default_rng(seed + 70)
    side = min(0.72, width * 0.78) if width < 1.2 else min(0.74, width / 2 - 0.02)
    middles = (0.0,) if width < 1.2 else (-width / 4, width / 4)
    parts: list[Part] = []
    for row, (tilt, z, height, thick) in enumerate(((24, 0.17, 0.50, 0.20), (42, 0.35, 0.46, 0.18))):
        for x in middles:
            made = pillow("pillows", (side, height, thick), seed + 71 + row + int(10 * x), 0.05, 0.0025, 0.015)
            leant = moved(made, leaning(tilt + rng.uniform(-2, 2)))
            rise = height / 2 * np.cos(np.radians(tilt)) + 0.03
            parts += moved(leant, turned(rng.uniform(-3, 3)), (x + rng.uniform(-0.01, 0.01), top + rise, head + z))
    for number, (x, extent) in enumerate(((-0.2, (0.44, 0.44)), (0.2, (0.42, 0.42)), (0.0, (0.52, 0.30)))):
        if width < 1.2 and number != 2:
            continue
        made = pillow("cushions", (*extent, 0.15), seed + 80 + number, 0.07, 0.003, 0.02)
        leant = moved(made, leaning(38 + 6 * (number == 2)))
        rise = extent[1] / 2 * np.cos(np.radians(40)) + 0.045
        place = (x * width / 1.5, top + rise, head + 0.52 + 0.12 * (number == 2))
        parts += moved(leant, turned(rng.uniform(-7, 7)), place)
    return parts
