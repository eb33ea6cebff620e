"""Fabrics and leather: weaves, pile and grain as tileable textures."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from listing_media_dagster.path_tracer.materials import Colour, Material

SURFACES: Mapping[str, Callable[[Colour, Colour, int], Material]] = {}
