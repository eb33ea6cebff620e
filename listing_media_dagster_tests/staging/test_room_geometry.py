"""Rooms from single photos: path-traced empty rooms whose cameras are known, and pictures that show none."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from listing_media_dagster.staging.geometry_picture import BAR, LEGEND, draw_geometry
from listing_media_dagster.staging.manhattan import camera_axes
from listing_media_dagster.staging.room import NotARoom, PhotoCamera, RoomGeometry
from listing_media_dagster.staging.room_geometry import estimate_room_geometry

ROOMS = Path(__file__).parent / "rendered_rooms"
CAMERAS: dict[str, dict[str, Any]] = json.loads((ROOMS / "cameras.json").read_text())
NAMES = sorted(CAMERAS)


def _photo(name: str) -> np.ndarray:
    picture = cv2.imread(str(ROOMS / f"{name}.jpg"), cv2.IMREAD_COLOR_RGB)
    assert picture is not None
    return np.asarray(picture, np.uint8)


@cache
def _geometry(name: str, focal_35mm: float | None = None) -> RoomGeometry:
    return estimate_room_geometry(_photo(name), focal_35mm)


def _camera(name: str) -> PhotoCamera:
    """The true camera; its world's origin is on the floor under it."""
    true = CAMERAS[name]
    axes = camera_axes(true["yaw"], true["pitch"], true["roll"])
    return PhotoCamera(tuple(true["size"]), true["focal_px"], tuple(true["centre"]), axes, true["position"][1])


def _yaw(camera: PhotoCamera) -> float:
    return float(np.degrees(np.arctan2(camera.axes[2, 0], -camera.axes[2, 2])))


def _true_floor(name: str) -> np.ndarray:
    width, height = CAMERAS[name]["size"]
    x, _, z = CAMERAS[name]["position"]
    pixels = np.stack(np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5), -1).reshape(-1, 2)
    seen = _camera(name).on_floor(pixels)
    across, along = seen[:, 0] + x, seen[:, 2] + z
    inside = (across > 0) & (across < CAMERAS[name]["room"][0]) & (along > 0) & (along < CAMERAS[name]["room"][2])
    return inside.reshape(height, width)


@pytest.mark.parametrize("name", NAMES)
def test_horizon_and_yaw_of_a_rendered_room_are_those_of_its_camera(name: str) -> None:
    found, true = _geometry(name).camera, _camera(name)
    for x in (0.0, true.size[0] / 2, float(true.size[0])):
        assert found.horizon(x) == pytest.approx(true.horizon(x), abs=0.01 * true.size[1])
    assert _yaw(found) == pytest.approx(_yaw(true), abs=1.5)


@pytest.mark.parametrize("name", NAMES)
def test_two_metres_on_the_floor_come_out_as_two_metres(name: str) -> None:
    true = _camera(name)
    ends = true.project(np.array([[-1.0, 0.0, -3.0], [1.0, 0.0, -3.0]]))
    assert np.linalg.norm(np.diff(_geometry(name).camera.on_floor(ends), axis=0)) == pytest.approx(2.0, rel=0.12)


@pytest.mark.parametrize("name", ["herringbone", "sunless"])
def test_the_floor_ends_where_the_walls_stand(name: str) -> None:
    found, true = _geometry(name).floor, _true_floor(name)
    assert (found & true).sum() / (found | true).sum() > 0.9
    assert (found & ~true).mean() < 0.02


@pytest.mark.parametrize("name", ["herringbone", "glossy"])
def test_walls_stand_at_their_true_distance_for_the_scale_found(name: str) -> None:
    geometry = _geometry(name)
    back = min(wall.offset for wall in geometry.walls if wall.axis == "z")
    scale = CAMERAS[name]["position"][1] / geometry.camera.height
    assert back * scale == pytest.approx(-CAMERAS[name]["position"][2], rel=0.08)


def test_walls_face_the_room() -> None:
    for name in NAMES:
        for wall in _geometry(name).walls:
            assert wall.facing == (1 if wall.offset < 0 else -1)
            assert wall.span[0] < wall.span[1]


def test_exif_focal_length_is_believed() -> None:
    told = CAMERAS["glossy"]["focal_35mm"]
    geometry = _geometry("glossy", told)
    assert geometry.focal_from == "EXIF"
    assert geometry.camera.focal_px / max(geometry.camera.size) * 36 == pytest.approx(told, rel=0.03)


def test_the_same_photo_gives_the_same_room() -> None:
    first, second = _geometry("glossy"), estimate_room_geometry(_photo("glossy"))
    assert np.array_equal(first.floor, second.floor)
    assert np.array_equal(first.camera.axes, second.camera.axes)
    assert [(wall.offset, wall.span) for wall in first.walls] == [(wall.offset, wall.span) for wall in second.walls]


@pytest.mark.parametrize("kind", ["flat", "noise", "tiny"])
def test_pictures_without_a_room_are_refused_with_a_reason(kind: str) -> None:
    noise = np.random.default_rng(3).integers(0, 255, (400, 600, 3)).astype(np.uint8)
    picture = {"flat": np.full((400, 600, 3), 128, np.uint8), "noise": noise, "tiny": noise[:120, :160]}[kind]
    with pytest.raises(NotARoom, match=r"\w+ \w+"):
        estimate_room_geometry(np.ascontiguousarray(picture))


def test_the_debug_picture_shows_grid_walls_and_horizon() -> None:
    photo, geometry = _photo("glossy"), _geometry("glossy")
    drawn = draw_geometry(photo, geometry)
    assert drawn.shape == photo.shape and drawn.dtype == np.uint8
    changed = (drawn != photo).any(axis=2)
    assert changed[geometry.floor].mean() > 0.9
    assert 0.005 < changed[~geometry.floor].mean() < 0.2


def test_the_debug_picture_says_once_and_legibly_what_its_colours_mean() -> None:
    bar = draw_geometry(_photo("glossy"), _geometry("glossy"))[:24]
    assert (bar == BAR).all(axis=2).mean() > 0.5
    for colour in LEGEND.values():
        assert (bar == colour).all(axis=2).any()
