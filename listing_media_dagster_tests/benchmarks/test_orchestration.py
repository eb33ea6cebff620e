"""What a step costs, as a ratio that the machine and its other work don't change."""

import time

import dagster as dg
from dagster._core.execution.api import execute_job

from benchmarks import orchestration


def cpu_seconds(job, instance):
    began = time.process_time()
    with execute_job(dg.reconstructable(job), instance) as result:
        assert result.success
    return time.process_time() - began


def test_a_step_takes_well_under_the_time_of_dagsters_own_executor_in_process(monkeypatch):
    monkeypatch.setenv("DAGSTER_HOME", "")  # put back afterwards
    with orchestration._instances() as (our_instance, their_instance):
        rounds = [
            (cpu_seconds(orchestration.ours, our_instance), cpu_seconds(orchestration.in_process, their_instance))
            for _ in range(3)
        ]
    ours, theirs = (min(taken) for taken in zip(*rounds, strict=True))
    assert ours < 0.75 * theirs
