"""What stands on tables and shelves: vases, bowls, books, trays; and a basket for the floor.

Roles: `vase` (with `branches` and `leaves`), `bowl`, `books` and `pages`, `tray`, `candle`, `objects`, `basket`.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from listing_media_dagster.path_tracer.solids import Part, moved, turned
from listing_media_dagster.staging.arrangement import Size
from listing_media_dagster.staging.furniture.designs import Design, Kind
from listing_media_dagster.staging.furniture.foliage import foliage
from listing_media_dagster.staging.furniture.joinery import (
    Place,
    board,
    curve,
    ellipsoid,
    fitted,
    in_cell,
    rod,
    turned_part,
)

Profile = list[tuple[float, float]]


def vessel(
    material: str, outside: Profile, wall: float, at: Place = (0, 0, 0), sides: int = 64, steps: int = 22
) -> Part:
    """A hollow turned vessel: `outside` is its (r, y) outline from foot to rim, `wall` m its thickness."""
    smooth = [(float(r), float(y)) for r, y in curve(outside, steps)]
    floor = outside[0][1] + 2 * wall
    inside = [(max(0.0, r - wall), y) for r, y in smooth[::-1] if y > floor + 1e-4]
    rim = [(smooth[-1][0] - wall / 2, smooth[-1][1] + wall / 2)]
    profile = [(0.0, outside[0][1]), *smooth, *rim, *inside, (inside[-1][0], floor), (0.0, floor)]
    return turned_part(material, profile, at, fillet=0.0015, sides=sides)


def vase_tall(size: Size, seed: int) -> list[Part]:
    """A shouldered stoneware vase with a narrow neck."""
    outline = [(0.32, 0), (0.40, 0.06), (0.5, 0.42), (0.46, 0.66), (0.2, 0.84), (0.17, 0.93), (0.21, 0.99)]
    return fitted([vessel("vase", [(0.22 * r, 0.5 * y) for r, y in outline], 0.008)], size)


def vase_branches(size: Size, seed: int) -> list[Part]:
    """A round vase with a few tall twigs in sparse leaf."""
    rng = np.random.default_rng(seed)
    outline = [(0.055, 0), (0.085, 0.03), (0.115, 0.12), (0.09, 0.2), (0.045, 0.245), (0.042, 0.27), (0.055, 0.29)]
    parts = [vessel("vase", outline, 0.007)]
    bases, ways = [], []
    for k in range(6):
        turn = 2 * np.pi * k / 6 + rng.uniform(-0.3, 0.3)
        lean, top = rng.uniform(0.12, 0.3), rng.uniform(0.72, 1.0)
        out = np.array([np.cos(turn), 0, np.sin(turn)])
        path = curve(
            [
                out * -0.03 + (0, 0.05, 0),
                out * 0.03 + (0, 0.28, 0),
                out * 0.5 * lean + (0, 0.5 * top + 0.1, 0),
                out * lean + (0, top, 0),
            ],
            24,
        )
        parts.append(rod("branches", path, np.linspace(0.0035, 0.0012, 24), 7, 0.0005))
        for step in range(9, 24):
            side = turn + rng.uniform(0, 2 * np.pi)
            bases += [path[step]]
            ways += [(np.cos(side), rng.uniform(0.3, 1.0), np.sin(side))]
    outline_leaf = ((0, 0.02), (0.2, 0.2), (0.5, 0.34), (0.8, 0.24), (1, 0.01))
    lengths = rng.uniform(0.045, 0.075, len(bases))
    return fitted([*parts, *foliage(outline_leaf, np.array(bases), np.array(ways), lengths, seed, droop=0.3)], size)


def vase_group(size: Size, seed: int) -> list[Part]:
    """Three vessels of one family: a bottle, a jar and a low bowl."""
    bottle = [(0.035, 0), (0.06, 0.02), (0.068, 0.1), (0.05, 0.19), (0.016, 0.24), (0.014, 0.3), (0.019, 0.32)]
    jar = [(0.045, 0), (0.07, 0.03), (0.075, 0.1), (0.055, 0.15), (0.045, 0.165), (0.05, 0.18)]
    low = [(0.03, 0), (0.045, 0.012), (0.062, 0.045), (0.066, 0.075)]
    parts = [
        vessel("vase", bottle, 0.005, (-0.1, 0, -0.02)),
        vessel("vase", jar, 0.005, (0.035, 0, -0.03)),
        vessel("vase", low, 0.005, (0.1, 0, 0.06)),
    ]
    return fitted(parts, size)


def bowl(size: Size, seed: int) -> list[Part]:
    """A wide footed bowl."""
    outline = [(0.3, 0), (0.31, 0.1), (0.62, 0.32), (0.86, 0.62), (0.985, 0.97)]
    return fitted([vessel("bowl", [(0.16 * r, 0.1 * y) for r, y in outline], 0.006, sides=96)], size)


def book(at: Place, size: Size, cell: int) -> list[Part]:
    """A closed book standing at `at` (the middle of its foot), spine toward +z; `size` is thickness, height, depth."""
    width, height, depth = size
    x, z, cover, lip = width / 2, depth / 2, 0.0022, 0.003
    covers = [
        board("books", (-x, 0, -z), (-x + cover, height, z), "y", 0.0008),
        board("books", (x - cover, 0, -z), (x, height, z), "y", 0.0008),
        board("books", (-x, 0, z - 2 * cover), (x, height, z), "y", 0.002),
    ]
    pages = board("pages", (-x + cover, lip, -z + lip), (x - cover, height - lip, z - cover), "y", 0.0)
    return moved([*(_covered(piece, cell) for piece in covers), pages], offset=[float(v) for v in at])


def _covered(piece: Part, cell: int) -> Part:
    """Lay a whole cover picture over the part's front."""
    flat = piece.vertices[:, [0 if np.ptp(piece.vertices[:, 0]) > 0.006 else 2, 1]]
    return in_cell(replace(piece, uv=flat), cell)


def lying(pieces: list[Part]) -> list[Part]:
    """Books laid on their side, spines still toward +z."""
    return moved(pieces, [[0, -1, 0], [1, 0, 0], [0, 0, 1]])


def books_stack(size: Size, seed: int) -> list[Part]:
    """Three large books lying on each other, not quite square."""
    rng = np.random.default_rng(seed)
    parts, low = [], 0.0
    for k in range(3):
        thick, length, depth = 0.028 + 0.006 * k % 0.011, 0.30 - 0.025 * k, 0.22 - 0.015 * k
        flat = lying(book((0, -length / 2, 0), (thick, length, depth), int(rng.integers(16))))
        parts += moved(flat, turned(float(rng.uniform(-7, 7))), (0, low + thick / 2, 0))
        low += thick
    return fitted(parts, size)


def tray_set(size: Size, seed: int) -> list[Part]:
    """A round tray with a candle, a small vase and two books."""
    rng = np.random.default_rng(seed)
    rim = [(0, 0), (0.18, 0), (0.19, 0.006), (0.192, 0.03), (0.186, 0.03), (0.182, 0.009), (0, 0.009)]
    parts = [turned_part("tray", [(r, y) for r, y in rim], fillet=0.003, sides=80)]
    parts.append(
        turned_part(
            "candle", [(0, 0.008), (0.036, 0.008), (0.036, 0.085), (0.028, 0.085), (0.0, 0.078)], (0.1, 0, 0.045)
        )
    )
    parts.append(rod("pages", [(0.1, 0.076, 0.045), (0.101, 0.094, 0.046)], 0.0012, 6, 0.0003))
    small = [(0.02, 0.008), (0.04, 0.025), (0.046, 0.06), (0.03, 0.095), (0.012, 0.115), (0.016, 0.13)]
    parts.append(vessel("objects", small, 0.004, (0.03, 0, -0.095), 40))
    low = 0.0085
    for k in range(2):
        thick = (0.022, 0.018)[k]
        flat = lying(book((0, -0.08, 0), (thick, 0.16 - 0.012 * k, 0.115 - 0.01 * k), int(rng.integers(16))))
        parts += moved(flat, turned(62 + 9 * k), (-0.06, low + thick / 2, 0.015))
        low += thick
    return fitted(parts, size)


def basket(size: Size, seed: int) -> list[Part]:
    """A round basket with a thick rim and two handles."""
    width, height = 0.42, 0.4
    outline = [(0.36, 0), (0.43, 0.04), (0.5, 0.45), (0.49, 0.75), (0.455, 0.86)]
    body = vessel("basket", [(width * r, height * y) for r, y in outline], 0.012, sides=96)
    radius, rim = 0.45 * width, 0.87 * height
    around = [(radius * np.cos(a), rim, radius * np.sin(a)) for a in np.linspace(0, 2 * np.pi, 60)]
    handles = []
    for sign in (-1, 1):
        knots = [
            (sign * radius, rim - 0.02, -0.07),
            (sign * (radius + 0.012), height - 0.012, -0.045),
            (sign * (radius + 0.012), height - 0.012, 0.045),
            (sign * radius, rim - 0.02, 0.07),
        ]
        handles.append(rod("basket", curve(knots, 20), 0.009, 12))
    return fitted([body, rod("basket", around, 0.012, 12), *handles], size)


def dressed_shelf(
    rng: np.random.Generator,
    xs: tuple[float, float],
    y: float,
    zs: tuple[float, float],
    headroom: float,
    objects: bool = True,
) -> list[Part]:
    """Books, and a few `objects`, on the shelf at `y` between two x, as a stylist would: a third is left empty."""
    parts: list[Part] = []
    (x, end), front = xs, zs[1] - 0.015
    x, end = x + 0.015, end - 0.02
    tallest = min(0.27, headroom - 0.03)
    mood = int(rng.integers(4)) if objects else 2
    if mood in (1, 3):  # an object first
        parts += _object(rng, (x + 0.09, y, (zs[0] + zs[1]) / 2), min(headroom - 0.05, 0.26))
        x += 0.22
    if mood == 2:
        x += float(rng.uniform(0.0, 0.12))
    stop = x + (end - x) * float(rng.uniform(0.45, 0.75))
    while x < stop:
        thick = float(rng.uniform(0.016, 0.042))
        size = (
            thick,
            tallest * float(rng.uniform(0.72, 1.0)),
            min(0.2, zs[1] - zs[0] - 0.04) * float(rng.uniform(0.8, 1)),
        )
        parts += book(
            (x + thick / 2, y, front - size[2] / 2 - float(rng.uniform(0, 0.012))), size, int(rng.integers(16))
        )
        x += thick + 0.0008
    if mood in (0, 2) and end - x > 0.28:
        low, middle = y, x + 0.16
        for k in range(3):
            thick, length = float(rng.uniform(0.02, 0.035)), 0.24 - 0.02 * k
            parts += moved(
                lying(book((0, -length / 2, 0), (thick, length, 0.17), int(rng.integers(16)))),
                None,
                (middle, low + thick / 2, front - 0.1),
            )
            low += thick
        if objects and headroom - (low - y) > 0.14:
            parts += _object(rng, (middle, low, front - 0.1), min(0.16, headroom - (low - y) - 0.04))
    elif objects and end - x > 0.24:
        parts += _object(rng, ((x + end) / 2 + 0.03, y, (zs[0] + zs[1]) / 2), min(headroom - 0.05, 0.24))
    return parts


def _object(rng: np.random.Generator, at: Place, height: float) -> list[Part]:
    shapes: tuple[Profile, ...] = (
        [(0.2, 0), (0.36, 0.15), (0.42, 0.5), (0.25, 0.8), (0.14, 0.9), (0.18, 1.0)],
        [(0.3, 0), (0.38, 0.2), (0.38, 0.7), (0.3, 0.85), (0.32, 0.95)],
        [(0.22, 0), (0.24, 0.1), (0.5, 0.4), (0.62, 0.6)],
    )
    outline = shapes[int(rng.integers(3))]
    reach = min(0.11, 0.5 * height) / max(r for r, _ in outline) * 0.85
    if rng.random() < 0.25:
        ball = 0.36 * height
        middle = (float(at[0]), float(at[1]) + ball, float(at[2]))
        return [ellipsoid("objects", middle, (min(ball, 0.085), ball, min(ball, 0.085)), sides=24)]
    return [vessel("objects", [(reach * r, height * y) for r, y in outline], 0.005, at, 32, 14)]


DESIGNS: tuple[Design, ...] = (
    Design("vase_tall", Kind.VASE, (0.2, 0.45, 0.2), (0.12, 0.25, 0.12), (0.3, 0.7, 0.3), ("vase",), vase_tall),
    Design(
        "vase_branches", Kind.VASE, (0.6, 0.9, 0.6), (0.35, 0.55, 0.35), (0.8, 1.2, 0.8),
        ("vase", "branches", "leaves"), vase_branches,
    ),
    Design("vase_group", Kind.VASE, (0.34, 0.32, 0.22), (0.24, 0.22, 0.15), (0.45, 0.42, 0.3), ("vase",), vase_group),
    Design("bowl", Kind.VASE, (0.3, 0.1, 0.3), (0.18, 0.06, 0.18), (0.4, 0.14, 0.4), ("bowl",), bowl),
    Design(
        "books_stack", Kind.BOOKS, (0.32, 0.095, 0.25), (0.22, 0.06, 0.17), (0.4, 0.13, 0.3),
        ("books", "pages"), books_stack,
    ),
    Design(
        "tray_set", Kind.VASE, (0.38, 0.13, 0.38), (0.28, 0.1, 0.28), (0.5, 0.18, 0.5),
        ("tray", "candle", "objects", "books", "pages"), tray_set,
    ),
    Design("basket", Kind.BASKET, (0.45, 0.4, 0.42), (0.28, 0.25, 0.26), (0.6, 0.55, 0.58), ("basket",), basket),
)  # fmt: skip
