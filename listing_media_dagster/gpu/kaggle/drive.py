"""Driving a shipment: stage by stage from the upload to the clearing away, by whoever holds its lock.

Each stage is recorded before it begins and can be begun again: what it would make is looked for first.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from listing_media_dagster.gpu.job import ItemResult
from listing_media_dagster.gpu.kaggle.cargo import write_dataset, write_kernel
from listing_media_dagster.gpu.kaggle.client import KaggleClient, KaggleError, KernelState, Pushed
from listing_media_dagster.gpu.kaggle.fetch import BadOutput, Fetched, fetch_results
from listing_media_dagster.gpu.kaggle.outbox import Event, Outbox, Outcome
from listing_media_dagster.gpu.kaggle.session_log import SessionLog
from listing_media_dagster.gpu.kaggle.shipment import MACHINE_SHAPE, Limits, Shipment, Stage, learned_pace

UNWATCHED = "UNWATCHED"
"""Stands for the state of a session while Kaggle doesn't answer."""
SESSIONS_TAKEN = "session count"
"""Part of "Maximum batch GPU session count of 2 reached.", which comes with status 200."""


class ShipmentFailed(Exception):
    """A shipment came to nothing; `str()` says why, `may_succeed_later` whether another attempt makes sense."""

    def __init__(self, reason: str, *, may_succeed_later: bool) -> None:
        super().__init__(reason)
        self.may_succeed_later = may_succeed_later


@dataclass(frozen=True)
class Patience:
    """Pauses and limits, in seconds."""

    tick: float = 1.0
    poll: float = 45.0
    poll_dataset: float = 10.0
    dataset_ready: float = 1800.0
    free_session: float = 3 * 3600.0
    queue: float = 6 * 3600.0
    overtime: float = 900.0
    lost_push: float = 15.0
    unseen: float = 180.0
    fetch_tries: int = 5


@dataclass
class Drive:
    """One shipment in the hands of this process. `tick` is called often; what it raises ends the drive at once."""

    client: KaggleClient
    outbox: Outbox
    shipment: Shipment
    limits: Limits
    patience: Patience
    tick: Callable[[], None]
    now: Callable[[], float] = time.time
    _log: SessionLog = field(init=False)
    _resumed: Stage | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self._log = SessionLog(self.client, self.shipment.ref, told=self.shipment.log_lines)

    def run(self) -> None:
        """Take the shipment to its end from wherever it is: afterwards every ticket of it has its outcome."""
        steps = {
            Stage.UPLOADING: self._upload,
            Stage.PREPARING: self._wait_until_ready,
            Stage.PUSHING: self._push,
            Stage.RUNNING: self._watch,
            Stage.FETCHING: self._fetch,
        }
        self._resumed = self.shipment.stage
        try:
            while self.shipment.stage in steps:
                stage = self.shipment.stage
                steps[stage]()
                self._resumed = None
        except ShipmentFailed as failed:
            self._fail(str(failed), may_succeed_later=failed.may_succeed_later)
        except KaggleError as error:
            self._fail(f"{error} (while {self.shipment.stage})", may_succeed_later=error.is_passing)
        self._clear()

    def abandon(self) -> None:
        """Delete kernel and dataset of a shipment whose results nobody wants any more."""
        was = self.shipment.stage
        if was in (Stage.PUSHING, Stage.RUNNING):
            at_latest = (self.shipment.running_since or self.now()) + self.shipment.timeout_seconds
            self._say(
                "cancelled: the kernel is deleted. Kaggle has no call that stops a session, and whether deleting its"
                f" kernel does isn't documented; at the latest it ends at {_clock(at_latest)} by its time limit"
            )
        if was in (Stage.UPLOADING, Stage.PUSHING):
            self.pause(self.patience.lost_push)  # the last request may still be on its way
        self._clear()

    # --- stages

    def _upload(self) -> None:
        with tempfile.TemporaryDirectory(prefix="listing-media-kaggle-") as scratch:
            bundles = {
                ticket.id: bundle
                for ticket in self.shipment.tickets
                if (bundle := self.outbox.ticket_folder(ticket.id) / "bundle.zip").exists()
                and not self.outbox.is_cancelled(ticket.id)
            }
            if not bundles:
                raise ShipmentFailed("none of its jobs is waited for any more", may_succeed_later=True)
            write_dataset(Path(scratch), self.shipment, bundles, self.limits)
            size = sum(path.stat().st_size for path in Path(scratch).iterdir())
            self._say(f"uploading {size / 1e6:.1f} MB for {len(bundles)} jobs as private dataset {self.shipment.ref}")
            self.client.create_dataset(Path(scratch), self.shipment.ref)
        self._go_on(Stage.PREPARING)

    def _wait_until_ready(self) -> None:
        began = self.now()
        while (status := self.client.dataset_status(self.shipment.ref)) != "READY":
            if status in ("FAILED", "DELETED"):
                raise ShipmentFailed(f"it couldn't take {self.shipment.ref}: {status}", may_succeed_later=True)
            if self.now() - began > self.patience.dataset_ready:
                waited = self.patience.dataset_ready / 60
                raise ShipmentFailed(
                    f"dataset {self.shipment.ref} still isn't ready after {waited:.0f} minutes ({status or 'absent'})",
                    may_succeed_later=True,
                )
            self.pause(self.patience.poll_dataset)
        self._go_on(Stage.PUSHING)

    def _push(self) -> None:
        if self._resumed is Stage.PUSHING and self._was_pushed():
            self._say(f"kernel {self.shipment.ref} was pushed before: going on with it")
            return self._go_on(Stage.RUNNING, pushed_at=self.now())
        began = self.now()
        while True:
            try:
                pushed = self._push_once()
                break
            except KaggleError as error:
                if SESSIONS_TAKEN not in str(error):
                    self._refuse_push(error)
                if self.now() - began > self.patience.free_session:
                    raise ShipmentFailed(f"no GPU session came free: {error}", may_succeed_later=True) from error
            self._say("all GPU sessions of this account are taken; waiting for one")
            self.pause(self.patience.poll)
        if pushed.version not in (None, 1):
            self._say(f"this is version {pushed.version} of the kernel: an earlier session of it may be running too")
        self._say(f"kernel pushed: {pushed.url or self.shipment.ref}")
        return self._go_on(Stage.RUNNING, pushed_at=self.now(), url=pushed.url)

    def _push_once(self) -> Pushed:
        with tempfile.TemporaryDirectory(prefix="listing-media-kaggle-") as scratch:
            write_kernel(Path(scratch), self.shipment, self.limits)
            return self.client.push_kernel(
                Path(scratch),
                self.shipment.ref,
                timeout_seconds=self.shipment.timeout_seconds,
                machine_shape=MACHINE_SHAPE,
            )

    def _refuse_push(self, error: KaggleError) -> None:
        if error.kind in ("refused", "invalid sources"):
            raise ShipmentFailed(str(error), may_succeed_later=error.kind == "invalid sources") from error
        raise error

    def _was_pushed(self) -> bool:
        """Return whether the kernel is there: the one that pushed it may have died before it heard so."""
        if self.client.kernel_state(self.shipment.ref) is not None:
            return True
        self.pause(self.patience.lost_push)  # its last request may still be on its way
        return self.client.kernel_state(self.shipment.ref) is not None

    def _watch(self) -> None:
        last_seen = self.now()
        while True:
            try:
                state = self.client.kernel_state(self.shipment.ref)
            except KaggleError as error:
                if not error.is_passing:
                    raise
                self._say(f"no answer ({error}); the session goes on unwatched")
                state = KernelState(UNWATCHED)
            if state is None:
                # What is new may not be found for a while; what stays away was deleted.
                if self.now() - last_seen > self.patience.unseen:
                    raise ShipmentFailed(f"kernel {self.shipment.ref} was deleted on Kaggle", may_succeed_later=False)
                self.pause(self.patience.poll)
                continue
            last_seen = self.now()
            if state.status not in ("QUEUED", UNWATCHED) and self.shipment.running_since is None:
                self._go_on(Stage.RUNNING, running_since=self.now())
                self._say(f"session running, for {self.shipment.timeout_seconds / 60:.0f} minutes at most")
            self._tell_log()
            if state.status == "COMPLETE":
                return self._go_on(Stage.FETCHING)
            if state.status in ("ERROR", "CANCEL_REQUESTED", "CANCEL_ACKNOWLEDGED"):
                raise self._ended(state)
            self._check_time()
            self._log.mend()
            self.pause(self.patience.poll)

    def _check_time(self) -> None:
        since, limit = self.shipment.running_since, self.shipment.timeout_seconds + self.patience.overtime
        if since is not None and self.now() - since > limit:
            raise ShipmentFailed("the session outlasted its time limit and was given up", may_succeed_later=True)
        pushed = self.shipment.pushed_at or self.shipment.created_at
        if since is None and self.now() - pushed > self.patience.queue:
            hours = self.patience.queue / 3600
            raise ShipmentFailed(f"the kernel was still queued after {hours:.1f} hours", may_succeed_later=True)

    def _ended(self, state: KernelState) -> ShipmentFailed:
        """Return what to make of a session that ended without success, with the end of its log."""
        self._tell_rest_of_log(self._stored_log())
        ran = self.now() - (self.shipment.running_since or self.now())
        out_of_time = ran >= 0.95 * self.shipment.timeout_seconds or "maximum" in state.failure.lower()
        if out_of_time:
            why, again = f"ran into its time limit of {self.shipment.timeout_seconds / 60:.0f} minutes", True
        elif state.status == "ERROR":
            # What the script itself gave up on would be the same again.
            why, again = "ended with an error", not any("listing-media:" in line for line in self._log.tail)
        else:
            why, again = "was cancelled on Kaggle", False
        message = f": {state.failure}" if state.failure else ""
        tail = "\n".join(self._log.tail)
        log = f"\nEnd of its log:\n{tail}" if tail else "; its log couldn't be had"
        return ShipmentFailed(f"the session on Kaggle {why}{message}{log}", may_succeed_later=again)

    def _fetch(self) -> None:
        place = self.outbox.shipment_folder(self.shipment.id) / "results"
        for attempt in range(self.patience.fetch_tries):
            try:
                outputs = self.client.outputs(self.shipment.ref)
                self._tell_rest_of_log(outputs.log)
                fetched = fetch_results(outputs.files, self.shipment.id, place, self.tick)
                break
            except (BadOutput, KaggleError) as bad:
                if isinstance(bad, KaggleError) and not bad.is_passing:
                    raise
                if attempt + 1 == self.patience.fetch_tries:
                    raise ShipmentFailed(f"results of {self.shipment.ref}: {bad}", may_succeed_later=True) from bad
                pause = self.client.back_off.pause(attempt, None)
                self._say(f"{bad}; fetching it again in {pause:.0f} s")
                self.pause(pause)
        self._hand_out(fetched)
        self._go_on(Stage.CLEARING)

    def _hand_out(self, fetched: Fetched) -> None:
        manifest, shipment = fetched.manifest, self.shipment
        results = {ticket.id: _results(fetched.folder / ticket.id) for ticket in shipment.tickets}
        worked = sum(result.seconds for each in results.values() for result in each)
        pace = self.outbox.pace()
        for ticket in shipment.tickets:
            if self.outbox.outcome(ticket.id) is not None:
                continue  # handed out before whoever drove then was gone
            seconds = sum(result.seconds for result in results[ticket.id])
            share = seconds / worked if worked else 1 / len(shipment.tickets)
            outcome = Outcome(
                outcome="returned",
                reason=manifest.errors.get(ticket.id, ""),
                device=manifest.device,
                queue_seconds=max(0.0, (shipment.running_since or self.now()) - ticket.submitted_at),
                run_seconds=manifest.seconds,
                gpu_hours=manifest.seconds * share / 3600,
                session=shipment.ref,
            )
            place = fetched.folder / ticket.id
            place.mkdir(exist_ok=True)
            self.outbox.conclude(ticket.id, outcome, place)
            if results[ticket.id] and not ticket.steps:  # a chain's seconds are of all its steps together
                pace = learned_pace(pace, ticket.parts[0].pace_key, seconds / len(results[ticket.id]))
        self.outbox.keep_pace(pace)

    def _fail(self, reason: str, *, may_succeed_later: bool) -> None:
        self._say(reason)
        for ticket in self.shipment.tickets:
            outcome = Outcome(outcome="failed", reason=reason, may_succeed_later=may_succeed_later)
            self.outbox.conclude(ticket.id, outcome)

    def _clear(self) -> None:
        """Delete kernel and dataset; what can't be deleted now stays recorded, and a later job's driver tries again."""
        self._go_on(Stage.CLEARING)
        try:
            self.client.delete_kernel(self.shipment.ref)
            self.client.delete_dataset(self.shipment.ref)
        except KaggleError as error:
            self._say(f"kernel and dataset {self.shipment.ref} couldn't be deleted yet: {error}")
            return
        self.outbox.close(self.shipment.id)

    # --- what is recorded and told

    def pause(self, seconds: float) -> None:
        """Wait, telling what the session's log says meanwhile."""
        until = time.monotonic() + seconds
        while True:
            self.tick()
            self._tell_log()
            left = until - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(self.patience.tick, left))

    def _go_on(self, stage: Stage, **facts: object) -> None:
        self.shipment = self.outbox.record(self.shipment.model_copy(update={"stage": stage, **facts}))

    def _say(self, line: str) -> None:
        self.outbox.tell(self.shipment.id, [Event(line=line)])
        self.tick()

    def _tell_log(self) -> None:
        if self.shipment.stage is Stage.RUNNING and self.shipment.running_since is not None:
            self._tell(self._log.new_events())

    def _tell_rest_of_log(self, whole: tuple[str, ...]) -> None:
        self._tell(self._log.rest(whole))

    def _tell(self, events: list[Event]) -> None:
        self.outbox.tell(self.shipment.id, events)
        if self._log.told > self.shipment.log_lines:
            self._go_on(self.shipment.stage, log_lines=self._log.told)

    def _stored_log(self) -> tuple[str, ...]:
        try:
            return self.client.outputs(self.shipment.ref).log
        except KaggleError:
            return ()


def clear_leftovers(client: KaggleClient, outbox: Outbox) -> None:
    """Delete from Kaggle what ended shipments left there because it couldn't be deleted then."""
    for shipment in outbox.shipments():
        if shipment.stage is not Stage.CLEARING:
            continue
        with outbox.driving(shipment.id) as mine:
            if mine:
                try:
                    client.delete_kernel(shipment.ref)
                    client.delete_dataset(shipment.ref)
                except KaggleError:
                    return
                outbox.close(shipment.id)


def _results(ticket: Path) -> list[ItemResult]:
    found = []
    for path in sorted((ticket / "outputs").glob("*/item.json")):
        try:
            found.append(ItemResult.model_validate_json(path.read_bytes()))
        except ValueError:
            continue
    return found


def _clock(at: float) -> str:
    return datetime.fromtimestamp(at).astimezone().strftime("%H:%M")
