"""celery: warm GPU workers do the work, on this machine or others, and keep their models between jobs."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from listing_media_dagster.gpu.celery.app import make_app, queue_for, send_ticket
from listing_media_dagster.gpu.celery.board import Board, BrokerDown, Status, Ticket, keep_trying
from listing_media_dagster.gpu.celery.shelf import Shelf, job_digest
from listing_media_dagster.gpu.job import BadJob, JobFolder, JobResult, ModelJob, Needs
from listing_media_dagster.gpu.routes.route import JobCancelled, Listener, RouteFailed, RouteReport
from listing_media_dagster.listing import fingerprint
from listing_media_dagster.settings import Settings
from listing_media_dagster.store.media_store import MediaStore, StoreError

if TYPE_CHECKING:
    from celery import Celery

HANDLE = "job"
_LISTENS_SECONDS = 0.5
_TICKET_LOST_SECONDS = 900.0
"""A job that waits for so long gets another ticket; the one too many is dropped when it comes up."""


def open_route(at: Settings) -> CeleryRoute:
    from listing_media_dagster.store.photo_sets import MediaStoreResource

    return CeleryRoute(at.broker.get_secret_value() if at.broker else "", MediaStoreResource().store)


def least_vram(needs: Needs) -> float:
    """Return the GPU memory in GB that a worker must have: anything above 0 means a GPU."""
    return max(needs.vram_gb, 0.1 if needs.gpu == "required" else 0.0)


def ticket_for(folder: JobFolder) -> Ticket:
    """Name a job by its id and content: the same job put up again, by whatever attempt, is the one that is there."""
    job, digest = folder.job, job_digest(folder)
    alike = job.model_dump(mode="json", exclude={"id", "items", "needs"})
    return Ticket(f"{job.id}-{digest[:16]}", digest, fingerprint(**alike))


@dataclass(frozen=True)
class CeleryRoute:
    """`broker_seconds` is how long Redis may be away in the middle of a job, `worker_seconds` how long a job waits
    without a worker being there; both end in a failure that may be tried again.
    """

    broker: str = field(repr=False)
    store: Callable[[], MediaStore]
    lease_seconds: float = 30.0
    broker_seconds: float = 300.0
    worker_seconds: float = 300.0
    name: str = "celery"
    is_remote: bool = True

    @cached_property
    def board(self) -> Board:
        return Board(self.broker, self.lease_seconds)

    @cached_property
    def app(self) -> Celery:
        return make_app(self.broker)

    def refusal(self, needs: Needs, job: ModelJob | None = None) -> str | None:
        if not self.broker:
            return "LISTING_MEDIA_BROKER names no broker"
        try:
            make_app(self.broker)
            sizes = [worker.vram_gb for worker in self.board.workers()]
        except ModuleNotFoundError:
            return "Celery isn't installed: pip install 'listing-media-dagster[production]'"
        except (BrokerDown, ValueError) as unusable:
            return str(unusable)
        if not sizes:
            return f"no worker has been there for {self.lease_seconds:.0f} s: start one with `listing-media gpu-worker`"
        if max(sizes) < needs.vram_gb:
            return f"{needs.vram_gb:g} GB of GPU memory are needed; the largest worker has {max(sizes):.1f}"
        if max(sizes) < least_vram(needs):
            return "a GPU is required, and the workers that are there have none"
        return None

    def run(self, folder: JobFolder, listener: Listener, known: dict[str, Any] | None = None) -> RouteReport:
        ticket = ticket_for(folder)
        errand = _Errand(self, folder, listener, ticket, Shelf(self.store(), ticket.name))
        try:
            return errand.run(is_known=known == {HANDLE: ticket.name})
        except BrokerDown as down:
            raise RouteFailed(str(down), may_succeed_later=True) from None
        except StoreError as failed:
            raise RouteFailed(str(failed), may_succeed_later=True) from failed


@dataclass
class _Errand:
    """One job on its way through the queue and back."""

    route: CeleryRoute
    folder: JobFolder
    listener: Listener
    ticket: Ticket
    shelf: Shelf
    told: str = "0"
    here: set[str] = field(default_factory=set)

    def run(self, *, is_known: bool) -> RouteReport:
        began = time.monotonic()
        if not is_known:
            self.listener.remember({HANDLE: self.ticket.name})
        try:
            self._put_up()
            started = self._wait(began)
            result = self._collect()
        except JobCancelled:
            self._cancel()
            raise
        return RouteReport(
            device=", ".join(sorted({item.device for item in result.items})),
            queue_seconds=started - began,
            run_seconds=time.monotonic() - started,
            peak_memory_mb=max(item.peak_memory_mb for item in result.items),
        )

    def _put_up(self) -> None:
        self.shelf.put_up(self.folder, self.listener.stop_if_cancelled)
        if self._asked(lambda: self.board.offer(self.ticket)):
            self._send()
            self.listener.say(f"job {self.ticket.name} waits for a warm worker")
        else:
            # An earlier attempt put it up, and may have died before its ticket was in the queue.
            if self._asked(lambda: self.board.put_back(self.ticket)):
                self._send()
            self.listener.say(f"job {self.ticket.name} is with the warm workers already")

    def _send(self) -> None:
        needs = least_vram(self.folder.job.needs)
        sizes = [worker.vram_gb for worker in self._asked(self.board.workers)]
        self._asked(lambda: send_ticket(self.route.app, self.ticket, queue_for(needs, sizes)))

    def _wait(self, began: float) -> float:
        """Wait until the job is done, and return when it was taken in hand (of `time.monotonic`)."""
        started: float | None = None
        missed_since: float | None = None
        worker = ""
        while True:
            self.listener.stop_if_cancelled()
            self._listen()
            status: Status | None = self._asked(lambda: self.board.status(self.ticket.name))
            if status is not None and status.state == "done":
                return started or time.monotonic()
            if status is not None and status.state in ("failed", "cancelled"):
                by_others = status.state == "cancelled"
                reason = "it was cancelled by somebody else" if by_others else status.reason
                raise RouteFailed(reason, may_succeed_later=status.again or by_others)
            if status is not None and status.held:
                started = started or time.monotonic()
                missed_since = None
                if status.worker != worker:
                    worker = status.worker
                    self.listener.say(f"worker {worker} has it in hand")
                continue
            missed_since = missed_since or time.monotonic()
            missed = time.monotonic() - missed_since
            # A worker that lives but that Redis forgot says so again before long.
            lost = status is None or status.state == "running"
            if missed > (self.route.lease_seconds / 2 if lost else _TICKET_LOST_SECONDS):
                missed_since = None
                self._put_up_again()
            elif not lost:
                self._give_up_without_workers(missed)

    def _put_up_again(self) -> None:
        if self._asked(lambda: self.board.put_back(self.ticket)):
            self._send()
            self.listener.say("its worker is gone, or the broker forgot it: it is put up again")

    def _give_up_without_workers(self, missed: float) -> None:
        if missed > self.route.worker_seconds and not self._asked(self.board.workers):
            self._cancel()
            raise RouteFailed(f"no warm worker has been there for {missed:.0f} s", may_succeed_later=True)

    def _listen(self, wait_seconds: float = _LISTENS_SECONDS) -> None:
        """Pass on what the worker tells; a finished item is fetched at once."""
        for each in self._asked(lambda: self.board.happenings(self.ticket.name, self.told, wait_seconds)):
            self.told = each.after
            if each.line:
                self.listener.say(each.line)
            if each.item and each.item not in self.here and self.shelf.fetch_item(self.folder, each.item):
                self.here.add(each.item)
                self.listener.item_done(each.item)

    def _collect(self) -> JobResult:
        self._listen(0)
        try:
            result = self.shelf.fetch_result(self.folder, self.listener.stop_if_cancelled)
        except BadJob as damaged:
            self._asked(lambda: self.board.forget(self.ticket.name))
            raise RouteFailed(f"what the worker gave is damaged: {damaged}", may_succeed_later=True) from None
        for item in result.items:
            if item.item_id not in self.here:
                self.listener.item_done(item.item_id)
        # In this order: a second ticket that comes late finds the job done, or finds nothing.
        self.shelf.clear()
        self._asked(lambda: self.board.forget(self.ticket.name))
        return result

    def _cancel(self) -> None:
        """Have the job stopped, wait until nobody works on it, and keep what was finished."""
        name = self.ticket.name
        with contextlib.suppress(BrokerDown):  # whoever has it finishes it for nobody
            self.board.cancel(name)
            while (status := self.board.status(name)) and status.held:
                self._listen()
            self._listen(0)
            if status is not None and status.state == "done":
                self.board.forget(name)
        with contextlib.suppress(StoreError):  # what stays there is in nobody's way
            self.shelf.clear()

    @property
    def board(self) -> Board:
        return self.route.board

    def _asked(self, call: Callable[[], Any]) -> Any:
        return keep_trying(call, self.route.broker_seconds)
