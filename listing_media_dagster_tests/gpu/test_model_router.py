"""Jobs on their way within real runs: fallback, retry, re-attachment, cancellation, and what the event log keeps."""

import threading
import time

import dagster as dg
import pytest

from listing_media_dagster.assets.stage_asset import trying_again
from listing_media_dagster.gpu import model_router
from listing_media_dagster.gpu.choice import RUN_TAG
from listing_media_dagster.gpu.job import JobFolder
from listing_media_dagster.gpu.model_router import ModelRouter, routing_metadata
from listing_media_dagster.gpu.routes.route import JobCancelled, RouteFailed, RouteReport
from listing_media_dagster.gpu.routes.table import open_route
from listing_media_dagster.gpu.worker import Assignment, work_off
from listing_media_dagster.models.weights import BadWeights
from listing_media_dagster.settings import Settings
from listing_media_dagster_tests.gpu.test_worker import bench
from listing_media_dagster_tests.helpers.jobs import write_enhance_job


class FarAway:
    """A remote route that executes: works jobs off in this process, and fails at the calls (from 1) it is told to."""

    name, is_remote = "kaggle", True

    def __init__(self, tmp_path, fails=(), later=True, spoils=False, **remembered):
        self.bench, self.fails, self.later, self.spoils = bench(tmp_path), fails, later, spoils
        self.remembered = remembered
        self.known, self.launches = [], 0

    def refusal(self, needs, job=None):
        return None

    def run(self, folder, listener, known=None):
        self.known.append(known)
        if known is None:
            self.launches += 1
            listener.remember({"kernel": f"kernel-{self.launches}", **self.remembered})
        if len(self.known) in self.fails:
            raise RouteFailed("the poller lost its network", may_succeed_later=self.later)
        work_off([Assignment(folder, listener)], self.bench)
        if self.spoils:
            (folder.path / "outputs" / "room-0" / "enhanced.jpg").write_bytes(b"an error page")
        return RouteReport("NVIDIA T4", 90.0, 30.0, 9000.0, {"gpu_hours": 0.03})


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run an asset that sends small jobs by `routes`; gives the result, what was taken, and the last job's folder."""

    def go(far, routes="kaggle,cpu", instance=None, names=("small-job",), **execution):
        here = {"kaggle": far, "cpu": open_route("cpu", Settings())}
        monkeypatch.setattr(model_router, "route_here", here.__getitem__)
        monkeypatch.setattr(model_router, "settings", lambda: Settings(work_dir=tmp_path / "work"))
        place = tmp_path / f"jobs-{time.monotonic_ns()}"
        sources = [write_enhance_job(place / name, 2, job_id=name) for name in names]
        taken = []

        @dg.asset
        @trying_again
        def staged(context: dg.AssetExecutionContext, router: ModelRouter):
            for source in sources:
                routed = router.run(
                    context,
                    source.job,
                    {file.path: source.read(file) for file in source.job.all_inputs()},
                    take=lambda route, result, read: taken.append(
                        (route, result.item_id, len(read("enhanced.jpg")) > 99)
                    ),
                    is_last_attempt=context.retry_number >= 3,
                )
            return dg.MaterializeResult(metadata=routing_metadata(routed))

        result = dg.materialize(
            [staged],
            resources={"router": ModelRouter()},
            instance=instance or dg.DagsterInstance.ephemeral(),
            tags={RUN_TAG: routes},
            raise_on_error=False,
            **execution,
        )
        return result, taken, JobFolder(tmp_path / "work" / names[-1])

    monkeypatch.setattr("listing_media_dagster.assets.stage_asset.FIRST_PAUSE_SECONDS", 0.001)
    return go


def engine_events(result):
    return [event.message for event in result.all_events if event.is_engine_event and event.step_key == "staged"]


def logged(instance, result):
    entries = instance.all_logs(result.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT)
    return [entry.dagster_event.message for entry in entries]


def test_decision_device_times_and_quota_are_in_the_event_log_and_the_metadata(run, tmp_path):
    instance = dg.DagsterInstance.ephemeral()
    result, taken, folder = run(FarAway(tmp_path), instance=instance)
    assert result.success
    assert taken == [("kaggle", "room-0", True), ("kaggle", "room-1", True)]
    told = logged(instance, result)
    assert "2 items to enhance: route kaggle" in told
    assert "2 items back from kaggle (NVIDIA T4): 30.0 s, 90.0 s in the queue, 9000 MB" in told
    (made,) = [event.metadata for event in result.asset_materializations_for_node("staged")]
    assert made["device"].value == "NVIDIA T4" and made["queue_seconds"].value == 90.0
    assert made["used: gpu_hours"].value == 0.03
    assert not folder.path.exists()


def test_a_retried_step_finds_the_external_job_again_and_launches_no_second_one(run, tmp_path):
    far = FarAway(tmp_path, fails=(1, 2))
    result, _, _ = run(far)
    assert result.success
    assert far.launches == 1
    assert far.known == [None, {"kernel": "kernel-1"}, {"kernel": "kernel-1"}]


def test_each_job_of_a_retried_step_finds_its_own_external_job_again(run, tmp_path):
    far = FarAway(tmp_path, fails=(2,))
    result, _, _ = run(far, names=("tidying", "staging"))
    assert result.success
    assert far.known == [None, None, {"kernel": "kernel-1"}, {"kernel": "kernel-2"}]


def test_where_people_see_an_external_job_is_a_link_in_the_event_log(run, tmp_path):
    instance = dg.DagsterInstance.ephemeral()
    result, _, _ = run(FarAway(tmp_path, url="http://media.example/job.ipynb"), instance=instance)
    told = instance.all_logs(result.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT)
    links = [entry.dagster_event.engine_event_data.metadata.get("external run url") for entry in told]
    assert [link.url for link in links if link] == ["http://media.example/job.ipynb"]


def test_a_new_run_launches_its_own_external_job(run, tmp_path):
    far, instance = FarAway(tmp_path), dg.DagsterInstance.ephemeral()
    run(far, instance=instance)
    run(far, instance=instance)
    assert far.known == [None, None]


def test_a_route_that_fails_for_good_gives_way_to_the_next(run, tmp_path):
    instance = dg.DagsterInstance.ephemeral()
    result, taken, _ = run(FarAway(tmp_path, fails=range(1, 10), later=False), instance=instance)
    assert result.success
    assert {route for route, _, _ in taken} == {"cpu"}
    assert any("route cpu (kaggle: failed: the poller lost its network)" in line for line in logged(instance, result))


def test_a_route_that_fails_to_the_last_attempt_gives_way_to_the_next(run, tmp_path):
    far = FarAway(tmp_path, fails=range(1, 10))
    result, taken, _ = run(far)
    assert result.success and len(far.known) == 4
    assert {route for route, _, _ in taken} == {"cpu"}


def test_without_another_route_the_step_fails_with_every_reason(run, tmp_path):
    result, _, folder = run(FarAway(tmp_path, fails=range(1, 10), later=False), routes="kaggle")
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    said = failure.step_failure_data.user_failure_data.description
    assert said.startswith("nothing here can do job small-job: kaggle: failed: the poller lost its network")
    assert folder.job, "what was done stays for the next attempt"


def test_a_result_that_was_tampered_with_is_never_taken(run, tmp_path):
    result, _, _ = run(FarAway(tmp_path, spoils=True), routes="kaggle")
    assert not result.success
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    assert "what came back is damaged" in failure.step_failure_data.user_failure_data.description


def test_an_interrupted_step_waits_until_its_remote_route_has_let_go(run, tmp_path):
    let_go = threading.Event()

    class Waits(FarAway):
        def run(self, folder, listener, known=None):
            threading.Timer(0.3, interrupt_main).start()
            while not listener.is_cancelled():
                time.sleep(0.02)
            time.sleep(0.3)  # as a kernel takes its time to be deleted
            let_go.set()
            raise JobCancelled

    def interrupt_main():
        import signal

        signal.raise_signal(signal.SIGINT)

    result, taken, folder = run(Waits(tmp_path))
    assert let_go.is_set() and not result.success and not taken
    assert folder.job, "its folder stays for the next run"


def test_weights_that_were_changed_since_they_were_chosen_end_the_job_with_words(tmp_path, monkeypatch):
    def changed(*_):
        raise BadWeights("model.safetensors isn't the file that was pulled")

    monkeypatch.setattr(model_router, "carrying_entries", changed)
    with pytest.raises(RouteFailed, match=r"can't say what its models are: model\.safetensors") as failed:
        model_router._with_models(write_enhance_job(tmp_path / "job", 1).job)
    assert not failed.value.may_succeed_later
