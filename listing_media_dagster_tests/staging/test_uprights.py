"""Edges on a wall that no opening explains, painted from the front, and what keeps clear of them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from listing_media_dagster.staging.doorframes import gradient_of
from listing_media_dagster.staging.flat_wall import flatten_wall
from listing_media_dagster.staging.openings import find_openings
from listing_media_dagster.staging.room import Upright
from listing_media_dagster.staging.uprights import find_uprights
from listing_media_dagster_tests.staging.test_openings import CEILING, DARK, PALE, WALL, Box, photo_of

PALER = (206, 202, 196)


def uprights_on(*boxes: Box) -> tuple[Upright, ...]:
    lab, camera = photo_of(*boxes)
    flat = flatten_wall(lab, 1.0, WALL, camera, CEILING)
    assert flat is not None
    gradient = gradient_of(flat)
    return find_uprights(flat, gradient, find_openings(flat, gradient, WALL, camera), camera.height)


def test_a_plain_wall_has_none_whatever_light_falls_across_it() -> None:
    lab, camera = photo_of()
    lab[..., 0] *= np.linspace(0.55, 1.0, lab.shape[1], dtype=np.float32)
    flat = flatten_wall(lab, 1.0, WALL, camera, CEILING)
    assert flat is not None
    assert find_uprights(flat, gradient_of(flat), (), camera.height) == ()


def test_a_corner_is_found_over_its_whole_height_where_it_is() -> None:
    (corner,) = uprights_on((0.7, WALL.span[1], 0.0, CEILING, PALER))
    assert corner.at == pytest.approx(0.7, abs=0.05)
    assert corner.bottom < 0.3
    assert corner.top > 1.6


def test_a_low_hearth_ends_where_it_ends() -> None:
    left, right = uprights_on((-0.5, 0.5, 0.0, 0.8, DARK))
    assert (left.at, right.at) == (pytest.approx(-0.5, abs=0.05), pytest.approx(0.5, abs=0.05))
    assert max(left.top, right.top) < 1.3


def test_the_edges_of_a_door_that_was_found_are_the_doors() -> None:
    assert uprights_on((-0.4, 0.5, 0.0, 2.05, DARK)) == ()


def test_grain_is_no_edge() -> None:
    lab, camera = photo_of()
    lab += np.random.default_rng(0).normal(0, 2.0, lab.shape).astype(np.float32)
    flat = flatten_wall(cv2.GaussianBlur(lab, (0, 0), 0.7), 1.0, WALL, camera, CEILING)
    assert flat is not None
    assert find_uprights(flat, gradient_of(flat), (), camera.height) == ()


def test_a_wall_knows_which_parts_of_it_an_edge_crosses() -> None:
    (corner,) = uprights_on((0.7, WALL.span[1], 0.0, CEILING, PALE[::-1]))
    wall = type(WALL)(WALL.axis, WALL.offset, WALL.facing, WALL.span, (), (corner,))
    assert wall.has_edge_within(0.5, 0.9, 1.2, 1.8)
    assert not wall.has_edge_within(-0.4, 0.4, 1.2, 1.8)
    assert wall.scaled(2.0).has_edge_within(1.0, 1.8, 2.4, 3.0)
