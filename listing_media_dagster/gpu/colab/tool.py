"""Google's own command line tool for Colab, run as a program of its own: it needs another Python than this package."""

from __future__ import annotations

import os
import queue
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from listing_media_dagster.gpu.children import dying_with_us, parent_environment
from listing_media_dagster.gpu.routes.route import Listener, RouteFailed
from listing_media_dagster.models.hardware import Hardware

INSTALL = (
    "install it as a tool of its own (uv tool install google-colab-cli, Python 3.12 or later), then run `colab whoami`"
)
STARTING_SECONDS = 900
FILE_SECONDS = 1800
FREE_GPU = "T4"
GPUS = {
    FREE_GPU: Hardware("cuda", "T4", 12.0, 16.0, 14.5, (7, 5), fp16=True),
    "L4": Hardware("cuda", "L4", 52.0, 24.0, 22.0, (8, 9), fp16=True, bf16=True),
    "A100": Hardware("cuda", "A100", 83.0, 40.0, 39.0, (8, 0), fp16=True, bf16=True),
    "H100": Hardware("cuda", "H100", 200.0, 80.0, 79.0, (9, 0), fp16=True, bf16=True),
    "G4": Hardware("cuda", "G4", 170.0, 96.0, 94.0, (12, 0), fp16=True, bf16=True),
}
"""Colab's GPUs, about: what they run decides which weights are pulled there."""
LARGEST_BUNDLE = 200 * 2**20
"""Bytes: the tool sends a file as one message."""


@dataclass(frozen=True)
class ColabTool:
    """`command` as found on PATH; `gpu` as Colab names it: T4, L4, G4, A100, H100."""

    command: str
    gpu: str
    poll_seconds: float = 0.5

    @property
    def hardware(self) -> Hardware:
        """The session's GPU; one that isn't known here counts as the smallest."""
        return GPUS.get(self.gpu, GPUS[FREE_GPU])

    def refusal(self) -> str | None:
        if shutil.which(self.command) is None:
            return f"Colab: there is no program {self.command!r}: {INSTALL}"
        return None

    def is_running(self, session: str, listener: Listener) -> bool:
        """Return whether the session is there already, left by an earlier attempt."""
        lines = self._run(["status", "-s", session], listener, seconds=FILE_SECONDS)
        return not any("not found" in line for line in lines)

    def start(self, session: str, listener: Listener) -> None:
        self._run(["new", "-s", session, "--gpu", self.gpu], listener, seconds=STARTING_SECONDS)

    def upload(self, session: str, file: Path, listener: Listener) -> None:
        if file.stat().st_size > LARGEST_BUNDLE:
            raise RouteFailed(
                f"Colab: the bundle has {file.stat().st_size >> 20} MB, the tool takes {LARGEST_BUNDLE >> 20}; "
                "send fewer photos at once, or keep media in S3 and set LISTING_MEDIA_COLAB=by_hand",
                may_succeed_later=False,
            )
        self._run(["upload", "-s", session, str(file), f"content/{file.name}"], listener, seconds=FILE_SECONDS)

    def execute(
        self, session: str, notebook: Path, seconds: float, on_line: Callable[[str], None], listener: Listener
    ) -> None:
        """Run the notebook's cells; `on_line` gets what they print. An error in a cell is no error of the tool."""
        arguments = ["exec", "-s", session, "-f", str(notebook), "--timeout", str(int(seconds))]
        self._run(arguments, listener, seconds=seconds + 120, on_line=on_line)

    def download(self, session: str, name: str, to: Path, listener: Listener) -> None:
        self._run(["download", "-s", session, f"content/{name}", str(to)], listener, seconds=FILE_SECONDS)

    def stop(self, session: str) -> None:
        """Give the machine back, whatever became of the job."""
        self._run(["stop", "-s", session], Listener(), seconds=120)

    def _run(
        self,
        arguments: Sequence[str],
        listener: Listener,
        *,
        seconds: float,
        on_line: Callable[[str], None] = lambda line: None,
    ) -> list[str]:
        """Run the tool and return what it printed. Raises `RouteFailed` with its last words, or `JobCancelled`."""
        program = shutil.which(self.command)
        if program is None:
            raise RouteFailed(str(self.refusal()), may_succeed_later=False)
        # a process group of its own: what it starts ends with it
        process = subprocess.Popen(  # noqa: S603 - the program is the setting's, the arguments are checked names and our own paths
            dying_with_us([program, *arguments]),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            env={**parent_environment(), "NO_COLOR": "1"},
        )
        printed: list[str] = []
        lines = _lines_of(process)
        gives_up = time.monotonic() + seconds
        try:
            while (line := _next(lines, self.poll_seconds)) is not None:
                if line:
                    printed.append(line)
                    on_line(line)
                listener.stop_if_cancelled()
                if time.monotonic() > gives_up:
                    raise RouteFailed(f"colab {arguments[0]} took more than {seconds:.0f} s", may_succeed_later=True)
        finally:
            _end(process)
        if process.returncode:
            last = next((line for line in reversed(printed) if line.strip()), f"exit code {process.returncode}")
            raise RouteFailed(f"colab {arguments[0]}: {last[:300]}", may_succeed_later=True)
        return printed


def _lines_of(process: subprocess.Popen[str]) -> queue.Queue[str | None]:
    lines: queue.Queue[str | None] = queue.Queue()

    def read() -> None:
        for line in process.stdout or ():
            lines.put(line.rstrip("\n"))
        process.wait()
        lines.put(None)

    threading.Thread(target=read, daemon=True).start()
    return lines


def _next(lines: queue.Queue[str | None], seconds: float) -> str | None:
    """Return the next line, "" if none came in time, None at the end."""
    try:
        return lines.get(timeout=seconds)
    except queue.Empty:
        return ""


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, 15)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            process.wait()
