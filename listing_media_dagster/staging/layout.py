"""From a room, a kit and a seed to the pieces that furnish it: a pure function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from listing_media_dagster.listing import RoomType
from listing_media_dagster.staging.arrangement import Arrangement
from listing_media_dagster.staging.floor_plan import plan_floor
from listing_media_dagster.staging.furniture.designs import Design, library
from listing_media_dagster.staging.kits import BadKit, DesignKit, Furnishing, furnishing_of
from listing_media_dagster.staging.layouts.bedroom import furnish_bedroom
from listing_media_dagster.staging.layouts.childrens_room import furnish_childrens_room
from listing_media_dagster.staging.layouts.dining_room import furnish_dining_room
from listing_media_dagster.staging.layouts.home_office import furnish_home_office
from listing_media_dagster.staging.layouts.living_room import furnish_living_room
from listing_media_dagster.staging.layouts.on_top import on_the_pile
from listing_media_dagster.staging.layouts.selection import Selection, optional_left_out
from listing_media_dagster.staging.layouts.setting import Setting, begin
from listing_media_dagster.staging.layouts.variants import NoSpace
from listing_media_dagster.staging.layouts.ways import kept_clear
from listing_media_dagster.staging.room import PhotoCamera, RoomGeometry

__all__ = ["NoSpace", "arrange"]

SMALLEST_FLOOR = 3.0  # m² of visible floor below which nothing is staged

FURNISHERS: Mapping[Furnishing, Callable[[Setting, Selection, int], Setting]] = {
    Furnishing.LIVING_ROOM: furnish_living_room,
    Furnishing.BEDROOM: furnish_bedroom,
    Furnishing.DINING_ROOM: furnish_dining_room,
    Furnishing.HOME_OFFICE: furnish_home_office,
    Furnishing.CHILDRENS_ROOM: furnish_childrens_room,
}


def arrange(
    geometry: RoomGeometry,
    kit: DesignKit,
    room_type: RoomType,
    seed: int,
    pieces_seed: int,
    designs: Mapping[str, Design] | None = None,
) -> Arrangement:
    """Furnish the room that a photo shows, in metres.

    `seed` 0 is the best layout found, each next one another sensible layout; `pieces_seed` says which of the kit's
    designs and finishes are used, and stays the same for all photos of a room. `designs` default to the built-in
    furniture. Raises NoSpace where nothing sensible fits, BadKit for a room that kits don't furnish.
    """
    furnishing = furnishing_of(room_type)
    plan = plan_floor(geometry)
    if plan.area < SMALLEST_FLOOR:
        raise NoSpace(f"only {plan.area:.1f} m² of free floor is seen, {SMALLEST_FLOOR:.0f} m² are needed")
    if furnishing not in kit.rooms:
        raise BadKit(f"the design kit {kit.id} has no {furnishing.value}")
    left_out = optional_left_out(kit, furnishing, seed)
    selection = Selection(kit, furnishing, pieces_seed, library() if designs is None else designs, left_out)
    try:
        setting = FURNISHERS[furnishing](begin(geometry, kept_clear(plan)), selection, seed)
    except NoSpace:  # better near a casing than not at all; what is before the doors stays clear
        setting = FURNISHERS[furnishing](begin(geometry, plan), selection, seed)
    notes = () if furnishing.value == room_type.value else (f"{room_type.value} furnished as {furnishing.value}",)
    return Arrangement(
        kit=kit.id,
        room_type=room_type,
        seed=seed,
        pieces=on_the_pile(setting.pieces),
        notes=notes,
        camera=_camera_data(geometry.camera),
    )


def _camera_data(camera: PhotoCamera) -> dict[str, Any]:
    return {
        "size": list(camera.size),
        "focal_px": camera.focal_px,
        "centre": list(camera.centre),
        "axes": camera.axes.tolist(),
        "height": camera.height,
    }
