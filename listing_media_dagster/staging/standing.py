"""What stands on the floor away from the walls, such as posts and pillars: too narrow for the floor's edge to follow.

Floors have no upright edges. What has them on both sides from above the floor's far edge down onto the floor, is of
another colour than the floor beside it, and ends in an edge below, stands there; a door in the varnish ends in nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from listing_media_dagster.photo.line_segments import Segments
from listing_media_dagster.staging.arrays import Mask
from listing_media_dagster.staging.floor import ALONG_AXIS
from listing_media_dagster.staging.manhattan import Frame, angles_off

DOWN, UP = 0.04, 0.02  # share of the height that an edge runs below, and above, the floor's far edge
WIDEST, NARROWEST = 0.16, 0.008  # share of the width
LONE = (0.01, 0.018, 0.03)  # share of the width of what stands where only one of its edges is found
FEET_APART = 0.08  # share of the height between the feet of its two sides, seen askew
UNLIKE_FLOOR = 7.0  # in L*a*b* between it and the floor on either side
FOOT_EDGE = 6.0  # in L*a*b* across its foot


class Upright(NamedTuple):
    """An upright edge that comes down onto the floor: its column and its lowest row, px."""

    column: float
    foot: float


def without_standing_things(
    floor: Mask, lab: NDArray[np.float32], scale: float, segments: Segments, frame: Frame
) -> Mask:
    """Return the floor (H, W) without what posts hide of it. lab (h, w, 3): the photo reduced by `scale`."""
    seen = floor.copy()
    rows = np.arange(len(floor))[:, None]
    for left, right in _sides(sorted(_upright_on_floor(floor, segments, frame)), floor.shape[1]):
        if _stands(left, right, floor, lab, scale):
            columns = slice(max(0, int(left.column)), int(right.column) + 2)
            seen[:, columns] &= rows > max(left.foot, right.foot)
    return seen


def _sides(edges: Sequence[Upright], width: int) -> Iterator[tuple[Upright, Upright]]:
    """Yield which edges may be the two sides of one thing; each edge also with sides of which no edge was found."""
    for number, edge in enumerate(edges):
        for right in edges[number + 1 :]:
            if right.column - edge.column <= WIDEST * width:
                yield edge, right
        for share in LONE:
            yield edge._replace(column=edge.column - share * width), edge
            yield edge, edge._replace(column=edge.column + share * width)


def _upright_on_floor(floor: Mask, segments: Segments, frame: Frame) -> list[Upright]:
    height, width = floor.shape
    off = np.abs(angles_off(segments, frame))
    upright = (off[:, 1] < ALONG_AXIS) & (off[:, [0, 2]].min(axis=1) > ALONG_AXIS)
    found = []
    for ends in segments[upright] + np.array(frame.size) / 2:
        top, foot = ends[ends[:, 1].argsort()]
        column = int(np.clip(foot[0], 0, width - 1))
        if not floor[:, column].any():
            continue
        edge = float(floor[:, column].argmax())
        if foot[1] - edge > DOWN * height and edge - top[1] > UP * height:
            found.append(Upright(float(foot[0]), float(foot[1])))
    return found


def _stands(left: Upright, right: Upright, floor: Mask, lab: NDArray[np.float32], scale: float) -> bool:
    """Say whether what lies between two upright edges is no floor, and ends where they do."""
    height, width = floor.shape
    between = right.column - left.column
    if between < NARROWEST * width or abs(left.foot - right.foot) > FEET_APART * height:
        return False
    foot = min(left.foot, right.foot)
    middle = (left.column + right.column) / 2
    edge = float(floor[:, int(np.clip(middle, 0, width - 1))].argmax())
    if foot - edge < DOWN * height:
        return False
    rows = (0.5 * (edge + foot), foot - 0.01 * height)
    inner = _colour(lab, scale, (left.column + 0.2 * between, right.column - 0.2 * between), rows)
    reach = max(0.5 * between, 0.01 * width)
    beside = [
        _colour(lab, scale, (left.column - 0.2 * between - reach, left.column - 0.2 * between), rows),
        _colour(lab, scale, (right.column + 0.2 * between, right.column + 0.2 * between + reach), rows),
    ]
    lowest = max(left.foot, right.foot)
    across = (left.column + 0.2 * between, right.column - 0.2 * between)
    under = _colour(lab, scale, across, (lowest + 0.012 * height, lowest + 0.04 * height))
    over = _colour(lab, scale, across, (foot - 0.04 * height, foot - 0.008 * height))
    unlike = [np.linalg.norm(inner - colour) for colour in beside]
    return bool(min(unlike) > UNLIKE_FLOOR and np.linalg.norm(under - over) > FOOT_EDGE)


def _colour(
    lab: NDArray[np.float32], scale: float, columns: tuple[float, float], rows: tuple[float, float]
) -> NDArray[np.float32]:
    """Return the median colour (3,) of a rectangle, its borders in px of the photo."""
    left, right = (int(np.clip(at * scale, 0, lab.shape[1] - 1)) for at in columns)
    top, bottom = (int(np.clip(at * scale, 0, lab.shape[0] - 1)) for at in rows)
    return np.asarray(np.median(lab[top : bottom + 1, left : right + 1].reshape(-1, 3), axis=0), np.float32)
