"""The ladder of seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from listing_media_dagster.listing import RoomType, Verdict
from listing_media_dagster.models.model import ModelFailed
from listing_media_dagster.staging.back_ends import CannotStage, Progress, StagedRoom, SurveyedRoom
from listing_media_dagster.staging.seeds import (
    Furnished,
    Made,
    furnish_all_until_accepted,
    furnish_until_accepted,
    one_by_one,
)


@dataclass
class Tried:
    """A room that says of each seed: 'passed', 'failed' with a score, that nothing fits, or that the model failed."""

    outcomes: dict[int, str]
    seeds: list[int] = field(default_factory=list)

    def furnish(self, seed: int, progress: Progress) -> StagedRoom:
        self.seeds.append(seed)
        outcome = self.outcomes.get(seed, "failed")
        if outcome == "nothing fits":
            raise CannotStage("nothing fits")
        if outcome == "model failed":
            raise ModelFailed("black")
        named, _, score = outcome.partition(" ")
        verdict = Verdict(gate="structure", outcome=named, score=float(score or 0), reason=f"of seed {seed}")  # type: ignore[arg-type]
        return StagedRoom(np.full((2, 2, 3), seed, np.uint8), (), RoomType.BEDROOM, "a bedroom", (verdict,))


def furnish(room: Tried, first: int = 0) -> tuple[StagedRoom, list[str | None]]:
    made, attempts = furnish_until_accepted(room, first, lambda what: None)
    return made, [attempt.rejected for attempt in attempts]


def test_the_first_seed_that_passes_is_the_last_one_tried() -> None:
    room = Tried({7: "failed", 8: "passed"})
    made, rejections = furnish(room, first=7)
    assert (made.rgb[0, 0, 0], rejections, room.seeds) == (8, ["of seed 7", None], [7, 8])


def test_after_three_further_seeds_the_best_picture_is_kept_as_rejected() -> None:
    room = Tried({0: "nothing fits", 2: "failed 0.4"})
    made, rejections = furnish(room)
    assert room.seeds == [0, 1, 2, 3]
    assert made.rejection == "of seed 2" and len(rejections) == 4


def test_a_seed_that_fits_nothing_counts_as_a_try() -> None:
    made, rejections = furnish(Tried({0: "nothing fits", 1: "passed"}))
    assert made.rejection is None and rejections == ["nothing fits", None]


def test_a_room_that_no_seed_fits_into_is_refused() -> None:
    with pytest.raises(CannotStage, match="nothing fits"):
        furnish(Tried(dict.fromkeys(range(4), "nothing fits")))


def clip_of(scores: dict[int, float]) -> object:
    """An encoder that gives the picture of each seed its score, and passes 0.75."""

    def judge(rooms: Sequence[StagedRoom]) -> list[Verdict]:
        found = [scores[int(room.rgb[0, 0, 0])] for room in rooms]
        return [
            Verdict(gate="clip", outcome="passed" if score >= 0.75 else "failed", score=score, reason=f"clip {score}")
            for score in found
        ]

    return judge


def test_a_picture_has_to_pass_structure_and_clip_and_keeps_clips_verdict() -> None:
    room = Tried({0: "failed", 1: "passed", 2: "passed"})
    made, attempts = furnish_until_accepted(room, 0, lambda what: None, clip_of({1: 0.6, 2: 0.8}))  # type: ignore[arg-type]
    assert [(attempt.rejected, attempt.score) for attempt in attempts] == [
        ("of seed 0", None),
        ("clip 0.6", 0.6),
        (None, 0.8),
    ]
    assert [verdict.gate for verdict in made.verdicts] == ["structure", "clip"]


def test_of_rejected_pictures_one_true_to_the_structure_is_kept_and_of_those_the_one_clip_likes_best() -> None:
    room = Tried({0: "failed 0.49", 1: "passed", 2: "passed", 3: "failed 0.49"})
    made, _ = furnish_until_accepted(room, 0, lambda what: None, clip_of({1: 0.5, 2: 0.6}))  # type: ignore[arg-type]
    assert made.rejection == "clip 0.6"


def test_a_failed_model_ends_the_ladder_and_leaves_what_was_made_before() -> None:
    room = Tried({0: "failed", 1: "model failed"})
    made, rejections = furnish(room)
    assert room.seeds == [0, 1] and made.rejection == "of seed 0" and rejections == ["of seed 0", "black"]
    with pytest.raises(ModelFailed):
        furnish(Tried({0: "model failed"}))


def test_rooms_furnished_together_get_what_each_gets_alone_and_accepted_ones_leave_the_batch() -> None:
    def rooms() -> list[Tried]:
        return [Tried({0: "passed"}), Tried({2: "passed"}), Tried({}), Tried(dict.fromkeys(range(4), "nothing fits"))]

    rounds: list[int] = []

    def together(rooms: Sequence[SurveyedRoom], seed: int, progress: Progress) -> list[Made]:
        rounds.append(len(rooms))
        return one_by_one(rooms, seed, progress)

    made = furnish_all_until_accepted(rooms(), 0, lambda what: None, together=together)
    assert rounds == [4, 3, 3, 2]
    for outcome, room in zip(made[:3], rooms()[:3], strict=True):
        assert isinstance(outcome, Furnished)
        alone, attempts = furnish_until_accepted(room, 0, lambda what: None)
        assert np.array_equal(outcome.room.rgb, alone.rgb) and outcome.attempts == attempts
    assert isinstance(made[3], CannotStage)
