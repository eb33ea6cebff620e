"""Furniture leaves the ways into a room free: beside casings, before doors, and where the room opens into the next."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from listing_media_dagster.listing import RoomType
from listing_media_dagster.staging.arrangement import PlacedPiece
from listing_media_dagster.staging.floor_plan import plan_floor
from listing_media_dagster.staging.kits import load_kits
from listing_media_dagster.staging.layout import NoSpace, arrange
from listing_media_dagster.staging.layouts.setting import Pose, outline, pose_of, span_at
from listing_media_dagster.staging.layouts.ways import kept_clear, ways_into
from listing_media_dagster.staging.room import RoomGeometry, Wall
from listing_media_dagster_tests.helpers.box_rooms import box_room, camera_at

KITS = load_kits()
DOOR = {"west": [("door", 0.7, 1.6, 0.0, 2.05)], "north": [("passage", 3.3, 4.3, 0.0, 2.1)]}


def room_with_doors() -> RoomGeometry:
    return box_room(5.4, 5.6, (2.7, 5.4), camera_at(yaw=4), DOOR)


def open_plan() -> RoomGeometry:
    """Return a deep room with a wall across its left half: past the wall's end one goes on into a kitchen."""
    geometry = box_room(5.4, 9.5, (2.7, 9.3), camera_at())
    return replace(geometry, walls=(Wall("z", -5.4, 1, (-2.7, 0.0)), *geometry.walls))


def standing(geometry: RoomGeometry, room: RoomType, seed: int, kit: str = "modern") -> list[PlacedPiece]:
    try:
        pieces = arrange(geometry, KITS[kit], room, seed, seed).pieces
    except NoSpace:
        return []
    return [p for p in pieces if p.position[1] < 0.03 and p.size[1] > 0.06 and " on " not in p.name]


@pytest.mark.parametrize("room", [RoomType.LIVING_ROOM, RoomType.BEDROOM, RoomType.HOME_OFFICE])
def test_nothing_stands_beside_a_casing_or_within_70_cm_of_a_door(room: RoomType) -> None:
    geometry = room_with_doors()
    for piece in (each for seed in range(2) for each in standing(geometry, room, seed)):
        for wall in geometry.walls:
            near, _, left, right = span_at(wall, outline(piece))
            for opening in wall.openings:
                apart = max(opening.span[0] - right, left - opening.span[1])
                assert near > 0.5 or apart > 0.22, f"{piece.name} stands {apart:.2f} m beside a {opening.kind}"
                assert near > 0.7 or apart > -0.05, f"{piece.name} stands {near:.2f} m before a {opening.kind}"


def test_a_room_without_a_wall_across_it_has_only_its_doors_as_ways() -> None:
    assert ways_into(plan_floor(box_room(5.0, 8.0, (2.5, 7.8), camera_at()))) == ()
    assert len(ways_into(plan_floor(room_with_doors()))) == 2


def test_the_open_side_beside_a_walls_end_is_a_way() -> None:
    (way,) = ways_into(plan_floor(open_plan()))
    assert (way.axis, way.offset, way.facing) == ("z", -5.4, 1)
    assert way.span[0] == pytest.approx(0.0)
    assert way.span[1] > 1.8
    assert way.is_blocked_by(Pose(0.8, -4.8, 0.0), 2.0), "a back to those who come in"
    assert way.is_blocked_by(Pose(0.8, -5.8, 90.0), 2.0), "in the next room"
    assert not way.is_blocked_by(Pose(0.8, -4.2, 90.0), 2.0)
    assert not way.is_blocked_by(Pose(-1.8, -5.3, 0.0), 1.0), "at the wall beside it"


def test_one_can_turn_round_the_end_of_a_wall() -> None:
    plan = plan_floor(open_plan())
    gained = kept_clear(plan).clear & ~plan.clear
    assert 1.0 < gained.sum() * 0.05**2 < 2.2  # m², 0.9 m wide and as far to either side of the wall
    assert len(kept_clear(plan).gates) == len(plan.gates) + 1


def test_the_sofa_does_not_turn_its_back_to_the_kitchen() -> None:
    geometry = open_plan()
    ways = ways_into(plan_floor(geometry))
    for seed in range(2):
        sofa = next(p for p in standing(geometry, RoomType.LIVING_ROOM, seed) if p.name == "sofa")
        back = pose_of(sofa).at(0, -sofa.size[2] / 2)
        assert not any(way.is_blocked_by(back, sofa.size[0]) for way in ways)


def test_a_bed_that_fits_only_beside_a_casing_is_better_than_none() -> None:
    holes = {
        "north": [("door", 1.68, 2.55, 0.0, 2.1)],
        "west": [("window", 0.1, 2.5, 0.54, 2.1)],
        "east": [("passage", 1.6, 3.0, 0.0, 2.1)],
    }
    geometry = box_room(4.44, 5.5, (2.42, 5.29), camera_at(height=1.22, focal_35mm=21), holes)
    assert any(piece.name == "bed" for piece in standing(geometry, RoomType.BEDROOM, 0))


def test_a_plan_without_walls_stays_as_it_is() -> None:
    plan = replace(plan_floor(open_plan()), walls=())
    assert np.array_equal(kept_clear(plan).clear, plan.clear)
