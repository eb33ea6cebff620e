"""Passages that the floor goes on through: gaps in a wall, or from its end to the next corner or the picture's edge.

Where a wall's plane is crossed by floor there is an opening or the wall's end. It is an opening if something
joins its jambs above: an edge along the wall, straight or arched, over which the wall goes on from beside the jamb. In
an L-shaped room nothing does, and the corner's upright edge runs up to the ceiling.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from listing_media_dagster.staging.arrays import Floats, Mask
from listing_media_dagster.staging.flat_wall import Flat, flatten_wall, opening_in, slopes
from listing_media_dagster.staging.floor import Boundary
from listing_media_dagster.staging.glazing import Framed
from listing_media_dagster.staging.room import PhotoCamera, Wall

STEP = 0.035  # camera heights along a wall
BEYOND = 0.22  # camera heights behind a wall's plane from which floor lies in another room
NARROWEST, WIDEST = 0.4, 3.2  # camera heights
OWN_WALL = 0.7  # camera heights of wall beside a gap: pillars and stairs have less
LOWEST_HEAD, HIGHEST_HEAD = 1.22, 2.15  # camera heights
UNDER_CEILING = 0.08  # camera heights: an edge nearer to the ceiling is the ceiling's
OVER_HEAD = 0.08  # camera heights of wall that must be seen above
EDGE, JOINED = 1.2, 0.65  # change of colour for each px, and the share of the gap's width that has it
JAMB, BREAST = 0.6, 0.85  # share of a jamb that is seen from under the head down to breast height, camera heights
JAMB_GOES_ON = 0.6  # share of the height above the head
LIKE_BESIDE = 13.0  # in L*a*b* between the wall over the head and beside the jamb
CASING = 0.28  # camera heights that a casing and the wall's thickness may reach beyond a gap
MARGIN = 0.4  # camera heights of wall that is looked at beside a gap
NEAR_CORNER = 0.15  # camera heights: an upright edge that near to a corner is the corner's
ARCH = 0.35  # share of the gap at its middle, where an arch is level


def with_passages(
    walls: tuple[Wall, ...],
    boundary: Boundary,
    camera: PhotoCamera,
    lab: NDArray[np.float32],
    scale: float,
    ceiling: float | None,
) -> tuple[Wall, ...]:
    """Return the walls with the passages in them, each as long as its passages reach, without what lies beyond those.

    lab (h, w, 3): the photo reduced by `scale`.
    """
    found: list[Wall] = []
    highest = min(HIGHEST_HEAD * camera.height, (ceiling or np.inf) - UNDER_CEILING * camera.height)
    for wall in walls:
        within = _between_corners(wall, [other for other in walls if other is not wall], camera.height)
        gaps = _gaps(wall, within, boundary, camera)
        framed = (_framed(wall, gap, within, highest, camera, lab, scale) for gap in gaps)
        passages = [passage for passage in framed if passage is not None]
        spans = [wall.span, *(passage.span for passage in passages)]
        reach = (min(span[0] for span in spans), max(span[1] for span in spans))
        openings = tuple(opening_in(passage, wall, camera) for passage in passages)
        found.append(replace(wall, span=reach, openings=openings))
    return _without_rooms_beyond(tuple(found), camera.height)


def _gaps(
    wall: Wall, within: tuple[float, float], boundary: Boundary, camera: PhotoCamera
) -> Iterator[tuple[float, float]]:
    """Yield where (from, to) m along the wall, `within` its corners, floor goes on behind it beside wall of its own."""
    height = camera.height
    along = np.arange(*within, STEP * height)
    if len(along) < 3:
        return
    behind, seen = _behind(wall, along, boundary, camera)
    own = (along > wall.span[0]) & (along < wall.span[1]) & (behind < BEYOND * height) & seen
    is_open = seen & (behind > BEYOND * height)
    changes = np.flatnonzero(np.diff(np.r_[False, is_open, False].astype(int)))
    for first, stop in zip(changes[::2], changes[1::2], strict=True):
        wide = (stop - first) * STEP
        beside = round(OWN_WALL / STEP)
        walled = own[max(0, first - beside) : first].sum(), own[stop : stop + beside].sum()
        if NARROWEST < wide < WIDEST and max(walled) > 0.7 * beside:
            yield float(along[first]), float(along[stop - 1])


def _between_corners(wall: Wall, others: Sequence[Wall], height: float) -> tuple[float, float]:
    """Return how far (from, to) m the wall's plane goes on before it meets a wall that faces along it."""
    low, high = wall.span[0] - WIDEST * height, wall.span[1] + WIDEST * height
    spare = NEAR_CORNER * height
    middle = sum(wall.span) / 2
    for other in others:
        crosses = other.span[0] - 0.3 * height < wall.offset < other.span[1] + 0.3 * height
        if other.axis == wall.axis or not crosses:
            continue
        if other.facing > 0 and other.offset < middle:
            low = max(low, other.offset + spare)
        elif other.facing < 0 and other.offset > middle:
            high = min(high, other.offset - spare)
    return low, high


def _behind(wall: Wall, along: Floats, boundary: Boundary, camera: PhotoCamera) -> tuple[Floats, Mask]:
    """Return how far in m behind the wall the floor is seen to reach, and whether the picture shows that place."""
    middle = camera.project(wall.points(along.tolist(), camera.height))
    foot = camera.project(wall.points(along.tolist(), 0.0))
    width, high = camera.size
    foot_in = np.isfinite(foot).all(axis=1) & (foot[:, 1] < high) & (foot[:, 0] >= 0) & (foot[:, 0] < width)
    x = np.where(foot_in, foot[:, 0], middle[:, 0])
    seen = np.isfinite(x) & (x >= 1) & (x < width - 1)
    column = np.clip(np.nan_to_num(x) * boundary.scale, 0, len(boundary.y) - 1).astype(int)
    ends = camera.on_floor(np.column_stack([np.nan_to_num(x), boundary.y[column] / boundary.scale]))
    across = ends[:, 0 if wall.axis == "x" else 2]
    behind = np.where(np.isfinite(across), (wall.offset - across) * wall.facing, 0.0)
    no_floor = boundary.y[column] >= high * boundary.scale - 1
    return np.where(no_floor, 0.0, behind), seen


def _framed(
    wall: Wall,
    gap: tuple[float, float],
    within: tuple[float, float],
    highest: float,
    camera: PhotoCamera,
    lab: NDArray[np.float32],
    scale: float,
) -> Framed | None:
    """Return the passage in a gap, `within` the wall's corners; None if up to `highest` m nothing joins its jambs."""
    height = camera.height
    around = replace(wall, span=(max(gap[0] - MARGIN * height, within[0]), min(gap[1] + MARGIN * height, within[1])))
    flat = flatten_wall(lab, scale, around, camera, (HIGHEST_HEAD + 0.3) * height)
    if flat is None:
        return None
    unit = height / flat.metres
    across, down = slopes(flat)
    left, right = (int((at - flat.left) / flat.metres) for at in gap)
    heads = slice(max(2, int((flat.top - highest) / flat.metres)), int((flat.top / height - LOWEST_HEAD) * unit))
    spare = round((right - left) * (1 - ARCH) / 2)
    found = [
        row
        for part in (slice(left + 2, right - 1), slice(left + spare, right - spare))
        for row in _level_edges(down, flat.seen, part, heads)
    ]
    for top in found:
        if _goes_on_above(flat, across, top, (left, right), unit):
            edges = _jambs(across, (left, right), top, unit)
            return Framed("passage", flat.along(*edges), 0.0, flat.level(top))
    return None


def _level_edges(down: NDArray[np.float32], seen: Mask, columns: slice, rows: slice) -> list[int]:
    """Return the rows in which an edge runs along the wall over most of the columns that are seen, strongest first."""
    shown = seen[rows, columns]
    strong = np.zeros(down.shape, bool)
    strong[1:-1] = np.maximum(np.maximum(down[:-2], down[1:-1]), down[2:]) > EDGE
    share = (strong[rows, columns] & shown).sum(axis=1) / np.maximum(shown.sum(axis=1), 1)
    share[shown.mean(axis=1) < 0.5] = 0
    peaks = [i for i in range(len(share)) if share[i] >= JOINED and share[i] == share[max(0, i - 3) : i + 4].max()]
    return [rows.start + i for i in sorted(peaks, key=lambda i: -share[i])[:4]]


def _goes_on_above(flat: Flat, across: NDArray[np.float32], top: int, sides: tuple[int, int], unit: float) -> bool:
    """Say whether over the head the wall goes on from beside a jamb, with no upright edge where that would go on.

    The jamb itself is to be seen: over a half wall there is none.
    """
    high = max(1, top - int(0.3 * unit))
    if top - high < OVER_HEAD * unit:
        return False
    left, right = sides
    rows = slice(high, max(high + 2, top - 3))
    near = max(3, int(0.25 * unit))
    for side, way in ((left, -1), (right, 1)):
        beside = slice(max(0, side - near), side - 2) if way < 0 else slice(side + 3, side + near)
        inner = slice(side + 2, side + near) if way < 0 else slice(max(0, side - near), side - 2)
        seen = flat.seen[rows, beside]
        if seen.size == 0 or seen.mean() < 0.8 or flat.seen[rows, inner].mean() < 0.8:
            continue
        colours = [np.median(flat.lab[rows, part].reshape(-1, 3), axis=0) for part in (beside, inner)]
        upright = across[:, max(0, side - 4) : side + 5].max(axis=1) > EDGE
        under = upright[top + 3 : len(upright) - int(BREAST * unit)]
        is_jamb = len(under) > 0 and under.mean() > JAMB and upright[rows].mean() < JAMB_GOES_ON
        if is_jamb and np.linalg.norm(colours[0] - colours[1]) < LIKE_BESIDE:
            return True
    return False


def _jambs(across: NDArray[np.float32], sides: tuple[int, int], top: int, unit: float) -> tuple[int, int]:
    """Return the columns of the outermost upright edges near both ends of the gap, casings included."""
    rows = slice(top + int(0.1 * unit), len(across) - int(0.2 * unit))
    upright = (across[rows] > EDGE).mean(axis=0)
    inward, outward = int(0.08 * unit), int(CASING * unit)
    found = []
    for side, way in zip(sides, (-1, 1), strict=True):
        reach = (outward, inward) if way < 0 else (inward, outward)
        near = np.arange(max(0, side - reach[0]), min(len(upright), side + reach[1] + 1))
        edges = near[upright[near] > 0.6]
        found.append(int(edges.min() if way < 0 else edges.max()) if len(edges) else side)
    return found[0], found[1]


def _without_rooms_beyond(walls: tuple[Wall, ...], height: float) -> tuple[Wall, ...]:
    """Return the walls without those, or those parts of them, that are seen through a passage of another."""
    kept = []
    for wall in walls:
        along = np.linspace(*wall.span, 60)
        feet = wall.points(along.tolist(), 0.0)[:, [0, 2]]
        beyond = np.zeros(len(along), bool)
        for other in walls:
            if other is not wall:
                beyond |= _seen_through(other, feet, height)
        rest = along[~beyond]
        if len(rest) and rest[-1] - rest[0] > 0.3 * height:
            kept.append(replace(wall, span=(float(rest[0]), float(rest[-1]))) if beyond.any() else wall)
    return tuple(kept)


def _seen_through(wall: Wall, feet: Floats, height: float) -> Mask:
    """Say which places (N, 2) m on the floor are seen from the camera, over 0, 0, through a passage of the wall."""
    across, along = (feet[:, 0], feet[:, 1]) if wall.axis == "x" else (feet[:, 1], feet[:, 0])
    behind = (wall.offset - across) * wall.facing > 0.1 * height
    crossing = along * wall.offset / np.where(np.abs(across) < 1e-6, 1e-6, across)
    through = np.zeros(len(feet), bool)
    for passage in wall.openings:
        through |= (crossing > passage.span[0]) & (crossing < passage.span[1])
    return np.asarray(behind & through)
