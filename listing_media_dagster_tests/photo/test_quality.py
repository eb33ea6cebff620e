"""The measures themselves: each must rise with what it names."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from listing_media_dagster.photo.quality import (
    clipped_shares,
    halo_measure,
    native_tiles,
    neutral_cast,
    neutral_consistency,
    noise_sigma,
    sharpness,
    small_copy,
)
from listing_media_dagster_tests.photo.painted_rooms import SHADE, WARM_WHITE_LAMP, paint_room


@pytest.mark.parametrize("sigma", [1.0, 3.0, 8.0])
def test_noise_is_measured_in_levels(sigma: float) -> None:
    grain = np.random.default_rng(0).normal(0, sigma, (600, 800, 1))
    measured, _ = noise_sigma(native_tiles(np.clip(128 + grain, 0, 255).round().astype(np.uint8).repeat(3, axis=2)))
    assert 0.7 * sigma < measured < 1.2 * sigma


def test_sharpness_falls_with_blur() -> None:
    room = paint_room().rgb
    assert sharpness(native_tiles(cv2.GaussianBlur(room, (0, 0), 3))) < 0.6 * sharpness(native_tiles(room))


def test_clipped_shares_count_both_ends() -> None:
    rgb = np.full((100, 100, 3), 128, np.uint8)
    rgb[:10], rgb[90:] = 255, 0
    assert clipped_shares(rgb) == pytest.approx((0.1, 0.1))


def test_a_tone_curve_is_no_halo_and_a_wide_unsharp_mask_is() -> None:
    room = paint_room(exposure=0.5).rgb
    curve = (255 * (np.arange(256) / 255) ** 0.6).astype(np.uint8)
    assert halo_measure(room, cv2.LUT(room, curve)) < 2.5
    soft = cv2.GaussianBlur(room, (0, 0), 8).astype(float)
    haloed = np.clip(room + 0.8 * (room - soft), 0, 255).astype(np.uint8)
    assert halo_measure(room, haloed) > 12


def test_cast_is_the_distance_from_neutral() -> None:
    assert neutral_cast(paint_room().rgb).delta_e < 1
    warm = neutral_cast(paint_room(light=(1.2, 1.0, 0.75)).rgb)
    assert warm.b > 8 and warm.confidence > 0.5
    assert neutral_cast(paint_room(light=SHADE).rgb).b < -3


def test_consistency_is_zero_for_alike_and_grows_with_difference() -> None:
    one, other = paint_room().rgb, paint_room(light=(1.2, 1.0, 0.75)).rgb
    assert neutral_consistency([one, one]) == pytest.approx(0.0, abs=1e-6)
    assert neutral_consistency([one, other]) > 8
    assert neutral_consistency([one]) == 0.0


def test_a_version_can_be_measured_on_the_surfaces_of_another() -> None:
    before = paint_room(light=WARM_WHITE_LAMP).rgb
    grey = np.full_like(before, 180)
    assert neutral_cast(grey, surfaces_of=before).delta_e < 0.5
    assert neutral_cast(before).delta_e > 15


def test_a_small_copy_keeps_the_shape_and_is_never_enlarged() -> None:
    assert small_copy(np.zeros((3024, 4032, 3), np.uint8)).shape == (480, 640, 3)
    assert small_copy(np.zeros((100, 90, 3), np.uint8)).shape == (100, 90, 3)
    assert max(small_copy(np.zeros((37, 5001, 3), np.uint8)).shape) == 640
