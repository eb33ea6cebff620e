"""Which photos are to be staged: a decision from the room, what its pixels show and what the customer asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from listing_media_dagster.listing import EXTERIORS, Photo, RoomType, StageChoice
from listing_media_dagster.staging.suitability import Suitability

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


def decide_staging(
    photo: Photo, choice: StageChoice, look: Callable[[], Suitability], *, only_named: bool = False
) -> StagingDecision:
    """Say whether to stage `photo` and why; `look` tells what its pixels show, and is asked only where that matters.

    What the customer names wins over what the room is called, and that over the pixels; no exterior is ever staged.
    `only_named`: no room is staged that the customer doesn't name.
    """
    if photo.names & set(choice.exclude):
        return StagingDecision(False, "excluded by the listing")
    if photo.room.type in EXTERIORS:
        return StagingDecision(False, "an exterior is never staged")
    asked_for = bool(photo.names & set(choice.include))
    if asked_for and not look().is_exterior:
        return StagingDecision(True, "asked for by the listing")
    if photo.room.type not in STAGEABLE:
        return StagingDecision(False, f"a {_in_words(photo.room.type)} is not furnished virtually")
    if choice.include and not asked_for:
        return StagingDecision(False, "the listing names other photos to stage")
    if only_named and not asked_for:
        return StagingDecision(False, "only rooms that the listing names are staged")
    if refusal := look().refusal:
        return StagingDecision(False, refusal)
    if photo.room.type == RoomType.UNKNOWN:
        return StagingDecision(True, "an empty room, staged as a living room, its type being unknown")
    return StagingDecision(True, "an empty room")


def _in_words(room: RoomType) -> str:
    return room.value.replace("_", " ")
