"""The contract between the router and every way that model work can go."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from listing_media_dagster.gpu.job import JobFolder, ModelJob, Needs

URL = "url"
"""In what a route remembers, the address where people see its job: shown as a link with the run's events."""


class RouteFailed(Exception):
    """A job didn't come back; `str()` says why. `may_succeed_later` tells whether trying again makes sense."""

    def __init__(self, reason: str, *, may_succeed_later: bool) -> None:
        super().__init__(reason)
        self.may_succeed_later = may_succeed_later


class JobCancelled(Exception):
    """The job was stopped because its run was; what was finished stays in its folder."""


@dataclass(frozen=True)
class Listener:
    """How a route tells what it does, and is told to stop.

    `say` takes a line for people, `item_done` the id of each finished item, `remember` what a later attempt of the step
    needs to find an external job again (kept durably before it returns). `is_cancelled` is asked often.
    """

    say: Callable[[str], None] = lambda line: None
    item_done: Callable[[str], None] = lambda item_id: None
    remember: Callable[[dict[str, Any]], None] = lambda handle: None
    is_cancelled: Callable[[], bool] = lambda: False

    def stop_if_cancelled(self) -> None:
        """Raise `JobCancelled` if the run is being stopped."""
        if self.is_cancelled():
            raise JobCancelled


@dataclass(frozen=True)
class RouteReport:
    """What it took: seconds waited and worked, the device, VRAM peak, and what was used up (quota, money)."""

    device: str
    queue_seconds: float = 0.0
    run_seconds: float = 0.0
    peak_memory_mb: float = 0.0
    used: dict[str, float | str] = field(default_factory=dict)


class Route(Protocol):
    @property
    def name(self) -> str:
        """As LISTING_MEDIA_ROUTES names it."""
        ...

    @property
    def is_remote(self) -> bool:
        """True where the work is awaited rather than done here: other steps go on meanwhile."""
        ...

    def refusal(self, needs: Needs, job: ModelJob | None = None) -> str | None:
        """Return why such work can't be taken now, in words that say what would change it; None if it can.

        `job` is None while only the needs of a step are known: the answer is then for a job of any kind.
        """
        ...

    def run(self, folder: JobFolder, listener: Listener, known: dict[str, Any] | None = None) -> RouteReport:
        """Have the job done: afterwards `folder.result()` holds. `known` is what an earlier attempt remembered.

        Raises `RouteFailed`, or `JobCancelled` once nothing of the job is running any more.
        """
        ...
