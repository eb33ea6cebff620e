from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.brackets import room_light
from listing_media_dagster.listing import OperationName
from listing_media_dagster.photo.bracket_alignment import align_brackets
from listing_media_dagster.photo.fusion import fuse_brackets

Image = NDArray[np.uint8]
SIZE = (900, 600)
EVS = (-4.0, -2.0, 0.0, 2.0)
WINDOW = (slice(120, 330), slice(520, 740))
BRACKETS = Path(__file__).parents[3] / "shared" / "data" / "brackets"


def _expose(light: NDArray[np.float32], ev: float, seed: int = 0, gamma: float = 2.2) -> Image:
    noise = np.random.default_rng(seed).normal(0, 0.002, light.shape)
    return (np.clip(light * 2**ev + noise, 0, 1) ** (1 / gamma) * 255 + 0.5).astype(np.uint8)


def _shaken(
    light: NDArray[np.float32], angle: float, dx: float, dy: float
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    matrix = cv2.getRotationMatrix2D((SIZE[0] / 2, SIZE[1] / 2), angle, 1.0) + np.array([[0, 0, dx], [0, 0, dy]])
    moved = cv2.warpAffine(light, matrix, SIZE, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    return np.clip(moved, 0, None), np.vstack([matrix, [0, 0, 1]])


def _held(*pictures: Image) -> list[Callable[[], Image]]:
    return [lambda picture=picture: picture for picture in pictures]  # type: ignore[misc]


@pytest.fixture(scope="module")
def light() -> NDArray[np.float32]:
    return room_light(*SIZE)


@pytest.fixture(scope="module")
def bracket(light: NDArray[np.float32]) -> list[Image]:
    return [_expose(light, ev, seed) for seed, ev in enumerate(EVS)]


def _detail(picture: Image) -> float:
    """Standard deviation of the grey inside one window pane."""
    return float(cv2.cvtColor(picture[150:320, 575:618], cv2.COLOR_RGB2GRAY).std())


def test_window_view_appears_and_the_room_keeps_its_brightness(bracket: list[Image]) -> None:
    fused = fuse_brackets(_held(*bracket), EVS, 2)
    assert _detail(bracket[2]) < 3, "the reference must be clipped there, or this proves nothing"
    assert _detail(fused.rgb) > 8
    assert (fused.rgb[WINDOW].max(axis=2) > 252).mean() < 0.02
    assert fused.rgb[WINDOW].mean() > fused.rgb[400:].mean() + 25, "a window stays the brightest part of a room"
    assert 80 < np.median(fused.rgb[400:]) < 175


def test_ledger_names_the_frames_and_the_window(bracket: list[Image]) -> None:
    fused = fuse_brackets(_held(*bracket), EVS, 2)
    merge, pull = fused.operations
    assert merge.name is OperationName.BRACKET_MERGE
    assert merge.parameters["frames"] == 4 and merge.parameters["exposures_ev"] == list(EVS)
    assert pull.name is OperationName.WINDOW_PULL and pull.region is not None
    x, y, w, h = pull.region[0]
    assert abs(x - 495) < 30 and abs(y - 90) < 30 and abs(x + w - 765) < 30 and abs(y + h - 360) < 30


def test_tones_keep_their_order_across_the_window_edge(bracket: list[Image]) -> None:
    """A halo would brighten or darken the wall beside the window against the wall farther off."""
    flat = room_light(*SIZE)
    flat[:, :495] = 0.03
    frames = [_expose(flat, ev, seed) for seed, ev in enumerate(EVS)]
    fused = fuse_brackets(_held(*frames), EVS, 2).rgb.astype(float)
    beside, far = fused[150:320, 478:490].mean(), fused[150:320, 340:400].mean()
    assert abs(beside - far) < 16


def test_hand_held_frames_are_laid_over_the_reference_within_half_a_pixel(light: NDArray[np.float32]) -> None:
    shakes = [(0.4, 6, -9), (-0.3, -7, 3), (0, 0, 0), (0.5, 10, 8)]
    moved = [_shaken(light, *shake) for shake in shakes]
    grey = [
        cv2.cvtColor(_expose(m[0], ev, i), cv2.COLOR_RGB2GRAY) for i, (m, ev) in enumerate(zip(moved, EVS, strict=True))
    ]
    corners = np.array([[[0, 0], [900, 0], [900, 600], [0, 600], [450, 300]]], float)
    for (_, truth), found in zip(moved, align_brackets(grey, EVS, 2, 1.0), strict=True):
        assert found is not None
        there = cv2.perspectiveTransform(cv2.perspectiveTransform(corners, truth), found.matrix)
        assert np.linalg.norm(there - corners, axis=2).max() < 0.5


def test_hand_held_fusion_is_as_sharp_as_a_tripod(light: NDArray[np.float32], bracket: list[Image]) -> None:
    shakes = [(0.4, 6, -9), (-0.3, -7, 3), (0, 0, 0), (0.5, 10, 8)]
    frames = [_expose(_shaken(light, *shake)[0], ev, i) for i, (shake, ev) in enumerate(zip(shakes, EVS, strict=True))]
    tripod, hand = fuse_brackets(_held(*bracket), EVS, 2), fuse_brackets(_held(*frames), EVS, 2)
    inner = (slice(40, -40), slice(40, -40))
    difference = np.abs(tripod.rgb[inner].astype(int) - hand.rgb[inner].astype(int))
    assert np.mean(difference) < 6
    assert hand.metrics["alignment_shift_px"] > 8


def test_frame_of_another_room_is_left_out_with_a_note(bracket: list[Image]) -> None:
    stranger = np.ascontiguousarray(
        np.random.default_rng(5).permutation(bracket[0].reshape(-1, 3)).reshape(600, 900, 3)
    )
    fused = fuse_brackets(_held(stranger, *bracket[1:]), EVS, 2)
    assert fused.metrics["frames_merged"] == 3
    assert "frame 1" in fused.notes[0] and "aligned" in fused.notes[0]


def test_frame_of_another_size_is_left_out_with_a_note(bracket: list[Image]) -> None:
    fused = fuse_brackets(_held(bracket[0][:, :800], *bracket[1:]), EVS, 2)
    assert "800×600" in fused.notes[0] and fused.rgb.shape == bracket[2].shape


def test_someone_walking_through_is_taken_from_the_reference_alone(light: NDArray[np.float32]) -> None:
    frames = []
    for number, ev in enumerate(EVS):
        seen = light.copy()
        seen[380:590, 60 + 190 * number : 160 + 190 * number] = (
            (0.004, 0.004, 0.006) if number != 2 else (0.2, 0.05, 0.05)
        )
        frames.append(_expose(seen, ev, number))
    fused = fuse_brackets(_held(*frames), EVS, 2).rgb.astype(int)
    clean = fuse_brackets(_held(*[_expose(light, ev, n) for n, ev in enumerate(EVS)]), EVS, 2).rgb.astype(int)
    for number in (0, 1, 3):
        place = (slice(400, 570), slice(75 + 190 * number, 145 + 190 * number))
        assert np.abs(fused[place] - clean[place]).mean() < 22, f"a ghost of frame {number + 1} shows"
    red = fused[400:570, 455:525].mean(axis=(0, 1))
    assert red[0] > red[1] + 40, "the reference's own content stays"


def test_unknown_exposures_are_measured(bracket: list[Image]) -> None:
    fused = fuse_brackets(_held(*bracket), (0.0, 0.0, 0.0, 0.0), 2)
    assert np.allclose(fused.operations[0].parameters["exposures_ev"], EVS, atol=0.5)


def test_lone_frame_is_returned_as_it_is_without_operations(bracket: list[Image]) -> None:
    fused = fuse_brackets(_held(bracket[2]), (0.0,), 0)
    assert fused.operations == () and np.array_equal(fused.rgb, bracket[2])


def test_lengths_that_differ_are_refused(bracket: list[Image]) -> None:
    with pytest.raises(ValueError, match="4 frames, 2 exposures"):
        fuse_brackets(_held(*bracket), (0.0, 1.0), 0)


@pytest.mark.skipif(not BRACKETS.exists(), reason="the real brackets of shared/data are not here")
def test_real_window_is_pulled() -> None:
    paths = [BRACKETS / "frobisher" / f"IMG_260{number}.jpg" for number in (0, 1, 2)]
    frames = [cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB) for path in paths]
    fused = fuse_brackets(_held(*[np.asarray(frame, np.uint8) for frame in frames]), (-3.0, 0.0, 3.0), 1)
    sky = (slice(20, 150), slice(10, 180))
    assert fused.rgb[sky].max(axis=2).mean() < frames[1][sky].max(axis=2).mean() - 8
    assert fused.rgb[250:350, 50:200].mean() > 1.8 * frames[1][250:350, 50:200].mean()
