"""listing_package: sized, named and described photos, film, gallery and archive: what the customer publishes."""

import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import dagster as dg
from pydantic import Field

from listing_media_dagster.assets.animation import film_note
from listing_media_dagster.assets.contact import with_contact_sheet
from listing_media_dagster.assets.shown import stage_metadata
from listing_media_dagster.assets.stage_asset import stage_asset
from listing_media_dagster.assets.stage_run import StageRun
from listing_media_dagster.delivery.package import PackageFile, PackageInput, PackageResult, build_package
from listing_media_dagster.delivery.presets import UnknownOutput
from listing_media_dagster.listing import Deliverable, Listing, Photo, PhotoSet, StoredImage, StoredObject
from listing_media_dagster.settings import settings
from listing_media_dagster.store.photo_sets import MediaStoreResource


class PackageConfig(dg.Config):
    outputs: list[str] | None = Field(None, description="sizes, such as mls, web, original; default: listing.yaml")


@stage_asset(
    description="Sized photos in listing order, gallery page with before and after, tour video, checksums and one zip.",
    kinds={"html"},
    code_version="1",
)
def listing_package(
    context: dg.AssetExecutionContext,
    config: PackageConfig,
    raw_photos: PhotoSet,
    clip_scores: PhotoSet,
    tour_video: PhotoSet,
    media: MediaStoreResource,
) -> dg.MaterializeResult:
    stage = StageRun.begin(context, media)
    listing = clip_scores.listing.overridden_by(outputs=tuple(config.outputs) if config.outputs else None)
    shown = [(photo, image) for photo in clip_scores.photos if (image := photo.publishable_image)]
    logo = raw_photos.companions.get(listing.agent.logo or "")
    with tempfile.TemporaryDirectory(prefix="package-") as scratch, ExitStack() as open_files:
        package = _build(shown, listing, tour_video, logo, Path(scratch), open_files, stage)
        deliverables = _publish(package, stage)
    photo_set = PhotoSet(
        listing=listing,
        asset=stage.asset,
        photos=tuple(photo for photo, _ in shown),
        deliverables=deliverables,
        parameters={"made_of": package.fingerprints},
    )
    stage.computed, stage.reused = package.computed, package.reused
    photo_set = stage.finish(with_contact_sheet(photo_set, stage))
    megabytes = round(sum(file.size for file in deliverables) / 1e6, 1)
    return dg.MaterializeResult(
        value=photo_set,
        metadata=stage_metadata(photo_set, stage, files=len(deliverables), megabytes=megabytes),
    )


def _build(
    shown: list[tuple[Photo, StoredImage]],
    listing: Listing,
    tour: PhotoSet,
    logo: StoredObject | None,
    scratch: Path,
    open_files: ExitStack,
    stage: StageRun,
) -> PackageResult:
    def on_disk(stored: StoredObject) -> Path:
        return open_files.enter_context(stage.media.open_local(stored))

    earlier = _earlier_files(stage)

    def reuse(fingerprint: str) -> Path | None:
        return on_disk(earlier[fingerprint]) if fingerprint in earlier else None

    try:
        return build_package(
            [_input(photo, image, stage) for photo, image in shown],
            listing,
            listing.outputs,
            scratch / listing.id,
            video=on_disk(_named(tour.deliverables, "tour.mp4")),
            video_note=film_note(tour),
            poster=on_disk(_named(tour.deliverables, "poster.jpg")),
            logo=on_disk(logo) if logo else None,
            reuse=reuse,
            progress=lambda done, total, name: stage.progress(done, total, name),
            workers=settings().workers,
        )
    except UnknownOutput as unknown:
        raise dg.Failure(str(unknown), allow_retries=False) from None


def _input(photo: Photo, image: StoredImage, stage: StageRun) -> PackageInput:
    before = photo.attachments.get("before")
    return PackageInput(
        photo,
        publishable=partial(stage.pixels, image),
        base=partial(stage.pixels, photo.base) if photo.base else None,
        before=partial(stage.attached_pixels, before) if before else None,
    )


def _earlier_files(stage: StageRun) -> dict[str, StoredObject]:
    """Return fingerprint -> file of the last package, for files that are still what they were."""
    by_name = {deliverable.name: deliverable for deliverable in _still_there(stage)}
    made_of = stage.previous.parameters.get("made_of", {}) if stage.previous else {}
    return {fingerprint: by_name[name] for fingerprint, name in made_of.items() if name in by_name}


def _publish(package: PackageResult, stage: StageRun) -> tuple[Deliverable, ...]:
    """Copy the finished package into the store.

    The gallery and the zip go last: whoever opens them meanwhile finds the files they speak of.
    """
    files = sorted(package.files, key=lambda file: (file.media_type == "application/zip", file.name == "index.html"))
    there = {deliverable.name: deliverable for deliverable in _still_there(stage)}
    return tuple(_stored(file, there, stage) for file in files)


def _still_there(stage: StageRun) -> list[Deliverable]:
    """Return the last package's files that are still what they were."""
    return [file for file in (stage.previous.deliverables if stage.previous else ()) if not stage.media.verify([file])]


def _stored(file: PackageFile, there: Mapping[str, Deliverable], stage: StageRun) -> Deliverable:
    """Store a file of the package, unless the very same one lies there already."""
    before = there.get(file.name)
    if before is not None and before.sha256 == file.sha256:
        return before.model_copy(update={"description": file.description})
    stored = stage.media.write(stage.key(file.name), file.path)
    return Deliverable(**stored.model_dump(), name=file.name, media_type=file.media_type, description=file.description)


def _named(deliverables: tuple[Deliverable, ...], name: str) -> Deliverable:
    return next(deliverable for deliverable in deliverables if deliverable.name == name)
