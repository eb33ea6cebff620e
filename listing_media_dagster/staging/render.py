"""Path tracing a furnished stand-in from the photo's camera: what changes in it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from listing_media_dagster.path_tracer.denoise_learned import denoised
from listing_media_dagster.path_tracer.materials import Colour, Image, Material
from listing_media_dagster.path_tracer.mitsuba_scene import load_mitsuba, shapes, without_gaps
from listing_media_dagster.path_tracer.solids import Part
from listing_media_dagster.staging.room import Floats, PhotoCamera

DEPTH = 4  # edges of a path: light that has bounced twice off the room


@dataclass(frozen=True)
class Window:
    """A rectangle of a picture, px: left and top inside, right and bottom outside."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def size(self) -> tuple[int, int]:
        return self.right - self.left, self.bottom - self.top

    @property
    def rows_columns(self) -> tuple[slice, slice]:
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def pixels(self) -> Floats:
        """The centres (N, 2) of its pixels in the picture, row by row."""
        columns, rows = np.meshgrid(np.arange(self.left, self.right) + 0.5, np.arange(self.top, self.bottom) + 0.5)
        return np.column_stack([columns.ravel(), rows.ravel()])


def whole(camera: PhotoCamera) -> Window:
    return Window(0, 0, *camera.size)


@dataclass(frozen=True)
class Stage:
    """Everything rays can meet: parts, materials by name, and the radiance of those materials that shine."""

    parts: Sequence[Part]
    materials: Mapping[str, Material]
    shining: Mapping[str, Colour]


@dataclass(frozen=True)
class Traced:
    """What a window of the picture shows: radiance (h, w, 3) linear, and the first hit's albedo, normal and distance.

    `distance` (h, w) m runs along the ray.
    """

    radiance: Image
    albedo: Image
    normal: Image
    distance: Image

    def denoised(self) -> Image:
        return denoised(self.radiance, self.albedo, self.normal)


def trace(stage: Stage, camera: PhotoCamera, window: Window, spp: int, guide_spp: int, seed: int) -> Traced:
    """Trace `spp` paths through every pixel of `window`, and `guide_spp` rays for what they hit first.

    The two are apart because mitsuba's first-hit channels cost as much as a path.
    """
    with _loaded(stage, camera, window) as render:
        radiance = render({"type": "path", "max_depth": DEPTH, "rr_depth": DEPTH}, spp, seed)
        guide = render({"type": "aov", "aovs": "albedo:albedo,normal:sh_normal,distance:depth"}, guide_spp, seed)
    guide = np.nan_to_num(guide[..., -7:])
    return Traced(without_gaps(radiance[..., :3]), guide[..., :3], guide[..., 3:6], guide[..., 6])


def coverage(pieces: Stage, camera: PhotoCamera, window: Window, spp: int, seed: int) -> Image:
    """Return how much of each pixel (h, w) 0..1 the pieces cover where their materials aren't cut out."""
    with _loaded(pieces, camera, window) as render:
        return render({"type": "path", "max_depth": 2}, spp, seed)[..., 3].clip(0, 1)


@contextmanager
def _loaded(stage: Stage, camera: PhotoCamera, window: Window) -> Iterator[Callable[[dict[str, Any], int, int], Image]]:
    """Give a function that renders the stage: integrator, samples a pixel and seed to channels (h, w, c)."""
    mi = load_mitsuba()
    with tempfile.TemporaryDirectory(prefix="staging-") as folder:
        described = shapes(stage.parts, stage.materials, stage.shining, Path(folder))
        # when mitsuba merges meshes it orders them, and with them lights and noise, differently each time
        scene = mi.load_dict({"type": "scene", "sensor": _sensor(camera, window), **described}, optimize=False)

    def render(integrator: dict[str, Any], spp: int, seed: int) -> Image:
        return np.array(mi.render(scene, integrator=mi.load_dict(integrator), spp=spp, seed=seed), np.float32)

    yield render


def _sensor(camera: PhotoCamera, window: Window) -> dict[str, Any]:
    mi = load_mitsuba()
    width, height = camera.size
    _, up, forward = camera.axes
    return {
        "type": "perspective",
        "fov": float(np.degrees(2 * np.arctan(width / 2 / camera.focal_px))),
        "fov_axis": "x",
        "principal_point_offset_x": 0.5 - camera.centre[0] / width,
        "principal_point_offset_y": 0.5 - camera.centre[1] / height,
        "near_clip": 0.02,
        "far_clip": 200.0,
        "to_world": mi.ScalarTransform4f().look_at(list(camera.position), list(camera.position + forward), list(up)),
        "film": {
            "type": "hdrfilm",
            "width": width,
            "height": height,
            "crop_offset_x": window.left,
            "crop_offset_y": window.top,
            "crop_width": window.size[0],
            "crop_height": window.size[1],
            "rfilter": {"type": "box"},  # no pixel reaches into another block's, so threads can't change a sum
            "pixel_format": "rgba",
        },
        "sampler": {"type": "multijitter"},
    }
