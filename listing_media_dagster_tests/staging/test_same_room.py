"""Which photos show the same room: by the listing's word, by their names, else by their looks."""

import cv2
import numpy as np
import pytest

from listing_media_dagster.listing import Room, RoomType, SourceFile
from listing_media_dagster.staging.same_room import (
    group_same_rooms,
    looks_of,
    pieces_seed_of,
    room_name,
    show_the_same_room,
)
from listing_media_dagster_tests.test_listing import DIGEST, a_photo

LIVING_ROOM = Room(type=RoomType.LIVING_ROOM, confidence=0.95, decided_by="file name")
BEDROOM = Room(type=RoomType.BEDROOM, confidence=0.95, decided_by="file name")


UNKNOWN = Room()


def named(file, room=UNKNOWN):
    return a_photo(photo_id=file, sources=(SourceFile(name=file, key="k.jpg", sha256=DIGEST),), room=room)


def never(first, second):
    raise AssertionError(f"{first.photo_id} and {second.photo_id} needn't be looked at")


@pytest.mark.parametrize(
    ("file", "room", "name"),
    [
        ("living-room-1.jpg", LIVING_ROOM, "living room"),
        ("07_Living Room_2.JPG", LIVING_ROOM, "living room"),
        ("livingroom-b.jpg", LIVING_ROOM, "livingroom"),
        ("bedroom-1.jpg", BEDROOM, "bedroom 1"),
        ("bedroom-2-1.jpg", BEDROOM, "bedroom 2"),
        ("IMG_1234.jpg", UNKNOWN, None),
    ],
)
def test_a_room_is_called_as_its_file_without_the_number_of_the_view(file, room, name):
    assert room_name(named(file, room)) == name


def test_views_named_after_one_room_belong_together_and_two_bedrooms_do_not():
    photos = [named(f"living-room-{n}.jpg", LIVING_ROOM) for n in (1, 2)]
    photos += [named(f"bedroom-{n}.jpg", BEDROOM) for n in (1, 2)]
    rooms = group_same_rooms(photos, (), never)
    assert rooms["living-room-2.jpg"] == "living-room-1.jpg"
    assert rooms["bedroom-2.jpg"] == "bedroom-2.jpg"


def test_the_listing_may_say_what_belongs_together_whatever_the_names():
    photos = [named("bedroom-1.jpg", BEDROOM), named("IMG_2.jpg"), named("bedroom-2.jpg", BEDROOM)]
    rooms = group_same_rooms(photos, [["bedroom-1.jpg", "IMG_2.jpg"]], never)
    assert rooms == {"bedroom-1.jpg": "bedroom-1.jpg", "IMG_2.jpg": "bedroom-1.jpg", "bedroom-2.jpg": "bedroom-2.jpg"}


def test_photos_whose_names_say_nothing_are_looked_at():
    photos = [named(f"IMG_{n}.jpg") for n in (1, 2, 3)]
    rooms = group_same_rooms(
        photos, (), lambda first, second: {first.photo_id, second.photo_id} == {"IMG_1.jpg", "IMG_3.jpg"}
    )
    assert rooms == {"IMG_1.jpg": "IMG_1.jpg", "IMG_2.jpg": "IMG_2.jpg", "IMG_3.jpg": "IMG_1.jpg"}


def wall_with_details(seed):
    """A wall full of details over a plain floor, uint8 (480, 640, 3)."""
    details = np.random.default_rng(seed).integers(0, 255, (60, 80, 3), np.uint8)
    room = cv2.resize(details, (640, 480), interpolation=cv2.INTER_CUBIC)
    room[390:] = (150, 120, 90)
    return room


def test_two_views_of_one_room_look_alike_and_two_rooms_do_not():
    room = wall_with_details(1)
    turned = cv2.warpPerspective(
        room,
        np.array([[1.05, 0.04, -60], [0.02, 1.02, -5], [8e-5, 2e-5, 1]]),
        (640, 480),
        borderMode=cv2.BORDER_REFLECT,
    )
    assert show_the_same_room(looks_of(room), looks_of(turned))
    assert not show_the_same_room(looks_of(room), looks_of(wall_with_details(2)))


def test_a_bare_white_picture_shows_no_room_in_particular():
    blank = looks_of(np.full((300, 400, 3), 255, np.uint8))
    assert not show_the_same_room(blank, blank)


def test_two_homes_living_rooms_are_furnished_differently_and_each_always_alike() -> None:
    seeds = [pieces_seed_of(room) for room in ("elm-street/living room", "oak-lane/living room", "dsc-0412-1a2b")]
    assert len(set(seeds)) == 3
    assert seeds[0] == pieces_seed_of("elm-street/living room")
    assert all(0 <= seed < 2**32 for seed in seeds)
