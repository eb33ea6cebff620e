"""What an image editor does when the device runs out of memory, step by step, with real offloading hooks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from listing_media_dagster.models.catalogue import catalogue_entry
from listing_media_dagster.models.diffusion import DiffusionEditor
from listing_media_dagster.models.diffusion import editor as diffusion_editor
from listing_media_dagster.models.diffusion.ladder import MemoryPlan, first_plan, remembered_plans
from listing_media_dagster.models.hardware import Hardware
from listing_media_dagster.models.model import ModelFailed
from listing_media_dagster.models.pipelines import load_pipeline
from listing_media_dagster.models.warm import WarmModels
from listing_media_dagster_tests.helpers.tiny_pipelines import SaveTiny, a_room

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.usefixtures("one_torch_thread")

GPU = Hardware(device="cuda", name="test GPU", memory_gb=30, vram_gb=16, free_vram_gb=15, fp16=True)
Fits = Callable[[int, bool, bool], bool]


@pytest.fixture(autouse=True)
def nothing_remembered() -> Iterator[None]:
    remembered_plans.forget()
    yield
    remembered_plans.forget()


class Cramped:
    """A loaded pipeline on a device on which only what `fits` (pictures, tiled, offloaded) can be drawn."""

    def __init__(self, pipeline: Any, fits: Fits) -> None:
        self.pipeline, self.fits, self.tried = pipeline, fits, []
        self.is_offloaded = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.pipeline, name)

    def enable_model_cpu_offload(self, device: str) -> None:
        assert device == "cuda:0"
        self.is_offloaded = True
        self.pipeline.enable_model_cpu_offload(device="cpu")  # accelerate's hooks, from main memory to main memory

    def __call__(self, **asked: Any) -> Any:
        state = (len(asked["prompt"]), bool(self.vae.use_tiling), self.is_offloaded)
        self.tried.append(state)
        if self.fits(*state):
            return self.pipeline(**asked)
        # In the middle of it, as it happens.
        asked["callback_on_step_end"] = _run_out_of_memory
        return self.pipeline(**asked)


def _run_out_of_memory(*_: Any) -> dict[str, Any]:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


@pytest.fixture
def cramped(tiny: SaveTiny) -> Callable[..., tuple[DiffusionEditor, Cramped]]:
    def load(fits: Fits, batch: int = 4) -> tuple[DiffusionEditor, Cramped]:
        entry, weights = tiny("sd15-tile")
        on_device = Cramped(load_pipeline(entry, weights, "float32", None, "cpu"), fits)
        return DiffusionEditor(entry, weights.weights_sha256, GPU, lambda _: on_device, batch=batch), on_device

    return load


@pytest.fixture(autouse=True)
def no_gpu_to_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The ladder is that of a GPU; the random numbers here are a CPU's."""
    fork = torch.random.fork_rng
    monkeypatch.setattr(torch.random, "fork_rng", lambda devices: fork(devices=[]))


@pytest.fixture(autouse=True)
def released(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Count what a GPU's cache is asked for: here nothing comes of it, and looking for garbage takes a second."""
    asked: list[str] = []
    monkeypatch.setattr(diffusion_editor, "release_cached_memory", lambda: asked.append("all that is cached"))
    return asked


def test_fewer_pictures_go_together_until_they_fit(cramped: Any, released: list[str]) -> None:
    editor, device = cramped(lambda pictures, tiled, offloaded: pictures <= 1)
    rooms = [a_room(number, strength=0.5) for number in range(5)]
    told: list[tuple[int, int]] = []
    pictures = editor.edit(rooms, lambda step, steps: told.append((step, steps)))
    assert len(pictures) == 5
    together = [number for number, *_ in device.tried]
    assert together == [3, 1, 1, 1, 1, 1], "five go as three and two, not four and one"
    assert len(released) == 1, "between the tries"
    assert told == sorted(told) and told[-1] == (10, 10)


def test_then_the_vae_works_in_tiles_and_then_parts_wait_for_their_turn(cramped: Any) -> None:
    editor, device = cramped(lambda pictures, tiled, offloaded: offloaded)
    (picture,) = editor.edit([a_room(0, strength=0.5)])
    assert device.tried == [(1, False, False), (1, True, False), (1, True, True)]
    assert hasattr(device.unet, "_hf_hook"), "its parts really are brought in by hooks"
    assert picture.shape == (32, 32, 3)


def test_what_worked_is_where_the_next_picture_starts_whoever_draws_it(cramped: Any) -> None:
    editor, device = cramped(lambda pictures, tiled, offloaded: pictures == 1 and tiled)
    editor.edit([a_room(0, strength=0.5), a_room(1, strength=0.5)])
    editor.edit([a_room(2, strength=0.5), a_room(3, strength=0.5)])
    assert device.tried[:3] == [(2, False, False), (1, False, False), (1, True, False)]
    assert device.tried[3:] == [(1, True, False)] * 3
    another, other_device = cramped(lambda pictures, tiled, offloaded: pictures == 1 and tiled)
    another.edit([a_room(0, strength=0.5)])
    assert other_device.tried == [(1, True, False)]


def test_where_nothing_fits_it_says_what_was_tried(cramped: Any) -> None:
    editor, device = cramped(lambda pictures, tiled, offloaded: False)
    with pytest.raises(ModelFailed) as failed:
        editor.edit([a_room(0, strength=0.5), a_room(1, strength=0.5)])
    assert "test GPU at 32x32 px" in str(failed.value)
    assert "one picture at a time, the VAE in tiles, parts offloaded" in str(failed.value)
    assert device.tried == [(2, False, False), (1, False, False), (1, True, False), (1, True, True)]
    device.fits = lambda *state: True
    assert len(editor.edit([a_room(0, strength=0.5)])) == 1, "once there is memory, it draws again"
    assert device.tried[-1] == (1, False, True), "only what worked is remembered; what was offloaded stays so"


def test_idle_models_are_asked_for_theirs_before_anything_is_given_up(cramped: Any) -> None:
    class Idle:
        is_loaded = True

        def unload(self) -> None:
            self.is_loaded = False

    warm = WarmModels()
    idle = warm.get("scorer", Idle)
    editor, device = cramped(lambda pictures, tiled, offloaded: not idle.is_loaded)
    editor.edit([a_room(0, strength=0.5), a_room(1, strength=0.5)])
    assert device.tried == [(2, False, False)] * 2
    warm.close()


def test_any_other_fault_passes_through(cramped: Any) -> None:
    editor, _ = cramped(lambda *state: True)

    def fail(step: int, steps: int) -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    with pytest.raises(RuntimeError, match="illegal memory access"):
        editor.edit([a_room(0, strength=0.5)], fail)


def test_weights_that_do_not_fit_stay_in_main_memory(tiny: SaveTiny) -> None:
    entry, weights = tiny("sd15-tile")
    devices: list[str] = []

    def load(device: str) -> Any:
        devices.append(device)
        if device != "cpu":
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return Cramped(load_pipeline(entry, weights, "float32", None, "cpu"), lambda *state: True)

    editor = DiffusionEditor(entry, weights.weights_sha256, GPU, load)
    editor.edit([a_room(0, strength=0.5)])
    assert devices == ["cuda:0", "cuda:0", "cpu"] and editor._pipeline.tried == [(1, False, True)]


def test_a_gpu_gets_as_many_pictures_as_its_free_memory_holds() -> None:
    sdxl = catalogue_entry("sdxl-union")
    assert sdxl.vram_gb is not None
    t4 = replace(GPU, free_vram_gb=sdxl.vram_gb.resident + 0.5)
    assert first_plan(sdxl, t4, 1.0) == MemoryPlan(batch=1)
    assert first_plan(sdxl, replace(GPU, free_vram_gb=sdxl.vram_gb.resident + 6.5), 1.0) == MemoryPlan(batch=4)
    assert first_plan(sdxl, replace(GPU, free_vram_gb=140), 1.0) == MemoryPlan(batch=8)
    assert first_plan(sdxl, replace(GPU, free_vram_gb=sdxl.vram_gb.resident - 0.5), 1.0) == MemoryPlan(offloaded=True)
    assert first_plan(sdxl, Hardware(device="cpu", name="CPU", memory_gb=64), 1.0) == MemoryPlan()


def test_the_ladder_ends() -> None:
    plan: MemoryPlan | None = MemoryPlan(batch=8)
    plans = []
    while plan is not None:
        plans.append(str(plan))
        plan = plan.thriftier(can_offload=True)
    assert plans[0] == "8 pictures at a time" and len(plans) == 6
    assert MemoryPlan(tiled=True).thriftier(can_offload=False) is None
