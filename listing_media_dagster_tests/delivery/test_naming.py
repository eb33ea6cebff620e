from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listing_media_dagster.delivery.archive import check_name
from listing_media_dagster.delivery.naming import OPENING_ROOMS, PackageItem, plan_items, room_words
from listing_media_dagster.listing import WALK_ORDER, Operation, OperationName, Photo, RoomType
from listing_media_dagster_tests.delivery.sample import BALANCED, FAILED, STAGED, photo

R = RoomType


def stems(*photos: Photo) -> list[str]:
    return [item.stem for item in plan_items(photos, "L1")]


def test_the_front_comes_first_and_then_a_walk_through_the_home() -> None:
    photos = [photo("a", R.YARD), photo("b", R.KITCHEN), photo("c", R.EXTERIOR_FRONT), photo("d", R.LIVING_ROOM)]
    assert stems(*photos) == ["01-front-exterior-L1", "02-living-room-L1", "03-kitchen-L1", "04-yard-L1"]


def test_photos_of_one_kind_keep_their_order() -> None:
    photos = [
        photo(name, room) for name, room in (("x", R.BEDROOM), ("b", R.UNKNOWN), ("a", R.BEDROOM), ("c", R.UNKNOWN))
    ]
    assert [item.photo.photo_id for item in plan_items(photos, "L1")] == ["x", "a", "b", "c"]


def test_an_altered_photo_is_named_so_and_followed_by_its_original() -> None:
    items = plan_items([photo("a", R.LIVING_ROOM, altered=True), photo("b", R.EXTERIOR_FRONT)], "L1")
    assert [item.stem for item in items] == [
        "01-front-exterior-L1",
        "02-living-room-L1-virtually-staged",
        "03-living-room-L1",
    ]
    front, altered, original = items
    assert (altered.pair, original.pair, front.pair) == (original.stem, altered.stem, None)
    assert altered.image.key == "a altered" and original.image.key == "a"
    assert altered.operations == (BALANCED, STAGED) and original.operations == (BALANCED,)


def test_other_alterations_are_named_digitally_altered() -> None:
    sky = Operation(name=OperationName.SKY_REPLACEMENT, version="1")
    items = plan_items([photo("a", R.KITCHEN), photo("b", R.YARD, altered=True, operations=(BALANCED, sky))], "L1")
    assert items[1].stem.endswith("-digitally-altered")


def test_a_rejected_alteration_is_delivered_as_its_original_alone() -> None:
    (item,) = plan_items([photo("a", R.LIVING_ROOM, altered=True, verdicts=(FAILED,))], "L1")
    assert (item.stem, item.shows, item.image.key) == ("01-living-room-L1", "photo", "a")
    assert item.operations == (BALANCED,)


def test_a_photo_with_nothing_publishable_is_left_out() -> None:
    assert stems(photo("a", R.KITCHEN, verdicts=(FAILED,))) == []


def test_an_altered_front_does_not_open_the_listing() -> None:
    front = photo("a", R.EXTERIOR_FRONT, altered=True)
    assert [item.shows for item in plan_items([front, photo("b", R.KITCHEN)], "L1")] == ["original", "altered", "photo"]
    items = plan_items([front, photo("b", R.KITCHEN), photo("c", R.EXTERIOR_BACK)], "L1")
    assert [item.photo.photo_id for item in items] == ["c", "a", "a", "b"]
    assert [item.shows for item in items] == ["photo", "altered", "original", "photo"]


def test_more_than_99_photos_still_sort_by_name() -> None:
    names = stems(*(photo(f"p{n}") for n in range(120)))
    assert names == sorted(names) and names[0].startswith("001-")


rooms = st.sampled_from(list(RoomType))


@given(st.lists(st.tuples(rooms, st.sampled_from(["plain", "altered", "failed", "withheld"])), max_size=12))
def test_every_order_is_publishable(kinds: list[tuple[RoomType, str]]) -> None:
    photos = [
        photo(
            f"p{n}",
            room,
            altered=kind in ("altered", "failed"),
            verdicts=(FAILED,) if kind in ("failed", "withheld") else (),
        )
        for n, (room, kind) in enumerate(kinds)
    ]
    items = plan_items(photos, "Home_7")
    names = [check_name(f"{item.stem}.jpg") for item in items]
    assert names == sorted(set(names))
    assert [item.order for item in items] == list(range(len(items)))
    assert {item.photo.photo_id for item in items} == {p.photo_id for p in photos if p.publishable_image}
    assert not items or items[0].shows != "altered"
    if any(p.room.type in OPENING_ROOMS and p.publishable_image and not p.publishes_altered for p in photos):
        assert items[0].photo.room.type in OPENING_ROOMS
    for item in items:
        if item.shows == "altered":
            assert is_original_of(
                items[item.order + 1] if item.order != 1 or items[0].shows != "original" else items[0], item
            )


def is_original_of(other: PackageItem, altered: PackageItem) -> bool:
    return other.shows == "original" and other.photo == altered.photo and other.pair == altered.stem


@pytest.mark.parametrize("room", RoomType)
def test_every_room_has_words_and_a_place_in_the_walk(room: RoomType) -> None:
    assert WALK_ORDER.count(room) == 1
    assert room_words(room)[0].isupper()
