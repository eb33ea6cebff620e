"""glTF, GLB and OBJ files as parts and materials. What is read was made by strangers: only these formats, only files
inside the folder, nothing from the network, and no more triangles or pixels than a piece of furniture needs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from listing_media_dagster.path_tracer.materials import Colour, Image, Material
from listing_media_dagster.path_tracer.solids import Part, part

if TYPE_CHECKING:
    import trimesh

Levels = NDArray[np.floating[Any]]
FORMATS = (".glb", ".gltf", ".obj")
FILE_BYTES = 200 * 1024 * 1024
OBJ_BYTES = 64 * 1024 * 1024  # text, which takes fifteen times its size to read
TRIANGLES = 500_000
LARGEST = 1e9  # of a coordinate, in any unit
TEXTURE = 1024  # px: finer than a listing photo shows
PIXELS = 64_000_000
NODES = 2_000
VALUES = 20 * TRIANGLES  # vertices and indices that a file may announce
UNREAD = ("KHR_draco_mesh_compression", "EXT_meshopt_compression", "KHR_texture_basisu")
PICTURES = (".png", ".jpg", ".jpeg", ".webp")


class BadModel(ValueError):
    """A model file can't be used; `str()` names it, what is wrong and what to do."""


@dataclass(frozen=True)
class Model:
    """Parts in the file's own axes and units, and the material of each role they name."""

    parts: tuple[Part, ...]
    materials: dict[str, Material]


def read_model(folder: Path, name: str) -> Model:
    """Read the model `name` in `folder`. Raises BadModel if it is broken, too large, or leads out of the folder."""
    beside = FilesIn(folder)
    path = beside.path(name)
    if path.suffix.lower() not in FORMATS:
        raise BadModel(f"{name} is no {', '.join(FORMATS)} file; export it as one of these")
    data = beside[name]
    if path.suffix.lower() == ".obj" and len(data) > OBJ_BYTES:
        raise BadModel(f"{name} is over {OBJ_BYTES >> 20} MB; reduce it, or export it as .glb")
    scene = _loaded(name, path.suffix.lower()[1:], data, beside)
    meshes = _meshes(name, scene)
    count = sum(len(mesh.faces) for mesh, _ in meshes)
    if not count:
        raise BadModel(f"{name} has no triangles; export the mesh itself, not only its points or curves")
    if count > TRIANGLES:
        raise BadModel(f"{name} has {count} triangles, over {TRIANGLES}; reduce it before use")
    roles: dict[int, str] = {}
    parts, materials = [], {}
    for mesh, matrix in meshes:
        role = _role(mesh.visual, roles)
        parts.append(_part(name, role, mesh, matrix))
        if role not in materials:
            materials[role] = _material(mesh.visual)
    return Model(tuple(parts), materials)


class FilesIn(Mapping[str, bytes]):
    """What a model may refer to: the files inside one folder, by relative name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.trouble: BadModel | None = None  # the first, since loaders pass over what they can't open

    def path(self, name: str) -> Path:
        try:
            path = (self.folder / name).resolve()
            path.exists()
        except (OSError, ValueError):
            raise self._trouble(f"{name[:80]!r} can't be a file's name; correct it") from None
        if "://" in name or not path.is_relative_to(self.folder):
            raise self._trouble(f"{name!r} lies outside {self.folder.name}; put the file beside the YAML")
        if not path.is_file():
            raise self._trouble(f"{name!r} is not in {self.folder.name}; put it beside the YAML or correct its name")
        return path

    def __getitem__(self, name: str) -> bytes:
        path = self.path(name)
        if path.stat().st_size > FILE_BYTES:
            raise self._trouble(f"{name} is over {FILE_BYTES >> 20} MB; reduce its meshes or textures")
        try:
            data = path.read_bytes()
        except OSError as error:
            raise self._trouble(f"{name} can't be read ({error.strerror}); let this user read it") from error
        if path.suffix.lower() in PICTURES:
            try:
                check_picture(name, data)
            except BadModel as broken:
                raise self._trouble(str(broken)) from None
        return data

    def _trouble(self, what: str) -> BadModel:
        self.trouble = self.trouble or BadModel(what)
        return self.trouble

    def __iter__(self) -> Iterator[str]:
        return (path.name for path in self.folder.iterdir() if path.is_file())

    def __len__(self) -> int:
        return sum(1 for _ in self)


def check_picture(name: str, data: bytes) -> None:
    """Raise BadModel unless `data` is a picture that can be decoded in full and isn't too large."""
    from PIL import Image as Pictures

    try:
        with Pictures.open(BytesIO(data)) as picture:
            _check_pixels(*picture.size)
            picture.load()
    except BadModel:
        raise
    except Exception as error:  # a decoder fails on broken bytes in as many ways as there are
        raise BadModel(f"texture {name} can't be read ({type(error).__name__}); export it again") from error


def _check_pixels(width: int, height: int) -> None:
    if width * height > PIXELS:
        raise BadModel(f"a texture has {width} x {height} px; reduce it to {TEXTURE} px")


def _check_gltf(name: str, file_type: str, data: bytes) -> None:
    """Raise BadModel for what a glTF announces beyond a piece of furniture, before anything is made of it."""
    binary = b""
    if file_type == "glb":
        length = int.from_bytes(data[12:16], "little")
        data, binary = data[20 : 20 + length], data[28 + length :]
    said = json.loads(data)
    nodes, values = len(said.get("nodes", ())), sum(entry["count"] for entry in said.get("accessors", ()))
    if nodes > NODES:
        raise BadModel(f"{name} has {nodes} nodes, over {NODES}; join its objects before use")
    if values > VALUES:
        raise BadModel(f"{name} announces {values} vertices and indices, over {VALUES}; reduce it before use")
    for extension in UNREAD:
        if extension in said.get("extensionsRequired", ()):
            raise BadModel(f"{name} needs {extension}, which is not read; export it without compression")
    for image in said.get("images", ()):
        if "bufferView" in image:
            view = said["bufferViews"][image["bufferView"]]
            start = view.get("byteOffset", 0)
            check_picture(f"in {name}", binary[start : start + view["byteLength"]])


def _loaded(name: str, file_type: str, data: bytes, beside: FilesIn) -> trimesh.Scene:
    import trimesh

    try:
        if file_type != "obj":
            _check_gltf(name, file_type, data)
        scene = trimesh.load_scene(BytesIO(data), file_type=file_type, resolver=beside)
    except BadModel:
        raise
    except Exception as error:  # a loader fails on broken bytes in as many ways as there are
        raise _unreadable(name, error) from error
    if beside.trouble:
        raise BadModel(f"{name} refers to a file that can't be used: {beside.trouble}")
    return scene


def _meshes(name: str, scene: trimesh.Scene) -> list[tuple[Any, NDArray[np.float64]]]:
    """Every mesh as often as it is shown, with its place in the scene (4, 4)."""
    try:
        nodes = [scene.graph[node] for node in scene.graph.nodes_geometry]
        meshes = [(scene.geometry[shape], np.asarray(matrix, np.float64)) for matrix, shape in nodes]
    except Exception as error:  # nodes that contain themselves, shapes that aren't there
        raise _unreadable(name, error) from error
    meshes = [(mesh, matrix) for mesh, matrix in meshes if hasattr(mesh, "faces")]
    for mesh, _ in meshes:
        if len(mesh.faces) and not 0 <= mesh.faces.min() <= mesh.faces.max() < len(mesh.vertices):
            raise BadModel(f"{name} has triangles with vertices that it lacks; export it again")
    return meshes


def _unreadable(name: str, error: Exception) -> BadModel:
    return BadModel(f"{name} can't be read ({type(error).__name__}: {str(error)[:200]}); export it again")


def _role(visual: Any, roles: dict[int, str]) -> str:
    """The name of the material, numbered where two materials share one."""
    material = getattr(visual, "material", None)
    key = hash(material)
    if key not in roles:
        name = str(getattr(material, "name", None) or "body")
        same = sum(role == name or role.startswith(f"{name} ") for role in roles.values())
        roles[key] = f"{name} {same + 1}" if same else name
    return roles[key]


def _part(name: str, role: str, mesh: Any, matrix: NDArray[np.float64]) -> Part:
    linear = matrix[:3, :3]
    vertices = np.asarray(mesh.vertices, np.float64) @ linear.T + matrix[:3, 3]
    if not (np.abs(vertices) < LARGEST).all():
        raise BadModel(f"{name} has vertices that are no numbers, or too large ones; export it again")
    uv = getattr(mesh.visual, "uv", None)
    flat = vertices[:, :2] if uv is None or len(uv) != len(vertices) else np.asarray(uv)
    faces, normals = np.asarray(mesh.faces), np.asarray(mesh.face_normals, np.float64)
    if "vertex_normals" in mesh._cache:  # what the file says; trimesh would make up smooth ones
        normals = np.asarray(mesh.vertex_normals, np.float64)
    else:
        # glTF 2.0, 3.7.2.1: without normals every triangle is flat.
        vertices, flat, normals = vertices[faces].reshape(-1, 3), flat[faces].reshape(-1, 2), normals.repeat(3, axis=0)
        faces = np.arange(len(vertices)).reshape(-1, 3)
    normals = normals @ np.linalg.pinv(linear)
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    normals = np.where(length > 1e-9, normals / np.maximum(length, 1e-9), (0.0, 1.0, 0.0))
    return part(role, vertices, normals, np.nan_to_num(flat), faces)


def _material(visual: Any) -> Material:
    """Base colour, roughness, metallic and cut-out of a glTF or OBJ material; others are matte in their mean colour."""
    material = getattr(visual, "material", None)
    if material is None:
        colours = np.atleast_2d(getattr(visual, "main_color", (128, 128, 128, 255)))
        return Material(_colour(colours.mean(0)[:3] / 255))
    plain = hasattr(material, "to_pbr")  # OBJ's, whose colours are sRGB and don't tint the texture
    pbr = material.to_pbr() if plain else material
    factor = np.ones(4) if pbr.baseColorFactor is None else np.asarray(pbr.baseColorFactor, float) / 255
    if plain:
        factor[:3] = 1.0 if pbr.baseColorTexture is not None else _linear(factor[:3])
    if pbr.alphaMode == "BLEND" and pbr.baseColorTexture is None and factor[3] < 0.6:
        return Material(_colour(0.5 + 0.5 * factor[:3]), clear=True)
    metal = pbr.metallicFactor is not None and float(pbr.metallicFactor) > 0.5
    rough = 1.0 if pbr.roughnessFactor is None else float(pbr.roughnessFactor)
    gloss = max(0.03, rough) if metal else (max(0.04, rough**2) if rough < 0.85 else None)
    if pbr.baseColorTexture is None:
        return Material(_colour(factor[:3]), gloss=gloss, metal=metal)
    picture, opacity = _texture(pbr.baseColorTexture)
    cut = opacity if pbr.alphaMode in ("MASK", "BLEND") else None
    return Material(np.clip(picture * factor[:3], 0, 0.95).astype(np.float32), 1.0, gloss, metal, opacity=cut)


def _texture(image: Any) -> tuple[Image, Image | None]:
    """A PIL image as linear reflectance (H, W, 3) whose first row is at v = 0, and its alpha where it has one."""
    width, height = image.size
    _check_pixels(width, height)
    pixels: Image = (np.asarray(image.convert("RGBA")) / 255).astype(np.float32)
    if max(width, height) > TEXTURE:
        scale = TEXTURE / max(width, height)
        size = max(1, round(width * scale)), max(1, round(height * scale))
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.float32)
    pixels = np.ascontiguousarray(pixels[::-1], np.float32)
    alpha = pixels[..., 3] if pixels[..., 3].min() < 0.99 else None
    return _linear(pixels[..., :3]), alpha


def _colour(levels: Levels) -> Colour:
    red, green, blue = (float(v) for v in np.clip(levels, 0.0, 0.95))
    return red, green, blue


def _linear(levels: Levels) -> Image:
    return np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4).astype(np.float32)
