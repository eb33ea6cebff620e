"""Steps under the routing executor: what waits for what, what fails alone, what a cancelled run leaves behind."""

import os
import signal
import threading
import time

import dagster as dg
import pytest
from dagster._core.execution.api import ReexecutionOptions, execute_job

from listing_media_dagster.gpu import executor, model_router
from listing_media_dagster.gpu.choice import RUN_TAG
from listing_media_dagster.gpu.executor import GPU_TAG, gpu_routing_executor
from listing_media_dagster.gpu.stopping import is_stopping

WAITS = {GPU_TAG: "optional"}
REMOTE = {RUN_TAG: "kaggle,cpu"}
state: dict = {}


class NoGpuLeft:
    name, is_remote = "kaggle", True

    def refusal(self, needs, job=None):
        return "0.3 of 30 GPU hours left"


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    state.clear()
    state.update(started=threading.Event(), tries=0, done=[], fails=False)
    model_router.route_here.cache_clear()
    routes = {"kaggle": NoGpuLeft(), "cpu": model_router.route_here("cpu")}
    monkeypatch.setattr(executor, "route_here", lambda name: routes[name])


@pytest.fixture(scope="module")
def instance(tmp_path_factory):
    with dg.DagsterInstance.local_temp(str(tmp_path_factory.mktemp("instance"))) as made:
        yield made


def job(*assets, **asset_job):
    named = dg.define_asset_job("tried", selection="*", **asset_job)
    return dg.Definitions(assets=[*assets], jobs=[named], executor=gpu_routing_executor).resolve_job_def("tried")


def run(build, instance, tags=None, **more):
    with execute_job(dg.reconstructable(build), instance, tags=tags or {}, **more) as result:
        return result


def step_events(result, step):
    return [event.event_type_value for event in result.all_events if event.step_key == step]


def two_independent_steps():
    @dg.asset(op_tags=WAITS)
    def far():
        assert state["started"].wait(120), "the other step didn't run meanwhile"

    @dg.asset
    def near():
        state["started"].set()

    @dg.asset(deps=[far, near])
    def after(): ...

    return job(far, near, after)


def test_independent_steps_go_on_while_one_waits_for_a_remote_route(instance):
    result = run(two_independent_steps, instance, REMOTE)
    assert result.success
    assert step_events(result, "after")[0] == "STEP_START"
    ended = {event.step_key: at for at, event in enumerate(result.all_events) if event.is_step_success}
    assert max(ended["near"], ended["far"]) < ended["after"]


def test_the_event_log_says_where_a_steps_work_may_go(instance):
    result = run(two_independent_steps, instance, REMOTE)
    (told,) = [event for event in result.all_events if event.step_key == "far" and event.is_engine_event]
    assert told.message == "Model work goes by the first of kaggle, cpu that takes it, while other steps go on"
    assert told.engine_event_data.metadata["said by"].value == f"the run's tag {RUN_TAG}"


def steps_in_the_runs_process():
    @dg.asset(op_tags=WAITS)
    def first():
        state["done"].append(threading.current_thread() is threading.main_thread())

    @dg.asset(deps=[first])
    def second():
        state["done"].append(threading.current_thread() is threading.main_thread())

    return job(first, second)


def test_without_a_remote_route_every_step_runs_in_the_main_thread(instance):
    assert run(steps_in_the_runs_process, instance, {RUN_TAG: "cpu"}).success
    assert state["done"] == [True, True]


def a_gpu_is_required():
    @dg.asset(op_tags={GPU_TAG: "required"})
    def film(): ...

    @dg.asset(deps=[film])
    def after(): ...

    @dg.asset
    def other(): ...

    return job(film, after, other)


def test_a_step_that_needs_a_gpu_fails_with_every_refusal_and_the_others_go_on(instance):
    result = run(a_gpu_is_required, instance, REMOTE, raise_on_error=False)
    assert not result.success
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    assert failure.step_failure_data.user_failure_data.description == (
        "a GPU is required and no route has one: kaggle: 0.3 of 30 GPU hours left; cpu: a GPU is required"
    )
    assert step_events(result, "other")[-1] == "STEP_SUCCESS"
    assert not step_events(result, "after")


@pytest.mark.parametrize("routes", ["gpu7", ""])
def test_a_route_that_nobody_knows_fails_the_step_that_would_take_it(instance, routes):
    result = run(two_independent_steps, instance, {RUN_TAG: routes}, raise_on_error=False)
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    assert f"the run's tag {RUN_TAG} names" in failure.step_failure_data.user_failure_data.description
    assert step_events(result, "near")[-1] == "STEP_SUCCESS"


def succeeds_at_the_third_try():
    @dg.asset(op_tags=WAITS)
    def far():
        state["tries"] += 1
        if state["tries"] < 3:
            raise dg.RetryRequested(max_retries=3, seconds_to_wait=0.05)

    return job(far)


def fails_once_under_a_policy():
    @dg.asset(op_tags=WAITS, retry_policy=dg.RetryPolicy(max_retries=1))
    def far():
        state["tries"] += 1
        assert state["tries"] > 1

    return job(far)


@pytest.mark.parametrize("routes", ["kaggle,cpu", "cpu"])
@pytest.mark.parametrize(("build", "tries"), [(succeeds_at_the_third_try, 3), (fails_once_under_a_policy, 2)])
def test_a_step_is_tried_again_as_it_asks(instance, routes, build, tries):
    result = run(build, instance, {RUN_TAG: routes})
    assert result.success and state["tries"] == tries
    assert step_events(result, "far").count("STEP_RESTARTED") == tries - 1


def one_of_two_fails():
    @dg.asset(op_tags=WAITS)
    def far():
        if state["fails"]:
            raise dg.Failure("the room has no floor", allow_retries=False)
        return "made"

    @dg.asset
    def near():
        state["done"].append("near")

    @dg.asset
    def after(far):
        state["done"].append(f"after {far}")

    return job(far, near, after)


def test_a_step_that_fails_beside_takes_down_only_what_depends_on_it_and_the_rest_isnt_done_twice(instance):
    state["fails"] = True
    result = run(one_of_two_fails, instance, REMOTE, raise_on_error=False)
    assert instance.get_run_by_id(result.run_id).status == dg.DagsterRunStatus.FAILURE
    assert state["done"] == ["near"] and not step_events(result, "after")
    state["fails"] = False
    again = ReexecutionOptions.from_failure(result.run_id, instance)
    assert run(one_of_two_fails, instance, reexecution_options=again).success
    assert state["done"] == ["near", "after made"]


def waits_until_it_is_stopped():
    @dg.asset(op_tags=WAITS)
    def far(context: dg.AssetExecutionContext):
        key = context.get_step_execution_context().step.key
        context.instance.report_run_canceling(context.run)
        os.kill(os.getpid(), signal.SIGTERM)
        for _ in range(2400):
            if is_stopping(context.run.run_id, key):
                state["done"].append("route let go")
                raise dg.DagsterExecutionInterruptedError
            time.sleep(0.05)

    @dg.asset(deps=[far])
    def after(): ...

    return job(far, after)


def test_a_cancelled_run_tells_its_waiting_step_and_ends_cancelled_after_it_let_go(instance):
    result = run(waits_until_it_is_stopped, instance, REMOTE, raise_on_error=False)
    assert state["done"] == ["route let go"]
    assert instance.get_run_by_id(result.run_id).status == dg.DagsterRunStatus.CANCELED
    assert not step_events(result, "after")
    assert not [thread for thread in threading.enumerate() if thread.name == "step-far"]


def is_cancelled_while_another_step_works_here():
    @dg.asset(op_tags=WAITS)
    def far(context: dg.AssetExecutionContext):
        key = context.get_step_execution_context().step.key
        state["started"].set()
        for _ in range(2400):
            if is_stopping(context.run.run_id, key):
                state["done"].append("route let go")
                raise dg.DagsterExecutionInterruptedError
            time.sleep(0.05)

    @dg.asset
    def near(context: dg.AssetExecutionContext):
        state["started"].wait(120)
        context.instance.report_run_canceling(context.run)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(120)

    return job(far, near)


def test_an_interrupt_in_a_step_here_also_stops_the_one_that_waits(instance):
    began = time.monotonic()
    result = run(is_cancelled_while_another_step_works_here, instance, REMOTE, raise_on_error=False)
    assert time.monotonic() - began < 100, "nobody waited for the step here to end by itself"
    assert state["done"] == ["route let go"]
    assert step_events(result, "far")[-1] == "STEP_FAILURE", "what became of it is told"
    assert instance.get_run_by_id(result.run_id).status == dg.DagsterRunStatus.CANCELED


def fans_out():
    @dg.op(out=dg.DynamicOut(int), tags=WAITS)
    def many():
        for number in range(3):
            yield dg.DynamicOutput(number, mapping_key=str(number))

    @dg.op(tags=WAITS)
    def each(number):
        return number * 2

    @dg.op
    def together(numbers):
        state["done"] = sorted(numbers)

    @dg.job(executor_def=gpu_routing_executor)
    def fanned():
        together(many().map(each).collect())

    return fanned


def test_steps_that_multiply_while_the_run_goes_on_are_all_run(instance):
    assert run(fans_out, instance, REMOTE).success
    assert state["done"] == [0, 2, 4]
