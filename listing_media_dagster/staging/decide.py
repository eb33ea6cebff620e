"""Which photos are to be staged: a decision from the room, how empty it is and what the customer asked for."""

from __future__ import annotations

from dataclasses import dataclass

from listing_media_dagster.listing import EXTERIORS, Photo, RoomType, StageChoice

STAGEABLE = frozenset(
    {
        RoomType.LIVING_ROOM,
        RoomType.FAMILY_ROOM,
        RoomType.DINING_ROOM,
        RoomType.BEDROOM,
        RoomType.PRIMARY_BEDROOM,
        RoomType.CHILDRENS_ROOM,
        RoomType.HOME_OFFICE,
        RoomType.BASEMENT,
        RoomType.ATTIC,
        RoomType.UNKNOWN,
    }
)


@dataclass(frozen=True)
class StagingDecision:
    wanted: bool
    reason: str


def decide_staging(photo: Photo, choice: StageChoice, furnishing: float) -> StagingDecision:
    """Say whether to stage `photo` and why; `furnishing` is 0 (bare) to 1 (full), see `emptiness.measure_furnishing`.

    What the customer names wins over what was measured; nothing but rooms people furnish is ever staged.
    """
    if photo.names & set(choice.exclude):
        return StagingDecision(False, "excluded by the listing")
    if photo.room.type in EXTERIORS:
        return StagingDecision(False, "an exterior is never staged")
    asked_for = bool(photo.names & set(choice.include))
    if photo.room.type not in STAGEABLE and not asked_for:
        return StagingDecision(False, f"a {_in_words(photo.room.type)} is not furnished virtually")
    if asked_for:
        return StagingDecision(True, "asked for by the listing")
    if choice.include:
        return StagingDecision(False, "the listing names other photos to stage")
    if furnishing > FURNISHED_FROM:
        return StagingDecision(
            False, f"the room is furnished or cluttered ({furnishing:.2f}, bare is below {FURNISHED_FROM})"
        )
    return StagingDecision(True, f"an empty room ({furnishing:.2f})")


FURNISHED_FROM = 0.5


def _in_words(room: RoomType) -> str:
    return room.value.replace("_", " ")
