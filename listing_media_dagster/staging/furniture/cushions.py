"""Loose cushions, leaning back as they are set on a seat or a bed. Role: cover."""

from __future__ import annotations

from listing_media_dagster.path_tracer.solids import Part, moved
from listing_media_dagster.staging.arrangement import Size
from listing_media_dagster.staging.furniture.shells import fitted
from listing_media_dagster.staging.furniture.soft_solids import leaning, pillow


def cushion(size: Size, seed: int) -> list[Part]:
    """A knife-edged cushion with corded seams; `size` is that of the cushion as it leans."""
    width, height, depth = size
    made = pillow("cover", (width, height, depth * 0.6), seed, 0.07, 0.003, 0.015)
    return fitted(moved(made, leaning(20)), size)
