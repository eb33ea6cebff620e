"""Jobs worked off in this process, with models that stay loaded from one job to the next."""

from __future__ import annotations

import time

from listing_media_dagster.gpu.job import JobFolder
from listing_media_dagster.gpu.made_once import MadeOnce
from listing_media_dagster.gpu.routes.route import Listener, RouteFailed, RouteReport
from listing_media_dagster.gpu.work.bench import Bench, KeptModels
from listing_media_dagster.gpu.worker import Assignment, work_off
from listing_media_dagster.models.warm import WarmModels
from listing_media_dagster.settings import Settings


@MadeOnce
def models_here() -> KeptModels:
    """Return the models of this process, which give their memory back when others need it or nobody asks for them."""
    return WarmModels()


def bench_here(device: str, at: Settings) -> Bench:
    from listing_media_dagster.models.clip import CLIP_MODEL_ID

    own = {CLIP_MODEL_ID: at.clip_weights} if at.clip_weights else {}
    return Bench(device, models_here(), at.models_dir, own, at.model_catalogue)


def work_here(folder: JobFolder, listener: Listener, device: str, at: Settings) -> RouteReport:
    """Work the job off on `device` of this machine; `folder.result()` holds afterwards. Raises `JobCancelled`."""
    return work_at(bench_here(device, at), folder, listener)


def work_at(bench: Bench, folder: JobFolder, listener: Listener) -> RouteReport:
    """Work the job off at `bench`; `folder.result()` holds afterwards. Raises `JobCancelled` or `RouteFailed`."""
    began = time.monotonic()
    left = work_off([Assignment(folder, listener)], bench)
    if left:
        listener.stop_if_cancelled()
        raise RouteFailed(f"job {folder.job.id} was left unfinished", may_succeed_later=True)
    return RouteReport(
        device=bench.device_name,
        run_seconds=time.monotonic() - began,
        peak_memory_mb=max(item.peak_memory_mb for item in folder.result().items),
    )
