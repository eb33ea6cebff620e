"""A camera move with depth: near things travel further, straight edges stay straight, a poor map changes nothing."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from listing_media_dagster.listing import RoomType
from listing_media_dagster.tour.camera import CameraPath, Mat, Move, camera_path
from listing_media_dagster.tour.parallax import (
    AMPLITUDE,
    Relief,
    nearness_of_depth,
    relief_of,
    sample_in_relief,
)
from listing_media_dagster.tour.plates import new_frame, prepare_plate, sample
from listing_media_dagster.tour.render import draw_segment, poster
from listing_media_dagster.tour.storyboard import Titles, build_storyboard
from listing_media_dagster_tests.helpers.box_views import BoxRoom
from listing_media_dagster_tests.tour.film import SIZE, Home, photo

MAT = Mat(0, 0, 960, 540)


@pytest.fixture(scope="module")
def room() -> BoxRoom:
    return BoxRoom.of("03-kitchen.jpg")


def path_over(room: BoxRoom, move: Move) -> CameraPath:
    height, width = room.photo.shape[:2]
    return camera_path(move, width, height, MAT, 4.3)


def luma(room: BoxRoom, path: CameraPath, moment: float, relief: Relief | None) -> np.ndarray:
    plate, frame = prepare_plate(room.photo, path, MAT), new_frame((MAT.width, MAT.height))
    if relief is None:
        sample(plate, path.at(moment), frame, MAT)
    else:
        sample_in_relief(plate, relief, path.at(moment), path.at(0.5), frame, MAT)
    return frame.y.copy()


@pytest.mark.parametrize("move", [Move.PAN_RIGHT, Move.PUSH_IN, Move.DRIFT_UP_LEFT])
def test_halfway_the_photo_is_as_it_was_taken(room: BoxRoom, move: Move) -> None:
    path = path_over(room, move)
    relief = relief_of(room.nearness, room.photo, path)
    assert relief is not None
    flat, deep = (luma(room, path, 0.5, each) for each in (None, relief))
    assert np.abs(flat.astype(int) - deep).max() <= 2
    first = luma(room, path, 0.0, relief).astype(int)
    assert np.abs(first - luma(room, path, 0.0, None)).mean() > 1


def test_what_is_far_travels_less_by_the_amplitude(room: BoxRoom) -> None:
    path = path_over(room, Move.PAN_RIGHT)
    relief = relief_of(room.nearness, room.photo, path)
    flat, deep = luma(room, path, 0.0, None), luma(room, path, 0.0, relief)
    window, wall = (slice(160, 270), slice(560, 720)), (slice(150, 240), slice(120, 260))  # the far corner, a near wall
    shifts = []
    for place in (window, wall):
        template = flat[place]
        where = (slice(place[0].start - 6, place[0].stop + 6), slice(place[1].start - 30, place[1].stop + 30))
        found = cv2.minMaxLoc(cv2.matchTemplate(deep[where], template, cv2.TM_CCOEFF_NORMED))[3]
        shifts.append(abs(found[0] - 30))
    assert shifts[0] > shifts[1] and 3 < shifts[0] <= AMPLITUDE * MAT.width + 1


def test_every_point_is_read_from_inside_the_photo_and_nothing_folds(room: BoxRoom) -> None:
    height, width = room.photo.shape[:2]
    across = np.broadcast_to(np.linspace(0, 255, width, dtype=np.float32)[None, :, None], (height, width, 3))
    ramp = replace(room, photo=np.rint(across).astype(np.uint8))
    for move in (Move.PAN_RIGHT, Move.PUSH_IN, Move.PULL_OUT):
        path = path_over(room, move)
        relief = relief_of(room.nearness, room.photo, path)
        for moment in (0.0, 1.0):
            y = luma(ramp, path, moment, relief).astype(int)
            assert (np.diff(y[:, ::4], axis=1) >= -1).all()  # left stays left of right


def test_neighbouring_frames_differ_little_anywhere(room: BoxRoom) -> None:
    path = path_over(room, Move.PAN_RIGHT)
    relief = relief_of(room.nearness, room.photo, path)
    frames = [luma(room, path, moment, relief).astype(np.float32) for moment in (0.5, 0.508, 0.516)]
    deep = np.abs(frames[0] - 2 * frames[1] + frames[2]).mean()
    flat = [luma(room, path, moment, None).astype(np.float32) for moment in (0.5, 0.508, 0.516)]
    assert deep < 1.5 * np.abs(flat[0] - 2 * flat[1] + flat[2]).mean() + 0.2


def _noise(room: BoxRoom) -> np.ndarray:
    return np.random.default_rng(0).random(room.nearness.shape).astype(np.float32)


def _of_another_photo(room: BoxRoom) -> np.ndarray:
    made_up = room.nearness.copy()
    made_up[260:460, 300:620] = 1.0  # an obstacle that isn't there: the edges behind it would bend
    return made_up


@pytest.mark.parametrize(
    "spoil",
    [
        _noise,
        _of_another_photo,
        lambda room: np.full_like(room.nearness, 0.5),
        lambda room: room.nearness[:, :300],
        lambda room: np.where(room.nearness > 0.9, np.nan, room.nearness),
        lambda room: room.nearness * 100,
        lambda room: room.nearness[None],
    ],
    ids=["noise", "of another photo", "flat", "of another shape", "no numbers", "no nearness", "no map"],
)
def test_a_poor_map_leaves_the_move_flat(room: BoxRoom, spoil) -> None:
    assert relief_of(spoil(room), room.photo, path_over(room, Move.PAN_RIGHT)) is None


def test_a_still_has_no_depth(room: BoxRoom) -> None:
    assert relief_of(room.nearness, room.photo, path_over(room, Move.STILL)) is None


def test_depth_in_millimetres_becomes_nearness() -> None:
    depth = np.array([[1000, 2000], [4000, 0]], np.uint16)
    nearness = nearness_of_depth(depth)
    assert nearness[0, 0] == 1 and nearness[1, 0] == 0 and nearness[1, 1] == 0
    assert nearness[0, 1] == pytest.approx((1 / 2000 - 1 / 4000) / (1 / 1000 - 1 / 4000), abs=0.02)
    assert not nearness_of_depth(np.zeros((3, 3), np.uint16)).any()


def test_a_film_shows_depth_where_a_shot_has_it_and_keeps_what_else_it_had(room: BoxRoom) -> None:
    home = Home(1)
    home.add("kitchen", room.photo)
    shots = [replace(shot, room=RoomType.KITCHEN) for shot in home.shots]
    deep = [replace(shot, nearness_sha256="a" * 64 if shot.photo_id == "kitchen" else "") for shot in shots]
    flat_board, deep_board = (
        build_storyboard(each, Titles(), size=SIZE, seconds_per_photo=1.2) for each in (shots, deep)
    )
    changed = 0
    for flat, other in zip(flat_board.segments, deep_board.segments, strict=True):
        shows = any(
            getattr(getattr(clip, "shot", None), "photo_id", "") == "kitchen" for clip in (flat.clip, flat.incoming)
        )
        assert (flat.fingerprint != other.fingerprint) == shows
        first, second = (
            next(draw_segment(segment, home.load, lambda _: room.nearness)).copy() for segment in (flat, other)
        )
        changed += not np.array_equal(first, second)
        if not shows:
            assert np.array_equal(first, second)
    assert changed
    still = poster(deep_board, home.load, lambda _: photo(3)[..., 0] / np.float32(255))
    assert np.array_equal(still, poster(flat_board, home.load))
