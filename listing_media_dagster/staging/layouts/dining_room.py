"""Furnishes a dining room: a table with four or six chairs on a rug, a sideboard, a plant."""

from __future__ import annotations

from listing_media_dagster.staging.arrangement import PlacedPiece
from listing_media_dagster.staging.kits import Look, Slot
from listing_media_dagster.staging.layouts import on_top
from listing_media_dagster.staging.layouts.around import add_along_wall, add_plant
from listing_media_dagster.staging.layouts.main_piece import Place, best_places, places_on_floor
from listing_media_dagster.staging.layouts.selection import Selection, sized
from listing_media_dagster.staging.layouts.setting import Pose, Setting, place, pose_of
from listing_media_dagster.staging.layouts.variants import NoSpace, Variant, take

LENGTHS = (2.0, 1.8, 1.6, 1.4, 1.2)  # m: six chairs from 1.6 m
ROUND = (1.3, 1.15, 1.0)
TUCKED = 0.18  # m of a chair's seat under the table
PULL_OUT = 0.75  # m behind the table's edge for somebody to sit down
RUG_OVER = 0.6


def furnish_dining_room(setting: Setting, selection: Selection, seed: int) -> Setting:
    """Return the room with a dining room's furniture. Raises NoSpace."""
    table, chair = selection.look(Slot.DINING_TABLE), selection.look(Slot.CHAIR)
    if table is None or chair is None:
        raise NoSpace(f"the kit {selection.kit.id} has no dining table with chairs")
    round_one = abs(table.size[0] - table.size[2]) < 0.1
    lengths = ROUND if round_one else LENGTHS
    tables = [sized(table, length, depth=length if round_one else None) for length in lengths]
    turns = (0.0,) if round_one else (0.0, 90.0)

    def works(at: Place) -> bool:
        return _set(setting, at, chair) is not None

    places = best_places(places_on_floor(setting, tables, turns, least_facing=-1.0), works, 4)
    variants = [variant for at in places if (variant := _dining_place(setting, selection, at, chair)) is not None]
    if not variants:
        raise NoSpace("no table with chairs fits on the floor that is seen")
    furnished = take(variants, seed)
    furnished = add_along_wall(furnished, selection, Slot.SIDEBOARD, over=Slot.ART)
    furnished = add_plant(furnished, selection)
    return on_top.dress_dining_room(furnished, selection)


def _dining_place(setting: Setting, selection: Selection, at: Place, chair: Look) -> Variant | None:
    furnished = _set(setting, at, chair)
    if furnished is None:
        return None
    middle = at.pose.at(0, at.look.size[2] / 2)
    with_rug = _rug(furnished, selection, at, middle)
    chairs = sum(piece.name.startswith("chair") for piece in furnished.pieces)
    score = at.score + 0.12 * chairs + (0.25 if with_rug else 0.0) + 0.15 * _in_the_open(setting, middle)
    return Variant(round(score, 6), with_rug or furnished, middle)


def _set(setting: Setting, at: Place, chair: Look) -> Setting | None:
    """Return the room with the table and as many chairs as can be pulled out, at least two."""
    table = place("dining table", at.look, at.pose.at(0, at.look.size[2] / 2))
    furnished = setting.stand(table, elbow=0.0)
    if furnished is None or not _can_sit_down(setting, table):
        return None
    seats = _seats(table, chair)
    for chosen in (seats, seats[:4], seats[::2][:2]):
        seated: Setting | None = furnished
        for number, pose in enumerate(chosen, start=1):
            piece = place(f"chair {number}", chair, pose)
            seated = seated.stand(piece, tucked_under=table) if seated else None
        if seated is not None:
            return seated
    return None


def _seats(table: PlacedPiece, chair: Look) -> list[Pose]:
    """Return where chairs stand, those that a small room keeps first."""
    length, _, depth = table.size
    middle = pose_of(table)
    if abs(length - depth) < 0.1:
        out = length / 2 - TUCKED + chair.size[2] / 2
        return [Pose(middle.x, middle.z, turn).at(0, out, 180) for turn in (45.0, 135.0, 225.0, 315.0)]
    out, aside = depth / 2 - TUCKED + chair.size[2] / 2, length * 0.24
    end = length / 2 - TUCKED + chair.size[2] / 2
    long_sides = [middle.at(0, 0, turn).at(right, out, 180) for turn in (0, 180) for right in (-aside, aside)]
    ends = [middle.at(0, 0, turn).at(0, end, 180) for turn in (90, -90)]
    return long_sides + (ends if length >= 1.55 else [])


def _can_sit_down(setting: Setting, table: PlacedPiece) -> bool:
    """Say whether there is floor behind the chairs of both long sides."""
    width, height, depth = table.size
    around = table.model_copy(update={"size": (width, height, depth + 2 * PULL_OUT)})
    return setting.has_walking_floor(around)


def _rug(setting: Setting, selection: Selection, at: Place, middle: Pose) -> Setting | None:
    rug = selection.look(Slot.RUG)
    if rug is None:
        return None
    for over in (RUG_OVER, 0.5):
        look = sized(rug, width=at.look.size[0] + 2 * over, depth=at.look.size[2] + 2 * over)
        if (laid := setting.lay(place("rug", look, middle))) is not None:
            return laid
    return None


def _in_the_open(setting: Setting, middle: Pose) -> float:
    """Return 0..1, how far the table is from everything."""
    return min(setting.free_around(middle) / 2, 1.0)
