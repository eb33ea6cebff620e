"""Wood, metal, stone, glass, ceramics, lacquer and leaves."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from listing_media_dagster.path_tracer.materials import Colour, Material

SURFACES: Mapping[str, Callable[[Colour, Colour, int], Material]] = {}
