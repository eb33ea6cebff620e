"""Windows, doors and passages: what is framed on a wall, found on the wall as seen from the front."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from listing_media_dagster.staging.doorframes import Gradient, faint_doors, framed_sides
from listing_media_dagster.staging.flat_wall import Flat, opening_in, slopes
from listing_media_dagster.staging.glazing import Framed, joined_panes
from listing_media_dagster.staging.room import Opening, PhotoCamera, Wall

SKIRTING, CORNICE = 0.16, 0.1  # camera heights left out at the wall's foot and top
FRAME = 0.06  # camera heights that edges are joined over
EDGE = 2.2  # change of colour for each px of what frames a window
NICHE_EDGE = 1.8
NICHE = (0.2, 0.7)  # camera heights: a niche's smaller side at least, its larger one at most
NICHE_MARGIN = 0.06  # camera heights of wall on all its sides
NICHE_AT = (0.45, 0.95, 1.6)  # camera heights: its sill at least, its head
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


def find_openings(flat: Flat, gradient: Gradient, wall: Wall, camera: PhotoCamera) -> tuple[Opening, ...]:
    """Return what is framed on the wall, left to right along it, with the passages that the wall is known to have.

    `flat` is the wall as seen from the front, `gradient` how its colour changes.
    """
    height = camera.height
    across, down = slopes(flat)
    known = [passage.span for passage in wall.openings]
    for span in known:
        _forget(flat, span, across, down)
    found, as_high_or_bright = _doors(flat, gradient, across, down, height)
    found += [each for each in _windows(flat, across, down, height) if not _meets_any(each.span, known)]
    for left, right, top in as_high_or_bright:
        # As high as the room: curtains where a window was found between them, else a wardrobe, to be left in sight.
        # As bright as the day: the frame round a window that was found in it, else glass down to the floor.
        span = flat.along(left, right)
        if not _meets_any(span, [each.span for each in found if each.kind == "window"]):
            found.append(Framed("window", span, 0.0, flat.level(top)))
    found = _with_faint_doors(found, flat, gradient, height, known)
    taken = [*known, *(each.span for each in found)]
    found += [each for each in _niches(flat, np.hypot(across, down), height) if not _meets_any(each.span, taken)]
    openings = [*wall.openings, *(opening_in(framed, wall, camera) for framed in joined_panes(found, height))]
    return tuple(sorted(openings, key=lambda opening: opening.span))


def _forget(flat: Flat, span: tuple[float, float], across: NDArray[np.float32], down: NDArray[np.float32]) -> None:
    """Take what lies within `span` m of the wall out of its slopes."""
    left, right = (int((at - flat.left) / flat.metres) for at in span)
    for slope in (across, down):
        slope[:, max(0, left - 2) : right + 3] = 0


def _doors(
    flat: Flat, gradient: Gradient, across: NDArray[np.float32], down: NDArray[np.float32], height: float
) -> tuple[list[Framed], list[tuple[int, int, int]]]:
    """Return doors and passages, taken out of the slopes; and (left, right, top) px of what is too high or bright."""
    found: list[Framed] = []
    as_high_or_bright = []
    for left, right, top in _doorways(flat, across, down, height):
        kind: Literal["door", "passage"] = "door" if (right - left) * flat.metres < WIDEST_DOOR * height else "passage"
        glaring = kind == "passage" and _blown_out(flat)[top:, left:right].mean() > GLARING
        if glaring or flat.level(top) > flat.top - UNDER_CEILING * height:
            as_high_or_bright.append((left, right, top))
            continue
        sides = framed_sides(gradient, left, right, top, height / flat.metres)
        found.append(Framed(kind, flat.along(*sides), 0.0, flat.level(top)))
        across[:, left:right], down[:, left:right] = 0, 0
    return found, as_high_or_bright


def _windows(flat: Flat, across: NDArray[np.float32], down: NDArray[np.float32], height: float) -> list[Framed]:
    """Return windows with their sills, and niches as large as one."""
    found = []
    framed = _framed_boxes(flat, np.hypot(across, down), height)
    blown_out = [box for box in _blown_out_boxes(flat, height) if not any(_overlap(box, other) for other in framed)]
    for left, top, right, bottom in (*framed, *blown_out):
        if right - left < WHOLE_WALL * flat.lab.shape[1]:
            bottom = min(bottom, _sill(flat, down, left, right, height) or bottom)
        head, sill = flat.level(top), flat.level(bottom)
        if head > 1.05 * height and head - sill > 0.4 * height:
            recess = _is_recess(flat, (left, top, right, bottom), height)
            found.append(Framed("niche" if recess else "window", flat.along(left, right), max(0.0, sill), head))
    return found


def _with_faint_doors(
    found: Sequence[Framed], flat: Flat, gradient: Gradient, height: float, known: Sequence[tuple[float, float]]
) -> list[Framed]:
    """Return what was found, and doors with faint edges beside it; of a double door's leaves the whole door."""
    for left, right, top in faint_doors(flat, gradient, height):
        span = flat.along(*framed_sides(gradient, left, right, top, height / flat.metres))
        leaves = [each for each in found if each.kind == "door" and _holds(span, each.span)]
        rest = [each for each in found if each not in leaves]
        if not _meets_any(span, [*known, *(each.span for each in rest)]):
            found = [*rest, Framed("door", span, 0.0, flat.level(top))]
    return list(found)


def _holds(whole: tuple[float, float], part: tuple[float, float]) -> bool:
    """Say whether a part lies in a whole that is clearly wider."""
    shared = min(whole[1], part[1]) - max(whole[0], part[0])
    return shared > 0.7 * (part[1] - part[0]) and whole[1] - whole[0] > 1.3 * (part[1] - part[0])


def _meets_any(span: tuple[float, float], others: Sequence[tuple[float, float]]) -> bool:
    return any(span[0] < other[1] and other[0] < span[1] for other in others)


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
    whole = np.flatnonzero(strong.mean(axis=1) > 0.88)
    if len(whole) == 0:
        return None
    sill = first + int(whole[-1])
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


def _is_plain_wall(flat: Flat, left: int, right: int) -> bool:
    """Say whether what lies between two columns looks like the rest of the wall."""
    outside = np.r_[0:left, right : flat.lab.shape[1]]
    if len(outside) < 0.15 * flat.lab.shape[1]:
        return False
    inner, outer = (np.median(flat.lab[::4, part].reshape(-1, 3), axis=0) for part in (np.arange(left, right), outside))
    return float(np.linalg.norm(inner - outer)) < PLAIN


def _niches(flat: Flat, slope: NDArray[np.float32], height: float) -> list[Framed]:
    """What is small, framed and at breast height on the wall: a niche, a serving hatch, a picture that hangs there."""
    found = []
    for left, top, right, bottom in _framed_boxes(flat, slope, height, NICHE_EDGE, NICHE[0]):
        head, sill = flat.level(top) / height, flat.level(bottom) / height
        small = max(right - left, bottom - top) * flat.metres < NICHE[1] * height
        margin = int(NICHE_MARGIN * height / flat.metres)
        around = flat.seen[max(0, top - margin) : bottom + margin, max(0, left - margin) : right + margin]
        free = left > margin and right < flat.lab.shape[1] - margin and bool(around.all())
        if small and free and NICHE_AT[0] < sill and NICHE_AT[1] < head < NICHE_AT[2]:
            found.append(Framed("niche", flat.along(left, right), sill * height, head * height))
    return found


def _is_recess(flat: Flat, box: tuple[int, int, int, int], height: float) -> bool:
    """Say whether a box is as small and high up as a niche and no brighter than its wall, as no window by day is."""
    left, top, right, bottom = box
    if max(right - left, bottom - top) * flat.metres > NICHE[1] * height or flat.level(bottom) < NICHE_AT[0] * height:
        return False
    inner = np.median(flat.lab[top:bottom, left:right, 0])
    return bool(inner < np.median(flat.lab[..., 0][flat.seen]) + ABOVE_THE_WALL)


def _framed_boxes(
    flat: Flat, slope: NDArray[np.float32], height: float, least: float = EDGE, smallest: float = SMALLEST
) -> list[tuple[int, int, int, int]]:
    """Bounding boxes (left, top, right, bottom) px of what edges enclose or fill, apart from skirting and cornice."""
    edges = (slope > least).astype(np.uint8)
    edges[: int(CORNICE * height / flat.metres)] = 0
    edges[len(edges) - int(SKIRTING * height / flat.metres) :] = 0
    reach = max(3, int(FRAME * height / flat.metres)) | 1
    joined = cv2.morphologyEx(edges, cv2.MORPH_CLOSE, np.ones((reach, reach), np.uint8))
    outlines, _ = cv2.findContours(joined, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    blocks = cv2.drawContours(np.zeros_like(joined), outlines, -1, 1, cv2.FILLED)
    stroke = max(3, int(STROKE * height / flat.metres)) | 1
    blocks = cv2.morphologyEx(blocks, cv2.MORPH_OPEN, np.ones((stroke, stroke), np.uint8))
    return _boxes_round(np.asarray(blocks, np.uint8), smallest * height / flat.metres, 0.5)


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
