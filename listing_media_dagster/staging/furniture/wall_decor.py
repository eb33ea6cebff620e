"""Pictures and mirrors. Roles of a picture: `frame`, `mat`, `picture`; of a mirror: `frame`, `mirror`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from listing_media_dagster.path_tracer.solids import Part, moved
from listing_media_dagster.staging.arrangement import Size
from listing_media_dagster.staging.furniture.designs import Design, Kind
from listing_media_dagster.staging.furniture.joinery import (
    board,
    ellipse,
    filleted,
    fitted,
    rounded_rectangle,
    slab,
    swept,
    turned_part,
    upright,
)


def framed_picture(size: Size, seed: int) -> list[Part]:
    """A picture behind a mat in a slim frame."""
    return _framed(size, seed)


def _framed(size: Size, seed: int, bar: float = 0.022, mat: float = 0.13) -> list[Part]:
    width, height, depth = size
    x, z = width / 2, depth / 2
    parts = [
        board("frame", (-x, height - bar, -z), (x, height, z), "x", 0.002),
        board("frame", (-x, 0, -z), (x, bar, z), "x", 0.002),
        board("frame", (-x, bar, -z), (-x + bar, height - bar, z), "y", 0.002),
        board("frame", (x - bar, bar, -z), (x, height - bar, z), "y", 0.002),
    ]
    border = mat * min(width, height)
    inner = (-x + bar + border, bar + border), (x - bar - border, height - bar - border)
    front = z - 0.009
    parts += [
        board("mat", (-x + bar, low, -z + 0.002), (x - bar, high, front), "x", 0.001)
        for low, high in ((bar, inner[0][1]), (inner[1][1], height - bar))
    ]
    parts += [
        board("mat", (low, inner[0][1], -z + 0.002), (high, inner[1][1], front), "y", 0.001)
        for low, high in ((-x + bar, inner[0][0]), (inner[1][0], x - bar))
    ]
    picture = board("picture", (*inner[0], -z + 0.002), (*inner[1], front - 0.002), "x", 0.0)
    return [*parts, _painted(picture, inner, seed % 4)]


def _painted(canvas: Part, corners: tuple[tuple[float, float], tuple[float, float]], cell: int) -> Part:
    """Lay one picture of a 2 x 2 sheet over the canvas: cropped to its shape, not stretched."""
    (x0, y0), (x1, y1) = corners
    spot = (canvas.vertices[:, :2] - ((x0 + x1) / 2, (y0 + y1) / 2)) / max(x1 - x0, y1 - y0)
    uv = (0.5 + 0.99 * spot + (cell % 2, cell // 2)) / 2
    return replace(canvas, uv=uv.astype(np.float32))


def art_landscape(size: Size, seed: int) -> list[Part]:
    """A wide picture with a narrow mat."""
    return _framed(size, seed, mat=0.06)


def art_pair(size: Size, seed: int) -> list[Part]:
    """Two pictures of one set, side by side."""
    width, height, depth = size
    gap = 0.05 * width
    each = (width - gap) / 2
    x = (each + gap) / 2
    left, right = _framed((each, height, depth), seed), _framed((each, height, depth), seed + 1)
    return moved(left, offset=(-x, 0, 0)) + moved(right, offset=(x, 0, 0))


def mirror_round(size: Size, seed: int) -> list[Part]:
    """A round mirror in a thin metal ring."""
    width, height, depth = size
    radius, bar = 0.5, 0.018 / width
    ring = [(radius - bar, 0), (radius, 0), (radius, depth), (radius - bar, depth), (radius - bar, 0)]
    frame = turned_part("frame", ring, fillet=0.003, stretch=(width, height), sides=96)
    pane = slab("mirror", ellipse(width - 0.01, height - 0.01, 96), 0.001, 0.45 * depth, 0.002)
    return fitted(upright([frame, pane]), size)


def mirror_arch(size: Size, seed: int) -> list[Part]:
    """A tall mirror with an arched head in a slim frame."""
    width, height, depth = size
    half, bar = width / 2 - 0.009, 0.018
    spring = height - 0.009 - half
    head = [(half * np.cos(a), spring + half * np.sin(a)) for a in np.linspace(0, np.pi, 48)]
    outline = np.array([(half, 0.009), *head, (-half, 0.009)])
    pane = slab("mirror", outline * (1, -1) + (0, height / 2), 0.001, 0.45 * depth, 0.002)
    rim = filleted([(0, 0.009), *outline, (0, 0.009)], 0.012)
    path = np.column_stack([rim[:, 0], np.full(len(rim), depth / 2), height / 2 - rim[:, 1]])
    frame = swept("frame", path, rounded_rectangle(bar, depth, 0.003, 3), up=(0, 1, 0), bevel=0.0005)
    return fitted(upright([pane, frame]), size)


ROLES = ("frame", "mat", "picture")
UPRIGHT: tuple[Size, Size, Size] = ((0.7, 0.9, 0.03), (0.3, 0.4, 0.02), (1.4, 1.5, 0.05))
DESIGNS: tuple[Design, ...] = (
    Design("art_abstract", Kind.ART, *UPRIGHT, ROLES, framed_picture),
    Design("art_lines", Kind.ART, *UPRIGHT, ROLES, framed_picture),
    Design("art_botanical", Kind.ART, *UPRIGHT, ROLES, framed_picture),
    Design(
        "art_landscape", Kind.ART, (1.2, 0.8, 0.03), (0.5, 0.35, 0.02), (1.8, 1.2, 0.05), ROLES, art_landscape
    ),
    Design("art_pair", Kind.ART, (1.15, 0.75, 0.03), (0.6, 0.4, 0.02), (1.8, 1.2, 0.05), ROLES, art_pair),
    Design(
        "mirror_round", Kind.MIRROR, (0.8, 0.8, 0.03), (0.4, 0.4, 0.02), (1.2, 1.2, 0.05),
        ("frame", "mirror"), mirror_round,
    ),
    Design(
        "mirror_arch", Kind.MIRROR, (0.7, 1.6, 0.03), (0.45, 0.8, 0.02), (1.0, 2.0, 0.05),
        ("frame", "mirror"), mirror_arch,
    ),
)  # fmt: skip
