"""Wood, metal, stone, glass, ceramics, lacquer and leaves.

Grain runs along u. `leaves`, `book_covers` and the pictures are sheets of 4 x 4 (2 x 2) cells over 1 m of uv, of which
each leaf, book or canvas takes one (`joinery.in_cell`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from listing_media_dagster.path_tracer.materials import Colour, Image, Material
from listing_media_dagster.path_tracer.textures import noise, tinted
from listing_media_dagster.staging.furniture.pictures import PICTURES

SIZE = 640  # px of a texture: 1.5-2 mm on a piece, finer than a listing photo shows


def wood(colour: Colour, accent: Colour, seed: int) -> Material:
    """Oiled solid wood in `colour`, its grain lines in `accent`."""
    return Material(_grain(colour, accent, seed, 0.55), metres=1.15, gloss=0.28)


def wood_dark(colour: Colour, accent: Colour, seed: int) -> Material:
    """Stained and varnished wood: quieter grain, a deeper shine."""
    return Material(_grain(colour, accent, seed, 0.4), metres=1.15, gloss=0.16)


def metal_black(colour: Colour, accent: Colour, seed: int) -> Material:
    """Powder-coated steel in any colour."""
    return Material(colour, gloss=0.3)


def ceramic(colour: Colour, accent: Colour, seed: int) -> Material:
    """Unglazed stoneware: matte, faintly mottled and speckled."""
    speckle = np.clip(noise(SIZE, SIZE, seed, 0.2, low_cut=60) - 2.2, 0, 1)[..., None]
    mottle = 1 + 0.04 * noise(SIZE, SIZE, seed + 1, 1.2)[..., None]
    return Material(_safe(np.asarray(colour, np.float32) * mottle * (1 - 0.35 * speckle)), metres=0.5, gloss=0.45)


def lampshade(colour: Colour, accent: Colour, seed: int) -> Material:
    """Linen that light shines through."""
    weave = noise(SIZE, SIZE, seed, 0.5, (1, 30), 24) + noise(SIZE, SIZE, seed + 1, 0.5, (30, 1), 24)
    return Material(_safe(np.asarray(colour, np.float32) * (1 + 0.035 * weave[..., None])), metres=0.4, translucent=0.5)


def leaves(colour: Colour, accent: Colour, seed: int) -> Material:
    """Sixteen leaves with veins in `accent`, each of its own green; the last row has pale margins instead."""
    rng = np.random.default_rng(seed)
    light = accent if accent != colour else _mixed(colour, (0.62, 0.66, 0.30), 0.3)
    cell = SIZE // 4
    along, across = np.mgrid[0:cell, 0:cell].astype(np.float32) / cell
    side = np.abs(across - 0.5) * 2
    midrib = np.exp(-((side / 0.05) ** 2))
    veins = np.exp(-((((along - 0.35 * side) * 9 % 1 - 0.5) / 0.12) ** 2)) * (side < 0.95)
    margin = np.clip((side - 0.66) / 0.1, 0, 1)
    bands = np.clip(noise(cell, cell, seed + 3, 1.2, (1.0, 4.0)) * 0.4, -1, 1)
    sheet = np.empty((SIZE, SIZE, 3), np.float32)
    for row in range(4):
        for column in range(4):
            share = 0.75 * margin + 0.18 * np.abs(bands) if row == 3 else 0.6 * midrib + 0.16 * veins
            tone = np.array([1 + rng.normal(0, 0.09), 1 + rng.normal(0, 0.05), 1], np.float32) * rng.normal(1, 0.13)
            mottle = 1 + 0.06 * noise(cell, cell, int(rng.integers(1 << 30)), 1.2)[..., None]
            picture = tinted(share, colour, light) * tone * mottle
            sheet[row * cell : (row + 1) * cell, column * cell : (column + 1) * cell] = picture
    return Material(_safe(sheet), metres=1.0, gloss=0.32, translucent=0.3)


def soil(colour: Colour, accent: Colour, seed: int) -> Material:
    """Potting soil: crumbs."""
    crumbs = 0.5 + 0.3 * noise(SIZE, SIZE, seed, 0.5, low_cut=20)
    return Material(tinted(crumbs, _scaled(colour, 0.4), _scaled(colour, 1.5)), metres=0.4)


def bark(colour: Colour, accent: Colour, seed: int) -> Material:
    """Bark ridged along the stem."""
    ridges = noise(SIZE, SIZE, seed, 1.0, (1.0, 5.0))
    return Material(_safe(tinted(0.5 + 0.25 * ridges, _scaled(colour, 0.55), _scaled(colour, 1.35))), metres=0.35)


def paper(colour: Colour, accent: Colour, seed: int) -> Material:
    """Matte card, mats and pages."""
    fibre = 1 + 0.012 * noise(256, 256, seed, 0.6)[..., None]
    return Material(_safe(np.asarray(colour, np.float32) * fibre), metres=0.3)


SURFACES: Mapping[str, Callable[[Colour, Colour, int], Material]] = {
    "wood": wood,
    "wood_dark": wood_dark,
    "metal_black": metal_black,
    "ceramic": ceramic,
    "lampshade": lampshade,
    "leaves": leaves,
    "soil": soil,
    "bark": bark,
    "paper": paper,
    **PICTURES,
}


def _grain(colour: Colour, accent: Colour, seed: int, strength: float) -> Image:
    """Reflectance of boards: broad tone, growth lines that open into arches here and there, and short dark pores."""
    dark = accent if accent != colour else _scaled(colour, 0.52)
    broad = noise(SIZE, SIZE, seed, 1.7, (1.0, 7.0))
    wave = noise(SIZE, SIZE, seed + 1, 1.9, (1.0, 4.0))
    rows = np.arange(SIZE, dtype=np.float32)[:, None] / SIZE
    rings = 0.5 + 0.5 * np.sin(2 * np.pi * (22 * rows + 0.9 * wave + 0.35 * broad))
    pores = np.clip(noise(SIZE, SIZE, seed + 2, 0.45, (1.0, 26.0), 30) - 0.7, 0, 1.5)
    fine = noise(SIZE, SIZE, seed + 3, 0.8, (1.0, 40.0), 14)
    level = 0.30 * rings**3 + 0.28 * pores * (0.5 + rings) + 0.07 * fine + 0.12 * broad
    level = strength * np.clip(level + 0.12, 0, 1)
    tone = 1 + 0.05 * noise(SIZE, SIZE, seed + 4, 1.8, (1.0, 3.0))[..., None]
    return _safe(tinted(level, colour, dark) * tone)


def _safe(reflectance: Image) -> Image:
    return np.clip(reflectance, 0.004, 0.9).astype(np.float32)


def _scaled(colour: Colour, factor: float) -> Colour:
    red, green, blue = (min(0.9, channel * factor) for channel in colour)
    return red, green, blue


def _mixed(colour: Colour, other: Colour, share: float) -> Colour:
    red, green, blue = (a * (1 - share) + b * share for a, b in zip(colour, other, strict=True))
    return red, green, blue
