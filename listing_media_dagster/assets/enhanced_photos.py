"""enhanced_photos: the unaltered base of every delivery: one white across the listing, good light, no invention."""

from collections.abc import Sequence

import dagster as dg
from pydantic import Field, ValidationError

from listing_media_dagster.assets.contact import with_contact_sheet
from listing_media_dagster.assets.shown import stage_metadata
from listing_media_dagster.assets.stage_asset import stage_asset
from listing_media_dagster.assets.stage_run import StageRun, in_parallel
from listing_media_dagster.listing import EXTERIORS, Photo, PhotoSet, RoomType
from listing_media_dagster.photo import encode
from listing_media_dagster.photo.encode import encode_jpeg
from listing_media_dagster.photo.enhance import (
    ENHANCE_VERSION,
    ListingLook,
    LookEstimate,
    agree_on_look,
    enhance,
    estimate_look,
)
from listing_media_dagster.photo.quality import NeutralCast, mean_pairwise_distance
from listing_media_dagster.store.photo_sets import MediaStoreResource

BASE_QUALITY = 95
# Above this the whites of two photos side by side look like different paint (ΔE2000).
NOTICEABLE_DELTA_E = 3.0


class EnhanceConfig(dg.Config):
    strength: float | None = Field(None, ge=0.0, le=1.0, description="0 changes nothing; default: listing.yaml, else 1")


@stage_asset(
    description="One white balance for the whole listing, exposure, local tone, denoise, sharpening. Not generative.",
    kinds={"opencv"},
    code_version="1",
    checks={"whites_agree": "Warns when the neutrals of the listing's photos differ visibly."},
)
def enhanced_photos(
    context: dg.AssetExecutionContext,
    config: EnhanceConfig,
    preprocessed_photos: PhotoSet,
    media: MediaStoreResource,
) -> dg.MaterializeResult:
    stage = StageRun.begin(context, media)
    listing = preprocessed_photos.listing.overridden_by(strength=config.strength)
    strength = 1.0 if listing.strength is None else listing.strength
    inputs = {photo.photo_id: photo for photo in preprocessed_photos.photos}
    estimates = _estimate_looks(inputs, stage)
    look = agree_on_look(estimates, _previous_look(stage))
    wanted = {
        photo_id: stage.fingerprint(
            image=photo.image.sha256,
            estimate=estimates[photo_id].model_dump(mode="json"),
            look=look.model_dump(mode="json"),
            strength=strength,
            exterior=_is_exterior(photo),
            versions=[ENHANCE_VERSION, encode.VERSION],
        )
        for photo_id, photo in inputs.items()
    }
    made = stage.each_photo(
        wanted, lambda photo_id: _enhance(inputs[photo_id], estimates[photo_id], look, strength, stage)
    )
    photos = [photo.described_as(inputs[photo_id]) for photo_id, photo in made.items()]
    photo_set = PhotoSet(
        listing=listing,
        asset=stage.asset,
        photos=tuple(photos),
        parameters={"look": look.model_dump(mode="json"), "strength": strength},
    )
    photo_set = with_contact_sheet(photo_set, stage)
    check = _whites_check(_white_spread(photos, "before"), _white_spread(photos, "after"))
    photo_set = stage.finish(photo_set, [check])
    return dg.MaterializeResult(
        value=photo_set, metadata=stage_metadata(photo_set, stage, strength=strength), check_results=[check]
    )


def _previous_look(stage: StageRun) -> ListingLook | None:
    kept = stage.previous.parameters.get("look") if stage.previous else None
    try:
        return ListingLook.model_validate(kept) if kept else None
    except ValidationError:
        return None  # an older version's look: agreed on anew


def _estimate_looks(inputs: dict[str, Photo], stage: StageRun) -> dict[str, LookEstimate]:
    """Estimate every photo's light, reusing what was estimated of the same pixels before."""

    def estimate(photo_id: str) -> LookEstimate:
        photo = inputs[photo_id]
        before = stage.previous.photo(photo_id) if stage.previous else None
        kept = before.facts.get("look_estimate", {}) if before else {}
        if kept.get("of") == photo.image.sha256 and kept.get("version") == ENHANCE_VERSION:
            return LookEstimate.model_validate(kept["estimate"])
        return estimate_look(stage.pixels(photo.image))  # at full size: noise can't be seen in a smaller copy

    return dict(in_parallel(list(inputs), estimate))


def _enhance(photo: Photo, estimate: LookEstimate, look: ListingLook, strength: float, stage: StageRun) -> Photo:
    finished = enhance(stage.pixels(photo.image), estimate, look, strength, is_exterior=_is_exterior(photo))
    # what is delivered is encoded anew from this file: time matters more here than its last few percent of size
    data = encode_jpeg(finished.rgb, BASE_QUALITY, optimise=False)
    image, thumbnail = stage.write_picture(photo.photo_id, finished.rgb, data)
    kept = {"of": photo.image.sha256, "version": ENHANCE_VERSION, "estimate": estimate.model_dump(mode="json")}
    return photo.model_copy(
        update={
            "image": image,
            "attachments": {**photo.attachments, "thumbnail": thumbnail},
            "operations": (*photo.operations, *finished.operations),
            "metrics": {**photo.metrics, **finished.metrics},
            "facts": {**photo.facts, "look_estimate": kept},
        }
    )


def _is_exterior(photo: Photo) -> bool | None:
    return None if photo.room.type in (RoomType.UNKNOWN, RoomType.OTHER) else photo.room.type in EXTERIORS


def _white_spread(photos: Sequence[Photo], when: str) -> float:
    """Return how far apart the photos' neutral surfaces lie "before" or "after", in ΔE, as `enhance` measured them."""
    measured = [photo.metrics for photo in photos if f"neutral_a_{when}" in photo.metrics]
    return mean_pairwise_distance(
        [
            NeutralCast(metrics[f"neutral_a_{when}"], metrics[f"neutral_b_{when}"], metrics["neutral_confidence"])
            for metrics in measured
        ]
    )


def _whites_check(before: float, after: float) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name="whites_agree",
        passed=after <= NOTICEABLE_DELTA_E,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"the photos' neutrals lie ΔE {after:.1f} apart, {before:.1f} before",
        metadata={
            "delta_e_before": round(before, 2),
            "delta_e": round(after, 2),
            "noticeable_from": NOTICEABLE_DELTA_E,
        },
    )
