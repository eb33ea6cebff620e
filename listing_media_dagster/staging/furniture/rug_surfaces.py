"""Rugs as materials: pile, flat weave, shag, jute and their patterns.

`rug_border` and `rug_vintage` are pictures of a whole rug `rugs.WHOLE` m square, meant for the design `rug_border`;
the others repeat.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from listing_media_dagster.path_tracer.materials import Colour, Image, Material
from listing_media_dagster.staging.furniture.weaves import dyed, field, grid, nubs, ruffled, threads

CREAM, INK = np.array([0.62, 0.54, 0.43], np.float32), np.array([0.035, 0.04, 0.06], np.float32)


def _pile(seed: int, count: int) -> tuple[Image, Image]:
    """Tufts, `count` along the texture, brushed into lighter and darker patches of a few cm: height and tone."""
    height, own = nubs(count, seed)
    patches = field(seed + 1, 1.2, low_cut=5) + 0.7 * field(seed + 2, 0.8, low_cut=16)
    tone: Image = (0.22 * (height - 0.75) + 0.045 * own + 0.035 * patches).astype(np.float32)
    return height, tone


def rug_pile(colour: Colour, accent: Colour, seed: int) -> Material:
    """Cut pile in tufts of 7 mm."""
    height, tone = _pile(seed, 150)
    return Material(dyed(colour, tone), 1.0, relief=height, depth=0.003, sheen=0.5)


def rug_shag(colour: Colour, accent: Colour, seed: int) -> Material:
    """Long pile that falls over in locks of 2-3 cm."""
    locks, own = nubs(40, seed)
    strands = field(seed + 1, 0.5, (1.0, 4.0), 40)
    height = np.clip(0.75 * locks + 0.1 * strands + 0.1, 0, 1).astype(np.float32)
    tone = 0.36 * (locks - 0.7) + 0.05 * own + 0.09 * strands
    return Material(dyed(colour, tone), 1.0, relief=height, depth=0.009, sheen=0.5)


def rug_flatweave(colour: Colour, accent: Colour, seed: int) -> Material:
    """Weft-faced wool: ribs of 6 mm in yarn of uneven colour."""
    height, tone, _ = _ribs(seed, 140)
    return Material(dyed(colour, tone), 0.84, relief=height, depth=0.0016, sheen=0.35)


def _ribs(seed: int, count: int) -> tuple[Image, Image, Image]:
    u, v = grid()
    rib = np.abs(np.sin(np.pi * v * count + 0.5 * field(seed, 1.4, low_cut=4)))
    beads = np.abs(np.sin(np.pi * (u * count + 0.5 * np.floor(v * count)))) ** 0.5
    yarn = field(seed + 1, 0.5, (30.0, 1.0), 12)
    height = np.clip(0.6 * rib**0.6 + 0.4 * rib * beads, 0, 1).astype(np.float32)
    return height, 0.20 * (height - 0.6) + 0.06 * yarn + 0.025 * field(seed + 2, 0.9, low_cut=8), yarn


def jute(colour: Colour, accent: Colour, seed: int) -> Material:
    """Thick plaited bast: strands of 12 mm, each its own straw colour."""
    height, tone = threads(56, seed, 0.5)
    fibres = field(seed + 8, 0.4, (1.0, 9.0), 30) + field(seed + 9, 0.4, (9.0, 1.0), 30)
    clouds = field(seed + 10, 0.9, low_cut=5)
    level = 0.24 * tone + 0.45 * (height - 0.5) + 0.06 * fibres + 0.07 * clouds
    return Material(dyed(colour, level), 0.66, relief=height, depth=0.004)


def rug_geometric(colour: Colour, accent: Colour, seed: int) -> Material:
    """Berber lattice: hand-drawn diamonds of `accent` on the ground, broken by a second, thinner line."""
    u, v = grid()
    wobble = 0.006 * field(seed + 11, 1.5, low_cut=3), 0.006 * field(seed + 12, 1.5, low_cut=3)
    a = np.abs((2 * (u + wobble[0]) + 2 * (v + wobble[1])) % 1 - 0.5)
    b = np.abs((2 * (u + wobble[0]) - 2 * (v + wobble[1])) % 1 - 0.5)
    line = np.maximum(_stroke(a, 0.0, 0.030), _stroke(b, 0.0, 0.030))
    inner = np.maximum(_stroke(a, 0.17, 0.010) * (b > 0.17), _stroke(b, 0.17, 0.010) * (a > 0.17))
    dots = np.clip((0.055 - np.maximum(np.abs(a - 0.5), np.abs(b - 0.5))) / 0.01, 0, 1)
    return _patterned(colour, accent, np.maximum.reduce([line, inner, dots]), 1.2, seed)


def rug_stripe(colour: Colour, accent: Colour, seed: int) -> Material:
    """Bands across in several widths of `accent` on a flat-woven ground."""
    u, _ = grid()
    inked = np.zeros_like(u)
    for middle, half in (
        (0.10, 0.045),
        (0.185, 0.010),
        (0.36, 0.010),
        (0.43, 0.030),
        (0.50, 0.010),
        (0.74, 0.070),
        (0.86, 0.008),
    ):
        inked = np.maximum(inked, np.clip((half - np.abs(u - middle)) / 0.004, 0, 1))
    height, tone, yarn = _ribs(seed, 200)
    picture = _mixed(colour, accent, ruffled(inked, seed + 3, 1.2) * (0.92 + 0.06 * yarn))
    return Material(dyed(picture, tone), 1.2, relief=height, depth=0.0016, sheen=0.35)


def rug_border(colour: Colour, accent: Colour, seed: int) -> Material:
    """A plain field in a band of `accent` with a thin line inside it; a whole rug."""
    edge = _from_edge()
    inked = np.maximum(_stroke(edge, 0.12, 0.05), _stroke(edge, 0.215, 0.008))
    return _patterned(colour, accent, inked, 2.0, seed, 260)


def rug_vintage(colour: Colour, accent: Colour, seed: int) -> Material:
    """A faded oriental: medallion on an arabesque field, rosettes in the border, worn down to its wool; a whole rug."""
    u, v = grid()
    x, y = np.abs(u - 0.5) * 2.0, np.abs(v - 0.5) * 2.0  # m from the middle: every motif is mirrored both ways
    edge = _from_edge()
    ground, second = np.asarray(colour, np.float32), np.asarray(accent, np.float32)
    third = 0.55 * CREAM + 0.45 * ground
    vine = np.sin(17 * x + 2.4 * np.sin(11 * y)) * np.sin(17 * y + 2.4 * np.sin(11 * x))
    leaf = np.sin(34 * x + 1.6 * np.sin(23 * y + 1)) * np.sin(34 * y + 1.6 * np.sin(23 * x + 1))
    picture = _layered(np.broadcast_to(ground, (*u.shape, 3)), np.clip((vine - 0.42) / 0.08, 0, 1), second)
    picture = _layered(picture, _stroke(vine, 0.28, 0.07), third)
    picture = _layered(picture, np.clip((leaf - 0.66) / 0.08, 0, 1), third)
    radius = np.hypot(x, y) * (1 + 0.08 * np.cos(8 * np.arctan2(y, x)))
    for reach, tint in ((0.46, second), (0.43, third), (0.41, 0.5 * second + 0.5 * INK), (0.25, third), (0.23, ground)):
        picture = _layered(picture, np.clip((reach - radius) / 0.008, 0, 1), tint)
    petals = np.cos(12 * np.arctan2(y, x)) * np.sin(30 * radius)
    picture = _layered(picture, np.clip((petals - 0.35) / 0.1, 0, 1) * (radius < 0.40), third)
    picture = _layered(picture, np.clip((0.34 - edge) / 0.004, 0, 1), 0.65 * second + 0.35 * INK)
    along = np.where(u * (1 - u) < v * (1 - v), y, x)
    rosette = np.hypot((along / 0.16) % 1 - 0.5, (edge - 0.20) / 0.16)
    picture = _layered(picture, np.clip((0.40 - rosette) / 0.05, 0, 1), third)
    picture = _layered(picture, np.clip((0.27 - rosette) / 0.05, 0, 1), ground)
    picture = _layered(picture, np.clip((0.11 - rosette) / 0.04, 0, 1), second)
    for middle, half, tint in (
        (0.325, 0.012, third),
        (0.295, 0.012, ground),
        (0.095, 0.012, third),
        (0.06, 0.018, ground),
    ):
        picture = _layered(picture, _stroke(edge, middle, half), tint)
    bare = np.clip(
        0.30 + 0.20 * field(seed + 21, 1.3, low_cut=2) + 0.08 * field(seed + 22, 0.5, (14.0, 1.0), 20), 0.05, 0.8
    )
    faded = _layered(ruffled(picture, seed + 23, 1.0), bare, 0.45 * CREAM + 0.55 * picture.mean((0, 1)))
    height, tone = _pile(seed, 230)
    return Material(dyed(faded, 0.6 * tone), 2.0, relief=height, depth=0.0015, sheen=0.3)


def _patterned(colour: Colour, accent: Colour, inked: Image, metres: float, seed: int, count: int = 170) -> Material:
    """Cut pile of `count` tufts along the texture in two colours; `inked` 0..1 is where the second shows."""
    height, tone = _pile(seed, count)
    picture = _mixed(colour, accent, ruffled(inked.astype(np.float32), seed + 3, 1.0))
    return Material(dyed(picture, tone), metres, relief=height, depth=0.003, sheen=0.5)


def _mixed(colour: Colour, accent: Colour, share: Image) -> Image:
    return _layered(
        np.broadcast_to(np.asarray(colour, np.float32), (*share.shape, 3)), share, np.asarray(accent, np.float32)
    )


def _layered(picture: Image, share: Image, tint: Image) -> Image:
    mix = np.clip(share, 0, 1)[..., None]
    blend: Image = (picture * (1 - mix) + tint * mix).astype(np.float32)
    return blend


def _stroke(place: Image, middle: float, half: float) -> Image:
    """1 within `half` of `middle`, falling off over a fifth of that."""
    share: Image = np.clip((half - np.abs(place - middle)) / (0.2 * half) + 0.5, 0, 1).astype(np.float32)
    return share


def _from_edge() -> Image:
    """Metres from the nearest edge of a whole rug 2 m square."""
    u, v = grid()
    return (2.0 * np.minimum(np.minimum(u, 1 - u), np.minimum(v, 1 - v))).astype(np.float32)


SURFACES: Mapping[str, Callable[[Colour, Colour, int], Material]] = {
    "rug_pile": rug_pile,
    "rug_shag": rug_shag,
    "rug_flatweave": rug_flatweave,
    "jute": jute,
    "rug_geometric": rug_geometric,
    "rug_stripe": rug_stripe,
    "rug_border": rug_border,
    "rug_vintage": rug_vintage,
}
