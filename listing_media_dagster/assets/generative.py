"""What a listing asks generative models to do beside staging: take away clutter, rework, enlarge. One job for each.

Clutter is taken away before staging, so that a tidied room may be furnished; the rest is done after it, on the picture
that is there by then. The unaltered base stays paired with it. What can't be done, or is rejected, leaves the photo as
it was, with the reason in its facts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from listing_media_dagster.assets.animation import lasting_reason
from listing_media_dagster.assets.chosen_models import ChosenModels
from listing_media_dagster.assets.model_work import StoredFiles, named_for
from listing_media_dagster.assets.stage_run import StageRun
from listing_media_dagster.gpu.job import Item, ItemResult, ModelJob, ModelRef, WorkKind
from listing_media_dagster.gpu.router import Routed
from listing_media_dagster.gpu.routes.route import RouteFailed
from listing_media_dagster.gpu.work.pictures import decode_picture
from listing_media_dagster.listing import ALL_FILES, GenerativeChoice, Listing, Operation, Photo, StoredObject, Verdict
from listing_media_dagster.models.captions import ROOM_WORDS
from listing_media_dagster.models.entry import Stage
from listing_media_dagster.staging import declutter, polish

PICTURE, ALTERED = "picture", "altered.jpg"
NOT_MADE = "not_altered"
"""Fact of a photo: why something that was asked for wasn't done to it, by the word for it."""

Read = Callable[[str], bytes]
Take = Callable[[str, ItemResult, Read], None]
Send = Callable[[ModelJob, StoredFiles, Take], Routed]
"""Has a job done, as `model_work.run_job` does; raises `dg.Failure` naming what failed."""
Choose = Callable[[Stage], ChosenModels]
"""Names the models of a stage, as `chosen_models.choose_models` does."""


@dataclass(frozen=True)
class Alteration:
    """One of the things that can be asked for; `word` is its key in listing.yaml."""

    word: str
    kind: WorkKind
    models: Stage


DECLUTTER = Alteration("declutter", WorkKind.DECLUTTER, Stage.DECLUTTER)
ENHANCE = Alteration("enhance", WorkKind.ENHANCE, Stage.ENHANCEMENT)
UPSCALE = Alteration("upscale", WorkKind.UPSCALE, Stage.UPSCALE)


@dataclass(frozen=True)
class Phase:
    """Alterations that are done in turn; `fact` is where a photo keeps what was made of it, and what it was before."""

    fact: str
    alterations: tuple[Alteration, ...]


BEFORE_STAGING = Phase("tidied", (DECLUTTER,))
AFTER_STAGING = Phase("generative", (ENHANCE, UPSCALE))


def asked_for(photo: Photo, choice: GenerativeChoice, phase: Phase) -> tuple[Alteration, ...]:
    """Return what the listing asks to be done to a photo in a phase, in the order in which it is done."""

    def names(word: str) -> bool:
        files = getattr(choice, word)
        return files == ALL_FILES or bool(photo.names & set(files))

    return tuple(alteration for alteration in phase.alterations if names(alteration.word))


def alter_as_asked(
    photos: Mapping[str, Photo], listing: Listing, seed: int, stage: StageRun, choose: Choose, send: Send, phase: Phase
) -> tuple[dict[str, Photo], tuple[Routed, ...]]:
    """Return the `photos` with what the listing asks for in this phase done to them, and how the work went.

    What an earlier run made of the same picture is kept. `photos` may hold such pictures: they are told by their facts.
    """
    asking = Asking.of(photos, listing, seed, stage, choose, phase)
    work = _Work(dict(asking.to_make), seed, stage, send)
    for alteration, models in asking.models.items():
        asked = [photo for photo_id, photo in work.made.items() if alteration in asking.wanted[photo_id]]
        work.alter(asked, alteration, models, asking.segmenter)
    for photo_id, photo in work.made.items():
        if photo is not asking.before[photo_id]:
            mark = "" if photo_id in work.unsettled else asking.marks[photo_id]
            work.made[photo_id] = _marked(photo, asking.before[photo_id], mark, phase)
    return {
        photo_id: work.made.get(photo_id, photo if asking.models else asking.before[photo_id])
        for photo_id, photo in photos.items()
    }, tuple(work.routed)


@dataclass(frozen=True)
class Asking:
    """What is asked of photos in a phase: of which what (`wanted`), by which models, and of which it isn't done yet.

    `before` are the photos as they were before the phase, `marks` what names the outcome.
    """

    wanted: Mapping[str, tuple[Alteration, ...]]
    models: Mapping[Alteration, ChosenModels]
    segmenter: ModelRef | None
    before: Mapping[str, Photo]
    marks: Mapping[str, str]
    to_make: Mapping[str, Photo]

    @classmethod
    def of(
        cls, photos: Mapping[str, Photo], listing: Listing, seed: int, stage: StageRun, choose: Choose, phase: Phase
    ) -> Asking:
        before = {photo_id: unaltered(photo, phase) for photo_id, photo in photos.items()}
        wanted = {photo_id: asked_for(photo, listing.generative, phase) for photo_id, photo in before.items()}
        needed = [each for each in phase.alterations if any(each in asked for asked in wanted.values())]
        models = {each: choose(each.models) for each in needed}
        segmenter = choose(Stage.SEGMENTATION).first if DECLUTTER in needed else None
        marks = {
            photo_id: stage.fingerprint(
                of=photo.image.sha256,
                room=photo.room.type,
                asked={each.word: [ref.model_dump() for ref in models[each].refs] for each in wanted[photo_id]},
                segmenter=segmenter.model_dump() if segmenter else None,
                versions=[declutter.VERSION, polish.VERSION],
                seed=seed,
            )
            for photo_id, photo in before.items()
        }
        kept = {photo_id for photo_id, photo in photos.items() if _made_as(photo, phase) == marks[photo_id]}
        to_make = {photo_id: photo for photo_id, photo in before.items() if needed and photo_id not in kept}
        return cls(wanted, models, segmenter, before, marks, to_make)


@dataclass
class _Work:
    """`made` holds the photos as far as they are; `unsettled` those that a failing job didn't get to."""

    made: dict[str, Photo]
    seed: int
    stage: StageRun
    send: Send
    routed: list[Routed] = field(default_factory=list)
    unsettled: set[str] = field(default_factory=set)

    def alter(
        self, asked: Sequence[Photo], alteration: Alteration, models: ChosenModels, segmenter: ModelRef | None
    ) -> None:
        ready = {}
        for photo in asked:
            reason = _refusal(photo) or ("" if models.refs else models.refusal)
            if reason:
                self._leave(photo, alteration, reason)
            else:
                ready[photo.photo_id] = photo
        if ready:
            self._send(ready, alteration, models, segmenter)

    def _send(
        self, waiting: dict[str, Photo], alteration: Alteration, models: ChosenModels, segmenter: ModelRef | None
    ) -> None:
        def take(route: str, result: ItemResult, read: Read) -> None:
            if result.outcome == "failed":
                return
            photo = as_altered(waiting.pop(result.item_id), alteration, result, read, route, self.stage)
            self.made[photo.photo_id] = photo
            if alteration.word in photo.facts.get(NOT_MADE, {}):
                self._leave(photo, alteration, photo.facts[NOT_MADE][alteration.word])

        job, files = alteration_job(list(waiting.values()), alteration, models, segmenter, self.seed, self.stage)
        try:
            self.routed.append(self.send(job, files, take))
        except (dg.Failure, RouteFailed) as failed:
            reason = lasting_reason(failed)
            for photo in waiting.values():
                self._leave(photo, alteration, reason)
            self.unsettled |= set(waiting)

    def _leave(self, photo: Photo, alteration: Alteration, reason: str) -> None:
        self.made[photo.photo_id] = not_altered(photo, alteration, reason)
        self.stage.say(f"{photo.photo_id}: asked to {alteration.word}, not done: {reason}")


def _refusal(photo: Photo) -> str:
    return "its staged picture was rejected" if photo.failed else ""


def alteration_job(
    photos: Sequence[Photo],
    alteration: Alteration,
    models: ChosenModels,
    segmenter: ModelRef | None,
    seed: int,
    stage: StageRun,
) -> tuple[ModelJob, StoredFiles]:
    """Return the job of altering `photos`, and its files; the first model is tried first."""
    files = StoredFiles(stage)
    items = tuple(
        Item(
            id=photo.photo_id,
            inputs={PICTURE: files.add(photo.photo_id, photo.image)},
            parameters={"room": ROOM_WORDS[photo.room.type]},
            seed=seed,
        )
        for photo in photos
    )
    parameters: dict[str, Any] = {}
    if alteration is DECLUTTER and segmenter is not None:
        parameters["segmenter"] = segmenter.model_dump(mode="json")
    job = models.job(alteration.kind, items, **parameters)
    return named_for(job, stage), files


def as_altered(
    photo: Photo, alteration: Alteration, result: ItemResult, read: Read, route: str, stage: StageRun
) -> Photo:
    """Return the altered photo beside its base; where it was refused or rejected, the photo with the reason."""
    if result.outcome != "ok":
        return not_altered(photo, alteration, result.reason)
    encoded = read(ALTERED)
    verdicts = tuple(map(Verdict.model_validate, result.record["verdicts"]))
    rejection = next((verdict.reason for verdict in verdicts if verdict.outcome == "failed"), None)
    if rejection is not None:
        role = f"{alteration.word}-rejected.jpg"
        shown = stage.media.write(stage.key(f"{photo.photo_id}/{role}"), encoded)
        kept = photo.model_copy(update={"attachments": {**photo.attachments, role: shown}})
        return not_altered(kept, alteration, f"rejected: {rejection}")
    # A name of its own: the picture before is what the next run starts from.
    image, thumbnail = stage.write_picture(f"{photo.photo_id}-{alteration.word}", decode_picture(encoded), encoded)
    others = {role: read(role) for role in result.outputs if role != ALTERED}
    attached = {role: stage.media.write(stage.key(f"{photo.photo_id}/{role}"), data) for role, data in others.items()}
    return photo.model_copy(
        update={
            "image": image,
            "base": photo.base or photo.image,
            "operations": (*photo.operations, *map(Operation.model_validate, result.record["operations"])),
            "verdicts": (*_without_clip(photo.verdicts), *verdicts),
            "attachments": {**photo.attachments, **attached, "thumbnail": thumbnail},
            "route": route,
            "device": result.device,
        }
    )


def _without_clip(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Leave out CLIP's word on the picture before: this is another one, which clip_scores looks at."""
    return [verdict for verdict in verdicts if verdict.gate != "clip"]


def not_altered(photo: Photo, alteration: Alteration, reason: str) -> Photo:
    """Return the photo as it is, with the reason why something that was asked for isn't done to it."""
    reasons = {**photo.facts.get(NOT_MADE, {}), alteration.word: reason}
    return photo.model_copy(update={"facts": {**photo.facts, NOT_MADE: reasons}})


_KEPT = ("image", "base", "operations", "verdicts", "attachments", "route", "device")


def as_kept(photo: Photo) -> dict[str, Any]:
    return photo.model_dump(mode="json", include=set(_KEPT))


def picture_of(photo: Photo, what: str) -> dict[str, StoredObject]:
    """Return a photo's picture and thumbnail as attachments of what is made of it."""
    stored = {
        f"{what}.jpg": StoredObject.model_validate(photo.image.model_dump(include=set(StoredObject.model_fields)))
    }
    thumbnail = photo.attachments.get("thumbnail")
    return {**stored, **({f"{what} thumbnail.jpg": thumbnail} if thumbnail else {})}


def _marked(photo: Photo, before: Photo, mark: str, phase: Phase) -> Photo:
    """Return an altered photo that knows what it was made of, and from what, and keeps that in the store."""
    made = {"fingerprint": mark, "before": as_kept(before)}
    attached = {**photo.attachments, **picture_of(before, f"before {phase.fact}")}
    return photo.model_copy(update={"facts": {**photo.facts, phase.fact: made}, "attachments": attached})


def _made_as(photo: Photo, phase: Phase) -> str | None:
    return photo.facts.get(phase.fact, {}).get("fingerprint")


def unaltered(photo: Photo, phase: Phase) -> Photo:
    """Return the photo as it was before that phase of `alter_as_asked`."""
    if phase.fact not in photo.facts:
        return photo
    words = {alteration.word for alteration in phase.alterations}
    reasons = {word: reason for word, reason in photo.facts.get(NOT_MADE, {}).items() if word not in words}
    facts = {name: fact for name, fact in photo.facts.items() if name not in (phase.fact, NOT_MADE)}
    before = photo.facts[phase.fact]["before"]
    was = Photo.model_validate({**photo.model_dump(mode="json", exclude=set(_KEPT)), **before})
    return was.model_copy(update={"facts": {**facts, **({NOT_MADE: reasons} if reasons else {})}})
