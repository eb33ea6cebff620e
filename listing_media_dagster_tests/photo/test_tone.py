"""The tone decision and its curve: pure functions with properties that hold for every photo."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from listing_media_dagster.photo.tone import (
    ToneDecision,
    ToneTargets,
    decide_tone,
    highlight_tables,
    strength_to_reach,
    tone_curve,
)

INDOORS, OUTDOORS = ToneTargets(0.66, 0.91), ToneTargets(0.60, 0.94)
LEVELS = np.linspace(0, 1, 256, dtype=np.float32)


def decide(
    median: float, white: float, black: float = 0.05, exterior: bool = False, night: bool = False
) -> ToneDecision:
    targets = OUTDOORS if exterior else INDOORS
    return decide_tone(median=median, white=white, black=black, targets=targets, exterior=exterior, night=night)


@pytest.mark.parametrize("strength", [-1.0, -0.4, 0.0, 0.6, 1.0])
@pytest.mark.parametrize("passes", [2, 4])
def test_no_strength_clips_or_turns_back(strength: float, passes: int) -> None:
    curve = tone_curve(LEVELS, strength, passes)
    assert curve[0] == 0.0 and curve[-1] == 1.0
    assert np.diff(curve).min() >= -1e-6


@pytest.mark.parametrize(("level", "target"), [(0.3, 0.5), (0.7, 0.91), (0.8, 0.75)])
def test_the_strength_found_reaches_the_target(level: float, target: float) -> None:
    assert float(tone_curve(level, strength_to_reach(level, target))) == pytest.approx(target, abs=1e-3)


def test_highlights_are_held_back_on_a_curve_that_always_rises() -> None:
    for median, white in itertools.product((0.1, 0.3, 0.5, 0.7), (0.2, 0.4, 0.6, 0.8, 0.95)):
        decision = decide(median, max(white, median))
        factor, offset = highlight_tables(decision)
        curve = tone_curve(LEVELS, decision.exposure * factor + offset, decision.passes)
        assert np.diff(curve).min() > 0, decision
        assert float(offset.max()) <= 0.0


def test_a_frame_on_its_targets_needs_no_exposure() -> None:
    assert decide(0.66, 0.91).exposure < 0.02
    assert decide(0.60, 0.94, exterior=True).exposure < 0.02


def test_darker_frames_get_more_and_none_is_darkened() -> None:
    exposures = [decide(white * 0.7, white).exposure for white in (0.97, 0.85, 0.75, 0.6)]
    assert exposures == sorted(exposures) and exposures[0] == 0.0 and exposures[-1] > 0.4
    assert decide(0.9, 0.97).exposure == 0.0
    assert decide(0.1, 0.2).passes > decide(0.5, 0.8).passes


def test_a_night_front_is_lifted_less_than_a_dull_day() -> None:
    assert decide(0.2, 0.5, exterior=True, night=True).exposure < decide(0.2, 0.5, exterior=True).exposure


def test_a_room_without_a_dark_point_gets_no_black_anchored() -> None:
    assert decide(0.8, 0.9, black=0.5).black == 0.0
    assert 0 < decide(0.6, 0.9, black=0.05).black <= 0.045
