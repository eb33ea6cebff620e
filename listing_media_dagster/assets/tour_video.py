"""tour_video: a walk through the home, made of the photos that passed the quality gate."""

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import numpy as np
from numpy.typing import NDArray

from listing_media_dagster.assets import animation
from listing_media_dagster.assets.animation import Clips, animate_as_asked
from listing_media_dagster.assets.contact import SHEET_PX
from listing_media_dagster.assets.model_work import ModelWork
from listing_media_dagster.assets.nearness import NearnessMaps, find_nearness
from listing_media_dagster.assets.shown import stage_metadata
from listing_media_dagster.assets.stage_asset import stage_asset
from listing_media_dagster.assets.stage_run import StageRun
from listing_media_dagster.delivery.naming import alteration_words
from listing_media_dagster.gpu.model_router import ModelRouter
from listing_media_dagster.listing import Deliverable, Photo, PhotoSet, StoredImage, StoredObject
from listing_media_dagster.photo.encode import encode_jpeg, resize_to_long_edge
from listing_media_dagster.settings import settings
from listing_media_dagster.store.photo_sets import MediaStoreResource
from listing_media_dagster.tour.render import poster, render_tour
from listing_media_dagster.tour.storyboard import Shot, Storyboard, Titles, build_storyboard


@dataclass(frozen=True)
class Footage:
    """What the film is made of: pictures by photo id, and what of their depth and motion is known."""

    shown: dict[str, StoredImage]
    nearness: NearnessMaps
    clips: Clips
    stage: StageRun

    def pixels(self, photo_id: str) -> NDArray[np.uint8]:
        return self.stage.pixels(self.shown[photo_id])

    def clip_finder(self, open_files: ExitStack) -> Callable[[str], Path]:
        """Return what finds a photo's clip as a file, while `open_files` is open."""
        paths = {
            name: open_files.enter_context(self.stage.media.open_local(file)) for name, file in self.clips.files.items()
        }
        return paths.__getitem__


@stage_asset(
    description="1080p30 H.264/AAC film: opening card, a walk through the home, smooth camera moves. Unbranded.",
    kinds={"ffmpeg"},
    code_version="2",
    gpu="optional",
)
def tour_video(
    context: dg.AssetExecutionContext, clip_scores: PhotoSet, media: MediaStoreResource, router: ModelRouter
) -> dg.MaterializeResult:
    stage = StageRun.begin(context, media)
    shown = {photo.photo_id: image for photo in clip_scores.photos if (image := photo.publishable_image)}
    withheld = len(clip_scores.photos) - len(shown)
    if not shown:
        raise dg.Failure(
            "no photo of the listing passed its quality gates, so there is nothing to film", allow_retries=False
        )
    footage = _footage(clip_scores, shown, ModelWork(router, context, stage, clip_scores.listing))
    storyboard = _storyboard(clip_scores, footage)
    film, segments, seconds = _film(storyboard, footage)
    still, preview = _stills(storyboard, footage)
    moved = len(footage.clips.files)
    words = f"Tour video, {moved} of its shots with {animation.WORDS}" if moved else "Tour video"
    photo_set = PhotoSet(
        listing=clip_scores.listing,
        asset=stage.asset,
        deliverables=(
            Deliverable(**film.model_dump(), name="tour.mp4", media_type="video/mp4", description=words),
            Deliverable(**still.model_dump(), name="poster.jpg", media_type="image/jpeg", description="Still"),
        ),
        companions={
            **segments,
            **footage.nearness.companions,
            **{f"clip {name}": file for name, file in footage.clips.files.items()},
            "preview": preview,
        },
        parameters={
            "poster_of": storyboard.photo_clips[0].identity,
            **({"clips": dict(footage.clips.records)} if footage.clips.records else {}),
        },
    )
    photo_set = stage.finish(photo_set)
    return dg.MaterializeResult(
        value=photo_set,
        metadata=stage_metadata(
            photo_set,
            stage,
            film_seconds=seconds,
            shots=len(shown),
            photos_withheld=withheld,
            **({"shots_with_generated_motion": moved} if moved else {}),
        ),
    )


def _footage(scored: PhotoSet, shown: dict[str, StoredImage], work: ModelWork) -> Footage:
    photos = {photo.photo_id: photo for photo in scored.photos}
    clips = animate_as_asked(photos, shown, scored.listing, work.stage, work.choose, work.send)
    still = {name: image for name, image in shown.items() if name not in clips.files}
    nearness = find_nearness(photos, still, work.stage, work.choose, work.send)
    return Footage(shown, nearness, clips, work.stage)


def _storyboard(scored: PhotoSet, footage: Footage) -> Storyboard:
    photos = {photo.photo_id: photo for photo in scored.photos}
    clips = footage.clips.files
    shots = [
        Shot(
            photo_id,
            image.sha256,
            image.width,
            image.height,
            photos[photo_id].room.type,
            _label(photos[photo_id], is_animated=photo_id in clips),
            footage.nearness.digest(photo_id),
            clips[photo_id].sha256 if photo_id in clips else "",
        )
        for photo_id, image in footage.shown.items()
    ]
    listing = scored.listing
    titles = Titles(listing.address, listing.headline, listing.agent.name, listing.agent.phone)
    return build_storyboard(shots, titles)


def _label(photo: Photo, *, is_animated: bool) -> str:
    """Return what stands on the photo's shot: what was done to the photo, and to the shot."""
    words = [alteration_words(photo.operations)] if photo.publishes_altered else []
    return " · ".join([*words, *([animation.WORDS] if is_animated else [])])


def _film(storyboard: Storyboard, footage: Footage) -> tuple[StoredObject, dict[str, StoredObject], float]:
    """Render the film, keeping its segments: one more photo costs the segments beside it, not the whole film."""
    stage = footage.stage
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
            footage.pixels,
            output,
            cached_segment=cached,
            keep_segment=keep,
            progress=lambda done, total: stage.progress(done, total, "frames"),
            workers=settings().workers,
            load_nearness=footage.nearness.loader(stage),
            find_clip=footage.clip_finder(open_files),
        )
        film = stage.media.write(stage.key("tour.mp4"), output)
    stage.computed, stage.reused = result.encoded_segments, result.reused_segments
    return film, segments, round(result.seconds, 2)


def _stills(storyboard: Storyboard, footage: Footage) -> tuple[StoredObject, StoredObject]:
    """Return the film's still, full size and small; the earlier ones while the film opens with the same shot."""
    stage = footage.stage
    if stage.previous and stage.previous.parameters.get("poster_of") == storyboard.photo_clips[0].identity:
        kept = [file for file in stage.previous.deliverables if file.name == "poster.jpg"]
        preview = stage.previous.companions.get("preview")
        if kept and preview and not stage.media.verify([*kept, preview]):
            return StoredObject.model_validate(kept[0].model_dump(include=set(StoredObject.model_fields))), preview
    with ExitStack() as open_files:
        loader, finder = footage.nearness.loader(stage), footage.clip_finder(open_files)
        frame = poster(storyboard, footage.pixels, loader, finder)
    still = stage.media.write(stage.key("poster.jpg"), encode_jpeg(frame, 90))
    return still, stage.media.write(stage.key("preview.jpg"), encode_jpeg(resize_to_long_edge(frame, SHEET_PX), 85))


def _earlier_segments(stage: StageRun) -> dict[str, StoredObject]:
    companions = stage.previous.companions if stage.previous else {}
    return {role: stored for role, stored in companions.items() if role.startswith("segment ")}
