"""The stand-in for a photographed room, a box that takes light and shadow like it, and the furniture put into it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from listing_media_dagster.path_tracer.materials import Material
from listing_media_dagster.path_tracer.solids import Part, moved, quad, turned
from listing_media_dagster.staging.arrangement import Arrangement, PlacedPiece
from listing_media_dagster.staging.arrays import Floats
from listing_media_dagster.staging.furniture.designs import Design
from listing_media_dagster.staging.furniture.finishes import material_of
from listing_media_dagster.staging.room import Opening, PhotoCamera, RoomGeometry, Wall

CEILING = 2.6  # m where the photo doesn't tell
BEHIND = 1.2  # m from the camera to the wall behind it: photographers stand with their back to it
FARTHEST = 9.0  # m beyond which floor neither lights nor shades what stands in the picture's front
CLEARANCE = 0.01  # m that furniture keeps from the stand-in's walls
SLACK = 0.15  # m by which furniture may reach into a wall, which then gives way

Side = Literal["left", "right", "far", "back"]
SIDES: tuple[Side, ...] = ("left", "right", "far", "back")


@dataclass(frozen=True)
class StandIn:
    """A box round camera and furniture, x and z in m; `seen` are the sides that the photo shows, with their openings.

    Planes are named floor, ceiling and as `SIDES`.
    """

    x: tuple[float, float]
    z: tuple[float, float]
    height: float
    seen: Mapping[Side, tuple[Opening, ...]]

    @property
    def centre(self) -> Floats:
        return np.array([sum(self.x) / 2, self.height / 2, sum(self.z) / 2])

    def plane(self, name: str) -> Part:
        """Return one side of the box as a part that faces inward, its material named after it."""
        (x0, x1), (z0, z1), top = self.x, self.z, self.height
        wide, deep, up = (x1 - x0, 0, 0), (0, 0, z1 - z0), (0, top, 0)
        corner, along_u, along_v, normal = {
            "floor": ((x0, 0, z0), wide, deep, (0, 1, 0)),
            "ceiling": ((x0, top, z0), wide, deep, (0, -1, 0)),
            "left": ((x0, 0, z0), deep, up, (1, 0, 0)),
            "right": ((x1, 0, z0), deep, up, (-1, 0, 0)),
            "far": ((x0, 0, z0), wide, up, (0, 0, 1)),
            "back": ((x0, 0, z1), wide, up, (0, 0, -1)),
        }[name]
        return quad(name, corner, along_u, along_v, normal)

    def pane(self, side: Side, opening: Opening, name: str) -> Part:
        """Return the opening as a rectangle 5 mm before its wall, facing inward."""
        low, high = opening.span
        bottom, top = max(opening.bottom, 0.0), min(opening.top, self.height)
        inward = 0.005
        corner, along, normal = {
            "left": ((self.x[0] + inward, bottom, low), (0, 0, high - low), (1, 0, 0)),
            "right": ((self.x[1] - inward, bottom, low), (0, 0, high - low), (-1, 0, 0)),
            "far": ((low, bottom, self.z[0] + inward), (high - low, 0, 0), (0, 0, 1)),
            "back": ((low, bottom, self.z[1] - inward), (high - low, 0, 0), (0, 0, -1)),
        }[side]
        return quad(name, corner, along, (0, top - bottom, 0), normal)

    def first_hit(self, camera: PhotoCamera, points: Floats) -> tuple[NDArray[np.int8], Floats]:
        """Return which of `PLANES` pixels (N, 2) see (N,) and where (N, 3) m."""
        return self.cast(camera.position, camera.rays(points))

    def cast(self, origins: Floats, rays: Floats) -> tuple[NDArray[np.int8], Floats]:
        """Return which of `PLANES` rays (N, 3) from origins (3,) or (N, 3) inside meet (N,) and where (N, 3) m."""
        low = np.array([self.x[0], 0.0, self.z[0]])
        high = np.array([self.x[1], self.height, self.z[1]])
        with np.errstate(divide="ignore", invalid="ignore"):
            steps = np.where(rays > 0, (high - origins) / rays, np.where(rays < 0, (low - origins) / rays, np.inf))
        axis = steps.argmin(axis=1)
        nearest = steps[np.arange(len(rays)), axis]
        positive = rays[np.arange(len(rays)), axis] > 0
        plane = np.array([[2, 0, 4], [3, 1, 5]], np.int8)[positive.astype(int), axis]
        return plane, origins + rays * nearest[:, None]


PLANES = ("floor", "ceiling", *SIDES)


def stand_in(geometry: RoomGeometry, furniture: Sequence[Part]) -> StandIn:
    """Return the box for a photo: its walls where known, else as wide as the floor that is seen.

    Of several parallel walls the nearest that leaves camera and furniture inside is taken.
    """
    inside = np.concatenate([[[0.0, 0.0, 0.0]], *(piece.vertices for piece in furniture)])
    low, high = inside.min(axis=0) - CLEARANCE, inside.max(axis=0) + CLEARANCE
    extent_low, extent_high = _floor_extent(geometry)
    left = _nearest(geometry.walls, "x", 1, float(low[0]))
    right = _nearest(geometry.walls, "x", -1, float(high[0]))
    far = _nearest(geometry.walls, "z", 1, float(low[2]))
    back = _nearest(geometry.walls, "z", -1, float(high[2]))
    chosen: dict[Side, Wall | None] = {"left": left, "right": right, "far": far, "back": back}
    return StandIn(
        (
            min(left.offset if left else min(float(extent_low[0]) - 0.3, -1.5), float(low[0])),
            max(right.offset if right else max(float(extent_high[0]) + 0.3, 1.5), float(high[0])),
        ),
        (
            min(far.offset if far else min(float(extent_low[2]) - 0.3, -2.5), float(low[2])),
            max(back.offset if back else BEHIND, float(high[2])),
        ),
        max(geometry.ceiling or CEILING, float(high[1]), geometry.camera.height + 0.3),
        {side: wall.openings for side, wall in chosen.items() if wall is not None},
    )


def _nearest(walls: Sequence[Wall], axis: str, facing: int, limit: float) -> Wall | None:
    """The closest of the walls that face inward along `axis` with everything up to `limit` before them, or nearly."""
    beyond = [w for w in walls if w.axis == axis and w.facing == facing and (limit - w.offset) * facing > -SLACK]
    return max(beyond, key=lambda wall: wall.offset * facing, default=None)


def _floor_extent(geometry: RoomGeometry) -> tuple[Floats, Floats]:
    """Corners (3,) m of the upright rectangle round the floor that is seen, outliers and far distance left out."""
    rows, columns = np.nonzero(geometry.floor[::8, ::8])
    points = geometry.camera.on_floor(np.column_stack([columns, rows]).astype(float) * 8 + 4)
    points = points[np.isfinite(points).all(axis=1) & (np.linalg.norm(points, axis=1) < FARTHEST)]
    if len(points) < 10:
        return np.array([-2.0, 0.0, -4.0]), np.array([2.0, 0.0, 0.0])
    return np.asarray(np.percentile(points, 1, axis=0)), np.asarray(np.percentile(points, 99, axis=0))


def furniture(arrangement: Arrangement, designs: Mapping[str, Design]) -> tuple[list[Part], dict[str, Material]]:
    """Return the placed pieces' parts in the room, and the materials they name.

    Raises ValueError, naming the piece, if its design is unknown or one of its roles has no finish.
    """
    parts: list[Part] = []
    materials: dict[str, Material] = {}
    for placed in arrangement.pieces:
        if placed.design not in designs:
            raise ValueError(f"{placed.name}: unknown design {placed.design!r}")
        names = {}
        for role in designs[placed.design].roles:
            name, material = _looks(placed, designs[placed.design], role)
            names[role], materials[name] = name, material
        built = designs[placed.design].build(placed.size, placed.seed)
        put = moved(built, turned(placed.turn), placed.position)
        parts += [replace(piece, material=names[piece.material]) for piece in put]
    return parts, materials


def _looks(placed: PlacedPiece, design: Design, role: str) -> tuple[str, Material]:
    """A name and the material for one role of a piece. Pieces in the same finish share it, and so one mesh."""
    finish = placed.finishes.get(role)
    if finish is not None:
        return f"{finish.surface} {finish.colour} {finish.accent}", material_of(finish)
    if role in design.materials:
        return f"{design.name} {role}", design.materials[role]
    raise ValueError(f"{placed.name}: no finish for {role!r} of {design.name!r}")
