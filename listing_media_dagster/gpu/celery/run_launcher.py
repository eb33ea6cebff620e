"""Runs on many machines, by dagster-celery's own run launcher; here it learns what is cancelled and what is lost.

For the work of a run's own process; model work goes to the warm workers by the route `celery`.

    run_launcher:
      module: listing_media_dagster.gpu.celery.run_launcher
      class: ManyMachinesRunLauncher
      config: {broker: {env: LISTING_MEDIA_BROKER}, backend: {env: LISTING_MEDIA_BROKER}, …}
"""

from __future__ import annotations

import time
from functools import cached_property

import dagster as dg
from dagster._core.launcher.base import CheckRunHealthResult, WorkerStatus
from dagster_celery.launcher import CeleryRunLauncher
from dagster_celery.tags import DAGSTER_CELERY_TASK_ID_TAG

_ANSWER_SECONDS = 3.0


class ManyMachinesRunLauncher(CeleryRunLauncher):
    """`unreachable_seconds` is how long a worker may not answer before its runs are given up.

    Its workers must be of Celery's kind "prefork": no other can be interrupted.
    """

    unreachable_seconds = 120.0

    @cached_property
    def _unreachable_since(self) -> dict[str, float]:
        return {}

    def terminate(self, run_id: str) -> bool:
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return False
        # Else the run, interrupted, counts as failed, and is retried.
        self._instance.report_run_canceling(run)
        return bool(super().terminate(run_id))

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Ask Celery about the run's task, and its worker whether it is there: a lost one's task stays "started"."""
        health = super().check_run_worker_health(run)
        if health.status is not WorkerStatus.RUNNING:
            return health
        started = self.celery.AsyncResult(run.tags[DAGSTER_CELERY_TASK_ID_TAG]).info
        host = started.get("hostname") if isinstance(started, dict) else None
        if host is None or self.celery.control.ping(destination=[host], timeout=_ANSWER_SECONDS):
            self._unreachable_since.pop(run.run_id, None)
            return health
        seconds = time.monotonic() - self._unreachable_since.setdefault(run.run_id, time.monotonic())
        if seconds < self.unreachable_seconds:
            return CheckRunHealthResult(WorkerStatus.RUNNING, transient=True)
        return CheckRunHealthResult(WorkerStatus.FAILED, f"its worker {host} hasn't answered for {seconds:.0f} s")
