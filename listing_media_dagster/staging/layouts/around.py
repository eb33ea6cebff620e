"""What every room gets around its main piece: storage along a wall, a plant in a corner, something on the wall."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from listing_media_dagster.staging.arrangement import PlacedPiece
from listing_media_dagster.staging.kits import Slot
from listing_media_dagster.staging.layouts.selection import Selection, sized
from listing_media_dagster.staging.layouts.setting import Setting, distance, gap_between, place, pose_of
from listing_media_dagster.staging.layouts.walls import (
    best_along_walls,
    corner_closeness,
    faces_viewer,
    hang_above,
    hang_at_eye_level,
    plain_stretches,
    stretch_around,
    wall_behind,
    wall_beside,
)
from listing_media_dagster.staging.room import Wall

# Of the main piece's distance from the camera: what stands nearer would look larger than it.
NOT_BEFORE = 0.8
OVER_STORAGE = (0.2, 0.4)  # m: what stands on a sideboard needs room
SHORTER = (1.0, 0.8, 0.65)  # lengths that a sideboard is tried in
HIGH, FRONT_SEEN = 1.2, 0.35  # m from which a piece must show its front, and the cosine to the viewer that it needs
BARE, IN_SIGHT = 1.6, 0.9  # m of plain wall that a picture by itself asks for; share of it with nothing before it
IN_A_CORNER = 0.45  # of `corner_closeness`
IN_COMPANY = 0.5  # m between a plant and what it stands beside


def add_art_above(
    setting: Setting, selection: Selection, base: str, shares: Sequence[float], slot: Slot = Slot.ART
) -> Setting:
    """Hang art over the piece called `base`, as wide as the first of `shares` of it that fits; no wall, no art."""
    below, art = setting.named(base), selection.look(slot)
    wall = (wall_behind(setting, below) or wall_beside(setting, below)) if below else None
    if below is None or art is None or wall is None:
        return setting
    for share in shares:
        width = share * below.size[0]
        look = sized(art, width=width, height=min(width * art.size[1] / art.size[0], 0.95))
        if (hung := hang_above(setting, f"{slot} over {base}", look, wall, below)) is not None:
            return hung
    return setting


def add_art_on_a_bare_wall(setting: Setting, selection: Selection) -> Setting:
    """Hang art by itself on the widest plain stretch of wall that faces the viewer and has nothing before it."""
    art = selection.look(Slot.ART)
    if art is None:
        return setting
    stretches = [
        (wall, left, right)
        for wall in setting.plan.walls
        for left, right in plain_stretches(wall)
        if right - left > BARE
    ]
    for wall, left, right in sorted(stretches, key=lambda stretch: stretch[1] - stretch[2]):
        middle, width = (left + right) / 2, min(0.4 * (right - left), art.size[0])
        look = sized(art, width=width, height=width * art.size[1] / art.size[0])
        hung = hang_at_eye_level(setting, "art", look, wall, middle)
        if hung is not None and _share_in_sight(setting, hung.pieces[-1]) > IN_SIGHT:
            return hung
    return setting


def _share_in_sight(setting: Setting, piece: PlacedPiece) -> float:
    """Return how much of a piece that isn't there yet would not be behind what is."""
    silhouette = setting.silhouette(piece)
    return 0.0 if silhouette is None else float((silhouette & ~setting.covered).sum() / max(silhouette.sum(), 1))


def add_along_wall(setting: Setting, selection: Selection, slot: Slot, over: Slot | None = None) -> Setting:
    """Put a sideboard, bookcase or chair in the middle of a wall that has nothing yet, `over` it a mirror or art."""
    look = selection.look(slot)
    if look is None:
        return setting

    def score(room: Setting, piece: PlacedPiece, wall: Wall) -> float:
        taken = sum(wall_behind(room, other) is wall for other in room.pieces if other.size[0] > 1.2)
        along = piece.position[2] if wall.axis == "x" else piece.position[0]
        reach = piece.size[0] / 2
        left, right = stretch_around(wall, along)
        centred = 1 - abs(along - (left + right) / 2) / max((right - left) / 2, 0.5)
        near = float(np.interp(distance(piece), (1.8, 3.4), (-0.6 * piece.size[1] - 0.3, 0.0)))
        seen = faces_viewer(piece)
        before_window = any(along + reach > o.span[0] and along - reach < o.span[1] for o in wall.openings)
        if distance(piece) < NOT_BEFORE * distance(room.pieces[0]) or (piece.size[1] > HIGH and seen < FRONT_SEEN):
            return 0.0
        return 1.2 - 0.8 * bool(taken) - 0.5 * before_window + 0.5 * centred + 0.4 * seen + near

    for shorter in SHORTER:
        shrunk = sized(look, width=shorter * look.size[0])
        if (found := best_along_walls(setting, slot.replace("_", " "), shrunk, 0.3, score)) is not None:
            return _with_above(*found, selection, over) if over else found[0]
        if shrunk.size[0] == look.design.smallest[0]:
            break
    return setting


def _with_above(setting: Setting, piece: PlacedPiece, wall: Wall, selection: Selection, slot: Slot) -> Setting:
    """Hang what belongs over a piece, smaller where it wouldn't fit."""
    look = selection.look(slot)
    if look is None:
        return setting
    # another picture of the same set where one hangs already
    look = replace(look, seed=look.seed + 2 * sum(other.design == look.design.name for other in setting.pieces))
    for scale in (1.0, 0.8):
        smaller = sized(look, look.size[0] * scale, look.size[1] * scale)
        if (hung := hang_above(setting, str(slot), smaller, wall, piece, OVER_STORAGE)) is not None:
            return hung
    return setting


def add_beside(setting: Setting, selection: Selection, slot: Slot, base: str) -> Setting:
    """Put something small on the floor beside the piece called `base`, backs in line."""
    look, next_to = selection.look(slot), setting.named(base)
    if look is None or next_to is None:
        return setting
    for hand in (1, -1):
        aside = hand * (next_to.size[0] / 2 + 0.08 + look.size[0] / 2)
        pose = pose_of(next_to).at(aside, (look.size[2] - next_to.size[2]) / 2)
        if (with_it := setting.stand(place(slot.replace("_", " "), look, pose))) is not None:
            return with_it
    return setting


def add_plant(setting: Setting, selection: Selection, slot: Slot = Slot.PLANT) -> Setting:
    """Put a plant into the corner that shows it best, or at a wall beside what stands there: never alone."""
    look = selection.look(slot)
    if look is None:
        return setting

    def score(room: Setting, piece: PlacedPiece, wall: Wall) -> float:
        if distance(piece) < NOT_BEFORE * distance(room.pieces[0]):
            return 0.0
        far = float(np.interp(distance(piece), (2.0, 3.0, 6.0, 8.0), (0.0, 0.5, 0.5, 0.0)))
        corner, beside = corner_closeness(room.plan, piece), _stands_beside(room, piece)
        return 0.1 + corner + 0.4 * beside + far if corner > IN_A_CORNER or beside else 0.0

    for scale in (1.0, 0.8):
        smaller = sized(look, *(side * scale for side in look.size))
        if (found := best_along_walls(setting, slot.replace("_", " "), smaller, 0.08, score)) is not None:
            return found[0]
    return setting


def _stands_beside(setting: Setting, piece: PlacedPiece) -> bool:
    """Say whether one of the room's larger pieces stands next to this one."""
    return any(
        gap_between(piece, other) < IN_COMPANY for other in setting.pieces if other.size[0] * other.size[1] > 0.6
    )
