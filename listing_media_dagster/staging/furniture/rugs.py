"""Rugs: pile with a rounded edge. Roles: pile, and border where a rug has one apart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from listing_media_dagster.path_tracer.solids import Part
from listing_media_dagster.staging.arrangement import Size
from listing_media_dagster.staging.furniture.soft_solids import fitted, lumps, rounded_box


def plain_rug(size: Size, seed: int) -> list[Part]:
    """A rectangular rug whose texture repeats in metres."""
    width, thick, depth = size
    shell = rounded_box((width, thick, depth), thick * 0.48, 0.08)
    wavy = shell.points.copy()
    wavy[:, 1] += 0.0015 * lumps(shell.points[:, [0, 2]], seed, 0.5) * (wavy[:, 1] > 0)
    wavy[:, [0, 2]] *= 1 + 0.002 * lumps(shell.points[:, [0, 2]], seed + 1, 0.8)[:, None]
    return fitted([replace(shell, points=np.asarray(wavy)).part("pile")], size)
