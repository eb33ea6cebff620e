"""Patches of sun go on over a rug; a window's image in varnish doesn't."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from listing_media_dagster.path_tracer.solids import box
from listing_media_dagster.staging.render import whole
from listing_media_dagster.staging.room import RoomGeometry
from listing_media_dagster.staging.scene import stand_in
from listing_media_dagster.staging.sunlight import sun_on_floor, sun_on_rugs
from listing_media_dagster_tests.staging.painted_room import known_geometry

SIZE = (720, 480)
CORNERS = [(-0.6, 0.0, -2.2), (0.2, 0.0, -2.2), (0.5, 0.0, -2.9), (-0.3, 0.0, -2.9)]


@pytest.fixture(scope="module")
def geometry() -> RoomGeometry:
    small = known_geometry()
    floor = cv2.resize(small.floor.astype(np.uint8), SIZE, interpolation=cv2.INTER_NEAREST) > 0
    return replace(small, camera=small.camera.scaled(SIZE), floor=floor)


def floor_with(geometry: RoomGeometry, level: int, softness: float) -> NDArray[np.uint8]:
    """A pale room on whose brown floor something shines, its edges blurred over so many px."""
    base = np.where(geometry.floor[..., None], (96, 78, 62), (190, 188, 184)).astype(np.float32)
    patch = np.zeros(geometry.floor.shape, np.float32)
    corners = np.round(geometry.camera.project(np.array(CORNERS))).astype(np.int32)
    cv2.fillConvexPoly(patch, corners, (1.0,))
    share = cv2.GaussianBlur(patch, (0, 0), softness)[..., None]
    return np.clip(base * (1 - share) + level * share, 0, 255).astype(np.uint8)


def middle(geometry: RoomGeometry) -> tuple[int, int]:
    column, row = geometry.camera.project(np.mean(CORNERS, axis=0, keepdims=True))[0].astype(int)
    return row, column


def test_a_sharp_bright_patch_is_sun(geometry: RoomGeometry) -> None:
    sun = sun_on_floor(floor_with(geometry, 200, 0.5), geometry, stand_in(geometry, []))
    assert sun is not None
    assert sun[middle(geometry)] > 3
    assert (sun[~geometry.floor] < 1.2).all()
    assert 0.01 < (sun > 1.5).mean() < 0.06


def test_varnish_that_mirrors_a_window_beside_sun_neither_hides_it_nor_counts_as_sun(geometry: RoomGeometry) -> None:
    base = floor_with(geometry, 225, 0.5)
    streak = np.zeros(geometry.floor.shape, np.float32)
    row, column = middle(geometry)
    streak[row - 110 : row, column - 12 : column + 12] = 1
    share = (0.4 * cv2.GaussianBlur(streak, (0, 0), 6.0) * geometry.floor)[..., None]
    mirrored = np.maximum(base, np.clip(base * (1 - share) + 225 * share, 0, 255)).astype(np.uint8)
    sun = sun_on_floor(mirrored, geometry, stand_in(geometry, []))
    assert sun is not None and sun[row, column] > 2
    assert sun[row - 90, column] < 1.2


@pytest.mark.parametrize(("level", "softness"), [(200, 12.0), (120, 0.5), (96, 0.5)])
def test_what_is_soft_or_little_brighter_is_not(geometry: RoomGeometry, level: int, softness: float) -> None:
    assert sun_on_floor(floor_with(geometry, level, softness), geometry, stand_in(geometry, [])) is None


def test_sun_falls_on_rugs_and_not_on_what_stands_on_them(geometry: RoomGeometry) -> None:
    sun = sun_on_floor(floor_with(geometry, 200, 0.5), geometry, stand_in(geometry, []))
    assert sun is not None
    rug = box("rug", (-1.5, 0.0, -3.5), (1.5, 0.012, -1.8))
    crate = box("crate", (-0.4, 0.012, -2.8), (0.3, 0.5, -2.3))
    window, camera = whole(geometry.camera), geometry.camera
    lit = sun_on_rugs(sun, [rug], camera, window)
    assert lit[middle(geometry)] == pytest.approx(sun[middle(geometry)], rel=0.02)
    assert sun_on_rugs(sun, [rug, crate], camera, window)[middle(geometry)] == 1
    assert (sun_on_rugs(sun, [crate], camera, window) == 1).all()
