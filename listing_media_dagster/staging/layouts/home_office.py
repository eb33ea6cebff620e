"""Furnishes a home office: a desk at a wall or facing the viewer, its chair, a bookcase, a rug, a plant."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain

from listing_media_dagster.staging.kits import Slot
from listing_media_dagster.staging.layouts import on_top
from listing_media_dagster.staging.layouts.around import add_along_wall, add_art_above, add_plant
from listing_media_dagster.staging.layouts.main_piece import Place, best_places, places_along_walls, places_on_floor
from listing_media_dagster.staging.layouts.selection import Selection, sized
from listing_media_dagster.staging.layouts.setting import Setting, place, pose_of
from listing_media_dagster.staging.layouts.variants import NoSpace, Variant, take

WIDTHS = (1.6, 1.4, 1.2)
RUG_ASIDE = (0.0, -0.3, 0.3, -0.6, 0.6)  # m to the desk's right, for desks in a corner
CHAIR_TUCKED = 0.22  # m of the chair under the desk


def furnish_home_office(setting: Setting, selection: Selection, seed: int) -> Setting:
    """Return the room with a home office's furniture. Raises NoSpace."""
    desk = selection.look(Slot.DESK)
    if desk is None:
        raise NoSpace(f"the kit {selection.kit.id} has no desk")
    desks = [sized(desk, width=width) for width in WIDTHS]
    places = chain(
        places_along_walls(setting, desks, least_facing=0.0),
        # Facing the viewer, one sits behind the desk: it shows its back.
        (_turned_round(at) for at in places_on_floor(setting, desks, (0.0, 90.0, -90.0), least_facing=0.5)),
    )
    found = best_places(places, lambda at: _desk(setting, selection, at) is not None, 5)
    variants = [variant for at in found if (variant := _working_place(setting, selection, at)) is not None]
    if not variants:
        raise NoSpace("no desk with a chair fits on the floor that is seen")
    furnished = take(variants, seed)
    furnished = add_art_above(furnished, selection, "desk", (0.7, 0.6, 0.5))
    furnished = add_along_wall(furnished, selection, Slot.BOOKCASE)
    furnished = add_along_wall(furnished, selection, Slot.SIDEBOARD, over=Slot.ART)
    furnished = add_along_wall(furnished, selection, Slot.ARMCHAIR)
    furnished = add_plant(furnished, selection)
    return on_top.dress_home_office(furnished, selection)


def _turned_round(at: Place) -> Place:
    return replace(at, pose=at.pose.at(0, at.look.size[2], 180))


def _desk(setting: Setting, selection: Selection, at: Place) -> Setting | None:
    """Return the room with the desk and its chair; the desk's front is where one sits."""
    chair = selection.look(Slot.OFFICE_CHAIR)
    desk = place("desk", at.look, at.pose.at(0, at.look.size[2] / 2))
    furnished = setting.stand(desk)
    if furnished is None or chair is None:
        return None
    pose = at.pose.at(0.06, at.look.size[2] - CHAIR_TUCKED + chair.size[2] / 2, 180 - 14)
    return furnished.stand(place("office chair", chair, pose), tucked_under=desk)


def _working_place(setting: Setting, selection: Selection, at: Place) -> Variant | None:
    furnished = _desk(setting, selection, at)
    if furnished is None:
        return None
    with_rug = _rug(furnished, selection, at)
    return Variant(round(at.score + (0.2 if with_rug else 0.0), 6), with_rug or furnished, at.pose)


def _rug(setting: Setting, selection: Selection, at: Place) -> Setting | None:
    rug, desk = selection.look(Slot.RUG), setting.named("desk")
    if rug is None or desk is None:
        return None
    for width, depth in ((2.6, 1.9), (2.2, 1.6), (1.8, 1.3)):
        look = sized(rug, width=width, depth=depth)
        for aside in RUG_ASIDE:
            pose = pose_of(desk).at(aside, 0.25 - at.look.size[2] / 2 + look.size[2] / 2)
            if (laid := setting.lay(place("rug", look, pose))) is not None:
                return laid
    return None
