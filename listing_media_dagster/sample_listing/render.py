"""From a scene to radiance maps: each group of light is traced apart, denoised and brought to full size.

Light is traced at reduced size and divided by the reflectance; textures and edges are traced at full size and multiply
it back. Mitsuba is imported only when something is rendered.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from listing_media_dagster.path_tracer.denoise import Surfaces, denoise, to_full_size, without_fireflies
from listing_media_dagster.path_tracer.materials import Colour, Image
from listing_media_dagster.path_tracer.mitsuba_scene import bsdf, load_mitsuba, without_gaps, write_ply
from listing_media_dagster.path_tracer.solids import Part, merged
from listing_media_dagster.sample_listing.scene import Camera, Scene

EPSILON = 0.02  # keeps radiance / reflectance finite on black things


def _film(camera: Camera, width: int, height: int, channels: str = "rgb") -> dict[str, Any]:
    mi = load_mitsuba()
    _, up, forward = camera.axes()
    origin = np.asarray(camera.position, float)
    return {
        "type": "perspective",
        "fov": float(np.degrees(2 * np.arctan(18.0 / camera.focal_35mm))),
        "fov_axis": "larger",
        "near_clip": 0.02,
        "far_clip": 2000.0,
        "to_world": mi.ScalarTransform4f().look_at(list(origin), list(origin + forward), list(up)),
        "film": {
            "type": "hdrfilm",
            "width": width,
            "height": height,
            "rfilter": {"type": "box"},
            "pixel_format": channels,
        },
        "sampler": {"type": "independent"},
    }


def _shapes(scene: Scene, shining: Mapping[str, Colour], folder: Path) -> dict[str, Any]:
    emitting = {name for group in scene.lights.values() for name in group}
    absent = emitting - set(shining) - scene.solid_lights
    shapes: dict[str, Any] = {
        f"material {name}": {**bsdf(material), "id": f"material {name}"} for name, material in scene.materials.items()
    }

    def shape(piece: Part, name: str) -> dict[str, Any]:
        path = folder / f"{name}.ply"
        write_ply(path, piece)
        return {"type": "ply", "filename": str(path), "bsdf": {"type": "ref", "id": f"material {piece.material}"}}

    for number, piece in enumerate(merged(scene.parts).values()):
        if piece.material in absent:
            continue
        made = shape(piece, f"part{number}")
        if piece.material in emitting:
            made["bsdf"] = {"type": "diffuse", "reflectance": {"type": "rgb", "value": 0.0}}
        if piece.material in shining:
            made["emitter"] = {"type": "area", "radiance": {"type": "rgb", "value": list(shining[piece.material])}}
        shapes[f"part{number}"] = made
    return shapes


def _loaded(scene: Scene, camera: Camera, size: tuple[int, int], group: str) -> Any:
    """The scene with one light group shining, ready to render."""
    mi = load_mitsuba()
    with tempfile.TemporaryDirectory() as folder:
        description: dict[str, Any] = {
            "type": "scene",
            "sensor": _film(camera, *size),
            **_shapes(scene, scene.lights.get(group, {}), Path(folder)),
        }
        for number, emitter in enumerate(scene.distant.get(group, ())):
            description[f"distant{number}"] = dict(emitter)
        return mi.load_dict(description)


def _trace(loaded: Any, spp: int, depth: int, seed: int) -> Image:
    """Radiance (H, W, 3) over paths of up to `depth` edges; lights seen directly are left out (`surfaces` has them)."""
    mi = load_mitsuba()
    integrator = mi.load_dict({"type": "path", "max_depth": depth, "rr_depth": 5, "hide_emitters": True})
    image = np.array(mi.render(loaded, integrator=integrator, spp=spp, seed=seed), np.float32)
    return without_gaps(image[..., :3])


def trace_outdoors(
    scene: Scene, camera: Camera, size: tuple[int, int], crop: tuple[int, int, int, int], spp: int, seed: int
) -> Image:
    """Radiance and coverage (h, w, 4) under all the scene's distant lights at once; the sky itself is left out.

    `crop` (x, y, w, h) is the part of the picture of `size` (width, height) that is traced.
    """
    mi = load_mitsuba()
    sensor = _film(camera, *size, "rgba")
    sensor["film"] |= dict(zip(("crop_offset_x", "crop_offset_y", "crop_width", "crop_height"), crop, strict=True))
    with tempfile.TemporaryDirectory() as folder:
        description: dict[str, Any] = {
            "type": "scene",
            "integrator": {"type": "path", "max_depth": 4, "hide_emitters": True},
            "sensor": sensor,
            **_shapes(scene, {}, Path(folder)),
        }
        for number, emitter in enumerate(e for group in scene.distant.values() for e in group):
            description[f"distant{number}"] = dict(emitter)
        return np.array(mi.render(mi.load_dict(description), spp=spp, seed=seed), np.float32)


def surfaces(scene: Scene, camera: Camera, size: tuple[int, int], spp: int, seed: int) -> Surfaces:
    """Trace first hits only. The first light group shines red, the second green, to be told apart; a miss is blue."""
    mi = load_mitsuba()
    marks = dict(zip(scene.lights, ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0)), strict=False))
    shining = {name: marks[group] for group, names in scene.lights.items() for name in names}
    with tempfile.TemporaryDirectory() as folder:
        loaded = mi.load_dict(
            {
                "type": "scene",
                "integrator": {
                    "type": "aov",
                    "aovs": "albedo:albedo,normal:sh_normal,position:position",
                    "first": {"type": "path", "max_depth": 1},
                },
                "sensor": {**_film(camera, *size), "sampler": {"type": "multijitter"}},
                "miss": {"type": "constant", "radiance": {"type": "rgb", "value": [0.0, 0.0, 1.0]}},
                **_shapes(scene, shining, Path(folder)),
            }
        )
        image = np.array(mi.render(loaded, spp=spp, seed=seed), np.float32)
    first = image.shape[2] - 9
    normal = image[..., first + 3 : first + 6]
    normal = normal / np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-6)
    return Surfaces(
        np.ascontiguousarray(image[..., first : first + 3]).clip(0, 1),
        np.ascontiguousarray(normal),
        np.ascontiguousarray(image[..., first + 6 : first + 9]),
        {group: np.ascontiguousarray(image[..., i]).clip(0, 1) for i, group in enumerate(marks)},
        np.ascontiguousarray(1 - image[..., 2]).clip(0, 1),
    )


@dataclass(frozen=True)
class Quality:
    """Picture size (width, height), how many times smaller light is traced, samples a pixel for surfaces and lights."""

    size: tuple[int, int]
    reduction: int
    surface_spp: int
    spp: Mapping[str, int]
    depth: int = 7


def light_groups(scene: Scene, camera: Camera, quality: Quality, seed: int = 1) -> tuple[dict[str, Image], Surfaces]:
    """Radiance (H, W, 3) of every light group, seen lights left out, and the full-size surfaces.

    A group of delta lights (`sun`) casts hard shadows without noise, so its direct part is traced at full size.
    """
    high = surfaces(scene, camera, quality.size, quality.surface_spp, seed + 1000)
    low = high.reduced(quality.reduction)
    small = (quality.size[0] // quality.reduction, quality.size[1] // quality.reduction)
    reflect: Image = np.maximum(low.albedo + EPSILON * low.hit[..., None], 1e-3).astype(np.float32)
    result = {}
    for number, group in enumerate(scene.lights):
        samples = max(1, quality.spp[group] // 2)
        crisp = group == "sun"
        loaded = _loaded(scene, camera, small, group)
        direct: list[Image] = []
        bounced: list[Image] = []
        for k in (0, 1):
            first = seed + 10 * number + k
            near = _trace(loaded, samples, 2, first) / reflect
            direct.append(near)
            bounced.append(_trace(loaded, samples, quality.depth, first + 500) / reflect - near)
        calm = [without_fireflies(image) for image in bounced]
        light = denoise(calm[0], calm[1], low, camera.position, 6, 6.0, 3).clip(0)
        if not crisp:
            calm = [without_fireflies(image) for image in direct]
            light += denoise(calm[0], calm[1], low, camera.position, 4)
        image = to_full_size(light, low, high) * (high.albedo + EPSILON * high.hit[..., None])
        if crisp:
            image += _trace(_loaded(scene, camera, quality.size, group), 2, 2, seed + 900)
        result[group] = image
    return result, high
