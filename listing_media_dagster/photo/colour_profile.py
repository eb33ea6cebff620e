"""From whatever colours a file was saved in to 8-bit sRGB: ICC profiles, CMYK, grey, palettes, 16 bit, transparency."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

from listing_media_dagster.listing import Operation, OperationName

VERSION = "1"
_UNREADABLE = "its colour profile can't be read, so its colours are taken as sRGB"
_MISFIT = "its colour profile is made for another kind of picture, so its colours are taken as sRGB"
_NOTICEABLE = 1  # codes of 255: a profile that moves no colour further than this is sRGB by another name
_SPACES = {"RGB": "RGB", "L": "GRAY", "CMYK": "CMYK"}


@dataclass(frozen=True)
class SrgbImage:
    """`image`: Pillow mode RGB, sRGB, no transparency; what that took; anything odd about its colours."""

    image: Image.Image
    operations: tuple[Operation, ...] = ()
    remark: str | None = None


def with_plain_mode(image: Image.Image) -> Image.Image:
    """Return `image` in one of the modes L, RGB, RGBA or CMYK, 8 bits a channel, colours as they are.

    Palettes are looked up, tRNS becomes an alpha channel, 16-bit grey keeps its upper byte.
    """
    mode = image.mode
    if mode in ("L", "RGB") and "transparency" in image.info:
        return image.convert("RGBA")
    if mode in ("L", "RGB", "RGBA", "CMYK"):
        return image
    if mode == "1":
        return image.convert("L")
    if mode.startswith("I"):
        wide = np.asarray(image)
        return Image.fromarray((np.clip(wide, 0, 65535) >> 8).astype(np.uint8))
    transparent = "transparency" in image.info or mode in ("PA", "LA", "La", "RGBa")
    return image.convert("RGBA" if transparent else "RGB")


def convert_to_srgb(image: Image.Image, profile: bytes | None) -> SrgbImage:
    """Return a plain-mode `image` as opaque sRGB: profile applied, transparency laid on white.

    `profile` is the embedded ICC profile; without one, CMYK is converted without ink simulation and everything else
    is taken as sRGB. The pixels of `image` may be changed in place. Colours outside sRGB are clipped relative
    colorimetrically with black point compensation.
    """
    operations = []
    alpha = image.getchannel("A") if image.mode == "RGBA" else None
    if alpha is not None:
        image = image.convert("RGB")
        if alpha.getextrema() == (255, 255):
            alpha = None
    was_cmyk = image.mode == "CMYK"
    image, described, remark = _apply_profile(image, profile)
    if image.mode != "RGB":
        image = image.convert("RGB")
    if described or was_cmyk:
        parameters = {"from": described or "CMYK without a profile", "to": "sRGB", "intent": "relative colorimetric"}
        operations.append(Operation(name=OperationName.COLOUR_PROFILE, parameters=parameters, version=VERSION))
    if alpha is not None:
        white = Image.new("RGB", image.size, (255, 255, 255))
        white.paste(image, mask=alpha)
        image = white
        operations.append(Operation(name=OperationName.FLATTEN, parameters={"background": "white"}, version=VERSION))
    return SrgbImage(image, tuple(operations), remark)


def _apply_profile(image: Image.Image, profile: bytes | None) -> tuple[Image.Image, str | None, str | None]:
    """Return the image, the name of the profile that was applied if it changed anything, and a remark."""
    if not profile:
        return image, None, None
    try:
        space, name = _identify(profile)
        if space == "RGB" and image.mode == "L":
            image = image.convert("RGB")
        if space != _SPACES[image.mode]:
            return image, None, _MISFIT
        transform = _transform(profile, image.mode)
        if transform is None:
            return image, None, None
        if image.mode == "RGB":
            image.load()
            ImageCms.applyTransform(image, transform, inPlace=True)
            return image, name, None
        return ImageCms.applyTransform(image, transform) or image, name, None
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError, AttributeError):
        return image, None, _UNREADABLE


@lru_cache(maxsize=32)
def _identify(profile: bytes) -> tuple[str, str]:
    opened = ImageCms.ImageCmsProfile(io.BytesIO(profile)).profile
    return opened.xcolor_space.strip(), (opened.profile_description or "unnamed profile").strip()[:80]


@lru_cache(maxsize=32)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Return the transform from `profile` to sRGB for Pillow `mode`, or None if it would change no colour visibly."""
    transform = ImageCms.buildTransform(
        ImageCms.ImageCmsProfile(io.BytesIO(profile)),
        ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")),
        mode,
        "RGB",
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
        ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    if mode == "CMYK":
        return transform
    levels = np.linspace(0, 255, 9 if mode == "RGB" else 256).astype(np.uint8)
    colours = np.meshgrid(levels, levels, levels) if mode == "RGB" else [levels] * 3
    before = np.stack(colours, -1).reshape(1, -1, 3)
    probe = Image.fromarray(before if mode == "RGB" else before[..., 0])
    after = np.asarray(ImageCms.applyTransform(probe, transform))
    return None if int(np.abs(after.astype(int) - before).max()) <= _NOTICEABLE else transform
