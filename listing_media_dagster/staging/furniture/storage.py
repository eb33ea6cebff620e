"""Sideboards, media units, shelves, dressers and nightstands. Roles: `body`, `front`, `legs`, `handles`."""

from __future__ import annotations

from listing_media_dagster.path_tracer.solids import Part
from listing_media_dagster.staging.arrangement import Size
from listing_media_dagster.staging.furniture.designs import Design, Kind
from listing_media_dagster.staging.furniture.joinery import Axis, board, leg, rod

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


DESIGNS: tuple[Design, ...] = (
    Design(
        "sideboard_legs", Kind.SIDEBOARD, (1.6, 0.75, 0.45), (1.0, 0.65, 0.38), (2.2, 0.9, 0.5),
        ("body", "front", "legs", "handles"), sideboard_legs,
    ),
)  # fmt: skip
