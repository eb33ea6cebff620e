import numpy as np
import pytest

from listing_media_dagster.listing import Room, RoomType, StageChoice
from listing_media_dagster.staging.decide import decide_staging
from listing_media_dagster.staging.emptiness import measure_furnishing
from listing_media_dagster_tests.test_listing import a_photo

BARE, FULL = 0.05, 0.95


def photo_of(room):
    return a_photo(room=Room(type=room, confidence=1.0, decided_by="listing.yaml"))


@pytest.mark.parametrize(
    ("room", "furnishing", "choice", "wanted", "because"),
    [
        (RoomType.LIVING_ROOM, BARE, {}, True, "an empty room"),
        (RoomType.UNKNOWN, BARE, {}, True, "an empty room"),
        (RoomType.LIVING_ROOM, FULL, {}, False, "furnished or cluttered"),
        (RoomType.KITCHEN, BARE, {}, False, "a kitchen is not furnished virtually"),
        (RoomType.EXTERIOR_FRONT, BARE, {}, False, "an exterior is never staged"),
        (RoomType.LIVING_ROOM, FULL, {"include": ("Kitchen.JPG",)}, True, "asked for"),
        (RoomType.EXTERIOR_FRONT, BARE, {"include": ("Kitchen.JPG",)}, False, "an exterior is never staged"),
        (RoomType.LIVING_ROOM, BARE, {"exclude": ("kitchen-abababab",)}, False, "excluded by the listing"),
        (RoomType.LIVING_ROOM, BARE, {"include": ("other.jpg",)}, False, "names other photos"),
    ],
)
def test_what_the_customer_says_wins_over_what_was_measured(room, furnishing, choice, wanted, because):
    decision = decide_staging(photo_of(room), StageChoice(**choice), furnishing)
    assert (decision.wanted, because in decision.reason) == (wanted, True)


def test_a_bare_wall_is_empty_and_a_room_full_of_colours_and_shapes_is_not():
    assert measure_furnishing(np.full((400, 600, 3), 200, np.uint8)) < 0.1
    clutter = np.random.default_rng(3).integers(0, 255, (20, 30, 3), np.uint8).repeat(20, 0).repeat(20, 1)
    turned = np.ascontiguousarray(
        np.clip(clutter + np.indices((400, 600)).sum(0)[..., None] % 50, 0, 255).astype(np.uint8)
    )
    assert measure_furnishing(turned) > 0.9
