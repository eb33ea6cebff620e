"""What a route remembers of an external job, kept in the event log before the job is awaited.

The one place that knows Dagster's unexported `_core/pipes/reattach`: a retried step, a resumed run worker and a
re-execution from failure find the handle, a run from scratch doesn't.
"""

from __future__ import annotations

import json
from typing import Any

import dagster as dg
from dagster._core.pipes.reattach import find_latest_launch_handle, record_external_launch

_HANDLE = "handle"


def remember_handle(context: dg.AssetExecutionContext, route: str, job_id: str, handle: dict[str, Any]) -> None:
    """Write `handle` (JSON, no secrets) to the event log; it is durable when this returns."""
    record_external_launch(context, client_name=route, external_run_id=job_id, extras={_HANDLE: json.dumps(handle)})


def known_handle(context: dg.AssetExecutionContext, route: str, job_id: str) -> dict[str, Any] | None:
    """Return what an earlier attempt of this step last remembered of this very job on this route."""
    found = find_latest_launch_handle(context, client_name=route)
    if found is None or found.external_run_id != job_id:
        return None
    handle: dict[str, Any] = json.loads(found.extras[_HANDLE])
    return handle
