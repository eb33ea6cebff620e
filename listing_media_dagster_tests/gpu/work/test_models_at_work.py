"""Jobs done by models: tiny ones of the real classes, through the catalogue, the choice and the worker."""

import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from listing_media_dagster.gpu.job import Item, JobFolder, ModelJob, ModelRef, Needs, WorkKind, job_file
from listing_media_dagster.gpu.work import stage
from listing_media_dagster.gpu.work.bench import Bench, Task
from listing_media_dagster.gpu.work.models import find_editors, find_models
from listing_media_dagster.gpu.work.staging_order import BASE, BackEndRef, StagingOrder, StagingTerms
from listing_media_dagster.gpu.worker import Assignment, work_off
from listing_media_dagster.listing import Room, RoomType
from listing_media_dagster.models.catalogue import catalogue
from listing_media_dagster.models.entry import Stage
from listing_media_dagster.models.warm import WarmModels
from listing_media_dagster.photo.encode import encode_jpeg
from listing_media_dagster.staging.kits import load_kits
from listing_media_dagster_tests.helpers import tiny_pipelines, tiny_vision

EMPTY_ROOM = Path(__file__).parents[2] / "staging" / "rendered_rooms" / "sunless.jpg"
pytestmark = pytest.mark.usefixtures("one_torch_thread")
one_torch_thread = tiny_pipelines.one_torch_thread
tiny = tiny_pipelines.tiny


@pytest.fixture
def at_bench(tmp_path):
    """Give a bench whose catalogue also has these entries, with their weights in these folders."""

    def make(*entries, allow=True, **folders):
        own = tmp_path / "models.yaml"
        own.write_text(yaml.safe_dump({"models": [entry.model_dump(mode="json") for entry in entries]}))
        return Bench("cpu", WarmModels(), tmp_path / "models", folders, own, allow_test_weights=allow)

    return make


def a_picture(seed=0, size=(96, 64)):
    return (
        np.random.default_rng(seed)
        .integers(0, 255, (size[1] // 8, size[0] // 8, 3), np.uint8)
        .repeat(8, 0)
        .repeat(8, 1)
    )


def job_of(path, kind, model, count=1, picture=None, role="picture", parameters=None, item=None, needs=None):
    files = {f"inputs/p{n}.jpg": picture or encode_jpeg(a_picture(n), 95) for n in range(count)}
    items = tuple(
        Item(id=f"p{n}", inputs={role: job_file(file, data)}, parameters=item or {}, seed=n)
        for n, (file, data) in enumerate(files.items())
    )
    ref = ModelRef(id=model) if model else None
    return JobFolder.create(
        path,
        ModelJob(id="job", kind=kind, model=ref, items=items, parameters=parameters or {}, needs=needs or Needs()),
        files,
    )


def done(folder, bench):
    assert work_off([Assignment(folder)], bench) == set()
    return folder.result().items


def decoded(folder, file, flag=cv2.IMREAD_COLOR):
    return cv2.imdecode(np.frombuffer(folder.read(file), np.uint8), flag)


def test_depth_is_measured_of_several_pictures_at_once(tmp_path, at_bench):
    entry = tiny_vision.tiny_entry(
        "Tiny depth", tiny_vision.save_tiny_depth(tmp_path / "depth"), "transformers.DepthAnythingForDepthEstimation"
    )
    folder = job_of(tmp_path / "job", WorkKind.DEPTH, "tiny", count=2)
    for item in done(folder, at_bench(entry)):
        assert item.outcome == "ok", item.reason
        nearness = decoded(folder, item.outputs["nearness.png"], cv2.IMREAD_UNCHANGED)
        assert nearness.dtype == np.uint16 and nearness.shape == (64, 96)
        assert item.record["model"] == "tiny"


def test_a_picture_is_enlarged_and_its_ledger_says_by_what(tmp_path, at_bench):
    entry = tiny_vision.tiny_entry(
        "Tiny Swin2SR",
        tiny_vision.save_tiny_swin2sr(tmp_path / "swin"),
        "transformers.Swin2SRForImageSuperResolution",
        stages=("upscale",),
    )
    folder = job_of(tmp_path / "job", WorkKind.UPSCALE, "tiny")
    (item,) = done(folder, at_bench(entry))
    assert item.outcome == "ok", item.reason
    assert decoded(folder, item.outputs["altered.jpg"]).shape[:2] > (64, 96)
    (operation,) = item.record["operations"]
    assert operation["generative"] and operation["weights_sha256"]


def test_weights_made_for_tests_do_no_work_elsewhere(tmp_path, at_bench):
    entry = tiny_vision.tiny_entry(
        "Tiny depth", tiny_vision.save_tiny_depth(tmp_path / "depth"), "transformers.DepthAnythingForDepthEstimation"
    )
    (item,) = done(job_of(tmp_path / "job", WorkKind.DEPTH, "tiny"), at_bench(entry, allow=False))
    assert item.outcome == "failed" and "made for tests" in item.reason


def test_a_model_that_is_not_here_is_named_with_the_command_that_fetches_it(tmp_path, at_bench):
    (item,) = done(job_of(tmp_path / "job", WorkKind.DEPTH, "depth-anything-v2-small"), at_bench())
    assert item.outcome == "failed" and "listing-media models pull depth-anything-v2-small" in item.reason


def staging_job(path, models):
    terms = StagingTerms(back_ends=(BackEndRef(name="diffusion", models=models), BackEndRef(name="path-traced")))
    order = StagingOrder(room=Room(type=RoomType.LIVING_ROOM), kit=load_kits()["scandinavian"])
    folder = job_of(
        path,
        WorkKind.STAGE,
        models[0].id,
        picture=EMPTY_ROOM.read_bytes(),
        role=BASE,
        parameters=terms.model_dump(mode="json"),
        item=order.as_parameters(),
        needs=Needs(slow_cpu=True),
    )
    return folder, terms, order


def test_where_no_diffusion_model_runs_the_embedded_back_end_stages_and_says_why(tmp_path, at_bench):
    folder, _, _ = staging_job(tmp_path / "job", (ModelRef(id="sd15-inpaint"),))
    (item,) = done(folder, at_bench())
    assert item.outcome == "ok", item.reason
    assert item.record["back_end"] == "path-traced" and item.record["operations"]
    (why,) = item.record["passed_over"]
    assert why.startswith("diffusion: sd15-inpaint: ") and "listing-media models pull sd15-inpaint" in why
    assert {"staged.jpg", "layout.json", "depth.png"} <= set(item.outputs)


def test_diffusion_comes_first_with_the_models_that_run_here_and_stays_warm(tmp_path, at_bench, tiny):
    entry, weights = tiny_sd15(tiny)
    bench = at_bench(entry, **{entry.id: weights})
    folder, terms, order = staging_job(tmp_path / "job", (ModelRef(id="sdxl-union"), ModelRef(id=entry.id)))
    task = Task(folder.job, folder.job.items[0], folder)
    (diffusion, traced), absent = stage._back_ends(terms, order, task, bench)
    assert (diffusion.name, traced.name, absent) == ("diffusion", "path-traced", ())
    assert [editor.entry.id for editor in diffusion.editors] == [entry.id]
    (again, _), _ = stage._back_ends(terms, order, task, bench)
    assert again.editors[0] is diffusion.editors[0]


def test_one_loaded_editor_does_for_all_kits_but_those_with_a_lora_of_their_own(tmp_path, at_bench, tiny):
    """Each would take the memory of the whole model, and be read anew when the next listing has another style."""
    entry, weights = tiny_sd15(tiny)
    of_kit = {**entry.loras[0].model_dump(mode="json"), "role": "look", "kits": ["coastal"]}
    with_look = type(entry).model_validate({**entry.model_dump(mode="json"), "loras": [of_kit]})
    shutil.copytree(weights / entry.loras[0].role, tmp_path / "weights" / "look")
    for part in entry.parts:
        shutil.copytree(weights / part.role, tmp_path / "weights" / part.role)
    bench = at_bench(with_look, **{entry.id: tmp_path / "weights"})

    def editor(kit):
        (found,) = find_editors([ModelRef(id=entry.id)], Stage.STAGING, bench, kit, slow_cpu=True).any()
        return found

    assert editor("japandi") is editor("modern") is editor(None)
    assert editor("coastal") is editor("coastal") is not editor("modern")


def test_the_same_weights_asked_otherwise_are_another_model(tmp_path, at_bench, tiny):
    entry, weights = tiny_sd15(tiny)
    bench = at_bench(entry, **{entry.id: weights})
    otherwise = entry.model_copy(update={"sampling": entry.sampling.model_copy(update={"steps": 9})})
    there = replace(bench, entries={entry.id: otherwise})
    one, other = (
        find_editors([ModelRef(id=entry.id)], Stage.STAGING, at, slow_cpu=True).any() for at in (bench, there)
    )
    assert one != other and other[0].entry.sampling.steps == 9


def tiny_sd15(tiny):
    shipped, folder = next(tiny(entry.id) for entry in catalogue().models if entry.family == "sd15-controlnet-inpaint")
    changes = {"id": "tiny-sd15", "vram_gb": None, "cpu_seconds": 1.0}
    return shipped.model_copy(update=changes), folder.part("base").parent


def test_a_model_that_this_machine_would_use_otherwise_is_passed_over(tmp_path, at_bench, tiny):
    entry, weights = tiny_sd15(tiny)
    bench = at_bench(entry, **{entry.id: weights})
    same, other = (ModelRef(id=entry.id, recipe=recipe) for recipe in (entry.recipe, "0" * 64))
    assert find_models([same], Stage.STAGING, bench, lambda *_: "it", slow_cpu=True).models == ("it",)
    found = find_models([other], Stage.STAGING, bench, lambda *_: "it", slow_cpu=True)
    assert found.models == () and "another commit, steps or LoRAs" in found.reasons[0]
