"""staged_photos: empty rooms furnished, each beside its unaltered base; every other photo passes on as it is."""

import dagster as dg
from pydantic import Field

from listing_media_dagster.assets.contact import with_contact_sheet
from listing_media_dagster.assets.shown import stage_metadata
from listing_media_dagster.assets.stage_asset import stage_asset
from listing_media_dagster.assets.stage_run import StageRun
from listing_media_dagster.listing import Listing, Photo, PhotoSet, StageChoice
from listing_media_dagster.photo.encode import encode_jpeg
from listing_media_dagster.staging import back_ends, decide, suitability
from listing_media_dagster.store.photo_sets import MediaStoreResource

DEFAULT_STYLE = "scandinavian"


class StagingConfig(dg.Config):
    style: str | None = Field(None, description="design kit; default: listing.yaml, else scandinavian")
    include: list[str] | None = Field(None, description="files to stage; default: listing.yaml, else empty rooms")
    exclude: list[str] | None = Field(None, description="files never to stage; default: listing.yaml")
    seed: int = Field(0, ge=0, description="another seed gives another furnishing")


@stage_asset(
    description="Empty rooms furnished virtually, stored beside their base; why any other photo was not is recorded.",
    kinds={"opencv"},
    code_version="1",
    gpu="optional",
)
def staged_photos(
    context: dg.AssetExecutionContext, config: StagingConfig, enhanced_photos: PhotoSet, media: MediaStoreResource
) -> dg.MaterializeResult:
    stage = StageRun.begin(context, media)
    listing = _as_configured(enhanced_photos.listing, config)
    style = listing.style or DEFAULT_STYLE
    bases = {photo.photo_id: photo for photo in enhanced_photos.photos}
    ends = back_ends.available_back_ends()
    wanted = {
        photo_id: stage.fingerprint(
            base=photo.image.sha256,
            room=photo.room,
            choice=listing.stage,
            style=style,
            seed=config.seed,
            back_ends=[(end.name, end.version) for end in ends],
            version=suitability.VERSION,
        )
        for photo_id, photo in bases.items()
    }
    made = stage.each_photo(wanted, lambda photo_id: _stage(bases[photo_id], listing.stage, style, config.seed, stage))
    photos = [photo.described_as(bases[photo_id]) for photo_id, photo in made.items()]
    photo_set = PhotoSet(listing=listing, asset=stage.asset, photos=tuple(photos), parameters={"style": style})
    photo_set = stage.finish(with_contact_sheet(photo_set, stage))
    staged = sum(photo.is_altered for photo in photos)
    return dg.MaterializeResult(
        value=photo_set, metadata=stage_metadata(photo_set, stage, staged=staged, passed_on=len(photos) - staged)
    )


def _as_configured(listing: Listing, config: StagingConfig) -> Listing:
    choice = StageChoice(
        include=listing.stage.include if config.include is None else tuple(config.include),
        exclude=listing.stage.exclude if config.exclude is None else tuple(config.exclude),
    )
    return listing.overridden_by(style=config.style, stage=choice.model_dump())


def _stage(base: Photo, choice: StageChoice, style: str, seed: int, stage: StageRun) -> Photo:
    """Return the furnished photo, or the base with the reason why it passes on as it is."""
    judged = suitability.judge_suitability(stage.pixels(base.image, at_most=800))
    measured = base.model_copy(update={"metrics": {**base.metrics, "emptiness": judged.evidence["emptiness"]}})
    decision = decide.decide_staging(base, choice, judged)
    if not decision.wanted:
        return _passed_on(measured, decision.reason)
    request = back_ends.StagingRequest(
        photo_id=base.photo_id,
        base=stage.pixels(base.image),
        room=base.room,
        style=style,
        seed=seed,
        focal_length_35mm=base.facts.get("focal_length_35mm"),
    )
    refusals = []
    for end in back_ends.available_back_ends():
        refusal = end.refusal(request)
        if refusal is None:
            return _furnished(measured, end, request, stage)
        refusals.append(f"{end.name}: {refusal}")
    return _passed_on(measured, "; ".join(refusals) or "to be staged, but no staging back end is installed")


def _passed_on(base: Photo, reason: str) -> Photo:
    return base.model_copy(update={"facts": {**base.facts, "not_staged": reason}})


def _furnished(base: Photo, end: back_ends.StagingBackEnd, request: back_ends.StagingRequest, stage: StageRun) -> Photo:
    room = end.stage(request)
    image, thumbnail = stage.write_picture(base.photo_id, room.rgb, encode_jpeg(room.rgb, 95))
    attachments = {
        role: stage.media.write(stage.key(f"{base.photo_id}/{role}"), data) for role, data in room.attachments.items()
    }
    return base.model_copy(
        update={
            "image": image,
            "base": base.image,
            "operations": (*base.operations, *room.operations),
            "verdicts": (*base.verdicts, *room.verdicts),
            "attachments": {**base.attachments, **attachments, "thumbnail": thumbnail},
        }
    )
