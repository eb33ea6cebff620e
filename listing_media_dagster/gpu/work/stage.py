"""Staging: empty rooms furnished by the first back end that can, the seed ladder and all.

An item has the input `base` and, as its parameters, a `StagingOrder`; its seed is the first one tried. The job's
parameters are `StagingTerms`: which back ends may be asked, in order, and what judges their pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from pydantic import Field

from listing_media_dagster.gpu.job import BadJob, ModelRef
from listing_media_dagster.gpu.work.bench import Bench, Made, Task
from listing_media_dagster.gpu.work.furniture import designs_of
from listing_media_dagster.gpu.work.pictures import decode_picture
from listing_media_dagster.gpu.work.score import scorer_of
from listing_media_dagster.listing import Noun, Room
from listing_media_dagster.models.model import ModelFailed
from listing_media_dagster.models.weights import BadWeights, ModelMissing
from listing_media_dagster.photo.encode import encode_jpeg
from listing_media_dagster.staging.arrangement import Arrangement
from listing_media_dagster.staging.back_ends import CannotStage, StagedRoom, StagingBackEnd, StagingRequest
from listing_media_dagster.staging.caption_judge import STORED_QUALITY, CaptionJudge
from listing_media_dagster.staging.kits import DesignKit
from listing_media_dagster.staging.rendered import FurnishableRoom, RenderedStaging
from listing_media_dagster.staging.seeds import Attempt, Judge, furnish_until_accepted

BASE = "base"
STAGED = "staged.jpg"


class BackEndRef(Noun):
    """A back end that may be asked: what builds it (`BACK_ENDS`), and the model it is to use, if any."""

    name: str
    model: ModelRef | None = None


class StagingOrder(Noun):
    """How one room is to be furnished. `versions` are those of the back ends that the order was written for.

    With a `layout` exactly its pieces are rendered again.
    """

    room: Room
    kit: DesignKit
    pieces_seed: int = 0
    focal_length_35mm: float | None = None
    versions: dict[str, str] = Field(default_factory=dict)
    layout: Arrangement | None = None

    def as_parameters(self) -> dict[str, Any]:
        """Return the order as JSON holds it; what a kit left unsaid stays so, which is how its rooms inherit."""
        return self.model_dump(mode="json", exclude_unset=True)


class ClipTerms(Noun):
    """The encoder that judges on the ladder of seeds, and the CLIPScore from which it accepts."""

    model: ModelRef
    threshold: float


class StagingTerms(Noun):
    """What holds for all rooms of a job: its `parameters`."""

    back_ends: tuple[BackEndRef, ...]
    own_furniture: str = ""
    clip: ClipTerms | None = None


BackEndBuilder = Callable[[BackEndRef, StagingOrder, Task, Bench], StagingBackEnd]


def furnish_rooms(tasks: Sequence[Task], bench: Bench) -> Iterator[Made]:
    for task in tasks:
        yield _furnish(task, bench)


def _furnish(task: Task, bench: Bench) -> Made:
    """Ask one back end after the other; the pictures that the refusing ones made are kept for people to see."""
    terms = StagingTerms.model_validate(task.job.parameters)
    order = StagingOrder.model_validate(task.item.parameters)
    request = StagingRequest(
        photo_id=task.item.id,
        base=decode_picture(task.read(BASE)),
        room=order.room,
        kit=order.kit.id,
        pieces_seed=order.pieces_seed,
        focal_length_35mm=order.focal_length_35mm,
    )
    judge = _caption_judge(terms.clip, task, bench)
    refusals: list[str] = []
    shown: dict[str, bytes] = {}
    for ref in terms.back_ends:
        try:
            end = _back_end(ref, order, task, bench)
            room, attempts = _furnished(end, request, order, judge, task, bench)
        except CannotStage as refused:
            refusals.append(f"{ref.name}: {refused}")
            shown |= refused.attachments
        except (ModelFailed, ModelMissing, BadWeights) as failed:
            refusals.append(f"{ref.name}: {failed}")
        else:
            return _made(room, attempts, end.name)
    return Made(outputs=shown, outcome="refused", reason="; ".join(refusals) or "no staging back end was named")


def _furnished(
    end: StagingBackEnd, request: StagingRequest, order: StagingOrder, judge: Judge | None, task: Task, bench: Bench
) -> tuple[StagedRoom, tuple[Attempt, ...]]:
    def progress(what: str) -> None:
        bench.stop_if_cancelled()
        bench.say(task, what)

    surveyed = end.survey(request)
    if order.layout is None:
        return furnish_until_accepted(surveyed, task.item.seed, progress, judge)
    if not isinstance(surveyed, FurnishableRoom):
        raise CannotStage("it can't render a given layout")
    return surveyed.render(order.layout, progress), (Attempt(seed=order.layout.seed),)


def _caption_judge(terms: ClipTerms | None, task: Task, bench: Bench) -> Judge | None:
    """Return CLIP as a judge of the ladder. Without its weights here the pictures are judged when they are back."""
    if terms is None:
        return None
    try:
        return CaptionJudge(scorer_of(terms.model, bench), terms.threshold)
    except (ModelMissing, BadWeights) as missing:
        bench.say(task, f"not scored here: {missing}")
        return None


def _back_end(ref: BackEndRef, order: StagingOrder, task: Task, bench: Bench) -> StagingBackEnd:
    """Return the back end. Raises `BadJob` if this machine's would give other pictures than the order is for."""
    if ref.name not in BACK_ENDS:
        raise BadJob(f"this version of the package has no staging back end {ref.name!r}; it has {', '.join(BACK_ENDS)}")
    end = BACK_ENDS[ref.name](ref, order, task, bench)
    wanted = order.versions.get(end.name)
    if wanted is not None and end.version_for(order.kit.id) != wanted:
        raise BadJob(f"this worker's {end.name} isn't of the version the job was made for; install the same package")
    return end


def _path_traced(ref: BackEndRef, order: StagingOrder, task: Task, bench: Bench) -> StagingBackEnd:
    own_furniture = StagingTerms.model_validate(task.job.parameters).own_furniture
    return RenderedStaging({order.kit.id: order.kit}, designs_of(task, bench), own_furniture)


BACK_ENDS: dict[str, BackEndBuilder] = {"path-traced": _path_traced}


def _made(room: StagedRoom, attempts: Sequence[Attempt], back_end: str) -> Made:
    record = {
        "back_end": back_end,
        "room_type": room.room_type.value,
        "caption": room.caption,
        "operations": [operation.model_dump(mode="json") for operation in room.operations],
        "verdicts": [verdict.model_dump(mode="json") for verdict in room.verdicts],
        "attempts": [attempt.model_dump(mode="json", exclude_none=True) for attempt in attempts],
    }
    return Made(outputs={STAGED: encode_jpeg(room.rgb, STORED_QUALITY), **room.attachments}, record=record)
