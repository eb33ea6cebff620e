"""Layouts that people have edited: what a designer never does is found before anything is rendered."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from listing_media_dagster.path_tracer.solids import turned
from listing_media_dagster.staging.arrangement import Arrangement, PlacedPiece
from listing_media_dagster.staging.arrays import Floats
from listing_media_dagster.staging.furniture.designs import Design
from listing_media_dagster.staging.furniture.finishes import SURFACES
from listing_media_dagster.staging.room import RoomGeometry

ROUNDING = 0.011  # share of a size by which it may miss what the design allows
FARTHEST = 15.0  # m from the camera
BEHIND_A_WALL = 0.3  # m that a piece's middle may lie behind a wall, whose place is an estimate


class BadLayout(ValueError):
    """An arrangement that can't be rendered; `str()` has a line for each piece: its value and what may stand there."""


def check_layout(arrangement: Arrangement, geometry: RoomGeometry, designs: Mapping[str, Design]) -> None:
    """Raise BadLayout naming every piece that nothing can build, or that stands where the photo shows no room."""
    troubles = []
    for piece in arrangement.pieces:
        try:
            _check_piece(piece, geometry, designs)
        except BadLayout as bad:
            troubles.append(str(bad))
    if troubles:
        raise BadLayout("\n".join(troubles))


def _check_piece(piece: PlacedPiece, geometry: RoomGeometry, designs: Mapping[str, Design]) -> None:
    if piece.design not in designs:
        raise BadLayout(f"{piece.name}: unknown design {piece.design!r}; there are {', '.join(sorted(designs))}")
    _check_finishes(piece, designs[piece.design])
    _check_size(piece, designs[piece.design])
    _check_place(piece, geometry)


def _check_finishes(piece: PlacedPiece, design: Design) -> None:
    roles = ", ".join(design.roles)
    for role, finish in piece.finishes.items():
        if role not in design.roles:
            raise BadLayout(f"{piece.name}: {design.name} has no {role!r} to finish; it has {roles}")
        if finish.surface not in SURFACES:
            known = ", ".join(sorted(SURFACES))
            raise BadLayout(f"{piece.name}.{role}: unknown surface {finish.surface!r}; there are {known}")
    for role in design.roles:
        if role not in piece.finishes and role not in design.materials:
            raise BadLayout(f"{piece.name}: no finish for {role!r}; {design.name} needs {roles}")


def _check_size(piece: PlacedPiece, design: Design) -> None:
    limits = zip(("width", "height", "depth"), piece.size, design.smallest, design.largest, strict=True)
    for side, value, low, high in limits:
        if not low * (1 - ROUNDING) <= value <= high * (1 + ROUNDING):
            raise BadLayout(f"{piece.name}: {side} {value:g} m; {design.name} can be {low:.3g} to {high:.3g} m there")


def _check_place(piece: PlacedPiece, geometry: RoomGeometry) -> None:
    x, _, z = piece.position
    place = f"{piece.name} at {', '.join(f'{value:g}' for value in piece.position)} m"
    if np.hypot(x, z) > FARTHEST:
        raise BadLayout(f"{place}: over {FARTHEST:g} m from the camera, which stands at 0, 0; move it nearer")
    width, height = geometry.camera.size
    seen = geometry.camera.project(_corners(piece))
    inside = (seen[:, 0] > 0) & (seen[:, 0] < width) & (seen[:, 1] > 0) & (seen[:, 1] < height)
    if not inside.any():  # NaN, which is what lies behind the camera, is not inside
        raise BadLayout(f"{place}: the photo doesn't show that place; move it into view, -z is away from the camera")
    for axis, at in (("x", x), ("z", z)):
        for facing in (1, -1):
            walls = [wall.offset * facing for wall in geometry.walls if (wall.axis, wall.facing) == (axis, facing)]
            if walls and at * facing < min(walls) - BEHIND_A_WALL:
                wall = min(walls) * facing
                raise BadLayout(f"{place}: behind the wall at {axis} = {wall:.2f} m; move it into the room")


def _corners(piece: PlacedPiece) -> Floats:
    """The corners and the middle (9, 3) m of a piece's box in the room."""
    signs = np.array([(x, y, z) for x in (-0.5, 0.5) for y in (0, 1) for z in (-0.5, 0.5)] + [(0, 0.5, 0)])
    return np.asarray(signs * piece.size @ np.asarray(turned(piece.turn)).T + piece.position, float)
