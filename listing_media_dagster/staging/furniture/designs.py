"""The designs the library can build, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache

from listing_media_dagster.path_tracer.materials import Material
from listing_media_dagster.path_tracer.solids import Part
from listing_media_dagster.staging.arrangement import Size


class Kind(StrEnum):
    """What a piece is for: layouts and kits speak of kinds, designs are how one looks."""

    SOFA = "sofa"
    ARMCHAIR = "armchair"
    POUF = "pouf"
    BED = "bed"
    BENCH = "bench"
    RUG = "rug"
    CURTAINS = "curtains"
    CUSHION = "cushion"
    THROW = "throw"
    COFFEE_TABLE = "coffee_table"
    SIDE_TABLE = "side_table"
    NIGHTSTAND = "nightstand"
    DINING_TABLE = "dining_table"
    CHAIR = "chair"
    DESK = "desk"
    OFFICE_CHAIR = "office_chair"
    SIDEBOARD = "sideboard"
    MEDIA_UNIT = "media_unit"
    BOOKCASE = "bookcase"
    DRESSER = "dresser"
    FLOOR_LAMP = "floor_lamp"
    TABLE_LAMP = "table_lamp"
    PENDANT = "pendant"
    PLANT = "plant"
    ART = "art"
    MIRROR = "mirror"
    VASE = "vase"
    BOOKS = "books"
    TOY = "toy"
    BASKET = "basket"


@dataclass(frozen=True)
class Design:
    """One way a kind of furniture looks.

    `size` is its usual width, height, depth in m, `smallest` and `largest` what it may be scaled to.
    `build(size, seed)` returns its parts in the piece's own frame (see `arrangement.PlacedPiece`); the material of
    each part is one of `roles`. Roles in `materials` bring their own where no finish is given, as users' pieces do.
    """

    name: str
    kind: Kind
    size: Size
    smallest: Size
    largest: Size
    roles: tuple[str, ...]
    build: Callable[[Size, int], list[Part]]
    materials: Mapping[str, Material] = field(default_factory=dict, hash=False)


@cache
def library() -> Mapping[str, Design]:
    """Return every built-in design by name. Raises ValueError if two share a name."""
    from listing_media_dagster.staging.furniture import hard_pieces, soft_pieces

    designs = (*soft_pieces.DESIGNS, *hard_pieces.DESIGNS)
    by_name = {design.name: design for design in designs}
    if len(by_name) != len(designs):
        raise ValueError("two furniture designs share a name")
    return by_name
