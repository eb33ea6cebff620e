"""Whole photos altered by models, as listings ask for it: tidied, reworked, enlarged. Generative, and labelled so.

An item has the input `picture` and a seed; `room` says what it shows ("a kitchen"). The job's model and its
`further_models` are tried in turn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from listing_media_dagster.gpu.job import ModelRef
from listing_media_dagster.gpu.work.bench import Bench, Made, Task
from listing_media_dagster.gpu.work.models import find_editors, find_models, find_segmenter, models_of
from listing_media_dagster.gpu.work.pictures import decode_picture
from listing_media_dagster.models.entry import Stage
from listing_media_dagster.models.model import Upscaler
from listing_media_dagster.photo.encode import encode_jpeg
from listing_media_dagster.staging.altered import AlteredPicture, CannotAlter
from listing_media_dagster.staging.declutter import Decluttering
from listing_media_dagster.staging.polish import Enlarging, Polishing
from listing_media_dagster.staging.seeds import Attempt

PICTURE, ALTERED, SEGMENTER, ROOM = "picture", "altered.jpg", "segmenter", "room"
QUALITY = 95
Altering = Callable[[Task, Callable[[str], None]], tuple[AlteredPicture, tuple[Attempt, ...]]]


def declutter_rooms(tasks: Sequence[Task], bench: Bench) -> Iterator[Made]:
    job = tasks[0].job
    named = job.parameters.get(SEGMENTER)
    segmenter = find_segmenter(ModelRef.model_validate(named) if named else None, bench)
    editors = find_editors(models_of(job), Stage.DECLUTTER, bench, slow_cpu=job.needs.slow_cpu).any()
    tidying = Decluttering(editors, segmenter, bench.allow_test_weights)
    return _altered(
        tasks, bench, lambda task, say: tidying.declutter(decode_picture(task.read(PICTURE)), task.item.seed, say)
    )


def polish_pictures(tasks: Sequence[Task], bench: Bench) -> Iterator[Made]:
    job = tasks[0].job
    editors = find_editors(models_of(job), Stage.ENHANCEMENT, bench, slow_cpu=job.needs.slow_cpu).any()
    polishing = Polishing(editors, bench.allow_test_weights)
    return _altered(
        tasks,
        bench,
        lambda task, say: polishing.polish(
            decode_picture(task.read(PICTURE)), task.parameters.get(ROOM, "a home"), task.item.seed, say
        ),
    )


def enlarge_pictures(tasks: Sequence[Task], bench: Bench) -> Iterator[Made]:
    from listing_media_dagster.models.upscale import Swin2SR

    upscalers: tuple[Upscaler, ...] = find_models(
        models_of(tasks[0].job), Stage.UPSCALE, bench, Swin2SR, slow_cpu=True
    ).any()
    enlarging = Enlarging(upscalers, bench.allow_test_weights)
    return _altered(tasks, bench, lambda task, say: (enlarging.enlarge(decode_picture(task.read(PICTURE))), ()))


def _altered(tasks: Sequence[Task], bench: Bench, alter: Altering) -> Iterator[Made]:
    for task in tasks:

        def say(what: str, task: Task = task) -> None:
            bench.stop_if_cancelled()
            bench.say(task, what)

        try:
            picture, attempts = alter(task, say)
        except CannotAlter as refused:
            yield Made(outcome="refused", reason=str(refused))
            continue
        yield Made(
            outputs={ALTERED: encode_jpeg(picture.rgb, QUALITY), **picture.attachments},
            record={
                "operations": [operation.model_dump(mode="json") for operation in picture.operations],
                "verdicts": [verdict.model_dump(mode="json") for verdict in picture.verdicts],
                "attempts": [attempt.model_dump(mode="json", exclude_none=True) for attempt in attempts],
            },
        )
