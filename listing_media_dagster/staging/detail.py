"""Textures and edges as sharp as the photo's: light is traced reduced, what it falls on at full size.

Light divided by reflectance changes slowly over a surface. It is carried to the photo's pixels along the surfaces that
these see first, and multiplied by their reflectance (joint bilateral upsampling, Kopf et al. 2007).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import cv2
import numpy as np

from listing_media_dagster.path_tracer.materials import Colour, Image
from listing_media_dagster.staging.arrays import Floats, Mask
from listing_media_dagster.staging.contact import FLAT, SHOWN, ContactMap
from listing_media_dagster.staging.reduction import Reduced
from listing_media_dagster.staging.render import LoadedStage, Traced, Window
from listing_media_dagster.staging.room import PhotoCamera
from listing_media_dagster.staging.scene import StandIn
from listing_media_dagster.staging.shadow import blurred, carried_over

EPSILON = 0.05  # keeps radiance / reflectance finite on black things and leaves glass as it is
SAME_PLANE = 0.012  # m off a surface at which light is no longer taken from there
MIXED = 0.01  # trust in the light of a pixel that shows several surfaces
BLACK = 0.02  # reflectance: panes reflect nothing
ROWS = 256  # that are worked on at a time
BAND, BESIDE = 64, 6  # rows of furniture whose rays are followed at a time; pixels round it whose rays are, too
TURNED, STEPPED = 0.35, 0.02  # between neighbours' normals and nearness: an edge
EDGE, STEP = 0.7, 2.0  # px by which edges are smoothed, and along those that are nearly level or upright
ALONG = 2.5  # times steeper across an edge than along it
FACING_UP = 0.7  # cosine; piles are rough
BROAD, MOST_HELD_BACK = 0.03, (0.6, 1.6)  # of the window; factors of brightness
BRIGHTEST = 4.0  # times the usual light: glass and screens show what shines
DENOISED = 0.7  # px by which denoising blurs shadows
OFF_PANES, OFF_FLOOR = 0.007, 0.001  # m before the stand-in's walls, and over its floor, from which on it is furniture

Parts = tuple[slice, slice]


@dataclass(frozen=True)
class Irradiance:
    """Light over reflectance (h, w, 3) of a reduced window, and the unit normal and position m of what it falls on.

    `trust` (h, w) is little where a pixel shows more than one surface, and so the light of neither; `own` (h, w) is 1
    where it is furniture's. What furniture
    `near` takes of the light on the floor is divided out of it where rugs lie, and put back at full size.
    """

    at: Reduced
    light: Image
    normal: Image
    position: Image
    trust: Image
    own: Image
    near: ContactMap | None

    def on(self, position: Image, normal: Image, points: Floats) -> Image:
        """Return the light (N, 3) on what the photo's `points` (N, 2) px show."""
        small = (points / self.at.times - (self.at.window.left, self.at.window.top) - 0.5).astype(np.float32)
        light, weights = self._gathered(small, position, normal, range(2), 1)
        for steps, looser in ((range(-1, 3), 1), (range(-2, 4), 4)):
            poor = np.flatnonzero(weights < 0.1)  # an edge so near that all pixels around are on other surfaces
            farther, found = self._gathered(small[poor], position[poor], normal[poor], steps, looser)
            better = poor[found >= 0.1]
            light[better], weights[better] = farther[found >= 0.1], 1.0
        return light * _left_near(self.near, position, normal)[:, None] ** SHOWN

    def held_back(self, contrast: float, usual: float) -> Irradiance:
        """Return it with its broad differences from the `usual` light reduced as the photo's processing does.

        Fine ones stay, as they do in local tone mapping.
        """
        grey, weight = np.minimum(self.light.mean(axis=-1), BRIGHTEST * usual), self.trust * self.own
        reach = BROAD * max(grey.shape)
        broad = blurred(grey * weight, reach) / np.maximum(blurred(weight, reach), 1e-6)
        factor = (np.maximum(broad, 0.02 * usual) / usual) ** (contrast - 1)
        return replace(self, light=np.asarray(self.light * factor.clip(*MOST_HELD_BACK)[..., None], np.float32))

    def _gathered(
        self, small: Image, position: Image, normal: Image, steps: range, looser: float
    ) -> tuple[Image, Image]:
        """Return the light (N, 3) of the pixels around points (N, 2) of the small window, and their weight (N,).

        What lies and faces alike counts; `looser` lets it differ more.
        """
        first = np.floor(small).astype(np.int32)
        height, width = self.light.shape[:2]
        light, positions, normals = (each.reshape(-1, 3) for each in (self.light, self.position, self.normal))
        total, weights = np.zeros((len(small), 3), np.float32), np.zeros(len(small), np.float32)
        reach = np.float32(len(steps) / 2)
        for dx, dy in ((x, y) for x in steps for y in steps):
            columns, rows = np.clip(first[:, 0] + dx, 0, width - 1), np.clip(first[:, 1] + dy, 0, height - 1)
            index = rows * width + columns
            away = np.abs(small - first - np.array((dx, dy), np.float32))
            offset = np.abs(((positions[index] - position) * normal).sum(axis=1))
            facing = np.clip((normals[index] * normal).sum(axis=1), 0, 1)
            same = facing ** (8 / looser) * np.exp(-offset / (SAME_PLANE * looser)) * self.trust.ravel()[index]
            weight = (1 - away / reach).clip(1e-3).prod(axis=1) * (same + 1e-4)
            total += weight[:, None] * light[index]
            weights += weight
        return np.asarray(total / np.maximum(weights, 1e-9)[:, None], np.float32), weights


@dataclass(frozen=True)
class Hits:
    """What a ray through each pixel of the photo's window met first: albedo, unit normal and position m (h, w, 3).

    `edges` (h, w) are pixels beside which another surface is met.
    """

    albedo: Image
    normal: Image
    position: Image
    edges: Mask

    def shrunk(self, at: Reduced, window: Window) -> Traced:
        """Return their averages in the reduced window, with no radiance yet."""
        albedo, normal, position = (at.shrunk(each, window) for each in (self.albedo, self.normal, self.position))
        distance = np.linalg.norm(position - at.camera.position.astype(np.float32), axis=-1)
        return Traced(np.zeros_like(albedo), albedo, normal, distance)


def first_hits(
    stage: LoadedStage,
    room: StandIn,
    reflectance: Mapping[str, Colour],
    camera: PhotoCamera,
    window: Window,
    wanted: Mask,
) -> Hits:
    """Follow a ray through each pixel of the photo's window where furniture is `wanted` (h, w), and near there.

    Elsewhere the room is met, whose planes need no tracing.
    """
    width, height = window.size
    hits, edges = np.empty((height, width, 9), np.float32), np.empty((height, width), np.bool_)
    bands = [(top, min(top + ROWS, height)) for top in range(0, height, ROWS)]  # large photos have many pixels
    for top, bottom in bands:
        hits[top:bottom] = _room_hits(room, reflectance, camera, window.part(0, top, width, bottom - top))
    for part, tile in _tiles(wanted, window):
        hits[part] = stage.first_hits(camera, tile, 1, 0)
    for top, bottom in bands:
        normals = hits[top:bottom, :, 3:6]
        normals /= np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-6)
    for top, bottom in bands:
        first = max(0, top - 1)
        edges[top:bottom] = _edges(hits[first : bottom + 1], camera)[top - first : bottom - first]
    return Hits(hits[..., :3], hits[..., 3:6], hits[..., 6:], edges)


def _room_hits(room: StandIn, reflectance: Mapping[str, Colour], camera: PhotoCamera, window: Window) -> Image:
    """Return albedo, normal and position m (h, w, 9) of the room's planes."""
    planes, depth = room.seen_by(camera, window)
    looks = np.array([(*reflectance[name], *room.plane(name).normals[0]) for name in room.planes], np.float32)
    across = (np.arange(window.left, window.right) + 0.5 - camera.centre[0]) / camera.focal_px
    down = (np.arange(window.top, window.bottom) + 0.5 - camera.centre[1]) / camera.focal_px
    right, up, forward = camera.axes
    rays = (
        across.astype(np.float32)[None, :, None] * right.astype(np.float32)
        + (forward - down[:, None] * up).astype(np.float32)[:, None]
    )
    return np.concatenate([looks[planes], camera.position.astype(np.float32) + rays * depth[..., None]], axis=-1)


def _tiles(wanted: Mask, window: Window) -> Iterator[tuple[Parts, Window]]:
    """Yield the parts of a window in which anything is `wanted` (h, w), by its rows and columns and as windows.

    In each band of rows these are the runs of columns, a bit wider than needed so that edges are seen from both sides.
    """
    height = len(wanted)
    near = cv2.dilate(wanted.astype(np.uint8), np.ones((2 * BESIDE + 1, 2 * BESIDE + 1), np.uint8))
    for top in range(0, height, BAND):
        rows = slice(top, min(height, top + BAND))
        columns = near[rows].any(axis=0)
        ends = np.flatnonzero(np.diff(np.r_[0, columns, 0].astype(np.int8)))
        for first, last in zip(ends[::2].tolist(), ends[1::2].tolist(), strict=True):
            yield (rows, slice(first, last)), window.part(first, top, last - first, rows.stop - top)


def irradiance(
    traced: Traced, clean: Image, hits: Hits, view: Reduced, window: Window, room: StandIn, near: ContactMap | None
) -> Irradiance:
    """Divide the denoised radiance `clean` of the reduced view of `window` by what it fell on.

    Pixels beside shining panes, which would leak into the furniture before them, get the light of the furniture beside.
    """
    normal = traced.normal / np.maximum(np.linalg.norm(traced.normal, axis=-1, keepdims=True), 1e-6)
    position = view.shrunk(hits.position, window)
    pure = (view.shrunk(hits.edges.astype(np.float32), window) == 0).astype(np.float32)
    square = np.ones((3, 3), np.uint8)
    furniture = furniture_met(position, normal, room)
    panes = ~furniture & (traced.albedo.max(axis=-1) < BLACK)
    own = (furniture & (cv2.dilate(panes.astype(np.uint8), square) == 0)).astype(np.float32)
    light = (clean / (traced.albedo + EPSILON)).astype(np.float32)
    left = _left_near(near, position.reshape(-1, 3), normal.reshape(-1, 3)).reshape(own.shape)
    on_floor = (_lies_on_floor(position, normal)).astype(np.float32)
    softly = cv2.GaussianBlur(left * on_floor, (0, 0), DENOISED) / np.maximum(
        cv2.GaussianBlur(on_floor, (0, 0), DENOISED), 1e-3
    )
    light /= np.where(on_floor > 0, softly, 1)[..., None]
    light = carried_over(light, own, (1.0, 3.0, 8.0))
    return Irradiance(view, light, normal, position, np.maximum(pure, MIXED), own, near)


def _lies_on_floor(position: Image, normal: Image) -> Mask:
    """Where (…) surfaces are rugs or as low."""
    return np.asarray((position[..., 1] < FLAT) & (normal[..., 1] > FACING_UP))


def _left_near(near: ContactMap | None, position: Image, normal: Image) -> Image:
    """Return the share (N,) of light that furniture right beside leaves what lies on the floor."""
    left = np.ones(len(position), np.float32)
    lies = np.flatnonzero(_lies_on_floor(position, normal))
    if near is not None and len(lies):
        left[lies] = near.at(position[lies])
    return left


def furniture_met(position: Image, normal: Image, room: StandIn) -> Mask:
    """Where rays met something (…, 3) m that is neither the stand-in nor one of its panes."""
    y = position[..., 1]
    off = (room.off_walls(position) > OFF_PANES) & (np.minimum(y, room.height - y) > OFF_FLOOR)
    return np.asarray(off & (normal != 0).any(axis=-1))


def furniture_in_detail(
    light: Irradiance, hits: Hits, room: StandIn, window: Window, part: Parts
) -> tuple[Image, Mask]:
    """Return the radiance (h, w, 3) of the furniture in a part of the photo's window, and where (h, w) a ray met it.

    `window` is that part of the photo, `part` its rows and columns in the hits. Each ray is lit by itself, so that no
    colours mix across edges.
    """
    albedo, normal, position = (each[part] for each in (hits.albedo, hits.normal, hits.position))
    met = furniture_met(position, normal, room)
    radiance = np.zeros(albedo.shape, np.float32)
    radiance[met] = light.on(position[met], normal[met], window.pixels()[met.ravel()]) * (albedo[met] + EPSILON)
    return _smoothed(radiance, met.astype(np.float32), hits.edges[part]), met


def _edges(hits: Image, camera: PhotoCamera) -> Mask:
    """Where (h, w) neighbouring rays met other surfaces."""
    square = np.ones((3, 3), np.uint8)
    turned = [cv2.morphologyEx(np.ascontiguousarray(hits[..., n]), cv2.MORPH_GRADIENT, square) for n in (3, 4, 5)]
    away = np.linalg.norm(hits[..., 6:] - camera.position.astype(np.float32), axis=-1)
    nearness = 1 / np.maximum(away, 0.1)
    stepped = cv2.morphologyEx(nearness, cv2.MORPH_GRADIENT, square) / nearness
    return np.asarray((np.maximum(np.maximum(turned[0], turned[1]), turned[2]) > TURNED) | (stepped > STEPPED))


def _smoothed(radiance: Image, met: Image, edges: Mask) -> Image:
    """Mix radiance (h, w, 3) of rays that met furniture (h, w) along edges, where one ray a pixel makes steps.

    Steps of nearly level and nearly upright edges are long: they are mixed farther, along the edge.
    """

    def mixed(across: float, down: float) -> Image:
        share = np.maximum(cv2.GaussianBlur(met, (0, 0), across, sigmaY=down), 1e-3)
        return np.asarray(cv2.GaussianBlur(radiance, (0, 0), across, sigmaY=down) / share[..., None], np.float32)

    around = mixed(EDGE, EDGE)
    level = np.ascontiguousarray(around.mean(axis=-1))
    slope_x, slope_y = (np.abs(cv2.Sobel(level, cv2.CV_32F, dx, 1 - dx)) for dx in (1, 0))
    result = np.where(edges[..., None], around, radiance)
    for along, across in ((slope_y, slope_x), (slope_x, slope_y)):
        steps = edges & (along > ALONG * across)
        if steps.any():
            result[steps] = mixed(*((STEP, EDGE) if along is slope_y else (EDGE, STEP)))[steps]
    return np.asarray(result, np.float32)
