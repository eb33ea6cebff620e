"""staged_photos: empty rooms furnished, each beside its unaltered base; every other photo passes on as it is."""

from collections.abc import Mapping, Sequence

import dagster as dg
from pydantic import Field

from listing_media_dagster.assets import before_after, furnishing
from listing_media_dagster.assets.contact import with_contact_sheet
from listing_media_dagster.assets.shown import stage_metadata
from listing_media_dagster.assets.stage_asset import stage_asset
from listing_media_dagster.assets.stage_run import StageRun
from listing_media_dagster.assets.staging_plan import StagingPlan, plan_staging
from listing_media_dagster.listing import BadListing, Listing, Photo, PhotoSet, StageChoice, StoredObject
from listing_media_dagster.photo.encode import encode_jpeg
from listing_media_dagster.staging.back_ends import CannotStage, StagedRoom, StagingBackEnd, StagingRequest
from listing_media_dagster.staging.furniture.own_furniture import BadFurniture
from listing_media_dagster.staging.kits import BadKit
from listing_media_dagster.staging.seeds import Attempt, furnish_until_accepted
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
    context: dg.AssetExecutionContext, config: StagingConfig, enhanced_photos: PhotoSet, media: MediaStoreResource
) -> dg.MaterializeResult:
    stage = StageRun.begin(context, media, keeps_each=True)
    try:
        listing = furnishing.with_known_kits(_as_configured(enhanced_photos.listing, config))
        ends = furnishing.installed_back_ends()
    except (BadListing, BadKit, BadFurniture) as bad:
        raise dg.Failure(str(bad), allow_retries=False) from None
    kit = listing.style or furnishing.DEFAULT_KIT
    bases = {photo.photo_id: photo for photo in enhanced_photos.photos}
    plan = plan_staging(enhanced_photos.photos, listing, kit, stage)
    wanted = {
        photo_id: stage.fingerprint(
            base=photo.image.sha256,
            room=photo.room.type,
            decision=plan.photos[photo_id].decision,
            kit=plan.photos[photo_id].kit,
            pieces_seed=plan.photos[photo_id].pieces_seed,
            seed=config.seed,
            back_ends=[(end.name, end.version_for(plan.photos[photo_id].kit)) for end in ends],
        )
        for photo_id, photo in bases.items()
    }

    def make(photo_id: str) -> Photo:
        return _stage(bases[photo_id], plan.photos[photo_id], ends, config.seed, stage)

    # One room at a time: the path tracer takes all the cores there are.
    made = stage.each_photo(wanted, make, workers=1)
    photos = [photo.described_as(bases[photo_id]) for photo_id, photo in made.items()]
    parameters = {"style": kit, "same_room": dict(plan.compared)}
    photo_set = PhotoSet(listing=listing, asset=stage.asset, photos=tuple(photos), parameters=parameters)
    photo_set = stage.finish(with_contact_sheet(photo_set, stage))
    staged = sum(photo.is_altered for photo in photos)
    shown = stage_metadata(photo_set, stage, staged=staged, passed_on=len(photos) - staged)
    return dg.MaterializeResult(
        value=photo_set, metadata={**before_after.before_after_metadata(photos, stage), **shown}
    )


def _as_configured(listing: Listing, config: StagingConfig) -> Listing:
    choice = listing.stage.model_copy(
        update={
            "include": listing.stage.include if config.include is None else tuple(config.include),
            "exclude": listing.stage.exclude if config.exclude is None else tuple(config.exclude),
        }
    )
    return listing.overridden_by(style=config.style, stage=StageChoice.model_validate(choice).model_dump())


def _stage(base: Photo, plan: StagingPlan, ends: Sequence[StagingBackEnd], seed: int, stage: StageRun) -> Photo:
    """Return the furnished photo, or the base with the reason why it passes on as it is."""
    seen = base.model_copy(update={"facts": {**base.facts, **({"suitability": plan.seen} if plan.seen else {})}})
    if not plan.decision.wanted:
        return _passed_on(seen, plan.decision.reason)
    request = StagingRequest(
        photo_id=base.photo_id,
        base=stage.pixels(base.image),
        room=base.room,
        kit=plan.kit,
        pieces_seed=plan.pieces_seed,
        focal_length_35mm=base.facts.get("focal_length_35mm"),
    )
    refusals: list[str] = []
    attachments: dict[str, StoredObject] = {}
    for end in ends:
        try:
            room, attempts = furnish_until_accepted(
                end.survey(request), seed, lambda what: stage.working_on(base.photo_id, what)
            )
        except CannotStage as refused:
            refusals.append(f"{end.name}: {refused}")
            attachments |= _attached(base, refused.attachments, stage)
            continue
        return _furnished(seen, end, request, room, attempts, stage)
    passed_on = _passed_on(seen, "; ".join(refusals) or "to be staged, but no staging back end is installed")
    return passed_on.model_copy(update={"attachments": {**passed_on.attachments, **attachments}})


def _passed_on(base: Photo, reason: str) -> Photo:
    return base.model_copy(update={"facts": {**base.facts, "not_staged": reason}})


def _furnished(
    base: Photo,
    end: StagingBackEnd,
    request: StagingRequest,
    room: StagedRoom,
    attempts: Sequence[Attempt],
    stage: StageRun,
) -> Photo:
    image, thumbnail = stage.write_picture(base.photo_id, room.rgb, encode_jpeg(room.rgb, 95))
    pair = encode_jpeg(before_after.draw_before_after(request.base, room.rgb), 85)
    attachments = _attached(base, {**room.attachments, before_after.ROLE: pair}, stage)
    staged_as = {
        "room_type": room.room_type.value,
        "kit": request.kit,
        "caption": room.caption,
        "back_end": end.name,
        "pieces_seed": request.pieces_seed,
        "attempts": [attempt.model_dump(mode="json", exclude_none=True) for attempt in attempts],
    }
    return base.model_copy(
        update={
            "image": image,
            "base": base.image,
            "operations": (*base.operations, *room.operations),
            "verdicts": (*base.verdicts, *room.verdicts),
            "facts": {**base.facts, "staged_as": staged_as},
            "attachments": {**base.attachments, **attachments, "thumbnail": thumbnail},
        }
    )


def _attached(base: Photo, files: Mapping[str, bytes], stage: StageRun) -> dict[str, StoredObject]:
    return {role: stage.media.write(stage.key(f"{base.photo_id}/{role}"), data) for role, data in files.items()}
