"""What a photo file says about itself: capture time, exposure, camera, orientation.

Read apart from the pixels, and never trusted: metadata that is missing, broken or absurd costs the facts it
would have held, never the photo.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from typing import Any

from PIL import Image
from PIL.ExifTags import IFD, Base
from pydantic import Field

from listing_media_dagster.listing import Noun
from listing_media_dagster.photo.similarity import Likeness

_AUTO_BRACKET = 2  # EXIF 2.32, ExposureMode
_LONGEST_TEXT = 80


class CameraFacts(Noun):
    """What the camera wrote. Positions and serial numbers are never kept: only whether there was a position."""

    captured_at: datetime | None = Field(
        default=None, description="wall clock where the photo was taken, if known with its offset"
    )
    exposure_seconds: float | None = None
    f_number: float | None = None
    iso: float | None = None
    exposure_ev: float | None = Field(
        default=None,
        description="log2(seconds * iso/100 / f_number**2): how bright this camera setting renders a scene, in EV",
    )
    auto_bracketed: bool = Field(
        default=False, description="the camera says it took this frame as one of a bracket set"
    )
    focal_length_mm: float | None = None
    focal_length_35mm: float | None = None
    camera: str | None = None
    lens: str | None = None
    orientation: int = Field(default=1, ge=1, le=8, description="EXIF code of how the stored rows lie; 1 = upright")
    has_gps: bool = False


class PhotoFacts(CameraFacts):
    """What is known of a photo that was decoded in full."""

    format: str
    width: int = Field(gt=0, description="px, upright")
    height: int = Field(gt=0, description="px, upright")
    mean_luma: float = Field(description="mean of the sRGB-coded grey, 0..1")
    signature: Likeness
    notes: tuple[str, ...] = Field(default=(), description="what a person should look at")
    remarks: tuple[str, ...] = Field(default=(), description="worth knowing, nobody needs to act")


def read_camera_facts(image: Image.Image) -> CameraFacts:
    """Return what the metadata of an opened `image` says.

    Raises whatever Pillow raises on metadata that can't be parsed at all; fields that can't be used are left out.
    """
    exif = image.getexif()
    shot: dict[int, Any] = {}
    with suppress(Exception):  # a broken sub-directory leaves the main one usable
        shot = dict(exif.get_ifd(IFD.Exif))
    position: dict[int, Any] = {}
    with suppress(Exception):
        position = dict(exif.get_ifd(IFD.GPSInfo))

    seconds = _number(shot.get(Base.ExposureTime), 1e-7, 3600.0) or _apex(
        shot.get(Base.ShutterSpeedValue), lambda v: 2.0**-v
    )
    f_number = _number(shot.get(Base.FNumber), 0.5, 90.0) or _apex(
        shot.get(Base.ApertureValue), lambda v: 2.0 ** (v / 2)
    )
    iso = _number(shot.get(Base.ISOSpeedRatings), 1.0, 1e7)
    make, model = _text(exif.get(Base.Make)), _text(exif.get(Base.Model))
    return CameraFacts(
        captured_at=_capture_time(shot),
        exposure_seconds=seconds,
        f_number=f_number,
        iso=iso,
        exposure_ev=exposure_ev(seconds, f_number, iso),
        auto_bracketed=shot.get(Base.ExposureMode) == _AUTO_BRACKET,
        focal_length_mm=_number(shot.get(Base.FocalLength), 0.5, 5000.0),
        focal_length_35mm=_number(shot.get(Base.FocalLengthIn35mmFilm), 1.0, 5000.0),
        camera=model if model and make and model.lower().startswith(make.lower().split()[0]) else _joined(make, model),
        lens=_text(shot.get(Base.LensModel)),
        orientation=_orientation(exif.get(Base.Orientation)),
        has_gps=any(tag in position for tag in (2, 4)) or b"exif:GPSL" in _xmp(image),
    )


def exposure_ev(seconds: float | None, f_number: float | None, iso: float | None) -> float | None:
    """Return how bright a setting renders a scene, in EV (+1 = twice the light), or None if time or ISO are unknown.

    Without an f-number (a lens that has no contacts) f/1 is taken: frames of that lens stay comparable with each other.
    """
    if seconds is None or iso is None:
        return None
    return round(math.log2(seconds * iso / 100.0 / (f_number or 1.0) ** 2), 3)


def _orientation(value: object) -> int:
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _capture_time(shot: dict[int, Any]) -> datetime | None:
    for taken, fraction, offset in (
        (Base.DateTimeOriginal, Base.SubsecTimeOriginal, Base.OffsetTimeOriginal),
        (Base.DateTimeDigitized, Base.SubsecTimeDigitized, Base.OffsetTimeDigitized),
    ):
        parts = re.match(r"(\d{4})\D(\d\d)\D(\d\d)\D(\d\d)\D(\d\d)\D(\d\d)", str(shot.get(taken, "")))
        if parts is None:
            continue
        digits = re.match(r"\d{1,6}", str(shot.get(fraction, "")).strip())
        zone = re.match(r"([+-])(\d\d):(\d\d)", str(shot.get(offset, "")))
        with suppress(ValueError):  # 0000:00:00, the 31st of February
            when = datetime.strptime(" ".join(parts.groups()), "%Y %m %d %H %M %S")
            when = when.replace(microsecond=int(digits[0].ljust(6, "0")) if digits else 0)
            if zone is None:
                return when
            away = timedelta(hours=int(zone[2]), minutes=int(zone[3])) * (-1 if zone[1] == "-" else 1)
            return when.replace(tzinfo=timezone(away))
    return None


def _number(value: Any, low: float, high: float) -> float | None:
    """Return `value` as a float within low..high, else None (a zero denominator, a text, an absurd value)."""
    if isinstance(value, tuple):
        value = value[0] if value else None
    try:
        number = float(value)
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    return number if math.isfinite(number) and low <= number <= high else None


def _apex(value: Any, from_apex: Callable[[float], float]) -> float | None:
    number = _number(value, -20.0, 20.0)
    return None if number is None else from_apex(number)


def _text(value: Any) -> str | None:
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if not isinstance(value, str):
        return None
    clean = "".join(c for c in value.split("\x00")[0] if c.isprintable()).strip()
    return clean[:_LONGEST_TEXT] or None


def _joined(*words: str | None) -> str | None:
    return " ".join(word for word in words if word) or None


def _xmp(image: Image.Image) -> bytes:
    xmp = image.info.get("xmp", b"")
    return xmp if isinstance(xmp, bytes) else str(xmp).encode("utf-8", "replace")
