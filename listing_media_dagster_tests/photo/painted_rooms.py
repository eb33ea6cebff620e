"""Rooms with known paint under known light: what the colour and tone tests measure against."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

WHITE = (0.80, 0.80, 0.80)
WARM_WHITE_LAMP = (1.40, 0.96, 0.50)
DAYLIGHT = (1.0, 1.0, 1.0)
SHADE = (0.86, 0.98, 1.18)
OAK = (0.42, 0.24, 0.11)
RED = (0.42, 0.05, 0.05)
GOLD = (0.62, 0.44, 0.17)
BLUE = (0.06, 0.13, 0.42)


@dataclass(frozen=True)
class PaintedRoom:
    """rgb: uint8 (H, W, 3), sRGB. Boxes (x, y, width, height) in px of surfaces that are white paint, and of a wall."""

    rgb: NDArray[np.uint8]
    ceiling: tuple[int, int, int, int]
    trim: tuple[int, int, int, int]
    wall: tuple[int, int, int, int]
    floor: tuple[int, int, int, int]
    window: tuple[int, int, int, int]


def paint_room(
    *,
    wall: tuple[float, float, float] = WHITE,
    light: tuple[float, float, float] = DAYLIGHT,
    light_right: tuple[float, float, float] | None = None,
    exposure: float = 0.6,
    noise: float = 0.0,
    size: tuple[int, int] = (720, 480),
    seed: int = 0,
) -> PaintedRoom:
    """A room seen from the front: white ceiling and trim, a painted wall, an oak floor, a dark sofa, a bright window.

    light, light_right: linear colour of the light at the left and right edge, changing gradually between. exposure:
    linear brightness of fully lit white paint. noise: standard deviation in linear light.
    """
    width, height = size
    chance = np.random.default_rng(seed)
    paint = np.empty((height, width, 3), np.float32)
    paint[:] = wall
    paint[: height // 4] = WHITE
    paint[int(0.68 * height) : int(0.72 * height)] = WHITE
    boards = 0.8 + 0.4 * chance.random((height - int(0.72 * height), width // 24))
    paint[int(0.72 * height) :] = np.array(OAK) * np.repeat(boards, 24, axis=1)[:, :width, None]
    sofa = np.s_[int(0.52 * height) : int(0.80 * height), int(0.08 * width) : int(0.40 * width)]
    paint[sofa] = (0.05, 0.05, 0.06)
    shading = np.linspace(1.0, 0.72, height)[:, None, None] * np.linspace(0.85, 1.0, width)[None, :, None]
    share = np.linspace(0.0, 1.0, width)[None, :, None]
    colour = np.array(light) * (1 - share) + np.array(light_right or light) * share
    linear = paint / WHITE[0] * exposure * shading * colour
    frame = (int(0.60 * width), int(0.32 * height), int(0.22 * width), int(0.28 * height))
    x, y, w, h = frame
    linear[y - 8 : y + h + 8, x - 8 : x + w + 8] = exposure * colour[:, x - 8 : x + w + 8]
    view = cv2.resize(chance.random((6, 8, 3)), (w, h), interpolation=cv2.INTER_CUBIC)
    linear[y : y + h, x : x + w] = np.clip(0.62 + 0.33 * view, 0.5, 0.97)
    linear = linear + chance.normal(0, noise, linear.shape) if noise else linear
    return PaintedRoom(
        to_srgb(linear),
        ceiling=(int(0.05 * width), int(0.05 * height), int(0.9 * width), int(0.15 * height)),
        trim=(int(0.45 * width), int(0.685 * height), int(0.5 * width), int(0.03 * height)),
        wall=(int(0.44 * width), int(0.30 * height), int(0.12 * width), int(0.35 * height)),
        floor=(int(0.5 * width), int(0.8 * height), int(0.4 * width), int(0.15 * height)),
        window=frame,
    )


@dataclass(frozen=True)
class PaintedHallway:
    """rgb: uint8 (H, W, 3), sRGB. Boxes (x, y, width, height) in px; `lamp` is cut off at the photo's white."""

    rgb: NDArray[np.uint8]
    ceiling: tuple[int, int, int, int]
    wall: tuple[int, int, int, int]
    trim: tuple[int, int, int, int]
    lamp: tuple[int, int, int, int]
    floor: tuple[int, int, int, int]


def paint_hallway(
    *,
    paint: tuple[float, float, float] = WHITE,
    trim: tuple[float, float, float] = WHITE,
    light: tuple[float, float, float] = DAYLIGHT,
    exposure: float = 0.45,
    white: int = 255,
) -> PaintedHallway:
    """A hallway without daylight: ceiling and walls of one paint, trim, an oak floor, a grey runner, a round lamp.

    paint, trim: linear reflectance. light, exposure: as for `paint_room`. white: 8-bit level at which the lamp is cut
    off, as an edited photo's may be.
    """
    height, width = 720, 480
    chance = np.random.default_rng(8)
    wall = np.empty((height, width, 3), np.float32)
    wall[:] = paint
    boards = 0.8 + 0.4 * chance.random((height - 500, width // 12))
    wall[500:] = np.array(OAK) * np.repeat(boards, 12, axis=1)[:, :, None]
    wall[500:, 180:300] = (0.30, 0.30, 0.30)
    wall[480:500] = trim
    for left in (40, 410):
        wall[220:500, left : left + 30] = trim
    across, down = np.meshgrid(np.linspace(-1, 1, width), np.linspace(-0.6, 1.4, height))
    glow = 0.55 + 0.45 * np.exp(-(across**2 + down**2) / 0.8)[..., None]
    rgb = to_srgb(wall / WHITE[0] * exposure * glow * np.array(light) + chance.normal(0, 0.002, wall.shape))
    rgb = np.minimum(rgb, white - 12).astype(np.uint8)
    cv2.circle(rgb, (240, 216), 26, (white, white, white), -1)
    return PaintedHallway(
        rgb,
        ceiling=(80, 20, 320, 120),
        wall=(100, 300, 80, 150),
        trim=(44, 260, 22, 180),
        lamp=(228, 204, 24, 24),
        floor=(40, 560, 120, 120),
    )


def paint_house(*, sky: tuple[float, float, float] = (0.16, 0.34, 0.72), light: float = 0.55) -> NDArray[np.uint8]:
    """A front: blue sky over a pale facade, dark roof, lawn and drive. uint8 (600, 900, 3), sRGB."""
    chance = np.random.default_rng(4)
    linear = np.empty((600, 900, 3), np.float32)
    linear[:260] = np.array(sky) * np.linspace(0.8, 1.15, 260)[:, None, None]
    linear[260:] = (0.30, 0.29, 0.27)
    linear[430:, :420] = np.array((0.09, 0.20, 0.04)) * (0.6 + 0.8 * chance.random((170, 420, 1)))
    linear[200:450, 300:760] = (0.62, 0.58, 0.50)
    cv2.fillPoly(linear, [np.array([[270, 200], [530, 90], [790, 200]])], (0.06, 0.05, 0.05))
    for left in (360, 520, 660):
        linear[260:340, left : left + 60] = (0.05, 0.06, 0.08)
    return to_srgb(linear * (light / 0.55))


def to_srgb(linear: NDArray[Any]) -> NDArray[np.uint8]:
    """8-bit sRGB of linear light 0..1."""
    clipped = np.clip(linear, 0.0, 1.0)
    coded = np.where(clipped <= 0.0031308, 12.92 * clipped, 1.055 * clipped ** (1 / 2.4) - 0.055)
    return (coded * 255.0 + 0.5).astype(np.uint8)


def lab_of(rgb: NDArray[np.uint8], box: tuple[int, int, int, int]) -> NDArray[np.float32]:
    """Mean CIELAB (D65) of a box (x, y, width, height)."""
    x, y, w, h = box
    patch = np.ascontiguousarray(rgb[y : y + h, x : x + w]).astype(np.float32) / 255.0
    return np.asarray(cv2.cvtColor(patch, cv2.COLOR_RGB2Lab).reshape(-1, 3).mean(axis=0), np.float32)


def chroma_of(lab: NDArray[np.float32]) -> float:
    return float(np.hypot(lab[1], lab[2]))
