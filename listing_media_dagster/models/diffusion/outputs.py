"""Telling a picture from a failure: what overflowed comes out as not-a-number, black, or one colour."""

from __future__ import annotations

from typing import Any

import numpy as np

from listing_media_dagster.models.model import ModelFailed, Rgb


def pictures_of(output: Any, title: str) -> list[Rgb]:
    """Return `output`, a float tensor (n, 3, H, W) of 0..1 on any device, as pictures.

    Raises `ModelFailed` naming the model `title` if one of them isn't a picture.
    """
    import torch

    values = output.detach().float()
    if not bool(torch.isfinite(values).all()):
        raise ModelFailed(f"{title} drew a picture that isn't a number: its {output.dtype} overflowed")
    pixels = (values * 255).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous().cpu().numpy()
    for picture in pixels:
        _refuse_blank(picture, title)
    return list(pixels)


def _refuse_blank(picture: Rgb, title: str) -> None:
    darkest, brightest = int(picture.min()), int(picture.max())
    if brightest < 8:
        raise ModelFailed(f"{title} drew a black picture")
    if brightest - darkest < 4 or float(np.std(picture, axis=(0, 1)).max()) < 0.5:
        raise ModelFailed(f"{title} drew a picture of one colour")
