"""Run records that are kept open: the same files as Dagster's, seen at once by whoever watches, whole after a kill."""

import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
import yaml

from listing_media_dagster import run_records
from listing_media_dagster_tests.helpers.gpu_runs import until

ROOT = Path(__file__).parents[1]


def instance_in(home: Path, *, kept_open: bool) -> dg.DagsterInstance:
    overrides = {"telemetry": {"enabled": False}}
    if kept_open:
        overrides |= {"storage": yaml.safe_load((ROOT / "dagster.yaml").read_text())["storage"]}
    return dg.DagsterInstance.local_temp(str(home), overrides=overrides)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    return tmp_path


@dg.asset
def made() -> None: ...


def a_run(instance: dg.DagsterInstance) -> str:
    return dg.materialize([made], instance=instance).run_id


def told(instance: dg.DagsterInstance, run_id: str) -> list[str]:
    return [event.message for event in instance.all_logs(run_id)]


def test_dagsters_own_storage_and_this_one_go_on_with_what_the_other_wrote(home):
    with instance_in(home, kept_open=False) as dagsters:
        first = a_run(dagsters)
        with instance_in(home, kept_open=True) as ours:
            assert type(ours.event_log_storage).__module__ == run_records.__name__
            assert told(ours, first) == told(dagsters, first) != []
            second = a_run(ours)
            assert told(dagsters, second) == told(ours, second) != []
            assert dagsters.get_run_by_id(second).status is dg.DagsterRunStatus.SUCCESS
            assert dagsters.get_latest_materialization_event(made.key).run_id == second


def test_whoever_watches_a_run_is_told_of_an_event_while_the_run_goes_on(home):
    with instance_in(home, kept_open=True) as runs, instance_in(home, kept_open=True) as webservers:
        run_id, heard = a_run(runs), []
        webservers.watch_event_logs(run_id, None, lambda event, cursor: heard.append(event.message))
        runs.report_engine_event("at work", runs.get_run_by_id(run_id))
        until(lambda: "at work" in heard, "it is heard of")


def test_nothing_that_was_told_is_lost_when_the_process_is_killed(home):
    program = f"""
import os, signal
from pathlib import Path
from listing_media_dagster_tests.test_run_records import a_run, instance_in
instance = instance_in(Path({str(home)!r}), kept_open=True)
run_id = a_run(instance)
instance.report_engine_event("the last words", instance.get_run_by_id(run_id))
print(run_id, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    died = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert died.returncode == -9, died.stderr
    with instance_in(home, kept_open=False) as dagsters:
        assert told(dagsters, died.stdout.split()[-1])[-1] == "the last words"


def open_files() -> set[str]:
    links = list(Path("/proc/self/fd").iterdir())
    return {str(link.readlink()) for link in links if link.exists()}


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_a_webserver_that_shows_many_runs_holds_few_files_and_a_closed_one_none(home, monkeypatch):
    monkeypatch.setattr(run_records, "_OPEN_FILES", 3)
    with instance_in(home, kept_open=True) as instance:
        run_ids = [a_run(instance) for _ in range(5)]
        assert all(told(instance, run_id) for run_id in run_ids)
        here = {name for name in open_files() if name.startswith(f"{home}/history/runs/") and name.endswith(".db")}
        assert 0 < len(here) <= 3
    assert not [name for name in open_files() if name.startswith(f"{home}/history/")]


def test_wiped_records_are_gone_and_new_ones_can_be_made(home):
    with instance_in(home, kept_open=True) as instance:
        before = a_run(instance)
        instance.event_log_storage.wipe()
        assert not told(instance, before)
        assert told(instance, a_run(instance))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_after_a_fork_the_child_has_connections_of_its_own(home):
    engines = run_records._Engines()
    url = f"sqlite:///{home / 'a.db'}"
    with engines.of(url).begin() as connection:
        connection.exec_driver_sql("CREATE TABLE t (n INTEGER)")
    parents = engines.of(url)
    child = os.fork()
    if child == 0:
        os._exit(0 if engines.of(url) is not parents else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert engines.of(url) is parents
    engines.close()
