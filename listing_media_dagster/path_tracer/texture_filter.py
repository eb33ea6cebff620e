"""Textures averaged over what each pixel shows of them, so that fine ones turn into their mean and not into noise.

A pixel's footprint on a texture is a parallelogram. Its short side picks a level of a pyramid of ever smaller copies
(Williams 1983), along its long side several places of that level are averaged (anisotropic filtering).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from listing_media_dagster.path_tracer.materials import Image

SHARPER = 0.8  # of a footprint's sides: interpolation between texels softens, too
TAPS = 6  # places along a footprint's long side; it may be so many times longer than what the level shows
LONGEST_ROW = 30_000  # points: `cv2.remap` takes no longer rows
WIDEST = 8  # px: the pyramid's smallest copy


@dataclass(frozen=True)
class Pyramid:
    """A texture that repeats every `metres`, and its copies each half as large as the one before."""

    levels: tuple[Image, ...]
    metres: float

    def averaged(self, uv: Image, along_x: Image, along_y: Image) -> Image:
        """Return the texture (N, 3) over footprints round `uv` (N, 2) m with sides `along_x`, `along_y` (N, 2) m."""
        height, width = self.levels[0].shape[:2]
        texels = np.array([width, height], np.float32) / np.float32(self.metres)
        sides = np.stack([along_x, along_y], 1) * texels * np.float32(SHARPER)
        lengths = np.linalg.norm(sides, axis=2)
        longer = (lengths[:, 1] > lengths[:, 0]).astype(int)
        rows = np.arange(len(uv))
        major, longest = sides[rows, longer], lengths[rows, longer]
        area = np.abs(sides[:, 0, 0] * sides[:, 1, 1] - sides[:, 0, 1] * sides[:, 1, 0])
        wide = np.maximum(np.maximum(area / np.maximum(longest, 1e-6), longest / TAPS), 1.0)
        level = np.clip(np.ceil(np.log2(wide) - 0.5), 0, len(self.levels) - 1).astype(int)
        # what the level's own texels cover is left out of the way along the long side
        reach = np.sqrt(np.maximum(1 - (wide / np.maximum(longest, 1e-6)) ** 2, 0))
        place = uv * texels
        found = np.empty((len(uv), self.levels[0].shape[2]), np.float32)
        for number in np.unique(level):
            some = np.flatnonzero(level == number)
            offset = major[some] * reach[some, None]
            taps = (np.arange(TAPS) + 0.5) / TAPS - 0.5 if float(longest[some].max()) > 1 else np.zeros(1)
            found[some] = sum(_looked_up(self.levels[number], place[some] + tap * offset, number) for tap in taps)
            found[some] /= len(taps)
        return found


def pyramid(texture: Image, metres: float) -> Pyramid:
    """Return the pyramid of a texture (H, W, 3)."""
    levels = [np.ascontiguousarray(texture, np.float32)]
    while min(levels[-1].shape[:2]) > WIDEST:
        height, width = levels[-1].shape[:2]
        size = (max(1, width // 2), max(1, height // 2))
        levels.append(np.asarray(cv2.resize(levels[-1], size, interpolation=cv2.INTER_AREA), np.float32))
    return Pyramid(tuple(levels), metres)


def _looked_up(level: Image, place: Image, number: int) -> Image:
    """Return the texture (N, 3) of one level at places (N, 2) in texels of the first, repeated without end."""
    height, width = level.shape[:2]
    columns = np.mod(place[:, 0] * np.float32(0.5**number) - 0.5, width).astype(np.float32)
    rows = np.mod(place[:, 1] * np.float32(0.5**number) - 0.5, height).astype(np.float32)
    wrapped = cv2.copyMakeBorder(level, 0, 1, 0, 1, cv2.BORDER_WRAP)
    found = [
        cv2.remap(wrapped, columns[None, first : first + LONGEST_ROW], rows[None, first : first + LONGEST_ROW], 1)[0]
        for first in range(0, len(place), LONGEST_ROW)
    ]
    return np.concatenate(found).reshape(len(place), -1)
