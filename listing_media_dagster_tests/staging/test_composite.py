"""A staged photo: nothing but furniture and its shadow changes, and it looks lit by the room."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from listing_media_dagster.staging import laying_in
from listing_media_dagster.staging.camera_look import camera_look
from listing_media_dagster.staging.composite import StagedPixels, render_staging
from listing_media_dagster.staging.light import linear_light
from listing_media_dagster.staging.reflection import floor_gloss
from listing_media_dagster.staging.scene import stand_in
from listing_media_dagster.staging.shadow import eased_where_walls_meet
from listing_media_dagster_tests.staging.painted_room import CRATES, crate, known_geometry, paint


@pytest.fixture(scope="module")
def base() -> NDArray[np.uint8]:
    return paint(known_geometry(), {"left": 7.0, "right": 1.0})


@pytest.fixture(scope="module")
def staged(base: NDArray[np.uint8]) -> StagedPixels:
    return render_staging(base, known_geometry(), crate(), CRATES, 3)


def test_nothing_outside_the_edit_mask_changes(base: NDArray[np.uint8], staged: StagedPixels) -> None:
    assert np.array_equal(staged.rgb[~staged.edit_mask], base[~staged.edit_mask])
    assert 0.02 < staged.edit_mask.mean() < 0.6
    assert (staged.edit_mask | (staged.furniture == 0)).all()


def test_a_change_outside_the_edit_mask_would_be_seen(base: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch) -> None:
    """The mask comes from the layers, not from what changed: nothing hides a fault of the arithmetic."""
    honest = laying_in._coded
    monkeypatch.setattr(laying_in, "_coded", lambda linear: honest(linear) + np.float32(2 / 255))
    faulty = render_staging(base, known_geometry(), crate(), CRATES, 3)
    assert (faulty.rgb != base)[~faulty.edit_mask].any()


def test_every_level_of_a_photo_survives_linear_light() -> None:
    levels = np.arange(256, dtype=np.uint8)
    assert np.array_equal((laying_in._coded(linear_light(levels)) * 255 + 0.5).astype(np.uint8), levels)


def test_a_shadow_keeps_the_hue_of_what_it_falls_on(base: NDArray[np.uint8], staged: StagedPixels) -> None:
    shaded = staged.edit_mask & (staged.furniture == 0) & (staged.rgb.mean(axis=-1) < base.mean(axis=-1) - 8)
    before, after = linear_light(base)[shaded], linear_light(staged.rgb)[shaded]
    before, after = before / before.sum(axis=-1, keepdims=True), after / after.sum(axis=-1, keepdims=True)
    assert shaded.sum() > 50
    assert np.abs(before - after).mean() < 0.005


def test_the_same_seed_gives_the_same_bytes(base: NDArray[np.uint8], staged: StagedPixels) -> None:
    again = render_staging(base, known_geometry(), crate(), CRATES, 3)
    assert np.array_equal(staged.rgb, again.rgb)
    assert np.array_equal(staged.depth, again.depth)


def test_a_white_crate_is_about_as_bright_as_the_walls(base: NDArray[np.uint8], staged: StagedPixels) -> None:
    walls = np.median(base[20:45, 40:110].mean(axis=-1))
    white = np.median(staged.rgb[staged.furniture > 0.95].mean(axis=-1))
    assert 0.7 * walls < white < 1.4 * walls


def test_the_side_toward_the_window_is_the_brighter(staged: StagedPixels) -> None:
    rows, columns = np.nonzero(staged.furniture > 0.95)
    level = staged.rgb.mean(axis=-1)[rows, columns]
    faces = rows > np.percentile(rows, 40)
    left, right = np.percentile(columns, [30, 70])
    assert level[faces & (columns < left)].mean() > 1.05 * level[faces & (columns > right)].mean()


def test_the_floor_beside_the_crate_is_darker_and_no_brighter_anywhere(
    base: NDArray[np.uint8], staged: StagedPixels
) -> None:
    beside = staged.edit_mask & (staged.furniture == 0)
    change = staged.rgb[beside].astype(int) - base[beside]
    assert change.max() <= 1
    assert change.min() < -5


def test_the_floor_is_darkest_right_beside_the_crate(base: NDArray[np.uint8], staged: StagedPixels) -> None:
    """Light from all around leaves a dark, narrow shadow where something stands, and a wide, weak one round it."""
    left = linear_light(staged.rgb).mean(axis=-1) / np.maximum(linear_light(base).mean(axis=-1), 1e-3)
    columns = np.flatnonzero(staged.furniture.max(axis=0) > 0.9)[3:-3]
    foot = len(staged.furniture) - (staged.furniture[::-1, columns] > 0.1).argmax(axis=0)
    beside, near, far = (float(np.median(left[foot + away, columns])) for away in (0, 2, 6))
    assert beside < 0.8
    assert beside < near - 0.05 < far - 0.05


def test_depth_is_metric(staged: StagedPixels) -> None:
    rows, columns = np.nonzero(staged.furniture > 0.95)
    assert 2.3 < np.median(staged.depth[rows, columns]) < 3.4
    assert staged.depth.max() < 8


def test_geometry_of_another_photo_is_refused(base: NDArray[np.uint8]) -> None:
    with pytest.raises(ValueError, match="144, 96"):
        render_staging(base[:-1], known_geometry(), crate(), CRATES, 0)


def test_a_piece_of_unknown_design_is_named(base: NDArray[np.uint8]) -> None:
    with pytest.raises(ValueError, match="crate: unknown design"):
        render_staging(base, known_geometry(), crate(), {}, 0)


def test_a_varnished_floor_is_told_from_a_matt_one(base: NDArray[np.uint8]) -> None:
    geometry = known_geometry()
    room = stand_in(geometry, [])
    assert floor_gloss(base, geometry, room) < 0.1
    assert floor_gloss(paint(geometry, {"left": 7.0, "right": 3.0}, mirror=True), geometry, room) > 0.2


def test_softness_and_grain_are_measured() -> None:
    chart = np.kron(np.indices((4, 6)).sum(axis=0) % 2, np.ones((64, 64))).astype(np.float32) * 150 + 50
    soft = cv2.GaussianBlur(chart, (0, 0), 1.2)
    noisy = soft + np.random.default_rng(1).normal(0, 1.5, soft.shape)
    plain, grainy = (np.repeat(np.round(grey)[..., None], 3, axis=2).astype(np.uint8) for grey in (soft, noisy))
    assert camera_look(plain, 0).softness == pytest.approx(1.2, abs=0.3)
    assert camera_look(plain, 0).noise < 0.4 / 255
    assert camera_look(grainy, 0).noise == pytest.approx(1.4 / 255, abs=0.5 / 255)


def test_shade_on_two_walls_meets_without_a_line_and_keeps_its_edge_to_the_floor() -> None:
    planes = np.full((200, 300), 2, np.int8)
    planes[:, 150:], planes[150:] = 4, 0
    taken = np.where(planes == 2, 0.0, 0.4).astype(np.float32)
    eased = eased_where_walls_meet(taken, planes)
    assert np.abs(np.diff(eased[:140], axis=1)).max() < 0.1 * 0.4
    assert eased[100, 20] == 0 and eased[100, 280] == pytest.approx(0.4)
    assert np.array_equal(eased[150:], taken[150:])
