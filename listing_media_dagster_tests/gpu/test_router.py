"""Which route's answer counts, where routes have other models than one another."""

from __future__ import annotations

from pathlib import Path

import pytest

from listing_media_dagster.gpu.choice import Policy
from listing_media_dagster.gpu.job import Item, JobFolder, ModelJob, ModelRef, WorkKind, job_file
from listing_media_dagster.gpu.router import Dispatcher, dispatch
from listing_media_dagster.gpu.routes.route import Listener, RouteReport
from listing_media_dagster.gpu.work.bench import Bench, Made
from listing_media_dagster.gpu.worker import Assignment, work_off
from listing_media_dagster.models.warm import WarmModels


class Worker:
    """A route whose machine has these models folder and works jobs off for real."""

    is_remote = False

    def __init__(self, name: str, models_dir: Path) -> None:
        self.name, self.models_dir = name, models_dir

    def refusal(self, needs, job=None):
        return None

    def run(self, folder, listener: Listener, known=None) -> RouteReport:
        work_off([Assignment(folder, listener)], Bench("cpu", WarmModels(), self.models_dir))
        return RouteReport("cpu")


@pytest.fixture
def folder(tmp_path) -> JobFolder:
    item = Item(id="hall", inputs={"picture": job_file("inputs/hall.jpg", b"a picture")})
    job = ModelJob(id="upscaling", kind=WorkKind.UPSCALE, model=ModelRef(id="swin2sr-x2"), items=(item,))
    return JobFolder.create(tmp_path / "job", job, {"inputs/hall.jpg": b"a picture"})


def sent(folder, *routes):
    by_name, said = {route.name: route for route in routes}, []
    owner = Dispatcher(decided=lambda decision: said.append(str(decision)))
    return dispatch(folder, Policy(tuple(by_name)), by_name.__getitem__, owner), said


def test_a_machine_without_the_jobs_models_gives_way_to_the_next_route(folder, tmp_path, monkeypatch):
    def enlarge(tasks, bench):
        if not bench.models_dir.exists():
            yield from without_models(tasks, bench)
        yield from (Made({"altered.jpg": b"large"}) for _ in tasks)

    from listing_media_dagster.gpu.work import alter

    without_models = alter.enlarge_pictures
    monkeypatch.setattr(alter, "enlarge_pictures", enlarge)
    (tmp_path / "models").mkdir()
    routed, said = sent(folder, Worker("kaggle", tmp_path / "none"), Worker("cuda", tmp_path / "models"))
    assert routed.route == "cuda" and routed.result.items[0].outcome == "ok"
    assert said[0] == "route kaggle" and said[1].startswith("route cuda (kaggle: failed: swin2sr")


def test_where_no_route_has_the_models_the_items_say_what_is_missing(folder, tmp_path):
    routed, said = sent(folder, Worker("kaggle", tmp_path / "none"), Worker("cpu", tmp_path / "none"))
    (item,) = routed.result.items
    assert (item.outcome, item.lacks_models) == ("failed", True) and "isn't here" in item.reason
    assert len(said) == 3 and said[2].startswith("no route (kaggle: failed: ")


def test_work_that_fails_for_other_reasons_is_not_sent_round(folder, tmp_path, monkeypatch):
    from listing_media_dagster.gpu.work import alter

    def broken(tasks, bench):
        raise ValueError("an input is no picture")
        yield

    monkeypatch.setattr(alter, "enlarge_pictures", broken)
    routed, said = sent(folder, Worker("kaggle", tmp_path / "none"), Worker("cpu", tmp_path / "none"))
    assert said == ["route kaggle"] and routed.result.items[0].reason == "an input is no picture"
