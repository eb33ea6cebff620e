"""Furnishes a living room: a seating group on a rug, lamps and plants around it, storage and pictures on the walls."""

from __future__ import annotations

from itertools import chain

import numpy as np

from listing_media_dagster.staging.arrangement import PlacedPiece
from listing_media_dagster.staging.kits import Look, Slot
from listing_media_dagster.staging.layouts import on_top
from listing_media_dagster.staging.layouts.around import (
    add_along_wall,
    add_art_above,
    add_art_on_a_bare_wall,
    add_beside,
    add_plant,
)
from listing_media_dagster.staging.layouts.main_piece import Place, best_places, places_along_walls, places_on_floor
from listing_media_dagster.staging.layouts.selection import Selection, sized
from listing_media_dagster.staging.layouts.setting import Pose, Setting, distance, gap_between, place, pose_of
from listing_media_dagster.staging.layouts.variants import NoSpace, Variant, take
from listing_media_dagster.staging.layouts.walls import best_along_walls, faces_viewer
from listing_media_dagster.staging.room import Wall

KNEES = 0.42  # m between sofa and coffee table
OVER_SILL = (0.28, 0.55)  # m of a sofa's back over a window's sill: more only where nothing else fits
FRONT_LEGS = 0.4  # m of the sofa that stand on the rug
# Width of the sofa, then width and depth of the rug, in m: the largest that the room takes is used.
SIZES = ((2.3, 3.0, 2.2), (2.05, 2.7, 1.9), (1.8, 2.3, 1.7), (1.6, 2.0, 1.5))
# How much of its size a rug has and how much of it is in the picture: whole and a little smaller before cut off.
RUGS = ((1.0, 0.98), (0.9, 0.98), (0.8, 0.98), (1.0, 0.8), (0.9, 0.8), (0.8, 0.8), (0.7, 0.8))
CHAIR_TURN = 82  # degrees: a chair beside the table turns a little toward whoever looks at the sofa
OFF_AXIS = 0.6  # m that a screen may stand aside of the sofa's middle
SCREEN_SEEN = 0.4  # cosine to the viewer below which a screen is only an edge
SCREEN = 0.5  # what a screen opposite the sofa is worth, as much as an armchair
OFF_THE_RUG, WELL_OFF = 0.3, 0.3  # what an armchair costs that doesn't touch the rug by far, and how far that is in m
ROOMY = (14.0, 8.0)  # m² of free floor that the largest sizes ask for


def furnish_living_room(setting: Setting, selection: Selection, seed: int) -> Setting:
    """Return the room with a living room's furniture. Raises NoSpace."""
    for over_sill in OVER_SILL:
        seats = _seats(setting, selection, over_sill)
        groups = [variant for seat in seats for variant in _groups(setting, selection, seat, over_sill)]
        if groups:
            break
    else:
        raise NoSpace("no sofa with a coffee table fits on the floor that is seen")
    furnished = take(groups, seed)
    rng = np.random.default_rng(seed)
    sofa = next(piece for piece in furnished.pieces if piece.name == "sofa")
    furnished = _beside_sofa(furnished, selection, sofa, first=1 if rng.random() < 0.5 else -1)
    furnished = add_art_above(furnished, selection, "sofa", (0.7, 0.6, 0.5))
    furnished = _opposite(furnished, selection, sofa)
    if furnished.named("media unit") is None:
        furnished = add_along_wall(furnished, selection, Slot.SIDEBOARD, over=Slot.MIRROR)
    furnished = add_plant(furnished, selection)
    furnished = _pouf(furnished, selection, sofa)
    furnished = add_beside(furnished, selection, Slot.BASKET, "sideboard")
    if not any(piece.name.startswith("art") for piece in furnished.pieces):
        furnished = add_art_on_a_bare_wall(furnished, selection)
    return on_top.dress_living_room(furnished, selection)


def _seats(setting: Setting, selection: Selection, over_sill: float) -> list[Place]:
    """Return the places for the sofa worth building a group around, best first and well apart."""
    look = selection.look(Slot.SOFA)
    if look is None:
        raise NoSpace(f"the kit {selection.kit.id} has no sofa")
    sofas = [sized(look, width=width) for width, _, _ in _sizes(setting)]
    places = chain(
        places_along_walls(setting, sofas, least_facing=0.1),
        places_on_floor(setting, sofas, (0.0, 90.0, -90.0), least_facing=0.5),
    )
    return best_places(places, lambda seat: _core(setting, selection, seat, over_sill) is not None, 5)


def _sizes(setting: Setting) -> tuple[tuple[float, float, float], ...]:
    """Return the sizes for as much floor as is seen: a small room with a large sofa looks smaller still."""
    return SIZES[sum(setting.plan.area < area for area in ROOMY) :]


def _core(setting: Setting, selection: Selection, seat: Place, over_sill: float) -> Setting | None:
    """Return the room with sofa, rug and coffee table, None where they don't fit."""
    depth = seat.look.size[2]
    furnished = setting.stand(place("sofa", seat.look, seat.pose.at(0, depth / 2)), over_sill=over_sill)
    table = selection.look(Slot.COFFEE_TABLE)
    if furnished is None or table is None:
        return None
    table = sized(table, width=min(table.size[0], 0.62 * seat.look.size[0]))
    furnished = furnished.stand(place("coffee table", table, _table_pose(seat, table)))
    if furnished is None:
        return None
    return _with_rug(furnished, selection, seat) or furnished


def _table_pose(seat: Place, table: Look) -> Pose:
    return seat.pose.at(0, seat.look.size[2] + KNEES + table.size[2] / 2)


def _with_rug(setting: Setting, selection: Selection, seat: Place) -> Setting | None:
    rug = selection.look(Slot.RUG)
    if rug is None:
        return None
    _, width, depth = _sizes(setting)[seat.size]
    for scale, in_frame in RUGS:
        look = sized(rug, width=width * scale, depth=depth * scale)
        start = seat.look.size[2] - FRONT_LEGS
        laid = setting.lay(place("rug", look, seat.pose.at(0, start + look.size[2] / 2)), in_frame)
        if laid is not None:
            return laid
    return None


def _groups(setting: Setting, selection: Selection, seat: Place, over_sill: float) -> list[Variant]:
    """Return the seating groups around one sofa: with armchairs to the left, the right, both, opposite or none."""
    core = _core(setting, selection, seat, over_sill)
    chair = selection.look(Slot.ARMCHAIR)
    table = core.named("coffee table") if core else None
    if core is None or table is None:
        return []
    sofa = next(piece for piece in core.pieces if piece.name == "sofa")
    screened = _opposite(core, selection, sofa)
    found = [(core, 0.0)] if screened is core else [(core, 0.0), (screened, SCREEN)]
    if chair is not None and selection.count(Slot.ARMCHAIR) > 0:
        middle = seat.look.size[2] + KNEES + table.size[2] / 2
        aside = table.size[0] / 2 + 0.45 + chair.size[2] / 2
        across = middle + table.size[2] / 2 + 0.45 + chair.size[2] / 2
        left, right = seat.pose.at(-aside, middle, CHAIR_TURN), seat.pose.at(aside, middle, -CHAIR_TURN)
        over_left, over_right = seat.pose.at(-0.58, across, 168), seat.pose.at(0.58, across, -168)
        sets = ((left,), (right,), (left, right), (over_left, over_right), (over_left,), (over_right,))
        allowed = [poses for poses in sets if len(poses) <= selection.count(Slot.ARMCHAIR)]
        seated = [(_with_chairs(core, chair, poses), 0.45 if len(poses) == 1 else 0.6) for poses in allowed]
        found += [(room, worth) for room, worth in seated if room is not None]
    variants = [Variant(round(seat.score + worth + _composition(room), 6), room, seat.pose) for room, worth in found]
    return sorted(variants, key=lambda variant: -variant.score)[:2]


def _with_chairs(setting: Setting, chair: Look, poses: tuple[Pose, ...]) -> Setting | None:
    room: Setting | None = setting
    for number, pose in enumerate(poses, start=1):
        room = room.stand(place(f"armchair {number}", chair, pose)) if room else None
    return room


def _composition(setting: Setting) -> float:
    """Return what the picture gains or loses by a group: its size, a hidden sofa, chairs seen from behind."""
    size = float(np.interp(setting.coverage, (0.03, 0.1, 0.22, 0.3, 0.4), (-0.4, 0.0, 0.15, 0.0, -0.8)))
    backs = sum(0.55 for piece in setting.pieces if piece.name.startswith("armchair") and faces_viewer(piece) < -0.2)
    without_rug = 0.0 if setting.named("rug") else 0.6
    rug = setting.named("rug")
    apart = sum(
        OFF_THE_RUG * min(gap_between(piece, rug) / WELL_OFF, 1.0)
        for piece in setting.pieces
        if rug is not None and piece.name.startswith("armchair")
    )
    return size - backs - apart - without_rug - 1.2 * _hidden_share(setting, "sofa")


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


def _opposite(setting: Setting, selection: Selection, sofa: PlacedPiece) -> Setting:
    """Put the media unit with its screen at the wall that the sofa faces, where the photo shows that wall.

    Where armchairs stand opposite the sofa they would turn their backs to it: then there is none.
    """
    look = selection.look(Slot.MEDIA_UNIT)
    chairs = [piece for piece in setting.pieces if piece.name.startswith("armchair")]
    backs = any(abs((chair.turn - sofa.turn) % 360 - 180) < 45 for chair in chairs)
    if look is None or setting.named("media unit") or backs:
        return setting

    def score(room: Setting, piece: PlacedPiece, wall: Wall) -> float:
        facing = abs((piece.turn - sofa.turn) % 360 - 180) < 1
        aside = pose_of(piece).aside_of(pose_of(sofa))
        seen = faces_viewer(piece)
        return 1.0 - aside + 0.3 * seen if facing and aside < OFF_AXIS and seen > SCREEN_SEEN else 0.0

    found = best_along_walls(setting, "media unit", look, 0.3, score)
    return found[0] if found else setting


def _pouf(setting: Setting, selection: Selection, sofa: PlacedPiece) -> Setting:
    """Put a pouf beside the coffee table where no armchair stands, on the side away from the viewer."""
    look, table = selection.look(Slot.POUF), setting.named("coffee table")
    if look is None or table is None:
        return setting
    middle = Pose(table.position[0], table.position[2], sofa.turn)
    aside = table.size[0] / 2 + 0.25 + look.size[0] / 2
    poses = [middle.at(hand * aside, out) for hand in (-1, 1) for out in (0.0, 0.3)]
    for pose in sorted(poses, key=lambda pose: -np.hypot(pose.x, pose.z)):
        pouf = place("pouf", look, pose)
        if distance(pouf) > max(2.4, distance(table)) and (with_it := setting.stand(pouf, elbow=0.15)) is not None:
            return with_it
    return setting


def _beside_sofa(setting: Setting, selection: Selection, sofa: PlacedPiece, first: int) -> Setting:
    """Put a side table with its lamp on one side of the sofa, a floor lamp on the other."""
    for side, slot in ((first, Slot.SIDE_TABLE), (-first, Slot.FLOOR_LAMP)):
        look = selection.look(slot)
        for hand in (side, -side):
            if look is None:
                break
            out = look.size[2] / 2 - sofa.size[2] / 2 + (0.12 if slot is Slot.SIDE_TABLE else 0.05)
            aside = hand * (sofa.size[0] / 2 + 0.08 + look.size[0] / 2)
            pose = pose_of(sofa).at(aside, out, 180 if hand > 0 else 0)  # an arched lamp bends toward the sofa
            if (with_it := setting.stand(place(slot.replace("_", " "), look, pose))) is not None:
                setting = with_it
                break
    return setting
