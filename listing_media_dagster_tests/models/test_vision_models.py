"""Depth, segmentation and upscaling, loaded as the real weights are, on tiny networks of the real classes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from listing_media_dagster.models import depth as depth_model
from listing_media_dagster.models import memory, segment, upscale
from listing_media_dagster.models.depth import DepthAnything
from listing_media_dagster.models.model import ModelFailed
from listing_media_dagster.models.segment import AdeSegmenter
from listing_media_dagster.models.upscale import Swin2SR
from listing_media_dagster.models.warm import WarmModels
from listing_media_dagster.models.weights import BadWeights
from listing_media_dagster.models.weights_folder import inspect_folder
from listing_media_dagster_tests.helpers.tiny_vision import (
    CPU,
    on_one_thread,
    save_tiny_depth,
    save_tiny_mask2former,
    save_tiny_swin2sr,
    save_tiny_upernet,
    tiny_entry,
)

Rgb = NDArray[np.uint8]


def _picture(seed: int, width: int = 120, height: int = 80) -> Rgb:
    grid = np.random.default_rng(seed).integers(0, 256, (6, 8, 3)).astype(np.uint8)
    return np.asarray(cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def _depth_in(folder: Path) -> DepthAnything:
    entry = tiny_entry("Tiny depth", folder, "transformers.DepthAnythingForDepthEstimation")
    return DepthAnything(entry, inspect_folder(entry, folder, allow_test_weights=True), CPU)


def _segmenter_in(folder: Path) -> AdeSegmenter:
    entry = tiny_entry("Tiny segmenter", folder, "transformers.UperNetForSemanticSegmentation")
    return AdeSegmenter(entry, inspect_folder(entry, folder, allow_test_weights=True), CPU)


PICTURES = [_picture(1), _picture(2, 90, 110), _picture(3), _picture(4, 90, 110)]


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    with on_one_thread():
        yield


@pytest.fixture(scope="module")
def depth(tmp_path_factory: pytest.TempPathFactory) -> DepthAnything:
    folder = save_tiny_depth(tmp_path_factory.mktemp("depth"))
    return _depth_in(folder)


@pytest.fixture(scope="module", params=[save_tiny_upernet, save_tiny_mask2former])
def segmenter(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AdeSegmenter:
    save: Callable[[Path], Path] = request.param
    folder = save(tmp_path_factory.mktemp("segmenter"))
    return _segmenter_in(folder)


@pytest.fixture(scope="module")
def upscaler(tmp_path_factory: pytest.TempPathFactory) -> Swin2SR:
    folder = save_tiny_swin2sr(tmp_path_factory.mktemp("upscaler"))
    entry = tiny_entry("Tiny upscaler", folder, "transformers.Swin2SRForImageSuperResolution")
    return Swin2SR(entry, inspect_folder(entry, folder, allow_test_weights=True), CPU)


def test_nearness_is_a_map_from_0_to_1_in_each_pictures_size_whatever_its_batch(depth: DepthAnything) -> None:
    maps = depth.nearness(PICTURES)
    for picture, found in zip(PICTURES, maps, strict=True):
        assert found.shape == picture.shape[:2] and found.dtype == np.float32
        assert found.min() >= 0 and found.max() <= 1 and np.ptp(found) > 0.5
        np.testing.assert_allclose(depth.nearness([picture])[0], found, atol=1e-4)
    assert depth.nearness([]) == []


def test_a_picture_without_depth_is_far_all_over(depth: DepthAnything, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(depth, "_predict", lambda inputs: [np.full(each.shape[1:], 3.0, np.float32) for each in inputs])
    (flat,) = depth.nearness([PICTURES[0]])
    assert not flat.any()


def test_classes_are_ades_in_each_pictures_size_whatever_its_batch(
    segmenter: AdeSegmenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(segment._BATCH, "cpu", 4)
    found = segmenter.classes(PICTURES)
    for picture, classes in zip(PICTURES, found, strict=True):
        assert classes.shape == picture.shape[:2] and classes.dtype == np.uint8 and classes.max() < 150
        (alone,) = segmenter.classes([picture])
        assert (alone == classes).mean() > 0.999


def test_a_twelve_megapixel_photo_is_segmented_in_little_memory(segmenter: AdeSegmenter) -> None:
    (classes,) = segmenter.classes([np.zeros((3000, 4000, 3), np.uint8)])
    assert classes.shape == (3000, 4000)


def test_an_upscaled_picture_is_twice_as_large_whatever_its_batch(upscaler: Swin2SR) -> None:
    small = [_picture(1, 300, 270), _picture(2, 40, 30)]
    made = upscaler.enlarge(small)
    assert [each.shape for each in made] == [(540, 600, 3), (60, 80, 3)]
    for picture, enlarged in zip(small, made, strict=True):
        assert np.array_equal(upscaler.enlarge([picture])[0], enlarged)


def test_tiles_meet_without_a_seam(upscaler: Swin2SR, monkeypatch: pytest.MonkeyPatch) -> None:
    photo = _picture(7, 700, 530)

    def bicubic(tiles: list[Rgb]) -> list[Any]:
        return [cv2.resize(tile.astype(np.float32), None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC) for tile in tiles]

    monkeypatch.setattr(upscaler, "_predict", bicubic)
    (tiled,) = upscaler.enlarge([photo])
    whole = np.clip(bicubic([photo])[0], 0, 255)
    assert np.abs(tiled - whole).max() <= 1.0


def test_tiles_that_disagree_are_blended_not_cut(upscaler: Swin2SR, monkeypatch: pytest.MonkeyPatch) -> None:
    levels = iter(range(60, 250, 10))

    def own_level(tiles: list[Rgb]) -> list[Any]:
        return [np.full((tile.shape[0] * 2, tile.shape[1] * 2, 3), next(levels), np.float32) for tile in tiles]

    monkeypatch.setattr(upscaler, "_predict", own_level)
    (made,) = upscaler.enlarge([_picture(7, 480, 480)])
    grey = made[..., 0].astype(int)
    assert np.abs(np.diff(grey, axis=1)).max() <= 2 and np.abs(np.diff(grey, axis=0)).max() <= 2


def test_a_photo_that_would_become_enormous_is_refused(upscaler: Swin2SR) -> None:
    with pytest.raises(ValueError, match="leave a photo of that size"):
        upscaler.enlarge([np.zeros((10000, 10000, 3), np.uint8)])


def test_the_batch_shrinks_until_it_fits(depth: DepthAnything, monkeypatch: pytest.MonkeyPatch) -> None:
    expected, sizes, predict = depth.nearness([PICTURES[0]] * 5), [], DepthAnything._predict

    def short_of_memory(self: DepthAnything, inputs: list[Any]) -> list[Any]:
        sizes.append(len(inputs))
        if len(inputs) > 1:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return predict(self, inputs)

    monkeypatch.setitem(depth_model._BATCH, "cpu", 4)
    monkeypatch.setattr(DepthAnything, "_predict", short_of_memory)
    for found, wanted in zip(depth.nearness([PICTURES[0]] * 5), expected, strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-4)
    assert sizes == [4, 2, 1, 1, 1, 1, 1]


def test_a_model_that_never_fits_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(_: Any) -> list[int]:
        raise MemoryError

    with pytest.raises(ModelFailed, match="Tiny: not even one picture"):
        memory.in_batches([1, 2, 3], never, 3, "Tiny")
    with pytest.raises(ZeroDivisionError):
        memory.in_batches([1], lambda _: [1 // 0], 1, "Tiny")


def test_what_is_no_number_is_never_a_result(
    depth: DepthAnything, segmenter: AdeSegmenter, upscaler: Swin2SR, tmp_path: Path
) -> None:
    import torch

    for model, ask in ((depth, depth.nearness), (segmenter, segmenter.classes), (upscaler, upscaler.enlarge)):
        model.load()
        weight = next(parameter for parameter in model._model.parameters() if parameter.dim() > 1)
        kept = weight.detach().clone()
        try:
            with torch.no_grad():
                weight.fill_(torch.nan)
            with pytest.raises(ModelFailed, match="no numbers"):
                ask([PICTURES[0]])
        finally:
            with torch.no_grad():
                weight.copy_(kept)


def test_a_black_enlargement_is_never_a_result(upscaler: Swin2SR, monkeypatch: pytest.MonkeyPatch) -> None:
    black = np.zeros((2 * upscale.TILE, 2 * upscale.TILE, 3), np.float32)
    monkeypatch.setattr(upscaler, "_predict", lambda tiles: [black for _ in tiles])
    with pytest.raises(ModelFailed, match="black"):
        upscaler.enlarge([PICTURES[0]])
    assert not upscaler.enlarge([np.zeros((50, 50, 3), np.uint8)])[0].any()


def test_a_tensor_that_the_file_lacks_is_never_made_up(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = save_tiny_depth(tmp_path)
    tensors = load_file(folder / "model.safetensors")
    tensors.pop("head.conv1.weight")
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(BadWeights, match=r"its weights lack 1 tensors, head\.conv1\.weight"):
        _depth_in(folder).load()


def test_pickles_and_broken_files_are_refused(tmp_path: Path) -> None:
    folder = save_tiny_upernet(tmp_path)
    model = _segmenter_in(folder)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(BadWeights, match="can't be loaded"):
        model.load()
    (folder / "model.safetensors").write_bytes(b"\0" * 100)
    with pytest.raises(BadWeights, match="can't be loaded"):
        model.load()


def test_weights_made_for_tests_are_refused_where_results_matter(tmp_path: Path) -> None:
    folder = save_tiny_depth(tmp_path)
    entry = tiny_entry("Tiny depth", folder, "transformers.DepthAnythingForDepthEstimation")
    with pytest.raises(BadWeights, match="made for tests"):
        inspect_folder(entry, folder)


def test_a_network_for_other_classes_is_refused(tmp_path: Path) -> None:
    folder = save_tiny_upernet(tmp_path)
    config = (folder / "config.json").read_text().replace('"upernet"', '"sam"')
    (folder / "config.json").write_text(config)
    with pytest.raises(BadWeights, match="isn't UperNet or Mask2Former"):
        _segmenter_in(folder).load()


def test_a_model_at_work_isnt_unloaded(depth: DepthAnything, monkeypatch: pytest.MonkeyPatch) -> None:
    predict = DepthAnything._predict

    def asked_to_go(self: DepthAnything, inputs: list[Any]) -> list[Any]:
        self.unload()  # as another model that runs out of memory asks it
        return predict(self, inputs)

    monkeypatch.setattr(DepthAnything, "_predict", asked_to_go)
    assert depth.nearness([PICTURES[0]])[0].any() and depth.is_loaded


def test_idle_models_give_way_to_one_that_doesnt_fit(depth: DepthAnything, monkeypatch: pytest.MonkeyPatch) -> None:
    idle = _depth_in(depth._path)
    cache, room = WarmModels(), [False]
    cache.get("idle", lambda: idle)
    idle.load()
    predict = DepthAnything._predict

    def tight(self: DepthAnything, inputs: list[Any]) -> list[Any]:
        if idle.is_loaded:
            raise RuntimeError("CUDA out of memory")
        room[0] = True
        return predict(self, inputs)

    monkeypatch.setattr(DepthAnything, "_predict", tight)
    assert depth.nearness([PICTURES[0]])[0].any() and room[0] and not idle.is_loaded
    cache.close()


def test_weights_that_dont_fit_are_a_clear_failure(depth: DepthAnything, monkeypatch: pytest.MonkeyPatch) -> None:
    def too_large(self: DepthAnything) -> None:
        raise RuntimeError("CUDA out of memory")

    depth.unload()
    with monkeypatch.context() as patch, pytest.raises(ModelFailed, match="Tiny depth doesn't fit into the memory"):
        patch.setattr(DepthAnything, "_read", too_large)
        depth.load()
    depth.load()
    assert depth.is_loaded


def test_an_unloaded_model_loads_again(depth: DepthAnything) -> None:
    (before,) = depth.nearness([PICTURES[0]])
    depth.unload()
    assert depth._model is None and not depth.is_loaded
    np.testing.assert_array_equal(depth.nearness([PICTURES[0]])[0], before)
