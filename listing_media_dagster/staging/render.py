"""Path tracing a furnished stand-in from the photo's camera: what changes in it."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from listing_media_dagster.path_tracer.denoise_learned import denoised
from listing_media_dagster.path_tracer.materials import Colour, Image, Material
from listing_media_dagster.path_tracer.mitsuba_scene import load_mitsuba, shapes, without_gaps
from listing_media_dagster.path_tracer.solids import Part, merged
from listing_media_dagster.path_tracer.texture_filter import Pyramid, pyramid
from listing_media_dagster.staging.arrays import Floats
from listing_media_dagster.staging.room import PhotoCamera

SHAPE = "normal:sh_normal,position:position"
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

    def part(self, left: int, top: int, width: int, height: int) -> Window:
        """Return the `width` x `height` px of it that begin `left` and `top` px from its corner."""
        return Window(self.left + left, self.top + top, self.left + left + width, self.top + top + height)

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


@dataclass(frozen=True)
class LoadedStage:
    """A stage that the path tracer has built its search trees for, to be looked at from any camera.

    `colours` (N + 1, 3) are the reflectances of the scene's shapes by their number, 1 for the first, and `textures`
    those of them that have one.
    """

    scene: Any
    colours: Image
    textures: Mapping[int, Pyramid]

    def trace(self, camera: PhotoCamera, window: Window, spp: int, guide_spp: int, seed: int) -> Traced:
        """Trace `spp` paths through every pixel of `window`, and `guide_spp` rays for what they hit first.

        The two are apart because mitsuba's first-hit channels cost as much as a path.
        """
        radiance = self.radiance(camera, window, spp, seed)
        hits = self.first_hits(camera, window, guide_spp, seed)
        distance = np.linalg.norm(hits[..., 6:] - camera.position.astype(np.float32), axis=-1)
        return Traced(radiance, hits[..., :3], hits[..., 3:6], distance)

    def radiance(self, camera: PhotoCamera, window: Window, spp: int, seed: int) -> Image:
        """Return the light (h, w, 3) that `spp` paths a pixel find."""
        paths = {"type": "path", "max_depth": DEPTH, "rr_depth": DEPTH}
        return without_gaps(self._render(paths, camera, window, spp, seed)[..., :3])

    def first_hits(self, camera: PhotoCamera, window: Window, spp: int, seed: int) -> Image:
        """Return albedo, normal and position m (h, w, 9) of what `spp` rays a pixel hit first, averaged; 0 for none.

        Each ray's albedo is that of the pixel's whole footprint on the surface. A single ray goes through its middle.
        """
        aovs = f"{SHAPE},uv:uv,along_x:duv_dx,along_y:duv_dy,shape:shape_index"
        total = np.zeros((*window.size[::-1], 9), np.float32)
        for number in range(spp):
            hits = self._render({"type": "aov", "aovs": aovs}, camera, window, 1, seed + 1000 * number, spp > 1)
            hits = np.nan_to_num(hits[..., -13:]).reshape(-1, 13)
            shape = hits[:, 12].astype(int)
            albedo = self.colours[shape]
            for which, texture in self.textures.items():
                there = np.flatnonzero(shape == which)
                if len(there):
                    albedo[there] = texture.averaged(*np.split(hits[there, 6:12], 3, axis=1))
            total += np.concatenate([albedo, hits[:, :6]], axis=1).reshape(total.shape)
        return np.asarray(total / spp, np.float32)

    def straight_hits(
        self, origin: Floats, way: Floats, up: Floats, metres: float, size: tuple[int, int], seed: int = 0
    ) -> Image:
        """Return normal and position m (h, w, 6) of what parallel rays along `way` hit first, one a pixel; 0 for none.

        The picture is `metres` wide, of `size` (width, height) px, with `origin` (3,) m in its middle.
        """
        mi = load_mitsuba()
        pose = mi.ScalarTransform4f().look_at(list(origin), list(origin + way), list(up))
        film = {"type": "hdrfilm", "width": size[0], "height": size[1], "rfilter": {"type": "box"}}
        sensor = {
            "type": "orthographic",
            "near_clip": 1e-5,
            "far_clip": 100.0,
            "to_world": pose @ mi.ScalarTransform4f().scale([metres / 2, metres / 2, 1]),
            "film": {**film, "pixel_format": "rgba"},
            "sampler": {"type": "multijitter"},
        }
        return np.nan_to_num(self._drawn(mi.load_dict(sensor), {"type": "aov", "aovs": SHAPE}, 1, seed)[..., -6:])

    def coverage(self, camera: PhotoCamera, window: Window, spp: int, seed: int) -> Image:
        """Return how much of each pixel (h, w) 0..1 something covers that isn't cut out."""
        return self._render({"type": "path", "max_depth": 2}, camera, window, spp, seed)[..., 3].clip(0, 1)

    def _render(
        self,
        integrator: dict[str, Any],
        camera: PhotoCamera,
        window: Window,
        spp: int,
        seed: int,
        spread: bool = True,
    ) -> Image:
        return self._drawn(load_mitsuba().load_dict(_sensor(camera, window, spread)), integrator, spp, seed)

    def _drawn(self, sensor: Any, integrator: dict[str, Any], spp: int, seed: int) -> Image:
        mi = load_mitsuba()
        drawn = mi.render(self.scene, sensor=sensor, integrator=mi.load_dict(integrator), spp=spp, seed=seed)
        return np.array(drawn, np.float32)


def load_stage(stage: Stage) -> LoadedStage:
    mi = load_mitsuba()
    with tempfile.TemporaryDirectory(prefix="staging-") as folder:
        described = shapes(stage.parts, stage.materials, stage.shining, Path(folder))
        # when mitsuba merges meshes it orders them, and with them lights and noise, differently each time
        scene = mi.load_dict({"type": "scene", **described}, optimize=False)
    looks = [stage.materials.get(name) for name in merged(stage.parts)]
    textures = {
        number: pyramid(each.colour, each.metres)
        for number, each in enumerate(looks, 1)
        if each is not None and not isinstance(each.colour, tuple)
    }
    plain = [
        each.colour if each and isinstance(each.colour, tuple) and not each.clear else (0.0,) * 3 for each in looks
    ]
    return LoadedStage(scene, np.array([(0.0,) * 3, *plain], np.float32), textures)


def trace(stage: Stage, camera: PhotoCamera, window: Window, spp: int, guide_spp: int, seed: int) -> Traced:
    """Load the stage for this one look at it: see `LoadedStage.trace`."""
    return load_stage(stage).trace(camera, window, spp, guide_spp, seed)


def _sensor(camera: PhotoCamera, window: Window, spread: bool) -> dict[str, Any]:
    """Describe the camera to mitsuba; rays are `spread` over their pixels or go through the middle."""
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
        "sampler": {"type": "multijitter"} if spread else {"type": "stratified", "jitter": False},
    }
