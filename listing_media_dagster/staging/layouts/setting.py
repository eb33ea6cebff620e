"""A room while it is being furnished: what stands where so far, and whether a further piece may join it.

Everything that makes a placement sensible is asked here: free floor, walls, doors, walkways, and what the photo shows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import cos, radians, sin
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from listing_media_dagster.staging.arrangement import PlacedPiece, Size
from listing_media_dagster.staging.arrays import Floats, Mask
from listing_media_dagster.staging.floor_plan import CELL, WALL_GAP, FloorPlan, cells_under, clearance
from listing_media_dagster.staging.foreground import SightLines, sight_lines
from listing_media_dagster.staging.kits import Look
from listing_media_dagster.staging.room import PhotoCamera, RoomGeometry, Wall

VIEW_WIDTH = 320  # px of the small picture in which hiding and covering are measured
NEAREST = 1.5  # m from the camera to anything that isn't flat
LARGE, NEAREST_LARGE = 0.25, 2.2  # m³ of a piece's box: what is that large would look huge
TALL, NEAREST_TALL = 1.2, 2.4  # m: what is that high would block the view
WHOLE = 0.97  # of a piece inside the frame
MOST_COVERED = 0.42  # of the picture by furniture
MOST_BY_ONE = 0.24
# Share of an opening that all pieces together may hide; boxes hide more than the furniture in them.
MOST_HIDDEN = {"window": 0.3, "door": 0.12, "passage": 0.12, "niche": 0.12}
BESIDE_A_DOOR = 0.22  # m that pictures keep from a door, whose casing its span leaves out
BESIDE_AN_EDGE = 0.06  # m that they keep from any other edge on the wall
MOST_BEHIND = 0.03  # of a piece behind something that stands nearer
OVER_THE_SILL = 0.12  # m that a low back may rise above a window's sill
CEILING_UNKNOWN = 2.4


class Pose(NamedTuple):
    """A place on the floor, x and z in m, and a `turn` in degrees (see `PlacedPiece`)."""

    x: float
    z: float
    turn: float

    def at(self, right: float, out: float, turn: float = 0.0) -> Pose:
        """Return the pose `right` and `out` m away in this one's own frame, turned further."""
        cosine, sine = cos(radians(self.turn)), sin(radians(self.turn))
        x, z = self.x + right * cosine + out * sine, self.z - right * sine + out * cosine
        return Pose(x, z, self.turn + turn)

    def spread(self, offsets: Floats) -> Floats:
        """Return the places (N, 2), x and z in m, that lie `offsets` (N, 2) m to the right and out of this one."""
        cosine, sine = cos(radians(self.turn)), sin(radians(self.turn))
        return np.asarray(offsets @ np.array([[cosine, -sine], [sine, cosine]]) + (self.x, self.z))

    def aside_of(self, other: Pose) -> float:
        """Return how far in m this place lies to the side of where `other` faces."""
        turn = radians(other.turn)
        return abs((self.x - other.x) * cos(turn) - (self.z - other.z) * sin(turn))


def place(name: str, look: Look, pose: Pose, size: Size | None = None, height: float = 0.0) -> PlacedPiece:
    """Return `look` as a piece of the room, its middle at `pose` and its lowest point at `height` m."""
    return PlacedPiece(
        name=name,
        design=look.design.name,
        size=tuple(round(side, 3) for side in size or look.size),
        position=(round(pose.x, 3), round(height, 3), round(pose.z, 3)),
        turn=round((pose.turn + 180) % 360 - 180, 1),
        finishes=look.finishes,
        seed=look.seed,
    )


def pose_of(piece: PlacedPiece) -> Pose:
    return Pose(piece.position[0], piece.position[2], piece.turn)


_CORNERS = np.array([(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)])


def outline(piece: PlacedPiece, grown: float = 0.0) -> Floats:
    """Return the corners (4, 2) of a piece's footprint, x and z in m."""
    half_width, half_depth = piece.size[0] / 2 + grown, piece.size[2] / 2 + grown
    pose = Pose(piece.position[0], piece.position[2], piece.turn)
    return pose.spread(_CORNERS * (half_width, half_depth))


def _spread_over(piece: PlacedPiece) -> Floats:
    """Return points (N, 3) m all over a piece's footprint."""
    x, z = np.meshgrid(np.linspace(-0.5, 0.5, 9) * piece.size[0], np.linspace(-0.5, 0.5, 5) * piece.size[2])
    places = pose_of(piece).spread(np.column_stack([x.ravel(), z.ravel()]))
    return np.insert(places, 1, 0.0, axis=1)


def box(piece: PlacedPiece) -> Floats:
    """Return the corners (8, 3) m of a piece's box: the lower four, then the upper four."""
    feet = outline(piece)
    low, high = piece.position[1], piece.position[1] + piece.size[1]
    return np.array([(x, y, z) for y in (low, high) for x, z in feet])


def hull(camera: PhotoCamera, piece: PlacedPiece) -> Floats | None:
    """Return the convex outline (N, 2) px of a piece's box; None if part of it is behind the camera."""
    pixels = camera.project(box(piece))
    if not np.isfinite(pixels).all() or np.abs(pixels).max() > 1e5:
        return None
    return np.asarray(cv2.convexHull(pixels.astype(np.float32))[:, 0], float)


def share_in_frame(camera: PhotoCamera, outline_px: Floats) -> float:
    """Return how much of a convex outline (N, 2) px lies inside the picture, 0..1."""
    width, height = camera.size
    frame = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32)
    whole = cv2.contourArea(outline_px.astype(np.float32))
    cut, _ = cv2.intersectConvexConvex(outline_px.astype(np.float32), frame)
    return float(cut / whole) if whole > 0 else 0.0


def distance(piece: PlacedPiece) -> float:
    """Return the distance in m on the floor from the camera to a piece's nearest point."""
    corners = outline(piece)
    steps = np.linspace(0, 1, 9)[:, None, None]
    return float(np.linalg.norm(corners * (1 - steps) + np.roll(corners, 1, axis=0) * steps, axis=-1).min())


@dataclass(frozen=True)
class Setting:
    """What a room holds so far.

    `taken` are the floor cells under standing pieces, `covered` the small picture's pixels that pieces hide,
    `openings` are the kind and the small picture's pixels of each window, door and passage, `sight` how far one sees.
    """

    plan: FloorPlan
    camera: PhotoCamera
    small: PhotoCamera
    pieces: tuple[PlacedPiece, ...]
    taken: Mask
    covered: Mask
    openings: tuple[tuple[str, Mask], ...]
    sight: SightLines

    @property
    def ceiling(self) -> float:
        return self.plan.ceiling or CEILING_UNKNOWN

    @property
    def coverage(self) -> float:
        """Share of the picture that furniture covers."""
        return float(self.covered.mean())

    def stand(
        self,
        piece: PlacedPiece,
        elbow: float = 0.02,
        tucked_under: PlacedPiece | None = None,
        over_sill: float = OVER_THE_SILL,
    ) -> Setting | None:
        """Return the room with `piece` standing on its floor, or None where that wouldn't be sensible.

        `elbow` m around it stay free of other pieces; a chair may stand `tucked_under` a table; before a window
        the piece rises at most `over_sill` m above the sill.
        """
        if not self.has_floor_for(piece, elbow, tucked_under) or not _clear_of_walls(piece, self.plan.walls):
            return None
        if distance(piece) < _nearest(piece):
            return None
        if piece.size[1] > self.ceiling - 0.1 or self._darkens_a_window(piece, over_sill):
            return None
        covered = self._seen(piece, WHOLE)
        if covered is None or covered.mean() > MOST_BY_ONE:
            return None
        together = self.covered | covered
        if together.mean() > MOST_COVERED or self._hides_openings(together, covered):
            return None
        taken = self._taken_with(piece)
        if not self.plan.stays_walkable(taken):
            return None
        return replace(self, pieces=(*self.pieces, piece), taken=taken, covered=together)

    def lay(self, rug: PlacedPiece, whole: float = 0.8) -> Setting | None:
        """Return the room with a rug: on floor that is seen or lies outside the frame, never through a wall."""
        window, within = cells_under(outline(rug))
        floor = (self.plan.free | self.plan.unseen)[window]
        if within.sum() == 0 or floor[within].mean() < 0.995 or not _clear_of_walls(rug, self.plan.walls):
            return None
        covered = self._seen(rug, whole)
        if covered is None:
            return None
        return replace(self, pieces=(*self.pieces, rug))

    def hang(self, piece: PlacedPiece, wall: Wall) -> Setting | None:
        """Return the room with `piece` on `wall`: between its openings, under the ceiling, whole in the picture."""
        low, high = piece.position[1], piece.position[1] + piece.size[1]
        along = piece.position[2] if wall.axis == "x" else piece.position[0]
        left, right = along - piece.size[0] / 2, along + piece.size[0] / 2
        if left < wall.span[0] + 0.1 or right > wall.span[1] - 0.1 or high > self.ceiling - 0.12:
            return None
        if wall.has_edge_within(left - BESIDE_AN_EDGE, right + BESIDE_AN_EDGE, low, high):
            return None
        for opening in wall.openings:
            casing = 0.1 if opening.kind == "window" else BESIDE_A_DOOR
            beside = right < opening.span[0] - casing or left > opening.span[1] + casing
            if not beside and high > opening.bottom - 0.1 and low < opening.top + 0.1:
                return None
        covered = self._seen(piece, whole=0.99)
        if covered is None or any((covered & opening).any() for _, opening in self.openings):
            return None
        if any(_boxes_meet(piece, other) for other in self.pieces):
            return None
        return replace(self, pieces=(*self.pieces, piece), covered=self.covered | covered)

    def put(self, *pieces: PlacedPiece) -> Setting:
        """Return the room with small things on top of what stands there."""
        return replace(self, pieces=(*self.pieces, *pieces))

    def silhouette(self, piece: PlacedPiece) -> Mask | None:
        """Return the small picture's pixels inside the outline of a piece's box; None if it is behind the camera."""
        outline_px = hull(self.small, piece)
        return None if outline_px is None else _filled(outline_px, self.small.size)

    def named(self, name: str) -> PlacedPiece | None:
        return next((piece for piece in self.pieces if piece.name == name), None)

    def _seen(self, piece: PlacedPiece, whole: float) -> Mask | None:
        outline_px = hull(self.small, piece)
        if outline_px is None or share_in_frame(self.small, outline_px) < whole or self._stands_behind(piece):
            return None
        return _filled(outline_px, self.small.size)

    def _stands_behind(self, piece: PlacedPiece) -> bool:
        """Say whether something nearer, such as a pillar, would hide part of `piece`."""
        return bool(self.sight.hides(_spread_over(piece)).mean() > MOST_BEHIND)

    def has_floor_for(self, piece: PlacedPiece, elbow: float = 0.02, tucked_under: PlacedPiece | None = None) -> bool:
        """Say whether the floor under `piece` is seen, free, and none that must stay clear."""
        window, within = cells_under(outline(piece))
        if within.sum() == 0 or not self.plan.free[window][within].all() or self.plan.clear[window][within].any():
            return False
        window, within = cells_under(outline(piece, grown=elbow))
        taken = self.taken[window]
        if tucked_under is not None:
            above, under = cells_under(outline(tucked_under, grown=CELL))
            taken = self.taken.copy()
            taken[above] &= ~under
            taken = taken[window]
        return not bool(taken[within].any())

    def has_walking_floor(self, piece: PlacedPiece) -> bool:
        """Say whether all the floor under `piece` can be walked on: free or outside of the picture, nothing on it."""
        window, within = cells_under(outline(piece))
        floor = (self.plan.free | self.plan.unseen)[window] & ~self.taken[window]
        return bool(within.any()) and bool(floor[within].mean() > 0.98)

    def free_around(self, pose: Pose) -> float:
        """Return the distance in m from `pose` to the nearest wall or end of the floor."""
        window, within = cells_under(np.array([pose.at(x, z)[:2] for x, z in ((-0.1, -0.1), (0.1, -0.1), (0.1, 0.1))]))
        return float(self.plan.depth_of_free[window][within].max(initial=0.0))

    def _taken_with(self, piece: PlacedPiece) -> Mask:
        window, within = cells_under(outline(piece))
        taken = self.taken.copy()
        taken[window] |= within
        return taken

    def _hides_openings(self, together: Mask, covered: Mask) -> bool:
        return any(
            (covered & opening).any() and (together & opening).sum() > MOST_HIDDEN[kind] * opening.sum()
            for kind, opening in self.openings
        )

    def _darkens_a_window(self, piece: PlacedPiece, over_sill: float) -> bool:
        """Say whether `piece` stands before a window and is too high for its sill."""
        for wall in self.plan.walls:
            near, far, left, right = span_at(wall, outline(piece))
            for opening in wall.openings:
                before = near < 0.45 and far > -0.1 and left < opening.span[1] and right > opening.span[0]
                if before and clearance(opening) == 0 and piece.size[1] > opening.bottom + over_sill:
                    return True
        return False


def gap_between(one: PlacedPiece, other: PlacedPiece) -> float:
    """Return the distance in m on the floor between two footprints; 0 where they touch or overlap."""
    corners, others = outline(one), outline(other)
    return min(float(_to_edges(corners, others).min()), float(_to_edges(others, corners).min()))


def _to_edges(points: Floats, outline_m: Floats) -> Floats:
    """Return how far points (N, 2) lie outside a convex outline (M, 2), in m."""
    return np.array([max(0.0, -cv2.pointPolygonTest(outline_m.astype(np.float32), p.tolist(), True)) for p in points])


def _nearest(piece: PlacedPiece) -> float:
    """Return how near in m a piece may come to the camera."""
    width, height, depth = piece.size
    if height > TALL:
        return NEAREST_TALL
    return NEAREST_LARGE if width * height * depth > LARGE else NEAREST


def span_at(wall: Wall, points: Floats) -> tuple[float, float, float, float]:
    """Return the nearest and farthest distance of points (N, 2) from a wall, and their span along it, in m."""
    across, along = (points[:, 0], points[:, 1]) if wall.axis == "x" else (points[:, 1], points[:, 0])
    off = (across - wall.offset) * wall.facing
    return float(off.min()), float(off.max()), float(along.min()), float(along.max())


def begin(geometry: RoomGeometry, plan: FloorPlan) -> Setting:
    """Return the empty room."""
    width, height = geometry.camera.size
    small = geometry.camera.scaled((VIEW_WIDTH, round(VIEW_WIDTH * height / width)))
    scale = VIEW_WIDTH / width
    openings = tuple(
        (opening.kind, _filled(np.asarray(opening.outline, float) * scale, small.size))
        for wall in plan.walls
        for opening in wall.openings
    )
    covered = np.zeros((small.size[1], small.size[0]), bool)
    taken = np.zeros_like(plan.free)
    return Setting(plan, geometry.camera, small, (), taken, covered, openings, sight_lines(geometry))


def _filled(outline_px: Floats, size: tuple[int, int]) -> Mask:
    picture: NDArray[np.uint8] = np.zeros((size[1], size[0]), np.uint8)
    around = cv2.convexHull(np.clip(outline_px, -3e4, 3e4).astype(np.float32))
    cv2.fillConvexPoly(picture, np.round(around).astype(np.int32), 1)
    return np.asarray(picture.astype(bool))


def _clear_of_walls(piece: PlacedPiece, walls: tuple[Wall, ...]) -> bool:
    """Say whether all corners are in front of each wall that the piece stands before."""
    corners = outline(piece)
    for wall in walls:
        near, far, left, right = span_at(wall, corners)
        if left < wall.span[1] and right > wall.span[0] and near < WALL_GAP - 0.005 and far > -1.0:
            return False
    return True


def _boxes_meet(one: PlacedPiece, other: PlacedPiece) -> bool:
    """Say whether two boxes share room."""
    if one.position[1] >= other.position[1] + other.size[1] or other.position[1] >= one.position[1] + one.size[1]:
        return False
    area, _ = cv2.intersectConvexConvex(outline(one).astype(np.float32), outline(other).astype(np.float32))
    return bool(area > 1e-4)
