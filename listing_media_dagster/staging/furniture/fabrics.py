"""Fabrics and leather as materials: weaves, loops, naps, knits, prints. Rugs are in `rug_surfaces`.

Each varies at the scale of its threads and at 5-30 mm, which is what a listing photo shows of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from listing_media_dagster.path_tracer.materials import Colour, Image, Material
from listing_media_dagster.staging.furniture import rug_surfaces
from listing_media_dagster.staging.furniture.weaves import dyed, field, grid, nubs, threads

Surface = Callable[[Colour, Colour, int], Material]


def _woven(count: int, metres: float, slub: float, mottle: float, depth: float, sheen: float) -> Surface:
    """A weave of `count` threads in `metres`; `slub` and `mottle` are the tone of threads and of 5-30 mm clouds."""

    def surface(colour: Colour, accent: Colour, seed: int) -> Material:
        height, tone = threads(count, seed)
        level = slub * tone + mottle * field(seed + 5, 0.9, low_cut=metres / 0.06) + 0.16 * (height - 0.5)
        return Material(dyed(colour, level), metres, relief=height, depth=depth, sheen=sheen)

    return surface


def wool(colour: Colour, accent: Colour, seed: int) -> Material:
    """Felted wool cloth: short fibres lying every way, in a few tones."""
    fibres = field(seed, 0.4, (1, 8), 24) + field(seed + 1, 0.4, (8, 1), 24) + field(seed + 2, 0.4, low_cut=24)
    clouds = field(seed + 5, 0.8, low_cut=8)
    relief = np.clip(0.5 + 0.12 * fibres + 0.1 * clouds, 0, 1).astype(np.float32)
    return Material(dyed(colour, 0.075 * fibres + 0.05 * clouds), 0.5, relief=relief, depth=0.0008, sheen=0.5)


def velvet(colour: Colour, accent: Colour, seed: int) -> Material:
    """Short dense nap, brushed here lighter, there darker, glowing where it is seen along the fibres."""
    brushed = field(seed, 1.4, (1.0, 2.0), 3) + 0.5 * field(seed + 1, 1.1, low_cut=10)
    nap = field(seed + 2, 0.4, low_cut=60)
    relief = np.clip(0.5 + 0.15 * brushed, 0, 1).astype(np.float32)
    return Material(dyed(colour, 0.05 * brushed + 0.04 * nap), 0.8, gloss=0.55, relief=relief, depth=0.002, sheen=1.0)


def boucle(colour: Colour, accent: Colour, seed: int) -> Material:
    """Curled loops of 7 mm, shadowed between."""
    return _looped(colour, seed, 64, 0.45, 0.0028, 0.28)


def teddy(colour: Colour, accent: Colour, seed: int) -> Material:
    """Thick fleece in soft tufts of 14 mm."""
    return _looped(colour, seed, 34, 0.48, 0.0045, 0.15)


def _looped(colour: Colour, seed: int, count: int, metres: float, depth: float, shadow: float) -> Material:
    height, own = nubs(count, seed)
    fine, _ = nubs(2 * count, seed + 1)
    curls = np.clip(0.72 * height + 0.28 * fine + 0.06 * field(seed + 2, 0.5, low_cut=count), 0, 1)
    level = shadow * (np.maximum(curls, 0.45) - 0.7) / 0.3 * 0.5 + 0.03 * own + 0.03 * field(seed + 3, 0.8, low_cut=8)
    return Material(dyed(colour, level), metres, relief=curls.astype(np.float32), depth=depth, sheen=0.5)


def knit(colour: Colour, accent: Colour, seed: int) -> Material:
    """Chunky stocking stitch: columns of V-shaped loops 14 mm wide."""
    u, v = grid()
    columns, rows = 32, 44
    bend = 0.0025 * field(seed, 1.4, low_cut=3)
    x = ((u + bend) * columns) % 1 * 2 - 1
    strand = np.abs(np.sin(np.pi * ((v + bend) * rows - 0.75 * np.abs(x))))
    height = np.clip(strand**0.8 * np.cos(np.pi / 2 * x * 0.96) ** 0.35 * (1 - 0.55 * np.exp(-((x / 0.16) ** 2))), 0, 1)
    level = 0.42 * (height - 0.6) + 0.05 * field(seed + 1, 0.6, (1, 5), 20) + 0.03 * field(seed + 2, 0.8, low_cut=6)
    return Material(dyed(colour, level), 0.45, relief=height.astype(np.float32), depth=0.0035, sheen=0.5)


def leather(colour: Colour, accent: Colour, seed: int) -> Material:
    """Pigmented hide: pebbled grain, worn lighter in clouds, a soft shine."""
    pebbles, own = nubs(150, seed, 0.48)
    worn = field(seed + 1, 1.5, low_cut=2) + 0.6 * field(seed + 2, 1.0, low_cut=10)
    veins = np.exp(-((field(seed + 3, 1.5, (1.0, 1.6), 4) / 0.05) ** 2))
    level = 0.045 * worn + 0.02 * own + 0.22 * (np.clip(pebbles, 0.4, 1) - 0.8) - 0.08 * veins
    relief = np.clip(np.sqrt(pebbles) - 0.3 * veins, 0, 1).astype(np.float32)
    return Material(dyed(colour, level), 0.5, gloss=0.36, relief=relief, depth=0.00035)


def quilted(colour: Colour, accent: Colour, seed: int) -> Material:
    """Cotton stitched in diamonds of 10 cm over wadding."""
    u, v = grid()
    puff = np.abs(np.sin(np.pi * 4 * (u + v)) * np.sin(np.pi * 4 * (u - v))) ** 0.4
    height, tone = threads(256, seed, 0.2)
    level = 0.05 * tone + 0.16 * (puff - 0.7) + 0.03 * field(seed + 6, 0.9, low_cut=8)
    relief = np.clip(0.97 * puff + 0.03 * height, 0, 1).astype(np.float32)
    return Material(dyed(colour, level), 0.56, relief=relief, depth=0.009, sheen=0.25)


def stripes(colour: Colour, accent: Colour, seed: int) -> Material:
    """Ticking: groups of `accent` stripes, one broad between two narrow, every 8 cm across."""
    u, _ = grid()
    place = (u * 6 + 0.0008 * field(seed + 7, 1.0)) % 1
    inked = np.zeros_like(place)
    for middle, half in ((0.5, 0.085), (0.34, 0.022), (0.66, 0.022)):
        inked = np.maximum(inked, np.clip((half - np.abs(place - middle)) / 0.008, 0, 1))
    return _printed(colour, accent, inked, 0.48, seed)


def plaid(colour: Colour, accent: Colour, seed: int) -> Material:
    """Woven checks: bands of `accent` both ways, darkest where they cross, with a fine overcheck."""
    u, v = grid()

    def bands(place: Image) -> Image:
        across = place * 4 % 1
        broad = np.clip((0.23 - np.abs(across - 0.5)) / 0.006, 0, 1)
        line = np.clip((0.018 - np.abs(across - 0.08)) / 0.006, 0, 1)
        inked: Image = np.maximum(broad * 0.5, line * 0.4).astype(np.float32)
        return inked

    return _printed(colour, accent, bands(u) + bands(v), 0.56, seed)


def _printed(colour: Colour, accent: Colour, inked: Image, metres: float, seed: int) -> Material:
    height, tone = threads(192, seed)
    mix = inked[..., None]
    picture = np.asarray(colour, np.float32) * (1 - mix) + np.asarray(accent, np.float32) * mix
    level = 0.10 * tone + 0.16 * (height - 0.5) + 0.03 * field(seed + 5, 0.9, low_cut=8)
    return Material(dyed(picture.astype(np.float32), level), metres, relief=height, depth=0.0003, sheen=0.25)


def sheer(colour: Colour, accent: Colour, seed: int) -> Material:
    """Voile: daylight comes through it and shapes behind it show faintly."""
    height, tone = threads(256, seed)
    opacity = np.clip(0.72 + 0.10 * tone + 0.12 * (height - 0.5), 0.3, 1).astype(np.float32)
    return Material(dyed(colour, 0.08 * tone), 0.45, translucent=0.45, opacity=opacity)


SURFACES: Mapping[str, Surface] = {
    "linen": _woven(150, 0.45, 0.14, 0.035, 0.0003, 0.25),
    "cotton": _woven(300, 0.45, 0.045, 0.015, 0.0001, 0.2),
    "wool": wool,
    "velvet": velvet,
    "boucle": boucle,
    "teddy": teddy,
    "knit": knit,
    "leather": leather,
    "quilted": quilted,
    "stripes": stripes,
    "plaid": plaid,
    "sheer": sheer,
    **rug_surfaces.SURFACES,
}
