"""What a listing asks generative models to do beside staging: take away clutter, rework, enlarge. One job for each.

It is done after staging, on the picture that is there by then; the unaltered base stays paired with it. What can't be
done, or is rejected, leaves the photo as it was, with the reason in its facts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from listing_media_dagster.assets.chosen_models import ChosenModels
from listing_media_dagster.assets.model_work import StoredFiles, named_for
from listing_media_dagster.assets.stage_run import StageRun
from listing_media_dagster.gpu.job import Item, ItemResult, ModelJob, ModelRef, WorkKind
from listing_media_dagster.gpu.router import Routed
from listing_media_dagster.gpu.work.pictures import decode_picture
from listing_media_dagster.listing import ALL_FILES, GenerativeChoice, Listing, Operation, Photo, Verdict
from listing_media_dagster.models.captions import ROOM_WORDS
from listing_media_dagster.models.catalogue import Stage
from listing_media_dagster.staging import declutter, polish

PICTURE, ALTERED = "picture", "altered.jpg"
MADE, NOT_MADE = "generative", "not_altered"
"""Facts of a photo: what was made of it, with what it was before; and why something wasn't."""

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
ALTERATIONS = (
    DECLUTTER,
    Alteration("enhance", WorkKind.ENHANCE, Stage.ENHANCEMENT),
    Alteration("upscale", WorkKind.UPSCALE, Stage.UPSCALE),
)


def asked_for(photo: Photo, choice: GenerativeChoice) -> tuple[Alteration, ...]:
    """Return what the listing asks to be done to a photo, in the order in which it is done."""

    def names(word: str) -> bool:
        files = getattr(choice, word)
        return files == ALL_FILES or bool(photo.names & set(files))

    return tuple(alteration for alteration in ALTERATIONS if names(alteration.word))


def alter_as_asked(
    photos: Mapping[str, Photo], listing: Listing, seed: int, stage: StageRun, choose: Choose, send: Send
) -> tuple[dict[str, Photo], tuple[Routed, ...]]:
    """Return the staged `photos` with what the listing asks for done to them, and how the work went.

    What an earlier run made of the same picture is kept. `photos` may hold such pictures: they are told by their facts.
    """
    before = {photo_id: unaltered(photo) for photo_id, photo in photos.items()}
    wanted = {photo_id: asked_for(photo, listing.generative) for photo_id, photo in before.items()}
    needed = [each for each in ALTERATIONS if any(each in asked for asked in wanted.values())]
    if not needed:
        return before, ()
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
    made = {photo_id: photo for photo_id, photo in before.items() if _made_as(photos[photo_id]) != marks[photo_id]}
    work = _Work(made, seed, stage, send)
    for alteration in needed:
        asked = [photo for photo_id, photo in made.items() if alteration in wanted[photo_id]]
        work.alter(asked, alteration, models[alteration], segmenter)
    for photo_id, photo in made.items():
        if photo is not before[photo_id]:
            made[photo_id] = _marked(photo, before[photo_id], "" if photo_id in work.unsettled else marks[photo_id])
    return {photo_id: made.get(photo_id, photo) for photo_id, photo in photos.items()}, tuple(work.routed)


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
            reason = _refusal(photo, alteration) or ("" if models.refs else models.refusal)
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
        except dg.Failure as failed:
            for photo in waiting.values():
                self._leave(photo, alteration, failed.description or "the model work failed")
            self.unsettled |= set(waiting)

    def _leave(self, photo: Photo, alteration: Alteration, reason: str) -> None:
        self.made[photo.photo_id] = not_altered(photo, alteration, reason)
        self.stage.say(f"{photo.photo_id}: asked to {alteration.word}, not done: {reason}")


def _refusal(photo: Photo, alteration: Alteration) -> str:
    if photo.failed:
        return "its staged picture was rejected"
    if alteration is DECLUTTER and photo.is_staged:
        return "the room was empty and has been furnished"
    return ""


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
    parameters: dict[str, Any] = dict(models.parameters)
    if alteration is DECLUTTER and segmenter is not None:
        parameters["segmenter"] = segmenter.model_dump(mode="json")
    job = ModelJob(
        id="unnamed",
        kind=alteration.kind,
        model=models.first,
        parameters=parameters,
        items=items,
        needs=models.needs,
    )
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


def _marked(photo: Photo, before: Photo, mark: str) -> Photo:
    """Return an altered photo that knows what it was made of, and from what."""
    was = before.model_dump(mode="json", include=set(_KEPT))
    return photo.model_copy(update={"facts": {**photo.facts, MADE: {"fingerprint": mark, "before": was}}})


def _made_as(photo: Photo) -> str | None:
    return photo.facts.get(MADE, {}).get("fingerprint")


def unaltered(photo: Photo) -> Photo:
    """Return the photo as it was before `alter_as_asked`."""
    if MADE not in photo.facts:
        return photo
    facts = {name: fact for name, fact in photo.facts.items() if name not in (MADE, NOT_MADE)}
    was = Photo.model_validate({**photo.model_dump(mode="json", exclude=set(_KEPT)), **photo.facts[MADE]["before"]})
    return was.model_copy(update={"facts": facts})
