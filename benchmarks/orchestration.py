"""orchestration: what a step costs beside its work, with this project's executor and with Dagster's stock one."""

from __future__ import annotations

import statistics
import tempfile
import time
from typing import Any

import dagster as dg
from dagster._core.execution.api import execute_job

from benchmarks.machine import machine
from listing_media_dagster.definitions import defs
from listing_media_dagster.gpu.choice import RUN_TAG
from listing_media_dagster.gpu.executor import GPU_TAG

STEPS = 7
ROUNDS = 3


def _chain(executor: dg.ExecutorDefinition | None, name: str, tags: dict[str, str] | None = None) -> dg.JobDefinition:
    """Return a job of as many no-op assets in a row as the pipeline has, with these op tags."""
    assets: list[dg.AssetsDefinition] = []
    for number in range(STEPS):
        upstream = [assets[-1].key] if assets else []

        @dg.asset(name=f"step_{number}", deps=upstream, op_tags=tags)
        def step() -> None:
            pass

        assets.append(step)
    job = dg.define_asset_job(name, selection="*")
    chain = dg.Definitions(assets=assets, jobs=[job], executor=executor)
    return chain.resolve_job_def(name)


def ours() -> dg.JobDefinition:
    return _chain(defs.executor, "ours")  # type: ignore[arg-type]


def model_work() -> dg.JobDefinition:
    """Steps that say they have work for a GPU, and turn out to have none to send."""
    return _chain(defs.executor, "model_work", {GPU_TAG: "optional"})  # type: ignore[arg-type]


def stock() -> dg.JobDefinition:
    return _chain(dg.multiprocess_executor, "stock")


# name -> the job, and the routes that its run allows
MEASURED = {
    "ours": (ours, "cuda,cpu"),
    "model work, in the run's process": (model_work, "cuda,cpu"),
    "model work, beside the other steps": (model_work, "kaggle,cpu"),
    "stock": (stock, "cuda,cpu"),
}


def run() -> dict[str, Any]:
    """Return seconds a step of each kind, medians over alternating rounds in the same instance."""
    seconds: dict[str, list[float]] = {name: [] for name in MEASURED}
    with tempfile.TemporaryDirectory() as home, dg.DagsterInstance.local_temp(home) as instance:
        for _ in range(ROUNDS):
            for name, (job, routes) in MEASURED.items():
                began = time.perf_counter()
                with execute_job(dg.reconstructable(job), instance, tags={RUN_TAG: routes}) as result:
                    assert result.success
                seconds[name].append((time.perf_counter() - began) / STEPS)
    a_step = {name: round(statistics.median(taken), 4) for name, taken in seconds.items()}
    theirs = a_step.pop("stock")
    return {
        "name": "orchestration",
        "ours": {
            "seconds_a_step": a_step.pop("ours"),
            "seconds_a_step_by_route": a_step,
            "executor": str(defs.executor.name),  # type: ignore[union-attr]
        },
        "peers": {"multiprocess_executor (Dagster's default)": {"seconds_a_step": theirs}},
        "ratio": {"to multiprocess_executor": round(statistics.median(seconds["ours"]) / theirs, 4)},
        "bars": {"seconds_a_step": 0.1, "to multiprocess_executor": 0.1},
        "machine": machine(),
    }
