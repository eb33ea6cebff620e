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
    made: StagedRoom | None = None
    refused = CannotStage("no layout fits")
    for seed in range(first_seed, first_seed + 1 + FURTHER_SEEDS):
        try:
            made = room.furnish(seed, progress)
        except CannotStage as nothing_fits:
            refused = nothing_fits
            attempts.append(Attempt(seed=seed, rejected=str(nothing_fits)))
            continue
        attempts.append(Attempt(seed=seed, rejected=made.rejection))
        if made.rejection is None:
            break
    if made is None:
        raise refused
    return made, tuple(attempts)
