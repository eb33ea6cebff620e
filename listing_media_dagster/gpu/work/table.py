"""Which function does which kind of work; each is imported when the first such task is in hand."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import cast

from listing_media_dagster.gpu.job import BadJob, ModelJob, WorkKind
from listing_media_dagster.gpu.work.bench import WorkFunction
from listing_media_dagster.gpu.work.chain_order import steps_of


@dataclass(frozen=True)
class Work:
    """`function` is module:name in `gpu.work`; a model is given up to `at_once` tasks that share parameters."""

    function: str
    at_once: int = 1

    def load(self) -> WorkFunction:
        module, _, name = self.function.partition(":")
        return cast(WorkFunction, getattr(import_module(f"listing_media_dagster.gpu.work.{module}"), name))


WORK = {
    WorkKind.STAGE: Work("stage:furnish_rooms", at_once=16),
    WorkKind.SCORE: Work("score:score_pictures", at_once=16),
    WorkKind.ENHANCE: Work("enhance:enhance_pictures"),
    WorkKind.DECLUTTER: Work("alter:declutter_rooms"),
    WorkKind.UPSCALE: Work("alter:enlarge_pictures"),
    WorkKind.ANIMATE: Work("animate:animate_pictures"),
    WorkKind.DEPTH: Work("depth:measure_depth", at_once=16),
    WorkKind.CHAIN: Work("chain:work_off_chain"),
}


def work_for(kind: WorkKind) -> Work:
    """Return who does it. Raises `BadJob` for a kind that this version can't do."""
    if kind not in WORK:
        raise BadJob(f"this version of the package can't do {kind.value!r}; it does {', '.join(sorted(WORK))}")
    return WORK[kind]


def tasks_at_once(job: ModelJob) -> int:
    """Return how many tasks go together: with an embedded back end each comes by itself, as soon as it is done."""
    first = steps_of(job)[0]
    return work_for(first.kind).at_once if first.model else 1
