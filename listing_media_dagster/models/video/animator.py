"""A photo set in motion: Stable Video Diffusion, Wan 2.2, its three-step FastWan and LTX-2, behind one `Animator`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from listing_media_dagster.models.entry import CatalogueEntry, Film, Sampling
from listing_media_dagster.models.hardware import Hardware
from listing_media_dagster.models.loaded_when_used import LoadedWhenUsed
from listing_media_dagster.models.memory import is_out_of_memory, release_cached_memory
from listing_media_dagster.models.model import AnimateRequest, ModelFailed, Rgb
from listing_media_dagster.models.networks import dtype_on
from listing_media_dagster.models.pipelines import load_pipeline
from listing_media_dagster.models.video.dmd import dmd_scheduler
from listing_media_dagster.models.video.families import FAMILIES
from listing_media_dagster.models.warm import give_back_idle_models
from listing_media_dagster.models.weights_folder import WeightsFolder

Progress = Callable[[int, int], None]
Frames = NDArray[np.float32]

_RESIDENT, _DECODED_IN_PARTS, _OFFLOADED = range(3)  # how sparing of memory a film is made, each rung slower
_DECODED_TOGETHER = {_RESIDENT: 8, _DECODED_IN_PARTS: 2, _OFFLOADED: 1}  # frames of SVD
_WIDEST = 16 / 9  # wider or taller pictures are cropped to it: the models have seen no others
_BLACK = 6.0  # 0..255: mean of a film whose arithmetic went wrong; photos are lighter


class VideoDiffusion(LoadedWhenUsed):
    """`Animator` with the weights in `folder`; loaded when first asked. A film is made one at a time."""

    def __init__(self, entry: CatalogueEntry, folder: WeightsFolder, hardware: Hardware) -> None:
        if entry.family not in FAMILIES or entry.film is None or entry.sampling is None:
            raise ValueError(f"{entry.id} ({entry.family}) is no image-to-video model of {', '.join(FAMILIES)}")
        super().__init__(entry, folder, hardware)
        self._weights = folder
        self._family = FAMILIES[entry.family]
        self._film: Film = entry.film
        self._sampling: Sampling = entry.sampling
        self._pipeline: Any = None
        self._rung = _RESIDENT

    @property
    def fps(self) -> int:
        return self._film.fps

    @property
    def frames(self) -> int:
        """How many it makes at most, which is what it makes best."""
        return self._film.frames

    @property
    def takes_prompt(self) -> bool:
        return self._family.takes_prompt

    def _read(self) -> None:
        dtype = dtype_on(self.entry, self._hardware)
        self._pipeline = load_pipeline(self.entry, self._weights, dtype, kit=None, device="cpu")
        if self.entry.family == "wan-dmd":
            self._pipeline.scheduler = dmd_scheduler()
        self._settle()

    def _drop(self) -> None:
        if self._pipeline is not None:
            self._pipeline.remove_all_hooks()
        self._pipeline = None

    def animate(self, request: AnimateRequest, progress: Progress | None = None) -> list[Rgb]:
        """Return `request.frames` frames of one size, the first being the photo, cropped and reduced to that size.

        The same request gives the same film. `progress` gets (step, steps); what it raises ends the film at once.
        Raises `ModelFailed` where memory doesn't suffice or the film is black or no numbers, ValueError for more frames
        than the model makes.
        """
        if not 1 <= request.frames <= self._film.frames:
            raise ValueError(f"{self.entry.title} makes 1 to {self._film.frames} frames, not {request.frames}")
        with self._at_work():
            photo = _fitted(request.image, self._film, self._sampling.multiple_of)
            while True:
                try:
                    frames = self._run(request, photo, progress)
                    break
                except Exception as error:
                    if not is_out_of_memory(error):
                        raise
                # Outside the `except`: the traceback holds on to the tensors that didn't fit.
                self._take_next_rung()
        return _checked(frames[: request.frames], photo, self.entry.title)

    def _run(self, request: AnimateRequest, photo: Rgb, progress: Progress | None) -> Frames:
        import torch
        from PIL import Image

        steps = self._sampling.steps

        def report(_pipeline: Any, step: int, _time: Any, _tensors: Any) -> dict[str, Any]:
            if progress is not None:
                progress(step + 1, steps)
            return {}

        # Drawn on the CPU, so that a seed gives the same film on every device.
        noise = torch.Generator("cpu").manual_seed(request.seed)
        asked: dict[str, Any] = {
            "image": Image.fromarray(photo),
            "width": photo.shape[1],
            "height": photo.shape[0],
            "num_inference_steps": steps,
            "generator": noise,
            "output_type": "np",
            "callback_on_step_end": report,
            **self._family.arguments(request, self._film, self._sampling, _DECODED_TOGETHER[self._rung]),
        }
        if self.entry.family == "wan-dmd":
            self._pipeline.scheduler.noise = noise
        try:
            with torch.inference_mode():
                return np.asarray(self._pipeline(**asked).frames[0], np.float32)
        except BaseException:
            self._pipeline.maybe_free_model_hooks()  # which an interrupted call leaves undone
            raise

    def _settle(self) -> None:
        """Put the networks on the first rung, or on the last one where that turns out to be too little memory."""
        rung = self._first_rung()
        while True:
            try:
                self._place(rung)
                return
            except Exception as error:
                if rung == self._last_rung or not is_out_of_memory(error):
                    raise
            # Outside the `except`: the traceback holds on to the tensors that didn't fit.
            release_cached_memory()
            if not give_back_idle_models():
                rung = self._last_rung

    @property
    def _last_rung(self) -> int:
        return _DECODED_IN_PARTS if self._hardware.device == "cpu" else _OFFLOADED

    def _first_rung(self) -> int:
        """Return the rung on which free memory promises to suffice."""
        if self._hardware.device == "cpu" or self.entry.vram_gb is None:
            return _RESIDENT
        return _RESIDENT if self._hardware.free_vram_gb >= self.entry.vram_gb.resident else _OFFLOADED

    def _take_next_rung(self) -> None:
        release_cached_memory()
        if give_back_idle_models():
            return
        if self._rung >= self._last_rung:
            raise ModelFailed(f"{self.entry.title} doesn't fit into the memory of {self._hardware.name}, even in parts")
        self._place(self._rung + 1)

    def _place(self, rung: int) -> None:
        """Put the networks where `rung` wants them."""
        self._rung = rung
        if rung >= _DECODED_IN_PARTS and self._family.decodes_in_tiles:
            self._pipeline.vae.enable_tiling()
        if rung == _OFFLOADED:
            self._pipeline.to("cpu")
            self._pipeline.enable_model_cpu_offload(device=self._hardware.torch_device)
        else:
            self._pipeline.to(self._hardware.torch_device)


def _fitted(image: Rgb, film: Film, multiple: int) -> Rgb:
    """Return the photo cropped and resized to about as many px as `film` has, both edges divisible by `multiple`."""
    height, width = image.shape[:2]
    aspect = min(max(width / height, 1 / _WIDEST), _WIDEST)
    area = film.width * film.height
    across = max(multiple, multiple * round((area * aspect) ** 0.5 / multiple))
    down = max(multiple, multiple * round((area / aspect) ** 0.5 / multiple))
    scale = max(across / width, down / height)
    part_width, part_height = min(width, round(across / scale)), min(height, round(down / scale))
    x, y = (width - part_width) // 2, (height - part_height) // 2
    part = image[y : y + part_height, x : x + part_width]
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(part, (across, down), interpolation=how), np.uint8)


def _checked(frames: Frames, photo: Rgb, title: str) -> list[Rgb]:
    """Return the frames (n, h, w, 3) 0..1 as pictures; raises `ModelFailed` where they are none."""
    if not np.isfinite(frames).all():
        raise ModelFailed(f"{title} gave frames that are no numbers")
    if frames.mean() * 255 < _BLACK < photo.mean():
        raise ModelFailed(f"{title} gave a black film")
    return list(np.rint(frames * 255).astype(np.uint8))
