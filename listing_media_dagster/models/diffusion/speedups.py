"""What makes a loaded pipeline faster without changing what it draws, chosen for the hardware as data."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from listing_media_dagster.models.hardware import Hardware

_DENOISERS = ("unet", "transformer", "controlnet")


@dataclass(frozen=True)
class Speedups:
    """Nothing by default.

    `compile` is what torch compiles at the first picture of a size: the blocks a denoiser repeats (half a minute), or
    the denoiser whole (minutes). `cuda_graphs` replays its kernels and needs it whole. `attention` names torch's SDPA
    back ends (of `torch.nn.attention.SDPBackend`) in order of preference, () = torch's own order.
    """

    channels_last: bool = False
    compile: Literal["nothing", "blocks", "whole"] = "nothing"
    cuda_graphs: bool = False
    attention: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.cuda_graphs and self.compile != "whole":
            raise ValueError("cuda_graphs needs compile='whole'")


def speedups_for(hardware: Hardware) -> Speedups:
    """Return what pays without a wait: compiling doesn't for the handful of photos of one listing."""
    return Speedups(channels_last=hardware.device == "cuda")


def speed_up(pipeline: Any, speedups: Speedups) -> None:
    """Apply to a loaded pipeline what stays with its modules."""
    if speedups.channels_last:
        _store_channels_last(pipeline)
    if speedups.compile == "nothing":
        return
    for denoiser in _denoisers(pipeline):
        if speedups.compile == "whole":
            denoiser.compile(mode="max-autotune" if speedups.cuda_graphs else "max-autotune-no-cudagraphs")
        else:
            _compile_blocks(denoiser)


@contextmanager
def preferred_attention(speedups: Speedups) -> Iterator[None]:
    """Run the block with the preferred attention back ends first."""
    if not speedups.attention:
        yield
        return
    from torch.nn.attention import SDPBackend, sdpa_kernel

    with sdpa_kernel([getattr(SDPBackend, name) for name in speedups.attention], set_priority=True):
        yield


def _denoisers(pipeline: Any) -> list[Any]:
    return [part for name in _DENOISERS if (part := getattr(pipeline, name, None)) is not None]


def _store_channels_last(pipeline: Any) -> None:
    import torch

    for module in (*_denoisers(pipeline), pipeline.vae):
        # A VAE of films has 5-D convolutions, which have another layout.
        if all(parameter.dim() <= 4 for parameter in module.parameters()):
            module.to(memory_format=torch.channels_last)


def _compile_blocks(denoiser: Any) -> None:
    # A ControlNet is built from the UNet's blocks but doesn't name them.
    names = getattr(denoiser, "_repeated_blocks", None) or ["BasicTransformerBlock"]
    for module in denoiser.modules():
        if type(module).__name__ in names:
            module.compile()
