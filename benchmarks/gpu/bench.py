"""Where the GPU benchmark measures and until when, and how one measurement is taken."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from benchmarks.gpu.busy import watch_gpu
from listing_media_dagster.models.hardware import Hardware, probe

JOB = 25  # photos of a listing
OURS, PLAIN = 0.3, 0.1  # of the time left: most that a job of ours, and one of plain diffusers, may take


@dataclass(frozen=True)
class Bench:
    """Where and at what size is measured, and until when."""

    hardware: Hardware
    tiny: bool
    until: float

    @classmethod
    def begin(cls, seconds: float, *, tiny: bool) -> Bench:
        hardware = Hardware(device="cpu", name="CPU", memory_gb=8) if tiny else probe()
        if hardware.device == "cpu" and not tiny:
            raise SystemExit(f"no GPU here that computes: {hardware.fault or 'torch sees none'}")
        return cls(hardware, tiny, time.monotonic() + seconds - 5)

    @property
    def device(self) -> str:
        return self.hardware.torch_device

    @property
    def side(self) -> int:
        return 64 if self.tiny else 1024

    @property
    def left(self) -> float:
        return self.until - time.monotonic()

    def dtype(self, name: str) -> Any:
        import torch

        return torch.float32 if self.tiny else getattr(torch, name)

    def say(self, **figures: Any) -> None:
        print(json.dumps(figures), flush=True)

    @contextmanager
    def building(self, dtype: str) -> Iterator[None]:
        """Create networks on the device and in `dtype`, without a copy of them in the host's memory."""
        import torch

        torch.set_default_dtype(self.dtype(dtype))
        try:
            with torch.device(self.device):
                yield
        finally:
            torch.set_default_dtype(torch.float32)

    def measure(
        self, name: str, first: Callable[[], Any], job: Callable[[int], Any], per_call: int = 1, share: float = OURS
    ) -> None:
        """Time the first call, then a job of up to `JOB` items within `share` of the time left; say it as `name`.

        `first` makes `per_call` items and `job(n)` n of them; both return when the device is done.
        """
        import torch

        if self.left < 5 and not self.tiny:
            self.say(**{name: {"skipped": "no time was left for it"}})
            return
        cuda = self.hardware.device == "cuda"
        if cuda:
            torch.cuda.reset_peak_memory_stats()
        began = time.perf_counter()
        first()
        to_first = time.perf_counter() - began
        warm = to_first
        if (
            to_first < 5 and not self.tiny
        ):  # what was slow for its own sake, such as a film, isn't made again to know how long it takes
            began = time.perf_counter()
            first()
            warm = time.perf_counter() - began
        warm /= per_call
        count = per_call if self.tiny else max(per_call, min(JOB, int(share * self.left / warm)))
        count -= count % per_call  # whole batches: one of another size would be compiled in the midst of it
        with watch_gpu(self.hardware.index) as busy:
            began = time.perf_counter()
            job(count)
            seconds = time.perf_counter() - began
        figure = {
            "per_second": round(count / seconds, 4),
            "items": count,
            "seconds": round(seconds, 3),
            "first_s": round(to_first, 2),
            "peak_vram_gb": round(torch.cuda.max_memory_allocated() / 2**30, 2) if cuda else None,
            "busy": busy.share,
        }
        self.say(**{name: figure})
