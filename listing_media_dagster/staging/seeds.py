"""The ladder of seeds: a rejected picture is tried again with the next one, a few times."""

from __future__ import annotations

from listing_media_dagster.listing import Noun
from listing_media_dagster.staging.back_ends import CannotStage, Progress, StagedRoom, SurveyedRoom

FURTHER_SEEDS = 3


class Attempt(Noun):
    seed: int
    rejected: str | None = None


def furnish_until_accepted(
    room: SurveyedRoom, first_seed: int, progress: Progress
) -> tuple[StagedRoom, tuple[Attempt, ...]]:
    """Return the first picture that no gate rejects, else the last one made, and every attempt.

    Seeds count up from `first_seed`. Raises `CannotStage` if not one picture could be made.
    """
    attempts: list[Attempt] = []
    last: StagedRoom | None = None
    for seed in range(first_seed, first_seed + 1 + FURTHER_SEEDS):
        try:
            last = room.furnish(seed, progress)
        except CannotStage as refused:
            if last is None and seed == first_seed + FURTHER_SEEDS:
                raise
            attempts.append(Attempt(seed=seed, rejected=str(refused)))
            continue
        attempts.append(Attempt(seed=seed, rejected=last.rejection))
        if last.rejection is None:
            break
    if last is None:
        raise CannotStage(attempts[-1].rejected or "no layout fits")
    return last, tuple(attempts)
