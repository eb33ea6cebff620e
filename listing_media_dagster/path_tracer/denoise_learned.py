"""Intel Open Image Denoise: a few samples a pixel to a clean picture, steered by first-hit reflectance and normals."""

from __future__ import annotations

import sys
from functools import cache
from types import ModuleType

import numpy as np

from listing_media_dagster.path_tracer.materials import Image


@cache
def _oidn() -> ModuleType:
    """Import pyoidn without torch, which it loads only to see whether it is there: 500 MB and two seconds.

    pyoidn has no switch for that; where torch is loaded already there is nothing to save, and it stays in sight.
    """
    hidden = "torch" not in sys.modules
    if hidden:
        sys.modules["torch"] = None  # type: ignore[assignment]
    try:
        import pyoidn
    finally:
        if hidden:
            del sys.modules["torch"]
    return pyoidn


def denoised(radiance: Image, albedo: Image, normal: Image) -> Image:
    """Return the clean radiance (H, W, 3), linear and not negative.

    `albedo` 0..1 and `normal` -1..1 (H, W, 3) are what each pixel's samples hit first, averaged.
    """
    clean = _oidn().denoise(
        np.ascontiguousarray(radiance, np.float32),
        np.ascontiguousarray(albedo.clip(0, 1), np.float32),
        np.ascontiguousarray(normal.clip(-1, 1), np.float32),
        hdr=True,
    )
    return np.maximum(np.asarray(clean, np.float32), 0)
