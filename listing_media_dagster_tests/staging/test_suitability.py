from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

import listing_media_dagster
from listing_media_dagster.staging.suitability import judge_suitability
from listing_media_dagster_tests.photo.painted_rooms import paint_house
from listing_media_dagster_tests.staging.test_emptiness import draw_room

SAMPLE = Path(listing_media_dagster.__file__).parent / "sample_listing" / "drop"
RENDERED = Path(__file__).parent / "judged_rooms"
DATA = Path(__file__).parents[3] / "shared" / "data"
needs_real_photos = pytest.mark.skipif(not DATA.is_dir(), reason="the real photos aren't beside this checkout")


def photo(path):
    with Image.open(path) as image:
        upright = ImageOps.exif_transpose(image).convert("RGB")
    upright.thumbnail((800, 800))
    return np.asarray(upright)


def retaken(rgb):
    """The same view mirrored, cropped, darker and warmer, as a small coarse JPEG."""
    height, width = rgb.shape[:2]
    part = rgb[height // 20 : -height // 20, width // 20 : -width // 20][:, ::-1]
    relit = np.clip(255 * (part / 255) ** 1.15 * np.array([0.85, 0.8, 0.7]), 0, 255).astype(np.uint8)
    small = cv2.resize(relit, None, fx=0.7, fy=0.7, interpolation=cv2.INTER_AREA)
    return cv2.imdecode(cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 50])[1], cv2.IMREAD_COLOR)


def test_a_drawn_bare_room_is_empty_and_sure():
    judged = judge_suitability(draw_room()[0])
    assert judged.refusal is None
    assert judged.confidence > 0.9


@pytest.mark.parametrize("name", ["DSC_0412.JPG", "DSC_0421.JPG"])
def test_the_sample_listings_empty_rooms_are_accepted(name):
    assert judge_suitability(photo(SAMPLE / name)).refusal is None


@pytest.mark.parametrize(
    "name", ["01-front.jpg", "03-kitchen.jpg", "bathroom.jpg", "DSC_0430.JPG", "DSC_0431.JPG", "DSC_0432.JPG"]
)
def test_the_sample_listings_other_photos_are_refused(name):
    assert judge_suitability(photo(SAMPLE / name)).refusal is not None


@pytest.mark.parametrize("path", sorted(RENDERED.glob("*.jpg")), ids=lambda path: path.stem)
def test_rendered_rooms_are_accepted_if_empty(path):
    assert (judge_suitability(photo(path)).refusal is None) == path.stem.startswith("empty")


def test_an_exterior_is_named_so():
    judged = judge_suitability(paint_house())
    assert judged.refusal == "an exterior: sky or vegetation and no ceiling"
    assert judged.is_exterior


@pytest.mark.parametrize(
    ("rgb", "because"),
    [
        (np.zeros((400, 600, 3), np.uint8), "too dark"),
        (np.full((400, 600, 3), 200, np.uint8), "one tone"),
        (np.full((400, 600, 3), np.linspace(60, 250, 600)[None, :, None], np.uint8), "not a view of a room"),
        (np.random.default_rng(0).integers(0, 255, (400, 600, 3), np.uint8), ""),
        (np.full((8, 900, 3), 128, np.uint8), "not a room"),
        (np.full((1, 1, 3), 128, np.uint8), "not a room"),
    ],
)
def test_what_is_no_room_is_refused_with_its_reason(rgb, because):
    refusal = judge_suitability(rgb).refusal
    assert refusal is not None and because in refusal


def test_the_judgement_is_the_same_each_time():
    rgb = draw_room()[0]
    assert judge_suitability(rgb) == judge_suitability(rgb)


@needs_real_photos
def test_real_empty_rooms_are_accepted():
    judged = [judge_suitability(photo(path)) for path in sorted((DATA / "empty_rooms").iterdir())]
    assert sum(one.refusal is None for one in judged) >= len(judged) - 1


@needs_real_photos
@pytest.mark.parametrize("take", [np.asarray, retaken])
def test_real_furnished_rooms_kitchens_bathrooms_and_fronts_are_refused_however_taken(take):
    paths = sorted([*(DATA / "cluttered").iterdir(), *(DATA / "listings").glob("house-*/*.jpg")])
    assert [path.name for path in paths if judge_suitability(take(photo(path))).refusal is None] == []
