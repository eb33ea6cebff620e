"""The models' protocols on a ComfyUI server: image edits, clips from one photo, and a presenter who speaks a script."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np

from listing_media_dagster.models.comfyui.server import ComfyFailed, ComfyUI
from listing_media_dagster.models.comfyui.workflow import BadWorkflow, Workflow
from listing_media_dagster.models.model import AnimateRequest, EditRequest, ModelFailed, Rgb

Progress = Callable[[int, int], None]
EDIT_PIXELS = 1024 * 1024
CLIP_PIXELS = 1280 * 704
PRESENTER_PIXELS = 832 * 480
LARGEST_FRAMES = 1000


@dataclass(frozen=True)
class Lora:
    """A LoRA file on the server, for workflows that have a place for one."""

    file: str
    strength: float = 1.0

    def values(self) -> dict[str, Any]:
        return {"lora": self.file, "lora_strength": self.strength}


@dataclass(frozen=True)
class ServerModel:
    """A workflow as ledgers name it: by name, the digest of its graph and the LoRA that is put into it.

    What weights it loads isn't known here.
    """

    id: str
    title: str
    test_only: bool = False


@dataclass
class _OnServer:
    server: ComfyUI
    workflow: Workflow
    lora: Lora | None = None

    @property
    def entry(self) -> ServerModel:
        name, lora = self.workflow.name, self.lora if "lora" in self.workflow.places else None
        changed = f"+{lora.file}*{lora.strength:g}" if lora else ""
        return ServerModel(f"comfyui/{name}@{self.workflow.sha256[:12]}{changed}", f"the ComfyUI workflow {name}")

    @property
    def takes_lora(self) -> bool:
        return bool({"lora", "lora_strength"} & self.workflow.places)

    @property
    def weights_sha256(self) -> None:
        return None

    def load(self) -> None:
        """Ask whether the server is there. Raises `ModelFailed` if it isn't."""
        if (refusal := self.server.refusal()) is not None:
            raise ModelFailed(refusal)

    def unload(self) -> None:
        """Nothing to give back: what is loaded is the server's affair."""

    def _made(self, values: Mapping[str, Any], progress: Progress | None) -> bytes:
        ask = (lambda: progress(0, 1)) if progress else lambda: None
        chosen = {**(self.lora.values() if self.lora else {}), **values}
        try:
            return self.server.run(self.workflow.filled(chosen), self.workflow.output, ask)
        except (ComfyFailed, BadWorkflow) as failed:
            raise ModelFailed(str(failed)) from failed

    def _uploaded(self, picture: Rgb | np.ndarray[Any, Any]) -> str:
        try:
            return self.server.upload(_png(picture), ".png")
        except ComfyFailed as failed:
            raise ModelFailed(str(failed)) from failed


@dataclass
class ComfyEditor(_OnServer):
    """An `ImageEditor`; the workflow's task is `edit`. Pictures come back at the size they were handed over in."""

    def working_size(self, size: tuple[int, int]) -> tuple[int, int]:
        return _fitted(size, EDIT_PIXELS, 16)

    def edit(self, requests: Sequence[EditRequest], progress: Progress | None = None) -> list[Rgb]:
        """Have each picture redrawn, one after the other: the server keeps its own queue. Raises `ModelFailed`."""
        return [self._edit(request, progress) for request in requests]

    def _edit(self, request: EditRequest, progress: Progress | None) -> Rgb:
        height, width = request.image.shape[:2]
        places = self.workflow.places
        values: dict[str, Any] = {
            "image": self._uploaded(request.image),
            "prompt": request.prompt,
            "negative_prompt": request.negative_prompt,
            "seed": request.seed,
            "strength": request.strength,
            "width": width,
            "height": height,
        }
        if "start" in places:
            values["start"] = values["image"] if request.start is None else self._uploaded(request.start)
        if "mask" in places:
            mask = np.ones((height, width), np.float32) if request.mask is None else request.mask
            values["mask"] = self._uploaded(np.rint(mask * 255).astype(np.uint8))
        made = _picture(self._made(values, progress), self.entry.title)
        return made if made.shape == request.image.shape else _resized(made, (width, height))


@dataclass
class ComfyAnimator(_OnServer):
    """An `Animator`; the workflow's task is `animate` and its result a video or an animated picture."""

    fps: int = 24
    frames: int = 81  # of a clip: what Wan-type models like is a multiple of 4, and one

    @property
    def takes_prompt(self) -> bool:
        return "prompt" in self.workflow.places

    def animate(self, request: AnimateRequest, progress: Progress | None = None) -> list[Rgb]:
        size = _fitted(request.image.shape[1::-1], CLIP_PIXELS, 32)
        values = {
            "image": self._uploaded(_resized(request.image, size)),
            "prompt": request.prompt,
            "negative_prompt": request.negative_prompt,
            "seed": request.seed,
            "width": size[0],
            "height": size[1],
            "frames": request.frames,
        }
        frames = _frames(self._made(values, progress), self.entry.title)
        if len(frames) < 2:
            raise ModelFailed(f"{self.entry.title} gave no moving picture")
        return frames


@dataclass
class ComfyPresenter(_OnServer):
    """A person who speaks: the workflow's task is `present`, its result a film with sound."""

    prompt: str = "a person looks into the camera and speaks calmly, natural blinking, static background"
    negative_prompt: str = "subtitles, text, extra people, exaggerated gestures"
    fps: int = 25
    words_a_minute: float = field(default=150.0)

    def present(self, portrait: Rgb, script: str, seed: int, progress: Progress | None = None) -> bytes:
        """Return an MP4 in which the person of `portrait` speaks `script`. Raises `ModelFailed`."""
        if not script.strip():
            raise ModelFailed("the presenter's script is empty")
        size = _fitted(portrait.shape[1::-1], PRESENTER_PIXELS, 16)
        seconds = len(script.split()) / self.words_a_minute * 60 + 1
        frames = round(seconds * self.fps / 4) * 4 + 1  # the model works in fours, after a first frame
        if frames > LARGEST_FRAMES:
            most = int((LARGEST_FRAMES / self.fps - 1) * self.words_a_minute / 60)
            raise ModelFailed(f"the presenter's script has {len(script.split())} words; {most} are the most")
        values = {
            "portrait": self._uploaded(_resized(portrait, size)),
            "script": script,
            "prompt": self.prompt,
            "negative_prompt": self.negative_prompt,
            "seed": seed,
            "width": size[0],
            "height": size[1],
            "frames": frames,
        }
        film = self._made(values, progress)
        if len(_frames(film, self.entry.title)) < 2:
            raise ModelFailed(f"{self.entry.title} gave no moving picture")
        return film


def _fitted(size: tuple[int, int], pixels: int, step: int) -> tuple[int, int]:
    """Return `size` brought to about `pixels` px, each side a multiple of `step`."""
    width, height = size
    times = (pixels / (width * height)) ** 0.5
    return max(step, round(width * times / step) * step), max(step, round(height * times / step) * step)


def _resized(picture: Rgb, size: tuple[int, int]) -> Rgb:
    shrinks = size[0] * size[1] < picture.shape[0] * picture.shape[1]
    resized = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    return resized.astype(np.uint8, copy=False)


def _png(picture: np.ndarray[Any, Any]) -> bytes:
    ordered = picture if picture.ndim == 2 else cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".png", ordered)[1].tobytes()


def _picture(data: bytes, of: str) -> Rgb:
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if decoded is None:
        raise ModelFailed(f"what {of} gave is no picture")
    picture = cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)
    if picture.std() < 1:
        raise ModelFailed(f"the picture that {of} gave is one flat colour")
    return picture


def _frames(data: bytes, of: str) -> list[Rgb]:
    """Return the frames of a video, or of an animated picture."""
    import av

    try:
        with av.open(io.BytesIO(data), mode="r") as film:
            frames = []
            for frame in film.decode(video=0):
                frames.append(np.asarray(frame.to_ndarray(format="rgb24"), np.uint8))
                if len(frames) > LARGEST_FRAMES:
                    raise ModelFailed(f"the film that {of} gave has more than {LARGEST_FRAMES} frames")
            return frames
    except (av.FFmpegError, IndexError) as broken:
        raise ModelFailed(f"what {of} gave is no film: {broken}") from broken
