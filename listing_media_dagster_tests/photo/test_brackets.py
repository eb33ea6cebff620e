"""Bracket grouping: which frames become one photo, and above all which don't."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from pathlib import Path

import cv2
import numpy as np
import pytest

from listing_media_dagster.photo.brackets import group_brackets
from listing_media_dagster.photo.decode import IntakeLimits, inspect_photo
from listing_media_dagster.photo.metadata import PhotoFacts
from listing_media_dagster_tests.photo.delivered_files import RGB, SHARED_DATA, encode, exif, expose, radiance

NOON = datetime(2026, 5, 4, 12, 0, 0)
needs_shared_data = pytest.mark.skipif(not SHARED_DATA.is_dir(), reason=f"no {SHARED_DATA} on this machine")


def shot(room: int, ev: float, at: float | None = None, *, told: bool = True, shift: float = 0.0) -> PhotoFacts:
    """A frame of `room`, `at` seconds after noon; `told` = with camera settings in its EXIF."""
    rgb = moved(expose(radiance(room), ev, seed=int(ev * 10) % 97), shift)
    seconds = 0.1 * 2.0**ev if told else None
    taken = None if at is None else NOON + timedelta(seconds=at)
    return inspect_photo(encode(rgb, exif=exif(seconds=seconds, taken=taken)))


def moved(rgb: RGB, share: float) -> RGB:
    """Shift sideways, as a hand-held camera does between frames."""
    matrix = np.array([[1, 0, share * rgb.shape[1]], [0, 1, share * rgb.shape[0] / 2]])
    return np.asarray(cv2.warpAffine(rgb, matrix, rgb.shape[1::-1], borderMode=cv2.BORDER_REFLECT), np.uint8)


def test_three_exposures_of_one_room_are_a_set_ordered_dark_to_bright() -> None:
    facts = {"a": shot(1, 0, 0), "b": shot(1, -2, 1), "c": shot(1, 2, 2)}
    (bracket,) = group_brackets(facts)
    assert bracket.ids == ("b", "a", "c")
    assert bracket.exposures_ev == pytest.approx((-2, 0, 2), abs=0.02)
    assert bracket.reference == "a"
    assert bracket.group == "bracket-a"


def test_five_sets_in_a_row_are_separated() -> None:
    facts = {}
    for room in range(5):
        for at, ev in enumerate((0, -2, 2)):
            facts[f"img-{room * 3 + at + 1}"] = shot(room, ev, 4 * room + at)
    sets = group_brackets(facts)
    assert [set(bracket.ids) for bracket in sets] == [{f"img-{room * 3 + k}" for k in (1, 2, 3)} for room in range(5)]


def test_the_same_view_bracketed_twice_is_two_sets() -> None:
    facts = {f"img-{at + 1}": shot(3, ev, at) for at, ev in enumerate((0, -2, 2, 0, -2, 2))}
    assert [set(b.ids) for b in group_brackets(facts)] == [{"img-1", "img-2", "img-3"}, {"img-4", "img-5", "img-6"}]


def test_frames_of_one_second_are_taken_in_the_order_of_their_numbers() -> None:
    facts = {
        f"img-{number}": shot(room, ev, 0.0)
        for number, (room, ev) in enumerate(((1, 0), (1, -2), (1, 2), (2, 0), (2, -2), (2, 2)), start=8)
    }
    sets = group_brackets(dict(sorted(facts.items())))
    assert {frozenset(bracket.ids) for bracket in sets} == {
        frozenset({"img-8", "img-9", "img-10"}),
        frozenset({"img-11", "img-12", "img-13"}),
    }


def test_hand_held_frames_are_still_a_set() -> None:
    facts = {"a": shot(4, 0, 0), "b": shot(4, -2, 1, shift=0.01), "c": shot(4, 2, 2, shift=-0.007)}
    assert [bracket.ids for bracket in group_brackets(facts)] == [("b", "a", "c")]


def test_ordinary_shots_one_after_the_other_are_left_alone() -> None:
    different_rooms = {f"img-{room}": shot(room, ev, 2.0 * room) for room, ev in enumerate((0, -1, 0.5, -0.5, 1))}
    assert group_brackets(different_rooms) == []
    same_exposure = {f"img-{at}": shot(6, 0, 2.0 * at) for at in range(4)}
    assert group_brackets(same_exposure) == []
    turned_camera = {f"img-{at}": shot(6, ev, 2.0 * at, shift=0.12 * at) for at, ev in enumerate((0, 1, -1))}
    assert group_brackets(turned_camera) == []


def test_a_frame_too_bright_to_show_anything_belongs_to_the_set_it_was_taken_in() -> None:
    facts = {f"img-{at}": shot(1, ev, at) for at, ev in enumerate((0, -3, 3, 8))}
    facts |= {f"img-{at}": shot(2, ev, at) for at, ev in enumerate((-1, -4, 2), start=4)}
    sets = group_brackets(facts)
    assert [bracket.ids for bracket in sets] == [("img-1", "img-0", "img-2", "img-3"), ("img-5", "img-4", "img-6")]


def test_other_light_under_another_setting_is_no_bracket() -> None:
    """Lamps switched on between the shots: the camera exposes less, the picture looks as bright."""
    light = expose(radiance(7), 0)
    facts = {
        name: inspect_photo(encode(light, exif=exif(seconds=0.1 * 2.0**ev, taken=NOON + timedelta(seconds=ev))))
        for name, ev in (("a", 0), ("b", 2), ("c", 4))
    }
    assert group_brackets(facts) == []


def test_frames_minutes_apart_are_left_alone() -> None:
    facts = {"a": shot(1, 0, 0), "b": shot(1, -2, 120), "c": shot(1, 2, 240)}
    assert group_brackets(facts) == []


def test_long_exposures_may_follow_slowly() -> None:
    facts = {}
    for at, (start, seconds) in enumerate(((0, 2), (5, 8), (20, 30))):
        rgb = expose(radiance(2), 2.0 * at - 2)
        facts[f"img-{at}"] = inspect_photo(
            encode(rgb, exif=exif(seconds=seconds, taken=NOON + timedelta(seconds=start)))
        )
    assert len(group_brackets(facts)) == 1


def test_two_cameras_at_once_are_told_apart() -> None:
    facts = {}
    for at, ev in enumerate((0, -2, 2)):
        for room, model in ((1, "EOS R5"), (2, "Z 8")):
            data = encode(
                expose(radiance(room), ev),
                exif=exif(seconds=0.1 * 2.0**ev, taken=NOON + timedelta(seconds=at + room / 10), model=model),
            )
            facts[f"{model} {at}"] = inspect_photo(data)
    assert sorted(sorted(bracket.ids) for bracket in group_brackets(facts)) == [
        ["EOS R5 0", "EOS R5 1", "EOS R5 2"],
        ["Z 8 0", "Z 8 1", "Z 8 2"],
    ]


def test_frames_without_exif_are_grouped_by_what_they_show() -> None:
    facts = {f"r{room}{ev:+d}": shot(room, ev, told=False) for room in (1, 2) for ev in (-2, 0, 2)}
    sets = group_brackets(facts)
    assert [bracket.ids for bracket in sets] == [("r1-2", "r1+0", "r1+2"), ("r2-2", "r2+0", "r2+2")]
    for bracket in sets:
        assert bracket.exposures_ev == pytest.approx((-2, 0, 2), abs=0.3)


def test_without_exif_a_pair_or_small_steps_are_left_alone() -> None:
    assert group_brackets({"photo": shot(1, 0, told=False), "brighter": shot(1, 2, told=False)}) == []
    edits = {name: shot(1, ev, told=False) for name, ev in (("photo", 0), ("edit", 0.3), ("final", 0.6))}
    assert group_brackets(edits) == []
    rooms = {f"r{room}": shot(room, room - 2, told=False) for room in range(5)}
    assert group_brackets(rooms) == []


def test_hundred_frames_take_less_than_five_seconds() -> None:
    rooms = {(room, ev): shot(room, ev) for room in range(5) for ev in (-4, -2, 0, 2, 4)}
    untold = {f"{k}-{r}{e}": f for k in range(4) for (r, e), f in rooms.items()}
    began = time.process_time()
    group_brackets(untold)
    assert time.process_time() - began < 5


@needs_shared_data
def test_real_bracket_with_exif_is_grouped() -> None:
    assert _grouped(SHARED_DATA / "brackets" / "frobisher") == [("IMG_2600", "IMG_2601", "IMG_2602")]


@needs_shared_data
def test_bracket_rendered_from_radiance_is_grouped_without_exif() -> None:
    assert _grouped(SHARED_DATA / "brackets" / "kitchen_rendered") == [("ev-4", "ev-2", "ev+0", "ev+2", "ev+4")]


@needs_shared_data
def test_no_two_real_photos_of_different_views_are_grouped() -> None:
    folders = [SHARED_DATA / name for name in ("listings", "empty_rooms", "cluttered")]
    facts = {str(path): inspect_photo(path) for folder in folders for path in sorted(folder.rglob("*.*"))}
    assert len(facts) >= 20
    assert group_brackets(facts) == []


def _grouped(folder: Path) -> list[tuple[str, ...]]:
    facts = {path.stem: inspect_photo(path, IntakeLimits()) for path in sorted(folder.glob("*.jpg"))}
    return [bracket.ids for bracket in group_brackets(facts)]
