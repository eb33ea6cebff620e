"""Opens delivered files where they can do no harm: in processes with a memory limit and a clock beside them.

Image decoders are C code fed with files from strangers. A file that crashes, hangs or floods its process is turned
down with a reason; the process is replaced and the rest of the listing goes on. The processes are plain
`python -m` programs that talk JSON lines over pipes: multiprocessing would import the caller's `__main__`, and forking
is unsafe beside the threads of an orchestrator.
"""

from __future__ import annotations

import ctypes
import json
import os
import queue
import resource
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO, cast

import listing_media_dagster
from listing_media_dagster.listing import BadPhoto
from listing_media_dagster.photo.decode import IntakeLimits, inspect_photo, out_of_memory
from listing_media_dagster.photo.metadata import PhotoFacts

Outcome = PhotoFacts | BadPhoto

_THIS = "listing_media_dagster.photo.isolation"
_START_SECONDS = 60.0
_PASSED_ON = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TMPDIR", "SYSTEMROOT", "VIRTUAL_ENV")
_LONGEST_REPLY = 4 * 2**20
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_FROM_OUTSIDE = {
    signal.SIGKILL,
    signal.SIGTERM,
}  # the kernel short of memory, an operator: perhaps not the file's fault


def inspect_photos(
    paths: Sequence[Path],
    limits: IntakeLimits = IntakeLimits(),  # noqa: B008 (frozen)
    workers: int = 2,
    on_done: Callable[[Path], None] | None = None,
    *,
    worker_command: Sequence[str] = (sys.executable, "-m", _THIS),
) -> list[Outcome]:
    """Decode every file in full, each in a process of limited memory and time; return facts or the reason, in order.

    `on_done` is called in the caller's thread, in the order of completion. The processes (at most `workers`, started
    once per call in about 0.4 s) end with this call, with an exception in it, and with the caller's process.
    Raises `RuntimeError` only if no process can be started at all.
    """
    outcomes: dict[int, Outcome] = {}
    todo: queue.SimpleQueue[int] = queue.SimpleQueue()
    done: queue.SimpleQueue[tuple[int, Outcome | Exception]] = queue.SimpleQueue()
    for index in range(len(paths)):
        todo.put(index)
    stop = threading.Event()

    def work() -> None:
        index = -1
        try:
            with _worker_slot(worker_command, limits, stop) as ask:
                while not stop.is_set():
                    try:
                        index = todo.get_nowait()
                    except queue.Empty:
                        return
                    done.put((index, ask(paths[index])))
        except Exception as error:
            done.put((index, error))

    threads = [threading.Thread(target=work, daemon=True) for _ in range(max(1, min(workers, len(paths))))]
    try:
        for thread in threads if paths else ():
            thread.start()
        while len(outcomes) < len(paths):
            index, outcome = done.get()
            if not isinstance(outcome, PhotoFacts | BadPhoto):
                raise outcome
            outcomes[index] = outcome
            if on_done is not None:
                on_done(paths[index])
    finally:
        stop.set()
        for thread in threads if paths else ():
            thread.join()
    return [outcomes[index] for index in range(len(paths))]


@contextmanager
def _worker_slot(
    command: Sequence[str], limits: IntakeLimits, stop: threading.Event
) -> Iterator[Callable[[Path], Outcome]]:
    """Give a function that has one file inspected; behind it is one worker at a time, replaced when a file broke it."""
    worker: _Worker | None = None

    def ask(path: Path) -> Outcome:
        nonlocal worker
        reason = ""
        for _attempt in range(2):
            current, worker = worker or _Worker(command, limits, stop), None
            try:
                outcome = current.inspect(path)
            except _WorkerLostError as lost:
                current.end()
                reason = lost.reason
                if lost.from_outside and not stop.is_set():
                    continue
                break
            if current.is_spent:
                current.end()
            else:
                worker = current
            return outcome
        return BadPhoto(reason)

    try:
        yield ask
    finally:
        if worker is not None:
            worker.end()


class _WorkerLostError(Exception):
    """The process ended or was ended while it had a file."""

    def __init__(self, reason: str, from_outside: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.from_outside = from_outside


class _Worker:
    """The caller's end of one process. Not shared between threads."""

    def __init__(self, command: Sequence[str], limits: IntakeLimits, stop: threading.Event) -> None:
        self._limits = limits
        self._stop = stop
        self._unread = b""
        self.is_spent = False  # it ran out of memory once; what it holds now is unknown
        self._process = subprocess.Popen(  # noqa: S603 (our own interpreter)
            [*command, json.dumps(asdict(limits))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for the caller, who ends the workers
            env=_worker_environment(),
        )
        self._questions, self._answers = cast(IO[bytes], self._process.stdin), cast(IO[bytes], self._process.stdout)
        try:
            if self._read_line(_START_SECONDS) != b"ready":
                raise _WorkerLostError("it said something else")
        except _WorkerLostError as lost:
            self.end()
            raise RuntimeError(
                f"can't start a process to open photos in (exit status {self._process.returncode}): "
                f"try `{' '.join(command)} '{{}}'` by hand"
            ) from lost

    def inspect(self, path: Path) -> Outcome:
        try:
            self._questions.write(json.dumps(str(path)).encode() + b"\n")
            self._questions.flush()
        except OSError:  # ended since the last file
            raise _WorkerLostError(_CRASHED, from_outside=True) from None
        reply = json.loads(self._read_line(self._limits.decode_seconds))
        self.is_spent = reply.get("spent", False)
        return BadPhoto(str(reply["bad"])) if "bad" in reply else PhotoFacts.model_validate(reply["facts"])

    def _read_line(self, seconds: float) -> bytes:
        stream, deadline = self._answers.fileno(), time.monotonic() + seconds
        while b"\n" not in self._unread:
            left = deadline - time.monotonic()
            if left <= 0 or self._stop.is_set():
                raise _WorkerLostError(_took_too_long(self._limits))
            if not select.select([stream], [], [], min(left, 0.25))[0]:
                continue
            piece = os.read(stream, 1 << 16)
            if not piece:
                raise self._how_it_ended()
            self._unread += piece
            if len(self._unread) > _LONGEST_REPLY:
                raise _WorkerLostError(_CRASHED)
        line, _, self._unread = self._unread.partition(b"\n")
        return line

    def _how_it_ended(self) -> _WorkerLostError:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        status = self._process.returncode
        if status == -signal.SIGXCPU:
            return _WorkerLostError(_took_too_long(self._limits))
        return _WorkerLostError(_CRASHED, from_outside=status is not None and -status in _FROM_OUTSIDE)

    def end(self) -> None:
        """Kill the process if it still runs, and leave no zombie and no open pipe behind."""
        self._process.kill()
        for pipe in (self._questions, self._answers):
            with suppress(OSError):
                pipe.close()
        self._process.wait()


_CRASHED = "the file makes the picture decoder crash, it is damaged or hostile: export it anew as JPEG"


def _took_too_long(limits: IntakeLimits) -> str:
    return f"opening it takes longer than {limits.decode_seconds:g} s: export it anew as a smaller JPEG"


def _worker_environment() -> dict[str, str]:
    """Return what a worker needs, and none of the secrets that this process may hold in its environment.

    One thread for the maths libraries (each would reserve address space), and the package findable as it is here.
    """
    home = str(Path(listing_media_dagster.__file__).parent.parent)
    search = os.pathsep.join(part for part in (home, os.environ.get("PYTHONPATH", "")) if part)
    needed = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    limits = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
    return {**needed, **limits, "PYTHONPATH": search}


# --- inside the process ------------------------------------------------------------------------------------------


def serve(inspect: Callable[[Path, IntakeLimits], PhotoFacts] = inspect_photo) -> None:
    """Be a worker: read a path a line, answer a JSON object a line, until the pipe closes.

    Limits are the last command line argument. The answers' pipe is kept from libraries that print.
    """
    limits = IntakeLimits(**json.loads(sys.argv[-1]))
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    _end_with_parent()
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_AS, _address_space() + limits.decode_memory_bytes)
    _say(answers, b"ready")
    for line in sys.stdin.buffer:
        used = resource.getrusage(resource.RUSAGE_SELF)
        # Wall time is the parent's to watch; this ends a busy worker whose parent is gone. 16: decoder threads.
        _limit(resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime + 16 * limits.decode_seconds) + 1)
        try:
            reply: dict[str, object] = {"facts": inspect(Path(json.loads(line)), limits).model_dump(mode="json")}
        except BadPhoto as bad:
            reply = {"bad": str(bad), "spent": isinstance(bad.__context__, MemoryError)}
        except MemoryError:
            reply = {"bad": out_of_memory(limits), "spent": True}
        except Exception:
            reply = {"bad": _CRASHED, "spent": True}
        _say(answers, json.dumps(reply).encode())


def _say(answers: IO[bytes], line: bytes) -> None:
    answers.write(line + b"\n")
    answers.flush()


def _end_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _limit(which: int, most: int) -> None:
    _soft, hard = resource.getrlimit(which)
    if hard != resource.RLIM_INFINITY:
        most = min(most, hard)
    with suppress(ValueError, OSError):  # macOS has no limit on address space; the clock remains
        resource.setrlimit(which, (most, hard))


def _address_space() -> int:
    """Bytes of address space this process has reserved before any photo, for its libraries."""
    with suppress(OSError):
        return int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    return 2**30


if __name__ == "__main__":
    serve()
