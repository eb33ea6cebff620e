"""What a photo can show, and in which order a visitor sees it."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import Field

from listing_media_dagster.listing.noun import Noun


class RoomType(StrEnum):
    """What a photo shows. RESO `ImageOf` strings are derived from these in `disclosure`."""

    EXTERIOR_FRONT = "exterior_front"
    EXTERIOR_BACK = "exterior_back"
    EXTERIOR_SIDE = "exterior_side"
    AERIAL = "aerial"
    ENTRY = "entry"
    HALLWAY = "hallway"
    STAIRS = "stairs"
    LIVING_ROOM = "living_room"
    FAMILY_ROOM = "family_room"
    DINING_ROOM = "dining_room"
    KITCHEN = "kitchen"
    PRIMARY_BEDROOM = "primary_bedroom"
    BEDROOM = "bedroom"
    CHILDRENS_ROOM = "childrens_room"
    PRIMARY_BATHROOM = "primary_bathroom"
    BATHROOM = "bathroom"
    HOME_OFFICE = "home_office"
    LAUNDRY = "laundry"
    CLOSET = "closet"
    BASEMENT = "basement"
    ATTIC = "attic"
    GARAGE = "garage"
    BALCONY = "balcony"
    PATIO = "patio"
    DECK = "deck"
    POOL = "pool"
    YARD = "yard"
    VIEW = "view"
    FLOOR_PLAN = "floor_plan"
    OTHER = "other"
    UNKNOWN = "unknown"


EXTERIORS = frozenset(
    {
        RoomType.EXTERIOR_FRONT,
        RoomType.EXTERIOR_BACK,
        RoomType.EXTERIOR_SIDE,
        RoomType.AERIAL,
        RoomType.BALCONY,
        RoomType.PATIO,
        RoomType.DECK,
        RoomType.POOL,
        RoomType.YARD,
        RoomType.VIEW,
    }
)


# A visit: in from the front, day rooms, bedrooms, the rest, outside again. Photo lists and films follow it.
WALK_ORDER = (
    RoomType.EXTERIOR_FRONT,
    RoomType.ENTRY,
    RoomType.HALLWAY,
    RoomType.LIVING_ROOM,
    RoomType.FAMILY_ROOM,
    RoomType.DINING_ROOM,
    RoomType.KITCHEN,
    RoomType.STAIRS,
    RoomType.PRIMARY_BEDROOM,
    RoomType.PRIMARY_BATHROOM,
    RoomType.BEDROOM,
    RoomType.CHILDRENS_ROOM,
    RoomType.BATHROOM,
    RoomType.HOME_OFFICE,
    RoomType.CLOSET,
    RoomType.LAUNDRY,
    RoomType.ATTIC,
    RoomType.BASEMENT,
    RoomType.OTHER,
    RoomType.UNKNOWN,
    RoomType.GARAGE,
    RoomType.BALCONY,
    RoomType.DECK,
    RoomType.PATIO,
    RoomType.POOL,
    RoomType.YARD,
    RoomType.EXTERIOR_BACK,
    RoomType.EXTERIOR_SIDE,
    RoomType.VIEW,
    RoomType.AERIAL,
    RoomType.FLOOR_PLAN,
)


class Room(Noun):
    """What the photo shows, how sure that is (0..1), and who said so."""

    type: RoomType = RoomType.UNKNOWN
    confidence: float = Field(default=0.0, ge=0.0, le=1.0)
    decided_by: Literal["listing.yaml", "file name", "CLIP", "nobody"] = "nobody"
