"""From a finish (a surface's name and its colour) to the material the path tracer sees."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache

from listing_media_dagster.path_tracer.materials import Colour, Material
from listing_media_dagster.staging.arrangement import Finish
from listing_media_dagster.staging.furniture import fabrics, hard_surfaces

# name -> f(linear colour, linear accent colour, seed)
SURFACES: Mapping[str, Callable[[Colour, Colour, int], Material]] = {**fabrics.SURFACES, **hard_surfaces.SURFACES}


@lru_cache(maxsize=256)
def material_of(finish: Finish, seed: int = 0) -> Material:
    """Return the material of `finish`. Raises ValueError, naming what there is, if its surface is unknown."""
    if finish.surface not in SURFACES:
        raise ValueError(f"unknown surface {finish.surface!r}; there are {', '.join(sorted(SURFACES))}")
    colour = linear(finish.colour)
    return SURFACES[finish.surface](colour, linear(finish.accent) if finish.accent else colour, seed)


def linear(colour: str) -> Colour:
    """Return the linear reflectance of an sRGB colour such as #d9c7a8."""
    red, green, blue = (_linear(int(colour[i : i + 2], 16) / 255) for i in (1, 3, 5))
    return red, green, blue


def _linear(level: float) -> float:
    return level / 12.92 if level <= 0.04045 else ((level + 0.055) / 1.055) ** 2.4
