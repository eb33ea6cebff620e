"""The structure gate: a staged image may furnish a room, but neither invent, move nor lose architecture.

Outside the edit mask staged must equal its base bit for bit. Inside, what furniture doesn't cover must register with
the base, keep its edges, openings and materials, and gain no lines. See docs/structure_gate.md for method and limits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from listing_media_dagster.listing import Verdict
from listing_media_dagster.staging.room import Opening
from listing_media_dagster.staging.structure_lines import are_light, are_strips, compare_lines, find_lines
from listing_media_dagster.staging.structure_measures import (
    WORKING_SIDE,
    Floats,
    Mask,
    Pair,
    closed,
    components,
    filled,
    grown,
    log_colours,
    opened,
    slopes,
)
from listing_media_dagster.staging.structure_openings import opening_agreement
from listing_media_dagster.staging.structure_shift import register
from listing_media_dagster.staging.structure_surfaces import light_free_difference

THRESHOLD = 0.5
KNOWN_LIMITS: Mapping[str, float] = {
    "shift_px": 0.5,
    "zoom_error": 0.0015,
    "edges_lost": 0.08,
    "longest_edge_lost": 0.05,
    "opening_lost": 0.4,
    "doorway_hidden": 0.4,
    "window_hidden": 0.4,
    "new_edges": 0.05,
    "floor_change": 0.5,
    "wall_change": 0.08,
}
STAGED_LIMITS: Mapping[str, float] = {**KNOWN_LIMITS, "recoloured_piece": 0.001}
"""Beside furniture that is known nothing was drawn at all: walls show what they showed, in less light at most."""
GUESSED_LIMITS: Mapping[str, float] = {
    "shift_px": 0.6,
    "zoom_error": 0.0025,
    "edges_lost": 0.12,
    "longest_edge_lost": 0.06,
    "opening_lost": 0.55,
    "doorway_hidden": 0.5,
    "window_hidden": 0.5,
    "new_edges": 0.2,
    "floor_change": 0.85,
    "wall_change": 0.11,
}
"""Without the furniture's alpha part of the change must be taken for furniture: the limits are wider."""
EYE_LEVEL = 0.45
"""Share of the height above which furniture seldom reaches: photos are taken level, at 1.2 to 1.5 m."""
FLOOR_FROM = 0.6
"""Share of the height at which the floor is taken to begin where no floor mask is known."""


def judge_structure(
    base: NDArray[np.uint8],
    staged: NDArray[np.uint8],
    edit_mask: NDArray[np.bool_],
    furniture: NDArray[np.bool_] | NDArray[np.floating] | None = None,
    openings: Sequence[Opening | Floats] = (),
    wall_edges: Sequence[tuple[float, float, float, float]] = (),
    floor: NDArray[np.bool_] | None = None,
    limits: Mapping[str, float] | None = None,
) -> Verdict:
    """Say whether `staged` shows the architecture of `base`; both uint8 (H, W, 3) sRGB, masks (H, W).

    furniture: what it covers, bool or alpha 0..1; None where only the edit mask is known (diffusion).
    openings: `Opening`s or outlines (4, 2) px; a bare outline 1.5 times as high as wide counts as a doorway.
    wall_edges: (x1, y1, x2, y2) px where walls, floor and ceiling meet. floor: the visible floor, if known.
    limits: what the measures may reach, where they aren't staging's own (`STAGED_LIMITS`, `GUESSED_LIMITS`).
    Score 0..1: 1 nothing differs, `THRESHOLD` the worst measure is at its limit. Raises ValueError on unequal sizes.
    """
    if base.shape != staged.shape or base.shape[:2] != edit_mask.shape:
        raise ValueError(f"base {base.shape}, staged {staged.shape} and edit mask {edit_mask.shape} differ in size")
    differs = base != staged
    outside = (differs[..., 0] | differs[..., 1] | differs[..., 2]) & ~edit_mask
    pair = _pair(base, staged, edit_mask, furniture, floor)
    outlines = [np.asarray(getattr(each, "outline", each), float) / pair.factor for each in openings]
    doorways = [_is_doorway(each) for each in openings]
    lines = np.asarray(wall_edges, float).reshape(-1, 4) / pair.factor
    guessed = furniture is None
    if guessed:
        pair = _with_guessed_furniture(pair, outlines)
    measures = _measure(pair, outlines, doorways, lines, guessed)
    return _verdict(measures, limits or (GUESSED_LIMITS if guessed else STAGED_LIMITS), outside)


def _pair(
    base: NDArray[np.uint8],
    staged: NDArray[np.uint8],
    edit_mask: Mask,
    furniture: NDArray[np.bool_] | NDArray[np.floating] | None,
    floor: Mask | None,
) -> Pair:
    height, width = edit_mask.shape
    factor = max(1.0, max(height, width) / WORKING_SIDE)
    size = (round(width / factor), round(height / factor))

    def small(mask: NDArray[np.generic]) -> NDArray[np.float32]:
        return np.asarray(cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA), np.float32)

    before, after = log_colours(base, size), log_colours(staged, size)
    hidden = np.zeros(size[::-1], bool) if furniture is None else grown(small(furniture) > 0.02, 4)
    if floor is None:
        floor = np.zeros((height, width), bool)
        floor[round(FLOOR_FROM * height) :] = True
    return Pair(
        before, after, slopes(before), slopes(after), small(edit_mask) > 0.5, hidden, small(floor) > 0.5, factor
    )


def _is_doorway(opening: Opening | Floats) -> bool:
    if isinstance(opening, Opening):
        return opening.is_walked_through
    width, height = np.ptp(np.asarray(opening, float), axis=0)
    return bool(height >= 1.5 * width)


def _with_guessed_furniture(pair: Pair, outlines: Sequence[Floats]) -> Pair:
    """Take for furniture what differs in solid pieces that stand on the floor, and what hangs small on a wall.

    Thin strips along edges are no furniture: they are what a moved edge leaves.
    """
    recoloured, restructured = light_free_difference(pair)
    side = pair.long_side
    pieces = opened(closed(recoloured | restructured, side / 120), side / 90)
    area = pieces.size
    hidden, beside = np.zeros_like(pieces), np.zeros_like(pieces)
    for outline in outlines:
        beside |= filled(outline, pieces.shape)
    beside = grown(beside, side / 14)
    for piece, size in components(pieces, area * 2e-4):
        if (piece & pair.floor).any() or size < 0.04 * area or (piece & beside).sum() > 0.6 * size:
            hidden |= piece
    return replace(pair, hidden=grown(hidden, side / 130) & pair.edited)


def _measure(
    pair: Pair, outlines: Sequence[Floats], doorways: Sequence[bool], wall_edges: Floats, guessed: bool
) -> dict[str, float]:
    registration = register(pair)
    side = pair.long_side
    covered = [float(pair.hidden[filled(each, pair.hidden.shape)].mean() or 0.0) for each in outlines]
    agreements = [opening_agreement(pair, outline, side * 0.05) for outline in outlines]
    found = find_lines(pair.base, side * 0.04)
    lost, longest = _lost_edges(pair, np.concatenate([wall_edges, found]))
    surfaces = _guessed_surface_change(pair, outlines) if guessed else _surface_change(pair)
    windows = [outline for outline, doorway in zip(outlines, doorways, strict=True) if not doorway]
    return {
        "shift_px": registration.shift,
        "zoom": registration.zoom,
        "zoom_error": abs(registration.zoom - 1),
        "registered_points": float(registration.points),
        "edge_agreement": 1 - lost,
        "edges_lost": lost,
        "longest_edge_lost": longest,
        "opening_iou_min": min(agreements, default=1.0),
        "opening_lost": 1 - min(agreements, default=1.0),
        "openings_hidden_max": max(covered, default=0.0),
        "doorway_hidden": max((c for c, doorway in zip(covered, doorways, strict=True) if doorway), default=0.0),
        "window_hidden": max((c for c, doorway in zip(covered, doorways, strict=True) if not doorway), default=0.0),
        "new_edges": _tall_new_edge(pair, windows) if guessed else _longest_new_edge(pair),
        **surfaces,
        "visible_share": float(pair.visible.sum() / max(pair.edited.sum(), 1)),
    }


def _lost_edges(pair: Pair, lines: Floats) -> tuple[float, float]:
    """Return the share of visible edge length that is gone, and the longest line of it as a share of the long side."""
    if not len(lines):
        return 0.0, 0.0
    total, kept = compare_lines(lines, pair.base_slope, pair.staged_slope, pair.visible, 1, shaded=True)
    gone = total - kept
    longest = np.where(gone > 0.5 * total, gone, 0).max() * 2 / pair.long_side
    return float(gone.sum() / max(total.sum(), 1)), float(longest)


def _longest_new_edge(pair: Pair) -> float:
    """Return the longest line that is new on what is visible of the walls, as a share of the long side."""
    lines = find_lines(pair.staged, pair.long_side * 0.03)
    lines = lines[~are_light(lines, pair)]
    where = pair.visible & ~grown(pair.hidden, pair.long_side / 60) & ~pair.floor
    total, known = compare_lines(lines, pair.staged_slope, pair.base_slope, where, 2)
    return float((total - known).max(initial=0) * 2 / pair.long_side)


def _tall_new_edge(pair: Pair, windows: Sequence[Floats]) -> float:
    """Return the tallest upright new line that reaches above eye level, as a share of the picture's height.

    Where furniture isn't known this is what tells an invented door or window from a sofa or a picture. Poles (two edges
    close together) and what hangs beside a known window are furniture.
    """
    height = pair.edited.shape[0]
    curtained = np.zeros_like(pair.edited)
    for outline in windows:
        curtained |= grown(filled(outline, pair.edited.shape), 0.25 * float(np.ptp(outline[:, 0])))
    lines = find_lines(pair.staged, height * 0.06)
    upright = np.abs(lines[:, 2] - lines[:, 0]) < 0.14 * np.abs(lines[:, 3] - lines[:, 1])
    high = np.minimum(lines[:, 1], lines[:, 3]) < EYE_LEVEL * height
    lines = lines[upright & high]
    lines = lines[~are_strips(lines, pair.staged_slope, round(0.008 * pair.long_side))]
    total, known = compare_lines(lines, pair.staged_slope, pair.base_slope, pair.edited & ~curtained, 2)
    return float((total - known).max(initial=0) * 2 / height)


def _surface_change(pair: Pair) -> dict[str, float]:
    """Return the shares of the visible floor and of the rest that carry another colour or texture, and a third measure.

    The third is the share of the picture that the largest piece of wall takes up that is brighter or of another hue
    than light makes it: an average over all walls says nothing of a small window.
    """
    recoloured, restructured = light_free_difference(pair)
    changed = opened(recoloured | restructured, 3)
    floor_change, wall_change = (_share_of(changed, pair, surface) for surface in (pair.floor, ~pair.floor))
    on_walls = opened(recoloured, 3) & pair.visible & ~pair.floor
    largest = next((size for _, size in components(on_walls, 1)), 0)
    return {
        "floor_change": floor_change,
        "wall_change": wall_change,
        "recoloured_piece": largest / on_walls.size,
    }


def _share_of(changed: Mask, pair: Pair, surface: Mask) -> float:
    seen = pair.visible & surface
    enough = max(int(seen.sum()), surface.sum() // 12, 1)  # a patch beside furniture is no wall
    return float((changed & seen).sum() / enough)


def _guessed_surface_change(pair: Pair, outlines: Sequence[Floats]) -> dict[str, float]:
    """Return the share of the floor that differs, and that of the upper walls in the largest piece that does.

    Furniture and rugs leave some floor in sight; furniture doesn't cover a wall above eye level, paint does.
    """
    changed = pair.hidden | opened(np.logical_or(*light_free_difference(pair)), 3)
    floor = pair.floor  # all of it: a tight mask holds little but furniture
    upper = pair.edited & ~pair.floor
    upper[round(EYE_LEVEL * len(upper)) :] = False
    for outline in outlines:
        upper &= ~grown(filled(outline, upper.shape), 0.25 * float(np.ptp(outline[:, 0])))
    largest = next((size for _, size in components(changed & upper, 1)), 0)
    enough = max(int(upper.sum()), upper.size // 50)
    on_floor = float((changed & pair.edited & floor).sum() / max(int(floor.sum()), floor.size // 50))
    return {"floor_change": on_floor, "wall_change": largest / enough}


_IN_WORDS = {
    "shift_px": "the frame is shifted by {value:.1f} px",
    "zoom_error": "the frame is zoomed by {value:.2%}",
    "edges_lost": "{value:.0%} of the visible edges are gone",
    "longest_edge_lost": "an edge {value:.0%} of the picture long is gone",
    "opening_lost": "a window or door is moved, changed or gone ({value:.0%} of its outline)",
    "doorway_hidden": "furniture hides {value:.0%} of a door or passage",
    "window_hidden": "furniture hides {value:.0%} of a window",
    "new_edges": "a straight edge {value:.0%} of the picture long is new",
    "recoloured_piece": "a piece of wall, {value:.1%} of the picture, is brighter or of another hue than in any light",
    "floor_change": "{value:.0%} of the visible floor has another colour or texture",
    "wall_change": "{value:.0%} of the visible walls and ceiling has another colour or texture",
}


def _verdict(measures: Mapping[str, float], limits: Mapping[str, float], outside: Mask) -> Verdict:
    evidence = {"outside_changed_px": float(outside.sum()), **{name: round(v, 5) for name, v in measures.items()}}
    if outside.any():
        rows, columns = np.flatnonzero(outside.any(1)), np.flatnonzero(outside.any(0))
        where = f"x {columns[0]}-{columns[-1]}, y {rows[0]}-{rows[-1]}"
        reason = f"{int(outside.sum())} px changed outside the edit mask, within {where}"
        return Verdict(
            gate="structure", outcome="failed", score=0.0, threshold=THRESHOLD, reason=reason, evidence=evidence
        )
    excess = {name: measures[name] / limit for name, limit in limits.items()}
    score = min(1.0, max(0.0, 1 - (1 - THRESHOLD) * max(excess.values())))
    broken = sorted((name for name in excess if excess[name] > 1), key=lambda name: -excess[name])
    reason = "; ".join(_IN_WORDS[name].format(value=measures[name]) for name in broken[:3])
    return Verdict(
        gate="structure",
        outcome="failed" if broken else "passed",
        score=round(score, 4),
        threshold=THRESHOLD,
        reason=reason,
        evidence=evidence,
    )
