"""Textures and edges as sharp as the photo's: light is traced reduced, what it falls on at full size.

Light divided by reflectance changes slowly over a surface. It is carried to the photo's pixels along the surfaces that
these see first, and multiplied by their reflectance (joint bilateral upsampling, Kopf et al. 2007).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from listing_media_dagster.path_tracer.materials import Image
from listing_media_dagster.staging.reduction import Reduced
from listing_media_dagster.staging.render import LoadedStage, Traced, Window
from listing_media_dagster.staging.room import Floats, PhotoCamera
from listing_media_dagster.staging.scene import StandIn
from listing_media_dagster.staging.shadow import Mask

EPSILON = 0.05  # keeps radiance / reflectance finite on black things and leaves glass as it is
SAME_PLANE = 0.012  # m off a surface at which light is no longer taken from there
TURNED, STEPPED = 0.35, 0.02  # between neighbours' normals and nearness: an edge
EDGE = 0.7  # px by which edges are smoothed
APART = 0.002  # m before the stand-in's planes from which on a ray has met furniture


@dataclass(frozen=True)
class Irradiance:
    """Light over reflectance (h, w, 3) of a reduced window, and the unit normal and position m of what it falls on."""

    at: Reduced
    light: Image
    normal: Image
    position: Image

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
            weight = (1 - away / reach).clip(1e-3).prod(axis=1) * (facing**8 * np.exp(-offset / SAME_PLANE) + 1e-4)
            total += weight[:, None] * light[index]
            weights += weight
        return np.asarray(total / np.maximum(weights, 1e-9)[:, None], np.float32), weights


def irradiance(traced: Traced, clean: Image, at: Reduced) -> Irradiance:
    """Divide the denoised radiance `clean` by what it fell on."""
    rays = at.camera.rays(at.window.pixels()).astype(np.float32).reshape(clean.shape)
    position = at.camera.position.astype(np.float32) + rays * traced.distance[..., None]
    length = np.linalg.norm(traced.normal, axis=-1, keepdims=True)
    return Irradiance(at, clean / (traced.albedo + EPSILON), traced.normal / np.maximum(length, 1e-6), position)


def furniture_in_detail(
    light: Irradiance, stage: LoadedStage, room: StandIn, camera: PhotoCamera, window: Window, passes: int, seed: int
) -> tuple[Image, Mask]:
    """Return the radiance (h, w, 3) of the furniture in the photo's `window`, and where (h, w) a ray met it.

    Each of `passes` rays a pixel is lit by itself, so that no colours mix across edges.
    """
    pixels, size = window.pixels(), window.size[::-1]
    directions = camera.rays(pixels)
    rays = directions.astype(np.float32)
    _, walls_met = room.cast(camera.position, directions)
    walls = np.linalg.norm(walls_met - camera.position, axis=1).astype(np.float32)
    radiance, met = np.zeros((len(pixels), 3), np.float32), np.zeros(len(pixels), np.float32)
    edges = np.zeros(size, np.bool_)
    for number in range(passes):
        hits = stage.first_hits(camera, window, 1, seed + number)
        edges |= _edges(hits)
        hits = hits.reshape(-1, 7)
        distance = hits[:, 6]
        index = np.flatnonzero((distance > 0) & (distance < walls - APART))
        position = camera.position.astype(np.float32) + rays[index] * distance[index, None]
        radiance[index] += light.on(position, hits[index, 3:6], pixels[index]) * (hits[index, :3] + EPSILON)
        met[index] += 1
    return _smoothed(radiance.reshape(*size, 3), met.reshape(size), edges), met.reshape(size) > 0


def _edges(hits: Image) -> Mask:
    """Where (h, w) neighbouring rays met other surfaces."""
    square = np.ones((3, 3), np.uint8)
    turned = [cv2.morphologyEx(np.ascontiguousarray(hits[..., n]), cv2.MORPH_GRADIENT, square) for n in (3, 4, 5)]
    nearness = 1 / np.maximum(hits[..., 6], 0.1)
    stepped = cv2.morphologyEx(nearness, cv2.MORPH_GRADIENT, square) / nearness
    return np.asarray((np.maximum(np.maximum(turned[0], turned[1]), turned[2]) > TURNED) | (stepped > STEPPED))


def _smoothed(radiance: Image, met: Image, edges: Mask) -> Image:
    """Divide sums (h, w, 3) by the rays (h, w) that met furniture; along edges few rays make steps: mix."""
    mixed = cv2.GaussianBlur(radiance, (0, 0), EDGE) / np.maximum(cv2.GaussianBlur(met, (0, 0), EDGE), 1e-3)[..., None]
    return np.asarray(np.where(edges[..., None], mixed, radiance / np.maximum(met, 1)[..., None]), np.float32)
