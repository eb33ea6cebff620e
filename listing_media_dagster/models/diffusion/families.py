"""How each family of pipelines is asked: what it calls its pictures, masks and controls, and what it can't take.

A family is a function from drawings of one size and kind to the arguments of one call. Pictures always go in as
batches: with `num_images_per_prompt` the start of every picture but the first is encoded with another's generator.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from listing_media_dagster.models.diffusion.controls import depth_picture, hide_masked, lines_picture, resized
from listing_media_dagster.models.entry import CatalogueEntry, Sampling
from listing_media_dagster.models.model import EditRequest, Field, Rgb

Arguments = dict[str, Any]
"""Of a pipeline's call. Arrays are uint8 batches of pictures (n, H, W, 3) and masks (n, H, W), to go to the device."""

# Numbers by which ControlNet-Union (xinsir, ProMax) knows its kinds of control.
_UNION_MODES = {"depth": 1, "lines": 3, "tile": 6, "repaint": 7}

Kind = tuple[tuple[int, int], float, bool, bool]
"""Size (width, height), strength, whether depth and whether lines are unknown."""


@dataclass(frozen=True)
class Drawing:
    """A request at the size it is worked on: `start` is what is drawn over, `controls` the pictures that steer."""

    start: Rgb
    mask: Field
    controls: dict[str, Rgb]
    request: EditRequest


@dataclass(frozen=True)
class Family:
    """`takes_many`: different pictures in one call. `seeds_steps`: hands the generators on to the scheduler's steps."""

    arguments: Callable[[Sequence[Drawing], CatalogueEntry, Sampling], Arguments]
    takes_many: bool = True
    seeds_steps: bool = True


def family_of(entry: CatalogueEntry) -> Family:
    """Return how `entry` is asked, or raise `LookupError` naming the families that edit pictures."""
    if entry.family not in _FAMILIES:
        known = ", ".join(sorted(_FAMILIES))
        raise LookupError(
            f"{entry.id} is of the family {entry.family!r}, which doesn't edit pictures; those do: {known}"
        )
    return _FAMILIES[entry.family]


def drawing_of(request: EditRequest, size: tuple[int, int], controls: Sequence[str]) -> Drawing:
    """Return `request` at `size` (width, height) px with those of the entry's `controls` that it has something for."""
    image = resized(request.image, size)
    everywhere = np.ones(image.shape[:2], np.float32)
    mask = everywhere if request.mask is None else resized(request.mask, size)
    start = image if request.start is None else resized(request.start, size)
    pictures = {}
    if "depth" in controls and request.depth is not None:
        pictures["depth"] = resized(depth_picture(request.depth), size)
    if "lines" in controls and request.lines is not None:
        pictures["lines"] = resized(lines_picture(request.lines), size)
    if "tile" in controls:
        pictures["tile"] = start
    if "mask" in controls:
        pictures["repaint"] = hide_masked(image, mask)
    return Drawing(start=start, mask=mask, controls=pictures, request=request)


def kind_of(request: EditRequest, size: tuple[int, int]) -> Kind:
    """Return what requests worked on at `size` must have in common to be drawn in one call."""
    return (size, request.strength, request.depth is None, request.lines is None)


def _sdxl_union_inpaint(drawings: Sequence[Drawing], entry: CatalogueEntry, sampling: Sampling) -> Arguments:
    # The tile control holds to the start and repaint to the room: where something is to appear, they contradict.
    kinds = [kind for kind in drawings[0].controls if kind != "tile"]
    return {
        **_prompts(drawings, sampling),
        **_steps(drawings, sampling),
        "image": np.stack([drawing.start for drawing in drawings]),
        "mask_image": _masks(drawings),
        **_union_controls(drawings, kinds, sampling),
    }


def _sdxl_union_img2img(drawings: Sequence[Drawing], entry: CatalogueEntry, sampling: Sampling) -> Arguments:
    return {
        **_prompts(drawings, sampling),
        **_steps(drawings, sampling),
        "image": np.stack([drawing.start for drawing in drawings]),
        **_union_controls(drawings, list(drawings[0].controls), sampling),
    }


def _sd15_controlnet_inpaint(drawings: Sequence[Drawing], entry: CatalogueEntry, sampling: Sampling) -> Arguments:
    return {
        **_prompts(drawings, sampling),
        **_steps(drawings, sampling),
        "image": np.stack([drawing.start for drawing in drawings]),
        "mask_image": _masks(drawings),
        **_controlnets(drawings, entry, sampling),
    }


def _sd15_controlnet_img2img(drawings: Sequence[Drawing], entry: CatalogueEntry, sampling: Sampling) -> Arguments:
    return {
        **_prompts(drawings, sampling),
        **_steps(drawings, sampling),
        "image": np.stack([drawing.start for drawing in drawings]),
        **_controlnets(drawings, entry, sampling),
    }


def _flux2_klein(drawings: Sequence[Drawing], entry: CatalogueEntry, sampling: Sampling) -> Arguments:
    return {
        "prompt": [drawing.request.prompt for drawing in drawings],
        "guidance_scale": sampling.guidance,
        **_steps(drawings, sampling),
        "image": np.stack([drawing.start for drawing in drawings]),
        "mask_image": _masks(drawings),
    }


def _qwen_image_edit(drawings: Sequence[Drawing], entry: CatalogueEntry, sampling: Sampling) -> Arguments:
    (drawing,) = drawings
    height, width = drawing.start.shape[:2]
    guided = sampling.guidance > 1
    return {
        "prompt": drawing.request.prompt,
        # Without a negative prompt the pipeline doesn't guide at all.
        "negative_prompt": (drawing.request.negative_prompt or " ") if guided else None,
        "true_cfg_scale": sampling.guidance if guided else 1.0,
        "num_inference_steps": sampling.steps,
        "image": [Image.fromarray(drawing.start)],
        "height": height,
        "width": width,
    }


_FAMILIES = {
    "sdxl-union-inpaint": Family(_sdxl_union_inpaint),
    "sdxl-union-img2img": Family(_sdxl_union_img2img),
    "sd15-controlnet-inpaint": Family(_sd15_controlnet_inpaint),
    "sd15-controlnet-img2img": Family(_sd15_controlnet_img2img),
    "flux2-klein": Family(_flux2_klein, seeds_steps=False),
    "qwen-image-edit": Family(_qwen_image_edit, takes_many=False, seeds_steps=False),
}


def _prompts(drawings: Sequence[Drawing], sampling: Sampling) -> Arguments:
    prompts: Arguments = {
        "prompt": [drawing.request.prompt for drawing in drawings],
        "guidance_scale": sampling.guidance,
    }
    if sampling.guidance > 1:
        prompts["negative_prompt"] = [drawing.request.negative_prompt for drawing in drawings]
    return prompts


def _steps(drawings: Sequence[Drawing], sampling: Sampling) -> Arguments:
    height, width = drawings[0].start.shape[:2]
    strength = drawings[0].request.strength
    return {
        "strength": strength,
        # Only this share of them is taken: there must be one left.
        "num_inference_steps": max(sampling.steps, math.ceil(1 / strength)),
        "height": height,
        "width": width,
    }


def _union_controls(drawings: Sequence[Drawing], kinds: list[str], sampling: Sampling) -> Arguments:
    return {
        "control_image": [np.stack([drawing.controls[kind] for drawing in drawings]) for kind in kinds],
        "control_mode": [_UNION_MODES[kind] for kind in kinds],
        "controlnet_conditioning_scale": sampling.control_scale,
    }


def _controlnets(drawings: Sequence[Drawing], entry: CatalogueEntry, sampling: Sampling) -> Arguments:
    """Return a batch of control pictures for each ControlNet in the order they were loaded; black ones don't count."""
    kinds = [_control_of(part.role, entry) for part in entry.parts[1:] if part.role.startswith("controlnet")]
    nothing = np.zeros_like(drawings[0].start)
    batches = [np.stack([drawing.controls.get(kind, nothing) for drawing in drawings]) for kind in kinds]
    scales = [sampling.control_scale if kind in drawings[0].controls else 0.0 for kind in kinds]
    one = len(kinds) == 1
    return {
        "control_image": batches[0] if one else batches,
        "controlnet_conditioning_scale": scales[0] if one else scales,
    }


def _control_of(role: str, entry: CatalogueEntry) -> str:
    """Return what the ControlNet in `role` ("controlnet-depth") takes; "controlnet" alone takes the entry's first."""
    _, _, kind = role.partition("-")
    return kind or entry.controls[0]


def _masks(drawings: Sequence[Drawing]) -> NDArray[np.uint8]:
    return np.stack([np.where(drawing.mask >= 0.5, 255, 0).astype(np.uint8) for drawing in drawings])
