"""A pillar before the room: furniture and shadows end at it, and layouts keep away from behind it."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from listing_media_dagster.path_tracer.solids import box
from listing_media_dagster.staging.composite import render_staging
from listing_media_dagster.staging.foreground import sight_lines
from listing_media_dagster.staging.render import whole
from listing_media_dagster.staging.room import RoomGeometry, Wall
from listing_media_dagster.staging.room_geometry import estimate_room_geometry
from listing_media_dagster.staging.scene import PLANES, stand_in
from listing_media_dagster_tests.helpers.box_rooms import camera_at
from listing_media_dagster_tests.staging.painted_room import CRATES, crate, known_geometry, paint


def pillar_at(geometry: RoomGeometry, left: int, right: int, away: float) -> RoomGeometry:
    """Return the room with a pillar in some columns of the photo, its foot `away` m ahead of the camera."""
    foot = geometry.camera.project(np.array([[0.0, 0.0, -away]]))[0, 1]
    floor = geometry.floor.copy()
    floor[: int(foot), left:right] = False
    return replace(geometry, floor=floor)


def test_what_stands_nearer_hides_what_is_farther_and_nothing_else() -> None:
    geometry = known_geometry()
    camera = geometry.camera
    column = int(camera.project(np.array([[0.0, 0.0, -3.2]]))[0, 0])
    sight = sight_lines(pillar_at(geometry, column - 4, column + 5, 2.3))
    before, behind, aside = (0.0, 0.5, -2.2), (0.0, 1.5, -3.2), (0.8, 0.5, -3.2)
    assert sight.hides(np.array([before, behind, aside])).tolist() == [False, True, False]
    assert not sight_lines(geometry).hides(np.array([before, behind, aside])).any()


def test_a_pillar_cuts_the_furniture_behind_it_and_keeps_its_own_pixels() -> None:
    geometry = known_geometry()
    base = paint(geometry, {"left": 7.0, "right": 1.0})
    free = render_staging(base, geometry, crate(), CRATES, 3)
    columns = np.flatnonzero(free.furniture.any(axis=0))
    left, right = int(columns[len(columns) // 3]), int(columns[-1]) + 8
    hidden = render_staging(base, pillar_at(geometry, left, right, 2.25), crate(), CRATES, 3)
    foot = int(geometry.camera.project(np.array([[0.0, 0.0, -2.25]]))[0, 1])
    inner = np.s_[:foot, left + 4 : right - 4]
    assert free.furniture[inner].max() == 1
    assert hidden.furniture[inner].max() < 0.001
    assert np.abs(hidden.rgb[inner].astype(int) - base[inner]).max() <= 2
    assert hidden.furniture[:, : left - 4].max() > 0.9


CAMERA = camera_at(1.4, 0.0, 0.0, 0.0, 24.0, (960, 640))
FAR, NEAR, SIDE = -5.0, -1.2, 2.0


def pale_room(dark: list[tuple[float, float, float]], reflected: float = 0.0) -> NDArray[np.uint8]:
    """A pale room with a dark floor and something dark in it, which the floor mirrors, fading toward the viewer."""
    picture = np.full((640, 960, 3), 215, np.uint8)

    def fill(points: list[tuple[float, float, float]], colour: tuple[int, int, int]) -> None:
        corners = np.round(CAMERA.project(np.array(points, float))).astype(np.int32)
        cv2.fillConvexPoly(picture, corners, colour)

    fill([(-SIDE, 0, FAR), (SIDE, 0, FAR), (SIDE, 0, NEAR), (-SIDE, 0, NEAR)], (120, 96, 72))
    fill([(-SIDE, 0, FAR), (SIDE, 0, FAR), (SIDE, 2.6, FAR), (-SIDE, 2.6, FAR)], (228, 226, 222))
    fill([(-SIDE, 2.6, FAR), (SIDE, 2.6, FAR), (SIDE, 2.6, NEAR), (-SIDE, 2.6, NEAR)], (245, 245, 245))
    varnish = picture.copy()
    fill([(x, -y, z) for x, y, z in dark], (45, 42, 40))
    foot = int(CAMERA.project(np.array([[0.0, 0.0, FAR]]))[0, 1])
    share = reflected * np.clip(1 - (np.arange(640) - foot) / 170, 0, 1)[:, None, None]
    picture[:] = np.where(np.arange(640)[:, None, None] > foot, picture * share + varnish * (1 - share), varnish)
    fill(dark, (45, 42, 40))
    noise = np.random.default_rng(0).normal(0, 1.5, picture.shape)
    return np.clip(cv2.GaussianBlur(picture, (0, 0), 0.7) + noise, 0, 255).astype(np.uint8)


def test_a_post_on_the_floor_is_no_floor() -> None:
    geometry = estimate_room_geometry(pale_room([(0.35, 0, -3.2), (0.5, 0, -3.2), (0.5, 1.3, -3.2), (0.35, 1.3, -3.2)]))
    true = CAMERA.project(np.array([[0.425, 0.3, -3.2], [-0.4, 0.0, -3.2]]))
    (column, row), (free_column, free_row) = true.astype(int)
    assert not geometry.floor[row, column]
    assert geometry.floor[free_row, free_column]


def test_a_door_that_varnish_mirrors_stands_at_the_wall() -> None:
    door = [(0.3, 0.0, FAR), (0.5, 0.0, FAR), (0.5, 2.1, FAR), (0.3, 2.1, FAR)]
    geometry = estimate_room_geometry(pale_room(door, reflected=0.7))
    column, row = CAMERA.project(np.array([[0.4, 0.0, -4.6]]))[0].astype(int)
    assert geometry.floor[row, column - 12 : column + 12].all()


def test_a_wall_that_stands_nearer_for_part_of_the_room_is_where_the_photo_shows_it() -> None:
    geometry = known_geometry()
    nearer = Wall("z", -2.4, 1, (-1.9, -0.9))
    farther = box("grey", (0.3, 0.0, -3.4), (0.9, 0.5, -3.0))
    room = stand_in(replace(geometry, walls=(*geometry.walls, nearer)), [farther])
    assert room.planes[-1] == "partial 0"
    assert room.partial[0].span == (room.x[0], -0.9)  # it leaves the picture, and goes on
    planes, depth = room.seen_by(geometry.camera, whole(geometry.camera))
    on_it, beside = geometry.camera.project(np.array([[-1.1, 0.4, -2.4], [-0.6, 0.4, -2.4]])).astype(int)
    assert planes[on_it[1], on_it[0]] == len(PLANES)
    assert planes[beside[1], beside[0]] != len(PLANES)
    assert depth[on_it[1], on_it[0]] == pytest.approx(2.4, abs=0.1)
    crossing = box("grey", (-1.3, 0.0, -2.8), (-1.0, 0.5, -2.0))
    assert not stand_in(replace(geometry, walls=(*geometry.walls, nearer)), [farther, crossing]).partial


def test_what_hides_a_wall_eats_nothing_of_the_outline_before_it() -> None:
    """Sight lines end at a wall found too near: a crate before it keeps its soft outline and its shadow."""
    geometry = known_geometry()
    base = paint(geometry, {"left": 7.0, "right": 1.0})
    foot = int(geometry.camera.project(np.array([[0.0, 0.0, -3.6]]))[0, 1])
    floor = geometry.floor.copy()
    floor[:foot] = False
    free, hemmed_in = (
        render_staging(base, replace(geometry, floor=seen), crate(), CRATES, 3) for seen in (geometry.floor, floor)
    )
    assert np.array_equal(free.furniture, hemmed_in.furniture)
