"""What a listing's photos will go through from staging on, foreseen, so that it can be done while a machine is there.

Only where the work's route takes minutes to start. The jobs here are those that staging, alterations and scores will
send: what was done ahead is found by them, and what was foreseen wrongly does no harm.
"""

from __future__ import annotations

from collections.abc import Sequence

from listing_media_dagster.assets.clip import find_scorer
from listing_media_dagster.assets.generative import AFTER_STAGING, alteration_job, asked_for
from listing_media_dagster.assets.model_work import ModelWork, StoredFiles
from listing_media_dagster.assets.scoring_job import scoring_job
from listing_media_dagster.gpu.work.chain_order import Link
from listing_media_dagster.listing import Photo
from listing_media_dagster.models.clip import caption_for

Foreseen = tuple[Link, StoredFiles]


def do_ahead(
    first: Sequence[Foreseen], to_furnish: Sequence[Photo], as_they_are: Sequence[Photo], seed: int, work: ModelWork
) -> bool:
    """Have the jobs of `first` done in one go with what the photos will go through after them; say whether they are.

    `to_furnish` are the photos that are staged in them, `as_they_are` the others of which nothing was made before.
    """
    photos = [*to_furnish, *as_they_are]
    if not photos or not work.may_start_slowly:
        return False
    foreseen = [*first, *_alterations(photos, seed, work), *_scores(photos, to_furnish, work)]
    files = StoredFiles(work.stage)
    for _, own in foreseen:
        files |= own
    return bool(foreseen) and work.do_ahead([link for link, _ in foreseen], files)


def _alterations(photos: Sequence[Photo], seed: int, work: ModelWork) -> list[Foreseen]:
    foreseen = []
    for alteration in AFTER_STAGING.alterations:
        asked = [photo for photo in photos if alteration in asked_for(photo, work.listing.generative, AFTER_STAGING)]
        models = work.choose(alteration.models) if asked else None
        if models and models.refs:
            job, files = alteration_job(asked, alteration, models, None, seed, work.stage)
            foreseen.append((Link(job), files))
    return foreseen


def _scores(photos: Sequence[Photo], to_furnish: Sequence[Photo], work: ModelWork) -> list[Foreseen]:
    """Return the scoring of photographs, and that of staged pictures which were altered after CLIP had seen them."""
    model = find_scorer()
    if model is None:
        return []
    captions = {photo.photo_id: caption_for(photo.room, None, altered=False) for photo in photos}
    job, files = scoring_job(photos, captions, dict.fromkeys(captions, False), model, work.stage)
    foreseen = [(Link(job, staged=False), files)]
    altered = [photo for photo in to_furnish if asked_for(photo, work.listing.generative, AFTER_STAGING)]
    if altered:
        # What they are furnished with, and so their caption, is said where they are staged.
        job, files = scoring_job(altered, dict.fromkeys(captions, ""), dict.fromkeys(captions, True), model, work.stage)
        foreseen.append((Link(job, staged=True, told=("caption",)), files))
    return foreseen
