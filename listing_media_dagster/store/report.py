"""report.json: what became of every file and photo of a listing, derived from the stages' manifests alone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from listing_media_dagster.listing import ASSETS, Noun, Operation, Photo, PhotoSet, Room, Verdict


class FileReport(Noun):
    file: str
    status: Literal["accepted", "rejected", "flagged"]
    reason: str = Field(default="", description="why it was rejected, or what a person should look at")
    photo_id: str | None = None


class PhotoReport(Noun):
    photo_id: str
    files: tuple[str, ...]
    room: Room
    operations: tuple[Operation, ...]
    images: dict[str, str] = Field(description="asset -> key in the media store")
    verdicts: tuple[Verdict, ...]
    scores: dict[str, float] = Field(description="gate -> score")
    metrics: dict[str, float]
    notes: tuple[str, ...]
    not_staged: str = Field(description="why the room was not furnished; empty if it was, or before that stage")
    not_altered: dict[str, str] = Field(description="what listing.yaml asked of models -> why it was not done")
    route: str
    device: str


class StageReport(Noun):
    seconds: float
    finished_at: datetime | None
    run_id: str
    photos: int
    computed: int
    reused: int
    messages: tuple[str, ...]


class CheckReport(Noun):
    check: str
    asset: str
    outcome: Literal["passed", "warned", "failed"]
    detail: str


class DeliverableReport(Noun):
    name: str
    key: str
    size: int
    sha256: str
    media_type: str
    description: str


class ListingReport(Noun):
    """The schema of report.json; published as docs/report.schema.json."""

    listing_id: str
    files: tuple[FileReport, ...]
    photos: tuple[PhotoReport, ...]
    stages: dict[str, StageReport]
    checks: tuple[CheckReport, ...]
    deliverables: tuple[DeliverableReport, ...]


def build_report(listing_id: str, stages: Sequence[PhotoSet]) -> ListingReport:
    """Summarise the stages a listing has been through so far, in pipeline order."""
    by_asset = {stage.asset: stage for stage in sorted(stages, key=lambda stage: ASSETS.index(stage.asset))}
    return ListingReport(
        listing_id=listing_id,
        files=_files(by_asset),
        photos=_photos(by_asset),
        stages={
            asset: StageReport(
                seconds=round(stage.stage.seconds, 3),
                finished_at=stage.stage.finished_at,
                run_id=stage.stage.run_id,
                photos=len(stage.photos),
                computed=stage.stage.computed,
                reused=stage.stage.reused,
                messages=stage.stage.messages,
            )
            for asset, stage in by_asset.items()
        },
        checks=tuple(
            CheckReport(asset=asset, **check)
            for asset, stage in by_asset.items()
            for check in stage.parameters.get("checks", ())
        ),
        deliverables=tuple(
            DeliverableReport(**deliverable.model_dump(exclude={"etag"}))
            for stage in by_asset.values()
            for deliverable in stage.deliverables
        ),
    )


def _files(by_asset: dict[str, PhotoSet]) -> tuple[FileReport, ...]:
    raw = by_asset.get("raw_photos")
    if raw is None:
        return ()
    final_photo = _final_photo_of_source(by_asset)
    taken = [
        FileReport(
            file=source.name,
            status="flagged" if photo.notes else "accepted",
            reason="; ".join(photo.notes),
            photo_id=final_photo.get(source.sha256, photo.photo_id),
        )
        for photo in raw.photos
        for source in photo.sources
    ]
    refused = [FileReport(file=file.name, status="rejected", reason=file.reason) for file in raw.rejected]
    return tuple(sorted(taken + refused, key=lambda file: file.file))


def _final_photo_of_source(by_asset: dict[str, PhotoSet]) -> dict[str, str]:
    """Frames of one bracket set become one photo: map each source to the photo that carries it on."""
    prepared = by_asset.get("preprocessed_photos")
    return {source.sha256: photo.photo_id for photo in prepared.photos for source in photo.sources} if prepared else {}


def _photos(by_asset: dict[str, PhotoSet]) -> tuple[PhotoReport, ...]:
    latest: dict[str, Photo] = {}
    images: dict[str, dict[str, str]] = {}
    carrying = [stage for asset, stage in by_asset.items() if asset != "raw_photos"] or list(by_asset.values())
    for stage in carrying:
        for photo in stage.photos:
            latest[photo.photo_id] = photo
            images.setdefault(photo.photo_id, {"raw_photos": photo.sources[0].key})[stage.asset] = photo.image.key
    return tuple(_photo(photo, images[photo_id]) for photo_id, photo in latest.items())


def _photo(photo: Photo, images: dict[str, str]) -> PhotoReport:
    return PhotoReport(
        photo_id=photo.photo_id,
        files=tuple(source.name for source in photo.sources),
        room=photo.room,
        operations=photo.operations,
        images=images,
        verdicts=photo.verdicts,
        scores={verdict.gate: verdict.score for verdict in photo.verdicts if verdict.score is not None},
        metrics=photo.metrics,
        notes=photo.notes,
        not_staged=photo.facts.get("not_staged", ""),
        not_altered=photo.facts.get("not_altered", {}),
        route=photo.route or "local",
        device=photo.device or "cpu",
    )


def report_schema() -> dict[str, Any]:
    return ListingReport.model_json_schema(mode="serialization")
