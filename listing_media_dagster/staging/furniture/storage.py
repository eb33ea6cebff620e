"""Sideboards, media units, dressers and nightstands. Roles: `body`, `front`, `legs`, `handles`, and a TV's `screen`."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from listing_media_dagster.path_tracer.solids import Part
from listing_media_dagster.staging.arrangement import Size
from listing_media_dagster.staging.furniture.designs import Design, Kind
from listing_media_dagster.staging.furniture.joinery import Axis, board, leg, rod, rounded_rectangle, slab

BOARD = 0.02  # m, how thick carcasses are
PROUD = 0.027  # m, how far handles stand out from fronts


def sideboard_legs(size: Size, seed: int) -> list[Part]:
    """Two doors beside three drawers in a mitred case on splayed legs."""
    width, height, depth = size
    low = 0.16
    front = depth / 2 - PROUD
    parts = case("body", (-width / 2, low, -depth / 2), (width / 2, height, front + 0.003))
    x0, x1, y0, y1 = -width / 2 + BOARD, width / 2 - BOARD, low + BOARD, height - BOARD
    third = (x1 - x0) / 3
    for k in range(2):
        span = (x0 + k * third, x0 + (k + 1) * third)
        parts += panel_front(span, (y0, y1), front, "y")
        edge = span[1] - 0.045 if k == 0 else span[0] + 0.045
        parts += knob_bar((edge, (y0 + y1) / 2 + 0.06), (edge, (y0 + y1) / 2 - 0.06), front)
    step = (y1 - y0) / 3
    for k in range(3):
        span, rows = (x0 + 2 * third, x1), (y0 + k * step, y0 + (k + 1) * step)
        parts += panel_front(span, rows, front, "x")
        middle = sum(span) / 2
        parts += knob_bar((middle - 0.06, rows[1] - 0.05), (middle + 0.06, rows[1] - 0.05), front)
    return parts + splayed_legs(size, low, 0.15)


def case(material: str, low: tuple[float, float, float], high: tuple[float, float, float]) -> list[Part]:
    """An open-fronted box of boards with a back."""
    (x0, y0, z0), (x1, y1, z1) = low, high
    return [
        board(material, (x0, y1 - BOARD, z0), (x1, y1, z1)),
        board(material, (x0, y0, z0), (x1, y0 + BOARD, z1)),
        board(material, (x0, y0 + BOARD, z0), (x0 + BOARD, y1 - BOARD, z1), "y"),
        board(material, (x1 - BOARD, y0 + BOARD, z0), (x1, y1 - BOARD, z1), "y"),
        board(material, (x0 + BOARD, y0 + BOARD, z0), (x1 - BOARD, y1 - BOARD, z0 + 0.008)),
    ]


def panel_front(xs: tuple[float, float], ys: tuple[float, float], z: float, grain: Axis) -> list[Part]:
    """A door or drawer front with a shadow gap of 2 mm all round."""
    gap = 0.002
    return [board("front", (xs[0] + gap, ys[0] + gap, z - 0.019), (xs[1] - gap, ys[1] - gap, z), grain, 0.002)]


def knob_bar(start: tuple[float, float], end: tuple[float, float], z: float) -> list[Part]:
    """A slim handle on two posts before the front at `z`, between two points (x, y)."""
    out = z + 0.022
    bar = rod("handles", [(*start, out), (*end, out)], 0.005, 12)
    posts = [(start[0] * (1 - t) + end[0] * t, start[1] * (1 - t) + end[1] * t) for t in (0.12, 0.88)]
    return [bar, *(rod("handles", [(*post, z - 0.004), (*post, out)], 0.004, 10, 0.0005) for post in posts)]


def splayed_legs(size: Size, head: float, inset: float, radius: float = 0.019) -> list[Part]:
    """Four tapered legs under a case whose underside is at y = `head` m, with rails between them."""
    width, _, depth = size
    x, z = width / 2 - inset, depth / 2 - 0.07
    parts = [
        leg("legs", (sx * (x + 0.035), 0, sz * (z + 0.025)), (sx * x, head + 0.002, sz * z), 0.6 * radius, radius)
        for sx in (-1, 1)
        for sz in (-1, 1)
    ]
    parts += [
        board("legs", (-x - 0.03, head - 0.028, sz * z - 0.012), (x + 0.03, head, sz * z + 0.012)) for sz in (-1, 1)
    ]
    return parts


def sideboard_slatted(size: Size, seed: int) -> list[Part]:
    """Three doors of upright slats, flush with the case, on a recessed plinth."""
    width, height, depth = size
    low = 0.07
    parts = case("body", (-width / 2, low, -depth / 2), (width / 2, height, depth / 2))
    parts.append(plinth(size, low))
    x0, x1, y0, y1, front = -width / 2 + BOARD, width / 2 - BOARD, low + BOARD, height - BOARD, depth / 2 - 0.004
    doors = max(2, round(width / 0.55))
    for k in range(doors):
        left, right = x0 + (x1 - x0) * k / doors + 0.002, x0 + (x1 - x0) * (k + 1) / doors - 0.002
        parts.append(board("front", (left, y0 + 0.002, front - 0.022), (right, y1 - 0.002, front - 0.012), "y", 0.001))
        slats = round((right - left) / 0.022)
        edges = np.linspace(left, right, slats + 1)
        parts += [
            board("front", (a + 0.003, y0 + 0.002, front - 0.013), (b - 0.003, y1 - 0.002, front), "y", 0.003)
            for a, b in pairwise(edges)
        ]
    return parts


def media_unit(size: Size, seed: int) -> list[Part]:
    """A long low case: a flap at each end, an open shelf in the middle, on short legs."""
    width, height, depth = size
    low = min(0.14, 0.3 * height)
    front = depth / 2 - PROUD
    parts = case("body", (-width / 2, low, -depth / 2), (width / 2, height, front + 0.003))
    x0, x1, y0, y1 = -width / 2 + BOARD, width / 2 - BOARD, low + BOARD, height - BOARD
    bay = (x1 - x0) / 3
    for k in (0, 2):
        span = (x0 + k * bay, x0 + (k + 1) * bay)
        parts += panel_front(span, (y0, y1), front, "x")
        middle = sum(span) / 2
        parts += knob_bar((middle - 0.07, y1 - 0.045), (middle + 0.07, y1 - 0.045), front)
    for x in (x0 + bay, x1 - bay):
        parts.append(board("body", (x - 0.009, y0, -depth / 2 + 0.01), (x + 0.009, y1, front), "y"))
    middle = (y0 + y1) / 2
    parts.append(board("body", (x0 + bay, middle - 0.008, -depth / 2 + 0.01), (x1 - bay, middle + 0.008, front - 0.02)))
    return parts + splayed_legs(size, low, 0.14, 0.017)


def media_unit_tv(size: Size, seed: int) -> list[Part]:
    """The media unit with a thin dark television on it."""
    width, height, depth = size
    top = 0.48
    wide = min(1.25, 0.78 * width)
    tall = min(wide * 9 / 16, height - top - 0.045)
    wide, low = tall * 16 / 9, height - tall
    z = -depth / 2 + 0.13
    parts = media_unit((width, top, depth), seed)
    parts.append(board("screen", (-wide / 2, low, z - 0.012), (wide / 2, height, z + 0.01), bevel=0.002))
    parts.append(
        board(
            "screen", (-0.35 * wide, low + 0.1 * tall, z - 0.05), (0.35 * wide, low + 0.6 * tall, z - 0.01), bevel=0.01
        )
    )
    for sign in (-1, 1):
        x = sign * 0.33 * wide
        parts.append(rod("screen", [(x, low + 0.01, z), (x, top + 0.005, z + 0.09)], 0.007))
        parts.append(rod("screen", [(x, low + 0.01, z), (x, top + 0.005, z - 0.09)], 0.007))
    return parts


def dresser_drawers(size: Size, seed: int) -> list[Part]:
    """Six drawers in two columns under an overhanging top, on tapered feet."""
    width, height, depth = size
    low, front = 0.12, depth / 2 - PROUD
    parts = case("body", (-width / 2 + 0.008, low, -depth / 2), (width / 2 - 0.008, height - 0.02, front + 0.003))
    parts.append(slab("body", rounded_rectangle(width, depth - 0.002, 0.01), height - 0.022, height, 0.006))
    parts.append(board("body", (-0.01, low + BOARD, -depth / 2 + 0.01), (0.01, height - 0.04, front - 0.001), "y"))
    rows = np.linspace(low + BOARD, height - 0.02 - BOARD, 4)
    for span in ((-width / 2 + 0.008 + BOARD, -0.01), (0.01, width / 2 - 0.008 - BOARD)):
        for bottom, top in pairwise(rows):
            parts += panel_front(span, (bottom, top), front, "x")
            middle, y = sum(span) / 2, (bottom + top) / 2
            parts += knob_bar((middle - 0.07, y), (middle + 0.07, y), front)
    return parts + splayed_legs(size, low, 0.1, 0.022)


def nightstand_drawers(size: Size, seed: int) -> list[Part]:
    """Two drawers on tapered legs."""
    width, height, depth = size
    low, front = 0.18, depth / 2 - PROUD
    parts = case("body", (-width / 2, low, -depth / 2), (width / 2, height, front + 0.003))
    rows = np.linspace(low + BOARD, height - BOARD, 3)
    for bottom, top in pairwise(rows):
        parts += panel_front((-width / 2 + BOARD, width / 2 - BOARD), (bottom, top), front, "x")
        parts += knob_bar((-0.05, (bottom + top) / 2), (0.05, (bottom + top) / 2), front)
    return parts + splayed_legs(size, low, 0.075, 0.016)


def nightstand_open(size: Size, seed: int) -> list[Part]:
    """One drawer over an open shelf between two side panels."""
    width, height, depth = size
    x, z, front = width / 2, depth / 2, depth / 2 - PROUD
    parts = [slab("body", rounded_rectangle(width, depth, 0.012), height - 0.022, height, 0.006)]
    parts += [
        board("body", (s * (x - 0.006), 0, -z + 0.006), (s * (x - 0.026), height - 0.021, front), "y") for s in (-1, 1)
    ]
    inner, y = x - 0.026, height - 0.022 - 0.15
    parts.append(board("body", (-inner, y, -z + 0.006), (inner, y + 0.016, front)))
    parts.append(board("body", (-inner, 0.09, -z + 0.006), (inner, 0.108, front)))
    parts.append(board("body", (-inner, 0.09, -z + 0.006), (inner, height - 0.022, -z + 0.014)))
    parts += panel_front((-inner, inner), (y + 0.016, height - 0.022), front, "x")
    return parts + knob_bar((-0.045, y + 0.085), (0.045, y + 0.085), front)


def plinth(size: Size, head: float) -> Part:
    """A recessed base under a case."""
    width, _, depth = size
    return board("legs", (-width / 2 + 0.05, 0, -depth / 2 + 0.02), (width / 2 - 0.05, head + 0.002, depth / 2 - 0.06))


ROLES = ("body", "front", "legs", "handles")
DESIGNS: tuple[Design, ...] = (
    Design(
        "sideboard_legs", Kind.SIDEBOARD, (1.6, 0.75, 0.45), (1.0, 0.65, 0.38), (2.2, 0.9, 0.5), ROLES, sideboard_legs
    ),
    Design(
        "sideboard_slatted", Kind.SIDEBOARD, (1.6, 0.72, 0.42), (1.0, 0.6, 0.36), (2.4, 0.9, 0.5),
        ("body", "front", "legs"), sideboard_slatted,
    ),
    Design(
        "media_unit", Kind.MEDIA_UNIT, (1.7, 0.46, 0.4), (1.2, 0.4, 0.35), (2.2, 0.55, 0.48), ROLES, media_unit
    ),
    Design(
        "media_unit_tv", Kind.MEDIA_UNIT, (1.7, 1.18, 0.4), (1.4, 1.05, 0.36), (2.2, 1.35, 0.48),
        (*ROLES, "screen"), media_unit_tv,
    ),
    Design(
        "dresser_drawers", Kind.DRESSER, (1.3, 0.8, 0.48), (0.9, 0.7, 0.42), (1.7, 0.95, 0.55), ROLES, dresser_drawers
    ),
    Design(
        "nightstand_drawers", Kind.NIGHTSTAND, (0.48, 0.55, 0.42), (0.38, 0.45, 0.35), (0.65, 0.65, 0.48),
        ROLES, nightstand_drawers,
    ),
    Design(
        "nightstand_open", Kind.NIGHTSTAND, (0.46, 0.52, 0.40), (0.36, 0.45, 0.34), (0.6, 0.62, 0.45),
        ("body", "front", "handles"), nightstand_open,
    ),
)  # fmt: skip
