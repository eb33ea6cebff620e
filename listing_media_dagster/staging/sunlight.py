"""Patches of sun on the photo's floor, so that they go on over a rug that is laid into them.

A patch is far brighter than the floor around it, sharply bounded, and no window's mirror image in varnish.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from listing_media_dagster.path_tracer.materials import Image
from listing_media_dagster.path_tracer.solids import Part
from listing_media_dagster.staging.arrays import Mask
from listing_media_dagster.staging.light import linear_light
from listing_media_dagster.staging.reflection import FLAT
from listing_media_dagster.staging.render import Window, whole
from listing_media_dagster.staging.room import PhotoCamera, RoomGeometry
from listing_media_dagster.staging.scene import StandIn
from listing_media_dagster.staging.shadow import blurred, panes_seen
from listing_media_dagster.staging.silhouette import silhouette

WORKING_SIDE = 720  # px
BRIGHTER = 1.7  # times the floor around
BRIGHT = 0.3  # linear level
STRONGEST = 5.0  # times the floor around; a photo shows no more
FAINTEST = 0.002  # of the light: less can't be seen
SMALLEST, MOST = 0.003, 0.12  # share of the picture: of one patch, of all; more is a pattern of tiles
LARGEST_HOLE = 0.0005  # share of the picture: dark boards in the sun
SQUARE = np.ones((3, 3), np.uint8)
CORE = 0.7  # of a patch's strongest contrast: what is fainter and joined to it is varnish that mirrors a window
# The share of a patch's contrast that the sharper part of its edge (its third quartile) spans within a pixel: 0.3 to
# 0.5 in rooms with sun, up to 0.25 where varnish mirrors windows. Only stone mirrors them sharply: what is nearly all
# mirror image is left out, however sharp.
SHARP, MIRRORED = 0.28, 0.75


def sun_on_floor(base: NDArray[np.uint8], geometry: RoomGeometry, room: StandIn) -> Image | None:
    """Return how many times brighter (h, w) sun makes the floor, 1 beside patches; None where there are none.

    The result is smaller than `base` uint8 (H, W, 3), and covers it. It has no colour: where the photo is burnt out
    the sun's can't be told.
    """
    scale = min(1.0, WORKING_SIDE / max(base.shape[:2]))
    size = (round(base.shape[1] * scale), round(base.shape[0] * scale))
    light = linear_light(np.asarray(cv2.resize(base, size, interpolation=cv2.INTER_AREA), np.uint8))
    floor = cv2.resize(geometry.floor.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0.9
    shade = _without_patches(light, floor)
    brighter = light.mean(axis=-1) / np.maximum(shade.mean(axis=-1), 1e-3)
    sunny = floor & (brighter > BRIGHTER) & (light.mean(axis=-1) > BRIGHT)
    patches = _patches(sunny, np.log(brighter.clip(0.2, STRONGEST)), _mirrored_windows(geometry, room, size))
    if not patches.any() or patches.mean() > MOST:
        return None
    inside = np.asarray(cv2.erode(patches.astype(np.float32), SQUARE), np.float32)
    reach = 0.012 * max(size)
    even = blurred(np.asarray(brighter.clip(1, STRONGEST) * inside, np.float32), reach) / np.maximum(
        blurred(inside, reach), 1e-3
    )
    near = np.asarray(cv2.dilate(patches.astype(np.float32), SQUARE), np.float32)
    share = near * ((brighter - 1) / np.maximum(even - 1, 0.1)).clip(0, 1)
    share = cv2.GaussianBlur(np.maximum(share, inside).astype(np.float32), (0, 0), 0.7)
    return np.asarray(1 + share * (np.maximum(even, 1) - 1), np.float32)


def sun_on_rugs(sun: Image, parts: Sequence[Part], camera: PhotoCamera, window: Window) -> Image:
    """Return how many times brighter sun makes rugs in a `window` (h, w) of the photo, 1 beside them."""
    lying = [piece for piece in parts if piece.vertices[:, 1].max() <= FLAT]
    standing = [piece for piece in parts if piece.vertices[:, 1].max() > FLAT]
    brighter = silhouette(lying, camera, window) * (_in_window(sun, window, camera.size) - 1)
    left, top, width, height = cv2.boundingRect((np.abs(brighter) > FAINTEST).astype(np.uint8))
    if width == 0:
        return np.ones(brighter.shape, np.float32)
    sunny = (slice(top, top + height), slice(left, left + width))
    result = np.ones(brighter.shape, np.float32)
    result[sunny] += brighter[sunny] * (1 - silhouette(standing, camera, window.part(left, top, width, height)))
    return result


def _in_window(sun: Image, window: Window, size: tuple[int, int]) -> Image:
    """Return `sun_on_floor` in a `window` (h, w) of the photo of `size` (width, height) px."""
    factor = (sun.shape[1] / size[0], sun.shape[0] / size[1])
    shift = [(at + 0.5) * by - 0.5 for at, by in zip((window.left, window.top), factor, strict=True)]
    matrix = np.array([[factor[0], 0, shift[0]], [0, factor[1], shift[1]]])
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(sun, matrix, window.size, flags=flags, borderMode=cv2.BORDER_REPLICATE))


def _without_patches(light: Image, floor: Mask) -> Image:
    """Return what the floor's light (h, w, 3) would be without what is far brighter than around it."""
    known = floor.astype(np.float32)
    for _ in range(3):
        around = np.maximum(blurred(known, 0.08 * max(known.shape)), 1e-3)[..., None]
        shade = blurred(light * known[..., None], 0.08 * max(known.shape)) / around
        known = (floor & (light.mean(axis=-1) < 1.3 * shade.mean(axis=-1))).astype(np.float32)
    return np.asarray(shade, np.float32)


def _patches(sunny: Mask, contrast: Image, mirrored: Mask) -> Mask:
    """Keep of what is sunny the patches that are large and sharp enough and no mirror image."""
    cores = np.zeros(sunny.shape, np.bool_)
    for patch in _pieces(sunny):
        cores |= patch & (contrast > CORE * np.percentile(contrast[patch], 90))
    steep = cv2.morphologyEx(contrast.astype(np.float32), cv2.MORPH_GRADIENT, SQUARE) / 2
    kept = np.zeros(sunny.shape, np.bool_)
    for patch in _pieces(cores):
        edge = patch ^ cv2.erode(patch.astype(np.uint8), SQUARE).astype(bool)
        is_sharp = np.percentile(steep[edge], 75) > SHARP * np.median(contrast[patch])
        is_large = patch.sum() > SMALLEST * sunny.size
        if is_large and is_sharp and mirrored[patch].mean() < MIRRORED:
            kept |= _hull(patch) & sunny
    _, gaps, areas, _ = cv2.connectedComponentsWithStats((~kept).astype(np.uint8), connectivity=4)
    return np.asarray(kept | (areas[gaps, cv2.CC_STAT_AREA] < LARGEST_HOLE * sunny.size))


def _pieces(mask: Mask) -> Iterator[Mask]:
    """Yield the connected parts of a mask, without what is a pixel wide, and with gaps of a pixel filled."""
    opened = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, SQUARE)
    count, labels = cv2.connectedComponents(cv2.morphologyEx(opened, cv2.MORPH_CLOSE, SQUARE))
    for number in range(1, count):
        yield labels == number


def _hull(patch: Mask) -> Mask:
    """Fill a patch out to its convex hull: panes are convex, and dark boards in the sun lie within them."""
    rows, columns = np.nonzero(patch)
    hull = np.zeros(patch.shape, np.uint8)
    cv2.fillConvexPoly(hull, cv2.convexHull(np.column_stack([columns, rows]).astype(np.int32)), (1,))
    return hull > 0


def _mirrored_windows(geometry: RoomGeometry, room: StandIn, size: tuple[int, int]) -> Mask:
    """Say which pixels (h, w) of the floor would show a window if the floor were a mirror."""
    camera = geometry.camera.scaled(size)
    pixels = whole(camera).pixels()
    points, rays = camera.on_floor(pixels), camera.rays(pixels)
    inside: Mask = np.asarray(np.isfinite(points).all(axis=1))
    inside[inside] &= (points[inside, 0] > room.x[0]) & (points[inside, 0] < room.x[1])
    inside[inside] &= (points[inside, 2] > room.z[0]) & (points[inside, 2] < room.z[1])
    _, above = room.cast(points[inside] + (0, 1e-4, 0), rays[inside] * (1, -1, 1))
    seen = np.nan_to_num(camera.project(above), nan=-1.0)
    in_view = ((seen >= 0) & (seen < camera.size)).all(axis=1)
    panes = panes_seen(geometry.walls, Window(0, 0, *size), geometry.camera.size[0] / size[0])
    shows = np.zeros(len(seen), np.bool_)
    columns, rows = seen[in_view].astype(int).T
    shows[in_view] = panes[rows, columns]
    mirrored = np.zeros(len(pixels), np.bool_)
    mirrored[inside] = shows
    return mirrored.reshape(size[::-1])
