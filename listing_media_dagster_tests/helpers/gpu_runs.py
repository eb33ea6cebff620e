"""A code location whose runs hold a GPU, with devices that need no GPU, and an instance that launches them for real."""

import contextlib
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import psutil

from listing_media_dagster.gpu.children import child_environment
from listing_media_dagster.gpu.devices import DeviceSlots
from listing_media_dagster.gpu.executor import gpu_routing_executor
from listing_media_dagster.gpu.run_launcher import CudaRunLauncher, device_slots
from listing_media_dagster_tests.helpers.servers import free_port

WHERE = "LISTING_MEDIA_TEST_WHERE"


class FakeDeviceLauncher(CudaRunLauncher):
    """The launcher with a device that passes its probe without there being a GPU."""

    @property
    def slots(self) -> DeviceSlots:
        return DeviceSlots(("fake-0",), Path(self._instance.root_directory, "locks"), problem_of=lambda device: None)


def journal(line: str) -> None:
    """Add a line to the test's journal, whole, whoever else writes."""
    with Path(os.environ[WHERE], "journal").open("a") as file:
        file.write(line + "\n")


@dg.op(config_schema={"hold": bool})
def hold_a_gpu(context: dg.OpExecutionContext) -> None:
    """Hold a device, with a child process working on it, until the test lets go; write down when that was."""
    with device_slots(context.instance).claimed(context.run_id, say=context.log.info) as device:
        code = "from listing_media_dagster.gpu.children import die_with_parent as d; d(); import time; time.sleep(120)"
        environment = child_environment(context.run_id, device)
        child = subprocess.Popen([sys.executable, "-c", code], env=environment)
        try:
            journal(f"{context.run_id} took {device} {os.getpid()} {child.pid}")
            while context.op_config["hold"] and not Path(os.environ[WHERE], f"{context.run_id}.go").exists():
                time.sleep(0.05)
            journal(f"{context.run_id} gave {device}")
        finally:
            child.kill()
            child.wait()


@dg.op
def hold_no_gpu(context: dg.OpExecutionContext) -> None:
    journal(f"{context.run_id} took none {os.getpid()} 0")
    while not Path(os.environ[WHERE], f"{context.run_id}.go").exists():
        time.sleep(0.05)


@dg.op
def need_no_gpu(context: dg.OpExecutionContext) -> None:
    journal(f"{context.run_id} needed none")


@dg.job(executor_def=gpu_routing_executor)
def gpu_job() -> None:
    hold_a_gpu()


@dg.job(executor_def=gpu_routing_executor)
def cpu_job() -> None:
    need_no_gpu()


@dg.job(executor_def=gpu_routing_executor)
def holding_cpu_job() -> None:
    hold_no_gpu()


defs = dg.Definitions(jobs=[gpu_job, cpu_job, holding_cpu_job])


def until(condition: Callable[[], Any], what: str, seconds: float = 120.0) -> Any:
    """Return what `condition` gives once it is true; the machine may be busy, so wait long and look often."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"after {seconds:.0f} s not yet: {what}"
        time.sleep(0.05)
    return found


def is_gone(pid: int) -> bool:
    """Tell whether a process has ended; one that nobody has waited for yet has."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def command_lines_of_children() -> list[list[str]]:
    """Return the command lines of what this process started, and of what that did, as far as they are still there."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):  # it may end at any moment
            found.append(process.cmdline())
    return found


@dataclass
class Installation:
    """An instance, its code server, and what the daemon does, one iteration at a time."""

    instance: dg.DagsterInstance
    folder: Path
    port: int
    server: subprocess.Popen[bytes] | None = None

    def start_server(self) -> None:
        command = [sys.executable, "-m", "dagster", "api", "grpc", "--module-name", __name__]
        where = ["--host", "127.0.0.1", "--port", str(self.port), "--location-name", "gpu_runs"]
        with (self.folder / "server.log").open("ab") as log:
            self.server = subprocess.Popen([*command, *where], stdout=log, stderr=log, env=self._environment())
        until(self._answers, f"the code server answers: {(self.folder / 'server.log').read_text()[-2000:]}")

    def _environment(self) -> dict[str, str]:
        return {**os.environ, WHERE: str(self.folder), "DAGSTER_HOME": str(self.folder)}

    def _answers(self) -> bool:
        from dagster._grpc.client import DagsterGrpcClient

        try:
            return bool(DagsterGrpcClient(port=self.port, host="127.0.0.1").ping("hello"))
        except Exception:
            return False

    @contextlib.contextmanager
    def workspace(self) -> Iterator[Any]:
        from dagster._core.workspace.context import WorkspaceProcessContext
        from dagster._core.workspace.load_target import GrpcServerTarget

        target = GrpcServerTarget(host="127.0.0.1", port=self.port, socket=None, location_name="gpu_runs")
        with WorkspaceProcessContext(self.instance, target) as context:
            yield context

    def launch(self, job: dg.JobDefinition, *, hold: bool = True) -> str:
        """Launch a run as the daemon does, and return its id; with `hold` it keeps its GPU until `let_go`."""
        with self.workspace() as context:
            workspace = context.create_request_context()
            remote = workspace.get_code_location("gpu_runs").get_repository("__repository__").get_full_job(job.name)
            config = {"ops": {"hold_a_gpu": {"config": {"hold": hold}}}} if job is gpu_job else {}
            run = self.instance.create_run_for_job(
                job,
                run_config=config,
                remote_job_origin=remote.get_remote_origin(),
                job_code_origin=remote.get_python_origin(),
            )
            self.instance.launch_run(run.run_id, workspace)
        return run.run_id

    def let_go(self, run_id: str) -> None:
        (self.folder / f"{run_id}.go").touch()

    def monitor(self) -> None:
        """Look after the runs once, as the daemon's run monitoring does."""
        from dagster._daemon.monitoring.run_monitoring import execute_run_monitoring_iteration

        with self.workspace() as context:
            errors = [error for error in execute_run_monitoring_iteration(context, logging.getLogger("test")) if error]
        assert not errors, errors

    def retry(self) -> list[dg.DagsterRun]:
        """Retry lost runs as the daemon does; return the runs that wait in the queue then."""
        from dagster._daemon.auto_run_reexecution.event_log_consumer import EventLogConsumerDaemon

        with self.workspace() as context:
            list(EventLogConsumerDaemon().run_iteration(context))
        return list(self.instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.QUEUED])))

    def status(self, run_id: str) -> dg.DagsterRunStatus:
        run = self.instance.get_run_by_id(run_id)
        assert run is not None
        return run.status

    def said(self, run_id: str) -> list[str]:
        return [event.user_message for event in self.instance.all_logs(run_id)]

    def journal(self) -> list[list[str]]:
        path = self.folder / "journal"
        return [line.split() for line in path.read_text().splitlines()] if path.exists() else []

    def holder(self, run_id: str) -> tuple[str, int, int]:
        """Wait until the run has its device; return that, the run's process and its child."""

        def taken() -> list[list[str]]:
            return [line for line in self.journal() if line[:2] == [run_id, "took"]]

        [[_, _, device, pid, child]] = until(taken, f"{run_id} has a GPU")
        return device, int(pid), int(child)


@contextlib.contextmanager
def installation(folder: Path) -> Iterator[Installation]:
    """Give an instance with one device in the new folder, its code server running."""
    overrides = {
        "storage": {
            "custom": {
                "module": "listing_media_dagster.run_records",
                "class": "OpenSqliteStorage",
                "config": {"base_dir": str(folder)},
            }
        },
        "run_launcher": {
            "module": __name__,
            "class": "FakeDeviceLauncher",
            "config": {"unreachable_seconds": 1},
        },
        "run_monitoring": {"enabled": True},
        "run_retries": {"enabled": True, "max_retries": 1},
        "telemetry": {"enabled": False},
    }
    with dg.DagsterInstance.local_temp(str(folder), overrides=overrides) as instance:
        made = Installation(instance, folder, free_port())
        made.start_server()
        made.retry()  # what failed before the daemon's first look is never retried
        try:
            yield made
        finally:
            end_with_children(made.server)


def end_with_children(process: subprocess.Popen[bytes] | None) -> None:
    """Kill a process and what it started: itself first, lest it mourn a child or start another."""
    if process is None or process.poll() is not None:
        return
    children = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    for child in children:
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()
    process.wait()
