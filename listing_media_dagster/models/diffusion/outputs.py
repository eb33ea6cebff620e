"""Pictures on their way to a pipeline and back: as batches on its device, and told from failures.

What overflowed comes out as not-a-number, black, or one colour.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from listing_media_dagster.models.model import ModelFailed, Rgb


def on_device(value: Any, device: Any) -> Any:
    """Return `value` with its uint8 arrays as float tensors (n, channels, H, W) of 0..1 on `device`."""
    if isinstance(value, dict):
        return {name: on_device(each, device) for name, each in value.items()}
    if isinstance(value, list):
        return [on_device(each, device) for each in value]
    if not isinstance(value, np.ndarray):
        return value
    import torch

    pixels = torch.from_numpy(value).to(device)
    channels_first = pixels.permute(0, 3, 1, 2) if pixels.dim() == 4 else pixels.unsqueeze(1)
    return channels_first.float() / 255


def pictures_of(output: Any, title: str) -> list[Rgb]:
    """Return `output`, a float tensor (n, 3, H, W) of 0..1 on any device, as pictures.

    Raises `ModelFailed` naming the model `title` if one of them isn't a picture.
    """
    import torch

    values = output.detach().float() * 255
    if not bool(torch.isfinite(values).all()):
        raise ModelFailed(f"{title} drew a picture that isn't a number: its {output.dtype} overflowed")
    brightest, darkest = values.amax((1, 2, 3)), values.amin((1, 2, 3))
    spread = values.std((2, 3)).amax(1)
    if bool((brightest < 8).any()):
        raise ModelFailed(f"{title} drew a black picture")
    if bool(((brightest - darkest < 4) | (spread < 0.5)).any()):
        raise ModelFailed(f"{title} drew a picture of one colour")
    pixels = values.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()
    return list(pixels.cpu().numpy())
