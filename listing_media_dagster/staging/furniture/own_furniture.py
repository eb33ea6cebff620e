"""Pieces that users bring: a folder with one small YAML a piece, each beside its glTF, GLB or OBJ file.

name: oak-bench          # what kits and layouts call it
file: oak_bench.glb      # beside this YAML
kind: bench
width: 1.4               # m; one of width, height and depth is enough
up: y                    # the file's axes: which points up, which the front looks along
front: +z
licence: CC-BY-4.0       # optional, kept with the piece
credit: A. Maker
finishes:                # optional: other surfaces for some of the file's materials
  seat: {surface: wood, colour: "#c8a276"}
"""

from __future__ import annotations

import reprlib
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import yaml
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from listing_media_dagster.listing import Noun
from listing_media_dagster.path_tracer.solids import Part
from listing_media_dagster.staging.arrangement import Finish, Size
from listing_media_dagster.staging.furniture.designs import Design, Kind, library
from listing_media_dagster.staging.furniture.finishes import material_of
from listing_media_dagster.staging.furniture.joinery import fitted
from listing_media_dagster.staging.furniture.model_files import BadModel, Model, read_model
from listing_media_dagster.staging.plain_yaml import read_plain_yaml

SMALLEST, LARGEST = 0.02, 6.0  # m
THIN = {Kind.RUG, Kind.ART, Kind.MIRROR, Kind.CURTAINS, Kind.THROW}  # may be thinner than SMALLEST
TOLERANCE = 1.25  # how far the file's proportions may be from the stated ones
YAML_BYTES = 64 * 1024

Dimension = Annotated[float, Field(ge=0.001, allow_inf_nan=False)]
Axis = Literal["x", "y", "z", "+x", "+y", "+z", "-x", "-y", "-z"]


class BadFurniture(ValueError):
    """A user's piece can't be used; `str()` names the file, what is wrong and what to do."""


class OwnPiece(Noun):
    """What the YAML beside a model says of it."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")
    file: str
    kind: Kind
    width: Dimension | None = None
    height: Dimension | None = None
    depth: Dimension | None = None
    up: Axis = "y"
    front: Axis = "+z"
    licence: str | None = None
    credit: str | None = None
    finishes: dict[str, Finish] = Field(default_factory=dict)


def load_own_furniture(folder: Path) -> dict[str, Design]:
    """Return the designs of every YAML in `folder`, by name.

    Each keeps its file's materials and the size that the YAML gives it. Raises BadFurniture at the first bad piece.
    """
    if not folder.is_dir():
        raise BadFurniture(f"{folder}: no such folder; give the folder that holds your furniture's YAML files")
    designs: dict[str, Design] = {}
    for path in sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")]):
        design = _load_piece(path)
        if design.name in designs:
            raise BadFurniture(f"{path.name}: a second piece is named {design.name!r}; give each its own name")
        if design.name in library():
            raise BadFurniture(f"{path.name}: {design.name!r} is a built-in design; choose another name")
        designs[design.name] = design
    return designs


def _load_piece(path: Path) -> Design:
    piece = _read_yaml(path)
    try:
        model = read_model(path.parent, piece.file)
    except BadModel as error:
        raise BadFurniture(f"{path.name}: {error}") from error
    unknown = sorted(set(piece.finishes) - set(model.materials))
    if unknown:
        raise BadFurniture(
            f"{path.name}: finishes name {unknown[0]!r}, but {piece.file} has the materials "
            f"{', '.join(sorted(model.materials))}; use one of these"
        )
    parts = _turned_to_the_front(path, piece, model)
    size = _real_size(path, piece, parts)
    made = tuple(fitted(parts, size))
    try:
        finished = {role: material_of(finish) for role, finish in piece.finishes.items()}
    except ValueError as error:
        raise BadFurniture(f"{path.name}: {error}") from error

    def build(wanted: Size, seed: int) -> list[Part]:
        return list(made) if wanted == size else fitted(made, wanted)

    roles = tuple(dict.fromkeys(part.material for part in made))
    return Design(piece.name, piece.kind, size, size, size, roles, build, {**model.materials, **finished})


def _read_yaml(path: Path) -> OwnPiece:
    try:
        if not path.is_file():
            raise BadFurniture(f"{path.name}: is no file; leave only YAML files so named in the folder")
        if path.stat().st_size > YAML_BYTES:
            raise BadFurniture(f"{path.name}: over {YAML_BYTES // 1024} kB; this is no furniture description")
        text = path.read_text("utf-8")
        said = read_plain_yaml(text)
    except (OSError, ValueError, yaml.YAMLError) as error:
        if isinstance(error, BadFurniture):
            raise
        reason = " ".join(str(error).split())[:200]
        raise BadFurniture(f"{path.name}: not readable as YAML ({reason}); mend its syntax") from error
    if not isinstance(said, dict):
        raise BadFurniture(f"{path.name}: holds no keys; it needs at least name, file, kind and one dimension")
    try:
        piece = OwnPiece.model_validate(said)
    except ValidationError as error:
        raise BadFurniture(f"{path.name}: {_told(error)}") from error
    if piece.width is None and piece.height is None and piece.depth is None:
        raise BadFurniture(f"{path.name}: no dimension given; add width, height or depth in metres")
    return piece


def _told(error: ValidationError) -> str:
    first = error.errors()[0]
    key = ".".join(str(step) for step in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"unknown key {key!r}; the keys are {', '.join(OwnPiece.model_fields)}"
    if first["type"] == "missing":
        return f"{key} is missing; add it"
    return f"{key} is {reprlib.repr(first['input'])[:60]}: {first['msg']}; correct it"


def _turned_to_the_front(path: Path, piece: OwnPiece, model: Model) -> list[Part]:
    """Return the parts with y up and the front toward +z."""
    up, front = _unit(piece.up), _unit(piece.front)
    if up @ front:
        raise BadFurniture(f"{path.name}: up is {piece.up} and front {piece.front}; they must be different axes")
    turn = np.array([np.cross(up, front), up, front], np.float32)
    return [replace(part, vertices=part.vertices @ turn.T, normals=part.normals @ turn.T) for part in model.parts]


def _unit(axis: str) -> NDArray[np.float64]:
    vector = np.zeros(3)
    vector["xyz".index(axis[-1])] = -1.0 if axis.startswith("-") else 1.0
    return vector


def _real_size(path: Path, piece: OwnPiece, parts: list[Part]) -> Size:
    """The piece's size in m: as stated, what isn't stated in the file's proportions."""
    vertices = np.concatenate([part.vertices for part in parts])
    extents = np.ptp(vertices, axis=0).astype(float)
    stated = (piece.width, piece.height, piece.depth)
    names = ("width", "height", "depth")
    for name, value in zip(names, stated, strict=True):
        _check_dimension(path, piece, name, value, "is")
    scales = [value / max(extent, 1e-9) for value, extent in zip(stated, extents, strict=True) if value is not None]
    if max(scales) / min(scales) > TOLERANCE:
        shape = " x ".join(f"{extent:.3g}" for extent in extents)
        raise BadFurniture(
            f"{path.name}: the stated dimensions don't fit {piece.file}, whose width x height x depth are {shape} of "
            "its units; check them and the up and front axes, or give one dimension only"
        )
    scale = float(np.exp(np.mean(np.log(scales))))
    width, height, depth = (
        extent * scale if value is None else value for value, extent in zip(stated, extents, strict=True)
    )
    for name, value in zip(names, (width, height, depth), strict=True):
        _check_dimension(path, piece, name, value, "comes out as")
    return float(width), float(height), float(depth)


def _check_dimension(path: Path, piece: OwnPiece, name: str, value: float | None, verb: str) -> None:
    least = 0.001 if piece.kind in THIN else SMALLEST
    if value is not None and not least <= value <= LARGEST:
        raise BadFurniture(
            f"{path.name}: {name} {verb} {value:.4g} m, but furniture is {least:g} to {LARGEST:g} m; "
            "give metres, and check the up and front axes"
        )
