"""staged_photos: empty rooms furnished, each beside its unaltered base; every other photo passes on as it is."""

from collections.abc import Mapping, Sequence

import dagster as dg
from pydantic import Field

from listing_media_dagster.assets import before_after, furnishing
from listing_media_dagster.assets.ahead import do_ahead
from listing_media_dagster.assets.contact import with_contact_sheet
from listing_media_dagster.assets.generative import AFTER_STAGING, alter_as_asked, tidy_as_asked
from listing_media_dagster.assets.model_work import ModelWork
from listing_media_dagster.assets.shown import stage_metadata
from listing_media_dagster.assets.stage_asset import stage_asset
from listing_media_dagster.assets.stage_run import StageRun
from listing_media_dagster.assets.staging_job import ReadOutput, as_photo, looked_at, passed_on_because, staging_job
from listing_media_dagster.assets.staging_plan import ListingPlan, plan_staging
from listing_media_dagster.gpu.job import ItemResult, Needs
from listing_media_dagster.gpu.model_router import ModelRouter, routing_metadata
from listing_media_dagster.gpu.router import Routed
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
    tidied, _ = tidy_as_asked(bases, listing, config.seed, stage, work.choose, work.send)
    plan = plan_staging(tuple(tidied.values()), listing, kit, stage)
    wanted = {
        photo_id: stage.fingerprint(
            base=photo.image.sha256,
            room=photo.room.type,
            decision=plan.photos[photo_id].decision,
            kit=plan.photos[photo_id].kit,
            pieces_seed=plan.photos[photo_id].pieces_seed,
            seed=config.seed,
            back_ends=[(end.ref.name, end.version_for(plan.photos[photo_id].kit)) for end in ends],
        )
        for photo_id, photo in tidied.items()
    }

    made, routed = _furnish(tidied, plan, ends, wanted, config.seed, models.needs, work)
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


def _furnish(
    bases: Mapping[str, Photo],
    plan: ListingPlan,
    ends: Sequence[furnishing.PlannedBackEnd],
    wanted: Mapping[str, str],
    seed: int,
    needs: Needs,
    work: ModelWork,
) -> tuple[dict[str, Photo], Routed | None]:
    """Return every photo, staged or passed on, and how the model work went if there was any."""
    stage = work.stage
    done = stage.reuse(wanted)
    to_furnish: list[Photo] = []
    as_they_are: dict[str, str] = {}
    for photo_id, photo in bases.items():
        if photo_id in done:
            continue
        decision = plan.photos[photo_id].decision
        if decision.wanted and ends:
            to_furnish.append(photo)
            continue
        reason = "to be staged, but no staging back end is installed" if decision.wanted else decision.reason
        as_they_are[photo_id] = reason

    def take(route: str, result: ItemResult, read: ReadOutput) -> None:
        photo_id = result.item_id
        photo = as_photo(bases[photo_id], plan.photos[photo_id], result, read, route, stage)
        done[photo_id] = stage.keep(photo, wanted)
        stage.tell_made(photo_id, len(wanted))

    staging = staging_job(to_furnish, plan.photos, ends, seed, needs, stage) if to_furnish else None
    do_ahead(staging, to_furnish, [bases[photo_id] for photo_id in as_they_are], seed, work)
    # After it: an attempt that comes later foresees the same, and so finds the same job on its way.
    for photo_id, reason in as_they_are.items():
        seen = looked_at(bases[photo_id], plan.photos[photo_id])
        done[photo_id] = stage.keep(passed_on_because(seen, reason), wanted)
        stage.tell_made(photo_id, len(wanted))
    routed = work.send(*staging, take) if staging else None
    return {photo_id: done[photo_id] for photo_id in wanted}, routed
