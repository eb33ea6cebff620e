"""Textures and edges as sharp as the photo's: light is traced reduced, what it falls on at full size.

Light divided by reflectance changes slowly over a surface. It is carried to the photo's pixels along the surfaces that
these see first, and multiplied by their reflectance (joint bilateral upsampling, Kopf et al. 2007).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from listing_media_dagster.path_tracer.denoise import Surfaces, single_surface
from listing_media_dagster.path_tracer.materials import Image
from listing_media_dagster.staging.arrays import Floats, Mask
from listing_media_dagster.staging.reduction import Reduced
from listing_media_dagster.staging.render import LoadedStage, Traced, Window
from listing_media_dagster.staging.room import PhotoCamera
from listing_media_dagster.staging.scene import StandIn
from listing_media_dagster.staging.shadow import carried_over

EPSILON = 0.05  # keeps radiance / reflectance finite on black things and leaves glass as it is
SAME_PLANE = 0.012  # m off a surface at which light is no longer taken from there
MIXED = 0.01  # trust in the light of a pixel that shows several surfaces
BLACK = 0.02  # reflectance: panes reflect nothing
PATTERN = 0.1  # of reflectance between neighbours
TURNED, STEPPED = 0.35, 0.02  # between neighbours' normals and nearness: an edge
EDGE = 0.7  # px by which edges are smoothed
OFF_PANES, OFF_FLOOR = 0.007, 0.001  # m before the stand-in's walls, and over its floor, from which on it is furniture


@dataclass(frozen=True)
class Irradiance:
    """Light over reflectance (h, w, 3) of a reduced window, and the unit normal and position m of what it falls on.

    `trust` (h, w) is little where a pixel shows more than one surface, and so the light of neither.
    """

    at: Reduced
    light: Image
    normal: Image
    position: Image
    trust: Image

    def on(self, position: Image, normal: Image, points: Floats) -> Image:
        """Return the light (N, 3) on what the photo's `points` (N, 2) px show."""
        small = (points / self.at.times - (self.at.window.left, self.at.window.top) - 0.5).astype(np.float32)
        light, weights = self._gathered(small, position, normal, range(2))
        poor = np.flatnonzero(weights < 0.1)  # an edge so near that all four pixels around are on other surfaces
        light[poor] = self._gathered(small[poor], position[poor], normal[poor], range(-1, 3))[0]
        return light

    def _gathered(self, small: Image, position: Image, normal: Image, steps: range) -> tuple[Image, Image]:
        """Return the light (N, 3) of the pixels around points (N, 2) of the small window, and their weight (N,)."""
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
            same = facing**8 * np.exp(-offset / SAME_PLANE) * self.trust.ravel()[index]
            weight = (1 - away / reach).clip(1e-3).prod(axis=1) * (same + 1e-4)
            total += weight[:, None] * light[index]
            weights += weight
        return np.asarray(total / np.maximum(weights, 1e-9)[:, None], np.float32), weights


def irradiance(traced: Traced, clean: Image, at: Reduced, room: StandIn) -> Irradiance:
    """Divide the denoised radiance `clean` by what it fell on.

    Pixels beside shining panes, which would leak into the furniture before them, get the light of the furniture beside.
    """
    rays = at.camera.rays(at.window.pixels()).astype(np.float32).reshape(clean.shape)
    position = at.camera.position.astype(np.float32) + rays * traced.distance[..., None]
    normal = traced.normal / np.maximum(np.linalg.norm(traced.normal, axis=-1, keepdims=True), 1e-6)
    pure = single_surface(Surfaces(traced.albedo, normal, position, {}, np.ones_like(traced.distance)))
    square = np.ones((3, 3), np.uint8)
    furniture = _furniture(position, normal, room)
    panes = ~furniture & (traced.albedo.max(axis=-1) < BLACK)
    own = (furniture & (cv2.dilate(panes.astype(np.uint8), square) == 0)).astype(np.float32)
    known = own * pure
    # few rays tell the reflectance of a pixel badly where it changes, those of the pixels around it tell it better
    reflects = traced.albedo + EPSILON
    patterned = cv2.morphologyEx(np.ascontiguousarray(reflects.mean(axis=-1)), cv2.MORPH_GRADIENT, square) > PATTERN
    around = cv2.GaussianBlur(clean * known[..., None], (0, 0), 1.0) / np.maximum(
        cv2.GaussianBlur(reflects * known[..., None], (0, 0), 1.0), 1e-6
    )
    light = np.where((patterned & (known > 0))[..., None], around, clean / reflects).astype(np.float32)
    light = carried_over(light, own, (1.0, 3.0, 8.0))
    return Irradiance(at, light, normal, position, np.maximum(pure, MIXED))


def _furniture(position: Image, normal: Image, room: StandIn) -> Mask:
    """Where rays met something (…, 3) m that is neither the stand-in nor one of its panes."""
    x, y, z = (position[..., n] for n in range(3))
    to_walls = np.minimum(np.minimum(x - room.x[0], room.x[1] - x), np.minimum(z - room.z[0], room.z[1] - z))
    off = (to_walls > OFF_PANES) & (np.minimum(y, room.height - y) > OFF_FLOOR)
    return np.asarray(off & (normal != 0).any(axis=-1))


def furniture_in_detail(
    light: Irradiance, stage: LoadedStage, room: StandIn, camera: PhotoCamera, window: Window, passes: int, seed: int
) -> tuple[Image, Mask]:
    """Return the radiance (h, w, 3) of the furniture in the photo's `window`, and where (h, w) a ray met it.

    Each of `passes` rays a pixel is lit by itself, so that no colours mix across edges.
    """
    pixels, size = window.pixels(), window.size[::-1]
    radiance, met = np.zeros((len(pixels), 3), np.float32), np.zeros(len(pixels), np.float32)
    edges = np.zeros(size, np.bool_)
    for number in range(passes):
        hits = stage.first_hits(camera, window, 1, seed + number)
        edges |= _edges(hits, camera)
        albedo, normal, position = np.split(hits.reshape(-1, 9), 3, axis=1)
        index = np.flatnonzero(_furniture(position, normal, room))
        on_them = light.on(position[index], normal[index], pixels[index])
        radiance[index] += on_them * (albedo[index] + EPSILON)
        met[index] += 1
    return _smoothed(radiance.reshape(*size, 3), met.reshape(size), edges), met.reshape(size) > 0


def _edges(hits: Image, camera: PhotoCamera) -> Mask:
    """Where (h, w) neighbouring rays met other surfaces."""
    square = np.ones((3, 3), np.uint8)
    turned = [cv2.morphologyEx(np.ascontiguousarray(hits[..., n]), cv2.MORPH_GRADIENT, square) for n in (3, 4, 5)]
    away = np.linalg.norm(hits[..., 6:] - camera.position.astype(np.float32), axis=-1)
    nearness = 1 / np.maximum(away, 0.1)
    stepped = cv2.morphologyEx(nearness, cv2.MORPH_GRADIENT, square) / nearness
    return np.asarray((np.maximum(np.maximum(turned[0], turned[1]), turned[2]) > TURNED) | (stepped > STEPPED))


def _smoothed(radiance: Image, met: Image, edges: Mask) -> Image:
    """Divide sums (h, w, 3) by the rays (h, w) that met furniture; along edges few rays make steps: mix."""
    mixed = cv2.GaussianBlur(radiance, (0, 0), EDGE) / np.maximum(cv2.GaussianBlur(met, (0, 0), EDGE), 1e-3)[..., None]
    return np.asarray(np.where(edges[..., None], mixed, radiance / np.maximum(met, 1)[..., None]), np.float32)
