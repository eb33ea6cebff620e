"""Clips as model work: a tiny pipeline of the real classes makes noise, and noise reaches no film."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from listing_media_dagster.gpu.job import Item, ItemResult, JobFolder, ModelJob, ModelRef, WorkKind, job_file
from listing_media_dagster.gpu.routes.route import Listener
from listing_media_dagster.gpu.work.bench import Bench
from listing_media_dagster.gpu.worker import Assignment, work_off
from listing_media_dagster.models.entry import CatalogueEntry
from listing_media_dagster.models.video.animator import VideoDiffusion
from listing_media_dagster.models.video.families import FAMILIES
from listing_media_dagster.models.warm import WarmModels
from listing_media_dagster_tests.helpers.tiny_video import (
    save_tiny_ltx2,
    save_tiny_svd,
    save_tiny_wan,
    tiny_video_entry,
)
from listing_media_dagster_tests.helpers.tiny_vision import on_one_thread

pytest.importorskip("torch")
ROOM = Path(__file__).parents[2] / "staging" / "rendered_rooms" / "sunless.jpg"


@pytest.fixture(scope="module")
def entry(tmp_path_factory: pytest.TempPathFactory) -> CatalogueEntry:
    return tiny_video_entry(save_tiny_svd(tmp_path_factory.mktemp("svd")), "svd", frames=3, multiple_of=32)


def animated(
    entry: CatalogueEntry, folder: Path, *further: str, allow: bool = True, listener: Listener | None = None
) -> ItemResult | None:
    """Have a photo animated by `entry`, or by the catalogue's `further` models; None if the work was left."""
    own = folder / "models.yaml"
    own.write_text(yaml.safe_dump({"models": [entry.model_dump(mode="json")]}))
    photo = ROOM.read_bytes()
    item = Item(id="room", inputs={"picture": job_file("inputs/room.jpg", photo)}, parameters={"room": "kitchen"})
    job = ModelJob(
        id="job",
        kind=WorkKind.ANIMATE,
        model=ModelRef(id=entry.id),
        parameters={"further_models": [{"id": name} for name in further]},
        items=(item,),
    )
    made = JobFolder.create(folder / "job", job, {"inputs/room.jpg": photo})
    bench = Bench("cpu", WarmModels(), folder / "models", {}, own, allow_test_weights=allow)
    with on_one_thread():
        left = work_off([Assignment(made, listener or Listener())], bench)
    return None if left else made.result().items[0]


@pytest.fixture(params=list(FAMILIES))
def any_entry(
    request: pytest.FixtureRequest, entry: CatalogueEntry, tmp_path_factory: pytest.TempPathFactory
) -> CatalogueEntry:
    if request.param == "svd":
        return entry
    save = save_tiny_ltx2 if request.param == "ltx2" else save_tiny_wan
    return tiny_video_entry(save(tmp_path_factory.mktemp("film")), request.param, frames=9, multiple_of=32)


def test_a_clip_of_noise_is_refused_with_its_frame_its_verdict_and_its_ledger(
    any_entry: CatalogueEntry, tmp_path: Path
) -> None:
    result = animated(any_entry, tmp_path, "svd-xt")
    assert result and result.outcome == "refused" and not result.outputs
    assert result.reason.startswith("tiny-video: frame ")
    assert result.record["verdict"]["outcome"] == "failed"
    operation = result.record["operation"]
    assert (operation["name"], operation["generative"]) == ("animation", True) and operation["weights_sha256"]
    assert ("prompt" in operation["parameters"]) == (any_entry.family != "svd"), "which takes none"


def test_weights_made_for_tests_animate_nothing_elsewhere(entry: CatalogueEntry, tmp_path: Path) -> None:
    result = animated(entry, tmp_path, allow=False)
    assert result and result.outcome == "failed" and "made for tests" in result.reason


def test_cancelling_ends_a_clip_in_the_middle(
    entry: CatalogueEntry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    ended: list[bool] = []
    run = VideoDiffusion._run

    def noted(self: VideoDiffusion, *asked: object) -> object:
        frames = run(self, *asked)  # type: ignore[arg-type]
        ended.append(True)
        return frames

    monkeypatch.setattr(VideoDiffusion, "_run", noted)
    listener = Listener(say=steps.append, is_cancelled=lambda: bool(steps))
    assert animated(entry, tmp_path, listener=listener) is None
    assert len(steps) == 1 and "step 1 of 2" in steps[0] and not ended
