import pytest

from listing_media_dagster.listing import Room, RoomType, StageChoice
from listing_media_dagster.staging.decide import decide_staging
from listing_media_dagster.staging.suitability import Suitability
from listing_media_dagster_tests.test_listing import a_photo

EMPTY = Suitability(None, 0.9, {"exterior": 0.0})
FULL = Suitability("the room is furnished", 0.9, {"exterior": 0.0})
OUTDOORS = Suitability("an exterior", 0.9, {"exterior": 0.8})


def photo_of(room):
    return a_photo(room=Room(type=room, confidence=1.0, decided_by="listing.yaml"))


@pytest.mark.parametrize(
    ("room", "suitability", "choice", "wanted", "because"),
    [
        (RoomType.LIVING_ROOM, EMPTY, {}, True, "an empty room"),
        (RoomType.UNKNOWN, EMPTY, {}, True, "staged as a living room, its type being unknown"),
        (RoomType.LIVING_ROOM, FULL, {}, False, "the room is furnished"),
        (RoomType.UNKNOWN, OUTDOORS, {}, False, "an exterior"),
        (RoomType.KITCHEN, EMPTY, {}, False, "a kitchen is not furnished virtually"),
        (RoomType.EXTERIOR_FRONT, EMPTY, {}, False, "an exterior is never staged"),
        (RoomType.LIVING_ROOM, FULL, {"include": ("Kitchen.JPG",)}, True, "asked for"),
        (RoomType.KITCHEN, EMPTY, {"include": ("Kitchen.JPG",)}, True, "asked for"),
        (RoomType.EXTERIOR_FRONT, EMPTY, {"include": ("Kitchen.JPG",)}, False, "an exterior is never staged"),
        (RoomType.UNKNOWN, OUTDOORS, {"include": ("Kitchen.JPG",)}, False, "an exterior"),
        (RoomType.LIVING_ROOM, EMPTY, {"exclude": ("kitchen-abababab",)}, False, "excluded by the listing"),
        (RoomType.LIVING_ROOM, EMPTY, {"include": ("other.jpg",)}, False, "names other photos"),
    ],
)
def test_what_the_customer_says_wins_over_the_rooms_name_and_that_over_the_pixels(
    room, suitability, choice, wanted, because
):
    decision = decide_staging(photo_of(room), StageChoice(**choice), lambda: suitability)
    assert (decision.wanted, because in decision.reason) == (wanted, True)


def never():
    raise AssertionError("nothing in the pixels can change this decision")


@pytest.mark.parametrize(
    ("room", "choice"),
    [
        (RoomType.KITCHEN, {}),
        (RoomType.YARD, {"include": ("Kitchen.JPG",)}),
        (RoomType.LIVING_ROOM, {"exclude": ("Kitchen.JPG",)}),
        (RoomType.LIVING_ROOM, {"include": ("other.jpg",)}),
    ],
)
def test_pixels_that_can_change_nothing_are_not_looked_at(room, choice):
    assert not decide_staging(photo_of(room), StageChoice(**choice), never).wanted


def test_an_installation_may_stage_only_what_a_listing_names():
    room = photo_of(RoomType.LIVING_ROOM)
    assert not decide_staging(room, StageChoice(), never, only_named=True).wanted
    assert decide_staging(room, StageChoice(include=("Kitchen.JPG",)), lambda: EMPTY, only_named=True).wanted
