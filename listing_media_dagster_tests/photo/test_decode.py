"""Decoding of delivered files: what is made of good, odd and broken ones."""

from __future__ import annotations

import os
import random
import struct
import zlib
from datetime import datetime
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageCms, PngImagePlugin

from listing_media_dagster.listing import BadPhoto, OperationName
from listing_media_dagster.photo.decode import IntakeLimits, decode_upright, inspect_photo
from listing_media_dagster_tests.photo.delivered_files import (
    STORE_AS,
    encode,
    every_format,
    exif,
    expose,
    four_corners,
    profile_with_red_and_green_swapped,
    radiance,
)

FORMATS = ["JPEG", "JPEG progressive", "PNG", "WebP", "WebP lossless", "HEIC", "AVIF"]
SCENE = expose(radiance(1), 0.0)
FILES = every_format(SCENE)


def reason(data: bytes | Path, limits: IntakeLimits | None = None) -> str:
    with pytest.raises(BadPhoto) as refused:
        inspect_photo(data, limits or IntakeLimits())
    return str(refused.value)


def operations(data: bytes) -> list[OperationName]:
    return [operation.name for operation in decode_upright(data).operations]


@pytest.mark.parametrize("kind", FORMATS)
def test_every_accepted_format_gives_its_pixels_and_needs_no_operation(kind: str) -> None:
    photo = decode_upright(FILES[kind])
    assert photo.rgb.dtype == np.uint8
    assert photo.rgb.shape == SCENE.shape
    assert np.abs(photo.rgb.astype(int) - SCENE).mean() < 4
    assert photo.operations == ()
    assert photo.facts.format == kind.split()[0]
    assert (photo.facts.width, photo.facts.height, photo.facts.notes, photo.facts.remarks) == (480, 320, (), ())


def test_content_decides_not_the_extension(tmp_path: Path) -> None:
    path = tmp_path / "kitchen.jpg"
    path.write_bytes(FILES["PNG"])
    assert inspect_photo(path).format == "PNG"


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_exif_orientation_is_applied(kind: str, orientation: int) -> None:
    upright = four_corners()
    options = {"lossless": True} if kind == "WEBP" else {"subsampling": 0, "quality": 98} if kind == "JPEG" else {}
    photo = decode_upright(encode(STORE_AS[orientation](upright), kind, exif=exif(orientation=orientation), **options))
    assert photo.rgb.shape == upright.shape
    assert np.abs(photo.rgb.astype(int) - upright).mean() < 2
    assert (photo.facts.width, photo.facts.height) == (360, 240)
    assert [o.parameters for o in photo.operations] == ([] if orientation == 1 else [{"orientation": orientation}])


@pytest.mark.parametrize("orientation", [0, 9, 1000])
def test_invalid_orientation_is_ignored(orientation: int) -> None:
    photo = decode_upright(encode(four_corners(), exif=exif(orientation=orientation)))
    assert photo.rgb.shape == (240, 360, 3)
    assert photo.operations == ()
    assert photo.facts.orientation == 1


def test_orientation_in_xmp_of_a_png_is_applied() -> None:
    about = PngImagePlugin.PngInfo()
    about.add_itxt("XML:com.adobe.xmp", '<x:xmpmeta><rdf:Description tiff:Orientation="3"/></x:xmpmeta>')
    photo = decode_upright(encode(four_corners()[::-1, ::-1], "PNG", pnginfo=about))
    assert np.array_equal(photo.rgb, four_corners())


@pytest.mark.parametrize("orientation", [3, 6, 5])
def test_heic_is_turned_once_though_container_and_exif_both_ask_for_it(orientation: int) -> None:
    stored = encode(STORE_AS[orientation](four_corners()), "HEIF", exif=exif(orientation=orientation))
    photo = decode_upright(stored)
    assert photo.rgb.shape == (240, 360, 3)
    assert np.abs(photo.rgb.astype(int) - four_corners()).mean() < 4


@pytest.mark.parametrize("orientation", [3, 6, 7])
def test_avif_is_turned_once_though_container_and_exif_both_ask_for_it(orientation: int) -> None:
    stored = encode(STORE_AS[orientation](four_corners()), "AVIF", exif=exif(orientation=orientation))
    assert b"irot" in stored or b"imir" in stored
    photo = decode_upright(stored)
    assert photo.rgb.shape == (240, 360, 3)
    assert np.abs(photo.rgb.astype(int) - four_corners()).mean() < 4


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "HEIF", "AVIF"])
def test_embedded_profile_is_converted_to_srgb(kind: str) -> None:
    photo = decode_upright(encode(four_corners(), kind, icc_profile=profile_with_red_and_green_swapped()))
    red_quarter = photo.rgb[60, 90].astype(int)
    assert red_quarter[1] > 150 > red_quarter[0]  # what the file calls red is green
    assert [o.name for o in photo.operations] == [OperationName.COLOUR_PROFILE]
    assert photo.operations[0].parameters["to"] == "sRGB"


def test_profile_that_is_srgb_anyway_is_no_operation() -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    photo = decode_upright(encode(SCENE, "PNG", icc_profile=srgb))
    assert np.array_equal(photo.rgb, SCENE)
    assert photo.operations == ()


@pytest.mark.parametrize("profile", [b"\0" * 300, b"not a profile", profile_with_red_and_green_swapped()[:200]])
def test_broken_profile_is_remarked_and_taken_as_srgb(profile: bytes) -> None:
    photo = decode_upright(encode(SCENE, "PNG", icc_profile=profile))
    assert np.array_equal(photo.rgb, SCENE)
    assert photo.operations == ()
    assert "colour profile" in photo.facts.remarks[0]
    assert photo.facts.notes == ()


def test_profile_of_another_kind_of_picture_is_ignored() -> None:
    grey = Image.fromarray(SCENE).convert("L")
    photo = decode_upright(encode(grey, "PNG", icc_profile=profile_with_red_and_green_swapped()))
    assert (
        np.abs(photo.rgb.astype(int) - np.asarray(grey)[..., None]).max() <= 3
    )  # grey stays grey under any RGB profile


def test_cmyk_becomes_srgb() -> None:
    photo = decode_upright(encode(Image.fromarray(four_corners()).convert("CMYK"), quality=95))
    assert np.abs(photo.rgb.astype(int) - four_corners()).mean() < 6
    assert photo.operations[0].parameters["from"] == "CMYK without a profile"


def test_grey_one_bit_palette_and_sixteen_bit_pictures_are_accepted() -> None:
    image = Image.fromarray(SCENE)
    wide = Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
    grey = np.asarray(image.convert("L")).astype(int)
    for odd in (image.convert("L"), wide, image.convert("LA")):
        photo = decode_upright(encode(odd, "PNG"))
        assert np.abs(photo.rgb.astype(int) - grey[..., None]).max() <= 1
        assert photo.operations == ()
    one_bit = decode_upright(encode(image.convert("1"), "PNG")).rgb
    assert set(np.unique(one_bit)) == {0, 255}
    palette = decode_upright(encode(image.quantize(64), "PNG")).rgb
    assert np.abs(palette.astype(int) - SCENE).mean() < 12


def test_transparency_is_laid_on_white() -> None:
    rgba = np.dstack([four_corners(), np.full((240, 360), 255, np.uint8)])
    assert operations(encode(Image.fromarray(rgba), "PNG")) == []
    rgba[:120, :180, 3] = 0
    rgba[:120, 180:, 3] = 128
    for kind, options in (("PNG", {}), ("WEBP", {"lossless": True})):
        photo = decode_upright(encode(Image.fromarray(rgba), kind, **options))
        assert [o.name for o in photo.operations] == [OperationName.FLATTEN]
        assert tuple(photo.rgb[10, 10]) == (255, 255, 255)
        assert np.abs(photo.rgb[10, 300].astype(int) - (np.array([40, 180, 60]) + 255) // 2).max() <= 2


def test_transparent_colour_of_a_png_is_laid_on_white() -> None:
    photo = decode_upright(encode(Image.fromarray(four_corners()), "PNG", transparency=(200, 40, 40)))
    assert tuple(photo.rgb[10, 10]) == (255, 255, 255)
    assert [o.name for o in photo.operations] == [OperationName.FLATTEN]


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "AVIF"])
def test_animation_is_rejected(kind: str) -> None:
    frames = [Image.fromarray(expose(radiance(room), 0)) for room in (1, 2, 3)]
    text = reason(encode(frames[0], kind, save_all=True, append_images=frames[1:], duration=100))
    assert "animation of 3 pictures" in text


def test_only_the_primary_picture_counts_in_a_file_of_several(tmp_path: Path) -> None:
    first, second = Image.fromarray(SCENE), Image.fromarray(expose(radiance(2), 0))
    stereo = encode(first, "MPO", save_all=True, append_images=[second])
    heif = pillow_heif.from_pillow(second)
    heif.add_from_pillow(first)
    heif.save(tmp_path / "burst.heic", primary_index=1, quality=90)
    for data in (stereo, (tmp_path / "burst.heic").read_bytes()):
        assert np.abs(decode_upright(data).rgb.astype(int) - SCENE).mean() < 6


@pytest.mark.parametrize("share", [0.05, 0.3, 0.6, 0.9, 0.99])
@pytest.mark.parametrize("kind", FORMATS)
def test_cut_off_file_is_rejected_with_its_reason(kind: str, share: float) -> None:
    assert "cut off" in reason(FILES[kind][: int(len(FILES[kind]) * share)])


@pytest.mark.parametrize("kind", ["JPEG", "JPEG progressive"])
def test_jpeg_cut_off_and_closed_again_does_not_pass_as_whole(kind: str) -> None:
    closed = FILES[kind][: int(len(FILES[kind]) * 0.6)] + b"\xff\xd9"
    if kind == "JPEG":
        assert "cut off" in reason(closed)
    else:  # coarse everywhere instead of missing at the bottom: a person must decide
        assert "damaged" in inspect_photo(closed).notes[0]


def test_jpeg_with_a_hole_in_its_data_is_flagged() -> None:
    data = bytearray(FILES["JPEG"])
    middle = len(data) // 2
    data[middle : middle + 400] = bytes(400)
    assert "damaged" in inspect_photo(bytes(data)).notes[0]


def test_png_damaged_behind_its_pixels_is_accepted_for_review() -> None:
    data = FILES["PNG"]
    for damaged in (data[:-12], data[:-14], data[:-12] + b"\x7f\xff\xff\xffgarbage"):
        photo = decode_upright(damaged)
        assert np.array_equal(photo.rgb, SCENE)
        assert [note.split(",")[0] for note in photo.facts.notes] == ["the file is damaged"]


def test_png_damaged_within_its_pixels_is_rejected() -> None:
    data = bytearray(FILES["PNG"])
    data[len(data) // 2] ^= 0xFF
    assert "damaged" in reason(bytes(data))


@pytest.mark.parametrize("kind", FORMATS)
def test_foreign_bytes_behind_the_picture_are_harmless(kind: str) -> None:
    assert inspect_photo(FILES[kind] + b"PK\x03\x04" + b"\0" * 4000).notes == ()


def _png_with(chunk: bytes, body: bytes, *, crc: int | None = None) -> bytes:
    crc = zlib.crc32(chunk + body) if crc is None else crc
    made = struct.pack(">I", len(body)) + chunk + body + struct.pack(">I", crc)
    return FILES["PNG"][:33] + made + FILES["PNG"][33:]


def test_broken_metadata_never_costs_the_photo() -> None:
    good = exif(orientation=6, seconds=0.01, taken=datetime(2026, 5, 1))
    for broken in (b"Exif\0\0II*\0\xff\xff\xff\x7f", b"Exif\0\0" + bytes(40), good[:40], good[:-30], b"Exif\0\0"):
        for kind in ("JPEG", "PNG", "WEBP"):
            assert inspect_photo(encode(SCENE, kind, exif=broken)).width in (480, 320)
    assert inspect_photo(_png_with(b"tEXt", b"Comment\0broken", crc=1)).notes[0].startswith("its metadata is damaged")
    bomb = zlib.compress(bytes(8 * 2**20), 9)
    assert inspect_photo(_png_with(b"zTXt", b"Comment\0\0" + bomb)).width == 480
    app1_of_absurd_length = FILES["JPEG"][:2] + b"\xff\xe1\x00\x02" + FILES["JPEG"][2:]
    assert inspect_photo(app1_of_absurd_length).width == 480


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        (b"", "empty"),
        (b"GIF89a" + bytes(50), "GIF"),
        (b"II*\0\x08\0\0\0\0\0", "TIFF picture"),
        (b"II*\0\x10\0\0\0CR\x02\0" + bytes(50), "Canon CR2, which is a camera raw file"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", "Canon CR3"),
        (b"II*\0\x08\0\0\0\x01\0\x12\xc6\x01\0\x04\0\0\0\1\4\0\0", "DNG"),
        (b"MM\0*\0\0\0\x08\0\2\x01\x0f" + bytes(10) + b"\x01\x4a" + bytes(10), "camera raw file"),
        (b"FUJIFILMCCD-RAW 0201", "Fujifilm RAF"),
        (b"8BPS\0\1", "Photoshop document"),
        (b"BM" + bytes(60), "BMP"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
        (b"\0\0\0\x20ftypisom\0\0\2\0", "video"),
        (b"\0\0\0\x14ftypqt  \0\0\0\0qt  ", "video"),
        (b"%PDF-1.7", "PDF"),
        (b"PK\3\4" + bytes(30), "ZIP archive"),
        (b"\n <!DOCTYPE html><title>Sign in</title>", "web page"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        (b"\0\5\x16\7\0\2\0\0Mac OS X", "macOS"),
        (b"just a note\n", "text"),
        (bytes(5000), "nothing but zeros"),
        (b"\x93\x12\0\4garbage", "not a photo in a format that can be read"),
    ],
)
def test_other_files_are_named_with_what_to_do(start: bytes, expected: str) -> None:
    text = reason(start)
    assert expected in text
    assert ": " in text, "a next step follows the colon"


def test_sizes_out_of_bounds_name_the_values() -> None:
    assert "too small: 200 x 150 px" in reason(encode(four_corners(200, 150)))
    assert "240 px" in reason(encode(four_corners(300, 239)))
    assert inspect_photo(encode(four_corners(300, 240))).height == 240
    assert "0.2 MP" not in reason(FILES["JPEG"], IntakeLimits(max_pixels=100_000))
    assert "480 x 320" in reason(FILES["JPEG"], IntakeLimits(max_pixels=100_000))
    assert "too big" in reason(FILES["JPEG"], IntakeLimits(max_bytes=1000))


def test_decompression_bombs_are_refused_by_their_header() -> None:
    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    png = FILES["PNG"][:8] + struct.pack(">I", 13) + b"IHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    assert "3600 MP" in reason(png + FILES["PNG"][33:])
    jpeg = bytearray(encode(SCENE))
    at = jpeg.index(b"\xff\xc0")
    jpeg[at + 5 : at + 9] = struct.pack(">HH", 65500, 65500)
    assert "4290 MP" in reason(bytes(jpeg))


def test_what_is_no_regular_file_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "dangling.jpg").symlink_to(tmp_path / "gone.jpg")
    (tmp_path / "photo.jpg").write_bytes(FILES["JPEG"])
    (tmp_path / "link.jpg").symlink_to(tmp_path / "photo.jpg")
    assert "regular file" in reason(tmp_path / "pipe.jpg")
    assert "folder" in reason(tmp_path)
    assert "isn't there" in reason(tmp_path / "dangling.jpg")
    assert inspect_photo(tmp_path / "link.jpg").width == 480


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_unreadable_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(FILES["JPEG"])
    (tmp_path / "photo.jpg").chmod(0)
    assert "permission" in reason(tmp_path / "photo.jpg")


@pytest.mark.parametrize("shade", [0, 128, 255])
def test_blank_picture_is_accepted_with_a_note(shade: int) -> None:
    blank = np.full((300, 400, 3), shade, np.uint8)
    assert "blank" in inspect_photo(encode(blank)).notes[0]


def test_dark_bracket_frame_is_not_blank() -> None:
    assert inspect_photo(encode(expose(radiance(4), -4))).notes == ()


def test_facts_are_the_same_with_and_without_the_pixels() -> None:
    data = encode(four_corners(900, 700), exif=exif(orientation=6, seconds=0.5, iso=400))
    assert inspect_photo(data) == decode_upright(data).facts


@pytest.mark.parametrize("kind", FORMATS)
def test_no_byte_of_damage_causes_anything_but_a_reason(kind: str) -> None:
    rng = random.Random(kind)
    for _ in range(12):
        data = bytearray(FILES[kind])
        for _ in range(rng.choice((1, 1, 4))):
            data[rng.randrange(len(data) if rng.random() < 0.5 else 700)] = rng.randrange(256)
        if rng.random() < 0.3:
            del data[rng.randrange(len(data)) :]
        try:
            facts = inspect_photo(bytes(data))
        except BadPhoto as refused:
            assert ": " in str(refused)
        else:
            assert facts.width * facts.height <= IntakeLimits().max_pixels
