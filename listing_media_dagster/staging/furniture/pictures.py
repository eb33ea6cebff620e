"""Pictures for the walls, painted from a seed: each is a sheet of 2 x 2 related pictures over 1 m of uv.

`colour` is the ground, `accent` what is painted on it, with a second tone that answers it; a frame crops the middle of
one cell, so nothing vital is at its rim.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from listing_media_dagster.path_tracer.materials import Colour, Image, Material
from listing_media_dagster.path_tracer.textures import noise

PAPER = np.array((0.84, 0.81, 0.745), np.float32)
CELL = 512  # px of one picture

Tones = NDArray[np.float32]
Spot = Sequence[float] | NDArray[np.float64]


def art_abstract(colour: Colour, accent: Colour, seed: int) -> Material:
    """Calm overlapping shapes, as cut from painted paper."""
    return _sheet(colour, accent, seed, _abstract)


def art_lines(colour: Colour, accent: Colour, seed: int) -> Material:
    """Arches, waves and loops in one brush's width."""
    return _sheet(colour, accent, seed, _lines)


def art_botanical(colour: Colour, accent: Colour, seed: int) -> Material:
    """A pressed branch in two tones of watercolour."""
    return _sheet(colour, accent, seed, _botanical)


def art_landscape(colour: Colour, accent: Colour, seed: int) -> Material:
    """Hills that fade into haze under a low sun."""
    return _sheet(colour, accent, seed, _landscape)


PICTURES: Mapping[str, Callable[[Colour, Colour, int], Material]] = {
    "art_abstract": art_abstract,
    "art_lines": art_lines,
    "art_botanical": art_botanical,
    "art_landscape": art_landscape,
}


def _sheet(
    colour: Colour, accent: Colour, seed: int, paint: Callable[[Tones, Tones, Tones, int, np.random.Generator], Image]
) -> Material:
    ground, first, second = _tones(colour, accent)
    sheet = np.empty((2 * CELL, 2 * CELL, 3), np.float32)
    grain = 1 + 0.012 * noise(CELL, CELL, seed, 0.5)[..., None]
    for cell in range(4):
        picture = paint(ground, first, second, cell, np.random.default_rng(seed * 4 + cell))
        row, column = cell // 2 * CELL, cell % 2 * CELL
        sheet[row : row + CELL, column : column + CELL] = picture * grain
    return Material(np.clip(sheet, 0.004, 0.9)[::-1].copy(), metres=1.0)


def _tones(colour: Colour, accent: Colour) -> tuple[Tones, Tones, Tones]:
    """The ground, made pale enough to paint on; the accent; and a tone that answers it: dark to light, sand to ink."""
    ground = np.asarray(colour, np.float32)
    dark = max(0.0, 0.55 - float(ground.mean())) / 0.55
    first = np.asarray(accent, np.float32) if accent != colour else 0.3 * ground
    second = 0.28 * first + 0.01 if float(first.mean()) > 0.07 else np.array((0.44, 0.31, 0.20), np.float32)
    return ground * (1 - dark) + PAPER * dark, first, second.astype(np.float32)


def _abstract(ground: Tones, first: Tones, second: Tones, cell: int, rng: np.random.Generator) -> Image:
    picture = _washed(ground, 0.02, rng)
    pale = 0.45 * first + 0.55 * ground
    tan = 0.5 * ground * (1, 0.88, 0.74) + 0.25 * first + 0.1 * second
    tones = [pale, first, tan.astype(np.float32), second]
    middle, sizes = (0.5, 0.52), (0.27, 0.22, 0.18, 0.12)
    for tone, size in zip(tones, sizes, strict=True):
        spot = np.asarray(middle) + rng.uniform(-0.17, 0.17, 2) * (0.8, 1.2)
        picture = _laid(picture, _blob(spot, size * rng.uniform(0.85, 1.15), rng), tone, rng)
    sun = (0.5 + rng.uniform(-0.14, 0.14), 0.24 + rng.uniform(0, 0.08))
    picture = _laid(picture, _disc(sun, rng.uniform(0.06, 0.09)), second if cell % 2 else first, rng)
    arc = [(0.5 + 0.3 * np.cos(a), 0.78 - 0.42 * np.sin(a)) for a in np.linspace(0.15, rng.uniform(1.9, 2.9), 60)]
    return _laid(picture, _stroke(arc, 0.006), 0.5 * second, rng, 0.9)


def _lines(ground: Tones, first: Tones, second: Tones, cell: int, rng: np.random.Generator) -> Image:
    picture = _washed(ground, 0.015, rng)
    t = np.linspace(0, 1, 160)
    if cell == 0:
        for k in range(6):
            radius, a = 0.06 + 0.042 * k, np.pi * t
            legs = [(0.5 - radius, 0.8), *zip(0.5 - radius * np.cos(a), 0.56 - radius * np.sin(a), strict=True)]
            tone = first if k % 3 else second
            picture = _laid(picture, _stroke([*legs, (0.5 + radius, 0.8)], 0.012), tone, rng)
    elif cell == 1:
        bend = rng.uniform(0, 6.3, 3)
        for k in range(13):
            y = 0.24 + 0.043 * k + 0.05 * np.sin(4 * t + bend[0] + 0.13 * k) + 0.02 * np.sin(9 * t + bend[1] - 0.1 * k)
            picture = _laid(picture, _stroke(list(zip(0.12 + 0.76 * t, y, strict=True)), 0.0055), first, rng)
        picture = _laid(picture, _disc((0.64, 0.22), 0.085), second, rng)
    elif cell == 2:
        a, wobble = 2 * np.pi * t, rng.uniform(0, 6.3)
        for k in range(9):
            radius = 0.05 + 0.026 * k
            ring = radius * (1 + 0.10 * np.sin(3 * a + wobble) + 0.06 * np.sin(2 * a + 0.2 * k))
            points = list(zip(0.5 + ring * np.cos(a), 0.5 + 1.15 * ring * np.sin(a), strict=True))
            picture = _laid(picture, _stroke(points, 0.006), second if k == 3 else first, rng)
    else:
        a = 2 * np.pi * t
        for left, top, size, tone in ((0.42, 0.40, 0.17, first), (0.60, 0.50, 0.20, second), (0.46, 0.66, 0.13, first)):
            for reach in (size, 0.82 * size):
                points = list(zip(left + reach * np.cos(a), top + reach * np.sin(a), strict=True))
                picture = _laid(picture, _stroke(points, 0.006), tone, rng)
    return picture


def _turn(rng: np.random.Generator) -> float:
    return float(rng.uniform(0, 6.3))


def _botanical(ground: Tones, first: Tones, second: Tones, cell: int, rng: np.random.Generator) -> Image:
    picture = _washed(ground, 0.015, rng)
    bend = rng.uniform(-0.12, 0.12)
    t = np.linspace(0, 1, 40)
    x, y = 0.5 + bend * np.sin(np.pi * t) + 0.03 * t, 0.86 - 0.7 * t
    stem = list(zip(x, y, strict=True))
    picture = _laid(picture, _stroke(stem, 0.0055), 0.6 * second + 0.2 * first, rng)
    pairs, length, width, rise = (
        (11, 0.17, 0.13, 0.55),
        (8, 0.14, 0.42, 0.5),
        (13, 0.13, 0.24, 0.75),
        (6, 0.24, 0.30, 0.8),
    )[cell]
    for k in range(pairs):
        share = 0.16 + 0.82 * k / pairs
        at = np.array(stem[int(share * 39)])
        for side in (-1, 1):
            reach = length * (1.1 - 0.55 * share) * rng.uniform(0.88, 1.12)
            angle = rise + rng.normal(0, 0.08) + 0.35 * share
            way = np.array([side * np.cos(angle), -np.sin(angle)])
            leaf = first * rng.uniform(0.75, 1.1) if rng.random() < 0.72 else 0.5 * (first + second)
            picture = _laid(picture, _petal(at, way, reach, width * reach), leaf.astype(np.float32), rng, 0.86)
    return _laid(
        picture,
        _petal(np.array(stem[-1]), np.array([0.05, -1.0]), 0.5 * length, 0.5 * width * length),
        first,
        rng,
        0.86,
    )


def _landscape(ground: Tones, first: Tones, second: Tones, cell: int, rng: np.random.Generator) -> Image:
    height = np.linspace(0, 1, CELL, dtype=np.float32)[:, None, None]
    warm = 0.8 * ground + 0.12 * np.array((1.0, 0.82, 0.62), np.float32)
    sky = (0.35 * first + 0.62 * ground) * (1 - height) + warm * np.minimum(1, 1.7 * height)
    picture = np.broadcast_to(np.clip(sky, 0, 0.88), (CELL, CELL, 3)) * _mottle(0.02, rng)
    sun = (rng.uniform(0.35, 0.65), 0.34)
    picture = _laid(picture, _disc(sun, 0.055), np.array((0.9, 0.78, 0.55), np.float32), rng)
    columns = np.linspace(0, 1, CELL)
    for k in range(6):
        depth = k / 5
        base = 0.42 + 0.10 * k
        ridge = sum(
            rng.uniform(0.4, 1) * (0.05 - 0.003 * k) / f * np.sin(2 * np.pi * f * columns + rng.uniform(0, 6.3))
            for f in (0.8, 1.7, 3.1, 6.3)
        )
        edge = (base + ridge + 0.0015 * rng.standard_normal(CELL).cumsum() / 8)[None]
        mask = np.clip((np.linspace(0, 1, CELL)[:, None] - edge) * CELL / 2, 0, 1).astype(np.float32)
        tone = (1 - depth) ** 1.2 * (0.62 * ground + 0.3 * first) + depth * (0.6 * first + 0.1 * second)
        haze = 1 + 0.35 * np.clip(np.linspace(0, 1, CELL)[:, None] - edge, 0, 0.3)[..., None].astype(np.float32) * 2
        picture = picture * (1 - mask[..., None]) + tone * haze * _mottle(0.05, rng) * mask[..., None]
    return np.asarray(picture, np.float32)


def _washed(tone: Tones, strength: float, rng: np.random.Generator) -> Image:
    return (tone * _mottle(strength, rng)).astype(np.float32)


def _mottle(strength: float, rng: np.random.Generator) -> Image:
    field = noise(CELL // 2, CELL // 2, int(rng.integers(1 << 30)), 1.3)  # too soft to need every pixel
    return np.asarray(1 + strength * cv2.resize(field, (CELL, CELL)), np.float32)[..., None]


def _laid(picture: Image, mask: Image, tone: Tones, rng: np.random.Generator, cover: float = 0.95) -> Image:
    """Paint `tone` through `mask`: thicker here than there, as a brush leaves it."""
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    if not len(rows):
        return picture
    spot = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    share = (cover * mask[spot])[..., None]
    slow = cv2.resize(rng.normal(0, 0.06, (5, 5)), share.shape[1::-1], interpolation=cv2.INTER_CUBIC)[..., None]
    result = picture.copy()
    result[spot] = picture[spot] * (1 - share) + tone * (1 + slow) * share
    return result


def _blob(centre: Spot, radius: float, rng: np.random.Generator) -> Image:
    a = np.linspace(0, 2 * np.pi, 120, endpoint=False)
    wave = 1 + 0.2 * np.cos(2 * a + _turn(rng)) + 0.1 * np.cos(3 * a + _turn(rng))
    return _filled(np.column_stack([centre[0] + radius * wave * np.cos(a), centre[1] + radius * wave * np.sin(a)]))


def _disc(centre: Spot, radius: float) -> Image:
    a = np.linspace(0, 2 * np.pi, 96, endpoint=False)
    return _filled(np.column_stack([centre[0] + radius * np.cos(a), centre[1] + radius * np.sin(a)]))


def _petal(start: NDArray[np.float64], way: NDArray[np.float64], length: float, width: float) -> Image:
    t = np.linspace(0, 1, 24)
    swell = width / 2 * np.sin(np.pi * t**0.8) ** 0.9
    spine = start + length * t[:, None] * way / np.linalg.norm(way)
    across = np.array([-way[1], way[0]]) / np.linalg.norm(way)
    return _filled(np.concatenate([spine + swell[:, None] * across, (spine - swell[:, None] * across)[::-1]]))


def _filled(outline: NDArray[np.float64]) -> Image:
    mask = np.zeros((CELL, CELL), np.uint8)
    cv2.fillPoly(mask, [np.round(outline * CELL * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    return np.asarray(mask / 255, np.float32)


def _stroke(points: Sequence[tuple[float, float]], width: float) -> Image:
    mask = np.zeros((CELL, CELL), np.uint8)
    for start, end in pairwise(np.round(np.asarray(points) * CELL).astype(int)):
        cv2.line(mask, start.tolist(), end.tolist(), 255, max(1, round(width * CELL)), cv2.LINE_AA)
    return np.asarray(mask / 255, np.float32)
