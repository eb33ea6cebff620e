"""Rooms named by file names: said as facts only where the name says them."""

from __future__ import annotations

import pytest

from listing_media_dagster.listing import RoomType
from listing_media_dagster.photo.room_type import room_from_file_name

NAMED = {
    "42_frontal.jpg": RoomType.EXTERIOR_FRONT,
    "exterior-front-2.jpg": RoomType.EXTERIOR_FRONT,
    "front of house.HEIC": RoomType.EXTERIOR_FRONT,
    "Back of house.jpg": RoomType.EXTERIOR_BACK,
    "rear-elevation.png": RoomType.EXTERIOR_BACK,
    "drone-03.jpg": RoomType.AERIAL,
    "Foyer_1.jpg": RoomType.ENTRY,
    "upstairs_hallway.jpg": RoomType.HALLWAY,
    "staircase.jpg": RoomType.STAIRS,
    "LivingRoom.jpg": RoomType.LIVING_ROOM,
    "living_room_01.HEIC": RoomType.LIVING_ROOM,
    "swd_empty_livingroom_4.jpg": RoomType.LIVING_ROOM,
    "lounge.webp": RoomType.LIVING_ROOM,
    "living-room-2-view.jpg": RoomType.LIVING_ROOM,
    "loft.jpg": RoomType.FAMILY_ROOM,
    "den.jpg": RoomType.FAMILY_ROOM,
    "1_dining.JPG": RoomType.DINING_ROOM,
    "kitchen-2.jpg": RoomType.KITCHEN,
    "KITCHEN.JPG": RoomType.KITCHEN,
    "kitchen_to_living.jpg": RoomType.KITCHEN,
    "123-front-street-kitchen.jpg": RoomType.KITCHEN,
    "kitchen/IMG_2.jpg": RoomType.KITCHEN,
    "kitchen\\IMG_2.jpg": RoomType.KITCHEN,
    "03_Primary-Bedroom_HDR.jpg": RoomType.PRIMARY_BEDROOM,
    "master bed.jpg": RoomType.PRIMARY_BEDROOM,
    "Owner's suite.jpg": RoomType.PRIMARY_BEDROOM,
    "bedroom2.jpeg": RoomType.BEDROOM,
    "3rd-bedroom.jpg": RoomType.BEDROOM,
    "BR2.jpg": RoomType.BEDROOM,
    "nursery.jpg": RoomType.CHILDRENS_ROOM,
    "MasterBath2.jpg": RoomType.PRIMARY_BATHROOM,
    "ensuite.jpg": RoomType.PRIMARY_BATHROOM,
    "044_bathroom.jpg": RoomType.BATHROOM,
    "hall-bath.jpg": RoomType.BATHROOM,
    "wc.jpg": RoomType.BATHROOM,
    "home-office.jpg": RoomType.HOME_OFFICE,
    "laundry room.jpg": RoomType.LAUNDRY,
    "masterbedroom_closet.jpg": RoomType.CLOSET,
    "basement.jpg": RoomType.BASEMENT,
    "garage-interior.jpg": RoomType.GARAGE,
    "master-bedroom-balcony.jpg": RoomType.BALCONY,
    "patio.jpg": RoomType.PATIO,
    "back-deck.jpg": RoomType.DECK,
    "swimming pool.jpg": RoomType.POOL,
    "backyard.jpg": RoomType.YARD,
    "back-yard.jpg": RoomType.YARD,
    "view-from-deck.jpg": RoomType.VIEW,
    "pool_view.jpg": RoomType.VIEW,
    "1st-floor-plan.png": RoomType.FLOOR_PLAN,
}


@pytest.mark.parametrize(("name", "room"), NAMED.items())
def test_named_room_is_recognised(name: str, room: RoomType) -> None:
    found = room_from_file_name(name)
    assert found.type == room
    assert found.decided_by == "file name"
    assert found.confidence > 0.5


@pytest.mark.parametrize(
    "name",
    [
        "IMG_1234.jpg", "DSC00042.ARW", "PXL_20260101_123456789.jpg", "DJI_0042.jpg", "bedford-7.jpg",
        "bedford-rd-3.jpg",
        "masterful.jpg", "kitchener-ontario.jpg", "12-back-lane.jpg", "garden-court-12.jpg", "12 Garden Road/IMG_1.jpg",
        "lakeview-dr-1.jpg", "ev+0.jpg", "fvs_property_before1.jpg", "viewpoint-homes-3.jpg", "", ".jpg", "图像.jpg",
    ],
)  # fmt: skip
def test_name_that_names_no_room_decides_nothing(name: str) -> None:
    found = room_from_file_name(name)
    assert (found.type, found.confidence, found.decided_by) == (RoomType.UNKNOWN, 0.0, "nobody")


def test_a_vague_name_is_less_sure() -> None:
    assert room_from_file_name("exterior.jpg").confidence < 0.9 < room_from_file_name("front.jpg").confidence
