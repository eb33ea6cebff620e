"""An image editor over a diffusers pipeline, whichever family it is of: sizes, batches, seeds, memory, cancelling."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from listing_media_dagster.models.diffusion.controls import resized
from listing_media_dagster.models.diffusion.families import Drawing, Kind, drawing_of, family_of, kind_of
from listing_media_dagster.models.diffusion.ladder import MemoryPlan, first_plan, remembered_plans
from listing_media_dagster.models.diffusion.outputs import on_device, pictures_of
from listing_media_dagster.models.diffusion.speedups import Speedups, preferred_attention, speed_up
from listing_media_dagster.models.entry import CatalogueEntry, Sampling
from listing_media_dagster.models.hardware import Hardware
from listing_media_dagster.models.loaded_when_used import GivesWay
from listing_media_dagster.models.memory import is_out_of_memory, release_cached_memory
from listing_media_dagster.models.model import EditRequest, ModelFailed, Rgb
from listing_media_dagster.models.networks import quietly
from listing_media_dagster.models.warm import give_back_idle_models, make_room_for

Progress = Callable[[int, int], None]


class DiffusionEditor(GivesWay):
    """Redraws pictures with a diffusers pipeline. Safe to use from several threads: they take turns.

    `load_pipeline` is called with a device when the pipeline is first needed. `batch` limits how many pictures go
    together (default: as many as the memory should hold).
    """

    def __init__(
        self,
        entry: CatalogueEntry,
        weights_sha256: str,
        hardware: Hardware,
        load_pipeline: Callable[[str], Any],
        speedups: Speedups | None = None,
        batch: int | None = None,
    ) -> None:
        if entry.sampling is None:
            raise ValueError(f"{entry.id} has no `sampling` in the catalogue")
        super().__init__()
        self.entry = entry
        self.weights_sha256 = weights_sha256
        self._hardware = hardware
        self._sampling: Sampling = entry.sampling
        self._family = family_of(entry)
        self._load_pipeline = load_pipeline
        self._speedups = speedups or Speedups()
        self._batch = batch
        self._pipeline: Any = None
        self._kept_to = MemoryPlan()

    @property
    def is_loaded(self) -> bool:
        return self._pipeline is not None

    def _let_go(self) -> None:
        self._pipeline = None

    def working_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return the (width, height) px in which a picture of `size` should be handed over: never larger than it."""
        width, height = size
        shrink = min(1.0, math.sqrt(self._sampling.megapixels * 1e6 / (width * height)))
        step = self._sampling.multiple_of
        across, down = (int(side * shrink + 1e-6) // step * step for side in size)  # 1023.9999 px are 1024
        return max(step, across), max(step, down)

    def edit(self, requests: Sequence[EditRequest], progress: Progress | None = None) -> list[Rgb]:
        """Return the pictures redrawn, at their own sizes; what is outside a mask is redrawn as well, if only slightly.

        A picture drawn with others equals its single run but for rounding: a level of 255 in float32, a few in 16 bits.
        `progress` gets (step, steps) over all pictures; what it raises stops the drawing and passes through, and the
        editor can be used again. A model without a mask, a strength or a control goes without.
        Raises `ModelFailed` if there isn't memory for one picture or if what was drawn isn't a picture, `ValueError`
        if a request contradicts itself.
        """
        for request in requests:
            _check(request)
        with self._turn:
            self._load()
            steps = _Steps(len(requests), self._sampling.steps, progress)
            drawn: dict[int, Rgb] = {}
            with self._prepared(requests) as drawings:
                for (size, *_), alike in self._alike(requests).items():
                    drawn.update(zip(alike, self._draw([drawings[i] for i in alike], size, steps), strict=True))
        return [
            np.ascontiguousarray(resized(drawn[i], (request.image.shape[1], request.image.shape[0])))
            for i, request in enumerate(requests)
        ]

    def _size_of(self, request: EditRequest) -> tuple[int, int]:
        return self.working_size((request.image.shape[1], request.image.shape[0]))

    def _alike(self, requests: Sequence[EditRequest]) -> dict[Kind, list[int]]:
        """Return the places of requests that can be drawn in one call, in the order of their first."""
        kinds: dict[Kind, list[int]] = {}
        for place, request in enumerate(requests):
            kinds.setdefault(kind_of(request, self._size_of(request)), []).append(place)
        return kinds

    @contextmanager
    def _prepared(self, requests: Sequence[EditRequest]) -> Iterator[list[Future[Drawing]]]:
        """Give the drawings, made beside the block: the device needn't wait for the pictures after the first."""
        pool = ThreadPoolExecutor(max_workers=2, thread_name_prefix="prepare-drawings")
        try:
            yield [pool.submit(drawing_of, each, self._size_of(each), self.entry.controls) for each in requests]
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _draw(self, drawings: Sequence[Future[Drawing]], size: tuple[int, int], steps: _Steps) -> list[Rgb]:
        """Return drawings of one kind as pictures, stepping down the ladder of plans as far as the memory asks for."""
        first = plan = self._plan_for(size)
        pictures: list[Rgb] = []
        asked_others = False
        while len(pictures) < len(drawings):
            together = _evenly(len(drawings) - len(pictures), self._at_most(plan.batch))
            chunk = drawings[len(pictures) : len(pictures) + together]
            try:
                pictures += self._draw_together([drawing.result() for drawing in chunk], plan, steps)
                if plan != first:
                    remembered_plans.remember(self.entry.id, self._hardware.name, size, plan)
                continue
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
            # Outside the `except`: the traceback holds on to the tensors that didn't fit.
            release_cached_memory()
            others_gave = not asked_others and give_back_idle_models()
            asked_others = True
            if not others_gave:
                plan = self._thriftier(plan, len(chunk), size)
        return pictures

    def _draw_together(self, drawings: Sequence[Drawing], plan: MemoryPlan, steps: _Steps) -> list[Rgb]:
        import torch

        self._keep_to(plan)
        with (
            quietly(),
            steps.of(len(drawings)) as on_step,
            _seeded_globally(drawings[0].request.seed, self._hardware),
            preferred_attention(self._speedups),
        ):
            try:
                asked = self._family.arguments(drawings, self.entry, self._sampling)
                output = self._pipeline(
                    **on_device(asked, self._pipeline._execution_device),
                    # On the CPU, so that a seed means the same noise on every GPU.
                    generator=[torch.Generator("cpu").manual_seed(drawing.request.seed) for drawing in drawings],
                    output_type="pt",
                    callback_on_step_end=on_step,
                    callback_on_step_end_tensor_inputs=[],
                )
            except BaseException:
                self._pipeline.maybe_free_model_hooks()  # which an interrupted call leaves undone
                raise
            return pictures_of(output.images, self.entry.title)

    def _keep_to(self, plan: MemoryPlan) -> None:
        """Bring the pipeline into the state that `plan` names; parts that were offloaded stay so."""
        if plan.tiled != self._kept_to.tiled:
            (self._pipeline.vae.enable_tiling if plan.tiled else self._pipeline.vae.disable_tiling)()
        if plan.offloaded and not self._kept_to.offloaded:
            self._pipeline.enable_model_cpu_offload(device=self._hardware.torch_device)
        self._kept_to = plan

    def _plan_for(self, size: tuple[int, int]) -> MemoryPlan:
        """Return the plan that pictures of `size` were last drawn by, or what should fit."""
        plan = first_plan(self.entry, self._hardware, size[0] * size[1] / 1e6)
        if self._batch is not None:
            plan = replace(plan, batch=self._batch)
        known = remembered_plans.get(self.entry.id, self._hardware.name, size)
        if known is not None:
            plan = replace(known, batch=min(plan.batch, known.batch))
        return replace(plan, offloaded=plan.offloaded or self._kept_to.offloaded)

    def _at_most(self, batch: int) -> int:
        ignores_generators = not self._family.seeds_steps and _draws_own_noise(self._pipeline.scheduler)
        return batch if self._family.takes_many and not ignores_generators else 1

    def _thriftier(self, plan: MemoryPlan, together: int, size: tuple[int, int]) -> MemoryPlan:
        next_plan = replace(plan, batch=together).thriftier(can_offload=self._hardware.device == "cuda")
        if next_plan is None:
            raise ModelFailed(
                f"{self.entry.title} doesn't fit into the memory of {self._hardware.name} at {size[0]}x{size[1]} px: "
                f"tried down to {plan}. Free memory there, or choose a smaller model"
            )
        return next_plan

    def _load(self) -> None:
        if self._pipeline is not None:
            return
        make_room_for(self)
        is_tight = first_plan(self.entry, self._hardware, self._sampling.megapixels).offloaded
        device = self._hardware.torch_device
        self._pipeline, where = self._loaded_on(["cpu"] if is_tight else [device, device, "cpu"])
        self._pipeline.vae.enable_slicing()  # decoding is the peak of memory, and gains nothing from several at once
        speed_up(self._pipeline, self._speedups)
        self._kept_to = MemoryPlan()
        self._keep_to(MemoryPlan(offloaded=where != device))

    def _loaded_on(self, devices: Sequence[str]) -> tuple[Any, str]:
        """Return the pipeline and the first of `devices` it fits on, asking idle models for their memory between."""
        for device in devices:
            try:
                return self._load_pipeline(device), device
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
            release_cached_memory()
            give_back_idle_models()
        raise ModelFailed(f"{self.entry.title} doesn't fit into the memory of {self._hardware.name}, nor beside it")


class _Steps:
    """Tells of every step, as a share of all: never backwards, even where a batch is drawn again in halves."""

    def __init__(self, pictures: int, steps: int, progress: Progress | None) -> None:
        self._total = pictures * steps
        self._steps = steps
        self._finished = 0
        self._told = 0
        self._progress = progress

    @contextmanager
    def of(self, pictures: int) -> Iterator[Callable[..., dict[str, Any]]]:
        """Give what a pipeline is to call after each step of a batch of `pictures`."""

        def on_step(pipeline: Any, step: int, timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
            share = min(1.0, (step + 1) / max(1, pipeline.num_timesteps))
            self._tell(self._finished + int(pictures * self._steps * share))
            return {}

        yield on_step
        self._finished += pictures * self._steps
        self._tell(self._finished)

    def _tell(self, done: int) -> None:
        self._told = max(self._told, done)
        if self._progress is not None:
            self._progress(self._told, self._total)


def _evenly(left: int, most: int) -> int:
    """Return how many of the pictures `left` go next, so that no batch is much smaller than the others."""
    return math.ceil(left / math.ceil(left / most))


def _draws_own_noise(scheduler: Any) -> bool:
    """Say whether `scheduler` adds noise in its steps: from the global generator, if the pipeline passes none on."""
    return type(scheduler).__name__ == "FlowMatchLCMScheduler" or bool(scheduler.config.get("stochastic_sampling"))


@contextmanager
def _seeded_globally(seed: int, hardware: Hardware) -> Iterator[None]:
    """Seed what ignores generators, and leave torch's global generators as they were."""
    import torch

    with torch.random.fork_rng(devices=[hardware.index] if hardware.device == "cuda" else []):
        torch.manual_seed(seed)
        yield


def _check(request: EditRequest) -> None:
    for name in ("image", "start"):
        picture = getattr(request, name)
        if picture is not None and (picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3):
            raise ValueError(f"`{name}` is {picture.dtype} {picture.shape}, not uint8 (H, W, 3)")
    height, width = request.image.shape[:2]
    for name in ("start", "mask", "depth", "lines"):
        field = getattr(request, name)
        if field is not None and field.shape[:2] != (height, width):
            raise ValueError(f"`{name}` is {field.shape[1]}x{field.shape[0]} px, the image {width}x{height}")
    if not 0 < request.strength <= 1:
        raise ValueError(f"strength {request.strength:g} isn't above 0 and up to 1")
    if request.seed < 0:
        raise ValueError(f"seed {request.seed} is negative")
