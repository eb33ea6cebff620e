"""The worker: works off model jobs item by item, wherever this package is installed; needs neither Dagster nor a store.

    python -m listing_media_dagster.gpu.worker JOB_FOLDER_OR_ZIP [--into DIR] [--device cuda:0] [--stop-after SECONDS]
        [--pull MODEL …]

On standard output it tells what it does as JSON lines (`ProgressLine`). Exit codes: 0 done, 2 no usable job (one line
on standard error), 3 stopped with items left: the same command goes on with them, 4 the device can't be used.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import os
import re
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import Any

from listing_media_dagster.gpu.job import BadJob, ItemResult, JobFolder, ModelJob, unpack
from listing_media_dagster.gpu.job_models import entries_of, pull_models
from listing_media_dagster.gpu.routes.route import JobCancelled, Listener
from listing_media_dagster.gpu.work.bench import Bench, Made, Task
from listing_media_dagster.gpu.work.meter import Meter
from listing_media_dagster.gpu.work.models import NoModelHere
from listing_media_dagster.gpu.work.table import tasks_at_once, work_for
from listing_media_dagster.models.warm import WarmModels
from listing_media_dagster.models.weights import BadWeights, ModelMissing

DONE, BAD_JOB, ITEMS_LEFT, NO_DEVICE = 0, 2, 3, 4
LACKS_MODELS = (NoModelHere, ModelMissing, BadWeights)
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Assignment:
    """A job to be worked off, and who hears of it."""

    folder: JobFolder
    listener: Listener = field(default_factory=Listener)


def work_off(
    assignments: Sequence[Assignment],
    bench: Bench,
    *,
    stop_at: float | None = None,
    is_stopping: Callable[[], bool] = lambda: False,
) -> set[str]:
    """Do what isn't done of the jobs, tasks that go together at once, and return the ids of those left unfinished.

    A job is left where its listener cancels it or where time is up: `stop_at` (of `time.monotonic`) will have passed
    when another task is done, or `is_stopping`. An item that fails is recorded as such and the others go on.
    Raises `BadJob` before any work if a folder holds no job, or one of a kind that this version can't do.
    """
    return _Round([_Work.begin(each, bench) for each in assignments], bench, stop_at, is_stopping).run()


def check_job(job: ModelJob) -> None:
    """Raise `BadJob` for a job of a kind that this version can't do, or with models that can't be."""
    work_for(job.kind)
    entries_of(job)


@dataclass
class _Work:
    """One assignment in progress: the items it still has to do."""

    job: ModelJob
    given: Assignment
    left: deque[Task]

    @classmethod
    def begin(cls, given: Assignment, bench: Bench) -> _Work:
        job, done = given.folder.job, given.folder.done()
        check_job(job)
        for item_id in done:
            given.listener.item_done(item_id)
        left = deque(Task(job, item, given.folder) for item in job.items if item.id not in done)
        return cls(job, given, left)

    @property
    def group(self) -> str:
        """Jobs of one group differ in their items alone: their tasks may be done at once."""
        return self.job.model_dump_json(exclude={"items", "id", "needs"})


@dataclass
class _Round:
    works: list[_Work]
    bench: Bench
    stop_at: float | None
    is_stopping: Callable[[], bool]
    slowest: float = 0.0
    """Seconds a task took, in the batch where they took longest."""

    def run(self) -> set[str]:
        unfinished: set[str] = set()
        while batch := self._next_batch(unfinished):
            if self._time_is_up():
                break
            began = time.monotonic()
            try:
                self._do(batch)
            except JobCancelled:
                continue  # its listener says so again when the next batch is taken
            self.slowest = max(self.slowest, (time.monotonic() - began) / len(batch))
        for work in self.works:
            if work.left or work.job.id in unfinished:
                unfinished.add(work.job.id)
            else:
                work.given.folder.finish()
        return unfinished

    def _time_is_up(self) -> bool:
        return self._seconds_left() < self.slowest or self.is_stopping()

    def _seconds_left(self) -> float:
        return math.inf if self.stop_at is None else self.stop_at - time.monotonic()

    def _at_once(self, job: ModelJob) -> int:
        """Return how many tasks to take together: of those that suit the model, what should be done in the time left.

        Where time is limited the first one shows how long they take: what isn't done by then is lost.
        """
        if self.stop_at is None:
            return tasks_at_once(job)
        in_time = int(self._seconds_left() / self.slowest) if self.slowest else 1
        return max(1, min(tasks_at_once(job), in_time))

    def _next_batch(self, unfinished: set[str]) -> list[tuple[_Work, Task]]:
        """Return the next task in hand and those that go with it, of whichever job; none of a cancelled one."""
        for work in self.works:
            if work.left and work.given.listener.is_cancelled():
                unfinished.add(work.job.id)
                work.left.clear()
        waiting = [work for work in self.works if work.left]
        if not waiting:
            return []
        together = [work for work in waiting if work.group == waiting[0].group]
        return [(work, task) for work in together for task in work.left][: self._at_once(waiting[0].job)]

    def _do(self, batch: Sequence[tuple[_Work, Task]]) -> None:
        """Do the tasks at once; if one of them makes that fail, each by itself, so that only that one fails."""
        meter = Meter(self.bench.device)
        rest = list(batch)
        answers: Iterator[Made] | None = None
        while rest:
            try:
                if answers is None:
                    work = work_for(batch[0][0].job.kind).load()
                    answers = iter(work([task for _, task in batch], self._bench_for(batch)))
                made = next(answers, None)
                if made is None:
                    raise RuntimeError(f"{len(rest)} of {len(batch)} tasks got no answer")
            except JobCancelled:
                raise
            except Exception as error:
                self._go_on_after(error, batch, rest, meter)
                return
            # Outside the `try`: where an answer can't be kept or taken, it isn't the work that failed.
            self._keep(*rest.pop(0), made, meter)

    def _go_on_after(
        self, error: Exception, batch: Sequence[tuple[_Work, Task]], rest: Sequence[tuple[_Work, Task]], meter: Meter
    ) -> None:
        if len(batch) > 1:
            for pair in rest:
                self._do([pair])
            return
        work, task = batch[0]
        log.error("%s of job %s failed", task.item.id, work.job.id, exc_info=error)
        self._keep(work, task, error, meter)

    def _keep(self, work: _Work, task: Task, made: Made | Exception, meter: Meter) -> None:
        """Write what became of a task: what was made of it, or the reason why nothing was."""
        seconds, peak = meter.read()
        result = ItemResult(
            item_id=task.item.id,
            key=work.job.item_key(task.item),
            seconds=seconds,
            peak_memory_mb=peak,
            device=self.bench.device_name,
            **(_failure(made) if isinstance(made, Exception) else _answer(made)),
        )
        work.given.folder.finish_item(result, {} if isinstance(made, Exception) else made.outputs)
        work.left.remove(task)
        work.given.listener.item_done(task.item.id)

    def _bench_for(self, batch: Sequence[tuple[_Work, Task]]) -> Bench:
        listeners = {task.folder.path: work.given.listener for work, task in batch}

        def say(task: Task, what: str) -> None:
            listeners[task.folder.path].say(f"{task.item.id}: {what}")

        def stop_if_cancelled() -> None:
            if all(listener.is_cancelled() for listener in listeners.values()):
                raise JobCancelled

        carried = {**self.bench.entries, **entries_of(batch[0][0].job)}
        return replace(self.bench, entries=carried, say=say, stop_if_cancelled=stop_if_cancelled)


def _answer(made: Made) -> dict[str, Any]:
    return {"outcome": made.outcome, "reason": made.reason, "record": dict(made.record)}


def _failure(error: Exception) -> dict[str, Any]:
    return {"outcome": "failed", "reason": _reason(error), "lacks_models": isinstance(error, LACKS_MODELS)}


def _reason(error: Exception) -> str:
    said = " ".join(str(error).split())[:1000]
    spoken = isinstance(error, ValueError) or type(error).__module__.startswith("listing_media_dagster")
    return said if spoken and said else f"{type(error).__name__}: {said}".rstrip(": ")


@dataclass(frozen=True)
class ProgressLine:
    """One line of a worker's standard output. `event` is began, say, item, finished or stopped."""

    event: str
    text: str = ""
    item: str = ""
    outcome: str = ""
    done: int = 0
    items: int = 0
    seconds: float = 0.0
    peak_memory_mb: float = 0.0
    device: str = ""

    def write(self) -> None:
        said = {name: value for name, value in vars(self).items() if value or name == "event"}
        sys.stdout.write(json.dumps(said) + "\n")
        sys.stdout.flush()

    @classmethod
    def read(cls, line: str) -> ProgressLine | None:
        """Return what a worker's line says; None for a line that isn't the worker's (a library's chatter)."""
        try:
            said: dict[str, Any] = json.loads(line)
            read = cls(**said)
        except (ValueError, TypeError, RecursionError):
            return None
        kinds: dict[type, tuple[type, ...]] = {str: (str,), int: (int,), float: (int, float)}
        is_ours = all(isinstance(value, kinds[type(getattr(_EMPTY_LINE, name))]) for name, value in vars(read).items())
        return read if is_ours else None


_EMPTY_LINE = ProgressLine("")


def _arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("listing_media_dagster.gpu.worker", description="Work off a model job.")
    parser.add_argument("job", type=Path, help="job folder, or a zipped one")
    parser.add_argument("--into", type=Path, help="where a zip is unpacked; default: beside it")
    parser.add_argument("--device", default="cpu", type=_device, help='"cpu" or "cuda:N"')
    parser.add_argument("--models-dir", type=Path, default=Path("~/.cache/listing-media/models"))
    parser.add_argument("--own-weights", action="append", default=[], metavar="ENTRY=DIR", type=_own_weights)
    parser.add_argument("--pull", nargs="+", default=[], metavar="MODEL", help="fetch these of the job's models first")
    parser.add_argument("--stop-after", type=float, metavar="SECONDS", help="leave off in time, between two items")
    return parser.parse_args(given)


def _device(text: str) -> str:
    if not re.fullmatch(r"cpu|cuda:[0-9]{1,2}", text):
        raise argparse.ArgumentTypeError(f"{text!r}: write it as cpu or cuda:N")
    return text


def _own_weights(text: str) -> tuple[str, Path]:
    entry, equals, folder = text.partition("=")
    if not (entry and equals and folder):
        raise argparse.ArgumentTypeError(f"{text!r}: write it as ENTRY=DIR")
    return entry, Path(folder)


def main(given: Sequence[str] | None = None) -> int:
    arguments = _arguments(given)
    began = time.monotonic()
    try:
        folder = _opened(arguments.job, arguments.into)
        job = folder.job
        pull_models(job, arguments.pull, arguments.models_dir, lambda line: ProgressLine("say", text=line).write())
        bench = Bench(arguments.device, WarmModels(), arguments.models_dir, dict(arguments.own_weights))
        try:
            device = bench.device_name
        except Exception as none:  # torch isn't there, or says in many ways that the device isn't
            sys.stderr.write(
                f"{arguments.device} can't be used: {(str(none) or type(none).__name__).splitlines()[0]}\n"
            )
            return NO_DEVICE
        ProgressLine("began", text=job.id, done=len(folder.done()), items=len(job.items), device=device).write()
        stop_at = None if arguments.stop_after is None else began + arguments.stop_after
        left = work_off(
            [Assignment(folder, _writing_listener(folder))], bench, stop_at=stop_at, is_stopping=_stopped_by_sigterm()
        )
    except BadJob as bad:
        sys.stderr.write(f"{bad}\n")
        return BAD_JOB
    ProgressLine("stopped" if left else "finished", done=len(folder.done()), items=len(job.items)).write()
    return ITEMS_LEFT if left else DONE


def _opened(job: Path, into: Path | None) -> JobFolder:
    if job.is_dir():
        return JobFolder(job)
    if not job.is_file():
        raise BadJob(f"{job} is neither a job's folder nor a zipped one")
    return unpack(job, into or job.with_suffix(".job"))


def _writing_listener(folder: JobFolder) -> Listener:
    told: set[str] = set()

    def item_done(item_id: str) -> None:
        told.add(item_id)
        result = folder.result_of(item_id)
        ProgressLine(
            "item",
            text=result.reason if result else "",
            item=item_id,
            outcome=result.outcome if result else "",
            done=len(told),
            seconds=result.seconds if result else 0.0,
            peak_memory_mb=result.peak_memory_mb if result else 0.0,
        ).write()

    return Listener(say=lambda line: ProgressLine("say", text=line).write(), item_done=item_done)


def _stopped_by_sigterm() -> Callable[[], bool]:
    """Let the first SIGTERM end the work after the item in hand, the second one at once."""
    asked: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        asked.append(number)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

    signal.signal(signal.SIGTERM, stop)
    return lambda: bool(asked)


def keep_standard_output() -> None:
    """Keep standard output for our own lines: what libraries chatter there goes to standard error, as logs do."""
    own = os.dup(1)
    os.dup2(2, 1)
    sys.stdout = os.fdopen(own, "w", buffering=1)
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING)


if __name__ == "__main__":
    keep_standard_output()
    sys.exit(main())
