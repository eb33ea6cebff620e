"""How busy the GPU is while something runs, as its driver says: the share of time in which a kernel was running."""

from __future__ import annotations

import importlib
import shutil
import statistics
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

_EVERY_SECONDS = 0.1


@dataclass
class Busy:
    """What was read, in per cent; `share` is None where nothing could be."""

    readings: list[float] = field(default_factory=list)

    @property
    def share(self) -> float | None:
        return round(statistics.fmean(self.readings) / 100, 3) if self.readings else None


@contextmanager
def watch_gpu(index: int = 0) -> Iterator[Busy]:
    """Read the GPU's utilisation ten times a second while the block runs."""
    busy, done = Busy(), threading.Event()
    read = _reader(index)

    def sample() -> None:
        while read is not None and not done.wait(_EVERY_SECONDS):
            value = read()
            if value is not None:
                busy.readings.append(value)

    thread = threading.Thread(target=sample, name="watch-gpu", daemon=True)
    thread.start()
    try:
        yield busy
    finally:
        done.set()
        thread.join()


def _reader(index: int) -> Callable[[], float | None] | None:
    """Return what reads the utilisation now: through NVML, else through nvidia-smi; None without either."""
    try:
        pynvml = importlib.import_module("pynvml")
        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByIndex(index)
        return lambda: float(pynvml.nvmlDeviceGetUtilizationRates(handle).gpu)
    except Exception:  # no NVML, no driver, no such GPU: whatever it is, nvidia-smi may do
        return _ask_smi(index) if shutil.which("nvidia-smi") else None


def _ask_smi(index: int) -> Callable[[], float | None]:
    command = ["nvidia-smi", f"--id={index}", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]

    def ask() -> float | None:
        said = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
        return float(said) if said.isdigit() else None

    return ask
