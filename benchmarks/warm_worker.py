"""warm_worker: what models that stay loaded, and a worker a GPU, are worth.

Three measurements through a real Redis and real workers:

* the seconds from putting a job up to its first item, for the first job of a fresh worker and for later ones, with
  CLIP ViT-B/32 at full size and random weights, on the CPU: imports, loading and scoring are all real;
* eight jobs through two workers on two devices that don't exist, against one: the work waits as for a kernel, so that
  the machine's cores don't decide;
* a backfill of ten listings with three model steps each, against Dagster's stock multiprocess executor, one listing
  after the other in both. The model load is simulated (`LOAD_SECONDS`), the work is a wait, the rest is real.
"""

from __future__ import annotations

import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import dagster as dg
import numpy as np
from dagster._core.execution.api import execute_job

from benchmarks.clip import save_full_size_clip
from benchmarks.machine import machine
from listing_media_dagster.definitions import defs
from listing_media_dagster.gpu.celery.board import Board, BrokerDown
from listing_media_dagster.gpu.celery.worker import WarmWorker
from listing_media_dagster.gpu.devices import DeviceSlots
from listing_media_dagster.gpu.job import Item, JobFolder, ModelJob, Needs, WorkKind, job_file
from listing_media_dagster.gpu.routes.celery import CeleryRoute
from listing_media_dagster.gpu.routes.route import Listener
from listing_media_dagster.gpu.work.bench import Bench, Made, Task
from listing_media_dagster.gpu.work.pictures import decode_picture
from listing_media_dagster.gpu.work.table import Work
from listing_media_dagster.store.media_store import MediaStore

LOAD_SECONDS, WORK_SECONDS = 2.0, 0.2
LISTINGS, STEPS, LATER_JOBS = 10, 3, 5
BARS = {"second_job_to_first": 0.1, "two_workers_to_one": 1.8, "stock_to_warm_backfill": 3.0}
HERE = "LISTING_MEDIA_BENCHMARK_HERE"


def run() -> dict[str, Any]:
    first, second = _time_to_first_item()
    one, two = _seconds_for_eight_jobs("gpu-a"), _seconds_for_eight_jobs("gpu-a", "gpu-b")
    warm, stock = _backfills()
    return {
        "name": "warm_worker",
        "ours": {
            "first_job_to_first_item_s": round(first, 3),
            "later_jobs_to_first_item_s": round(second, 3),
            "eight_jobs_two_workers_s": round(two, 2),
            "backfill_s": round(warm, 1),
        },
        "peers": {
            "one worker": {"eight_jobs_s": round(one, 2)},
            "multiprocess_executor (Dagster's default)": {"backfill_s": round(stock, 1)},
        },
        "ratio": {
            "second_job_to_first": round(second / first, 4),
            "two_workers_to_one": round(one / two, 2),
            "stock_to_warm_backfill": round(stock / warm, 2),
        },
        "bars": BARS,
        "simulated": {"load_s": LOAD_SECONDS, "work_s": WORK_SECONDS, "listings": LISTINGS, "model_steps": STEPS},
        "machine": machine(),
    }


# --- a broker and workers ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Shop:
    folder: Path
    broker: str

    @property
    def route(self) -> CeleryRoute:
        return CeleryRoute(self.broker, lambda: MediaStore(str(self.folder / "media")))

    def put_up(self, job: JobFolder) -> float:
        """Have a job done; return the seconds from putting it up to its first item."""
        began, first = time.perf_counter(), threading.Event()
        took: list[float] = []

        def item_done(item_id: str) -> None:
            if not first.is_set():
                took.append(time.perf_counter() - began)
                first.set()

        self.route.run(job, Listener(item_done=item_done))
        return took[0]


@contextmanager
def _workers(*devices: str) -> Iterator[_Shop]:
    """Give a broker with a worker that serves `devices`, up and idle, its models not loaded."""
    redis = shutil.which("redis-server")
    assert redis, "this needs redis-server: apt-get install redis-server"
    with tempfile.TemporaryDirectory(prefix="warm-worker-") as name, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        shop = _Shop(Path(name), f"redis://127.0.0.1:{port}/0")
        with (shop.folder / "log").open("wb") as log:
            start = partial(subprocess.Popen, stdout=log, stderr=log)
            where = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", name]
            running = [start([redis, *where])]
            try:
                _until(lambda: _workers_there(shop.broker) is not None)
                running.append(
                    start(
                        [sys.executable, "-m", "benchmarks.warm_worker", *devices],
                        env={**os.environ, HERE: f"{name} {shop.broker}"},
                    )
                )
                _until(lambda: _workers_there(shop.broker) == len(devices))
                yield shop
            finally:
                for process in reversed(running):
                    process.terminate()
                    process.wait(timeout=60)


def _workers_there(broker: str) -> int | None:
    try:
        return len(Board(broker).workers())
    except BrokerDown:
        return None


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, "the broker or its workers didn't come up"
        time.sleep(0.05)


def _serve(devices: Sequence[str]) -> int:
    folder, broker = os.environ[HERE].split(" ")
    Work.load = lambda self: _score if self.function.startswith("score") else _wait  # type: ignore[method-assign]
    return WarmWorker(
        broker=broker,
        store=lambda: MediaStore(f"{folder}/media"),
        slots=DeviceSlots(tuple(devices), Path(folder) / "locks", problem_of=lambda device: None),
        work_dir=Path(folder) / "work",
        models_dir=Path(folder) / "models",
        on_cpu=True,
    ).serve()


# --- their work -------------------------------------------------------------------------------------------------------


def _score(tasks: Sequence[Task], bench: Bench) -> Iterator[Made]:
    """Score as `gpu.work.score` does, with weights that are allowed here alone."""
    from listing_media_dagster.models.clip import ClipScorer

    weights = Path(tasks[0].parameters["weights"])
    scorer = bench.models.get("clip", lambda: ClipScorer.load(weights, allow_test_weights=True))
    for task in tasks:
        [score] = scorer.score([decode_picture(task.read("picture"))], ["a bright living room with a grey sofa"])
        yield Made(record=score._asdict())


def _wait(tasks: Sequence[Task], bench: Bench) -> Iterator[Made]:
    for task in tasks:
        bench.models.get("model", lambda: time.sleep(LOAD_SECONDS) or object())  # type: ignore[func-returns-value]
        time.sleep(task.parameters["seconds"])
        yield Made(record={"waited": task.parameters["seconds"]})


def _job(folder: Path, name: str, kind: WorkKind, items: int = 1, **parameters: Any) -> JobFolder:
    picture = np.random.default_rng(len(name)).integers(0, 255, (480, 640, 3), np.uint8)
    data = cv2.imencode(".jpg", picture)[1].tobytes()
    file = job_file("inputs/picture.jpg", data)
    todo = tuple(Item(id=f"photo-{number}", inputs={"picture": file}) for number in range(items))
    job = ModelJob(id=name, kind=kind, parameters=parameters, items=todo, needs=Needs(gpu="optional"))
    return JobFolder.create(folder / "jobs" / name, job, {file.path: data})


def _time_to_first_item() -> tuple[float, float]:
    with _workers("cpu") as shop:
        weights = shop.folder / "clip"
        weights.mkdir()
        save_full_size_clip(weights)
        took = [
            shop.put_up(_job(shop.folder, f"job-{number}", WorkKind.SCORE, weights=str(weights)))
            for number in range(1 + LATER_JOBS)
        ]
    return took[0], statistics.median(took[1:])


def _seconds_for_eight_jobs(*devices: str) -> float:
    with _workers(*devices) as shop, ThreadPoolExecutor(8) as threads:
        warm = [
            _job(shop.folder, f"warm-{number}", WorkKind.ENHANCE, seconds=1.0) for number in range(2 * len(devices))
        ]
        list(threads.map(shop.put_up, warm))  # so that every worker has its model
        jobs = [_job(shop.folder, f"job-{number}", WorkKind.ENHANCE, 5, seconds=WORK_SECONDS) for number in range(8)]
        began = time.perf_counter()
        list(threads.map(shop.put_up, jobs))
        return time.perf_counter() - began


# --- a backfill -------------------------------------------------------------------------------------------------------


def _listing(executor: dg.ExecutorDefinition | None, does: Callable[[str], None]) -> dg.JobDefinition:
    """Return a job of three model steps in a row, as a listing's are: enhance, stage, score."""
    assets: list[dg.AssetsDefinition] = []
    for number in range(STEPS):
        upstream = [assets[-1].key] if assets else []

        @dg.asset(name=f"model_step_{number}", deps=upstream, op_tags={"listing_media/gpu": "optional"})
        def step(context):
            does(f"{context.run_id[:8]}-{context.op_execution_context.op.name[-1]}")

        assets.append(step)
    job = dg.define_asset_job("listing", selection="*")
    return dg.Definitions(assets=assets, jobs=[job], executor=executor).resolve_job_def("listing")


def _through_the_worker(name: str) -> None:
    folder, broker = os.environ[HERE].split(" ")
    shop = _Shop(Path(folder), broker)
    shop.put_up(_job(shop.folder, name, WorkKind.STAGE, seconds=WORK_SECONDS))


def _in_the_step(name: str) -> None:
    time.sleep(LOAD_SECONDS + WORK_SECONDS)


def warm() -> dg.JobDefinition:
    return _listing(defs.executor, _through_the_worker)  # type: ignore[arg-type]


def stock() -> dg.JobDefinition:
    return _listing(dg.multiprocess_executor, _in_the_step)


def _backfills() -> tuple[float, float]:
    """Return the seconds for the listings with a fresh warm worker, its one load included, and with the stock one."""
    with _workers("gpu-a") as shop:
        os.environ[HERE] = f"{shop.folder} {shop.broker}"
        through_the_worker = _backfill(warm)
    return through_the_worker, _backfill(stock)


def _backfill(job: Callable[[], dg.JobDefinition]) -> float:
    with tempfile.TemporaryDirectory() as home, dg.DagsterInstance.local_temp(home) as instance:
        began = time.perf_counter()
        for _ in range(LISTINGS):
            with execute_job(dg.reconstructable(job), instance) as result:
                assert result.success
        return time.perf_counter() - began


if __name__ == "__main__":
    sys.exit(_serve(sys.argv[1:]))
