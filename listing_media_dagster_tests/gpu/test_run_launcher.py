"""Runs that share GPUs, with real code servers and runs that are killed in every place."""

from __future__ import annotations

import os
import signal

import dagster as dg
import pytest
from dagster._core.launcher.base import WorkerStatus

from listing_media_dagster_tests.helpers.gpu_runs import cpu_job, gpu_job, installation, is_gone, until

SUCCESS, FAILURE, STARTED = (
    dg.DagsterRunStatus.SUCCESS,
    dg.DagsterRunStatus.FAILURE,
    dg.DagsterRunStatus.STARTED,
)


@pytest.fixture(scope="module")
def one_gpu(tmp_path_factory):
    with installation(tmp_path_factory.mktemp("one-gpu")) as found:
        yield found


def test_two_runs_take_turns_on_one_gpu_and_runs_without_need_pass_them(one_gpu):
    first = one_gpu.launch(gpu_job)
    one_gpu.holder(first)
    second, passing = one_gpu.launch(gpu_job), one_gpu.launch(cpu_job)
    waits = f"waiting for a GPU: fake-0 by {first} in use"
    until(lambda: waits in one_gpu.said(second), "the second run says whom it waits for")
    until(lambda: one_gpu.status(passing) is SUCCESS, "the run that needs no GPU is through")

    one_gpu.let_go(first)
    one_gpu.holder(second)
    one_gpu.let_go(second)
    until(lambda: one_gpu.status(second) is SUCCESS, "the second run is through")
    turns = [line[:2] for line in one_gpu.journal() if line[0] in (first, second)]
    assert turns == [[first, "took"], [first, "gave"], [second, "took"], [second, "gave"]]


def test_a_killed_run_is_marked_failed_and_retried_and_leaves_neither_child_nor_slot(one_gpu):
    run_id = one_gpu.launch(gpu_job)
    _, pid, child = one_gpu.holder(run_id)
    os.kill(pid, signal.SIGKILL)

    until(lambda: is_gone(child), "what worked on the GPU for it has ended")
    until(lambda: one_gpu.status(run_id) is FAILURE, "the run is marked failed")
    until(lambda: not one_gpu.instance.run_launcher.slots.holders(), "its GPU is free")
    [retried] = [run for run in one_gpu.retry() if run.parent_run_id == run_id]
    one_gpu.instance.report_run_canceled(retried)


def test_a_cancelled_run_gives_its_gpu_back(one_gpu):
    run_id = one_gpu.launch(gpu_job)
    _, pid, child = one_gpu.holder(run_id)
    assert one_gpu.instance.run_launcher.terminate(run_id)
    until(lambda: one_gpu.status(run_id) is dg.DagsterRunStatus.CANCELED, "the run is cancelled")
    until(lambda: is_gone(pid) and is_gone(child), "its processes have ended")
    until(lambda: not one_gpu.instance.run_launcher.slots.holders(), "its GPU is free")


def test_a_run_ends_with_its_code_server_and_is_retried_once_that_is_back(tmp_path):
    with installation(tmp_path) as home:
        run_id = home.launch(gpu_job)
        _, pid, child = home.holder(run_id)
        home.monitor()
        assert home.status(run_id) is STARTED, "a run that is well is left alone"

        os.kill(home.server.pid, signal.SIGKILL)
        until(lambda: is_gone(pid) and is_gone(child), "the run's processes have ended")
        until(lambda: not home.instance.run_launcher.slots.holders(), "its GPU is free")
        launcher = home.instance.run_launcher
        first_look = launcher.check_run_worker_health(home.instance.get_run_by_id(run_id))
        assert first_look.status is WorkerStatus.RUNNING and first_look.transient, "it may be back in a moment"
        later = until(
            lambda: _unless_running(launcher.check_run_worker_health(home.instance.get_run_by_id(run_id))), "it is lost"
        )
        assert later.status is WorkerStatus.FAILED and "hasn't answered" in later.msg

        home.start_server()
        home.monitor()
        assert home.status(run_id) is FAILURE
        [retried] = home.retry()
        assert retried.parent_run_id == run_id


def _unless_running(health):
    return None if health.status is WorkerStatus.RUNNING else health


def test_a_run_that_was_marked_as_ended_stops_working(one_gpu):
    run_id = one_gpu.launch(gpu_job)
    _, pid, child = one_gpu.holder(run_id)
    one_gpu.instance.report_run_failed(one_gpu.instance.get_run_by_id(run_id), "given up")
    until(lambda: is_gone(pid) and is_gone(child), "the disowned run's processes have ended")
    assert one_gpu.status(run_id) is FAILURE
