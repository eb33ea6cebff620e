"""Straight edges of a photo: the evidence that lens and vertical correction both rest on."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

SEARCH_SIDE = 1280
MIN_LENGTH = 0.02
"""Shorter segments than this share of the long side are texture."""

Image = NDArray[np.uint8]
Segments = NDArray[np.float64]
"""float64 (n, 2, 2): both ends (x, y) in full-size pixels from the centre of the picture, y down."""
Traces = list[NDArray[np.float64]]
"""Points (m, 2) along each edge, in the same pixels, followed wherever it bends."""
TRACE_STEP_PX = 3.0
TRACE_STEPS = 160


def find_segments(rgb: Image) -> Segments:
    """Find straight edges in rgb uint8 (H, W, 3), at a reduced size (LSD, von Gioi et al. 2010)."""
    height, width = rgb.shape[:2]
    grey = _reduced(rgb)
    lines = cv2.createLineSegmentDetector(cv2.LSD_REFINE_STD).detect(grey)[0]
    if lines is None:
        return np.zeros((0, 2, 2))
    ends = np.asarray(lines, np.float64).reshape(-1, 2, 2)
    ends = ends[lengths(ends) >= MIN_LENGTH * max(grey.shape)]
    factor = np.array([width / grey.shape[1], height / grey.shape[0]])
    return np.asarray((ends + 0.5) * factor - np.array([width, height]) / 2, np.float64)


def trace_edges(rgb: Image, segments: Segments, shortest: float = 0.25) -> Traces:
    """Follow the edge under each of the longest segments both ways, gently bending with it, as far as it goes.

    A lens bends what a segment detector breaks into pieces; the trace keeps it whole, to a fraction of a pixel.
    shortest: traces below this share of half the diagonal are dropped, as are repeats of an edge already traced.
    """
    grey = cv2.GaussianBlur(_reduced(rgb).astype(np.float32), (0, 0), 1.0)
    slope = [np.asarray(cv2.Scharr(grey, cv2.CV_32F, *axis), np.float32) for axis in ((1, 0), (0, 1))]
    factor = np.array([rgb.shape[1] / grey.shape[1], rgb.shape[0] / grey.shape[0]])
    centre = np.array([grey.shape[1], grey.shape[0]]) / 2 - 0.5
    chosen = segments[np.argsort(-lengths(segments))[:240]] / factor + centre
    if not len(chosen):
        return []
    start = chosen.mean(axis=1)
    ahead = (chosen[:, 1] - chosen[:, 0]) / np.maximum(lengths(chosen), 1e-9)[:, None]
    forward, backward = _follow(slope, start, ahead, 1), _follow(slope, start, ahead, -1)
    traces: Traces = []
    taken = np.zeros((grey.shape[0] // 4 + 2, grey.shape[1] // 4 + 2), bool)
    radius = np.hypot(*grey.shape) / 2
    for there, here in zip(forward, backward, strict=True):
        points = np.concatenate([here[::-1], there[1:]])
        if len(points) * TRACE_STEP_PX < shortest * radius:
            continue
        cells = np.clip((points / 4).astype(int), 0, (taken.shape[1] - 1, taken.shape[0] - 1))
        if taken[cells[:, 1], cells[:, 0]].mean() < 0.3:
            traces.append((points - centre) * factor)
        taken[cells[:, 1], cells[:, 0]] = True
    return traces


def _follow(
    slope: list[NDArray[np.float32]],
    start: NDArray[np.float64],
    ahead: NDArray[np.float64],
    sense: int,
) -> Traces:
    """Trace all edges at once, one step at a time, from `start` along `sense` · `ahead`. Points in reduced pixels."""
    offsets = np.arange(-3.0, 3.5)
    place, along = start.copy(), ahead * sense
    strength: NDArray[np.float64] | None = None
    alive = np.ones(len(start), bool)
    path: list[NDArray[np.float64]] = []
    for step in range(TRACE_STEPS):
        across = np.stack([-along[:, 1], along[:, 0]], axis=1)
        probes = place[:, None] + offsets[None, :, None] * across[:, None]
        x, y = probes[..., 0].astype(np.float32), probes[..., 1].astype(np.float32)
        gx, gy = (cv2.remap(image, x, y, cv2.INTER_LINEAR, borderValue=0.0) for image in slope)
        rise = (gx * across[:, :1] + gy * across[:, 1:]).astype(np.float64)
        if strength is None:
            middle = rise[:, 2:5]
            sign = np.sign(middle[np.arange(len(middle)), np.abs(middle).argmax(axis=1)])
            strength = np.abs(middle).max(axis=1)
        rise *= sign[:, None]
        peak = rise[:, 1:-1].argmax(axis=1) + 1
        rows = np.arange(len(rise))
        before, top, after = rise[rows, peak - 1], rise[rows, peak], rise[rows, peak + 1]
        bend = before - 2 * top + after
        shift = offsets[peak] + np.where(bend < 0, 0.5 * (before - after) / np.minimum(bend, -1e-9), 0.0)
        alive &= (
            (top > 0.35 * strength) & (top >= before) & (top >= after) & (np.abs(shift) < (2.5 if step == 0 else 1.2))
        )
        found = place + shift[:, None] * across
        path.append(np.where(alive[:, None], found, np.nan))
        if not alive.any():
            break
        past = path[max(0, step - 12)]
        chord = found - past
        far = alive & (np.linalg.norm(chord, axis=1) > 8 * TRACE_STEP_PX)
        heading = np.where(far[:, None], chord / np.maximum(np.linalg.norm(chord, axis=1), 1e-9)[:, None], along)
        along = np.where(np.isfinite(heading), heading, along)
        place = np.where(alive[:, None], found + TRACE_STEP_PX * along, place)
    whole = np.stack(path, axis=1)
    return [one[np.isfinite(one[:, 0])] for one in whole]


def _reduced(rgb: Image) -> Image:
    height, width = rgb.shape[:2]
    scale = min(1.0, SEARCH_SIDE / max(height, width))
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    if scale < 0.4 and height % 2 == 0 and width % 2 == 0:
        # halving exactly first is far cheaper than one odd area reduction, and averages the same pixels
        grey = cv2.resize(grey, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    if scale < 1:
        grey = cv2.resize(grey, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)
    return np.asarray(grey, np.uint8)


def lengths(segments: Segments) -> NDArray[np.float64]:
    return np.asarray(np.linalg.norm(segments[:, 1] - segments[:, 0], axis=1), np.float64)


def tilt_from_vertical(segments: Segments) -> NDArray[np.float64]:
    """Signed angle of each segment from the image's vertical in degrees, -90..90, positive = leaning right."""
    along = segments[:, 1] - segments[:, 0]
    down = np.where(along[:, 1:] < 0, -along, along)
    return np.asarray(np.degrees(np.arctan2(-down[:, 0], down[:, 1])), np.float64)
