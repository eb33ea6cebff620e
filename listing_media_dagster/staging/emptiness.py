"""What is bare in a photo of a room: the floor before the camera, the walls that rise from it, planes without things.

Everything is measured on a copy of 480 px, in CIELAB scaled to the photo's own white, so that exposure counts little.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

_LONG_EDGE = 480
_FLOOR_EDGE = 240  # px, long edge of the copy on which the floor is cut out: boards and parquet blend there
_WHITE = 90.0  # L* of the photo's 90th percentile after scaling
_SMOOTH = 1.3  # colour change (CIELAB units a pixel) below which a surface is one plane
_STRONG = 2.5  # and above which something begins
_HORIZON = 0.45  # share of the height; photos of rooms are taken about level, the camera at chest height
# Heights above the floor line as shares of the camera's own height (1.2 to 1.5 m), which needs no focal length.
_SKIRTING, _EYE_LEVEL = 0.17, 1.1
_WORKTOP = (0.45, 0.85)
_CAMERA_HEIGHT = 1.4  # m
_VARIETY_EDGE = 640  # px, long edge of the copy on which colours and directions are counted
_OPENING = 0.12  # share of the width of doorways, through which floor is seen beyond the walls
_NEARER = 0.03  # share of the height
_CELLS = 24
_CEILING_ROWS = 6  # furniture stands in the lower three quarters of a photo
_CLEAR = 4.0  # change of 8-bit L* over a pixel that counts as an edge there


@dataclass(frozen=True)
class BareSurfaces:
    """The copy of a photo with what is bare in it, all (h, w): `lab` also has 3 channels, `edges` is change a pixel."""

    lab: Floats
    edges: Floats
    floor: Mask
    planes: Mask  # large smooth surfaces other than the floor: walls, ceiling, doors

    @property
    def floor_line(self) -> NDArray[np.intp]:
        """The row (w,) at which the floor ends in each column; h where a column shows none."""
        return np.asarray(np.where(self.floor.any(0), self.floor.argmax(0), self.floor.shape[0]), np.intp)


def find_bare_surfaces(rgb: Bytes) -> BareSurfaces:
    """Find the bare surfaces of `rgb` (uint8 (H, W, 3), sRGB), whatever it shows; without a floor its mask is empty."""
    lab = _scaled_to_white(_resized(rgb, _LONG_EDGE))
    edges = _change(lab)
    floor = _floor_in_front(rgb, edges.shape[:2])
    return BareSurfaces(lab, edges, floor, _large_planes(edges, floor))


def measure_bareness(bare: BareSurfaces) -> dict[str, float]:
    """Describe the surfaces in numbers.

    floor: its share of the frame. floor_breadth: m, the widest stretch of it in view.
    floor_at_eye_level: share of the columns where it rises to the horizon, as no floor does.
    outline: CIELAB units a pixel by which the floor ends.
    things_on_floor: share of the area below the floor line where something begins or ends.
    floor_corners: corners of the floor's outline; a bare floor has those of the room, things add theirs.
    before_walls: share of the columns where the floor ends nearer than beside them, at something that begins there.
    bare_walls: share of the columns where nothing begins between the skirting and eye level.
    worktops: share of the columns where something begins at the height of a worktop, a basin or a table.
    ceiling: share of the top of the frame that is plain.
    fine_lines: share of walls and ceiling crossed by thin straight lines, as joints of tiles and cabinet fronts are.
    """
    height = len(bare.floor)
    line = bare.floor_line
    has_floor = line < height - 2
    rows = np.arange(height)[:, None]
    below = cv2.erode((rows >= line).astype(np.uint8), np.ones((9, 9), np.uint8)).astype(bool)
    lowest = _lowest_things(bare.edges > _STRONG, line)
    return {
        "floor": float(bare.floor.mean()),
        "floor_breadth": _breadth_of_floor(bare.floor),
        "floor_at_eye_level": float((line < (_HORIZON + 0.05) * height).mean()),
        "outline": _contrast_of_outline(bare.edges, line),
        "things_on_floor": _share(bare.edges[below] > _STRONG),
        "floor_corners": float(_corners(bare.floor)),
        "before_walls": _before_walls(line, np.isfinite(lowest), height),
        "bare_walls": float((has_floor & np.isinf(lowest)).mean()),
        "worktops": float((has_floor & (lowest > _WORKTOP[0]) & (lowest < _WORKTOP[1])).mean()),
        "ceiling": _share(bare.edges[: round(0.12 * height)] < _SMOOTH),
        "fine_lines": _fine_lines(bare),
    }


def measure_variety(rgb: Bytes) -> float:
    """How many colours `rgb` (uint8 (H, W, 3), sRGB) has and in how many directions its edges run.

    0.3 to 0.7 in bare rooms, 0.8 to 1.5 in most furnished ones; it needs no floor to be found.
    """
    lab = np.asarray(cv2.cvtColor(_resized(rgb, _VARIETY_EDGE), cv2.COLOR_RGB2LAB), np.float32)
    return _number_of_colours(lab) / 360 + _share_of_busy_cells(lab[..., 0])


def _resized(rgb: Bytes, long_edge: int) -> Bytes:
    scale = long_edge / max(rgb.shape[:2])
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=way), np.uint8)


def _scaled_to_white(rgb: Bytes) -> Floats:
    lab = np.asarray(cv2.cvtColor(rgb.astype(np.float32) / 255, cv2.COLOR_RGB2LAB), np.float32)
    return lab * np.float32(_WHITE / max(30.0, float(np.percentile(lab[..., 0], 90))))


def _change(lab: Floats) -> Floats:
    """Change of colour a pixel, (h, w)."""
    calm = cv2.GaussianBlur(lab, (0, 0), 1.5)
    across, down = (cv2.Sobel(calm, cv2.CV_32F, dx, 1 - dx, scale=0.125) for dx in (1, 0))
    return np.asarray(np.sqrt((across**2 + down**2).sum(-1)), np.float32)


def _floor_in_front(rgb: Bytes, shape: tuple[int, ...]) -> Mask:
    """What looks like the ground before the camera and joins the bottom edge, bool `shape`, cut out by its colours.

    The middle of the bottom edge is taken for floor, the upper part of the frame for anything else; graph cuts between
    two mixtures of colours (GrabCut) find where the one ends. Boards, parquet, sun patches and reflections are colours
    of the same mixture, so they stay floor; furniture in the foreground is cut out with it, as one rugged thing.
    """
    calm = cv2.bilateralFilter(_resized(rgb, _FLOOR_EDGE), 5, 30, 5)
    height, width = calm.shape[:2]
    guess = np.full((height, width), cv2.GC_PR_BGD, np.uint8)
    guess[: int(0.42 * height)] = cv2.GC_BGD
    guess[int(0.78 * height) :] = cv2.GC_PR_FGD
    guess[int(0.93 * height) :, width // 4 : width * 3 // 4] = cv2.GC_FGD
    cv2.setRNGSeed(0)  # the mixtures start from k-means, which draws lots
    lab = cv2.cvtColor(calm, cv2.COLOR_RGB2LAB)
    cv2.grabCut(lab, guess, (0, 0, 0, 0), np.zeros((1, 65)), np.zeros((1, 65)), 4, cv2.GC_INIT_WITH_MASK)
    opened = cv2.morphologyEx(guess & 1, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    mask = np.asarray(cv2.resize(opened, shape[1::-1], interpolation=cv2.INTER_NEAREST), np.uint8)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask)
    large = [i for i in np.unique(labels[-3:]) if i and stats[i, cv2.CC_STAT_AREA] > 0.01 * mask.size]
    return np.isin(labels, large)


def _large_planes(edges: Floats, floor: Mask) -> Mask:
    smooth = cv2.erode(((edges < _SMOOTH) & ~floor).astype(np.uint8), np.ones((3, 3), np.uint8))
    _, labels, stats, _ = cv2.connectedComponentsWithStats(smooth, connectivity=4)
    large = [i for i in range(1, len(stats)) if stats[i, cv2.CC_STAT_AREA] > 0.015 * smooth.size]
    planes = cv2.dilate(np.isin(labels, large).astype(np.uint8), np.ones((5, 5), np.uint8))
    return planes.astype(bool) & ~floor


def _lowest_things(strong: Mask, line: NDArray[np.intp]) -> NDArray[np.float64]:
    """Height (w,) of the lowest thing above the skirting in each column, as share of the camera's height; inf if none.

    On an upright wall equal rows below the horizon are equal heights, so the row of the floor line gives the scale.
    """
    height = strong.shape[0]
    scale = np.maximum(line - _HORIZON * height, 0.08 * height)
    rows = np.arange(height)[:, None]
    within = (rows <= line - np.maximum(_SKIRTING * scale, 4)) & (rows >= line - _EYE_LEVEL * scale)
    things = strong & within
    lowest = height - 1 - things[::-1].argmax(0)
    return np.where(things.any(0), (line - lowest) / scale, np.inf)


def _corners(floor: Mask) -> int:
    contours, _ = cv2.findContours(floor.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not contours:
        return 0
    outline = max(contours, key=cv2.contourArea)
    return len(cv2.approxPolyDP(outline, 0.006 * float(np.hypot(*floor.shape)), True))


def _before_walls(line: NDArray[np.intp], things: Mask, height: int) -> float:
    """Share of the columns where a thing keeps the floor from reaching as far as a room's outline would, a convex one.

    What the floor shows beyond narrow openings, and what rises to the horizon, is no part of that outline.
    """
    shown = (line < height - 2) & (line > (_HORIZON + 0.08) * height)
    columns = np.flatnonzero(shown)
    if len(columns) < 20:
        return 0.0
    narrow = np.ones((1, round(_OPENING * len(line)) | 1), np.uint8)
    ends = cv2.morphologyEx(line[None].astype(np.float32), cv2.MORPH_CLOSE, narrow)[0]
    corners = [(columns[0], height), *zip(columns, ends[columns], strict=True), (columns[-1], height)]
    outline = np.zeros((height, len(line)), np.uint8)
    cv2.fillConvexPoly(outline, cv2.convexHull(np.array(corners, np.float32)).astype(np.int32), 1)
    nearer = ends - np.where(outline.any(0), outline.argmax(0), height)
    return _share(shown & things & (nearer > _NEARER * height))


def _fine_lines(bare: BareSurfaces) -> float:
    """Share of the planes that thin straight lines cross: joints of tiles and panels, too faint to bound a plane."""
    lightness = bare.lab[..., 0]
    detail = cv2.GaussianBlur(lightness, (0, 0), 0.6) - cv2.GaussianBlur(lightness, (0, 0), 2.5)
    strongest = np.zeros_like(detail)
    half = 13
    for turn in np.arange(9) * np.pi / 9:
        dx, dy = round(half * float(np.cos(turn))), round(half * float(np.sin(turn)))
        stroke = np.zeros((2 * half + 1, 2 * half + 1), np.float32)
        cv2.line(stroke, (half - dx, half - dy), (half + dx, half + dy), 1.0, 1)
        strongest = np.maximum(strongest, np.abs(cv2.filter2D(detail, -1, stroke / stroke.sum())))
    inside = cv2.erode(bare.planes.astype(np.uint8), np.ones((9, 9), np.uint8)).astype(bool)
    return _share(strongest[inside] > 0.8)


def _breadth_of_floor(floor: Mask) -> float:
    """Widest stretch of floor in metres, the camera being 1.4 m above it; too short where the frame cuts it off."""
    height = floor.shape[0]
    widest = 0.0
    for row in range(int((_HORIZON + 0.15) * height), height):
        turns = np.flatnonzero(np.diff(np.r_[False, floor[row], False].astype(np.int8)))
        if len(turns):
            widest = max(widest, float((turns[1::2] - turns[::2]).max()) / (row - _HORIZON * height))
    return _CAMERA_HEIGHT * widest


def _contrast_of_outline(edges: Floats, line: NDArray[np.intp]) -> float:
    """Median of the strongest change within 5 px of the floor line: small where nothing but shading ends the floor."""
    height = len(edges)
    columns = np.flatnonzero((line > 5) & (line < height - 6))
    return float(np.median([edges[line[x] - 5 : line[x] + 6, x].max() for x in columns])) if len(columns) else 0.0


def _share(of: Mask) -> float:
    return float(of.mean()) if of.size else 0.0


def _number_of_colours(lab: Floats) -> int:
    """Count the distinct colours of a 64x64 miniature, in steps of 20 in lightness and 8 in a and b."""
    miniature = cv2.resize(lab, (64, 64), interpolation=cv2.INTER_AREA).reshape(-1, 3)
    return len(np.unique((miniature / [20, 8, 8]).astype(int), axis=0))


def _share_of_busy_cells(lightness: Floats) -> float:
    """Return the share of image cells whose edges run in many directions, as those of furniture do."""
    smooth = cv2.GaussianBlur(lightness, (0, 0), 1.2)
    across, down = (cv2.Sobel(smooth, cv2.CV_32F, dx, 1 - dx, scale=0.25) for dx in (1, 0))
    strength = np.hypot(across, down)
    strength[strength <= _CLEAR] = 0
    direction = np.arctan2(down, across) % np.pi
    rows, columns = smooth.shape[0] // _CELLS, smooth.shape[1] // _CELLS
    busy = 0
    for row in range(_CEILING_ROWS, _CELLS):
        for column in range(_CELLS):
            cell = np.s_[row * rows : (row + 1) * rows, column * columns : (column + 1) * columns]
            weights = strength[cell]
            if np.count_nonzero(weights) > 0.08 * weights.size:
                share = np.histogram(direction[cell], 8, (0, np.pi), weights=weights)[0] / weights.sum()
                busy += -(share[share > 0] * np.log2(share[share > 0])).sum() > 1.9
    return busy / (_CELLS * (_CELLS - _CEILING_ROWS))
