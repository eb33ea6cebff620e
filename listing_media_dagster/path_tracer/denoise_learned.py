"""Intel Open Image Denoise: a few samples a pixel to a clean picture, steered by first-hit reflectance and normals."""

from __future__ import annotations

import numpy as np

from listing_media_dagster.path_tracer.materials import Image


def denoised(radiance: Image, albedo: Image, normal: Image) -> Image:
    """Return the clean radiance (H, W, 3), linear and not negative.

    `albedo` 0..1 and `normal` -1..1 (H, W, 3) are what each pixel's samples hit first, averaged.
    """
    import pyoidn

    clean = pyoidn.denoise(
        np.ascontiguousarray(radiance, np.float32),
        np.ascontiguousarray(albedo.clip(0, 1), np.float32),
        np.ascontiguousarray(normal.clip(-1, 1), np.float32),
        hdr=True,
    )
    return np.maximum(np.asarray(clean, np.float32), 0)
