"""Laying a model's picture over what it was given."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from listing_media_dagster.models.model import EditRequest
from listing_media_dagster.staging.registration import Misregistered, laid_over
from listing_media_dagster_tests.helpers.stand_in_editors import drifted

ROOM = Path(__file__).parent / "judged_rooms" / "empty_with_tiled_floor.jpg"


def photo(scale: float = 0.6) -> NDArray[np.uint8]:
    picture = cv2.imread(str(ROOM), cv2.IMREAD_COLOR_RGB)
    assert picture is not None
    return np.asarray(cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)


GIVEN = photo()
EVERYWHERE = np.ones(GIVEN.shape[:2], bool)


def moved(px: tuple[float, float], zoom: float, tone: float = 1.0) -> NDArray[np.uint8]:
    return drifted(lambda request: request.image, px, zoom, tone)(EditRequest(GIVEN, "", 0))


@settings(max_examples=8, deadline=None)
@given(x=st.floats(-9, 9), y=st.floats(-9, 9), zoom=st.floats(0.97, 1.04), tone=st.floats(0.9, 1.1))
def test_any_small_drift_is_found_and_undone(x: float, y: float, zoom: float, tone: float) -> None:
    laid, valid, shift = laid_over(moved((x, y), zoom, tone), GIVEN, EVERYWHERE)
    px, found_zoom, turn = shift.at(GIVEN.shape[1::-1])
    assert px == pytest.approx(float(np.hypot(x, y)), abs=0.25)
    assert found_zoom == pytest.approx(zoom, abs=0.0008) and abs(turn) < 0.05
    inner = valid.copy()
    inner[:20], inner[-20:], inner[:, :20], inner[:, -20:] = False, False, False, False
    bright = GIVEN.max(axis=2) > 225  # burnt out in the drifted copy
    assert np.abs(laid.astype(int) - GIVEN)[inner & ~bright].mean() < 4


def test_a_picture_that_lies_right_is_not_resampled() -> None:
    laid, valid, shift = laid_over(GIVEN, GIVEN, EVERYWHERE)
    assert np.array_equal(laid, GIVEN) and valid.all() and shift.points > 100


def test_what_may_differ_takes_no_part_in_the_search() -> None:
    where = EVERYWHERE.copy()
    where[60:150, 80:190] = False
    drawn = moved((5.0, 0.0), 1.0)
    drawn[70:140, 90:180] = np.random.default_rng(0).integers(0, 255, (70, 90, 3), np.uint8)
    _, _, shift = laid_over(drawn, GIVEN, where)
    assert shift.at(GIVEN.shape[1::-1])[0] == pytest.approx(5.0, abs=0.2)


def test_a_zoom_that_moves_nothing_by_a_pixel_is_no_bent_view() -> None:
    """In a small picture the furniture's surroundings are few, and what is found by them is off by a little."""
    base = cv2.imread(str(Path(__file__).parent / "rendered_rooms" / "sunless.jpg"), cv2.IMREAD_COLOR_RGB)
    assert base is not None
    small = np.asarray(cv2.resize(base, (128, 96), interpolation=cv2.INTER_AREA), np.uint8)
    for seed in range(60):
        rng = np.random.default_rng(seed)
        where = np.ones((96, 128), bool)
        x, y = int(rng.integers(5, 42)), int(rng.integers(24, 48))
        where[y : y + 48, x : x + 64] = False
        noise = (rng.integers(0, 255, small.shape) // 2 + small // 2).astype(np.uint8)
        alike = cv2.erode(where.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
        laid, _, _ = laid_over(np.where(where[..., None], small, noise), small, alike)
        assert np.abs(laid.astype(int) - small)[alike].mean() < 1


@pytest.mark.parametrize(
    ("px", "zoom", "reason"), [((32.0, 0.0), 1.0, "moved the view by 3"), ((0.0, 0.0), 1.15, "zoom 1.1")]
)
def test_another_view_is_refused(px: tuple[float, float], zoom: float, reason: str) -> None:
    with pytest.raises(Misregistered, match=reason):
        laid_over(moved(px, zoom), GIVEN, EVERYWHERE)


def test_another_picture_is_refused() -> None:
    noise = np.random.default_rng(1).integers(0, 255, GIVEN.shape, np.uint8)
    with pytest.raises(Misregistered):
        laid_over(noise, GIVEN, EVERYWHERE)


def test_a_bare_room_without_corners_is_taken_as_it_lies() -> None:
    ramp = np.linspace(120, 160, 300)[None, :, None].repeat(200, 0).repeat(3, 2).astype(np.uint8)
    laid, _, shift = laid_over(ramp + np.uint8(4), ramp, np.ones(ramp.shape[:2], bool))
    assert shift.points == 0 and np.abs(laid.astype(int) - ramp).max() <= 1


def test_tone_is_taken_from_what_both_show() -> None:
    where = EVERYWHERE.copy()
    where[:, 150:250] = False
    off = np.clip(GIVEN * np.array([1.12, 1.0, 0.88]), 0, 255).astype(np.uint8)
    laid, _, _ = laid_over(off, GIVEN, where)
    strip = ~where & (GIVEN.max(axis=2) < 220)
    assert np.abs(laid.astype(int) - GIVEN)[strip].mean() < 3 < np.abs(off.astype(int) - GIVEN)[strip].mean()
