"""Cutting parts out for a model, and laying its picture in at full size."""

from __future__ import annotations

import numpy as np
import pytest

from listing_media_dagster.staging.render import Window
from listing_media_dagster.staging.retouch import PROPORTIONS, Cutting, cut_round, furnished, painted_over

RNG = np.random.default_rng(0)


def masked(box: tuple[int, int, int, int], shape: tuple[int, int] = (600, 900)) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[box[1] : box[3], box[0] : box[2]] = True
    return mask


@pytest.mark.parametrize("box", [(400, 250, 500, 300), (0, 0, 60, 90), (850, 560, 900, 600), (100, 10, 800, 590)])
def test_a_cutting_holds_the_mask_with_its_surroundings_in_one_of_few_proportions(
    box: tuple[int, int, int, int],
) -> None:
    cutting = cut_round(masked(box), lambda size: size)
    left, top, right, bottom = cutting.window.left, cutting.window.top, cutting.window.right, cutting.window.bottom
    assert 0 <= left <= box[0] and 0 <= top <= box[1] and box[2] <= right <= 900 and box[3] <= bottom <= 600
    proportion = cutting.window.size[0] / cutting.window.size[1]
    assert min(abs(proportion / each - 1) for each in PROPORTIONS) < 0.02


def test_a_photo_is_painted_over_inside_the_mask_only_and_fades_in() -> None:
    base = RNG.integers(60, 120, (600, 900, 3), np.uint8)
    mask = masked((300, 200, 500, 400))
    cutting = cut_round(mask, lambda size: (size[0] // 2, size[1] // 2))
    drawn = np.full((*cutting.size[::-1], 3), 200, np.uint8)
    result = painted_over(base, cutting, drawn, np.ones(drawn.shape[:2], bool), mask)
    assert np.array_equal(result[~mask], base[~mask])
    assert (result[250:350, 350:450] == 200).all()
    assert result[300, 300].max() < 160  # at the border the photo still shows


def test_where_the_models_picture_is_not_valid_the_photo_stays() -> None:
    base = RNG.integers(60, 120, (600, 900, 3), np.uint8)
    mask = masked((300, 200, 500, 400))
    cutting = cut_round(mask, lambda size: size)
    drawn = np.full((*cutting.size[::-1], 3), 200, np.uint8)
    result = painted_over(base, cutting, drawn, np.zeros(drawn.shape[:2], bool), mask)
    assert np.array_equal(result, base)


def test_boards_keep_their_pattern_under_the_light_a_model_gives_them() -> None:
    start = np.tile(np.where(np.arange(900) % 12 < 6, 90, 130).astype(np.uint8)[None, :, None], (600, 1, 3))
    floor = masked((300, 200, 600, 400))
    cutting = Cutting(Window(250, 150, 650, 450), (400, 300))
    shaded = np.full((300, 400, 3), 88, np.uint8)  # plain and darker than the boards' mean: a shade without boards
    result, changed = furnished(
        start, cutting, shaded, np.ones((300, 400), bool), np.zeros((600, 900), np.float32), floor
    )
    row = result[300, 380:520, 0].astype(int)
    assert row.mean() < 0.9 * start[300, 380:520].mean()  # shaded
    assert np.ptp(row) > 0.6 * 40  # and still boards
    assert np.array_equal(result[~changed], start[~changed]) and not (changed & ~floor).any()


def test_no_model_brightens_a_floor() -> None:
    start = RNG.integers(90, 110, (600, 900, 3), np.uint8)
    floor = masked((300, 200, 600, 400))
    cutting = Cutting(Window(250, 150, 650, 450), (400, 300))
    white = np.full((300, 400, 3), 255, np.uint8)
    nothing = np.zeros((600, 900), np.float32)
    result, _ = furnished(start, cutting, white, np.ones((300, 400), bool), nothing, floor)
    assert result.astype(int).max() <= np.ceil(1.05 * (start.max() + 12))


def test_furniture_takes_the_models_colours_up_to_its_outline_and_keeps_the_renders_fine_detail() -> None:
    weave = RNG.integers(-14, 15, (600, 900, 1)) + 120
    start = np.repeat(weave, 3, axis=2).astype(np.uint8)
    alpha = masked((300, 200, 600, 400)).astype(np.float32)
    cutting = Cutting(Window(200, 100, 700, 500), (125, 100))  # a quarter of the size: it can't hold the weave
    drawn = cutting.shown(start).astype(np.float32) * np.array([1.3, 1.0, 0.7])
    drawn[:, :26] = 240.0  # a wall, drawn a px too far into the piece
    result, _ = furnished(
        start, cutting, drawn.astype(np.uint8), np.ones((100, 125), bool), alpha, np.zeros((600, 900), bool)
    )
    rim = result[220:380, 301:306].astype(float) / start[220:380, 301:306]
    assert rim[..., 0].mean() > 1.15 and rim[..., 2].mean() < 0.85  # not the wall's tone
    inside = np.s_[250:350, 400:500]
    assert np.std(result[inside][..., 1]) > 0.8 * np.std(start[inside][..., 1])


def test_an_edge_of_the_render_that_the_model_has_moved_leaves_no_more_than_a_trace() -> None:
    start = np.full((600, 900, 3), 120, np.uint8)
    start[300:304, 320:580] = 20  # a dark seam, as thin as a px of the model's
    alpha = masked((300, 200, 600, 400)).astype(np.float32)
    cutting = Cutting(Window(200, 100, 700, 500), (125, 100))
    drawn = np.full((100, 125, 3), 120, np.uint8)  # drawn without it
    everywhere, no_floor = np.ones((100, 125), bool), np.zeros((600, 900), bool)
    result, _ = furnished(start, cutting, drawn, everywhere, alpha, no_floor)
    assert result[290:315, 400:500].min() > 75
