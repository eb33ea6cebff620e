"""The floor from above: what the photo shows of it, what stays clear, and whether one can still walk."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from listing_media_dagster.staging.floor_plan import CELL, GRID, cells_under, plan_floor
from listing_media_dagster.staging.room import RoomGeometry
from listing_media_dagster_tests.helpers.box_rooms import box_room, camera_at


def room(**holes: list[tuple[str, float, float, float, float]]) -> RoomGeometry:
    """4 by 6 m, the camera near the south wall's middle, looking north."""
    return box_room(4.0, 6.0, (2.0, 5.8), camera_at(), holes)


def at(x: float, z: float) -> tuple[int, int]:
    return int((z - GRID[0, 0, 1]) / CELL + 0.5), int((x - GRID[0, 0, 0]) / CELL + 0.5)


def test_free_floor_is_what_is_seen_inside_the_walls() -> None:
    plan = plan_floor(room())
    assert plan.free[at(0, -4)] and plan.free[at(-1.9, -5.6)]
    assert not plan.free[at(0, -6.0)] and not plan.free[at(-2.1, -5)]
    assert plan.unseen[at(0, -0.5)] and not plan.free[at(0, -0.5)]
    # What is seen: a trapezoid between the picture's lower edge and the far wall.
    nearest = camera_at().on_floor(np.array([[480.0, 639.0]]))[0, 2]
    assert plan.area == pytest.approx(4.0 * (5.8 + nearest), rel=0.12)


def test_floor_that_something_hides_is_not_free() -> None:
    geometry = room()
    column = geometry.floor.copy()
    outline = geometry.camera.project(np.array([[0.5, 0, -4.0], [1.0, 0, -4.0]]))
    column[:, int(outline[0, 0]) : int(outline[1, 0])] &= np.arange(640)[:, None] > outline[0, 1]
    plan = plan_floor(replace(geometry, floor=column))
    assert not plan.free[at(0.8, -4.6)]
    assert plan.free[at(-0.8, -4.6)]


def test_cables_and_gaps_at_the_skirting_are_still_floor() -> None:
    geometry = room()
    floor = geometry.floor.copy()
    row = int(geometry.camera.project(np.array([[0, 0, -4.0]]))[0, 1])
    floor[row : row + 2, 300:500] = False
    feet = int(geometry.camera.project(np.array([[0, 0, -5.65]]))[0, 1])
    floor[:feet] = False
    plan = plan_floor(replace(geometry, floor=floor))
    assert plan.free[at(0, -4.0)]
    assert plan.free[at(0, -5.7)]


def test_doors_and_passages_are_kept_clear_and_windows_with_a_sill_are_not() -> None:
    holes = [("door", 0.3, 1.1, 0.0, 2.05), ("window", 1.6, 2.4, 0.9, 2.1), ("window", 2.8, 3.6, 0.05, 2.1)]
    plan = plan_floor(room(north=holes))
    assert plan.clear[at(-1.3, -5.2)]
    assert not plan.clear[at(0.0, -5.6)]
    assert plan.clear[at(1.2, -5.6)]
    assert len(plan.gates) == 1


@pytest.mark.parametrize(("gap", "walkable"), [(0.5, False), (0.85, True)])
def test_a_way_of_less_than_70_cm_is_no_way(gap: float, walkable: bool) -> None:
    plan = plan_floor(room(north=[("door", 1.6, 2.4, 0.0, 2.05)]))
    assert plan.reachable_gates == (0,)
    barrier = np.array([(-2.0, -4.0), (2.0 - gap, -4.0), (2.0 - gap, -3.5), (-2.0, -3.5)])
    taken = np.zeros_like(plan.free)
    window, within = cells_under(barrier)
    taken[window] |= within
    assert plan.stays_walkable(taken) is walkable


def test_without_walls_the_seen_floor_is_the_room() -> None:
    plan = plan_floor(replace(room(), walls=()))
    assert plan.free[at(0, -4)]
    assert plan.stays_walkable(np.zeros_like(plan.free))


def test_a_photo_without_floor_has_none_free() -> None:
    geometry = room()
    assert plan_floor(replace(geometry, floor=np.zeros_like(geometry.floor))).area == 0.0


def test_cells_under_a_turned_rectangle_have_its_area() -> None:
    turned = np.array([(np.cos(a), np.sin(a)) for a in np.radians([20, 110, 200, 290])])
    _, within = cells_under(turned)
    assert within.sum() * CELL**2 == pytest.approx(2.0, rel=0.02)
