"""Places along walls: backs against a wall, things hung on it, corners."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from math import cos, hypot, radians, sin

import numpy as np

from listing_media_dagster.staging.arrangement import PlacedPiece
from listing_media_dagster.staging.floor_plan import WALL_GAP, FloorPlan
from listing_media_dagster.staging.kits import Look
from listing_media_dagster.staging.layouts.setting import Pose, Setting, outline, place, pose_of, span_at
from listing_media_dagster.staging.layouts.ways import TURN
from listing_media_dagster.staging.room import Wall

# A built-in, a radiator or a deep skirting may keep pieces off the wall by as much.
GAPS = (WALL_GAP + 0.01, 0.1, 0.2, 0.35, 0.5)
GRAZING, BY_ITSELF = 0.2, 0.6  # a picture seen flatter than that shows nothing, or too little to hang by itself
EYE_LEVEL = 1.48  # m to the middle of a picture
OVER = (0.15, 0.25)  # m of wall between a piece and what hangs over it
LOWEST_MIDDLE = 1.4  # m, for small pictures
OVER_AN_EDGE = 0.05  # m by which a piece may cover an upright edge of the wall: it is found that well
LOW = 0.6  # m: an edge that begins lower stands on the floor, and no piece is taken for lower than that
HEAD_HIGH = 1.5  # m: edges that reach so high from the floor may be a door's jambs
AS_WIDE_AS_A_DOOR, AS_WIDE_AS_TWO_LEAVES = 1.15, 1.9  # m


def against(wall: Wall, along: float, gap: float = GAPS[0]) -> Pose:
    """Return the pose of somebody with the back to `wall`, `gap` m from it, `along` m on its span's axis."""
    off = wall.offset + wall.facing * gap
    turn = TURN[wall.axis, wall.facing]
    return Pose(off, along, turn) if wall.axis == "x" else Pose(along, off, turn)


def poses_along(
    wall: Wall, width: float, may_stand: Callable[[Pose], bool], step: float = 0.12
) -> Iterator[tuple[float, Pose]]:
    """Yield the gap and pose of each place along the seen part of `wall` for something `width` m wide."""
    first, last = wall.span[0] + width / 2, wall.span[1] - width / 2
    if last < first:
        return
    for along in np.linspace(first, last, max(2, round((last - first) / step) + 1)):
        for gap in GAPS:
            pose = against(wall, float(along), gap)
            if may_stand(pose):
                yield gap, pose
                break


def best_along_walls(
    setting: Setting, name: str, look: Look, elbow: float, score: Callable[[Setting, PlacedPiece, Wall], float]
) -> tuple[Setting, PlacedPiece, Wall] | None:
    """Return the room with `look` at the wall place that scores best (above 0), with the piece and its wall.

    `elbow` m around it stay free of other pieces.
    """
    places = []
    for wall in setting.plan.walls:
        middles = [pose.at(0, look.size[2] / 2) for pose in _every_pose(wall, look.size[0])]
        for pose in middles:
            if facing_viewer(pose) < 0.05 or pose.z > -1:
                continue
            piece = place(name, look, pose)
            if not is_before_plain_wall(wall, piece):
                continue
            if setting.has_floor_for(piece, elbow) and (value := score(setting, piece, wall)) > 0:
                places.append((round(value, 6), piece, wall))
    for _, piece, wall in sorted(places, key=lambda found: -found[0])[:40]:
        if (furnished := setting.stand(piece, elbow)) is not None:
            return furnished, piece, wall
    return None


def is_before_plain_wall(wall: Wall, piece: PlacedPiece) -> bool:
    """Say whether the wall goes on plainly behind `piece`: no edge that it would cover, no strip like a door's."""
    _, _, left, right = span_at(wall, outline(piece))
    if wall.has_edge_within(left + OVER_AN_EDGE, right - OVER_AN_EDGE, 0.0, max(piece.size[1], LOW)):
        return False
    jambs = sorted(edge.at for edge in wall.uprights if edge.bottom < LOW and edge.top > HEAD_HIGH)
    between = [strip for strip in pairwise(jambs) if strip[1] - strip[0] < AS_WIDE_AS_TWO_LEAVES]
    ends = [(wall.span[0], jambs[0]), (jambs[-1], wall.span[1])] if jambs else []
    strips = between + [strip for strip in ends if strip[1] - strip[0] < AS_WIDE_AS_A_DOOR]
    return not any(left < strip[1] and right > strip[0] for strip in strips)


def _every_pose(wall: Wall, width: float) -> list[Pose]:
    first, last = wall.span[0] + width / 2, wall.span[1] - width / 2
    if last < first:
        return []
    return [against(wall, float(along)) for along in np.linspace(first, last, max(2, round((last - first) / 0.2) + 1))]


def facing_viewer(pose: Pose) -> float:
    """Return the cosine between where `pose` faces and the way to the camera: 1 frontal, 0 profile, -1 its back."""
    turn = radians(pose.turn)
    return -(pose.x * sin(turn) + pose.z * cos(turn)) / max(hypot(pose.x, pose.z), 1e-6)


def faces_viewer(piece: PlacedPiece) -> float:
    """Return `facing_viewer` of a piece."""
    return facing_viewer(pose_of(piece))


def wall_behind(setting: Setting, piece: PlacedPiece, reach: float = 0.25) -> Wall | None:
    """Return the wall that a piece has at its back, None if it stands free."""
    for wall in setting.plan.walls:
        near, _, left, right = span_at(wall, outline(piece))
        middle = (left + right) / 2
        turned = abs((piece.turn - TURN[wall.axis, wall.facing] + 180) % 360 - 180) < 1
        if turned and -0.05 <= near <= reach and wall.span[0] < middle < wall.span[1]:
            return wall
    return None


def wall_beside(setting: Setting, piece: PlacedPiece, reach: float = 0.25) -> Wall | None:
    """Return the wall that a piece has along one of its sides, None if there is none."""
    for wall in setting.plan.walls:
        near, _, left, right = span_at(wall, outline(piece))
        across = abs((piece.turn - TURN[wall.axis, wall.facing]) % 180 - 90) < 1
        if across and -0.05 <= near <= reach and wall.span[0] < (left + right) / 2 < wall.span[1]:
            return wall
    return None


def stretch_around(wall: Wall, along: float) -> tuple[float, float]:
    """Return the part of `wall` around `along` between its openings and its ends, in m."""
    edges = [wall.span[0], wall.span[1]]
    edges += [edge for opening in wall.openings for edge in opening.span]
    left = max((edge for edge in edges if edge <= along), default=wall.span[0])
    right = min((edge for edge in edges if edge >= along), default=wall.span[1])
    return left, right


def plain_stretches(wall: Wall) -> list[tuple[float, float]]:
    """Return the parts of `wall` between its ends, openings and other upright edges, in m."""
    openings = (at for opening in wall.openings for at in opening.span)
    edges = sorted([*wall.span, *openings, *(edge.at for edge in wall.uprights)])
    return [
        (left, right)
        for left, right in pairwise(edges)
        if not any(opening.span[0] < (left + right) / 2 < opening.span[1] for opening in wall.openings)
    ]


def hang_at_eye_level(setting: Setting, name: str, look: Look, wall: Wall, along: float) -> Setting | None:
    """Return the room with `look` by itself on `wall`, `along` m on its span's axis; None where little of it shows."""
    pose = against(wall, along, look.size[2] / 2 + 0.005)
    if facing_viewer(pose) < BY_ITSELF:
        return None
    return setting.hang(place(name, look, pose, height=EYE_LEVEL - look.size[1] / 2), wall)


def hang_above(
    setting: Setting, name: str, look: Look, wall: Wall, above: PlacedPiece, room_over: tuple[float, float] = OVER
) -> Setting | None:
    """Return the room with `look` on `wall`, centred over a piece near eye level, `room_over` m above it."""
    along = above.position[2] if wall.axis == "x" else above.position[0]
    top, half = above.position[1] + above.size[1], look.size[1] / 2
    low = min(max(EYE_LEVEL - half, top + room_over[0]), top + room_over[1])
    low = max(low, LOWEST_MIDDLE - half)
    pose = against(wall, along, look.size[2] / 2 + 0.005)
    if facing_viewer(pose) < GRAZING:
        return None
    return setting.hang(place(name, look, pose, height=low), wall)


def corner_closeness(plan: FloorPlan, piece: PlacedPiece) -> float:
    """Return 0..1, how deep a piece sits in a corner of two walls."""
    gaps: dict[str, float] = {"x": 2.0, "z": 2.0}
    for wall in plan.walls:
        near, _, left, right = span_at(wall, outline(piece))
        if left < wall.span[1] + 0.3 and right > wall.span[0] - 0.3 and near > -0.1:
            gaps[wall.axis] = min(gaps[wall.axis], near)
    return float(np.clip(1 - gaps["x"], 0, 1) * np.clip(1 - gaps["z"], 0, 1))
