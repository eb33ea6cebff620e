"""What a route remembers of an external job, kept in the event log before the job is awaited.

The one place that knows Dagster's unexported `_core/pipes/reattach`: a retried step, a resumed run worker and a
re-execution from failure find the handle, a run from scratch doesn't. A step may send several jobs by one route, and
what is looked for there is the last handle under a name: so each job has a name of its own.
"""

from __future__ import annotations

import json
from typing import Any

import dagster as dg
from dagster._core.pipes.reattach import find_latest_launch_handle, record_external_launch

from listing_media_dagster.gpu.routes.route import URL

_HANDLE = "handle"


def remember_handle(context: dg.AssetExecutionContext, route: str, job_id: str, handle: dict[str, Any]) -> None:
    """Write `handle` (JSON, no secrets) to the event log; it is durable when this returns."""
    record_external_launch(
        context,
        client_name=_name(route, job_id),
        external_run_id=job_id,
        external_run_url=handle.get(URL),
        extras={_HANDLE: json.dumps(handle)},
    )


def known_handle(context: dg.AssetExecutionContext, route: str, job_id: str) -> dict[str, Any] | None:
    """Return what an earlier attempt of this step last remembered of this very job on this route."""
    found = find_latest_launch_handle(context, client_name=_name(route, job_id))
    if found is None:
        return None
    handle: dict[str, Any] = json.loads(found.extras[_HANDLE])
    return handle


def _name(route: str, job_id: str) -> str:
    return f"{route}/{job_id}"
