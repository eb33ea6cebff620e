"""Windows, doors and passages: what is framed on a wall, found on the wall as seen from the front."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from listing_media_dagster.staging.glazing import Framed, joined_panes
from listing_media_dagster.staging.room import Opening, PhotoCamera, Wall

PX_PER_HEIGHT = 60.0  # px of the flattened wall for each camera height
LARGEST_WALL = 900  # px along
SKIRTING, CORNICE = 0.16, 0.1  # camera heights left out at the wall's foot and top
FRAME = 0.06  # camera heights that edges are joined over
SMALLEST = 0.3  # camera heights of the smaller side
WHOLE_WALL = 0.95  # of a wall's width: more than that is no window but another room, or one to be left free
HEAD = (1.22, 1.78)  # camera heights of a door's top, for a camera 1.15 to 1.7 m up
PLAIN = 6.0  # difference of colour in L*a*b* under which two parts of a wall are alike
JAMB = 1.6
NARROWEST_DOOR, WIDEST_DOOR, WIDEST_PASSAGE = 0.42, 0.8, 1.8  # camera heights
UNDER_CEILING = 0.06  # camera heights: what ends nearer to the ceiling is a built-in or a curtain, no doorway
SILL = (0.25, 0.9)  # camera heights of a window's sill
SILL_EDGE = 3.0  # change of colour for each px
LIKE_THE_WALL = 14.0  # difference in L*a*b* of what is under a sill from the wall beside it
STROKE = 0.16  # camera heights: narrower edges at a window are curtains, rods and seams
PANE = 0.5  # camera heights: the lowest pane that light alone gives away
GLARING = 0.35  # share of a passage that shows nothing but light: next door's rooms are dimmer
BLOWN_OUT, ABOVE_THE_WALL = 99.0, 5.0  # L* of a pane that shows nothing but light, and how far the wall stays under it


@dataclass(frozen=True)
class Flat:
    """A wall seen from the front: L*a*b* (h, w, 3), row 0 at `top` m, column 0 at `left` m, `metres` a pixel."""

    lab: NDArray[np.float32]
    seen: NDArray[np.bool_]
    left: float
    top: float
    metres: float

    def along(self, first: int, last: int) -> tuple[float, float]:
        return self.left + first * self.metres, self.left + last * self.metres

    def level(self, row: int) -> float:
        return self.top - row * self.metres


def find_openings(
    lab: NDArray[np.float32], scale: float, wall: Wall, camera: PhotoCamera, ceiling: float | None
) -> tuple[Opening, ...]:
    """Return what is framed on the wall, left to right along it. lab (h, w, 3): the photo reduced by `scale`."""
    height = camera.height
    flat = flatten_wall(lab, scale, wall, camera, ceiling or 2.0 * height)
    if flat is None:
        return ()
    found: list[Framed] = []
    wide = []
    across, down = slopes(flat)
    for left, right, top in _doorways(flat, across, down, height):
        kind: Literal["door", "passage"] = "door" if (right - left) * flat.metres < WIDEST_DOOR * height else "passage"
        glaring = kind == "passage" and _blown_out(flat)[top:, left:right].mean() > GLARING
        if glaring or flat.level(top) > flat.top - UNDER_CEILING * height:
            wide.append((left, right, top))
            continue
        found.append(Framed(kind, flat.along(left, right), 0.0, flat.level(top)))
        across[:, left:right], down[:, left:right] = 0, 0
    windows = []
    framed = _framed_boxes(flat, np.hypot(across, down), height)
    blown_out = [box for box in _blown_out_boxes(flat, height) if not any(_overlap(box, other) for other in framed)]
    for left, top, right, bottom in (*framed, *blown_out):
        if right - left < WHOLE_WALL * flat.lab.shape[1]:
            bottom = min(bottom, _sill(flat, down, left, right, height) or bottom)
        head, sill = flat.level(top), flat.level(bottom)
        if head > 1.05 * height and head - sill > 0.4 * height:
            windows.append((left, right))
            found.append(Framed("window", flat.along(left, right), max(0.0, sill), head))
    for left, right, top in wide:
        # As high as the room: curtains where a window was found between them, else a wardrobe, to be left in sight.
        # As bright as the day: the frame round a window that was found in it, else glass down to the floor.
        if all(last <= left or first >= right for first, last in windows):
            found.append(Framed("window", flat.along(left, right), 0.0, flat.level(top)))
    return tuple(_opening(framed, wall, camera) for framed in joined_panes(found, height))


def slopes(flat: Flat) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return how steeply the colour changes along the wall and down it, (h, w) per px; 0 out of the picture."""
    smooth = cv2.GaussianBlur(flat.lab, (0, 0), 0.8)
    inside = cv2.erode(flat.seen.astype(np.uint8), np.ones((5, 5), np.uint8)).astype(np.float32)
    across, down = (
        np.linalg.norm(cv2.Scharr(smooth, cv2.CV_32F, *axis) / 16, axis=2) * inside for axis in ((1, 0), (0, 1))
    )
    return np.asarray(across, np.float32), np.asarray(down, np.float32)


def _doorways(
    flat: Flat, across: NDArray[np.float32], down: NDArray[np.float32], height: float
) -> list[tuple[int, int, int]]:
    """Return (left, right, top) px of upright edges from the floor up with an edge that joins them at a door's height.

    Both jambs have to be there over their whole length, and no sill between them as over a radiator.
    """
    unit = height / flat.metres
    rows = len(across)
    low, breast = rows - int(SKIRTING * unit), rows - int(1.15 * unit)
    corner = 0.12 * unit  # the wall's own ends are upright edges too
    if breast < 0:
        return []
    upright = np.asarray(cv2.dilate((across > JAMB).astype(np.uint8), np.ones((1, 3), np.uint8)), np.uint8)
    jamb = upright[breast:low].mean(axis=0)
    peaks = [
        int(x)
        for x in np.flatnonzero(jamb > 0.75)
        if corner < x < len(jamb) - corner and jamb[x] == jamb[max(0, x - 2) : x + 3].max() and jamb[x - 1] < jamb[x]
    ]
    level = cv2.dilate((down > JAMB).astype(np.uint8), np.ones((3, 1), np.uint8))
    heads = slice(max(0, rows - int(HEAD[1] * unit)), rows - int(HEAD[0] * unit))
    found = []
    for first, left in enumerate(peaks):
        for right in peaks[first + 1 :]:
            if not NARROWEST_DOOR < (right - left) / unit < WIDEST_PASSAGE or heads.stop - heads.start < 3:
                continue
            joined = level[heads, left:right].mean(axis=1)
            top = heads.start + int(joined.argmax())
            if joined.max() < 0.7 and _reach_the_top(upright[:low], left, right):
                top = 0
            beside = min(upright[top + 2 : low, side - 1 : side + 2].max(axis=1).mean() for side in (left, right))
            wide = (right - left) / unit > WIDEST_DOOR
            if (joined.max() < 0.7 and top > 0) or beside < 0.75:
                continue
            if (wide or top == 0) and _is_plain_wall(flat, left, right):
                continue
            if _sill(flat, down, left, right, height) is None:
                found.append((joined.max() + beside + 0.1 * (right - left) / unit, left, right, top))
    chosen: list[tuple[int, int, int]] = []
    for _, left, right, top in sorted(found, reverse=True):
        if all(right <= other[0] or left >= other[1] for other in chosen):
            chosen.append((int(left), int(right), int(top)))
    return chosen


def _reach_the_top(upright: NDArray[np.uint8], left: int, right: int) -> bool:
    """Say whether two edges run up to the ceiling, as those of a wardrobe do."""
    return all(upright[2:, side - 1 : side + 2].max(axis=1).mean() > 0.9 for side in (left, right))


def _sill(flat: Flat, down: NDArray[np.float32], left: int, right: int, height: float) -> int | None:
    """Return the row of an edge all across, over something as pale or dark as the wall beside it; None if none is."""
    unit, rows = height / flat.metres, len(down)
    first, last = rows - int(SILL[1] * unit), rows - int(SILL[0] * unit)
    strong = cv2.dilate((down > SILL_EDGE).astype(np.uint8), np.ones((3, 1), np.uint8))[first:last, left:right]
    across = strong.mean(axis=1)
    if len(across) == 0 or across.max() < 0.88:
        return None
    sill = first + int(np.flatnonzero(across > 0.88)[-1])
    apron = slice(sill + 2, rows - int(SKIRTING * unit))
    margin = int(0.35 * unit)
    beside = np.r_[max(0, left - margin) : left, right : right + margin]
    beside = beside[beside < flat.lab.shape[1]]
    if apron.stop - apron.start < 3 or len(beside) < 3:
        return sill
    under, wall = (
        np.median(flat.lab[apron][:, part].reshape(-1, 3), axis=0) for part in (np.arange(left, right), beside)
    )
    return sill if float(np.linalg.norm(under - wall)) < LIKE_THE_WALL else None


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


def _is_plain_wall(flat: Flat, left: int, right: int) -> bool:
    """Say whether what lies between two columns looks like the rest of the wall."""
    outside = np.r_[0:left, right : flat.lab.shape[1]]
    if len(outside) < 0.15 * flat.lab.shape[1]:
        return False
    inner, outer = (np.median(flat.lab[:, part].reshape(-1, 3), axis=0) for part in (np.arange(left, right), outside))
    return float(np.linalg.norm(inner - outer)) < PLAIN


def _framed_boxes(flat: Flat, slope: NDArray[np.float32], height: float) -> list[tuple[int, int, int, int]]:
    """Bounding boxes (left, top, right, bottom) px of what edges enclose or fill, apart from skirting and cornice."""
    edges = (slope > 2.2).astype(np.uint8)
    edges[: int(CORNICE * height / flat.metres)] = 0
    edges[len(edges) - int(SKIRTING * height / flat.metres) :] = 0
    reach = max(3, int(FRAME * height / flat.metres)) | 1
    joined = cv2.morphologyEx(edges, cv2.MORPH_CLOSE, np.ones((reach, reach), np.uint8))
    outlines, _ = cv2.findContours(joined, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    blocks = cv2.drawContours(np.zeros_like(joined), outlines, -1, 1, cv2.FILLED)
    stroke = max(3, int(STROKE * height / flat.metres)) | 1
    blocks = cv2.morphologyEx(blocks, cv2.MORPH_OPEN, np.ones((stroke, stroke), np.uint8))
    return _boxes_round(np.asarray(blocks, np.uint8), SMALLEST * height / flat.metres, 0.5)


def _blown_out(flat: Flat) -> NDArray[np.bool_]:
    lightness = flat.lab[..., 0]
    return (lightness > max(BLOWN_OUT, float(np.median(lightness[flat.seen])) + ABOVE_THE_WALL)) & flat.seen


def _blown_out_boxes(flat: Flat, height: float) -> list[tuple[int, int, int, int]]:
    """Bounding boxes (left, top, right, bottom) px of panes so bright that they have no edges to be found by."""
    bright = _blown_out(flat)
    bright[len(bright) - int(SKIRTING * height / flat.metres) :] = False
    bars = max(3, int(FRAME * height / flat.metres)) | 1
    panes = cv2.morphologyEx(bright.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((bars, bars), np.uint8))
    upright = np.ones((int(PANE * height / flat.metres), 3), np.uint8)  # lower than that are lamps, before a pane too
    panes = cv2.morphologyEx(panes, cv2.MORPH_OPEN, upright)
    return _boxes_round(np.asarray(panes, np.uint8), SMALLEST * height / flat.metres, 0.6)


def _boxes_round(blocks: NDArray[np.uint8], smallest: float, fullness: float) -> list[tuple[int, int, int, int]]:
    """Bounding boxes (left, top, right, bottom) px of those blocks that are large and rectangular enough."""
    outlines, _ = cv2.findContours(blocks, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    boxes = []
    for outline in outlines:
        x, y, wide, high = cv2.boundingRect(outline)
        if min(wide, high) > smallest and cv2.contourArea(outline) / max(1, wide * high) > fullness:
            boxes.append((x, y, x + wide, y + high))
    return boxes


def _overlap(one: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _opening(framed: Framed, wall: Wall, camera: PhotoCamera) -> Opening:
    span, bottom, top = framed.span, framed.bottom, framed.top
    corners = np.array([[a, b] for a, b in ((span[0], bottom), (span[1], bottom), (span[1], top), (span[0], top))])
    plane = np.full(4, wall.offset)
    points = (plane, corners[:, 1], corners[:, 0]) if wall.axis == "x" else (corners[:, 0], corners[:, 1], plane)
    outline = np.nan_to_num(camera.project(np.column_stack(points)), nan=0.0)
    return Opening(framed.kind, outline, span, bottom, top)
