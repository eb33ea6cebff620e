"""Runs by `listing-media run`: one that was killed must not hold back its listing for ever."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys

import dagster as dg

from listing_media_dagster.automation.terminal_runs import PROCESS_TAG, end_lost_runs, held_by_this_process
from listing_media_dagster_tests.automation.conftest import Studio

HOLD = """
import sys, time, dagster as dg
from listing_media_dagster.automation.terminal_runs import PROCESS_TAG, held_by_this_process
class Here:
    root_directory = sys.argv[1]
with held_by_this_process(Here()) as tags:
    print(tags[PROCESS_TAG], flush=True)
    time.sleep(600)
"""


def test_a_run_whose_process_was_killed_is_failed_and_its_listing_goes_on(local_studio: Studio) -> None:
    studio = local_studio
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, studio.instance.root_directory], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    tag = holder.stdout.readline().strip()
    run = studio.unfinished_run("house-1", dg.DagsterRunStatus.STARTED, **{PROCESS_TAG: tag})
    studio.drop("house-1", "a.jpg")
    studio.tick()
    assert studio.requests == [], "the run is alive"
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    studio.tick()
    assert [request.partition_key for request in studio.requests] == ["house-1"]
    lost = studio.instance.get_run_by_id(run.run_id)
    assert lost is not None and lost.status is dg.DagsterRunStatus.FAILURE


def test_runs_of_other_hosts_and_of_launchers_are_left_to_those_who_can_see_them(local_studio: Studio) -> None:
    instance = local_studio.instance
    elsewhere = local_studio.unfinished_run("h1", dg.DagsterRunStatus.STARTED, **{PROCESS_TAG: "elsewhere/1a2b"})
    launched = local_studio.unfinished_run("h2", dg.DagsterRunStatus.STARTED)
    assert end_lost_runs(instance) == []
    lost = local_studio.unfinished_run(
        "h3", dg.DagsterRunStatus.STARTED, **{PROCESS_TAG: f"{socket.gethostname()}/never-there"}
    )
    assert end_lost_runs(instance) == ["h3"]
    statuses = [run and run.status for run in map(instance.get_run_by_id, (elsewhere.run_id, launched.run_id))]
    assert statuses == [dg.DagsterRunStatus.STARTED] * 2
    assert (found := instance.get_run_by_id(lost.run_id)) and found.status is dg.DagsterRunStatus.FAILURE


def test_a_run_that_ended_leaves_no_lock_behind(local_studio: Studio) -> None:
    with held_by_this_process(local_studio.instance) as tags:
        run = local_studio.unfinished_run("h1", dg.DagsterRunStatus.STARTED, **tags)
        assert end_lost_runs(local_studio.instance) == []
    assert end_lost_runs(local_studio.instance) == ["h1"]
    assert (ended := local_studio.instance.get_run_by_id(run.run_id)) and ended.is_finished
