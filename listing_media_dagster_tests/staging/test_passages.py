"""Passages that the floor goes on through, in rooms painted plane by plane."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from listing_media_dagster.staging.floor import Boundary
from listing_media_dagster.staging.passages import with_passages
from listing_media_dagster.staging.room import Wall
from listing_media_dagster_tests.helpers.box_rooms import camera_at

CEILING, NEAR, FAR = 2.6, -3.5, -6.0
PALE, SHADE, BOARDS = (205, 200, 192), (150, 142, 132), (120, 84, 58)
GAP = (0.2, 1.9)
CAMERA = camera_at(1.4, 0.0, 0.0, 0.0, 20.0, (960, 640))


def walls_found(head: float, jamb: tuple[int, int, int] = PALE) -> tuple[Wall, ...]:
    """Look at a wall with a gap up to `head` m, through which floor and wall of another room are seen."""
    picture = np.full((640, 960, 3), 225, np.uint8)
    wall, beyond = Wall("z", NEAR, 1, (-4.0, 4.0)), Wall("z", FAR, 1, (-9.0, 9.0))

    def paint(plane: Wall, left: float, right: float, low: float, high: float, colour: tuple[int, int, int]) -> None:
        corners = CAMERA.project(np.concatenate([plane.points((left, right), low), plane.points((right, left), high)]))
        cv2.fillConvexPoly(picture, np.round(corners).astype(np.int32), colour)

    picture[400:] = BOARDS
    paint(beyond, *beyond.span, 0.0, CEILING, SHADE)
    foot = int(CAMERA.project(beyond.points((0.0,), 0.0))[0, 1])
    picture[foot:] = BOARDS
    paint(wall, wall.span[0], GAP[0], 0.0, CEILING, jamb)
    paint(wall, GAP[1], wall.span[1], 0.0, CEILING, PALE)
    paint(wall, *GAP, head, CEILING, PALE)
    near_foot = CAMERA.project(wall.points((0.0,), 0.0))[0, 1]
    gap = CAMERA.project(wall.points(GAP, 0.0))[:, 0]
    columns = np.arange(960) + 0.5
    y = np.where((columns > gap[0]) & (columns < gap[1]), float(foot), near_foot)
    boundary = Boundary((), np.full(960, -1), y, np.ones(960), 0.2, 1.0)
    lab = cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    seen_beyond = Wall("z", FAR, 1, (GAP[0] * FAR / NEAR, GAP[1] * FAR / NEAR))
    return with_passages((Wall("z", NEAR, 1, (-2.4, GAP[0])), seen_beyond), boundary, CAMERA, lab, 1.0, CEILING)


def test_a_gap_under_a_lintel_that_floor_goes_on_through_is_a_passage() -> None:
    (wall,) = walls_found(head=2.1)
    (passage,) = wall.openings
    assert passage.kind == "passage" and passage.is_walked_through
    assert passage.span == pytest.approx(GAP, abs=0.1)
    assert passage.top == pytest.approx(2.1, abs=0.1)


def test_a_wall_is_as_long_as_its_passages_reach_so_that_nothing_stands_beyond() -> None:
    (wall,) = walls_found(head=2.1)
    assert wall.span[1] == pytest.approx(GAP[1], abs=0.1)


def test_where_nothing_joins_the_jambs_the_room_is_only_wider() -> None:
    walls = walls_found(head=CEILING)
    assert len(walls) == 2
    assert all(wall.openings == () for wall in walls)
