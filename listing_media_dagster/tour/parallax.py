"""Depth in a camera move: what is far lags behind the camera's path, as it does when a real camera travels.

A frame is still read from the photo by one smooth, one-to-one mapping: nothing tears, nothing is invented, and every
point read lies between two crops of the path, so inside the photo. Planes have an inverse depth that is linear in the
picture, so walls, floors and their straight edges stay straight.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from listing_media_dagster.tour.camera import CameraPath, Crop, Mat
from listing_media_dagster.tour.plates import Frame, Plane, Plate

Field = NDArray[np.float32]

AMPLITUDE = 0.014  # of the crop's width by which near and far may come apart over half a shot
LARGEST_LAG = 0.4  # share of the camera's way that the farthest point may stay behind
STEEPEST = 0.3  # px that a neighbouring px may be displaced further: beyond 1 the picture would fold over itself
SOFTNESS = 0.009  # of the photo's long side: reach over which an outline's background is stretched
GRID = 480  # px of the long side on which nearness is kept: it is smooth
STRAIGHT = 0.0008  # of the crop's width by which an edge of the photo may bow: 1.5 px of a 1080p frame
_EDGE_SIDE = 1200  # px of the long side on which edges are looked for
LEAST = 0.005  # of the crop's width: less depth than that is hardly seen
SHALLOW, ROUGH = 0.15, 0.06  # spread below and fine structure above which a map tells nothing of a room


@dataclass(frozen=True)
class Relief:
    """How far a photo's points lag behind the camera's path: float32 (h, w), 0 nearest to `LARGEST_LAG`, all of it."""

    lag: Field
    width: int
    height: int


def nearness_of_depth(depth: NDArray[np.uint16]) -> Field:
    """Return nearness (H, W), 0 farthest to 1 nearest, of a depth map in mm; 0 mm (unknown) counts as farthest."""
    known = depth > 0
    if not known.any():
        return np.zeros(depth.shape, np.float32)
    inverse = np.where(known, 1.0 / np.maximum(depth, 1), 0.0).astype(np.float32)
    low, high = np.percentile(inverse[known], (0.5, 99.5))
    return np.asarray(np.clip((inverse - low) / max(high - low, 1e-9), 0, 1), np.float32)


def relief_of(nearness: NDArray[np.floating], rgb: NDArray[np.uint8], path: CameraPath) -> Relief | None:
    """Return the relief of the photo `rgb` (H, W, 3) for a camera on `path`; None where the map is poor.

    `nearness` (h, w): 0 farthest to 1 nearest, of the whole photo at any resolution. Poor is a map of another shape,
    with values that aren't nearness, next to flat, rough all over, or one that would bend the photo's straight edges:
    the flat move is better than a wrong one.
    """
    size = (rgb.shape[1], rgb.shape[0])
    smooth = _usable(nearness, size)
    if smooth is None:
        return None
    scale = size[0] / smooth.shape[1]
    start, middle, end = path.start, path.at(0.5), path.end
    farthest = max(_farthest_apart(crop, middle) for crop in (start, end))
    if farthest < 1:
        return None
    lag = min(LARGEST_LAG, AMPLITUDE * middle.width / farthest)
    slope = float(np.max(np.hypot(*np.gradient(smooth)))) / scale
    lag = min(lag, STEEPEST / max(slope * farthest, 1e-9))
    bend = _bend(1 - smooth, rgb, path) / middle.width
    lag = min(lag, STRAIGHT / max(bend, 1e-9))
    if lag * farthest < LEAST * middle.width:
        return None
    return Relief(np.asarray(lag * (1 - smooth), np.float32), *size)


def sample_in_relief(plate: Plate, relief: Relief, crop: Crop, middle: Crop, frame: Frame, mat: Mat) -> None:
    """Draw `crop` of the plate's photo into the part `mat` of `frame`; what is far stays nearer to `middle`."""
    across, down = _displacement(relief, crop, middle, mat)
    columns, rows = slice(mat.x, mat.x + mat.width), slice(mat.y, mat.y + mat.height)
    half_columns = slice(mat.x // 2, (mat.x + mat.width) // 2)
    half_rows = slice(mat.y // 2, (mat.y + mat.height) // 2)
    _draw(plate.y, plate.region, frame.y[rows, columns], crop, (0.5, 0.5), across, down)
    # H.264's chroma samples sit on the left luma pixel of their pair, halfway between its two rows.
    for plane, target in ((plate.cb, frame.cb), (plate.cr, frame.cr)):
        _draw(plane, plate.region, target[half_rows, half_columns], crop, (0.25, 0.5), across, down)


def _usable(nearness: NDArray[np.floating], size: tuple[int, int]) -> Field | None:
    """Return the map on its working grid, near things a little enlarged and every outline softened; None if poor."""
    if nearness.ndim != 2 or min(nearness.shape) < 16:
        return None
    height, width = nearness.shape
    if abs(width / height / (size[0] / size[1]) - 1) > 0.03 or not np.isfinite(nearness).all():
        return None
    if nearness.min() < -0.01 or nearness.max() > 1.01:
        return None
    scale = GRID / max(size)
    grid = (max(2, round(size[0] * scale)), max(2, round(size[1] * scale)))
    small = cv2.resize(nearness.astype(np.float32), grid, interpolation=cv2.INTER_AREA)
    low, high = np.percentile(small, (5, 95))
    fine = float(np.abs(small - cv2.medianBlur(small, 5)).mean())
    if high - low < SHALLOW or fine > ROUGH * (high - low):
        return None
    reach = SOFTNESS * GRID
    # An outline belongs to the thing in front: it travels with it whole, and what is behind it gives way.
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * round(reach) + 1,) * 2)
    return np.asarray(cv2.GaussianBlur(cv2.dilate(small, disc), (0, 0), reach), np.float32)


def _bend(lag: Field, rgb: NDArray[np.uint8], path: CameraPath) -> float:
    """Return the px of the photo by which its straight edges would bow at the path's ends if the lag were `lag`.

    It is what the worst twentieth of the edges' length exceeds. Right or wrong, only a map that keeps them straight
    looks right.
    """
    scale = _EDGE_SIDE / max(rgb.shape[:2])
    grey = cv2.cvtColor(cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
    found = cv2.createLineSegmentDetector(cv2.LSD_REFINE_STD).detect(grey)[0]
    if found is None:
        return 0.0
    ends = np.asarray(found, float).reshape(-1, 2, 2) / scale
    ends = ends[np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1) > 0.04 * max(rgb.shape[:2])]
    share = np.linspace(0, 1, 33)[None, :, None]
    points = ends[:, :1] * (1 - share) + ends[:, 1:] * share
    along = ends[:, 1] - ends[:, 0]
    length = np.linalg.norm(along, axis=1)
    normal = np.column_stack([-along[:, 1], along[:, 0]]) / np.maximum(length, 1e-6)[:, None]
    dense = np.array(lag.shape[1::-1]) / rgb.shape[1::-1]
    at_x, at_y = np.moveaxis((points * dense - 0.5).astype(np.float32), 2, 0)
    lags = cv2.remap(lag, at_x, at_y, cv2.INTER_LINEAR, None, cv2.BORDER_REPLICATE)
    worst = np.zeros(len(ends))
    for crop in (path.start, path.end):
        middle = path.at(0.5)
        relative = (points - (crop.x, crop.y)) / (crop.width, crop.height)
        way = np.array([crop.x - middle.x, crop.y - middle.y]) + relative * (
            crop.width - middle.width,
            crop.height - middle.height,
        )
        aside = (way * normal[:, None]).sum(2) * lags
        straight = aside[:, :1] * (1 - share[..., 0]) + aside[:, -1:] * share[..., 0]
        worst = np.maximum(worst, np.abs(aside - straight).max(1, initial=0))
    if not len(worst):
        return 0.0
    order = np.argsort(worst)
    total = np.cumsum(length[order])
    return float(worst[order][np.searchsorted(total, 0.95 * total[-1])])


def _farthest_apart(crop: Crop, middle: Crop) -> float:
    """Return the px of the photo by which a corner of two crops differs most."""
    xs = (crop.x - middle.x, crop.x + crop.width - middle.x - middle.width)
    ys = (crop.y - middle.y, crop.y + crop.height - middle.y - middle.height)
    return float(max(np.hypot(x, y) for x in xs for y in ys))


def _displacement(relief: Relief, crop: Crop, middle: Crop, mat: Mat) -> tuple[Field, Field]:
    """Return the px of the photo (x, y) by which each part of the frame reads off its crop, on a coarse grid."""
    grid = (max(2, mat.width // 4), max(2, mat.height // 4))
    along = [(np.arange(count, dtype=np.float32) + 0.5) / count for count in grid]
    x, y = np.meshgrid(crop.x + along[0] * crop.width, crop.y + along[1] * crop.height)
    way_x, way_y = np.meshgrid(
        crop.x - middle.x + along[0] * (crop.width - middle.width),
        crop.y - middle.y + along[1] * (crop.height - middle.height),
    )
    dense_x, dense_y = relief.lag.shape[1] / relief.width, relief.lag.shape[0] / relief.height
    lag: Field = np.zeros(x.shape, np.float32)
    for _ in range(3):  # the lag is that of the point read, which the lag decides: this settles below 0.1 px
        at_x = ((x - lag * way_x) * dense_x - 0.5).astype(np.float32)
        at_y = ((y - lag * way_y) * dense_y - 0.5).astype(np.float32)
        lag = np.asarray(cv2.remap(relief.lag, at_x, at_y, cv2.INTER_LINEAR, None, cv2.BORDER_REPLICATE), np.float32)
    return (-lag * way_x).astype(np.float32), (-lag * way_y).astype(np.float32)


def _draw(
    plane: Plane, region: Crop, target: Plane, crop: Crop, phase: tuple[float, float], across: Field, down: Field
) -> None:
    """Fill `target` with `plane` where its samples lie: at `phase` (0..1) of each one's cell of the crop."""
    height, width = target.shape
    dense_x, dense_y = plane.shape[1] / region.width, plane.shape[0] / region.height
    x = crop.x + (np.arange(width) + phase[0]) * (crop.width / width)
    y = crop.y + (np.arange(height) + phase[1]) * (crop.height / height)
    map_x = cv2.resize(across * np.float32(dense_x), (width, height), interpolation=cv2.INTER_LINEAR)
    map_y = cv2.resize(down * np.float32(dense_y), (width, height), interpolation=cv2.INTER_LINEAR)
    map_x += ((x - region.x) * dense_x - 0.5).astype(np.float32)
    map_y += ((y - region.y) * dense_y - 0.5).astype(np.float32)[:, None]
    cv2.remap(plane, map_x, map_y, cv2.INTER_LINEAR, target, cv2.BORDER_REPLICATE)
