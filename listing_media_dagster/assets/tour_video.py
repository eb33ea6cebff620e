"""tour_video: a walk through the home, made of the photos that passed the quality gate."""

import tempfile
from contextlib import ExitStack
from pathlib import Path

import dagster as dg

from listing_media_dagster.assets.contact import SHEET_PX
from listing_media_dagster.assets.shown import stage_metadata
from listing_media_dagster.assets.stage_asset import stage_asset
from listing_media_dagster.assets.stage_run import StageRun
from listing_media_dagster.delivery.naming import alteration_words
from listing_media_dagster.listing import Deliverable, PhotoSet, StoredImage, StoredObject
from listing_media_dagster.photo.encode import encode_jpeg, resize_to_long_edge
from listing_media_dagster.settings import settings
from listing_media_dagster.store.photo_sets import MediaStoreResource
from listing_media_dagster.tour.render import poster, render_tour
from listing_media_dagster.tour.storyboard import Shot, Storyboard, Titles, build_storyboard


@stage_asset(
    description="1080p30 H.264/AAC film: opening card, a walk through the home, smooth camera moves. Unbranded.",
    kinds={"ffmpeg"},
    code_version="1",
)
def tour_video(
    context: dg.AssetExecutionContext, clip_scores: PhotoSet, media: MediaStoreResource
) -> dg.MaterializeResult:
    stage = StageRun.begin(context, media)
    shown = {photo.photo_id: image for photo in clip_scores.photos if (image := photo.publishable_image)}
    withheld = len(clip_scores.photos) - len(shown)
    if not shown:
        raise dg.Failure(
            "no photo of the listing passed its quality gates, so there is nothing to film", allow_retries=False
        )
    storyboard = _storyboard(clip_scores, shown)
    film, segments, seconds = _film(storyboard, shown, stage)
    still, preview = _stills(storyboard, shown, stage)
    photo_set = PhotoSet(
        listing=clip_scores.listing,
        asset=stage.asset,
        deliverables=(
            Deliverable(**film.model_dump(), name="tour.mp4", media_type="video/mp4", description="Tour video"),
            Deliverable(**still.model_dump(), name="poster.jpg", media_type="image/jpeg", description="Still"),
        ),
        companions={**segments, "preview": preview},
        parameters={"poster_of": storyboard.photo_clips[0].identity},
    )
    photo_set = stage.finish(photo_set)
    return dg.MaterializeResult(
        value=photo_set,
        metadata=stage_metadata(photo_set, stage, film_seconds=seconds, shots=len(shown), photos_withheld=withheld),
    )


def _storyboard(scored: PhotoSet, shown: dict[str, StoredImage]) -> Storyboard:
    photos = {photo.photo_id: photo for photo in scored.photos}
    shots = [
        Shot(
            photo_id,
            image.sha256,
            image.width,
            image.height,
            photos[photo_id].room.type,
            alteration_words(photos[photo_id].operations) if photos[photo_id].publishes_altered else "",
        )
        for photo_id, image in shown.items()
    ]
    listing = scored.listing
    titles = Titles(listing.address, listing.headline, listing.agent.name, listing.agent.phone)
    return build_storyboard(shots, titles)


def _film(
    storyboard: Storyboard, shown: dict[str, StoredImage], stage: StageRun
) -> tuple[StoredObject, dict[str, StoredObject], float]:
    """Render the film, keeping its segments: one more photo costs the segments beside it, not the whole film."""
    kept = {role: stored for role, stored in _earlier_segments(stage).items() if not stage.media.verify([stored])}
    segments: dict[str, StoredObject] = {}
    with tempfile.TemporaryDirectory(prefix="tour-") as folder, ExitStack() as open_files:

        def cached(fingerprint: str) -> Path | None:
            stored = kept.get(f"segment {fingerprint}")
            if stored is None:
                return None
            segments[f"segment {fingerprint}"] = stored
            return open_files.enter_context(stage.media.open_local(stored))

        def keep(fingerprint: str, path: Path) -> None:
            segments[f"segment {fingerprint}"] = stage.media.write(stage.key(f"segments/{fingerprint}.mp4"), path)

        output = Path(folder, "tour.mp4")
        result = render_tour(
            storyboard,
            lambda photo_id: stage.pixels(shown[photo_id]),
            output,
            cached_segment=cached,
            keep_segment=keep,
            progress=lambda done, total: stage.progress(done, total, "frames"),
            workers=settings().workers,
        )
        film = stage.media.write(stage.key("tour.mp4"), output)
    stage.computed, stage.reused = result.encoded_segments, result.reused_segments
    return film, segments, round(result.seconds, 2)


def _stills(
    storyboard: Storyboard, shown: dict[str, StoredImage], stage: StageRun
) -> tuple[StoredObject, StoredObject]:
    """Return the film's still, full size and small; the earlier ones while the film opens with the same shot."""
    if stage.previous and stage.previous.parameters.get("poster_of") == storyboard.photo_clips[0].identity:
        kept = [file for file in stage.previous.deliverables if file.name == "poster.jpg"]
        preview = stage.previous.companions.get("preview")
        if kept and preview and not stage.media.verify([*kept, preview]):
            return StoredObject.model_validate(kept[0].model_dump(include=set(StoredObject.model_fields))), preview
    frame = poster(storyboard, lambda photo_id: stage.pixels(shown[photo_id]))
    still = stage.media.write(stage.key("poster.jpg"), encode_jpeg(frame, 90))
    return still, stage.media.write(stage.key("preview.jpg"), encode_jpeg(resize_to_long_edge(frame, SHEET_PX), 85))


def _earlier_segments(stage: StageRun) -> dict[str, StoredObject]:
    companions = stage.previous.companions if stage.previous else {}
    return {role: stored for role, stored in companions.items() if role.startswith("segment ")}
