"""What a diffusion model is asked: its controls drawn from depth, lines and mask, and each family's own arguments."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from listing_media_dagster.models.catalogue import catalogue_entry
from listing_media_dagster.models.diffusion.controls import depth_picture, hide_masked, resized
from listing_media_dagster.models.diffusion.families import drawing_of, family_of
from listing_media_dagster_tests.helpers.tiny_pipelines import a_room


def _asked(model_id: str, *rooms: Any, **sampling: Any) -> dict[str, Any]:
    entry = catalogue_entry(model_id)
    assert entry.sampling is not None
    drawings = [drawing_of(room, (32, 32), entry.controls) for room in rooms]
    return family_of(entry).arguments(drawings, entry, entry.sampling.model_copy(update=sampling))


def test_the_nearest_is_white_and_the_farthest_black() -> None:
    depth = np.tile(np.array([1.0, 2.0, 4.0, 8.0], np.float32), (3, 1))
    drawn = depth_picture(depth)
    assert drawn.shape == (3, 4, 3) and drawn.dtype == np.uint8
    assert drawn[0, 0, 0] == 255 and drawn[0, 3, 0] == 0
    assert drawn[0, 1, 0] == pytest.approx(255 * (1 / 2 - 1 / 8) / (1 - 1 / 8), abs=1), "inverse depth, not depth"


@pytest.mark.parametrize("unknown", [np.inf, np.nan, 0.0])
def test_what_has_no_depth_is_far_away(unknown: float) -> None:
    depth = np.array([[1.0, 3.0, unknown]], np.float32)
    assert depth_picture(depth)[0, :, 0].tolist() == [255, 0, 0]
    assert not depth_picture(np.full((2, 2), unknown, np.float32)).any()


def test_a_flat_wall_is_one_tone() -> None:
    assert len(np.unique(depth_picture(np.full((4, 4), 2.5, np.float32)))) == 1


def test_what_may_be_redrawn_is_hidden_from_the_repaint_control() -> None:
    room = a_room(0)
    assert room.mask is not None
    shown = hide_masked(room.image, room.mask)
    assert not shown[8:28, 8:28].any() and np.array_equal(shown[:8], room.image[:8])


def test_a_picture_of_the_right_size_is_left_alone() -> None:
    picture = a_room(0).image
    assert resized(picture, (32, 32)) is picture
    assert resized(picture, (16, 24)).shape == (24, 16, 3)


def test_union_is_told_its_modes_and_gets_a_picture_a_room_for_each() -> None:
    asked = _asked("sdxl-union", a_room(0), a_room(1))
    assert asked["control_mode"] == [1, 3, 7], "depth, lines, repaint"
    assert [len(pictures) for pictures in asked["control_image"]] == [2, 2, 2]
    assert asked["prompt"] == [a_room(0).prompt, a_room(1).prompt] and "num_images_per_prompt" not in asked
    assert "negative_prompt" not in asked, "without guidance it would cost and do nothing"
    assert _asked("sdxl-union", a_room(0), guidance=5)["negative_prompt"] == ["people"]


def test_union_goes_without_what_a_room_has_not() -> None:
    assert _asked("sdxl-union", a_room(0, depth=None, lines=None))["control_mode"] == [7]
    assert _asked("sdxl-tile", a_room(0))["control_mode"] == [6]


def test_each_controlnet_gets_its_own_control_in_the_order_of_the_entry() -> None:
    asked = _asked("sd15-inpaint", a_room(0))
    lines, depth = asked["control_image"]
    room = a_room(0)
    assert room.lines is not None and room.depth is not None
    assert np.array_equal(lines[0, ..., 0], room.lines)
    assert np.array_equal(depth[0], depth_picture(room.depth))
    assert asked["controlnet_conditioning_scale"] == [0.7, 0.7]
    assert _asked("sd15-inpaint", a_room(0, depth=None))["controlnet_conditioning_scale"] == [0.7, 0.0]


def test_a_model_of_one_controlnet_gets_one_batch() -> None:
    asked = _asked("sd15-tile", a_room(0), a_room(1))
    assert asked["control_image"].shape == (2, 32, 32, 3)
    assert np.array_equal(asked["control_image"][0], a_room(0).image)


def test_at_least_one_step_is_taken_however_little_is_to_change() -> None:
    asked = _asked("sd15-inpaint", a_room(0, strength=0.1))
    assert int(asked["num_inference_steps"] * 0.1) >= 1


def test_qwen_guides_only_with_a_negative_prompt() -> None:
    assert _asked("qwen-image-edit", a_room(0))["negative_prompt"] is None
    guided = _asked("qwen-image-edit", a_room(0, negative_prompt=""), guidance=4)
    assert guided["negative_prompt"] == " " and guided["true_cfg_scale"] == 4


def test_the_mask_is_said_in_black_and_white() -> None:
    soft = replace(a_room(0), mask=np.linspace(0, 1, 32, dtype=np.float32) * np.ones((32, 1), np.float32))
    (mask,) = _asked("flux2-klein-4b", soft)["mask_image"]
    assert set(np.unique(np.asarray(mask))) == {0, 255}
    (everywhere,) = _asked("flux2-klein-4b", a_room(0, mask=None))["mask_image"]
    assert np.asarray(everywhere).min() == 255
