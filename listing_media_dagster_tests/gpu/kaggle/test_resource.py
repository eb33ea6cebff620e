"""Kaggle inside Dagster: a step whose poller dies is retried and goes on with the session it had."""

from collections.abc import Callable

import dagster as dg
import pytest

from listing_media_dagster.gpu import kaggle_jobs
from listing_media_dagster.gpu.choice import Policy
from listing_media_dagster.gpu.job import JobFolder
from listing_media_dagster.gpu.kaggle.drive import Drive
from listing_media_dagster.gpu.kaggle.shared_sessions import SharedSessions
from listing_media_dagster.gpu.kaggle_jobs import KaggleJobs
from listing_media_dagster.gpu.router import Dispatcher, dispatch
from listing_media_dagster.gpu.routes.kaggle import KaggleRoute
from listing_media_dagster.gpu.routes.table import open_route
from listing_media_dagster.settings import Settings
from listing_media_dagster_tests.helpers.fake_kaggle import TOKEN, FakeKaggle


@pytest.fixture(autouse=True)
def _route(sessions: SharedSessions, monkeypatch: pytest.MonkeyPatch) -> None:
    """A route to the fake, and at its speed."""
    assert sessions.environment is not None
    route = KaggleRoute(sessions, sessions.environment)
    monkeypatch.setattr(kaggle_jobs, "open_route", lambda at: route)


def test_a_retried_step_goes_on_with_its_session(
    kaggle: FakeKaggle, make_job: Callable[..., JobFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_job(items=1)
    watch, deaths = Drive._watch, iter([RuntimeError("the poller died")])

    def die_once(drive: Drive) -> None:
        for death in deaths:
            raise death
        watch(drive)

    monkeypatch.setattr(Drive, "_watch", die_once)

    @dg.asset(retry_policy=dg.RetryPolicy(max_retries=1))
    def pictures(context: dg.AssetExecutionContext, there: KaggleJobs) -> None:
        context.add_output_metadata({"device": there.run(context, folder).device})

    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize([pictures], resources={"there": KaggleJobs()}, instance=instance)
        told = "\n".join(entry.user_message for entry in instance.all_logs(result.run_id))
        recorded = "\n".join(str(entry.to_json()) for entry in instance.all_logs(result.run_id))
    assert result.success
    assert "going on with what an earlier attempt began" in told
    assert len(kaggle.sessions) == 1 and kaggle.count("CreateDataset") == 1
    assert folder.result().items[0].outcome == "ok"
    assert TOKEN not in told and TOKEN not in recorded


def test_a_refusal_fails_the_step_with_its_reason(
    kaggle: FakeKaggle, make_job: Callable[..., JobFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    kaggle.gpu_seconds_used = 29.9 * 3600
    assert KaggleJobs().quota().left_seconds == pytest.approx(360)

    @dg.asset
    def pictures(context: dg.AssetExecutionContext, there: KaggleJobs) -> None:
        there.run(context, make_job(items=1))

    result = dg.materialize([pictures], resources={"there": KaggleJobs()}, raise_on_error=False)
    (failure,) = result.get_step_failure_events()
    assert "0.1 of 30 GPU hours left" in str(failure.step_failure_data.error)
    assert not kaggle.count("StartBlobUpload")


def test_the_router_takes_the_next_route_where_kaggle_fails_for_good(
    kaggle: FakeKaggle, sessions: SharedSessions, make_job: Callable[..., JobFolder]
) -> None:
    assert sessions.environment is not None
    kaggle.faults.save_error = "Phone verification is required."
    routes = {"kaggle": KaggleRoute(sessions, sessions.environment), "cpu": open_route("cpu", Settings(_env_file=None))}
    folder = make_job(items=1, gpu="optional")
    told: list[str] = []
    routed = dispatch(folder, Policy(("kaggle", "cpu")), routes.__getitem__, Dispatcher(say=told.append))
    assert routed.route == "cpu" and routed.result.items[0].outcome == "ok"
    assert "Phone verification is required" in routed.decision.refusals["kaggle"]
    assert any("uploading" in line for line in told)


def test_the_router_gets_its_results_from_kaggle(
    kaggle: FakeKaggle, sessions: SharedSessions, make_job: Callable[..., JobFolder]
) -> None:
    assert sessions.environment is not None
    route, remembered, taken = KaggleRoute(sessions, sessions.environment), [], []
    folder = make_job(items=1)
    owner = Dispatcher(
        remember=lambda name, handle: remembered.append((name, handle)),
        take=lambda name, result: taken.append((name, result.item_id)),
    )
    routed = dispatch(folder, Policy(("kaggle",)), lambda name: route, owner)
    assert (routed.route, taken) == ("kaggle", [("kaggle", "room-0")])
    assert (
        routed.report.device == "Kaggle, 2 x Tesla T4"
        and routed.report.used["kaggle_session"] == kaggle.sessions[0].ref
    )
    assert [name for name, _ in remembered] == ["kaggle", "kaggle"]
