from __future__ import annotations

import numpy as np
import pytest

from listing_media_dagster.listing import OperationName
from listing_media_dagster.photo.lens import LensModel, estimate_lens, profile_of
from listing_media_dagster.photo.line_segments import find_segments, trace_edges
from listing_media_dagster.photo.perspective import correct_geometry, find_verticals, straighten
from listing_media_dagster_tests.photo.drawn_rooms import draw_room

FOCAL = 700.0


def _tilt(rgb: np.ndarray) -> float:
    """Mean |tilt| of near-vertical segments, measured apart from the code under test's own metric."""
    ends = find_segments(rgb)
    along = ends[:, 1] - ends[:, 0]
    angle = np.degrees(np.arctan2(np.abs(along[:, 0]), np.abs(along[:, 1])))
    length = np.linalg.norm(along, axis=1)
    steep = angle < 10
    return float(np.average(angle[steep], weights=length[steep]))


@pytest.mark.parametrize(
    ("yaw", "pitch", "roll"), [(0, 0, 2), (15, 6, 0), (0, -8, 0), (-25, -5, 1.5), (0, 4, -3), (20, 0, -1)]
)
def test_walls_become_vertical_and_the_angles_are_those_of_the_camera(yaw: float, pitch: float, roll: float) -> None:
    tilted = draw_room(yaw=yaw, pitch=pitch, roll=roll)
    result = straighten(tilted, FOCAL)
    correction = next(one for one in result.operations if one.name is OperationName.VERTICAL_CORRECTION)
    assert correction.parameters["pitch_deg"] == pytest.approx(pitch, abs=0.3)
    assert correction.parameters["roll_deg"] == pytest.approx(-roll, abs=0.2)
    assert _tilt(tilted) > 0.6 and _tilt(result.rgb) < 0.15
    assert result.metrics["vertical_residual_deg"] < 0.1 < result.metrics["vertical_angle_before_deg"]


def test_result_has_no_empty_corner_and_keeps_shape_and_scale() -> None:
    tilted = np.maximum(draw_room(pitch=6, roll=2, yaw=10), 40)
    tilted[:4], tilted[-4:], tilted[:, :4], tilted[:, -4:] = 0, 0, 0, 0  # a frame that a valid crop can't hold
    result = straighten(tilted, FOCAL).rgb
    assert result.shape[1] / result.shape[0] == pytest.approx(1.5, abs=0.01)
    assert result.shape[0] * result.shape[1] > 0.8 * 1200 * 800
    assert result[8:-8, 8:-8].min() > 20


def test_level_photo_is_returned_untouched() -> None:
    level = draw_room(yaw=20)
    result = correct_geometry(level)
    assert result.rgb is level and result.operations == ()


@pytest.mark.parametrize("angles", [{"roll": 15.0}, {"pitch": 25.0}])
def test_absurd_tilt_is_taken_as_meant(angles: dict[str, float]) -> None:
    odd = draw_room(**angles)
    assert straighten(odd, FOCAL).rgb is odd


def test_nothing_is_done_without_evidence() -> None:
    chance = np.random.default_rng(0)
    blank = np.full((600, 900, 3), 200, np.uint8)
    noise = chance.integers(0, 255, (600, 900, 3), np.uint8)
    for picture in (blank, noise):
        result = correct_geometry(picture)
        assert result.rgb is picture and result.metrics["vertical_confidence"] < 0.45


def test_one_leaning_pole_is_no_wall() -> None:
    picture = np.full((600, 900, 3), 190, np.uint8)
    for row in range(600):
        left = 430 + row // 12
        picture[row, left : left + 22] = 60
    assert straighten(picture, FOCAL).rgb is picture


def test_confidence_is_full_for_a_room_full_of_walls() -> None:
    room = draw_room(pitch=3)
    assert find_verticals(find_segments(room), (1200, 800), FOCAL).confidence > 0.9


@pytest.mark.parametrize(("k1", "yaw"), [(-0.05, 0.0), (-0.08, 20.0), (0.04, 0.0)])
def test_bent_lines_become_straight_without_a_profile(k1: float, yaw: float) -> None:
    result = correct_geometry(draw_room(k1=k1, yaw=yaw))
    lens = next(one for one in result.operations if one.name is OperationName.LENS_CORRECTION)
    assert lens.parameters["k1"] == pytest.approx(k1, abs=0.012)
    assert lens.parameters["source"] == "straight lines"
    assert result.metrics["line_bend_after"] < 0.6 * result.metrics["line_bend_before"]


def test_lens_and_vertical_are_corrected_together() -> None:
    result = correct_geometry(
        draw_room(k1=-0.05, pitch=4, roll=1), focal_length_35mm=FOCAL / np.hypot(1200, 800) * 43.27
    )
    names = [one.name for one in result.operations]
    assert names == [OperationName.LENS_CORRECTION, OperationName.VERTICAL_CORRECTION, OperationName.CROP]
    assert result.metrics["vertical_residual_deg"] < 0.2
    assert result.operations[1].parameters["pitch_deg"] == pytest.approx(4, abs=0.5)


def test_straight_room_gets_no_lens_correction() -> None:
    room = draw_room(yaw=-10)
    assert estimate_lens(trace_edges(room, find_segments(room)), (1200, 800)).model is None


def test_undistort_is_the_inverse_of_distort() -> None:
    points = np.random.default_rng(0).uniform(-600, 600, (50, 2))
    model = LensModel(-0.08, 0.03, "")
    assert np.allclose(model.undistort(model.distort(points, 721.0), 721.0), points, atol=0.01)


def test_profile_is_found_by_the_names_in_exif() -> None:
    pytest.importorskip("lensfunpy", reason="lens profiles need lensfunpy")
    found = profile_of("Canon EOS 5D Mark II", "EF16-35mm f/2.8L II USM", 16.0, 8.0, (5616, 3744))
    assert found is not None and -0.12 < found.k1 < -0.04
    assert profile_of("Canon EOS 5D Mark II", "EF16-35mm f/2.8L II USM", 200.0, 8.0, (5616, 3744)) is None
    assert profile_of("Nobody NoCamera", "EF16-35mm f/2.8L II USM", 16.0, 8.0, (5616, 3744)) is None


def test_profile_is_refused_where_the_camera_has_corrected_already() -> None:
    pytest.importorskip("lensfunpy", reason="lens profiles need lensfunpy")
    named = {
        "camera": "Canon EOS 5D Mark II",
        "lens": "EF16-35mm f/2.8L II USM",
        "focal_length_mm": 16.0,
        "f_number": 8.0,
    }
    straight = correct_geometry(draw_room(), **named)  # type: ignore[arg-type]
    assert straight.operations == ()
    profile = profile_of("Canon EOS 5D Mark II", "EF16-35mm f/2.8L II USM", 16.0, 8.0, (1200, 800))
    assert profile is not None
    bent = correct_geometry(draw_room(k1=profile.k1 + 0.6 * profile.k2), **named)  # type: ignore[arg-type]
    assert bent.operations[0].parameters["source"].startswith("profile of Canon EF 16-35mm")
