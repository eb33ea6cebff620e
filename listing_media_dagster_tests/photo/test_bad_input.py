"""The collection of broken and odd files: each becomes what its manifest says it should."""

from __future__ import annotations

import json
from typing import Any

import pytest

from listing_media_dagster.listing import BadPhoto
from listing_media_dagster.photo.decode import IntakeLimits, decode_upright
from listing_media_dagster.photo.isolation import inspect_photos
from listing_media_dagster.photo.metadata import PhotoFacts
from listing_media_dagster_tests.photo.delivered_files import SHARED_DATA

pytestmark = pytest.mark.skipif(not SHARED_DATA.is_dir(), reason=f"no {SHARED_DATA} on this machine")
TOO_SMALL_ALONE = "124_derived_tiny_320.jpg"  # expected to be rejected for nothing but its 213 px


def expected_files() -> dict[str, dict[str, Any]]:
    manifest = json.loads((SHARED_DATA / "manifest.json").read_text())
    return {
        entry["file"].removeprefix("bad_input/"): entry for entry in manifest if entry["file"].startswith("bad_input/")
    }


def outcomes(limits: IntakeLimits) -> dict[str, PhotoFacts | BadPhoto]:
    names = list(expected_files())
    return dict(zip(names, inspect_photos([SHARED_DATA / "bad_input" / name for name in names], limits), strict=True))


def test_every_file_has_its_expected_outcome_whatever_its_size() -> None:
    for name, outcome in outcomes(IntakeLimits(min_short_edge=1)).items():
        expected = expected_files()[name]["expect"]
        if expected == "reject" and name != TOO_SMALL_ALONE:
            assert isinstance(outcome, BadPhoto), name
        else:
            assert isinstance(outcome, PhotoFacts), f"{name}: {outcome}"
            if expected == "review":
                assert outcome.notes, name
            else:
                assert [note for note in outcome.notes if "blank" not in note] == [], name


def test_with_the_default_limits_only_size_makes_a_difference() -> None:
    small = outcomes(IntakeLimits())
    for name, outcome in outcomes(IntakeLimits(min_short_edge=1)).items():
        if isinstance(outcome, PhotoFacts) and min(outcome.width, outcome.height) < 240:
            assert "too small" in str(small[name]), name
        else:
            assert str(small[name]) == str(outcome), name


def test_upright_sizes_are_those_of_the_upright_picture() -> None:
    for name, size in {
        "024_Landscape_3.jpg": (1800, 1200),
        "026_Landscape_5.jpg": (1800, 1200),
        "028_Landscape_7.jpg": (1800, 1200),
        "030_Portrait_6.jpg": (1200, 1800),
        "084_avif_rot1mir0.avif": (640, 427),
        "076_xmp_tags_orientation.png": (326, 268),
    }.items():
        photo = decode_upright(SHARED_DATA / "bad_input" / name)
        assert photo.rgb.shape[1::-1] == (photo.facts.width, photo.facts.height) == size, name
        assert photo.operations[0].name == "upright"


def test_the_four_orientations_of_one_scene_agree() -> None:
    scenes = [
        decode_upright(SHARED_DATA / "bad_input" / name).rgb.astype(int)
        for name in (
            "024_Landscape_3.jpg",
            "026_Landscape_5.jpg",
            "028_Landscape_7.jpg",
            "114_derived_trailing_zip.jpg",
        )
    ]
    for scene in scenes[1:]:
        assert abs(scene - scenes[0]).mean() < 6
