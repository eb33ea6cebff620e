"""The rooms of a listing that are to be furnished, as one model job, and its results as photos."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import cv2

from listing_media_dagster.assets import before_after, furnishing
from listing_media_dagster.assets.chosen_models import choose_models
from listing_media_dagster.assets.clip import find_scorer
from listing_media_dagster.assets.furnishing import PlannedBackEnd
from listing_media_dagster.assets.model_work import StoredFiles, named_for
from listing_media_dagster.assets.stage_run import StageRun
from listing_media_dagster.assets.staging_plan import StagingPlan
from listing_media_dagster.gpu.job import Item, ItemResult, JobFile, ModelJob, Needs, WorkKind, job_file
from listing_media_dagster.gpu.job_models import carrying_entries
from listing_media_dagster.gpu.work.furniture import PACKED_FURNITURE, pack_furniture
from listing_media_dagster.gpu.work.pictures import decode_picture
from listing_media_dagster.gpu.work.staging_order import BASE, STAGED, ClipTerms, StagingOrder, StagingTerms
from listing_media_dagster.listing import Operation, Photo, StoredObject, Verdict
from listing_media_dagster.models.entry import Stage
from listing_media_dagster.photo.encode import Rgb
from listing_media_dagster.settings import settings

ReadOutput = Callable[[str], bytes]


def staging_job(
    photos: Sequence[Photo],
    plans: Mapping[str, StagingPlan],
    ends: Sequence[PlannedBackEnd],
    seed: int,
    needs: Needs,
    stage: StageRun,
) -> tuple[ModelJob, StoredFiles]:
    """Return the job of furnishing `photos` as planned on a machine with what it `needs`, and its files."""
    files = StoredFiles(stage)
    inputs: dict[str, JobFile] = {}
    at = settings()
    if at.furniture:
        inputs[PACKED_FURNITURE] = files.add_bytes(PACKED_FURNITURE, pack_furniture(at.furniture))
    kits = furnishing.installed_kits()
    items = []
    for photo in photos:
        plan = plans[photo.photo_id]
        order = StagingOrder(
            room=photo.room,
            kit=kits[plan.kit],
            pieces_seed=plan.pieces_seed,
            focal_length_35mm=photo.facts.get("focal_length_35mm"),
            versions={end.ref.name: end.version_for(plan.kit) for end in ends},
        )
        base = files.add(photo.photo_id, photo.image)
        items.append(Item(id=photo.photo_id, inputs={BASE: base}, parameters=order.as_parameters(), seed=seed))
    terms = StagingTerms(
        back_ends=tuple(end.ref for end in ends),
        own_furniture=furnishing.own_furniture_digest(at),
        clip=_clip_terms(),
    )
    models = [model for end in ends for model in end.ref.models]
    job = ModelJob(
        id="unnamed",
        kind=WorkKind.STAGE,
        model=models[0] if models else None,
        parameters=terms.model_dump(mode="json"),
        inputs=inputs,
        items=tuple(items),
        needs=needs,
    )
    return named_for(job, stage), files


def one_room_job(base: Rgb, order: StagingOrder, seed: int, routes: Sequence[str]) -> tuple[ModelJob, dict[str, bytes]]:
    """Return the job of furnishing one room that belongs to no listing, and its files."""
    at = settings()
    models = choose_models(Stage.STAGING, routes, at)
    segmenter = choose_models(Stage.SEGMENTATION, routes, at).first if models.refs else None
    ends = furnishing.installed_back_ends(models.refs, segmenter)
    files = {"inputs/base.png": _png(base)}
    if at.furniture:
        files[f"inputs/{PACKED_FURNITURE}"] = pack_furniture(at.furniture)
    named = {path.removeprefix("inputs/"): job_file(path, data) for path, data in files.items()}
    item = Item(id="room", inputs={BASE: named.pop("base.png")}, parameters=order.as_parameters(), seed=seed)
    terms = StagingTerms(
        back_ends=tuple(end.ref for end in ends), own_furniture=furnishing.own_furniture_digest(at), clip=_clip_terms()
    )
    job = ModelJob(
        id="one-room",
        kind=WorkKind.STAGE,
        model=models.first,
        parameters=terms.model_dump(mode="json"),
        inputs=named,
        items=(item,),
        needs=models.needs,
    )
    return carrying_entries(job, at.model_catalogue, at.models_dir), files


def _png(rgb: Rgb) -> bytes:
    return cv2.imencode(".png", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))[1].tobytes()


def _clip_terms() -> ClipTerms | None:
    model = find_scorer()
    return ClipTerms(model=model, threshold=settings().clip_threshold) if model else None


def as_photo(
    base: Photo, plan: StagingPlan, result: ItemResult, read: ReadOutput, route: str, stage: StageRun
) -> Photo:
    """Return the furnished photo, or the base with the reason why it passes on as it is."""
    seen = looked_at(base, plan)
    shown = {role: read(role) for role in result.outputs if role != STAGED}
    if result.outcome == "refused":
        passed_on = passed_on_because(seen, result.reason)
        return passed_on.model_copy(update={"attachments": {**passed_on.attachments, **_attached(base, shown, stage)}})
    encoded, made = read(STAGED), result.record
    staged = decode_picture(encoded)
    image, thumbnail = stage.write_picture(base.photo_id, staged, encoded)
    unaltered = base.base or base.image
    pair = before_after.encode_before_after(stage.pixels(unaltered), staged)
    attachments = _attached(base, {**shown, before_after.ROLE: pair}, stage)
    return seen.model_copy(
        update={
            "image": image,
            "base": unaltered,
            "operations": (*base.operations, *map(Operation.model_validate, made["operations"])),
            "verdicts": (*base.verdicts, *map(Verdict.model_validate, made["verdicts"])),
            "facts": {**seen.facts, "staged_as": _staged_as(made, plan)},
            "attachments": {**base.attachments, **attachments, "thumbnail": thumbnail},
            "route": route,
            "device": result.device,
        }
    )


def _staged_as(made: Mapping[str, Any], plan: StagingPlan) -> dict[str, Any]:
    kept = {name: made[name] for name in ("room_type", "caption", "back_end", "attempts", "passed_over")}
    return {**kept, "kit": plan.kit, "pieces_seed": plan.pieces_seed}


def looked_at(base: Photo, plan: StagingPlan) -> Photo:
    """Return the photo with what the plan saw in it."""
    return base.model_copy(update={"facts": {**base.facts, **({"suitability": plan.seen} if plan.seen else {})}})


def passed_on_because(photo: Photo, reason: str) -> Photo:
    return photo.model_copy(update={"facts": {**photo.facts, "not_staged": reason}})


def _attached(base: Photo, files: Mapping[str, bytes], stage: StageRun) -> dict[str, StoredObject]:
    return {role: stage.media.write(stage.key(f"{base.photo_id}/{role}"), data) for role, data in files.items()}
