"""Wood, metal, stone, glass, ceramics, lacquer and leaves.

Grain runs along u. `leaves`, `book_covers`, `toy_colours` and the pictures are sheets of 4 x 4 (2 x 2) cells over 1 m
of uv, of which each leaf, book or canvas takes one (`joinery.in_cell`).
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
    mottle = 1 + 0.025 * noise(SIZE, SIZE, seed + 1, 1.2)[..., None]
    return Material(_safe(np.asarray(colour, np.float32) * mottle * (1 - 0.35 * speckle)), metres=0.5, gloss=0.45)


def lampshade(colour: Colour, accent: Colour, seed: int) -> Material:
    """Linen that light shines through."""
    weave = noise(SIZE, SIZE, seed, 0.5, (1, 30), 24) + noise(SIZE, SIZE, seed + 1, 0.5, (30, 1), 24)
    return Material(_safe(np.asarray(colour, np.float32) * (1 + 0.035 * weave[..., None])), metres=0.4, translucent=0.4)


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


def reclaimed_wood(colour: Colour, accent: Colour, seed: int) -> Material:
    """Old boards: strong grain, weathered patches, nail holes and saw marks."""
    worn = np.clip(0.5 + 0.35 * noise(SIZE, SIZE, seed + 7, 1.4, (1.0, 3.0)), 0, 1)[..., None]
    grey = np.float32(np.mean(colour)) * np.array((1.05, 1.0, 0.93), np.float32)
    saw = 1 + 0.05 * noise(SIZE, SIZE, seed + 8, 0.4, (30.0, 1.0), 40)[..., None]
    holes = np.clip(noise(SIZE, SIZE, seed + 9, 0.7, low_cut=35) - 3.4, 0, 1)[..., None]
    boards = _grain(colour, accent, seed, 0.95) * (1 - 0.3 * worn) + grey * 0.3 * worn
    return Material(_safe(boards * saw * (1 - 0.8 * holes)), metres=1.15, gloss=0.45)


def veneer(colour: Colour, accent: Colour, seed: int) -> Material:
    """Figured burl under varnish: swirling eyes in `accent`."""
    dark = accent if accent != colour else _scaled(colour, 0.42)
    warp = noise(SIZE, SIZE, seed, 2.1)
    swirl = np.sin(9.0 * warp + 1.6 * noise(SIZE, SIZE, seed + 1, 1.9, low_cut=4))
    eyes = np.clip(noise(SIZE, SIZE, seed + 2, 0.9, low_cut=12) - 1.4, 0, 1)
    fine = noise(SIZE, SIZE, seed + 3, 0.8, (1.0, 8.0), 20)
    return Material(_safe(tinted(0.32 + 0.2 * swirl + 0.35 * eyes + 0.05 * fine, colour, dark)), metres=0.9, gloss=0.12)


def painted_wood(colour: Colour, accent: Colour, seed: int) -> Material:
    """Eggshell paint over wood whose grain still shows a little."""
    grain = 1 - 0.05 * np.clip(noise(SIZE, SIZE, seed, 0.6, (1.0, 22.0), 16), -1, 1)[..., None]
    return Material(_safe(np.asarray(colour, np.float32) * grain), metres=1.0, gloss=0.26)


def lacquer(colour: Colour, accent: Colour, seed: int) -> Material:
    """Deep gloss paint."""
    return Material(colour, gloss=0.06)


def plastic(colour: Colour, accent: Colour, seed: int) -> Material:
    """Moulded polypropylene: satin."""
    return Material(colour, gloss=0.22)


def screen(colour: Colour, accent: Colour, seed: int) -> Material:
    """A television that is off: dark, its reflections dimmed as by the coating of real ones."""
    return Material(_scaled(colour, 0.12), gloss=0.06, coating=0.3)


def metal_brushed(colour: Colour, accent: Colour, seed: int) -> Material:
    """Steel or nickel brushed along u."""
    streaks = 1 + 0.09 * noise(SIZE, SIZE, seed, 0.35, (1.0, 60.0), 20)[..., None]
    return Material(_safe(np.asarray(colour, np.float32) * streaks), metres=0.3, gloss=0.3, metal=True)


def brass(colour: Colour, accent: Colour, seed: int) -> Material:
    """Satin brass, bronze or copper."""
    patina = 1 + 0.05 * noise(256, 256, seed, 1.3)[..., None]
    return Material(_safe(np.asarray(colour, np.float32) * patina), metres=0.6, gloss=0.22, metal=True)


def chrome(colour: Colour, accent: Colour, seed: int) -> Material:
    """Polished metal."""
    return Material(colour, gloss=0.08, metal=True)


def mirror(colour: Colour, accent: Colour, seed: int) -> Material:
    """Silvered glass; `colour` tints it."""
    return Material(colour, gloss=0.015, metal=True)


def glass(colour: Colour, accent: Colour, seed: int) -> Material:
    """A clear pane."""
    return Material((0.97, 0.985, 0.975), clear=True)


def smoked_glass(colour: Colour, accent: Colour, seed: int) -> Material:
    """A pane tinted in `colour`."""
    return Material(colour, clear=True)


def marble(colour: Colour, accent: Colour, seed: int) -> Material:
    """Polished stone with branching veins in `accent`."""
    vein = accent if accent != colour else _scaled(colour, 0.45)
    level = 0.05 + 0.06 * np.clip(noise(SIZE, SIZE, seed + 9, 1.5), -1, 1)
    for k, (width, strength) in enumerate(((0.055, 0.75), (0.03, 0.5), (0.12, 0.3))):
        field = noise(SIZE, SIZE, seed + k, 2.5, (1.0, 1.6)) + 0.07 * noise(SIZE, SIZE, seed + 20 + k, 1.7, low_cut=5)
        fade = np.clip(0.45 + 0.5 * noise(SIZE, SIZE, seed + 40 + k, 1.6), 0, 1)
        level = level + strength * fade * np.exp(-np.abs(field - 0.35 * k) / width)
    return Material(_safe(tinted(level, colour, vein)), metres=1.4, gloss=0.07)


def travertine(colour: Colour, accent: Colour, seed: int) -> Material:
    """Honed travertine: soft bands along u and small pits."""
    dark = accent if accent != colour else _scaled(colour, 0.68)
    bands = noise(SIZE, SIZE, seed, 1.3, (1.0, 7.0))
    pits = np.clip(noise(SIZE, SIZE, seed + 1, 0.8, (1.0, 2.5), 18) - 1.9, 0, 1)
    level = 0.3 + 0.22 * bands + 0.08 * noise(SIZE, SIZE, seed + 2, 0.8, (1.0, 4.0), 10)
    return Material(_safe(tinted(level, colour, dark) * (1 - 0.55 * pits[..., None])), metres=0.9, gloss=0.4)


def concrete(colour: Colour, accent: Colour, seed: int) -> Material:
    """Cast concrete: clouds and pinholes."""
    clouds = 1 + 0.10 * noise(SIZE, SIZE, seed, 1.4)[..., None] + 0.03 * noise(SIZE, SIZE, seed + 1, 0.4)[..., None]
    holes = np.clip(noise(SIZE, SIZE, seed + 2, 0.6, low_cut=40) - 3.1, 0, 1)[..., None]
    return Material(_safe(np.asarray(colour, np.float32) * clouds * (1 - 0.6 * holes)), metres=0.8, gloss=0.5)


def glazed_ceramic(colour: Colour, accent: Colour, seed: int) -> Material:
    """Glossy glaze that breaks a little darker here and there."""
    pooled = 1 + 0.07 * noise(SIZE, SIZE, seed, 1.5)[..., None]
    return Material(_safe(np.asarray(colour, np.float32) * pooled), metres=0.6, gloss=0.06)


def wicker(colour: Colour, accent: Colour, seed: int) -> Material:
    """Basketwork: strands over and under stakes 2.5 cm apart."""
    return _woven(colour, accent, seed, stakes=8, strands=20, metres=0.2)


def rattan(colour: Colour, accent: Colour, seed: int) -> Material:
    """Finely woven rattan."""
    return _woven(colour, accent, seed, stakes=16, strands=24, metres=0.16)


def cane(colour: Colour, accent: Colour, seed: int) -> Material:
    """Chair cane: an octagonal open weave, 14 mm from hole to hole."""
    size, across = 512, 8
    v, u = np.mgrid[0:size, 0:size].astype(np.float32) / size * across
    opacity = np.zeros((size, size), np.float32)
    for distance, half in (
        (np.abs(u % 1 - 0.5), 0.13),
        (np.abs(v % 1 - 0.5), 0.13),
        (np.abs((u + v) % 1 - 0.5), 0.11),
        (np.abs((u - v) % 1 - 0.5), 0.11),
    ):
        opacity = np.maximum(opacity, np.clip((half - distance) * 18 + 0.5, 0, 1))
    tone = 1 + 0.07 * noise(size, size, seed, 0.8)[..., None]
    return Material(_safe(np.asarray(colour, np.float32) * tone), metres=0.112, gloss=0.35, opacity=opacity)


def candle(colour: Colour, accent: Colour, seed: int) -> Material:
    """Wax."""
    return Material(colour, gloss=0.35)


def book_covers(colour: Colour, accent: Colour, seed: int) -> Material:
    """Sixteen spines: cloth in `colour`, `accent` and quiet neutrals, each with a title."""
    rng = np.random.default_rng(seed)
    quiet = [(0.72, 0.68, 0.60), (0.52, 0.46, 0.38), (0.83, 0.81, 0.77), (0.16, 0.155, 0.15), (0.30, 0.31, 0.31)]
    tones = [colour, accent, _mixed(colour, (0.8, 0.77, 0.7), 0.55), _mixed(accent, (0.8, 0.77, 0.7), 0.4), *quiet]
    cell = SIZE // 4
    sheet = np.empty((SIZE, SIZE, 3), np.float32)
    for k in range(16):
        tone = np.asarray(tones[k % len(tones)], np.float32) * rng.uniform(0.85, 1.1)
        picture = tone * (1 + 0.04 * noise(cell, cell, seed + k, 0.4)[..., None])
        title = 0.8 if tone.mean() < 0.35 else 0.12
        for top, bottom, width in ((0.60, 0.64, 0.5), (0.67, 0.685, 0.3), (0.16, 0.19, 0.12)):
            rows, half = slice(int(top * cell), int(bottom * cell)), int(width * cell / 2)
            spot = picture[rows, cell // 2 - half : cell // 2 + half]
            spot[:] = 0.55 * spot + 0.45 * title
        sheet[k // 4 * cell : (k // 4 + 1) * cell, k % 4 * cell : (k % 4 + 1) * cell] = picture
    return Material(_safe(sheet), metres=1.0, gloss=0.4)


def toy_colours(colour: Colour, accent: Colour, seed: int) -> Material:
    """Sixteen cells of matte toy paint round `colour` and `accent`."""
    rng = np.random.default_rng(seed)
    cream, wood_tone = (0.8, 0.75, 0.66), (0.55, 0.38, 0.22)
    tones = [colour, accent, cream, wood_tone, _mixed(colour, cream, 0.5), _mixed(accent, cream, 0.5)]
    sheet = np.array([np.asarray(tones[k % len(tones)]) * rng.uniform(0.92, 1.05) for k in range(16)], np.float32)
    return Material(_safe(sheet.reshape(4, 4, 3).repeat(32, 0).repeat(32, 1)), metres=1.0, gloss=0.3)


def canvas(colour: Colour, accent: Colour, seed: int) -> Material:
    """Cotton canvas of tents and toys: thin enough to glow."""
    weave = noise(SIZE, SIZE, seed, 0.4, (1, 24), 30) + noise(SIZE, SIZE, seed + 1, 0.4, (24, 1), 30)
    return Material(_safe(np.asarray(colour, np.float32) * (1 + 0.03 * weave[..., None])), metres=0.4, translucent=0.25)


def plush(colour: Colour, accent: Colour, seed: int) -> Material:
    """Short fur of soft toys."""
    tufts = noise(SIZE, SIZE, seed, 0.6, low_cut=24)
    fur = _safe(np.asarray(colour, np.float32) * (1 + 0.12 * tufts[..., None]))
    return Material(
        fur, metres=0.25, sheen=0.6, relief=np.clip(0.5 + 0.2 * tufts, 0, 1).astype(np.float32), depth=0.002
    )


SURFACES: Mapping[str, Callable[[Colour, Colour, int], Material]] = {
    "wood": wood,
    "wood_dark": wood_dark,
    "reclaimed_wood": reclaimed_wood,
    "veneer": veneer,
    "painted_wood": painted_wood,
    "lacquer": lacquer,
    "plastic": plastic,
    "screen": screen,
    "metal_black": metal_black,
    "metal_brushed": metal_brushed,
    "brass": brass,
    "chrome": chrome,
    "mirror": mirror,
    "glass": glass,
    "smoked_glass": smoked_glass,
    "marble": marble,
    "travertine": travertine,
    "concrete": concrete,
    "ceramic": ceramic,
    "glazed_ceramic": glazed_ceramic,
    "wicker": wicker,
    "rattan": rattan,
    "cane": cane,
    "lampshade": lampshade,
    "leaves": leaves,
    "bark": bark,
    "soil": soil,
    "paper": paper,
    "candle": candle,
    "book_covers": book_covers,
    "toy_colours": toy_colours,
    "canvas": canvas,
    "plush": plush,
    **PICTURES,
}


def _woven(colour: Colour, accent: Colour, seed: int, stakes: int, strands: int, metres: float) -> Material:
    """Strands (rows) that pass over and under `stakes` (columns) by turns, in `metres`."""
    dark = accent if accent != colour else _scaled(colour, 0.42)
    v, u = np.mgrid[0:512, 0:512].astype(np.float32) / 512
    row = np.floor(v * strands)
    wave = np.sin(np.pi * (u * stakes + row))
    height = np.sin(np.pi * (v * strands % 1)) ** 0.6 * (0.45 + 0.55 * np.abs(wave) ** 0.7 * (wave > 0))
    tone = 1 + 0.10 * np.random.default_rng(seed).standard_normal(strands)[row.astype(int)][..., None]
    fibre = 1 + 0.06 * noise(512, 512, seed, 0.6, (1.0, 12.0), 16)[..., None]
    shade = tinted(np.clip(height * 1.3, 0, 1), _scaled(dark, 0.9), _scaled(colour, 1.08))
    relief = height.astype(np.float32)
    return Material(_safe(shade * tone * fibre), metres=metres, gloss=0.4, relief=relief, depth=0.004)


def _grain(colour: Colour, accent: Colour, seed: int, strength: float) -> Image:
    """Reflectance of boards: broad tone, growth lines that open into arches here and there, and short dark pores."""
    dark = accent if accent != colour else _scaled(colour, 0.52)
    broad = noise(SIZE, SIZE, seed, 1.7, (1.0, 7.0))
    wave = noise(SIZE, SIZE, seed + 1, 2.1, (1.0, 7.0))
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
