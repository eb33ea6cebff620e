"""Ways into the room that furniture neither stands in nor turns its back on: doors, passages, and open sides."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from listing_media_dagster.staging.arrays import Floats, Mask
from listing_media_dagster.staging.floor_plan import CELL, CORNER, GRID, FloorPlan, clearance
from listing_media_dagster.staging.layouts.setting import Pose
from listing_media_dagster.staging.room import Wall

CASING = 0.12  # m: about as wide as a door's casing, which an opening's span leaves out
BESIDE_CASING = 0.15
ALONG_WALL = 0.6  # m from the wall: so far reaches what stands beside a casing
ROUND_A_CORNER = 0.9  # m that people need who come round the free end of a wall
WIDEST, LEAST_WAY, LEAST_WALL, STEP = 4.5, 0.6, 1.0, 0.15  # m
IN_THE_WAY = 0.3  # m before a way; what is beyond it stands in the next room
TURNED_BACK = 2.2  # m: a back as near as that to a way keeps people out
TURN = {("z", 1): 0.0, ("z", -1): 180.0, ("x", 1): 90.0, ("x", -1): -90.0}


@dataclass(frozen=True)
class Way:
    """An opening in the plane `axis` = `offset` m, `span` m along it, through which one comes in toward `facing`."""

    axis: Literal["x", "z"]
    offset: float
    facing: Literal[-1, 1]
    span: tuple[float, float]

    def is_blocked_by(self, back: Pose, width: float) -> bool:
        """Say whether what has the middle of its back there, `width` m wide, is in the way or turned away from it."""
        across, along = (back.x, back.z) if self.axis == "x" else (back.z, back.x)
        if not self.span[0] - width / 4 < along < self.span[1] + width / 4:
            return False
        off = (across - self.offset) * self.facing
        turned = abs((back.turn - TURN[self.axis, self.facing] + 180) % 360 - 180) < 45
        return off < IN_THE_WAY or (turned and off < TURNED_BACK)


def ways_into(plan: FloorPlan) -> tuple[Way, ...]:
    """Return the room's doors and passages, and its sides that are open beside the free end of a wall."""
    doors = [
        Way(wall.axis, wall.offset, wall.facing, opening.span)
        for wall in plan.walls
        for opening in wall.openings
        if opening.kind in ("door", "passage")
    ]
    return (*doors, *(way for wall in plan.walls for way in _open_sides(plan, wall)))


def kept_clear(plan: FloorPlan) -> FloorPlan:
    """Return the plan with more kept clear: beside doors' casings, and where one comes round the free end of a wall."""
    clear, gates = plan.clear.copy(), [plan.gates]
    for wall in plan.walls:
        off, along = _seen_from(wall)
        for opening in wall.openings:
            if clearance(opening) > 0:
                beside = (CASING if opening.kind != "window" else 0.0) + BESIDE_CASING
                strip = (along > opening.span[0] - beside) & (along < opening.span[1] + beside)
                clear |= strip & (off < ALONG_WALL) & (off > -0.3)
        for way in _open_sides(plan, wall):
            end = way.span[0] if way.span[0] == wall.span[1] else way.span[1] - ROUND_A_CORNER
            clear |= (np.abs(off) < ROUND_A_CORNER) & (along > end) & (along < end + ROUND_A_CORNER)
            middle = (wall.offset, end + ROUND_A_CORNER / 2)
            gates.append(np.array([middle if wall.axis == "x" else middle[::-1]]))
    return replace(plan, clear=clear, gates=np.concatenate(gates))


def _open_sides(plan: FloorPlan, wall: Wall) -> Iterator[Way]:
    """Yield where the floor goes on behind the wall's plane past either end, if it is long enough for a wall."""
    if wall.span[1] - wall.span[0] < LEAST_WALL:
        return
    for end, step in ((wall.span[0], -1), (wall.span[1], 1)):
        # the floor right behind a wall's end is hidden by it
        places = end + step * np.arange(STEP, WIDEST, STEP)
        open_there = [all(_is_free(plan.free, wall, along, off) for off in (0.3, -0.15, -0.45)) for along in places]
        first = next((number for number, is_open in enumerate(open_there[:5]) if is_open), None)
        if first is None:
            continue
        last = next((number for number in range(first, len(places)) if not open_there[number]), len(places)) - 1
        if abs(places[last] - end) >= LEAST_WAY:
            reach = float(places[last])
            yield Way(wall.axis, wall.offset, wall.facing, (min(end, reach), max(end, reach)))


def _is_free(free: Mask, wall: Wall, along: float, off: float) -> bool:
    across = wall.offset + wall.facing * off
    x, z = (across, along) if wall.axis == "x" else (along, across)
    column, row = np.floor((np.array([x, z]) + CORNER) / CELL).astype(int)
    return bool(0 <= row < free.shape[0] and 0 <= column < free.shape[1] and free[row, column])


def _seen_from(wall: Wall) -> tuple[Floats, Floats]:
    """Return the cells' distance from the wall's plane into the room and their place along it, (Z, X) m each."""
    x, z = GRID[..., 0], GRID[..., 1]
    across, along = (x, z) if wall.axis == "x" else (z, x)
    return (across - wall.offset) * wall.facing, along
