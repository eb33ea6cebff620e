"""Bookcases and shelves with things on them.

Roles: `body` or `frame` and `shelves`; `books`, `pages`, `objects`, `bins`, `blocks`.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from listing_media_dagster.path_tracer.solids import Part, moved
from listing_media_dagster.staging.arrangement import Size
from listing_media_dagster.staging.furniture.designs import Design, Kind
from listing_media_dagster.staging.furniture.joinery import (
    Place,
    board,
    in_cell,
    rod,
    rounded_rectangle,
    shell,
    slab,
)
from listing_media_dagster.staging.furniture.ornaments import dressed_shelf
from listing_media_dagster.staging.furniture.tables import CORNERS

THICK = 0.022


def bookcase_open(size: Size, seed: int) -> list[Part]:
    """A backed bookcase, its shelves dressed with books and objects."""
    width, height, depth = size
    rng = np.random.default_rng(seed)
    x, z = width / 2, depth / 2
    parts = [board("body", (s * x, 0, -z), (s * (x - THICK), height, z), "y") for s in (-1, 1)]
    parts.append(board("body", (-x + THICK, 0.06, -z), (x - THICK, height - 0.002, -z + 0.008), "y"))
    parts.append(board("body", (-x + THICK, 0, z - 0.05), (x - THICK, 0.061, z - 0.03)))
    levels = np.linspace(0.06, height - THICK, max(3, round(height / 0.36)))
    for number, y in enumerate(levels):
        parts.append(board("body", (-x + THICK, y, -z + 0.007), (x - THICK, y + THICK, z - 0.004)))
        if number < len(levels) - 1:
            room = levels[1] - levels[0] - THICK
            parts += dressed_shelf(rng, (-x + THICK, x - THICK), y + THICK, (-z + 0.01, z - 0.01), room)
    return parts


def bookcase_metal(size: Size, seed: int) -> list[Part]:
    """Plank shelves in an open steel frame, braced behind."""
    width, height, depth = size
    rng = np.random.default_rng(seed)
    x, z, tube = width / 2, depth / 2, 0.025
    parts = [
        board("frame", (sx * x, 0, sz * z), (sx * (x - tube), height, sz * (z - tube)), "y", 0.002)
        for sx, sz in CORNERS
    ]
    levels = np.linspace(0.1, height - 0.05, max(3, round(height / 0.4)))
    room = levels[1] - levels[0] - 0.03
    for number, y in enumerate(levels):
        parts += [
            board("frame", (s * x, y - 0.022, -z + tube), (s * (x - tube), y, z - tube), "z", 0.002) for s in (-1, 1)
        ]
        parts.append(
            board("shelves", (-x + 0.004, y - 0.001, -z + tube), (x - 0.004, y + 0.027, z - tube), bevel=0.004)
        )
        parts += [
            board("frame", (-x + tube, y - 0.001, s * z), (x - tube, y + 0.027, s * (z - tube)), "x", 0.002)
            for s in (-1, 1)
        ]
        if number < len(levels) - 1:
            parts += dressed_shelf(rng, (-x + 0.04, x - 0.04), y + 0.027, (-z + 0.03, z - 0.03), room)
    low, high = levels[0], levels[-1]
    parts += [
        rod("frame", [(-s * (x - 0.01), low, -z + 0.006), (s * (x - 0.01), high, -z + 0.006)], 0.004, 8)
        for s in (-1, 1)
    ]
    return parts


def toy_shelf(size: Size, seed: int) -> list[Part]:
    """A low shelf of cubes: fabric bins below, books and blocks above."""
    width, height, depth = size
    rng = np.random.default_rng(seed)
    x, z = width / 2, depth / 2
    columns = max(2, round(width / 0.38))
    parts = [slab("body", rounded_rectangle(width, depth, 0.02), height - THICK, height, 0.007)]
    parts += [
        board("body", (s * (x - 0.004), 0, -z + 0.004), (s * (x - 0.026), height - THICK, z - 0.006), "y")
        for s in (-1, 1)
    ]
    inner, middle = x - 0.026, 0.05 + (height - 0.05 - THICK) / 2
    parts += [board("body", (-inner, y, -z + 0.008), (inner, y + 0.018, z - 0.008)) for y in (0.04, middle)]
    parts.append(board("body", (-inner, 0.04, -z + 0.004), (inner, height - THICK, -z + 0.012)))
    edges = np.linspace(-inner, inner, columns + 1)
    parts += [
        board("body", (e - 0.008, 0.05, -z + 0.01), (e + 0.008, height - THICK + 0.001, z - 0.01), "y")
        for e in edges[1:-1]
    ]
    rooms = (middle - 0.058, height - THICK - middle - 0.018)
    for k, (left, right) in enumerate(pairwise(edges)):
        centre, wide = (left + right) / 2, right - left - 0.05
        parts += fabric_bin((centre, 0.058, 0.005), (wide, 0.8 * rooms[0], depth - 0.05))
        y = middle + 0.018
        if k % 3 == 0:
            parts += dressed_shelf(
                rng, (left + 0.008, right - 0.008), y, (-z + 0.014, z - 0.01), rooms[1], objects=False
            )
        elif k % 3 == 1:
            parts += block_pile((centre, y, 0.02), 0.062, rng)
        else:
            parts += fabric_bin((centre, y, 0.005), (wide, 0.78 * rooms[1], depth - 0.05))
    return parts


def fabric_bin(at: Place, size: Size) -> list[Part]:
    """An open box of canvas standing at `at`."""
    width, height, depth = size
    ring = rounded_rectangle(width, depth, 0.03, 6)
    ring = np.vstack([ring, ring[:1]])
    rows = np.linspace(0, height, 6)
    wall = np.array([np.column_stack([ring[:, 0], np.full(len(ring), y), ring[:, 1]]) for y in rows])
    floor = slab("bins", rounded_rectangle(width, depth, 0.03, 6), 0.0, 0.01, 0.003)
    return moved([shell("bins", wall, 0.005), floor], offset=[float(v) for v in at])


def block_pile(at: Place, edge: float, rng: np.random.Generator) -> list[Part]:
    """A few wooden cubes piled up on `at`."""
    x, y, z = (float(v) for v in at)
    parts = []
    for k, (dx, dy) in enumerate(((-1.15, 0), (0, 0), (1.15, 0), (-0.6, 1), (0.55, 1), (0, 2))):
        half, left = edge / 2, x + dx * edge + float(rng.normal(0, 0.02)) * edge
        cube = board(
            "blocks", (left - half, y + dy * edge, z - half), (left + half, y + (dy + 1) * edge, z + half), bevel=0.003
        )
        parts.append(in_cell(cube, (k + int(rng.integers(4))) % 16))
    return parts


DESIGNS: tuple[Design, ...] = (
    Design(
        "bookcase_open", Kind.BOOKCASE, (0.9, 1.85, 0.32), (0.6, 1.2, 0.28), (1.3, 2.2, 0.38),
        ("body", "books", "pages", "objects"), bookcase_open,
    ),
    Design(
        "bookcase_metal", Kind.BOOKCASE, (1.0, 1.85, 0.36), (0.7, 1.2, 0.32), (1.4, 2.2, 0.42),
        ("frame", "shelves", "books", "pages", "objects"), bookcase_metal,
    ),
    Design(
        "toy_shelf", Kind.BOOKCASE, (1.15, 0.78, 0.36), (0.8, 0.68, 0.32), (1.5, 0.92, 0.42),
        ("body", "bins", "blocks", "books", "pages"), toy_shelf,
    ),
)  # fmt: skip
