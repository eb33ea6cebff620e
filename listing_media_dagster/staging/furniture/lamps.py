"""Lamps. Roles: `shade` and `stem`."""

from __future__ import annotations

import numpy as np

from listing_media_dagster.path_tracer.solids import Part
from listing_media_dagster.staging.arrangement import Size
from listing_media_dagster.staging.furniture.designs import Design, Kind
from listing_media_dagster.staging.furniture.joinery import ellipsoid, fitted, leg, rod, turned_part


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
    """A cloth shade, open above and below, on three spokes, round a bulb."""
    t = 0.0025
    wall = [(low_radius - t, low), (low_radius, low + t), (high_radius, high - t), (high_radius - t, high)]
    inner = [(high_radius - 2 * t, high - t), (low_radius - 2 * t, low + t), (low_radius - t, low)]
    spoke = low + 0.75 * (high - low)
    reach = low_radius + (high_radius - low_radius) * 0.75 - 2 * t
    spokes = [
        rod("stem", [(0, spoke - 0.02, 0), (reach * np.cos(a), spoke, reach * np.sin(a))], 0.002, 8, 0.0005)
        for a in (0.3, 2.4, 4.5)
    ]
    bulb = ellipsoid("shade", (0, low + 0.5 * (high - low), 0), (0.03, 0.045, 0.03), sides=16)
    return [turned_part("shade", [*wall, *inner], fillet=0.001, sides=72), bulb, *spokes]


DESIGNS: tuple[Design, ...] = (
    Design(
        "floor_lamp_tripod", Kind.FLOOR_LAMP, (0.55, 1.5, 0.5), (0.45, 1.3, 0.4), (0.7, 1.7, 0.65),
        ("shade", "stem"), floor_lamp_tripod,
    ),
)  # fmt: skip
