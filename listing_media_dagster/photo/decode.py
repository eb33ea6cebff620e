"""From the bytes a photographer delivers to upright sRGB pixels and the facts about the photo.

Pillow decides what is a valid picture (OpenCV decodes broken files silently). `isolation` runs the same code in
processes of their own, where hostile files can do no harm; send files of unknown origin through it first.
"""

from __future__ import annotations

import io
import os
import re
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import numpy as np
import pillow_heif
import simplejpeg
from numpy.typing import NDArray
from PIL import Image
from PIL.AvifImagePlugin import AvifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from listing_media_dagster.listing import BadPhoto, Operation, OperationName
from listing_media_dagster.photo.colour_profile import convert_to_srgb, with_plain_mode
from listing_media_dagster.photo.file_format import (
    CUT_OFF,
    DAMAGED,
    FileFormat,
    check_container,
    png_chunks,
    recognise,
    salvage_png,
    without_metadata,
)
from listing_media_dagster.photo.metadata import CameraFacts, read_camera_facts
from listing_media_dagster.photo.metadata import PhotoFacts as PhotoFacts
from listing_media_dagster.photo.similarity import SIDE, likeness_of

VERSION = "1"
_PREVIEW_EDGE = 512  # facts are measured on a copy reduced to about this many px
_STRIP_ROWS = 256
_BLANK_RANGE = 4.0  # of 255, between the darkest and the brightest 1/64 x 1/64 of the frame
_LOST_SHARE = 0.05  # of the height; a picture with more than this missing at its end is no photo

_BLANK = "the picture is blank, nearly one even shade all over: check that it belongs to the listing"
_GARBLED = "part of the picture data is damaged, expect stripes or shifted colours: look closely, or copy it again"
_SALVAGED = "the file is damaged, a few rows of the picture may be lost: look closely, or export it anew"
_METADATA_DROPPED = "its metadata is damaged and was left out (orientation, capture time): check that it stands upright"
_HDR = "it is an HDR (PQ or HLG) picture and may look flat or dark here: check it, or export an SDR JPEG"
_METADATA_UNREADABLE = "its metadata can't be read: capture time and camera settings are unknown"

RGB = NDArray[np.uint8]


@dataclass(frozen=True)
class IntakeLimits:
    """What one file may cost. Seconds and memory are enforced where there is a process to end: in `isolation`."""

    max_bytes: int = 200 * 2**20
    max_pixels: int = 120_000_000
    min_short_edge: int = 240
    decode_seconds: float = 60
    decode_memory_bytes: int = 3 * 2**30


@dataclass(frozen=True)
class DecodedPhoto:
    """`rgb: uint8 (H, W, 3), sRGB`, upright; what is known of the photo; what was changed to get there."""

    rgb: RGB
    facts: PhotoFacts
    operations: tuple[Operation, ...]


@dataclass
class _Stored:
    """A fully decoded file as its rows are stored: not yet upright, not yet sRGB."""

    file_format: FileFormat
    image: Image.Image
    profile: bytes | None = None
    camera: CameraFacts = field(default_factory=CameraFacts)
    notes: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def decode_upright(source: Path | bytes, limits: IntakeLimits = IntakeLimits()) -> DecodedPhoto:
    """Decode a JPEG, PNG, WebP, HEIC or AVIF file into upright sRGB pixels.

    Raises `BadPhoto` with a reason and the next step, in a photographer's words. `limits.decode_seconds` and
    `limits.decode_memory_bytes` are not enforced here: `isolation.inspect_photos` does that. Peak memory is about
    8 bytes a pixel: 96 MB at 12 MP.
    """
    stored = _decode_stored(source, limits)
    facts = _facts_of(stored)
    plain = with_plain_mode(stored.image)
    profile, orientation = stored.profile, stored.camera.orientation
    del stored
    converted = convert_to_srgb(plain, profile)
    del plain
    operations = list(converted.operations)
    if orientation != 1:
        upright = Operation(name=OperationName.UPRIGHT, parameters={"orientation": orientation}, version=VERSION)
        operations.insert(0, upright)
    return DecodedPhoto(_upright_array(converted.image, orientation), facts, tuple(operations))


def inspect_photo(source: Path | bytes, limits: IntakeLimits = IntakeLimits()) -> PhotoFacts:
    """Decode a file in full, as `decode_upright` does, and return only the facts. Raises `BadPhoto`."""
    return _facts_of(_decode_stored(source, limits))


def _decode_stored(source: Path | bytes, limits: IntakeLimits) -> _Stored:
    data = source if isinstance(source, bytes) else _read(source, limits)
    if len(data) > limits.max_bytes:
        _refuse_bytes(len(data), limits)
    file_format = recognise(data)
    check_container(data, file_format)
    try:
        stored = _open(data, file_format)
        _check_size(stored.image, limits)
        _load(stored, data)
    except MemoryError:
        raise BadPhoto(out_of_memory(limits)) from None
    _read_metadata(stored)
    if file_format is FileFormat.JPEG:
        _check_jpeg_data(stored, data)
    return stored


def out_of_memory(limits: IntakeLimits) -> str:
    allowed = limits.decode_memory_bytes / 2**30
    return (
        f"opening it takes more than the {allowed:.1f} GB of memory a photo may use: export it anew as a smaller JPEG"
    )


# --- reading and opening -----------------------------------------------------------------------------------------


def _read(path: Path, limits: IntakeLimits) -> bytes:
    try:  # non-blocking: a named pipe would wait for a writer for ever
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:  # noqa: PTH123 (an open descriptor)
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise BadPhoto("this is not a regular file (a folder, pipe or device): upload the photo itself")
            if status.st_size > limits.max_bytes:
                _refuse_bytes(status.st_size, limits)
            return file.read(status.st_size)  # not max_bytes: read() reserves what it is asked for
    except IsADirectoryError:
        raise BadPhoto("this is a folder, not a photo: upload the photos in it") from None
    except FileNotFoundError:
        raise BadPhoto("the file isn't there (moved, or a link that leads nowhere): upload it again") from None
    except PermissionError:
        raise BadPhoto("the file may not be opened: give read permission to it, or upload it again") from None
    except OSError as error:
        raise BadPhoto(f"the file can't be read ({error.strerror}): copy or upload it again") from None


def _refuse_bytes(size: int, limits: IntakeLimits) -> NoReturn:
    raise BadPhoto(
        f"the file is too big: {size / 2**20:.0f} MB, at most {limits.max_bytes / 2**20:.0f} MB are taken: "
        "export it as a JPEG of quality 90"
    )


def _check_size(image: Image.Image, limits: IntakeLimits) -> None:
    width, height = image.size
    if width * height > limits.max_pixels:
        raise BadPhoto(
            f"the picture has too many pixels: {width} x {height} ({width * height / 1e6:.0f} MP), "
            f"at most {limits.max_pixels / 1e6:.0f} MP are taken: export it smaller"
        )
    if min(width, height) < limits.min_short_edge:
        raise BadPhoto(
            f"the picture is too small: {width} x {height} px, its shorter side must have at least "
            f"{limits.min_short_edge} px: upload the full-size photo"
        )
    if getattr(image, "n_frames", 1) > 1:
        raise BadPhoto(f"this is an animation of {image.n_frames} pictures, not a photo: export one of them as JPEG")  # type: ignore[attr-defined]


def _open(data: bytes, file_format: FileFormat) -> _Stored:
    """Read the header. A file whose metadata keeps a decoder from opening it is opened without that metadata."""
    try:
        return _open_as_is(data, file_format)
    except MemoryError:
        raise
    except Exception as error:
        bare = without_metadata(data, file_format)
        if bare == data:
            _refuse(error)
        try:
            stored = _open_as_is(bare, file_format)
        except MemoryError:
            raise
        except Exception:
            _refuse(error)
        stored.notes.append(_METADATA_DROPPED)
        return stored


def _open_as_is(data: bytes, file_format: FileFormat) -> _Stored:
    if file_format is FileFormat.HEIF:
        return _open_heif(data)
    # The class is called, not Image.open: that would ask other formats too, and take an MPO's further pictures
    # (a second eye, a gain map) for frames of an animation.
    opener: Callable[[io.BytesIO], Image.Image] = {
        FileFormat.JPEG: JpegImageFile,
        FileFormat.PNG: PngImageFile,
        FileFormat.WEBP: WebPImageFile,
        FileFormat.AVIF: AvifImageFile,
    }[file_format]
    return _Stored(file_format, opener(io.BytesIO(data)))


class _HeifPrimary(Image.Image):
    """The primary picture of a HEIC file, turned upright by libheif as the container says; decoded by `load`.

    Pillow-HEIF's own plugin parses EXIF and XMP on opening and fails with them.
    """

    def __init__(self, primary: pillow_heif.HeifImage) -> None:
        super().__init__()
        self._primary: pillow_heif.HeifImage | None = primary
        self._size, self._mode = primary.size, primary.mode
        self.info = {
            key: primary.info[key] for key in ("exif", "xmp", "icc_profile", "nclx_profile") if primary.info.get(key)
        }

    def load(self) -> Image.core.PixelAccess | None:
        if self._primary is not None:
            primary, self._primary = self._primary, None
            data, stride = primary.data, primary.stride
            self.im = Image.frombytes(primary.mode, primary.size, data, "raw", primary.mode, stride).im
            self._size = primary.size  # decoding may correct it
        return super().load()


def _open_heif(data: bytes) -> _Stored:
    pillow_heif.options.DEPTH_IMAGES = pillow_heif.options.THUMBNAILS = pillow_heif.options.AUX_IMAGES = False
    heif = pillow_heif.HeifFile(io.BytesIO(data))  # type: ignore[no-untyped-call]
    return _Stored(FileFormat.HEIF, _HeifPrimary(heif[heif.primary_index]))


def _load(stored: _Stored, data: bytes) -> None:
    try:
        stored.image.load()
        if stored.file_format is FileFormat.PNG and all(kind != b"IEND" for kind, _chunk in png_chunks(data)):
            stored.notes.append(_SALVAGED)
    except MemoryError:
        raise
    except Exception as error:
        whole = salvage_png(data, _LOST_SHARE) if stored.file_format is FileFormat.PNG else None
        if whole is None:
            _refuse(error)
        try:
            stored.image = PngImageFile(io.BytesIO(whole))
            stored.image.load()
        except MemoryError:
            raise
        except Exception:
            _refuse(error)
        stored.notes.append(_SALVAGED)


def _refuse(error: Exception) -> NoReturn:
    cut_off = re.search(
        r"truncated|unexpected end|outside of file|premature|not enough data", str(error), re.IGNORECASE
    )
    raise BadPhoto(CUT_OFF if cut_off else DAMAGED) from error


# --- facts -------------------------------------------------------------------------------------------------------


def _read_metadata(stored: _Stored) -> None:
    image = stored.image
    profile = image.info.get("icc_profile")
    stored.profile = profile if isinstance(profile, bytes) else None
    try:
        stored.camera = read_camera_facts(image)
    except MemoryError:
        raise
    except Exception:  # Pillow raises a dozen types on broken EXIF
        stored.remarks.append(_METADATA_UNREADABLE)
    if stored.file_format is FileFormat.HEIF:  # the container's rotation counts, EXIF only repeats it
        stored.camera = stored.camera.model_copy(update={"orientation": 1})
        transfer = (image.info.get("nclx_profile") or {}).get("transfer_characteristics")
        if transfer in (16, 18):  # ITU-T H.273: PQ, HLG
            stored.notes.append(_HDR)


def _facts_of(stored: _Stored) -> PhotoFacts:
    plain = with_plain_mode(stored.image)
    factor = max(1, max(plain.size) // _PREVIEW_EDGE)
    small = convert_to_srgb(plain.reduce(factor) if factor > 1 else plain.copy(), stored.profile)
    preview = _upright_array(small.image, stored.camera.orientation)
    signature = likeness_of(preview)
    notes, remarks = list(stored.notes), list(stored.remarks)
    if signature.range < _BLANK_RANGE and min(stored.image.size) >= SIDE:  # a smaller one has no detail to judge by
        notes.append(_BLANK)
    if small.remark:
        remarks.append(small.remark)
    width, height = stored.image.size if stored.camera.orientation < 5 else stored.image.size[::-1]
    return PhotoFacts(
        **stored.camera.model_dump(),
        format=stored.file_format.value,
        width=width,
        height=height,
        mean_luma=round(float(preview.reshape(-1, 3).mean(0) @ np.array([0.299, 0.587, 0.114])) / 255, 4),
        signature=signature,
        notes=tuple(notes),
        remarks=tuple(remarks),
    )


def _check_jpeg_data(stored: _Stored, data: bytes) -> None:
    """Note damage inside a JPEG that Pillow passes over in silence; raise `BadPhoto` if its end is missing.

    libjpeg only warns of it. At 1/8 size the check costs about a fifth of decoding.
    """
    try:
        simplejpeg.decode_jpeg(data, colorspace="GRAY", strict=True, min_height=1, min_width=1, min_factor=1)
    except ValueError as warning:
        text = str(warning).lower()
        if "premature end" in text and _lost_share(stored.image) > _LOST_SHARE:
            raise BadPhoto(CUT_OFF) from None
        if re.search(r"premature end|huffman|marker 0x(d\d|c4|da)|corrupt jpeg data: found marker", text):
            stored.notes.append(_GARBLED)


def _lost_share(image: Image.Image) -> float:
    """Return which share of the height, from the bottom of the stored rows, is one flat colour."""
    rows = np.asarray(with_plain_mode(image).convert("L").reduce((8, 1))).astype(np.int16)
    flat = (np.ptp(rows, axis=1) <= 2) & (np.abs(rows[:, 0] - rows[-1, 0]) <= 2)
    return float(np.argmin(flat[::-1])) / len(flat) if not flat.all() else 1.0


def _upright_array(image: Image.Image, orientation: int) -> RGB:
    """Return `image` (mode RGB) as upright pixels: uint8 (H, W, 3). Strip by strip: no second copy is held."""
    width, height = image.size
    upright = np.empty((height, width, 3) if orientation < 5 else (width, height, 3), np.uint8)
    stored = _as_stored(upright, orientation)
    for top in range(0, height, _STRIP_ROWS):
        bottom = min(top + _STRIP_ROWS, height)
        stored[top:bottom] = np.asarray(image.crop((0, top, width, bottom)))
    return upright


def _as_stored(upright: RGB, orientation: int) -> RGB:
    """Return a view of `upright` whose rows lie as a file of that EXIF orientation stores them."""
    mirrored_x, mirrored_y = upright[:, ::-1], upright[::-1]
    return {
        2: mirrored_x,
        3: mirrored_x[::-1],
        4: mirrored_y,
        5: upright.transpose(1, 0, 2),
        6: mirrored_x.transpose(1, 0, 2),
        7: mirrored_x[::-1].transpose(1, 0, 2),
        8: mirrored_y.transpose(1, 0, 2),
    }.get(orientation, upright)
