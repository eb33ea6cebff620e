"""Duplicates: the same picture delivered twice is found, a different picture never is."""

from __future__ import annotations

import hashlib
from datetime import datetime
from itertools import combinations

import cv2
import numpy as np
import pytest

from listing_media_dagster.photo.decode import inspect_photo
from listing_media_dagster.photo.duplicates import find_duplicates, is_near_duplicate
from listing_media_dagster_tests.photo.delivered_files import RGB, SHARED_DATA, encode, exif, expose, radiance

ROOM = expose(radiance(1, (960, 640)), 0)


def duplicates(**files: bytes) -> dict[str, str]:
    facts = {name: inspect_photo(data) for name, data in files.items()}
    return find_duplicates(facts, {name: hashlib.sha256(data).hexdigest() for name, data in files.items()})


def smaller(rgb: RGB) -> RGB:
    return np.asarray(cv2.resize(rgb, (480, 320), interpolation=cv2.INTER_AREA), np.uint8)


def test_the_same_file_twice_keeps_the_first() -> None:
    data = encode(ROOM)
    assert duplicates(first=data, copy=data, again=data) == {"copy": "first", "again": "first"}


@pytest.mark.parametrize(
    "again",
    [
        encode(ROOM, quality=40),
        encode(ROOM, "PNG"),
        encode(ROOM, "WEBP", quality=60),
        encode(smaller(ROOM)),
        encode(expose(radiance(1, (960, 640)), 0.3)),
        encode(np.clip(ROOM * np.array([1.05, 1, 0.93]), 0, 255).astype(np.uint8)),
    ],
    ids=["low quality", "png", "webp", "smaller", "brighter", "warmer"],
)
def test_the_same_frame_saved_again_is_found(again: bytes) -> None:
    assert duplicates(first=encode(ROOM, quality=95), again=again) == {"again": "first"}


def test_the_larger_one_is_kept_and_nothing_points_at_a_duplicate() -> None:
    large, small = encode(ROOM), encode(smaller(ROOM))
    assert duplicates(small=small, copy=small, large=large) == {"small": "large", "copy": "large"}


def test_of_equal_size_the_one_with_its_capture_time_is_kept() -> None:
    told = encode(ROOM, exif=exif(taken=datetime(2026, 5, 4)))
    assert duplicates(stripped=encode(ROOM, quality=90), told=told) == {"stripped": "told"}


def test_bracket_frames_are_no_duplicates() -> None:
    for steps in ((-2, 0, 2), (-0.67, 0, 0.67), (-0.33, 0, 0.33)):
        files = {
            f"f{at}": encode(expose(radiance(2), ev), exif=exif(seconds=0.1 * 2.0**ev)) for at, ev in enumerate(steps)
        }
        assert duplicates(**files) == {}
    assert duplicates(**{f"f{at}": encode(expose(radiance(2), ev)) for at, ev in enumerate((-2, 0, 2))}) == {}


def test_a_moved_chair_or_camera_makes_another_photo() -> None:
    chair = ROOM.copy()
    chair[400:520, 500:600] = (70, 40, 30)
    assert duplicates(first=encode(ROOM), second=encode(chair)) == {}
    assert duplicates(first=encode(ROOM), second=encode(ROOM[:, 60:])) == {}
    assert duplicates(first=encode(ROOM), second=encode(ROOM[:, ::-1])) == {}


def test_blank_pictures_are_not_duplicates_of_each_other() -> None:
    assert (
        duplicates(black=encode(np.zeros((300, 400, 3), np.uint8)), grey=encode(np.full((300, 400, 3), 9, np.uint8)))
        == {}
    )


def test_different_rooms_are_never_duplicates() -> None:
    facts = [inspect_photo(encode(expose(radiance(room), 0))) for room in range(12)]
    assert not any(is_near_duplicate(a, b) for a, b in combinations(facts, 2))


@pytest.mark.skipif(not SHARED_DATA.is_dir(), reason=f"no {SHARED_DATA} on this machine")
def test_no_two_real_photos_are_taken_for_each_other() -> None:
    folders = [SHARED_DATA / name for name in ("listings", "empty_rooms", "cluttered", "brackets")]
    paths = [path for folder in folders for path in sorted(folder.rglob("*.*")) if path.suffix != ".exr"]
    facts = {str(path): inspect_photo(path) for path in paths}
    assert len(facts) >= 28
    assert find_duplicates(facts, {name: name for name in facts}) == {}
