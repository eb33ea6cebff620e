"""staged_photos: empty rooms furnished, each beside its unaltered base; every other photo passes on as it is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import dagster as dg
from pydantic import Field

from listing_media_dagster.assets import before_after, furnishing
from listing_media_dagster.assets.ahead import do_ahead
from listing_media_dagster.assets.contact import with_contact_sheet
from listing_media_dagster.assets.generative import AFTER_STAGING, alter_as_asked
from listing_media_dagster.assets.model_work import ModelWork, StoredFiles
from listing_media_dagster.assets.shown import stage_metadata
from listing_media_dagster.assets.stage_asset import stage_asset
from listing_media_dagster.assets.stage_run import StageRun
from listing_media_dagster.assets.staging_job import ReadOutput, as_photo, looked_at, passed_on_because, staging_job
from listing_media_dagster.assets.staging_plan import Eyes, ListingPlan, plan_staging
from listing_media_dagster.assets.tidying import tidy_as_asked, tidying_ahead
from listing_media_dagster.gpu.job import ItemResult, ModelJob, Needs
from listing_media_dagster.gpu.model_router import ModelRouter, routing_metadata
from listing_media_dagster.gpu.router import Routed
from listing_media_dagster.gpu.work.chain_order import Link
from listing_media_dagster.listing import BadListing, Listing, Photo, PhotoSet, StageChoice
from listing_media_dagster.models.entry import Stage
from listing_media_dagster.staging.furniture.own_furniture import BadFurniture
from listing_media_dagster.staging.kits import BadKit
from listing_media_dagster.store.photo_sets import MediaStoreResource


class StagingConfig(dg.Config):
    style: str | None = Field(None, description="design kit; default: listing.yaml, else scandinavian")
    include: list[str] | None = Field(None, description="files to stage; default: listing.yaml, else empty rooms")
    exclude: list[str] | None = Field(None, description="files never to stage; default: listing.yaml")
    seed: int = Field(0, ge=0, le=2_000_000_000, description="another seed gives another furnishing")


@stage_asset(
    description="Empty rooms furnished virtually, stored beside their base; why any other photo was not is recorded.",
    kinds={"mitsuba", "opencv"},
    code_version="2",
    gpu="optional",
)
def staged_photos(
    context: dg.AssetExecutionContext,
    config: StagingConfig,
    enhanced_photos: PhotoSet,
    media: MediaStoreResource,
    router: ModelRouter,
) -> dg.MaterializeResult:
    stage = StageRun.begin(context, media, keeps_each=True)
    try:
        listing = furnishing.with_known_kits(_as_configured(enhanced_photos.listing, config))
        work = ModelWork(router, context, stage, listing)
        models = work.choose(Stage.STAGING)
        segmenter = work.choose(Stage.SEGMENTATION).first if models.refs else None
        ends = furnishing.installed_back_ends(models.refs, segmenter)
    except (BadListing, BadKit, BadFurniture) as bad:
        raise dg.Failure(str(bad), allow_retries=False) from None
    kit = listing.style or furnishing.DEFAULT_KIT
    bases = {photo.photo_id: photo for photo in enhanced_photos.photos}
    rooms = _Furnishing(listing, kit, ends, config.seed, models.needs, work, Eyes(stage))
    is_ahead = rooms.foresee_tidying(bases)
    tidied, _ = tidy_as_asked(bases, listing, config.seed, stage, work.choose, work.send)
    made, plan, routed = rooms.furnish(tidied, is_ahead=is_ahead)
    made, _ = alter_as_asked(made, listing, config.seed, stage, work.choose, work.send, AFTER_STAGING)
    photos = [photo.described_as(bases[photo_id]) for photo_id, photo in made.items()]
    parameters = {"style": kit, "same_room": dict(plan.compared)}
    photo_set = PhotoSet(listing=listing, asset=stage.asset, photos=tuple(photos), parameters=parameters)
    photo_set = stage.finish(with_contact_sheet(photo_set, stage))
    staged = sum(photo.is_staged for photo in photos)
    altered = sum(photo.is_altered for photo in photos)
    shown = stage_metadata(photo_set, stage, staged=staged, altered=altered, passed_on=len(photos) - altered)
    how = routing_metadata(routed) if routed else {}
    return dg.MaterializeResult(
        value=photo_set, metadata={**before_after.before_after_metadata(photos, stage), **shown, **how}
    )


def _as_configured(listing: Listing, config: StagingConfig) -> Listing:
    choice = listing.stage.model_copy(
        update={
            "include": listing.stage.include if config.include is None else tuple(config.include),
            "exclude": listing.stage.exclude if config.exclude is None else tuple(config.exclude),
        }
    )
    return listing.overridden_by(style=config.style, stage=StageChoice.model_validate(choice).model_dump())


@dataclass(frozen=True)
class _Furnishing:
    """How the empty rooms of a listing are furnished, and what is foreseen of it."""

    listing: Listing
    kit: str
    ends: Sequence[furnishing.PlannedBackEnd]
    seed: int
    needs: Needs
    work: ModelWork
    eyes: Eyes

    def foresee_tidying(self, bases: Mapping[str, Photo]) -> bool:
        """Where work takes minutes to start, have rooms tidied in one go with all that follows; say whether they are.

        Rooms are furnished on the way if they turn out to be empty then.
        """
        if not self.work.may_start_slowly:
            return False
        photos, tidying, files = tidying_ahead(bases, self.listing, self.seed, self.work.stage, self.work.choose)
        if tidying is None:
            return False
        cluttered = {item.id for item in tidying.items}
        plan = plan_staging(tuple(photos.values()), self.listing, self.kit, self.eyes, empty=cluttered)
        wanted = self._fingerprints(photos, plan)
        todo = [name for name in photos if name in cluttered or not self.work.stage.reusable(name, wanted[name])]
        to_furnish = [photos[name] for name in todo if plan.photos[name].decision.wanted and self.ends]
        as_they_are = [photos[name] for name in todo if photos[name] not in to_furnish]
        named = {photo.photo_id for photo in to_furnish if photo.names & set(self.listing.stage.include)}
        first = [(Link(tidying), files)]
        if to_furnish:
            staging, own = self._job(to_furnish, plan)
            first.append((Link(staging, if_empty=frozenset(cluttered - named)), own))
        return do_ahead(first, to_furnish, as_they_are, self.seed, self.work)

    def furnish(
        self, bases: Mapping[str, Photo], *, is_ahead: bool
    ) -> tuple[dict[str, Photo], ListingPlan, Routed | None]:
        """Return every photo, staged or passed on, the plan, and how the model work went if there was any."""
        stage = self.work.stage
        plan = plan_staging(tuple(bases.values()), self.listing, self.kit, self.eyes)
        wanted = self._fingerprints(bases, plan)
        done = stage.reuse(wanted)
        to_furnish: list[Photo] = []
        as_they_are: dict[str, str] = {}
        for photo_id, photo in bases.items():
            if photo_id in done:
                continue
            decision = plan.photos[photo_id].decision
            if decision.wanted and self.ends:
                to_furnish.append(photo)
                continue
            reason = "to be staged, but no staging back end is installed" if decision.wanted else decision.reason
            as_they_are[photo_id] = reason

        def take(route: str, result: ItemResult, read: ReadOutput) -> None:
            photo_id = result.item_id
            photo = as_photo(bases[photo_id], plan.photos[photo_id], result, read, route, stage)
            done[photo_id] = stage.keep(photo, wanted)
            stage.tell_made(photo_id, len(wanted))

        staging = self._job(to_furnish, plan) if to_furnish else None
        if not is_ahead:
            first = [(Link(staging[0]), staging[1])] if staging else []
            do_ahead(first, to_furnish, [bases[photo_id] for photo_id in as_they_are], self.seed, self.work)
        # After it: an attempt that comes later foresees the same, and so finds the same job on its way.
        for photo_id, reason in as_they_are.items():
            seen = looked_at(bases[photo_id], plan.photos[photo_id])
            done[photo_id] = stage.keep(passed_on_because(seen, reason), wanted)
            stage.tell_made(photo_id, len(wanted))
        routed = self.work.send(*staging, take) if staging else None
        return {photo_id: done[photo_id] for photo_id in wanted}, plan, routed

    def _job(self, photos: Sequence[Photo], plan: ListingPlan) -> tuple[ModelJob, StoredFiles]:
        return staging_job(photos, plan.photos, self.ends, self.seed, self.needs, self.work.stage)

    def _fingerprints(self, photos: Mapping[str, Photo], plan: ListingPlan) -> dict[str, str]:
        return {
            photo_id: self.work.stage.fingerprint(
                base=photo.image.sha256,
                room=photo.room.type,
                decision=plan.photos[photo_id].decision,
                kit=plan.photos[photo_id].kit,
                pieces_seed=plan.photos[photo_id].pieces_seed,
                seed=self.seed,
                back_ends=[(end.ref.name, end.version_for(plan.photos[photo_id].kit)) for end in self.ends],
            )
            for photo_id, photo in photos.items()
        }
