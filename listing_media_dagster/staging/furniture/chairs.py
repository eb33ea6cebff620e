"""Chairs. Roles: `frame` and `seat`."""

from __future__ import annotations

from itertools import product

import numpy as np

from listing_media_dagster.path_tracer.solids import Part
from listing_media_dagster.staging.arrangement import Size
from listing_media_dagster.staging.furniture.designs import Design, Kind
from listing_media_dagster.staging.furniture.joinery import (
    Points,
    beam,
    curve,
    filleted,
    fitted,
    leg,
    rod,
    rounded_rectangle,
    shell,
    slab,
    squircle,
    swept,
)

CORNERS = tuple(product((-1, 1), (-1, 1)))


def chair_spindle(size: Size, seed: int) -> list[Part]:
    """A saddled seat, turned legs with stretchers, and a bent top rail on spindles."""
    seat_y, half, back_z = 0.45, 0.2, -0.19
    seat = _seat_outline(0.44, 0.43)
    parts = [slab("seat", seat, seat_y - 0.035, seat_y, 0.012)]
    feet = {(sx, sz): np.array([sx * 0.215, 0.0, sz * 0.205]) for sx in (-1, 1) for sz in (-1, 1)}
    heads = {(sx, sz): np.array([sx * 0.15, seat_y - 0.03, sz * 0.14]) for sx in (-1, 1) for sz in (-1, 1)}
    for key, foot in feet.items():
        knots = [foot * (1 - t) + heads[key] * t for t in (0, 0.3, 0.62, 0.85, 1)]
        parts.append(rod("frame", knots, (0.0105, 0.0155, 0.0185, 0.0165, 0.012), 16, 0.003))

    def along(key: tuple[int, int], t: float) -> Points:
        return feet[key] * (1 - t) + heads[key] * t

    for sx in (-1, 1):
        path = np.linspace(along((sx, -1), 0.42), along((sx, 1), 0.42), 7)
        parts.append(rod("frame", path, (0.007, 0.009, 0.0115, 0.012, 0.0115, 0.009, 0.007), 12))
    left, right = ((along((sx, -1), 0.42) + along((sx, 1), 0.42)) / 2 for sx in (-1, 1))
    parts.append(rod("frame", np.linspace(left, right, 7), (0.007, 0.009, 0.0115, 0.012, 0.0115, 0.009, 0.007), 12))
    rail = curve(
        [
            (-0.235, 0.76, back_z - 0.02),
            (-0.13, 0.785, back_z - 0.085),
            (0, 0.79, back_z - 0.105),
            (0.13, 0.785, back_z - 0.085),
            (0.235, 0.76, back_z - 0.02),
        ],
        40,
    )
    taper = np.interp(np.abs(np.linspace(-1, 1, 40)), (0, 0.75, 1), (1.0, 0.95, 0.7))
    parts.append(swept("frame", rail, rounded_rectangle(0.021, 0.062, 0.010, 5), taper, up=(0, 1, 0), bevel=0.006))
    for share in np.linspace(-1, 1, 8):
        t = 0.5 + 0.42 * share
        top = rail[round(t * 39)] + (0, -0.012, 0)
        bottom = (share * half * 0.82, seat_y - 0.02, back_z + 0.045 * share**2 + 0.008)
        radius = 0.0095 if abs(share) == 1 else 0.0065
        parts.append(rod("frame", np.linspace(bottom, top, 5), radius * np.array([0.9, 1.15, 1.2, 1.05, 0.85]), 10))
    return fitted(parts, size)


def _seat_outline(width: float, depth: float) -> Points:
    """A seat wider in front than behind, its corners well rounded."""
    outline = rounded_rectangle(width, depth, 0.12, 14)
    return outline * np.column_stack([1 + 0.1 * outline[:, 1] / (depth / 2), np.ones(len(outline))])


def chair_upholstered(size: Size, seed: int) -> list[Part]:
    """A padded seat and a curved, wrapping back on four tapered legs."""
    parts = [
        slab("seat", _seat_outline(0.47, 0.47), 0.40, 0.485, 0.034, 0.006),
        slab("frame", _seat_outline(0.42, 0.40), 0.37, 0.405, 0.006),
    ]
    t, s = squircle(16, 25, 0.55)
    wrap = 1.15 * s
    radius = 0.265 - 0.01 * (1 - t)
    back = np.stack(
        [radius * np.sin(wrap), 0.665 + 0.185 * t - 0.012 * s**2, 0.055 - radius * np.cos(wrap) - 0.045 * t], -1
    )
    parts.append(shell("seat", back, 0.052))
    for sx, sz in CORNERS:
        head, foot = (sx * 0.165, 0.39, sz * 0.16), (sx * 0.205, 0, sz * 0.2 - (0.03 if sz < 0 else 0))
        parts.append(leg("frame", foot, head, 0.0105, 0.018))
    parts += [rod("frame", [(sx * 0.15, 0.42, -0.16), (sx * 0.16, 0.56, -0.185)], 0.012) for sx in (-1, 1)]
    return fitted(parts, size)


def chair_metal(size: Size, seed: int) -> list[Part]:
    """A pressed-steel bistro chair: flared legs, a dished seat, a hoop and a splat."""
    parts = [slab("seat", rounded_rectangle(0.36, 0.36, 0.06, 8), 0.435, 0.452, 0.008)]
    parts.append(slab("frame", rounded_rectangle(0.355, 0.355, 0.06, 8), 0.40, 0.437, 0.004))
    for sx, sz in CORNERS:
        foot, head = np.array([sx * 0.205, 0, sz * 0.21]), np.array([sx * 0.145, 0.425, sz * 0.145])
        parts.append(beam("frame", head, foot, (0.062, 0.034), (0.024, 0.02), up=(sx, 0, -sz), bevel=0.008))
        brace = (0.0, 0.402, 0.0)
        low = 0.42 * head + 0.58 * foot
        parts.append(rod("frame", [low, (low + brace) / 2 + (0, 0.05, 0), brace], 0.006, 10))
    hoop = filleted(
        [(-0.155, 0.43, -0.155), (-0.175, 0.80, -0.235), (0.175, 0.80, -0.235), (0.155, 0.43, -0.155)], 0.1, 10
    )
    parts.append(rod("frame", hoop, 0.0125, 14))
    rows, columns = np.linspace(0, 1, 8), np.linspace(-1, 1, 7)
    t, s = np.meshgrid(rows, columns, indexing="ij")
    splat = np.stack(
        [(0.045 + 0.02 * t) * s, 0.435 + 0.365 * t, -0.158 - 0.078 * t - 0.012 * np.sin(np.pi * t) + 0.01 * s**2], -1
    )
    parts.append(shell("frame", splat, 0.004))
    return fitted(parts, size)


def chair_shell(size: Size, seed: int) -> list[Part]:
    """A moulded one-piece shell on four dowel legs, braced with wire."""
    spine = curve(
        [(0.43, 0.235), (0.455, 0.19), (0.445, 0.02), (0.452, -0.12), (0.52, -0.205), (0.66, -0.245), (0.82, -0.275)],
        80,
    )
    t, s = squircle(34, 23, 0.62)
    share = (t + 1) / 2
    at = np.linspace(0, 1, 80)
    y, z = np.interp(share, at, spine[:, 0]), np.interp(share, at, spine[:, 1])
    half = np.interp(share, (0, 0.25, 0.5, 0.62, 0.8, 1), (0.225, 0.235, 0.225, 0.215, 0.225, 0.2))
    seat, back = np.clip(1 - 1.7 * share, 0, 1), np.clip((share - 0.5) * 2.2, 0, 1)
    rise = s**2 * (0.045 * np.sqrt(seat) + 0.06 * np.sin(np.pi * share) ** 2)
    grid = np.stack([half * s, y + rise, z + s**2 * (0.075 * back + 0.03 * np.sin(np.pi * share))], -1)
    parts = [shell("seat", grid, 0.007)]
    for sx, sz in CORNERS:
        foot, head = np.array([sx * 0.215, 0, sz * 0.215]), np.array([sx * 0.105, 0.42, sz * 0.10])
        parts.append(leg("frame", foot, head, 0.0105, 0.0155))
        low, other = 0.45 * head + 0.55 * foot, np.array([-sx * 0.105, 0.415, sz * 0.10])
        parts.append(rod("frame", [low, other], 0.0035, 8))
        parts.append(rod("frame", [low, np.array([sx * 0.105, 0.415, -sz * 0.10])], 0.0035, 8))
    parts += [rod("frame", [(sx * 0.12, 0.418, -0.13), (sx * 0.12, 0.418, 0.12)], 0.008, 10) for sx in (-1, 1)]
    parts += [rod("frame", [(-0.13, 0.418, z_), (0.13, 0.418, z_)], 0.008, 10) for z_ in (-0.1, 0.1)]
    parts += [
        rod("frame", [(sx * 0.12, 0.41, z_), (sx * 0.12, 0.462, z_)], 0.012, 12) for sx in (-1, 1) for z_ in (-0.1, 0.1)
    ]
    return fitted(parts, size)


ROLES = ("frame", "seat")
DESIGNS: tuple[Design, ...] = (
    Design(
        "chair_spindle", Kind.CHAIR, (0.48, 0.80, 0.50), (0.44, 0.76, 0.46), (0.54, 0.86, 0.56), ROLES, chair_spindle
    ),
    Design(
        "chair_upholstered",
        Kind.CHAIR,
        (0.54, 0.84, 0.56),
        (0.48, 0.78, 0.5),
        (0.6, 0.9, 0.62),
        ROLES,
        chair_upholstered,
    ),
    Design("chair_metal", Kind.CHAIR, (0.45, 0.82, 0.48), (0.4, 0.76, 0.43), (0.5, 0.9, 0.53), ROLES, chair_metal),
    Design("chair_shell", Kind.CHAIR, (0.48, 0.82, 0.52), (0.44, 0.78, 0.48), (0.54, 0.88, 0.58), ROLES, chair_shell),
)
