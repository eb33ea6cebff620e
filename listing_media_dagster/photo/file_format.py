"""What a file is, judged from its bytes alone, and whether its container is whole.

No pixel is decoded here. Every reason a file is turned down for *what it is* is worded in this file;
reasons that come from decoding are worded in `decode`.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from enum import StrEnum

from listing_media_dagster.listing import BadPhoto

WANTED = "JPEG, PNG, WebP, HEIC or AVIF"
CUT_OFF = "the file is cut off, part of the picture is missing: copy or upload it again from the camera or card"
DAMAGED = (
    "the picture data is damaged and can't be read: copy it again from the camera or card, or export it anew as JPEG"
)


class FileFormat(StrEnum):
    JPEG = "JPEG"
    PNG = "PNG"
    WEBP = "WebP"
    HEIF = "HEIC"
    AVIF = "AVIF"


_RAW = "is a camera raw file: develop it and export a JPEG"
_EXPORT = f"export the photo as {WANTED}"
_NOT_A_PHOTO = f"leave it out, or upload the photo itself as {WANTED}"

# (offset, magic, what the file is and what to do); the first that fits names the file.
_OTHER_FILES: tuple[tuple[int, bytes, str], ...] = (
    (8, b"CR\x02", f"Canon CR2, which {_RAW}"),
    (4, b"ftypcrx ", f"Canon CR3, which {_RAW}"),
    (0, b"FUJIFILMCCD-RAW", f"Fujifilm RAF, which {_RAW}"),
    (0, b"IIU\x00", f"Panasonic RW2, which {_RAW}"),
    (0, b"IIRO", f"Olympus ORF, which {_RAW}"),
    (0, b"IIRS", f"Olympus ORF, which {_RAW}"),
    (0, b"MMOR", f"Olympus ORF, which {_RAW}"),
    (0, b"FOVb", f"Sigma X3F, which {_RAW}"),
    (0, b"\x00MRM", f"Minolta MRW, which {_RAW}"),
    (0, b"GIF8", f"a GIF, which holds too few colours for a photo: {_EXPORT}"),
    (0, b"8BPS", f"a Photoshop document (PSD): {_EXPORT}"),
    (0, b"BM", f"a BMP picture: {_EXPORT}"),
    (0, b"\x00\x00\x00\x0cjP  ", f"a JPEG 2000 picture: {_EXPORT}"),
    (0, b"\xff\x4f\xff\x51", f"a JPEG 2000 picture: {_EXPORT}"),
    (0, b"\xff\x0a", f"a JPEG XL picture: {_EXPORT}"),
    (0, b"\x00\x00\x00\x0cJXL ", f"a JPEG XL picture: {_EXPORT}"),
    (0, b"v/1\x01", f"an OpenEXR picture: {_EXPORT}"),
    (0, b"#?RADIANCE", f"a Radiance HDR picture: {_EXPORT}"),
    (0, b"qoif", f"a QOI picture: {_EXPORT}"),
    (0, b"\x00\x00\x01\x00", f"an icon (ICO): {_NOT_A_PHOTO}"),
    (0, b"icns", f"an icon (ICNS): {_NOT_A_PHOTO}"),
    (0, b"%PDF", f"a PDF document: {_EXPORT}"),
    (0, b"PK\x03\x04", "a ZIP archive: unpack it and upload the photos in it"),
    (0, b"Rar!", "a RAR archive: unpack it and upload the photos in it"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive: unpack it and upload the photos in it"),
    (0, b"\x1f\x8b", "a gzip archive: unpack it and upload the photos in it"),
    (0, b"\x00\x05\x16\x07", f"a side file that macOS makes (its name starts with '._'), not a photo: {_NOT_A_PHOTO}"),
    (0, b"\x00\x00\x00\x01Bud1", f"a folder settings file of macOS (.DS_Store), not a photo: {_NOT_A_PHOTO}"),
    (0, b"\xd0\xcf\x11\xe0", f"an Office document or thumbnail cache, not a photo: {_NOT_A_PHOTO}"),
    (0, b"\x1a\x45\xdf\xa3", f"a video, not a photo: {_NOT_A_PHOTO}"),
    (8, b"AVI ", f"a video, not a photo: {_NOT_A_PHOTO}"),
    (0, b"MZ", f"a program, not a photo: {_NOT_A_PHOTO}"),
    (0, b"\x7fELF", f"a program, not a photo: {_NOT_A_PHOTO}"),
)
_TIFF_STARTS = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
_TIFF_TAG_DNG_VERSION, _TIFF_TAG_MAKE, _TIFF_TAG_SUB_IFDS = 50706, 271, 330
_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}
_AVIF_BRANDS = {b"avif", b"avis"}
_ISO_BOXES = {b"ftyp", b"meta", b"mdat", b"moov", b"moof", b"free", b"skip", b"uuid", b"idat"}


def recognise(data: bytes) -> FileFormat:
    """Return the format of a photo file from its first bytes (the extension is never asked).

    Raises `BadPhoto` naming what the file is instead, with what to export.
    """
    if not data:
        raise BadPhoto("the file is empty (0 bytes): copy or upload it again from the camera or card")
    if data.startswith(b"\xff\xd8\xff"):
        return FileFormat.JPEG
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return FileFormat.PNG
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return FileFormat.WEBP
    if data[4:8] == b"ftyp" and (format_ := _iso_image_format(data)):
        return format_
    raise BadPhoto(_what_it_is_instead(data))


def check_container(data: bytes, file_format: FileFormat) -> None:
    """Raise `BadPhoto` if the container of a HEIC, AVIF or WebP says it is longer than the file.

    Decoders don't reliably notice: libheif opens a HEIC cut in the middle as the 16 x 16 px thumbnail it still finds.
    """
    if file_format is FileFormat.WEBP and int.from_bytes(data[4:8], "little") + 8 > len(data) + 1:
        raise BadPhoto(CUT_OFF)  # + 1: writers disagree on whether the final padding byte is written
    if file_format in (FileFormat.HEIF, FileFormat.AVIF):
        for kind, _start, end in iso_boxes(data):
            if kind in _ISO_BOXES and end > len(data):
                raise BadPhoto(CUT_OFF)


def iso_boxes(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield (type, payload start, end) of the top-level boxes of an ISO media file; `end` may lie past the data."""
    at = 0
    while at + 8 <= len(data):
        size, header = int.from_bytes(data[at : at + 4], "big"), 8
        if size == 1:  # 64-bit size follows
            size, header = int.from_bytes(data[at + 8 : at + 16], "big"), 16
        elif size == 0:  # to the end of the file
            size = len(data) - at
        if size < header:
            return
        yield data[at + 4 : at + 8], at + header, at + size
        at += size


def png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield (type, whole chunk) as far as they go; the last one may lack its end."""
    at = 8
    while at + 8 <= len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        yield data[at + 4 : at + 8], data[at:end]
        at = end


def without_metadata(data: bytes, file_format: FileFormat) -> bytes:
    """Return the file without its descriptive metadata (EXIF, XMP, texts), pixels and colour profile untouched.

    For files a decoder refuses only because their metadata is broken. A WebP is returned as it is: its decoder
    never looks at metadata.
    """
    if file_format is FileFormat.JPEG:
        return _jpeg_without_metadata(data)
    if file_format is FileFormat.PNG:
        dropped = {b"tEXt", b"zTXt", b"iTXt", b"eXIf", b"tIME", b"pHYs"}
        return data[:8] + b"".join(chunk for kind, chunk in png_chunks(data) if kind not in dropped)
    for kind, start, end in iso_boxes(data):
        if kind == b"meta":  # an item of an unknown type is skipped by every reader
            items = re.sub(rb"Exif(?=\x00)|mime(?=\x00*application)", b"none", data[start:end])
            return data[:start] + items + data[end:]
    return data


def salvage_png(data: bytes, most_lost: float) -> bytes | None:
    """Return a well-formed PNG of the same picture if all but `most_lost` (0..1) of its rows can be read, else None.

    For files that are damaged behind or near the end of the pixels. Missing rows repeat the one above. A file that
    ends within the pixels was cut off and is not salvaged.
    """
    head, pixels, stream = [], bytearray(), zlib.decompressobj()
    row_bytes, rows = 0, 0
    for kind, chunk in png_chunks(data):
        length = int.from_bytes(chunk[:4], "big")
        if kind == b"IHDR" and length == 13:
            row_bytes, rows = _png_row_layout(chunk[8:21])
        if kind in (b"IHDR", b"PLTE", b"tRNS", b"iCCP", b"sRGB", b"gAMA"):
            head.append(chunk)
        if kind == b"IDAT":
            room = row_bytes * rows - len(pixels)
            if room <= 0:
                break
            if len(chunk) < 8 + length:
                return None
            try:
                pixels += stream.decompress(chunk[8 : 8 + length], room)
            except zlib.error:
                return None
    whole = len(pixels) // row_bytes if row_bytes else 0
    broken = [at for at in range(0, whole * row_bytes, row_bytes) if pixels[at] > 4]  # no such filter type
    if rows == 0 or rows - whole + len(broken) > most_lost * rows:
        return None
    same_as_above = b"\x02" + b"\x00" * (row_bytes - 1)  # filter type 2, Up
    for at in broken:
        pixels[at : at + row_bytes] = same_as_above
    body = zlib.compress(bytes(pixels[: whole * row_bytes]) + same_as_above * (rows - whole), 1)
    return data[:8] + b"".join(head) + _png_chunk(b"IDAT", body) + _png_chunk(b"IEND", b"")


def _png_row_layout(header: bytes) -> tuple[int, int]:
    """Return (bytes a row with its filter byte, rows) of an IHDR; (0, 0) for an interlaced picture."""
    width, height, depth, colour_type, _compression, _filter, interlaced = struct.unpack(">IIBBBBB", header)
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(colour_type, 0)
    return (0, 0) if interlaced or not channels else (1 + (width * channels * depth + 7) // 8, height)


def _png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _jpeg_without_metadata(data: bytes) -> bytes:
    kept, at = [data[:2]], 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != 0xDA:
        marker, end = data[at + 1], at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        described = marker == 0xFE or (0xE1 <= marker <= 0xEF and marker not in (0xE2, 0xEE))
        if not described:  # APP2 is the colour profile, APP14 says how colours are coded
            kept.append(data[at:end])
        at = end
    return b"".join(kept) + data[at:]


def _iso_image_format(data: bytes) -> FileFormat | None:
    end = min(int.from_bytes(data[:4], "big"), len(data), 4096)
    major, brands = data[8:12], {data[at : at + 4] for at in range(16, end - 3, 4)}
    if major in _AVIF_BRANDS:
        return FileFormat.AVIF
    if major in _HEIC_BRANDS:
        return FileFormat.HEIF
    if major in (b"mif1", b"msf1", b"miaf", b"MiHE"):
        return FileFormat.AVIF if brands & _AVIF_BRANDS and not brands & _HEIC_BRANDS else FileFormat.HEIF
    return None


def _what_it_is_instead(data: bytes) -> str:
    for offset, magic, what in _OTHER_FILES:
        if data[offset : offset + len(magic)] == magic:
            return f"this is {what}"
    if data.startswith(_TIFF_STARTS):
        return f"this is {_kind_of_tiff(data)}"
    if _has_tar_checksum(data):
        return "this is a tar archive: unpack it and upload the photos in it"
    if data[4:8] == b"ftyp":
        return f"this is a video, not a photo: {_NOT_A_PHOTO}"
    start = data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return "this is a web page, not a photo (a failed download saves such pages): upload the photo itself"
    if start.startswith((b"<?xml", b"<svg", b"<x:xmpmeta")):
        return f"this is an XML or SVG text, not a photo: {_NOT_A_PHOTO}"
    if not data.strip(b"\x00"):
        return "the file holds nothing but zeros, its content was lost: copy or upload it again from the camera or card"
    if not re.search(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]", data[:1024]):
        return f"this is a text, not a photo: {_NOT_A_PHOTO}"
    return f"this is not a photo in a format that can be read: {_EXPORT}"


def _has_tar_checksum(data: bytes) -> bool:
    """A tar from before 1988 has no magic, but its header carries a sum of itself with the sum taken as blanks."""
    written = data[148:156].strip(b" \x00")
    if len(data) < 512 or not re.fullmatch(rb"[0-7]{1,7}", written):
        return False
    return sum(data[:148]) + 8 * 32 + sum(data[156:512]) == int(written, 8)


def _kind_of_tiff(data: bytes) -> str:
    tags = _first_tiff_tags(data)
    if _TIFF_TAG_DNG_VERSION in tags:
        return f"DNG, which {_RAW}"
    if _TIFF_TAG_SUB_IFDS in tags and _TIFF_TAG_MAKE in tags:  # NEF, ARW, PEF, SRW …
        return f"a file that {_RAW}"
    return f"a TIFF picture: {_EXPORT}"


def _first_tiff_tags(data: bytes) -> set[int]:
    order = "<" if data[:2] == b"II" else ">"
    try:
        (at,) = struct.unpack_from(f"{order}I", data, 4)
        (count,) = struct.unpack_from(f"{order}H", data, at)
        return {struct.unpack_from(f"{order}H", data, at + 2 + 12 * i)[0] for i in range(min(count, 512))}
    except struct.error:
        return set()
