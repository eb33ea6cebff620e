"""Pictures and mirrors. Roles of a picture: `frame`, `mat`, `picture`; of a mirror: `frame`, `mirror`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from listing_media_dagster.path_tracer.solids import Part
from listing_media_dagster.staging.arrangement import Size
from listing_media_dagster.staging.furniture.designs import Design, Kind
from listing_media_dagster.staging.furniture.joinery import board


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


DESIGNS: tuple[Design, ...] = (
    Design(
        "art_abstract", Kind.ART, (0.7, 0.9, 0.03), (0.3, 0.4, 0.02), (1.4, 1.4, 0.05),
        ("frame", "mat", "picture"), framed_picture,
    ),
)  # fmt: skip
