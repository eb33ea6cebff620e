"""The interiors of the sample home: each function returns a `Room`, its scene and the camera that photographs it.

Rooms are metric, y up, floor at y = 0, x 0..width, z 0..depth, so the true camera of every photo is known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from listing_media_dagster.path_tracer import solids as g
from listing_media_dagster.path_tracer import textures as t
from listing_media_dagster.path_tracer.materials import Image, Material
from listing_media_dagster.path_tracer.solids import Part
from listing_media_dagster.sample_listing import fittings as f
from listing_media_dagster.sample_listing import joinery as j
from listing_media_dagster.sample_listing import planting
from listing_media_dagster.sample_listing.scene import Camera, Scene

SKY = (1.0, 1.12, 1.32)  # relative radiance of sky and of the sunlit garden, seen through a window
GROUND = (0.40, 0.42, 0.28)


@dataclass(frozen=True)
class Room:
    """A scene with its camera; `sun` is the direction toward the sun, None where it doesn't come in."""

    name: str
    scene: Scene
    camera: Camera
    size: tuple[float, float, float]  # width, height, depth m
    garden_position: tuple[float, float, float] = (0.0, 2.0, 0.0)


def common_materials(seed: int, wall: Sequence[float] = (0.74, 0.72, 0.68)) -> dict[str, Material]:
    return {
        "wall": Material(
            t.plaster(512, seed, wall), 2.0, relief=t.noise(512, 512, seed + 7, 0.5, low_cut=40), depth=0.00004
        ),
        "ceiling": Material(t.plaster(256, seed + 3, (0.80, 0.80, 0.785)), 2.0),
        "trim": Material((0.80, 0.795, 0.775), gloss=0.22),
        "steel": Material((0.62, 0.61, 0.59), gloss=0.28, metal=True),
        "chrome": Material((0.86, 0.86, 0.86), gloss=0.08, metal=True),
        "black": Material((0.018, 0.018, 0.02), gloss=0.25),
        "shadow": Material((0.03, 0.03, 0.03)),
        "plastic": Material((0.78, 0.775, 0.75), gloss=0.15),
        "plastic shade": Material((0.55, 0.545, 0.53), gloss=0.2),
        "enamel": Material((0.80, 0.80, 0.785), gloss=0.16),
        "linen": Material(t.linen(512, seed + 5, (0.60, 0.55, 0.47)), 0.5),
        "portal sky": Material((0.0, 0.0, 0.0)),
        "portal ground": Material((0.0, 0.0, 0.0)),
        "lamp": Material((0.6, 0.6, 0.58), gloss=0.2),
    }


def oak_floor(
    seed: int,
    plank: float = 0.15,
    dark: Sequence[float] = (0.20, 0.115, 0.055),
    light: Sequence[float] = (0.46, 0.305, 0.18),
) -> Material:
    albedo, relief = t.wood_planks(3072, seed, 3.6, plank, dark, light)
    return Material(albedo, 3.6, gloss=0.17, relief=relief, depth=0.0004)


def shell(
    width: float,
    height: float,
    depth: float,
    openings: Mapping[str, Sequence[j.Opening]],
    floor: str = "floor",
    crown: bool = True,
) -> list[Part]:
    """Floor, ceiling and four walls with their openings, skirting and cornice."""
    pieces = [
        g.quad(floor, (0, 0, 0), (width, 0, 0), (0, 0, depth), (0, 1, 0)),
        g.quad("ceiling", (0, height, 0), (width, 0, 0), (0, 0, depth), (0, -1, 0)),
    ]
    for side in ("north", "south", "east", "west"):
        length = width if side in ("north", "south") else depth
        holes = openings.get(side, ())
        local = [g.panel_with_openings("wall", length, height, holes)]
        gaps = [(o[0] - 0.076, o[2] + 0.076) for o in holes if o[1] < 0.05]
        local += j.skirting(length, gaps)
        if crown:
            local += j.cornice(length, height)
        pieces += j.on_wall(local, side, width, depth)
    return pieces


def daylight(
    sun: tuple[float, float, float] | None, lamp: tuple[float, float, float] = (9.0, 6.6, 4.0)
) -> dict[str, Any]:
    """Light groups of an interior: sky through the portals, lamps, and the sun (direction toward it) if it comes in."""
    lights = {
        "day": {"portal sky": tuple(4 * c for c in SKY), "portal ground": tuple(4 * c for c in GROUND)},
        "lamp": {"lamp": lamp},
    }
    distant = {}
    if sun is not None:
        lights["sun"] = {}
        direction = -np.asarray(sun, float) / np.linalg.norm(sun)
        distant["sun"] = [
            {
                "type": "directional",
                "direction": direction.tolist(),
                "irradiance": {"type": "rgb", "value": [30.0, 26.5, 21.0]},
            }
        ]
    return {"lights": lights, "distant": distant}


def living_room() -> Room:
    width, height, depth = 5.6, 2.62, 6.4
    north = [(0.75, 0.45, 2.25, 2.28), (3.0, 0.45, 4.5, 2.28)]
    east = [(1.3, 0.75, 2.9, 2.28)]
    west = [(1.55, 0.0, 2.42, 2.06)]
    pieces = shell(width, height, depth, {"north": north, "east": east, "west": west})

    put = _putter(pieces, width, depth)
    for opening in north:
        put("north", j.window(opening, 2, 0, 0.08), j.portal(opening))
    put("north", j.radiator(0.85, 2.15, 0.09, 0.36), j.radiator(3.1, 4.4, 0.09, 0.36), j.socket(2.62, 0.28, 2))
    put("east", j.window(east[0], 2, 0, 0.08), j.portal(east[0]), j.socket(3.6, 0.28, 2), j.socket(0.6, 0.28))
    put("west", j.door(west[0]), j.switch(2.62), j.socket(0.8, 0.28, 2), j.socket(3.9, 0.28, 2))
    pieces += j.pendant(2.75, 2.6, height, 0.62, 0.17)
    materials = {**common_materials(11), "floor": oak_floor(21)}
    scene = Scene(tuple(pieces), materials, **daylight((0.62, 0.72, -0.55)))
    camera = Camera((4.75, 1.38, 6.05), -24.0, -2.6, 0.7, 18.0)
    return Room("living_room", scene, camera, (width, height, depth))


def bedroom() -> Room:
    width, height, depth = 4.0, 2.58, 4.7
    north = [(1.25, 0.8, 2.85, 2.25)]
    east = [(2.9, 0.0, 3.75, 2.05)]
    pieces = shell(width, height, depth, {"north": north, "east": east})
    put = _putter(pieces, width, depth)
    put("north", j.window(north[0], 2, 0), j.portal(north[0]), j.radiator(1.45, 2.65, 0.12, 0.62))
    put("north", j.curtains(north[0], 2.38, 0.34, 5), j.socket(0.5, 0.28), j.socket(3.55, 0.28, 2))
    put("east", j.door(east[0], handle_left=True), j.switch(2.68), j.socket(1.0, 0.28, 2))
    # built-in wardrobe on the west wall
    fronts: list[Part] = [
        g.box("cabinet", (0.9, 0.0, -0.6), (3.3, 2.35, 0), 0.002),
        g.box("cabinet", (0.88, 2.33, -0.63), (3.32, 2.38, 0), 0.006),
    ]
    fronts.append(g.box("shadow", (0.92, 0.0, -0.601), (3.28, 2.325, -0.6)))
    for i in range(4):
        x = 0.9 + 0.6 * i
        fronts += j.shaker_front(x, 0.09, x + 0.6, 2.31, -0.6, "cabinet")
        hand = x + (0.555 if i % 2 == 0 else 0.045)
        fronts.append(g.tube("handle", [(hand, 0.98, -0.655), (hand, 1.22, -0.655)], 0.006, 12))
        fronts += [g.tube("handle", [(hand, y, -0.655), (hand, y, -0.61)], 0.005, 10) for y in (1.0, 1.2)]
    put("west", fronts)
    pieces += j.flush_lamp(2.1, 2.3, height, 0.21)
    materials = common_materials(31, (0.66, 0.69, 0.68))
    materials |= {
        "floor": oak_floor(33, 0.12, (0.30, 0.20, 0.115), (0.55, 0.41, 0.27)),
        "cabinet": Material((0.74, 0.73, 0.70), gloss=0.3),
        "handle": Material((0.40, 0.30, 0.16), gloss=0.3, metal=True),
        "linen": Material(t.linen(512, 35, (0.62, 0.60, 0.56)), 0.5),
    }
    scene = Scene(tuple(pieces), materials, **daylight((-0.55, 0.75, -0.62)))
    camera = Camera((3.35, 1.42, 4.45), -19.0, -2.2, -0.8, 18.0)
    return Room("bedroom", scene, camera, (width, height, depth), (3.0, 2.2, 1.0))


def kitchen() -> Room:
    width, height, depth = 4.3, 2.6, 5.0
    north = [(1.62, 1.1, 2.72, 2.2)]
    pieces = shell(width, height, depth, {"north": north, "east": [(2.4, 0.85, 3.7, 2.2)]}, crown=False)
    put = _putter(pieces, width, depth)
    put("north", j.window(north[0], 2, 0), j.portal(north[0]))
    put("east", j.window((2.4, 0.85, 3.7, 2.2), 2, 0), j.portal((2.4, 0.85, 3.7, 2.2)))
    put(
        "north",
        f.base_units(
            [(0.62, 1.1, "door"), (1.1, 1.7, "drawers"), (1.7, 2.6, "sink"), (2.6, 3.2, "doors"), (3.2, 3.58, "door")]
        ),
    )
    put("north", f.worktop(0.0, 3.58, (1.84, 2.46)), f.fridge(3.6, 4.25))
    put("north", f.wall_units(0.34, 1.42, 2), f.wall_units(2.9, 3.58, 2), f.wall_units(3.6, 4.28, 2, 1.92, 2.18))
    put(
        "west",
        f.base_units([(0.62, 1.15, "door"), (1.15, 1.75, "oven"), (1.75, 2.35, "drawers"), (2.35, 3.15, "doors")]),
    )
    put(
        "west",
        f.worktop(0.62, 3.17),
        f.wall_units(0.0, 1.08, 2),
        f.wall_units(1.82, 3.15, 3),
        f.hood(1.15, 1.75, height),
    )
    splash = [
        g.panel_with_openings("tile", 3.58, 0.55, [(1.56, 0.155, 2.78, 1.0)]),
        g.panel_with_openings("tile", 3.17, 0.72, []),
    ]
    put("north", g.moved(splash[:1], offset=(0, 0.91, -0.006)), j.socket(1.2, 1.13, 2), j.socket(3.05, 1.13, 2))
    put("west", g.moved(splash[1:], offset=(0, 0.91, -0.006)), j.socket(2.1, 1.13, 2))
    board = g.moved([g.box("oak", (0, 0, -0.02), (0.28, 0.40, 0), 0.008)], offset=(2.62, 0.915, -0.03))
    pot = [
        g.lathe(
            "pot",
            [(0.0, 0.0), (0.05, 0.0), (0.066, 0.12), (0.062, 0.125), (0.055, 0.11), (0.0, 0.105)],
            (1.38, 0.91, -0.2),
        )
    ]
    herb = planting.crown("herb", (1.38, 1.10, -0.2), (0.12, 0.12, 0.12), 900, 0.035, 9, 9)
    put("north", board, pot, [herb])
    for x in (1.1, 2.2, 3.3):
        for z in (1.3, 2.9):
            pieces += j.downlight(x, z, height)
    tile, _ = t.tiles(1024, 51, (8, 4), (0.70, 0.69, 0.665), (0.52, 0.51, 0.48), 0.05, 0.025, offset=True)
    materials = common_materials(41, (0.72, 0.71, 0.66))
    materials |= {
        "floor": oak_floor(43, 0.18, (0.24, 0.15, 0.08), (0.48, 0.34, 0.21)),
        "cabinet": Material((0.115, 0.165, 0.15), gloss=0.28),
        "cabinet upper": Material((0.74, 0.735, 0.70), gloss=0.28),
        "handle": Material((0.62, 0.45, 0.22), gloss=0.25, metal=True),
        "counter": Material(t.stone(1024, 45, (0.66, 0.65, 0.62), 0.05), 1.0, gloss=0.12),
        "tile": Material(tile, 0.8, gloss=0.08),
        "black glass": Material((0.012, 0.012, 0.013), gloss=0.04),
        "steel dark": Material((0.2, 0.2, 0.2), gloss=0.3, metal=True),
        "oak": Material(t.veneer(512, 47, (0.30, 0.19, 0.10), (0.50, 0.36, 0.22)), 0.8, gloss=0.3),
        "pot": Material((0.55, 0.52, 0.47), gloss=0.2),
        "herb": Material((0.07, 0.16, 0.04)),
    }
    scene = Scene(tuple(pieces), materials, **daylight((0.72, 0.62, -0.3), (60.0, 44.0, 27.0)))
    camera = Camera((3.5, 1.40, 4.65), -27.0, -2.8, 0.9, 17.0)
    return Room("kitchen", scene, camera, (width, height, depth), (-2.0, 2.0, 2.0))


def dining_room() -> Room:
    width, height, depth = 4.6, 2.62, 5.0
    north = [(0.95, 0.06, 3.65, 2.25)]
    west = [(2.2, 0.0, 3.05, 2.05)]
    pieces = shell(width, height, depth, {"north": north, "west": west})
    put = _putter(pieces, width, depth)
    put("north", j.window(north[0], 3, 0, 0.08), j.portal(north[0], strips=16), j.socket(4.2, 0.28, 2))
    put("west", j.door(west[0]), j.switch(3.25), j.socket(1.0, 0.28, 2))
    sideboard = [g.box("table", (1.2, 0.14, -0.43), (2.9, 0.80, -0.01), 0.006)]
    for i in range(3):
        x = 1.22 + i * 0.553
        sideboard.append(g.box("table", (x, 0.16, -0.447), (x + 0.545, 0.78, -0.43), 0.003))
        sideboard.append(g.tube("handle", [(x + 0.27, 0.72, -0.447), (x + 0.27, 0.72, -0.468)], 0.012, 16))
    sideboard += [g.tube("black", [(x, 0.0, z), (x, 0.15, z)], 0.015, 10) for x in (1.3, 2.8) for z in (-0.37, -0.07)]
    art = [
        *g.frame("black", (1.55, 1.15, -0.03), (2.55, 1.85, 0), 0.018, 0.002),
        g.box("picture", (1.56, 1.16, -0.012), (2.54, 1.84, -0.006)),
    ]
    put("east", sideboard, art)
    pieces += f.table(2.3, 2.2)
    for x, z, turn in ((1.75, 2.83, 4.0), (2.75, 2.80, -3.0), (1.8, 1.55, 177.0), (2.85, 1.52, 184.0)):
        pieces += f.chair(x, z, turn)
    pieces += j.pendant(2.3, 2.2, height, 0.95, 0.15)
    materials = common_materials(61, (0.70, 0.67, 0.61))
    materials |= {
        "floor": oak_floor(63, 0.15, (0.19, 0.105, 0.05), (0.42, 0.27, 0.15)),
        "table": Material(t.veneer(1024, 65, (0.17, 0.09, 0.045), (0.34, 0.20, 0.11)), 1.4, gloss=0.2),
        "chair": Material(t.veneer(512, 67, (0.36, 0.24, 0.13), (0.52, 0.38, 0.24)), 0.7, gloss=0.3),
        "bowl": Material((0.70, 0.70, 0.68), gloss=0.1),
        "apple": Material((0.36, 0.045, 0.03), gloss=0.12),
        "lemon": Material((0.72, 0.50, 0.05), gloss=0.2),
        "handle": Material((0.62, 0.45, 0.22), gloss=0.25, metal=True),
        "picture": Material(_abstract_picture(69), 1.0),
    }
    scene = Scene(tuple(pieces), materials, **daylight((-0.45, 0.60, -0.8), (7.0, 5.2, 3.2)))
    camera = Camera((3.95, 1.45, 4.72), -21.0, -3.0, 0.6, 18.0)
    return Room("dining_room", scene, camera, (width, height, depth), (0.5, 1.9, -1.0))


def hallway() -> Room:
    width, height, depth = 1.75, 2.62, 6.6
    north = [(0.42, 0.0, 1.34, 2.1)]
    west, east = [(1.0, 0.0, 1.85, 2.05), (3.4, 0.0, 4.25, 2.05)], [(2.1, 0.0, 2.95, 2.05)]
    pieces = shell(width, height, depth, {"north": north, "west": west, "east": east})
    put = _putter(pieces, width, depth)
    glass = (0.57, 1.05, 1.19, 1.92)
    leaf = [g.panel_with_openings("front door", 0.92, 2.1, [(0.15, 1.05, 0.77, 1.92)])]
    put("north", j.reveal(north[0], "trim", 0.1), g.moved(leaf, offset=(0.42, 0, 0.06)), j.casing(north[0], 0.085))
    put(
        "north",
        g.frame(
            "front door",
            (glass[0] - 0.04, glass[1] - 0.04, 0.045),
            (glass[2] + 0.04, glass[3] + 0.04, 0.09),
            0.05,
            0.006,
        ),
    )
    put(
        "north",
        [
            g.box("front door", (0.86, 1.05, 0.05), (0.90, 1.92, 0.08), 0.004),
            g.box("front door", (0.57, 1.46, 0.05), (1.19, 1.50, 0.08), 0.004),
        ],
    )
    put(
        "north",
        [g.box("front door", (a, 0.16, 0.052), (b, 0.9, 0.07), 0.012) for a, b in ((0.56, 0.85), (0.91, 1.2))],
        j.portal(glass),
    )
    put(
        "north",
        [
            g.tube("handle", [(1.27, 1.0, 0.06), (1.27, 1.0, 0.01), (1.25, 1.0, 0.0), (1.14, 1.0, 0.0)], 0.011, 14),
            g.box("handle", (1.25, 0.88, 0.05), (1.29, 1.1, 0.06), 0.003),
        ],
    )
    for opening in west:
        put("west", j.door(opening, handle_left=True))
    put("east", j.door(east[0]), j.switch(3.2), j.socket(4.2, 0.28))
    rail = [g.box("oak", (0.75, 1.62, -0.02), (1.75, 1.72, 0), 0.004)]
    rail += [
        g.tube("black", [(x, 1.66, -0.02), (x, 1.655, -0.06), (x, 1.68, -0.075)], 0.008, 10)
        for x in np.linspace(0.85, 1.65, 5)
    ]
    put("east", rail)
    rug = [g.box("rug", (0.42, 0.0, 1.3), (1.32, 0.012, 4.6), 0.005)]
    pieces += rug + j.flush_lamp(0.87, 1.8, height, 0.17) + j.flush_lamp(0.87, 4.6, height, 0.17)
    materials = common_materials(71, (0.72, 0.69, 0.62))
    weave = t.linen(512, 77, (0.20, 0.22, 0.24))
    stripe = (np.abs(np.linspace(-1, 1, weave.shape[1])) > 0.86)[None, :, None]
    materials |= {
        "floor": oak_floor(73, 0.14),
        "front door": Material((0.05, 0.10, 0.115), gloss=0.2),
        "handle": Material((0.62, 0.45, 0.22), gloss=0.25, metal=True),
        "oak": Material(t.veneer(512, 75, (0.30, 0.19, 0.10), (0.50, 0.36, 0.22)), 0.8, gloss=0.3),
        "rug": Material(
            np.roll(np.where(stripe, weave * 2.2, weave), round(0.467 * weave.shape[1]), 1).astype(np.float32), 0.9
        ),
    }
    scene = Scene(tuple(pieces), materials, **daylight(None, (14.0, 9.8, 5.6)))
    camera = Camera((0.98, 1.45, 6.35), -1.5, -3.2, 1.1, 26.0, portrait=True)
    return Room("hallway", scene, camera, (width, height, depth), (2.0, 2.0, 3.0))


def bathroom() -> Room:
    width, height, depth = 2.5, 2.5, 3.2
    north = [(0.95, 1.15, 1.75, 2.1)]
    mirror = (0.87, 1.26, 1.83, 1.96)
    pieces = shell(width, height, depth, {"north": north, "west": [mirror]}, crown=False)
    put = _putter(pieces, width, depth)
    put("north", j.window(north[0], 1, 0), j.portal(north[0]), f.toilet(1.05))
    put("west", f.vanity(0.85, 1.85, mirror))
    put("east", f.bathtub(0.02, 1.75))
    band = 1.22
    put(
        "north",
        g.moved([g.panel_with_openings("tile", width, band, [(0.95, 1.115, 1.75, band)])], offset=(0, 0, -0.012)),
    )
    put(
        "north",
        [
            g.box("tile edge", (0, band, -0.016), (0.93, band + 0.012, 0), 0.003),
            g.box("tile edge", (1.77, band, -0.016), (width, band + 0.012, 0), 0.003),
        ],
    )
    for side in ("east", "west", "south"):
        length = width if side == "south" else depth
        put(side, g.moved([g.panel_with_openings("tile", length, band, [])], offset=(0, 0, -0.012)))
        put(side, [g.box("tile edge", (0, band, -0.016), (length, band + 0.012, 0), 0.003)])
    roll = [
        g.tube("black", [(0.62, 0.72, 0), (0.62, 0.72, -0.05), (0.74, 0.72, -0.05)], 0.007, 10),
        g.tube("plastic", [(0.63, 0.70, -0.055), (0.73, 0.70, -0.055)], 0.05, 28),
    ]
    put("north", roll)
    rail = [g.tube("chrome", [(0.35, y, -0.07), (0.75, y, -0.07)], 0.009, 10) for y in (1.3, 1.38)]
    put("west", g.moved(rail, offset=(1.75, 0.1, 0)), [g.curtain("towel", 2.15, 2.48, 1.02, 1.49, -0.08, 3, 0.008, 3)])
    pieces += j.flush_lamp(1.25, 1.5, height, 0.16)
    # The mirror is a hole in the wall onto the same room turned round: exact, and the denoiser sees what it shows.
    pieces += g.moved(pieces, ((-1, 0, 0), (0, 1, 0), (0, 0, 1)))
    wall_tile, _ = t.tiles(1024, 81, (8, 4), (0.72, 0.72, 0.70), (0.50, 0.49, 0.47), 0.05, 0.02, offset=True)
    floor_tile, floor_relief = t.tiles(
        2048, 83, (4, 4), (0.30, 0.295, 0.285), (0.20, 0.195, 0.185), 0.014, 0.06, veins=0.06
    )
    materials = common_materials(85, (0.66, 0.685, 0.66))
    materials |= {
        "floor": Material(floor_tile, 2.4, gloss=0.14, relief=floor_relief, depth=0.0005),
        "tile": Material(wall_tile, 0.8, gloss=0.07),
        "tile edge": Material((0.70, 0.70, 0.68), gloss=0.1),
        "ceramic": Material((0.80, 0.80, 0.785), gloss=0.06),
        "counter": Material(t.stone(512, 87, (0.68, 0.67, 0.65), 0.04), 1.0, gloss=0.12),
        "oak": Material(t.veneer(512, 89, (0.30, 0.19, 0.10), (0.50, 0.36, 0.22)), 0.8, gloss=0.3),
        "towel": Material(t.linen(256, 91, (0.14, 0.24, 0.25)), 0.2),
    }
    scene = Scene(tuple(pieces), materials, **daylight(None, (16.0, 12.0, 7.5)))
    camera = Camera((1.75, 1.45, 3.08), -12.0, -6.0, -0.9, 17.0)
    return Room("bathroom", scene, camera, (width, height, depth), (-3.0, 3.0, 0.0))


def _putter(pieces: list[Part], width: float, depth: float) -> Callable[..., None]:
    def put(side: str, *groups: Sequence[Part]) -> None:
        for group in groups:
            pieces.extend(j.on_wall(group, side, width, depth))

    return put


def _abstract_picture(seed: int) -> Image:
    """Soft hills in three colours, for a frame on the wall."""
    field = t.noise(256, 256, seed, 2.2)
    ridge = np.linspace(-1.6, 1.6, 256, dtype=np.float32)[:, None] + 0.5 * field
    sand, sea, cloud = np.array([0.50, 0.38, 0.25]), np.array([0.10, 0.20, 0.24]), np.array([0.68, 0.66, 0.62])
    return np.where(ridge[..., None] > 0.5, sand, np.where(ridge[..., None] > -0.4, sea, cloud)).astype(np.float32)
