"""What a staged image is measured by: does it register with its base, do edges and openings survive, what is new.

Everything here works on a `Pair` at reduced size; the limits and the verdict live in `structure_gate`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Image = NDArray[np.float32]
Mask = NDArray[np.bool_]

WORKING_SIDE = 1024
DARKEST = 12.0
"""Added to 0..255 before logarithms are taken, so that noise in the dark is no contrast."""
FAINT = 0.02
"""Gradients below this (natural log a px) are wall texture and noise, not edges."""
KEPT = 0.4
"""An edge survives if at least this share of its contrast does."""
BRIGHTER, TINTED = 0.12, 0.12
"""Natural logs by which no furnishing brightens a surface, and by which its shadow tints none."""

TEXTURE_PX = 5.0
"""Reach over which the contrast of textures is compared."""
PENUMBRA_PX, SHARP = 8, 0.24
"""Reach over which a shadow's border may fade, and the share of its step that a sharp edge rises in one px."""
HAIRLINE = 0.05
"""Natural log below which a line is too faint for an edge of architecture."""
ALL_THREE = np.ones((1, 3), np.float32)


@dataclass(frozen=True)
class Pair:
    """Base and staged at working size: log colours (h, w, 3), the gradients (h, w, 2) of their log luminance.

    `edited` is the edit mask, `hidden` what furniture covers, `floor` the floor, `factor` full-size px a working px.
    """

    base: Image
    staged: Image
    base_slope: Image
    staged_slope: Image
    edited: Mask
    hidden: Mask
    floor: Mask
    factor: float

    @property
    def visible(self) -> Mask:
        return self.edited & ~self.hidden

    @property
    def long_side(self) -> int:
        return int(max(self.edited.shape))


@dataclass(frozen=True)
class Registration:
    """How staged lies over base: `shift` full-size px, `zoom` factor, `points` that agree on it."""

    shift: float = 0.0
    zoom: float = 1.0
    points: int = 0


def log_colours(rgb: NDArray[np.uint8], size: tuple[int, int]) -> Image:
    """Return natural log colours (h, w, 3) of rgb uint8 at `size` (width, height): light then only adds."""
    small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    return np.asarray(np.log(small + DARKEST), np.float32)


def luminance(colours: Image) -> Image:
    """Return the mean (h, w) of log colours (h, w, 3)."""
    return np.asarray(cv2.transform(colours, np.full((1, 3), 1 / 3, np.float32)), np.float32)


def slopes(colours: Image) -> Image:
    """Return the gradient (h, w, 2) of the log luminance, a px, after a blur of 1 px."""
    smooth = cv2.GaussianBlur(luminance(colours), (0, 0), 1.0)
    across, down = (cv2.Scharr(smooth, cv2.CV_32F, *axis, scale=1 / 32) for axis in ((1, 0), (0, 1)))
    return np.asarray(np.dstack([across, down]), np.float32)


def grown(mask: Mask, px: float) -> Mask:
    """Return `mask` with everything within `px` of it."""
    if not mask.any():
        return mask
    return np.asarray(cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 3) <= px)


def opened(mask: Mask, px: float) -> Mask:
    """Return `mask` without whatever is thinner than 2·px."""
    return grown(~grown(~mask, px), px)


def closed(mask: Mask, px: float) -> Mask:
    """Return `mask` with every gap narrower than 2·px filled."""
    return ~grown(~grown(mask, px), px)


def filled(outline: Floats, shape: tuple[int, ...]) -> Mask:
    canvas = np.zeros(shape[:2], np.uint8)
    cv2.fillPoly(canvas, [np.round(outline).astype(np.int32)], 1)
    return canvas.astype(bool)


def light_free_difference(pair: Pair) -> tuple[Mask, Mask]:
    """Return where staged differs from base as light alone can't: (recoloured, restructured), both (h, w).

    A shadow darkens all channels alike and smoothly, so what is brighter, tinted, or carries other fine contrast than
    the base did is another surface.
    """
    seen = (~pair.hidden).astype(np.float32)
    brightened = _averaged(luminance(pair.staged - pair.base), seen, 1.5) > BRIGHTER
    recoloured = brightened | (_tint(pair, seen) > TINTED)
    before, after = (_seen_detail(luminance(image), seen) for image in (pair.base, pair.staged))
    own, other, together = (
        _averaged(product, seen, TEXTURE_PX) for product in (before * before, after * after, before * after)
    )
    # what of the staged contrast the base doesn't explain, and what of the base's is gone
    gain = np.clip(together / (own + 1e-5), 0.0, 1.3)
    unexplained = np.sqrt(np.maximum(other - 2 * gain * together + gain * gain * own, 0))
    lost = np.sqrt(own) * np.maximum(KEPT - gain, 0) / KEPT
    return recoloured, (unexplained > 0.5 * np.sqrt(own) + 0.035) | (lost > 0.035)


def _tint(pair: Pair, seen: Image) -> Image:
    """Return how far (h, w) staged is in hue from its base in any other light, as a natural log."""
    levels = [np.asarray(np.exp(image) - DARKEST, np.float32) for image in (pair.base, pair.staged)]
    base, staged = (_light(_averaged(image, seen, 1.5)) for image in levels)
    less = cv2.transform(staged, ALL_THREE) / np.maximum(cv2.transform(base, ALL_THREE), 1e-4)
    expected = np.asarray(base * less[..., None], np.float32)
    red, green, blue = cv2.split(np.log((_levels(staged) + DARKEST) / (_levels(expected) + DARKEST)))
    return np.asarray(cv2.max(cv2.max(red, green), blue) - cv2.min(cv2.min(red, green), blue), np.float32)


def _light(levels: Image) -> Image:
    """Return the linear light 0..1 of sRGB levels 0..255."""
    code = np.clip(levels / 255, 0, 1)
    return np.asarray(np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4), np.float32)


def _levels(light: Image) -> Image:
    """Return the sRGB levels of linear light; beyond white they go on."""
    return np.asarray(255 * np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055), np.float32)


def _seen_detail(image: Image, seen: Image) -> Image:
    """Return the fine contrast (h, w) of what is seen; furniture beside it adds none."""
    return np.asarray((image - _averaged(image, seen, 4.0)) * seen, np.float32)


def _averaged(image: Image, seen: Image, reach: float) -> Image:
    """Return a Gaussian average over what is `seen` (h, w) 0..1 alone."""
    weight = seen if image.ndim == 2 else seen[..., None]
    share = np.maximum(cv2.GaussianBlur(seen, (0, 0), reach), 1e-3)
    around = cv2.GaussianBlur(image * weight, (0, 0), reach)
    return np.asarray(around / (share if image.ndim == 2 else share[..., None]), np.float32)


def register(pair: Pair) -> Registration:
    """Fit shift and zoom to corners of the base that are found again in what is visible of the edit."""
    before, after = (_flattened(image) for image in (pair.base, pair.staged))
    allowed = cv2.erode(pair.visible.astype(np.uint8), np.ones((5, 5), np.uint8))
    corners = cv2.goodFeaturesToTrack(before, 600, 0.02, 6, mask=allowed)
    if corners is None or len(corners) < 12:
        return Registration()
    options = {"winSize": (19, 19), "maxLevel": 4}
    there, found, _ = cv2.calcOpticalFlowPyrLK(before, after, corners, None, **options)  # type: ignore[call-overload]
    back, refound, _ = cv2.calcOpticalFlowPyrLK(after, before, there, None, **options)  # type: ignore[call-overload]
    good = (found[:, 0] > 0) & (refound[:, 0] > 0) & (np.linalg.norm(back - corners, axis=2)[:, 0] < 0.25)
    source, target = corners[good, 0], there[good, 0]
    if len(source) < 12:
        return Registration()
    cv2.setRNGSeed(1)
    fit, inliers = cv2.estimateAffinePartial2D(source, target, ransacReprojThreshold=0.5)
    if fit is None or inliers.sum() < max(10, 0.2 * len(source)):
        return Registration(points=int(inliers.sum()) if inliers is not None else 0)
    centre = source[inliers[:, 0] > 0].mean(0)  # where the fit is known best
    moved = fit[:, :2] @ centre + fit[:, 2] - centre
    return Registration(
        float(np.hypot(*moved)) * pair.factor, float(np.hypot(fit[0, 0], fit[1, 0])), int(inliers.sum())
    )


def _flattened(colours: Image) -> NDArray[np.uint8]:
    """Fine contrast only, as 8 bit: what corners are followed on, whatever the light does."""
    return np.asarray(np.clip(128 + 220 * _fine(luminance(colours), 12.0), 0, 255), np.uint8)


def _fine(image: Image, coarse: float) -> Image:
    return np.asarray(image - cv2.GaussianBlur(image, (0, 0), coarse), np.float32)


def find_lines(colours: Image, shortest: float) -> Floats:
    """Return straight edges (n, 4) of at least `shortest` px."""
    grey = np.clip(np.exp(luminance(colours)) - DARKEST, 0, 255).astype(np.uint8)
    lines = cv2.createLineSegmentDetector(cv2.LSD_REFINE_STD).detect(grey)[0]
    if lines is None:
        return np.zeros((0, 4))
    ends = np.asarray(lines, float).reshape(-1, 4)
    long = np.hypot(ends[:, 2] - ends[:, 0], ends[:, 3] - ends[:, 1]) >= shortest
    return np.asarray(ends[long])


@dataclass(frozen=True)
class Samples:
    """Points (n, 2) along lines every 2 px, their unit normals (n, 2) and the number of the line each lies on."""

    points: Floats
    normals: Floats
    line: NDArray[np.int64]

    @classmethod
    def along(cls, lines: Floats) -> Samples:
        points, normals, numbers = [np.zeros((0, 2))], [np.zeros((0, 2))], [np.zeros(0, np.int64)]
        for number, (x1, y1, x2, y2) in enumerate(lines):
            length = max(float(np.hypot(x2 - x1, y2 - y1)), 1e-6)
            steps = np.linspace(0, 1, max(2, int(length / 2)))[:, None]
            points.append(np.array([x1, y1]) + steps * np.array([x2 - x1, y2 - y1]))
            normals.append(np.tile([-(y2 - y1) / length, (x2 - x1) / length], (len(steps), 1)))
            numbers.append(np.full(len(steps), number))
        return cls(np.concatenate(points), np.concatenate(normals), np.concatenate(numbers))

    def contrast(self, slope: Image, reach: int) -> Floats:
        """Return the slope across each point's line at -reach..reach px along its normal, (2·reach + 1, n)."""
        offsets = np.arange(-reach, reach + 1)[:, None, None]
        picked = _pick(slope, self.points[None] + offsets * self.normals[None])
        return np.asarray((picked * self.normals[None]).sum(2))

    def within(self, mask: Mask) -> Mask:
        return np.asarray(_pick(mask.astype(np.float32), self.points[None])[0] > 0.5)


def _pick(image: NDArray[np.float32], points: Floats) -> Floats:
    """Return the image at points (m, n, 2), between pixels if need be. An image row holds 32767 points at most."""
    if not points.size:
        return np.zeros(points.shape[:2] + image.shape[2:])
    x, y = (points[..., axis].astype(np.float32) for axis in (0, 1))
    parts = [slice(start, start + 30000) for start in range(0, points.shape[1], 30000)]
    picked = [cv2.remap(image, x[:, part], y[:, part], cv2.INTER_LINEAR, None, cv2.BORDER_REPLICATE) for part in parts]
    return np.asarray(np.concatenate(picked, axis=1), np.float64)


def compare_lines(lines: Floats, here: Image, there: Image, seen: Mask, reach: int) -> tuple[Floats, Floats]:
    """Return for each line how many of its samples are seen with contrast `here`, and how many of those are `there`.

    An edge may lie `reach` px off and keep `KEPT` of its contrast; it must keep its sign.
    """
    samples = Samples.along(lines)
    own = samples.contrast(here, 1)
    strongest = np.take_along_axis(own, np.abs(own).argmax(0)[None], 0)[0]
    counted = samples.within(seen) & (np.abs(strongest) > FAINT)
    other = samples.contrast(there, 1 + reach)
    found = (other * np.sign(strongest)).max(0) >= KEPT * np.abs(strongest)
    total = np.bincount(samples.line, counted, len(lines))
    return np.asarray(total, float), np.asarray(np.bincount(samples.line, counted & found, len(lines)), float)


def are_strips(lines: Floats, slope: Image, width: int) -> Mask:
    """Return which lines (n, 4) have an edge of the opposite sign and like strength within `width` px: (n,)."""
    samples = Samples.along(lines)
    across = samples.contrast(slope, width)
    own = across[width - 1 : width + 2]
    strongest = np.take_along_axis(own, np.abs(own).argmax(0)[None], 0)[0]
    opposite = (-across * np.sign(strongest)).max(0) > 0.5 * np.abs(strongest)
    total = np.bincount(samples.line, minlength=len(lines))
    return np.asarray(np.bincount(samples.line, opposite, len(lines)) > 0.5 * np.maximum(total, 1))


def are_light(lines: Floats, pair: Pair) -> Mask:
    """Return which lines (n, 4) may be light's doing: where staged differs from base as at a shadow's border: (n,).

    A sharp edge rises within 3 px, so that its steepest px is at least a quarter of the whole step, and no shadow
    brightens a side of it; a hairline with next to no step is where the light on two walls was joined.
    """
    samples = Samples.along(lines)
    across = samples.contrast(pair.staged_slope - pair.base_slope, PENUMBRA_PX)
    count = np.maximum(np.bincount(samples.line, minlength=len(lines)), 1)
    near = np.abs(across[PENUMBRA_PX - 2 : PENUMBRA_PX + 3]).max(0)
    steepest, step = (np.bincount(samples.line, each, len(lines)) / count for each in (near, np.abs(across.sum(0))))
    sides = [samples.points + side * samples.normals for side in (-PENUMBRA_PX / 2, PENUMBRA_PX / 2)]
    change = _pick(luminance(pair.staged - pair.base), np.stack(sides)).max(0)
    brighter = np.bincount(samples.line, change, len(lines)) / count > HAIRLINE
    return np.asarray(((steepest < SHARP * step) & ~brighter) | (np.maximum(steepest, step) < HAIRLINE))


def opening_agreement(pair: Pair, outline: Floats, reach: float) -> float:
    """Return the IoU of an opening as staged and as it was, times the share of its visible sides that were found.

    Each side is looked for along its normal by its own edge profile; a side that furniture hides stays where it was.
    """
    moved, found, looked = [], 0, 0
    for start, end in zip(outline, np.roll(outline, -1, 0), strict=True):
        offset = _side_offset(pair, np.concatenate([start, end]), reach)
        looked += offset is not None
        found += offset is not None and np.isfinite(offset)
        moved.append(offset if offset is not None and np.isfinite(offset) else 0.0)
    if not looked:
        return 1.0
    return _iou(outline, _pushed(outline, np.array(moved)), pair.edited.shape) * found / looked


def _side_offset(pair: Pair, side: Floats, reach: float) -> float | None:
    """Px by which a side moved along its normal; NaN: it is gone, None: too little of it is seen to tell."""
    samples = Samples.along(side[None])
    kept = samples.within(pair.visible)
    if kept.mean() < 0.35:
        return None
    near, far = max(3, int(reach / 3)), int(reach)
    seen = Samples(samples.points[kept], samples.normals[kept], samples.line[kept])
    before = np.median(seen.contrast(pair.base_slope, near), axis=1)
    if np.abs(before).max() < FAINT:
        return None
    after = np.median(seen.contrast(pair.staged_slope, near + far), axis=1)
    energy = np.convolve(after * after, np.ones(len(before)), "valid")
    match = np.correlate(after, before, "valid") / np.sqrt((energy + 1e-6) * (before @ before))
    strength = np.correlate(after, before, "valid") / (before @ before)
    match = np.where(strength >= KEPT, match, 0.0) - 0.004 * np.abs(np.arange(-far, far + 1))
    best = int(match.argmax())
    return float(best - far) if match[best] > 0.6 else float("nan")


def _pushed(outline: Floats, offsets: Floats) -> Floats:
    """Return the quadrilateral whose sides were pushed along their normals."""
    start, end = outline, np.roll(outline, -1, 0)
    along = (end - start) / np.maximum(np.linalg.norm(end - start, axis=1, keepdims=True), 1e-6)
    normal = np.column_stack([-along[:, 1], along[:, 0]])
    point = start + normal * offsets[:, None]
    corners = []
    for here in range(4):
        before = here - 1
        system = np.column_stack([along[before], -along[here]])
        if abs(np.linalg.det(system)) < 1e-3:
            return outline
        step = np.linalg.solve(system, point[here] - point[before])
        corners.append(point[before] + step[0] * along[before])
    return np.array(corners)


def _iou(one: Floats, other: Floats, shape: tuple[int, ...]) -> float:
    first, second = (filled(outline, (shape[0], shape[1])) for outline in (one, other))
    return float((first & second).sum() / max((first | second).sum(), 1))


def components(mask: Mask, smallest: float) -> Iterator[tuple[Mask, int]]:
    """Yield the connected parts of `mask` of at least `smallest` px, each with its area, largest first."""
    count, labels, facts, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    areas = facts[1:count, cv2.CC_STAT_AREA]
    for number in np.argsort(-areas, kind="stable"):
        if areas[number] < smallest:
            return
        yield labels == number + 1, int(areas[number])
