"""The log of a session as it comes: what its lines mean to those who wait, each told once, whoever reads them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from listing_media_dagster.gpu.kaggle.client import KaggleClient, LogFollower
from listing_media_dagster.gpu.kaggle.outbox import Event

TAIL_LINES = 15
LONGEST_LINE = 500


@dataclass
class SessionLog:
    """The log of the kernel `ref`; the first `told` of its lines were told by whoever read it before."""

    client: KaggleClient
    ref: str
    told: int = 0
    tail: list[str] = field(default_factory=list)
    _follower: LogFollower | None = None
    _seen: int = 0

    def new_events(self) -> list[Event]:
        """Return what came since the last call, without waiting."""
        if self._follower is None:
            self._follower, self._seen = self.client.follow_log(self.ref), 0
        return [event for piece in self._follower.new_lines() for event in self._read(piece.splitlines())]

    def rest(self, whole: Sequence[str]) -> list[Event]:
        """Return what of the `whole` log, kept after the session's end, wasn't told yet."""
        self._seen = 0
        return self._read(whole)

    def mend(self) -> None:
        """Begin a stream that broke off again: it comes from the log's beginning."""
        if self._follower is not None and self._follower.is_over:
            self._follower = None

    def _read(self, lines: Sequence[str]) -> list[Event]:
        events = [read_line(line) for line in lines]
        new = events[max(0, self.told - self._seen) :]
        self._seen += len(lines)
        self.told = max(self.told, self._seen)
        self.tail = [*self.tail, *(event.line for event in events if event and event.line)][-TAIL_LINES:]
        return [event for event in new if event]


def read_line(line: str) -> Event | None:
    """Return what a line says: an item that is done, or words; a library's chatter is passed on as it is."""
    try:
        said = json.loads(line)
    except (ValueError, RecursionError):
        return Event(line=line.strip()[:LONGEST_LINE]) if line.strip() else None
    if not isinstance(said, dict):
        return None
    ticket = str(said.get("ticket", ""))
    if said.get("event") == "item":
        return Event(ticket=ticket, item=str(said.get("item", "")))
    return Event(line=str(said["text"])[:LONGEST_LINE], ticket=ticket) if said.get("text") else None
