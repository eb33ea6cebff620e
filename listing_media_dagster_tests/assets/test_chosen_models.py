"""What an installation's jobs name for a stage: by routes, weights, devices and one setting; never by chance."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from listing_media_dagster.assets import chosen_models
from listing_media_dagster.assets.chosen_models import choose_models
from listing_media_dagster.models.catalogue import catalogue_entry
from listing_media_dagster.models.entry import CatalogueEntry, FileDigest, Stage
from listing_media_dagster.models.hardware import Hardware
from listing_media_dagster.models.shortlist import BadWishes
from listing_media_dagster.models.weights import BadWeights
from listing_media_dagster.models.weights_lock import LockedModel, LockedPart, ModelsLock, write_lock
from listing_media_dagster.settings import Settings

T4 = Hardware("cuda", "T4", 32, 16, 14.7, (7, 5), fp16=True)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return what puts weights and GPUs here; `damaged` names models whose weights can't be used."""

    def put(*ids: str, gpus: tuple[Hardware, ...] = (), damaged: str = "") -> None:
        def find(entry: CatalogueEntry, *where: Any, **how: Any) -> Any:
            if entry.id == damaged:
                raise BadWeights("model.safetensors isn't what was pulled")
            return SimpleNamespace(revision="0" * 40, weights_sha256="a" * 64)

        monkeypatch.setattr(chosen_models, "models_here", lambda entries, folder: frozenset(ids))
        monkeypatch.setattr(chosen_models, "find_weights", find)
        monkeypatch.setattr(chosen_models, "find_devices", lambda wanted: tuple(gpu.name for gpu in gpus))
        monkeypatch.setattr(chosen_models, "look_at_gpus", lambda devices: gpus)

    return put


def chosen(stage: Stage, *routes: str, said: str = "") -> chosen_models.ChosenModels:
    return choose_models(stage, routes or ("cuda", "cpu"), Settings(models=said))


def test_a_gpu_stages_with_the_pulled_models_that_fit_it_with_their_digests(here: Any) -> None:
    here("sdxl-union", "sd15-inpaint", "qwen-image-edit", gpus=(T4,))
    found = chosen(Stage.STAGING)
    assert [ref.id for ref in found.refs] == ["sdxl-union", "sd15-inpaint"]
    assert found.first and found.first.weights_sha256 == "a" * 64
    assert (found.needs.gpu, found.needs.vram_gb, found.needs.slow_cpu) == ("optional", 4.5, False)
    assert [ref["id"] for ref in found.parameters["further_models"]] == ["sd15-inpaint"]
    assert "qwen-image-edit: needs bfloat16" in found.listed


def test_a_gpu_that_fails_its_kernel_is_none(here: Any) -> None:
    broken = Hardware("cuda", "P100", 32, 16, 15.0, (6, 0), fp16=True, fault="torch has no kernels for sm_60")
    here("sdxl-union", gpus=(broken,))
    assert chosen(Stage.STAGING).refs == ()


def test_weights_that_were_changed_are_passed_over_and_named(here: Any) -> None:
    here("sdxl-union", "sd15-inpaint", gpus=(T4,), damaged="sdxl-union")
    found = chosen(Stage.STAGING)
    assert [ref.id for ref in found.refs] == ["sd15-inpaint"]
    assert found.damaged == ("sdxl-union: model.safetensors isn't what was pulled",)


def test_a_cpu_draws_by_diffusion_only_where_that_was_said(here: Any) -> None:
    here("sd15-inpaint")
    assert chosen(Stage.STAGING, "cpu").refs == ()
    named = chosen(Stage.STAGING, "cpu", said="staging=sd15-inpaint")
    assert [ref.id for ref in named.refs] == ["sd15-inpaint"] and named.needs.slow_cpu


def test_a_model_that_was_named_is_asked_for_elsewhere_without_its_weights_here(here: Any) -> None:
    here()
    (ref,) = chosen(Stage.STAGING, "kaggle", "cpu", said="staging=sdxl-union").refs
    assert (ref.id, ref.weights_sha256) == ("sdxl-union", None)
    assert chosen(Stage.STAGING, "cuda", "cpu", said="staging=sdxl-union").refs == ()


def elsewhere(models_dir: Path, model: str) -> chosen_models.ChosenModels:
    at = Settings(models=f"staging={model}", models_dir=models_dir)
    return choose_models(Stage.STAGING, ("kaggle", "cpu"), at)


def test_what_the_lock_holds_a_model_to_names_it_without_its_weights_here(here: Any, tmp_path: Path) -> None:
    here()
    entry = catalogue_entry("qwen-image-edit")

    def lock(weights: str) -> None:
        parts = {}
        for part in entry.all_parts:
            files = {name.replace("*", "it"): FileDigest(sha256=weights * 64, size=1) for name in part.files}
            parts[part.role] = LockedPart(repo=part.repo or "", revision=part.revision or "1" * 40, files=files)
        write_lock(tmp_path, ModelsLock(models={entry.id: LockedModel(parts=parts, pulled_at=datetime.now(UTC))}))

    lock("a")
    (before,) = elsewhere(tmp_path, entry.id).refs
    lock("b")
    (after,) = elsewhere(tmp_path, entry.id).refs
    assert before.revision == after.revision == "1" * 40
    assert before.weights_sha256 and after.weights_sha256 and before.weights_sha256 != after.weights_sha256


def test_a_model_whose_weights_nothing_names_isnt_asked_for_elsewhere(here: Any, tmp_path: Path) -> None:
    here()
    found = elsewhere(tmp_path, "qwen-image-edit")
    assert found.refs == ()
    assert "listing-media models pull qwen-image-edit" in found.refusal and "models.lock" in found.refusal


def test_none_means_none_and_a_mistake_is_named(here: Any) -> None:
    here("sdxl-union", gpus=(T4,))
    assert chosen(Stage.STAGING, said="staging=none").refs == ()
    with pytest.raises(BadWishes, match="for staging there is auto, none, sdxl-union"):
        chosen(Stage.STAGING, said="staging=sdxl")


def test_without_weights_nothing_is_looked_at_and_torch_stays_away(tmp_path: Path) -> None:
    code = (
        "import sys; from listing_media_dagster.assets.chosen_models import choose_models;"
        "from listing_media_dagster.assets import chosen_models;"
        "from listing_media_dagster.settings import Settings; from pathlib import Path;"
        "chosen_models.look_at_gpus = None;"
        f"found = choose_models('staging', ('cuda', 'cpu'), Settings(models_dir=Path({str(tmp_path)!r})));"
        "print(found.refs, sorted({'torch', 'diffusers', 'transformers'} & set(sys.modules)))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "() []"
