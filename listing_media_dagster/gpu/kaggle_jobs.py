"""Kaggle as a Dagster resource, for assets of one's own that want a model job done there and nowhere else.

The pipeline's own assets go through the router (`model_router`), where Kaggle is one route among others.
"""

from __future__ import annotations

from typing import Any

import dagster as dg

from listing_media_dagster.gpu.handles import known_handle, remember_handle
from listing_media_dagster.gpu.job import JobFolder
from listing_media_dagster.gpu.kaggle.client import Quota
from listing_media_dagster.gpu.kaggle.shared_sessions import SharedSessions
from listing_media_dagster.gpu.routes.kaggle import KaggleRoute, open_route
from listing_media_dagster.gpu.routes.route import Listener, RouteFailed, RouteReport
from listing_media_dagster.gpu.stopping import is_stopping
from listing_media_dagster.settings import settings


class KaggleJobs(dg.ConfigurableResource):
    """Has model jobs done in shared sessions on Kaggle, as the LISTING_MEDIA_KAGGLE_* settings have it."""

    def quota(self) -> Quota:
        """Return the week's GPU time. Raises `KaggleError`."""
        return self._sessions.quota()

    def run(self, context: dg.AssetExecutionContext, folder: JobFolder) -> RouteReport:
        """Have the job done: afterwards `folder.result()` holds. A retried step goes on with the session it had.

        Raises `RouteFailed`, also with why Kaggle can't take the job at all; `JobCancelled` if the run is stopped.
        """
        route, job = self._route, folder.job
        if refusal := route.refusal(job.needs, job):
            raise RouteFailed(f"Kaggle: {refusal}", may_succeed_later=False)
        step_key = context.get_step_execution_context().step.key

        def remember(handle: dict[str, Any]) -> None:
            remember_handle(context, route.name, job.id, handle)

        listener = Listener(
            say=context.log.info, remember=remember, is_cancelled=lambda: is_stopping(context.run.run_id, step_key)
        )
        return route.run(folder, listener, known_handle(context, route.name, job.id))

    @property
    def _route(self) -> KaggleRoute:
        return open_route(settings())

    @property
    def _sessions(self) -> SharedSessions:
        return self._route.sessions
