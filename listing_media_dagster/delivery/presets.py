"""The sizes photos are delivered in, and how one picture becomes each of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from listing_media_dagster.listing import fingerprint
from listing_media_dagster.photo import encode

Rgb = NDArray[np.uint8]

VERSION = "1"
"""Bumped whenever a size comes out different for another reason than its own numbers or `encode.VERSION`."""


class UnknownOutput(ValueError):
    """A delivery size nobody knows; the message lists those there are."""


@dataclass(frozen=True)
class Size:
    """One file made of a photo. `long_edge` None keeps every pixel; `crop` is width and height of a frame to fill."""

    long_edge: int | None = None
    crop: tuple[int, int] | None = None
    media_type: Literal["image/jpeg", "image/webp"] = "image/jpeg"
    quality: int = 92
    max_bytes: int | None = None
    dpi: int | None = None
    suffix: str = ""

    @property
    def extension(self) -> str:
        return {"image/jpeg": ".jpg", "image/webp": ".webp"}[self.media_type]

    def fingerprint(self, image_sha256: str) -> str:
        """Identify the bytes this size of that image has."""
        return fingerprint(image=image_sha256, size=asdict(self), code=[VERSION, encode.VERSION])


@dataclass(frozen=True)
class Preset:
    name: str
    title: str
    description: str
    sizes: tuple[Size, ...]


def _webp(long_edge: int, quality: int) -> Size:
    return Size(long_edge, media_type="image/webp", quality=quality, suffix=f"-{long_edge}")


# MLS: 2048 px suits every system looked at, most cap a file at 3 MB and up
PRESETS = {
    preset.name: preset
    for preset in (
        Preset("original", "Full resolution", "full resolution, JPEG quality 95", (Size(quality=95),)),
        Preset("print", "Print", "full resolution, tagged 300 dpi", (Size(quality=95, dpi=300),)),
        Preset("mls", "MLS", "2048 px, at most 3 MB, for MLS upload", (Size(2048, max_bytes=3_000_000),)),
        Preset("mls_1024", "MLS, small", "1024 px for older MLS systems", (Size(1024, max_bytes=1_000_000),)),
        Preset(
            "web",
            "Web",
            "1600, 800 and 400 px for websites and the gallery",
            (Size(1600, quality=88), _webp(1600, 82), _webp(800, 80), _webp(400, 78)),
        ),
        Preset(
            "social",
            "Social media",
            "1080×1350 and 1080×1920 px for social media, cropped to the middle",
            (Size(crop=(1080, 1350), quality=90), Size(crop=(1080, 1920), quality=90, suffix="-story")),
        ),
    )
}
DEFAULT_OUTPUTS = ("mls", "web")
GALLERY_PRESET = "web"


def choose_presets(outputs: Sequence[str] | None) -> tuple[Preset, ...]:
    """Return the presets named, in order and each once; None means `DEFAULT_OUTPUTS`. `web` is always among them,
    since the gallery shows its files. Raises `UnknownOutput`.
    """
    wanted = tuple(DEFAULT_OUTPUTS if outputs is None else outputs)
    for name in wanted:
        if name not in PRESETS:
            raise UnknownOutput(f"{name!r} is no delivery size: choose from {', '.join(PRESETS)}")
    return tuple(PRESETS[name] for name in dict.fromkeys((*wanted, GALLERY_PRESET)))


def encode_sizes(rgb: Rgb, sizes: Sequence[Size]) -> Iterator[tuple[Size, bytes, tuple[int, int]]]:
    """Yield each of `sizes` with its file's bytes and (width, height), made of `rgb` (uint8 (H, W, 3), sRGB).

    Largest first, each reduced from the one before: a 12 MP photo is read through once.
    """
    reduced = rgb
    for size in sorted(sizes, key=lambda size: -(size.long_edge or 10**9)):
        if size.crop is not None:
            picture = _filling(rgb, size.crop)
        elif size.long_edge is not None:
            picture = reduced = encode.resize_to_long_edge(reduced, size.long_edge)
        else:
            picture = rgb
        yield size, _encoded(picture, size), (picture.shape[1], picture.shape[0])


def _encoded(rgb: Rgb, size: Size) -> bytes:
    if size.media_type == "image/webp":
        return encode.encode_webp(rgb, size.quality)
    if size.max_bytes is not None:
        return encode.encode_within(rgb, size.max_bytes, size.quality)
    return encode.encode_jpeg(rgb, size.quality, dpi=size.dpi)


def _filling(rgb: Rgb, frame: tuple[int, int]) -> Rgb:
    """Cut the largest middle part of the frame's shape and reduce it to the frame (never enlarged)."""
    height, width = rgb.shape[:2]
    across = min(width, round(height * frame[0] / frame[1]))
    down = min(height, round(width * frame[1] / frame[0]))
    left, top = (width - across) // 2, (height - down) // 2
    return encode.resize_to_long_edge(rgb[top : top + down, left : left + across], max(frame))
