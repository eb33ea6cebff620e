"""Photos that a listing asks to see in motion: clips by an image-to-video model for the film, where they hold.

A clip that was refused, or can't be made, leaves its photo to the camera's move; why is said in the report.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from listing_media_dagster.assets.chosen_models import ChosenModels
from listing_media_dagster.assets.model_work import StoredFiles, named_for
from listing_media_dagster.assets.stage_run import StageRun
from listing_media_dagster.disclosure.operations import describe
from listing_media_dagster.gpu.job import Item, ItemResult, ModelJob, WorkKind
from listing_media_dagster.gpu.router import Routed
from listing_media_dagster.gpu.routes.route import RouteFailed
from listing_media_dagster.gpu.work.animate import CLIP, PICTURE, ROOM, VERSION
from listing_media_dagster.listing import ALL_FILES, Listing, Operation, Photo, PhotoSet, StoredImage, StoredObject
from listing_media_dagster.models.entry import Stage

WORDS = "AI-generated motion"
"""Stands on the picture while a clip is shown."""

Read = Callable[[str], bytes]
Send = Callable[[ModelJob, StoredFiles, Callable[[str, ItemResult, Read], None]], Routed]
"""Has a job done, as `model_work.run_job` does; raises `dg.Failure` naming what failed."""
Choose = Callable[[Stage], ChosenModels]
"""Names the models of a stage, as `chosen_models.choose_models` does."""


@dataclass(frozen=True)
class Clips:
    """The accepted clips by photo id; `records` also say of the others why there is none, for the next run."""

    files: Mapping[str, StoredObject] = field(default_factory=dict)
    records: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    routed: tuple[Routed, ...] = ()


def animate_as_asked(
    photos: Mapping[str, Photo],
    shown: Mapping[str, StoredImage],
    listing: Listing,
    stage: StageRun,
    choose: Choose,
    send: Send,
) -> Clips:
    """Return the clips of those `shown` pictures that the listing asks to see in motion; known ones are kept."""
    choice = listing.generative.animate
    asked = [name for name in shown if choice == ALL_FILES or photos[name].names & set(choice)]
    if not asked:
        return Clips()
    models = choose(Stage.ANIMATION)
    if not models.refs:
        stage.say(f"asked to animate, not done: {models.refusal}; the camera moves over the photos instead")
        return Clips()
    marks = {name: _mark(photos[name], shown[name], models, stage) for name in asked}
    records = {name: known for name in asked if (known := _known(name, marks[name], stage))}
    missing = [name for name in asked if name not in records]
    routed: tuple[Routed, ...] = ()
    if missing:
        made, routed = _animated(missing, photos, shown, models, stage, send)
        records |= {name: {**record, "fingerprint": marks[name]} for name, record in made.items()}
    for name in asked:
        if name in records and "refused" in records[name]:
            stage.say(f"{name}: asked to animate, not done: {records[name]['refused']}")
    files = {name: StoredObject.model_validate(record["clip"]) for name, record in records.items() if "clip" in record}
    return Clips(files, records, routed)


def film_note(film: PhotoSet) -> str:
    """Return what has to be disclosed of the film, for people; empty where nothing has to be."""
    records = film.parameters.get("clips", {}).values()
    operations = [Operation.model_validate(record["operation"]) for record in records if "clip" in record]
    if not operations:
        return ""
    return f"{len(operations)} of its shots: {'; '.join(describe(operations)).lower()}, and labelled so"


def _mark(photo: Photo, image: StoredImage, models: ChosenModels, stage: StageRun) -> str:
    refs = [ref.model_dump() for ref in models.refs]
    return stage.fingerprint(clip_of=image.sha256, room=photo.room.type, models=refs, version=VERSION)


def _known(name: str, mark: str, stage: StageRun) -> Mapping[str, Any] | None:
    """Return what an earlier run recorded of the same clip, if its file is still there."""
    records = stage.previous.parameters.get("clips", {}) if stage.previous else {}
    record: Mapping[str, Any] = records.get(name, {})
    if record.get("fingerprint") != mark:
        return None
    if "clip" in record and stage.media.verify([StoredObject.model_validate(record["clip"])]):
        return None
    return record


def _animated(
    names: Sequence[str],
    photos: Mapping[str, Photo],
    shown: Mapping[str, StoredImage],
    models: ChosenModels,
    stage: StageRun,
    send: Send,
) -> tuple[dict[str, dict[str, Any]], tuple[Routed, ...]]:
    """Return what became of each photo that was worked on; those that a failing job didn't get to are left out."""
    files = StoredFiles(stage)
    items = tuple(
        Item(
            id=name,
            inputs={PICTURE: files.add(name, shown[name])},
            parameters={ROOM: photos[name].room.type.value},
        )
        for name in names
    )
    job = models.job(WorkKind.ANIMATE, items)
    made: dict[str, dict[str, Any]] = {}

    def take(route: str, result: ItemResult, read: Read) -> None:
        record = {**result.record, "route": route, "device": result.device}
        if result.outcome == "refused":
            made[result.item_id] = {**record, "refused": result.reason}
        elif result.outcome == "ok":
            clip = stage.media.write(stage.key(f"clips/{result.item_id}.mp4"), read(CLIP))
            made[result.item_id] = {**record, "clip": clip.model_dump()}

    try:
        return made, (send(named_for(job, stage), files, take),)
    except (dg.Failure, RouteFailed) as failed:
        stage.say(f"asked to animate, not done: {lasting_reason(failed)}")
        return made, ()


def lasting_reason(failed: dg.Failure | RouteFailed) -> str:
    """Return why the film goes without what was to be made for it; raises what may succeed at another time."""
    if isinstance(failed, RouteFailed):
        if failed.may_succeed_later:
            raise failed
        return str(failed)
    return failed.description or "the model work failed"
