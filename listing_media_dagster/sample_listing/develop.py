"""The camera body: from scene radiance to the JPEG a photographer brings home, faults included.

Exposure, a white balance that is a little off, light fall-off, veiling glare, sensor noise, a tone curve, EXIF.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

Image = NDArray[np.float32]


SATURATION = 1.25  # linear light at which the sensor is full


@dataclass(frozen=True)
class Shot:
    """Settings of one exposure; `gain` multiplies scene radiance, 1.0 in the result is sensor saturation."""

    gain: float
    exposure_time: Fraction
    taken: datetime
    iso: int = 400
    f_number: float = 7.1
    focal_35mm: float = 18.0
    balance: tuple[float, float, float] = (1.0, 1.0, 1.0)
    vignette: float = 0.55
    noise: float = 1.0
    seed: int = 0
    orientation: int = 1
    make: str = "Sample"
    model: str = "Sample DSLR"


def tone_curve(linear: Image) -> Image:
    """Film-like response, linear 0.. to display 0..1: straight in the shadows, rolled shoulder above 0.6."""
    x = np.clip(linear, 0, None)
    white = 1 - np.exp(-(SATURATION - 0.55) / 0.45)
    shoulder = np.where(x > 0.55, 0.55 + 0.45 * (1 - np.exp(-(x - 0.55) / 0.45)) / white, x)
    encoded = np.where(shoulder <= 0.0031308, shoulder * 12.92, 1.055 * np.maximum(shoulder, 1e-8) ** (1 / 2.4) - 0.055)
    contrast = encoded + 0.035 * np.sin(2 * np.pi * (encoded - 0.5)) * np.where(encoded < 0.5, 0.9, 0.35)
    return np.clip(contrast, 0, 1).astype(np.float32)


def with_glare(radiance: Image, share: float = 0.035) -> Image:
    """Lens glow round bright windows: a share of the light spreads over two wide blurs."""
    height, width = radiance.shape[:2]
    small = cv2.resize(np.minimum(radiance, 12.0), (width // 8, height // 8), interpolation=cv2.INTER_AREA)
    wide = 0.6 * cv2.GaussianBlur(small, (0, 0), width / 8 * 0.012) + 0.4 * cv2.GaussianBlur(
        small, (0, 0), width / 8 * 0.07
    )
    glow = cv2.resize(wide, (width, height), interpolation=cv2.INTER_LINEAR)
    return radiance * (1 - share) + glow * share


def expose(radiance: Image, shot: Shot) -> NDArray[np.uint8]:
    """Scene radiance (H, W, 3), linear, to the camera's JPEG pixels (H, W, 3) uint8 sRGB."""
    height, width = radiance.shape[:2]
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    corner = max(width, height) / 2
    radius = ((x - width / 2) ** 2 + (y - height / 2) ** 2) / corner**2
    falloff = 1 / (1 + shot.vignette * radius) ** 1.6
    sharp = np.minimum(radiance, 4 / shot.gain)
    lens = radiance + cv2.GaussianBlur(sharp, (0, 0), 0.6) - sharp
    light = with_glare(lens) * shot.gain * np.asarray(shot.balance, np.float32) * falloff[..., None]
    rng = np.random.default_rng(shot.seed)
    sensor = np.minimum(light, SATURATION)
    strength = shot.noise * (shot.iso / 400) ** 0.5
    grain = rng.standard_normal(light.shape).astype(np.float32)
    common = rng.standard_normal(light.shape[:2]).astype(np.float32)[..., None]
    grain = cv2.GaussianBlur(0.5 * grain + 0.7 * common, (0, 0), 0.75) * 1.9
    sensor = sensor + grain * strength * np.sqrt(4e-5 * np.maximum(sensor, 0) + 4e-6)
    display = tone_curve(sensor)
    soft = cv2.GaussianBlur(display, (0, 0), 0.9)
    display = np.clip(display + 0.35 * (display - soft), 0, 1)
    return (display * 255 + 0.5).astype(np.uint8)


def shaken(radiance: Image, focal_px: float, pitch: float, yaw: float, roll: float) -> Image:
    """The scene after the camera turned by these degrees about x, y, z: exact, since a rotation is a homography."""
    height, width = radiance.shape[:2]
    k = np.array([[focal_px, 0, width / 2 - 0.5], [0, focal_px, height / 2 - 0.5], [0, 0, 1]])
    turn = cv2.Rodrigues(np.radians(np.array([pitch, yaw, roll])))[0]
    return cv2.warpPerspective(
        radiance, k @ turn @ np.linalg.inv(k), (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    ).clip(0, None)


def jpeg(pixels: NDArray[np.uint8], shot: Shot, quality: int = 85) -> bytes:
    """Encode with the EXIF a camera writes. Orientation 6 or 8 expects `pixels` as they lie on the sensor."""
    exif = PillowImage.Exif()
    exif[0x010F], exif[0x0110] = shot.make, shot.model
    exif[0x0112] = shot.orientation
    exif[0x0131] = "listing_media_dagster sample listing (rendered, not a photograph)"
    stamp = shot.taken.strftime("%Y:%m:%d %H:%M:%S")
    exif[0x0132] = stamp
    details = exif.get_ifd(0x8769)
    details[0x829A] = (
        float(shot.exposure_time) if shot.exposure_time.denominator == 1 else _rational(shot.exposure_time)
    )
    details[0x829D] = _rational(Fraction(shot.f_number).limit_denominator(10))
    details[0x8827] = shot.iso
    details[0x9003] = details[0x9004] = stamp
    details[0x920A] = _rational(Fraction(shot.focal_35mm).limit_denominator(10))
    details[0xA405] = round(shot.focal_35mm)
    buffer = io.BytesIO()
    PillowImage.fromarray(pixels).save(
        buffer, "JPEG", quality=quality, exif=exif, subsampling="4:2:0", optimize=True, progressive=False
    )
    return buffer.getvalue()


def _rational(value: Fraction) -> object:
    from PIL.TiffImagePlugin import IFDRational

    return IFDRational(value.numerator, value.denominator)
