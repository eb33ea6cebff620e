"""Staging: empty rooms furnished by the first back end that can, the seed ladder and all.

An item has the input `base` and, as its parameters, a `StagingOrder`; its seed is the first one tried. The job's
parameters are `StagingTerms`: which back ends may be asked, in order, and what judges their pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from listing_media_dagster.gpu.job import BadJob
from listing_media_dagster.gpu.work.bench import Bench, Made, Task
from listing_media_dagster.gpu.work.furniture import designs_of
from listing_media_dagster.gpu.work.models import find_editors, find_segmenter
from listing_media_dagster.gpu.work.pictures import decode_picture
from listing_media_dagster.gpu.work.score import scorer_of
from listing_media_dagster.gpu.work.staging_order import (
    BASE,
    STAGED,
    BackEndRef,
    ClipTerms,
    StagingOrder,
    StagingTerms,
    diffusion_version,
)
from listing_media_dagster.listing import fingerprint
from listing_media_dagster.models.entry import Stage
from listing_media_dagster.models.model import ModelFailed
from listing_media_dagster.models.weights import BadWeights, ModelMissing
from listing_media_dagster.photo.encode import encode_jpeg
from listing_media_dagster.staging.arrangement import Arrangement
from listing_media_dagster.staging.back_ends import CannotStage, Progress, StagingBackEnd, StagingRequest
from listing_media_dagster.staging.caption_judge import STORED_QUALITY, CaptionJudge
from listing_media_dagster.staging.diffused import DiffusedStaging
from listing_media_dagster.staging.rendered import FurnishableRoom, RenderedStaging
from listing_media_dagster.staging.seeds import Attempt, Judge
from listing_media_dagster.staging.stage_rooms import NotStaged, Staging, stage_rooms

BackEndBuilder = Callable[[BackEndRef, StagingOrder, Task, Bench], StagingBackEnd]
_FAST_TOGETHER = "diffusion"


def furnish_rooms(tasks: Sequence[Task], bench: Bench) -> Iterator[Made]:
    """Yield what became of each room. Those that a model draws together in one go are done together."""
    terms = StagingTerms.model_validate(tasks[0].job.parameters)
    if not any(ref.name == _FAST_TOGETHER for ref in terms.back_ends):
        for task in tasks:
            yield from _furnish_together([task], terms, bench)
        return
    alike: dict[tuple[int, str], list[Task]] = {}
    for task in tasks:
        alike.setdefault((task.item.seed, fingerprint(kit=task.item.parameters["kit"])), []).append(task)
    made: dict[int, Made] = {}
    for group in alike.values():
        made |= zip(map(id, group), _furnish_together(group, terms, bench), strict=True)
    yield from (made[id(task)] for task in tasks)


def _furnish_together(tasks: Sequence[Task], terms: StagingTerms, bench: Bench) -> list[Made]:
    """Ask one back end after the other for rooms that share seed and kit."""
    orders = [StagingOrder.model_validate(task.item.parameters) for task in tasks]
    requests = [_request(task, order) for task, order in zip(tasks, orders, strict=True)]
    ends, absent = _back_ends(terms, orders[0], tasks[0], bench)
    judge = _caption_judge(terms.clip, tasks[0], bench)

    def progress(what: str) -> None:
        bench.stop_if_cancelled()
        bench.say(tasks[0], what)

    if orders[0].layout is not None:
        return [_rendered_again(ends, requests[0], orders[0].layout, progress)]
    outcomes = stage_rooms(ends, requests, tasks[0].item.seed, progress, judge)
    return [_made(outcome, absent) for outcome in outcomes]


def _request(task: Task, order: StagingOrder) -> StagingRequest:
    return StagingRequest(
        photo_id=task.item.id,
        base=decode_picture(task.read(BASE)),
        room=order.room,
        kit=order.kit.id,
        pieces_seed=order.pieces_seed,
        focal_length_35mm=order.focal_length_35mm,
    )


def _rendered_again(
    ends: Sequence[StagingBackEnd], request: StagingRequest, layout: Arrangement, progress: Progress
) -> Made:
    try:
        for end in ends:
            surveyed = end.survey(request)
            if isinstance(surveyed, FurnishableRoom):
                room = surveyed.render(layout, progress)
                return _made(Staging(room, (Attempt(seed=layout.seed),), end.name), ())
    except CannotStage as refused:
        return Made(outputs=refused.attachments, outcome="refused", reason=str(refused))
    return Made(outcome="refused", reason="no back end here renders given layouts")


def _caption_judge(terms: ClipTerms | None, task: Task, bench: Bench) -> Judge | None:
    """Return CLIP as a judge of the ladder. Without its weights here the pictures are judged when they are back."""
    if terms is None:
        return None
    try:
        return CaptionJudge(scorer_of(terms.model, bench), terms.threshold)
    except (ModelMissing, BadWeights) as missing:
        bench.say(task, f"not scored here: {missing}")
        return None


def _back_ends(
    terms: StagingTerms, order: StagingOrder, task: Task, bench: Bench
) -> tuple[list[StagingBackEnd], tuple[str, ...]]:
    """Return the back ends that can be had here, and why the others can't.

    Raises `BadJob` if this machine's would give other pictures than the order is for.
    """
    ends: list[StagingBackEnd] = []
    absent: list[str] = []
    for ref in terms.back_ends:
        if ref.name not in BACK_ENDS:
            raise BadJob(f"this package has no staging back end {ref.name!r}; it has {', '.join(BACK_ENDS)}")
        try:
            end = BACK_ENDS[ref.name](ref, order, task, bench)
        except ModelFailed as none:
            absent.append(f"{ref.name}: {none}")
            continue
        wanted = order.versions.get(ref.name)
        if wanted is not None and _version_of(ref, end, order.kit.id) != wanted:
            raise BadJob(f"this worker's {ref.name} isn't the version the job was made for; install the same package")
        ends.append(end)
    return ends, tuple(absent)


def _version_of(ref: BackEndRef, end: StagingBackEnd, kit: str) -> str:
    """Return what the order would say of a back end that may use `ref`'s models, whichever of them are here."""
    return diffusion_version(ref, end.rendered, kit) if isinstance(end, DiffusedStaging) else end.version_for(kit)


def _path_traced(ref: BackEndRef, order: StagingOrder, task: Task, bench: Bench) -> RenderedStaging:
    own_furniture = StagingTerms.model_validate(task.job.parameters).own_furniture
    return RenderedStaging({order.kit.id: order.kit}, designs_of(task, bench), own_furniture)


def _diffusion(ref: BackEndRef, order: StagingOrder, task: Task, bench: Bench) -> DiffusedStaging:
    editors = find_editors(ref.models, Stage.STAGING, bench, order.kit.id, slow_cpu=task.job.needs.slow_cpu).any()
    segmenter = find_segmenter(ref.segmenter, bench)
    rendered = _path_traced(ref, order, task, bench)
    return DiffusedStaging(rendered, editors, segmenter, bench.allow_test_weights)


BACK_ENDS: dict[str, BackEndBuilder] = {"path-traced": _path_traced, "diffusion": _diffusion}


def _made(outcome: Staging | NotStaged, absent: Sequence[str]) -> Made:
    if isinstance(outcome, NotStaged):
        reason = "; ".join((*absent, outcome.reason))
        return Made(outputs=outcome.attachments, outcome="refused", reason=reason)
    room = outcome.room
    record = {
        "back_end": outcome.back_end,
        "room_type": room.room_type.value,
        "caption": room.caption,
        "operations": [operation.model_dump(mode="json") for operation in room.operations],
        "verdicts": [verdict.model_dump(mode="json") for verdict in room.verdicts],
        "attempts": [attempt.model_dump(mode="json", exclude_none=True) for attempt in outcome.attempts],
        "passed_over": [*absent, *outcome.passed_over],
    }
    return Made(outputs={STAGED: encode_jpeg(room.rgb, STORED_QUALITY), **room.attachments}, record=record)
