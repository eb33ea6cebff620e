"""Back ends in turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from listing_media_dagster.listing import Room, RoomType, Verdict
from listing_media_dagster.models.model import ModelFailed
from listing_media_dagster.staging.back_ends import CannotStage, Progress, StagedRoom, StagingRequest, SurveyedRoom
from listing_media_dagster.staging.seeds import Made, one_by_one
from listing_media_dagster.staging.stage_rooms import NotStaged, Staging, stage_rooms


@dataclass
class Answering:
    """A back end, and its surveyed room, that answers every photo as `answers` says: 'passed', 'failed' …"""

    name: str
    answers: dict[str, str]
    rounds: list[list[str]] = field(default_factory=list)

    def version_for(self, kit: str) -> str:
        return self.name

    def survey(self, request: StagingRequest) -> SurveyedRoom:
        if self.answers[request.photo_id] == "refused":
            raise CannotStage("too little floor", {"geometry.jpg": b"drawn"})
        return _Surveyed(self, request.photo_id)

    def furnish_together(self, rooms: Sequence[SurveyedRoom], seed: int, progress: Progress) -> list[Made]:
        self.rounds.append([room.photo_id for room in rooms])  # type: ignore[attr-defined]
        return one_by_one(rooms, seed, progress)


@dataclass(frozen=True)
class _Surveyed:
    end: Answering
    photo_id: str

    def furnish(self, seed: int, progress: Progress) -> StagedRoom:
        answer = self.end.answers[self.photo_id]
        if answer == "broken":
            raise ModelFailed("black")
        verdict = Verdict(gate="structure", outcome=answer, score=0.1, reason=f"a door is gone from {self.end.name}'s")  # type: ignore[arg-type]
        return StagedRoom(np.zeros((2, 2, 3), np.uint8), (), RoomType.BEDROOM, "a bedroom", (verdict,))


def asked(*photos: str) -> list[StagingRequest]:
    return [StagingRequest(photo, np.zeros((2, 2, 3), np.uint8), Room(), "japandi") for photo in photos]


def silent(what: str) -> None:
    """Progress that nobody watches."""


def test_a_model_that_failed_is_followed_by_the_next_back_end_and_the_reason_is_kept() -> None:
    ends = [Answering("diffusion", {"a": "broken"}), Answering("path-traced", {"a": "passed"})]
    (made,) = stage_rooms(ends, asked("a"), 0, silent)
    assert isinstance(made, Staging)
    assert (made.back_end, made.passed_over) == ("path-traced", ("diffusion: black",))


def test_a_room_that_one_back_end_has_rejected_may_be_accepted_of_the_next() -> None:
    ends = [Answering("diffusion", {"a": "failed"}), Answering("path-traced", {"a": "passed"})]
    (made,) = stage_rooms(ends, asked("a"), 0, silent)
    assert isinstance(made, Staging) and made.back_end == "path-traced"
    assert made.passed_over == ("diffusion: rejected, a door is gone from diffusion's",)


def test_a_picture_that_all_reject_is_kept_of_the_first() -> None:
    ends = [Answering("diffusion", {"a": "failed"}), Answering("path-traced", {"a": "failed"})]
    (made,) = stage_rooms(ends, asked("a"), 0, silent)
    assert isinstance(made, Staging) and made.back_end == "diffusion" and made.room.rejection


def test_a_room_that_nobody_stages_says_why_of_each_and_shows_what_was_made_of_it() -> None:
    ends = [Answering("diffusion", {"a": "broken"}), Answering("path-traced", {"a": "refused"})]
    (made,) = stage_rooms(ends, asked("a"), 0, silent)
    assert made == NotStaged("diffusion: black; path-traced: too little floor", {"geometry.jpg": b"drawn"})
    (made,) = stage_rooms(ends[1:], asked("a"), 0, silent)
    assert made == NotStaged("too little floor", {"geometry.jpg": b"drawn"}), "nobody else was asked"
    (nobody,) = stage_rooms([], asked("a"), 0, silent)
    assert nobody == NotStaged("no staging back end is installed")


def test_rooms_go_to_a_back_end_together_and_only_those_that_still_need_one() -> None:
    first = Answering("diffusion", {"a": "passed", "b": "broken", "c": "refused"})
    second = Answering("path-traced", {"b": "passed", "c": "passed"})
    made = stage_rooms([first, second], asked("a", "b", "c"), 0, silent)
    assert [each.back_end for each in made if isinstance(each, Staging)] == ["diffusion", "path-traced", "path-traced"]
    assert (first.rounds, second.rounds) == ([["a", "b"]], [["b", "c"]])
