"""Furnishes a child's room: a bed at the wall, a round rug with toys, a toy shelf, a teepee."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain

from listing_media_dagster.staging.kits import Look, Slot
from listing_media_dagster.staging.layouts import on_top
from listing_media_dagster.staging.layouts.around import add_along_wall, add_art_above, add_beside
from listing_media_dagster.staging.layouts.main_piece import Place, best_places, places_along_walls
from listing_media_dagster.staging.layouts.selection import Selection, sized
from listing_media_dagster.staging.layouts.setting import Pose, Setting, place, pose_of
from listing_media_dagster.staging.layouts.variants import NoSpace, Variant, take
from listing_media_dagster.staging.layouts.walls import best_along_walls, corner_closeness, facing_viewer

BESIDE = 0.05
HEAD_NEAR = 1.2  # what a head end turned to the viewer costs


def furnish_childrens_room(setting: Setting, selection: Selection, seed: int) -> Setting:
    """Return the room with a child's furniture. Raises NoSpace."""
    bed = selection.look(Slot.BED)
    if bed is None:
        raise NoSpace(f"the kit {selection.kit.id} has no bed for a child")
    places = chain(places_along_walls(setting, [bed], least_facing=0.0), _lengthwise(setting, bed))
    found = best_places(places, lambda at: _bed(setting, at) is not None, 5)
    variants = [variant for at in found if (variant := _sleeping_place(setting, selection, at)) is not None]
    if not variants:
        raise NoSpace("no child's bed fits at a wall that is seen")
    furnished = take(variants, seed)
    furnished = add_art_above(furnished, selection, "bed", (0.9, 0.7, 0.5))
    furnished = add_along_wall(furnished, selection, Slot.TOY_SHELF, over=Slot.ART)
    furnished = _teepee(furnished, selection)
    furnished = add_beside(furnished, selection, Slot.BASKET, "toy shelf")
    furnished = _toys_on_rug(furnished, selection)
    return on_top.dress_childrens_room(furnished, selection)


def _lengthwise(setting: Setting, bed: Look) -> Iterator[Place]:
    """Yield places for a bed with its long side at the wall, its head to the left or the right."""
    side_on = replace(bed, size=(bed.size[2], bed.size[1], bed.size[0]))
    for at in places_along_walls(setting, [side_on], least_facing=0.1):
        for turn in (90, -90):
            middle = at.pose.at(0, side_on.size[2] / 2, turn)
            # Its head is the high end: away from the viewer it hides nothing of the bed.
            away = min(0.0, facing_viewer(middle))
            yield Place(round(at.score + 0.1 + HEAD_NEAR * away, 6), middle.at(0, -bed.size[2] / 2), bed, 0)


def _bed(setting: Setting, at: Place) -> Setting | None:
    return setting.stand(place("bed", at.look, at.pose.at(0, at.look.size[2] / 2)))


def _sleeping_place(setting: Setting, selection: Selection, at: Place) -> Variant | None:
    """Return the bed with a nightstand at its head and the round rug beside it."""
    furnished = _bed(setting, at)
    if furnished is None:
        return None
    score = at.score
    stand = selection.look(Slot.NIGHTSTAND)
    for side in (-1, 1):
        if stand is None:
            break
        aside = side * (at.look.size[0] / 2 + BESIDE + stand.size[0] / 2)
        with_stand = furnished.stand(place("nightstand", stand, at.pose.at(aside, stand.size[2] / 2)))
        if with_stand is not None:
            furnished, score = with_stand, score + 0.2
            break
    with_rug = _rug(furnished, selection, at)
    return Variant(round(score + (0.4 if with_rug else 0.0), 6), with_rug or furnished, at.pose)


def _rug(setting: Setting, selection: Selection, at: Place) -> Setting | None:
    """Lay the rug on the free side of the bed, or at its foot."""
    rug = selection.look(Slot.RUG)
    if rug is None:
        return None
    for across in (1.9, 1.6, 1.3):
        look = sized(rug, width=across, depth=across)
        aside = at.look.size[0] / 2 + look.size[0] / 2 + 0.15
        beside = [at.pose.at(side * aside, at.look.size[2] * 0.6) for side in (-1, 1)]
        for pose in (*beside, at.pose.at(0, at.look.size[2] + look.size[2] / 2 + 0.15)):
            rug_piece = place("rug", look, Pose(pose.x, pose.z, 0.0))
            if setting.has_walking_floor(rug_piece) and (laid := setting.lay(rug_piece)) is not None:
                return laid
    return None


def _teepee(setting: Setting, selection: Selection) -> Setting:
    look = selection.look(Slot.TEEPEE)
    if look is None:
        return setting
    found = best_along_walls(
        setting, "teepee", look, 0.1, lambda room, piece, wall: 0.2 + corner_closeness(room.plan, piece)
    )
    return found[0] if found else setting


def _toys_on_rug(setting: Setting, selection: Selection) -> Setting:
    """Leave a toy or two on the rug."""
    rug = setting.named("rug")
    for number, (right, out, turn) in enumerate(((-0.3, 0.15, 25), (0.3, -0.2, -35)) if rug else ()):
        toy = selection.look(Slot.TOY, number)
        if toy is not None and rug is not None:
            pose = pose_of(rug).at(right * rug.size[0] / 2, out * rug.size[2] / 2, turn)
            setting = setting.stand(place(f"toy {number + 1}", toy, pose)) or setting
    return setting
