"""From a scene description to radiance maps: light groups traced apart, denoised with their geometry, brought to full size.

Light is traced at half size and divided by the reflectance; textures and edges are traced at full size and multiply it back.
Mitsuba is imported only when something is rendered.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from listing_media_dagster.sample_listing.geometry import Part, merged

Image = NDArray[np.float32]
EPSILON = 0.02  # keeps radiance / reflectance finite on black things


@dataclass(frozen=True)
class Material:
    """How a surface looks. `colour` is linear reflectance or a texture of it that repeats every `metres`."""

    colour: tuple[float, float, float] | Image
    metres: float = 1.0
    gloss: float | None = None  # roughness of the varnish over the colour; None is matte
    metal: bool = False
    relief: Image | None = None
    depth: float = 0.0  # m between relief 0 and 1


@dataclass(frozen=True)
class Camera:
    """A pinhole: position (x, y up, z) m; yaw 0 looks along -z and grows to the right, pitch up, roll clockwise (degrees)."""

    position: tuple[float, float, float]
    yaw: float
    pitch: float
    roll: float
    focal_35mm: float  # the long edge of the picture is 36 mm
    portrait: bool = False

    def axes(self) -> NDArray[np.float64]:
        """Rows: right, up, forward of the camera in the world."""
        yaw, pitch, roll = np.radians([self.yaw, self.pitch, self.roll])
        forward = np.array([np.sin(yaw) * np.cos(pitch), np.sin(pitch), -np.cos(yaw) * np.cos(pitch)])
        right = np.array([np.cos(yaw), 0.0, np.sin(yaw)])
        up = np.cross(right, forward)
        return np.array([np.cos(roll) * right - np.sin(roll) * up, np.cos(roll) * up + np.sin(roll) * right, forward])

    def focal_px(self, width: int, height: int) -> float:
        return self.focal_35mm / 36.0 * max(width, height)

    def directions(self, width: int, height: int) -> Image:
        """Unit ray of every pixel centre in the world, (height, width, 3)."""
        x = (np.arange(width) + 0.5 - width / 2) / self.focal_px(width, height)
        y = (np.arange(height) + 0.5 - height / 2) / self.focal_px(width, height)
        rays = np.stack([*np.meshgrid(x, -y), np.ones((height, width))], -1)
        rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
        return (rays @ self.axes()).astype(np.float32)


@dataclass(frozen=True)
class Scene:
    """Parts and materials, plus light groups: name -> emitting part materials with radiance, and mitsuba emitters by dict.

    Parts whose material is named in `lights` exist only where that group shines (a lit window pane is no obstacle to the sun),
    except those in `solid_lights`, which are always there.
    """

    parts: tuple[Part, ...]
    materials: Mapping[str, Material]
    lights: Mapping[str, Mapping[str, tuple[float, float, float]]] = field(default_factory=dict)
    distant: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    solid_lights: frozenset[str] = frozenset({"lamp"})


def _mitsuba() -> Any:
    import drjit
    import mitsuba

    if mitsuba.variant() != "scalar_rgb":
        mitsuba.set_variant("scalar_rgb")
        mitsuba.set_log_level(mitsuba.LogLevel.Error)
    drjit.set_thread_count(1)
    return mitsuba


def _wound_along_normals(piece: Part) -> NDArray[np.int32]:
    """Faces turned so that the geometric normal agrees with the vertex normals: bump maps come out black otherwise."""
    a, b, c = (piece.vertices[piece.faces[:, i]] for i in range(3))
    against = np.einsum("ij,ij->i", np.cross(b - a, c - a), piece.normals[piece.faces].sum(1)) < 0
    return np.where(against[:, None], piece.faces[:, ::-1], piece.faces).astype(np.int32)


def write_ply(path: Path, piece: Part) -> None:
    """Binary little-endian PLY with normals and texture coordinates."""
    header = "ply\nformat binary_little_endian 1.0\n"
    header += f"element vertex {len(piece.vertices)}\n"
    header += "".join(f"property float {name}\n" for name in ("x", "y", "z", "nx", "ny", "nz", "u", "v"))
    header += f"element face {len(piece.faces)}\nproperty list uchar int vertex_indices\nend_header\n"
    faces = np.empty(len(piece.faces), dtype=[("count", "u1"), ("index", "<i4", 3)])
    faces["count"], faces["index"] = 3, _wound_along_normals(piece)
    vertices = np.concatenate([piece.vertices, piece.normals, piece.uv], 1).astype("<f4")
    path.write_bytes(header.encode() + vertices.tobytes() + faces.tobytes())


def _bsdf(mi: Any, material: Material) -> dict[str, Any]:
    transform = mi.ScalarTransform4f().scale([1 / material.metres, 1 / material.metres, 1])

    def texture(pixels: Image) -> dict[str, Any]:
        return {"type": "bitmap", "bitmap": mi.Bitmap(np.ascontiguousarray(pixels)), "raw": True, "to_uv": transform}

    colour: dict[str, Any] = (
        {"type": "rgb", "value": list(material.colour)}
        if isinstance(material.colour, tuple)
        else texture(material.colour)
    )
    inner: dict[str, Any]
    if material.metal:
        inner = {"type": "principled", "base_color": colour, "metallic": 1.0, "roughness": material.gloss or 0.2}
    elif material.gloss is not None:
        inner = {"type": "roughplastic", "diffuse_reflectance": colour, "alpha": material.gloss, "nonlinear": False}
    else:
        inner = {"type": "diffuse", "reflectance": colour}
    if material.relief is not None:
        inner = {
            "type": "bumpmap",
            "arbitrary": texture(material.relief[..., None]),
            "scale": material.depth,
            "nested": inner,
        }
    return {"type": "twosided", "nested": inner}


def _film(camera: Camera, width: int, height: int, channels: str = "rgb") -> dict[str, Any]:
    mi = _mitsuba()
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


def _shapes(scene: Scene, shining: Mapping[str, tuple[float, float, float]], folder: Path) -> dict[str, Any]:
    mi = _mitsuba()
    emitting = {name for group in scene.lights.values() for name in group}
    absent = emitting - set(shining) - scene.solid_lights
    shapes: dict[str, Any] = {
        f"material {name}": {**_bsdf(mi, material), "id": f"material {name}"}
        for name, material in scene.materials.items()
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
    mi = _mitsuba()
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
    mi = _mitsuba()
    integrator = mi.load_dict({"type": "path", "max_depth": depth, "rr_depth": 5, "hide_emitters": True})
    image = np.array(mi.render(loaded, integrator=integrator, spp=spp, seed=seed), np.float32)
    return _without_gaps(image[..., :3])


def _without_gaps(image: Image) -> Image:
    """Fill pixels that came out as NaN (mitsuba's bump maps at grazing angles) from their neighbours."""
    good = np.isfinite(image).all(-1)
    if good.all():
        return np.ascontiguousarray(image)
    clean = np.where(good[..., None], image, 0).astype(np.float32)
    share = cv2.GaussianBlur(good.astype(np.float32), (0, 0), 2.0)
    return np.where(good[..., None], clean, cv2.GaussianBlur(clean, (0, 0), 2.0) / np.maximum(share, 1e-3)[..., None])


def trace_outdoors(
    scene: Scene, camera: Camera, size: tuple[int, int], crop: tuple[int, int, int, int], spp: int, seed: int
) -> Image:
    """Radiance and coverage (h, w, 4) under all the scene's distant lights at once; the sky itself is left out.

    `crop` (x, y, w, h) is the part of the picture of `size` (width, height) that is traced.
    """
    mi = _mitsuba()
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


@dataclass(frozen=True)
class Surfaces:
    """What each pixel sees first: reflectance, unit normal, position m, and how much of it each light fills (0..1)."""

    albedo: Image
    normal: Image
    position: Image
    lights: dict[str, Image]
    hit: Image

    def reduced(self, factor: int) -> Surfaces:
        def small(image: Image) -> Image:
            height, width = image.shape[:2]
            return cv2.resize(image, (width // factor, height // factor), interpolation=cv2.INTER_AREA)

        lights = {name: small(share) for name, share in self.lights.items()}
        return Surfaces(small(self.albedo), small(self.normal), small(self.position), lights, small(self.hit))


def surfaces(scene: Scene, camera: Camera, size: tuple[int, int], spp: int, seed: int) -> Surfaces:
    """Trace first hits only. Shining parts are told apart by red (first light group) and green (second), a miss is blue."""
    mi = _mitsuba()
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
                "sensor": _film(camera, *size),
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


def _shift(image: Image, dy: int, dx: int) -> Image:
    height, width = image.shape[:2]
    ys = np.clip(np.arange(height) + dy, 0, height - 1)
    xs = np.clip(np.arange(width) + dx, 0, width - 1)
    return image[ys][:, xs]


def _calm_fireflies(image: Image) -> Image:
    grey = np.abs(image).mean(-1)
    limit = 3.0 * cv2.medianBlur(grey, 5) + 0.3 * cv2.blur(grey, (9, 9)) + 1e-4
    return image * np.minimum(1, limit / np.maximum(grey, 1e-6))[..., None]


def denoise(
    first: Image,
    second: Image,
    seen: Surfaces,
    origin: Sequence[float],
    levels: int = 4,
    strength: float = 3.0,
    blind: int = 0,
) -> Image:
    """Edge-stopping wavelet filter over irradiance, from two independent renders whose difference tells the noise.

    After Dammertz et al. 2010 (edge-avoiding à-trous) with the variance-scaled luminance stop of Schied et al. 2017;
    the first `blind` levels look at geometry alone, which suits light that has bounced.
    """
    light = (first + second) / 2
    variance = cv2.GaussianBlur(((first - second) / 2).mean(-1) ** 2, (0, 0), 3.0)
    distance = np.linalg.norm(seen.position - np.asarray(origin, np.float32), axis=-1)
    kernel = (1 / 16, 1 / 4, 3 / 8, 1 / 4, 1 / 16)
    for level in range(levels):
        step = 2**level
        spread = strength * np.sqrt(cv2.GaussianBlur(variance, (0, 0), 1.5)) + 1e-5
        grey = light.mean(-1)
        total, weights, noise = np.zeros_like(light), np.zeros_like(grey), np.zeros_like(grey)
        for j in range(-2, 3):
            for i in range(-2, 3):
                dy, dx = j * step, i * step
                other, other_variance = _shift(light, dy, dx), _shift(variance, dy, dx)
                facing = np.einsum("hwc,hwc->hw", seen.normal, _shift(seen.normal, dy, dx))
                offset = np.einsum("hwc,hwc->hw", seen.normal, _shift(seen.position, dy, dx) - seen.position)
                stop = np.abs(offset) / (0.003 * distance + 1e-4)
                if level >= blind:
                    stop += np.abs(other.mean(-1) - grey) / spread
                weight = kernel[j + 2] * kernel[i + 2] * np.clip(facing, 0, 1) ** 24 * np.exp(-stop)
                total += weight[..., None] * other
                noise += weight**2 * other_variance
                weights += weight
        light = total / np.maximum(weights, 1e-9)[..., None]
        variance = noise / np.maximum(weights, 1e-9) ** 2
    return light


def to_full_size(light: Image, low: Surfaces, high: Surfaces) -> Image:
    """Joint bilateral upsampling (Kopf et al. 2007) of reduced irradiance along the full-size geometry."""
    height, width = high.albedo.shape[:2]
    factor = height / low.hit.shape[0]
    y, x = (np.arange(height) + 0.5) / factor - 0.5, (np.arange(width) + 0.5) / factor - 0.5
    y0, x0 = np.floor(y).astype(int), np.floor(x).astype(int)
    total, weights = np.zeros_like(high.albedo), np.zeros((height, width), np.float32)
    for dy in (-1, 0, 1, 2):
        for dx in (-1, 0, 1, 2):
            ys, xs = np.clip(y0 + dy, 0, low.hit.shape[0] - 1), np.clip(x0 + dx, 0, low.hit.shape[1] - 1)
            near_y = np.exp(-(((y - (y0 + dy)) / 0.8) ** 2)).astype(np.float32)
            near_x = np.exp(-(((x - (x0 + dx)) / 0.8) ** 2)).astype(np.float32)
            near = near_y[:, None] * near_x[None]
            gap = low.position[ys][:, xs] - high.position
            offset = np.abs(np.einsum("hwc,hwc->hw", gap, high.normal))
            facing = np.clip(np.einsum("hwc,hwc->hw", low.normal[ys][:, xs], high.normal), 0, 1)
            weight = near * (facing**16 * np.exp(-offset / 0.012) + 1e-5)
            total += weight[..., None] * light[ys][:, xs]
            weights += weight
    return total / weights[..., None]


@dataclass(frozen=True)
class Quality:
    """Full picture size (width, height), how many times smaller light is traced, samples a pixel for surfaces and light groups."""

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
    reflect = np.maximum(low.albedo + EPSILON * low.hit[..., None], 1e-3)
    result = {}
    for number, group in enumerate(scene.lights):
        samples = max(1, quality.spp[group] // 2)
        crisp = group == "sun"
        loaded = _loaded(scene, camera, small, group)
        direct, bounced = [], []
        for k in (0, 1):
            first = seed + 10 * number + k
            near = _trace(loaded, samples, 2, first) / reflect
            direct.append(near)
            bounced.append(_trace(loaded, samples, quality.depth, first + 500) / reflect - near)
        light = denoise(*map(_calm_fireflies, bounced), low, camera.position, 6, 6.0, 3).clip(0)
        if not crisp:
            light += denoise(*map(_calm_fireflies, direct), low, camera.position, 4)
        image = to_full_size(light, low, high) * (high.albedo + EPSILON * high.hit[..., None])
        if crisp:
            image += _trace(_loaded(scene, camera, quality.size, group), 2, 2, seed + 900)
        result[group] = image
    return result, high
