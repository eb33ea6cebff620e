"""Rooms furnished by the first back end whose picture of them is accepted, seeds and all; several rooms together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from listing_media_dagster.models.model import ModelFailed
from listing_media_dagster.staging.back_ends import (
    CannotStage,
    Progress,
    StagedRoom,
    StagingBackEnd,
    StagingRequest,
    SurveyedRoom,
)
from listing_media_dagster.staging.seeds import Attempt, Furnished, Judge, Made, furnish_all_until_accepted


@runtime_checkable
class FurnishesTogether(Protocol):
    """A back end that is faster with several rooms at a time."""

    def furnish_together(self, rooms: Sequence[SurveyedRoom], seed: int, progress: Progress) -> Sequence[Made]: ...


@dataclass(frozen=True)
class Staging:
    """A furnished room, by whom, after which attempts, and why back ends before didn't. It may be a rejected one."""

    room: StagedRoom
    attempts: tuple[Attempt, ...]
    back_end: str
    passed_over: tuple[str, ...] = ()


@dataclass(frozen=True)
class NotStaged:
    """Why no back end made a picture; `attachments` show what they made of the photo."""

    reason: str
    attachments: Mapping[str, bytes] = field(default_factory=dict)


@dataclass
class _Case:
    request: StagingRequest
    reasons: list[tuple[str, str]] = field(default_factory=list)  # (back end, what it said)
    attachments: dict[str, bytes] = field(default_factory=dict)
    kept: Staging | None = None

    @property
    def is_open(self) -> bool:
        return self.kept is None or self.kept.room.rejection is not None

    def outcome(self) -> Staging | NotStaged:
        if self.kept is not None:
            return self.kept
        if len(self.reasons) == 1:
            return NotStaged(self.reasons[0][1], self.attachments)
        return NotStaged("; ".join(self.said) or "no staging back end is installed", self.attachments)

    @property
    def said(self) -> tuple[str, ...]:
        return tuple(f"{back_end}: {reason}" for back_end, reason in self.reasons)


def stage_rooms(
    ends: Sequence[StagingBackEnd],
    requests: Sequence[StagingRequest],
    first_seed: int,
    progress: Progress,
    judge: Judge | None = None,
) -> list[Staging | NotStaged]:
    """Return each room as the first of `ends` furnishes it whose picture the gates accept.

    Where all are rejected the first rejected picture is kept; where there is none, the reasons of all back ends.
    """
    cases = [_Case(request) for request in requests]
    for end in ends:
        surveyed = [(case, room) for case in cases if case.is_open and (room := _surveyed(end, case)) is not None]
        rooms = [room for _, room in surveyed]
        together = end.furnish_together if isinstance(end, FurnishesTogether) else None
        made = furnish_all_until_accepted(rooms, first_seed, progress, judge, together)
        for (case, _), outcome in zip(surveyed, made, strict=True):
            _take(case, end.name, outcome)
    return [case.outcome() for case in cases]


def _surveyed(end: StagingBackEnd, case: _Case) -> SurveyedRoom | None:
    try:
        return end.survey(case.request)
    except (CannotStage, ModelFailed) as refused:
        _take(case, end.name, refused)
        return None


def _take(case: _Case, name: str, outcome: Furnished | CannotStage | ModelFailed) -> None:
    if isinstance(outcome, Furnished):
        rejection = outcome.room.rejection
        if case.kept is None or rejection is None:
            case.kept = Staging(outcome.room, outcome.attempts, name, case.said)
        if rejection is not None:
            case.reasons.append((name, f"rejected, {rejection}"))
        return
    case.reasons.append((name, str(outcome)))
    if isinstance(outcome, CannotStage):
        case.attachments |= outcome.attachments
