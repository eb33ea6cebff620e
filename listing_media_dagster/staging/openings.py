"""Windows, doors and passages: what is framed on a wall, found on the wall as seen from the front."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from listing_media_dagster.staging.room import Opening, PhotoCamera, Wall

Floats = NDArray[np.float64]

PX_PER_HEIGHT = 60.0  # px of the flattened wall for each camera height
LARGEST_WALL = 900  # px along
SKIRTING, CORNICE = 0.16, 0.1  # camera heights left out at the wall's foot and top
FRAME = 0.06  # camera heights that edges are joined over
SMALLEST = 0.3  # camera heights of the smaller side
HEAD = (1.25, 1.85)  # camera heights of a door's top, for a camera 1.1 to 1.65 m up


@dataclass(frozen=True)
class Flat:
    """A wall seen from the front: L*a*b* (h, w, 3), row 0 at `top` m, column 0 at `left` m, `metres` a pixel."""

    lab: NDArray[np.float32]
    seen: NDArray[np.bool_]
    left: float
    top: float
    metres: float


def find_openings(
    lab: NDArray[np.float32], scale: float, wall: Wall, camera: PhotoCamera, ceiling: float | None
) -> tuple[Opening, ...]:
    """Return what is framed on the wall, left to right along it. lab (h, w, 3): the photo reduced by `scale`."""
    flat = flatten_wall(lab, scale, wall, camera, ceiling or 2.0 * camera.height)
    if flat is None:
        return ()
    height = camera.height
    found = []
    for left, top, right, bottom in _framed_boxes(flat, height):
        span = (flat.left + left * flat.metres, flat.left + right * flat.metres)
        head, foot = flat.top - top * flat.metres, flat.top - bottom * flat.metres
        wide = span[1] - span[0]
        if foot < 1.6 * SKIRTING * height:
            if not (HEAD[0] < head / height < 2.0 and wide > 0.35 * height):
                continue
            kind: Literal["window", "door", "passage"] = "door" if wide < 0.85 * height else "passage"
            foot = 0.0
        elif head > 1.05 * height and head - foot > 0.4 * height and wide > 0.3 * height:
            kind = "window"
        else:
            continue
        found.append(_opening(kind, wall, camera, span, foot, head))
    return tuple(sorted(found, key=lambda opening: opening.span))


def flatten_wall(
    lab: NDArray[np.float32], scale: float, wall: Wall, camera: PhotoCamera, ceiling: float
) -> Flat | None:
    """Return the wall as seen from the front, from floor to ceiling; None if too little of it is in the picture."""
    metres = camera.height / PX_PER_HEIGHT
    columns = min(LARGEST_WALL, int((wall.span[1] - wall.span[0]) / metres))
    rows = int(ceiling / metres)
    if columns < 12 or rows < 12:
        return None
    along = wall.span[0] + (np.arange(columns) + 0.5) * metres
    level = ceiling - (np.arange(rows) + 0.5) * metres
    spread, rise = np.meshgrid(along, level)
    plane = np.full(spread.size, wall.offset)
    points = (plane, rise.ravel(), spread.ravel()) if wall.axis == "x" else (spread.ravel(), rise.ravel(), plane)
    pixels = camera.project(np.column_stack(points)) * scale - 0.5
    x, y = (np.nan_to_num(pixels[:, i], nan=-9.0).reshape(rows, columns).astype(np.float32) for i in (0, 1))
    seen = (x >= 0) & (y >= 0) & (x <= lab.shape[1] - 1) & (y <= lab.shape[0] - 1)
    picture = cv2.remap(lab, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return Flat(np.asarray(picture, np.float32), np.asarray(seen), float(wall.span[0]), ceiling, metres)


def _framed_boxes(flat: Flat, height: float) -> list[tuple[int, int, int, int]]:
    """Bounding boxes (left, top, right, bottom) px of what edges enclose or fill, apart from skirting and cornice."""
    smooth = cv2.GaussianBlur(flat.lab, (0, 0), 1.0)
    slopes = [cv2.Scharr(smooth, cv2.CV_32F, *axis) / 16 for axis in ((1, 0), (0, 1))]
    strong = np.hypot(np.linalg.norm(slopes[0], axis=2), np.linalg.norm(slopes[1], axis=2)) > 2.2
    border = cv2.erode(flat.seen.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    edges = (strong & border).astype(np.uint8)
    edges[: int(CORNICE * height / flat.metres)] = 0
    edges[len(edges) - int(SKIRTING * height / flat.metres) :] = 0
    reach = max(3, int(FRAME * height / flat.metres)) | 1
    joined = cv2.morphologyEx(edges, cv2.MORPH_CLOSE, np.ones((reach, reach), np.uint8))
    outlines, _ = cv2.findContours(joined, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    boxes = []
    for outline in outlines:
        x, y, wide, high = cv2.boundingRect(outline)
        full = cv2.contourArea(outline) / max(1, wide * high)
        if min(wide, high) > SMALLEST * height / flat.metres and full > 0.5:
            boxes.append((x, y, x + wide, y + high))
    return boxes


def _opening(
    kind: Literal["window", "door", "passage"],
    wall: Wall,
    camera: PhotoCamera,
    span: tuple[float, float],
    bottom: float,
    top: float,
) -> Opening:
    corners = np.array([[a, b] for a, b in ((span[0], bottom), (span[1], bottom), (span[1], top), (span[0], top))])
    plane = np.full(4, wall.offset)
    points = (plane, corners[:, 1], corners[:, 0]) if wall.axis == "x" else (corners[:, 0], corners[:, 1], plane)
    outline = np.nan_to_num(camera.project(np.column_stack(points)), nan=0.0)
    return Opening(kind, outline, span, bottom, top)
