"""Brackets to one photo: the light of the scene is merged from all frames, then rendered through the camera's own
tone curve at an exposure that changes from place to place, as dodging and burning would.

Nothing is blended across brightness, so window frames keep clean edges and the order of tones stays what it was.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from listing_media_dagster.listing import Operation, OperationName
from listing_media_dagster.photo.bracket_alignment import Alignment, align_brackets
from listing_media_dagster.photo.camera_response import estimate_exposures, estimate_response

VERSION = "1"
SMALL_SIDE = 1600
STRIP_ROWS = 192
BRIGHTEST = 0.7
"""Where the brightest surfaces (a window view) come to lie, linear, 1.0 = clipped."""
DARKEST = 0.025
MIDDLE = (0.25, 0.38)
"""The room's median is brought into this range, linear; inside it the photographer's exposure is kept."""
EDGE_EV2 = 1.2
"""Variance (EV²) above which the exposure map follows an edge instead of smoothing over it."""
LOCAL_CONTRAST = 1.1
"""Detail over the base: what the compressed tones lose in bite is given back."""
GHOST_EV = 0.6
LUMA = np.array([[0.2126, 0.7152, 0.0722]], np.float32)

FloatImage = NDArray[np.float32]
Image = NDArray[np.uint8]


@dataclass(frozen=True)
class FusedPhoto:
    """rgb: uint8 (H, W, 3) sRGB, the size of the reference frame; notes: frames that were left out, and why."""

    rgb: Image
    operations: tuple[Operation, ...]
    metrics: dict[str, float]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Frame:
    """One usable frame: `small` is its reduced, aligned copy, `trust` uint8 (h, w) how much to listen to it where."""

    index: int
    ev: float
    alignment: Alignment
    small: Image
    trust: Image = field(default_factory=lambda: np.zeros((0, 0), np.uint8))


@dataclass(frozen=True)
class _Rendering:
    """How bright each place becomes: base = slope·light + offset (small maps), exposure = `boost` of the base."""

    slope: FloatImage
    offset: FloatImage
    first_ev: float
    step_ev: float
    boost: FloatImage


def fuse_brackets(frames: Sequence[Callable[[], Image]], exposures_ev: Sequence[float], reference: int) -> FusedPhoto:
    """Align and merge the frames of one bracket set into a photo with a natural window view.

    frames: decode one frame each, uint8 (H, W, 3) sRGB, upright; each is called twice and held once.
    exposures_ev: EV of each frame, positive = brighter; if they are unknown (all alike) they are measured.
    reference: index of the frame that gives position, size and, where things moved, the content.
    A frame that can't be laid over the reference is left out with a note. With nothing to merge, the reference is
    returned unchanged and without operations. Raises ValueError on unequal lengths or a reference out of range.
    """
    if len(frames) != len(exposures_ev) or not 0 <= reference < len(frames):
        raise ValueError(f"{len(frames)} frames, {len(exposures_ev)} exposures and reference {reference} don't fit")
    size, small, notes = _reduce(frames, reference)
    known = _usable_exposures(exposures_ev, small, reference)
    usable = _align(small, known, reference, size, notes)
    if len(usable) < 2:
        return FusedPhoto(frames[reference](), (), {"frames_merged": 1.0}, tuple(notes))
    response = estimate_response([frame.small for frame in usable], [frame.ev for frame in usable])
    first = next(frame for frame in usable if frame.index == reference)
    ghosts = _ghosts(usable, first, response)
    rendering, exposure = _plan_rendering(usable, first, ghosts, response)
    trusted = [
        _Frame(frame.index, frame.ev, frame.alignment, frame.small, _trust(frame, exposure, ghost, usable, reference))
        for frame, ghost in zip(usable, ghosts, strict=True)
    ]
    rgb = _merge(frames, trusted, response, rendering, size, reference)
    window = _window_mask(trusted, first)
    metrics = {
        "frames_merged": float(len(trusted)),
        "frames_left_out": float(len(frames) - len(trusted)),
        "alignment_shift_px": max(frame.alignment.shift_px for frame in trusted),
        "alignment_residual_px": max(frame.alignment.residual_px for frame in trusted),
        "ghost_share": float(np.mean([ghost.mean() for ghost in ghosts])),
        "window_share": float(window.mean()),
    }
    return FusedPhoto(rgb, _operations(trusted, reference, window, size), metrics, tuple(notes))


def _reduce(
    frames: Sequence[Callable[[], Image]], reference: int
) -> tuple[tuple[int, int], dict[int, Image], list[str]]:
    """Decode each frame once for its reduced copy. Returns the (width, height), copies by index, and notes."""
    first = frames[reference]()
    height, width = first.shape[:2]
    ratio = min(1.0, SMALL_SIDE / max(height, width))
    small_size = (max(1, round(width * ratio)), max(1, round(height * ratio)))
    small: dict[int, Image] = {}
    notes: list[str] = []
    for k, decode in enumerate(frames):
        picture = first if k == reference else decode()
        if picture.shape[:2] != (height, width):
            notes.append(
                f"bracket frame {k + 1} left out: {picture.shape[1]}×{picture.shape[0]} px, not {width}×{height}"
            )
            continue
        small[k] = np.asarray(cv2.resize(picture, small_size, interpolation=cv2.INTER_AREA), np.uint8)
    return (width, height), small, notes


def _usable_exposures(exposures_ev: Sequence[float], small: dict[int, Image], reference: int) -> dict[int, float]:
    """The given EVs relative to the reference, or measured ones where the given ones say nothing or contradict."""
    order = sorted(small)
    given = np.array([exposures_ev[k] for k in order], float)
    means = np.array([small[k].mean() for k in order])
    if np.all(np.isfinite(given)) and np.ptp(given) >= 0.3 and np.corrcoef(given, means)[0, 1] > 0.5:
        return {k: float(exposures_ev[k] - exposures_ev[reference]) for k in order}
    measured = estimate_exposures([small[k] for k in order], order.index(reference))
    return dict(zip(order, measured, strict=True))


def _align(
    small: dict[int, Image], ev: dict[int, float], reference: int, size: tuple[int, int], notes: list[str]
) -> list[_Frame]:
    order = sorted(small)
    height, width = small[reference].shape[:2]
    scale = size[0] / width
    grey = [np.asarray(cv2.cvtColor(small[k], cv2.COLOR_RGB2GRAY), np.uint8) for k in order]
    found = align_brackets(grey, [ev[k] for k in order], order.index(reference), scale)
    shrink = np.array([[scale, 0, (scale - 1) / 2], [0, scale, (scale - 1) / 2], [0, 0, 1]])
    usable: list[_Frame] = []
    for k, alignment in zip(order, found, strict=True):
        if alignment is None:
            notes.append(f"bracket frame {k + 1} ({ev[k]:+.1f} EV) left out: it can't be aligned with the others")
            continue
        picture = small[k]
        if not alignment.is_identity:
            matrix = np.linalg.inv(shrink) @ alignment.matrix @ shrink
            picture = np.asarray(
                cv2.warpPerspective(picture, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE), np.uint8
            )
        usable.append(_Frame(k, ev[k], alignment, picture))
    return usable


def _validity(ev: float, evs: Sequence[float], is_reference: bool) -> FloatImage:
    """Weight of a pixel by its largest channel, float32 (256,): none when clipped or lost in noise."""
    value = np.arange(256) / 255.0
    clipped = np.clip((0.97 - value) / 0.3, 0, 1)  # a curve bends colours well before it clips
    noisy = np.clip((value - 0.015) / 0.1, 0, 1)
    weight = clipped * noisy * 2 ** (0.5 * ev)
    if ev == min(evs):
        weight = np.maximum(weight, 1e-3 * (value > 0.5))
    if ev == max(evs):
        weight = np.maximum(weight, 1e-3 * (value < 0.5))
    if is_reference:
        weight = np.maximum(weight, 1e-6)
    return np.asarray(weight, np.float32)


def _ghosts(usable: Sequence[_Frame], first: _Frame, response: NDArray[np.float64]) -> list[FloatImage]:
    """Where each frame shows something else than the reference, float32 (h, w) 0..1.

    Where the reference is clipped or black, the frame nearest to it in exposure that isn't takes its place.
    """
    light: FloatImage | None = None
    known: NDArray[np.bool_] | None = None
    result: dict[int, FloatImage] = {}
    for frame in sorted(usable, key=lambda frame: (frame is not first, abs(frame.ev - first.ev))):
        grey = cv2.GaussianBlur(cv2.cvtColor(frame.small, cv2.COLOR_RGB2GRAY), (0, 0), 2.0)
        seen = (response[grey] - frame.ev).astype(np.float32)
        exposed = (grey > 12) & (cv2.GaussianBlur(frame.small.max(axis=2), (0, 0), 2.0) < 240)
        if light is None or known is None:
            light, known = seen, exposed
            result[frame.index] = np.zeros(grey.shape, np.float32)
            continue
        tolerance = GHOST_EV + 12.0 / (grey.astype(np.float32) + 4)  # coarse steps and noise near black
        differs = ((np.abs(seen - light) > tolerance) & exposed & known).astype(np.uint8)
        differs = cv2.morphologyEx(differs, cv2.MORPH_OPEN, np.ones((7, 7), np.uint8))  # thin edges aren't ghosts
        differs = cv2.dilate(differs, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (31, 31)))
        result[frame.index] = np.asarray(cv2.GaussianBlur(differs.astype(np.float32), (0, 0), 6), np.float32)
        fill = exposed & ~known
        light[fill] = seen[fill]
        known |= exposed
    return [result[frame.index] for frame in usable]


def _plan_rendering(
    usable: Sequence[_Frame], first: _Frame, ghosts: Sequence[FloatImage], response: NDArray[np.float64]
) -> tuple[_Rendering, FloatImage]:
    """Decide how bright each place becomes. Returns the plan and its exposure map, float32 (h, w) EV, reduced size."""
    evs = [frame.ev for frame in usable]
    total = np.zeros((*first.small.shape[:2], 3), np.float32)
    weight = np.zeros(first.small.shape[:2], np.float32)
    for frame, ghost in zip(usable, ghosts, strict=True):
        here = _validity(frame.ev, evs, frame is first)[_largest_nearby(frame.small)]
        here *= 1 - ghost if frame is not first else 1
        total += here[..., None] * (response[frame.small] - frame.ev).astype(np.float32)
        weight += here
    light = _brightness(np.asarray(total / weight[..., None], np.float32))
    radius = max(4, round(0.02 * max(light.shape)))
    slope, offset = _edge_aware_base(light, radius)
    base = slope * light + offset
    grey = cv2.cvtColor(first.small, cv2.COLOR_RGB2GRAY)
    middle = float(np.clip(2 ** np.median(response[grey]), *MIDDLE))
    edges, wanted = _tone_curve(base, middle)
    boost = np.asarray(np.clip(wanted, min(evs), max(evs) + 0.5), np.float32)
    plan = _Rendering(slope, offset, float(edges[0]), float(edges[1] - edges[0]), boost)
    return plan, _exposure(plan, base)


def _edge_aware_base(light: FloatImage, radius: int) -> tuple[FloatImage, FloatImage]:
    """Guided filter of `light` by itself (He et al. 2010): slope and offset, float32, smoothed, small size."""
    window = (2 * radius + 1, 2 * radius + 1)
    mean = cv2.blur(light, window, borderType=cv2.BORDER_REFLECT)
    variance = cv2.blur(light * light, window, borderType=cv2.BORDER_REFLECT) - mean * mean
    slope = variance / (variance + EDGE_EV2)
    offset = mean * (1 - slope)
    return (
        np.asarray(cv2.blur(slope, window, borderType=cv2.BORDER_REFLECT), np.float32),
        np.asarray(cv2.blur(offset, window, borderType=cv2.BORDER_REFLECT), np.float32),
    )


def _tone_curve(base: FloatImage, middle: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the base's EVs at even steps and, for each, the exposure that brings it into range.

    Tones are compressed only as far as the scene needs, and first where the scene has none (between a room and its
    windows): the slope follows the root of the histogram and never exceeds 1. After Ward Larson et al. 1997.
    """
    step = 0.05
    edges = np.arange(np.floor(base.min()) - step, np.ceil(base.max()) + 2 * step, step)
    counts = np.histogram(base, edges)[0] / base.size
    share = np.cumsum(counts)
    centres = edges[:-1] + step / 2
    low, median, high = (centres[min(int(np.searchsorted(share, at)), len(centres) - 1)] for at in (0.01, 0.5, 0.995))
    smooth = cv2.GaussianBlur(counts.astype(np.float32).reshape(-1, 1), (1, 0), sigmaX=1, sigmaY=4).ravel()
    density = np.sqrt(smooth.astype(np.float64) / step)
    slope = np.full(len(centres), 0.3)
    above, below = (centres >= median) & (centres < high), (centres < median) & (centres >= low)
    slope[above] = _slopes_that_fit(density[above], np.log2(BRIGHTEST / middle) / step)
    slope[below] = _slopes_that_fit(density[below], np.log2(middle / DARKEST) / step)
    slope = cv2.GaussianBlur(slope.reshape(-1, 1), (1, 0), sigmaX=1, sigmaY=5).ravel().astype(np.float64)
    tone = np.concatenate([[0.0], np.cumsum(slope) * step])
    tone += np.log2(middle) - np.interp(median, edges, tone)
    return edges, tone - edges


def _slopes_that_fit(density: NDArray[np.float64], available: float) -> NDArray[np.float64]:
    """Slopes ≤ 1, proportional to `density` with a floor, whose sum is `available` (all 1 if that is enough)."""
    if len(density) <= available:
        return np.ones(len(density))
    floor = min(0.08, 0.5 * available / len(density))
    weak, strong = 0.0, 1e4
    for _ in range(50):
        factor = (weak + strong) / 2
        if np.minimum(1, factor * density + floor).sum() > available:
            strong = factor
        else:
            weak = factor
    return np.minimum(1, weak * density + floor)


def _brightness(light: FloatImage) -> FloatImage:
    """log2 of the luminance, float32 (h, w), of log2 light (h, w, 3)."""
    linear = cv2.exp(light * np.float32(np.log(2)))
    return np.asarray(cv2.log(cv2.transform(linear, LUMA)), np.float32) * np.float32(1 / np.log(2))


def _exposure(plan: _Rendering, base: FloatImage) -> FloatImage:
    at = np.clip((base - plan.first_ev) / plan.step_ev, 0, len(plan.boost) - 1.001)
    whole = at.astype(np.int32)
    below = plan.boost[whole]
    return np.asarray(below + (at - whole) * (plan.boost[whole + 1] - below), np.float32)


def _trust(frame: _Frame, exposure: FloatImage, ghost: FloatImage, usable: Sequence[_Frame], reference: int) -> Image:
    """uint8 (h, w): near 255 where the place is rendered at about this frame's exposure, 0 where it is a ghost."""
    gap = float(np.median(np.diff(sorted(other.ev for other in usable)))) or 1.0
    near = np.exp(-0.5 * ((exposure - frame.ev) / (0.7 * gap)) ** 2)
    trust = np.maximum(near, 1 / 255)
    if frame.index != reference:
        trust = trust * (1 - ghost)
    return np.asarray(np.round(trust * 255), np.uint8)


def _merge(
    frames: Sequence[Callable[[], Image]],
    trusted: Sequence[_Frame],
    response: NDArray[np.float64],
    plan: _Rendering,
    size: tuple[int, int],
    reference: int,
) -> Image:
    width, height = size
    total = np.zeros((height, width, 3), np.float32)
    weight = np.zeros((height, width), np.float32)
    evs = [frame.ev for frame in trusted]
    for frame in trusted:
        picture = frames[frame.index]()
        trust = np.asarray(cv2.resize(frame.trust, size, interpolation=cv2.INTER_LINEAR), np.uint8)
        if not frame.alignment.is_identity:
            matrix = frame.alignment.matrix
            covered = cv2.warpPerspective(np.full((height, width), 255, np.uint8), matrix, size)
            trust = np.where(cv2.erode(covered, np.ones((5, 5), np.uint8)) == 255, trust, 0).astype(np.uint8)
            picture = np.asarray(
                cv2.warpPerspective(picture, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE),
                np.uint8,
            )
        light = (response - frame.ev).astype(np.float32)
        validity = _validity(frame.ev, evs, frame.index == reference)
        for top in range(0, height, STRIP_ROWS):
            rows = slice(top, min(top + STRIP_ROWS, height))
            _add_strip(picture[rows], trust[rows], light, validity, total[rows], weight[rows])
        del picture, trust
    return _render(total, weight, plan, response)


def _largest_nearby(picture: Image) -> Image:
    """The largest channel in each 3×3 neighbourhood: ringing beside a clipped pixel is no measurement either."""
    red, green, blue = cv2.split(picture)
    return np.asarray(cv2.dilate(cv2.max(cv2.max(red, green), blue), np.ones((3, 3), np.uint8)), np.uint8)


def _add_strip(
    picture: Image, trust: Image, light: FloatImage, validity: FloatImage, total: FloatImage, weight: FloatImage
) -> None:
    here = cv2.LUT(_largest_nearby(picture), validity)
    here = cv2.multiply(here, trust, dtype=cv2.CV_32F)
    cv2.accumulate(here, weight)
    cv2.accumulateProduct(cv2.LUT(picture, light), cv2.merge([here, here, here]), total)


def _render(total: FloatImage, weight: FloatImage, plan: _Rendering, response: NDArray[np.float64]) -> Image:
    """Expose the merged light place by place and pass it through the camera's curve."""
    height, width = weight.shape
    rgb = np.empty((height, width, 3), np.uint8)
    slope, offset = (_Enlarged(image, width, height) for image in (plan.slope, plan.offset))
    table, first, per_ev = _curve_table(response)
    for top in range(0, height, STRIP_ROWS):
        rows = slice(top, min(top + STRIP_ROWS, height))
        here = weight[rows]
        light = np.asarray(cv2.divide(total[rows], cv2.merge([here, here, here])), np.float32)
        brightness = _brightness(light)
        base = slope.rows(rows) * brightness + offset.rows(rows)
        boost = _exposure(plan, base) + np.float32(LOCAL_CONTRAST - 1) * (brightness - base)
        at = (light + (boost - first)[..., None]) * per_ev
        np.clip(at, 0, len(table) - 1, out=at)
        rgb[rows] = table[at.astype(np.uint16)]
    return rgb


class _Enlarged:
    """Rows of a small map at full size, without ever holding the full-size map."""

    def __init__(self, small: FloatImage, width: int, height: int) -> None:
        self._wide = cv2.resize(small, (width, small.shape[0]), interpolation=cv2.INTER_LINEAR)
        self._per_row = small.shape[0] / height

    def rows(self, rows: slice) -> FloatImage:
        at = np.clip((np.arange(rows.start, rows.stop) + 0.5) * self._per_row - 0.5, 0, len(self._wide) - 1)
        above = np.minimum(at.astype(int), len(self._wide) - 2)
        part = (at - above).astype(np.float32)[:, None]
        return np.asarray(self._wide[above] * (1 - part) + self._wide[above + 1] * part, np.float32)


def _curve_table(response: NDArray[np.float64]) -> tuple[Image, float, float]:
    """The camera's curve as a table over EV, with a soft shoulder: uint8 table, first EV, entries per EV."""
    first, last, per_ev = float(response[0]) - 1, 4.0, 256.0
    light = np.arange(first, last, 1 / per_ev)
    knee = -0.45
    soft = np.where(light > knee, knee - knee * (1 - np.exp((light - knee) / knee)), light)
    value = np.interp(soft, response, np.arange(256.0))
    return np.clip(np.round(value), 0, 255).astype(np.uint8), first, per_ev


def _window_mask(trusted: Sequence[_Frame], first: _Frame) -> NDArray[np.bool_]:
    """Where the reference is clipped and a darker frame isn't: bool (h, w), reduced size."""
    mask = np.zeros(first.small.shape[:2], bool)
    for frame in trusted:
        if frame.ev < first.ev:
            mask |= (first.small.max(axis=2) > 247) & (frame.small.max(axis=2) < 242) & (frame.trust > 20)
    return mask


def _operations(
    trusted: Sequence[_Frame], reference: int, window: NDArray[np.bool_], size: tuple[int, int]
) -> tuple[Operation, ...]:
    merged: dict[str, Any] = {
        "frames": len(trusted),
        "exposures_ev": [round(frame.ev, 2) for frame in trusted],
        "reference": reference,
        "shifts_px": [round(frame.alignment.shift_px, 1) for frame in trusted],
        "alignments": [frame.alignment.method for frame in trusted],
    }
    operations = [Operation(name=OperationName.BRACKET_MERGE, parameters=merged, version=VERSION)]
    if window.mean() > 0.002:
        operations.append(
            Operation(
                name=OperationName.WINDOW_PULL,
                parameters={"share": round(float(window.mean()), 4)},
                version=VERSION,
                region=_boxes(window, size) or None,
            )
        )
    return tuple(operations)


def _boxes(mask: NDArray[np.bool_], size: tuple[int, int]) -> tuple[tuple[int, int, int, int], ...]:
    """Full-size boxes (x, y, width, height) round the larger parts of a small mask, largest first, at most 8."""
    joined = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((25, 25), np.uint8))
    _, _, parts, _ = cv2.connectedComponentsWithStats(joined)
    scale = size[0] / mask.shape[1]
    large = sorted((part for part in parts[1:] if part[4] > 0.001 * mask.size), key=lambda part: -int(part[4]))
    return tuple((int(x * scale), int(y * scale), int(w * scale), int(h * scale)) for x, y, w, h, _ in large[:8])
