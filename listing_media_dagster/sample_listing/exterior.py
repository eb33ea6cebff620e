"""The house from the street, and the garden that the rooms' windows look out on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from listing_media_dagster.path_tracer import solids as g
from listing_media_dagster.path_tracer import textures as t
from listing_media_dagster.path_tracer.materials import Image, Material
from listing_media_dagster.path_tracer.solids import Part
from listing_media_dagster.sample_listing import planting
from listing_media_dagster.sample_listing.scene import Camera, Scene

SUN = (-0.50, 0.62, 0.60)  # toward the sun, for the front
SKY_SEED = 77


def sky_map(sun: Sequence[float], seed: int, cover: float, width: int = 512) -> Image:
    """The sky as a latitude-longitude picture for an `envmap` emitter turned so that y is up."""
    v, u = np.mgrid[0 : width // 2, 0:width].astype(np.float32)
    theta, phi = (v + 0.5) / (width // 2) * np.pi, (u + 0.5) / width * 2 * np.pi
    # mitsuba's envmap: direction = (sin(phi) sin(theta), cos(theta), -cos(phi) sin(theta))
    directions = np.stack([np.sin(phi) * np.sin(theta), np.cos(theta), -np.cos(phi) * np.sin(theta)], -1)
    radiance = t.sky(directions.astype(np.float32), sun, seed, cover)
    below = directions[..., 1:2] < 0
    return np.where(below, np.array([0.10, 0.11, 0.07], np.float32), radiance).astype(np.float32)


def daylight(sun: Sequence[float], seed: int, cover: float = 0.45, strength: float = 2.6) -> dict[str, Any]:
    """Light groups `sky` and `sun`."""
    import mitsuba as mi

    if mi.variant() != "scalar_rgb":
        mi.set_variant("scalar_rgb")
    direction = -np.asarray(sun, float) / np.linalg.norm(sun)
    warm = [strength * c for c in (1.0, 0.90, 0.74)]
    return {
        "lights": {"sky": {}, "sun": {}},
        "distant": {
            "sky": [{"type": "envmap", "bitmap": mi.Bitmap(sky_map(sun, seed, cover))}],
            "sun": [
                {"type": "directional", "direction": direction.tolist(), "irradiance": {"type": "rgb", "value": warm}}
            ],
        },
    }


def materials(seed: int) -> dict[str, Material]:
    brick, brick_relief = t.brick(1024, seed)
    shingle, _ = t.shingles(1024, seed + 1)
    boards, _ = t.siding(1024, seed + 2, (0.56, 0.575, 0.56))
    return {
        "brick": Material(brick, 0.92, relief=brick_relief, depth=0.006),
        "roof": Material(shingle, 1.7),
        "siding": Material(boards, 1.2),
        "trim": Material((0.76, 0.755, 0.735), gloss=0.3),
        "door": Material((0.035, 0.075, 0.085), gloss=0.18),
        "glass": Material((0.16, 0.17, 0.175), gloss=0.03, metal=True),
        "drape": Material((0.30, 0.295, 0.285)),
        "dark": Material((0.03, 0.03, 0.032), gloss=0.3),
        "brass": Material((0.75, 0.55, 0.25), gloss=0.25, metal=True),
        "path": Material(t.tiles(1024, seed + 3, (4, 4), (0.42, 0.39, 0.345), (0.27, 0.25, 0.21), 0.022, 0.05)[0], 1.5),
        "step": Material(t.concrete(512, seed + 4), 2.0),
        "soil": Material(t.foliage(256, seed + 5, (0.035, 0.025, 0.017), (0.11, 0.08, 0.055)), 1.0),
        "lawn": Material(t.grass(1024, seed + 6), 6.0),
        "blade": Material(t.foliage(256, seed + 7, (0.15, 0.20, 0.05), (0.34, 0.40, 0.135)), 1.0),
        "leaf": Material(t.foliage(256, seed + 8, (0.08, 0.13, 0.03), (0.20, 0.265, 0.08)), 1.0),
        "leaf dark": Material(t.foliage(256, seed + 9, (0.05, 0.085, 0.03), (0.13, 0.175, 0.065)), 1.0),
        "shrub": Material(t.foliage(256, seed + 10, (0.055, 0.09, 0.028), (0.16, 0.215, 0.075)), 1.0),
        "flower": Material(t.foliage(256, seed + 11, (0.45, 0.36, 0.50), (0.72, 0.62, 0.74)), 1.0),
        "shadow green": Material((0.015, 0.025, 0.010)),
        "bark": Material(t.bark(256, seed + 12), 0.8),
        "fence": Material(t.veneer(512, seed + 13, (0.14, 0.10, 0.07), (0.30, 0.23, 0.165)), 1.2),
        "asphalt": Material(t.stone(512, seed + 14, (0.085, 0.085, 0.088), 0.25), 2.0),
        "lamp": Material((0.7, 0.68, 0.6), gloss=0.1),
    }


def _window(
    x0: float, y0: float, x1: float, y1: float, sashes: int = 2, bars: int = 1, shutters: bool = False
) -> list[Part]:
    """A window on the front (facing +z at z = 0): glass, sashes and a casing that stands out round them."""
    pieces = [g.quad("glass", (x0, y0, 0.006), (x1 - x0, 0, 0), (0, y1 - y0, 0), (0, 0, 1))]
    step = (x1 - x0) / sashes
    for i in range(sashes):
        a, b = x0 + i * step, x0 + (i + 1) * step
        pieces += g.frame("trim", (a, y0, 0.002), (b, y1, 0.035), 0.05, 0.004)
        for k in range(bars):
            y = y0 + (y1 - y0) * (k + 1) / (bars + 1)
            pieces.append(g.box("trim", (a, y - 0.013, 0.004), (b, y + 0.013, 0.024), 0.003))
    if x1 - x0 > 0.8:  # drapes drawn back, seen as if through the glass
        hang = 0.11 * (x1 - x0)
        for a, seed in ((x0 + 0.05, 1), (x1 - 0.05 - hang, 2)):
            pieces.append(g.curtain("drape", a, a + hang, y0 + 0.05, y1 - 0.05, 0.016, 4, 0.006, seed))
    pieces += g.frame("trim", (x0 - 0.10, y0 - 0.06, -0.01), (x1 + 0.10, y1 + 0.10, 0.065), 0.10, 0.006)
    pieces.append(g.box("trim", (x0 - 0.13, y0 - 0.09, -0.01), (x1 + 0.13, y0 - 0.045, 0.115), 0.006))
    pieces.append(g.box("trim", (x0 - 0.14, y1 + 0.10, -0.01), (x1 + 0.14, y1 + 0.145, 0.10), 0.006))
    if shutters:
        for a in (x0 - 0.12 - 0.42, x1 + 0.12):
            pieces += g.frame("door", (a, y0, 0), (a + 0.42, y1, 0.035), 0.06, 0.003)
            slats = int((y1 - y0 - 0.12) / 0.05)
            pieces += [
                g.box("door", (a + 0.06, y0 + 0.07 + k * 0.05, 0.004), (a + 0.36, y0 + 0.105 + k * 0.05, 0.024), 0.004)
                for k in range(slats)
            ]
    return pieces


def _front_door(x0: float, x1: float, y0: float, y1: float) -> list[Part]:
    """Panelled door with a glazed top, side lights, brass handle and letter plate."""
    pieces = [g.box("door", (x0, y0, -0.09), (x1, y1, -0.05), 0.002)]
    pieces += g.frame("door", (x0, y0, -0.06), (x1, y1, -0.03), 0.12, 0.004)
    width = (x1 - x0 - 0.36) / 2
    for left in (x0 + 0.12, x0 + 0.24 + width):
        pieces.append(g.box("door", (left + 0.03, y0 + 0.2, -0.052), (left + width - 0.03, y0 + 0.82, -0.036), 0.012))
        pieces.append(g.quad("glass", (left + 0.02, y0 + 1.12, -0.045), (width - 0.04, 0, 0), (0, 0.78, 0), (0, 0, 1)))
        pieces += g.frame("door", (left, y0 + 1.08, -0.05), (left + width, y0 + 1.94, -0.034), 0.035, 0.003)
    pieces.append(g.box("door", (x0 + 0.12, y0 + 0.9, -0.052), (x1 - 0.12, y0 + 1.02, -0.032), 0.003))
    pieces.append(
        g.box("brass", ((x0 + x1) / 2 - 0.13, y0 + 0.93, -0.034), ((x0 + x1) / 2 + 0.13, y0 + 0.985, -0.026), 0.003)
    )
    pieces.append(
        g.lathe(
            "brass",
            [(0.0, -0.03), (0.024, -0.02), (0.03, 0.0), (0.024, 0.02), (0.0, 0.03)],
            (x1 - 0.065, y0 + 1.0, 0.01),
        )
    )
    for a, b in ((x0 - 0.42, x0 - 0.08), (x1 + 0.08, x1 + 0.42)):
        pieces += g.moved(_window(a, y0 + 0.75, b, y1 - 0.05, 1, 2), offset=(0, 0, -0.055))
        pieces.append(g.box("trim", (a - 0.05, y0, -0.06), (b + 0.05, y0 + 0.7, -0.02), 0.004))
    pieces += g.frame("trim", (x0 - 0.08, y0 - 0.1, -0.1), (x1 + 0.08, y1 + 0.09, 0.0), 0.085, 0.004)
    return pieces


def _gable_roof(
    x0: float, x1: float, z0: float, z1: float, eaves: float, rise: float, over: float = 0.45, along: str = "x"
) -> list[Part]:
    """A pitched roof with thickness, fascia boards and gutters; the ridge runs along x or z."""
    if along == "z":
        inner = _gable_roof(z0, z1, x0, x1, eaves, rise, over)
        swap = np.array([[0, 0, 1], [0, 1, 0], [1, 0, 0]], np.float32)
        return g.moved(inner, swap)
    half = (z1 - z0) / 2
    middle = (z0 + z1) / 2
    slope = rise / half
    low = eaves - slope * over
    pieces = []
    for way in (-1, 1):
        edge = middle + way * (half + over)
        run = (0.0, eaves + rise - low, middle - edge)
        start = (x0 - over, low, edge)
        long = (x1 - x0 + 2 * over, 0, 0)
        normal = (0.0, half, way * rise)
        pieces.append(g.quad("roof", start, long, run, normal))
        under = (start[0], start[1] - 0.14, start[2])
        pieces.append(g.quad("trim", under, long, run, tuple(-c for c in normal)))
        pieces.append(
            g.box("trim", (x0 - over, low - 0.17, edge - 0.012), (x1 + over, low + 0.005, edge + 0.012), 0.004)
        )
        gutter = edge + way * 0.06
        pieces.append(
            g.box("trim", (x0 - over, low - 0.11, gutter - 0.055), (x1 + over, low - 0.015, gutter + 0.055), 0.03)
        )
        for x in (x0 - over, x1 + over):  # barge boards
            normal_x = (-1.0 if x < x0 else 1.0, 0, 0)
            pieces.append(g.quad("trim", (x, low - 0.15, edge), (0, 0.19, 0), (0, run[1], run[2]), normal_x))
    return pieces


def _gable_wall(material: str, x0: float, x1: float, y0: float, rise: float, z: float) -> Part:
    middle = (x0 + x1) / 2
    vertices = [(x0, y0, z), (x1, y0, z), (middle, y0 + rise, z)]
    return g.part(material, vertices, np.tile((0, 0, 1), (3, 1)), [v[:2] for v in vertices], [(0, 1, 2)])


def house() -> list[Part]:
    """One and a half storeys: a long body with a brick base, a projecting gable, a porch on columns, a chimney."""
    eaves, body = 3.05, (-5.2, 6.4, -8.0, 0.0)
    x0, x1, z0, z1 = body
    pieces = [
        g.box("siding", (x0, 0.55, z0), (x1, eaves, z1)),
        g.box("brick", (x0 - 0.03, -0.3, z0), (x1 + 0.03, 0.6, z1 + 0.03), 0.01),
    ]
    pieces.append(g.box("trim", (x0 - 0.05, 0.6, z0), (x1 + 0.05, 0.66, z1 + 0.06), 0.008))
    pieces += _gable_roof(x0, x1, z0, z1, eaves, 2.9)
    # projecting gable on the left
    a, b, out = -4.6, -0.9, 1.5
    pieces.append(g.box("brick", (a, -0.3, 0), (b, 3.35, out), 0.01))
    pieces += _gable_roof(a, b, -3.2, out, 3.35, 2.15, 0.38, along="z")
    pieces.append(_gable_wall("siding", a, b, 3.35, 2.15, out + 0.002))
    pieces.append(g.box("trim", (a - 0.03, 3.28, out - 0.02), (b + 0.03, 3.46, out + 0.04), 0.01))
    pieces += g.moved(_window(-3.95, 0.95, -1.55, 2.55, 3, 1), offset=(0, 0, out))
    pieces += g.moved(_window(-3.1, 3.85, -2.4, 4.75, 1, 1), offset=(0, 0, out))
    # porch
    pieces += g.moved(_front_door(0.35, 1.33, 0.36, 2.46), offset=(0, 0, 0.13))
    pieces.append(g.box("siding", (-0.85, 0.3, 0), (2.5, eaves, 0.07)))
    pieces.append(g.box("step", (-0.85, -0.2, 0), (2.6, 0.34, 1.55), 0.015))
    pieces.append(g.box("step", (-0.1, -0.2, 1.5), (1.8, 0.17, 1.9), 0.012))
    for x in (2.4,):
        pieces.append(g.box("trim", (x - 0.11, 0.34, 1.26), (x + 0.11, 2.72, 1.48), 0.012))
        pieces += [g.box("trim", (x - 0.15, y, 1.22), (x + 0.15, y + 0.12, 1.52), 0.012) for y in (0.34, 2.60)]
    pieces.append(g.box("trim", (-0.9, 2.70, 0.0), (2.62, 2.92, 1.52), 0.01))
    slope = g.quad("roof", (-0.95, 2.88, 1.85), (3.75, 0, 0), (0, 0.85, -1.95))
    pieces += [slope, g.box("trim", (-0.95, 2.78, 1.8), (2.8, 2.9, 1.87), 0.01)]
    pieces.append(g.box("soil", (0.36, 0.34, 0.5), (1.32, 0.355, 1.05), 0.004))  # door mat
    pieces += [g.box("dark", (1.99 + 0.09 * i, 1.62, 0.07), (2.05 + 0.09 * i, 1.76, 0.08), 0.003) for i in range(2)]
    for x in (-0.42, 2.1):  # planters beside the door
        pieces.append(
            g.lathe(
                "dark",
                [(0.0, 0.0), (0.12, 0.0), (0.17, 0.36), (0.155, 0.37), (0.15, 0.32), (0.0, 0.32)],
                (x, 0.34, 0.45),
            )
        )
        pieces += planting.shrub((x, 0.66, 0.45), 0.42, 0.48, int(900 + 10 * x), count=2200)
    pieces.append(g.box("dark", (1.78, 2.0, 0.07), (1.9, 2.28, 0.2), 0.01))
    pieces.append(g.box("lamp", (1.795, 2.04, 0.1), (1.885, 2.2, 0.22), 0.01))
    pieces += _window(3.25, 1.0, 5.15, 2.5, 2, 1, shutters=True)
    pieces += [g.tube("trim", [(x, 2.75, 0.1), (x, 0.0, 0.1)], 0.04, 12) for x in (x1 - 0.1, -0.8)]
    pieces.append(g.box("brick", (3.9, 3.5, -5.0), (4.75, 7.05, -4.35), 0.01))
    pieces.append(g.box("step", (3.84, 7.05, -5.06), (4.81, 7.16, -4.29), 0.01))
    # a dormer over the right window
    pieces.append(g.box("siding", (3.3, 3.3, -2.6), (5.1, 4.75, -1.05)))
    pieces += _gable_roof(3.3, 5.1, -3.6, -1.05, 4.75, 0.85, 0.22, along="z")
    pieces.append(_gable_wall("siding", 3.3, 5.1, 4.75, 0.85, -1.048))
    pieces += g.moved(_window(3.75, 3.85, 4.65, 4.65, 2, 0), offset=(0, 0, -1.05))
    return pieces


def front() -> tuple[Scene, Camera]:
    """The house from its front lawn in the late morning."""
    seed = 500
    pieces = house()
    pieces.append(g.quad("lawn", (-60, 0, -60), (120, 0, 0), (0, 0, 90), (0, 1, 0)))
    pieces.append(g.box("path", (0.2, -0.05, 1.9), (1.5, 0.03, 14.0), 0.01))
    pieces.append(g.quad("soil", (-5.6, 0.012, 0), (4.9, 0, 0), (0, 0, 2.4), (0, 1, 0)))
    pieces.append(g.quad("soil", (2.5, 0.012, 0), (4.4, 0, 0), (0, 0, 1.1), (0, 1, 0)))
    for i, (x, z, w, h) in enumerate(
        (
            (-4.3, 1.95, 0.9, 0.75),
            (-3.4, 2.0, 0.8, 0.6),
            (-2.5, 1.98, 0.95, 0.72),
            (-1.6, 1.95, 0.8, 0.62),
            (3.1, 0.6, 0.9, 0.85),
            (4.1, 0.65, 0.8, 0.65),
            (5.0, 0.6, 0.95, 0.8),
            (5.9, 0.65, 0.8, 1.05),
        )
    ):
        pieces += planting.shrub((x, 0, z), w, h, seed + i)
    rng = np.random.default_rng(seed)
    blooms = np.stack([rng.uniform(-4.6, -1.2, 900), rng.uniform(0.12, 0.34, 900), rng.uniform(2.25, 2.5, 900)], 1)
    pieces.append(planting.leaves("flower", blooms.astype(np.float32), 0.045, seed + 20))
    pieces += planting.shrub((-3.0, -0.08, 2.38), 3.6, 0.34, seed + 21, count=5200)
    pieces += planting.tree((8.3, 0, 1.2), 7.2, 2.3, seed + 30, count=130000, leaf_size=0.085)
    pieces += planting.tree((-10.5, 0, -6.5), 9.5, 3.4, seed + 40, "leaf dark", 70000, 0.13)
    pieces += planting.tree((11.5, 0, -9.0), 10.0, 3.6, seed + 50, "leaf dark", 60000, 0.13)
    pieces += planting.tree((-3.5, 0, -15.0), 11.5, 4.0, seed + 60, "leaf", 60000, 0.14)
    pieces += planting.hedge((-16.0, 0, -2.2), (-5.4, 1.45, -1.4), seed + 70)
    pieces += planting.hedge((6.7, 0, -2.2), (16.0, 1.45, -1.4), seed + 71)
    for i, (x, z, tall) in enumerate(
        ((-9, 21, 7.5), (-4.5, 25, 9), (0, 22, 6.5), (4.5, 24, 8.5), (9, 21, 7))
    ):  # mirrored in the glass
        pieces += planting.tree((x, 0, z), tall, 0.36 * tall, seed + 80 + i, ("leaf", "leaf dark")[i % 2], 9000, 0.2)
    pieces += planting.hedge((-20, 0, 18.5), (20, 1.3, 19.2), seed + 90, density=150, size=0.15)
    camera = Camera((3.4, 1.62, 12.4), -13.0, 3.0, -0.6, 22.0)
    spots = planting.lawn_spots((-13, 0.6), (11, 12.5), camera.position, 12000, seed + 90)
    across, away = spots[:, 0], spots[:, 2]
    paved = (across > 0.17) & (across < 1.52)
    left_bed = (away < 2.42) & (across > -5.65) & (across < -0.65)
    planted = left_bed | ((away < 1.12) & (across > -0.9) & (across < 6.95))
    pieces.append(planting.lawn_blades(spots[~paved & ~planted], camera.position, seed + 91))
    scene = Scene(tuple(pieces), materials(seed), **daylight(SUN, SKY_SEED, strength=4.4))
    return scene, camera


def garden(sun: Sequence[float] = (0.62, 0.72, -0.55), seed: int = 700) -> Scene:
    """Lawn, hedge, fence and trees all round, seen from the house at the origin."""
    pieces = [g.quad("lawn", (-80, 0, -80), (160, 0, 0), (0, 0, 160), (0, 1, 0))]
    rng = np.random.default_rng(seed)
    for i, angle in enumerate(np.arange(0, 360, 19.0)):
        radius, direction = rng.uniform(19.5, 32), np.radians(angle + rng.uniform(-5, 5))
        spot = (np.sin(direction) * radius, -0.1, -np.cos(direction) * radius)
        tall, wide, leaf = rng.uniform(5.5, 9.5), rng.uniform(2.2, 3.4), ("leaf", "leaf dark")[i % 2]
        pieces += planting.tree(spot, tall, wide, seed + 40 + i, leaf, 18000, 0.24)
    for low, high in (
        ((-18, 0, -18), (18, 1.35, -17.2)),
        ((17.2, 0, -18), (18, 1.35, 18)),
        ((-18, 0, -18), (-17.2, 1.35, 18)),
        ((-18, 0, 17.2), (18, 1.35, 18)),
    ):
        pieces += planting.hedge(low, high, seed + 5, density=300, size=0.11)
    for i in range(14):
        angle, radius = np.radians(i * 26 + 9), 13.0 + 1.3 * (i % 3)
        pieces += planting.shrub(
            (np.sin(angle) * radius, 0, -np.cos(angle) * radius),
            1.3 + 0.3 * (i % 2),
            0.8 + 0.25 * (i % 3),
            seed + 20 + i,
            "shrub" if i % 3 else "flower",
            2600,
        )
    return Scene(tuple(pieces), materials(seed), **daylight(sun, seed + 3))
