"""cuda: the work is done in this process on a GPU of this machine, one process a GPU at a time."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from listing_media_dagster.gpu.children import RUN_ID, visible_to_cuda
from listing_media_dagster.gpu.devices import Claim, NoDevice, find_devices, slots_here
from listing_media_dagster.gpu.job import JobFolder, ModelJob, Needs
from listing_media_dagster.gpu.made_once import MadeOnce
from listing_media_dagster.gpu.routes.here import work_here
from listing_media_dagster.gpu.routes.route import Listener, RouteFailed, RouteReport
from listing_media_dagster.models.hardware import Hardware
from listing_media_dagster.settings import Settings

_PROBE = """
import dataclasses, json
from listing_media_dagster.models.hardware import probe_devices
print(json.dumps([dataclasses.asdict(seen) for seen in probe_devices()]))
"""
_PROBE_SECONDS = 180
_SECONDS_BETWEEN_LOOKS = 0.5


def refusal_of(needs: Needs, gpus: Sequence[Hardware]) -> str | None:
    """Return why none of these GPUs can do such work, or None if one can."""
    if needs.gpu == "none":
        return "nothing in it runs on a GPU"
    if not gpus:
        return "no CUDA device"
    sound = [gpu for gpu in gpus if gpu.fault is None]
    if not sound:
        return "; ".join(f"{gpu.name}: {gpu.fault}" for gpu in gpus)
    largest = max(sound, key=lambda gpu: gpu.vram_gb)
    if largest.vram_gb < needs.vram_gb:
        return f"{needs.vram_gb:g} GB of GPU memory are needed; the {largest.name} has {largest.vram_gb:.1f}"
    return None


@dataclass(frozen=True)
class _Held:
    """The GPU that this process keeps to its end: its models stay in that one's memory."""

    claim: Claim
    gpu: Hardware


class CudaRoute:
    """All steps of a run share its one GPU, also those that run on threads of their own."""

    name = "cuda"
    is_remote = False

    def __init__(self, at: Settings) -> None:
        self._at = at
        self._held: _Held | None = None
        self._turn = threading.Lock()

    def refusal(self, needs: Needs, job: ModelJob | None = None) -> str | None:
        if needs.gpu == "none":
            return refusal_of(needs, ())
        if self._held is not None:
            return refusal_of(needs, (self._held.gpu,))
        devices = find_devices(self._at.gpu_devices)
        if devices and importlib.util.find_spec("torch") is None:
            return "torch isn't installed: pip install 'listing-media-dagster[models]'"
        return refusal_of(needs, look_at_gpus(devices))

    def run(self, folder: JobFolder, listener: Listener, known: dict[str, Any] | None = None) -> RouteReport:
        began = time.monotonic()
        held = self._the_runs_gpu(folder.job, listener)
        if too_small := refusal_of(folder.job.needs, (held.gpu,)):
            raise RouteFailed(too_small, may_succeed_later=False)
        queued = time.monotonic() - began
        return replace(work_here(folder, listener, "cuda:0", self._at), queue_seconds=queued)

    def _the_runs_gpu(self, job: ModelJob, listener: Listener) -> _Held:
        """Return the GPU that the run has; wait for one if it has none, or while another step does that."""
        if not self._turn.acquire(blocking=False):
            listener.say("waiting for the GPU that another step of this run is taking")
            while not self._turn.acquire(timeout=_SECONDS_BETWEEN_LOOKS):
                listener.stop_if_cancelled()
        try:
            if self._held is None:
                self._held = self._claim_one(job, listener)
            return self._held
        finally:
            self._turn.release()

    def _claim_one(self, job: ModelJob, listener: Listener) -> _Held:
        slots = slots_here(self._at)
        seen = dict(zip(slots.devices, look_at_gpus(slots.devices), strict=False))
        fitting = {device: gpu for device, gpu in seen.items() if refusal_of(job.needs, (gpu,)) is None}
        owner = os.environ.get(RUN_ID) or job.id
        try:
            claim = replace(slots, devices=tuple(fitting)).claim(
                owner, say=listener.say, stop_if_cancelled=listener.stop_if_cancelled
            )
        except NoDevice as none:
            raise RouteFailed(str(none), may_succeed_later=False) from None
        # Counts until CUDA is first used here; from then on this process sees that device only.
        os.environ.update(visible_to_cuda(claim.device))
        return _Held(claim, fitting[claim.device])


@MadeOnce
def look_at_gpus(devices: tuple[str, ...]) -> tuple[Hardware, ...]:
    """Return what a kernel on each of `devices` showed, found out once, by a process that gives their memory back."""
    if not devices:
        return ()
    environment = {**os.environ, **visible_to_cuda(",".join(devices))}
    try:
        probed = subprocess.run(  # noqa: S603 - our own code
            [sys.executable, "-c", _PROBE], env=environment, capture_output=True, timeout=_PROBE_SECONDS, check=True
        )
        seen = [Hardware(**each) for each in json.loads(probed.stdout.splitlines()[-1])]
    except (OSError, subprocess.SubprocessError, ValueError, IndexError, TypeError) as failed:
        faulty = Hardware("cuda", devices[0], 0.0, fault=f"it couldn't be looked at ({type(failed).__name__})")
        return (faulty,)
    return tuple(gpu for gpu in seen if gpu.device == "cuda")


def open_route(at: Settings) -> CudaRoute:
    return CudaRoute(at)
