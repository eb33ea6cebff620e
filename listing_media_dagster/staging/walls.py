"""The walls behind the floor's edge, in metres, and how high the ceiling is over it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from listing_media_dagster.photo.line_segments import Segments
from listing_media_dagster.staging.arrays import Floats
from listing_media_dagster.staging.flat_wall import flatten_wall, slopes
from listing_media_dagster.staging.floor import ALONG_AXIS, Boundary
from listing_media_dagster.staging.manhattan import Frame, angles_off
from listing_media_dagster.staging.room import PhotoCamera, Wall

SHORTEST_RUN = 0.02  # share of the picture's width
SHORTEST_WALL = 0.25  # camera heights
SAME_WALL = 0.09
"""Camera heights between two parallel lines that are one wall: its skirting's foot and top, a radiator's shadow."""
SAME_SHARE = 0.045  # of the distance: a sill shifts the foot of a far wall by as much
LOWEST_CEILING, HIGHEST_CEILING = 1.42, 3.3  # camera heights: old town houses have rooms of 3.5 m and more


@dataclass(frozen=True)
class Run:
    """A stretch of the floor's edge on one straight line: columns (first, last) in working px and its wall."""

    columns: tuple[int, int]
    wall: Wall
    edge: float


def walls_behind(boundary: Boundary, camera: PhotoCamera) -> tuple[Wall, ...]:
    """Return the walls that the floor's edge runs along, left to right, same walls joined across gaps."""
    walls: list[Wall] = []
    for run in _runs(boundary, camera):
        same = next((n for n, wall in enumerate(walls) if _is_one(wall, run.wall, camera.height)), None)
        if same is None:
            walls.append(run.wall)
            continue
        longer = max(walls[same], run.wall, key=_length)
        span = (min(walls[same].span[0], run.wall.span[0]), max(walls[same].span[1], run.wall.span[1]))
        walls[same] = replace(longer, span=span)
    return tuple(wall for wall in walls if _length(wall) > SHORTEST_WALL * camera.height)


def _length(wall: Wall) -> float:
    return wall.span[1] - wall.span[0]


def _is_one(wall: Wall, other: Wall, height: float) -> bool:
    near = max(SAME_WALL * height, SAME_SHARE * abs(wall.offset))
    return (wall.axis, wall.facing) == (other.axis, other.facing) and abs(wall.offset - other.offset) < near


def _runs(boundary: Boundary, camera: PhotoCamera) -> list[Run]:
    changes = np.flatnonzero(np.diff(boundary.label)) + 1
    runs = []
    for first, stop in pairwise([0, *changes.tolist(), len(boundary.label)]):
        label = int(boundary.label[first])
        axis = boundary.lines[label].axis if label >= 0 else None
        if axis is None or stop - first < SHORTEST_RUN * len(boundary.label):
            continue
        columns = np.array([first, (first + stop) / 2, stop]) / boundary.scale
        line = boundary.lines[label]
        y = (line.start + line.slope * columns * boundary.scale) / boundary.scale
        foot = camera.on_floor(np.column_stack([columns, y]))
        if not np.isfinite(foot).all():
            continue
        wall = _wall_at(axis, foot)
        if wall is not None:
            runs.append(Run((first, stop), wall, float(boundary.edge[first:stop].mean())))
    return runs


def _wall_at(axis: Literal["x", "z"], foot: Floats) -> Wall | None:
    """The wall whose foot is seen at floor points (3, 3); None if it would stand behind the camera."""
    across, along = (0, 2) if axis == "x" else (2, 0)
    offset = float(np.median(foot[:, across]))
    if axis == "z" and offset > -0.3:
        return None
    facing: Literal[-1, 1] = 1 if offset < 0 else -1
    return Wall(axis, offset, facing, (float(foot[:, along].min()), float(foot[:, along].max())))


def on_wall(camera: PhotoCamera, wall: Wall, points: Floats) -> Floats:
    """Return where on the wall's plane pixels (N, 2) look: (N, 2) m along and m above the floor; NaN if behind."""
    rays = camera.rays(points)
    across, along = (0, 2) if wall.axis == "x" else (2, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        steps = wall.offset / rays[:, across]
    steps = np.where(np.isfinite(steps) & (steps > 0), steps, np.nan)
    return np.asarray(np.column_stack([rays[:, along] * steps, camera.height + rays[:, 1] * steps]))


def ceiling_height(
    walls: tuple[Wall, ...],
    segments: Segments,
    frame: Frame,
    camera: PhotoCamera,
    lab: NDArray[np.float32],
    scale: float,
) -> float | None:
    """Return the height in m at which edges run along the walls' tops; None where too few agree.

    Long straight edges tell best; where they are too faint, the sum of what changes at one height of all walls does.
    """
    level = _level_of_edges(walls, segments, frame, camera)
    return level if level is not None else _level_of_change(walls, camera, lab, scale)


def _level_of_change(
    walls: tuple[Wall, ...], camera: PhotoCamera, lab: NDArray[np.float32], scale: float
) -> float | None:
    top = HIGHEST_CEILING * camera.height
    flats = [flat for wall in walls if (flat := flatten_wall(lab, scale, wall, camera, top)) is not None]
    if not flats:
        return None
    strength = [slopes(flat)[1] for flat in flats]
    whole = sum(flat.seen.sum(axis=1) for flat in flats)
    change = sum((down / (down + 2.0)).sum(axis=1) for down in strength) / np.maximum(whole, 1)
    height = (top - (np.arange(len(change)) + 0.5) * flats[0].metres) / camera.height
    enough = (whole > 0.3 * np.max(whole)) & (height > LOWEST_CEILING)
    if not enough.any():
        return None
    usual = float(np.median(change[enough]))
    candidates = np.where(enough, change, 0)
    peak = int(np.flatnonzero(candidates > 0.85 * candidates.max())[0])  # the highest of the strong ones
    peak += int(candidates[peak : peak + 4].argmax())
    return float(height[peak] * camera.height) if change[peak] > max(0.3, 1.7 * usual) else None


def _level_of_edges(walls: tuple[Wall, ...], segments: Segments, frame: Frame, camera: PhotoCamera) -> float | None:
    off = np.abs(angles_off(segments, frame))
    ends = segments + np.array(frame.size) / 2
    heights, shares = [], []
    whole = sum(_length(wall) for wall in walls)
    for wall in walls:
        along = off[:, 2 if wall.axis == "x" else 0] < ALONG_AXIS
        places = on_wall(camera, wall, ends[along].reshape(-1, 2)).reshape(-1, 2, 2)
        inside = np.clip(places[..., 0], wall.span[0] - 0.1, wall.span[1] + 0.1)
        shares.append(np.abs(inside[:, 1] - inside[:, 0]) / whole)
        heights.append(places[..., 1].mean(axis=1) / camera.height)
    height, share = np.concatenate(heights), np.concatenate(shares)
    usable = np.isfinite(height) & np.isfinite(share)
    levels = np.arange(LOWEST_CEILING, HIGHEST_CEILING, 0.01)
    near = np.exp(-(((height[usable][None] - levels[:, None]) / 0.025) ** 2))
    support = near @ share[usable]
    if support.max() < 0.3:
        return None
    peak = np.flatnonzero(support > 0.6 * support.max())[-1]
    around = near[peak] * share[usable]
    return float((height[usable] * around).sum() / around.sum() * camera.height)
