"""Photo files as cameras, phones and exporters write them, made here so that every byte is known."""

from __future__ import annotations

import io
import struct
from datetime import datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pillow_heif
from numpy.typing import NDArray
from PIL import Image, ImageCms

SHARED_DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
RGB = NDArray[np.uint8]

# How the rows of an upright picture are stored under each EXIF orientation.
STORE_AS = {
    1: lambda rgb: rgb,
    2: lambda rgb: rgb[:, ::-1],
    3: lambda rgb: rgb[::-1, ::-1],
    4: lambda rgb: rgb[::-1],
    5: lambda rgb: rgb.transpose(1, 0, 2),
    6: lambda rgb: np.rot90(rgb, 1),
    7: lambda rgb: rgb[::-1, ::-1].transpose(1, 0, 2),
    8: lambda rgb: np.rot90(rgb, -1),
}


def four_corners(width: int = 360, height: int = 240) -> RGB:
    """Red, green, blue and grey quarters: no two orientations look alike."""
    rgb = np.empty((height, width, 3), np.uint8)
    rgb[: height // 2, : width // 2] = (200, 40, 40)
    rgb[: height // 2, width // 2 :] = (40, 180, 60)
    rgb[height // 2 :, : width // 2] = (50, 60, 190)
    rgb[height // 2 :, width // 2 :] = (150, 150, 150)
    return rgb


def radiance(room: int, size: tuple[int, int] = (480, 320)) -> NDArray[np.float32]:
    """Linear light of a made-up room: walls, furniture, a bright window; another number, another room."""
    rng = np.random.default_rng(room)
    width, height = size
    light = np.full((height, width, 3), 0.25, np.float32)
    for _ in range(60):
        x, y = int(rng.integers(0, width)), int(rng.integers(0, height))
        wide, tall = int(rng.integers(15, width // 4)), int(rng.integers(15, height // 3))
        light[y : y + tall, x : x + wide] = rng.uniform(0.01, 0.8) * rng.uniform(0.85, 1.0, 3)
    x, y = int(rng.integers(0, width - 120)), int(rng.integers(0, height - 120))
    light[y : y + 90, x : x + 80] = np.linspace(3, 7, 80, dtype=np.float32)[None, :, None]
    return np.asarray(cv2.GaussianBlur(light, (0, 0), 1.2), np.float32)


def expose(light: NDArray[np.float32], ev: float, *, noise: float = 0.004, seed: int = 0) -> RGB:
    """What a camera makes of linear light: clipping, sRGB curve, noise."""
    linear = np.clip(light * 2.0**ev, 0, 1)
    coded = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    coded = coded + np.random.default_rng(seed).normal(0, noise, coded.shape)
    return np.clip(np.rint(coded * 255), 0, 255).astype(np.uint8)


def exif(
    *,
    orientation: int | None = None,
    taken: datetime | None = None,
    seconds: float | None = None,
    f_number: float | None = 8.0,
    iso: int | None = 100,
    model: str = "EOS R5",
    position: bool = False,
    **shot: Any,
) -> bytes:
    """EXIF as a camera writes it; further tags as tag_1234=value."""
    made = Image.Exif()
    made[271], made[272] = "Canon", model
    if orientation is not None:
        made[274] = orientation
    inner = made.get_ifd(0x8769)
    if taken is not None:
        inner[36867] = taken.strftime("%Y:%m:%d %H:%M:%S")
        inner[37521] = f"{taken.microsecond // 1000:03d}"
    for tag, value in ((33434, seconds), (33437, f_number), (34855, iso)):
        if value is not None:
            inner[tag] = value
    for name, value in shot.items():
        inner[int(name.removeprefix("tag_"))] = value
    if position:
        made.get_ifd(0x8825).update({1: "N", 2: (59.0, 19.0, 46.5), 3: "E", 4: (18.0, 3.0, 53.2)})
    return made.tobytes()


def encode(picture: RGB | Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    """Encode as JPEG, PNG, WEBP, HEIF or AVIF (or anything else Pillow writes)."""
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(np.ascontiguousarray(picture))
    buffer = io.BytesIO()
    if kind == "HEIF":
        heif = pillow_heif.from_pillow(image)
        heif.save(buffer, quality=options.pop("quality", 90), **options)
    else:
        if kind == "JPEG":
            options.setdefault("quality", 92)
        if kind == "PNG":
            options.setdefault("compress_level", 1)
        if kind == "AVIF":
            options.setdefault("speed", 10)
            options.setdefault("quality", 90)
        image.save(buffer, kind, **options)
    return buffer.getvalue()


def every_format(rgb: RGB) -> dict[str, bytes]:
    return {
        "JPEG": encode(rgb, exif=exif(orientation=1)),
        "JPEG progressive": encode(rgb, progressive=True),
        "PNG": encode(rgb, "PNG"),
        "WebP": encode(rgb, "WEBP", quality=90),
        "WebP lossless": encode(rgb, "WEBP", lossless=True),
        "HEIC": encode(rgb, "HEIF"),
        "AVIF": encode(rgb, "AVIF"),
    }


def profile_with_red_and_green_swapped() -> bytes:
    """A valid ICC profile unlike sRGB: its red primary is sRGB's green and the other way round."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    (count,) = struct.unpack_from(">I", profile, 128)
    for at in range(132, 132 + 12 * count, 12):
        tag = bytes(profile[at : at + 4])
        profile[at : at + 4] = {b"rXYZ": b"gXYZ", b"gXYZ": b"rXYZ"}.get(tag, tag)
    return bytes(profile)
