"""A fake Kaggle for the module, and what a test needs to hand it jobs: small photos to enhance, little patience."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from listing_media_dagster.gpu.job import JobFolder, Needs
from listing_media_dagster.gpu.kaggle.client import BackOff, KaggleClient
from listing_media_dagster.gpu.kaggle.drive import Patience
from listing_media_dagster.gpu.kaggle.outbox import Outbox
from listing_media_dagster.gpu.kaggle.shared_sessions import SharedSessions
from listing_media_dagster.gpu.kaggle.shipment import Limits, Ticket
from listing_media_dagster.gpu.routes.route import Listener
from listing_media_dagster_tests.helpers.fake_kaggle import FakeKaggle, running_kaggle
from listing_media_dagster_tests.helpers.jobs import write_enhance_job

IMPATIENT = Patience(tick=0.05, poll=0.2, poll_dataset=0.1, lost_push=0.5)
"""With short pauses. Its limits are a person's: a busy machine never comes near them."""
AT_ONCE = BackOff(tries=5, first=0.02, longest=0.1)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeKaggle]:
    with running_kaggle(tmp_path_factory.mktemp("kaggle")) as kaggle:
        yield kaggle


@pytest.fixture
def kaggle(running: FakeKaggle) -> FakeKaggle:
    running.reset()
    return running


@pytest.fixture
def client(kaggle: FakeKaggle, tmp_path: Path) -> Iterator[KaggleClient]:
    client = KaggleClient(kaggle.client_environment(tmp_path), back_off=AT_ONCE)
    yield client
    client.close()


@pytest.fixture
def sessions(kaggle: FakeKaggle, tmp_path: Path) -> SharedSessions:
    limits = Limits(collect_seconds=0)
    return SharedSessions(Outbox(tmp_path / "outbox"), limits, IMPATIENT, AT_ONCE, kaggle.client_environment(tmp_path))


@dataclass(frozen=True)
class _FullOutbox(Outbox):
    """An outbox in which nothing waits before so many do: what is chosen from it first is all of them."""

    jobs: int
    _was_full: threading.Event = field(default_factory=threading.Event, init=False)

    def waiting(self) -> list[Ticket]:
        waiting = super().waiting()
        if len(waiting) >= self.jobs:
            self._was_full.set()
        return waiting if len(waiting) >= self.jobs or self._was_full.is_set() else []


def collect_until_all_wait(sessions: SharedSessions, jobs: int) -> None:
    """Have jobs collected until so many wait, however long a busy machine takes to hand them in, and no longer."""
    sessions.outbox = _FullOutbox(sessions.outbox.root, jobs)


@dataclass
class Hearing:
    """A listener that keeps what it hears, and cancels or dies when it hears the words it waits for."""

    cancel_at: str = ""
    die_at: str = ""
    lines: list[str] = field(default_factory=list)
    items: list[str] = field(default_factory=list)
    remembered: list[dict[str, Any]] = field(default_factory=list)
    is_cancelled: bool = False

    @property
    def listener(self) -> Listener:
        return Listener(self._say, self.items.append, self.remembered.append, lambda: self.is_cancelled)

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def _say(self, line: str) -> None:
        self.lines.append(line)
        if self.cancel_at and self.cancel_at in line:
            self.is_cancelled = True
        if self.die_at and self.die_at in line:
            raise Died


class Died(BaseException):
    """Stands for the end of the process: nothing of ours catches it."""


@pytest.fixture
def make_job(tmp_path: Path) -> Callable[..., JobFolder]:
    def make(name: str = "home", items: int = 2, gpu: Any = "required", **options: Any) -> JobFolder:
        return write_enhance_job(tmp_path / name, items, job_id=name, needs=Needs(gpu=gpu), **options)

    return make
