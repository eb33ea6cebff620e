"""What an ops person sees of a stage in the Dagster UI, without opening a file."""

from __future__ import annotations

import re
from collections.abc import Sequence

import dagster as dg

from listing_media_dagster.assets.stage_run import StageRun
from listing_media_dagster.listing import Photo, PhotoSet
from listing_media_dagster.settings import settings

Metadata = dict[str, dg.MetadataValue | str | int | float]


def stage_metadata(photo_set: PhotoSet, stage: StageRun, **more: dg.MetadataValue | str | float) -> Metadata:
    """Return counts, seconds, a contact sheet, the per-photo table, rejections and links."""
    shown: Metadata = {
        f"open {LINKED[deliverable.media_type]}": dg.MetadataValue.url(_link(stage, deliverable.key))
        for deliverable in photo_set.deliverables
        if deliverable.media_type in LINKED
    }
    shown |= {
        **({"photos": len(photo_set.photos)} if photo_set.photos else {}),  # a film has shots
        "seconds": round(photo_set.stage.seconds, 2),
        "made": photo_set.stage.computed,
        "reused": photo_set.stage.reused,
        **more,
    }
    if photo_set.rejected:
        shown["rejected"] = len(photo_set.rejected)
        shown["rejected_files"] = _rejected_table(photo_set)
    if photo_set.stage.messages:
        shown["messages"] = dg.MetadataValue.md(
            "\n".join(f"- {_as_text(message)}" for message in photo_set.stage.messages)
        )
    if "preview" in photo_set.companions:
        picture = _link(stage, photo_set.companions["preview"].key)
        shown["contact_sheet"] = dg.MetadataValue.md(f"![{photo_set.asset}]({picture})")
    if photo_set.photos:
        shown["photo_table"] = _photo_table(photo_set.photos)
    shown["report"] = dg.MetadataValue.url(_link(stage, f"listings/{photo_set.listing_id}/report.json"))
    return shown


def _as_text(message: str) -> str:
    """Return `message` as Markdown of one line that makes no element and no link of what people call their files."""
    return re.sub(r"([\\<>\[\]&])", r"\\\1", " ".join(message.split()))


# What an ops person can act on; every other metric is in report.json.
SHOWN_METRICS = (
    "vertical_angle_before_deg",
    "vertical_residual_deg",
    "neutral_cast_before",
    "neutral_cast_after",
    "luma_median_before",
    "luma_median_after",
)
LINKED = {"text/html": "gallery", "video/mp4": "film", "application/zip": "archive"}


def _link(stage: StageRun, key: str) -> str:
    return stage.media.link(key, settings().media_url)


def _photo_table(photos: Sequence[Photo]) -> dg.MetadataValue:
    """Return one row a photo; a column in which nothing stands yet at this stage is left out."""
    rows = [_row(photo) for photo in photos]
    columns = [
        name for name in dict.fromkeys(name for row in rows for name in row) if any(row.get(name) for row in rows)
    ]
    records = [dg.TableRecord({name: row.get(name, "") for name in columns}) for row in rows]
    return dg.MetadataValue.table(records, dg.TableSchema(columns=[dg.TableColumn(name) for name in columns]))


def _row(photo: Photo) -> dict[str, str]:
    verdicts = [f"{verdict.gate}: {verdict.outcome}{_score(verdict.score)}" for verdict in photo.verdicts]
    named = photo.room.decided_by != "nobody"
    return {
        "files": ", ".join(source.name for source in photo.sources),
        "room": f"{photo.room.type} ({photo.room.decided_by}, {photo.room.confidence:.2f})" if named else "",
        # What a person acts on comes before what is long: the table is cut off at the right.
        "look at": "; ".join(photo.notes),
        "staged as": _staged_as(photo),
        "not staged because": str(photo.facts.get("not_staged", "")),
        "not altered because": "; ".join(f"{what}: {why}" for what, why in photo.facts.get("not_altered", {}).items()),
        "verdict": "; ".join(verdicts),
        "size": f"{photo.image.width} × {photo.image.height}",
        "done to it": ", ".join(operation.name for operation in photo.operations),
        **{name.replace("_", " "): f"{photo.metrics[name]:.2f}" for name in SHOWN_METRICS if name in photo.metrics},
        "photo": photo.photo_id,
    }


def _staged_as(photo: Photo) -> str:
    staged = photo.facts.get("staged_as")
    if not staged:
        return ""
    tries = len(staged["attempts"])
    furnished = f"{staged['room_type']}, {staged['kit']}, seed {staged['attempts'][-1]['seed']}".replace("_", " ")
    return furnished if tries == 1 else f"{furnished} ({tries} tries)"


def _score(score: float | None) -> str:
    return "" if score is None else f" {score:.3f}"


def _rejected_table(photo_set: PhotoSet) -> dg.MetadataValue:
    columns = [dg.TableColumn("file"), dg.TableColumn("reason")]
    records = [dg.TableRecord({"file": file.name, "reason": file.reason}) for file in photo_set.rejected]
    return dg.MetadataValue.table(records, dg.TableSchema(columns=columns))
