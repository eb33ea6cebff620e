"""A real Redis, and real warm workers whose work only waits, as for a GPU, and writes down what it did when.

python -m listing_media_dagster_tests.helpers.warm_workers    a worker, told by the environment what it is
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from listing_media_dagster.gpu.celery.board import Board, BrokerDown
from listing_media_dagster.gpu.celery.worker import WarmWorker
from listing_media_dagster.gpu.devices import DeviceSlots
from listing_media_dagster.gpu.job import Item, JobFolder, ModelJob, Needs, WorkKind, job_file
from listing_media_dagster.gpu.routes.celery import CeleryRoute
from listing_media_dagster.gpu.work.bench import Bench, Made, Task
from listing_media_dagster.gpu.work.table import Work
from listing_media_dagster.store.media_store import MediaStore, StoreError
from listing_media_dagster_tests.helpers.gpu_runs import end_with_children, until
from listing_media_dagster_tests.helpers.servers import free_port, not_here

LEASE_SECONDS = 5.0
HELD = 120.0  # seconds of work that goes on until the test lets it go
PASSWORD = "never-to-be-printed"
WHERE = "LISTING_MEDIA_TEST_WHERE"
BROKER = "LISTING_MEDIA_TEST_BROKER"
DEVICES = "LISTING_MEDIA_TEST_DEVICES"


@dataclass
class RedisServer:
    """One that keeps what it is told if `keeps`, and forgets it all when it is restarted otherwise."""

    folder: Path
    keeps: bool = True
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://:{PASSWORD}@127.0.0.1:{self.port}/0"

    def start(self) -> None:
        program = shutil.which("redis-server")
        if program is None:
            not_here("Redis isn't installed (no redis-server on PATH)")
        self.folder.mkdir(parents=True, exist_ok=True)
        kept = ["--appendonly", "yes", "--appendfsync", "always"] if self.keeps else ["--appendonly", "no"]
        where = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder), "--save", ""]
        with (self.folder / "redis.log").open("ab") as log:
            self.process = subprocess.Popen([program, *where, *kept, "--requirepass", PASSWORD], stdout=log, stderr=log)
        until(self._answers, "Redis answers")

    def _answers(self) -> bool:
        with contextlib.suppress(BrokerDown):
            Board(self.url).workers()
            return True
        return False

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()


@contextlib.contextmanager
def running_redis(folder: Path, *, keeps: bool = True) -> Iterator[RedisServer]:
    server = RedisServer(folder, keeps)
    server.start()
    try:
        yield server
    finally:
        server.kill()


@dataclass
class Workshop:
    """A broker, a store, and the workers that were started on them."""

    redis: RedisServer
    folder: Path
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def store(self) -> MediaStore:
        return MediaStore(str(self.folder / "media"))

    @property
    def board(self) -> Board:
        return Board(self.redis.url, LEASE_SECONDS)

    def route(self, **given: float) -> CeleryRoute:
        return CeleryRoute(self.redis.url, lambda: self.store, lease_seconds=LEASE_SECONDS, **given)

    def start_worker(self, *devices: str) -> subprocess.Popen[bytes]:
        """Start a worker with a process for each of `devices`, and wait until all are there."""
        there = set(self.board.workers())
        worker = self.launch_worker(*devices)
        until(
            lambda: len(set(self.board.workers()) - there) == len(devices), f"the worker is there: {self.log()[-2000:]}"
        )
        return worker

    def launch_worker(self, *devices: str) -> subprocess.Popen[bytes]:
        told = {WHERE: str(self.folder), BROKER: self.redis.url, DEVICES: ",".join(devices)}
        with (self.folder / "worker.log").open("ab") as log:
            worker = subprocess.Popen(
                [sys.executable, "-m", __name__], stdout=log, stderr=log, env={**os.environ, **told}
            )
        self.workers.append(worker)
        return worker

    def slots(self, *devices: str) -> DeviceSlots:
        return slots_in(self.folder, devices)

    def log(self) -> str:
        path = self.folder / "worker.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def journal(self, what: str) -> list[list[str]]:
        """Return the lines that begin with `what`: load PID, begin JOB/ITEM PID, end JOB/ITEM PID."""
        path = self.folder / "journal"
        lines = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
        return [line[1:] for line in lines if line[0] == what]

    def let_go(self, name: str) -> None:
        """End the work that is `HELD` on a job, or on one of its items: JOB/ITEM."""
        (self.folder / _let_go(name)).touch()

    def ended(self) -> list[str]:
        return sorted(line[0] for line in self.journal("end"))

    def close(self) -> None:
        for worker in self.workers:
            end_with_children(worker)


@contextlib.contextmanager
def workshop(folder: Path, *, keeps: bool = True) -> Iterator[Workshop]:
    with running_redis(folder / "redis", keeps=keeps) as redis:
        made = Workshop(redis, folder)
        try:
            yield made
        finally:
            made.close()


def waiting_job(folder: Path, name: str, items: int = 3, *, seconds: float = 0.1, load: float = 0.0) -> JobFolder:
    """Write a job of items that take `seconds` each (below 0: kill their worker), with a model that takes `load`."""
    data = f"picture of {name}".encode()
    file = job_file("inputs/picture.jpg", data)
    job = ModelJob(
        id=name,
        kind=WorkKind.ENHANCE,
        parameters={"seconds": seconds, "load": load},
        items=tuple(Item(id=f"photo-{n}", inputs={"picture": file}) for n in range(items)),
        needs=Needs(gpu="optional"),
    )
    return JobFolder.create(folder / name, job, {file.path: data})


def wait_as_for_a_gpu(tasks: Sequence[Task], bench: Bench) -> Iterator[Made]:
    """Load a model unless it is warm, and wait for each task, looking often whether to stop."""
    for task in tasks:
        bench.models.get(f"model-{task.parameters['load']}", lambda task=task: _load(task))
        name = f"{task.job.id}/{task.item.id}"
        _write_down("begin", name)
        bench.say(task, "at work")
        if task.parameters["seconds"] < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        let_go = [Path(os.environ[WHERE], _let_go(told)) for told in (task.job.id, name)]
        until_then = time.monotonic() + task.parameters["seconds"]
        while time.monotonic() < until_then and not any(path.exists() for path in let_go):
            bench.stop_if_cancelled()
            time.sleep(0.02)
        _write_down("end", name)
        yield Made(outputs={"out.txt": task.read("picture") + name.encode()})


def _let_go(name: str) -> str:
    return f"{name.replace('/', '.')}.go"


def _load(task: Task) -> object:
    _write_down("load", str(task.parameters["load"]))
    time.sleep(task.parameters["load"])
    return object()


def _write_down(what: str, name: str) -> None:
    with Path(os.environ[WHERE], "journal").open("a") as journal:
        journal.write(f"{what} {name} {os.getpid()} {time.time():.3f}\n")


def slots_in(folder: Path, devices: Sequence[str]) -> DeviceSlots:
    """Return devices of which one is broken for as long as there is a file DEVICE.broken."""

    def problem_of(device: str) -> str | None:
        return "no kernel image" if (folder / f"{device}.broken").exists() else None

    return DeviceSlots(tuple(devices), folder / "locks", problem_of)


def store_in(folder: Path) -> MediaStore:
    """Return the store, which is away for as long as there is a file no-store."""
    if (folder / "no-store").exists():
        raise StoreError("the store is away")
    return MediaStore(str(folder / "media"))


def main() -> int:
    Work.load = lambda self: wait_as_for_a_gpu  # type: ignore[method-assign]
    folder = Path(os.environ[WHERE])
    devices = tuple(os.environ[DEVICES].split(","))
    return WarmWorker(
        broker=os.environ[BROKER],
        store=lambda: store_in(folder),
        slots=slots_in(folder, devices),
        work_dir=folder / "work",
        models_dir=folder / "models",
        on_cpu=True,
        lease_seconds=LEASE_SECONDS,
        looks_again_seconds=0.2,
    ).serve()


if __name__ == "__main__":
    sys.exit(main())
