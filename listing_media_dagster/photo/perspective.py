"""Upright walls: roll and converging verticals found from the photo's own edges and taken out in one resampling.

Lens distortion is removed in the same step, so that a photo is interpolated once. Nothing is done on weak evidence,
and what was done is measured again on the result.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from listing_media_dagster.listing import Operation, OperationName
from listing_media_dagster.photo.lens import LensEstimate, LensModel, estimate_lens
from listing_media_dagster.photo.line_segments import Segments, find_segments, lengths, tilt_from_vertical, trace_edges

VERSION = "2"
MIN_CONFIDENCE = 0.45
SMALLEST_TILT_DEG = 0.25
LARGEST_ROLL_DEG = 8.0
LARGEST_PITCH_DEG = 16.0
LEAST_KEPT_AREA = 0.72
"""A correction that would crop more than this is made only in part."""
INLIER_DEG = 1.2
STRIP_ROWS = 256

Image = NDArray[np.uint8]
Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Straightened:
    """rgb: uint8 (H, W, 3) sRGB at the input's scale, cropped to valid pixels; the input itself if left alone."""

    rgb: Image
    operations: tuple[Operation, ...]
    metrics: dict[str, float]


@dataclass(frozen=True)
class Verticals:
    """Which way is down in the picture, from `count` edges.

    spread_deg: median |tilt| of these edges, by length; tilt_deg: mean |tilt| that roll and pitch explain at them.
    """

    roll_deg: float
    pitch_deg: float
    spread_deg: float
    tilt_deg: float
    confidence: float
    count: int


def straighten(rgb: Image, focal_px: float | None = None) -> Straightened:
    """Make walls vertical. rgb: uint8 (H, W, 3) sRGB; focal_px: focal length in px if known.

    metrics: `vertical_angle_before_deg`, `vertical_residual_deg` (measured on the result), `vertical_confidence` 0..1.
    """
    return _correct(rgb, find_segments(rgb), None, focal_px)


def correct_geometry(
    rgb: Image,
    *,
    camera: str | None = None,
    lens: str | None = None,
    focal_length_mm: float | None = None,
    focal_length_35mm: float | None = None,
    f_number: float | None = None,
) -> Straightened:
    """Remove lens distortion and make walls vertical, in one resampling. Names and numbers as EXIF gives them."""
    height, width = rgb.shape[:2]
    segments = find_segments(rgb)
    estimate = estimate_lens(
        trace_edges(rgb, segments),
        (width, height),
        camera=camera,
        lens=lens,
        focal_length_mm=focal_length_mm,
        f_number=f_number,
    )
    focal_px = focal_length_35mm / 43.27 * float(np.hypot(width, height)) if focal_length_35mm else None
    return _correct(rgb, segments, estimate, focal_px)


def _correct(rgb: Image, segments: Segments, estimate: LensEstimate | None, focal_px: float | None) -> Straightened:
    height, width = rgb.shape[:2]
    size, radius = (width, height), float(np.hypot(width, height)) / 2
    focal = focal_px if focal_px and 0.3 * width < focal_px < 8 * width else 0.75 * max(size)
    model = estimate.model if estimate is not None else None
    straight = model.undistort(segments, radius) if model is not None else segments
    as_shot = find_verticals(segments, size, focal)
    verticals = find_verticals(straight, size, focal) if model is not None else as_shot
    metrics = {
        "vertical_angle_before_deg": round(as_shot.spread_deg, 3),
        "vertical_residual_deg": round(as_shot.spread_deg, 3),
        "vertical_confidence": round(verticals.confidence, 3),
    }
    if estimate is not None and estimate.lines:
        metrics |= {
            "line_bend_before": round(estimate.bend_before, 4),
            "line_bend_after": round(estimate.bend_after, 4),
        }
    strength, box = _strength_and_crop(verticals, size, focal, model) if _is_wanted(verticals) else (0.0, None)
    if strength == 0.0:
        box = _crop(np.eye(3), size, model)
    if box is None or (strength == 0.0 and model is None):
        return Straightened(rgb, (), metrics)
    matrix = _upright_matrix(verticals, strength, focal)
    result = _resample(rgb, matrix, model, box)
    after = find_verticals(find_segments(result), (result.shape[1], result.shape[0]), focal)
    if after.count and after.spread_deg > as_shot.spread_deg + 0.05 and as_shot.confidence >= MIN_CONFIDENCE:
        return Straightened(rgb, (), metrics)  # the result isn't straighter: leave the photo as it came
    metrics["vertical_residual_deg"] = round(after.spread_deg, 3)
    return Straightened(result, _operations(verticals, strength, model, box, size, focal_px), metrics)


def find_verticals(segments: Segments, size: tuple[int, int], focal_px: float) -> Verticals:
    """Estimate the direction of the walls' vertical edges from segments (px from the centre) of a photo of `size`.

    Two-edge hypotheses are scored by the length of the edges that agree (RANSAC), the best one is refined by weighted
    least squares. The confidence falls with few, short, one-sided or contradicting edges.
    """
    height = size[1]
    nothing = Verticals(0.0, 0.0, 0.0, 0.0, 0.0, 0)
    steep = segments[np.abs(tilt_from_vertical(segments)) < 22]
    if len(steep) < 4:
        return nothing
    weight = np.minimum(lengths(steep), 0.5 * height)
    down = _best_hypothesis(steep / focal_px, weight)
    for _ in range(8):
        error = _angles_off(steep / focal_px, down)
        near = weight * np.exp(-0.5 * (error / (INLIER_DEG / 2)) ** 2)
        solved = _solve(steep / focal_px, near)
        if solved is None:
            return nothing
        down = solved
    error = _angles_off(steep / focal_px, down)
    inliers = np.abs(error) < INLIER_DEG
    if inliers.sum() < 4:
        return nothing
    tilt = tilt_from_vertical(steep[inliers])
    roll = float(np.degrees(np.arctan2(down[0], 1.0)))
    pitch = float(np.degrees(np.arctan2(down[1], np.hypot(down[0], 1.0))))
    spread = _weighted_median(np.abs(tilt), weight[inliers])
    middle = steep[inliers].mean(axis=1) / focal_px
    leaning = np.degrees(np.arctan2(down[0] - middle[:, 0] * down[1], 1 - middle[:, 1] * down[1]))
    explained = float(np.average(np.abs(leaning), weights=weight[inliers]))
    confidence = _confidence(steep, weight, inliers, error, size)
    return Verticals(roll, pitch, spread, explained, confidence, int(inliers.sum()))


def _weighted_median(values: NDArray[np.float64], weight: NDArray[np.float64]) -> float:
    order = np.argsort(values)
    reached = np.cumsum(weight[order])
    return float(values[order][np.searchsorted(reached, reached[-1] / 2)])


def _solve(segments: Segments, weight: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Least squares for the down direction (x, 1, z): returns (x, z). Segments in units of the focal length."""
    along = segments[:, 1] - segments[:, 0]
    along = along / np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-12)
    middle = segments.mean(axis=1)
    rows = np.stack([along[:, 1], middle[:, 1] * along[:, 0] - middle[:, 0] * along[:, 1]], axis=1)
    normal = (rows * weight[:, None]).T @ rows + 1e-4 * weight.sum() * np.diag([0.05, 1.0])
    if abs(np.linalg.det(normal)) < 1e-18:
        return None
    return np.asarray(np.linalg.solve(normal, (rows * weight[:, None]).T @ along[:, 0]), np.float64)


def _angles_off(segments: Segments, down: NDArray[np.float64]) -> NDArray[np.float64]:
    """Degrees between each segment and the image of the vertical through its middle: (n,), or (k, n) of k downs."""
    along = segments[:, 1] - segments[:, 0]
    x, y = segments.mean(axis=1).T
    sideways, depth = down[..., :1], down[..., 1:]
    towards_x, towards_y = sideways - x * depth, 1 - y * depth
    cross = along[:, 0] * towards_y - along[:, 1] * towards_x
    dot = along[:, 0] * towards_x + along[:, 1] * towards_y
    return np.asarray(np.degrees(np.arctan2(cross, np.abs(dot)) * np.where(dot < 0, -1, 1)), np.float64)


def _best_hypothesis(segments: Segments, weight: NDArray[np.float64]) -> NDArray[np.float64]:
    chance = np.random.default_rng(0)
    trials = chance.choice(len(segments), (300, 2), p=weight / weight.sum())
    downs = np.concatenate([np.zeros((1, 2)), _through(segments[trials])])
    downs = downs[np.abs(downs[:, 0]) <= np.tan(np.radians(LARGEST_ROLL_DEG + 2))]
    downs = downs[np.abs(downs[:, 1]) <= np.tan(np.radians(LARGEST_PITCH_DEG + 6))]
    agree = np.clip(1 - (_angles_off(segments, downs) / INLIER_DEG) ** 2, 0, None)
    # cameras are held about level
    score = (agree @ weight) * (1 - 0.8 * np.abs(downs[:, 0]) - 0.4 * np.abs(downs[:, 1]))
    return np.asarray(downs[int(score.argmax())], np.float64)


def _through(pairs: NDArray[np.float64]) -> NDArray[np.float64]:
    """The down directions (x, z), (m, 2), that both segments of a pair, (k, 2, 2, 2), point along; m ≤ k."""
    ends = np.concatenate([pairs, np.ones((*pairs.shape[:-1], 1))], axis=-1)
    lines = np.cross(ends[:, :, 0], ends[:, :, 1])
    meet = np.cross(lines[:, 0], lines[:, 1])
    meet = meet[np.abs(meet[:, 1]) >= 1e-9]
    return np.asarray(meet[:, ::2] / meet[:, 1:2], np.float64)


def _confidence(
    steep: Segments,
    weight: NDArray[np.float64],
    inliers: NDArray[np.bool_],
    error: NDArray[np.float64],
    size: tuple[int, int],
) -> float:
    """0..1: enough length, enough edges, on both sides of the picture, most steep edges agreeing."""
    width, height = size
    support = float(weight[inliers].sum()) / height
    across = np.sort(steep[inliers].mean(axis=1)[:, 0])
    wide = float(across[int(0.9 * (len(across) - 1))] - across[int(0.1 * (len(across) - 1))]) / width
    rivals = float(weight[np.abs(error) < 12].sum())
    agreement = float(weight[inliers].sum()) / max(rivals, 1e-9)
    parts = (support / 2.0, inliers.sum() / 8, wide / 0.35, (agreement - 0.2) / 0.4)
    return float(np.prod(np.clip(parts, 0.0, 1.0)))


def _is_wanted(verticals: Verticals) -> bool:
    return (
        verticals.confidence >= MIN_CONFIDENCE
        and verticals.tilt_deg >= SMALLEST_TILT_DEG
        and abs(verticals.roll_deg) <= LARGEST_ROLL_DEG
        and abs(verticals.pitch_deg) <= LARGEST_PITCH_DEG
    )


def _upright_matrix(verticals: Verticals, strength: float, focal: float) -> Matrix:
    """Homography of centred pixels that turns the camera level, with scale 1 at the picture's centre."""
    roll, pitch = np.radians(verticals.roll_deg * strength), np.radians(verticals.pitch_deg * strength)
    turn = np.array([[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]])
    nod = np.array([[1, 0, 0], [0, np.cos(pitch), np.sin(pitch)], [0, -np.sin(pitch), np.cos(pitch)]])
    lens = np.diag([focal, focal, 1.0])
    matrix = lens @ nod @ turn @ np.linalg.inv(lens)
    here = cv2.perspectiveTransform(np.array([[[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]]), matrix)[0]
    scale = np.sqrt(abs(np.linalg.det(np.stack([here[1] - here[0], here[2] - here[0]]))))
    return np.asarray(np.diag([1 / scale, 1 / scale, 1.0]) @ matrix, np.float64)


def _strength_and_crop(
    verticals: Verticals, size: tuple[int, int], focal: float, model: LensModel | None
) -> tuple[float, tuple[float, float, float, float] | None]:
    """The full correction if it keeps enough of the picture, else the largest part of it that does."""
    for strength in (1.0, 0.9, 0.8, 0.7, 0.6, 0.5):
        box = _crop(_upright_matrix(verticals, strength, focal), size, model)
        if box is not None and box[2] * box[3] >= LEAST_KEPT_AREA * size[0] * size[1]:
            return strength, box
    return 0.0, None


def _crop(matrix: Matrix, size: tuple[int, int], model: LensModel | None) -> tuple[float, float, float, float] | None:
    """Largest box of the picture's own shape without an empty corner: (x, y, width, height), px from the centre."""
    width, height = size
    along = np.linspace(-1, 1, 41)
    edge = np.ones_like(along)
    frame = np.concatenate(
        [np.stack(side, 1) for side in ((along, edge), (along, -edge), (edge, along), (-edge, along))]
    )
    frame = frame * (np.array([width, height]) / 2 - 1.5)
    if model is not None:
        frame = model.undistort(frame, float(np.hypot(width, height)) / 2)
    outline = cv2.perspectiveTransform(frame[None], matrix)[0]
    middle = (outline.min(axis=0) + outline.max(axis=0)) / 2
    steps = np.linspace(-0.12, 0.12, 25)
    centres = middle + np.stack(np.meshgrid(steps * width, steps * height), -1).reshape(-1, 2)
    reach = np.abs(outline[None] - centres[:, None]) / (np.array([width, height]) / 2)
    share = reach.max(axis=2).min(axis=1)
    best = int(np.argmax(share))
    if not 0.5 < share[best] < 2:
        return None
    wide, high = np.floor(share[best] * width), np.floor(share[best] * height)
    return float(centres[best][0] - wide / 2), float(centres[best][1] - high / 2), float(wide), float(high)


def _resample(rgb: Image, matrix: Matrix, model: LensModel | None, box: tuple[float, float, float, float]) -> Image:
    """One cubic interpolation from the picture as shot to the corrected crop."""
    height, width = rgb.shape[:2]
    wide, high = int(box[2]), int(box[3])
    to_centred = np.array([[1, 0, box[0] + 0.5], [0, 1, box[1] + 0.5], [0, 0, 1.0]])
    back = np.linalg.inv(matrix) @ to_centred
    if model is None:
        from_centred = np.array([[1, 0, width / 2 - 0.5], [0, 1, height / 2 - 0.5], [0, 0, 1.0]])
        flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        warped = cv2.warpPerspective(
            rgb, from_centred @ back, (wide, high), flags=flags, borderMode=cv2.BORDER_REPLICATE
        )
        return np.asarray(warped, np.uint8)
    result = np.empty((high, wide, 3), np.uint8)
    radius = float(np.hypot(width, height)) / 2
    k1, k2 = np.float32(model.k1), np.float32(model.k2)
    columns = np.arange(wide, dtype=np.float32)
    b = back.astype(np.float32)
    for top in range(0, high, STRIP_ROWS):
        rows = np.arange(top, min(top + STRIP_ROWS, high), dtype=np.float32)[:, None]
        depth = b[2, 0] * columns + (b[2, 1] * rows + b[2, 2])
        x = (b[0, 0] * columns + (b[0, 1] * rows + b[0, 2])) / depth
        y = (b[1, 0] * columns + (b[1, 1] * rows + b[1, 2])) / depth
        square = (x * x + y * y) * np.float32(1 / radius**2)
        stretch = 1 + square * (k1 + k2 * square)
        x, y = x * stretch + np.float32(width / 2 - 0.5), y * stretch + np.float32(height / 2 - 0.5)
        result[top : top + len(rows)] = cv2.remap(rgb, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return result


def _operations(
    verticals: Verticals,
    strength: float,
    model: LensModel | None,
    box: tuple[float, float, float, float],
    size: tuple[int, int],
    focal_px: float | None,
) -> tuple[Operation, ...]:
    operations = []
    if model is not None:
        parameters = {"k1": model.k1, "k2": model.k2, "source": model.source}
        operations.append(Operation(name=OperationName.LENS_CORRECTION, parameters=parameters, version=VERSION))
    if strength:
        parameters = {
            "roll_deg": round(verticals.roll_deg, 3),
            "pitch_deg": round(verticals.pitch_deg, 3),
            "strength": strength,
            "focal_px": round(focal_px, 1) if focal_px else "assumed",
        }
        operations.append(Operation(name=OperationName.VERTICAL_CORRECTION, parameters=parameters, version=VERSION))
    kept = box[2] * box[3] / (size[0] * size[1])
    corner = (round(box[0] + size[0] / 2), round(box[1] + size[1] / 2), int(box[2]), int(box[3]))
    crop = {"box": list(corner), "kept_share": round(kept, 4)}
    operations.append(Operation(name=OperationName.CROP, parameters=crop, version=VERSION))
    return tuple(operations)
