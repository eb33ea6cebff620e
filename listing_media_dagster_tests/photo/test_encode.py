"""Encoded files keep colours, limits and secrets."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from listing_media_dagster.photo import encode


def smooth_picture(width: int = 640, height: int = 480) -> NDArray[np.uint8]:
    """A room-like gradient with hard edges: uint8 (H, W, 3)."""
    x = np.linspace(40, 220, width)[None, :, None]
    y = np.linspace(0, 30, height)[:, None, None]
    picture = np.broadcast_to(x + y, (height, width, 3)).copy()
    picture[height // 4 : height // 2, width // 4 : width // 2] = (200, 60, 40)
    return picture.astype(np.uint8)


def noise(width: int, height: int) -> NDArray[np.uint8]:
    return np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def test_a_jpeg_keeps_its_colours_and_says_that_they_are_srgb() -> None:
    rgb = smooth_picture()
    image = opened(encode.encode_jpeg(rgb))
    assert image.format == "JPEG"
    assert "sRGB" in str(_profile_description(image))
    difference = np.abs(np.asarray(image).astype(int) - rgb)
    assert difference.mean() < 1.0


def test_fitted_tables_make_a_smaller_file_that_looks_the_same() -> None:
    rgb = smooth_picture()
    small, fast = encode.encode_jpeg(rgb), encode.encode_jpeg(rgb, optimise=False)
    assert len(small) < len(fast)
    apart = np.asarray(opened(small)).astype(int) - np.asarray(opened(fast))
    assert np.sqrt(np.mean(apart**2)) < 1


def _profile_description(image: Image.Image) -> str:
    from PIL import ImageCms

    return ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"])))


@pytest.mark.parametrize("encoder", [encode.encode_jpeg, encode.encode_webp])
def test_a_file_carries_no_metadata_beside_its_profile(encoder: object) -> None:
    image = opened(encoder(smooth_picture()))  # type: ignore[operator]
    assert not image.getexif()
    assert "xmp" not in image.info and "photoshop" not in image.info and "comment" not in image.info


def test_the_same_pixels_give_the_same_bytes() -> None:
    rgb = smooth_picture()
    assert encode.encode_jpeg(rgb) == encode.encode_jpeg(rgb.copy())
    assert encode.encode_webp(rgb) == encode.encode_webp(rgb.copy())
    encode.srgb_profile.cache_clear()
    assert encode.srgb_profile()[24:36] == bytes([7, 208, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0])


def test_chroma_is_kept_whole_unless_halved_on_request() -> None:
    red_on_blue = np.zeros((64, 64, 3), np.uint8)
    red_on_blue[:, ::2] = (255, 0, 0)
    red_on_blue[:, 1::2] = (0, 0, 255)
    whole = np.asarray(opened(encode.encode_jpeg(red_on_blue))).astype(int)
    halved = np.asarray(opened(encode.encode_jpeg(red_on_blue, chroma="4:2:0"))).astype(int)
    assert np.abs(whole - red_on_blue).mean() < 10 < np.abs(halved - red_on_blue).mean()


def test_print_files_are_tagged_with_their_resolution() -> None:
    assert opened(encode.encode_jpeg(smooth_picture(), dpi=300)).info["dpi"] == (300, 300)


@settings(max_examples=15, deadline=None)
@given(st.integers(4_000, 120_000))
def test_a_file_never_exceeds_its_limit_even_when_the_picture_is_noise(limit: int) -> None:
    assert len(encode.encode_within(noise(200, 150), limit)) <= limit


def test_quality_is_the_highest_that_fits() -> None:
    rgb = noise(200, 150)
    sizes = {quality: len(encode.encode_jpeg(rgb, quality)) for quality in range(60, 93)}
    limit = sizes[77] + 10
    best = max(size for size in sizes.values() if size <= limit)
    assert len(encode.encode_within(rgb, limit)) == best
    assert len(encode.encode_within(rgb, 10**9)) == sizes[92]


def test_a_picture_that_cannot_fit_at_any_quality_is_made_smaller() -> None:
    data = encode.encode_within(noise(400, 300), 20_000)
    assert max(opened(data).size) < 400


def test_an_impossible_limit_is_an_error_that_names_it() -> None:
    with pytest.raises(ValueError, match="100 bytes"):
        encode.encode_within(noise(64, 64), 100)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 900), st.integers(1, 900), st.integers(1, 400))
def test_resizing_keeps_proportions_and_never_enlarges(width: int, height: int, px: int) -> None:
    rgb = np.zeros((height, width, 3), np.uint8)
    resized = encode.resize_to_long_edge(rgb, px)
    longest = max(width, height)
    assert max(resized.shape[:2]) == min(longest, px)
    if longest > px:
        assert abs(resized.shape[1] - width * px / longest) <= 1
        assert abs(resized.shape[0] - height * px / longest) <= 1
    else:
        assert resized is rgb


def test_fine_patterns_average_out_instead_of_turning_into_moire() -> None:
    stripes = np.zeros((500, 1000, 3), np.uint8)
    stripes[:, ::2] = 255
    for px in (450, 120):
        small = encode.resize_to_long_edge(stripes, px).astype(int)
        inner = small[10:-10, 10:-10]
        assert abs(inner.mean() - 127.5) < 3
        assert inner.std() < 12


@pytest.mark.parametrize("wrong", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32)])
def test_other_arrays_are_refused(wrong: NDArray[np.uint8]) -> None:
    with pytest.raises(ValueError, match="expected uint8"):
        encode.encode_jpeg(wrong)
