"""Rooms staged by diffusion through the pipeline's own assets, router and worker, with tiny models of the real classes.

Weights made for tests are let in by two switches that only a test can reach; what happens without them is tested, too.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml
from numpy.typing import NDArray

import listing_media_dagster.models.diffusion as diffusion
from listing_media_dagster.assets import chosen_models
from listing_media_dagster.gpu import model_router
from listing_media_dagster.gpu.routes import here
from listing_media_dagster.listing import Photo
from listing_media_dagster.models.catalogue import catalogue
from listing_media_dagster.models.diffusion.editor import DiffusionEditor
from listing_media_dagster.models.entry import CatalogueEntry
from listing_media_dagster.settings import settings
from listing_media_dagster.staging.rendered import FurnishableRoom
from listing_media_dagster_tests.helpers import tiny_pipelines
from listing_media_dagster_tests.helpers.drawn_furniture import BoxedRoom
from listing_media_dagster_tests.helpers.pipeline import Pipeline, failure_of, save_stage
from listing_media_dagster_tests.staging.test_diffused_families import KeepingTheRoom

pytest.importorskip("torch")
pytestmark = pytest.mark.usefixtures("one_torch_thread", "clean_process")
one_torch_thread = tiny_pipelines.one_torch_thread

ROOMS = Path(__file__).parents[1] / "staging" / "rendered_rooms"
Install = Callable[..., None]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the weights of a tiny SD 1.5 with its controls."""
    folder = tmp_path_factory.mktemp("weights")
    return tiny_pipelines.save_tiny_weights(tiny_pipelines.tiny_entry("sd15-inpaint"), folder)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the store of a listing with two empty rooms, as far as enhancement."""
    folder = tmp_path_factory.mktemp("rooms")
    pictures = {}
    for name, room in (("living-room.jpg", "sunless.jpg"), ("home-office.jpg", "herringbone.jpg")):
        picture = cv2.imread(str(ROOMS / room), cv2.IMREAD_COLOR_RGB)
        assert picture is not None
        small = cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        pictures[name] = np.asarray(small, np.uint8)
    save_stage(Pipeline(str(folder / "media")), "enhanced_photos", pictures)
    return folder / "media"


@pytest.fixture
def pipeline(prepared: Path, tmp_path: Path) -> Pipeline:
    shutil.copytree(prepared, tmp_path / "media")
    return Pipeline(str(tmp_path / "media"))


@pytest.fixture
def clean_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Read settings anew, keep no model from one test to the next, and draw furniture in a moment."""

    def forget() -> None:
        for cached in (settings, model_router.route_here, here.models_here, catalogue):
            cached.cache_clear()

    monkeypatch.setenv("LISTING_MEDIA_WORK_DIR", str(tmp_path / "work"))
    monkeypatch.setenv("LISTING_MEDIA_MODELS_DIR", str(tmp_path / "models"))
    monkeypatch.setenv("LISTING_MEDIA_GPU_DEVICES", "none")
    monkeypatch.setattr(FurnishableRoom, "pixels", BoxedRoom.pixels)
    diffusion.editor.remembered_plans.forget()
    forget()
    yield
    forget()


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, weights: Path) -> Install:
    """Return what installs tiny models by name, best first, each with what spoils its weights.

    Their editors keep the room outside their mask.
    """

    def installed(for_tests: bool = True, **spoilt: Callable[[Path], None] | None) -> None:
        entries = []
        for number, (name, spoil) in enumerate(spoilt.items()):
            folder = tmp_path / name
            shutil.copytree(weights, folder)
            if spoil:
                spoil(folder)
            entries.append(_entry(name, folder, quality=9 - number))
        own = tmp_path / "models.yaml"
        own.write_text(yaml.safe_dump({"models": [entry.model_dump(mode="json") for entry in entries]}))
        monkeypatch.setenv("LISTING_MEDIA_MODEL_CATALOGUE", str(own))
        settings.cache_clear()
        if for_tests:
            bench = here.bench_here
            monkeypatch.setattr(chosen_models, "_takes_test_weights", True)
            monkeypatch.setattr(here, "bench_here", lambda *at: replace(bench(*at), allow_test_weights=True))
        made = diffusion.editor_for
        monkeypatch.setattr(diffusion, "editor_for", lambda *what, **how: KeepingTheRoom(made(*what, **how)))

    return installed


def _entry(name: str, folder: Path, quality: int) -> CatalogueEntry:
    shipped = tiny_pipelines.tiny_entry("sd15-inpaint")
    assert shipped.sampling is not None

    def own(part: Any) -> Any:
        return part.model_copy(update={"repo": None, "revision": None, "folder": folder / part.role})

    return shipped.model_copy(
        update={
            "id": name,
            "quality": quality,
            "parts": tuple(map(own, shipped.parts)),
            "loras": tuple(map(own, shipped.loras)),
            "sampling": shipped.sampling.model_copy(update={"megapixels": 0.012}),
            "vram_gb": None,
            "cpu_seconds": 1.0,
        }
    )


def overflowing(folder: Path) -> None:
    """Let the decoder give not-a-number, as fp16 that overflows does."""
    from safetensors.torch import load_file, save_file

    (path,) = (folder / "base" / "vae").glob("*.safetensors")
    tensors = load_file(path)
    tensors["decoder.conv_out.bias"].fill_(float("nan"))
    save_file(tensors, path, {"format": "pt"})


def cut_off(folder: Path) -> None:
    (path,) = (folder / "base" / "unet").glob("*.safetensors")
    path.write_bytes(path.read_bytes()[:1000])


def absent(folder: Path) -> None:
    (path,) = (folder / "base" / "unet").glob("*.safetensors")
    path.unlink()


def staged(pipeline: Pipeline, *names: str) -> dict[str, Photo]:
    result = pipeline.run("staged_photos", config={"staged_photos": {"include": list(names)}})
    assert result.success, failure_of(result)
    return {photo.sources[0].name: photo for photo in pipeline.photo_set("staged_photos").photos}


def pixels(of: Pipeline, photo: Photo) -> NDArray[np.int64]:
    picture = cv2.imdecode(np.frombuffer(of.store.read(photo.image.key), np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    return picture.astype(np.int64)


def test_rooms_are_staged_together_by_diffusion_as_each_would_be_alone(
    pipeline: Pipeline, install: Install, tmp_path: Path, prepared: Path
) -> None:
    install(tiny=None)
    photos = staged(pipeline, "living-room.jpg", "home-office.jpg")
    for photo in photos.values():
        operation = photo.operations[-1]
        assert photo.base is not None and photo.facts["staged_as"]["back_end"] == "diffusion"
        assert (operation.tool, operation.generative) == ("tiny", True) and operation.weights_sha256
        attempts = photo.facts["staged_as"]["attempts"]
        assert 1 <= len(attempts) <= 4 and photo.verdicts[-1].gate == "structure"
        mask = cv2.imdecode(
            np.frombuffer(pipeline.store.read(photo.attachments["mask.png"].key), np.uint8), cv2.IMREAD_GRAYSCALE
        )
        assert mask is not None and 0 < (mask > 0).mean() < 0.9
    shutil.copytree(prepared, tmp_path / "other")
    other = Pipeline(str(tmp_path / "other"))
    beside, alone = photos["home-office.jpg"], staged(other, "home-office.jpg")["home-office.jpg"]
    assert beside.facts["staged_as"]["attempts"] == alone.facts["staged_as"]["attempts"]
    one, two = pixels(pipeline, beside), pixels(other, alone)
    assert np.abs(one - two).max() <= 6 and np.abs(one - two).mean() < 0.1


def test_a_model_that_overflows_gives_way_to_the_next_one(pipeline: Pipeline, install: Install) -> None:
    install(broken=overflowing, tiny=None)
    photo = staged(pipeline, "living-room.jpg")["living-room.jpg"]
    assert photo.operations[-1].tool == "tiny"
    (why,) = photo.operations[-1].parameters["passed_over"]
    assert why.startswith("broken: ") and "isn't a number" in why


def test_where_every_model_fails_the_embedded_back_end_stages_and_says_why(
    pipeline: Pipeline, install: Install
) -> None:
    install(broken=cut_off, black=overflowing)
    photo = staged(pipeline, "living-room.jpg")["living-room.jpg"]
    made = photo.facts["staged_as"]
    assert made["back_end"] == "path-traced" and not photo.operations[-1].generative
    assert all(said in str(made["passed_over"]) for said in ("can't be loaded", "isn't a number")), made


def test_weights_that_are_not_whole_are_named_and_nothing_waits_for_them(pipeline: Pipeline, install: Install) -> None:
    install(broken=absent)
    photo = staged(pipeline, "living-room.jpg")["living-room.jpg"]
    assert photo.facts["staged_as"]["back_end"] == "path-traced"
    assert any("passed over broken: " in said for said in pipeline.photo_set("staged_photos").stage.messages)


def test_memory_that_runs_out_once_costs_a_step_down_and_no_picture(
    pipeline: Pipeline, install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    install(tiny=None)
    drawn, plans = DiffusionEditor._draw_together, []

    def short_of_memory(self: DiffusionEditor, drawings: Any, plan: Any, steps: Any) -> Any:
        plans.append(str(plan))
        if len(plans) <= 2:  # after the first time others' memory is given back, after the second the plan is changed
            raise torch.OutOfMemoryError("CUDA out of memory")
        return drawn(self, drawings, plan, steps)

    monkeypatch.setattr(DiffusionEditor, "_draw_together", short_of_memory)
    photo = staged(pipeline, "living-room.jpg")["living-room.jpg"]
    assert photo.facts["staged_as"]["back_end"] == "diffusion"
    assert plans[:3] == ["one picture at a time", "one picture at a time", "one picture at a time, the VAE in tiles"]


def test_a_run_that_is_cancelled_while_a_model_draws_stages_nothing_and_the_next_one_does(
    pipeline: Pipeline, install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tiny=None)
    drawn, drawing = DiffusionEditor._draw_together, []

    def noted(self: DiffusionEditor, *asked: Any) -> Any:
        drawing.append(True)
        return drawn(self, *asked)

    monkeypatch.setattr(DiffusionEditor, "_draw_together", noted)
    with monkeypatch.context() as cancelled:
        cancelled.setattr(model_router, "is_stopping", lambda run_id, step_key: bool(drawing))
        result = pipeline.run("staged_photos", config={"staged_photos": {"include": ["living-room.jpg"]}})
        assert not result.success
    assert drawing and not pipeline.store.exists("listings/house-1/staged_photos/manifest.json")
    assert staged(pipeline, "living-room.jpg")["living-room.jpg"].is_staged


@pytest.mark.parametrize("wish", ["", "staging=tiny"])
def test_outside_tests_weights_made_for_tests_stage_nothing(
    pipeline: Pipeline, install: Install, monkeypatch: pytest.MonkeyPatch, wish: str
) -> None:
    monkeypatch.setenv("LISTING_MEDIA_MODELS", wish)
    install(for_tests=False, tiny=None)
    photo = staged(pipeline, "living-room.jpg")["living-room.jpg"]
    assert photo.facts["staged_as"]["back_end"] == "path-traced"
    assert "tiny" not in json.dumps([operation.model_dump(mode="json") for operation in photo.operations])
