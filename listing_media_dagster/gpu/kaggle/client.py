"""Kaggle as the rest sees it: typed calls with time limits, back-off and clear errors, made in another process."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from listing_media_dagster.gpu.kaggle.client_link import ClientProcess, Request

TAKEN = "already in use"
UPLOAD_BYTES_PER_SECOND = 50_000
"""A slower upload is taken for a dead one."""


class KaggleError(Exception):
    """Kaggle didn't do what was asked; `str()` is one line without secrets.

    `kind` is "http" (with `status`), "connection", "time", "upload", "refused", "signed out" or "not installed".
    """

    def __init__(self, message: str, kind: str, status: int | None = None, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.kind, self.status, self.retry_after = kind, status, retry_after

    @property
    def is_passing(self) -> bool:
        """Return whether asking again may help."""
        return self.kind in ("connection", "time", "upload") or self.status == 429 or (self.status or 0) >= 500

    @property
    def may_have_worked(self) -> bool:
        """Return whether the call may have been done although its answer never came."""
        return self.kind in ("connection", "time") or (self.status or 0) >= 500

    @property
    def says_absent(self) -> bool:
        """Return whether there is no such thing: Kaggle answers 403 for a kernel that doesn't exist."""
        return self.status in (403, 404)


@dataclass(frozen=True)
class BackOff:
    """How often a call that met a passing fault is made, and the pauses between, in seconds."""

    tries: int = 7
    first: float = 2.0
    longest: float = 120.0

    def pause(self, attempt: int, asked: float | None) -> float:
        """Return the pause after the failed `attempt` (from 0): jittered, and never shorter than Kaggle asked for."""
        grown = min(self.longest, self.first * 2**attempt) * random.uniform(0.5, 1.5)
        return min(max(grown, asked or 0.0), max(self.longest, 600.0))


@dataclass(frozen=True)
class Account:
    user: str
    method: str
    version: str


@dataclass(frozen=True)
class Quota:
    """GPU time of the running week, in seconds."""

    used_seconds: float
    allowed_seconds: float
    refreshes_at: str | None

    @property
    def left_seconds(self) -> float:
        return max(0.0, self.allowed_seconds - self.used_seconds)


@dataclass(frozen=True)
class KernelState:
    status: str
    failure: str = ""


@dataclass(frozen=True)
class Outputs:
    files: dict[str, str]
    """Signed addresses by file name: never to be logged."""
    log: tuple[str, ...]


@dataclass(frozen=True)
class Pushed:
    url: str
    version: int | None


@dataclass
class KaggleClient:
    """The calls, one at a time. `environment` is the client process's own; default: this one's."""

    environment: Mapping[str, str] | None = None
    back_off: BackOff = BackOff()
    seconds_a_call: float = 90.0
    sleep: Callable[[float], None] = time.sleep
    say: Callable[[str], None] = lambda line: None
    while_waiting: Callable[[], None] = lambda: None
    """Called every half second of a call; what it raises ends the call, an upload in its middle too."""
    _process: ClientProcess | None = field(default=None, init=False)

    def who_am_i(self) -> Account:
        return Account(**self._repeated("who_am_i"))

    def quota(self) -> Quota:
        return Quota(**self._repeated("quota"))

    def create_dataset(self, folder: Path, ref: str) -> None:
        """Upload `folder` as the private dataset `ref`, unless that is there already. Raises `KaggleError`."""
        if self.dataset_status(ref) is not None:
            return
        seconds = self.seconds_a_call + _size(folder) / UPLOAD_BYTES_PER_SECOND
        try:
            self._repeated(
                "create_dataset",
                seconds=seconds,
                was_done=lambda: self.dataset_status(ref) is not None,
                folder=str(folder),
            )
        except KaggleError as error:
            # The client repeats a creation whose answer was lost by itself, and is told that the name is taken.
            if error.kind != "refused" or not (TAKEN in str(error) or self.dataset_status(ref) is not None):
                raise

    def update_dataset(self, folder: Path, notes: str) -> None:
        """Upload `folder` as the new and only version of its dataset."""
        seconds = self.seconds_a_call + _size(folder) / UPLOAD_BYTES_PER_SECOND
        self._repeated("update_dataset", seconds=seconds, folder=str(folder), notes=notes)

    def dataset_status(self, ref: str) -> str | None:
        """Return "READY", "FAILED" or a name for what is still going on; None if there is no such dataset."""
        return self._if_present("dataset_status", ref=ref)

    def delete_dataset(self, ref: str) -> None:
        self._if_present("delete_dataset", ref=ref)

    def push_kernel(self, folder: Path, ref: str, *, timeout_seconds: int, machine_shape: str) -> Pushed:
        """Start the kernel in `folder`, once: if the answer is lost, look for the kernel before pushing again.

        Raises `KaggleError`, also for answers that Kaggle itself doesn't count as errors: a source it couldn't attach.
        """
        answer = self._repeated(
            "push_kernel",
            was_done=lambda: self.kernel_state(ref) is not None,
            folder=str(folder),
            timeout_seconds=timeout_seconds,
            machine_shape=machine_shape,
        )
        if answer is None:
            return Pushed(url="", version=1)
        if answer["error"]:
            raise KaggleError(f"the kernel wasn't started: {answer['error']}", "refused")
        if answer["invalid"]:
            raise KaggleError(f"it couldn't attach {', '.join(answer['invalid'])} to the kernel", "invalid sources")
        return Pushed(url=answer["url"], version=answer["version"])

    def kernel_state(self, ref: str) -> KernelState | None:
        """Return the state of the kernel's latest session; None if there is no such kernel."""
        answer = self._if_present("kernel_status", ref=ref)
        return None if answer is None else KernelState(**answer)

    def delete_kernel(self, ref: str) -> None:
        self._if_present("delete_kernel", ref=ref)

    def outputs(self, ref: str) -> Outputs:
        answer = self._repeated("outputs", ref=ref)
        return Outputs(files=answer["files"], log=_log_lines(answer["log"]))

    def follow_log(self, ref: str) -> LogFollower:
        """Begin to read the log of the kernel's session, beside whatever else is asked."""
        return LogFollower(self._link().ask("log", {"ref": ref}))

    def close(self) -> None:
        if self._process is not None:
            self._process.close()
            self._process = None

    def _if_present(self, call: str, **arguments: Any) -> Any:
        try:
            return self._repeated(call, **arguments)
        except KaggleError as error:
            if error.says_absent:
                return None
            raise

    def _repeated(
        self,
        call: str,
        *,
        seconds: float | None = None,
        was_done: Callable[[], bool] | None = None,
        **arguments: Any,
    ) -> Any:
        """Make a call, again after passing faults. `was_done` asks whether a call without an answer was done (None)."""
        for attempt in range(self.back_off.tries):
            try:
                return self._ask(call, seconds or self.seconds_a_call, arguments)
            except KaggleError as error:
                if not error.is_passing or attempt + 1 == self.back_off.tries:
                    raise
                pause = self.back_off.pause(attempt, error.retry_after)
                self.say(f"Kaggle: {error}; asking again in {pause:.0f} s")
                self.sleep(pause)
                if was_done is not None and error.may_have_worked and was_done():
                    return None
        raise AssertionError("unreachable: the last try returns or raises")

    def _ask(self, call: str, seconds: float, arguments: dict[str, Any]) -> Any:
        request = self._link().ask(call, arguments)
        until = time.monotonic() + seconds
        while (answer := request.next_answer(0.5)) is None:
            try:
                self.while_waiting()
            except BaseException:
                self.close()
                raise
            if time.monotonic() > until:
                self.close()
                raise KaggleError(f"no answer within {seconds:.0f} s", "time")
        if "error" in answer:
            raise KaggleError(**answer["error"])
        return answer["value"]

    def _link(self) -> ClientProcess:
        if self._process is None or not self._process.is_alive:
            self._process = ClientProcess(self.environment)
        return self._process


@dataclass
class LogFollower:
    """The log of a running session, line by line as it comes; a stream that breaks is simply over."""

    request: Request
    is_over: bool = False

    def new_lines(self) -> list[str]:
        """Return what came since the last call, without waiting."""
        lines: list[str] = []
        while not self.is_over and (answer := self.request.next_answer(0)) is not None:
            if "line" in answer:
                lines.append(answer["line"])
            else:
                self.is_over = True
        return lines


def _log_lines(stored: str) -> tuple[str, ...]:
    """Return the lines of a finished session's log, which Kaggle keeps as a JSON array of pieces."""
    try:
        pieces = [str(event["data"]) for event in json.loads(stored)]
    except (ValueError, TypeError, KeyError, RecursionError):
        return tuple(stored.splitlines())
    return tuple("".join(piece if piece.endswith("\n") else f"{piece}\n" for piece in pieces).splitlines())


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())
