"""Furnishes a living room: a seating group on a rug, lamps and plants around it, storage and pictures on the walls."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from listing_media_dagster.staging.arrangement import PlacedPiece
from listing_media_dagster.staging.floor_plan import CELL, GRID, clearance
from listing_media_dagster.staging.kits import Look, Slot
from listing_media_dagster.staging.layouts import on_top
from listing_media_dagster.staging.layouts.selection import Selection, sized
from listing_media_dagster.staging.layouts.setting import Pose, Setting, distance, place
from listing_media_dagster.staging.layouts.variants import NoSpace, Variant, spread_out, take
from listing_media_dagster.staging.layouts.walls import (
    best_along_walls,
    corner_closeness,
    faces_viewer,
    hang_above,
    poses_along,
    stretch_around,
    wall_behind,
)
from listing_media_dagster.staging.room import Wall

KNEES = 0.42  # m between sofa and coffee table
FRONT_LEGS = 0.4  # m of the sofa that stand on the rug
# width of the sofa, then width and depth of the rug, in m: the largest that the room takes is used
SIZES = ((2.3, 3.0, 2.2), (2.05, 2.7, 1.9), (1.8, 2.3, 1.7), (1.6, 2.0, 1.5))


@dataclass(frozen=True)
class Seat:
    """Where the back of a sofa could go, and how good that looks."""

    score: float
    pose: Pose
    sofa: Look
    rug: tuple[float, float]


def furnish_living_room(setting: Setting, selection: Selection, seed: int) -> Setting:
    """Return the room with a living room's furniture. Raises NoSpace."""
    groups = [variant for seat in _seats(setting, selection) for variant in _groups(setting, selection, seat)]
    if not groups:
        raise NoSpace("no sofa with a coffee table fits on the floor that is seen")
    furnished = take(groups, seed)
    rng = np.random.default_rng(seed)
    sofa = furnished.named("sofa")
    assert sofa is not None
    furnished = _beside_sofa(furnished, selection, sofa, first=1 if rng.random() < 0.5 else -1)
    furnished = _above_sofa(furnished, selection, sofa)
    furnished = _storage(furnished, selection)
    furnished = _greenery(furnished, selection)
    return on_top.dress_living_room(furnished, selection)


def _seats(setting: Setting, selection: Selection) -> list[Seat]:
    """Return the places for the sofa worth building a group around, best first and well apart."""
    look = selection.look(Slot.SOFA)
    if look is None:
        raise NoSpace(f"the kit {selection.kit.id} has no sofa")
    seats: list[Seat] = []
    for rank, (width, rug_width, rug_depth) in enumerate(SIZES):
        sofa = sized(look, width=width)
        for pose, back in _poses(setting, sofa):
            value = _view_of(setting, place("sofa", sofa, pose.at(0, sofa.size[2] / 2)))
            if value is not None:
                seats.append(Seat(round(value + back - 0.12 * rank, 6), pose, sofa, (rug_width, rug_depth)))
    seats.sort(key=lambda seat: -seat.score)
    return spread_out(seats, lambda seat: _core(setting, selection, seat) is not None, lambda seat: seat.pose, 6)


def _poses(setting: Setting, sofa: Look) -> Iterator[tuple[Pose, float]]:
    """Yield where the sofa's back may go, with what that is worth: a wall, a window's sill, the middle of the room."""
    plan = setting.plan
    for wall in plan.walls:
        for gap, pose in poses_along(wall, sofa.size[0]):
            if _fits_roughly(setting, pose, sofa.size[2]):
                yield pose, _worth_of_wall(wall, pose, sofa) - 0.8 * max(0.0, gap - 0.1)
    step = round(0.3 / CELL)
    for x, z in GRID[::step, ::step][plan.free[::step, ::step]]:
        for turn in (0.0, 90.0, -90.0):
            pose = Pose(float(x), float(z), turn)
            if _fits_roughly(setting, pose, sofa.size[2] + 0.6):
                yield pose, 0.15


def _fits_roughly(setting: Setting, pose: Pose, depth: float) -> bool:
    """Say whether there is floor around the middle of the seat: a quick look before the strict ones."""
    middle = pose.at(0, depth / 2)
    row = int((middle.z - GRID[0, 0, 1]) / CELL + 0.5)
    column = int((middle.x - GRID[0, 0, 0]) / CELL + 0.5)
    rows, columns = setting.plan.free.shape
    return (
        0 <= row < rows and 0 <= column < columns and bool(setting.plan.depth_of_free[row, column] > depth / 2 - 0.08)
    )


def _worth_of_wall(wall: Wall, pose: Pose, sofa: Look) -> float:
    """Return what a wall is worth at a sofa's back: solid and centred best, under a window less."""
    along = pose.z if wall.axis == "x" else pose.x
    reach = sofa.size[0] / 2
    behind = [o for o in wall.openings if along + reach > o.span[0] and along - reach < o.span[1]]
    if any(clearance(opening) > 0 for opening in behind):
        return 0.0
    left, right = stretch_around(wall, along) if not behind else wall.span
    off_centre = abs(along - (left + right) / 2) / max((right - left) / 2, 0.5)
    return (0.8 if not behind else 0.45) - 0.35 * min(off_centre, 1.0)


def _view_of(setting: Setting, sofa: PlacedPiece) -> float | None:
    """Return how well the photo would show a sofa: from the front, in the middle, not too near or far. None: badly."""
    facing = faces_viewer(sofa)
    if facing < 0.1:
        return None
    silhouette = setting.silhouette(sofa)
    if silhouette is None:
        return None
    near = distance(sofa)
    pixel = setting.camera.project(np.array([[sofa.position[0], 0.4, sofa.position[2]]]))[0]
    width = setting.camera.size[0]
    off_middle = abs(pixel[0] - width / 2) / (width / 2)
    if off_middle > 0.85:
        return None
    frontal = float(np.interp(facing, (0.1, 0.35, 0.7, 1.0), (0.2, 0.75, 1.0, 0.95)))
    depth = float(np.interp(near, (1.6, 2.6, 4.5, 7.0), (0.0, 1.0, 1.0, 0.1)))
    return 0.9 * frontal + 0.9 * depth + 0.5 * (1 - off_middle**2)


def _core(setting: Setting, selection: Selection, seat: Seat) -> Setting | None:
    """Return the room with sofa, rug and coffee table, None where they don't fit."""
    depth = seat.sofa.size[2]
    furnished = setting.stand(place("sofa", seat.sofa, seat.pose.at(0, depth / 2)))
    table = selection.look(Slot.COFFEE_TABLE)
    if furnished is None or table is None:
        return None
    table = sized(table, width=min(table.size[0], 0.62 * seat.sofa.size[0]))
    furnished = furnished.stand(place("coffee table", table, _table_pose(seat, table)))
    if furnished is None:
        return None
    return _with_rug(furnished, selection, seat) or furnished


def _table_pose(seat: Seat, table: Look) -> Pose:
    return seat.pose.at(0, seat.sofa.size[2] + KNEES + table.size[2] / 2)


def _with_rug(setting: Setting, selection: Selection, seat: Seat) -> Setting | None:
    rug = selection.look(Slot.RUG)
    if rug is None:
        return None
    for scale in (1.0, 0.9, 0.8, 0.7):
        look = sized(rug, width=seat.rug[0] * scale, depth=seat.rug[1] * scale)
        start = seat.sofa.size[2] - FRONT_LEGS
        laid = setting.lay(place("rug", look, seat.pose.at(0, start + look.size[2] / 2)))
        if laid is not None:
            return laid
    return None


def _groups(setting: Setting, selection: Selection, seat: Seat) -> list[Variant]:
    """Return the seating groups around one sofa: with armchairs to the left, the right, both, opposite or none."""
    core = _core(setting, selection, seat)
    chair = selection.look(Slot.ARMCHAIR)
    table = core.named("coffee table") if core else None
    if core is None or table is None:
        return []
    found = [(core, 0.0)]
    if chair is not None:
        middle = seat.sofa.size[2] + KNEES + table.size[2] / 2
        aside = table.size[0] / 2 + 0.45 + chair.size[2] / 2
        across = middle + table.size[2] / 2 + 0.45 + chair.size[2] / 2
        left, right = seat.pose.at(-aside, middle + 0.12, 108), seat.pose.at(aside, middle + 0.12, -108)
        over_left, over_right = seat.pose.at(-0.58, across, 168), seat.pose.at(0.58, across, -168)
        for poses in ((left,), (right,), (left, right), (over_left, over_right), (over_left,), (over_right,)):
            if (seated := _with_chairs(core, chair, poses)) is not None:
                found.append((seated, 0.45 if len(poses) == 1 else 0.6))
    variants = [Variant(round(seat.score + worth + _composition(room), 6), room, seat.pose) for room, worth in found]
    return sorted(variants, key=lambda variant: -variant.score)[:2]


def _with_chairs(setting: Setting, chair: Look, poses: tuple[Pose, ...]) -> Setting | None:
    room: Setting | None = setting
    for number, pose in enumerate(poses, start=1):
        room = room.stand(place(f"armchair {number}", chair, pose)) if room else None
    return room


def _composition(setting: Setting) -> float:
    """Return what the picture gains or loses by a group: its size, a hidden sofa, chairs seen from behind."""
    size = float(np.interp(setting.coverage, (0.03, 0.1, 0.25, 0.4), (-0.4, 0.0, 0.15, -0.3)))
    backs = sum(0.35 for piece in setting.pieces if piece.name.startswith("armchair") and faces_viewer(piece) < -0.2)
    without_rug = 0.0 if setting.named("rug") else 0.6
    return size - backs - without_rug - 1.2 * _hidden_share(setting, "sofa")


def _hidden_share(setting: Setting, name: str) -> float:
    """Return how much of a piece the armchairs nearer to the camera hide."""
    piece = setting.named(name)
    silhouette = setting.silhouette(piece) if piece else None
    if piece is None or silhouette is None:
        return 0.0
    hidden = np.zeros_like(silhouette)
    for other in setting.pieces:
        if other.name.startswith("armchair") and distance(other) < distance(piece):
            before = setting.silhouette(other)
            hidden |= silhouette & before if before is not None else hidden
    return float(hidden.sum() / max(silhouette.sum(), 1))


def _beside_sofa(setting: Setting, selection: Selection, sofa: PlacedPiece, first: int) -> Setting:
    """Put a side table with its lamp on one side of the sofa, a floor lamp on the other."""
    for side, slot in ((first, Slot.SIDE_TABLE), (-first, Slot.FLOOR_LAMP)):
        look = selection.look(slot)
        for hand in (side, -side) if look else ():
            assert look is not None
            out = look.size[2] / 2 - sofa.size[2] / 2 + (0.12 if slot is Slot.SIDE_TABLE else 0.05)
            pose = Pose(sofa.position[0], sofa.position[2], sofa.turn)
            pose = pose.at(hand * (sofa.size[0] / 2 + 0.08 + look.size[0] / 2), out)
            if (with_it := setting.stand(place(slot.replace("_", " "), look, pose))) is not None:
                setting = with_it
                break
    return setting


def _above_sofa(setting: Setting, selection: Selection, sofa: PlacedPiece) -> Setting:
    wall = wall_behind(setting, sofa)
    art = selection.look(Slot.ART)
    if wall is None or art is None:
        return setting
    for share in (0.7, 0.6, 0.5):
        width = share * sofa.size[0]
        look = sized(art, width=width, height=min(width * art.size[1] / art.size[0], 0.95))
        if (hung := hang_above(setting, "art", look, wall, sofa)) is not None:
            return hung
    return setting


def _storage(setting: Setting, selection: Selection) -> Setting:
    """Put a sideboard along a wall that has nothing yet, with a mirror over it."""
    look = selection.look(Slot.SIDEBOARD)
    if look is None:
        return setting

    def score(room: Setting, piece: PlacedPiece, wall: Wall) -> float:
        sofa = room.named("sofa")
        taken = sofa is not None and wall_behind(room, sofa) is wall
        along = piece.position[2] if wall.axis == "x" else piece.position[0]
        left, right = stretch_around(wall, along)
        centred = 1 - abs(along - (left + right) / 2) / max((right - left) / 2, 0.5)
        return (0.2 if taken else 1.0) + 0.5 * centred + 0.3 * faces_viewer(piece)

    found = best_along_walls(setting, "sideboard", look, score)
    if found is None:
        return setting
    setting, sideboard, wall = found
    mirror = selection.look(Slot.MIRROR)
    if mirror is None:
        return setting
    return hang_above(setting, "mirror", mirror, wall, sideboard, room_over=0.3) or setting


def _greenery(setting: Setting, selection: Selection) -> Setting:
    """Put a plant into the corner that shows it best."""
    look = selection.look(Slot.PLANT)
    if look is None:
        return setting

    def score(room: Setting, piece: PlacedPiece, wall: Wall) -> float:
        far = float(np.interp(distance(piece), (2.0, 3.0, 6.0, 8.0), (0.0, 0.5, 0.5, 0.0)))
        return 0.2 + corner_closeness(room.plan, piece) + far

    found = best_along_walls(setting, "plant", look, score)
    return setting if found is None else found[0]
