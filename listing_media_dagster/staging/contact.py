"""How much light from around still reaches floor and walls close to furniture: the dark, narrow shadow where it stands.

Path tracing at a reduced size loses what happens within a pixel of a leg. Here a height field of what stands up to
`REACH` m before a plane is searched in all directions for what hides the hemisphere (visibility bitmasks, Therrien et
al. 2023). It has no noise, and is as fine at the photo's full size as the plane's map is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, pi, sqrt

import cv2
import numpy as np
from numpy.typing import NDArray

from listing_media_dagster.path_tracer.materials import Image, Material
from listing_media_dagster.path_tracer.solids import Part
from listing_media_dagster.staging.arrays import Floats, Mask, Planes
from listing_media_dagster.staging.render import LoadedStage, Stage, Window, load_stage
from listing_media_dagster.staging.room import PhotoCamera
from listing_media_dagster.staging.scene import StandIn

REACH = 0.35  # m: what is farther shades softly, which path tracing shows well
CELL = 0.006  # m: how wide the cells of a plane's map are if that makes no more of them than `CELLS`
CELLS = {"floor": 200_000}  # of walls `WALL_CELLS`
WALL_CELLS = 40_000
GAP = 0.002  # m off the plane at which things begin
FLAT = 0.03  # m: what is thinner lies on the floor, as rugs and their fringes do, and is shaded like it
TOUCHING = 0.015  # m before a plane up to which something stands on it
SECTORS, DIRECTIONS, STEPS, PHASES = 32, 27, 14, 3  # of elevation, round about, outward; by turns
SMOOTHED = (0.8, 5.0)  # cells by which the directions' steps are evened out, near and far from what hides
SHOWN = 1.25  # photos show scenes with more contrast than they have, as an exponent: cameras' tone curves are S-shaped
DARKEST = 0.1  # deep under things, where path tracing knows better


@dataclass(frozen=True)
class ContactMap:
    """`visible` (h, w) 0..1 is the cosine-weighted share of the hemisphere that furniture near by leaves open.

    The middle of its first cell is `corner` (3,) m, `across` and `down` (3,) m lead to the next ones.
    """

    visible: Image
    corner: Floats
    across: Floats
    down: Floats

    def at(self, points: Image) -> Image:
        """Return the share (N,) at points (N, 3) m of the plane; 1 beyond the map."""
        off = np.asarray(points, float).reshape(-1, 3) - self.corner
        columns = (off @ self.across / (self.across @ self.across)).astype(np.float32)
        rows = (off @ self.down / (self.down @ self.down)).astype(np.float32)
        return _looked_up(self.visible, columns, rows)

    def seen_in(self, camera: PhotoCamera, window: Window) -> Image:
        """Return what each pixel (h, w) of a window would show of it if nothing stood before the plane."""
        lens = np.array([[camera.focal_px, 0, camera.centre[0]], [0, camera.focal_px, camera.centre[1]], [0, 0, 1]])
        view = camera.axes * np.array([[1.0], [-1.0], [1.0]])
        to_picture = lens @ view @ np.column_stack([self.across, self.down, self.corner - camera.position])
        # centres of pixels lie at whole numbers for cv2, at halves for the camera
        shift = np.array([[1, 0, -window.left - 0.5], [0, 1, -window.top - 0.5], [0, 0, 1]])
        seen = cv2.warpPerspective(
            self.visible, shift @ to_picture, window.size, flags=cv2.INTER_LINEAR, borderValue=1.0
        )
        return np.asarray(seen, np.float32)


def _looked_up(image: Image, columns: Image, rows: Image) -> Image:
    if not len(columns):
        return np.ones(0, np.float32)
    found = []
    for first in range(0, len(columns), 30_000):  # cv2.remap takes no longer rows
        part = slice(first, first + 30_000)
        found.append(cv2.remap(image, columns[None, part], rows[None, part], cv2.INTER_LINEAR, borderValue=1.0)[0])
    return np.concatenate(found)


@dataclass(frozen=True)
class _Plane:
    """A rectangle of floor or wall: `corner` (3,) m, unit `across`, `down` and `normal` (3,) inward, `size` in m."""

    corner: Floats
    across: Floats
    down: Floats
    normal: Floats
    size: tuple[float, float]
    cells: int


def contact_maps(
    room: StandIn, shown: Planes, parts: Sequence[Part], looks: Mapping[str, Material]
) -> dict[int, ContactMap]:
    """Return the maps of those planes, by their number, that are `shown` and that furniture stands on or close to.

    Leaves and sheer cloth, which hide little and have no inside, are left to path tracing.
    """
    parts = [piece for piece in parts if _is_solid(looks[piece.material]) and piece.vertices[:, 1].max() > FLAT]
    if not parts:
        return {}
    scene = load_stage(Stage(parts, dict.fromkeys(looks, Material((0.5, 0.5, 0.5))), {}))
    maps = {n: _contact_map(scene, plane, parts) for n, plane in _planes(room).items() if (shown == n).any()}
    return {number: found for number, found in maps.items() if found is not None}


def visible_in(maps: Mapping[int, ContactMap], planes: Planes, camera: PhotoCamera, window: Window) -> Image:
    """Return the share of the hemisphere that is open (h, w) where the window shows `planes` (h, w)."""
    visible = np.ones(planes.shape, np.float32)
    for number, contact in maps.items():
        shown = planes == number
        if shown.any():
            visible[shown] = contact.seen_in(camera, window)[shown]
    return visible


def _is_solid(looks: Material) -> bool:
    return not looks.translucent and not looks.clear and looks.opacity is None


def _planes(room: StandIn) -> dict[int, _Plane]:
    planes = {}
    for number, name in enumerate(room.planes):
        if name == "ceiling":
            continue
        side = room.plane(name)
        normal = side.normals[0].astype(float)
        down = np.array([0.0, 0.0, 1.0]) if name == "floor" else np.array([0.0, -1.0, 0.0])
        across = np.cross(normal, down)
        along, below = side.vertices @ across, side.vertices @ down
        corner = along.min() * across + below.min() * down + (side.vertices[0] @ normal) * normal
        size = (float(np.ptp(along)), float(np.ptp(below)))
        planes[number] = _Plane(corner, across, down, normal, size, CELLS.get(name, WALL_CELLS))
    return planes


def _contact_map(scene: LoadedStage, plane: _Plane, parts: Sequence[Part]) -> ContactMap | None:
    """Return the map of what parts near the plane hide, None where there are none."""
    near = [off for off in (_off(piece.vertices, plane) for piece in parts) if off[:, 2].max() > GAP]
    near = [off for off in near if off[:, 2].min() < REACH]
    if not near:
        return None
    flat = np.concatenate([off[off[:, 2] < REACH, :2] for off in near])
    low = np.maximum(flat.min(axis=0) - REACH, 0.0).astype(float)
    high = np.minimum(flat.max(axis=0) + REACH, plane.size).astype(float)
    if (high - low).min() < CELL:
        return None
    cell = max(CELL, sqrt(float(np.prod(high - low)) / plane.cells))
    columns, rows = (max(1, ceil(side / cell)) for side in high - low)
    corner = plane.corner + low[0] * plane.across + low[1] * plane.down
    begin, end = np.zeros((rows, columns), np.uint8), np.zeros((rows, columns), np.uint8)
    for off in near:
        left, top = np.floor((off[:, :2].min(axis=0) - low) / cell).astype(int)
        right, bottom = np.ceil((off[:, :2].max(axis=0) - low) / cell).astype(int)
        box = (slice(max(0, top), max(0, bottom)), slice(max(0, left), max(0, right)))
        begin[box] |= off[:, 2].min() < TOUCHING
        end[box] |= off[:, 2].max() > REACH
    lowest, highest = _height_field(scene, plane, corner, cell, begin > 0, end > 0)
    middle = corner + 0.5 * cell * (plane.across + plane.down)
    return ContactMap(open_hemisphere(lowest, highest, cell), middle, plane.across * cell, plane.down * cell)


def _off(points: Image, plane: _Plane) -> Image:
    """Return where (N, 3) m points are across and down the plane from its corner, and how far before it."""
    frame = np.column_stack([plane.across, plane.down, plane.normal]).astype(np.float32)
    return np.asarray((points - plane.corner.astype(np.float32)) @ frame, np.float32)


def _height_field(
    scene: LoadedStage, plane: _Plane, corner: Floats, cell: float, touched: Mask, above: Mask
) -> tuple[Image, Image]:
    """Return how far (h, w) m over each cell furniture begins and, below `REACH`, ends; both 0 where none is.

    A ray that begins inside something solid meets its back; `touched` and `above` (h, w) say where that may be.
    """
    rows, columns = touched.shape
    centre = corner + 0.5 * cell * (columns * plane.across + rows * plane.down)

    def met(height: float, way: float) -> tuple[Image, Mask]:
        origin = centre + height * plane.normal
        hits = scene.straight_hits(origin, way * plane.normal, -plane.down, columns * cell, (columns, rows))
        seen = hits if way < 0 else hits[:, ::-1]
        facing = way * (seen[..., :3] @ plane.normal.astype(np.float32))
        nothing = REACH if way > 0 else 0.0
        return np.where(facing == 0, nothing, _off(seen[..., 3:], plane)[..., 2]).astype(np.float32), facing > 0

    up, begun = met(GAP, 1.0)
    down, ended = met(REACH, -1.0)
    lowest = np.where(begun & touched, 0.0, up)
    highest = np.where(ended & above, REACH, down)
    there = (lowest < REACH) & (highest > np.maximum(lowest, GAP))
    return np.where(there, lowest, 0).astype(np.float32), np.where(there, highest, 0).astype(np.float32)


def open_hemisphere(lowest: Image, highest: Image, cell: float) -> Image:
    """Return the cosine-weighted share (h, w) 0..1 of the sky that a height field leaves open to its ground.

    Each cell of `cell` m is filled from `lowest` to `highest` m. In each direction the elevations are kept as bits, so
    that what hides the same of them counts once.
    """
    reach = ceil(REACH / cell)
    height, width = lowest.shape
    around = cv2.copyMakeBorder(np.dstack([lowest, highest]), *(reach,) * 4, cv2.BORDER_CONSTANT, value=0)
    hidden = [np.zeros((height, width), np.uint32) for _ in range(DIRECTIONS)]
    for step in range(STEPS * PHASES):
        away = 0.5 * (2 * reach) ** (step / (STEPS * PHASES - 1))  # cells, in equal ratios from half a cell on
        bits = _sectors(np.asarray(around, np.float32), away * cell)
        for number in range(step % PHASES, DIRECTIONS, PHASES):  # neighbours step by turns, so that no step shows
            angle = 2 * pi * (number + step / (STEPS * PHASES)) / DIRECTIONS
            dx, dy = round(away * np.cos(angle)), round(away * np.sin(angle))
            hidden[number] |= bits[reach + dy : reach + dy + height, reach + dx : reach + dx + width]
    counted = np.sum([np.bitwise_count(some) for some in hidden], axis=0, dtype=np.float32)
    visible = np.maximum(1 - counted / (DIRECTIONS * SECTORS), DARKEST)
    fine, coarse = (cv2.GaussianBlur(visible, (0, 0), deviation) for deviation in SMOOTHED)
    faint = np.clip((fine - 0.5) / 0.4, 0, 1)  # far from what hides it light changes slowly, and steps would show
    return np.asarray(fine + (coarse - fine) * faint, np.float32)


def _sectors(around: Image, away: float) -> NDArray[np.uint32]:
    """Return the elevations, as bits of equal weight, that each cell hides from a point `away` m beside it."""
    squared = around**2
    ends = np.rint(SECTORS * squared / (squared + away**2)).astype(np.uint64)
    below = (np.uint64(1) << ends) - np.uint64(1)
    return np.asarray(below[..., 1] & ~below[..., 0], np.uint32)
