"""From solids and materials to what mitsuba loads. Mitsuba is imported only when something is rendered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from listing_media_dagster.path_tracer.materials import Colour, Image, Material
from listing_media_dagster.path_tracer.solids import Part, merged


def load_mitsuba() -> Any:
    """Return mitsuba. It traces with a thread a core; with box filters pictures don't depend on how many."""
    import mitsuba

    if mitsuba.variant() != "scalar_rgb":
        mitsuba.set_variant("scalar_rgb")
        mitsuba.set_log_level(mitsuba.LogLevel.Error)
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


def bsdf(material: Material) -> dict[str, Any]:
    """Return mitsuba's description of a material that is seen from both sides."""
    mi = load_mitsuba()
    transform = mi.ScalarTransform4f().scale([1 / material.metres, 1 / material.metres, 1])

    def texture(pixels: Image) -> dict[str, Any]:
        return {"type": "bitmap", "bitmap": mi.Bitmap(np.ascontiguousarray(pixels)), "raw": True, "to_uv": transform}

    colour: dict[str, Any] = (
        {"type": "rgb", "value": list(material.colour)}
        if isinstance(material.colour, tuple)
        else texture(material.colour)
    )
    inner: dict[str, Any]
    if material.clear:
        return {"type": "thindielectric", "specular_transmittance": colour}
    if material.translucent:
        rough = {"roughness": material.gloss or 0.9, "diff_trans": 2 * material.translucent}
        inner = {"type": "principledthin", "base_color": colour, "eta": 1.4, **rough}
        return inner if material.opacity is None else _cut_out(inner, texture(material.opacity[..., None]))
    if material.metal:
        inner = {"type": "principled", "base_color": colour, "metallic": 1.0, "roughness": material.gloss or 0.2}
    elif material.sheen:
        rough = {"roughness": material.gloss or 0.9, "specular": 0.3}
        inner = {"type": "principled", "base_color": colour, "sheen": material.sheen, "sheen_tint": 0.6, **rough}
    elif material.gloss is not None:
        inner = {"type": "roughplastic", "diffuse_reflectance": colour, "alpha": material.gloss, "nonlinear": False}
        inner["specular_reflectance"] = material.coating
    else:
        inner = {"type": "diffuse", "reflectance": colour}
    if material.relief is not None:
        inner = {
            "type": "bumpmap",
            "arbitrary": texture(material.relief[..., None]),
            "scale": material.depth,
            "nested": inner,
        }
    inner = {"type": "twosided", "nested": inner}
    if material.opacity is not None:
        return _cut_out(inner, texture(material.opacity[..., None]))
    return inner


def _cut_out(inner: dict[str, Any], opacity: dict[str, Any]) -> dict[str, Any]:
    return {"type": "mask", "opacity": opacity, "nested": inner}


def shapes(
    parts: Iterable[Part], materials: Mapping[str, Material], shining: Mapping[str, Colour], folder: Path
) -> dict[str, Any]:
    """Return mitsuba's description of the parts, one mesh a material, written to `folder`.

    Materials in `shining` emit that radiance and reflect nothing more than `materials` says, black if it says nothing.
    """
    described: dict[str, Any] = {}
    for number, piece in enumerate(merged(parts).values()):
        path = folder / f"part{number}.ply"
        write_ply(path, piece)
        looks = materials.get(piece.material, Material((0.0, 0.0, 0.0)))
        described[f"part{number}"] = {"type": "ply", "filename": str(path), "bsdf": bsdf(looks)}
        if piece.material in shining:
            radiance = {"type": "rgb", "value": list(shining[piece.material])}
            described[f"part{number}"]["emitter"] = {"type": "area", "radiance": radiance}
    return described


def without_gaps(image: Image) -> Image:
    """Fill pixels that came out as NaN (mitsuba's bump maps at grazing angles) from their neighbours."""
    good: NDArray[np.bool_] = np.asarray(np.isfinite(image).all(axis=-1))
    if good.all():
        return np.ascontiguousarray(image)
    clean = np.where(good[..., None], image, 0).astype(np.float32)
    share = np.maximum(cv2.GaussianBlur(good.astype(np.float32), (0, 0), 2.0), 1e-3)
    around = cv2.GaussianBlur(clean, (0, 0), 2.0) / share[..., None]
    return np.where(good[..., None], clean, around).astype(np.float32)
