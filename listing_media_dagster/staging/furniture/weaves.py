"""What cloth and carpets are made of, as tileable fields: threads, nubs, tufts, and dye.

Fields are float32 (PIXELS, PIXELS); heights run 0..1, tones are deviations about 0 that `dyed` multiplies a colour by.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from listing_media_dagster.path_tracer.materials import Image
from listing_media_dagster.path_tracer.textures import noise

PIXELS = 768


def dyed(colour: Sequence[float] | Image, tone: Image) -> Image:
    """Linear `colour` (one, or a picture of it) times 1 + `tone`, kept within what cloth reflects.

    The tone's mean is taken off first, so that the cloth is as light as its colour on the whole.
    """
    level = 1 + tone - float(tone.mean())
    return np.clip(np.asarray(colour, np.float32) * level[..., None], 0.004, 0.88).astype(np.float32)


def field(seed: int, roughness: float, stretch: tuple[float, float] = (1.0, 1.0), low_cut: float = 0.0) -> Image:
    return noise(PIXELS, PIXELS, seed, roughness, stretch, low_cut)


def grid() -> tuple[Image, Image]:
    """Coordinates u, v across and down a texture, 0..1."""
    v, u = np.mgrid[0:PIXELS, 0:PIXELS].astype(np.float32) / PIXELS
    return u, v


def threads(count: int, seed: int, unevenness: float = 0.35) -> tuple[Image, Image]:
    """Plain weave of `count` threads each way (even): height and each thread's tone."""
    u, v = grid()
    wander = 0.12 / count
    u = u + wander * field(seed, 1.2, (1.0, 3.0), 6)
    v = v + wander * field(seed + 1, 1.2, (3.0, 1.0), 6)
    warp, weft = np.sin(np.pi * u * count) ** 2, np.sin(np.pi * v * count) ** 2
    over = (np.floor(u * count) + np.floor(v * count)) % 2 > 0
    height = np.where(over, warp * (0.35 + 0.65 * np.sqrt(weft)), weft * (0.35 + 0.65 * np.sqrt(warp)))
    down, along = field(seed + 2, 0.45, (1.0, 24.0), 10), field(seed + 3, 0.45, (24.0, 1.0), 10)
    tone = unevenness * np.where(over, down, along) + 0.4 * unevenness * (down + along)
    return height.astype(np.float32), tone.astype(np.float32)


def nubs(count: int, seed: int, jitter: float = 0.45) -> tuple[Image, Image]:
    """`count` by `count` round nubs, jostled: height (1 in a nub's middle) and a tone that is each nub's own."""
    rng = np.random.default_rng(seed)
    place = 0.5 + rng.uniform(-jitter, jitter, (count, count, 2)).astype(np.float32)
    own = rng.standard_normal((count, count)).astype(np.float32)
    along = np.arange(PIXELS, dtype=np.float32) * np.float32(count / PIXELS)
    cell = np.floor(along).astype(int)
    within = (along - cell).astype(np.float32)
    nearest = np.full((PIXELS, PIXELS), 9.0, np.float32)
    tone = np.zeros_like(nearest)
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            rows, columns = (cell + dy) % count, (cell + dx) % count
            x, y, new = (each.take(rows, 0).take(columns, 1) for each in (place[..., 0], place[..., 1], own))
            away = (within - dx - x) ** 2 + (within[:, None] - dy - y) ** 2
            closer = away < nearest
            np.copyto(tone, new, where=closer)
            np.minimum(nearest, away, out=nearest)
    return np.clip(1 - nearest, 0, 1), tone


def ruffled(picture: Image, seed: int, reach: float) -> Image:
    """Shift each pixel of a picture by up to about `reach` pixels, each tuft on its own: edges as tufts make them."""
    v, u = np.mgrid[0 : picture.shape[0], 0 : picture.shape[1]].astype(np.float32)
    size = picture.shape[0]
    shift = [reach * noise(size, size, seed + i, 0.5, low_cut=size / 8) for i in (0, 1)]
    moved: NDArray[np.float32] = cv2.remap(
        np.pad(picture, ((8, 8), (8, 8), *((0, 0),) * (picture.ndim - 2)), "wrap"),
        np.clip(u + shift[0], -8, size + 7) + 8,
        np.clip(v + shift[1], -8, size + 7) + 8,
        cv2.INTER_LINEAR,
    ).astype(np.float32)
    return moved
