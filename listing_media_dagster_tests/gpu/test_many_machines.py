"""Runs that Celery's workers execute, as on many machines: cancelled, killed, and lost with their machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import dagster as dg
import psutil
import pytest
import yaml
from dagster._core.launcher.base import WorkerStatus

from listing_media_dagster.gpu.celery.run_launcher import ManyMachinesRunLauncher
from listing_media_dagster_tests.helpers.gpu_runs import (
    WHERE,
    Installation,
    end_with_children,
    holding_cpu_job,
    is_gone,
    until,
)
from listing_media_dagster_tests.helpers.servers import free_port
from listing_media_dagster_tests.helpers.warm_workers import PASSWORD, running_redis

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def many_machines(tmp_path_factory):
    """An instance with the run launcher of deploy/dagster.celery.yaml, its code server, a broker, a worker for runs."""
    folder = tmp_path_factory.mktemp("many-machines")
    given = yaml.safe_load((ROOT / "deploy" / "dagster.celery.yaml").read_text())
    wanted = {name: given[name] for name in ("run_launcher", "telemetry")} | {"run_monitoring": {"enabled": True}}
    (folder / "dagster.yaml").write_text(yaml.safe_dump(wanted))
    with running_redis(folder / "redis") as redis, pytest.MonkeyPatch.context() as environment:
        for name, value in {"LISTING_MEDIA_BROKER": redis.url, WHERE: str(folder), "DAGSTER_HOME": str(folder)}.items():
            environment.setenv(name, value)
        with dg.DagsterInstance.from_config(str(folder)) as instance:
            home = Installation(instance, folder, free_port())
            home.start_server()
            worker = start_worker(folder)
            try:
                yield home, worker
            finally:
                end_with_children(worker)
                end_with_children(home.server)


def start_worker(folder):
    programs = Path(sys.executable).parent
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    program, *words = compose["services"]["run-worker"]["command"]
    with (folder / "runs.log").open("wb") as log:
        return subprocess.Popen([programs / program, *words], stdout=log, stderr=log)


def test_runs_are_cancelled_and_lost_ones_are_found(many_machines):
    home, worker = many_machines
    done, cancelled = home.launch(holding_cpu_job), home.launch(holding_cpu_job)
    _, pid, _ = home.holder(done)
    arguments = psutil.Process(worker.pid).cmdline()
    assert PASSWORD not in " ".join(arguments)
    assert worker.pid in [parent.pid for parent in psutil.Process(pid).parents()], "a worker of Celery's executes it"
    home.let_go(done)
    until(lambda: home.status(done) is dg.DagsterRunStatus.SUCCESS, "the run is through")
    until(lambda: is_gone(pid), "its process has ended, and with it what it held of a GPU")

    home.holder(cancelled)
    assert home.instance.run_launcher.terminate(cancelled)
    until(lambda: home.status(cancelled) is dg.DagsterRunStatus.CANCELED, "the run is cancelled, not failed")

    killed = home.launch(holding_cpu_job)
    _, pid, _ = home.holder(killed)
    home.monitor()
    assert home.status(killed) is dg.DagsterRunStatus.STARTED
    os.kill(pid, signal.SIGKILL)
    until(lambda: health(home, killed).status is not WorkerStatus.RUNNING, "Celery has noticed")
    home.monitor()
    assert home.status(killed) is dg.DagsterRunStatus.FAILURE

    lost = home.launch(holding_cpu_job)
    _, pid, _ = home.holder(lost)
    end_with_children(worker)
    until(lambda: is_gone(pid), "the machine is gone")
    assert health(home, lost).transient, "it may be back in a moment"
    home.instance.run_launcher.unreachable_seconds = 0.0
    home.monitor()
    assert home.status(lost) is dg.DagsterRunStatus.FAILURE
    assert ManyMachinesRunLauncher.unreachable_seconds == 120
    assert PASSWORD not in (home.folder / "runs.log").read_text()


def health(home, run_id):
    return home.instance.run_launcher.check_run_worker_health(home.instance.get_run_by_id(run_id))
