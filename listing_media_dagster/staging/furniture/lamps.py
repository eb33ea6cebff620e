"""Lamps. Roles: `shade`, `stem` and, where it is of another stuff, `base`."""

from __future__ import annotations

import numpy as np

from listing_media_dagster.path_tracer.solids import Part, lathe
from listing_media_dagster.staging.arrangement import Size
from listing_media_dagster.staging.furniture.designs import Design, Kind
from listing_media_dagster.staging.furniture.joinery import curve, ellipsoid, fitted, leg, rod, turned_part


def floor_lamp_tripod(size: Size, seed: int) -> list[Part]:
    """A linen drum on three tapered wooden legs."""
    width, height, _ = size
    shade_low, shade_radius = height - 0.30, 0.215
    parts = drum_shade(shade_radius, shade_radius * 0.9, shade_low, height)
    hub = shade_low - 0.10
    for k in range(3):
        angle = np.pi / 2 + 2 * np.pi * k / 3
        way = np.array([np.cos(angle), 0.0, np.sin(angle)])
        parts.append(leg("stem", way * (0.577 * width - 0.012), way * 0.03 + (0, hub + 0.03, 0), 0.0095, 0.015))
    parts.append(turned_part("stem", [(0, hub - 0.03), (0.042, hub - 0.03), (0.042, hub + 0.03), (0, hub + 0.03)]))
    parts.append(rod("stem", [(0, hub, 0), (0, shade_low + 0.12, 0)], 0.009))
    return fitted(parts, size)


def drum_shade(low_radius: float, high_radius: float, low: float, high: float) -> list[Part]:
    """A cloth shade, open above and below, hemmed on wire rings, on three spokes, round a bulb.

    The cloth is one sheet: light goes through it once.
    """
    t = 0.0025
    cloth = lathe("shade", [(low_radius, low + t), (high_radius, high - t)], (0, 0, 0), sides=72)
    turns = np.linspace(0, 2 * np.pi, 60)
    hems = [
        rod("shade", [(r * np.cos(a), y, r * np.sin(a)) for a in turns], t, 8, 0.0005)
        for r, y in ((low_radius, low + t), (high_radius, high - t))
    ]
    spoke = low + 0.75 * (high - low)
    reach = low_radius + (high_radius - low_radius) * 0.75 - 2 * t
    spokes = [
        rod("stem", [(0, spoke - 0.02, 0), (reach * np.cos(a), spoke, reach * np.sin(a))], 0.002, 8, 0.0005)
        for a in (0.3, 2.4, 4.5)
    ]
    bulb = ellipsoid("shade", (0, low + 0.5 * (high - low), 0), (0.03, 0.045, 0.03), sides=16)
    return [cloth, *hems, bulb, *spokes]


def floor_lamp_arc(size: Size, seed: int) -> list[Part]:
    """A dome that hangs from a long bow over a heavy round foot."""
    base_x, shade_x, top = -0.42, 0.36, 1.95
    parts = [turned_part("base", [(0, 0), (0.165, 0), (0.165, 0.055), (0, 0.055)], (base_x, 0, 0), 0.006, sides=72)]
    bow = curve(
        [
            (base_x, 0.05, 0),
            (base_x + 0.005, 0.85, 0),
            (base_x + 0.1, 1.5, 0),
            (-0.08, 1.88, 0),
            (0.2, top - 0.03, 0),
            (shade_x, 1.80, 0),
        ],
        48,
    )
    parts.append(rod("stem", bow, 0.0115, 14))
    parts.append(turned_part("stem", [(0, 0.05), (0.03, 0.05), (0.022, 0.1), (0, 0.1)], (base_x, 0, 0), 0.003))
    parts += dome(0.185, 0.17, (shade_x, 1.585, 0))
    parts.append(rod("stem", [(shade_x, 1.74, 0), (shade_x, 1.81, 0)], 0.02, 20))
    return fitted(parts, size)


def floor_lamp_slim(size: Size, seed: int) -> list[Part]:
    """A pin-thin stem with a small tapered linen shade."""
    _, height, _ = size
    parts = drum_shade(0.165, 0.105, height - 0.24, height)
    parts.append(
        turned_part("stem", [(0, 0), (0.13, 0), (0.13, 0.012), (0.012, 0.018), (0, 0.018)], fillet=0.003, sides=64)
    )
    parts.append(rod("stem", [(0, 0.01, 0), (0, height - 0.07, 0)], 0.0075))
    return fitted(parts, size)


def table_lamp_ceramic(size: Size, seed: int) -> list[Part]:
    """A gourd of ceramic under a linen drum."""
    gourd = [
        (0, 0),
        (0.055, 0),
        (0.06, 0.008),
        (0.1, 0.07),
        (0.105, 0.11),
        (0.085, 0.165),
        (0.05, 0.2),
        (0.045, 0.225),
        (0.03, 0.25),
        (0, 0.25),
    ]
    body = [(float(r), float(y)) for r, y in curve(gourd[2:-2], 30)]
    parts = [turned_part("base", [(0, 0), (0.055, 0), *body, (0.03, 0.25), (0, 0.25)], fillet=0.003, sides=64)]
    parts.append(rod("stem", [(0, 0.245, 0), (0, 0.43, 0)], 0.009))
    parts += drum_shade(0.165, 0.13, 0.285, 0.5)
    return fitted(parts, size)


def table_lamp_metal(size: Size, seed: int) -> list[Part]:
    """A mushroom: a metal dome over a slim stem and disc."""
    parts = [turned_part("stem", [(0, 0), (0.085, 0), (0.085, 0.014), (0, 0.016)], fillet=0.004, sides=64)]
    parts.append(rod("stem", [(0, 0.01, 0), (0, 0.36, 0)], 0.010))
    parts += dome(0.15, 0.12, (0, 0.28, 0))
    parts.append(turned_part("stem", [(0, 0.398), (0.012, 0.398), (0.012, 0.415), (0, 0.415)], fillet=0.003, sides=24))
    return fitted(parts, size)


def dome(radius: float, height: float, at: tuple[float, float, float]) -> list[Part]:
    """A thin half-round shade, open below, with a bulb in it."""
    t, angles = 0.003, np.linspace(0, np.pi / 2, 22)
    outer = [(radius * np.cos(a) + 1e-6, height * np.sin(a)) for a in angles]
    inner = [((radius - t) * np.cos(a) + 1e-6, (height - t) * np.sin(a)) for a in angles[::-1]]
    x, y, z = at
    bulb = ellipsoid("shade", (x, y + 0.4 * height, z), (0.035, 0.04, 0.035), sides=16)
    return [turned_part("shade", [*outer, *inner, outer[0]], at, fillet=0.0, sides=72), bulb]


DESIGNS: tuple[Design, ...] = (
    Design(
        "floor_lamp_arc", Kind.FLOOR_LAMP, (1.15, 1.95, 0.38), (0.9, 1.7, 0.32), (1.5, 2.15, 0.45),
        ("shade", "stem", "base"), floor_lamp_arc,
    ),
    Design(
        "floor_lamp_tripod", Kind.FLOOR_LAMP, (0.55, 1.5, 0.5), (0.45, 1.3, 0.4), (0.7, 1.7, 0.65),
        ("shade", "stem"), floor_lamp_tripod,
    ),
    Design(
        "floor_lamp_slim", Kind.FLOOR_LAMP, (0.33, 1.5, 0.33), (0.26, 1.3, 0.26), (0.42, 1.7, 0.42),
        ("shade", "stem"), floor_lamp_slim,
    ),
    Design(
        "table_lamp_ceramic", Kind.TABLE_LAMP, (0.33, 0.5, 0.33), (0.22, 0.34, 0.22), (0.42, 0.66, 0.42),
        ("base", "shade", "stem"), table_lamp_ceramic,
    ),
    Design(
        "table_lamp_metal", Kind.TABLE_LAMP, (0.3, 0.42, 0.3), (0.2, 0.32, 0.2), (0.38, 0.55, 0.38),
        ("shade", "stem"), table_lamp_metal,
    ),
)  # fmt: skip
