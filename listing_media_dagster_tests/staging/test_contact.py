"""The narrow shadow where furniture touches floor and walls: how much of the hemisphere things near by hide."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from listing_media_dagster.path_tracer.materials import Material
from listing_media_dagster.path_tracer.solids import box
from listing_media_dagster.staging.contact import REACH, contact_maps, open_hemisphere, visible_in
from listing_media_dagster.staging.render import whole
from listing_media_dagster.staging.scene import FLOOR, stand_in
from listing_media_dagster_tests.staging.painted_room import known_geometry

CELL = 0.01
GREY = {"grey": Material((0.5, 0.5, 0.5))}


def test_a_high_wall_hides_half_of_the_hemisphere_at_its_foot_and_less_farther_off() -> None:
    highest = np.zeros((120, 120), np.float32)
    highest[:, :60] = 50.0
    row = open_hemisphere(np.zeros_like(highest), highest, CELL)[60]
    assert row[61] == pytest.approx(0.52, abs=0.06)
    assert (np.diff(row[61:100]) > -0.01).all()
    assert row[60 + round(REACH / CELL) + 2] == pytest.approx(1.0, abs=0.03)


def test_what_stands_on_legs_lets_light_in_under_it() -> None:
    lowest, highest = np.zeros((2, 100, 100), np.float32)
    highest[30:70, 30:70] = 0.3
    on_floor = open_hemisphere(lowest, highest, CELL)
    lowest[30:70, 30:70] = 0.2
    on_legs = open_hemisphere(lowest, highest, CELL)
    assert on_legs[50, 50] > on_floor[50, 50] + 0.1
    assert on_legs[50, 28] > on_floor[50, 28] + 0.1


def test_the_floor_darkens_toward_a_leg_and_stays_light_away_from_it() -> None:
    geometry = known_geometry()
    leg = box("grey", (-0.02, 0.0, -2.52), (0.02, 0.5, -2.48))
    room = stand_in(geometry, [leg])
    shown, _ = room.seen_by(geometry.camera, whole(geometry.camera))
    contact = contact_maps(room, shown, [leg], GREY)[FLOOR]
    at = contact.at(np.array([[0.03, 0, -2.5], [0.06, 0, -2.5], [0.2, 0, -2.5], [0.8, 0, -2.5]], np.float32))
    assert at[0] < 0.8 and (np.diff(at) > 0).all()
    assert at[3] == pytest.approx(1.0, abs=0.01)


def test_a_map_lies_in_the_picture_where_the_camera_sees_its_plane() -> None:
    geometry = known_geometry()
    camera = geometry.camera
    crate = box("grey", (-0.3, 0.0, -3.3), (0.3, 0.6, -2.9))
    room = stand_in(geometry, [crate])
    shown, depth = room.seen_by(camera, whole(camera))
    maps = contact_maps(room, shown, [crate], GREY)
    seen = visible_in(maps, shown, camera, whole(camera))
    forward = (camera.rays(whole(camera).pixels()) @ camera.axes[2]).reshape(shown.shape)
    points = camera.position + camera.rays(whole(camera).pixels()) * (depth / forward).reshape(-1, 1)
    floor = shown == FLOOR
    assert np.allclose(seen[floor], maps[FLOOR].at(points.astype(np.float32))[floor.ravel()], atol=0.02)
    hidden = cv2.fillConvexPoly(
        np.zeros(shown.shape, np.uint8),
        np.round(
            camera.project(np.array([[x, 0.0, z] for x, z in ((-0.3, -3.3), (0.3, -3.3), (0.3, -2.9), (-0.3, -2.9))]))
        ).astype(np.int32),
        1,
    )
    assert seen[cv2.erode(hidden, np.ones((3, 3), np.uint8)) > 0].max() < 0.5


def test_rugs_hide_nothing() -> None:
    geometry = known_geometry()
    rug = box("grey", (-0.5, 0.0, -3.3), (0.5, 0.012, -2.5))
    room = stand_in(geometry, [rug])
    shown, _ = room.seen_by(geometry.camera, whole(geometry.camera))
    assert contact_maps(room, shown, [rug], GREY) == {}
