"""Where each frame of a bracket lies over its reference: tracked corners, one homography a frame.

Works on small copies and across any exposure gap, because a frame is compared with its neighbour in exposure
after its tones have been matched to it. Apart from `fusion`, which decides how bright each place becomes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

MIN_TRACKED = 12
MIN_HOMOGRAPHY_POINTS = 60
RANSAC_PX = 1.2
MAX_CORNER_SHIFT = 0.12
"""A corner that moves by more than this share of the diagonal means the match is wrong, not that the hand shook."""


@dataclass(frozen=True)
class Alignment:
    """How to lay one frame over the reference: `matrix` maps its pixels to the reference's, in full-size pixels."""

    matrix: NDArray[np.float64]
    shift_px: float
    residual_px: float
    method: str

    @property
    def is_identity(self) -> bool:
        return self.method == "identity"


def align_brackets(
    small: Sequence[NDArray[np.uint8]], exposures_ev: Sequence[float], reference: int, scale: float
) -> list[Alignment | None]:
    """Return one `Alignment` a frame, or None where a frame can't be laid over the reference.

    small: grey uint8 (h, w), reduced copies of the frames, all of one size; scale: full-size pixels per small pixel.
    Frames are chained through their neighbour in exposure, so that only gaps of one step have to be bridged.
    """
    by_exposure = sorted(range(len(small)), key=lambda k: exposures_ev[k])
    place = by_exposure.index(reference)
    found: list[Alignment | None] = [None] * len(small)
    found[reference] = Alignment(np.eye(3), 0.0, 0.0, "identity")
    to_reference: dict[int, NDArray[np.float64]] = {reference: np.eye(3)}
    for direction in (by_exposure[place + 1 :], by_exposure[:place][::-1]):
        neighbour = reference
        for k in direction:
            step = _match(small[k], small[neighbour])
            if step is None:
                continue
            matrix, residual, method = step
            whole = to_reference[neighbour] @ matrix
            if not _is_plausible(whole, small[k].shape):
                continue
            to_reference[k] = whole
            found[k] = _at_full_size(whole, residual, method, small[k].shape, scale)
            neighbour = k
    return found


def _at_full_size(
    matrix: NDArray[np.float64], residual: float, method: str, shape: tuple[int, ...], scale: float
) -> Alignment:
    grow = np.array([[scale, 0, (scale - 1) / 2], [0, scale, (scale - 1) / 2], [0, 0, 1]])
    full = grow @ matrix @ np.linalg.inv(grow)
    shift = float(_corner_shifts(matrix, shape).max() * scale)
    if shift < 0.4:  # a tripod: resampling would only cost sharpness
        return Alignment(np.eye(3), shift, residual * scale, "identity")
    return Alignment(full, shift, residual * scale, method)


def _match(moving: NDArray[np.uint8], fixed: NDArray[np.uint8]) -> tuple[NDArray[np.float64], float, str] | None:
    """Return the 3×3 matrix from `moving` to `fixed`, the median residual (small px) and how it was found."""
    # The darker frame is brought to the brighter one's tones, so that both are clipped in the same places.
    moving_is_darker = bool(moving.mean() <= fixed.mean())
    matched = (_match_tones(moving, fixed), fixed) if moving_is_darker else (moving, _match_tones(fixed, moving))
    usable = _above_noise(moving if moving_is_darker else fixed)
    a, b = (np.asarray(cv2.GaussianBlur(image, (0, 0), 1.0), np.uint8) for image in matched)
    start, end = _track(a, b, usable)
    if len(start) >= MIN_TRACKED:
        fitted = _fit(start, end, moving.shape)
        if fitted is not None:
            return fitted
    return _correlate(a, b, usable)


def _match_tones(dark: NDArray[np.uint8], bright: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Give `dark` the histogram of `bright`: the same surface then has the same value in both."""
    share = [np.cumsum(np.bincount(image.ravel(), minlength=256)) / image.size for image in (dark, bright)]
    table = np.interp(share[0], share[1], np.arange(256.0)).astype(np.uint8)
    return np.asarray(cv2.LUT(dark, table), np.uint8)


def _above_noise(dark: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(cv2.erode((cv2.medianBlur(dark, 5) > 4).astype(np.uint8), np.ones((5, 5), np.uint8)), np.uint8)


def _track(
    a: NDArray[np.uint8], b: NDArray[np.uint8], usable: NDArray[np.uint8]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Corners of `a` and where they are in `b`, kept only if tracking them back returns to where they began."""
    nothing = np.zeros((0, 2), np.float32)
    corners = cv2.goodFeaturesToTrack(a, 1200, 0.005, max(6, a.shape[1] // 120), mask=usable, blockSize=5)
    if corners is None:
        return nothing, nothing
    start = corners.reshape(-1, 1, 2).astype(np.float32)
    look = {"winSize": (21, 21), "maxLevel": 4}
    end, forward, _ = cv2.calcOpticalFlowPyrLK(a, b, start, None, **look)  # type: ignore[call-overload]
    back, backward, _ = cv2.calcOpticalFlowPyrLK(b, a, end, None, **look)  # type: ignore[call-overload]
    gap = np.linalg.norm((back - start).reshape(-1, 2), axis=1)
    good = (forward.ravel() == 1) & (backward.ravel() == 1) & (gap < 0.7)
    return start.reshape(-1, 2)[good], end.reshape(-1, 2)[good]


def _fit(
    start: NDArray[np.float32], end: NDArray[np.float32], shape: tuple[int, ...]
) -> tuple[NDArray[np.float64], float, str] | None:
    similarity, inliers = cv2.estimateAffinePartial2D(start, end, method=cv2.RANSAC, ransacReprojThreshold=2.5)
    if similarity is None:
        return None
    matrix, method = np.vstack([similarity, [0, 0, 1]]).astype(np.float64), "similarity"
    if len(start) >= MIN_HOMOGRAPHY_POINTS:
        homography, chosen = cv2.findHomography(start, end, cv2.RANSAC, RANSAC_PX)
        wide = chosen is not None and _coverage(start[chosen.ravel() == 1], shape) >= 8
        # Four more unknowns must explain more points, or they only bend the corners.
        explained = (np.linalg.norm(start @ matrix[:2, :2].T + matrix[:2, 2] - end, axis=1) < RANSAC_PX).sum()
        wide = wide and int(chosen.sum()) > 1.04 * explained
        if homography is not None and wide and _is_plausible(np.asarray(homography, np.float64), shape):
            matrix, inliers, method = np.asarray(homography, np.float64), chosen, "homography"
    kept = inliers.ravel() == 1
    if kept.sum() < MIN_TRACKED or kept.mean() < 0.3 or _coverage(start[kept], shape) < 3:
        return None
    there = cv2.perspectiveTransform(start[kept].reshape(-1, 1, 2), matrix).reshape(-1, 2)
    residual = float(np.median(np.linalg.norm(there - end[kept], axis=1)))
    unmoved = float(np.median(np.linalg.norm(start[kept] - end[kept], axis=1)))
    if unmoved < 1.15 * residual + 0.05:  # noise explains the motion: the camera stood still
        return np.eye(3), unmoved, "identity"
    return matrix, residual, method


def _correlate(
    a: NDArray[np.uint8], b: NDArray[np.uint8], usable: NDArray[np.uint8]
) -> tuple[NDArray[np.float64], float, str] | None:
    """For frames with too few corners, such as a nearly black one: the shift alone, if it is unmistakable."""
    if usable.mean() < 0.01:
        return None
    soft = cv2.GaussianBlur(usable.astype(np.float32), (0, 0), 3)
    edges = []
    for image in (a, b):
        fine = image.astype(np.float32) - cv2.GaussianBlur(image, (0, 0), 4).astype(np.float32)
        edges.append(np.clip(fine, -12, 12) * soft)
    (dx, dy), response = cv2.phaseCorrelate(edges[0], edges[1])
    if response < 0.15 or max(abs(dx), abs(dy)) > 0.03 * max(a.shape):
        return None
    return np.array([[1, 0, dx], [0, 1, dy], [0, 0, 1.0]]), 0.5, "shift"


def _coverage(points: NDArray[np.float32], shape: tuple[int, ...]) -> int:
    """How many cells of a 4×4 grid over the frame hold at least one point."""
    cells = np.clip((points / (shape[1], shape[0]) * 4).astype(int), 0, 3)
    return len({(int(x), int(y)) for x, y in cells})


def _corner_shifts(matrix: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.float64]:
    height, width = shape[:2]
    corners = np.array([[[0, 0]], [[width, 0]], [[width, height]], [[0, height]]], np.float64)
    moved = cv2.perspectiveTransform(corners, matrix)
    return np.asarray(np.linalg.norm((moved - corners).reshape(-1, 2), axis=1), np.float64)


def _is_plausible(matrix: NDArray[np.float64], shape: tuple[int, ...]) -> bool:
    largest = float(_corner_shifts(matrix, shape).max())
    return bool(
        largest < MAX_CORNER_SHIFT * np.hypot(shape[0], shape[1]) and 0.85 < np.linalg.det(matrix[:2, :2]) < 1.18
    )
