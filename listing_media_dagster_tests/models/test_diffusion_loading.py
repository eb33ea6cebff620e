"""Weights of image editors come whole from safetensors on this machine, or not at all: with file and next step."""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from listing_media_dagster.models.diffusion import Speedups, editor_for, speedups_for
from listing_media_dagster.models.entry import CatalogueEntry
from listing_media_dagster.models.hardware import Hardware
from listing_media_dagster.models.weights_folder import BadWeights, ModelMissing, inspect_folder
from listing_media_dagster_tests.helpers.tiny_pipelines import SaveTiny, a_room

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.usefixtures("one_torch_thread")

CPU = Hardware(device="cpu", name="test CPU", memory_gb=16)
PULL = "`listing-media models pull {}` fetches"


@pytest.fixture
def copied(tiny: SaveTiny, tmp_path: Path) -> Callable[[str], tuple[CatalogueEntry, Path]]:
    """Return a copy of the tiny weights that a test may damage."""

    def copy(model_id: str) -> tuple[CatalogueEntry, Path]:
        entry, weights = tiny(model_id)
        whole = weights.path.parent if len(entry.all_parts) > 1 else weights.path
        return entry, Path(shutil.copytree(whole, tmp_path / model_id))

    return copy


def load(entry: CatalogueEntry, folder: Path, **options: Any) -> Any:
    weights = inspect_folder(entry, folder, allow_test_weights=True)
    editor = editor_for(entry, weights, CPU, allow_test_weights=True, **options)
    editor.load()
    return editor


def test_an_absent_file_is_named_with_the_command_that_fetches_it(copied: Any) -> None:
    entry, folder = copied("sd15-tile")
    (folder / "base/unet/diffusion_pytorch_model.fp16.safetensors").unlink()
    with pytest.raises(ModelMissing, match=r"has no unet/diffusion_pytorch_model.fp16.safetensors") as missing:
        load(entry, folder)
    assert PULL.format("sd15-tile") in str(missing.value)


def test_a_file_that_vanished_after_it_was_looked_at_is_named(copied: Any) -> None:
    entry, folder = copied("sd15-tile")
    weights = inspect_folder(entry, folder, allow_test_weights=True)
    next(folder.glob("controlnet/**/*.safetensors")).unlink()
    with pytest.raises(BadWeights, match=r"diffusion_pytorch_model\.safetensors") as bad:
        editor_for(entry, weights, CPU, allow_test_weights=True).load()
    assert PULL.format("sd15-tile") in str(bad.value)


def test_a_pickle_is_never_read(copied: Any) -> None:
    entry, folder = copied("sd15-tile")
    weights = inspect_folder(entry, folder, allow_test_weights=True)
    unet = folder / "base/unet"
    (unet / "diffusion_pytorch_model.fp16.safetensors").rename(unet / "diffusion_pytorch_model.fp16.bin")
    with pytest.raises(BadWeights, match="safetensors"):
        editor_for(entry, weights, CPU, allow_test_weights=True).load()


@pytest.mark.parametrize("component", ["unet/diffusion_pytorch_model", "text_encoder/model"])
def test_a_truncated_file_is_refused(copied: Any, component: str) -> None:
    entry, folder = copied("sd15-tile")
    file = folder / f"base/{component}.fp16.safetensors"
    file.write_bytes(file.read_bytes()[:-1000])
    with pytest.raises(
        BadWeights, match=rf"{component}.fp16.safetensors can't be loaded: .*; `listing-media models pull"
    ):
        load(entry, folder)


@pytest.mark.parametrize("component", ["unet/diffusion_pytorch_model", "text_encoder/model"])
def test_a_tensor_that_a_file_lacks_is_never_made_up(copied: Any, component: str) -> None:
    from safetensors.torch import load_file, save_file

    entry, folder = copied("sd15-tile")
    file = folder / f"base/{component}.fp16.safetensors"
    tensors = load_file(file)
    gone = sorted(tensors)[3]
    del tensors[gone]
    save_file(tensors, file, metadata={"format": "pt"})
    with pytest.raises(
        BadWeights, match=rf"base/{component.partition('/')[0]} can't be loaded: its weights lack 1 tensors"
    ):
        load(entry, folder)


def test_weights_saved_by_older_libraries_load_whole(copied: Any) -> None:
    from safetensors.torch import load_file, save_file

    entry, folder = copied("sd15-tile")
    vae = folder / "base/vae/diffusion_pytorch_model.fp16.safetensors"
    text = folder / "base/text_encoder/model.fp16.safetensors"
    named_before = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    tensors = load_file(vae)
    for name in [name for name in tensors if ".attentions." in name]:
        older = name
        for now, before in named_before.items():
            older = older.replace(now, before)
        tensors[older] = tensors.pop(name)
    save_file(tensors, vae, metadata={"format": "pt"})
    words = {f"text_model.{name.removeprefix('text_model.')}": values for name, values in load_file(text).items()}
    words["text_model.embeddings.position_ids"] = torch.arange(77)[None]
    save_file(words, text, metadata={"format": "pt"})
    assert load(entry, folder).is_loaded


def test_a_component_from_another_library_is_refused(copied: Any) -> None:
    entry, folder = copied("sd15-tile")
    (folder / "base/unet/surprise.py").write_text("raise SystemExit('code that came with the weights ran')")
    index = folder / "base/model_index.json"
    index.write_text(json.dumps({**json.loads(index.read_text()), "unet": ["surprise", "Unet"]}))
    with pytest.raises(BadWeights, match="Unet is from 'surprise', which isn't one of diffusers, transformers"):
        load(entry, folder)


def test_a_lora_of_another_model_is_refused(copied: Any) -> None:
    from safetensors.torch import save_file

    entry, folder = copied("sdxl-union")
    name = "transformer.blocks.0.attn.to_q"
    tensors = {f"{name}.lora_A.weight": torch.ones(2, 8), f"{name}.lora_B.weight": torch.ones(8, 2)}
    save_file(tensors, folder / "lightning/sdxl_lightning_8step_lora.safetensors")
    with pytest.raises(BadWeights, match=r"sdxl_lightning_8step_lora.safetensors can't be loaded"):
        load(entry, folder)


def test_a_lora_of_a_kit_comes_on_top_of_the_models_own(copied: Any) -> None:
    entry, folder = copied("sdxl-union")
    shutil.copytree(folder / "lightning", folder / "nordic")
    lightning = entry.loras[0]
    nordic = lightning.model_copy(update={"role": "nordic", "weight": 0.5, "kits": ("nordic",)})

    def queries(**changes: Any) -> Any:
        kit = changes.pop("kit", None)
        weights = load(entry.model_copy(update=changes), folder, kit=kit)._pipeline.unet.state_dict()
        return next(values for name, values in weights.items() if name.endswith("to_q.weight"))

    plain, own = queries(loras=()), queries()
    both = queries(loras=(lightning, nordic), kit="nordic")
    assert not torch.equal(own, plain)
    assert torch.allclose(both - plain, 1.5 * (own - plain), atol=1e-5)


def test_nothing_is_asked_of_the_network(copied: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert load(*copied("sdxl-union")).is_loaded


def test_speedups_are_chosen_for_the_hardware() -> None:
    assert speedups_for(CPU) == Speedups()
    t4 = Hardware(device="cuda", name="T4", memory_gb=30, vram_gb=15, compute_capability=(7, 5), fp16=True)
    assert speedups_for(t4) == Speedups(channels_last=True), "a listing's photos don't earn back minutes of compiling"
    with pytest.raises(ValueError, match="cuda_graphs needs compile='whole'"):
        Speedups(cuda_graphs=True)


def test_speedups_do_not_change_what_is_drawn(tiny: SaveTiny) -> None:
    entry, weights = tiny("sd15-tile")
    plain = editor_for(entry, weights, CPU, speedups=Speedups(), allow_test_weights=True)
    fast = editor_for(
        entry, weights, CPU, speedups=Speedups(channels_last=True, attention=("MATH",)), allow_test_weights=True
    )
    room = a_room(0, strength=0.5)
    difference = np.abs(plain.edit([room])[0].astype(int) - fast.edit([room])[0])
    assert difference.max() <= 2
    convolution = fast._pipeline.unet.conv_in.weight
    assert convolution.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    ("model_id", "compiled"),
    [
        ("sdxl-tile", {"BasicTransformerBlock"}),
        ("flux2-klein-4b", {"Flux2TransformerBlock", "Flux2SingleTransformerBlock"}),
    ],
)
def test_compiling_takes_the_blocks_that_repeat(
    tiny: SaveTiny, monkeypatch: pytest.MonkeyPatch, model_id: str, compiled: set[str]
) -> None:
    seen: list[str] = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda module, **_: seen.append(type(module).__name__))
    entry, weights = tiny(model_id)
    editor_for(entry, weights, CPU, speedups=Speedups(compile="blocks"), allow_test_weights=True).load()
    assert set(seen) == compiled
