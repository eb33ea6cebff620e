"""The models of a job, wherever it names them: what it carries of them, which a machine elsewhere should have.

Models of one's own go all the way: from a catalogue that only the job's maker has to machines that know none of it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from listing_media_dagster.gpu import worker
from listing_media_dagster.gpu.job import BadJob, Item, JobFolder, ModelJob, ModelRef, Needs, WorkKind, job_file, pack
from listing_media_dagster.gpu.job_models import (
    NamedModels,
    carrying_entries,
    entries_of,
    models_named,
    out_of_reach,
)
from listing_media_dagster.gpu.kaggle.session import ORDER, Order
from listing_media_dagster.gpu.kaggle.shipment import T4
from listing_media_dagster.gpu.work.bench import Bench
from listing_media_dagster.gpu.work.chain_order import Link, chain_of
from listing_media_dagster.models.catalogue import catalogue, catalogue_entry
from listing_media_dagster.models.choose import choose
from listing_media_dagster.models.packing import pack_models, unpack_models
from listing_media_dagster.models.warm import WarmModels
from listing_media_dagster.models.weights import ModelMissing, find_weights
from listing_media_dagster_tests.helpers.tiny_vision import CPU, on_one_thread, save_tiny_depth


def test_models_are_found_wherever_a_job_names_them() -> None:
    def ref(name: str) -> dict[str, str | None]:
        return ModelRef(id=name).model_dump(mode="json")

    staging = ModelJob(
        id="j",
        kind=WorkKind.STAGE,
        model=ModelRef(id="a-workflow"),
        items=(Item(id="i"),),
        parameters={
            "back_ends": [
                {"name": "comfyui", "models": [ref("a-workflow")], "segmenter": None},
                {"name": "diffusion", "models": [ref("sdxl-union"), ref("sd15-inpaint")], "segmenter": ref("seg")},
                {"name": "path-traced", "models": [], "segmenter": None},
            ],
            "clip": {"model": ref("clip-vit-b32"), "threshold": 0.75},
        },
    )
    (named,) = models_named(staging)
    assert named.one_of == ("a-workflow", "sdxl-union", "sd15-inpaint")
    assert named.beside == ("seg", "clip-vit-b32")
    assert list(named.known()) == ["sdxl-union", "sd15-inpaint", "clip-vit-b32"]
    assert named.weights_wanted(T4) == ("sdxl-union", "clip-vit-b32")
    assert named.weights_wanted(replace(T4, free_vram_gb=8.0)) == ("sd15-inpaint", "clip-vit-b32")


def test_a_model_that_fits_but_whose_arithmetic_overflows_there_comes_after_a_sound_one() -> None:
    named = NamedModels(("flux2-klein-4b", "sdxl-union"), ())
    assert named.weights_wanted(T4) == ("sdxl-union",)
    assert named.weights_wanted(replace(T4, bf16=True)) == ("flux2-klein-4b",)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("torch")
    return save_tiny_depth(tmp_path_factory.mktemp("weights"))


@pytest.fixture
def own_catalogue(weights: Path, tmp_path: Path) -> Path:
    """A catalogue with a depth model in a folder, and with a LoRA in a folder for a model that others have, too."""
    (tmp_path / "look.safetensors").write_bytes(b"\2\0\0\0\0\0\0\0{}")
    lora = {"to": "sdxl-union", "role": "look", "folder": str(tmp_path), "files": ["look.safetensors"], "size_mb": 1}
    part = {"role": "base", "folder": str(weights), "size_mb": 1, "files": ["*.json", "model.safetensors"]}
    own = {
        "id": "our-depth",
        "title": "Depth of our homes",
        "purpose": "tells near from far",
        "stages": ["depth"],
        "family": "depth-anything",
        "licence": "our own",
        "commercial_use": "yes",
        "dtypes": ["float32"],
        "cpu_seconds": 1,
        "parts": [{**part, "loads": "transformers.DepthAnythingForDepthEstimation"}],
    }
    loras = [{**lora, "licence": "our own", "commercial_use": "yes"}]
    (tmp_path / "own.yaml").write_text(json.dumps({"models": [own], "loras": loras}))
    return tmp_path / "own.yaml"


@pytest.fixture
def depth_job(own_catalogue: Path, tmp_path: Path) -> JobFolder:
    """A job for the depth model as an installation makes it that has it."""
    weights = find_weights(catalogue_entry("our-depth", own_catalogue), None, tmp_path / "models")
    picture = cv2.imencode(".png", np.random.default_rng(1).integers(0, 256, (48, 64, 3), np.uint8))[1].tobytes()
    job = ModelJob(
        id="depth",
        kind=WorkKind.DEPTH,
        model=ModelRef(id="our-depth", weights_sha256=weights.weights_sha256),
        items=(Item(id="photo", inputs={"picture": job_file("inputs/photo.png", picture)}),),
        needs=Needs(gpu="optional"),
    )
    job = carrying_entries(job, own_catalogue, tmp_path / "models")
    return JobFolder.create(tmp_path / "job", job, {"inputs/photo.png": picture})


def test_a_job_carries_what_its_models_are_but_no_place_and_no_weights(
    depth_job: JobFolder, tmp_path: Path, weights: Path
) -> None:
    said = (depth_job.path / "job.json").read_text()
    assert str(tmp_path) not in said and str(weights) not in said
    (entry,) = entries_of(depth_job.job).values()
    assert entry.id == "our-depth" and set(entry.parts[0].digests) == {
        "config.json",
        "model.safetensors",
        "preprocessor_config.json",
    }
    bare = depth_job.job.model_copy(update={"entries": ()})
    (item,) = bare.items
    assert bare.item_key(item) == depth_job.job.item_key(item), "the same work, whatever the entry says of itself"
    assert not list(depth_job.path.rglob("*.safetensors"))


def test_weights_that_were_given_in_place_of_the_catalogues_go_by_their_digest_alone(
    own_catalogue: Path, tmp_path: Path
) -> None:
    other = ModelRef(id="our-depth", weights_sha256="0" * 64)
    job = ModelJob(id="j", kind=WorkKind.DEPTH, model=other, items=(Item(id="i"),))
    assert carrying_entries(job, own_catalogue, tmp_path / "models").entries == ()
    served = job.model_copy(update={"model": ModelRef(id="comfyui/edit")})
    assert carrying_entries(served, own_catalogue, tmp_path / "models").entries == ()


def test_a_lora_of_ones_own_keeps_a_model_from_machines_that_fetch_from_the_hub_alone(
    own_catalogue: Path, tmp_path: Path
) -> None:
    def carried(*names: str) -> ModelJob:
        further = [ModelRef(id=name).model_dump(mode="json") for name in names[1:]]
        made = ModelJob(
            id="j", kind=WorkKind.STAGE, model=ModelRef(id=names[0]), items=(Item(id="i"),),
            parameters={"further_models": further},
        )  # fmt: skip
        return carrying_entries(made, own_catalogue, tmp_path / "models")

    assert out_of_reach(carried("sdxl-union"), T4) == "sdxl-union"
    assert out_of_reach(carried("sdxl-union", "sd15-inpaint"), T4) is None, "the other one does"
    assert out_of_reach(carried("sd15-inpaint"), T4) is None


def _without_digests(entry: dict[str, Any]) -> dict[str, Any]:
    (part,) = entry["parts"]
    return {**entry, "parts": [{**part, "digests": {}}]}


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (_without_digests, "our-depth has no digests for base"),
        (lambda entry: {**entry, "parts": [{**entry["parts"][0], "loads": "os.system"}]}, r"parts\.0\.loads"),
        (lambda entry: {**entry, "parts": [{**entry["parts"][0], "files": ["../../x.safetensors"]}]}, "files"),
        (lambda entry: {**entry, "code": "import os"}, "code"),
    ],
)
def test_a_job_with_a_model_that_cannot_be_is_refused_before_any_work(
    depth_job: JobFolder, spoil: Any, why: str
) -> None:
    job = depth_job.job
    spoilt = job.model_copy(update={"entries": tuple(spoil(entry) for entry in job.entries)})
    with pytest.raises(BadJob, match=why):
        worker.check_job(spoilt)


@pytest.fixture
def one_torch_thread() -> Iterator[None]:
    with on_one_thread():
        yield


@pytest.mark.usefixtures("one_torch_thread")
def test_a_bare_worker_says_what_it_lacks_then_uses_exactly_what_was_chosen(
    depth_job: JobFolder, own_catalogue: Path, tmp_path: Path
) -> None:
    bare = tmp_path / "bare"
    bundle = tmp_path / "job.zip"
    pack(depth_job, bundle)

    def worked_off() -> Any:
        assert worker.main([str(bundle), "--into", str(tmp_path / "there"), "--models-dir", str(bare)]) == worker.DONE
        (item,) = JobFolder(tmp_path / "there").result().items
        return item

    lacking = worked_off()
    assert lacking.outcome == "failed" and lacking.lacks_models
    assert "`listing-media models pack our-depth --to our-depth.zip`" in lacking.reason
    assert "`listing-media models unpack our-depth.zip`" in lacking.reason

    pack_models([catalogue_entry("our-depth", own_catalogue)], tmp_path / "models", tmp_path / "our-depth.zip")
    unpack_models(tmp_path / "our-depth.zip", bare)
    done = worked_off()
    assert done.outcome == "ok", done.reason
    assert done.record["weights_sha256"] == depth_job.job.model.weights_sha256  # type: ignore[union-attr]

    chain = carrying_entries(chain_of([Link(depth_job.job)]), own_catalogue, tmp_path / "models")
    in_chain = JobFolder.create(tmp_path / "chain", chain, {"inputs/photo.png": depth_job.read(chain.all_inputs()[0])})
    assert not worker.work_off([worker.Assignment(in_chain)], Bench("cpu", WarmModels(), bare))
    (of_chain,) = in_chain.result().items
    assert of_chain.record["turns"]["0"]["outcome"] == "ok", of_chain

    (placed,) = bare.glob("own/*/model.safetensors")
    placed.write_bytes(placed.read_bytes()[:-1] + b"x")
    (tmp_path / "there/outputs/photo/item.json").unlink()
    spoilt = worked_off()
    assert spoilt.outcome == "failed" and "model.safetensors isn't the file that the catalogue names" in spoilt.reason


def test_a_session_on_kaggle_takes_a_model_of_ones_own_from_what_is_attached(
    depth_job: JobFolder, own_catalogue: Path, tmp_path: Path
) -> None:
    """The session's own process and its lane's, without a network and with no catalogue but the package's."""
    shipment, inputs, working = (tmp_path / name for name in ("shipment", "input", "working"))
    (shipment / "jobs").mkdir(parents=True)
    depth_job.path.rename(shipment / "jobs/t1234567")
    order = Order(shipment="s" * 8, tickets=("t1234567",), work_seconds=300, wheel="w", wheel_sha256="0" * 64)
    (shipment / ORDER).write_text(order.model_dump_json())
    pack_models([catalogue_entry("our-depth", own_catalogue)], tmp_path / "models", inputs / "our-depth")
    told = [str(path) for path in (shipment, inputs, working, tmp_path / "scratch")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PATH": "", "LISTING_MEDIA_MODEL_CATALOGUE": ""}
    session = [sys.executable, "-m", "listing_media_dagster.gpu.kaggle.session", *told]
    ran = subprocess.run(session, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert "weights attached: our-depth" in ran.stdout
    (done,) = (tmp_path / "scratch").glob("lane0/t1234567/outputs/photo/item.json")
    result = json.loads(done.read_text())
    assert result["outcome"] == "ok", result["reason"]
    assert result["record"]["model"] == "our-depth"


def test_where_nobody_can_pull_it_is_said_how_sessions_get_their_weights(tmp_path: Path) -> None:
    bench = Bench("cpu", WarmModels(), tmp_path)
    for has_shell, how in (
        (True, "`listing-media models pull sdxl-union`"),
        (False, "`listing-media kaggle setup sdx"),
    ):
        with pytest.raises(ModelMissing, match=how):
            replace(bench, has_shell=has_shell).find_weights("sdxl-union")


def test_a_model_in_a_folder_that_is_gone_is_told_by_its_folder(own_catalogue: Path, tmp_path: Path) -> None:
    entry = catalogue_entry("our-depth", own_catalogue)
    reason = choose("depth", CPU, entries=[entry], here=[]).reasons["our-depth"]
    assert "base has to lie in" in reason and "pull" not in reason


def test_a_worker_fetches_models_that_its_job_names_and_no_others(
    depth_job: JobFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = [str(depth_job.path), "--models-dir", str(tmp_path / "bare"), "--pull"]
    assert worker.main([*options, "sdxl-union"]) == worker.BAD_JOB
    assert "job depth names no model 'sdxl-union' that could be fetched" in capsys.readouterr().err


def test_the_shipped_catalogue_has_no_model_that_only_one_machine_has() -> None:
    assert not [entry.id for entry in catalogue().models if entry.has_own_folders]
