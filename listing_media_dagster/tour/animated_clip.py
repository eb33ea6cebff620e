"""Whether a generated clip shows the room of its photo: every n-th frame is laid over the photo and compared.

A camera that moves slowly through a still room shows the photo's surfaces again, displaced smoothly, its straight edges
straight, its details where one camera position puts them. What a model adds, drops or lets melt does one of these not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from listing_media_dagster.listing import Verdict
from listing_media_dagster.staging.structure_lines import find_lines
from listing_media_dagster.staging.structure_measures import (
    Pair,
    components,
    grown,
    log_colours,
    luminance,
    opened,
    slopes,
)
from listing_media_dagster.staging.structure_surfaces import light_free_difference

Rgb = NDArray[np.uint8]
Floats = NDArray[np.float64]
Flow = NDArray[np.float32]

EVERY = 4  # frames between two that are looked at; the last one always is
SIDE = 640  # px of the long side at which frames are compared
THRESHOLD = 0.5
LIMITS: Mapping[str, float] = {
    "lost": 0.35,
    "unseen": 0.12,
    "different": 0.06,
    "largest_difference": 0.012,
    "bent": 0.002,
    "astray": 0.35,
}
_IN_WORDS = {
    "lost": "the photo can hardly be recognised in it",
    "unseen": "{value:.0%} of it shows what lies outside the photo",
    "different": "{value:.0%} of it differs from the photo",
    "largest_difference": "something that covers {value:.1%} of it isn't in the photo, or is gone",
    "bent": "a straight edge is bent by {value:.1%} of the picture",
    "astray": "details moved as they can't in a still room",
}


def judge_animation(photo: Rgb, frames: Sequence[Rgb], every: int = EVERY) -> Verdict:
    """Say whether `frames` (uint8 (h, w, 3), sRGB, one size) show the room of `photo`, the camera moving slowly.

    The photo may be of another size and show more around. Score 0..1: 1 nothing differs, `THRESHOLD` the worst measure
    is at its limit. A refusal's reason names the frame and what is wrong with it; the tour then moves its own camera.
    """
    if not frames:
        raise ValueError("a clip without frames can't be judged")
    looked_at = sorted({*range(0, len(frames), every), len(frames) - 1})
    source = _small(photo)
    worst: dict[str, tuple[float, int]] = dict.fromkeys(LIMITS, (0.0, 0))
    for number in looked_at:
        for name, value in _measure(source, _small(frames[number])).items():
            if value / LIMITS[name] > worst[name][0] / LIMITS[name]:
                worst[name] = (value, number)
        if any(value > LIMITS[name] for name, (value, _) in worst.items()):
            break  # one bad frame is enough
    return _verdict(worst, number, len(frames))


def _verdict(worst: Mapping[str, tuple[float, int]], last: int, count: int) -> Verdict:
    excess = {name: value / LIMITS[name] for name, (value, _) in worst.items()}
    broken = sorted((name for name in excess if excess[name] > 1), key=lambda name: -excess[name])
    faults = "; ".join(_IN_WORDS[name].format(value=worst[name][0]) for name in broken[:2])
    return Verdict(
        gate="structure",
        outcome="failed" if broken else "passed",
        score=round(min(1.0, max(0.0, 1 - (1 - THRESHOLD) * max(excess.values()))), 4),
        threshold=THRESHOLD,
        reason=f"frame {last} of {count}: {faults}" if broken else "",
        evidence={name: round(value, 5) for name, (value, _) in worst.items()} | {"last_frame": float(last)},
    )


def _small(rgb: Rgb) -> Rgb:
    scale = SIDE / max(rgb.shape[:2])
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=how), np.uint8)


@dataclass(frozen=True)
class _Found:
    """Details (n, 2) px of the photo and where they are in the frame."""

    photo: Floats
    frame: Floats


def _measure(photo: Rgb, frame: Rgb) -> dict[str, float]:
    """Return the measures of `LIMITS` for one frame; both pictures at working size."""
    sift = _recognise(photo, frame)
    homography = _homography(sift)
    if homography is None:
        return {"lost": 1.0}
    size = (frame.shape[1], frame.shape[0])
    placed = np.asarray(cv2.warpPerspective(photo, homography, size, flags=cv2.INTER_AREA), np.uint8)
    covered = cv2.warpPerspective(np.full(photo.shape[:2], 255, np.uint8), homography, size) > 250
    flow = _flow(frame, placed)  # from the frame into the placed photo
    back = _flow(placed, frame)
    aligned, seen = _warped(placed, flow), _warped(covered.astype(np.uint8) * 255, flow) > 250
    disagreement = _disagreement(flow, back, 3.0) & seen
    different = _different(aligned, frame, seen)
    _, largest = next(components(different, 1), (None, 0))
    return {
        "lost": float(disagreement.sum() / max(seen.sum(), 1)),
        "unseen": float(1 - seen.mean()),
        "different": float(different.mean()),
        "largest_difference": largest / different.size,
        "bent": _bent(placed, flow, back, covered) / SIDE,
        "astray": _astray(placed, frame, covered, flow, back),
    }


def _recognise(photo: Rgb, frame: Rgb) -> _Found:
    sift = cv2.SIFT.create(nfeatures=1500, contrastThreshold=0.015)
    (here, first), (there, second) = (
        sift.detectAndCompute(cv2.cvtColor(each, cv2.COLOR_RGB2GRAY), None) for each in (photo, frame)
    )
    if first is None or second is None or len(here) < 8 or len(there) < 8:
        return _Found(np.zeros((0, 2)), np.zeros((0, 2)))
    pairs = cv2.BFMatcher().knnMatch(first, second, k=2)
    good = [best for best, other in pairs if best.distance < 0.8 * other.distance]
    return _Found(
        np.array([here[match.queryIdx].pt for match in good]).reshape(-1, 2),
        np.array([there[match.trainIdx].pt for match in good]).reshape(-1, 2),
    )


def _homography(found: _Found) -> Floats | None:
    if len(found.photo) < 12:
        return None
    homography, inliers = cv2.findHomography(found.photo, found.frame, cv2.USAC_MAGSAC, 4.0)
    if homography is None or inliers.sum() < 12:
        return None
    scale = np.sqrt(abs(np.linalg.det(homography[:2, :2])))
    return np.asarray(homography) if 0.3 < scale < 3.0 else None


def _flat(rgb: Rgb) -> Rgb:
    """Return the fine contrast of a picture as 8 bit: what is followed whatever the light does."""
    grey = luminance(log_colours(rgb, (rgb.shape[1], rgb.shape[0])))
    return np.asarray(np.clip(128 + 160 * (grey - cv2.GaussianBlur(grey, (0, 0), 16.0)), 0, 255), np.uint8)


def _flow(source: Rgb, target: Rgb) -> Flow:
    """Return where each px of `source` lies in `target`, less its own place, (h, w, 2), smooth as a room's surfaces."""
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    flow = dis.calc(_flat(source), _flat(target), np.zeros((*source.shape[:2], 2), np.float32))
    smooth = [cv2.medianBlur(np.ascontiguousarray(flow[..., axis]), 5) for axis in (0, 1)]
    return np.asarray(cv2.GaussianBlur(np.dstack(smooth), (0, 0), 3.0), np.float32)


def _warped(picture: Rgb, flow: Flow) -> Rgb:
    height, width = flow.shape[:2]
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return np.asarray(cv2.remap(picture, x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR), np.uint8)


def _disagreement(flow: Flow, back: Flow, px: float) -> NDArray[np.bool_]:
    """Return where going over and back again ends more than `px` off: what one picture has and the other hasn't."""
    height, width = flow.shape[:2]
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    returned = flow + cv2.remap(back, x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR)
    return np.asarray(np.hypot(returned[..., 0], returned[..., 1]) > px)


def _different(aligned: Rgb, frame: Rgb, seen: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return where the frame shows another surface than the photo laid over it: more than light or softness does."""
    size = (frame.shape[1], frame.shape[0])
    after = log_colours(frame, size)
    before = log_colours(_as_soft(aligned, frame), size)
    exposure = np.median((after - before)[seen], axis=0) if seen.any() else np.zeros(3)
    before = (before + exposure).astype(np.float32)
    pair = Pair(before, after, slopes(before), slopes(after), seen, ~seen, np.zeros_like(seen), 1.0)
    recoloured, restructured = light_free_difference(pair)
    return opened((recoloured | restructured) & ~grown(~seen, 6), 3)


def _as_soft(aligned: Rgb, frame: Rgb) -> Rgb:
    """Return the photo blurred until its fine contrast is that of the frame."""

    def fine(rgb: Rgb) -> float:
        return float(cv2.Laplacian(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), cv2.CV_32F).std())

    wanted = fine(np.asarray(cv2.medianBlur(frame, 3), np.uint8))
    for sigma in (0.4, 0.6, 0.8, 1.0, 1.3, 1.6, 2.0):
        softer = np.asarray(cv2.GaussianBlur(aligned, (0, 0), sigma), np.uint8)
        if fine(softer) <= wanted:
            break
    return softer


def _bent(placed: Rgb, flow: Flow, back: Flow, covered: NDArray[np.bool_]) -> float:
    """Return by how many px the photo's straight edges bow in the frame: what 1 % of their length exceed.

    Edges that are followed to the frame and back to where they were count, those at the rim don't.
    """
    height, width = covered.shape
    sure = covered & ~grown(_disagreement(back, flow, 1.0), 2)
    sure[[*range(12), *range(-12, 0)]] = False
    sure[:, [*range(12), *range(-12, 0)]] = False
    share = np.linspace(0, 1, 25)
    bows, lengths = [0.0], [1.0]
    for x1, y1, x2, y2 in find_lines(log_colours(placed, (width, height)), SIDE * 0.06):
        points = np.array([x1, y1]) + share[:, None] * np.array([x2 - x1, y2 - y1])
        inside = np.clip(points.round().astype(int), 0, (width - 1, height - 1))
        points = points[sure[inside[:, 1], inside[:, 0]]]
        if len(points) < 0.7 * len(share):
            continue
        bows.append(_bow(points + np.column_stack([_read(back[..., axis], points) for axis in (0, 1)])))
        lengths.append(float(np.hypot(x2 - x1, y2 - y1)))
    order = np.argsort(bows)
    total = np.cumsum(np.array(lengths)[order])
    return float(np.array(bows)[order][np.searchsorted(total, 0.99 * total[-1])])


def _read(image: NDArray[np.float32], points: Floats) -> Floats:
    x, y = (points[None, :, axis].astype(np.float32) for axis in (0, 1))
    return np.asarray(cv2.remap(image, x, y, cv2.INTER_LINEAR, None, cv2.BORDER_REPLICATE)[0], np.float64)


def _bow(moved: Floats) -> float:
    """Return how far (px) points (n, 2) that were in a line lie off the line that fits them now, but for a tenth."""
    centre = moved.mean(0)
    across = np.linalg.svd(moved - centre)[2][1]
    return float(np.percentile(np.abs((moved - centre) @ across), 90))


def _astray(placed: Rgb, frame: Rgb, covered: NDArray[np.bool_], flow: Flow, back: Flow) -> float:
    """Return the largest share of details of a neighbourhood that moved as no camera makes them move.

    In a still room all details obey one epipolar geometry; those of a window that grows or slides don't.
    """
    before, after = _flat(placed), _flat(frame)
    allowed = cv2.erode(covered.astype(np.uint8), np.ones((9, 9), np.uint8))
    corners = cv2.goodFeaturesToTrack(before, 900, 0.01, 5, mask=allowed)
    if corners is None or len(corners) < 40:
        return 0.0
    # From where the flow puts them: tiles and panes repeat, and a search on its own takes the one beside.
    start: Flow = np.asarray(corners, np.float32)
    there, found = _followed(before, after, start, back)
    again, refound = _followed(after, before, there, flow)
    good = (found[:, 0] > 0) & (refound[:, 0] > 0) & (np.linalg.norm(again - corners, axis=2)[:, 0] < 0.5)
    source, target = corners[good, 0].astype(np.float64), there[good, 0].astype(np.float64)
    if len(source) < 40:
        return 0.0
    wrong = _off_epipolar(source, target) > 2.0
    near = np.linalg.norm(source[:, None] - source[None], axis=2) < 0.06 * SIDE
    crowd = near.sum(1)
    return float(((near & wrong).sum(1) / crowd)[crowd >= 14].max(initial=0.0))


def _followed(here: Rgb, there: Rgb, points: Flow, flow: Flow) -> tuple[Flow, NDArray[np.uint8]]:
    guess = (
        points + cv2.remap(flow, points[..., 0], points[..., 1], cv2.INTER_LINEAR, None, cv2.BORDER_REPLICATE)
    ).astype(np.float32)
    moved, found, _ = cv2.calcOpticalFlowPyrLK(
        here, there, points, guess, winSize=(15, 15), maxLevel=1, flags=cv2.OPTFLOW_USE_INITIAL_FLOW
    )
    return np.asarray(moved, np.float32), np.asarray(found, np.uint8)


def _off_epipolar(source: Floats, target: Floats) -> Floats:
    """Return how many px each of `target` lies off where one camera's move can put `source`: both (n, 2).

    Fitted twice, the second time without what the first called astray: a plane and a few points that melt together
    can pass for a room seen from elsewhere. Details that keep to the plane of most others never count.
    """
    plane, _ = cv2.findHomography(source, target, cv2.USAC_MAGSAC, 1.0)
    away = np.full(len(source), np.inf)
    if plane is not None:
        away = np.linalg.norm(cv2.perspectiveTransform(source[None], plane)[0] - target, axis=1)
    for refined in (False, True):
        part = away < 3.0 if refined else np.ones(len(source), bool)
        if part.sum() < 40:
            break
        fundamental, _ = cv2.findFundamentalMat(source[part], target[part], cv2.USAC_MAGSAC, 1.0, 0.999, 5000)
        if fundamental is None or fundamental.shape != (3, 3):
            break
        lines = np.column_stack([source, np.ones(len(source))]) @ fundamental.T
        offset = np.abs((lines * np.column_stack([target, np.ones(len(target))])).sum(1))
        away = np.minimum(away, offset / np.maximum(np.hypot(lines[:, 0], lines[:, 1]), 1e-9))
    return np.asarray(np.where(np.isfinite(away), away, 0.0))
