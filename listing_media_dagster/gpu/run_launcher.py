"""Dagster's own run launcher with two things added: which GPUs runs may share, and how to tell that a run was lost.

    run_launcher:
      module: listing_media_dagster.gpu.run_launcher
      class: CudaRunLauncher

The launcher often lives in another container than the GPUs (in the daemon's), and whatever it handed out would be lost
with a run that dies. So a run takes its device itself, when its first GPU step comes, by a lock that ends with the
run's process (`gpu.devices`). Runs that need no GPU never ask for one.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import dagster as dg
from dagster._core.launcher.base import CheckRunHealthResult, WorkerStatus
from dagster._core.launcher.default_run_launcher import DefaultRunLauncher
from dagster._grpc.types import CanCancelExecutionRequest, CanCancelExecutionResult
from dagster._serdes import ConfigurableClassData, deserialize_value

from listing_media_dagster.gpu.devices import DeviceSlots, slots_here
from listing_media_dagster.settings import settings

_ANSWER_SECONDS = 10


class CudaRunLauncher(DefaultRunLauncher):
    """A run whose code server doesn't answer for `unreachable_seconds` is lost.

    Dagster retries it only if a code server is back by then: give a restart time enough.
    """

    def __init__(self, unreachable_seconds: int = 300, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(inst_data)
        self._unreachable_seconds = unreachable_seconds
        self._unreachable_since: dict[str, float] = {}

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        return {"unreachable_seconds": dg.Field(dg.IntSource, default_value=300)}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData, config_value: Mapping[str, Any]) -> CudaRunLauncher:
        return cls(inst_data=inst_data, **config_value)

    @property
    def slots(self) -> DeviceSlots:
        """The devices of the machine this process is on, for a run to claim one of."""
        return slots_here(settings())

    @property
    def supports_check_run_worker_health(self) -> bool:
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Ask the code server that holds the run: one that doesn't know it was restarted, and the run died with it."""
        client = self._get_grpc_client_for_termination(run.run_id)
        if client is None:  # finished meanwhile, or started by `listing-media run`
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        try:
            answer = client.can_cancel_execution(CanCancelExecutionRequest(run_id=run.run_id), timeout=_ANSWER_SECONDS)
        except Exception as unanswered:
            return self._unreachable(run.run_id, unanswered)
        self._unreachable_since.pop(run.run_id, None)
        if deserialize_value(answer, CanCancelExecutionResult).can_cancel:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.NOT_FOUND, "its code server was restarted and no longer has it")

    def _unreachable(self, run_id: str, why: Exception) -> CheckRunHealthResult:
        # A code server that is being restarted or is busy for a moment is no reason to give up hours of work.
        since = self._unreachable_since.setdefault(run_id, time.monotonic())
        seconds = time.monotonic() - since
        if seconds < self._unreachable_seconds:
            return CheckRunHealthResult(WorkerStatus.RUNNING, transient=True)
        del self._unreachable_since[run_id]
        message = f"its code server hasn't answered for {seconds:.0f} s ({type(why).__name__})"
        return CheckRunHealthResult(WorkerStatus.FAILED, message)


def device_slots(instance: dg.DagsterInstance) -> DeviceSlots:
    """Return the devices that runs of this instance share on this machine."""
    launcher = instance.run_launcher
    return launcher.slots if isinstance(launcher, CudaRunLauncher) else slots_here(settings())
