"""Generated clips: honest dollies through the sample rooms pass; what is added, dropped or melts is refused."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from listing_media_dagster.tour.animated_clip import judge_animation
from listing_media_dagster_tests.helpers.box_views import BoxRoom, Rgb, filmed

ROOMS = ("DSC_0412.JPG", "03-kitchen.jpg", "IMG_2201.JPG")


def cropped(frame: Rgb) -> Rgb:
    height, width = frame.shape[:2]
    return frame[int(0.06 * height) : int(0.94 * height), int(0.06 * width) : int(0.94 * width)]


def dolly(room: BoxRoom, tamper: Callable[[Rgb, float], Rgb] = lambda frame, _: frame, frames: int = 9) -> list[Rgb]:
    """Return a clip of a camera that moves 30 cm forward and 4 cm aside, each frame changed by `tamper`."""
    made = []
    for number in range(frames):
        share = number / (frames - 1)
        seen = room.seen_after(forward=0.3 * share, right=0.04 * share)
        made.append(filmed(cropped(tamper(seen, share)), number))
    return made


@pytest.fixture(scope="module")
def kitchen() -> BoxRoom:
    return BoxRoom.of("03-kitchen.jpg", 1200)


@pytest.mark.parametrize("name", ROOMS)
def test_an_honest_slow_dolly_passes(name: str) -> None:
    room = BoxRoom.of(name, 900 if name == "IMG_2201.JPG" else 1400)
    verdict = judge_animation(room.photo, dolly(room))
    assert verdict.outcome == "passed", verdict.reason
    assert verdict.score is not None and verdict.score >= 0.5 and verdict.gate == "structure"


def test_a_clip_that_stands_still_passes(kitchen: BoxRoom) -> None:
    assert judge_animation(kitchen.photo, [filmed(kitchen.photo, 1)] * 3).outcome == "passed"


def _vase_grows(frame: Rgb, share: float) -> Rgb:
    height, width = frame.shape[:2]
    made = frame.copy()
    if share > 0.3:
        size = (int(0.06 * width * share), int(0.11 * height * share))
        cv2.ellipse(made, (int(0.5 * width), int(0.75 * height)), size, 0, 0, 360, (60, 40, 120), -1, cv2.LINE_AA)
    return made


def _window_is_bricked_up(frame: Rgb, share: float) -> Rgb:
    height, width = frame.shape[:2]
    place = (slice(int(0.28 * height), int(0.55 * height)), slice(int(0.58 * width), int(0.74 * width)))
    made = frame.copy()
    made[place] = np.rint(frame[place] * (1 - share) + np.array([190, 175, 150]) * share)
    return made


def _cabinets_melt(frame: Rgb, share: float) -> Rgb:
    height, width = frame.shape[:2]
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    near = np.exp(-((x / width - 0.3) ** 2 + (y / height - 0.45) ** 2) / 0.18**2)
    wavy = (x + 0.012 * share * width * near * np.sin(y / height * 40)).astype(np.float32)
    return np.asarray(cv2.remap(frame, wavy, y, cv2.INTER_CUBIC), np.uint8)


def _cut_to_another_room(frame: Rgb, share: float) -> Rgb:
    other = BoxRoom.of("bathroom.jpg", frame.shape[1]).photo
    return frame if share < 0.5 else other


@pytest.mark.parametrize(
    ("tamper", "why"),
    [
        (_vase_grows, "isn't in the photo, or is gone"),
        (_window_is_bricked_up, "isn't in the photo, or is gone"),
        (_cabinets_melt, "moved as they can't|bent"),
        (_cut_to_another_room, "hardly be recognised"),
    ],
)
def test_what_no_camera_could_film_is_refused_with_the_frame(
    kitchen: BoxRoom, tamper: Callable[[Rgb, float], Rgb], why: str
) -> None:
    verdict = judge_animation(kitchen.photo, dolly(kitchen, tamper))
    assert verdict.outcome == "failed" and verdict.score is not None and verdict.score < 0.5
    assert verdict.evidence["last_frame"] in (4.0, 8.0) and f"frame {verdict.evidence['last_frame']:.0f} of 9" in (
        verdict.reason
    )
    assert any(words in verdict.reason for words in why.split("|")), verdict.reason


def test_a_pull_back_that_shows_what_the_photo_doesnt_is_refused(kitchen: BoxRoom) -> None:
    inner = cropped(cropped(kitchen.photo))
    invented = cv2.copyMakeBorder(inner, 90, 90, 120, 120, cv2.BORDER_REFLECT)
    verdict = judge_animation(inner, [filmed(np.asarray(invented, np.uint8), 1)])
    assert verdict.outcome == "failed" and "outside the photo" in verdict.reason


def test_grey_frames_and_noise_are_refused(kitchen: BoxRoom) -> None:
    noise = np.random.default_rng(0).integers(0, 256, kitchen.photo.shape).astype(np.uint8)
    for frame in (np.full_like(kitchen.photo, 128), noise):
        assert judge_animation(kitchen.photo, [frame]).outcome == "failed"
    with pytest.raises(ValueError, match="without frames"):
        judge_animation(kitchen.photo, [])
