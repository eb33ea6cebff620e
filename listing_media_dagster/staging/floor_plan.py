"""The floor seen from above: where furniture may stand, what must stay clear, and whether one can still walk through.

A grid of 5 cm cells over the world's x and z (see `room`), rows along z, columns along x.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from listing_media_dagster.staging.arrays import Floats, Mask
from listing_media_dagster.staging.room import Opening, RoomGeometry, Wall

CELL = 0.05
REACH_X = 7.0  # m to either side of the camera
REACH_FAR = 10.0  # m ahead of it
REACH_BACK = 1.0
WALL_GAP = 0.03  # furniture never touches a wall
WALKWAY = 0.7
DOOR_CLEAR = 0.9  # a door leaf sweeps this far
PASSAGE_CLEAR = 0.8
GLAZED_DOOR_CLEAR = 0.6
SILL_OF_A_DOOR = 0.3  # a window that reaches lower is walked through or stood at


@dataclass(frozen=True)
class FloorPlan:
    """`free` is visible floor inside the walls, `unseen` lies outside the picture, `clear` before doors; all (Z, X).

    `gates` are the points (N, 2) m where one enters the room.
    """

    free: Mask
    unseen: Mask
    clear: Mask
    gates: Floats
    walls: tuple[Wall, ...]
    ceiling: float | None

    @property
    def area(self) -> float:
        """Free visible floor in m²."""
        return float(self.free.sum()) * CELL**2

    @cached_property
    def depth_of_free(self) -> NDArray[np.float32]:
        """Distance in m from each free cell to the nearest that isn't."""
        padded = np.pad(self.free | self.unseen, 1).astype(np.uint8)
        return np.asarray(cv2.distanceTransform(padded, cv2.DIST_L2, 5)[1:-1, 1:-1] * CELL)

    @cached_property
    def _usable_up_to(self) -> NDArray[np.int32]:
        """Number of cells above and left of each cell's corner that furniture may stand on."""
        return np.asarray(cv2.integral((self.free & ~self.clear).astype(np.uint8)))

    def may_hold(self, x: float, z: float, width: float, depth: float) -> bool:
        """Say whether furniture may stand on all cells of a rectangle along the axes around (x, z), in m."""
        low = np.array([x - width / 2, z - depth / 2]) + CORNER
        first = np.maximum(np.ceil(low / CELL - 0.5), 0).astype(int)
        stop = np.floor((low + np.array([width, depth])) / CELL - 0.5).astype(int) + 1
        rows, columns = self.free.shape
        if (stop <= first).any() or stop[0] > columns or stop[1] > rows:
            return False
        table, (left, top), (right, bottom) = self._usable_up_to, first, stop
        usable = table[bottom, right] - table[top, right] - table[bottom, left] + table[top, left]
        return bool(usable == (right - left) * (bottom - top))

    @cached_property
    def reachable_gates(self) -> tuple[int, ...]:
        """Which gates can be reached while the room is empty; the photo may not show the way to the others."""
        reached = self._reached(np.zeros_like(self.free))
        return tuple(i for i, gate in enumerate(self.gates) if _near(reached, gate))

    def stays_walkable(self, occupied: Mask) -> bool:
        """Say whether one still gets from the viewer to every door along ways as wide as `WALKWAY`."""
        reached = self._reached(occupied)
        return all(_near(reached, self.gates[i]) for i in self.reachable_gates)

    def _reached(self, occupied: Mask) -> Mask:
        """Return where the middle of a person can get from the picture's lower edge."""
        passable = np.pad((self.free | self.unseen) & ~occupied, 1).astype(np.uint8)
        room_for_one = cv2.distanceTransform(passable, cv2.DIST_L2, 5)[1:-1, 1:-1] >= WALKWAY / 2 / CELL
        _, labels = cv2.connectedComponents(room_for_one.astype(np.uint8))
        start = labels[room_for_one & self.unseen & NEAR_VIEWER]
        return np.asarray(np.isin(labels, np.unique(start[start > 0])))


def plan_floor(geometry: RoomGeometry) -> FloorPlan:
    """Return the room's floor from above."""
    seen, unseen = _look_up(geometry)
    inside = _inside(geometry.walls)
    # The mask often stops short at skirting boards, cables and grilles: what is that narrow is floor all the same.
    bridged = cv2.morphologyEx(np.pad(seen, 8).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))[8:-8, 8:-8]
    seen = _up_to_walls(bridged.astype(bool), geometry.walls)
    free = _largest(seen & inside & ~unseen)
    clear, gates = _kept_clear(geometry.walls)
    return FloorPlan(free, unseen & inside, clear, gates, geometry.walls, geometry.ceiling)


def grid_points() -> Floats:
    """Return the centres (Z, X, 2) of all cells, x and z in m."""
    x = np.arange(-REACH_X + CELL / 2, REACH_X, CELL)
    z = np.arange(-REACH_FAR + CELL / 2, REACH_BACK, CELL)
    return np.stack(np.meshgrid(x, z), axis=-1)


GRID = grid_points()
CORNER = np.array([REACH_X, REACH_FAR])  # from the grid's corner to the camera
NEAR_VIEWER = np.abs(GRID).sum(-1) < 4.0


def cells_under(outline: Floats) -> tuple[tuple[slice, slice], Mask]:
    """Return the window of the grid around a convex `outline` (N, 2) m and which of its cells lie within."""
    low = np.floor((outline.min(0) + CORNER) / CELL).astype(int)
    high = np.ceil((outline.max(0) + CORNER) / CELL).astype(int)
    rows = slice(max(low[1], 0), max(high[1], 0))
    columns = slice(max(low[0], 0), max(high[0], 0))
    points = GRID[rows, columns]
    within = np.ones(points.shape[:2], bool)
    sides = np.roll(outline, -1, axis=0) - outline
    turning = np.sign(sides[0, 0] * sides[1, 1] - sides[0, 1] * sides[1, 0])
    for corner, side in zip(outline, sides, strict=True):
        away = points - corner
        within &= turning * (side[0] * away[..., 1] - side[1] * away[..., 0]) >= 0
    return (rows, columns), within


def _look_up(geometry: RoomGeometry) -> tuple[Mask, Mask]:
    """Return which cells the photo shows as floor, and which lie outside of the picture."""
    shape = GRID.shape[:2]
    points = GRID.reshape(-1, 2)
    on_floor = np.column_stack([points[:, 0], np.zeros(len(points)), points[:, 1]])
    pixels = geometry.camera.project(on_floor)
    height, width = geometry.floor.shape
    pixels = pixels * np.array([width, height]) / geometry.camera.size
    in_picture = np.isfinite(pixels).all(1) & (pixels >= 0).all(1) & (pixels < (width, height)).all(1)
    seen = np.zeros(len(points), bool)
    columns, rows = pixels[in_picture].astype(int).T
    seen[in_picture] = geometry.floor[rows, columns]
    return seen.reshape(shape), ~in_picture.reshape(shape)


def _inside(walls: tuple[Wall, ...]) -> Mask:
    """Return the cells on the room's side of every wall, as far as each wall is seen."""
    inside = np.ones(GRID.shape[:2], bool)
    for wall in walls:
        across, along = _axes(wall)
        behind = (across - wall.offset) * wall.facing < WALL_GAP
        inside &= ~(behind & (along > wall.span[0]) & (along < wall.span[1]))
    return inside


def _up_to_walls(seen: Mask, walls: tuple[Wall, ...], reach: float = 0.25) -> Mask:
    """Return `seen` continued to walls that it stops just short of."""
    seen = seen.copy()
    for wall in walls:
        across, along = _axes(wall)
        distance = (across - wall.offset) * wall.facing
        strip = (distance >= 0) & (distance < reach) & (along > wall.span[0]) & (along < wall.span[1])
        steps = int(reach / CELL) + 1
        shift = (0, -steps * wall.facing) if wall.axis == "x" else (-steps * wall.facing, 0)
        seen |= strip & np.roll(seen, shift, axis=(0, 1))
    return seen


def _axes(wall: Wall) -> tuple[Floats, Floats]:
    """Return the cells' coordinates across and along a wall."""
    x, z = GRID[..., 0], GRID[..., 1]
    return (x, z) if wall.axis == "x" else (z, x)


def _kept_clear(walls: tuple[Wall, ...]) -> tuple[Mask, Floats]:
    clear = np.zeros(GRID.shape[:2], bool)
    gates = []
    for wall in walls:
        across, along = _axes(wall)
        distance = (across - wall.offset) * wall.facing
        for opening in wall.openings:
            if (reach := clearance(opening)) > 0:
                clear |= (distance < reach) & (distance > -0.3) & (along > opening.span[0]) & (along < opening.span[1])
            if opening.is_walked_through:
                middle, step = sum(opening.span) / 2, wall.offset + wall.facing * 0.45
                gates.append((step, middle) if wall.axis == "x" else (middle, step))
    return clear, np.array(gates, float).reshape(-1, 2)


def clearance(opening: Opening) -> float:
    """Return how far in m the floor before an opening stays clear; 0 for niches and windows with a sill."""
    if opening.kind == "door":
        return DOOR_CLEAR
    if opening.kind == "passage":
        return PASSAGE_CLEAR
    return GLAZED_DOOR_CLEAR if opening.bottom < SILL_OF_A_DOOR else 0.0


def _largest(free: Mask) -> Mask:
    count, labels, stats, _ = cv2.connectedComponentsWithStats(free.astype(np.uint8), connectivity=4)
    if count < 2:
        return free
    return np.asarray(labels == 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA])))


def _near(reached: Mask, point: Floats, reach: float = 0.3) -> bool:
    column, row = ((point + CORNER) / CELL).astype(int)
    cells = round(reach / CELL)
    return bool(reached[max(row - cells, 0) : row + cells + 1, max(column - cells, 0) : column + cells + 1].any())
