"""Image editors that really work on pixels, without weights: honest ones, and ones that fail the way models do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from listing_media_dagster.models.entry import CatalogueEntry
from listing_media_dagster.models.model import EditRequest, ModelFailed, Rgb


def stand_in_entry(name: str, test_only: bool = False) -> CatalogueEntry:
    """Return a catalogue entry for a model that has no files."""
    return CatalogueEntry.model_validate(
        {
            "id": name,
            "title": name,
            "purpose": "stands in for a model in tests",
            "stages": ["staging"],
            "family": "stand-in",
            "licence": "none",
            "commercial_use": "yes",
            "parts": [
                {
                    "role": "all",
                    "loads": "lora",
                    "repo": "nobody/nothing",
                    "files": ["model.safetensors"],
                    "size_mb": 1,
                }
            ],
            "dtypes": ["float32"],
            "cpu_seconds": 1,
            "test_only": test_only,
        }
    )


Draw = Callable[[EditRequest], Rgb]


@dataclass
class StandIn:
    """An editor that draws with `draw`, at `megapixels`, and remembers its batches of requests."""

    draw: Draw
    entry: CatalogueEntry = field(default_factory=lambda: stand_in_entry("stand-in"))
    megapixels: float = 1.0
    weights_sha256: str = "a" * 64
    batches: list[list[EditRequest]] = field(default_factory=list)

    def load(self) -> None: ...

    def unload(self) -> None: ...

    def working_size(self, size: tuple[int, int]) -> tuple[int, int]:
        scale = min(1.0, float(np.sqrt(self.megapixels * 1e6 / (size[0] * size[1]))))
        return max(8, round(size[0] * scale / 8) * 8), max(8, round(size[1] * scale / 8) * 8)

    def edit(self, requests: Sequence[EditRequest], progress: Callable[[int, int], None] | None = None) -> list[Rgb]:
        self.batches.append(list(requests))
        if progress:
            progress(1, 1)
        return [self.draw(request) for request in requests]


def recoloured(request: EditRequest) -> Rgb:
    """Draw what the request starts from, warmer and with more contrast where it may be redrawn, noisy by its seed."""
    start = request.image if request.start is None else request.start
    noise = np.random.default_rng(request.seed).normal(0, 2.0, start.shape)
    warm = (start.astype(np.float32) - 128) * 1.1 + 128 + np.array([14.0, 0.0, -16.0]) + noise
    mask = np.ones(start.shape[:2], np.float32) if request.mask is None else request.mask
    mixed = start + mask[..., None] * (warm - start)
    return np.asarray(np.clip(np.rint(mixed), 0, 255), np.uint8)


def drifted(draw: Draw, px: tuple[float, float], zoom: float, tone: float = 1.0) -> Draw:
    """Return `draw` as an edit model would give it: the whole view moved by `px`, zoomed, and off in tone."""

    def moved(request: EditRequest) -> Rgb:
        picture = draw(request)
        height, width = picture.shape[:2]
        matrix = cv2.getRotationMatrix2D((width / 2, height / 2), 0, zoom)
        matrix[:, 2] += px
        picture = cv2.warpAffine(picture, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
        return np.asarray(np.clip(np.rint(picture.astype(np.float32) * tone), 0, 255), np.uint8)

    return moved


def black(request: EditRequest) -> Rgb:
    return np.zeros_like(request.image)


def out_of_memory(request: EditRequest) -> Rgb:
    raise ModelFailed("ran out of GPU memory even with everything offloaded")


def painting_everything(colour: tuple[int, int, int]) -> Draw:
    """Return an editor that heeds no mask: it mixes a colour into everything and draws bars across."""

    def draw(request: EditRequest) -> Rgb:
        picture = (request.image if request.start is None else request.start).astype(np.float32)
        picture += 0.4 * (np.array(colour, np.float32) - picture)
        picture[::40] = colour
        picture[:, ::60] = colour
        return np.asarray(np.rint(picture), np.uint8)

    return draw


@dataclass
class KnownClasses:
    """A segmenter that knows each picture's ADE20K classes (H, W) in advance, by its size; else all is wall."""

    known: list[NDArray[np.uint8]]
    entry: CatalogueEntry = field(default_factory=lambda: stand_in_entry("known-classes"))
    weights_sha256: str = "b" * 64

    def load(self) -> None: ...

    def unload(self) -> None: ...

    def classes(self, images: Sequence[Rgb]) -> list[NDArray[np.uint8]]:
        by_size = {classes.shape: classes for classes in self.known}
        return [by_size.get(image.shape[:2], np.zeros(image.shape[:2], np.uint8)) for image in images]
