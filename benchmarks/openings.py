"""What is found of the openings that were built into path-traced rooms, taken for something else, missed, invented."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.empty_rooms import EmptyRoom
from listing_media_dagster.listing import RoomType
from listing_media_dagster.staging.kits import load_kits
from listing_media_dagster.staging.layout import NoSpace, arrange
from listing_media_dagster.staging.layouts.setting import hull
from listing_media_dagster.staging.rendered import LEAST_CONFIDENCE
from listing_media_dagster.staging.room import RoomGeometry

Mask = NDArray[np.bool_]
SHOWN, LARGE_ENOUGH = 0.4, 0.004  # share of an opening that is in the picture, and of the picture that it takes
HIDDEN = 0.25
SAME, NONE = 0.4, 0.15  # IoU from which an opening is found, and up to which a find is invented


@dataclass(frozen=True)
class Seen:
    """An opening of `kind` as it fills the picture (H, W)."""

    kind: str
    where: Mask


def built_into(room: EmptyRoom) -> list[Seen]:
    """Return the openings that the photo of `room` shows well enough to be found."""
    camera = room.photo_camera()
    eye = np.array([room.camera.position[0], 0.0, room.camera.position[2]])
    seen = []
    for side, openings in room.openings.items():
        for kind, (left, bottom, right, top) in openings:
            along, up = np.meshgrid(np.linspace(left, right, 120), np.linspace(bottom, top, 120))
            across = np.full(along.size, room.size[0] if side == "east" else 0.0)
            columns = (along.ravel(), up.ravel(), across) if side == "north" else (across, up.ravel(), along.ravel())
            pixels = camera.project(np.column_stack(columns) - eye)
            inside = np.isfinite(pixels).all(1) & (pixels >= 0).all(1) & (pixels < camera.size).all(1)
            where = np.zeros((camera.size[1], camera.size[0]), np.uint8)
            for x, y in pixels[inside].astype(int):
                where[y, x] = 1
            where = np.asarray(cv2.morphologyEx(where, cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8)), np.uint8)
            if inside.mean() > SHOWN and where.mean() > LARGE_ENOUGH:
                seen.append(Seen(kind, where > 0))
    return seen


def found_in(geometry: RoomGeometry) -> list[Seen]:
    """Return the openings that were found."""
    width, height = geometry.camera.size
    found = []
    for opening in (opening for wall in geometry.walls for opening in wall.openings):
        where = np.zeros((height, width), np.uint8)
        cv2.fillPoly(where, [np.round(np.clip(opening.outline, -1e4, 1e4)).astype(np.int32)], 1)
        found.append(Seen(opening.kind, where > 0))
    return found


def half_walls_in(room: EmptyRoom) -> list[Mask]:
    """Return where (H, W) the photo of `room` shows its half walls."""
    camera = room.photo_camera()
    eye = np.array([room.camera.position[0], 0.0, room.camera.position[2]])
    shown = []
    for low, high in room.blocks:
        corners = np.array([(x, y, z) for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (low[2], high[2])])
        outline = cv2.convexHull(camera.project(corners - eye).astype(np.float32)).round().astype(np.int32)
        where = np.zeros((camera.size[1], camera.size[0]), np.uint8)
        cv2.fillConvexPoly(where, outline, 1)
        if where.mean() > LARGE_ENOUGH:
            shown.append(where > 0)
    return shown


def ways_hidden(built: Sequence[Seen], geometry: RoomGeometry, pieces_seed: int) -> list[bool]:
    """Furnish a living room and return for each door and passage whether furniture hides `HIDDEN` of it or more.

    Boxes are counted, which are larger than the furniture in them. Nothing where nothing is furnished.
    """
    if geometry.confidence < LEAST_CONFIDENCE:
        return []
    try:
        furnished = arrange(geometry, load_kits()["modern"], RoomType.LIVING_ROOM, 0, pieces_seed)
    except NoSpace:
        return []
    width, height = geometry.camera.size
    covered = np.zeros((height, width), np.uint8)
    for piece in furnished.pieces:
        if (around := hull(geometry.camera, piece)) is not None:
            cv2.fillConvexPoly(covered, np.round(around).astype(np.int32), 1)
    ways = [each.where for each in built if each.kind in ("door", "passage")]
    return [bool(covered[where].mean() >= HIDDEN) for where in ways]


def compared(built: Sequence[Seen], found: Sequence[Seen]) -> list[tuple[str, str]]:
    """Return (kind as built, kind as found) of each; "missed" was found as none, "nothing" stands for none built."""
    pairs = []
    for true in built:
        best = max(found, key=lambda each: _overlap(true.where, each.where), default=None)
        close = best is not None and _overlap(true.where, best.where) >= SAME
        pairs.append((true.kind, best.kind if best is not None and close else "missed"))
    invented = (each for each in found if all(_overlap(true.where, each.where) <= NONE for true in built))
    return pairs + [("nothing", each.kind) for each in invented if each.where.any()]


def confusion(pairs: Sequence[tuple[str, str]]) -> dict[str, dict[str, int]]:
    """Return for each kind as built how often it was found as which."""
    table: dict[str, dict[str, int]] = {}
    for built, found in sorted(pairs):
        row = table.setdefault(built, {})
        row[found] = row.get(found, 0) + 1
    return table


def _overlap(one: Mask, other: Mask) -> float:
    """IoU of two places."""
    either = (one | other).sum()
    return float((one & other).sum() / either) if either else 0.0


def summary(pairs: Sequence[tuple[str, str]], hidden: Sequence[bool], rooms: int) -> dict[str, Any]:
    """Return the confusion, what is invented a room, and how much of what is walked through is found, is hidden."""
    walked = [found for built, found in pairs if built in ("door", "passage")]
    invented = [found for built, found in pairs if built == "nothing"]
    return {
        "rooms": rooms,
        "confusion": confusion(pairs),
        "walked_through_found": f"{sum(found in ('door', 'passage') for found in walked)} of {len(walked)}",
        "kept_free": f"{sum(found != 'missed' for found in walked)} of {len(walked)}",
        "hidden_by_furniture": f"{sum(hidden)} of {len(hidden)} in furnished rooms",
        "invented_a_room": round(len(invented) / max(1, rooms), 2),
    }
