"""What a piece of work took: seconds and peak memory, of the GPU where it ran on one, else of this process."""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path

MB = 2**20


class Meter:
    """Begins with its making; `read` gives what it took since then, or since it was read before."""

    def __init__(self, device: str) -> None:
        self._device = device
        self._begin()

    def read(self) -> tuple[float, float]:
        """Return seconds and peak memory in MiB."""
        seconds = time.monotonic() - self._began
        peak = _cuda_peak(self._device) if self._device.startswith("cuda") else _resident_peak()
        self._begin()
        return round(seconds, 3), round(peak / MB, 1)

    def _begin(self) -> None:
        self._began = time.monotonic()
        if self._device.startswith("cuda"):
            import torch

            torch.cuda.reset_peak_memory_stats(self._device)
        else:
            _forget_resident_peak()


def _cuda_peak(device: str) -> float:
    import torch

    return float(torch.cuda.max_memory_allocated(device))


def _resident_peak() -> float:
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return float(next(line for line in lines if line.startswith("VmHWM")).split()[1]) * 1024
    except (OSError, StopIteration):  # not on Linux: the peak of the process's whole life
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return float(peak) * (1 if sys.platform == "darwin" else 1024)


def _forget_resident_peak() -> None:
    try:
        Path("/proc/self/clear_refs").write_text("5")  # proc(5): resets VmHWM to what is resident now
    except OSError:
        return
