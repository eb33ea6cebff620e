"""Whether a window or door shows where it was: each side is looked for along its normal by its own edge profile."""

from __future__ import annotations

import numpy as np

from listing_media_dagster.staging.structure_lines import FAINT, KEPT, Samples
from listing_media_dagster.staging.structure_measures import Floats, Pair, filled


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
