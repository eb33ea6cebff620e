"""What an ops person sees of a stage in the Dagster UI, without opening a file."""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg

from listing_media_dagster.assets.stage_run import StageRun
from listing_media_dagster.listing import Photo, PhotoSet
from listing_media_dagster.settings import settings

Metadata = dict[str, dg.MetadataValue | str | int | float]


def stage_metadata(photo_set: PhotoSet, stage: StageRun, **more: dg.MetadataValue | str | float) -> Metadata:
    """Return counts, seconds, a contact sheet, the per-photo table, rejections and links."""
    shown: Metadata = {
        "photos": len(photo_set.photos),
        "seconds": round(photo_set.stage.seconds, 2),
        "made": photo_set.stage.computed,
        "reused": photo_set.stage.reused,
    }
    if "preview" in photo_set.companions:
        shown["contact_sheet"] = dg.MetadataValue.md(
            f"![{photo_set.asset}]({_link(stage, photo_set.companions['preview'].key)})"
        )
    shown.update(more)
    if photo_set.photos:
        shown["photo_table"] = _photo_table(photo_set.photos)
    if photo_set.rejected:
        shown["rejected"] = len(photo_set.rejected)
        shown["rejected_files"] = _rejected_table(photo_set)
    if photo_set.stage.messages:
        shown["messages"] = dg.MetadataValue.md("\n".join(f"- {message}" for message in photo_set.stage.messages))
    for deliverable in photo_set.deliverables:
        if deliverable.media_type in LINKED:
            shown[f"open {deliverable.name}"] = dg.MetadataValue.url(_link(stage, deliverable.key))
    shown["report"] = dg.MetadataValue.url(_link(stage, f"listings/{photo_set.listing_id}/report.json"))
    return shown


LINKED = frozenset({"text/html", "video/mp4", "application/zip"})


def _link(stage: StageRun, key: str) -> str:
    return stage.media.link(key, settings().media_url)


def _photo_table(photos: Sequence[Photo]) -> dg.MetadataValue:
    measured = sorted({name for photo in photos for name in photo.metrics})[:6]
    columns = [
        dg.TableColumn("photo"),
        dg.TableColumn("files"),
        dg.TableColumn("room"),
        dg.TableColumn("size"),
        dg.TableColumn("done to it"),
        dg.TableColumn("verdict"),
        dg.TableColumn("look at"),
        *(dg.TableColumn(name, "float") for name in measured),
    ]
    records = [dg.TableRecord(_row(photo, measured)) for photo in photos]
    return dg.MetadataValue.table(records, dg.TableSchema(columns=columns))


def _row(photo: Photo, measured: Sequence[str]) -> dict[str, str | float]:
    verdicts = [f"{verdict.gate}: {verdict.outcome}{_score(verdict.score)}" for verdict in photo.verdicts]
    return {
        "photo": photo.photo_id,
        "files": ", ".join(source.name for source in photo.sources),
        "room": f"{photo.room.type} ({photo.room.decided_by}, {photo.room.confidence:.2f})",
        "size": f"{photo.image.width} × {photo.image.height}",
        "done to it": ", ".join(operation.name for operation in photo.operations),
        "verdict": "; ".join(verdicts),
        "look at": "; ".join(photo.notes),
        **{name: round(photo.metrics[name], 3) if name in photo.metrics else "" for name in measured},
    }


def _score(score: float | None) -> str:
    return "" if score is None else f" {score:.3f}"


def _rejected_table(photo_set: PhotoSet) -> dg.MetadataValue:
    columns = [dg.TableColumn("file"), dg.TableColumn("reason")]
    records = [dg.TableRecord({"file": file.name, "reason": file.reason}) for file in photo_set.rejected]
    return dg.MetadataValue.table(records, dg.TableSchema(columns=columns))
