"""Empty rooms by chance, path-traced, with the cameras that took them: what room geometry is measured on.

Size, ceiling, windows, doors, floors, light and camera vary as those of listing photos do; half of the photos are
corrected in perspective as photographers deliver them (upright, the horizon off the middle), some are cropped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from listing_media_dagster.path_tracer import solids as g
from listing_media_dagster.path_tracer import textures as t
from listing_media_dagster.path_tracer.materials import Image, Material
from listing_media_dagster.path_tracer.solids import Part
from listing_media_dagster.sample_listing import develop, joinery, render, rooms
from listing_media_dagster.sample_listing.scene import Camera, Scene
from listing_media_dagster.staging.room import PhotoCamera

RENDERED = (840, 567)
TAKEN = (744, 496)
FLOORS = ("planks along x", "planks along z", "herringbone", "carpet", "tiles", "glossy planks", "pale laminate")
HOME = ("north", "west", "east")

Photo = NDArray[np.uint8]
Opening = tuple[float, float, float, float]
Point = tuple[float, float, float]


@dataclass(frozen=True)
class Look:
    """Colours by chance: of walls, of trim, of the floor from dark to light; the width of its boards in m."""

    wall: tuple[float, float, float]
    brown_trim: bool
    dark: tuple[float, float, float]
    light: tuple[float, float, float]
    plank: float


@dataclass(frozen=True)
class EmptyRoom:
    """What stands in a room, the camera in it, and the part (x, y of its corner, px) of `RENDERED` that is kept.

    `size` is width, height and depth in m; `openings` are each wall's, by kind, (left, bottom, right, top) in m along
    it; `traits` says what may make the photo hard; `sun` is the way to it; `blocks` are boxes (low, high) in the room.
    """

    number: int
    parts: tuple[Part, ...]
    look: Look
    sun: tuple[float, float, float] | None
    camera: Camera
    corner: tuple[int, int]
    size: tuple[float, float, float]
    openings: dict[str, list[tuple[str, Opening]]]
    traits: dict[str, Any]
    blocks: tuple[tuple[Point, Point], ...] = ()

    def scene(self) -> Scene:
        lights = rooms.daylight(self.sun, (7.0, 5.6, 3.8))
        return Scene(self.parts, _materials(self.look, self.traits["floor"], self.number), **lights)

    def photo_camera(self) -> PhotoCamera:
        """Return the true camera of the photo as taken; its world's origin lies under the camera."""
        centre = (RENDERED[0] / 2 - self.corner[0], RENDERED[1] / 2 - self.corner[1])
        focal = self.camera.focal_px(*RENDERED)
        return PhotoCamera(TAKEN, focal, centre, self.camera.axes(), self.camera.position[1])

    @property
    def focal_35mm(self) -> float:
        """What EXIF would say of an uncropped photo."""
        return self.camera.focal_px(*RENDERED) / max(TAKEN) * 36


def random_room(seed: int) -> EmptyRoom:
    """Return the room of this number; its floor and perspective correction go round with it, the rest is chance."""
    rng = np.random.default_rng(1000 + seed)
    width, depth = rng.uniform(3.0, 6.0), rng.uniform(3.6, 7.0)
    height = float(rng.choice([2.4, 2.5, 2.6, 2.7, 3.0], p=[0.25, 0.3, 0.25, 0.1, 0.1]))
    openings = {side: _openings(rng, side, width if side == "north" else depth) for side in HOME}
    pieces = rooms.shell(
        width,
        height,
        depth,
        {s: [o for _, o in found] for s, found in openings.items()},
        crown=bool(rng.random() < 0.5),
    )
    for side, found in openings.items():
        for kind, opening in found:
            pieces += joinery.on_wall(joinery_by_chance(rng, kind, opening), side, width, depth)
        pieces += joinery.on_wall(joinery.socket(rng.uniform(0.4, 2.5), 0.28, 2), side, width, depth)
    lamp = joinery.flush_lamp if rng.random() < 0.6 else joinery.pendant
    pieces += lamp(width / 2, depth / 2, height)
    floor = FLOORS[seed % len(FLOORS)]
    sun = rng.random() < 0.6
    aim = (rng.choice([-1, 1]) * rng.uniform(0.2, 0.8), rng.uniform(0.45, 0.8), -rng.uniform(0.3, 0.9)) if sun else None
    look = look_by_chance(rng, floor)
    camera, corner, traits = camera_by_chance(rng, seed, width, depth)
    traits |= {"floor": floor, "sun": sun}
    return EmptyRoom(seed, tuple(pieces), look, aim, camera, corner, (width, height, depth), openings, traits)


def _openings(rng: np.random.Generator, side: str, length: float) -> list[tuple[str, Opening]]:
    """Windows, doors and passages that don't overlap, left to right."""
    wanted = ["window"] if side == "north" else []
    wanted += [str(rng.choice(["window", "door", "passage", "none", "none"]))]
    found: list[tuple[str, Opening]] = []
    at = rng.uniform(0.3, 0.8)
    for kind in rng.permutation(wanted):
        wide = {"window": rng.uniform(0.9, 2.0), "door": rng.uniform(0.75, 0.9), "passage": rng.uniform(0.9, 1.6)}
        if kind == "none" or at + wide[kind] > length - 0.3:
            continue
        top = rng.uniform(2.0, 2.1) if kind != "window" else rng.uniform(2.05, 2.25)
        sill = float(rng.choice([0.45, 0.75, 0.9])) if kind == "window" else 0.0
        found.append((str(kind), (at, sill, at + wide[kind], top)))
        at += wide[kind] + rng.uniform(0.4, 1.0)
    return found


def joinery_by_chance(rng: np.random.Generator, kind: str, opening: Opening) -> list[Part]:
    if kind == "window":
        pieces = joinery.window(
            opening, int(rng.integers(1, 4)), int(rng.integers(0, 3)), float(rng.choice([0.0, 0.08]))
        )
        pieces += joinery.portal(opening)
        if rng.random() < 0.5 and opening[1] > 0.6:
            pieces += joinery.radiator(opening[0], opening[2], 0.12, opening[1] - 0.12)
        return pieces
    if kind == "door":
        return joinery.door(opening, handle_left=bool(rng.random() < 0.5))
    return [*joinery.reveal(opening, "trim", 0.12), *joinery.casing(opening), *neighbour(opening)]


def neighbour(opening: Opening) -> list[Part]:
    """The room behind a passage, 2.5 m deep, on the same floor."""
    x0, _, x1, _ = opening
    return [
        g.quad("floor", (x0 - 1, 0, 0), (x1 - x0 + 2, 0, 0), (0, 0, 2.5), (0, 1, 0)),
        g.quad("wall", (x0 - 1, 0, 2.5), (x1 - x0 + 2, 0, 0), (0, 2.6, 0), (0, 0, -1)),
        g.quad("ceiling", (x0 - 1, 2.6, 0), (x1 - x0 + 2, 0, 0), (0, 0, 2.5), (0, -1, 0)),
        g.quad("wall", (x0 - 1, 0, 0), (0, 0, 2.5), (0, 2.6, 0), (1, 0, 0)),
        g.quad("wall", (x1 + 1, 0, 0), (0, 0, 2.5), (0, 2.6, 0), (-1, 0, 0)),
        g.box("lamp", ((x0 + x1) / 2 - 0.15, 2.5, 1.0), ((x0 + x1) / 2 + 0.15, 2.55, 1.3)),
    ]


def look_by_chance(rng: np.random.Generator, floor: str) -> Look:
    walls = ((0.80, 0.79, 0.77), (0.74, 0.72, 0.68), (0.52, 0.52, 0.50), (0.66, 0.58, 0.46), (0.45, 0.52, 0.56))
    wall = walls[int(rng.integers(len(walls)))]
    brown = bool(rng.random() < 0.2)
    tones = (((0.20, 0.115, 0.055), (0.46, 0.305, 0.18)), ((0.06, 0.03, 0.018), (0.14, 0.07, 0.04)))
    dark, light = tones[int(rng.random() < 0.3)]
    if floor == "pale laminate":
        dark, light = (0.42, 0.37, 0.31), (0.62, 0.57, 0.50)
    if floor == "carpet":
        shade = float(rng.uniform(0.5, 1.4))
        return Look(wall, brown, dark, (0.36 * shade, 0.34 * shade, 0.31 * shade), 0.0)
    return Look(wall, brown, dark, light, float(rng.choice([0.09, 0.13, 0.18])) if floor != "tiles" else 0.0)


def _materials(look: Look, floor: str, seed: int) -> dict[str, Material]:
    materials = rooms.common_materials(seed, look.wall)
    if look.brown_trim:
        materials["trim"] = Material((0.30, 0.19, 0.10), gloss=0.22)
    return materials | {"floor": _floor(look, floor, seed)}


def _floor(look: Look, kind: str, seed: int) -> Material:
    if kind == "carpet":
        pile = 1 + 0.12 * t.noise(1024, 1024, seed, 0.3, low_cut=40) + 0.04 * t.noise(1024, 1024, seed + 1, 1.5)
        return Material((np.array(look.light) * pile[..., None]).clip(0.01, 0.9).astype(np.float32), 2.0)
    if kind == "tiles":
        stone, relief = t.tiles(1024, seed, (4, 4), (0.55, 0.54, 0.51), (0.30, 0.29, 0.27), veins=0.08)
        return Material(stone, 2.4, gloss=0.06, relief=relief, depth=0.0005)
    planks, relief = t.wood_planks(1024, seed, 3.6, look.plank, look.dark, look.light)
    if kind == "planks along z":
        planks, relief = np.ascontiguousarray(planks.transpose(1, 0, 2)), np.ascontiguousarray(relief.T)
    if kind == "herringbone":
        return Material(_herringbone(planks), 2.4, gloss=0.2)
    return Material(planks, 3.6, gloss=0.06 if kind == "glossy planks" else 0.2, relief=relief, depth=0.0004)


def _herringbone(planks: Image) -> Image:
    """Zigzag columns of boards at 45° either way, cut from straight boards; repeats every 2.4 m."""
    size, columns = len(planks), 6
    y, x = np.mgrid[0:size, 0:size]
    band = size // columns
    way = np.where(x // band % 2 == 0, 1, -1)
    across = x % band
    u, v = (across + x // band * 311) % size, (y + way * across) % size
    zigzag = planks[v, u].copy()
    zigzag[across < 2] *= 0.5
    return np.asarray(zigzag, np.float32)


def camera_by_chance(
    rng: np.random.Generator, seed: int, width: float, depth: float
) -> tuple[Camera, tuple[int, int], dict[str, Any]]:
    """Stand where photographers do, in a corner or the middle of the near wall, about level."""
    corrected = seed % 2 == 0
    cropped = rng.random() < 0.3
    height = float(np.clip(rng.normal(1.36, 0.13), 1.1, 1.7))
    x = float(rng.choice([0.35, width / 2, width - 0.35], p=[0.35, 0.3, 0.35]))
    toward = np.degrees(np.arctan2(width / 2 - x, 0.6 * depth))
    yaw = float(np.clip(toward + rng.normal(0, 10), -44, 44))
    focal = float(np.clip(np.exp(rng.normal(np.log(19.5), 0.2)), 16, 35))
    pitch, roll = (0.0, 0.0) if corrected else (float(rng.normal(-2, 2.5)), float(rng.uniform(-2, 2)))
    spare = np.array(RENDERED) - TAKEN
    shift = rng.uniform(-0.5, 0.5, 2) if cropped else np.array([0.0, rng.uniform(-0.45, 0.45) if corrected else 0.0])
    corner = np.round(spare * (0.5 + shift)).astype(int)
    camera = Camera((x, height, depth - 0.3), yaw, pitch, roll, focal * TAKEN[0] / RENDERED[0])
    traits = {"corrected": corrected, "cropped": bool(cropped)}
    return camera, (int(corner[0]), int(corner[1])), traits


def photograph(room: EmptyRoom) -> Photo:
    """Path-trace, expose and crop the room: uint8 (H, W, 3) sRGB of `TAKEN` size."""
    rng = np.random.default_rng(5000 + room.number)
    quality = render.Quality(RENDERED, 4, 2, {"day": 12, "sun": 4, "lamp": 4}, 4)
    groups, seen = render.light_groups(room.scene(), room.camera, quality, room.number + 1)
    radiance = groups["day"] + 0.4 * groups.get("sun", 0.0) + rng.uniform(0.4, 1.2) * groups["lamp"]
    view = _garden(rng, seen.hit.shape)
    radiance = radiance + seen.lights["day"][..., None] * view + 6.0 * seen.lights["lamp"][..., None]
    gain = rng.uniform(0.42, 0.6) / max(1e-3, float(np.percentile(radiance.mean(-1), 60)))
    balance = (1 + rng.uniform(-0.05, 0.08), 1.0, 1 + rng.uniform(-0.12, 0.05))
    shot = develop.Shot(gain, Fraction(1, 20), datetime(2026, 5, 14), balance=balance, seed=room.number)
    pixels = develop.expose(radiance.astype(np.float32), shot)
    x, y = room.corner
    return np.ascontiguousarray(pixels[y : y + TAKEN[1], x : x + TAKEN[0]])


def _garden(rng: np.random.Generator, shape: Sequence[int]) -> Image:
    """What windows look out on: sky over a ragged line of green, bright."""
    height, width = shape[0], shape[1]
    ragged = 0.5 * height + 0.05 * height * t.noise(8, width, int(rng.integers(99)), 1.4)[0]
    sky = (np.arange(height)[:, None] < ragged).astype(np.float32)
    leaves = 1 + 0.35 * t.noise(height - height % 2, width - width % 2, int(rng.integers(99)), 0.8)
    leaves = np.asarray(cv2.resize(leaves, (width, height)), np.float32)
    view = sky[..., None] * np.array([4.0, 4.3, 4.8]) + (1 - sky[..., None]) * leaves[..., None] * [0.9, 1.1, 0.55]
    return np.asarray(cv2.GaussianBlur(view.astype(np.float32), (0, 0), 1.5).clip(0.02) * rng.uniform(0.7, 2.0))
