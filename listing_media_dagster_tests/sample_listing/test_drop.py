"""The shipped drop folder is what its README says it is."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import yaml
from PIL import Image, ImageOps

from listing_media_dagster.listing import Listing
from listing_media_dagster.sample_listing import sample_folder

WHOLE = (
    "01-front.jpg",
    "DSC_0412.JPG",
    "03-kitchen.jpg",
    "DSC_0421.JPG",
    "bathroom.jpg",
    "DSC_0430.JPG",
    "DSC_0431.JPG",
    "DSC_0432.JPG",
    "IMG_2201.JPG",
)
BROKEN = "DSC_0413.JPG"
BRACKET = WHOLE[5:8]


def exif_of(name: str) -> tuple[dict[int, object], dict[int, object]]:
    with Image.open(sample_folder() / name) as image:
        exif = image.getexif()
        return dict(exif), dict(exif.get_ifd(0x8769))


def test_the_drop_holds_exactly_the_promised_files_in_six_megabytes() -> None:
    files = [path for path in sample_folder().iterdir() if path.is_file()]
    assert {path.name for path in files} == {*WHOLE, BROKEN, "listing.yaml"}
    assert sum(path.stat().st_size for path in files) <= 6_000_000


@pytest.mark.parametrize("name", WHOLE)
def test_photos_decode_at_full_size_with_camera_exif(name: str) -> None:
    with Image.open(sample_folder() / name) as image:
        image.load()
        assert max(image.size) >= 2000
        assert sorted(image.size)[1] * 2 == sorted(image.size)[0] * 3 or math.isclose(
            max(image.size) / min(image.size), 1.5, abs_tol=0.01
        )
        assert np.asarray(image.convert("L")).std() > 15  # a picture, not a flat field
    main, details = exif_of(name)
    assert {0x829A, 0x829D, 0x8827, 0x9003} <= set(details)  # ExposureTime, FNumber, ISO, DateTimeOriginal
    assert "rendered" in str(main[0x0131])


def test_broken_file_looks_like_a_jpeg_but_does_not_decode() -> None:
    path = sample_folder() / BROKEN
    with Image.open(path) as image, pytest.raises(OSError, match="truncated"):
        image.load()


def test_bracket_frames_are_two_stops_apart_and_brighten_so() -> None:
    times = [float(exif_of(name)[1][0x829A]) for name in BRACKET]  # type: ignore[arg-type]
    assert [math.log2(time / times[1]) for time in times] == pytest.approx([-2, 0, 2], abs=0.02)
    assert len({(exif_of(name)[1][0x8827], exif_of(name)[1][0x829D]) for name in BRACKET}) == 1
    stamps = sorted(str(exif_of(name)[1][0x9003]) for name in BRACKET)
    assert stamps[0][:-2] == stamps[-1][:-2]  # the same minute
    means, blown = [], []
    for name in BRACKET:
        with Image.open(sample_folder() / name) as image:
            grey = np.asarray(image.convert("L").reduce(8), np.float32)
        means.append(float(np.median(grey)))
        blown.append(float((grey > 245).mean()))
    assert means[0] + 20 < means[1] < means[2] - 20
    assert blown[0] < 0.03 < blown[1] < blown[2]  # only the short exposure holds the window


def test_bracket_frames_are_not_aligned_to_the_pixel() -> None:
    import cv2

    def edges(name: str) -> np.ndarray:
        with Image.open(sample_folder() / name) as image:
            grey = np.asarray(image.convert("L"), np.float32)
        return cv2.Laplacian(np.log1p(cv2.GaussianBlur(grey, (0, 0), 2)), cv2.CV_32F)

    shift, _ = cv2.phaseCorrelate(edges(BRACKET[1]), edges(BRACKET[0]))
    assert 0.5 < math.hypot(*shift) < 12


def test_phone_shot_lies_on_its_side_until_exif_turns_it() -> None:
    with Image.open(sample_folder() / "IMG_2201.JPG") as image:
        assert image.getexif()[0x0112] == 6
        assert image.width > image.height
        upright = ImageOps.exif_transpose(image)
        assert upright.width < upright.height
        lamp = np.asarray(upright.convert("L"), np.float32)
    assert lamp[: len(lamp) // 3].max() > 240  # the ceiling lamp is at the top


def test_listing_yaml_fits_the_schema_and_names_existing_files() -> None:
    known = yaml.safe_load((sample_folder() / "listing.yaml").read_text())
    listing = Listing.model_validate({"id": "sample", **known})
    assert "Sample" in str(listing.address)
    assert all((sample_folder() / name).is_file() for name in listing.rooms)


def test_every_whole_photo_has_its_true_camera_on_record() -> None:
    cameras = json.loads(sample_folder().with_name("cameras.json").read_text())
    assert set(WHOLE) <= set(cameras)
    for name in WHOLE:
        record = cameras[name]
        with Image.open(sample_folder() / name) as image:
            size = ImageOps.exif_transpose(image).size
        assert tuple(record["size_px"]) == size
        assert record["focal_px"] == pytest.approx(record["focal_35mm"] / 36 * max(size), rel=1e-3)
        assert exif_of(name)[1][0xA405] == round(record["focal_35mm"])
        assert 1.5 < abs(record["pitch_deg"]) < 8  # tilted as a hurried photographer leaves it
        assert 0.3 < abs(record["roll_deg"]) < 2
