"""A listing's staging, polishing and scores by way of Kaggle: one session for all of it, and the same delivery."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import dagster as dg
import numpy as np
import pytest

from listing_media_dagster.assets import ahead, clip_scores, model_work, staging_job
from listing_media_dagster.assets.chosen_models import ChosenModels
from listing_media_dagster.assets.clip import model_ref
from listing_media_dagster.gpu import model_router
from listing_media_dagster.gpu.job import ModelRef, Needs
from listing_media_dagster.gpu.kaggle.outbox import Outbox
from listing_media_dagster.gpu.kaggle.shared_sessions import SharedSessions
from listing_media_dagster.gpu.kaggle.shipment import Limits
from listing_media_dagster.gpu.result_shelf import ResultShelf
from listing_media_dagster.gpu.routes.kaggle import KaggleRoute
from listing_media_dagster.gpu.routes.route import RouteFailed
from listing_media_dagster.gpu.routes.table import open_route
from listing_media_dagster.gpu.work import stage
from listing_media_dagster.models.clip import ClipIdentity
from listing_media_dagster.models.entry import Stage
from listing_media_dagster.settings import settings
from listing_media_dagster.staging import suitability
from listing_media_dagster.staging.rendered import FurnishableRoom
from listing_media_dagster.staging.suitability import Suitability
from listing_media_dagster_tests.gpu.kaggle.conftest import AT_ONCE, IMPATIENT, collect_until_all_wait
from listing_media_dagster_tests.helpers import stand_in_work
from listing_media_dagster_tests.helpers.drawn_furniture import BoxedRoom
from listing_media_dagster_tests.helpers.fake_kaggle import Dataset, FakeKaggle, running_kaggle
from listing_media_dagster_tests.helpers.pipeline import Pipeline, failure_of, save_stage

STAGING = {"staged_photos": {"include": ["bedroom.jpg", "living-room.jpg"]}}
LEVELS = {"bedroom.jpg": 200, "living-room.jpg": 50, "kitchen.jpg": 150, "bathroom.jpg": 80}
"""Of these, staging and polishing refuse the living room, and polishing the bathroom."""
FURNISH = stage.furnish_rooms
PUT_IN_PLACE = """
try:
    import stand_in_work
except ImportError:  # the package isn't unpacked yet
    pass
else:
    stand_in_work.put_in_place()
"""


class Encoder:
    identity = ClipIdentity(model="stand-in", pretrained="tests", weights_sha256="c" * 64, test_only=True)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeKaggle]:
    with running_kaggle(tmp_path_factory.mktemp("kaggle")) as kaggle:
        yield kaggle


@pytest.fixture
def kaggle(running: FakeKaggle, tmp_path: Path) -> FakeKaggle:
    """An account with weights attached to its sessions, in which stand-ins do the work."""
    running.reset()
    running.image |= {"stand_in_work.py": inspect.getsource(stand_in_work), "sitecustomize.py": PUT_IN_PLACE}
    (tmp_path / "weights").mkdir()
    running.datasets["alice/weights"] = Dataset("weights", tmp_path / "weights", True, 0)
    return running


@pytest.fixture(autouse=True)
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One that polishes with a model and scores, and whose work goes by kaggle where that is there."""

    def chosen(models: Stage, routes: Any, at: Any) -> ChosenModels:
        ids = {Stage.ENHANCEMENT: "sdxl-tile", Stage.DECLUTTER: "sdxl-union"}
        refs = (ModelRef(id=ids[models]),) if models in ids else ()
        return ChosenModels(models, refs, Needs(gpu="optional"))

    monkeypatch.setenv("LISTING_MEDIA_WORK_DIR", str(tmp_path / "work"))
    monkeypatch.setenv("LISTING_MEDIA_ROUTES", "kaggle,cpu")
    monkeypatch.setattr(model_work, "choose_models", chosen)
    monkeypatch.setattr(clip_scores, "load_scorer", Encoder)
    for module in (ahead, staging_job):
        monkeypatch.setattr(module, "find_scorer", lambda: model_ref(Encoder.identity))
    stand_in_work.put_in_place(monkeypatch.setattr)
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.fixture
def by_kaggle(kaggle: FakeKaggle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KaggleRoute:
    limits = Limits(collect_seconds=0, datasets=("alice/weights",))
    environment = kaggle.client_environment(tmp_path)
    sessions = SharedSessions(Outbox(tmp_path / "outbox"), limits, IMPATIENT, AT_ONCE, environment)
    route = KaggleRoute(sessions, environment)
    _lead(monkeypatch, route)
    return route


def _lead(monkeypatch: pytest.MonkeyPatch, kaggle: Any) -> None:
    here = {"kaggle": kaggle, "cpu": open_route("cpu", settings())}
    monkeypatch.setattr(model_router, "route_here", here.__getitem__)


class NoKaggle:
    name, is_remote = "kaggle", True

    def refusal(self, needs: Any, job: Any = None) -> str:
        return "0.3 of 30 GPU hours left"


def prepared(folder: Path, shift: int = 0, **asked: Any) -> Pipeline:
    pipeline = Pipeline(str(folder))
    grain = np.random.default_rng(1).normal(0, 12, (200, 300, 3))
    pictures = {name: np.clip(level + shift + grain, 0, 255).astype(np.uint8) for name, level in sorted(LEVELS.items())}
    save_stage(pipeline, "enhanced_photos", pictures, generative={"enhance": "all", **asked})
    return pipeline


def delivered(
    pipeline: Pipeline, instance: dg.DagsterInstance | None = None, config: Any = STAGING
) -> list[dict[str, Any]]:
    """Run staging and scores and return what is said of each photo, but for where it was done."""
    result = pipeline.run("staged_photos", "clip_scores", config=config, instance=instance)
    assert result.success, failure_of(result)
    photos = pipeline.photo_set("clip_scores").photos
    said = [photo.model_dump(mode="json", exclude={"route", "device"}) for photo in photos]
    for photo in said:
        before = photo["facts"].get("generative", {}).get("before", {"attachments": {}})
        for where in ("route", "device"):
            before.pop(where, None)
        for each in (photo, before):
            each["attachments"].pop("tidied.json", None)  # says where it was done
    return said


def messages(instance: dg.DagsterInstance) -> list[str]:
    """Return what the event log says of the ways that jobs went."""
    (run,) = instance.get_runs()
    logged = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT)
    return [entry.dagster_event.message or "" for entry in logged if entry.dagster_event]


def routes(pipeline: Pipeline) -> dict[str, str]:
    return {photo.sources[0].name: photo.route for photo in pipeline.photo_set("clip_scores").photos if photo.route}


def test_two_listings_are_tidied_staged_polished_and_scored_by_one_kernel_as_they_would_be_job_by_job(
    kaggle: FakeKaggle, by_kaggle: KaggleRoute, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    collect_until_all_wait(by_kaggle.sessions, 2)
    kaggle.faults.gpus = 1
    instances = [dg.DagsterInstance.ephemeral() for _ in range(2)]
    tidied = {"declutter": ["kitchen.jpg", "bedroom.jpg"]}
    pipelines = [prepared(tmp_path / "one", **tidied), prepared(tmp_path / "two", shift=1, **tidied)]
    with ThreadPoolExecutor(2) as both:
        waiting = [
            both.submit(delivered, pipeline, instance=instance)
            for pipeline, instance in zip(pipelines, instances, strict=True)
        ]
        in_one_go = [each.result() for each in waiting]
    assert kaggle.count("SaveKernel") == 1 and len(kaggle.sessions) == 1
    for pipeline, instance in zip(pipelines, instances, strict=True):
        assert routes(pipeline) == {"bedroom.jpg": "kaggle", "kitchen.jpg": "kaggle"}, (
            "those of which anything was made"
        )
        told = messages(instance)
        assert "4 items to chain: route kaggle" in told
        for done in ("2 of 2 items to declutter", "2 of 2 items to stage", "4 of 4 items to enhance"):
            assert f"{done} were done ahead by kaggle" in told
        assert "4 of 4 items to score were done ahead by kaggle" in told
    assert not list((tmp_path / "work" / "shelf").iterdir()), "what was used is gone; nothing was made in vain"

    _lead(monkeypatch, NoKaggle())
    assert delivered(prepared(tmp_path / "other", **tidied)) == in_one_go[0]


def test_a_tidied_room_is_furnished_on_the_way_only_if_it_is_empty_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Photos from 190 up are empty rooms; tidying makes them 40 lighter."""

    def judged(picture: Any) -> Suitability:
        refusal = None if picture.mean() >= 190 else "something stands in it"
        return Suitability(refusal, 1.0, {"exterior": 0.0})

    monkeypatch.setattr(suitability, "judge_suitability", judged)
    monkeypatch.setenv("LISTING_MEDIA_STAGE", "empty_rooms")
    settings.cache_clear()
    monkeypatch.setattr(stand_in_work, "DONE", [])
    levels = {"attic.jpg": 200, "bedroom.jpg": 160, "home-office.jpg": 140, "living-room.jpg": 165}
    grain = np.random.default_rng(1).normal(0, 12, (200, 300, 3))
    pictures = {name: np.clip(level + grain, 0, 255).astype(np.uint8) for name, level in levels.items()}
    asked = {"declutter": ["bedroom.jpg", "home-office.jpg"], "enhance": "all"}
    far, deliveries = InProcess(), []
    _lead(monkeypatch, far)
    for name in ("one", "two"):
        pipeline = Pipeline(str(tmp_path / name))
        save_stage(pipeline, "enhanced_photos", pictures, generative=asked)
        deliveries.append(delivered(pipeline, config={}))
        if name == "one":
            assert far.kinds == ["chain"], "all of it in one go"
            staged = {photo.sources[0].name for photo in pipeline.photo_set("staged_photos").photos if photo.is_staged}
            assert staged == {"attic.jpg", "bedroom.jpg"}
            assert sum(done.startswith("stage ") for done in stand_in_work.DONE) == 2, "not the room that isn't empty"
            assert not list((tmp_path / "work" / "shelf").iterdir())
            _lead(monkeypatch, NoKaggle())
    assert deliveries[0] == deliveries[1]


def _fail_once_to_shelve_what_was_staged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the disk be full the first time that staged rooms come back; the step is tried again at once."""
    finish, failures = ResultShelf.finish_items, iter([True])

    def full_disk(self: ResultShelf, folder: Any) -> dict[str, str]:
        if folder.job.kind == "stage" and next(failures, False):
            raise OSError(28, "no space left")
        return finish(self, folder)

    monkeypatch.setattr(ResultShelf, "finish_items", full_disk)
    monkeypatch.setattr("listing_media_dagster.assets.stage_asset.FIRST_PAUSE_SECONDS", 0.001)


def test_a_room_that_was_tidied_before_is_not_sent_again_with_what_follows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    far = InProcess()
    _lead(monkeypatch, far)
    _fail_once_to_shelve_what_was_staged(monkeypatch)
    monkeypatch.setattr(stand_in_work, "DONE", [])
    delivered(prepared(tmp_path / "media", declutter=["bedroom.jpg", "kitchen.jpg"]))
    assert far.kinds == ["chain"] and len(stand_in_work.DONE) == len(set(stand_in_work.DONE))


def test_where_work_begins_at_once_every_job_goes_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _lead(monkeypatch, NoKaggle())
    monkeypatch.setattr(stand_in_work, "DONE", [])
    delivered(prepared(tmp_path / "media"))
    assert not (tmp_path / "work" / "shelf").exists()
    assert [done.split()[0] for done in stand_in_work.DONE] == ["stage"] * 2 + ["enhance"] * 4 + ["score"] * 4


class InProcess:
    """Stands for Kaggle where its own ways aren't what is tested: works jobs off here, and remembers them."""

    name, is_remote = "kaggle", True

    def __init__(self, fails_at: str = "", later: bool = False) -> None:
        self.kinds: list[str] = []
        self.known: list[Any] = []
        self.fails_at, self.later = fails_at, later
        self._cpu = open_route("cpu", settings())

    def refusal(self, needs: Any, job: Any = None) -> None:
        return None

    def run(self, folder: Any, listener: Any, known: Any = None) -> Any:
        kind = folder.job.kind.value
        self.kinds.append(kind)
        self.known.append(known)
        if kind == self.fails_at and not known:
            listener.remember({"session": "the first"})
            raise RouteFailed("the session can't be had", may_succeed_later=self.later)
        return self._cpu.run(folder, listener)


def test_the_embedded_back_end_stages_in_a_chain_as_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "furnish_rooms", FURNISH)
    monkeypatch.setattr(FurnishableRoom, "pixels", BoxedRoom.pixels)
    monkeypatch.setattr(staging_job, "find_scorer", lambda: None)  # no encoder to judge on the ladder with
    far = InProcess()
    _lead(monkeypatch, far)
    rooms = Path(__file__).parents[1] / "staging" / "rendered_rooms"
    picture = cv2.imread(str(rooms / "sunless.jpg"), cv2.IMREAD_COLOR_RGB)
    assert picture is not None
    small = np.asarray(cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.uint8)
    deliveries = []
    for name in ("one", "two"):
        pipeline = Pipeline(str(tmp_path / name))
        save_stage(pipeline, "enhanced_photos", {"bedroom.jpg": small}, generative={"enhance": "all"})
        deliveries.append(delivered(pipeline))
        _lead(monkeypatch, NoKaggle())
    assert far.kinds == ["chain"] and deliveries[0] == deliveries[1]
    (photo,) = deliveries[0]
    assert [operation["name"] for operation in photo["operations"]] == ["virtual_staging", "diffusion_enhancement"]
    assert {verdict["gate"] for verdict in photo["verdicts"]} == {"structure", "clip"}


def test_scores_wait_for_their_own_run_and_a_second_run_sends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    far = InProcess()
    _lead(monkeypatch, far)
    pipeline = prepared(tmp_path / "media")
    assert pipeline.run("staged_photos", config=STAGING).success
    assert pipeline.run("clip_scores").success
    delivered(pipeline)
    assert far.kinds == ["chain"]


def test_results_that_were_damaged_since_are_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    far = InProcess()
    _lead(monkeypatch, far)
    pipeline = prepared(tmp_path / "media")
    assert pipeline.run("staged_photos", config=STAGING).success
    (spoilt, *_) = (tmp_path / "work" / "shelf").glob("*/outputs/item/item.json")
    spoilt.write_bytes(spoilt.read_bytes().replace(b'"key": "', b'"key": "0'))
    monkeypatch.setattr(stand_in_work, "DONE", [])
    assert pipeline.run("clip_scores").success
    assert far.kinds == ["chain", "score"] and len(stand_in_work.DONE) == 1, "only that one"


def test_what_cannot_be_done_in_one_go_is_done_job_by_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    far = InProcess(fails_at="chain")
    _lead(monkeypatch, far)
    monkeypatch.setenv("LISTING_MEDIA_ROUTES", "kaggle")
    settings.cache_clear()
    pipeline = prepared(tmp_path / "media")
    delivered(pipeline)
    assert far.kinds == ["chain", "stage", "enhance", "score"]
    assert any("not done in one go" in said for said in pipeline.photo_set("staged_photos").stage.messages)


def test_a_step_that_is_tried_again_finds_its_chain_on_its_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    far = InProcess(fails_at="chain", later=True)
    _lead(monkeypatch, far)
    monkeypatch.setattr("listing_media_dagster.assets.stage_asset.FIRST_PAUSE_SECONDS", 0.001)
    delivered(prepared(tmp_path / "media"))
    assert far.kinds == ["chain"] * 2 and far.known == [None, {"session": "the first"}]


def test_a_step_that_is_tried_again_does_nothing_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    far = InProcess()
    _lead(monkeypatch, far)
    _fail_once_to_shelve_what_was_staged(monkeypatch)
    monkeypatch.setattr(stand_in_work, "DONE", [])
    delivered(prepared(tmp_path / "media"))
    assert far.kinds == ["chain"] and len(stand_in_work.DONE) == len(set(stand_in_work.DONE))
