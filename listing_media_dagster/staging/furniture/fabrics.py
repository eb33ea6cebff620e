"""Fabrics and leather: weaves, pile and grain as tileable textures."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from listing_media_dagster.path_tracer.materials import Colour, Image, Material
from listing_media_dagster.path_tracer.textures import noise

PIXELS = 768


def _dyed(colour: Colour, level: Image) -> Image:
    """`colour` (linear) times 1 + `level` (H, W), kept within what cloth reflects."""
    return np.clip(np.asarray(colour, np.float32) * (1 + level[..., None]), 0.004, 0.9).astype(np.float32)


def _threads(pixels: int, count: int, seed: int, unevenness: float = 0.35) -> tuple[Image, Image]:
    """Plain weave of `count` threads each way: height 0..1 and each thread's tone, both (H, W)."""
    v, u = np.mgrid[0:pixels, 0:pixels].astype(np.float32) / pixels
    wander = 0.12 / count
    u = u + wander * noise(pixels, pixels, seed, 1.2, (1.0, 3.0), 6)
    v = v + wander * noise(pixels, pixels, seed + 1, 1.2, (3.0, 1.0), 6)
    warp, weft = np.sin(np.pi * u * count) ** 2, np.sin(np.pi * v * count) ** 2
    over = (np.floor(u * count) + np.floor(v * count)) % 2
    height = np.where(over > 0, 0.35 * warp + 0.65 * warp * weft**0.5, 0.35 * weft + 0.65 * weft * warp**0.5)
    slub = (
        noise(pixels, pixels, seed + 2, 0.45, (1.0, 24.0), 10),
        noise(pixels, pixels, seed + 3, 0.45, (24.0, 1.0), 10),
    )
    tone = unevenness * np.where(over > 0, slub[1], slub[0]) + 0.4 * unevenness * (slub[0] + slub[1])
    return height.astype(np.float32), tone.astype(np.float32)


def _woven(threads: int, metres: float, slub: float, mottle: float, depth: float) -> Callable[..., Material]:
    """A plain weave that repeats every `metres`: `slub` and `mottle` are the tone of threads and of 5-30 mm clouds."""

    def surface(colour: Colour, accent: Colour, seed: int) -> Material:
        height, tone = _threads(PIXELS, threads, seed)
        clouds = noise(PIXELS, PIXELS, seed + 5, 0.9, low_cut=metres / 0.06)
        level = slub * tone + mottle * clouds + 0.16 * (height - 0.5)
        return Material(_dyed(colour, level), metres, relief=height, depth=depth, sheen=0.25)

    return surface


def wool(colour: Colour, accent: Colour, seed: int) -> Material:
    """Felted wool cloth: short fibres lying every way in a few tones."""
    fibres = sum(
        noise(PIXELS, PIXELS, seed + i, 0.4, stretch, 24) for i, stretch in enumerate(((1, 8), (8, 1), (1, 1)))
    )
    clouds = noise(PIXELS, PIXELS, seed + 5, 0.8, low_cut=8)
    level = 0.075 * fibres + 0.05 * clouds
    relief = np.clip(0.5 + 0.12 * fibres + 0.1 * clouds, 0, 1).astype(np.float32)
    return Material(_dyed(colour, level), 0.5, relief=relief, depth=0.0008, sheen=0.5)


def rug_pile(colour: Colour, accent: Colour, seed: int) -> Material:
    """Cut pile: tufts of 8 mm, brushed into lighter and darker patches."""
    tufts = noise(PIXELS, PIXELS, seed, 0.35, low_cut=60)
    patches = noise(PIXELS, PIXELS, seed + 1, 1.5) + 0.6 * noise(PIXELS, PIXELS, seed + 2, 0.9, low_cut=12)
    level = 0.11 * tufts + 0.055 * patches
    relief = np.clip(0.5 + 0.17 * tufts, 0, 1).astype(np.float32)
    return Material(_dyed(colour, level), 1.2, relief=relief, depth=0.002, sheen=0.6)


SURFACES: Mapping[str, Callable[[Colour, Colour, int], Material]] = {
    "linen": _woven(150, 0.45, 0.14, 0.035, 0.0003),
    "cotton": _woven(300, 0.45, 0.04, 0.015, 0.0001),
    "wool": wool,
    "rug_pile": rug_pile,
}
