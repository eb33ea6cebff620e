"""Shipments: which waiting jobs share a session on Kaggle, how long it may last, what it and its parts are called.

Everything here is pure; `outbox` keeps it, `drive` acts on it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum

from pydantic import Field

from listing_media_dagster.gpu.job import ModelJob, Needs, WorkKind
from listing_media_dagster.gpu.work.chain_order import items_by_step
from listing_media_dagster.listing import Noun
from listing_media_dagster.models.hardware import Hardware

MACHINE_SHAPE = "NvidiaTeslaT4"
"""Two T4s. It is the only GPU machine that an ordinary account can ask for."""
GPUS = 2
T4_MEMORY_GB = 14.5
"""What of a T4's 16 GB a process can use."""
T4 = Hardware("cuda", "T4", 29.0, 16.0, T4_MEMORY_GB, (7, 5), fp16=True)
KAGGLES_LONGEST_SESSION = 12 * 3600
SHORTEST_SESSION = 20 * 60
START_UP_SECONDS = 240.0
MODEL_LOAD_SECONDS = 180.0
SECONDS_AN_ITEM = {
    WorkKind.STAGE: 90.0,
    WorkKind.ENHANCE: 60.0,
    WorkKind.DECLUTTER: 60.0,
    WorkKind.UPSCALE: 20.0,
    WorkKind.ANIMATE: 600.0,
    WorkKind.SCORE: 1.0,
    WorkKind.DEPTH: 2.0,
}
"""Guesses for a T4, used until sessions have shown the pace; they lean to the long side."""
DATASET = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,60}/[A-Za-z0-9][A-Za-z0-9-]{2,60}")
MODEL_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,60}(/[A-Za-z0-9][A-Za-z0-9._-]{0,80}){3}/[0-9]{1,6}")


class Stage(StrEnum):
    """How far a shipment is; recorded before the stage begins, so that whoever goes on knows what may have happened."""

    UPLOADING = "uploading"
    PREPARING = "waiting for the dataset"
    PUSHING = "pushing the kernel"
    RUNNING = "running"
    FETCHING = "fetching the results"
    CLEARING = "deleting dataset and kernel"


class Part(Noun):
    """What of a ticket's work is of one kind and done by one model."""

    kind: WorkKind
    model: str | None = None
    items: int = Field(gt=0)

    @property
    def pace_key(self) -> str:
        return f"{self.kind}/{self.model or 'embedded'}"


class Ticket(Noun):
    """A job that wants to be shipped. `attempt` counts the sessions it has been in, `steps` are those of a chain."""

    id: str = Field(pattern=r"^[a-z0-9]{8,40}$")
    job_id: str
    kind: WorkKind
    model: str | None = None
    items: int = Field(gt=0)
    needs: Needs = Needs()
    submitted_at: float
    attempt: int = Field(default=1, ge=1)
    steps: tuple[Part, ...] = ()

    @classmethod
    def of(cls, job: ModelJob, ticket_id: str, submitted_at: float, attempt: int = 1) -> Ticket:
        return cls(
            id=ticket_id,
            job_id=job.id,
            kind=job.kind,
            model=job.model.id if job.model else None,
            items=len(job.items),
            needs=job.needs,
            submitted_at=submitted_at,
            attempt=attempt,
            steps=_parts(job) if job.kind is WorkKind.CHAIN else (),
        )

    @property
    def parts(self) -> tuple[Part, ...]:
        return self.steps or (Part(kind=self.kind, model=self.model, items=self.items),)


def _parts(job: ModelJob) -> tuple[Part, ...]:
    return tuple(
        Part(kind=step.kind, model=step.model.id if step.model else None, items=items)
        for step, items in items_by_step(job)
    )


class Shipment(Noun):
    """One dataset, one kernel, one session: the tickets that travel together, and how far they are."""

    id: str = Field(pattern=r"^[a-z0-9]{8,20}$")
    owner: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,60}$")
    tickets: tuple[Ticket, ...] = Field(min_length=1)
    timeout_seconds: int = Field(gt=0)
    stage: Stage = Stage.UPLOADING
    created_at: float
    pushed_at: float | None = None
    running_since: float | None = None
    url: str = ""
    log_lines: int = 0
    """How many lines of the session's log have been told."""

    @property
    def slug(self) -> str:
        """The name of the dataset and of the kernel: Kaggle makes the same of `title`, and it is 6 to 50 long."""
        return f"listing-media-job-{self.id}"

    @property
    def title(self) -> str:
        return self.slug.replace("-", " ")

    @property
    def ref(self) -> str:
        return f"{self.owner}/{self.slug}"

    @property
    def work_seconds(self) -> float:
        """Return when work in the session must leave off, so that its results are packed before it ends."""
        return self.timeout_seconds - min(600.0, 0.2 * self.timeout_seconds)


class Limits(Noun):
    """What an installation lets sessions on Kaggle be and do."""

    session_seconds: int = Field(9 * 3600, gt=0, le=KAGGLES_LONGEST_SESSION)
    sessions: int = Field(2, ge=1)
    collect_seconds: float = Field(60.0, ge=0)
    internet: bool = False
    datasets: tuple[str, ...] = ()
    models: tuple[str, ...] = ()


def estimate_seconds(tickets: Iterable[Ticket], pace: Mapping[str, float]) -> float:
    """Return how long a session with these tickets is expected to take, start-up included.

    `pace` holds seconds an item by `Part.pace_key`, as measured; each model is loaded once, on both GPUs at a time.
    """
    parts = [part for ticket in tickets for part in ticket.parts]
    models = {part.model for part in parts if part.model}
    work = sum(math.ceil(part.items / GPUS) * pace.get(part.pace_key, SECONDS_AN_ITEM[part.kind]) for part in parts)
    return START_UP_SECONDS + MODEL_LOAD_SECONDS * len(models) + work


def choose_tickets(waiting: Sequence[Ticket], longest_seconds: float, pace: Mapping[str, float]) -> tuple[Ticket, ...]:
    """Return which of the `waiting` share the next session: the oldest, and all later ones that still fit.

    One that is too long for any session goes by itself; what it leaves undone goes with a later one.
    """
    chosen: list[Ticket] = []
    for ticket in sorted(waiting, key=lambda each: (each.submitted_at, each.id)):
        if not chosen or estimate_seconds([*chosen, ticket], pace) <= 0.8 * longest_seconds:
            chosen.append(ticket)
    return tuple(chosen)


def session_timeout(tickets: Iterable[Ticket], longest_seconds: float, pace: Mapping[str, float]) -> int:
    """Return the session's time limit in seconds: twice the estimate, so that one that hangs doesn't eat the quota."""
    generous = max(SHORTEST_SESSION, 2 * estimate_seconds(tickets, pace) + 600)
    return int(min(generous, longest_seconds))


def why_too_big(needs: Needs) -> str | None:
    """Return why such work can't be done on Kaggle's machines, None if it can."""
    if needs.vram_gb > T4_MEMORY_GB:
        return f"needs {needs.vram_gb:g} GB of VRAM; Kaggle's T4s have {T4_MEMORY_GB:g}"
    return None


def why_too_little_time(left_seconds: float, allowed_seconds: float, needed_seconds: float) -> str | None:
    """Return the refusal of work that the week's GPU time isn't enough for."""
    if left_seconds >= max(needed_seconds, SHORTEST_SESSION):
        return None
    return f"{left_seconds / 3600:.1f} of {allowed_seconds / 3600:.0f} GPU hours left"


def learned_pace(pace: Mapping[str, float], key: str, seconds_an_item: float) -> dict[str, float]:
    """Return `pace` with what a session showed; half of the old figure stays, so that one odd session counts little."""
    old = pace.get(key, seconds_an_item)
    return {**pace, key: round((old + seconds_an_item) / 2, 3)}
