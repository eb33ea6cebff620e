"""From base photo, room and arrangement to the staged photo: rendered furniture laid in, its shadow laid on the room.

Nothing outside the edit mask changes. Inside it furniture replaces the photo by its coverage, and elsewhere the photo
is multiplied by how much darker the stand-in is with the furniture than without (differential rendering, Debevec 1998).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter as clock

import cv2
import numpy as np
from numpy.typing import NDArray

from listing_media_dagster.path_tracer.materials import Image
from listing_media_dagster.path_tracer.solids import Part
from listing_media_dagster.staging.arrangement import Arrangement
from listing_media_dagster.staging.camera_look import CameraLook, camera_look
from listing_media_dagster.staging.furniture.designs import Design
from listing_media_dagster.staging.light import RoomLight, estimate_light, linear_light
from listing_media_dagster.staging.reflection import floor_gloss, mirrored_change, with_mirror_floor
from listing_media_dagster.staging.render import Stage, Window, coverage, trace
from listing_media_dagster.staging.room import PhotoCamera, RoomGeometry
from listing_media_dagster.staging.scene import PLANES, StandIn, furniture, stand_in
from listing_media_dagster.staging.silhouette import silhouette

Rgb = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Planes = NDArray[np.int8]  # which of `scene.PLANES` a pixel shows

MARGIN = 0.6  # m round the furniture in which its shadow may show
PIXELS, EMPTY_PIXELS, MIRROR_PIXELS = 480_000, 40_000, 100_000  # traced at most; larger windows are traced reduced
SAMPLES, GUIDE_SAMPLES, EMPTY_SAMPLES, CUT_OUT_SAMPLES = 4, 2, 9, 9  # a pixel
DIMMEST = 0.35  # share of the floor's light that is left where furniture hides a window from its mirror
TINTED = 0.3  # share of a shadow's colour that is kept: processing has evened out the photo's own coloured bounce
FAINT, PLAIN = 0.008, 0.03  # darkening that is dropped, and that is kept whole


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

    camera = geometry.camera
    with step("scene"):
        parts, materials = furniture(arrangement, designs)
        room = stand_in(geometry, parts)
        window = window_round(parts, camera)
    with step("light"):
        light = estimate_light(base, geometry, room, seed)
    with step("render"):
        empty = light.stage(room)
        full = Stage([*empty.parts, *parts], {**empty.materials, **materials}, empty.shining)
        traced_at = reduced(camera, window, PIXELS)
        traced = trace(full, traced_at.camera, traced_at.window, SAMPLES, GUIDE_SAMPLES, seed + 200)
        bare_at = reduced(camera, window, EMPTY_PIXELS)
        bare = trace(empty, bare_at.camera, bare_at.window, EMPTY_SAMPLES, GUIDE_SAMPLES, seed + 300)
    with step("denoise"):
        furnished = traced_at.enlarged(traced.denoised(), window)
        bare_light = bare.denoised()
    with step("reflection"):
        gloss = floor_gloss(base, geometry, room)
        mirror = _mirrored(gloss, full, empty, camera, window, seed)
    with step("composite"):
        covered = _covered(Stage(parts, materials, {}), camera, window, seed)
        planes = _planes(room, light.panes, camera, window)
        unfurnished = _enlarged_by_plane(
            bare_light, _planes(room, light.panes, bare_at.camera, bare_at.window), bare_at, planes, window
        )
        floor = geometry.floor[window.rows_columns]
        fading: Image = _fading(window, camera.size) * _receives(floor, planes)
        beyond = floor & (planes > 1)
        fading[_panes_seen(geometry, window)] = 0
        furnished = furnished / _dimming(furnished, unfurnished, covered)
        darkening = shadow(furnished, unfurnished, covered, planes, beyond, fading)
        mirror = _faint_left_out(mirror, covered, fading * _softly((planes == 0) | beyond, beyond))
        rgb, alpha = base.copy(), np.zeros(base.shape[:2], np.float32)
        look = camera_look(base, seed)
        rgb[window.rows_columns], alpha[window.rows_columns] = _laid_in(
            base[window.rows_columns], furnished, unfurnished, covered, darkening, mirror, light, look
        )
        changed = (rgb != base).any(axis=-1) | (alpha > 0)
        depth = _depth(camera, room)
        depth[window.rows_columns] = np.minimum(
            depth[window.rows_columns], traced_at.enlarged(_along_axis(traced.distance, traced_at), window)
        )
    return StagedPixels(rgb, changed, alpha, depth, light, gloss, seconds)


def _mirrored(gloss: float, full: Stage, empty: Stage, camera: PhotoCamera, window: Window, seed: int) -> Image:
    """Return what the furniture changes in the floor's mirror (h, w, 3), 0 where the floor is matt."""
    if gloss <= 0.05:
        return np.zeros((*window.size[::-1], 3), np.float32)
    at = reduced(camera, window, MIRROR_PIXELS)
    pictures = [
        trace(with_mirror_floor(stage), at.camera, at.window, SAMPLES, 1, seed + 400).denoised()
        for stage in (full, empty)
    ]
    return at.enlarged(mirrored_change(pictures[0], pictures[1], at.camera, at.window, gloss), window)


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


@dataclass(frozen=True)
class Reduced:
    """Camera and window `factor` (0..1] times the photo's size."""

    camera: PhotoCamera
    window: Window
    factor: float

    def enlarged(self, image: Image, window: Window) -> Image:
        """Bring what was traced of the small window to the pixels of the photo's `window`."""
        if self.factor == 1.0:
            return image
        # centres of pixels: x_small + 0.5 = (x + 0.5) * factor
        shift_x = (window.left + 0.5) * self.factor - 0.5 - self.window.left
        shift_y = (window.top + 0.5) * self.factor - 0.5 - self.window.top
        matrix = np.array([[self.factor, 0, shift_x], [0, self.factor, shift_y]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        enlarged = cv2.warpAffine(image, matrix, window.size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(enlarged, np.float32)


def reduced(camera: PhotoCamera, window: Window, pixels: int) -> Reduced:
    """Return camera and window as much smaller as it takes to stay within `pixels`."""
    factor = min(1.0, (pixels / (window.size[0] * window.size[1])) ** 0.5)
    size = (round(camera.size[0] * factor), round(camera.size[1] * factor))
    small = Window(
        int(window.left * factor),
        int(window.top * factor),
        min(size[0], int(np.ceil(window.right * factor))),
        min(size[1], int(np.ceil(window.bottom * factor))),
    )
    return Reduced(camera.scaled(size), small, factor)


def _planes(room: StandIn, panes: Sequence[Part], camera: PhotoCamera, window: Window) -> Planes:
    """Which of `scene.PLANES` each pixel (h, w) shows; each pane counts as one more."""
    planes = room.first_hit(camera, window.pixels())[0].reshape(window.size[::-1])
    for number, pane in enumerate(panes):
        outline = camera.project(pane.vertices.astype(float)) - (window.left, window.top)
        if np.isfinite(outline).all():
            cv2.fillPoly(planes, [np.round(np.clip(outline, -1e4, 1e4)).astype(np.int32)], len(PLANES) + number)
    return planes


def _enlarged_by_plane(light: Image, small_planes: Planes, at: Reduced, planes: Planes, window: Window) -> Image:
    """Enlarge the empty room's light each plane by itself, so that their edges stay sharp."""
    enlarged = np.ones((*planes.shape, 3), np.float32)
    for plane in np.unique(planes):
        own = cv2.erode((small_planes == plane).astype(np.uint8), np.ones((3, 3), np.uint8)).astype(np.float32)
        filled = at.enlarged(_carried_over(light, own, (1.0, 3.0, 12.0, 50.0)), window)
        enlarged[planes == plane] = filled[planes == plane]
    return enlarged


def shadow(furnished: Image, unfurnished: Image, alpha: Image, planes: Planes, beyond: Mask, fading: Image) -> Image:
    """Return what the furniture leaves of the light on the room behind it, (h, w, 3) 0..1, 1 where it changes nothing.

    Under furniture, where planes meet, and where the photo shows floor `beyond` the stand-in's walls (a doorway) it is
    carried over from beside. It goes to 1 where `fading` goes to 0.
    """
    ratio: Image = np.clip(furnished / np.maximum(unfurnished, 1e-4), 0, 1).astype(np.float32)
    corners = cv2.morphologyEx(planes.astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((5, 5), np.uint8)) > 0
    touched = cv2.dilate((alpha > 0).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    known = (~touched & ~corners & ~beyond).astype(np.float32)
    ratio = _carried_over(ratio, known, (1.0, 3.0, 12.0, 40.0))
    level = ratio.mean(axis=-1, keepdims=True)
    ratio = level + TINTED * (ratio - level)
    kept = np.clip((1 - level - FAINT) / (PLAIN - FAINT), 0, 1)
    faded = 1 - (1 - ratio) * kept * fading[..., None]
    return np.asarray(faded, np.float32)


def _carried_over(image: Image, known: Image, reaches: Sequence[float]) -> Image:
    """Fill what isn't wholly known (h, w) 0..1 with blurs of what is, from ever farther; far from all it stays."""
    filled, sure = image.copy(), known > 0.99
    weighted = image * known[..., None]
    for reach in reaches:
        share = _blurred(known, reach)
        around = _blurred(weighted, reach) / np.maximum(share, 1e-6)[..., None]
        usable = ~sure & (share > 0.02)
        filled[usable] = around[usable]
        sure |= usable
    return np.asarray(filled, np.float32)


def _blurred(image: Image, reach: float) -> Image:
    """A Gaussian blur; wide ones are done at a quarter of the size."""
    if reach < 8:
        return np.asarray(cv2.GaussianBlur(image, (0, 0), reach), np.float32)
    height, width = image.shape[:2]
    small = cv2.resize(image, (max(1, width // 4), max(1, height // 4)), interpolation=cv2.INTER_AREA)
    blurred = cv2.GaussianBlur(small, (0, 0), reach / 4)
    return np.asarray(cv2.resize(blurred, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)


def _fading(window: Window, size: tuple[int, int]) -> Image:
    """1 inside, falling to 0 at those borders (h, w) beyond which the photo goes on: no shadow may end in a line."""
    width, height = window.size
    reach = 0.06 * max(width, height)
    columns, rows = np.arange(width), np.arange(height)
    left = columns / reach if window.left else np.ones(width)
    right = columns[::-1] / reach if window.right < size[0] else np.ones(width)
    top = rows / reach if window.top else np.ones(height)
    bottom = rows[::-1] / reach if window.bottom < size[1] else np.ones(height)
    inside = np.minimum(np.minimum(left, right)[None], np.minimum(top, bottom)[:, None])
    return np.asarray(np.clip(inside, 0, 1), np.float32)


def _covered(pieces: Stage, camera: PhotoCamera, window: Window, seed: int) -> Image:
    """Return how much of each pixel (h, w) furniture covers; panes cover nothing, what is cut out only what is left."""
    looks = pieces.materials
    cut = [piece for piece in pieces.parts if looks[piece.material].opacity is not None]
    solid = [p for p in pieces.parts if looks[p.material].opacity is None and not looks[p.material].clear]
    covered = silhouette(solid, camera, window)
    if cut:
        around = window_round(cut, camera, 0.0)
        rows, columns = around.rows_columns
        part = covered[rows.start - window.top : rows.stop - window.top]
        part = part[:, columns.start - window.left : columns.stop - window.left]
        part[:] = np.maximum(part, coverage(Stage(cut, looks, {}), camera, around, CUT_OUT_SAMPLES, seed + 500))
    return covered


def _receives(floor: Mask, planes: Planes) -> Image:
    """How surely pixels (h, w) that show the stand-in's floor show the photo's floor too, not what stands before it."""
    reach = max(3, round(0.02 * max(floor.shape))) | 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
    closed = cv2.morphologyEx((floor | (planes != 0)).astype(np.uint8), cv2.MORPH_CLOSE, kernel)
    surely = cv2.GaussianBlur(closed.astype(np.float32), (0, 0), reach / 4)
    return np.asarray(np.where(planes == 0, surely, 1), np.float32)


def _panes_seen(geometry: RoomGeometry, window: Window) -> Mask:
    """Where the photo shows windows (h, w): no furniture shades what is outdoors."""
    panes = np.zeros(window.size[::-1], np.uint8)
    for opening in (o for wall in geometry.walls for o in wall.openings if o.kind == "window"):
        outline = np.nan_to_num(opening.outline - (window.left, window.top))
        cv2.fillPoly(panes, [np.round(np.clip(outline, -1e4, 1e4)).astype(np.int32)], 1)
    return panes > 0


def _dimming(furnished: Image, unfurnished: Image, alpha: Image) -> float:
    """How much darker furniture makes the room as a whole, for which a camera would expose longer: 0.8 .. 1."""
    free = alpha == 0
    if not free.any():
        return 1.0
    ratio = furnished[free].mean(axis=-1) / np.maximum(unfurnished[free].mean(axis=-1), 1e-4)
    return float(np.clip(np.percentile(ratio, 80), 0.8, 1.0))


def _softly(inside: Mask, soft: Mask) -> Image:
    """1 inside, 0 outside (h, w), with a soft run-out over what is `soft` of it."""
    hard = (inside & ~soft).astype(np.float32)
    run_out = _blurred(hard, 0.015 * max(inside.shape))
    return np.asarray(np.where(soft, run_out, hard), np.float32)


def _faint_left_out(mirror: Image, alpha: Image, fading: Image) -> Image:
    """Keep what of the mirror's change can be seen, and let it end softly."""
    untouched = (cv2.dilate((alpha > 0).astype(np.uint8), np.ones((5, 5), np.uint8)) == 0).astype(np.float32)
    mirror = _carried_over(mirror, untouched, (1.0, 3.0, 12.0))
    size = np.abs(mirror).mean(axis=-1, keepdims=True)
    kept = np.clip((size - FAINT / 4) / (FAINT / 2), 0, 1) * fading[..., None]
    return np.asarray(mirror * kept, np.float32)


def _laid_in(
    photo: Rgb,
    furnished: Image,
    unfurnished: Image,
    alpha: Image,
    darkening: Image,
    mirror: Image,
    light: RoomLight,
    look: CameraLook,
) -> tuple[Rgb, Image]:
    """Return the staged part of the photo, uint8 (h, w, 3), and the furniture's share of each pixel as it shows."""
    room = unfurnished * darkening
    share = alpha[..., None]
    # what partly covered pixels show of the room is taken out of them, and the less they show the less they count
    own = np.maximum((furnished - (1 - share) * room) / np.maximum(share, 0.3), 0).astype(np.float32)
    pieces = _carried_over(own, np.clip(2 * alpha - 1, 0, 1) ** 2, (0.8, 2.0, 6.0))
    pieces, share = look.softened(_displayed(pieces, light) * share), look.softened(alpha)[..., None]
    before = linear_light(photo) * darkening
    behind = np.maximum(before + mirror, DIMMEST * before)
    mixed: Image = (behind * (1 - share) + pieces).astype(np.float32)
    coded = _coded(mixed) + look.grain(photo.shape[:2]) * share
    untouched = (share[..., 0] == 0) & (darkening >= 1).all(axis=-1) & (mirror == 0).all(axis=-1)
    staged = np.asarray(np.clip(coded * 255 + 0.5, 0, 255), np.uint8)
    return np.where(untouched[..., None], photo, staged), share[..., 0]


def _displayed(radiance: Image, light: RoomLight) -> Image:
    """Fit radiance (…, 3) between the photo's black and white: shadows lifted like its own, highlights rolled off."""
    black = np.asarray(light.black, np.float32)
    lifted = black + radiance * (1 - black)
    knee = 0.8
    over = np.maximum(lifted - knee, 0)
    return np.asarray(np.minimum(lifted, knee) + (1 - knee) * (1 - np.exp(-over / (1 - knee))), np.float32)


def _coded(linear: Image) -> Image:
    """Return linear light as sRGB levels 0..1."""
    level = np.clip(linear, 0, 1)
    return np.asarray(np.where(level <= 0.0031308, level * 12.92, 1.055 * level ** (1 / 2.4) - 0.055), np.float32)


def _along_axis(distance: Image, at: Reduced) -> Image:
    """Turn distance along the rays into distance along the view axis."""
    ahead = at.camera.rays(at.window.pixels()) @ at.camera.axes[2]
    return np.asarray(distance * ahead.reshape(distance.shape), np.float32)


def _depth(camera: PhotoCamera, room: StandIn) -> Image:
    """Return the distance along the view axis (H, W) m of the empty stand-in."""
    width, height = camera.size
    depth = np.empty((height, width), np.float32)
    for row in range(height):  # a row at a time: rays in double precision are many
        _, hits = room.first_hit(camera, Window(0, row, width, row + 1).pixels())
        depth[row] = (hits - camera.position) @ camera.axes[2]
    return depth
