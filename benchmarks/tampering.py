"""Rooms whose architecture was tampered with, one kind of lie each: what the structure gate must catch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.annotated_rooms import AnnotatedRoom
from benchmarks.painted_furniture import Floats, Mask, Rgb, Staging, furnish, polygon
from benchmarks.traced_furniture import TracedStaging

Tamper = Callable[[Rgb, AnnotatedRoom, np.random.Generator], Rgb]
VISIBLE = 12
"""Levels by which a pixel must differ to count as seen."""
TOLD = 4e-4
"""Share of the picture in which a lie must be seen to be one: an edge moved on a blank wall moves nothing."""


@dataclass(frozen=True)
class Case:
    """One image for the gate: `kind` is "honest" or the tamper, `declared` the edit mask (H, W)."""

    kind: str
    base: Rgb
    staging: Staging
    declared: Mask


def make_case(base: Rgb, room: AnnotatedRoom, kind: str, seed: int) -> Case:
    """Stage `room` with seed, after tampering with it unless `kind` is "honest", inside a large declared mask.

    The mask is the whole picture or its lower two thirds, and in every other case what lies in it looks re-drawn, as a
    diffusion model's decoder leaves it: slightly soft, slightly off in tone. At least half of a lie stays in sight.
    """
    chance = np.random.default_rng(seed + 77)
    for attempt in range(10):
        lied = base if kind == "honest" else TAMPERS[kind](base, room, chance)
        staging = furnish(lied, room, seed + 1000 * attempt)
        declared = staging.changed.copy()
        everything = chance.random() < 0.5 or attempt > 2
        declared[0 if everything else round(0.35 * len(base)) :] = True
        if kind == "honest" or _is_told(base, lied, declared & (staging.furniture < 0.5)):
            break
    redrawn = _redrawn(staging.rgb, chance) if seed % 2 else staging.rgb
    rgb = np.where(declared[..., None], redrawn, base).astype(np.uint8)
    return Case(kind, base, Staging(rgb, staging.furniture, staging.changed), declared)


def lie_about(traced: TracedStaging, kind: str, seed: int) -> Case | None:
    """Tell a lie about the room behind a traced staging, anywhere in the picture; None where none of `kind` fits in.

    Every other seed all of it looks re-drawn.
    """
    chance = np.random.default_rng(seed)
    if (kind == "extra door" and not traced.truth.free_door.any()) or (
        kind == "extra window" and not traced.truth.free_window.any()
    ):
        return None
    if kind in ("moved window", "removed door") and not traced.truth.openings:
        return None
    for _ in range(12):
        lied = TAMPERS[kind](traced.base, traced.truth, chance)
        if _is_told(traced.base, lied, traced.furniture < 0.5):
            rgb = traced.over(lied)
            rgb = _redrawn(rgb, chance) if seed % 2 else rgb
            everywhere = np.ones(rgb.shape[:2], bool)
            return Case(kind, traced.base, Staging(rgb, traced.furniture, everywhere), everywhere)
    return None


def _is_told(base: Rgb, lied: Rgb, shown: Mask) -> bool:
    """Whether a lie is big enough to be one, and at least half of it is shown."""
    told = np.abs(lied.astype(np.int16) - base).max(2) > VISIBLE
    return bool((told & shown).sum() >= max(0.5 * told.sum(), TOLD * told.size))


def _redrawn(rgb: Rgb, chance: np.random.Generator) -> Rgb:
    soft = cv2.GaussianBlur(rgb.astype(np.float32), (0, 0), float(chance.uniform(0.3, 0.7)))
    tone = chance.uniform(0.985, 1.015, 3).astype(np.float32)
    return np.clip(soft * tone + chance.normal(0, 1.0, rgb.shape[:2])[..., None], 0, 255).astype(np.uint8)


def shifted_frame(rgb: Rgb, room: AnnotatedRoom, chance: np.random.Generator) -> Rgb:
    turn, length = chance.uniform(0, 2 * np.pi), chance.uniform(1, 8)
    move = np.array([[1, 0, length * np.cos(turn)], [0, 1, length * np.sin(turn)]])
    return _warped(rgb, move)


def zoomed_frame(rgb: Rgb, room: AnnotatedRoom, chance: np.random.Generator) -> Rgb:
    height, width = rgb.shape[:2]
    return _warped(rgb, cv2.getRotationMatrix2D((width / 2, height / 2), 0, 1 + chance.uniform(0.005, 0.05)))


def _warped(rgb: Rgb, move: NDArray[Any]) -> Rgb:
    size = rgb.shape[1::-1]
    return np.asarray(cv2.warpAffine(rgb, move, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT), np.uint8)


def new_floor(rgb: Rgb, room: AnnotatedRoom, chance: np.random.Generator) -> Rgb:
    """Tiles, other boards or carpet, in the light of the old floor."""
    height, width = rgb.shape[:2]
    side = 1200
    colours = [(90, 62, 42), (150, 150, 146), (196, 170, 130), (60, 58, 58), (120, 96, 88)]
    colour = np.array(colours[int(chance.integers(5))])
    plan = 1 + 0.04 * chance.normal(0, 1, (side, side)).astype(np.float32)
    kind = chance.integers(3)
    if kind == 0:
        for place in range(0, side, 60):
            plan[place : place + 3] *= 0.6
            plan[:, place : place + 3] *= 0.6
    elif kind == 1:
        rows = np.repeat(chance.uniform(0.8, 1.15, side // 24), 24)
        plan *= rows[None, :].astype(np.float32)
        plan[:, ::24] *= 0.6
    ground = np.array([[0.25 * width, 0.55 * height], [0.75 * width, 0.55 * height], [2.2 * width, 1.1 * height],
                       [-1.2 * width, 1.1 * height]], np.float32)  # fmt: skip
    corners = np.array([[0, 0], [side, 0], [side, side], [0, side]], np.float32)
    pattern = cv2.warpPerspective(plan, cv2.getPerspectiveTransform(corners, ground), (width, height))
    where = polygon(room.floor * [width, height], (height, width))
    light = cv2.GaussianBlur(rgb.mean(2).astype(np.float32), (0, 0), 25)
    light /= max(float(light[where > 0.5].mean()), 1.0)
    painted = np.maximum(pattern, 0.3)[..., None] * light[..., None] * colour.astype(np.float32)
    return _blended(rgb, painted, where)


def repainted_wall(rgb: Rgb, room: AnnotatedRoom, chance: np.random.Generator) -> Rgb:
    """One wall in another paint, a quarter of them in another grey."""
    height, width = rgb.shape[:2]
    wall = room.walls[int(chance.integers(len(room.walls)))]
    where = polygon(wall * [width, height], (height, width))
    for opening in room.openings:
        where *= 1 - polygon(opening.outline * [width, height], (height, width))
    if chance.random() < 0.25:
        paint = np.full(3, chance.uniform(0.55, 0.8))
    else:
        paints = [(0.75, 0.85, 1.0), (0.7, 0.9, 0.72), (1.0, 0.78, 0.7), (0.95, 0.85, 0.6), (0.45, 0.55, 0.68)]
        paint = np.array(paints[int(chance.integers(5))])
    return _blended(rgb, rgb * paint.astype(np.float32), where)


def removed_door(rgb: Rgb, room: AnnotatedRoom, chance: np.random.Generator) -> Rgb:
    """A door walled up; where the room has none, a window."""
    doors = [opening for opening in room.openings if opening.kind == "door"] or list(room.openings)
    return _walled_up(rgb, doors[int(chance.integers(len(doors)))].outline, chance)


def moved_window(rgb: Rgb, room: AnnotatedRoom, chance: np.random.Generator) -> Rgb:
    """A window (where there is none, a door) 1.5 to 8 % of the picture's width to the side."""
    height, width = rgb.shape[:2]
    windows = [opening for opening in room.openings if opening.kind == "window"] or list(room.openings)
    outline = _grown(windows[int(chance.integers(len(windows)))].outline, 1.06)
    step = chance.uniform(0.015, 0.08) * (1 if outline[:, 0].mean() < 0.5 else -1) * width
    walled = _walled_up(rgb, outline, chance)
    moved = _warped(rgb, np.array([[1, 0, step], [0, 1, 0]], float))
    return _blended(walled, moved.astype(np.float32), polygon(outline * [width, height] + [step, 0], (height, width)))


def extra_window(rgb: Rgb, room: AnnotatedRoom, chance: np.random.Generator) -> Rgb:
    """A copy of one of the room's windows in a bare place, or a painted one."""
    windows = [opening for opening in room.openings if opening.kind == "window"]
    spot = _jittered(room.free_window, chance)
    if windows and chance.random() < 0.6:
        return _copied(rgb, windows[int(chance.integers(len(windows)))].outline, spot)
    shape = (rgb.shape[0], rgb.shape[1])
    size = np.array([shape[1], shape[0]])
    frame, sky = chance.uniform(200, 245), np.array([215, 230, 245]) * chance.uniform(0.9, 1.0)
    done = _blended(rgb, np.full(rgb.shape, frame, np.float32), polygon(spot * size, shape))
    for low, high in ((0.07, 0.48), (0.52, 0.93)):
        pane = _inside(spot, np.array([[low, 0.06], [high, 0.06], [high, 0.94], [low, 0.94]]))
        above = np.arange(shape[0])[:, None, None] < pane[:, 1].mean() * shape[0]
        view = np.broadcast_to(np.where(above, sky, sky * [0.5, 0.6, 0.4]), rgb.shape)
        done = _blended(done, view, polygon(pane * size, shape))
    return done


def extra_door(rgb: Rgb, room: AnnotatedRoom, chance: np.random.Generator) -> Rgb:
    """A copy of one of the room's doors in a bare place, or a painted one with panels."""
    doors = [opening for opening in room.openings if opening.kind == "door"]
    spot = _jittered(room.free_door, chance)
    if doors and chance.random() < 0.4:
        return _copied(rgb, doors[int(chance.integers(len(doors)))].outline, spot)
    shape = (rgb.shape[0], rgb.shape[1])
    size = np.array([shape[1], shape[0]])
    shades = [(235, 232, 226), (120, 84, 54), (70, 74, 80), (160, 160, 158)]
    light = float(np.clip(rgb[polygon(spot * size, shape) > 0.5].mean() / 190, 0.4, 1.1))
    colour = np.array(shades[int(chance.integers(4))]) * light
    done = _blended(rgb, np.full(rgb.shape, 0.8 * colour, np.float32), polygon(spot * size, shape))
    leaf = _inside(spot, np.array([[0.08, 0.04], [0.92, 0.04], [0.92, 1], [0.08, 1]]))
    done = _blended(done, np.full(rgb.shape, colour, np.float32), polygon(leaf * size, shape))
    for low, high in ((0.1, 0.42), (0.5, 0.92)):
        panel = _inside(spot, np.array([[0.22, low], [0.78, low], [0.78, high], [0.22, high]]))
        done = _blended(done, np.full(rgb.shape, 0.88 * colour, np.float32), polygon(panel * size, shape))
    return done


def moved_edge(rgb: Rgb, room: AnnotatedRoom, chance: np.random.Generator) -> Rgb:
    """A corner, skirting or ceiling line pushed 0.8 to 3 % of the width across itself, the picture bent around it."""
    height, width = rgb.shape[:2]
    ends = room.edges[int(chance.integers(len(room.edges)))] * [width, height, width, height]
    start, along = ends[:2], ends[2:] - ends[:2]
    length = float(np.hypot(*along))
    along = along / length
    across = np.array([-along[1], along[0]])
    push = chance.uniform(0.008, 0.03) * width * chance.choice([-1, 1])
    ys, xs = np.mgrid[:height, :width].astype(np.float32)
    beside = (xs - start[0]) * across[0] + (ys - start[1]) * across[1]
    beyond = (xs - start[0]) * along[0] + (ys - start[1]) * along[1]
    beyond = np.maximum(np.maximum(-beyond, beyond - length), 0)
    share = push * np.exp(-(beside**2 + beyond**2) / (2 * (2.2 * push) ** 2))
    x, y = (xs - share * across[0]).astype(np.float32), (ys - share * across[1]).astype(np.float32)
    return np.asarray(cv2.remap(rgb, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT), np.uint8)


TAMPERS: Mapping[str, Tamper] = {
    "shifted frame": shifted_frame,
    "zoomed frame": zoomed_frame,
    "moved window": moved_window,
    "extra window": extra_window,
    "extra door": extra_door,
    "removed door": removed_door,
    "moved edge": moved_edge,
    "new floor": new_floor,
    "repainted wall": repainted_wall,
}


def _blended(rgb: Rgb, painted: NDArray[Any], share: NDArray[np.float32]) -> Rgb:
    return np.clip(rgb + (painted - rgb) * share[..., None], 0, 255).astype(np.uint8)


def _walled_up(rgb: Rgb, outline: Floats, chance: np.random.Generator) -> Rgb:
    """The opening filled with what surrounds it, at a fifth of the size, with the wall's grain."""
    height, width = rgb.shape[:2]
    size = (width // 5, height // 5)
    small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    hole = polygon(_grown(outline, 1.12) * size, size[::-1]) > 0.1
    healed = cv2.inpaint(small, hole.astype(np.uint8), 4, cv2.INPAINT_TELEA)
    patch = cv2.GaussianBlur(cv2.resize(healed, (width, height)).astype(np.float32), (0, 0), 4)
    grain = chance.normal(0, 1.5, rgb.shape[:2])[..., None]
    return _blended(rgb, patch + grain, polygon(_grown(outline, 1.1) * [width, height], (height, width)))


def _copied(rgb: Rgb, source: Floats, target: Floats) -> Rgb:
    height, width = rgb.shape[:2]
    size = np.array([width, height])
    turn = cv2.getPerspectiveTransform((source * size).astype(np.float32), (target * size).astype(np.float32))
    moved = cv2.warpPerspective(rgb, turn, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return _blended(rgb, moved.astype(np.float32), polygon(target * size, (height, width)))


def _grown(outline: Floats, factor: float) -> Floats:
    return np.asarray(outline.mean(0) + factor * (outline - outline.mean(0)))


def _jittered(outline: Floats, chance: np.random.Generator) -> Floats:
    return _grown(outline, chance.uniform(0.85, 1.05)) + chance.uniform(-0.01, 0.01, 2) * [1, 0]


def _inside(outline: Floats, places: Floats) -> Floats:
    square = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
    turn = cv2.getPerspectiveTransform(square, outline.astype(np.float32))
    return np.asarray(cv2.perspectiveTransform(places.reshape(1, -1, 2).astype(np.float32), turn)[0], float)
