"""The router as assets use it: a job goes in, results come out, and the run's event log says how that came about."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import contextmanager
from typing import Any

import dagster as dg
from dagster._core.errors import DagsterExecutionInterruptedError
from dagster._core.events import EngineEventData
from pydantic import Field

from listing_media_dagster.gpu.choice import RUN_TAG, Decision, Policy, choose_route, decide_policy
from listing_media_dagster.gpu.handles import known_handle, remember_handle
from listing_media_dagster.gpu.job import ItemResult, JobFolder, ModelJob
from listing_media_dagster.gpu.job_folders import JobFolders
from listing_media_dagster.gpu.job_models import carrying_entries
from listing_media_dagster.gpu.made_once import MadeOnce
from listing_media_dagster.gpu.result_shelf import ResultShelf
from listing_media_dagster.gpu.router import Dispatcher, Routed, dispatch
from listing_media_dagster.gpu.routes.route import JobCancelled, Route, RouteFailed, RouteReport
from listing_media_dagster.gpu.routes.table import SLOW_TO_START, open_route
from listing_media_dagster.gpu.stopping import is_stopping
from listing_media_dagster.models.weights import BadWeights, ModelMissing
from listing_media_dagster.settings import settings

Metadata = dict[str, dg.MetadataValue | str | int | float]


@MadeOnce
def route_here(name: str) -> Route:
    """Return a route as this process's settings open it; what it keeps (models, connections) lives with the process."""
    return open_route(name, settings())


class ModelRouter(dg.ConfigurableResource):
    """Sends model work where this installation lets it go."""

    routes: str = Field(default="", description="overrides LISTING_MEDIA_ROUTES")

    def policy(self, context: dg.AssetExecutionContext, listing_routes: tuple[str, ...] | None = None) -> Policy:
        """Return which routes the run's work may take, best first. Raises `UnknownRoute`."""
        return decide_policy(self.routes or settings().routes, context.run.tags.get(RUN_TAG), listing_routes)

    @property
    def shelf(self) -> ResultShelf:
        """Where results that were made ahead lie; `run` looks there first."""
        return ResultShelf(settings().work_dir.expanduser() / "shelf")

    def starts_slowly(
        self, context: dg.AssetExecutionContext, job: ModelJob, listing_routes: tuple[str, ...] | None = None
    ) -> bool:
        """Tell whether the job would go by a route that takes minutes to begin with it."""
        decision = choose_route(job.needs, self.policy(context, listing_routes), route_here, _with_models(job))
        return decision.route is not None and decision.route.name in SLOW_TO_START

    def run(
        self,
        context: dg.AssetExecutionContext,
        job: ModelJob,
        files: Mapping[str, bytes],
        *,
        take: Callable[[str, ItemResult, Callable[[str], bytes]], None],
        say: Callable[[str], None] = lambda line: None,
        listing_routes: tuple[str, ...] | None = None,
        is_last_attempt: bool = True,
    ) -> Routed:
        """Have the job done and return how it went; items that failed are in the result, with their reasons.

        `take` gets each finished item as soon as it is here: the route's name, the result, and what reads an output by
        role. Raises `RouteFailed`, `UnknownRoute`, or Dagster's interruption when the run is being cancelled.
        """
        job = _with_models(job)
        policy = self.policy(context, listing_routes)
        step_key = context.get_step_execution_context().step.key

        def is_cancelled() -> bool:
            return is_stopping(context.run.run_id, step_key)

        folders = JobFolders(settings().work_dir.expanduser())
        with _interrupting(), folders.opened(job, files, is_cancelled) as folder:
            ahead = self.shelf.finish_items(folder)

            def take_with_reader(route: str, result: ItemResult) -> None:
                made_by = ahead.get(result.item_id, route)
                take(made_by, result, lambda role: folder.read(result.outputs[role]))

            owner = Dispatcher(
                decided=lambda decision: _tell_decision(context, step_key, job, decision),
                take=take_with_reader,
                say=say,
                remember=lambda route, handle: remember_handle(context, route, job.id, handle),
                known=lambda route: known_handle(context, route, job.id),
                is_cancelled=is_cancelled,
                is_last_attempt=is_last_attempt,
            )
            if ahead:
                _tell_ahead(context, step_key, job, ahead)
            if len(ahead) == len(job.items):
                routed = _taken_from_shelf(folder, ahead, owner)
            else:
                routed = dispatch(folder, policy, route_here, owner)
                _tell_report(context, step_key, job, routed)
        for item in job.items:
            if item.id in ahead:
                self.shelf.remove(job.item_key(item))
        return routed


def _with_models(job: ModelJob) -> ModelJob:
    """Return the job with what this installation's catalogue says of its models, for machines that have another.

    Raises `RouteFailed` where they have gone or were changed since they were chosen.
    """
    at = settings()
    try:
        return carrying_entries(job, at.model_catalogue, at.models_dir)
    except (ModelMissing, BadWeights) as changed:
        raise RouteFailed(
            f"job {job.id} can't say what its models are: {changed}", may_succeed_later=False
        ) from changed


def _taken_from_shelf(folder: JobFolder, ahead: Mapping[str, str], owner: Dispatcher) -> Routed:
    result = folder.finish()
    for item in result.items:
        owner.take("", item)
    device = ", ".join(sorted({item.device for item in result.items}))
    return Routed(result, Decision(None), RouteReport(device), ", ".join(sorted(set(ahead.values()))))


def routing_metadata(routed: Routed) -> Metadata:
    """Return the way a job went, as the materialization shows it."""
    report = routed.report
    shown: Metadata = {
        "route": routed.route,
        "device": report.device,
        "queue_seconds": round(report.queue_seconds, 2),
        "run_seconds": round(report.run_seconds, 2),
        "peak_memory_mb": round(report.peak_memory_mb, 1),
    }
    if routed.decision.refusals:
        shown["routes_that_refused"] = routed.decision.reasons
    return {**shown, **{f"used: {what}": amount for what, amount in report.used.items()}}


def _tell_decision(context: dg.AssetExecutionContext, step_key: str, job: ModelJob, decision: Decision) -> None:
    metadata: dict[str, Any] = {"job": job.id, "route": decision.route.name if decision.route else "none"}
    metadata |= {f"refused: {name}": reason for name, reason in decision.refusals.items()}
    _tell(context, step_key, f"{len(job.items)} items to {job.kind.value}: {decision}", metadata)


def _tell_ahead(context: dg.AssetExecutionContext, step_key: str, job: ModelJob, ahead: Mapping[str, str]) -> None:
    by = ", ".join(sorted(set(ahead.values())))
    message = f"{len(ahead)} of {len(job.items)} items to {job.kind.value} were done ahead by {by}"
    _tell(context, step_key, message, {"job": job.id})


def _tell_report(context: dg.AssetExecutionContext, step_key: str, job: ModelJob, routed: Routed) -> None:
    report = routed.report
    waited = f", {report.queue_seconds:.1f} s in the queue" if report.queue_seconds >= 0.1 else ""
    took = f"{report.run_seconds:.1f} s{waited}, {report.peak_memory_mb:.0f} MB"
    _tell(
        context,
        step_key,
        f"{len(job.items)} items back from {routed.route} ({report.device}): {took}",
        {"job": job.id, **routing_metadata(routed)},
    )


def _tell(context: dg.AssetExecutionContext, step_key: str, message: str, metadata: Mapping[str, Any]) -> None:
    context.instance.report_engine_event(
        message, dagster_run=context.run, engine_event_data=EngineEventData(metadata=dict(metadata)), step_key=step_key
    )


@contextmanager
def _interrupting() -> Any:
    """Let a job that was cancelled end its step the way Dagster ends an interrupted one."""
    try:
        yield
    except JobCancelled:
        raise DagsterExecutionInterruptedError("the run is being cancelled") from None
