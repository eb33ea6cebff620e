"""What a figure was measured on, and how child processes are measured: CPU seconds and peak memory."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def machine() -> dict[str, Any]:
    """Describe this machine by what matters to the figures; no names."""
    return {"cpu": _cpu(), "cores": os.cpu_count(), "python": platform.python_version(), "load": os.getloadavg()[0]}


def measure_child(command: Sequence[str], **options: Any) -> dict[str, float]:
    """Run a command to its end and return its wall and CPU seconds and the peak memory of its largest process in MB.

    Raises `CalledProcessError` if it fails.
    """
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command, output)
    return {"wall_s": wall, "cpu_s": usage.ru_utime + usage.ru_stime, "peak_mb": usage.ru_maxrss / 1024}


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor()
