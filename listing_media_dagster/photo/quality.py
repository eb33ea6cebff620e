"""Measuring a photo: clipping, levels, noise, sharpness, halos, and how far neutral surfaces are from neutral."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from listing_media_dagster.photo.channels import brightest_channel
from listing_media_dagster.photo.white_balance import (
    estimate_illuminant,
    lab_of_neutral,
    mean_chroma,
    read_surfaces,
    surface_weight,
)

FloatArray = NDArray[Any]  # float32
Bytes = NDArray[Any]  # uint8

ANALYSIS_EDGE = 640
_TILE = 160


def small_copy(rgb: Bytes, edge: int = ANALYSIS_EDGE) -> Bytes:
    """`rgb` reduced to at most `edge` px on its long side (area average); never enlarged."""
    scale = edge / max(rgb.shape[:2])
    if scale >= 1.0:
        return np.ascontiguousarray(rgb)
    while scale < 0.4:
        # halving exactly first is far cheaper than one odd area reduction, and averages the same pixels
        even = rgb[: rgb.shape[0] // 2 * 2, : rgb.shape[1] // 2 * 2]
        rgb = cv2.resize(even, (even.shape[1] // 2, even.shape[0] // 2), interpolation=cv2.INTER_AREA)
        scale = edge / max(rgb.shape[:2])
    size = (max(1, round(rgb.shape[1] * scale)), max(1, round(rgb.shape[0] * scale)))
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)


def luma(rgb: Bytes) -> Bytes:
    """Rec. 601 luma, uint8 (H, W)."""
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.uint8)


def native_tiles(rgb: Bytes, count: int = 5) -> list[Bytes]:
    """A `count` × `count` grid of tiles at native resolution: noise and sharpness don't survive a reduction."""
    height, width = rgb.shape[:2]
    tile_h, tile_w = min(_TILE, height), min(_TILE, width)
    rows = np.linspace(0, height - tile_h, count).astype(int)
    columns = np.linspace(0, width - tile_w, count).astype(int)
    return [
        np.ascontiguousarray(rgb[y : y + tile_h, x : x + tile_w])
        for y in sorted(set(rows))
        for x in sorted(set(columns))
    ]


def noise_sigma(tiles: Sequence[Bytes]) -> tuple[float, float]:
    """Standard deviation of luma and of chroma noise in 8-bit levels, from the flattest part of native-size tiles.

    Laplacian difference operator (Immerkær 1996) on 16 px blocks; the quietest quarter of the unclipped blocks counts.
    """
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    found: tuple[list[FloatArray], list[FloatArray]] = ([], [])
    for tile in tiles:
        planes = cv2.cvtColor(tile, cv2.COLOR_RGB2YCrCb)
        light = cv2.resize(planes[..., 0], (tile.shape[1] // 16, tile.shape[0] // 16), interpolation=cv2.INTER_AREA)
        usable = (light > 12) & (light < 243)
        for bucket, channel in zip(found, (0, 1), strict=True):
            # JPEG halves chroma resolution: look at chroma at half size, or its noise seems gone
            plane = planes[..., channel]
            if channel:
                plane = cv2.resize(plane, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
            response = np.abs(cv2.filter2D(plane.astype(np.float32), cv2.CV_32F, kernel))
            blocks = cv2.resize(response, (light.shape[1], light.shape[0]), interpolation=cv2.INTER_AREA)
            bucket.append(blocks[usable])
    return _quiet_sigma(found[0]), _quiet_sigma(found[1])


def _quiet_sigma(blocks: Sequence[FloatArray]) -> float:
    values = np.concatenate(list(blocks)) if blocks else np.zeros(0, np.float32)
    if values.size < 8:
        return 0.0
    quiet = values[values <= np.percentile(values, 25)]
    return float(math.sqrt(math.pi / 2.0) / 6.0 * quiet.mean())


def sharpness(tiles: Sequence[Bytes]) -> float:
    """Mean strength of the strongest 2 % of fine detail (|luma - blur|, 8-bit levels) in native-size tiles."""
    found = []
    for tile in tiles:
        y = luma(tile).astype(np.float32)
        detail = np.abs(y - cv2.GaussianBlur(y, (0, 0), 1.5))
        found.append(float(detail[detail >= np.percentile(detail, 98)].mean()))
    return float(np.mean(found)) if found else 0.0


def clipped_shares(rgb: Bytes) -> tuple[float, float]:
    """Share of pixels with a channel at 254 or more, and of pixels with every channel at 1 or less."""
    strided = np.ascontiguousarray(rgb[:: max(1, rgb.shape[0] // 1000), :: max(1, rgb.shape[1] // 1000)])
    brightest = brightest_channel(strided)
    return float((brightest >= 254).mean()), float((brightest <= 1).mean())


@dataclass(frozen=True)
class NeutralCast:
    """CIELAB `a`, `b` of neutral surfaces at L* 85, and the confidence (0..1) that they are neutral."""

    a: float
    b: float
    confidence: float

    @property
    def delta_e(self) -> float:
        """Distance from neutral, ΔE*ab."""
        return math.hypot(self.a, self.b)


def neutral_cast(rgb: Bytes, surfaces_of: Bytes | None = None) -> NeutralCast:
    """The cast on a photo's neutral surfaces (uint8 (H, W, 3), sRGB).

    surfaces_of: find the surfaces in this version of the same frame instead, for example the photo before a change:
    before and after are then measured on the same pieces of wall.
    """
    small = small_copy(rgb)
    found = small if surfaces_of is None else small_copy(surfaces_of)
    surfaces = read_surfaces(found)
    light = estimate_illuminant(surfaces)
    log_rg, log_bg = light.log_rg, light.log_bg
    if surfaces_of is not None and light.confidence > 0:
        log_rg, log_bg = mean_chroma(small, surface_weight(surfaces, log_rg, log_bg))
    return NeutralCast(*lab_of_neutral(log_rg, log_bg), light.confidence)


def neutral_consistency(images: Sequence[Bytes], surfaces_of: Sequence[Bytes] | None = None) -> float:
    """Mean ΔE*ab between the neutral surfaces of every pair of photos of a listing (0 = the same white everywhere).

    Pairs count by the confidence in both. `surfaces_of`: see `neutral_cast`, one frame for each image. Fewer than two
    photos with neutral surfaces give 0.0.
    """
    frames: Sequence[Bytes | None] = surfaces_of if surfaces_of is not None else [None] * len(images)
    casts = [neutral_cast(image, frame) for image, frame in zip(images, frames, strict=True)]
    return mean_pairwise_distance(casts)


def mean_pairwise_distance(casts: Sequence[NeutralCast]) -> float:
    """Mean ΔE*ab over all pairs, weighted by the product of the confidences."""
    pairs = list(itertools.combinations(casts, 2))
    weights = [one.confidence * other.confidence for one, other in pairs]
    if sum(weights) < 1e-6:
        return 0.0
    return float(np.average([math.hypot(o.a - p.a, o.b - p.b) for o, p in pairs], weights=weights))


def halo_measure(before: Bytes, after: Bytes) -> float:
    """How much a flat surface changes near a strong edge compared with the same surface further off: p95, 8-bit levels.

    A plain tone curve gives 0: it treats equal brightness equally. Halos of local tone mapping and of sharpening show
    as the difference of the change (after - before) between a flat pixel 2-6 px off an edge and pixels of the same
    brightness about 14 px away. Same-size images; measured at 640 px.
    """
    y0 = luma(small_copy(before)).astype(np.float32)
    y1 = luma(small_copy(after)).astype(np.float32)
    gradient = np.hypot(cv2.Sobel(y0, cv2.CV_32F, 1, 0, scale=0.25), cv2.Sobel(y0, cv2.CV_32F, 0, 1, scale=0.25))
    strong = (gradient > 24).astype(np.uint8)
    distance = cv2.distanceTransform(1 - strong, cv2.DIST_L2, 3)
    flat = gradient < 4
    near = flat & (distance >= 2) & (distance <= 6)
    if int(near.sum()) < 50:
        return 0.0
    change = y1 - y0
    total = np.zeros_like(change)
    weights = np.zeros_like(change)
    for angle in range(8):
        dx, dy = round(14 * math.cos(angle * math.pi / 4)), round(14 * math.sin(angle * math.pi / 4))
        there = np.roll(y0, (dy, dx), (0, 1))
        alike = (np.abs(there - y0) < 5) & np.roll(flat & (distance > 8), (dy, dx), (0, 1))
        total += alike * np.roll(change, (dy, dx), (0, 1))
        weights += alike
    known = near & (weights > 0)
    if int(known.sum()) < 50:
        return 0.0
    return float(np.percentile(np.abs(change[known] - total[known] / weights[known]), 95))
