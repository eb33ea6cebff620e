"""Order, moves and fingerprints of the film."""

import hashlib
import itertools
import random

import pytest

from listing_media_dagster.listing import RoomType
from listing_media_dagster.tour.storyboard import (
    CardClip,
    Shot,
    Titles,
    build_storyboard,
    choose_moves,
    order_for_walkthrough,
)

TITLES = Titles("12 Elm Street, Springfield", "Just listed", "A. Broker", "555 0100")
SIZE = (1920, 1080)


def shot(name: str, room: RoomType = RoomType.UNKNOWN, width: int = 3000, height: int = 2000) -> Shot:
    return Shot(name, hashlib.sha256(name.encode()).hexdigest(), width, height, room)


def home(count: int, seed: int = 0) -> list[Shot]:
    dice = random.Random(seed)
    rooms = [RoomType.EXTERIOR_FRONT, RoomType.LIVING_ROOM, RoomType.KITCHEN, RoomType.BEDROOM, RoomType.BATHROOM]
    return [shot(f"{seed}-{index}", dice.choice(rooms)) for index in range(count)]


def fingerprints(shots: list[Shot], titles: Titles = TITLES, **options) -> list[str]:
    return [segment.fingerprint for segment in build_storyboard(shots, titles, **options).segments]


def test_walk_starts_at_the_front_and_ends_outside():
    rooms = [
        RoomType.YARD,
        RoomType.BATHROOM,
        RoomType.KITCHEN,
        RoomType.BEDROOM,
        RoomType.EXTERIOR_FRONT,
        RoomType.LIVING_ROOM,
        RoomType.DINING_ROOM,
        RoomType.ENTRY,
        RoomType.EXTERIOR_BACK,
    ]
    ordered = [each.room for each in order_for_walkthrough([shot(room, room) for room in rooms])]
    assert ordered == [
        RoomType.EXTERIOR_FRONT,
        RoomType.ENTRY,
        RoomType.LIVING_ROOM,
        RoomType.DINING_ROOM,
        RoomType.KITCHEN,
        RoomType.BEDROOM,
        RoomType.BATHROOM,
        RoomType.YARD,
        RoomType.EXTERIOR_BACK,
    ]


def test_every_room_type_has_its_place():
    shots = [shot(room, room) for room in RoomType]
    assert sorted(order_for_walkthrough(shots), key=str) == sorted(shots, key=str)


def test_photos_of_unknown_rooms_keep_their_order_in_the_middle():
    shots = [shot("c"), shot("yard", RoomType.YARD), shot("a"), shot("front", RoomType.EXTERIOR_FRONT), shot("b")]
    assert [each.photo_id for each in order_for_walkthrough(shots)] == ["front", "c", "a", "b", "yard"]


@pytest.mark.parametrize("seed", range(20))
def test_neighbours_move_differently(seed):
    shots = order_for_walkthrough(home(24, seed))
    moves = choose_moves(shots, SIZE)
    assert all(before is not after for before, after in itertools.pairwise(moves))


def test_moves_are_varied_over_a_film():
    assert len(set(choose_moves(home(24), SIZE))) >= 5


def test_adding_a_photo_leaves_nearly_all_segments_as_they_were():
    new = []
    for seed in range(60):
        shots = home(24, seed)
        before = set(fingerprints(shots))
        position = random.Random(seed).randrange(25)
        added = [*shots[:position], shot(f"new-{seed}", RoomType.BEDROOM), *shots[position:]]
        new.append(len([each for each in fingerprints(added) if each not in before]))
    assert min(new) >= 4, "the two halves of the photo and its two dissolves are new"
    assert sum(new) / len(new) < 5.5
    assert max(new) <= 12


def test_photo_added_at_the_end_leaves_the_one_before_it_as_it_was():
    shots = home(6)
    added = shot("last", RoomType.BATHROOM)
    assert choose_moves([*shots, added], SIZE)[:-1] == choose_moves(shots, SIZE), "no neighbours that clash"
    kept = set(fingerprints(shots)) & set(fingerprints([*shots, added]))
    assert len(kept) == len(fingerprints(shots)) - 1, "only the fade to black goes elsewhere"


def test_no_segment_is_longer_than_two_seconds():
    board = build_storyboard(home(5), TITLES, branded=True, seconds_per_photo=6.0)
    assert max(segment.frames for segment in board.segments) <= 60


def test_renaming_a_photo_or_telling_its_room_better_keeps_its_segments():
    shots = home(6)
    renamed = [Shot(f"other-{each.photo_id}", each.image_sha256, each.width, each.height, each.room) for each in shots]
    assert fingerprints(renamed) == fingerprints(shots)


def test_anything_that_changes_pixels_changes_fingerprints():
    shots = home(3)
    plain = fingerprints(shots)
    edited = [Shot("x", each.image_sha256[::-1], each.width, each.height, each.room) for each in shots]
    assert not set(plain[:-1]) & set(fingerprints(edited)[:-1])  # the last one is black
    assert not set(plain) & set(fingerprints(shots, size=(1280, 720)))
    assert not set(plain) & set(fingerprints(shots, fps=25))
    assert not set(plain[1:-2]) & set(fingerprints(shots, seconds_per_photo=4.0))
    readdressed = fingerprints(shots, Titles("13 Elm Street, Springfield", "Just listed"))
    assert not set(readdressed[:3]) & set(plain[:3]) and readdressed[3:] == plain[3:]


def test_segments_of_one_film_are_all_different():
    names = fingerprints(home(24))
    assert len(set(names)) == len(names)


def test_each_photo_runs_through_all_its_frames_once():
    board = build_storyboard(home(5), TITLES, branded=True)
    for clip in board.clips:
        shown = [
            index
            for segment in board.segments
            for index in range(segment.frames)
            for side, first in ((segment.clip, segment.first_frame), (segment.incoming, 0))
            if side is clip
            for index in [first + index]
        ]
        assert shown == list(range(clip.frames))


def test_pace_is_the_one_asked_for():
    board = {count: build_storyboard(home(count), TITLES, seconds_per_photo=3.0) for count in (4, 14)}
    assert board[14].frames - board[4].frames == 10 * 90
    assert board[4].seconds == board[4].frames / 30


def test_unbranded_film_never_names_the_agent():
    board = build_storyboard(home(2), TITLES)
    said = " ".join(f"{c.kicker} {c.title} {c.detail}" for c in board.clips if isinstance(c, CardClip))
    assert "12 Elm Street" in said and "Broker" not in said and "0100" not in said


def test_branded_film_closes_with_the_agent():
    closing = [c for c in build_storyboard(home(2), TITLES, branded=True).clips if isinstance(c, CardClip)][-1]
    assert (closing.title, closing.detail) == ("A. Broker", "555 0100")


def test_film_without_an_address_opens_from_black():
    board = build_storyboard(home(2), Titles())
    assert not [c for c in board.clips if isinstance(c, CardClip)]
    assert board.segments[0].clip is not board.photo_clips[0]


def test_no_photo_no_film():
    with pytest.raises(ValueError, match="at least one photo"):
        build_storyboard([], TITLES)


def test_odd_frame_size_is_refused():
    with pytest.raises(ValueError, match="even"):
        build_storyboard(home(1), TITLES, size=(1921, 1080))


def test_hurried_pace_is_refused():
    with pytest.raises(ValueError, match="seconds_per_photo"):
        build_storyboard(home(1), TITLES, seconds_per_photo=0.5)
