"""Lens distortion: read from a lens profile or from lines that should be straight, and applied only if they become so.

A JPEG may have been corrected in the camera already and doesn't say so; the photo's own lines decide.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from listing_media_dagster.photo.line_segments import Traces

MIN_LINES = 12
MIN_STRENGTH = 0.008
"""Less distortion than this (share of the radius at the corner) can't be seen."""
MAX_STRENGTH = 0.16
WEAKEST_GAIN = 0.12
"""The lines must become straighter by at least this share, or nothing is done."""

POINTS_PER_TRACE = 16
STRAIGHT_WITHIN = 0.0006
"""A line is straight if its points lie this close to it, in half diagonals (0.5 px of a 1280 px copy)."""

Points = NDArray[np.float64]


@dataclass(frozen=True)
class LensModel:
    """Radial distortion: what belongs at radius r is seen at r·(1 + k1·r² + k2·r⁴), r = 1 at the corners."""

    k1: float
    k2: float
    source: str

    def distort(self, points: Points, radius: float) -> Points:
        """Where the lens put these points (…, 2), px from the centre; `radius`: half the diagonal in px."""
        square = np.sum(points * points, axis=-1, keepdims=True) / radius**2
        return np.asarray(points * (1 + square * (self.k1 + self.k2 * square)), np.float64)

    def undistort(self, points: Points, radius: float) -> Points:
        """Inverse of `distort`, by fixed-point iteration."""
        found = points
        for _ in range(12):
            square = np.sum(found * found, axis=-1, keepdims=True) / radius**2
            found = points / (1 + square * (self.k1 + self.k2 * square))
        return np.asarray(found, np.float64)


@dataclass(frozen=True)
class LensEstimate:
    """What was decided, with its evidence: how bent the traced lines are, before and after (0..1)."""

    model: LensModel | None
    lines: int
    bend_before: float
    bend_after: float
    candidate: str = ""


def estimate_lens(
    traces: Traces,
    size: tuple[int, int],
    *,
    camera: str | None = None,
    lens: str | None = None,
    focal_length_mm: float | None = None,
    f_number: float | None = None,
) -> LensEstimate:
    """Decide on a distortion model for a photo of `size` (width, height) from traced edges and, if known, the lens."""
    radius = float(np.hypot(*size)) / 2
    lines = _even(traces)
    if len(lines) < MIN_LINES:
        return LensEstimate(None, len(lines), 0.0, 0.0, "too few long lines")
    before = _bend(lines, None, radius)
    profile = profile_of(camera, lens, focal_length_mm, f_number, size)
    if profile is not None and _bend(lines, profile, radius) < (1 - WEAKEST_GAIN / 2) * before:
        return LensEstimate(profile, len(lines), before, _bend(lines, profile, radius), profile.source)
    found = _from_lines(lines, radius)
    after = _bend(lines, found, radius)
    sure = after < (1 - WEAKEST_GAIN) * before and _halves_agree(lines, found, radius)
    if abs(found.k1) < MIN_STRENGTH or abs(found.k1) > 0.95 * MAX_STRENGTH or not sure:
        return LensEstimate(None, len(lines), before, before, "the lines don't ask for it")
    return LensEstimate(found, len(lines), before, after, found.source)


def _even(traces: Traces) -> NDArray[np.float64]:
    """The same number of points on each trace: float64 (n, POINTS_PER_TRACE, 2)."""
    picked = [trace[np.linspace(0, len(trace) - 1, POINTS_PER_TRACE).round().astype(int)] for trace in traces]
    return np.asarray(picked, np.float64).reshape(-1, POINTS_PER_TRACE, 2)


def _bend(lines: NDArray[np.float64], model: LensModel | None, radius: float) -> float:
    """How far the points of each line lie off a straight one, 0 (straight) to 1 (none is a line), robust."""
    points = model.undistort(lines, radius) if model is not None else lines
    apart = points - points.mean(axis=1, keepdims=True)
    spread = np.linalg.eigvalsh(np.einsum("npi,npj->nij", apart, apart) / POINTS_PER_TRACE)
    error = np.maximum(spread[:, 0], 0.0)
    scale = (STRAIGHT_WITHIN * radius) ** 2
    return float(np.average(error / (error + scale), weights=np.sqrt(spread[:, 1])))


def _from_lines(lines: NDArray[np.float64], radius: float) -> LensModel:
    def cost(k1: float) -> float:
        return _bend(lines, LensModel(k1, 0.0, ""), radius)

    coarse = np.linspace(-MAX_STRENGTH, MAX_STRENGTH, 33)
    best = float(min(coarse, key=cost))
    fine = best + np.linspace(-0.01, 0.01, 11)
    return LensModel(round(float(min(fine, key=cost)), 4), 0.0, "straight lines")


def _halves_agree(lines: NDArray[np.float64], found: LensModel, radius: float) -> bool:
    """Left against right and top against bottom must each ask for about the same distortion."""
    for axis in (0, 1):
        side = lines.mean(axis=1)[:, axis] > 0
        for half in (lines[side], lines[~side]):
            if len(half) < MIN_LINES // 4:
                return False
            there = _from_lines(half, radius).k1
            if there * found.k1 <= 0 or not 0.5 < there / found.k1 < 2:
                return False
    return True


@functools.lru_cache(maxsize=1)
def _database() -> Any:
    """The lensfun database of lensfunpy, or None where that isn't installed."""
    try:
        import lensfunpy
    except ImportError:
        return None
    return lensfunpy.Database()


@functools.lru_cache(maxsize=64)
def profile_of(
    camera: str | None,
    lens: str | None,
    focal_length_mm: float | None,
    f_number: float | None,
    size: tuple[int, int],
) -> LensModel | None:
    """The lensfun profile of this camera and lens as a radial model, None if either is unknown.

    camera, lens: as EXIF names them (maker and model, lens model); size: (width, height) px.
    """
    database = _database()
    if database is None or not camera or not focal_length_mm:
        return None
    import lensfunpy

    body = next((body for body in database.cameras if _same_name(body.maker, body.model, camera)), None)
    if body is None:
        return None
    fitting = database.find_lenses(body)
    if lens:
        fitting = [one for one in fitting if _same_name(one.maker, one.model, lens)]
    fitting = [one for one in fitting if one.min_focal * 0.98 <= focal_length_mm <= one.max_focal * 1.02]
    if not fitting or (not lens and len(fitting) != 1):
        return None
    width, height = max(size), min(size)
    modifier = lensfunpy.Modifier(fitting[0], body.crop_factor, width, height)
    modifier.initialize(focal_length_mm, f_number or 8.0, 10.0, scale=1.0, flags=lensfunpy.ModifyFlags.DISTORTION)
    return _radial_fit(modifier, width, height, f"profile of {fitting[0].model}")


def _radial_fit(modifier: Any, width: int, height: int, source: str) -> LensModel | None:
    seen = modifier.apply_geometry_distortion(0, 0, width, height) if width * height < 2e6 else None
    rows = [0, height // 4, height // 2]
    if seen is None:
        parts = [modifier.apply_geometry_distortion(0, float(row), width, 1) for row in rows]
        if any(part is None for part in parts):
            return None
        seen_rows = np.concatenate([np.asarray(part, np.float64).reshape(1, width, 2) for part in parts])
    else:
        seen_rows = np.asarray(seen, np.float64).reshape(height, width, 2)[rows]
    grid = np.stack(np.meshgrid(np.arange(width), rows), axis=-1).astype(np.float64)
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    radius = float(np.hypot(width, height)) / 2
    true = np.linalg.norm(grid - centre, axis=-1).ravel() / radius
    there = np.linalg.norm(seen_rows - centre, axis=-1).ravel() / radius
    far = true > 0.05
    ratio = there[far] / true[far]
    terms = np.stack([np.ones(far.sum()), true[far] ** 2, true[far] ** 4], axis=1)
    scale, k1, k2 = np.linalg.lstsq(terms, ratio, rcond=None)[0]
    k1, k2 = k1 / scale, k2 / scale  # an overall zoom is no distortion
    if abs(k1 + k2) < MIN_STRENGTH / 2:
        return None
    return LensModel(round(float(k1), 5), round(float(k2), 5), source)


def _same_name(maker: str, model: str, written: str) -> bool:
    """Whether EXIF's spelling means this entry: the same words, the maker being optional on either side."""

    def words(text: str) -> list[str]:
        return re.findall(r"[a-z]+|[0-9]+(?:\.[0-9]+)?", text.lower())

    brand = set(words(maker)) | {"corporation", "company"}
    return [w for w in words(model) if w not in brand] == [w for w in words(written) if w not in brand]
