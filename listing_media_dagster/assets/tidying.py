"""Rooms without the things that lie about, before staging looks at them, where a listing asks for that.

What was made is kept with a record of its own, since files that no photo claims are removed with the stage's end.
"""

from __future__ import annotations

from collections.abc import Mapping

from listing_media_dagster.assets.generative import (
    BEFORE_STAGING,
    DECLUTTER,
    Asking,
    Choose,
    Send,
    alter_as_asked,
    alteration_job,
    as_kept,
    asked_for,
    picture_of,
    unaltered,
)
from listing_media_dagster.assets.model_work import StoredFiles
from listing_media_dagster.assets.stage_run import StageRun
from listing_media_dagster.gpu.job import ModelJob
from listing_media_dagster.gpu.router import Routed
from listing_media_dagster.listing import Listing, Photo


def tidy_as_asked(
    bases: Mapping[str, Photo], listing: Listing, seed: int, stage: StageRun, choose: Choose, send: Send
) -> tuple[dict[str, Photo], tuple[Routed, ...]]:
    """Return the photos as they are to be staged: without clutter where the listing asks for it, each with its base."""
    earlier = _tidied_before(bases, listing, stage)
    tidied, routed = alter_as_asked(earlier, listing, seed, stage, choose, send, BEFORE_STAGING)
    return {**bases, **{name: _recorded(photo, stage) for name, photo in tidied.items()}}, routed


def tidying_ahead(
    bases: Mapping[str, Photo], listing: Listing, seed: int, stage: StageRun, choose: Choose
) -> tuple[dict[str, Photo], ModelJob | None, StoredFiles]:
    """Return the photos as `tidy_as_asked` will have them, but for those in the job that it will send, and that job."""
    earlier = _tidied_before(bases, listing, stage)
    asking = Asking.of(earlier, listing, seed, stage, choose, BEFORE_STAGING)
    models = asking.models.get(DECLUTTER)
    cluttered = asking.to_make if models and models.refs else {}
    photos = {**bases, **{name: photo for name, photo in earlier.items() if name not in cluttered}}
    if models is None or not cluttered:
        return photos, None, StoredFiles(stage)
    return photos, *alteration_job(list(cluttered.values()), DECLUTTER, models, asking.segmenter, seed, stage)


def _recorded(photo: Photo, stage: StageRun) -> Photo:
    """Return the tidied photo as any other to what follows, with record and picture of it for the next run attached."""
    if BEFORE_STAGING.fact not in photo.facts:
        return photo
    record = stage.media.write(_tidied_key(photo.photo_id, stage), photo.model_dump_json().encode())
    attached = {**photo.attachments, "tidied.json": record, **picture_of(photo, "tidied")}
    facts = {name: fact for name, fact in photo.facts.items() if name != BEFORE_STAGING.fact}
    return photo.model_copy(update={"attachments": attached, "facts": facts})


def _tidied_before(bases: Mapping[str, Photo], listing: Listing, stage: StageRun) -> dict[str, Photo]:
    """Return the photos that are asked to be tidied, as an earlier run made them of the same bases where it did."""
    asked = [name for name, photo in bases.items() if asked_for(photo, listing.generative, BEFORE_STAGING)]
    return {name: _made_tidy(bases[name], stage) or bases[name] for name in asked}


def _made_tidy(base: Photo, stage: StageRun) -> Photo | None:
    """Return what an earlier run made of the same base, if that is still there."""
    key = _tidied_key(base.photo_id, stage)
    if not stage.media.exists(key):
        return None
    photo = Photo.model_validate_json(stage.media.read(key))
    same = as_kept(unaltered(photo, BEFORE_STAGING)) == as_kept(base)
    whole = not stage.media.verify([photo.image, *photo.attachments.values()])
    return photo.described_as(base) if same and whole else None


def _tidied_key(photo_id: str, stage: StageRun) -> str:
    return stage.key(f"{photo_id}/tidied.json")
