"""What a figure was measured on, and how child processes are measured: CPU seconds and peak memory."""

from __future__ import annotations

import contextlib
import os
import platform
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil


def machine() -> dict[str, Any]:
    """Describe this machine by what matters to the figures; no names."""
    return {"cpu": _cpu(), "cores": os.cpu_count(), "python": platform.python_version(), "load": os.getloadavg()[0]}


def measure_child(command: Sequence[str], **options: Any) -> dict[str, float]:
    """Run a command to its end and return its wall and CPU seconds and the peak memory of all its processes in MB.

    Memory is sampled every 50 ms and counts shared pages in each process, so it errs on the high side. Raises
    `CalledProcessError` if the command fails.
    """
    began = time.perf_counter()
    process = psutil.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options)
    peak = 0
    done = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.05):
            peak = max(peak, _resident_bytes(process))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    done.set()
    watcher.join()
    if code := os.waitstatus_to_exitcode(status):
        raise subprocess.CalledProcessError(code, command)
    return {"wall_s": wall, "cpu_s": usage.ru_utime + usage.ru_stime, "peak_mb": peak / 2**20}


def _resident_bytes(process: psutil.Process) -> int:
    total = 0
    with contextlib.suppress(psutil.Error):
        for member in (process, *process.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                total += member.memory_info().rss
    return total


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor()
