"""Image-to-video through the loading code of the real weights, on tiny pipelines of the real classes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from listing_media_dagster.listing import Room, RoomType
from listing_media_dagster.models.catalogue import catalogue
from listing_media_dagster.models.entry import Lora
from listing_media_dagster.models.hardware import Hardware
from listing_media_dagster.models.model import AnimateRequest, ModelFailed
from listing_media_dagster.models.networks import class_named, is_network
from listing_media_dagster.models.video.animator import VideoDiffusion
from listing_media_dagster.models.video.families import FAMILIES
from listing_media_dagster.models.video.prompts import motion_prompt
from listing_media_dagster.models.weights import BadWeights
from listing_media_dagster.models.weights_folder import inspect_folder
from listing_media_dagster_tests.helpers.tiny_pipelines import save_tiny_lora
from listing_media_dagster_tests.helpers.tiny_video import (
    save_tiny_ltx2,
    save_tiny_svd,
    save_tiny_wan,
    tiny_video_entry,
)
from listing_media_dagster_tests.helpers.tiny_vision import CPU, on_one_thread

Rgb = NDArray[np.uint8]
PROMPT, NEGATIVE = motion_prompt(Room(type=RoomType.KITCHEN))


def _photo(seed: int = 1, width: int = 200, height: int = 100) -> Rgb:
    grid = np.random.default_rng(seed).integers(0, 256, (6, 8, 3)).astype(np.uint8)
    return np.asarray(cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def _animator(folder: Path, family: str) -> VideoDiffusion:
    entry = tiny_video_entry(folder, family, frames=3 if family == "svd" else 9, multiple_of=32)
    return VideoDiffusion(entry, inspect_folder(entry, folder, allow_test_weights=True), CPU)


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    with on_one_thread():
        yield


@pytest.fixture(scope="module")
def svd(tmp_path_factory: pytest.TempPathFactory) -> VideoDiffusion:
    return _animator(save_tiny_svd(tmp_path_factory.mktemp("svd")), "svd")


@pytest.fixture(scope="module")
def wan_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_wan(tmp_path_factory.mktemp("wan"))


@pytest.fixture(scope="module")
def ltx2(tmp_path_factory: pytest.TempPathFactory) -> VideoDiffusion:
    return _animator(save_tiny_ltx2(tmp_path_factory.mktemp("ltx2")), "ltx2")


@pytest.fixture(params=list(FAMILIES))
def animator(
    request: pytest.FixtureRequest, svd: VideoDiffusion, ltx2: VideoDiffusion, wan_folder: Path
) -> VideoDiffusion:
    kept = {"svd": svd, "ltx2": ltx2}
    return kept.get(request.param) or _animator(wan_folder, request.param)


def _request(seed: int = 5, frames: int = 3, photo: Rgb | None = None) -> AnimateRequest:
    return AnimateRequest(_photo() if photo is None else photo, PROMPT, seed, frames, NEGATIVE)


def test_a_photo_becomes_the_frames_asked_for_and_progress_is_told(animator: VideoDiffusion) -> None:
    steps: list[tuple[int, int]] = []
    frames = animator.animate(_request(), lambda done, of: steps.append((done, of)))
    assert [frame.shape for frame in frames] == [(32, 64, 3)] * 3 and frames[0].dtype == np.uint8
    assert steps == [(step, len(steps)) for step in range(1, len(steps) + 1)] and len(steps) >= 2


def test_a_seed_gives_its_film_again_whatever_the_global_state_is(animator: VideoDiffusion) -> None:
    import torch

    first = animator.animate(_request(seed=5))
    torch.manual_seed(12345)
    again, other = animator.animate(_request(seed=5)), animator.animate(_request(seed=6))
    assert np.array_equal(first, again) and not np.array_equal(first, other)


def test_the_film_has_the_photos_own_shape(svd: VideoDiffusion) -> None:
    upright = svd.animate(_request(photo=_photo(1, 100, 200)))
    assert upright[0].shape == (64, 32, 3)


def test_more_frames_than_the_model_makes_are_refused(animator: VideoDiffusion) -> None:
    with pytest.raises(ValueError, match="makes 1 to"):
        animator.animate(_request(frames=500))


def test_prompts_forbid_new_objects() -> None:
    assert "no new objects" in PROMPT and "no people" in PROMPT and "kitchen" in PROMPT
    assert "new objects" in NEGATIVE and "changing windows" in NEGATIVE


class _Cancelled(Exception):
    pass


def test_cancelling_ends_the_film_at_once_and_the_model_stays_usable(animator: VideoDiffusion) -> None:
    told: list[int] = []

    def cancel(step: int, _steps: int) -> None:
        told.append(step)
        raise _Cancelled

    with pytest.raises(_Cancelled):
        animator.animate(_request(), cancel)
    assert told == [1] and len(animator.animate(_request())) == 3


def test_short_memory_is_met_by_decoding_in_parts_then_by_a_clear_failure(
    svd: VideoDiffusion, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    chunks, decode, fits = [], type(svd._pipeline).decode_latents, 2

    def short_of_memory(pipeline: Any, latents: Any, frames: int, chunk: int) -> Any:
        chunks.append(chunk)
        if chunk > fits:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return decode(pipeline, latents, frames, chunk)

    svd.load()
    monkeypatch.setattr(type(svd._pipeline), "decode_latents", short_of_memory)
    assert len(svd.animate(_request())) == 3 and chunks == [8, 2]
    fits = 0
    svd.unload()
    with pytest.raises(ModelFailed, match="doesn't fit into the memory"):
        svd.animate(_request())
    svd.unload()


GPU = Hardware("cuda", "a GPU", 64, 24, 24, (8, 0), bf16=True, fp16=True)


def _on_gpu(animator: VideoDiffusion, monkeypatch: pytest.MonkeyPatch, fits: bool) -> list[str]:
    """Let `animator` take this machine for one with a GPU, which holds all networks at once if that `fits`."""
    import torch

    placed: list[str] = []
    kind = type(animator._pipeline)

    def to(pipeline: Any, device: str) -> Any:
        placed.append(device)
        if device != "cpu" and not fits:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return pipeline

    def offload(pipeline: Any, device: str) -> None:
        placed.append(f"in turns on {device}")

    animator.unload()
    monkeypatch.setattr(animator, "_hardware", GPU)
    monkeypatch.setattr(kind, "to", to)
    monkeypatch.setattr(kind, "enable_model_cpu_offload", offload)
    return placed


@pytest.mark.parametrize(
    ("fits", "places"),
    [(True, ["cuda:0"]), (False, ["cuda:0", "cpu", "in turns on cuda:0"])],
)
def test_networks_that_do_not_fit_when_they_are_loaded_take_turns(
    svd: VideoDiffusion, monkeypatch: pytest.MonkeyPatch, fits: bool, places: list[str]
) -> None:
    """Another process took memory since it was measured."""
    svd.load()
    placed = _on_gpu(svd, monkeypatch, fits)
    svd.load()
    assert placed == places
    svd.unload()


def test_a_film_that_breaks_off_leaves_no_network_on_the_device(
    svd: VideoDiffusion, monkeypatch: pytest.MonkeyPatch
) -> None:
    freed: list[bool] = []
    svd.load()
    monkeypatch.setattr(type(svd._pipeline), "maybe_free_model_hooks", lambda _: freed.append(True))

    def cancel(_step: int, _steps: int) -> None:
        raise _Cancelled

    with pytest.raises(_Cancelled):
        svd.animate(_request(), cancel)
    assert freed == [True]


@pytest.mark.parametrize("family", ["wan", "ltx2"])
def test_films_are_decoded_in_tiles_where_memory_is_short(
    wan_folder: Path, ltx2: VideoDiffusion, monkeypatch: pytest.MonkeyPatch, family: str
) -> None:
    import torch

    animator = ltx2 if family == "ltx2" else _animator(wan_folder, family)
    animator.load()
    decode, tiled = type(animator._pipeline.vae).decode, []

    def short_of_memory(vae: Any, *args: Any, **kwargs: Any) -> Any:
        tiled.append(vae.use_tiling)
        if not vae.use_tiling:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return decode(vae, *args, **kwargs)

    monkeypatch.setattr(type(animator._pipeline.vae), "decode", short_of_memory)
    assert len(animator.animate(_request())) == 3 and tiled == [False, True]
    animator.unload()


def test_every_family_that_the_catalogue_animates_with_has_a_wrapper() -> None:
    named = {entry.family for entry in catalogue().models if "animation" in entry.stages}
    assert named == set(FAMILIES)


@pytest.mark.parametrize(("value", "why"), [(float("nan"), "no numbers"), (0.0, "black")])
def test_what_is_no_film_is_never_a_result(
    svd: VideoDiffusion, monkeypatch: pytest.MonkeyPatch, value: float, why: str
) -> None:
    svd.load()
    frames = np.full((1, 3, 32, 64, 3), value, np.float32)
    monkeypatch.setattr(type(svd._pipeline), "__call__", lambda *_, **__: SimpleNamespace(frames=frames))
    with pytest.raises(ModelFailed, match=why):
        svd.animate(_request())


def _remove(folder: Path) -> None:
    (folder / "vae/diffusion_pytorch_model.safetensors").unlink()


def _pickle(folder: Path) -> None:
    weights = folder / "vae/diffusion_pytorch_model.safetensors"
    weights.rename(weights.with_suffix(".bin"))


def _damage(folder: Path) -> None:
    (folder / "transformer/diffusion_pytorch_model.safetensors").write_bytes(b"\0" * 64)


def _take_a_tensor(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    path = folder / "transformer/diffusion_pytorch_model.safetensors"
    tensors = load_file(path)
    tensors.pop(sorted(tensors)[0])
    save_file(tensors, path, {"format": "pt"})


@pytest.mark.parametrize("spoil", [_remove, _pickle, _damage, _take_a_tensor])
def test_weights_that_arent_whole_are_refused(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    folder = save_tiny_wan(tmp_path)
    wan = _animator(folder, "wan")
    spoil(folder)  # after it was looked at: what loads doesn't trust that nothing has changed since
    with pytest.raises(BadWeights, match=r"can't be loaded"):
        wan.load()


@pytest.mark.parametrize("library", ["our_code", "../wan", "logging"])
def test_networks_of_other_libraries_are_refused_and_their_code_isnt_run(tmp_path: Path, library: str) -> None:
    folder = save_tiny_wan(tmp_path)
    index = folder / "model_index.json"
    changed = {**json.loads(index.read_text()), "transformer": [library, "Network"]}
    index.write_text(json.dumps(changed))
    (folder / "transformer" / "our_code.py").write_text("raise SystemExit('ran')")
    with pytest.raises(BadWeights, match=f"Network is from {library!r}, which isn't one of diffusers, transformers"):
        _animator(folder, "wan").animate(_request())


def test_networks_that_a_pipelines_own_module_brings_are_found() -> None:
    import diffusers.pipelines.ltx2 as ltx2

    assert class_named("ltx2", "LTX2TextConnectors") is ltx2.LTX2TextConnectors
    assert is_network(ltx2.LTX2TextConnectors)
    assert not is_network(class_named("diffusers", "UniPCMultistepScheduler"))


def test_a_lora_changes_the_film_or_is_refused(tmp_path: Path) -> None:
    import diffusers

    folder = save_tiny_wan(tmp_path / "base")
    save_tiny_lora(diffusers.WanPipeline.from_pretrained(folder), tmp_path / "look", "look.safetensors")
    plain = _animator(folder, "wan").animate(_request())
    look = Lora(
        role="look", folder=tmp_path / "look", files=("*.safetensors",), size_mb=1, licence="MIT", commercial_use="yes"
    )
    assert not np.array_equal(_with_lora(folder, "wan", look).animate(_request()), plain)
    with pytest.raises(BadWeights, match="StableVideoDiffusionPipeline takes no LoRA"):
        _with_lora(save_tiny_svd(tmp_path / "svd"), "svd", look).load()


def _with_lora(folder: Path, family: str, lora: Lora) -> VideoDiffusion:
    entry = tiny_video_entry(folder, family, frames=9, multiple_of=32).model_copy(update={"loras": (lora,)})
    return VideoDiffusion(entry, inspect_folder(entry, folder, allow_test_weights=True), CPU)


def test_a_host_without_room_for_the_weights_isnt_told_that_they_are_bad(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import diffusers

    wan = _animator(save_tiny_wan(tmp_path), "wan")

    def no_room(*_: Any, **__: Any) -> None:
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 99 bytes")

    monkeypatch.setattr(diffusers.WanTransformer3DModel, "from_pretrained", no_room)
    with pytest.raises(ModelFailed, match="doesn't fit into the memory"):
        wan.load()
