"""What of a photo no model may touch: architecture, from the room's geometry and, where there is one, a segmentation.

Classes are those of ADE20K's scene-parsing benchmark (150, counted from 0), as `models.model.Segmenter` gives them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from listing_media_dagster.staging.arrays import Mask
from listing_media_dagster.staging.room import RoomGeometry
from listing_media_dagster.staging.structure_measures import filled, grown

Classes = NDArray[np.uint8]

WALL, FLOOR, CEILING, WINDOW, DOOR, RUG = 0, 3, 5, 8, 14, 28
OPENINGS = frozenset({WINDOW, DOOR, 58, 63, 18})  # screen door, blind, curtain
BUILT_IN = frozenset(
    {10, 34, 37, 38, 40, 42, 44, 45, 47, 49, 50, 53, 59, 65, 70, 71, 73}  # cabinet, rock … stove, kitchen island
    | {77, 95, 99, 107, 118, 121, 124, 129, 133, 145, 146}  # bar, bannister … hood, shower, radiator
    | {82, 85, 134, 27}  # ceiling light, chandelier, sconce, mirror
)
ARCHITECTURE = frozenset({WALL, CEILING}) | OPENINGS | BUILT_IN
LOOSE: Mapping[int, str] = {
    **{41: "box", 55: "case", 67: "book", 81: "towel", 92: "clothes", 98: "bottle", 100: "poster", 108: "toy"},
    **{111: "barrel", 112: "basket", 115: "bag", 116: "scooter", 119: "ball", 120: "food", 125: "pot", 127: "bicycle"},
    **{131: "blanket", 137: "tray", 138: "bin", 142: "plate", 147: "glass"},
}
"""What lies about in a home that is lived in; furniture, plants, lamps and pictures stay."""

EDGE_PX = 0.003  # of the long side, to either side of a line at which surfaces meet
SILL_PX = 0.006  # of the long side, round an opening: its frame


def of_classes(classes: Classes, wanted: Collection[int]) -> Mask:
    """Return where one of the `wanted` classes is seen: (H, W)."""
    table = np.zeros(256, bool)
    table[list(wanted)] = True
    return np.asarray(table[classes])


def protected_regions(geometry: RoomGeometry, classes: Classes | None = None) -> Mask:
    """Return what of the photo is architecture (H, W): all but the floor, and the edges that the floor ends at.

    The geometry knows the floor, the openings and where walls meet; `classes` (H, W) add built-ins that stand on what
    the geometry took for floor.
    """
    height, width = geometry.floor.shape
    side = max(height, width)
    protected = ~geometry.floor
    edges = np.zeros((height, width), np.uint8)
    for x1, y1, x2, y2 in np.clip(np.array(geometry.wall_edges(), float).reshape(-1, 4), -1e4, 1e5):
        cv2.line(edges, (round(x1), round(y1)), (round(x2), round(y2)), 1, max(1, round(2 * EDGE_PX * side)))
    openings = np.zeros_like(protected)
    for wall in geometry.walls:
        for opening in wall.openings:
            if np.isfinite(opening.outline).all():
                openings |= filled(np.clip(opening.outline, -1e4, 1e5), openings.shape)
    protected |= edges.astype(bool) | grown(openings, SILL_PX * side)
    return protected if classes is None else protected | of_classes(classes, ARCHITECTURE)
