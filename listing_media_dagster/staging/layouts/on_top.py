"""The small things that make a room lived in: what lies on tables, seats, beds and shelves."""

from __future__ import annotations

from math import hypot

import cv2
import numpy as np

from listing_media_dagster.staging.arrangement import PlacedPiece
from listing_media_dagster.staging.kits import Look, Slot
from listing_media_dagster.staging.layouts.selection import Selection, sized
from listing_media_dagster.staging.layouts.setting import Setting, outline, place, pose_of

FOLDED = (0.5, 0.1, 0.36)  # m: a throw as a stack
WHOLLY = 0.95  # of a footprint on a rug
EDGE = 0.03  # m that things keep from the edge of what they stand on


def set_on(
    setting: Setting,
    selection: Selection,
    slot: Slot,
    base: str,
    right: float = 0.0,
    out: float = 0.0,
    turn: float = 0.0,
    tallest: float = 1.2,
    index: int = 0,
) -> Setting:
    """Return the room with `slot` on the piece called `base`, if both are there and it has room.

    `right` and `out` are -1..1 of what the base's top leaves free around the thing; what is higher than `tallest` m is
    scaled down, or left out if its design doesn't come that small; `index` as in `choose_look`.
    """
    below, look = setting.named(base), selection.look(slot, index)
    if below is None or look is None:
        return setting
    look = _fitting(look, below, tallest) if slot is not Slot.THROW else sized(look, *FOLDED)
    spare = [(below.size[axis] - look.size[axis]) / 2 - EDGE for axis in (0, 2)]
    if min(spare) < 0 or look.size[1] > tallest + 0.01:
        return setting
    right, out = right * spare[0], out * spare[1]
    if abs(below.size[0] - below.size[2]) < 0.02:  # as round tops are: their corners are air
        reach = (below.size[0] - max(look.size[0], look.size[2])) / 2 - EDGE
        inward = min(1.0, reach / max(hypot(right, out), 1e-6))
        right, out = right * inward, out * inward
    pose = pose_of(below).at(right, out, turn)
    name = f"{slot.replace('_', ' ')} on {base}"
    thing = place(name, look, pose, height=below.position[1] + below.size[1])
    standing = (piece for piece in setting.pieces if piece.name.endswith(f" on {base}"))
    return setting if any(_overlap(thing, other) for other in standing) else setting.put(thing)


def dress_living_room(setting: Setting, selection: Selection) -> Setting:
    """Lamp on the side table; books, tray and vase on the coffee table; vase and books on the sideboard."""
    setting = set_on(setting, selection, Slot.TABLE_LAMP, "side table")
    setting = set_on(setting, selection, Slot.TRAY, "coffee table", right=-0.75, out=0.2, turn=4)
    setting = set_on(setting, selection, Slot.BOOKS, "coffee table", right=0.25, out=0.8, turn=-8)
    setting = set_on(setting, selection, Slot.VASE, "coffee table", right=0.85, out=-0.7, tallest=0.45)
    return dress_storage(setting, selection, "sideboard")


def dress_bedroom(setting: Setting, selection: Selection) -> Setting:
    """A lamp on each nightstand, a book on one, vase and tray on the dresser."""
    for base in ("left nightstand", "right nightstand"):
        setting = set_on(setting, selection, Slot.TABLE_LAMP, base, out=-0.3)
    setting = set_on(setting, selection, Slot.BOOKS, "right nightstand", right=0.6, out=0.9)
    setting = set_on(setting, selection, Slot.THROW, "bench", right=-0.6, tallest=0.1)
    return dress_storage(setting, selection, "dresser")


def dress_dining_room(setting: Setting, selection: Selection) -> Setting:
    """A vase in the middle of the table, or a bowl; vase and books on the sideboard."""
    setting = set_on(setting, selection, Slot.VASE, "dining table", right=-0.08, tallest=0.65)
    setting = set_on(setting, selection, Slot.BOWL, "dining table", right=0.3)
    return dress_storage(setting, selection, "sideboard")


def dress_home_office(setting: Setting, selection: Selection) -> Setting:
    """Lamp, books and a small plant on the desk, as far as they fit."""
    setting = set_on(setting, selection, Slot.TABLE_LAMP, "desk", right=-0.9, out=-0.6)
    setting = set_on(setting, selection, Slot.BOOKS, "desk", right=0.75, out=-0.4, turn=6)
    setting = set_on(setting, selection, Slot.SMALL_PLANT, "desk", right=0.95, out=-0.9)
    return dress_storage(setting, selection, "sideboard")


def dress_childrens_room(setting: Setting, selection: Selection) -> Setting:
    """A lamp on the nightstand, books and a toy on the shelf."""
    setting = set_on(setting, selection, Slot.TABLE_LAMP, "nightstand")
    setting = set_on(setting, selection, Slot.BOOKS, "toy shelf", right=-0.7)
    return set_on(setting, selection, Slot.SMALL_PLANT, "toy shelf", right=0.8)


def dress_storage(setting: Setting, selection: Selection, base: str) -> Setting:
    """Put a lamp or vase at one end of a long low piece and books at the other."""
    setting = set_on(setting, selection, Slot.VASE, base, right=-0.85, tallest=0.8, index=1)
    setting = set_on(setting, selection, Slot.BOOKS, base, right=0.6)
    return set_on(setting, selection, Slot.BOWL, base, right=0.9)


def on_the_pile(pieces: tuple[PlacedPiece, ...]) -> tuple[PlacedPiece, ...]:
    """Return the pieces with those that stand wholly on a rug lifted onto its pile, with all that is on them."""
    rugs = [piece for piece in pieces if piece.name == "rug"]
    lifts = {piece.name: rug.size[1] for rug in rugs for piece in pieces if piece is not rug and _is_on(piece, rug)}
    return tuple(_lifted(piece, lifts.get(piece.name.rpartition(" on ")[2], 0.0)) for piece in pieces)


def _is_on(piece: PlacedPiece, rug: PlacedPiece) -> bool:
    own, pile = outline(piece).astype(np.float32), outline(rug).astype(np.float32)
    shared, _ = cv2.intersectConvexConvex(own, pile)
    return piece.position[1] == 0 and shared > WHOLLY * cv2.contourArea(own)


def _lifted(piece: PlacedPiece, by: float) -> PlacedPiece:
    x, y, z = piece.position
    return piece.model_copy(update={"position": (x, round(y + by, 3), z)}) if by else piece


def _fitting(look: Look, below: PlacedPiece, tallest: float) -> Look:
    """Return `look` as much smaller as what it stands on asks for, and its design allows."""
    broad = (min(below.size[axis] - 2 * EDGE, look.size[axis]) / look.size[axis] for axis in (0, 2))
    scale = min(1.0, tallest / look.size[1], *broad)
    return sized(look, *(side * scale for side in look.size))


def _overlap(one: PlacedPiece, other: PlacedPiece) -> bool:
    """Say whether two things on one top would stand in each other, taken as upright cylinders."""
    gap = hypot(one.position[0] - other.position[0], one.position[2] - other.position[2])
    return gap < (max(one.size[0], one.size[2]) + max(other.size[0], other.size[2])) / 2
