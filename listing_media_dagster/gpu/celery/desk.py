"""Where a warm worker's process takes jobs in hand: those that go together at once, each held while it is worked on."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path

import psutil

from listing_media_dagster.gpu.celery.board import ENDED, Board, BrokerDown, State, Ticket, WorkerCard, keep_trying
from listing_media_dagster.gpu.celery.shelf import Shelf
from listing_media_dagster.gpu.job import BadJob, JobFolder
from listing_media_dagster.gpu.routes.route import Listener
from listing_media_dagster.gpu.work.bench import Bench
from listing_media_dagster.gpu.worker import Assignment, work_off
from listing_media_dagster.store.media_store import MediaStore, StoreError

log = logging.getLogger(__name__)
AT_MOST_TRIES = 3
"""A job whose workers died so often is the cause of it."""
_RENEWALS_A_LEASE = 6
_SECONDS_TO_FIND_THE_BROKER = 600


@dataclass
class _Held:
    """A job in hand. `stop` is set when it is to be cancelled, or when another worker has it."""

    ticket: Ticket
    folder: JobFolder
    shelf: Shelf
    stop: threading.Event = field(default_factory=threading.Event)
    lost: bool = False
    unsent: set[str] = field(default_factory=set)


class Desk:
    def __init__(
        self,
        board: Board,
        media: MediaStore,
        bench: Bench,
        card: WorkerCard,
        work_dir: Path,
        jobs_at_once: int = 8,
        is_stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self._board, self._media, self._bench, self._card = board, media, bench, card
        self._work_dir, self._jobs_at_once, self._is_stopping = work_dir / "warm", jobs_at_once, is_stopping
        self._in_hand: dict[str, _Held] = {}
        self._lock = threading.Lock()
        self._closed = threading.Event()

    def open(self) -> None:
        """Show that this worker is there, and go on showing it and renewing what it holds. Raises `BrokerDown`."""
        self._board.show(self._card)
        threading.Thread(target=self._keep_renewing, name="leases", daemon=True).start()

    def close(self) -> None:
        self._closed.set()
        with contextlib.suppress(BrokerDown):  # it forgets us by itself
            self._board.leave(self._card.name)

    def release_dead_holder(self, name: str) -> None:
        """Let go for a worker of this machine that died with a job; of another, wait until its hold runs out."""
        holder, left_ms = keep_trying(lambda: self._board.holder(name), _SECONDS_TO_FIND_THE_BROKER)
        while holder and holder != self._card.name:
            if _died_here(holder):
                self._board.release(name, holder)
                return
            time.sleep(0.2)
            before = left_ms
            holder, left_ms = keep_trying(lambda: self._board.holder(name), _SECONDS_TO_FIND_THE_BROKER)
            if left_ms > before:
                return  # renewed: it is well

    def work_off(self, ticket: Ticket) -> list[Ticket]:
        """Do a ticket's job and those that go with it; return what was left when this worker was told to stop."""
        held = self._take(ticket)
        if held is None:
            return []
        batch = [held, *self._companions(ticket.group)]
        left_over: list[Ticket] = []
        try:
            left = self._work_off(batch)
            self._end_with_a_broken_device()
            for each in batch:
                if self._conclude(each, left):
                    left_over.append(each.ticket)  # noqa: PERF401 - those before one that fails count
        except Exception as error:
            # Whatever it was, those who wait have to hear of it: the ticket is gone when this returns.
            log.exception("jobs %s weren't finished", ", ".join(each.ticket.name for each in batch))
            for each in batch:
                if each.ticket.name in self._in_hand:
                    self._end(each.ticket.name, "failed", _reason(self._card.name, error), again=True)
        return left_over

    def _end_with_a_broken_device(self) -> None:
        """End this process if CUDA has failed in a way that only a new one gets over; what it held is done again."""
        if not self._bench.device.startswith("cuda"):
            return
        import torch

        try:
            torch.cuda.synchronize(self._bench.device)
        except RuntimeError:
            log.exception("%s answers no more: this process ends, and another takes its place", self._card.device)
            os.kill(os.getpid(), signal.SIGKILL)

    def _companions(self, group: str) -> list[_Held]:
        """Take jobs that wait and go with the one in hand, but leave the other workers their share."""
        taken: list[_Held] = []
        with contextlib.suppress(BrokerDown):
            share = ceil((1 + self._board.count_waiting(group)) / max(1, len(self._board.workers())))
            waiting = self._board.waiting(group, min(share, self._jobs_at_once) - 1)
            for ticket in waiting:
                if held := self._take(ticket):
                    taken.append(held)  # noqa: PERF401 - those before the broker went away count
        return taken

    def _take(self, ticket: Ticket) -> _Held | None:
        """Take hold of a job and fetch it. None if there is nothing to do for it, or it can't be done."""
        name, worker = ticket.name, self._card.name
        answer = keep_trying(lambda: self._board.take(ticket, worker), _SECONDS_TO_FIND_THE_BROKER)
        if answer == "held" or answer in ENDED:
            return None
        if int(answer.split()[1]) > AT_MOST_TRIES:
            self._end(name, "failed", f"{AT_MOST_TRIES} workers died while they had it in hand")
            return None
        shelf = Shelf(self._media, name)
        held = _Held(ticket, JobFolder(self._work_dir / name), shelf)
        with self._lock:
            self._in_hand[name] = held
        try:
            shelf.fetch(held.folder.path, ticket.sha256)
            needs = held.folder.job.needs
            if needs.vram_gb > self._card.vram_gb or (needs.gpu == "required" and not self._card.vram_gb):
                raise StoreError(f"worker {worker} has {self._card.vram_gb:.1f} GB of GPU memory, too little for it")
        except Exception as failed:
            # Also what nobody thought of (the disk is full): it is held from here on, and somebody waits for it.
            self._end(name, "failed", _reason(worker, failed), again=not isinstance(failed, BadJob))
            return None
        return held

    def _work_off(self, batch: list[_Held]) -> set[str]:
        assignments = [Assignment(each.folder, self._listener(each)) for each in batch]
        try:
            return work_off(assignments, self._bench, is_stopping=self._is_stopping)
        except BadJob as bad:
            for each in batch:
                self._end(each.ticket.name, "failed", str(bad))
                each.lost = True
            return set()

    def _listener(self, held: _Held) -> Listener:
        def item_done(item_id: str) -> None:
            try:
                held.shelf.put_item(held.folder, item_id)
            except StoreError as failed:
                log.warning("%s: %s", held.ticket.name, failed)
                held.unsent.add(item_id)  # the work goes on; it is sent with the result
                return
            self._tell(held, item=item_id)

        return Listener(
            say=lambda line: self._tell(held, line=line), item_done=item_done, is_cancelled=held.stop.is_set
        )

    def _tell(self, held: _Held, *, line: str = "", item: str = "") -> None:
        try:
            self._board.tell(held.ticket.name, line=line, item=item)
        except BrokerDown:
            log.warning("%s: the broker doesn't take %r", held.ticket.name, line or item)  # the result tells as well

    def _conclude(self, held: _Held, left: set[str]) -> bool:
        """Say how a job ended, and whether it is to go back into the queue."""
        name = held.ticket.name
        if held.lost:
            self._let_go(name)
            return False
        if held.folder.job.id not in left:
            try:
                for item_id in held.unsent:
                    held.shelf.put_item(held.folder, item_id)
                held.shelf.put_result(held.folder)
            except StoreError as failed:
                self._end(name, "failed", str(failed), again=True)
                return False
            self._end(name, "done")
            shutil.rmtree(held.folder.path, ignore_errors=True)
            return False
        if held.stop.is_set():
            self._end(name, "cancelled")
            shutil.rmtree(held.folder.path, ignore_errors=True)
            return False
        self._end(name, "queued")
        return True

    def _end(self, name: str, state: State, reason: str = "", *, again: bool = False) -> None:
        log.info("%s: %s %s", name, state, reason)
        self._let_go(name)
        worker = self._card.name
        keep_trying(lambda: self._board.end(name, worker, state, reason, again=again), _SECONDS_TO_FIND_THE_BROKER)

    def _let_go(self, name: str) -> None:
        """See to it that the hold isn't renewed once it is given up."""
        with self._lock:
            self._in_hand.pop(name, None)

    def _keep_renewing(self) -> None:
        pause = self._board.lease_seconds / _RENEWALS_A_LEASE
        while not self._closed.wait(pause):
            try:
                self._board.show(self._card)
                for name in list(self._in_hand):
                    with self._lock:
                        if name in self._in_hand:
                            self._renew(self._in_hand[name])
            except BrokerDown:
                continue

    def _renew(self, held: _Held) -> None:
        state = self._board.renew(held.ticket.name, self._card.name)
        if state == "lost":
            held.lost = True
        if state != "running":
            held.stop.set()


def _reason(worker: str, error: Exception) -> str:
    said = isinstance(error, BadJob | StoreError)
    return str(error) if said else f"its worker {worker} failed: {type(error).__name__}: {error}"


def _died_here(worker: str) -> bool:
    """Tell whether a worker was a process of this machine that is no more."""
    host, pid, born = worker.rsplit(":", 2)
    if host != socket.gethostname():
        return False
    try:
        return int(psutil.Process(int(pid)).create_time() * 100) != int(born)
    except psutil.NoSuchProcess:
        return True
