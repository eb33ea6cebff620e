"""orchestration: what a step costs beside its work, with this project's executor and with Dagster's stock one."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import yaml
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


def multiprocess() -> dg.JobDefinition:
    return _chain(dg.multiprocess_executor, "multiprocess")


def in_process() -> dg.JobDefinition:
    return _chain(dg.in_process_executor, "in_process")


MULTIPROCESS = "multiprocess_executor (Dagster's default), with Dagster's storage"
# name -> the job, and the routes that its run allows
OURS = {
    "ours": (ours, "cuda,cpu"),
    "model work, in the run's process": (model_work, "cuda,cpu"),
    "model work, beside the other steps": (model_work, "kaggle,cpu"),
}
PEERS = {
    MULTIPROCESS: (multiprocess, "cuda,cpu"),
    "in_process_executor, with Dagster's storage": (in_process, "cuda,cpu"),
}


@contextmanager
def _instances() -> Iterator[tuple[dg.DagsterInstance, dg.DagsterInstance]]:
    """Give an instance that stores as this project's dagster.yaml says, and one that does as Dagster does."""
    own = yaml.safe_load((Path(__file__).parents[1] / "dagster.yaml").read_text())
    quiet = {"telemetry": own["telemetry"]}
    with tempfile.TemporaryDirectory() as our_home, tempfile.TemporaryDirectory() as their_home:
        os.environ["DAGSTER_HOME"] = our_home  # where dagster.yaml's storage lies
        with (
            dg.DagsterInstance.local_temp(our_home, overrides={**quiet, "storage": own["storage"]}) as mine,
            dg.DagsterInstance.local_temp(their_home, overrides=quiet) as theirs,
        ):
            yield mine, theirs


def run() -> dict[str, Any]:
    """Return seconds a step of each kind, medians over alternating rounds; those of a run are shared by its steps."""
    seconds: dict[str, list[float]] = {name: [] for name in (*OURS, *PEERS)}
    cpu: dict[str, list[float]] = {name: [] for name in seconds}
    with _instances() as (our_instance, their_instance):
        for _ in range(ROUNDS):
            for name, (job, routes) in {**OURS, **PEERS}.items():
                began, began_cpu = time.perf_counter(), time.process_time()
                instance = our_instance if name in OURS else their_instance
                with execute_job(dg.reconstructable(job), instance, tags={RUN_TAG: routes}) as result:
                    assert result.success
                seconds[name].append((time.perf_counter() - began) / STEPS)
                cpu[name].append((time.process_time() - began_cpu) / STEPS)
    a_step = {name: round(statistics.median(taken), 4) for name, taken in seconds.items()}
    theirs = {name: {"seconds_a_step": a_step.pop(name)} for name in PEERS}
    return {
        "name": "orchestration",
        "ours": {
            "seconds_a_step": a_step.pop("ours"),
            "seconds_a_step_by_route": a_step,
            "executor": str(defs.executor.name),  # type: ignore[union-attr]
        },
        "peers": theirs,
        # What a busy machine doesn't change: the time on the CPU, of the executors that stay in the run's process.
        "cpu_seconds_a_step": {
            name: round(statistics.median(taken), 4) for name, taken in cpu.items() if name != MULTIPROCESS
        },
        "ratio": {
            "to multiprocess_executor": round(
                statistics.median(seconds["ours"]) / statistics.median(seconds[MULTIPROCESS]), 4
            )
        },
        "bars": {"seconds_a_step": 0.1, "to multiprocess_executor": 0.1},
        "machine": machine(),
    }
