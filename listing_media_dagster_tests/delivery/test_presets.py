from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from listing_media_dagster.delivery.presets import DEFAULT_OUTPUTS, PRESETS, UnknownOutput, choose_presets, encode_sizes


def made(name: str, width: int, height: int) -> list[tuple[str, tuple[int, int], int]]:
    rgb = np.random.default_rng(3).integers(0, 255, (height, width, 3), dtype=np.uint8)
    files = []
    for size, data, pixels in encode_sizes(rgb, PRESETS[name].sizes):
        image = Image.open(io.BytesIO(data))
        assert image.size == pixels
        assert image.get_format_mimetype() == size.media_type
        files.append((size.suffix + size.extension, image.size, len(data)))
    return files


def test_mls_photos_are_at_most_2048_px_and_3_mb_even_when_they_are_noise() -> None:
    ((_, size, length),) = made("mls", 3000, 2000)
    assert max(size) <= 2048 and length <= 3_000_000
    assert abs(size[0] / size[1] - 1.5) < 0.01


def test_original_keeps_every_pixel_and_print_says_300_dpi() -> None:
    assert made("original", 321, 123)[0][1] == (321, 123)
    (_, data, _), *_ = encode_sizes(np.zeros((30, 40, 3), np.uint8), PRESETS["print"].sizes)
    assert Image.open(io.BytesIO(data)).info["dpi"] == (300, 300)


def test_web_photos_come_in_three_widths_and_a_jpeg() -> None:
    files = {name: max(size) for name, size, _ in made("web", 2000, 1500)}
    assert files == {".jpg": 1600, "-1600.webp": 1600, "-800.webp": 800, "-400.webp": 400}


def test_small_photos_are_never_enlarged() -> None:
    for name in PRESETS:
        for _, size, _ in made(name, 300, 200):
            assert size[0] <= 300 and size[1] <= 200, name


def test_social_frames_are_filled_from_the_middle() -> None:
    assert {size for _, size, _ in made("social", 4000, 3000)} == {(1080, 1350), (1080, 1920)}
    marked = np.zeros((3000, 4000, 3), np.uint8)
    marked[:, 1900:2100] = 255
    _, data, _ = next(iter(encode_sizes(marked, PRESETS["social"].sizes)))
    row = np.asarray(Image.open(io.BytesIO(data)))[600, :, 0]
    assert row[540] > 250 and row[100] < 5 and row[-100] < 5


def test_an_unknown_size_is_refused_with_those_there_are() -> None:
    with pytest.raises(UnknownOutput, match=r"'mls4k'.*original, print, mls, mls_1024, web, social"):
        choose_presets(["web", "mls4k"])


def test_the_gallery_sizes_are_always_among_those_made() -> None:
    assert [preset.name for preset in choose_presets(["original", "original"])] == ["original", "web"]
    assert tuple(preset.name for preset in choose_presets(None)) == DEFAULT_OUTPUTS
    assert [preset.name for preset in choose_presets(())] == ["web"]


def test_a_fingerprint_tells_images_and_sizes_apart() -> None:
    sizes = [size for preset in PRESETS.values() for size in preset.sizes]
    prints = {size.fingerprint(sha) for size in sizes for sha in ("a" * 64, "b" * 64)}
    assert len(prints) == 2 * len(sizes)
    assert sizes[0].fingerprint("a" * 64) == sizes[0].fingerprint("a" * 64)
