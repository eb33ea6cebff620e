"""Where a room's main piece could stand: every place along the walls and on the free floor, best first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from math import hypot, inf

import numpy as np

from listing_media_dagster.staging.floor_plan import CELL, GRID, clearance
from listing_media_dagster.staging.kits import Look
from listing_media_dagster.staging.layouts.setting import Pose, Setting
from listing_media_dagster.staging.layouts.walls import facing_viewer, poses_along, stretch_around
from listing_media_dagster.staging.layouts.ways import TURN, ways_into
from listing_media_dagster.staging.room import PhotoCamera, Wall

ON_FREE_FLOOR = -0.25  # worth of a place without a wall; a solid wall behind is worth up to 0.8
TURNED_TO_VIEWER = 0.5  # what a piece on free floor gains that turns no side or back to the viewer
SMALLER = 0.12  # what each step down in size costs
UNDER_A_WINDOW = 0.4
BEFORE_AN_EDGE = 0.4  # what it costs that the wall isn't plain behind it
PANELS, DOORS = 0.75, 2.0  # m: edges that end lower are a dado's panels, a radiator; none is looked for higher
BEFORE_A_WALL, STRIP = 0.4, 1.8  # what it costs to leave an idle strip between one's back and a wall, up to m
IN_A_WAY = 0.8  # what it costs to stand in a way or turn one's back to who comes in
TRIED = 600
MIDDLE_HEIGHT = 0.4  # m of what is looked at in a piece
FARTHEST = 7.5  # m from the camera: beyond it furniture is too small to sell a room
HEAD_END = 0.5  # m from the wall: a bed is seen from the side to which its head end turns
APART = 0.9  # m between places that count as different


@dataclass(frozen=True)
class Place:
    """Where the back of a main piece could go, in which of its sizes, and how good that looks."""

    score: float
    pose: Pose
    look: Look
    size: int


def places_along_walls(setting: Setting, looks: Sequence[Look], least_facing: float) -> Iterator[Place]:
    """Yield every place along a wall for a piece in any of its sizes, largest first in `looks`."""
    ways = ways_into(setting.plan)
    for size, look in enumerate(looks):
        for wall in setting.plan.walls:
            for gap, pose in poses_along(wall, look.size[0], partial(_stands_free, setting, look)):
                view = view_of(setting, pose.at(0, min(look.size[2] / 2, HEAD_END)), least_facing)
                if view is not None:
                    worth = worth_of_wall(wall, pose, look.size[0]) - 0.8 * max(0.0, gap - 0.1)
                    worth -= IN_A_WAY * any(way.is_blocked_by(pose, look.size[0]) for way in ways)
                    yield Place(round(view + worth - SMALLER * size, 6), pose, look, size)


def places_on_floor(
    setting: Setting, looks: Sequence[Look], turns: Sequence[float], least_facing: float
) -> Iterator[Place]:
    """Yield places on the free floor, on a grid of 30 cm, with the piece turned by any of `turns`."""
    step = round(0.3 / CELL)
    free, ways = setting.plan.free[::step, ::step], ways_into(setting.plan)
    for size, look in enumerate(looks):
        for x, z in GRID[::step, ::step][free]:
            for turn in turns:
                pose = Pose(float(x), float(z), turn)
                view = view_of(setting, pose.at(0, look.size[2] / 2), least_facing)
                if view is not None and _stands_free(setting, look, pose, around=0.15):
                    view += ON_FREE_FLOOR + TURNED_TO_VIEWER * max(0.0, facing_viewer(pose))
                    view -= BEFORE_A_WALL * _stands_before_a_wall(pose, setting.plan.walls)
                    view -= IN_A_WAY * any(way.is_blocked_by(pose, look.size[0]) for way in ways)
                    yield Place(round(view - SMALLER * size, 6), pose, look, size)


def _stands_before_a_wall(back: Pose, walls: Sequence[Wall]) -> bool:
    """Say whether a place has a wall not far behind its back, which it might as well stand at."""
    for wall in walls:
        across, along = (back.x, back.z) if wall.axis == "x" else (back.z, back.x)
        turned = abs((back.turn - TURN[wall.axis, wall.facing] + 180) % 360 - 180) < 1
        if turned and 0 < (across - wall.offset) * wall.facing < STRIP and wall.span[0] < along < wall.span[1]:
            return True
    return False


def best_places(places: Iterator[Place], works: Callable[[Place], bool], most: int) -> list[Place]:
    """Return up to `most` of the places that work, best first, no two of them alike."""
    kept: list[Place] = []
    for place in sorted(places, key=lambda place: -place.score)[:TRIED]:
        if all(differ(place.pose, other.pose) for other in kept) and works(place):
            kept.append(place)
            if len(kept) == most:
                break
    return kept


def differ(one: Pose, other: Pose) -> bool:
    """Say whether two places would strike a viewer as different layouts."""
    return one.turn != other.turn or bool(np.hypot(one.x - other.x, one.z - other.z) > APART)


def view_of(setting: Setting, middle: Pose, least_facing: float) -> float | None:
    """Return how well the photo would show a piece: frontal, in the middle, neither near nor far. None: badly."""
    facing = facing_viewer(middle)
    if facing < least_facing or middle.z > -0.8 or hypot(middle.x, middle.z) > FARTHEST:
        return None
    off_middle = _off_middle(setting.camera, middle)
    if off_middle >= 0.85:
        return None
    frontal = float(np.interp(facing, (-0.1, 0.1, 0.35, 0.7, 1.0), (0.0, 0.3, 0.75, 1.0, 0.95)))
    depth = float(np.interp(np.hypot(middle.x, middle.z), (2.2, 3.4, 5.2, 8.0), (0.0, 1.0, 1.0, 0.1)))
    return 0.9 * frontal + 0.9 * depth + 0.8 * (1 - off_middle**2)


def _off_middle(camera: PhotoCamera, middle: Pose) -> float:
    """Return how far from the picture's middle a place shows, 1 at its edges: `project` for one place."""
    right: list[float] = camera.axes[0].tolist()
    forward: list[float] = camera.axes[2].tolist()
    x, y, z = middle.x, MIDDLE_HEIGHT - camera.height, middle.z
    ahead = forward[0] * x + forward[1] * y + forward[2] * z
    if ahead <= 0:
        return inf
    column = (right[0] * x + right[1] * y + right[2] * z) / ahead * camera.focal_px + camera.centre[0]
    return abs(2 * column / camera.size[0] - 1)


def worth_of_wall(wall: Wall, pose: Pose, width: float) -> float:
    """Return what a wall is worth at a piece's back: solid and centred best, under a window less, at a door nothing."""
    along = pose.z if wall.axis == "x" else pose.x
    behind = [o for o in wall.openings if along + width / 2 > o.span[0] and along - width / 2 < o.span[1]]
    if any(clearance(opening) > 0 for opening in behind):
        return 0.0
    left, right = wall.span if behind else stretch_around(wall, along)
    off_centre = abs(along - (left + right) / 2) / max((right - left) / 2, 0.5)
    broken = wall.has_edge_within(along - width / 2, along + width / 2, PANELS, DOORS)
    return 0.8 - UNDER_A_WINDOW * bool(behind) - BEFORE_AN_EDGE * broken - 0.35 * min(off_centre, 1.0)


def _stands_free(setting: Setting, look: Look, pose: Pose, around: float = 0.0) -> bool:
    """Say whether all the floor under a piece turned along the walls, and `around` m of it, is free to stand on."""
    width, depth = (look.size[0], look.size[2]) if pose.turn % 180 == 0 else (look.size[2], look.size[0])
    middle = pose.at(0, look.size[2] / 2)
    return setting.plan.may_hold(middle.x, middle.z, width + 2 * around, depth + 2 * around)
