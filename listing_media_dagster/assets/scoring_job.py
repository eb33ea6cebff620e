"""Pictures of a listing that are to be compared with their captions, as one model job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from listing_media_dagster.assets.model_work import StoredFiles, named_for
from listing_media_dagster.assets.stage_run import StageRun
from listing_media_dagster.gpu.job import Item, ModelJob, ModelRef, Needs, WorkKind
from listing_media_dagster.gpu.work.score import PICTURE
from listing_media_dagster.listing import Photo
from listing_media_dagster.models import clip
from listing_media_dagster.models.clip import contrasts_for


def scoring_job(
    photos: Sequence[Photo], captions: Mapping[str, str], staged: Mapping[str, bool], model: ModelRef, stage: StageRun
) -> tuple[ModelJob, StoredFiles]:
    """Return the job of scoring `photos` with the encoder `model`, and its files.

    By photo id, `captions` say what should be seen in them, `staged` whether they are furnished virtually.
    """
    files = StoredFiles(stage)
    items = tuple(
        Item(
            id=photo.photo_id,
            inputs={PICTURE: files.add(photo.photo_id, photo.image)},
            parameters={
                "caption": captions[photo.photo_id],
                "contrasts": list(contrasts_for(photo.room, staged[photo.photo_id])),
            },
        )
        for photo in photos
    )
    job = ModelJob(
        id="unnamed",
        kind=WorkKind.SCORE,
        model=model,
        parameters={"version": clip.VERSION},
        items=items,
        needs=Needs(gpu="optional"),
    )
    return named_for(job, stage), files
