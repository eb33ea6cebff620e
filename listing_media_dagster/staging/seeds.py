"""The ladder of seeds: a rejected picture is tried again with the next one, a few times.

The structure gate is asked first, in the back end; what it passes is shown to CLIP where there is an encoder. Several
rooms climb together: each round furnishes those that nothing has been accepted of yet.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from listing_media_dagster.listing import Noun, Verdict
from listing_media_dagster.models.model import ModelFailed
from listing_media_dagster.staging.back_ends import CannotStage, Progress, StagedRoom, SurveyedRoom

FURTHER_SEEDS = 3


class Attempt(Noun):
    """A seed that was tried; `score` is the CLIPScore of its picture where one was taken."""

    seed: int
    rejected: str | None = None
    score: float | None = None


@dataclass(frozen=True)
class Furnished:
    """The picture that is kept, and every attempt. `room.rejection` says whether it was accepted."""

    room: StagedRoom
    attempts: tuple[Attempt, ...]


Made = StagedRoom | CannotStage | ModelFailed
FurnishTogether = Callable[[Sequence[SurveyedRoom], int, Progress], Sequence[Made]]
Judge = Callable[[Sequence[StagedRoom]], Sequence[Verdict]]
"""CLIP's verdict on each of some pictures."""


def furnish_until_accepted(
    room: SurveyedRoom, first_seed: int, progress: Progress, judge: Judge | None = None
) -> tuple[StagedRoom, tuple[Attempt, ...]]:
    """Return the first picture that no gate rejects, else the best one made, and every attempt.

    Seeds count up from `first_seed`. Raises `CannotStage` if not one picture could be made, `ModelFailed` if that is
    because of the model.
    """
    (made,) = furnish_all_until_accepted([room], first_seed, progress, judge)
    if isinstance(made, Exception):
        raise made
    return made.room, made.attempts


def furnish_all_until_accepted(
    rooms: Sequence[SurveyedRoom],
    first_seed: int,
    progress: Progress,
    judge: Judge | None = None,
    together: FurnishTogether | None = None,
) -> list[Furnished | CannotStage | ModelFailed]:
    """Return for each room what `furnish_until_accepted` would, or raise: the batch a room is in changes nothing.

    `together` furnishes the rooms of a round, by default one after the other.
    """
    climbs = [_Climb(room) for room in rooms]
    for seed in range(first_seed, first_seed + 1 + FURTHER_SEEDS):
        climbing = [climb for climb in climbs if climb.goes_on]
        if not climbing:
            break
        made = (together or one_by_one)([climb.room for climb in climbing], seed, progress)
        for climb, picture in zip(climbing, _judged(made, judge, progress), strict=True):
            climb.add(seed, picture)
    return [climb.outcome() for climb in climbs]


def one_by_one(rooms: Sequence[SurveyedRoom], seed: int, progress: Progress) -> list[Made]:
    """Return each room furnished, or why it isn't."""
    made: list[Made] = []
    for room in rooms:
        try:
            made.append(room.furnish(seed, progress))
        except (CannotStage, ModelFailed) as refused:
            made.append(refused)
    return made


def _judged(made: Sequence[Made], judge: Judge | None, progress: Progress) -> list[Made]:
    """Return the pictures with CLIP's verdict on those that the other gates let through."""
    shown = [picture for picture in made if isinstance(picture, StagedRoom) and picture.rejection is None]
    if judge is None or not shown:
        return list(made)
    progress("scoring")
    verdicts = dict(zip(map(id, shown), judge(shown), strict=True))
    return [
        replace(picture, verdicts=(*picture.verdicts, verdicts[id(picture)]))
        if isinstance(picture, StagedRoom) and id(picture) in verdicts
        else picture
        for picture in made
    ]


@dataclass
class _Climb:
    """One room on the ladder."""

    room: SurveyedRoom
    best: StagedRoom | None = None
    refused: CannotStage | ModelFailed = field(default_factory=lambda: CannotStage("no layout fits"))
    attempts: list[Attempt] = field(default_factory=list)

    @property
    def goes_on(self) -> bool:
        accepted = self.best is not None and self.best.rejection is None
        return not accepted and not isinstance(self.refused, ModelFailed)

    def add(self, seed: int, made: Made) -> None:
        if not isinstance(made, StagedRoom):
            self.refused = made
            self.attempts.append(Attempt(seed=seed, rejected=str(made)))
            return
        self.attempts.append(Attempt(seed=seed, rejected=made.rejection, score=_clip_score(made)))
        if self.best is None or _merit(made) > _merit(self.best):
            self.best = made

    def outcome(self) -> Furnished | CannotStage | ModelFailed:
        return self.refused if self.best is None else Furnished(self.best, tuple(self.attempts))


def _merit(made: StagedRoom) -> tuple[bool, bool, float]:
    """How good a picture is: accepted before all else, then true to the structure, then by its score."""
    structure = next((verdict for verdict in made.verdicts if verdict.gate == "structure"), None)
    is_true = structure is None or structure.outcome != "failed"
    score = _clip_score(made) if is_true else structure and structure.score
    return made.rejection is None, is_true, score or 0.0


def _clip_score(made: StagedRoom) -> float | None:
    return next((verdict.score for verdict in made.verdicts if verdict.gate == "clip"), None)
