"""The warm worker: one process a GPU, which keeps its models and takes jobs from Celery's queue.

Celery starts the processes, brings them tickets, and starts a new one where one died; its ticket then comes back.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from listing_media_dagster.gpu.celery.app import QUEUE, TASK, make_app, send_ticket, sized_queue
from listing_media_dagster.gpu.celery.board import Board, Ticket, WorkerCard, keep_trying
from listing_media_dagster.gpu.celery.desk import Desk
from listing_media_dagster.gpu.children import PARENT, die_with_parent, visible_to_cuda
from listing_media_dagster.gpu.devices import Claim, DeviceSlots, NoDevice
from listing_media_dagster.gpu.work.bench import Bench
from listing_media_dagster.store.media_store import MediaStore

if TYPE_CHECKING:
    from celery import Celery

log = logging.getLogger(__name__)
_SECONDS_TO_FIND_THE_BROKER = 300
_SECONDS_BETWEEN_LOOKS = 0.2


class _ToldToStop(Exception):
    """The worker ends before this process had a device."""


@dataclass(frozen=True)
class WarmWorker:
    """What a worker is made of. `slots` are the devices it serves, a process each; `vram_gb` is that of the smallest.

    With `on_cpu` the work is done without a GPU; `slots` then only count processes.
    """

    broker: str = field(repr=False)
    store: Callable[[], MediaStore]
    slots: DeviceSlots
    work_dir: Path
    models_dir: Path
    own_weights: Mapping[str, Path] = field(default_factory=dict)
    catalogue: Path | None = None
    vram_gb: float = 0.0
    on_cpu: bool = False
    warm_seconds: float = 1800.0
    jobs_at_once: int = 8
    lease_seconds: float = 30.0
    looks_again_seconds: float = 60.0

    def serve(self) -> int:
        """Work until SIGTERM or SIGINT: what is in hand is finished to the end of its item, the rest goes back."""
        from celery import signals

        app = make_app(self.broker)
        # Without a lock, which a process that is killed while it looks would keep for ever.
        stopping = multiprocessing.get_context("fork").RawValue("b", 0)
        process = _Process(self, app, lambda: bool(stopping.value))

        def take_ticket(task: Any, name: str, sha256: str, group: str) -> None:
            came_back = bool(task.request.delivery_info.get("redelivered"))
            process.take_ticket(Ticket(name, sha256, group), came_back)

        app.task(name=TASK, bind=True)(take_ticket)
        signals.worker_process_init.connect(process.begin, weak=False)
        signals.worker_process_shutdown.connect(process.end, weak=False)
        signals.worker_shutting_down.connect(lambda **_: setattr(stopping, "value", 1), weak=False)
        # Said here so that those who are killed with this process, however it dies, know whom to look for.
        os.environ[PARENT] = str(os.getpid())
        queues = [QUEUE, sized_queue(self.vram_gb)] if self.vram_gb else [QUEUE]
        worker = app.Worker(
            hostname=f"gpu-{os.getpid()}@{socket.gethostname()}",
            queues=queues,
            pool="prefork",
            concurrency=len(self.slots.devices),
            loglevel="INFO",
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
        )
        worker.start()
        return int(worker.exitcode or 0)


class _Process:
    """One of the worker's processes: it has its device for as long as it lives."""

    def __init__(self, worker: WarmWorker, app: Celery, is_stopping: Callable[[], bool]) -> None:
        self._worker = worker
        self._app = app
        self._is_stopping = is_stopping
        self._desk: Desk | None = None

    def begin(self, **_: Any) -> None:
        """Take a device and a desk, however long that takes: until then Celery gives this process no ticket."""
        die_with_parent()
        try:
            while self._desk is None:
                self._desk = self._opened_desk()
        except _ToldToStop:
            os._exit(0)

    def _opened_desk(self) -> Desk | None:
        """Wait for a device and open a desk with it; None, after a pause, where that can't be done yet."""
        claim: Claim | None = None
        try:
            owner = f"gpu-worker on {socket.gethostname()}"
            claim = self._worker.slots.claim(owner, say=log.info, stop_if_cancelled=self._stop_if_told)
            return self._desk_with(claim.device)
        except _ToldToStop:
            raise
        except Exception as not_yet:
            log.warning("no work can be done here yet: %s", not_yet, exc_info=not isinstance(not_yet, NoDevice))
            if claim is not None:
                claim.release()
        looks_again = time.monotonic() + self._worker.looks_again_seconds
        while time.monotonic() < looks_again:
            self._stop_if_told()
            time.sleep(_SECONDS_BETWEEN_LOOKS)
        return None

    def _desk_with(self, device: str) -> Desk:
        worker = self._worker
        os.environ.update(visible_to_cuda(None if worker.on_cpu else device))
        from listing_media_dagster.models.warm import WarmModels

        models = WarmModels(keep_seconds=worker.warm_seconds, free_gb=None if worker.on_cpu else _free_vram_gb)
        used = "cpu" if worker.on_cpu else "cuda:0"
        bench = Bench(used, models, worker.models_dir, worker.own_weights, worker.catalogue)
        board = Board(worker.broker, worker.lease_seconds)
        card = WorkerCard(_name(), device, worker.vram_gb)
        desk = Desk(board, worker.store(), bench, card, worker.work_dir, worker.jobs_at_once, self._is_stopping)
        keep_trying(desk.open, _SECONDS_TO_FIND_THE_BROKER)
        log.info("%s is ready on %s", card.name, card.device)
        return desk

    def _stop_if_told(self) -> None:
        if self._is_stopping():
            raise _ToldToStop

    def end(self, **_: Any) -> None:
        if self._desk is not None:
            self._desk.close()

    def take_ticket(self, ticket: Ticket, came_back: bool) -> None:
        assert self._desk is not None  # noqa: S101 - Celery gives no task to a process before `begin`
        if came_back:
            self._desk.release_dead_holder(ticket.name)
        for left in self._desk.work_off(ticket):
            keep_trying(partial(send_ticket, self._app, left), _SECONDS_TO_FIND_THE_BROKER)


def _free_vram_gb() -> float:
    import torch

    return float(torch.cuda.mem_get_info(0)[0]) / 2**30


def _name() -> str:
    return f"{socket.gethostname()}:{os.getpid()}:{int(psutil.Process().create_time() * 100)}"
