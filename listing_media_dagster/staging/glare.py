"""Windows in mirrors and screens no brighter than the photo shows windows, as cameras and retouchers hold them back.

Panes shine as strongly as it takes to light the room, several times what a photo that shows the view can hold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from listing_media_dagster.path_tracer.materials import Material
from listing_media_dagster.path_tracer.solids import Part
from listing_media_dagster.staging.light import linear_light
from listing_media_dagster.staging.reflection import varnish_reflects
from listing_media_dagster.staging.render import Stage, Traced, Window, load_stage
from listing_media_dagster.staging.room import PhotoCamera

SHARP = 0.05  # roughness up to which a surface shows pictures of what is around it
BRIGHTEST, DARKEST = 0.75, 0.3  # linear level of what windows show, so that a mirror never looks cut out
SAME = 0.012  # m


def window_level(base: NDArray[np.uint8], panes: Sequence[Part], camera: PhotoCamera) -> float:
    """Return how bright, linear, the photo (H, W, 3) shows its windows; `BRIGHTEST` where it shows none."""
    shown = np.zeros(base.shape[:2], np.uint8)
    for pane in panes:
        outline = camera.project(pane.vertices.astype(float))
        if np.isfinite(outline).all():
            cv2.fillPoly(shown, [np.round(np.clip(outline, -1e4, 1e4)).astype(np.int32)], 1)
    if not shown.any():
        return BRIGHTEST
    return float(np.clip(np.median(linear_light(base[shown > 0]).mean(axis=-1)), DARKEST, BRIGHTEST))


def without_glare(
    traced: Traced, at: PhotoCamera, window: Window, parts: Sequence[Part], looks: Mapping[str, Material], level: float
) -> Traced:
    """Return what was traced with mirrors and screens no brighter than they would be if all around was `level`."""
    sharp = [piece for piece in parts if (looks[piece.material].gloss or 1.0) <= SHARP]
    radiance = traced.radiance
    for is_metal in (True, False):
        some = [piece for piece in sharp if looks[piece.material].metal == is_metal]
        if not some:
            continue
        hits = load_stage(Stage(some, looks, {})).first_hits(at, window, 1, 0)
        albedo, normal, position = hits[..., :3], hits[..., 3:6], hits[..., 6:]
        to_them = position - at.position.astype(np.float32)
        away = np.maximum(np.linalg.norm(to_them, axis=-1), 1e-6)
        in_view = normal.any(axis=-1) & (np.abs(away - traced.distance) < SAME)
        facing = np.abs((to_them * normal).sum(axis=-1)) / away
        reflected = np.ones_like(facing) if is_metal else varnish_reflects(facing)
        most = level * np.minimum(reflected + (0 if is_metal else 1) * albedo.mean(axis=-1), 1.0)
        dimmed = np.minimum(1.0, most / np.maximum(radiance.mean(axis=-1), 1e-6))
        radiance = np.where(in_view[..., None], radiance * dimmed[..., None], radiance)
    return replace(traced, radiance=np.asarray(radiance, np.float32))
