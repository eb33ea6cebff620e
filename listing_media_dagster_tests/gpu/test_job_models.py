"""The models of a job, wherever it names them, and which of them a machine elsewhere should have."""

from __future__ import annotations

from dataclasses import replace

from listing_media_dagster.gpu.job import Item, ModelJob, ModelRef, WorkKind
from listing_media_dagster.gpu.job_models import NamedModels, known_models, models_named
from listing_media_dagster.gpu.kaggle.shipment import T4


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
    named = models_named(staging)
    assert named.one_of == ("a-workflow", "sdxl-union", "sd15-inpaint")
    assert named.beside == ("seg", "clip-vit-b32")
    assert known_models(named.one_of) == ["sdxl-union", "sd15-inpaint"]
    assert named.weights_wanted(T4) == ("sdxl-union", "clip-vit-b32")
    assert named.weights_wanted(replace(T4, free_vram_gb=8.0)) == ("sd15-inpaint", "clip-vit-b32")


def test_a_model_that_fits_but_whose_arithmetic_overflows_there_comes_after_a_sound_one() -> None:
    named = NamedModels(("flux2-klein-4b", "sdxl-union"), ())
    assert named.weights_wanted(T4) == ("sdxl-union",)
    assert named.weights_wanted(replace(T4, bf16=True)) == ("flux2-klein-4b",)
