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
from listing_media_dagster.staging.arrays import Floats, Image, Mask, Planes
from listing_media_dagster.staging.furniture.designs import Design
from listing_media_dagster.staging.furniture.finishes import material_of
from listing_media_dagster.staging.render import Window
from listing_media_dagster.staging.room import Opening, PhotoCamera, RoomGeometry, Wall

CEILING = 2.6  # m where the photo doesn't tell
BEHIND = 1.2  # m from the camera to the wall behind it: photographers stand with their back to it
FARTHEST = 9.0  # m beyond which floor neither lights nor shades what stands in the picture's front
CLEARANCE = 0.01  # m that furniture keeps from the stand-in's walls
SLACK = 0.15  # m by which furniture may reach into a wall, which then gives way
IN_FRONT = 0.25  # m that a wall must stand before the box's side to be there beside it
AT_BORDER = 0.02  # share of the picture within which a wall that leaves it goes on

Side = Literal["left", "right", "far", "back"]
SIDES: tuple[Side, ...] = ("left", "right", "far", "back")


@dataclass(frozen=True)
class StandIn:
    """A box round camera and furniture, x and z in m; `seen` are the sides that the photo shows, with their openings.

    `partial` are walls inside the box that stand before a side for part of its length, as rooms in an L have them.
    Planes are named floor, ceiling, as `SIDES`, and the partial walls after their number.
    """

    x: tuple[float, float]
    z: tuple[float, float]
    height: float
    seen: Mapping[Side, tuple[Opening, ...]]
    partial: tuple[Wall, ...] = ()

    @property
    def planes(self) -> tuple[str, ...]:
        """The names of all planes, in the order in which `first_hit` numbers them."""
        return (*PLANES, *(f"partial {number}" for number in range(len(self.partial))))

    @property
    def centre(self) -> Floats:
        return np.array([sum(self.x) / 2, self.height / 2, sum(self.z) / 2])

    def plane(self, name: str) -> Part:
        """Return one of `planes` as a part that faces inward, its material named after it."""
        if name not in PLANES:
            wall = self.partial[self.planes.index(name) - len(PLANES)]
            return _upright(name, wall, wall.span, (0.0, self.height))
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

    def panes(self) -> tuple[Part, ...]:
        """Return the windows as rectangles 5 mm before their walls, facing inward, each a material of its own."""
        sides: dict[str, Wall] = {
            "left": Wall("x", self.x[0], 1, self.z),
            "right": Wall("x", self.x[1], -1, self.z),
            "far": Wall("z", self.z[0], 1, self.x),
            "back": Wall("z", self.z[1], -1, self.x),
        }
        walls: dict[str, Wall] = {n: replace(sides[n], openings=openings) for n, openings in self.seen.items()}
        walls |= dict(zip(self.planes[len(PLANES) :], self.partial, strict=True))
        return tuple(
            _upright(
                f"{name} window {number}",
                replace(wall, offset=wall.offset + 0.005 * wall.facing),
                opening.span,
                (max(opening.bottom, 0.0), min(opening.top, self.height)),
            )
            for name, wall in walls.items()
            for number, opening in enumerate(o for o in wall.openings if o.kind == "window")
        )

    def seen_by(self, camera: PhotoCamera, window: Window) -> tuple[Planes, Image]:
        """Return which of `planes` each pixel (h, w) of a window shows, and how far (h, w) m along the view axis."""
        right, up, forward = camera.axes.astype(np.float32)
        across = (np.arange(window.left, window.right, dtype=np.float32) + 0.5 - camera.centre[0]) / camera.focal_px
        down = (np.arange(window.top, window.bottom, dtype=np.float32) + 0.5 - camera.centre[1]) / camera.focal_px
        low, high = (self.x[0], 0.0, self.z[0]), (self.x[1], self.height, self.z[1])
        eye = camera.position
        rays = [np.add.outer(forward[n] - up[n] * down, right[n] * across).astype(np.float32) for n in range(3)]
        planes = np.zeros(rays[0].shape, np.int8)
        depth = np.full(rays[0].shape, np.inf, np.float32)

        def nearer(number: int, steps: Image, met: Mask) -> None:
            closer = met & (steps < depth)
            planes[closer], depth[closer] = number, steps[closer]

        with np.errstate(divide="ignore", invalid="ignore"):
            for axis, (below, above) in enumerate(((2, 3), (0, 1), (4, 5))):
                nearer(below, (low[axis] - eye[axis]) / rays[axis], rays[axis] < 0)
                nearer(above, (high[axis] - eye[axis]) / rays[axis], rays[axis] > 0)
            for number, wall in enumerate(self.partial, len(PLANES)):
                axis, other = (0, 2) if wall.axis == "x" else (2, 0)
                steps = (wall.offset - eye[axis]) / rays[axis]
                at = eye[other] + steps * rays[other]
                nearer(number, steps, (steps > 0) & (at >= wall.span[0]) & (at <= wall.span[1]))
        return planes, depth

    def first_hit(self, camera: PhotoCamera, points: Floats) -> tuple[NDArray[np.int8], Floats]:
        """Return which of `planes` pixels (N, 2) see (N,) and where (N, 3) m."""
        return self.cast(camera.position, camera.rays(points))

    def cast(self, origins: Floats, rays: Floats) -> tuple[NDArray[np.int8], Floats]:
        """Return which of `planes` rays (N, 3) from origins (3,) or (N, 3) inside meet (N,) and where (N, 3) m."""
        low = np.array([self.x[0], 0.0, self.z[0]])
        high = np.array([self.x[1], self.height, self.z[1]])
        with np.errstate(divide="ignore", invalid="ignore"):
            steps = np.where(rays > 0, (high - origins) / rays, np.where(rays < 0, (low - origins) / rays, np.inf))
        axis = steps.argmin(axis=1)
        nearest = steps[np.arange(len(rays)), axis]
        positive = rays[np.arange(len(rays)), axis] > 0
        plane = np.array([[2, 0, 4], [3, 1, 5]], np.int8)[positive.astype(int), axis]
        for number, wall in enumerate(self.partial, len(PLANES)):
            across, along = (0, 2) if wall.axis == "x" else (2, 0)
            with np.errstate(divide="ignore", invalid="ignore"):
                steps = (wall.offset - np.broadcast_to(origins, rays.shape)[:, across]) / rays[:, across]
                at = np.broadcast_to(origins, rays.shape)[:, along] + steps * rays[:, along]
                meets = (steps > 0) & (steps < nearest) & (at >= wall.span[0]) & (at <= wall.span[1])
            plane[meets], nearest[meets] = number, steps[meets]
        return plane, origins + rays * nearest[:, None]

    def off_walls(self, points: Image) -> Image:
        """Return how far (…) m points (…, 3) in the box are from its nearest wall."""
        x, z = points[..., 0], points[..., 2]
        off = np.minimum(
            np.minimum(x - self.x[0], self.x[1] - x),
            np.minimum(z - self.z[0], self.z[1] - z),
        )
        for wall in self.partial:
            across, along = (x, z) if wall.axis == "x" else (z, x)
            beside = (along < wall.span[0]) | (along > wall.span[1])
            off = np.where(beside, off, np.minimum(off, np.abs(across - wall.offset)))
        return np.asarray(off, np.float32)


def _upright(name: str, wall: Wall, span: tuple[float, float], heights: tuple[float, float]) -> Part:
    """Return part of a wall as a rectangle that faces inward."""
    (low, high), (bottom, top) = span, heights
    ((corner,), (end,)) = wall.points([low], bottom), wall.points([high], bottom)
    normal = (wall.facing, 0, 0) if wall.axis == "x" else (0, 0, wall.facing)
    return quad(name, corner, end - corner, (0, top - bottom, 0), normal)


PLANES = ("floor", "ceiling", *SIDES)
FLOOR = PLANES.index("floor")


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
    box = StandIn(
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
    others = [wall for wall in geometry.walls if not any(wall is side for side in chosen.values())]
    partial = [_partial(wall, box, geometry.camera, furniture) for wall in others]
    return replace(box, partial=tuple(wall for wall in partial if wall is not None))


def _partial(wall: Wall, box: StandIn, camera: PhotoCamera, furniture: Sequence[Part]) -> Wall | None:
    """Return the wall as far as it goes in the box; None where it is no wall of its own, or furniture crosses it.

    Where it leaves the picture it goes on to the box's side.
    """
    across, along = (0, 2) if wall.axis == "x" else (2, 0)
    sides, ends = (box.x, box.z) if wall.axis == "x" else (box.z, box.x)
    side = sides[0] if wall.facing > 0 else sides[1]
    if (wall.offset - side) * wall.facing < IN_FRONT or wall.offset * wall.facing > 0:
        return None
    (low, high), (end_low, end_high) = wall.span, ends
    leaves = [_leaves_picture(wall, at, camera) for at in (low, high)]
    span = (end_low if leaves[0] else max(low, end_low), end_high if leaves[1] else min(high, end_high))
    if span[1] - span[0] < IN_FRONT:
        return None
    offset = wall.offset
    for piece in furniture:
        reach = piece.vertices[(piece.vertices[:, along] > span[0]) & (piece.vertices[:, along] < span[1]), across]
        before = reach[(reach - wall.offset) * wall.facing > 0]
        if len(reach) and len(before):
            offset = min(offset * wall.facing, float((reach * wall.facing).min()) - CLEARANCE) * wall.facing
    return replace(wall, offset=offset, span=span) if abs(offset - wall.offset) <= SLACK else None


def _leaves_picture(wall: Wall, at: float, camera: PhotoCamera) -> bool:
    """Say whether the wall's foot goes on beyond the picture's border at one of its ends."""
    column = camera.project(wall.points([at], 0.0))[0, 0]
    border = AT_BORDER * camera.size[0]
    return not border < column < camera.size[0] - border


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
