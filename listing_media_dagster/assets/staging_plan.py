"""What is to be done with each photo of a listing: staged or not, why, with which kit and whose furniture."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from listing_media_dagster.assets.stage_run import StageRun, in_parallel
from listing_media_dagster.listing import Listing, Photo, fingerprint
from listing_media_dagster.staging import same_room, suitability
from listing_media_dagster.staging.decide import StagingDecision, decide_staging
from listing_media_dagster.staging.suitability import Suitability

LOOKED_AT_PX = 800


@dataclass(frozen=True)
class StagingPlan:
    """`seen` is what the pixels told, kept in the photo's facts so that they are looked at once."""

    decision: StagingDecision
    kit: str
    pieces_seed: int = 0
    seen: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ListingPlan:
    """A plan for each photo id, and the photo pairs that were compared: do they show one room?"""

    photos: Mapping[str, StagingPlan]
    compared: Mapping[str, bool]


def plan_staging(photos: Sequence[Photo], listing: Listing, kit: str, stage: StageRun) -> ListingPlan:
    """Decide for every photo; what an earlier run saw in the same pixels is not looked at again."""
    seen = _suitabilities(photos, stage)
    decisions = {
        photo.photo_id: decide_staging(photo, listing.stage, seen[photo.photo_id].suitability) for photo in photos
    }
    wanted = [photo for photo in photos if decisions[photo.photo_id].wanted]
    eyes = _Eyes(stage)
    rooms = same_room.group_same_rooms(wanted, listing.stage.same_room, eyes.see_one_room)
    by_id = {photo.photo_id: photo for photo in photos}
    plans = {
        photo_id: StagingPlan(
            decision=decision,
            kit=_kit_of(by_id[photo_id], listing, kit),
            pieces_seed=_pieces_seed(by_id[rooms[photo_id]]) if decision.wanted else 0,
            seen=seen[photo_id].record,
        )
        for photo_id, decision in decisions.items()
    }
    return ListingPlan(plans, eyes.compared)


def _kit_of(photo: Photo, listing: Listing, kit: str) -> str:
    return next((own for name, own in listing.stage.kits.items() if name in photo.names), kit)


def _pieces_seed(first_of_room: Photo) -> int:
    """Return the seed of a room's furniture: that of its name, else of its first photo."""
    named = same_room.room_name(first_of_room) or first_of_room.photo_id
    return int(fingerprint(room=named)[:7], 16)


@dataclass(frozen=True)
class _Seen:
    suitability: Suitability
    record: Mapping[str, Any]


def _suitabilities(photos: Sequence[Photo], stage: StageRun) -> dict[str, _Seen]:
    seen = {photo.photo_id: known for photo in photos if (known := _known_suitability(photo, stage))}
    missing = [photo for photo in photos if photo.photo_id not in seen]
    for photo, judged in in_parallel(missing, lambda photo: _judge(photo, stage)):
        seen[photo.photo_id] = judged
    return seen


def _judge(photo: Photo, stage: StageRun) -> _Seen:
    found = suitability.judge_suitability(stage.pixels(photo.image, at_most=LOOKED_AT_PX))
    record = {
        "of": photo.image.sha256,
        "version": suitability.VERSION,
        "refusal": found.refusal,
        "confidence": round(found.confidence, 4),
        "evidence": {name: round(value, 4) for name, value in found.evidence.items()},
    }
    return _Seen(found, record)


def _known_suitability(photo: Photo, stage: StageRun) -> _Seen | None:
    earlier = stage.previous.photo(photo.photo_id) if stage.previous else None
    record = earlier.facts.get("suitability") if earlier else None
    if not record or (record["of"], record["version"]) != (photo.image.sha256, suitability.VERSION):
        return None
    return _Seen(Suitability(record["refusal"], record["confidence"], record["evidence"]), record)


class _Eyes:
    """Looks at each photo once, and at no pair that was compared before."""

    def __init__(self, stage: StageRun) -> None:
        self._stage = stage
        self._looks: dict[str, same_room.Looks] = {}
        self._before = stage.previous.parameters.get("same_room", {}) if stage.previous else {}
        self.compared: dict[str, bool] = {}

    def see_one_room(self, first: Photo, second: Photo) -> bool:
        pair = ":".join([same_room.VERSION, *sorted([first.image.sha256, second.image.sha256])])
        if pair not in self.compared:
            known = self._before.get(pair)
            same = same_room.show_the_same_room(self._look(first), self._look(second)) if known is None else known
            self.compared[pair] = same
        return self.compared[pair]

    def _look(self, photo: Photo) -> same_room.Looks:
        if photo.photo_id not in self._looks:
            pixels = self._stage.pixels(photo.image, at_most=LOOKED_AT_PX)
            self._looks[photo.photo_id] = same_room.looks_of(pixels)
        return self._looks[photo.photo_id]
