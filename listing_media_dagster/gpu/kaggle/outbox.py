"""The outbox: a folder where jobs wait for Kaggle and shipments are recorded, shared by all runs of this machine.

    tickets/<id>/       ticket.json, bundle.zip; lock (held by whoever waits for it); cancelled; outcome.json, returned/
    shipments/<id>/     shipment.json, events.jsonl; lock (held by whoever drives it)
    lock                held while tickets are chosen for a shipment
    pace.json           seconds an item took, by kind of work and model

Nobody has to stay alive: a lock falls with its process, and what is recorded is recorded before it is done.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from listing_media_dagster.gpu.file_lock import lock_if_free
from listing_media_dagster.gpu.job import JobFolder, pack
from listing_media_dagster.gpu.kaggle.shipment import Shipment, Ticket
from listing_media_dagster.listing import Noun

_SECONDS_BETWEEN_TRIES = 0.5


class Outcome(Noun):
    """What became of a ticket. "returned": its items' results lie in `returned/`, as many as the session got done."""

    outcome: Literal["returned", "failed"]
    reason: str = ""
    may_succeed_later: bool = True
    device: str = ""
    queue_seconds: float = 0.0
    run_seconds: float = 0.0
    gpu_hours: float = 0.0
    session: str = ""


class Event(Noun):
    """What is told of a shipment: a line for people, or an item of one of its tickets that is done."""

    line: str = ""
    ticket: str = ""
    item: str = ""


@dataclass
class EventTail:
    """Reads a shipment's events as they are written, each once."""

    path: Path
    _at: int = field(default=0, init=False)

    def new_events(self) -> list[Event]:
        try:
            with self.path.open("rb") as file:
                file.seek(self._at)
                lines = file.read().splitlines(keepends=True)
        except FileNotFoundError:
            return []
        whole = [line for line in lines if line.endswith(b"\n")]
        self._at += sum(map(len, whole))
        return [event for line in whole if (event := _event(line))]


def _event(line: bytes) -> Event | None:
    """Return the event of a line; None for what a process that was killed in the middle of writing left."""
    try:
        return Event.model_validate_json(line)
    except ValidationError:
        return None


@dataclass(frozen=True)
class Outbox:
    root: Path

    # --- tickets

    def submit(self, ticket: Ticket, folder: JobFolder) -> None:
        """Put a job in, all of it or nothing."""
        place = self.ticket_folder(ticket.id)
        coming = place.with_name(f".{ticket.id}.{os.getpid()}")
        shutil.rmtree(coming, ignore_errors=True)
        coming.mkdir(parents=True)
        pack(folder, coming / "bundle.zip")
        (coming / "ticket.json").write_text(ticket.model_dump_json())
        coming.rename(place)

    def ticket(self, ticket_id: str) -> Ticket | None:
        return _read(Ticket, self.ticket_folder(ticket_id) / "ticket.json")

    def ticket_folder(self, ticket_id: str) -> Path:
        return self.root / "tickets" / ticket_id

    def waiting(self) -> list[Ticket]:
        """Return the tickets in no shipment that somebody is waiting for."""
        shipped = {ticket.id for shipment in self.shipments() for ticket in shipment.tickets}
        found = [self.ticket(place.name) for place in self._folders("tickets")]
        return [
            ticket
            for ticket in found
            if ticket is not None
            and ticket.id not in shipped
            and not self.is_cancelled(ticket.id)
            and self.outcome(ticket.id) is None
            and _is_locked(self.ticket_folder(ticket.id) / "lock")
        ]

    @contextmanager
    def waiting_for(self, ticket_id: str, stop_if_cancelled: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Say, for as long as the block lasts, that somebody waits for the ticket: others ship only such ones.

        One at a time: whoever comes while another does waits until that one has gone, or until it is cancelled.
        """
        place = self.ticket_folder(ticket_id)
        while True:
            with _locked(place / "lock") as mine:
                if mine or not place.exists():
                    yield
                    return
            stop_if_cancelled()
            time.sleep(_SECONDS_BETWEEN_TRIES)

    def cancel(self, ticket_id: str) -> None:
        (self.ticket_folder(ticket_id) / "cancelled").touch()

    def is_cancelled(self, ticket_id: str) -> bool:
        """Return whether nobody wants the ticket's results any more."""
        place = self.ticket_folder(ticket_id)
        return not place.exists() or (place / "cancelled").exists()

    def outcome(self, ticket_id: str) -> Outcome | None:
        return _read(Outcome, self.ticket_folder(ticket_id) / "outcome.json")

    def conclude(self, ticket_id: str, outcome: Outcome, returned: Path | None = None) -> None:
        """Hand a ticket its outcome and move in what the session `returned`; nothing happens if it is gone."""
        place = self.ticket_folder(ticket_id)
        if not place.exists():
            return
        if returned is not None:
            shutil.rmtree(place / "returned", ignore_errors=True)
            shutil.move(returned, place / "returned")
        _write(place / "outcome.json", outcome.model_dump_json())

    def discard(self, ticket_id: str) -> None:
        shutil.rmtree(self.ticket_folder(ticket_id), ignore_errors=True)

    def discard_abandoned(self, before: float) -> None:
        """Throw away what was handed in `before` (seconds since 1970), is in no shipment and nobody waits for."""
        shipped = {ticket.id for shipment in self.shipments() for ticket in shipment.tickets}
        for place in self._folders("tickets"):
            ticket = self.ticket(place.name)
            if place.name not in shipped and ticket is not None and ticket.submitted_at < before:
                with _locked(place / "lock") as free:
                    if free:
                        self.discard(place.name)

    # --- shipments

    def shipments(self) -> list[Shipment]:
        found = [_read(Shipment, place / "shipment.json") for place in self._folders("shipments")]
        return [shipment for shipment in found if shipment is not None]

    def shipment(self, shipment_id: str) -> Shipment | None:
        return _read(Shipment, self.shipment_folder(shipment_id) / "shipment.json")

    def shipment_of(self, ticket_id: str) -> Shipment | None:
        return next((each for each in self.shipments() if any(one.id == ticket_id for one in each.tickets)), None)

    def shipment_folder(self, shipment_id: str) -> Path:
        return self.root / "shipments" / shipment_id

    def record(self, shipment: Shipment) -> Shipment:
        """Keep the shipment as it is now, durably before this returns."""
        place = self.shipment_folder(shipment.id)
        place.mkdir(parents=True, exist_ok=True)
        _write(place / "shipment.json", shipment.model_dump_json())
        return shipment

    def events(self, shipment_id: str) -> EventTail:
        return EventTail(self.shipment_folder(shipment_id) / "events.jsonl")

    def tell(self, shipment_id: str, events: Sequence[Event]) -> None:
        place = self.shipment_folder(shipment_id)
        if events and place.exists():
            with (place / "events.jsonl").open("a") as file:
                file.write("".join(f"{event.model_dump_json(exclude_defaults=True)}\n" for event in events))

    def close(self, shipment_id: str) -> None:
        shutil.rmtree(self.shipment_folder(shipment_id), ignore_errors=True)

    @contextmanager
    def driving(self, shipment_id: str) -> Iterator[bool]:
        """Give True to the one who may drive the shipment until the block ends, False to everybody else."""
        place = self.shipment_folder(shipment_id)
        if not place.exists():
            yield False
            return
        with _locked(place / "lock") as mine:
            yield mine and place.exists()

    @contextmanager
    def choosing(self) -> Iterator[bool]:
        """Give True to the one who may make shipments of waiting tickets until the block ends."""
        self.root.mkdir(parents=True, exist_ok=True)
        with _locked(self.root / "lock") as mine:
            yield mine

    # --- what was learned

    def pace(self) -> dict[str, float]:
        return {key: float(value) for key, value in self._kept("pace.json").items()}

    def keep_pace(self, pace: dict[str, float]) -> None:
        _write(self.root / "pace.json", json.dumps(pace))

    def kept_quota(self) -> dict[str, Any]:
        return self._kept("quota.json")

    def keep_quota(self, quota: dict[str, Any]) -> None:
        self.root.mkdir(parents=True, exist_ok=True)
        _write(self.root / "quota.json", json.dumps(quota))

    def _kept(self, name: str) -> dict[str, Any]:
        try:
            return dict(json.loads((self.root / name).read_bytes()))
        except (OSError, ValueError):
            return {}

    def _folders(self, kind: str) -> list[Path]:
        place = self.root / kind
        return sorted(path for path in place.iterdir() if path.name[0] != ".") if place.exists() else []


def _read(noun: type[Any], path: Path) -> Any:
    try:
        return noun.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def _write(path: Path, text: str) -> None:
    # A name of its own: steps of one run drive sessions on threads of one process.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    with temporary.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


@contextmanager
def _locked(path: Path) -> Iterator[bool]:
    """Hold the lock `path`; give whether it was to be had."""
    with ExitStack() as held:
        try:
            file = held.enter_context(path.open("a"))
        except FileNotFoundError:
            yield False
            return
        yield lock_if_free(file.fileno())


def _is_locked(path: Path) -> bool:
    with _locked(path) as free:
        return not free and path.exists()
