"""Where the floor ends: the wall's foot, followed across the picture along straight lines of the room.

Colour says how much each pixel looks like floor; edges that run along the walls are the candidates; the cheapest path
through both, column by column, is the boundary. A path of lines bridges shadows, sun and reflections that colour alone
would follow, and its cost tells how well a frame fits the room.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from listing_media_dagster.photo.line_segments import Segments, lengths
from listing_media_dagster.staging.arrays import Floats, Mask
from listing_media_dagster.staging.manhattan import Frame, angles_off

WORKING_SIDE = 480
ALONG_AXIS = np.radians(1.6)
MOST_LINES = 90
STEEPEST = 4.0  # px down for each px across; steeper lines hardly bound a floor by columns
DEEPEST = 8.5
"""Camera heights to the farthest wall that is believed: 12 m."""
COLOUR_PX = 8.0  # px of wrongly coloured floor or wall in a column that cost as much as a missing edge
MOST_COLOUR = 1.1
MOST_UPRIGHT = 3.0
SWITCH = 3.5
LARGEST_JUMP = 34.0
JUMP_AT_UPRIGHT = 0.35
"""Share of a jump's cost where an upright edge, of a door or a corner, explains it."""
WIDEST_DIP = 0.4  # share of the picture's width
SHARP = 0.8
SAME_LINE = 2.5  # working px
FREE = 1.6
"""Cost of a column that follows colour alone, where a line with a full edge costs 0 and one without costs 1."""


@dataclass(frozen=True)
class FloorLine:
    """A line y = start + slope · x px in which a wall may meet the floor; `axis` is that wall's, None if it is askew.

    `reach` is the columns (first, last) in working px that it may be used in.
    """

    axis: Literal["x", "z"] | None
    slope: float
    start: float
    reach: tuple[float, float]


@dataclass(frozen=True)
class Boundary:
    """The floor's far edge: for each working column the line (-1 none) and y in working px (`scale` of the photo's).

    `edge` (C,) 0..1 tells how much of an edge there is, `cost` the mean cost of a column.
    """

    lines: tuple[FloorLine, ...]
    label: NDArray[np.int64]
    y: Floats
    edge: Floats
    cost: float
    scale: float

    def mask(self, size: tuple[int, int]) -> Mask:
        """Return the floor (H, W) below the boundary at full size; straight along lines."""
        width, height = size
        columns = (np.arange(width) + 0.5) * self.scale
        own = np.clip(columns.astype(int), 0, len(self.y) - 1)
        y = np.interp(columns, np.arange(len(self.y)) + 0.5, self.y)
        slope = np.array([line.slope for line in self.lines] + [0.0])
        start = np.array([line.start for line in self.lines] + [0.0])
        straight = start[self.label[own]] + slope[self.label[own]] * columns
        y = np.where(self.label[own] >= 0, straight, y)
        return np.asarray((np.arange(height)[:, None] + 0.5) * self.scale > y[None, :])


def reduced(rgb: NDArray[np.uint8]) -> tuple[NDArray[np.float32], float]:
    """Return the photo in CIE Lab (h, w, 3), float32, at working size, and the scale it is reduced by."""
    scale = WORKING_SIDE / max(rgb.shape[:2])
    small = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small.astype(np.float32) / 255, cv2.COLOR_RGB2LAB), np.float32), scale


def floor_odds(lab: NDArray[np.float32], floor: Mask, other: Mask) -> Floats:
    """Return how much more a pixel's colour is like that of `floor` than of `other`, (h, w), log odds within ±2."""
    smooth = cv2.GaussianBlur(lab, (0, 0), 1.2)
    bins = np.clip(smooth / [8.0, 2.5, 2.5] + [0.0, 16.0, 16.0], 0, 31).astype(int)  # light varies more than paint
    counts = []
    for region in (floor, other):
        histogram = np.zeros((32, 32, 32), np.float32)
        np.add.at(histogram, tuple(bins[region].T), 1.0 / max(1, int(region.sum())))
        for axis in range(3):
            rolled = np.moveaxis(histogram, axis, 0)
            wide = 0.5 * rolled
            wide[1:] += 0.25 * rolled[:-1]
            wide[:-1] += 0.25 * rolled[1:]
            histogram = np.moveaxis(wide, 0, axis)
        counts.append(histogram)
    odds = np.log((counts[0] + 2e-4) / (counts[1] + 2e-4))[bins[..., 0], bins[..., 1], bins[..., 2]]
    glare = np.clip((smooth[..., 0] - 92) / 6, 0, 1)  # sun and windows on a varnished floor look like any window
    return np.asarray(np.clip(odds, -2, 2) * (1 - 0.85 * glare), np.float64)


def upright_edges(segments: Segments, frame: Frame, shape: tuple[int, int], scale: float) -> Floats:
    """Return where upright edges are (h, w), 0..1, blurred sideways: walls have them, floors don't."""
    off = np.abs(angles_off(segments, frame))
    upright = (off[:, 1] < ALONG_AXIS) & (off[:, [0, 2]].min(axis=1) > 3 * ALONG_AXIS)
    upright &= lengths(segments) > 0.05 * frame.size[1]
    drawn = np.zeros(shape, np.float32)
    for ends in (segments[upright] + np.array(frame.size) / 2) * scale:
        first, last = (tuple(round(value) for value in end) for end in ends)
        cv2.line(drawn, first, last, (1.0,), 1)
    return np.asarray(np.minimum(1.0, 8 * cv2.GaussianBlur(drawn, (0, 0), sigmaX=5.0, sigmaY=0.8)), np.float64)


def floor_lines(segments: Segments, frame: Frame, scale: float) -> tuple[FloorLine, ...]:
    """Return the lines along edges under the horizon that a wall could stand on, longest edges first."""
    width, height = frame.size
    centre = np.array([width / 2, height / 2])
    horizon = np.array([frame.camera(1.0).horizon(x) for x in (0.0, float(width))])
    ends = segments + centre
    level = horizon[0] + (horizon[1] - horizon[0]) * ends[..., 0] / width
    under = (ends[..., 1] > level + frame.focal_px / DEEPEST).all(axis=1)
    off = np.abs(angles_off(segments, frame))
    nearest = off.argmin(axis=1)
    order = np.argsort(-lengths(segments))
    found: list[FloorLine] = []
    for number in order[under[order]]:
        along = bool(off[number, nearest[number]] < ALONG_AXIS)
        if (along and nearest[number] == 1) or (not along and off[number, 1] < 3 * ALONG_AXIS):
            continue
        axis: Literal["x", "z"] | None = ("z", None, "x")[nearest[number]] if along else None
        if axis is None and np.linalg.norm(ends[number, 1] - ends[number, 0]) < 0.05 * width:
            continue
        line = _line_of(ends[number] * scale, axis, frame, scale)
        if line is not None and not any(_is_same(line, other, ends[number] * scale) for other in found):
            found.append(line)
        if len(found) == MOST_LINES:
            break
    return tuple(found)


def _line_of(ends: Floats, axis: Literal["x", "z"] | None, frame: Frame, scale: float) -> FloorLine | None:
    """The line through the middle of an edge toward its vanishing point, in working px; None if it is too steep."""
    middle = ends.mean(axis=0)
    along = ends[1] - ends[0]
    if axis is not None:
        way = np.array([1.0, 0.0, 0.0]) if axis == "z" else np.array([0.0, 0.0, 1.0])
        seen = frame.camera(1.0).axes @ way * [1, -1, 1]
        centre = np.array([frame.size[0] / 2, frame.size[1] / 2 + frame.shift]) * scale
        along = seen[:2] * frame.focal_px * scale - seen[2] * (middle - centre)
    if abs(along[0]) < 1e-9 or abs(along[1]) > STEEPEST * abs(along[0]):
        return None
    slope = float(along[1] / along[0])
    spare = 1e9 if axis is not None else 0.15 * abs(ends[1, 0] - ends[0, 0]) + 4
    reach = (float(ends[:, 0].min() - spare), float(ends[:, 0].max() + spare))
    return FloorLine(axis, slope, float(middle[1] - slope * middle[0]), reach)


def _is_same(line: FloorLine, other: FloorLine, ends: Floats) -> bool:
    if line.axis != other.axis or (line.axis is None and not other.reach[0] <= ends[:, 0].mean() <= other.reach[1]):
        return False
    gap = (line.start - other.start) + (line.slope - other.slope) * ends[:, 0]
    return bool(np.abs(gap).max() < 1.2)


def follow_boundary(
    lab: NDArray[np.float32],
    odds: Floats,
    upright: Floats,
    lines: tuple[FloorLine, ...],
    farthest: Floats,
    scale: float,
) -> Boundary:
    """Return the cheapest floor boundary over the columns.

    odds and upright (h, w): see `floor_odds` and `upright_edges`; farthest (w,): no floor above this y, working px.
    """
    rows, columns = odds.shape
    x = np.arange(columns) + 0.5
    wrong = -_sum_below(odds) / 2 / COLOUR_PX  # cost of calling all below row y floor
    wrong[np.arange(rows + 1)[:, None] < farthest] = np.inf
    wrong -= wrong.min(axis=0)
    by_colour = cv2.medianBlur(wrong.argmin(axis=0).astype(np.float32)[None], 5)[0].astype(np.float64)
    y = np.array([line.start + line.slope * x for line in lines] + [by_colour, np.full(columns, float(rows))])
    y = np.minimum(y, rows)
    blurred = (lab, np.asarray(cv2.GaussianBlur(lab, (0, 0), 1.8), np.float32))
    edge = np.array([_edge_along(blurred, line, row) for line, row in zip(lines, y, strict=False)] + [x * 0, x * 0])
    wrong = MOST_COLOUR * np.tanh(wrong / MOST_COLOUR) + np.minimum(_sum_below(upright) / COLOUR_PX, MOST_UPRIGHT)
    row = np.clip(np.round(y), 0, rows).astype(int)
    cost = wrong[row, np.arange(columns)] + 1 - edge
    cost[y < farthest] = np.inf
    cost[-2] += FREE - 1
    cost[-1] += 0.9 - 1  # hardly an edge is to be expected where a wall runs out of the picture
    cost[-1, int(0.35 * columns) : int(0.65 * columns)] = np.inf
    for number, line in enumerate(lines):
        cost[number, (x < line.reach[0]) | (x > line.reach[1])] = np.inf
        cost[number, y[number] >= rows] = np.inf
        cost[number] += 0.35 if line.axis is None else 0.0
    cost = np.minimum(cost, 1e6)
    ease = 1 - (1 - JUMP_AT_UPRIGHT) * cv2.dilate(upright.max(axis=0)[None], np.ones((1, 3)))[0]
    label, total = _cheapest_path(cost, y, np.asarray(ease, np.float64))
    chosen = np.arange(columns)
    named = np.where(label < len(lines), label, -1)
    return Boundary(lines, named, y[label, chosen], edge[label, chosen], total / columns, scale)


def _sum_below(image: Floats) -> Floats:
    """Return the sum of each column from row y down, (h + 1, w)."""
    total = np.cumsum(image[::-1], axis=0)[::-1]
    return np.vstack([total, np.zeros((1, image.shape[1]))])


def _edge_along(blurred: tuple[NDArray[np.float32], NDArray[np.float32]], line: FloorLine, y: Floats) -> Floats:
    """How much of an edge (C,) 0..1 runs along the line in each column: a sharp change that stays changed.

    The joint between two boards is sharp, but has the same floor on both of its sides.
    """
    x = np.arange(len(y)) + 0.5
    norm = np.array([-line.slope, 1.0]) / np.hypot(line.slope, 1.0)
    strength = np.ones(len(y))
    for image, reach in zip(blurred, (1.4, 4.0), strict=True):
        sides = []
        for way in (-reach, reach):
            places = [
                (value + way * part - 0.5).astype(np.float32)[None] for value, part in ((x, norm[0]), (y, norm[1]))
            ]
            sides.append(cv2.remap(image, places[0], places[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[0])
        change = np.linalg.norm((sides[1] - sides[0]) * [1.0, 1.3, 1.3], axis=1)
        strength *= np.sqrt(change / (change + 4.5))
    return np.asarray(cv2.blur(strength[None].astype(np.float32), (7, 1))[0], np.float64)


def _cheapest_path(cost: Floats, y: Floats, ease: Floats) -> tuple[NDArray[np.int64], float]:
    """Viterbi over columns: labels (C,) and their total cost. A change of label costs, a jump in y more, by `ease`."""
    count, columns = cost.shape
    best = cost[:, 0].copy()
    origin = np.zeros((columns, count), np.int64)
    stay = np.arange(count)
    for column in range(1, columns):
        jump = np.abs(y[:, column - 1][:, None] - y[:, column][None, :])
        change = SWITCH + ease[column] * np.minimum(jump, LARGEST_JUMP)
        change[:, -1], change[-1] = SWITCH + jump[:, -1], SWITCH + jump[-1]  # a floor leaves the picture along a line
        change[stay, stay] = 0.0
        total = best[:, None] + change
        origin[column] = total.argmin(axis=0)
        best = total[origin[column], stay] + cost[:, column]
    label = np.empty(columns, np.int64)
    label[-1] = int(best.argmin())
    for column in range(columns - 1, 0, -1):
        label[column - 1] = origin[column, label[column]]
    return label, float(best.min())


COLOUR_MISLEADS = 0.6
"""Cost of a column from which on floor and walls are of one colour, or half of the floor is, and edges know better."""


def find_boundary(lab: NDArray[np.float32], segments: Segments, frame: Frame, scale: float) -> Boundary:
    """Return the floor's far edge as seen in `frame`, starting once from the floor's colour, once from edges alone."""
    shape = rows, columns = lab.shape[:2]
    camera = frame.camera(1.0)
    farthest = np.interp(np.arange(columns), [0, columns - 1], [camera.horizon(0), camera.horizon(frame.size[0])])
    farthest = farthest * scale + frame.focal_px * scale / DEEPEST
    lines = floor_lines(segments, frame, scale)
    upright = upright_edges(segments, frame, shape, scale)
    row = np.arange(rows)[:, None]
    nearby = np.zeros(shape, bool)
    nearby[int(0.88 * rows) :, int(0.2 * columns) : int(0.8 * columns)] = True
    blind = follow_boundary(lab, np.full(shape, 0.12), upright, lines, farthest, scale)
    found = []
    for floor, other in ((nearby, row < farthest), (row > blind.y, row <= blind.y)):
        for _ in range(2):
            odds = floor_odds(lab, floor, np.broadcast_to(other, shape))
            boundary = follow_boundary(lab, odds, upright, lines, farthest, scale)
            floor, other = row > boundary.y, row <= boundary.y
        found.append(boundary)
    best = min(found, key=lambda boundary: boundary.cost)
    if best.cost > COLOUR_MISLEADS and blind.cost < best.cost - 0.2:
        best = replace(blind, cost=(blind.cost + best.cost) / 2)  # in doubt, and its cost is to say so
    return without_dips(best)


def without_dips(boundary: Boundary) -> Boundary:
    """Return the boundary with its line carried on where it leaves it for a nearer one and comes back soon after.

    A reflection of a door in varnish, or a patch of sun between its bars, looks like a box in front of the wall; only
    one with a sharp foot is believed.
    """
    label, y = boundary.label.copy(), boundary.y.copy()
    x = np.arange(len(y)) + 0.5
    for number in np.unique(label[label >= 0]):
        line = boundary.lines[number]
        carried = line.start + line.slope * x
        own = np.flatnonzero(np.abs(y - carried) < SAME_LINE) if line.axis else np.zeros(0, int)
        for first, last in pairwise(own.tolist()):
            gap = slice(first + 1, last)
            narrow = 1 < last - first < WIDEST_DIP * len(y)
            if narrow and (y[gap] > carried[gap]).mean() > 0.8 and boundary.edge[gap].mean() < SHARP:
                label[gap], y[gap] = number, carried[gap]
    return replace(boundary, label=label, y=y)
