"""From few samples to clean light: an edge-stopping filter and guided enlargement, steered by what each pixel sees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from listing_media_dagster.path_tracer.materials import Image


@dataclass(frozen=True)
class Surfaces:
    """What each pixel sees first: reflectance, unit normal, position m, and how much of it each light fills (0..1)."""

    albedo: Image
    normal: Image
    position: Image
    lights: dict[str, Image]
    hit: Image

    def reduced(self, factor: int) -> Surfaces:
        def small(image: Image) -> Image:
            height, width = image.shape[:2]
            reduced = cv2.resize(image, (width // factor, height // factor), interpolation=cv2.INTER_AREA)
            return np.asarray(reduced, np.float32)

        lights = {name: small(share) for name, share in self.lights.items()}
        normal = small(self.normal)
        normal /= np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-6)
        return Surfaces(small(self.albedo), normal, small(self.position), lights, small(self.hit))


def _shift(image: Image, dy: int, dx: int) -> Image:
    height, width = image.shape[:2]
    ys = np.clip(np.arange(height) + dy, 0, height - 1)
    xs = np.clip(np.arange(width) + dx, 0, width - 1)
    return image[ys][:, xs]


def without_fireflies(image: Image) -> Image:
    grey = np.abs(image).mean(-1)
    limit = 3.0 * cv2.medianBlur(grey, 5) + 0.3 * cv2.blur(grey, (9, 9)) + 1e-4
    return image * np.minimum(1, limit / np.maximum(grey, 1e-6))[..., None]


def denoise(
    first: Image,
    second: Image,
    seen: Surfaces,
    origin: Sequence[float],
    levels: int = 4,
    strength: float = 3.0,
    blind: int = 0,
) -> Image:
    """Edge-stopping wavelet filter over irradiance, from two independent renders whose difference tells the noise.

    After Dammertz et al. 2010 (edge-avoiding à-trous) with the variance-scaled luminance stop of Schied et al. 2017;
    the first `blind` levels look at geometry alone, which suits light that has bounced.
    """
    light: Image = ((first + second) / 2).astype(np.float32)
    variance: Image = cv2.GaussianBlur(((first - second) / 2).mean(-1) ** 2, (0, 0), 3.0)
    distance = np.linalg.norm(seen.position - np.asarray(origin, np.float32), axis=-1)
    kernel = np.array((1 / 16, 1 / 4, 3 / 8, 1 / 4, 1 / 16), np.float32)
    for level in range(levels):
        step = 2**level
        spread = strength * np.sqrt(cv2.GaussianBlur(variance, (0, 0), 1.5)) + 1e-5
        grey = light.mean(-1)
        total, weights, noise = np.zeros_like(light), np.zeros_like(grey), np.zeros_like(grey)
        for j in range(-2, 3):
            for i in range(-2, 3):
                dy, dx = j * step, i * step
                other, other_variance = _shift(light, dy, dx), _shift(variance, dy, dx)
                facing = np.einsum("hwc,hwc->hw", seen.normal, _shift(seen.normal, dy, dx))
                offset = np.einsum("hwc,hwc->hw", seen.normal, _shift(seen.position, dy, dx) - seen.position)
                stop = np.abs(offset) / (0.003 * distance + 1e-4)
                if level >= blind:
                    stop += np.abs(other.mean(-1) - grey) / spread
                weight = np.clip(facing, 0, 1) ** 24 * np.exp(-stop) if dx or dy else np.ones_like(grey)
                weight *= kernel[j + 2] * kernel[i + 2]
                total += weight[..., None] * other
                noise += weight**2 * other_variance
                weights += weight
        light = (total / np.maximum(weights, 1e-9)[..., None]).astype(np.float32)
        variance = (noise / np.maximum(weights, 1e-9) ** 2).astype(np.float32)
    return np.asarray(light, np.float32)


def to_full_size(light: Image, low: Surfaces, high: Surfaces) -> Image:
    """Joint bilateral upsampling (Kopf et al. 2007) of reduced irradiance along the full-size geometry."""
    height, width = high.albedo.shape[:2]
    factor = height / low.hit.shape[0]
    y, x = (np.arange(height) + 0.5) / factor - 0.5, (np.arange(width) + 0.5) / factor - 0.5
    y0, x0 = np.floor(y).astype(int), np.floor(x).astype(int)
    total, weights = np.zeros_like(high.albedo), np.zeros((height, width), np.float32)
    for dy in (-1, 0, 1, 2):
        for dx in (-1, 0, 1, 2):
            ys, xs = np.clip(y0 + dy, 0, low.hit.shape[0] - 1), np.clip(x0 + dx, 0, low.hit.shape[1] - 1)
            near_y = np.exp(-(((y - (y0 + dy)) / 0.8) ** 2)).astype(np.float32)
            near_x = np.exp(-(((x - (x0 + dx)) / 0.8) ** 2)).astype(np.float32)
            near = near_y[:, None] * near_x[None]
            gap = low.position[ys][:, xs] - high.position
            offset = np.abs(np.einsum("hwc,hwc->hw", gap, high.normal))
            facing = np.clip(np.einsum("hwc,hwc->hw", low.normal[ys][:, xs], high.normal), 0, 1)
            weight = near * (facing**16 * np.exp(-offset / 0.012) + 1e-5)
            total += weight[..., None] * light[ys][:, xs]
            weights += weight
    return mend_edges(total / weights[..., None], high)


def mend_edges(light: Image, seen: Surfaces) -> Image:
    """Give pixels that straddle two surfaces, so that their averaged geometry fits neither, the light around them."""
    pure = single_surface(seen)
    around = cv2.GaussianBlur(light * pure[..., None], (0, 0), 1.2)
    share = cv2.GaussianBlur(pure, (0, 0), 1.2)
    usable = (pure < 0.5) & (share > 0.02)
    return np.where(usable[..., None], around / np.maximum(share, 1e-3)[..., None], light).astype(np.float32)


def single_surface(seen: Surfaces) -> Image:
    """1.0 where a pixel (H, W) lies on one surface, 0.0 where it is off the planes on both sides of it."""
    result = np.ones_like(seen.hit)
    steps = [np.linalg.norm(np.gradient(seen.position, axis=axis), axis=-1) for axis in (0, 1)]
    scale = 0.1 * np.minimum(steps[0], steps[1]) + 0.0005
    for dy, dx in ((0, 1), (1, 0)):
        off = []
        for way in (1, -1):
            gap = _shift(seen.position, way * dy, way * dx) - seen.position
            turn = np.einsum("hwc,hwc->hw", _shift(seen.normal, way * dy, way * dx), seen.normal)
            off.append((np.abs(np.einsum("hwc,hwc->hw", gap, seen.normal)) > scale) | (turn < 0.96))
        result[off[0] & off[1]] = 0.0
    return result
