"""From base photo, room and arrangement to the staged photo: rendered furniture laid in, its shadow laid on the room.

Nothing outside the edit mask changes. Inside it furniture replaces the photo by its coverage, and elsewhere the photo
is multiplied by how much darker the stand-in is with the furniture than without (differential rendering, Debevec 1998).
What changes slowly is traced and worked out reduced; furniture is traced and laid in at full size, strip by strip.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from time import perf_counter as clock

import cv2
import numpy as np

from listing_media_dagster.path_tracer.materials import Image, Material
from listing_media_dagster.path_tracer.solids import Part
from listing_media_dagster.staging.arrangement import Arrangement
from listing_media_dagster.staging.arrays import Mask, Planes, Rgb
from listing_media_dagster.staging.camera_look import camera_look
from listing_media_dagster.staging.contact import contact_maps, visible_in
from listing_media_dagster.staging.detail import EDGE, EPSILON, Hits, first_hits, furniture_met, irradiance
from listing_media_dagster.staging.foreground import SightLines, sight_lines
from listing_media_dagster.staging.furniture.designs import Design
from listing_media_dagster.staging.glare import window_level, without_glare
from listing_media_dagster.staging.laying_in import Layers, Pieces, View, lay_in
from listing_media_dagster.staging.light import RoomLight, estimate_light
from listing_media_dagster.staging.reduction import Reduced, reduced
from listing_media_dagster.staging.reflection import floor_gloss, mirrored_change, reflected_share, with_mirror_floor
from listing_media_dagster.staging.render import Stage, Traced, Window, load_stage, trace, whole
from listing_media_dagster.staging.room import PhotoCamera, RoomGeometry
from listing_media_dagster.staging.scene import FLOOR, StandIn, furniture, stand_in
from listing_media_dagster.staging.shadow import (
    carried_over,
    dimming,
    fading_out,
    faint_left_out,
    panes_seen,
    receives,
    shadow,
    softly,
)
from listing_media_dagster.staging.silhouette import silhouette
from listing_media_dagster.staging.sunlight import sun_on_floor, sun_on_rugs

MARGIN = 0.6  # m round the furniture in which its shadow may show
PIXELS, EMPTY_PIXELS, MIRROR_PIXELS = 300_000, 40_000, 60_000  # traced at most; larger windows are traced reduced
PATHS = 760_000  # of all pixels together
SAMPLES = (3, 4, 5, 6, 8, 10, 12, 16)  # a pixel, of which the most that `PATHS` allows is taken
GUIDE_SAMPLES, EMPTY_SAMPLES, MIRROR_SAMPLES, CUT_OUT_SAMPLES = 1, 6, 4, 9


@dataclass(frozen=True)
class StagedPixels:
    """`rgb` uint8 (H, W, 3) sRGB equals the base outside `edit_mask` (H, W).

    `furniture` float32 (H, W) is how much of each pixel furniture covers, `depth` float32 (H, W) the distance along the
    view axis of room and furniture, m. `seconds` tells where the time went.
    """

    rgb: Rgb
    edit_mask: Mask
    furniture: Image
    depth: Image
    light: RoomLight
    gloss: float
    seconds: dict[str, float] = field(default_factory=dict)


def render_staging(
    base: Rgb,
    geometry: RoomGeometry,
    arrangement: Arrangement,
    designs: Mapping[str, Design],
    seed: int,
    progress: Callable[[str], None] | None = None,
) -> StagedPixels:
    """Return the base uint8 (H, W, 3) sRGB with the arrangement in it, the same bytes for the same seed.

    Raises ValueError if the geometry is of another size, or a piece has no design or finish.
    """
    if base.shape[:2] != geometry.floor.shape or base.shape[1::-1] != geometry.camera.size:
        raise ValueError(f"geometry is for {geometry.camera.size} px, the photo has {base.shape[1::-1]}")
    seconds: dict[str, float] = {}

    @contextmanager
    def step(name: str) -> Iterator[None]:
        if progress:
            progress(name)
        began = clock()
        yield
        seconds[name] = clock() - began

    with step("scene"):
        parts, materials = furniture(arrangement, designs)
        room = stand_in(geometry, parts)
        window = window_round(parts, geometry.camera)
        view = View(geometry, room, window, reduced(geometry.camera, window, PIXELS), seed)
    with step("light"):
        light = estimate_light(base, geometry, room, seed)
        gloss = floor_gloss(base, geometry, room)
    with step("furniture"):
        shown, depth = room.seen_by(geometry.camera, whole(geometry.camera))
        contact = contact_maps(room, shown, parts, materials)
        covered, cut = _covered(view, parts, materials)
        empty = light.stage(room)
        full = Stage([*empty.parts, *parts], {**empty.materials, **materials}, empty.shining)
        scene = load_stage(full)
        hits = first_hits(scene, room, light.reflectance, geometry.camera, window, covered > 0)
        sight = sight_lines(geometry)
        covered = covered * (1 - _hidden(view, hits, parts, sight))
    with step("render"):
        radiance = scene.radiance(view.at.camera, view.at.window, _samples(view.at.window), seed + 200)
        traced = replace(hits.shrunk(view.at, window), radiance=radiance)
        level = window_level(base, light.panes, geometry.camera)
        traced = without_glare(traced, view.at.camera, view.at.window, parts, materials, level)
        furnished, unfurnished = traced.denoised(), _unfurnished(view, empty, light.panes)
        mirror = _mirrored(view, gloss, full, empty, parts)
    with step("shadow"):
        sun = sun_on_floor(base, geometry, room)
        on_rugs = None if sun is None else sun_on_rugs(sun, parts, geometry.camera, window)
        lit = irradiance(traced, furnished, hits, view.at, window, room, contact.get(FLOOR))
        lit = lit.held_back(light.contrast, _usual_light(unfurnished, light, view))
        pieces = Pieces(hits, lit, covered, cut, on_rugs)
        near = visible_in(contact, shown[window.rows_columns], geometry.camera, window)
        layers = _layers(view, furnished, unfurnished, mirror, pieces.covered, near, light, sight)
    with step("composite"):
        staged = lay_in(base, view, pieces, layers, light, camera_look(base, seed))
    with step("depth"):
        depth = _depth(view, traced, depth)
    return StagedPixels(*staged, depth, light, gloss, seconds)


def _samples(window: Window) -> int:
    """How many paths a pixel of the window `PATHS` allows."""
    pixels = window.size[0] * window.size[1]
    return max((number for number in SAMPLES if number * pixels <= PATHS), default=SAMPLES[0])


def _unfurnished(view: View, empty: Stage, panes: Sequence[Part]) -> Image:
    """Return the light (h, w, 3) of the empty room in the reduced window."""
    at = reduced(view.geometry.camera, view.window, EMPTY_PIXELS)
    clean = trace(empty, at.camera, at.window, EMPTY_SAMPLES, GUIDE_SAMPLES, view.seed + 300).denoised()
    planes = _planes(view.room, panes, view.at.camera, view.at.window)
    return _enlarged_by_plane(clean, _planes(view.room, panes, at.camera, at.window), at, planes, view.at)


def _mirrored(view: View, gloss: float, full: Stage, empty: Stage, parts: Sequence[Part]) -> Image:
    """Return what the furniture changes in the floor's mirror in the reduced window (h, w, 3), 0 where it is matt."""
    at = reduced(view.geometry.camera, view.window, MIRROR_PIXELS)
    share = reflected_share(parts, at.camera, at.window)
    change = np.zeros((*share.shape, 3), np.float32)
    left, top, width, height = cv2.boundingRect((share > 0).astype(np.uint8))
    if gloss > 0.05 and width > 0:
        part = at.window.part(left, top, width, height)
        furnished, unfurnished = (
            trace(with_mirror_floor(stage), at.camera, part, MIRROR_SAMPLES, 1, view.seed + 400).denoised()
            for stage in (full, empty)
        )
        inner = (slice(top, top + height), slice(left, left + width))
        furnished = furnished / dimming(furnished, unfurnished, share[inner])
        change[inner] = mirrored_change(furnished, unfurnished, at.camera, part, gloss) * share[inner][..., None]
    return at.enlarged(change, view.at.window, view.at.times)


def _layers(
    view: View,
    furnished: Image,
    unfurnished: Image,
    mirror: Image,
    covered: Image,
    near: Image,
    light: RoomLight,
    sight: SightLines,
) -> Layers:
    """Return what the furniture does to the room in the reduced window."""
    at = view.at
    alpha = at.shrunk(covered, view.window)
    floor = at.shrunk(view.geometry.floor[view.window.rows_columns].astype(np.float32), view.window) > 0.5
    planes = _planes(view.room, light.panes, at.camera, at.window)
    beyond = floor & (planes > 1)
    fading: Image = fading_out(at.window, at.camera.size) * receives(floor, planes)
    fading[panes_seen(view.geometry.walls, at.window, at.times)] = 0
    behind = sight.hides(view.room.first_hit(at.camera, at.window.pixels())[1]).reshape(planes.shape)
    fading *= 1 - cv2.GaussianBlur(behind.astype(np.float32), (0, 0), 1.0)
    furnished = furnished / dimming(furnished, unfurnished, alpha)
    left = shadow(furnished, unfurnished, alpha, planes, beyond, at.shrunk(near, view.window), light.contrast)
    mirror = faint_left_out(mirror, alpha, fading * softly((planes == 0) | beyond, beyond))
    return Layers(furnished, unfurnished, left, fading, mirror, near)


def _usual_light(unfurnished: Image, light: RoomLight, view: View) -> float:
    """Return light over reflectance as most of the empty room in the reduced window has it."""
    planes, _ = view.room.seen_by(view.at.camera, view.at.window)
    reflects = np.array([np.mean(light.reflectance[name]) for name in view.room.planes], np.float32)
    return float(np.median(unfurnished.mean(axis=-1) / (reflects[planes] + EPSILON)))


def window_round(parts: Sequence[Part], camera: PhotoCamera, margin: float = MARGIN) -> Window:
    """Return the part of the picture that shows the furniture and the room within `margin` m of it."""
    corners = []
    for piece in parts:
        low, high = piece.vertices.min(axis=0), piece.vertices.max(axis=0)
        low, high = low - np.array([margin, 0.02, margin]), high + np.array([margin, 0.1, margin])
        corners += [[x, y, z] for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (low[2], high[2])]
    width, height = camera.size
    if not corners:
        return Window(0, 0, 1, 1)
    seen = camera.project(np.array(corners))
    if not np.isfinite(seen).all():  # part of it is beside or behind the camera
        seen = np.vstack([seen[np.isfinite(seen).all(axis=1)], [[0, height], [width, height]]])
    left, top = np.floor(np.clip(seen.min(axis=0), 0, (width - 1, height - 1))).astype(int)
    right, bottom = np.ceil(np.clip(seen.max(axis=0), (left + 1, top + 1), (width, height))).astype(int)
    return Window(int(left), int(top), int(right), int(bottom))


def _planes(room: StandIn, panes: Sequence[Part], camera: PhotoCamera, window: Window) -> Planes:
    """Which of `StandIn.planes` each pixel (h, w) shows; each pane counts as one more."""
    planes, _ = room.seen_by(camera, window)
    for number, pane in enumerate(panes):
        outline = camera.project(pane.vertices.astype(float)) - (window.left, window.top)
        if np.isfinite(outline).all():
            cv2.fillPoly(planes, [np.round(np.clip(outline, -1e4, 1e4)).astype(np.int32)], len(room.planes) + number)
    return planes


def _enlarged_by_plane(light: Image, small_planes: Planes, at: Reduced, planes: Planes, onto: Reduced) -> Image:
    """Enlarge the empty room's light each plane by itself, so that their edges stay sharp."""
    enlarged = np.ones((*planes.shape, 3), np.float32)
    for plane in np.unique(planes):
        own = cv2.erode((small_planes == plane).astype(np.uint8), np.ones((3, 3), np.uint8)).astype(np.float32)
        filled = at.enlarged(carried_over(light, own, (1.0, 3.0, 12.0, 50.0)), onto.window, onto.times)
        enlarged[planes == plane] = filled[planes == plane]
    return enlarged


def _covered(view: View, parts: Sequence[Part], looks: Mapping[str, Material]) -> tuple[Image, Mask]:
    """Return how much of each of the window's pixels (h, w) furniture covers, and where something is cut out.

    Panes cover nothing, what is cut out only what is left of it.
    """
    camera, window = view.geometry.camera, view.window
    cut = [piece for piece in parts if looks[piece.material].opacity is not None]
    solid = [p for p in parts if looks[p.material].opacity is None and not looks[p.material].clear]
    covered = silhouette(solid, camera, window)
    if not cut:
        return covered, np.zeros(covered.shape, np.bool_)
    around, spp = window_round(cut, camera, 0.0), max(1, CUT_OUT_SAMPLES // view.at.times**2)
    rows, columns = (
        slice(around.top - window.top, around.bottom - window.top),
        slice(around.left - window.left, around.right - window.left),
    )
    left_of_it = load_stage(Stage(cut, looks, {})).coverage(camera, around, spp, view.seed + 500)
    covered[rows, columns] = np.maximum(covered[rows, columns], left_of_it)
    return covered, silhouette(cut, camera, window) > 0


def _hidden(view: View, hits: Hits, parts: Sequence[Part], sight: SightLines) -> Image:
    """Return how much of the window's pixels (h, w) 0..1 shows what stands before the furniture there.

    Only furniture is asked: what hides the stand-in's walls must not eat at the outlines of what stands before them.
    """
    hidden = np.zeros(view.window.size[::-1], np.float32)
    if not any(sight.hides(piece.vertices.astype(float)).any() for piece in parts):
        return hidden
    met = furniture_met(hits.position, hits.normal, view.room)
    hidden[met] = sight.hides(hits.position[met].astype(float))
    around = carried_over(hidden[..., None], met.astype(np.float32), (1.0, 3.0))[..., 0]
    return np.asarray(np.clip(1.04 * cv2.GaussianBlur(around, (0, 0), EDGE) - 0.02, 0, 1), np.float32)


def _depth(view: View, traced: Traced, depth: Image) -> Image:
    """Return the stand-in's `depth` (H, W) m along the view axis with that of its furniture."""
    window, at = view.window, view.at
    ahead = (at.camera.rays(at.window.pixels()) @ at.camera.axes[2]).reshape(traced.distance.shape)
    nearest = at.enlarged(np.asarray(traced.distance * ahead, np.float32), window)
    depth[window.rows_columns] = np.minimum(depth[window.rows_columns], nearest)
    return depth
