"""Furnishes a bedroom: the bed with its head at a wall, nightstands and lamps, a rug, a bench, a dresser."""

from __future__ import annotations

from listing_media_dagster.staging.kits import Look, Slot
from listing_media_dagster.staging.layouts import on_top
from listing_media_dagster.staging.layouts.around import add_along_wall, add_art_above, add_plant
from listing_media_dagster.staging.layouts.main_piece import SMALLER, Place, best_places, places_along_walls
from listing_media_dagster.staging.layouts.selection import Selection, sized
from listing_media_dagster.staging.layouts.setting import Setting, place
from listing_media_dagster.staging.layouts.variants import NoSpace, Variant, take

WIDTHS = (1.86, 1.66, 1.46)  # m: for mattresses of 1.8, 1.6 and 1.4 m
OVER_SILL = (0.12, 0.45, 0.8)  # m of a headboard over a window's sill: more only where nothing else fits
BESIDE = 0.04  # m between bed and nightstand
SHIFTS = (0.0, -0.12, 0.12, -0.24, 0.24)  # m along the wall
RUG_FROM = 0.75  # m from the headboard: the rug shows under the lower two thirds


def furnish_bedroom(setting: Setting, selection: Selection, seed: int) -> Setting:
    """Return the room with a bedroom's furniture. Raises NoSpace."""
    bed = selection.look(Slot.BED)
    if bed is None:
        raise NoSpace(f"the kit {selection.kit.id} has no bed")
    beds = [sized(bed, width=width) for width in WIDTHS]
    for over_sill in OVER_SILL:
        variants = _sleeping_places(setting, selection, beds, over_sill)
        if variants:
            break
    else:
        raise NoSpace("no bed fits with its head at a wall that is seen")
    furnished = take(variants, seed)
    furnished = add_art_above(furnished, selection, "bed", (0.7, 0.6, 0.5))
    furnished = add_along_wall(furnished, selection, Slot.DRESSER, over=Slot.MIRROR)
    furnished = add_along_wall(furnished, selection, Slot.ARMCHAIR)
    furnished = add_plant(furnished, selection)
    return on_top.dress_bedroom(furnished, selection)


def _sleeping_places(setting: Setting, selection: Selection, beds: list[Look], over_sill: float) -> list[Variant]:
    def works(at: Place) -> bool:
        return _bed(setting, at, over_sill) is not None

    found = []
    for size, bed in enumerate(beds):
        for best in best_places(places_along_walls(setting, [bed], least_facing=0.0), works, 3):
            beside = [_sleeping_place(setting, selection, at, over_sill) for at in _shifted(best, SMALLER * size)]
            found += [max((variant for variant in beside if variant), key=lambda variant: variant.score)]
    return found


def _shifted(at: Place, worse: float) -> list[Place]:
    """Return places beside `at`, where another nightstand may find room."""
    return [Place(at.score - worse - abs(aside), at.pose.at(aside, 0), at.look, at.size) for aside in SHIFTS]


def _bed(setting: Setting, at: Place, over_sill: float) -> Setting | None:
    return setting.stand(place("bed", at.look, at.pose.at(0, at.look.size[2] / 2)), over_sill=over_sill)


def _sleeping_place(setting: Setting, selection: Selection, at: Place, over_sill: float) -> Variant | None:
    """Return the bed with what belongs to it; a nightstand on each side counts most."""
    furnished = _bed(setting, at, over_sill)
    if furnished is None:
        return None
    score = at.score
    stand = selection.look(Slot.NIGHTSTAND)
    for name, side in (("left nightstand", -1), ("right nightstand", 1)):
        if stand is None:
            break
        aside = side * (at.look.size[0] / 2 + BESIDE + stand.size[0] / 2)
        with_stand = furnished.stand(place(name, stand, at.pose.at(aside, stand.size[2] / 2)))
        score += 0.3 if with_stand else 0.0
        furnished = with_stand or furnished
    bench = selection.look(Slot.BENCH)
    if bench is not None:
        bench = sized(bench, width=min(bench.size[0], at.look.size[0] - 0.2))
        pose = at.pose.at(0, at.look.size[2] + 0.06 + bench.size[2] / 2)
        furnished = furnished.stand(place("bench", bench, pose)) or furnished
    with_rug = _rug(furnished, selection, at)
    score += (0.2 if with_rug else 0.0) - 1.5 * max(0.0, furnished.coverage - 0.3)
    return Variant(round(score, 6), with_rug or furnished, at.pose)


def _rug(setting: Setting, selection: Selection, at: Place) -> Setting | None:
    rug = selection.look(Slot.RUG)
    if rug is None:
        return None
    for over in (0.65, 0.5, 0.35):
        look = sized(rug, width=at.look.size[0] + 2 * over, depth=at.look.size[2] - RUG_FROM + over)
        laid = setting.lay(place("rug", look, at.pose.at(0, RUG_FROM + look.size[2] / 2)))
        if laid is not None:
            return laid
    return None
