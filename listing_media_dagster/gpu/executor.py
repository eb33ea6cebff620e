"""The executor of every run: steps in the run's own process, those that may wait for a remote route beside the others.

Only op tags reach an executor, so assets that want a GPU say so by `listing_media/gpu` among their op tags.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

import dagster as dg
from dagster._core.definitions.executor_definition import get_step_dependency_config_field
from dagster._core.errors import DagsterExecutionInterruptedError
from dagster._core.events import DagsterEvent, EngineEventData
from dagster._core.execution.api import ExecuteRunWithPlanIterable
from dagster._core.execution.compute_logs import create_compute_log_file_key
from dagster._core.execution.context.system import PlanExecutionContext, PlanOrchestrationContext, StepExecutionContext
from dagster._core.execution.context_creation_job import PlanExecutionContextManager
from dagster._core.execution.plan.active import ActiveExecution
from dagster._core.execution.plan.execute_plan import _trigger_hook, dagster_event_sequence_for_step
from dagster._core.execution.plan.instance_concurrency_context import InstanceConcurrencyContext
from dagster._core.execution.plan.objects import StepFailureData, UserFailureData
from dagster._core.execution.plan.plan import ExecutionPlan
from dagster._core.execution.plan.step import ExecutionStep
from dagster._core.execution.retries import RetryMode, get_retries_config
from dagster._core.execution.step_dependency_config import StepDependencyConfig
from dagster._core.executor.base import Executor
from dagster._utils.error import serializable_error_info_from_exc_info

from listing_media_dagster.gpu.choice import RUN_TAG, Policy, choose_route, decide_policy
from listing_media_dagster.gpu.job import Needs
from listing_media_dagster.gpu.model_router import route_here
from listing_media_dagster.gpu.routes.table import REMOTE, UnknownRoute
from listing_media_dagster.gpu.run_watch import ended_with_its_owner
from listing_media_dagster.gpu.stopping import stoppable
from listing_media_dagster.settings import settings

GPU_TAG = "listing_media/gpu"
_LOOKS_EVERY_SECONDS = 0.2


class NoRoute(Exception):
    """A step needs a GPU and no route has one, or the routes it may take can't be made out."""


@dg.executor(
    name="gpu_routing",
    config_schema={"retries": get_retries_config(), "step_dependency_config": get_step_dependency_config_field()},
)
def gpu_routing_executor(context: dg.InitExecutorContext) -> Executor:
    """Runs steps in the run's process; model work goes where LISTING_MEDIA_ROUTES or a run's tag lets it."""
    config = context.executor_config
    return GpuRoutingExecutor(
        RetryMode.from_config(config["retries"]),  # type: ignore[arg-type]
        StepDependencyConfig.from_config(config.get("step_dependency_config")),  # type: ignore[arg-type]
    )


class GpuRoutingExecutor(Executor):
    def __init__(self, retries: RetryMode, step_dependency_config: StepDependencyConfig) -> None:
        self._retries = retries
        self._step_dependency_config = step_dependency_config

    @property
    def retries(self) -> RetryMode:
        return self._retries

    @property
    def step_dependency_config(self) -> StepDependencyConfig:
        return self._step_dependency_config

    def execute(self, plan_context: PlanOrchestrationContext, execution_plan: ExecutionPlan) -> Iterator[DagsterEvent]:
        yield DagsterEvent.engine_event(
            plan_context,
            f"Executing steps in process (pid: {os.getpid()}); model work by {settings().routes}",
            event_specific_data=EngineEventData.in_process(os.getpid(), execution_plan.step_keys_to_execute),
        )
        yield from ExecuteRunWithPlanIterable(
            execution_plan=plan_context.execution_plan,
            iterator=_execute_steps,
            execution_context_manager=PlanExecutionContextManager(
                job=plan_context.job,
                retry_mode=plan_context.retry_mode,
                execution_plan=plan_context.execution_plan,
                run_config=plan_context.run_config,
                dagster_run=plan_context.dagster_run,
                instance=plan_context.instance,
                raise_on_error=plan_context.raise_on_error,
                output_capture=plan_context.output_capture,
                step_dependency_config=self._step_dependency_config,
            ),
        )


def _execute_steps(job_context: PlanExecutionContext, execution_plan: ExecutionPlan) -> Iterator[DagsterEvent]:
    with ExitStack() as stack:
        stack.enter_context(ended_with_its_owner(job_context.instance, job_context.run_id))
        slots = stack.enter_context(InstanceConcurrencyContext(job_context.instance, job_context.dagster_run))
        active = stack.enter_context(
            execution_plan.start(
                retry_mode=job_context.retry_mode,
                instance_concurrency_context=slots,
                step_dependency_config=job_context.step_dependency_config,
            )
        )
        yield from _capture_logs(job_context, execution_plan, stack)
        yield from _Steps(job_context, active).run()


def _capture_logs(
    job_context: PlanExecutionContext, execution_plan: ExecutionPlan, stack: ExitStack
) -> Iterator[DagsterEvent]:
    """Capture what the process prints, as one log for all its steps; a run goes on without where that fails."""
    logs = job_context.instance.compute_log_manager
    key = logs.build_log_key_for_run(job_context.run_id, create_compute_log_file_key())
    try:
        captured = stack.enter_context(logs.capture_logs(key))
        step_keys = [step.key for step in execution_plan.get_steps_to_execute_in_topo_order()]
        yield DagsterEvent.capture_logs(job_context, step_keys, key, captured)
    except Exception:
        error = EngineEventData(error=serializable_error_info_from_exc_info(sys.exc_info()))
        yield DagsterEvent.engine_event(job_context, "What the run prints can't be captured", error)


@dataclass
class _Ended:
    """A step that ran beside the main thread is over; `error` is what its event stream raised."""

    error: BaseException | None = None


@dataclass
class _Beside:
    """A step that runs on a thread of its own, since it may spend hours waiting."""

    context: StepExecutionContext
    thread: threading.Thread
    events: list[DagsterEvent] = field(default_factory=list)


class _Steps:
    """The steps of a run in progress. All bookkeeping is done by the main thread, which alone yields events."""

    def __init__(self, job_context: PlanExecutionContext, active: ActiveExecution) -> None:
        self._job_context = job_context
        self._active = active
        self._here: deque[ExecutionStep] = deque()
        self._beside: dict[str, _Beside] = {}
        self._told: queue.SimpleQueue[tuple[str, DagsterEvent | _Ended]] = queue.SimpleQueue()
        self._stop = threading.Event()

    def run(self) -> Iterator[DagsterEvent]:
        try:
            while not self._active.is_complete:
                if self._active.check_for_interrupts():
                    raise DagsterExecutionInterruptedError
                yield from self._begin_what_is_ready()
                if self._here:
                    yield from self._run_here(self._here.popleft())
                    yield from self._hear(wait=False)
                else:
                    yield from self._hear(wait=True)
        except DagsterExecutionInterruptedError:
            yield from self._stop_all()
            raise
        finally:
            # Whatever ended the run: nothing of it may go on, and no route is left before it has cleaned up.
            self._stop.set()
            for step in self._beside.values():
                step.thread.join()

    def _begin_what_is_ready(self) -> Iterator[DagsterEvent]:
        ready = self._active.get_steps_to_execute()
        yield from self._active.concurrency_event_iterator(self._job_context)
        for step in ready:
            tag = (step.tags or {}).get(GPU_TAG)
            if tag is None:
                self._here.append(step)
                continue
            context = self._context_of(step)
            try:
                policy = self._policy_for(tag)
            except (NoRoute, UnknownRoute) as none:
                yield from self._failed_for_want_of_a_route(context, none)
                continue
            waits = bool(REMOTE & set(policy.routes))
            yield _told_routes(context, policy, waits)
            if waits:
                self._begin_beside(context)
            else:
                self._here.append(step)

    def _policy_for(self, tag: str) -> Policy:
        """Return where the step's work may go. Raises `NoRoute` if it needs a GPU and no route can have one."""
        policy = decide_policy(settings().routes, self._job_context.dagster_run.tags.get(RUN_TAG))
        if tag not in ("optional", "required"):
            raise NoRoute(f"the op tag {GPU_TAG} is {tag!r}; it can be optional or required")
        if tag == "required":
            decision = choose_route(Needs(gpu="required"), policy, route_here)
            if decision.route is None:
                raise NoRoute(f"a GPU is required and no route has one: {decision.reasons}")
        return policy

    def _context_of(self, step: ExecutionStep) -> StepExecutionContext:
        return self._job_context.for_step(step, self._active.get_known_state())

    def _failed_for_want_of_a_route(self, context: StepExecutionContext, why: Exception) -> Iterator[DagsterEvent]:
        failure = StepFailureData(
            error=None, user_failure_data=UserFailureData(label="no-route", description=str(why), metadata={})
        )
        event = DagsterEvent.step_failure_event(context, failure)
        yield event
        self._active.handle_event(event)
        yield from self._concluded(context, [event])

    def _run_here(self, step: ExecutionStep) -> Iterator[DagsterEvent]:
        context = self._context_of(step)
        events = []
        for event in dagster_event_sequence_for_step(context):
            events.append(event)
            yield event
            self._active.handle_event(event)
            yield from self._hear(wait=False)
        yield from self._concluded(context, events)

    def _begin_beside(self, context: StepExecutionContext) -> None:
        key = context.step.key
        thread = threading.Thread(target=self._run_beside, args=(context,), name=f"step-{key}")
        self._beside[key] = _Beside(context, thread)
        thread.start()

    def _run_beside(self, context: StepExecutionContext) -> None:
        key, ended = context.step.key, _Ended()
        try:
            with stoppable(context.run_id, key, self._stop):
                for event in dagster_event_sequence_for_step(context):
                    self._told.put((key, event))
        except BaseException as error:
            ended = _Ended(error)
        self._told.put((key, ended))

    def _hear(self, *, wait: bool) -> Iterator[DagsterEvent]:
        """Take note of what the steps on other threads have told; with `wait`, give them a moment to tell something."""
        while True:
            try:
                key, told = self._told.get(timeout=_LOOKS_EVERY_SECONDS) if wait else self._told.get_nowait()
            except queue.Empty:
                return
            wait = False
            if isinstance(told, DagsterEvent):
                self._beside[key].events.append(told)
                yield told
                self._active.handle_event(told)
                continue
            step = self._beside.pop(key)
            step.thread.join()
            if told.error is not None:
                raise told.error
            yield from self._concluded(step.context, step.events)

    def _concluded(self, context: StepExecutionContext, events: list[DagsterEvent]) -> Iterator[DagsterEvent]:
        """See to it that a step has an outcome, that steps which depended on it are given up, and to its hooks."""
        self._active.verify_complete(self._job_context, context.step.key)
        given_up = list(self._active.plan_events_iterator(self._job_context))
        yield from given_up
        yield from _trigger_hook(context, [*events, *given_up])

    def _stop_all(self) -> Iterator[DagsterEvent]:
        """Tell the steps on other threads to stop, and wait until their routes have let go."""
        waiting_for = sorted(self._beside)
        yield DagsterEvent.engine_event(
            self._job_context, "The run is being cancelled", EngineEventData.interrupted(waiting_for)
        )
        self._stop.set()
        self._active.mark_interrupted()
        while self._beside:
            try:
                yield from self._hear(wait=True)
            except DagsterExecutionInterruptedError:
                continue


def _told_routes(context: StepExecutionContext, policy: Policy, waits: bool) -> DagsterEvent:
    how = "while other steps go on" if waits else "in the run's process"
    return DagsterEvent.engine_event(
        context,
        f"Model work goes by the first of {', '.join(policy.routes)} that takes it, {how}",
        EngineEventData(metadata={"routes": ", ".join(policy.routes), "said by": policy.said_by}),
    )


__all__ = ["GPU_TAG", "GpuRoutingExecutor", "NoRoute", "gpu_routing_executor"]
