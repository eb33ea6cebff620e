"""The base look on rooms whose paint and light are known, and on real listings where they are at hand."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from listing_media_dagster.listing import OperationName
from listing_media_dagster.photo.enhance import (
    Enhanced,
    ListingLook,
    LookEstimate,
    agree_on_look,
    enhance,
    estimate_look,
    neutral_consistency,
)
from listing_media_dagster.photo.white_balance import white_level
from listing_media_dagster_tests.photo.painted_rooms import (
    BLUE,
    GOLD,
    RED,
    SHADE,
    WARM_WHITE_LAMP,
    WHITE,
    chroma_of,
    lab_of,
    paint_hallway,
    paint_house,
    paint_room,
    to_srgb,
)

DATA = Path(__file__).parents[3] / "shared" / "data"
needs_real_photos = pytest.mark.skipif(not DATA.is_dir(), reason="the real photos aren't beside this checkout")


def made_of(rgb: NDArray[np.uint8], strength: float = 1.0, is_exterior: bool | None = False) -> Enhanced:
    estimate = estimate_look(rgb)
    return enhance(rgb, estimate, agree_on_look({"photo": estimate}), strength, is_exterior)


def open_photo(path: Path) -> NDArray[np.uint8]:
    return np.ascontiguousarray(cv2.imread(str(path))[..., ::-1])


def test_strength_zero_returns_the_same_pixels_and_no_operations() -> None:
    room = paint_room(light=WARM_WHITE_LAMP)
    done = made_of(room.rgb, strength=0.0)
    assert np.array_equal(done.rgb, room.rgb)
    assert done.operations == ()


def test_half_strength_lies_between_nothing_and_full() -> None:
    room = paint_room(light=WARM_WHITE_LAMP, exposure=0.35)
    casts = [chroma_of(lab_of(made_of(room.rgb, strength).rgb, room.ceiling)) for strength in (0.0, 0.5, 1.0)]
    lights = [lab_of(made_of(room.rgb, strength).rgb, room.ceiling)[0] for strength in (0.0, 0.5, 1.0)]
    assert casts[0] > casts[1] + 3 > casts[2] + 6
    assert lights[0] + 3 < lights[1] < lights[2] - 1


@pytest.mark.parametrize("strength", [-0.1, 1.01, float("nan")])
def test_a_strength_out_of_range_is_refused_with_the_range(strength: float) -> None:
    with pytest.raises(ValueError, match="untouched"):
        made_of(paint_room().rgb, strength)


@pytest.mark.parametrize("shape", [(641, 479, 3), (33, 70, 3), (300, 1201, 3)])
def test_output_has_the_size_and_type_of_the_input(shape: tuple[int, int, int]) -> None:
    rgb = np.random.default_rng(1).integers(40, 220, shape, dtype=np.uint8)
    done = made_of(rgb)
    assert done.rgb.shape == shape and done.rgb.dtype == np.uint8


def test_the_same_photo_gives_the_same_bytes_every_time() -> None:
    room = paint_room(light=SHADE, noise=0.01)
    assert np.array_equal(made_of(room.rgb).rgb, made_of(room.rgb.copy()).rgb)


def test_a_lamp_lit_white_room_becomes_white_and_bright() -> None:
    room = paint_room(light=WARM_WHITE_LAMP, exposure=0.35)
    assert chroma_of(lab_of(room.rgb, room.ceiling)) > 20
    after = made_of(room.rgb)
    for surface in (room.ceiling, room.trim, room.wall):
        assert chroma_of(lab_of(after.rgb, surface)) < 5
    assert 84 <= lab_of(after.rgb, room.ceiling)[0] <= 96


def test_lamp_on_one_side_and_daylight_on_the_other_become_one_white() -> None:
    room = paint_room(light=WARM_WHITE_LAMP, light_right=SHADE, exposure=0.5)
    x, y, w, h = room.ceiling
    left, right = (x, y, w // 6, h), (x + w - w // 6, y, w // 6, h)

    def difference(rgb: NDArray[np.uint8]) -> float:
        return float(np.linalg.norm((lab_of(rgb, left) - lab_of(rgb, right))[1:]))

    assert difference(room.rgb) > 20
    assert difference(made_of(room.rgb).rgb) < 0.25 * difference(room.rgb)


@pytest.mark.parametrize("paint", [RED, BLUE, (0.18, 0.36, 0.14), (0.75, 0.55, 0.20)])
def test_a_painted_wall_keeps_its_colour(paint: tuple[float, float, float]) -> None:
    room = paint_room(wall=paint, exposure=0.55)
    before = lab_of(room.rgb, room.wall)
    after = lab_of(made_of(room.rgb).rgb, room.wall)
    assert chroma_of(after) > 0.8 * chroma_of(before)
    turn = np.degrees(np.arctan2(after[2], after[1]) - np.arctan2(before[2], before[1]))
    assert abs((turn + 180) % 360 - 180) < 12


def test_wood_keeps_its_hue_and_is_not_oversaturated() -> None:
    room = paint_room(exposure=0.3)
    before, after = lab_of(room.rgb, room.floor), lab_of(made_of(room.rgb).rgb, room.floor)
    turn = np.degrees(np.arctan2(after[2], after[1]) - np.arctan2(before[2], before[1]))
    assert abs(turn) < 8
    assert 0.9 < chroma_of(after) / chroma_of(before) < 1.6


def test_a_good_photo_barely_changes() -> None:
    room = paint_room(exposure=0.82)
    change = np.abs(made_of(room.rgb).rgb.astype(int) - room.rgb)
    assert float(np.median(change)) <= 4
    assert float(np.percentile(change, 95)) <= 22


def test_enhancing_twice_changes_far_less_than_enhancing_once() -> None:
    room = paint_room(light=WARM_WHITE_LAMP, exposure=0.4)
    once = made_of(room.rgb).rgb
    twice = made_of(once).rgb
    assert np.abs(twice.astype(int) - once).mean() < 0.25 * np.abs(once.astype(int) - room.rgb).mean()


@pytest.mark.parametrize("exposure", [0.05, 0.2, 0.6, 0.95])
@pytest.mark.parametrize("light", [WARM_WHITE_LAMP, SHADE])
def test_nothing_is_clipped_that_was_not(exposure: float, light: tuple[float, float, float]) -> None:
    metrics = made_of(paint_room(light=light, exposure=exposure).rgb).metrics
    assert metrics["clipped_highlights_after"] <= metrics["clipped_highlights_before"] + 0.003
    assert metrics["clipped_shadows_after"] <= metrics["clipped_shadows_before"] + 0.005


def test_a_view_through_a_window_is_not_washed_out() -> None:
    room = paint_room(exposure=0.12)
    x, y, w, h = room.window
    before, after = (
        cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)[y : y + h, x : x + w] for rgb in (room.rgb, made_of(room.rgb).rgb)
    )
    assert after.mean() < before.mean() + 12
    assert after.std() > 0.75 * before.std()


def test_a_dark_photo_is_lifted_and_a_dark_sofa_stays_dark() -> None:
    room = paint_room(exposure=0.08)
    done = made_of(room.rgb)
    assert lab_of(room.rgb, room.ceiling)[0] < 35
    assert lab_of(done.rgb, room.ceiling)[0] > 70
    assert lab_of(done.rgb, (75, 260, 190, 100))[0] < 45


def test_a_blue_sky_stays_blue_and_no_brighter() -> None:
    house = paint_house()
    done = made_of(house, is_exterior=True)
    before, after = lab_of(house, (20, 20, 200, 150)), lab_of(done.rgb, (20, 20, 200, 150))
    assert abs(after[0] - before[0]) < 6
    assert chroma_of(after) > 0.9 * chroma_of(before)


def test_dusk_stays_dusk() -> None:
    dusk = paint_house(sky=(0.02, 0.04, 0.10), light=0.15)
    before, after = lab_of(dusk, (20, 20, 200, 150)), lab_of(made_of(dusk, is_exterior=True).rgb, (20, 20, 200, 150))
    assert after[0] < before[0] + 10
    assert after[2] < -8


def test_sky_and_lawn_tell_an_exterior_when_nobody_does() -> None:
    assert estimate_look(paint_house()).exterior_likelihood > 0.5
    assert estimate_look(paint_room().rgb).exterior_likelihood < 0.5
    operations = made_of(paint_house(), is_exterior=None).operations
    assert next(o for o in operations if o.name is OperationName.EXPOSURE).parameters["scene"] == "exterior"


def test_a_black_and_white_photo_stays_black_and_white() -> None:
    grey = cv2.cvtColor(cv2.cvtColor(paint_room(exposure=0.3).rgb, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    done = made_of(grey)
    assert np.array_equal(done.rgb[..., 0], done.rgb[..., 1]) and np.array_equal(done.rgb[..., 1], done.rgb[..., 2])
    assert OperationName.WHITE_BALANCE not in {operation.name for operation in done.operations}
    assert done.rgb.mean() > grey.mean() + 10


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_blank_frame_survives(level: int) -> None:
    done = made_of(np.full((120, 160, 3), level, np.uint8))
    assert done.rgb.std() == 0
    assert all(np.isfinite(value) for value in done.metrics.values())
    assert level != 255 or done.rgb.min() == 255


def test_noise_is_calmed_and_edges_stay() -> None:
    noisy, clean = paint_room(exposure=0.5, noise=0.03), paint_room(exposure=0.5)
    x, y, w, h = noisy.wall
    shown = made_of(noisy.rgb)
    by_lift = made_of(clean.rgb)
    gain = float(by_lift.rgb[y : y + h, x : x + w].mean()) / float(clean.rgb[y : y + h, x : x + w].mean())
    before = noisy.rgb[y + 5 : y + 45, x + 5 : x + 45, 1].std() * min(gain, 1.0)
    assert shown.rgb[y + 5 : y + 45, x + 5 : x + 45, 1].std() < 0.75 * before
    assert OperationName.DENOISE in {operation.name for operation in shown.operations}
    assert OperationName.DENOISE not in {operation.name for operation in by_lift.operations}
    wx, wy, _, wh = noisy.window
    step = np.abs(np.diff(shown.rgb[wy : wy + wh, wx - 14 : wx - 2, 1].astype(int).mean(axis=0))).max()
    assert step < 40  # the frame's rim is one step, not a smear over the window


def test_no_halo_runs_along_the_edges() -> None:
    for exposure in (0.2, 0.5, 0.8):
        assert made_of(paint_room(exposure=exposure).rgb).metrics["halo_after"] < 6


def test_a_step_edge_gets_no_overshoot() -> None:
    rgb = np.full((400, 600, 3), 90, np.uint8)
    rgb[:, 300:] = 190
    rgb = cv2.GaussianBlur(rgb, (0, 0), 1.2)
    row = made_of(rgb).rgb[200, :, 1].astype(int)
    plateau_low, plateau_high = row[240:270].mean(), row[330:360].mean()
    assert row[270:300].min() >= plateau_low - 3
    assert row[300:330].max() <= plateau_high + 3
    assert plateau_high - plateau_low > 60


def test_every_operation_is_recorded_with_its_parameters() -> None:
    done = made_of(paint_room(light=WARM_WHITE_LAMP, noise=0.03, exposure=0.4).rgb)
    names = [operation.name for operation in done.operations]
    assert names == [
        OperationName.WHITE_BALANCE,
        OperationName.EXPOSURE,
        OperationName.LOCAL_TONE,
        OperationName.DENOISE,
        OperationName.SHARPEN,
    ]
    assert all(operation.version and operation.parameters and not operation.generative for operation in done.operations)
    json.dumps([operation.model_dump(mode="json") for operation in done.operations])


def test_metrics_tell_before_and_after() -> None:
    metrics = made_of(paint_room(light=WARM_WHITE_LAMP, exposure=0.3).rgb).metrics
    assert metrics["neutral_cast_before"] > 15 > 5 > metrics["neutral_cast_after"]
    assert metrics["luma_median_after"] > metrics["luma_median_before"] + 15
    for name in ("contrast", "noise", "sharpness", "clipped_highlights", "clipped_shadows", "luma_mean"):
        assert {f"{name}_before", f"{name}_after"} <= metrics.keys()


def test_an_estimate_survives_json() -> None:
    estimate = estimate_look(paint_room(light=SHADE).rgb)
    assert LookEstimate.model_validate_json(estimate.model_dump_json()) == estimate
    look = agree_on_look({"photo": estimate})
    assert ListingLook.model_validate_json(look.model_dump_json()) == look


def listing_of(lights: list[tuple[float, float, float]]) -> dict[str, NDArray[np.uint8]]:
    return {
        f"photo-{n}": paint_room(light=light, exposure=0.35 + 0.05 * (n % 4), seed=n).rgb
        for n, light in enumerate(lights)
    }


def test_the_same_wall_is_the_same_white_in_every_photo() -> None:
    photos = listing_of([WARM_WHITE_LAMP, (1.2, 1.0, 0.75), (1.0, 1.0, 1.0), SHADE])
    estimates = {key: estimate_look(rgb) for key, rgb in photos.items()}
    look = agree_on_look(estimates)
    made = {key: enhance(rgb, estimates[key], look, is_exterior=False).rgb for key, rgb in photos.items()}
    box = paint_room().wall

    def spread(pictures: dict[str, NDArray[np.uint8]]) -> float:
        walls = [lab_of(rgb, box)[1:] for rgb in pictures.values()]
        return max(float(np.linalg.norm(a - b)) for a, b in itertools.combinations(walls, 2))

    assert spread(photos) > 25
    assert spread(made) < 4
    before = neutral_consistency(list(photos.values()))
    assert neutral_consistency(list(made.values()), surfaces_of=list(photos.values())) < 0.25 * before


def test_one_more_photo_leaves_the_look_of_forty_unchanged() -> None:
    base = estimate_look(paint_room(light=(1.15, 1.0, 0.85), exposure=0.4).rgb)
    chance = np.random.default_rng(2)

    def like(n: int) -> LookEstimate:
        shift = chance.normal(0, 0.05, 2)
        light = (base.illuminant[0] + shift[0], base.illuminant[1] + shift[1])
        return base.model_copy(update={"illuminant": light, "median": base.median + 0.02 * chance.normal()})

    forty = {f"photo-{n:02}": like(n) for n in range(40)}
    look = agree_on_look(forty)
    odd = estimate_look(paint_room(light=WARM_WHITE_LAMP, exposure=0.1).rgb)
    assert agree_on_look({**forty, "another": odd}, previous=look) == look
    assert agree_on_look(dict(reversed(forty.items()))) == look


def test_one_more_photo_does_not_tip_a_listing_that_is_half_lamp_lit() -> None:
    plain = estimate_look(paint_room().rgb)
    lamp_lit, daylit = (
        plain.model_copy(update={"illuminant": light, "confidence": 0.9, "sky_share": 0.0, "green_share": 0.0})
        for light in ((0.3, -0.5), (0.0, 0.0))
    )
    half = {f"{i:02d}": lamp_lit if i % 2 else daylit for i in range(9)}
    look = agree_on_look(half)
    assert look.interior_light == (0.0, 0.0)
    more = {**half, "09": lamp_lit, "10": lamp_lit}
    assert agree_on_look(more).interior_light == (0.3, -0.5)
    assert agree_on_look(more, previous=look) == look
    many = {f"more-{i}": lamp_lit for i in range(5)}
    assert agree_on_look({**more, **many}, previous=look).interior_light == (0.3, -0.5)


def test_a_different_listing_gets_a_different_look() -> None:
    warm, cool = (
        {str(n): estimate_look(paint_room(light=light, exposure=0.5).rgb) for n in range(2)}
        for light in ((1.25, 1.0, 0.65), SHADE)
    )
    look = agree_on_look(warm)
    assert agree_on_look(cool, previous=look) != look
    assert agree_on_look({}) == ListingLook()


def test_a_photo_without_white_takes_the_light_of_the_listing() -> None:
    lamp_lit = {str(n): estimate_look(paint_room(light=(1.3, 1.0, 0.6), exposure=0.5, seed=n).rgb) for n in range(4)}
    detail = np.random.default_rng(5).random((400, 600, 3)) * np.array([0.30, 0.17, 0.04])
    rgb = to_srgb(cv2.GaussianBlur(detail, (0, 0), 1.0))
    estimate = estimate_look(rgb).model_copy(update={"confidence": 0.0, "illuminant": (0.0, 0.0)})
    alone = enhance(rgb, estimate, agree_on_look({"x": estimate}), is_exterior=False)
    together = enhance(rgb, estimate, agree_on_look({**lamp_lit, "x": estimate}), is_exterior=False)
    whole = (0, 0, 600, 400)
    assert lab_of(together.rgb, whole)[2] < lab_of(alone.rgb, whole)[2] - 2


def test_a_white_wall_under_lamps_is_told_from_a_yellow_wall_in_daylight() -> None:
    lamp_lit = paint_room(wall=WHITE, light=WARM_WHITE_LAMP, exposure=0.5)
    painted = paint_room(wall=tuple(0.8 * part / 1.4 for part in WARM_WHITE_LAMP), exposure=0.5)
    assert chroma_of(lab_of(made_of(lamp_lit.rgb).rgb, lamp_lit.wall)) < 5
    assert chroma_of(lab_of(made_of(painted.rgb).rgb, painted.wall)) > 12


@pytest.mark.parametrize("white", [255, 245])
@pytest.mark.parametrize("light", [WARM_WHITE_LAMP, (1.25, 1.0, 0.60), (1.18, 1.0, 0.62)])
def test_a_white_hallway_lit_by_nothing_but_lamps_becomes_white(light: tuple[float, float, float], white: int) -> None:
    hallway = paint_hallway(light=light, white=white)
    assert chroma_of(lab_of(hallway.rgb, hallway.wall)) > 15
    made = made_of(hallway.rgb).rgb
    for surface in (hallway.ceiling, hallway.wall, hallway.trim):
        assert chroma_of(lab_of(made, surface)) < 5
    assert chroma_of(lab_of(made, hallway.floor)) > 15


def test_a_gold_hallway_with_white_trim_stays_gold() -> None:
    hallway = paint_hallway(paint=GOLD)
    made = made_of(hallway.rgb).rgb
    for surface in (hallway.ceiling, hallway.wall):
        assert chroma_of(lab_of(made, surface)) > 0.8 * chroma_of(lab_of(hallway.rgb, surface)) > 20
    assert chroma_of(lab_of(made, hallway.trim)) < 5


def test_a_gold_hallway_under_a_lamp_keeps_its_paint_and_loses_the_lamp() -> None:
    hallway = paint_hallway(paint=GOLD, light=(1.25, 1.0, 0.65))
    made = made_of(hallway.rgb).rgb
    assert chroma_of(lab_of(made, hallway.wall)) > 20
    assert chroma_of(lab_of(made, hallway.trim)) < 0.5 * chroma_of(lab_of(hallway.rgb, hallway.trim))


@pytest.mark.parametrize("white", [255, 245])
def test_a_lamp_cut_off_at_the_photos_own_white_stays_white(white: int) -> None:
    hallway = paint_hallway(light=WARM_WHITE_LAMP, white=white)
    assert chroma_of(lab_of(made_of(hallway.rgb).rgb, hallway.lamp)) < 2


def test_the_photo_says_where_its_lamps_are_cut_off() -> None:
    for white in (255, 245, 236):
        assert white_level(paint_hallway(white=white).rgb) == white
    assert white_level(paint_room(exposure=0.5).rgb) is None
    pale_sky = np.full((200, 300, 3), 120, np.uint8)
    pale_sky[:100] = (228, 236, 246)
    assert white_level(pale_sky) is None


def test_a_lamp_lit_hallway_agrees_with_the_daylit_rooms_of_its_listing() -> None:
    photos = listing_of([(1.0, 1.0, 1.0), (1.1, 1.0, 0.9), SHADE])
    photos["hallway"] = paint_hallway(light=WARM_WHITE_LAMP, white=245).rgb
    estimates = {key: estimate_look(rgb) for key, rgb in photos.items()}
    look = agree_on_look(estimates)
    made = [enhance(rgb, estimates[key], look, is_exterior=False).rgb for key, rgb in photos.items()]
    before = neutral_consistency(list(photos.values()))
    assert before > 12
    assert neutral_consistency(made, surfaces_of=list(photos.values())) < 3


@needs_real_photos
def test_gold_walls_beside_white_doors_stay_gold() -> None:
    rgb = open_photo(DATA / "listings" / "house-042" / "42_kitchen.jpg")
    height, width = rgb.shape[:2]
    made = made_of(rgb).rgb
    for x, y in ((0.55, 0.08), (0.87, 0.25)):
        gold = (round(x * width), round(y * height), width // 20, height // 20)
        assert chroma_of(lab_of(made, gold)) > 0.75 * chroma_of(lab_of(rgb, gold)) > 15


@needs_real_photos
@pytest.mark.parametrize("house", ["house-042", "house-044", "house-194"])
def test_real_listings_become_more_alike_without_clipping_or_halos(house: str) -> None:
    paths = sorted((DATA / "listings" / house).glob("*.jpg"))
    photos = [open_photo(path) for path in paths]
    estimates = {path.name: estimate_look(rgb) for path, rgb in zip(paths, photos, strict=True)}
    look = agree_on_look(estimates)
    made = [enhance(rgb, estimates[path.name], look) for path, rgb in zip(paths, photos, strict=True)]
    after = neutral_consistency([done.rgb for done in made], surfaces_of=photos)
    assert after < 0.7 * neutral_consistency(photos)
    for done in made:
        assert done.metrics["clipped_highlights_after"] <= done.metrics["clipped_highlights_before"] + 0.005
        assert done.metrics["clipped_shadows_after"] <= done.metrics["clipped_shadows_before"] + 0.006
        assert done.metrics["halo_after"] < 8
    fronts = [estimates[path.name].exterior_likelihood for path in paths if "frontal" in path.name]
    assert min(fronts) >= 0.5 > max(e.exterior_likelihood for name, e in estimates.items() if "frontal" not in name)


def test_sun_on_a_wooden_floor_in_a_warm_lit_room_does_not_turn_lime():
    from listing_media_dagster.photo.develop import DevelopPlan, develop

    patch = np.full((64, 64, 3), (255, 225, 130), np.uint8)
    red, green, blue = develop(patch, DevelopPlan(gains=(0.62, 1.0, 1.9)))[32, 32].astype(int)
    assert red >= green - 1 > blue
    open_shade = np.full((64, 64, 3), (180, 160, 100), np.uint8)
    red, green, _ = develop(open_shade, DevelopPlan(gains=(0.62, 1.0, 1.9)))[32, 32].astype(int)
    assert red < green  # where nothing is cut off, the balance is what it is
