"""The light of a room is found from a picture of it."""

from __future__ import annotations

import numpy as np

from listing_media_dagster.staging.light import estimate_light
from listing_media_dagster.staging.scene import stand_in
from listing_media_dagster_tests.staging.painted_room import known_geometry, paint


def test_the_window_that_shines_is_told_from_the_one_that_does_not() -> None:
    geometry = known_geometry()
    room = stand_in(geometry, [])
    from_left = estimate_light(paint(geometry, {"left": 6.0, "right": 0.3}), geometry, room, 0).shining
    from_right = estimate_light(paint(geometry, {"left": 0.3, "right": 6.0}), geometry, room, 0).shining
    assert sum(from_left["left window 0"]) > 2 * sum(from_left["right window 0"])
    assert sum(from_right["right window 0"]) > 2 * sum(from_right["left window 0"])


def test_the_stand_in_comes_out_as_bright_and_as_brown_as_the_photo() -> None:
    geometry = known_geometry()
    room = stand_in(geometry, [])
    light = estimate_light(paint(geometry, {"left": 5.0, "right": 5.0}), geometry, room, 0)
    floor, wall = np.array(light.reflectance["floor"]), np.array(light.reflectance["far"])
    assert np.allclose(floor / floor.mean(), np.array([0.35, 0.25, 0.18]) / 0.26, atol=0.12)
    assert 0.2 < floor.mean() / wall.mean() < 0.6
    assert wall.min() > 0.45


def test_a_photo_of_nothing_but_white_gives_usable_light() -> None:
    geometry = known_geometry()
    light = estimate_light(np.full((96, 144, 3), 255, np.uint8), geometry, stand_in(geometry, []), 0)
    assert all(0 <= level < 50 for radiance in light.shining.values() for level in radiance)
    assert sum(sum(radiance) for radiance in light.shining.values()) > 0.1


def test_how_much_of_the_lights_contrast_a_photo_shows_is_measured() -> None:
    geometry = known_geometry()
    base = paint(geometry, {"left": 7.0, "right": 1.0})
    merged = np.round((base / 255.0) ** 0.3 * 235).astype(np.uint8)  # as evened out as merged exposures
    plain, held_back = (estimate_light(photo, geometry, stand_in(geometry, []), 0).contrast for photo in (base, merged))
    assert plain > 0.8
    assert held_back < 0.75 * plain
