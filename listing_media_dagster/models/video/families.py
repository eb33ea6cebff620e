"""How each family of image-to-video pipelines is asked for a film: what it calls things, and what it can't be told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from listing_media_dagster.models.entry import Film, Sampling
from listing_media_dagster.models.model import AnimateRequest

Arguments = dict[str, Any]


@dataclass(frozen=True)
class Family:
    """`arguments` are those of a pipeline's call beside picture, size, steps and generator.

    `frames_a_step`: the VAE holds one frame and then so many at a time. `decodes_in_tiles`: it can save memory so;
    a family that can't is told how many frames to decode at once. `takes_prompt`: it can be told anything in words.
    """

    arguments: Callable[[AnimateRequest, Film, Sampling, int], Arguments]
    frames_a_step: int
    decodes_in_tiles: bool = True
    takes_prompt: bool = True


def _svd(request: AnimateRequest, film: Film, sampling: Sampling, decoded_together: int) -> Arguments:
    return {
        "num_frames": film.frames,  # it was trained on this many and no other
        "max_guidance_scale": sampling.guidance,
        "fps": film.fps,
        "motion_bucket_id": 60,  # half its default: a slow camera
        "noise_aug_strength": 0.02,
        "decode_chunk_size": decoded_together,
    }


def _wan(request: AnimateRequest, film: Film, sampling: Sampling, decoded_together: int) -> Arguments:
    return {
        "prompt": request.prompt,
        "negative_prompt": request.negative_prompt,
        "num_frames": _at_least(request.frames, WAN),
        "guidance_scale": max(1.0, sampling.guidance),
    }


def _ltx2(request: AnimateRequest, film: Film, sampling: Sampling, decoded_together: int) -> Arguments:
    return {
        **_wan(request, film, sampling, decoded_together),
        "num_frames": _at_least(request.frames, LTX2),
        "frame_rate": float(film.fps),
        # LTX-2.0 as it was trained: the pipeline's defaults are those of later versions.
        "use_cross_timestep": False,
        "stg_scale": 0.0,
        "modality_scale": 1.0,
        "guidance_rescale": 0.0,
        # Its sound is drawn along, for the picture's sake, and thrown away.
        "audio_guidance_scale": max(1.0, sampling.guidance),
        "audio_stg_scale": 0.0,
        "audio_modality_scale": 1.0,
        "audio_guidance_rescale": 0.0,
    }


def _at_least(frames: int, family: Family) -> int:
    return family.frames_a_step * -(-(frames - 1) // family.frames_a_step) + 1


SVD = Family(_svd, frames_a_step=1, decodes_in_tiles=False, takes_prompt=False)
WAN = Family(_wan, frames_a_step=4)
LTX2 = Family(_ltx2, frames_a_step=8)
FAMILIES = {"svd": SVD, "wan": WAN, "wan-dmd": WAN, "ltx2": LTX2}
