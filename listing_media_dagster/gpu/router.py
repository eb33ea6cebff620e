"""One job on its way: the route it takes, the ones it takes when that fails, and what comes back. Knows no Dagster."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from typing import Any

from listing_media_dagster.gpu.choice import Decision, Policy, choose_route
from listing_media_dagster.gpu.job import BadJob, ItemResult, JobFolder, JobResult
from listing_media_dagster.gpu.routes.route import Listener, Route, RouteFailed, RouteReport

_LOOKS_EVERY_SECONDS = 0.2


@dataclass(frozen=True)
class Routed:
    """What came back, by which route, and what that took; `made_by` are the routes of a job that was done ahead."""

    result: JobResult
    decision: Decision
    report: RouteReport
    made_by: str = ""

    @property
    def route(self) -> str:
        return self.decision.route.name if self.decision.route else self.made_by


@dataclass(frozen=True)
class Dispatcher:
    """How its owner is told of a job's way: the decision before the work, each item's result as soon as it is here.

    `known` gives what an earlier attempt remembered of the job on a route, `remember` keeps it. `is_last_attempt` tells
    that nobody will try again: then the next route is taken even where trying again would make sense.
    """

    decided: Callable[[Decision], None] = lambda decision: None
    take: Callable[[str, ItemResult], None] = lambda route, result: None
    say: Callable[[str], None] = lambda line: None
    remember: Callable[[str, dict[str, Any]], None] = lambda route, handle: None
    known: Callable[[str], dict[str, Any] | None] = lambda route: None
    is_cancelled: Callable[[], bool] = lambda: False
    is_last_attempt: bool = True


def dispatch(
    folder: JobFolder, policy: Policy, open_route: Callable[[str], Route], dispatcher: Dispatcher | None = None
) -> Routed:
    """Have the job done by the first route that takes it and brings it back; every digest is checked here.

    A route whose machine lacks the job's models gives way to the next one; where that was the last, its answer counts.
    Raises `RouteFailed` listing every refusal if none does, or at once if trying again makes sense and somebody will;
    `JobCancelled` when its owner is being stopped.
    """
    owner = dispatcher or Dispatcher()
    job = folder.job
    failed: dict[str, str] = {}
    without_models: Routed | None = None
    while True:
        decision = choose_route(job.needs, policy, open_route, job, failed)
        owner.decided(decision)
        if decision.route is None and without_models:
            return without_models
        if decision.route is None:
            raise RouteFailed(f"nothing here can do job {job.id}: {decision.reasons}", may_succeed_later=False)
        try:
            routed = _by(decision, folder, owner)
            if not routed.result.lacks_models:
                return routed
            without_models = routed
            failed[decision.route.name] = f"failed: {routed.result.items[0].reason}"
        except RouteFailed as failure:
            if failure.may_succeed_later and not owner.is_last_attempt:
                raise
            failed[decision.route.name] = f"failed: {failure}"


def _by(decision: Decision, folder: JobFolder, owner: Dispatcher) -> Routed:
    route = decision.route
    assert route is not None  # noqa: S101 - looked at by the only caller
    taken: set[str] = set()

    def take(result: ItemResult | None) -> None:
        if result and result.outcome != "failed" and result.item_id not in taken:
            taken.add(result.item_id)
            owner.take(route.name, result)

    listener = Listener(
        say=owner.say,
        item_done=lambda item_id: take(folder.done_item(item_id)),
        remember=lambda handle: owner.remember(route.name, handle),
        is_cancelled=owner.is_cancelled,
    )
    if route.is_remote:
        report = _awaited(route, folder, listener, owner.known(route.name))
    else:
        report = route.run(folder, listener)
    try:
        result = folder.result()
    except BadJob as damaged:
        raise RouteFailed(f"what came back is damaged: {damaged}", may_succeed_later=True) from damaged
    for item in result.items:
        take(item)
    return Routed(result, decision, report)


def _awaited(route: Route, folder: JobFolder, listener: Listener, known: dict[str, Any] | None) -> RouteReport:
    """Run the route beside this thread, where an interrupt can't hit it in the middle: it is told to stop instead."""
    stop = threading.Event()
    told = replace(listener, is_cancelled=lambda: stop.is_set() or listener.is_cancelled())
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"route-{route.name}") as beside:
        waiting = beside.submit(route.run, folder, told, known)
        try:
            while not wait([waiting], timeout=_LOOKS_EVERY_SECONDS).done:
                pass
        except BaseException:
            stop.set()  # leaving the block waits until nothing of the job is running any more
            raise
        return waiting.result()
