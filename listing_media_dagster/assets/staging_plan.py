"""What is to be done with each photo of a listing: staged or not, why, with which kit and whose furniture."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from listing_media_dagster.assets.stage_run import StageRun, in_parallel
from listing_media_dagster.gpu.work.chain_order import LOOKED_AT_PX
from listing_media_dagster.listing import Listing, Photo
from listing_media_dagster.settings import settings
from listing_media_dagster.staging import same_room, suitability
from listing_media_dagster.staging.decide import StagingDecision, decide_staging
from listing_media_dagster.staging.suitability import Suitability


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


class Eyes:
    """Looks at no pixels twice: what an earlier run saw in them is remembered, too."""

    def __init__(self, stage: StageRun) -> None:
        self._stage = stage
        self._looks: dict[str, same_room.Looks] = {}
        self._before = stage.previous.parameters.get("same_room", {}) if stage.previous else {}
        self.judged: dict[str, Mapping[str, Any]] = {}
        self.compared: dict[str, bool] = {}

    def judge(self, photo: Photo) -> Suitability:
        earlier = self._stage.previous.photo(photo.photo_id) if self._stage.previous else None
        known = [self.judged.get(photo.photo_id), earlier.facts.get("suitability") if earlier else None]
        these = (photo.image.sha256, suitability.VERSION)
        record = next((seen for seen in known if seen and (seen["of"], seen["version"]) == these), None)
        if record is None:
            judged = suitability.judge_suitability(self._stage.pixels(photo.image, at_most=LOOKED_AT_PX))
            record = {"of": photo.image.sha256, "version": suitability.VERSION, **asdict(judged)}
        self.judged[photo.photo_id] = record
        return Suitability(record["refusal"], record["confidence"], record["evidence"])

    def see_one_room(self, first: Photo, second: Photo) -> bool:
        pair = ":".join([same_room.VERSION, *sorted([first.image.sha256, second.image.sha256])])
        if pair not in self.compared:
            known = self._before.get(pair)
            same = same_room.show_the_same_room(self._look(first), self._look(second)) if known is None else known
            self.compared[pair] = same
        return self.compared[pair]

    def _look(self, photo: Photo) -> same_room.Looks:
        picture = photo.image.sha256
        if picture not in self._looks:
            self._looks[picture] = same_room.looks_of(self._stage.pixels(photo.image, at_most=LOOKED_AT_PX))
        return self._looks[picture]


def plan_staging(
    photos: Sequence[Photo], listing: Listing, kit: str, eyes: Eyes, empty: Collection[str] = ()
) -> ListingPlan:
    """Decide for every photo; the rooms in those of the ids `empty` are taken to be so, whatever is seen in them."""
    only_named = settings().stage == "named"

    def decide(photo: Photo) -> StagingDecision:
        def look() -> Suitability:
            seen = eyes.judge(photo)
            return replace(seen, refusal=None) if photo.photo_id in empty else seen

        return decide_staging(photo, listing.stage, look, only_named=only_named)

    decisions = {photo.photo_id: decision for photo, decision in in_parallel(photos, decide)}
    wanted = [photo for photo in photos if decisions[photo.photo_id].wanted]
    rooms = same_room.group_same_rooms(wanted, listing.stage.same_room, eyes.see_one_room)
    by_id = {photo.photo_id: photo for photo in photos}
    plans = {
        photo_id: StagingPlan(
            decision=decision,
            kit=_kit_of(by_id[photo_id], listing, kit),
            pieces_seed=_pieces_seed(listing, by_id[rooms[photo_id]]) if decision.wanted else 0,
            seen=eyes.judged.get(photo_id, {}),
        )
        for photo_id, decision in decisions.items()
    }
    return ListingPlan(plans, eyes.compared)


def _kit_of(photo: Photo, listing: Listing, kit: str) -> str:
    return next((own for name, own in listing.stage.kits.items() if name in photo.names), kit)


def _pieces_seed(listing: Listing, first_of_room: Photo) -> int:
    """Return the seed of a room's furniture: that of its name in this home, else of its first photo."""
    named = same_room.room_name(first_of_room)
    return same_room.pieces_seed_of(f"{listing.id}/{named}" if named else first_of_room.photo_id)
