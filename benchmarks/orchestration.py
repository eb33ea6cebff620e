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

STEPS = 7
ROUNDS = 3


def _chain(executor: dg.ExecutorDefinition | None, name: str) -> dg.JobDefinition:
    """Return a job of as many no-op assets in a row as the pipeline has."""
    assets: list[dg.AssetsDefinition] = []
    for number in range(STEPS):
        upstream = [assets[-1].key] if assets else []

        @dg.asset(name=f"step_{number}", deps=upstream)
        def step() -> None:
            pass

        assets.append(step)
    job = dg.define_asset_job(name, selection="*")
    chain = dg.Definitions(assets=assets, jobs=[job], executor=executor)
    return chain.resolve_job_def(name)


def ours() -> dg.JobDefinition:
    return _chain(defs.executor, "ours")  # type: ignore[arg-type]


def stock() -> dg.JobDefinition:
    return _chain(dg.multiprocess_executor, "stock")


def run() -> dict[str, Any]:
    """Return seconds a step of both, medians over alternating rounds in the same instance."""
    seconds: dict[str, list[float]] = {"ours": [], "stock": []}
    with tempfile.TemporaryDirectory() as home, dg.DagsterInstance.local_temp(home) as instance:
        for _ in range(ROUNDS):
            for name, job in (("ours", ours), ("stock", stock)):
                began = time.perf_counter()
                with execute_job(dg.reconstructable(job), instance) as result:
                    assert result.success
                seconds[name].append((time.perf_counter() - began) / STEPS)
    mine, theirs = (statistics.median(seconds[name]) for name in ("ours", "stock"))
    return {
        "name": "orchestration",
        "ours": {"seconds_a_step": round(mine, 4), "executor": str(defs.executor.name)},  # type: ignore[union-attr]
        "peers": {"multiprocess_executor (Dagster's default)": {"seconds_a_step": round(theirs, 4)}},
        "ratio": {"to multiprocess_executor": round(mine / theirs, 4)},
        "bars": {"seconds_a_step": 0.1, "to multiprocess_executor": 0.1},
        "machine": machine(),
    }
