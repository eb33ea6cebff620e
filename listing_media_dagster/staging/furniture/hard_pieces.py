"""The library's hard designs."""

from __future__ import annotations

from listing_media_dagster.staging.furniture import (
    chairs,
    desks,
    lamps,
    ornaments,
    plants,
    shelves,
    storage,
    tables,
    toys,
    wall_decor,
)
from listing_media_dagster.staging.furniture.designs import Design

DESIGNS: tuple[Design, ...] = (
    *tables.DESIGNS,
    *chairs.DESIGNS,
    *desks.DESIGNS,
    *storage.DESIGNS,
    *shelves.DESIGNS,
    *lamps.DESIGNS,
    *plants.DESIGNS,
    *wall_decor.DESIGNS,
    *ornaments.DESIGNS,
    *toys.DESIGNS,
)
