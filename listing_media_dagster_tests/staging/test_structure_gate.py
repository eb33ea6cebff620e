"""The structure gate on small drawn rooms: honest furniture passes, each kind of invented architecture fails."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from listing_media_dagster.listing import Verdict
from listing_media_dagster.staging.light import linear_light
from listing_media_dagster.staging.room import Opening
from listing_media_dagster.staging.structure_gate import judge_structure

WIDTH, HEIGHT, SKIRTING = 960, 640, 400
WINDOW = np.array([[120, 120], [300, 120], [300, 290], [120, 290]], float)
DOOR = np.array([[700, 130], [810, 130], [810, SKIRTING], [700, SKIRTING]], float)
EDGES = [(0, SKIRTING, WIDTH, SKIRTING), (0, 60, WIDTH, 60), (600, 60, 600, SKIRTING)]
FLOOR = np.zeros((HEIGHT, WIDTH), bool)
FLOOR[SKIRTING:] = True
EVERYTHING = np.ones((HEIGHT, WIDTH), bool)
Rgb = NDArray[np.uint8]


def fill(rgb: NDArray[Any], outline: NDArray[Any], colour: tuple[int, int, int]) -> None:
    cv2.fillPoly(rgb, [np.asarray(outline, np.int32)], colour, cv2.LINE_AA)


def draw_window(rgb: NDArray[Any], move: float = 0) -> None:
    fill(rgb, WINDOW + np.array([move, 0]), (245, 245, 242))
    for left in (130, 215):
        fill(
            rgb,
            np.array([[left, 130], [left + 75, 130], [left + 75, 280], [left, 280]]) + np.array([move, 0]),
            (150, 190, 225),
        )
        fill(
            rgb,
            np.array([[left, 210], [left + 75, 190], [left + 75, 280], [left, 280]]) + np.array([move, 0]),
            (70, 110, 60),
        )


def draw_door(rgb: NDArray[Any], move: float = 0) -> None:
    fill(rgb, DOOR + np.array([move, 0]), (120, 90, 65))
    for top, bottom in ((150, 230), (250, 380)):
        fill(
            rgb, np.array([[720, top], [790, top], [790, bottom], [720, bottom]]) + np.array([move, 0]), (150, 115, 85)
        )


def draw_room(window: float | None = 0, door: float | None = 0, boards: int = 40, skirting: int = SKIRTING) -> Rgb:
    """A wall, a corner, a ceiling, floor boards, and a window and a door moved by so many px, or without (None)."""
    rgb = np.full((HEIGHT, WIDTH, 3), (214, 208, 198), np.uint8)
    rgb[:60] = (240, 239, 236)
    rgb[60:skirting, 600:] = (196, 190, 181)
    rgb[skirting:] = (150, 112, 78)
    for x in range(-WIDTH, 2 * WIDTH, boards):
        cv2.line(rgb, (x, HEIGHT), (WIDTH // 2 + (x - WIDTH // 2) // 2, skirting), (112, 80, 54), 2, cv2.LINE_AA)
    if window is not None:
        draw_window(rgb, window)
    if door is not None:
        draw_door(rgb, door)
    coarse = np.random.default_rng(4).normal(0, 1, (HEIGHT // 8, WIDTH // 8)).astype(np.float32)
    fine = np.random.default_rng(5).normal(0, 1.5, rgb.shape)
    shade = 1 + 0.01 * cv2.resize(coarse, (WIDTH, HEIGHT))[..., None]
    return np.clip(rgb * shade + fine, 0, 255).astype(np.uint8)


def furnish(room: Rgb, at: float = 380, hard_shadow: bool = False) -> tuple[Rgb, NDArray[np.float32]]:
    """A sofa with cushions, a picture above it and its shadows: the staged picture and the furniture's alpha."""
    pieces = np.zeros((HEIGHT, WIDTH, 3), np.float32)
    alpha = np.zeros((HEIGHT, WIDTH), np.float32)
    box = np.array([[at, 360], [at + 250, 360], [at + 250, 500], [at, 500]])
    top = np.array([[at, 360], [at + 40, 330], [at + 270, 330], [at + 250, 360]])
    art = np.array([[at + 60, 160], [at + 150, 160], [at + 150, 225], [at + 60, 225]])
    for outline, colour in ((box, (70, 92, 110)), (top, (98, 124, 146)), (art, (40, 36, 34))):
        fill(pieces, outline, colour)
        fill(alpha, outline, (1, 0, 0))
    light = np.zeros((HEIGHT, WIDTH), np.float32)
    fill(light, np.array([[at, 495], [at + 250, 495], [at + 330, 560], [at + 80, 560]]), (1, 0, 0))
    light = 1 - 0.45 * cv2.GaussianBlur(light, (0, 0), 2.0 if hard_shadow else 14.0)
    staged = room * light[..., None] * (1 - alpha[..., None]) + pieces * alpha[..., None]
    return np.clip(np.round(staged), 0, 255).astype(np.uint8), alpha


def judge(base: Rgb, staged: Rgb, furniture: NDArray[Any] | None, mask: NDArray[np.bool_] = EVERYTHING) -> Verdict:
    return judge_structure(base, staged, mask, furniture, [WINDOW, DOOR], EDGES, FLOOR)


def verdicts_on(lie: Rgb) -> list[Verdict]:
    """The gate's verdicts on a room that was tampered with and furnished: with the furniture known, and without."""
    staged, alpha = furnish(lie)
    return [judge(draw_room(), staged, alpha), judge(draw_room(), staged, None)]


def warped(rgb: Rgb, move: NDArray[Any]) -> Rgb:
    return np.asarray(cv2.warpAffine(rgb, move, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT))


def test_an_untouched_photo_passes_with_a_full_score() -> None:
    verdict = judge(draw_room(), draw_room(), np.zeros((HEIGHT, WIDTH), bool))
    assert (verdict.gate, verdict.outcome, verdict.score) == ("structure", "passed", 1.0)


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("hard_shadow", [True, False])
def test_honest_furniture_with_its_shadow_passes(known: bool, hard_shadow: bool) -> None:
    staged, alpha = furnish(draw_room(), hard_shadow=hard_shadow)
    verdict = judge(draw_room(), staged, alpha if known else None)
    assert verdict.outcome == "passed", verdict


def test_one_pixel_outside_the_mask_fails_and_is_counted() -> None:
    staged, alpha = furnish(draw_room())
    mask = (staged != draw_room()).any(2)
    staged[20, 30, 1] ^= 1
    verdict = judge(draw_room(), staged, alpha, mask)
    assert verdict.outcome == "failed"
    assert verdict.evidence["outside_changed_px"] == 1
    assert "x 30-30, y 20-20" in verdict.reason


@pytest.mark.parametrize("move", [1.0, 4.0, 8.0])
def test_a_shifted_frame_fails(move: float) -> None:
    known, guessed = verdicts_on(warped(draw_room(), np.array([[1, 0, move], [0, 1, 0.5 * move]])))
    assert known.outcome == guessed.outcome == "failed"
    assert known.evidence["shift_px"] == pytest.approx(1.118 * move, rel=0.2)


@pytest.mark.parametrize("zoom", [1.005, 1.02, 1.05])
def test_a_zoomed_frame_fails(zoom: float) -> None:
    for verdict in verdicts_on(warped(draw_room(), cv2.getRotationMatrix2D((480, 320), 0, zoom))):
        assert verdict.outcome == "failed"
        assert verdict.evidence["zoom"] == pytest.approx(zoom, abs=0.002)


def test_a_moved_window_fails() -> None:
    known, guessed = verdicts_on(draw_room(window=25))
    assert known.outcome == guessed.outcome == "failed"
    assert known.evidence["opening_iou_min"] < 0.8


def test_a_removed_door_fails() -> None:
    for verdict in verdicts_on(draw_room(door=None)):
        assert verdict.outcome == "failed"


def test_an_extra_door_fails() -> None:
    lie = draw_room()
    draw_door(lie, 130)
    for verdict in verdicts_on(lie):
        assert verdict.outcome == "failed"


def test_an_extra_window_fails() -> None:
    lie = draw_room()
    draw_window(lie, 210)
    for verdict in verdicts_on(lie):
        assert verdict.outcome == "failed"


def draw_small_window(rgb: Rgb) -> None:
    """Two panes a little bluer than the wall, in a frame of the wall's own white; no edge of it is long."""
    fill(rgb, np.array([[496, 148], [562, 148], [562, 214], [496, 214]]), (222, 217, 208))
    for left in (501, 532):
        fill(rgb, np.array([[left, 153], [left + 26, 153], [left + 26, 209], [left, 209]]), (198, 212, 232))


def test_a_small_pale_window_half_behind_a_picture_fails() -> None:
    lie = draw_room()
    draw_small_window(lie)
    known, _ = verdicts_on(lie)
    assert known.outcome == "failed"
    assert "another hue" in known.reason
    assert known.evidence["new_edges"] < 0.05  # no single edge of it tells


def test_a_small_picture_on_the_wall_is_no_window() -> None:
    staged, alpha = furnish(draw_room())
    hung = staged.copy()
    draw_small_window(hung)
    alpha[148:215, 496:563] = 1.0
    verdict = judge(draw_room(), hung, alpha)
    assert verdict.outcome == "passed", verdict


def shadow_along_the_skirting(rgb: Rgb) -> Rgb:
    """The picture under a shadow on the wall whose border lies along the skirting: it slopes the other way."""
    light = np.ones((HEIGHT, WIDTH), np.float32)
    light[SKIRTING - 60 : SKIRTING + 2] = 0.08
    return shaded(rgb, cv2.GaussianBlur(light, (0, 0), 3))


def test_a_shadow_that_ends_along_the_skirting_leaves_the_skirting_in_place() -> None:
    staged, alpha = furnish(shadow_along_the_skirting(draw_room()))
    verdict = judge(draw_room(), staged, alpha)
    assert verdict.outcome == "passed", verdict
    assert verdict.evidence["edge_agreement"] > 0.97


def test_a_skirting_that_melts_away_under_such_a_shadow_is_missed() -> None:
    lie = draw_room()
    melted = cv2.GaussianBlur(lie, (0, 0), 12)
    lie[SKIRTING - 20 : SKIRTING + 20] = melted[SKIRTING - 20 : SKIRTING + 20]
    staged, alpha = furnish(shadow_along_the_skirting(lie))
    verdict = judge(draw_room(), staged, alpha)
    assert verdict.outcome == "failed"
    assert verdict.evidence["longest_edge_lost"] > 0.2


def test_a_dark_brown_cupboard_in_shade_keeps_its_colour_however_shade_was_made() -> None:
    base = draw_room()
    fill(base, np.array([[860, 300], [959, 300], [959, 470], [860, 470]]), (47, 31, 20))
    light = np.ones((HEIGHT, WIDTH), np.float32)
    light[320:450, 800:] = 0.44
    soft = cv2.GaussianBlur(light, (0, 0), 8)
    coded = np.clip(np.round(base * soft[..., None]), 0, 255).astype(np.uint8)
    for shade in (shaded(base, soft**2), coded):
        staged, alpha = furnish(shade)
        verdict = judge(base, staged, alpha)
        assert verdict.evidence["recoloured_piece"] == 0.0, verdict


def test_a_moved_skirting_line_fails() -> None:
    known, _ = verdicts_on(draw_room(skirting=SKIRTING + 14))
    assert known.outcome == "failed"


def test_a_new_floor_fails() -> None:
    lie = draw_room()
    tiles = np.full((HEIGHT - SKIRTING, WIDTH, 3), (172, 172, 168), np.uint8)
    tiles[::48] = tiles[:, ::64] = (120, 120, 118)
    lie[SKIRTING:] = tiles
    for verdict in verdicts_on(lie):
        assert verdict.outcome == "failed"
        assert verdict.evidence["floor_change"] > 0.8


def test_a_repainted_wall_fails() -> None:
    lie = draw_room(window=None).astype(np.float32)
    lie[60:SKIRTING, :600] *= (0.72, 0.86, 1.0)
    painted = lie.astype(np.uint8)
    draw_window(painted)
    for verdict in verdicts_on(painted):
        assert verdict.outcome == "failed"


def shaded(rgb: Rgb, light: NDArray[Any]) -> Rgb:
    """The picture with less linear light, (H, W) 0..1 of what there was."""
    less = linear_light(rgb) * light[..., None]
    coded = np.where(less <= 0.0031308, less * 12.92, 1.055 * less ** (1 / 2.4) - 0.055)
    return np.clip(np.round(255 * coded), 0, 255).astype(np.uint8)


def test_deep_shade_leaves_a_dark_red_floor_its_colour() -> None:
    base = draw_room()
    base[SKIRTING:] = (base[SKIRTING:] * np.array([0.35, 0.18, 0.12])).astype(np.uint8)
    light = np.ones((HEIGHT, WIDTH), np.float32)
    light[SKIRTING + 60 :] = 0.12
    staged, alpha = furnish(shaded(base, cv2.GaussianBlur(light, (0, 0), 12)))
    verdict = judge(base, staged, alpha)
    assert verdict.outcome == "passed", verdict
    assert verdict.evidence["floor_change"] < 0.05


def test_a_soft_shadow_on_the_wall_draws_no_edge() -> None:
    light = np.ones((HEIGHT, WIDTH), np.float32)
    light[200:SKIRTING, 320:350] = 0.6
    staged, alpha = furnish(shaded(draw_room(), cv2.GaussianBlur(light, (0, 0), 4)))
    assert judge(draw_room(), staged, alpha).evidence["new_edges"] == 0.0


def test_where_the_light_on_two_walls_is_joined_a_hairline_is_no_edge() -> None:
    light = np.ones((HEIGHT, WIDTH), np.float32)
    light[80:SKIRTING, 340:342] = 0.92
    staged, alpha = furnish(shaded(draw_room(), light))
    assert judge(draw_room(), staged, alpha).outcome == "passed"


def test_furniture_before_a_door_fails() -> None:
    staged, alpha = furnish(draw_room(), at=640)
    verdict = judge(draw_room(), staged, alpha)
    assert verdict.outcome == "failed"
    assert "hides" in verdict.reason


def test_a_kind_of_opening_says_what_may_stand_before_it() -> None:
    staged, alpha = furnish(draw_room(), at=640)
    window = Opening("window", DOOR, (0.0, 1.0), 0.9, 2.1)
    verdict = judge_structure(draw_room(), staged, EVERYTHING, alpha, [window], EDGES, FLOOR)
    assert verdict.evidence["doorway_hidden"] == 0.0
    assert verdict.evidence["window_hidden"] > 0.1


def test_pictures_of_unequal_size_are_an_error() -> None:
    with pytest.raises(ValueError, match="differ in size"):
        judge(draw_room(), draw_room()[:-1], None)
