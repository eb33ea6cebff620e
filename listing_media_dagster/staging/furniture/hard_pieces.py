"""The library's hard designs."""

from __future__ import annotations

from listing_media_dagster.staging.furniture.designs import Design

DESIGNS: tuple[Design, ...] = ()
