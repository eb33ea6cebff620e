"""Small random weights for the catalogue's image editors, saved file for file as its entries name them.

They go through every line that real ones go through. Their cards mark them as made for tests, so that nothing outside
a test takes them.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from listing_media_dagster.models.catalogue import catalogue_entry
from listing_media_dagster.models.entry import CatalogueEntry, Part
from listing_media_dagster.models.model import EditRequest
from listing_media_dagster.models.weights_folder import WeightsFolder, inspect_folder, matching
from listing_media_dagster_tests.helpers import tiny_networks


def tiny_entry(model_id: str) -> CatalogueEntry:
    """Return the catalogue's entry as it is, but for two steps, a number format that a CPU has, and its mark."""
    entry = catalogue_entry(model_id)
    assert entry.sampling is not None
    sampling = entry.sampling.model_copy(update={"steps": 2})
    return entry.model_copy(update={"sampling": sampling, "dtypes": ("float32",), "test_only": True})


def save_tiny_weights(entry: CatalogueEntry, folder: Path, seed: int = 0) -> Path:
    """Save small random weights for `entry` into `folder`: exactly the files that its parts name, nothing else."""
    import torch

    with torch.random.fork_rng(devices=[]), quiet_libraries():
        torch.manual_seed(seed)
        pipeline = _PIPELINES[entry.family]()
        for part in entry.parts:
            root = folder if len(entry.all_parts) == 1 else folder / part.role
            _part_of(pipeline, entry, part).save_pretrained(
                root / part.subfolder if part.subfolder else root, variant=part.variant
            )
            _name_what_real_ones_name(root)
            _keep_only(root, part.patterns)
        for lora in entry.loras:
            save_tiny_lora(pipeline, folder / lora.role, lora.files[0])
    (folder / "listing_media.json").write_text(json.dumps({"pretrained": "tiny", "test_only": True}))
    return folder


def tiny_weights(model_id: str, folder: Path) -> tuple[CatalogueEntry, WeightsFolder]:
    """Save, inspect and return small random weights for the catalogue's entry `model_id`."""
    entry = tiny_entry(model_id)
    return entry, inspect_folder(entry, save_tiny_weights(entry, folder), allow_test_weights=True)


_PIPELINES: dict[str, Callable[[], Any]] = {
    "sdxl-union-inpaint": tiny_networks.sdxl,
    "sdxl-union-img2img": tiny_networks.sdxl,
    "sd15-controlnet-inpaint": tiny_networks.sd15_inpaint,
    "sd15-controlnet-img2img": tiny_networks.sd15,
    "flux2-klein": tiny_networks.klein,
    "qwen-image-edit": tiny_networks.qwen_edit,
}


def _part_of(pipeline: Any, entry: CatalogueEntry, part: Part) -> Any:
    if part.role == entry.parts[0].role:
        return pipeline
    if part.role == "vae":
        return tiny_networks.kl_vae()
    if part.loads.endswith("ControlNetUnionModel"):
        return tiny_networks.union_controlnet()
    return tiny_networks.sd15_controlnet()


def _name_what_real_ones_name(root: Path) -> None:
    """Add what the real repositories have and the tiny pipelines can do without."""
    for tokenizer in (folder for folder in root.glob("tokenizer*") if folder.is_dir()):
        (tokenizer / "merges.txt").touch()
    index = root / "model_index.json"
    if index.is_file() and "safety_checker" in (said := json.loads(index.read_text())):
        said["safety_checker"] = ["stable_diffusion", "StableDiffusionSafetyChecker"]
        said["feature_extractor"] = ["transformers", "CLIPImageProcessor"]
        index.write_text(json.dumps(said))


def _keep_only(root: Path, patterns: Sequence[str]) -> None:
    names = [path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()]
    wanted = {name for pattern in patterns for name in matching(pattern, names)}
    for name in set(names) - wanted:
        (root / name).unlink()


def save_tiny_lora(pipeline: Any, folder: Path, name: str) -> None:
    """Save a LoRA for the attention of the pipeline's denoiser, strong enough to be seen."""
    from peft import LoraConfig, get_peft_model_state_dict

    which = "unet" if hasattr(pipeline, "unet") else "transformer"
    denoiser = getattr(pipeline, which)
    denoiser.add_adapter(LoraConfig(r=2, lora_alpha=2, target_modules=["to_q", "to_v"], init_lora_weights=False))
    pipeline.save_lora_weights(
        folder, weight_name=name, **{f"{which}_lora_layers": get_peft_model_state_dict(denoiser)}
    )
    denoiser.delete_adapters("default")


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Keep the libraries' bars and warnings out of the log of the tests."""
    import diffusers
    import transformers

    bars = [library.utils.logging for library in (diffusers, transformers)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for bar in bars:
            bar.disable_progress_bar()
        try:
            yield
        finally:
            for bar in bars:
                bar.enable_progress_bar()


SaveTiny = Callable[[str], tuple[CatalogueEntry, WeightsFolder]]


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> SaveTiny:
    """Return what saves small weights for a catalogue entry, once; don't change the files."""
    saved: dict[str, tuple[CatalogueEntry, WeightsFolder]] = {}

    def save(model_id: str) -> tuple[CatalogueEntry, WeightsFolder]:
        if model_id not in saved:
            saved[model_id] = tiny_weights(model_id, tmp_path_factory.mktemp(model_id))
        return saved[model_id]

    return save


@pytest.fixture
def one_torch_thread() -> Iterator[None]:
    """Threads that wait for each other on a busy machine take ten times as long as one."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def small_qwen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Qwen-Image-Edit brings every picture to a megapixel; here to 32 px square."""
    import diffusers.pipelines.qwenimage.pipeline_qwenimage_edit_plus as qwen

    monkeypatch.setattr(qwen, "VAE_IMAGE_SIZE", 32 * 32)
    monkeypatch.setattr(qwen, "CONDITION_IMAGE_SIZE", 32 * 32)


def a_room(number: int, **changes: Any) -> EditRequest:
    """Return a request of 32 px: coloured blocks, a mask in the middle, depth and lines; `number` is its seed, too."""
    blocks = np.random.default_rng(number).integers(0, 256, (4, 4, 3)).astype(np.uint8)
    image = np.kron(blocks, np.ones((8, 8, 1), np.uint8))
    mask = np.zeros((32, 32), np.float32)
    mask[8:28, 8:28] = 1
    room = EditRequest(
        image=image,
        prompt=f"a living room with {number + 1} sofas",
        negative_prompt="people",
        seed=number,
        mask=mask,
        depth=np.linspace(1, 5, 32, dtype=np.float32) * np.ones((32, 1), np.float32),
        lines=np.where(image[..., 0] > 200, 255, 0).astype(np.uint8),
    )
    return replace(room, **changes)
