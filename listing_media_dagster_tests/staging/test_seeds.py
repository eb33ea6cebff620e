"""The ladder of seeds."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from listing_media_dagster.listing import RoomType, Verdict
from listing_media_dagster.staging.back_ends import CannotStage, Progress, StagedRoom
from listing_media_dagster.staging.seeds import furnish_until_accepted


@dataclass
class Tried:
    """A room that says of each seed: 'passed', 'failed', or that nothing fits."""

    outcomes: dict[int, str]
    seeds: list[int] = field(default_factory=list)

    def furnish(self, seed: int, progress: Progress) -> StagedRoom:
        self.seeds.append(seed)
        outcome = self.outcomes.get(seed, "failed")
        if outcome == "nothing fits":
            raise CannotStage("nothing fits")
        verdict = Verdict(gate="structure", outcome=outcome, reason=f"of seed {seed}")  # type: ignore[arg-type]
        return StagedRoom(np.full((2, 2, 3), seed, np.uint8), (), RoomType.BEDROOM, "a bedroom", (verdict,))


def furnish(room: Tried, first: int = 0) -> tuple[StagedRoom, list[str | None]]:
    made, attempts = furnish_until_accepted(room, first, lambda what: None)
    return made, [attempt.rejected for attempt in attempts]


def test_the_first_seed_that_passes_is_the_last_one_tried() -> None:
    room = Tried({7: "failed", 8: "passed"})
    made, rejections = furnish(room, first=7)
    assert (made.rgb[0, 0, 0], rejections, room.seeds) == (8, ["of seed 7", None], [7, 8])


def test_after_three_further_seeds_the_last_picture_is_kept_as_rejected() -> None:
    room = Tried({})
    made, rejections = furnish(room)
    assert room.seeds == [0, 1, 2, 3]
    assert made.rejection == "of seed 3" and len(rejections) == 4


def test_a_seed_that_fits_nothing_counts_as_a_try() -> None:
    made, rejections = furnish(Tried({0: "nothing fits", 1: "passed"}))
    assert made.rejection is None and rejections == ["nothing fits", None]


def test_a_room_that_no_seed_fits_into_is_refused() -> None:
    with pytest.raises(CannotStage, match="nothing fits"):
        furnish(Tried(dict.fromkeys(range(4), "nothing fits")))
