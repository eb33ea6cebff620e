"""Beds with their bedding. Roles: frame, legs, mattress (also the sheets), duvet, pillows, cushions, throw."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from listing_media_dagster.path_tracer.solids import Part, moved, tube, turned
from listing_media_dagster.staging.arrangement import Size
from listing_media_dagster.staging.furniture.shells import Points, fitted
from listing_media_dagster.staging.furniture.soft_solids import bar, leaning, padded, pillow, rounded_box
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
        "frame",
        (width - 0.12, rail - 0.12, length - 0.08),
        seed + 50,
        0.035,
        centre=(0, (rail + 0.12) / 2, board / 2 - 0.04),
    )
    for sx in (-1, 1):
        for sz in (-1, 1):
            x, z = sx * (width / 2 - 0.12), sz * (depth / 2 - 0.14)
            parts.append(bar("legs", (x, 0.13, z), (x, 0.0, z), (0.05, 0.05), (0.034, 0.034), 0.012))
    parts += bedding((width - 0.16, length - 0.09), rail - 0.04, -depth / 2 + board + 0.01, seed)
    return fitted(parts, size)


def panel_bed(size: Size, seed: int) -> list[Part]:
    """A framed wooden headboard with upright boards, posts, deep rails and a low foot."""
    width, height, depth = size
    post, rail = 0.06, 0.34
    back, front, x = -depth / 2 + post / 2, depth / 2 - post / 2, width / 2 - post / 2
    parts: list[Part] = []
    for side in (-1, 1):
        parts.append(bar("frame", (side * x, 0, back), (side * x, height - 0.02, back), (post, post), radius=0.008))
        parts.append(bar("frame", (side * x, 0, front), (side * x, rail + 0.10, front), (post, post), radius=0.008))
        parts.append(
            bar("frame", (side * (x - 0.04), rail - 0.09, back), (side * (x - 0.04), rail - 0.09, front), (0.026, 0.17))
        )
    parts.append(bar("frame", (-width / 2, height - 0.012, back), (width / 2, height - 0.012, back), (0.085, 0.024)))
    parts.append(bar("frame", (-x, height - 0.07, back), (x, height - 0.07, back), (0.035, 0.09)))
    parts.append(bar("frame", (-x, 0.45, back), (x, 0.45, back), (0.035, 0.11)))
    boards = max(5, round(width / 0.14))
    each = (2 * x - post) / boards
    for number in range(boards):
        at = -x + post / 2 + each * (number + 0.5)
        parts.append(
            bar("frame", (at, 0.48, back), (at, height - 0.09, back), (each - 0.003, 0.018), radius=0.004, up=(0, 0, 1))
        )
    parts.append(bar("frame", (-x, rail - 0.05, front), (x, rail - 0.05, front), (0.03, 0.25)))
    inside = (width - 0.13, depth - 2 * post - 0.02)
    parts += bedding(inside, rail - 0.09, -depth / 2 + post + 0.01, seed, 0.25, 0.24, True)
    return fitted(parts, size)


def platform_bed(size: Size, seed: int) -> list[Part]:
    """A low wooden platform that shows as a ledge round the mattress, with a low slanted headboard."""
    width, height, depth = size
    top, board = 0.22, 0.10
    parts = [
        bar("frame", (-width / 2, top - 0.045, z), (width / 2, top - 0.045, z), (0.11, 0.09), radius=0.012)
        for z in (-depth / 2 + board + 0.055, depth / 2 - 0.055)
    ]
    for side in (-1, 1):
        x = side * (width / 2 - 0.055)
        parts.append(
            bar("frame", (x, top - 0.045, -depth / 2 + board), (x, top - 0.045, depth / 2), (0.11, 0.09), radius=0.012)
        )
        for z in (-depth / 2 + 0.35, depth / 2 - 0.30):
            foot = side * (width / 2 - 0.22)
            parts.append(bar("legs", (foot, 0, z), (foot, top - 0.05, z), (0.09, 0.09)))
    for number in range(3):
        y = 0.30 + (height - 0.34) * number / 2.6
        each = (height - 0.34) / 2.6
        lean = -0.055 * (y - 0.2) / (height - 0.2)
        z = -depth / 2 + board - 0.02 + lean
        parts.append(
            bar("frame", (-width / 2 + 0.02, y, z), (width / 2 - 0.02, y, z), (0.026, each - 0.008), radius=0.008)
        )
    low, high = -depth / 2 + board - 0.035, -depth / 2 + 0.012
    parts += [
        bar("frame", (x, 0.1, low), (x, height - 0.03, high), (0.06, 0.022))
        for x in (-width / 2 + 0.20, 0.0, width / 2 - 0.20)
    ]
    inside = (width - 0.20, depth - board - 0.12)
    parts += bedding(inside, top - 0.03, -depth / 2 + board + 0.03, seed, 0.22, 0.19)
    return fitted(parts, size)


def metal_bed(size: Size, seed: int) -> list[Part]:
    """A frame of black tubes: a headboard with a rounded top rail and uprights, a low foot of the same."""
    width, height, depth = size
    thick, rail = 0.016, 0.33
    parts: list[Part] = []
    x, span = width / 2 - thick, depth / 2 - thick
    for z, top, rods in ((-span, height - thick, 9), (span, 0.56, 0)):
        bend = 0.13
        arc = np.linspace(0, np.pi / 2, 9)
        corner = np.stack([-x + bend - bend * np.cos(arc), top - bend + bend * np.sin(arc)], 1)
        plan = np.concatenate([[(-x, 0.0), (-x, 0.25)], corner, (corner * [-1, 1])[::-1], [(x, 0.25), (x, 0.0)]])
        parts.append(tube("frame", np.insert(plan, 2, z, axis=1).tolist(), thick, 14))
        low = rail + 0.06
        parts.append(tube("frame", [(-x, low, z), (x, low, z)], thick * 0.75, 12))
        for at in np.linspace(-x, x, rods + 2)[1:-1]:
            reach = top if abs(at) < x - bend else top - bend + np.sqrt(bend**2 - (abs(at) - x + bend) ** 2)
            parts.append(tube("frame", [(at, low, z), (at, reach, z)], thick * 0.5, 10))
    parts += [
        bar("frame", (at, rail - 0.03, -span), (at, rail - 0.03, span), (0.022, 0.05)) for at in (0.035 - x, x - 0.035)
    ]
    parts.append(bar("frame", (-x, rail - 0.03, span), (x, rail - 0.03, span), (0.022, 0.05)))
    inside = (width - 0.13, depth - 4 * thick - 0.02)
    parts += bedding(inside, rail - 0.03, -depth / 2 + 2 * thick + 0.01, seed, 0.23, 0.34, True)
    return fitted(parts, size)


def child_bed(size: Size, seed: int) -> list[Part]:
    """A single bed between two softly rounded boards, with a guard-free side to climb in."""
    width, height, depth = size
    rail, thick = 0.30, 0.028
    parts: list[Part] = []
    for z, top in ((-depth / 2 + thick / 2, height), (depth / 2 - thick / 2, 0.52)):
        board = rounded_box((width, top - 0.12, thick), 0.010, 0.03).shaped(_round_topped(width, top - 0.12))
        parts += moved([board.part("frame")], None, (0, 0.12 + (top - 0.12) / 2, z))
        for side in (-1, 1):
            x = side * (width / 2 - 0.035)
            parts.append(bar("legs", (x, 0.16, z), (x, 0, z), (0.05, thick), (0.036, thick * 0.8), 0.008, (0, 0, 1)))
    for side in (-1, 1):
        x = side * (width / 2 - 0.07)
        parts.append(
            bar("frame", (x, rail - 0.08, -depth / 2 + thick), (x, rail - 0.08, depth / 2 - thick), (0.024, 0.14))
        )
    inside = (width - 0.15, depth - 2 * thick - 0.03)
    parts += bedding(inside, rail - 0.08, -depth / 2 + thick + 0.01, seed, 0.18, 0.22, True)
    return fitted(parts, size)


def _round_topped(width: float, height: float) -> Callable[[Points], Points]:
    """Pull the upper corners of an upright board down into quarter circles."""
    radius = min(0.22, height * 0.45)

    def shape(points: Points) -> Points:
        past = np.clip((np.abs(points[:, 0]) - width / 2 + radius) / radius, 0, 1)
        fall = radius * (1 - np.sqrt(1 - past**2))
        share = np.clip((points[:, 1] + height / 2) / height, 0, 1)
        return np.stack([points[:, 0], points[:, 1] - fall * share, points[:, 2]], 1)

    return shape


def bedding(
    mattress: tuple[float, float],
    base: float,
    head: float,
    seed: int,
    thick: float = 0.24,
    fall: float = 0.36,
    foot_board: bool = False,
) -> list[Part]:
    """A made bed: `mattress` width, length m lying at `base`, its head end at z = `head`.

    The duvet falls `fall` m at the sides and over the foot, or is tucked in before a `foot_board`. Two pillows stand
    behind two, one behind one on a single bed, cushions before them; a sheet is folded back and a throw lies across.
    """
    width, length = mattress
    top = base + thick
    middle = (0, base + thick / 2, head + length / 2)
    parts = padded("mattress", (width, thick, length), seed, 0.05, (0, 0.01, 0), 0, 0.004, 0.08, middle)
    x, foot = width / 2 - 0.03, head + length - (0.11 if foot_board else 0.03)
    puff, wave = 0.016, 0.03
    couch = Couch(-x, x, head + 0.62, foot, top + 0.04, 0.065)
    duvet = Cloth(fall, 0.16 if foot_board else fall - 0.02, 0.045, puff, wave, seed)
    sheet = Cloth(fall - 0.03, 0.0, 0.016, puff, wave, seed)
    throw = Cloth(fall - 0.05, 0.0, 0.018, puff, wave, seed)
    parts.append(draped("duvet", couch, duvet, 0.035))
    parts.append(draped("mattress", couch.over(couch.z0 - 0.02, couch.z0 + 0.26, 0.013), sheet, 0.033))
    parts.append(draped("throw", couch.over(foot - 0.62, foot - 0.10, 0.014), throw, 0.033))
    return [*parts, *_pillows(width, top, head, seed)]


def _pillows(width: float, top: float, head: float, seed: int) -> list[Part]:
    rng = np.random.default_rng(seed + 70)
    side = min(0.72, width * 0.78) if width < 1.2 else min(0.74, width / 2 - 0.02)
    middles = (0.0,) if width < 1.2 else (-width / 4, width / 4)
    parts: list[Part] = []
    for row, (tilt, z, height, thick) in enumerate(((24, 0.17, 0.50, 0.22), (42, 0.35, 0.46, 0.20))):
        for x in middles:
            made = pillow(
                "pillows", (side, height, thick), seed + 71 + row + int(10 * x), 0.05, 0.0025, 0.015, cells=20
            )
            leant = moved(made, leaning(tilt + rng.uniform(-2, 2)))
            rise = height / 2 * np.cos(np.radians(tilt)) + 0.03
            parts += moved(leant, turned(rng.uniform(-3, 3)), (x + rng.uniform(-0.01, 0.01), top + rise, head + z))
    for number, (x, extent) in enumerate(((-0.2, (0.44, 0.44)), (0.2, (0.42, 0.42)), (0.0, (0.52, 0.30)))):
        if width < 1.2 and number != 2:
            continue
        made = pillow("cushions", (*extent, 0.15), seed + 80 + number, 0.07, 0.003, 0.02, cells=18)
        leant = moved(made, leaning(38 + 6 * (number == 2)))
        rise = extent[1] / 2 * np.cos(np.radians(40)) + 0.045
        place = (x * width / 1.5, top + rise, head + 0.52 + 0.12 * (number == 2))
        parts += moved(leant, turned(rng.uniform(-7, 7)), place)
    return parts
