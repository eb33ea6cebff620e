"""Surfaces as pictures: reflectance maps in linear light, made from seeded noise alone.

Every function returns `albedo: float32 (H, W, 3), linear 0..1`, tileable, some also a relief `float32 (H, W), 0..1`.
The same seed gives the same texture.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import cv2
import numpy as np

from listing_media_dagster.path_tracer.materials import Image


def noise(
    height: int,
    width: int,
    seed: int,
    roughness: float = 1.6,
    stretch: tuple[float, float] = (1.0, 1.0),
    low_cut: float = 0.0,
) -> Image:
    """Tileable fractal noise (H, W), mean 0, deviation 1: amplitude falls as 1 / frequency^roughness.

    `stretch` (vertical, horizontal) elongates it, `low_cut` drops features wider than 1 / low_cut of the picture.
    """
    rng = np.random.default_rng(seed)
    fy = np.fft.fftfreq(height)[:, None] * height * stretch[0]
    fx = np.fft.rfftfreq(width)[None] * width * stretch[1]
    frequency = np.hypot(fy, fx)
    amplitude = np.zeros_like(frequency)
    keep = frequency > max(low_cut, 0.5)
    amplitude[keep] = frequency[keep] ** -roughness
    spectrum = np.fft.rfft2(rng.standard_normal((height, width))) * amplitude
    field = np.fft.irfft2(spectrum, (height, width))
    return ((field - field.mean()) / (field.std() + 1e-12)).astype(np.float32)


def tinted(level: Image, dark: Sequence[float], light: Sequence[float]) -> Image:
    """Blend two linear colours by `level` 0..1."""
    mix = np.clip(level, 0, 1)[..., None]
    return (np.asarray(dark, np.float32) * (1 - mix) + np.asarray(light, np.float32) * mix).astype(np.float32)


def plaster(size: int, seed: int, colour: Sequence[float]) -> Image:
    """Painted wall: roller mottling of about one percent over the colour."""
    mottle = 0.012 * noise(size, size, seed, 1.0) + 0.008 * noise(size, size, seed + 1, 0.4, low_cut=30)
    return np.clip(np.asarray(colour, np.float32) * (1 + mottle[..., None]), 0, 0.95).astype(np.float32)


def wood_grain(height: int, width: int, seed: int) -> Image:
    """Grain running along x: 0 (dark lines) .. 1."""
    broad = noise(height, width, seed, 1.5, (1.0, 9.0))
    fine = noise(height, width, seed + 1, 0.7, (1.0, 40.0), low_cut=16)
    rings = np.sin(broad * 7.0 + 0.6 * fine)
    return np.clip(0.55 + 0.14 * broad + 0.13 * rings + 0.12 * fine, 0, 1).astype(np.float32)


def wood_planks(
    size: int, seed: int, metres: float, plank: float, dark: Sequence[float], light: Sequence[float]
) -> tuple[Image, Image]:
    """Floor boards along x on a `metres` square: reflectance and relief (bevelled joints)."""
    rng = np.random.default_rng(seed)
    rows = max(1, round(metres / plank))
    edges = np.linspace(0, size, rows + 1).round().astype(int)
    albedo = np.empty((size, size, 3), np.float32)
    relief = np.ones((size, size), np.float32)
    grains = [wood_grain(size // 2, size, seed + 10 + i) for i in range(4)]
    gap = max(1, round(size * 0.0009 / metres))
    for row, (top, bottom) in enumerate(pairwise(edges)):
        joints = np.sort(rng.uniform(0, 1, 1) + np.cumsum(rng.uniform(0.28, 0.52, 3))) % 1.0
        joints = (np.sort(joints) * size).astype(int)
        starts = [joints[-1] - size, *joints]
        for left, right in pairwise(starts):
            if left == right:  # two joints fell on one pixel
                continue
            columns = np.arange(left, right) % size
            grain = grains[rng.integers(4)]
            y0, x0 = rng.integers(grain.shape[0] - (bottom - top)), rng.integers(size)
            piece = grain[y0 : y0 + bottom - top][:, (np.arange(right - left) + x0) % size]
            tone = rng.normal(0, 0.13)
            warmth = np.array([1.0, 1 + rng.normal(0, 0.012), 1 + rng.normal(0, 0.03)], np.float32)
            board = tinted(piece * 0.75 + 0.12 + tone, dark, light) * warmth
            albedo[top:bottom, columns] = board
            for edge in range(gap):
                albedo[top:bottom, columns[edge]] *= 0.45
            relief[top:bottom, columns[: gap + 1]] = 0.0
        albedo[top : top + gap] *= 0.4
        relief[top : top + gap + 1] = 0.0
        del row
    return np.clip(albedo, 0.005, 0.9), np.asarray(cv2.GaussianBlur(relief, (0, 0), 1.2), np.float32)


def tiles(
    size: int,
    seed: int,
    grid: tuple[int, int],
    colour: Sequence[float],
    grout: Sequence[float],
    joint: float = 0.012,
    variation: float = 0.03,
    offset: bool = False,
    veins: float = 0.0,
) -> tuple[Image, Image]:
    """`grid` (rows, columns) of tiles: reflectance and relief. `joint` is a share of a tile's height."""
    rng = np.random.default_rng(seed)
    rows, columns = grid
    v, u = np.mgrid[0:size, 0:size].astype(np.float32) / size
    row = np.floor(v * rows).astype(int)
    shifted = u * columns + (0.5 * (row % 2) if offset else 0.0)
    column = np.floor(shifted).astype(int) % columns
    tile_y, tile_x = v * rows % 1, shifted % 1
    aspect = rows / columns
    edge = np.minimum(np.minimum(tile_y, 1 - tile_y), np.minimum(tile_x, 1 - tile_x) * aspect)
    face = np.clip((edge - joint / 2) / (joint * 0.35), 0, 1)
    tone = 1 + variation * rng.standard_normal((rows, columns))[row, column] + 0.012 * noise(size, size, seed + 1, 1.1)
    if veins:
        field = noise(size, size, seed + 2, 1.7)
        tone = tone - veins * np.exp(-((field / 0.09) ** 2)) * (
            0.5 + 0.5 * noise(size, size, seed + 3, 1.3).clip(-1, 1)
        )
    stone = np.asarray(colour, np.float32) * tone[..., None]
    mortar = np.asarray(grout, np.float32) * (1 + 0.06 * noise(size, size, seed + 4, 0.6)[..., None])
    albedo = mortar * (1 - face[..., None]) + stone * face[..., None]
    return np.clip(albedo, 0.005, 0.92).astype(np.float32), cv2.GaussianBlur(face.astype(np.float32), (0, 0), 1.0)


def stone(size: int, seed: int, colour: Sequence[float], speckle: float = 0.08) -> Image:
    """Worktop stone: fine speckles and a few clouds."""
    field = 1 + speckle * noise(size, size, seed, 0.3, low_cut=40) + 0.04 * noise(size, size, seed + 1, 1.5)
    return np.clip(np.asarray(colour, np.float32) * field[..., None], 0.01, 0.9).astype(np.float32)


def veneer(size: int, seed: int, dark: Sequence[float], light: Sequence[float]) -> Image:
    return tinted(wood_grain(size, size, seed), dark, light)


def brick(size: int, seed: int) -> tuple[Image, Image]:
    """Running-bond brickwork, 12 courses of 4 stretchers: about 0.9 m x 0.9 m."""
    rng = np.random.default_rng(seed)
    albedo, relief = tiles(size, seed, (12, 4), (0.33, 0.13, 0.085), (0.42, 0.39, 0.34), 0.15, 0.17, offset=True)
    rough = 1 + 0.16 * noise(size, size, seed + 8, 0.8)
    burnt = np.clip(rng.random((12, 4)) - 0.78, 0, 1).repeat(size // 12 + 1, 0).repeat(size // 4 + 1, 1)[:size, :size]
    return np.clip(albedo * rough[..., None] * (1 - burnt[..., None]), 0.01, 0.8).astype(np.float32), relief


def shingles(size: int, seed: int) -> tuple[Image, Image]:
    """Asphalt roof shingles: 12 courses with irregular tabs, each course darker under the lap above."""
    rng = np.random.default_rng(seed)
    rows = 12
    v, u = np.mgrid[0:size, 0:size].astype(np.float32) / size
    row = np.floor(v * rows).astype(int)
    within = v * rows % 1
    tone = np.empty((size, size), np.float32)
    for course in range(rows):
        cuts = np.sort(rng.random(14))
        shade = 1 + 0.16 * rng.standard_normal(15)
        band = shade[np.searchsorted(cuts, u[0])]
        gap = np.min(np.abs(u[0][:, None] - cuts[None]), axis=1) < 0.0025
        tone[row[:, 0] == course] = np.where(gap, 0.45, band)
    tone *= np.where(within > 0.9, 0.55, 1.0) * (1 + 0.22 * noise(size, size, seed + 1, 0.25, low_cut=40))
    colour = np.array([0.095, 0.088, 0.085], np.float32) * (1 + 0.1 * noise(size, size, seed + 2, 1.5)[..., None])
    return np.clip(colour * tone[..., None], 0.01, 0.5).astype(np.float32), (1 - within).astype(np.float32)


def siding(size: int, seed: int, colour: Sequence[float], boards: int = 8) -> tuple[Image, Image]:
    """Horizontal clapboards: reflectance (shadow line under each lap) and relief."""
    v = np.mgrid[0:size, 0:size][0].astype(np.float32) / size * boards % 1
    albedo = plaster(size, seed, colour) * (1 + 0.02 * noise(size, size, seed + 5, 0.9, (1, 30))[..., None])
    shadow = np.where(v < 0.05, 0.45, np.where(v < 0.09, 0.8, 1.0))
    return np.clip(albedo * shadow[..., None], 0.01, 0.92).astype(np.float32), v


def grass(size: int, seed: int) -> Image:
    """A lawn from above: clumps, mowing marks and blades."""
    patch = noise(size, size, seed, 1.3)
    blades = noise(size, size, seed + 1, 0.35, low_cut=25)
    colour = tinted(0.5 + 0.16 * patch + 0.22 * blades, (0.045, 0.068, 0.018), (0.15, 0.19, 0.062))
    dry = np.clip(noise(size, size, seed + 2, 1.5) - 1.0, 0, 1)[..., None] * 0.35
    return (colour * (1 - dry) + np.array([0.20, 0.19, 0.07], np.float32) * dry).astype(np.float32)


def concrete(size: int, seed: int) -> Image:
    level = 0.5 + 0.12 * noise(size, size, seed, 1.3) + 0.12 * noise(size, size, seed + 1, 0.4, low_cut=30)
    return tinted(level, (0.30, 0.29, 0.27), (0.50, 0.485, 0.455))


def foliage(size: int, seed: int, dark: Sequence[float], light: Sequence[float]) -> Image:
    return tinted(0.5 + 0.3 * noise(size, size, seed, 0.6), dark, light)


def bark(size: int, seed: int) -> Image:
    return tinted(0.5 + 0.3 * noise(size, size, seed, 1.0, (4.0, 1.0)), (0.06, 0.045, 0.035), (0.20, 0.16, 0.12))


def linen(size: int, seed: int, colour: Sequence[float]) -> Image:
    """Woven cloth: crossed threads of uneven thickness."""
    warp = noise(size, size, seed, 0.5, (1.0, 30.0), low_cut=20) + noise(
        size, size, seed + 1, 0.5, (30.0, 1.0), low_cut=20
    )
    return np.clip(np.asarray(colour, np.float32) * (1 + 0.05 * warp[..., None]), 0.01, 0.9).astype(np.float32)


def sky(directions: Image, sun: Sequence[float], seed: int, cover: float = 0.5) -> Image:
    """Radiance of a fair-weather sky for unit `directions` (H, W, 3), y up: gradient, haze and cumulus, 0.2 to 1.1.

    Clouds lie on a plane above the viewer, so they grow small toward the horizon as real ones do.
    """
    up = np.clip(directions[..., 1], 0.015, 1.0)
    toward_sun = np.clip(directions @ (np.asarray(sun, np.float32) / np.linalg.norm(sun)), 0, 1)
    zenith, horizon = np.array([0.21, 0.37, 0.70], np.float32), np.array([0.66, 0.75, 0.86], np.float32)
    haze = np.exp(-3.6 * up)[..., None]
    blue = zenith * (1 - haze) + horizon * haze + 0.22 * (toward_sun**8)[..., None]
    size = 2048
    field = noise(size, size, seed, 1.9, low_cut=3) + 0.22 * noise(size, size, seed + 1, 1.25, low_cut=24)
    billow = 0.30 * np.abs(noise(size, size, seed + 2, 1.3, low_cut=10))
    plane = directions[..., [0, 2]] / (up + 0.10)[..., None] * 0.055 * size
    wrapped = [np.ascontiguousarray(plane[..., i] % size, np.float32) for i in (0, 1)]
    sheet = np.pad(field - billow, ((0, 1), (0, 1)), "wrap")
    density = cv2.remap(sheet, wrapped[0], wrapped[1], cv2.INTER_LINEAR)
    cloud = np.clip((density - (1.05 - 1.5 * cover)) / 0.9, 0, 1)
    cloud = cloud * cloud * (3 - 2 * cloud) * 0.94
    shade = 1.08 - 0.34 * np.clip((density - 0.75) / 1.3, 0, 1)
    white = np.array([1.0, 0.985, 0.965], np.float32) * shade[..., None]
    fade = np.clip((up - 0.04) / 0.12, 0, 1)
    cloud = (cloud * fade)[..., None]
    return (blue * (1 - cloud) + white * cloud).astype(np.float32)
