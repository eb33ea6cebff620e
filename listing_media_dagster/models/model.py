"""What the stages ask of models: one protocol for each thing asked, whichever family of models answers.

Pictures are uint8 (H, W, 3) sRGB. Every model is loaded when first used or by `load`, and gives its memory back with
`unload`. Lists go in and come out: a picture's result doesn't depend on the batch it was in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Rgb = NDArray[np.uint8]
Field = NDArray[np.float32]


class ModelFailed(RuntimeError):
    """A model was there but gave nothing usable (out of memory to the last, not-a-number, black); `str()` says what."""


@dataclass(frozen=True)
class EditRequest:
    """A picture to be redrawn where `mask` (H, W; 0..1, None = everywhere) allows it.

    `start` is what the model starts from (default: `image`), kept the more the smaller `strength` (0..1) is. `depth`
    (H, W) metres along the view axis and `lines` uint8 (H, W) are controls, for the models that take them.
    """

    image: Rgb
    prompt: str
    seed: int
    negative_prompt: str = ""
    strength: float = 1.0
    start: Rgb | None = None
    mask: Field | None = None
    depth: Field | None = None
    lines: NDArray[np.uint8] | None = None


@dataclass(frozen=True)
class AnimateRequest:
    """A picture to be set in motion for `frames` frames."""

    image: Rgb
    prompt: str
    seed: int
    frames: int
    negative_prompt: str = ""


class Named(Protocol):
    """What ledgers and messages call a model: a catalogue entry, or a workflow on a server."""

    @property
    def id(self) -> str: ...

    @property
    def title(self) -> str: ...

    @property
    def test_only(self) -> bool: ...


class Model(Protocol):
    @property
    def entry(self) -> Named: ...

    @property
    def weights_sha256(self) -> str | None:
        """Return the digest that names these weights in ledgers; None where they lie on somebody else's server."""
        ...

    def load(self) -> None:
        """Bring the weights into memory. Raises `ModelMissing`, `BadWeights` or `ModelFailed`."""
        ...

    def unload(self) -> None: ...


class ImageEditor(Model, Protocol):
    def working_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return the (width, height) px in which a picture of `size` should be handed over."""
        ...

    def edit(self, requests: Sequence[EditRequest], progress: Callable[[int, int], None] | None = None) -> list[Rgb]:
        """Return the pictures redrawn, at their own sizes. `progress` gets (step, steps). Raises `ModelFailed`."""
        ...


class Upscaler(Model, Protocol):
    factor: int

    def enlarge(self, images: Sequence[Rgb]) -> list[Rgb]: ...


class Animator(Model, Protocol):
    @property
    def fps(self) -> int: ...

    @property
    def frames(self) -> int:
        """Return how many frames a clip of its own has, which is what it makes best."""
        ...

    @property
    def takes_prompt(self) -> bool:
        """Tell whether words have a say in what it draws."""
        ...

    def animate(self, request: AnimateRequest, progress: Callable[[int, int], None] | None = None) -> list[Rgb]:
        """Return the frames, the first one being the picture as the model sees it. Raises `ModelFailed`."""
        ...


class DepthEstimator(Model, Protocol):
    def nearness(self, images: Sequence[Rgb]) -> list[Field]:
        """Return relative inverse depth (H, W), 0 farthest to 1 nearest, at each picture's size."""
        ...


class Segmenter(Model, Protocol):
    def classes(self, images: Sequence[Rgb]) -> list[NDArray[np.uint8]]:
        """Return each pixel's ADE20K class (H, W): 0 wall, 3 floor, 5 ceiling, 8 window, 14 door …"""
        ...
