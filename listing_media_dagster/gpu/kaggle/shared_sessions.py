"""Jobs on Kaggle: handed in one by one, shipped together, awaited by whoever handed them in.

No process has to live for longer than its own job: any of those who wait chooses what is shipped next and drives it,
and if it dies another one, or its own next attempt, goes on where it was.
"""

from __future__ import annotations

import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from listing_media_dagster.gpu.job import BadJob, JobFolder, ModelJob, Needs
from listing_media_dagster.gpu.kaggle.client import BackOff, KaggleClient, KaggleError, Quota
from listing_media_dagster.gpu.kaggle.drive import Drive, Patience, clear_leftovers
from listing_media_dagster.gpu.kaggle.fetch import take_in
from listing_media_dagster.gpu.kaggle.outbox import EventTail, Outbox, Outcome
from listing_media_dagster.gpu.kaggle.shipment import (
    SHORTEST_SESSION,
    Limits,
    Shipment,
    Stage,
    Ticket,
    choose_tickets,
    estimate_seconds,
    session_timeout,
    why_too_little_time,
)
from listing_media_dagster.gpu.routes.route import JobCancelled, Listener, RouteFailed, RouteReport

MOST_SESSIONS_A_JOB = 6
QUOTA_IS_FRESH_SECONDS = 60.0
ABANDONED_SECONDS = 14 * 86400.0


@dataclass
class SharedSessions:
    """Kaggle as a place to have model jobs done. `environment` is the client's, with the credentials in it."""

    outbox: Outbox
    limits: Limits = field(default_factory=Limits)
    patience: Patience = field(default_factory=Patience)
    back_off: BackOff = field(default_factory=BackOff)
    environment: Mapping[str, str] | None = None
    now: Callable[[], float] = time.time

    def quota(self) -> Quota:
        """Return the week's GPU time, as Kaggle told it within the last minute. Raises `KaggleError`."""
        kept = self.outbox.kept_quota()
        if self.now() - kept.get("asked_at", 0.0) < QUOTA_IS_FRESH_SECONDS:
            return Quota(**kept["quota"])
        with self.client(back_off=BackOff(tries=3, first=1.0)) as client:
            quota = client.quota()
        self.outbox.keep_quota({"asked_at": self.now(), "quota": asdict(quota)})
        return quota

    def refusal(self, needs: Needs, job: ModelJob | None = None) -> str | None:
        """Return why Kaggle can't take such work now: signed out, GPU time spent, the next session full, no answer."""
        pace = self.outbox.pace()
        ticket = Ticket.of(job, "0" * 8, self.now()) if job else None
        try:
            quota = self.quota()
        except KaggleError as error:
            return f"its GPU time can't be asked for: {error}"
        needed = estimate_seconds([ticket], pace) if ticket else 0.0
        longest = min(float(self.limits.session_seconds), needed)
        if spent := why_too_little_time(quota.left_seconds, quota.allowed_seconds, longest):
            return spent
        running = len(self.running())
        waiting = self.outbox.waiting()
        is_full = estimate_seconds(waiting, pace) > 0.8 * self.limits.session_seconds if waiting else False
        if needs.gpu == "optional" and running >= self.limits.sessions and is_full:
            return f"{running} of {self.limits.sessions} sessions are running and the next one is full"
        return None

    def run(self, folder: JobFolder, listener: Listener, known: dict[str, Any] | None = None) -> RouteReport:
        """Have the job done: afterwards `folder.result()` holds. `known` is what an earlier attempt remembered.

        What a session left undone goes with the next one. Raises `RouteFailed`, `JobCancelled`.
        """
        outcomes: list[Outcome] = []
        left = {item.id for item in folder.job.items} - set(folder.done())
        while left:
            if len(outcomes) == MOST_SESSIONS_A_JOB:
                raise RouteFailed(f"Kaggle: unfinished after {len(outcomes)} sessions", may_succeed_later=True)
            errand = _Errand(self, folder, listener, frozenset(left), attempt=len(outcomes) + 1)
            outcome, taken = errand.run(None if outcomes else known)
            outcomes.append(outcome)
            if not taken:
                raise RouteFailed(f"Kaggle: {outcome.reason or 'nothing was done'}", may_succeed_later=True)
            left -= taken
            if left:
                listener.say(f"Kaggle: {len(left)} of {len(folder.job.items)} items are left ({outcome.reason}); again")
        return _report(folder, outcomes)

    @contextmanager
    def client(
        self,
        say: Callable[[str], None] = lambda line: None,
        while_waiting: Callable[[], None] = lambda: None,
        back_off: BackOff | None = None,
    ) -> Iterator[KaggleClient]:
        def sleep(seconds: float) -> None:
            until = time.monotonic() + seconds
            while (left := until - time.monotonic()) > 0:
                while_waiting()
                time.sleep(min(left, self.patience.tick))

        client = KaggleClient(
            self.environment, back_off=back_off or self.back_off, sleep=sleep, say=say, while_waiting=while_waiting
        )
        try:
            yield client
        finally:
            client.close()

    def make_shipment(self, client: KaggleClient) -> Shipment | None:
        """Choose from the waiting jobs what goes next and record it; None while there is nothing to choose yet.

        Raises `KaggleError`, also if the week's GPU time is spent.
        """
        with self.outbox.choosing() as mine:
            waiting = self.outbox.waiting() if mine else []
            if not waiting or self.all_sessions_are_taken():
                return None
            if self.now() - min(ticket.submitted_at for ticket in waiting) < self.limits.collect_seconds:
                return None
            clear_leftovers(client, self.outbox)
            self.outbox.discard_abandoned(before=self.now() - ABANDONED_SECONDS)
            quota, pace = client.quota(), self.outbox.pace()
            longest = min(float(self.limits.session_seconds), quota.left_seconds)
            if spent := why_too_little_time(quota.left_seconds, quota.allowed_seconds, SHORTEST_SESSION):
                raise KaggleError(spent, "quota")
            chosen = choose_tickets(waiting, longest, pace)
            shipment = Shipment(
                id=uuid.uuid4().hex[:12],
                owner=client.who_am_i().user,
                tickets=chosen,
                timeout_seconds=session_timeout(chosen, longest, pace),
                created_at=self.now(),
            )
            return self.outbox.record(shipment)

    def all_sessions_are_taken(self) -> bool:
        return len(self.running()) >= self.limits.sessions

    def running(self) -> list[Shipment]:
        return [shipment for shipment in self.outbox.shipments() if shipment.stage is not Stage.CLEARING]


@dataclass
class _Errand:
    """One job's way through one session: hand it in, see it shipped, take its results."""

    sessions: SharedSessions
    folder: JobFolder
    listener: Listener
    items: frozenset[str]
    attempt: int
    _tail: EventTail | None = field(default=None, init=False)
    _ticket: str = field(default="", init=False)
    _remembered: dict[str, Any] = field(default_factory=dict, init=False)
    _is_leaving: bool = field(default=False, init=False)

    @property
    def _outbox(self) -> Outbox:
        return self.sessions.outbox

    def run(self, known: dict[str, Any] | None) -> tuple[Outcome, set[str]]:
        """Return the outcome and the items that have results now. Raises `RouteFailed`, `JobCancelled`."""
        self._ticket = self._taken_up(known or {}) or self._handed_in()
        with self._outbox.waiting_for(self._ticket, self.listener.stop_if_cancelled):
            try:
                outcome = self._await()
            except JobCancelled:
                self._is_leaving = True
                self._leave()
                raise
        if outcome.outcome == "failed":
            self._outbox.discard(self._ticket)
            raise RouteFailed(f"Kaggle: {outcome.reason}", may_succeed_later=outcome.may_succeed_later)
        taken = take_in(self._outbox.ticket_folder(self._ticket) / "returned", self.folder)
        self._outbox.discard(self._ticket)
        return outcome, taken

    def _handed_in(self) -> str:
        """Put what is left of the job into the outbox, having remembered under which ticket."""
        ticket_id = uuid.uuid4().hex[:16]
        self._remember(ticket=ticket_id)
        with tempfile.TemporaryDirectory(prefix="listing-media-kaggle-") as scratch:
            rest = _part(self.folder, self.items, Path(scratch) / "job")
            ticket = Ticket.of(rest.job, ticket_id, self.sessions.now(), self.attempt)
            self._outbox.submit(ticket, rest)
        self.listener.say(f"Kaggle: {len(self.items)} items wait for a session")
        return ticket_id

    def _taken_up(self, known: dict[str, Any]) -> str | None:
        """Return the ticket of an earlier attempt if its work can be gone on with: here, or on Kaggle still."""
        ticket_id = str(known.get("ticket", ""))
        if not ticket_id.isalnum():
            return None
        if self._outbox.ticket(ticket_id) is not None and not self._outbox.is_cancelled(ticket_id):
            self._remembered = dict(known)
            self.listener.say("Kaggle: going on with what an earlier attempt began")
            return ticket_id
        try:
            shipment = Shipment.model_validate(known["shipment"])
            mine = tuple(ticket for ticket in shipment.tickets if ticket.id == ticket_id)
        except (KeyError, ValidationError):
            return None
        return self._adopted(shipment, mine[0]) if mine else None

    def _adopted(self, shipment: Shipment, ticket: Ticket) -> str | None:
        """Take up a session that this machine's outbox knows nothing of, from what the run remembered of it.

        Other runs may do the same for their jobs in it.
        """
        try:
            with self.sessions.client(say=self.listener.say, while_waiting=self.listener.stop_if_cancelled) as client:
                state = client.kernel_state(shipment.ref)
                if state is None:
                    client.delete_dataset(shipment.ref)
                    return None
        except KaggleError as error:
            # Not begun anew: it may well be running, and be paid for twice then.
            raise RouteFailed(f"Kaggle: {error}", may_succeed_later=error.is_passing) from error
        self._outbox.submit(ticket, self.folder)
        if self._outbox.shipment(shipment.id) is None:
            pushed_at = shipment.pushed_at or self.sessions.now()
            found = {"stage": Stage.RUNNING, "pushed_at": pushed_at, "log_lines": 0}
            self._outbox.record(shipment.model_copy(update=found))
        self._remember(ticket=ticket.id, shipment=shipment.model_dump(mode="json"))
        self.listener.say(f"Kaggle: going on with session {shipment.ref}, which an earlier attempt started")
        return ticket.id

    def _await(self) -> Outcome:
        with self.sessions.client(say=self._say_client, while_waiting=self._tick) as client:
            while (outcome := self._outbox.outcome(self._ticket)) is None:
                self._tick()
                if self._outbox.ticket(self._ticket) is None:
                    raise RouteFailed(f"Kaggle: what waited in {self._outbox.root} is gone", may_succeed_later=True)
                shipment = self._outbox.shipment_of(self._ticket) or self._ship(client)
                if shipment is not None:
                    self._tell(shipment)
                    self._drive_if_nobody_does(shipment, client)
                time.sleep(self.sessions.patience.tick)
        self._tick()
        return outcome

    def _ship(self, client: KaggleClient) -> Shipment | None:
        """Return the shipment that this job goes with, if it is time to make one."""
        for other in self.sessions.running() if self.sessions.all_sessions_are_taken() else ():
            self._drive_if_nobody_does(other, client)  # or a place stays taken by those who died
        try:
            shipment = self.sessions.make_shipment(client)
        except KaggleError as error:
            self._outbox.discard(self._ticket)
            later = error.is_passing or error.kind == "quota"
            raise RouteFailed(f"Kaggle: {error}", may_succeed_later=later) from error
        # Those whose jobs are in it drive it: this one may go at the same time, in a session of its own.
        is_mine = shipment is not None and any(ticket.id == self._ticket for ticket in shipment.tickets)
        return shipment if is_mine else None

    def _drive_if_nobody_does(self, shipment: Shipment, client: KaggleClient) -> None:
        with self._outbox.driving(shipment.id) as mine:
            current = self._outbox.shipment(shipment.id) if mine else None
            if current is not None:
                self._drive(client, current).run()

    def _drive(self, client: KaggleClient, shipment: Shipment) -> Drive:
        own = self.sessions
        return Drive(client, own.outbox, shipment, own.limits, own.patience, self._tick, own.now)

    def _tell(self, shipment: Shipment) -> None:
        """Begin to listen to the shipment, and remember it before anything of it is awaited."""
        if self._tail is None:
            others = len(shipment.tickets) - 1
            shared = f", shared with {others} other job{'s' if others > 1 else ''}" if others else ""
            self._remember(ticket=self._ticket, shipment=shipment.model_dump(mode="json"))
            self.listener.say(f"Kaggle: session {shipment.ref}{shared}")
            self._tail = self._outbox.events(shipment.id)

    def _remember(self, **what: Any) -> None:
        self._remembered = {**what, "attempt": self.attempt}
        if "shipment" in what:
            ref = f"{what['shipment']['owner']}/listing-media-job-{what['shipment']['id']}"
            self._remembered |= {"dataset": ref, "kernel": ref}
        self.listener.remember(self._remembered)

    def _tick(self) -> None:
        """Pass on what is new and notice a cancellation; called often, whatever is being waited for."""
        for event in self._tail.new_events() if self._tail else ():
            if event.item:
                if event.ticket == self._ticket:
                    self.listener.item_done(event.item)
            elif event.ticket in ("", self._ticket):
                self.listener.say(f"Kaggle: {event.line}")
        if not self._is_leaving:
            self.listener.stop_if_cancelled()

    def _say_client(self, line: str) -> None:
        self.listener.say(line)

    def _leave(self) -> None:
        """Take the ticket back. The last one to leave a shipment ends it; while others want theirs it goes on."""
        self._outbox.cancel(self._ticket)
        shipment = self._outbox.shipment_of(self._ticket)
        if shipment is None:
            self._outbox.discard(self._ticket)
            return
        if not all(self._outbox.is_cancelled(ticket.id) for ticket in shipment.tickets):
            self.listener.say(
                "Kaggle: cancelled; other jobs share the session, so this one's items are still worked on there until"
                " it ends, and their results are thrown away"
            )
            return
        until = time.monotonic() + 10 * self.sessions.patience.tick
        while not self._abandoned(shipment) and time.monotonic() < until:
            time.sleep(self.sessions.patience.tick)

    def _abandoned(self, shipment: Shipment) -> bool:
        with self._outbox.driving(shipment.id) as mine:
            current = self._outbox.shipment(shipment.id)
            if current is None:
                return True
            if not mine:
                return False
            with self.sessions.client() as client:
                self._drive(client, current).abandon()
            for ticket in shipment.tickets:
                self._outbox.discard(ticket.id)
            return True


def _part(folder: JobFolder, items: frozenset[str], into: Path) -> JobFolder:
    """Write a job with only some of its items, and the inputs they need, to the folder `into`."""
    job = folder.job
    part = job.model_copy(update={"items": tuple(item for item in job.items if item.id in items)})
    wanted = [*part.inputs.values(), *(file for item in part.items for file in item.inputs.values())]
    return JobFolder.create(into, part, {file.path: folder.read(file) for file in wanted})


def _report(folder: JobFolder, sessions: list[Outcome]) -> RouteReport:
    try:
        result = folder.finish()
    except BadJob as bad:
        raise RouteFailed(f"Kaggle: {bad}", may_succeed_later=True) from bad
    used: dict[str, float | str] = {"kaggle_gpu_hours": round(sum(each.gpu_hours for each in sessions), 4)}
    if sessions:
        used["kaggle_session"] = sessions[-1].session
    return RouteReport(
        device=f"Kaggle, {sessions[-1].device}" if sessions else "Kaggle",
        queue_seconds=sum(each.queue_seconds for each in sessions),
        run_seconds=sum(each.run_seconds for each in sessions),
        peak_memory_mb=max(item.peak_memory_mb for item in result.items),
        used=used,
    )
