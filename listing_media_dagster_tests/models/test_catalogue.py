"""The shipped catalogue is complete and safe; a catalogue of one's own adds to it or is refused with its reason."""

from __future__ import annotations

import hashlib
import importlib
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from listing_media_dagster.models.catalogue import BadCatalogue, catalogue, catalogue_entry, read_catalogue
from listing_media_dagster.models.entry import CatalogueEntry, CommercialUse, Stage, licence_refusal

SHIPPED = catalogue().models


def test_every_stage_has_a_model_and_every_model_that_was_promised_is_there() -> None:
    assert {stage for entry in SHIPPED for stage in entry.stages} == set(Stage)
    assert {entry.id for entry in SHIPPED} >= {
        "sdxl-union",
        "sd15-inpaint",
        "flux2-klein-4b",
        "qwen-image-edit",
        "sdxl-tile",
        "sd15-tile",
        "swin2sr-x2",
        "svd-xt",
        "wan22-5b",
        "fastwan-5b",
        "ltx-2",
        "depth-anything-v2-small",
        "upernet-convnext-tiny",
        "mask2former-swin-large",
        "yunet",
        "clip-vit-b32",
    }


@pytest.mark.parametrize("entry", SHIPPED, ids=lambda entry: entry.id)
def test_no_shipped_entry_is_for_tests_or_forbids_business_or_names_a_pickle(entry: CatalogueEntry) -> None:
    assert not entry.test_only
    assert entry.commercial_use is not CommercialUse.NO
    assert all(lora.commercial_use is CommercialUse.YES for lora in entry.loras)
    names = [name for part in entry.all_parts for name in part.files]
    assert not [name for name in names if name.endswith((".bin", ".pt", ".pth", ".ckpt", ".py"))]


def test_the_scoring_encoder_is_pinned() -> None:
    assert catalogue_entry("clip-vit-b32").parts[0].revision is not None


def test_what_comes_with_the_package_is_the_file_that_the_catalogue_names() -> None:
    part = catalogue_entry("yunet").parts[0]
    for name, digest in part.digests.items():
        data = files("listing_media_dagster").joinpath(name).read_bytes()
        assert (hashlib.sha256(data).hexdigest(), len(data)) == (digest.sha256, digest.size)


def test_models_that_share_a_repository_ask_for_the_same_commit() -> None:
    asked: dict[str, set[str | None]] = {}
    for entry in SHIPPED:
        for part in entry.all_parts:
            if part.repo:
                asked.setdefault(part.repo, set()).add(part.revision)
    assert {repo: revisions for repo, revisions in asked.items() if len(revisions) > 1} == {}


@pytest.mark.parametrize("library", ["diffusers", "transformers"])
def test_every_class_that_a_part_is_loaded_with_exists(library: str) -> None:
    module = pytest.importorskip(library)
    names = {part.loads for entry in SHIPPED for part in entry.parts if part.loads.startswith(f"{library}.")}
    names |= {
        f"diffusers.{entry.sampling.scheduler}" for entry in SHIPPED if entry.sampling and entry.sampling.scheduler
    }
    missing = [name for name in names if name.startswith(library) and not hasattr(module, name.partition(".")[2])]
    assert names and missing == []


def test_every_scheduler_takes_the_options_it_is_given() -> None:
    diffusers = pytest.importorskip("diffusers")
    for entry in SHIPPED:
        if entry.sampling and entry.sampling.scheduler:
            getattr(diffusers, entry.sampling.scheduler)(**entry.sampling.scheduler_options)


def _changed(**changes: Any) -> str:
    return json.dumps({"models": [{**catalogue_entry("clip-vit-b32").model_dump(mode="json"), **changes}]})


def _part(**changes: Any) -> list[dict[str, Any]]:
    return [{**catalogue_entry("clip-vit-b32").parts[0].model_dump(mode="json"), **changes}]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (_changed(parts=_part(revision="main")), r"models\.0\.parts\.0\.revision"),
        (_changed(parts=_part(files=["model.bin"])), r"parts\.0\.files\.0"),
        (_changed(parts=_part(files=["../model.safetensors"])), r"parts\.0\.files\.0"),
        (_changed(parts=_part(files=["/etc/model.safetensors"])), r"parts\.0\.files\.0"),
        (_changed(parts=_part(files=["config.json"])), "names no safetensors file"),
        (_changed(parts=_part(files=["model.safetensors", "model.onnx"])), "only packaged files may be ONNX"),
        (_changed(parts=_part(repo=None)), "exactly one of `repo`, `folder` and `packaged: true`"),
        (_changed(parts=_part(folder="/weights")), "exactly one of `repo`, `folder` and `packaged: true`"),
        (_changed(parts=_part(packaged=True, repo=None, revision=None)), "needs its name in full and its digest"),
        (_changed(parts=_part(subfolder="vae")), "every file has to lie in its subfolder"),
        (_changed(parts=_part(loads="diffusers.hub.load")), r"parts\.0\.loads"),
        (_changed(parts=_part() * 2), "these roles are there twice: base"),
        (_changed(surprise=1), "surprise"),
        (_changed(commercial_use="conditional"), "`conditions` has to say on what"),
        (_changed(vram_gb=None, cpu_seconds=None), "it would run nowhere"),
        (_changed(dtypes=["float16"]), "float32 isn't among its dtypes"),
        (_changed(vram_gb={"resident": float("nan")}), "vram_gb"),
        (_changed(stages=["painting"]), r"stages\.0"),
        ("models: [", "isn't YAML"),
        ("- just a list", "the file"),
    ],
)
def test_a_catalogue_that_cant_be_trusted_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(BadCatalogue, match=complaint):
        read_catalogue(text, "own.yaml")


def test_an_id_listed_twice_is_refused() -> None:
    shipped = catalogue_entry("clip-vit-b32").model_dump(mode="json")
    with pytest.raises(BadCatalogue, match="listed twice: clip-vit-b32"):
        read_catalogue(json.dumps({"models": [shipped, shipped]}))


def test_an_unknown_model_names_the_known_ones() -> None:
    with pytest.raises(LookupError, match="clip-vit-b32"):
        catalogue_entry("clip")


LORA = """
loras:
  - to: sdxl-union
    role: nordic-look
    folder: loras
    files: [nordic.safetensors]
    size_mb: 20
    weight: 0.7
    kits: [scandinavian]
    licence: our own
    commercial_use: "yes"
"""


def test_a_lora_of_your_own_is_applied_in_the_rooms_of_its_kits(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(LORA)
    entry = catalogue_entry("sdxl-union", tmp_path)
    assert entry.part("nordic-look").folder == tmp_path / "loras"
    assert [lora.role for lora in entry.loras_for("scandinavian")] == ["lightning", "nordic-look"]
    assert [lora.role for lora in entry.loras_for("industrial")] == ["lightning"]
    assert [lora.role for lora in entry.loras_for(None)] == ["lightning"]
    assert catalogue_entry("sdxl-union").loras == SHIPPED[0].loras, "the shipped entry stays as it is"


def test_a_model_of_your_own_stands_beside_the_shipped_ones(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(_changed(id="our-clip", parts=_part(repo=None, revision=None, folder="weights")))
    entry = catalogue_entry("our-clip", own)
    assert entry.parts[0].folder == tmp_path / "weights"
    assert len(catalogue(own).models) == len(SHIPPED) + 1


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (_changed(), "the id clip-vit-b32 is taken"),
        (LORA.replace("to: sdxl-union", "to: sdxl-onion"), "no model is called 'sdxl-onion'; there is sdxl-union"),
        (LORA.replace("role: nordic-look", "role: vae"), "these roles are there twice: vae"),
        (LORA.replace("weight: 0.7", "weight: 70"), r"loras\.0\.weight"),
        (LORA.replace("licence: our own", ""), r"loras\.0\.licence"),
        (
            json.dumps({"models": [{**catalogue_entry("yunet").model_dump(mode="json"), "id": "mine"}]}),
            "only the models this package ships can be packaged",
        ),
    ],
)
def test_a_catalogue_of_your_own_is_refused_with_file_and_reason(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "own.yaml").write_text(text)
    with pytest.raises(BadCatalogue, match=rf"own\.yaml: .*{complaint}"):
        catalogue(tmp_path)


def test_a_catalogue_that_isnt_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadCatalogue, match=r"nowhere\.yaml can't be read"):
        catalogue(tmp_path / "nowhere.yaml")


def test_a_loras_licence_counts_as_much_as_its_models() -> None:
    entry = catalogue_entry("sdxl-union")
    lora = entry.loras[0].model_copy(update={"commercial_use": CommercialUse.NO, "licence": "CC-BY-NC"})
    tainted = entry.model_copy(update={"loras": (lora,)})
    assert licence_refusal(entry) is None
    assert str(licence_refusal(tainted)).startswith("its LoRA lightning: CC-BY-NC: not for business")
    assert "add sdxl-union/lightning to" in str(licence_refusal(tainted, {"sdxl-union"}))
    assert licence_refusal(tainted, {"sdxl-union/lightning"}) is None


def test_a_lora_added_to_a_model_whose_licence_was_allowed_has_to_be_allowed_by_itself() -> None:
    entry = catalogue_entry("mask2former-swin-large")
    lora = catalogue_entry("sdxl-union").loras[0].model_copy(update={"commercial_use": CommercialUse.NO})
    assert licence_refusal(entry, {entry.id}) is None
    with_lora = entry.model_copy(update={"loras": (lora,)})
    assert "its LoRA lightning" in str(licence_refusal(with_lora, {entry.id}))
    assert licence_refusal(with_lora, with_lora.licence_ids) is None


def test_reading_the_catalogue_needs_no_heavy_library() -> None:
    import subprocess
    import sys

    code = (
        "import sys; from listing_media_dagster.models import catalogue, choose, hardware, packing, weights; "
        "catalogue.catalogue(); print([m for m in ('torch', 'diffusers', 'huggingface_hub') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert importlib.util.find_spec("listing_media_dagster.models.weights_pull") is not None


@pytest.mark.parametrize("entry", SHIPPED, ids=lambda entry: entry.id)
def test_the_documented_table_is_that_of_the_catalogue(entry: CatalogueEntry) -> None:
    document = Path(__file__).parents[2] / "docs/models.md"
    assert _documented(entry) in document.read_text(encoding="utf-8")


def _documented(entry: CatalogueEntry) -> str:
    """Return the entry's row in docs/models.md."""
    business = {"yes": "yes", "conditional": f"on conditions: {entry.conditions}", "no": "no"}[entry.commercial_use]
    vram = "CPU"
    if entry.vram_gb:
        vram = f"{entry.vram_gb.resident:g}" + (f" ({entry.vram_gb.offload:g})" if entry.vram_gb.offload else "")
    size = f"{entry.size_mb / 1000:.1f} GB" if entry.size_mb >= 1000 else f"{entry.size_mb} MB"
    size = size if entry.size_mb else "in the package"
    pinned = "yes" if all(part.revision or not part.is_pulled for part in entry.all_parts) else "by the first pull"
    cells = [f"`{entry.id}`", ", ".join(entry.stages), entry.licence, business, size, vram, entry.dtypes[0], pinned]
    return f"| {' | '.join(cells)} |"


@pytest.mark.parametrize("data", [b"\xff\xfe\x80", b"models: " + b"[" * 5000, b"models: {", b"- 1", b"models: 3"])
def test_a_file_that_is_no_catalogue_is_named(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "own.yaml").write_bytes(data)
    with pytest.raises(BadCatalogue, match=r"own\.yaml"):
        catalogue(tmp_path / "own.yaml")


def test_another_commit_is_another_recipe() -> None:
    entry = catalogue_entry("sdxl-union")
    first, *others = entry.parts
    moved = entry.model_copy(update={"parts": (first.model_copy(update={"revision": "0" * 40}), *others)})
    assert moved.recipe != entry.recipe


def test_another_step_or_scale_of_a_lora_is_another_recipe() -> None:
    entry = catalogue_entry("sdxl-union")
    assert entry.sampling
    longer = entry.model_copy(update={"sampling": entry.sampling.model_copy(update={"steps": 99})})
    (lora, *others) = entry.loras or catalogue_entry("qwen-image-edit").loras
    stronger = entry.model_copy(update={"loras": (lora.model_copy(update={"weight": 0.123}), *others)})
    said_otherwise = entry.model_copy(update={"title": "Another", "notes": "more", "quality": 0})
    assert len({entry.recipe, longer.recipe, stronger.recipe}) == 3
    assert said_otherwise.recipe == entry.recipe
