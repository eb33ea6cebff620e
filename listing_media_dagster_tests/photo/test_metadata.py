"""What is read from a photo's metadata, and what is not kept."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from listing_media_dagster.photo.decode import inspect_photo
from listing_media_dagster.photo.metadata import PhotoFacts, exposure_ev
from listing_media_dagster_tests.photo.delivered_files import encode, exif, four_corners


def facts(kind: str = "JPEG", **shot: object) -> PhotoFacts:
    return inspect_photo(encode(four_corners(), kind, exif=exif(**shot)))  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "HEIF", "AVIF"])
def test_camera_settings_are_read_from_every_format(kind: str) -> None:
    told = facts(
        kind, taken=datetime(2026, 5, 4, 12, 30, 1, 250_000), seconds=0.25, f_number=8.0, iso=200, tag_41989=16,
        tag_37386=16.0, tag_42036="RF15-35mm F2.8 L IS USM", tag_41986=2,
    )  # fmt: skip
    assert told.captured_at == datetime(2026, 5, 4, 12, 30, 1, 250_000)
    assert (told.exposure_seconds, told.f_number, told.iso) == (0.25, 8.0, 200.0)
    assert told.exposure_ev == pytest.approx(-7.0)
    assert (told.focal_length_35mm, told.focal_length_mm) == (16.0, 16.0)
    assert (told.camera, told.lens) == ("Canon EOS R5", "RF15-35mm F2.8 L IS USM")
    assert told.auto_bracketed


def test_facts_survive_json() -> None:
    told = facts(taken=datetime(2026, 5, 4), seconds=0.01, position=True)
    assert PhotoFacts.model_validate_json(told.model_dump_json()) == told


def test_a_position_is_noticed_but_never_kept() -> None:
    told = facts(position=True)
    assert told.has_gps
    assert "59" not in told.model_dump_json(exclude={"signature", "mean_luma"})
    assert not facts().has_gps


def test_capture_time_with_its_offset() -> None:
    told = facts(taken=datetime(2026, 5, 4, 12), tag_36881="-07:00")
    assert told.captured_at == datetime(2026, 5, 4, 12, tzinfo=timezone(timedelta(hours=-7)))


@pytest.mark.parametrize("written", ["0000:00:00 00:00:00", "2026:02:31 10:00:00", "    :  :     :  :  ", "yesterday"])
def test_impossible_capture_time_is_unknown(written: str) -> None:
    assert facts(tag_36867=written).captured_at is None


def test_digitized_time_stands_in_for_a_missing_original_time() -> None:
    assert facts(tag_36868="2026:05:04 12:00:00").captured_at == datetime(2026, 5, 4, 12)


@pytest.mark.parametrize(
    "setting",
    [{"seconds": 0.0}, {"seconds": -1.0}, {"seconds": 1e9}, {"f_number": 0.0}, {"iso": 0}, {"tag_33434": "fast"}],
)
def test_absurd_settings_are_unknown(setting: dict[str, object]) -> None:
    told = facts(**({"seconds": 0.5} | setting))
    assert None in (told.exposure_seconds, told.f_number, told.iso)


def test_shutter_speed_and_aperture_in_apex_stand_in() -> None:
    told = facts(seconds=None, f_number=None, tag_37377=3.0, tag_37378=6.0)
    assert (told.exposure_seconds, told.f_number) == (0.125, 8.0)


def test_exposure_value_of_settings() -> None:
    assert exposure_ev(1.0, 1.0, 100) == 0.0
    assert exposure_ev(2.0, 1.0, 100) == 1.0
    assert exposure_ev(1.0, 2.0, 100) == -2.0
    assert exposure_ev(1.0, None, 400) == 2.0
    assert exposure_ev(None, 2.0, 100) is None
    assert exposure_ev(1.0, 2.0, None) is None


def test_texts_are_cleaned() -> None:
    told = facts(model="EOS\x07 R5\x00garbage" + "x" * 500)
    assert told.camera == "Canon EOS R5"
