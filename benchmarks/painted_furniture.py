"""Honest stagings by the hundred, painted instead of traced: what the structure gate must let pass.

Shaded boxes, cushions, plants, lamps, rugs, art and curtains with soft and hard shadows and floor reflections, each
with its true alpha; none hides a door, and windows only in part.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.annotated_rooms import AnnotatedRoom

Image = NDArray[np.float32]
Rgb = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Floats = NDArray[np.float64]


@dataclass
class Canvas:
    """A room being furnished: premultiplied `rgb` (H, W, 3) 0..255, its `alpha` and the shadow `light` (H, W) 0..1.

    `weave` (H, W) is a texture around 1 that fabrics are multiplied by.
    """

    rgb: Image
    alpha: Image
    light: Image
    weave: Image

    @classmethod
    def over(cls, shape: tuple[int, int], chance: np.random.Generator) -> Canvas:
        coarse = cv2.resize(chance.normal(0, 1, (shape[0] // 16, shape[1] // 16)).astype(np.float32), shape[::-1])
        fine = cv2.GaussianBlur(chance.normal(0, 1, shape).astype(np.float32), (0, 0), 0.8)
        weave = (1 + 0.05 * coarse + 0.06 * fine).astype(np.float32)
        return cls(np.zeros((*shape, 3), np.float32), np.zeros(shape, np.float32), np.ones(shape, np.float32), weave)

    def copy(self) -> Canvas:
        return Canvas(self.rgb.copy(), self.alpha.copy(), self.light.copy(), self.weave)

    def cover(self, colour: NDArray[Any], alpha: NDArray[Any], woven: bool = True) -> None:
        """Lay `colour`, (3,) or (H, W, 3), over what is there."""
        rows, columns = np.flatnonzero(alpha.any(1)), np.flatnonzero(alpha.any(0))
        if not len(rows):
            return
        part = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        paint = colour[part] if colour.ndim == 3 else colour
        if woven:
            paint = paint * self.weave[part][..., None]
        share = alpha[part][..., None]
        self.rgb[part] = self.rgb[part] * (1 - share) + np.clip(paint, 0, 255) * share
        self.alpha[part] += alpha[part] * (1 - self.alpha[part])

    def darken(self, where: NDArray[Any], blur: float, strength: float) -> None:
        """Shade `where` (H, W) 0..1 by `strength`, its edge softened by `blur` px; worked out at a quarter size."""
        size = (where.shape[1] // 4, where.shape[0] // 4)
        if blur > 8:
            small = cv2.GaussianBlur(cv2.resize(where, size, interpolation=cv2.INTER_AREA), (0, 0), blur / 4)
            soft = cv2.resize(small, where.shape[::-1], interpolation=cv2.INTER_CUBIC)
        else:
            soft = cv2.GaussianBlur(where, (0, 0), blur)
        self.light *= 1 - strength * np.clip(soft, 0, 1)


@dataclass(frozen=True)
class Staging:
    """What a staging back end hands to the gate. `furniture` is alpha (H, W) or None, `changed` what it touched."""

    rgb: Rgb
    furniture: Image
    changed: Mask


def polygon(points: Floats, shape: tuple[int, int], soft: float = 0.6) -> Image:
    """Anti-aliased coverage (H, W) 0..1 of a polygon in px."""
    canvas = np.zeros(shape, np.float32)
    cv2.fillPoly(canvas, [np.round(np.asarray(points) * 16).astype(np.int32)], 1.0, cv2.LINE_8, 4)
    return np.asarray(cv2.GaussianBlur(canvas, (0, 0), soft), np.float32)


def furnish(rgb: Rgb, room: AnnotatedRoom, seed: int) -> Staging:
    """Furnish a room honestly: nothing but furniture, its shadows and its reflections changes."""
    chance = np.random.default_rng(seed)
    shape = (rgb.shape[0], rgb.shape[1])
    size = np.array([shape[1], shape[0]], float)
    canvas = Canvas.over(shape, chance)
    pieces = [_rug] * int(chance.random() < 0.7)
    pieces += [_box] * int(chance.integers(1, 4)) + [_plant] * int(chance.integers(0, 3))
    pieces += [_lamp] * int(chance.integers(0, 2)) + [_art] * int(chance.integers(0, 3))
    pieces += [_curtains] * int(chance.random() < 0.4)
    openings = [(opening.kind, polygon(opening.outline * size, shape) > 0.5) for opening in room.openings]
    for paint in pieces:
        for _ in range(4):
            tried = canvas.copy()
            paint(tried, room, size, chance)
            if all(tried.alpha[inside].mean() < (0.25 if kind == "window" else 0.08) for kind, inside in openings):
                canvas = tried
                break
    lit = rgb.astype(np.float32) * canvas.light[..., None]
    touched = (canvas.alpha > 1e-3) | (canvas.light < 0.998)
    if chance.random() < 0.5:
        mirrored = _reflected(canvas, polygon(room.floor * size, shape), float(chance.uniform(0.06, 0.2)))
        lit = lit * (1 - mirrored[..., 3:]) + mirrored[..., :3]
        touched |= mirrored[..., 3] > 2e-3
    grain = chance.normal(0, 1.2, shape).astype(np.float32)
    done = lit * (1 - canvas.alpha[..., None]) + canvas.rgb + (grain * canvas.alpha)[..., None]
    staged = np.where(touched[..., None], np.clip(np.round(done), 0, 255), rgb).astype(np.uint8)
    return Staging(staged, canvas.alpha, (staged != rgb).any(2))


def _somewhere(room: AnnotatedRoom, size: Floats, chance: np.random.Generator) -> tuple[Floats, float]:
    """A point on the floor in px and the height of 1 m there, roughly, in px."""
    outline = room.floor * size
    horizon = 0.47 * size[1]
    while True:
        point = chance.uniform(outline.min(0), outline.max(0))
        point[1] = min(point[1], 0.93 * size[1])
        inside = cv2.pointPolygonTest(outline.astype(np.float32), (float(point[0]), float(point[1])), False) >= 0
        if inside and point[1] > horizon + 0.1 * size[1]:
            return point, (point[1] - horizon) / 1.4


def _colour(chance: np.random.Generator) -> NDArray[np.float32]:
    grey = chance.uniform(40, 215)
    return np.clip(grey + chance.normal(0, 22, 3), 15, 240).astype(np.float32)


def _shade(canvas: Canvas, foot: Floats, metre: float, wide: float, chance: np.random.Generator) -> None:
    """Contact shadow under a piece and the shadow it casts, soft or hard."""
    shape = canvas.alpha.shape
    contact = np.zeros(shape, np.float32)
    axes = (max(2, int(0.55 * wide)), max(2, int(0.12 * metre + 0.1 * wide)))
    cv2.ellipse(contact, (int(foot[0]), int(foot[1])), axes, 0, 0, 360, 1.0, -1)
    canvas.darken(contact, 0.09 * metre + 2, 0.5)
    slant = chance.uniform(-1, 1) * metre
    reach = foot + np.array([slant, chance.uniform(0.1, 0.5) * metre])
    half = np.array([wide / 2, 0])
    cast = polygon(np.array([foot - half, foot + half, reach + half, reach - half]), shape)
    soft = metre * (0.02 if chance.random() < 0.25 else chance.uniform(0.06, 0.25))
    canvas.darken(cast, soft + 1, chance.uniform(0.15, 0.5))


def _box(canvas: Canvas, room: AnnotatedRoom, size: Floats, chance: np.random.Generator) -> None:
    """A sofa, bed, sideboard or table: front, top and a side, with cushions on some."""
    foot, metre = _somewhere(room, size, chance)
    wide, high = chance.uniform(0.6, 2.2) * metre, chance.uniform(0.4, 0.95) * metre
    skew, deep = chance.uniform(-0.5, 0.5) * metre, chance.uniform(0.15, 0.4) * metre
    _shade(canvas, foot, metre, wide, chance)
    left, right = foot - np.array([wide / 2, 0]), foot + np.array([wide / 2, 0])
    up, back = np.array([0, -high]), np.array([skew, -deep])
    tilt = np.array([0, chance.uniform(-0.08, 0.08) * wide])
    shape = canvas.alpha.shape
    colour = _colour(chance)
    front = [left, right + tilt, right + tilt + up, left + up]
    top = [left + up, right + tilt + up, right + tilt + up + back, left + up + back]
    near = right + tilt if skew > 0 else left
    side = [near, near + back, near + back + up, near + up]
    for outline, shade in ((side, 0.55), (top, 1.15), (front, 0.8)):
        canvas.cover(colour * np.float32(shade), polygon(np.array(outline), shape, 0.9))
    if chance.random() < 0.6:
        for _ in range(int(chance.integers(1, 4))):
            pillow = np.zeros(shape, np.float32)
            spot = left + up + back * 0.5 + [chance.uniform(0.1, 0.9) * wide, -0.05 * metre]
            radius = (max(2, int(0.2 * metre)), max(2, int(0.17 * metre)))
            cv2.ellipse(pillow, (int(spot[0]), int(spot[1])), radius, 0, 0, 360, 1.0, -1, cv2.LINE_AA)
            canvas.cover(_colour(chance), cv2.GaussianBlur(pillow, (0, 0), 0.8))


def _plant(canvas: Canvas, room: AnnotatedRoom, size: Floats, chance: np.random.Generator) -> None:
    foot, metre = _somewhere(room, size, chance)
    _shade(canvas, foot, metre, 0.35 * metre, chance)
    shape = canvas.alpha.shape
    pot = np.array([[-0.17, -0.35], [0.17, -0.35], [0.13, 0], [-0.13, 0]]) * metre + foot
    canvas.cover(_colour(chance), polygon(pot, shape))
    high = chance.uniform(0.7, 1.5)
    leaves, green = np.zeros(shape, np.float32), np.zeros((*shape, 3), np.float32)
    for _ in range(int(chance.integers(25, 60))):
        spot = foot + metre * np.array([chance.normal(0, 0.17), -chance.uniform(0.4, high)])
        place, axes = (int(spot[0]), int(spot[1])), (max(2, int(0.13 * metre)), max(1, int(0.04 * metre)))
        turn, shade = float(chance.uniform(0, 180)), np.array([60, 95, 45]) * chance.uniform(0.5, 1.5)
        cv2.ellipse(leaves, place, axes, turn, 0, 360, 1.0, -1)
        cv2.ellipse(green, place, axes, turn, 0, 360, shade.tolist(), -1)
    canvas.cover(cv2.dilate(green, np.ones((5, 5))), cv2.GaussianBlur(leaves, (0, 0), 0.7), woven=False)


def _lamp(canvas: Canvas, room: AnnotatedRoom, size: Floats, chance: np.random.Generator) -> None:
    foot, metre = _somewhere(room, size, chance)
    _shade(canvas, foot, metre, 0.25 * metre, chance)
    shape = canvas.alpha.shape
    high = chance.uniform(1.2, 1.6) * metre
    thick = max(1.0, 0.012 * metre)
    pole = np.array([[-thick, -high], [thick, -high], [thick, 0], [-thick, 0]]) + foot
    shade = np.array([[-0.13, -high - 0.3 * metre], [0.13, -high - 0.3 * metre], [0.2, -high], [-0.2, -high]])
    shade = shade * [metre, 1] + foot
    canvas.cover(np.array([45, 42, 40], np.float32), polygon(pole, shape))
    canvas.cover(np.array([232, 220, 196], np.float32), polygon(shade, shape))


def _rug(canvas: Canvas, room: AnnotatedRoom, size: Floats, chance: np.random.Generator) -> None:
    foot, metre = _somewhere(room, size, chance)
    wide, deep = chance.uniform(1.4, 2.6) * metre, chance.uniform(0.3, 0.55) * metre
    skew = chance.uniform(-0.5, 0.5) * metre
    outline = np.array([[-wide / 2, 0], [wide / 2, 0], [wide * 0.4 + skew, -deep], [-wide * 0.4 + skew, -deep]]) + foot
    shape = canvas.alpha.shape
    inside = polygon(outline, shape) * (polygon(room.floor * size, shape) > 0.5)
    canvas.darken(inside, 3.0, 0.35)
    stripes = np.sin(np.arange(shape[0]) / max(2.0, 0.05 * metre))[:, None, None] * chance.uniform(0, 18)
    canvas.cover(_colour(chance) + np.broadcast_to(stripes, canvas.rgb.shape).astype(np.float32), inside)


def _art(canvas: Canvas, room: AnnotatedRoom, size: Floats, chance: np.random.Generator) -> None:
    """A framed picture on a wall, in the wall's perspective."""
    wall = room.walls[int(chance.integers(len(room.walls)))] * size
    u, v, du = chance.uniform(0.1, 0.7), chance.uniform(0.25, 0.38), chance.uniform(0.08, 0.22)
    dv = chance.uniform(0.12, 0.26)
    corners = _on_wall(wall, np.array([[u, v], [u + du, v], [u + du, v + dv], [u, v + dv]]))
    if np.ptp(corners[:, 1]) > 0.15 * size[1]:
        corners = corners.mean(0) + (corners - corners.mean(0)) * (0.15 * size[1] / np.ptp(corners[:, 1]))
    shape = canvas.alpha.shape
    inside = polygon(corners, shape) > 0.5
    if any(polygon(opening.outline * size, shape)[inside].any() for opening in room.openings):
        return
    canvas.darken(polygon(corners + np.array([2, 5]), shape), 6.0, 0.3)
    canvas.cover(np.array([30, 28, 26], np.float32), polygon(corners, shape))
    middle = corners.mean(0)
    picture = _colour(chance)
    canvas.cover(picture, polygon(middle + 0.86 * (corners - middle), shape))
    canvas.cover(_colour(chance), polygon(middle + 0.45 * (corners - middle), shape))


def _curtains(canvas: Canvas, room: AnnotatedRoom, size: Floats, chance: np.random.Generator) -> None:
    windows = [opening.outline * size for opening in room.openings if opening.kind == "window"]
    if not windows:
        return
    outline = windows[int(chance.integers(len(windows)))]
    colour = np.clip(_colour(chance) + 40, 0, 245)
    shape = canvas.alpha.shape
    left, right, top, bottom = outline[[0, 3]], outline[[1, 2]], outline[[0, 1]], outline[[3, 2]]
    wide = 0.16 * float(np.linalg.norm(top[1] - top[0]))
    drop = chance.uniform(0.25, 0.5) * float(np.linalg.norm(bottom[0] - top[0]))
    for side, sense in ((left, -1), (right, 1)):
        inner = side + np.array([-sense * 0.2 * wide, 0])
        outer = side + np.array([sense * wide, 0])
        rod, hem = np.array([0, -0.12 * drop]), np.array([0, drop])
        band = np.array([inner[0] + rod, outer[0] + rod, outer[1] + hem, inner[1] + hem])
        folds = np.sin(np.arange(shape[1]) / max(1.0, wide / 26))[None, :, None] * 14
        inside = polygon(band, shape)
        canvas.darken(inside, wide / 5 + 1, 0.3)
        canvas.cover(colour + np.broadcast_to(folds, canvas.rgb.shape).astype(np.float32), inside)


def _reflected(canvas: Canvas, floor: Image, strength: float) -> Image:
    """Furniture mirrored in a varnished floor, blurred: premultiplied (H, W, 4), at most `strength`."""
    shape = canvas.alpha.shape
    ys, xs = np.nonzero(canvas.alpha * floor > 0.5)
    mirrored = np.zeros((*shape, 4), np.float32)
    for x0 in range(0, shape[1], 8):
        column = ys[(xs >= x0) & (xs < x0 + 8)]
        if not len(column):
            continue
        foot = int(column.max())
        count = min(foot + 1, shape[0] - foot - 1, int(0.25 * shape[0]))
        above = slice(foot - count + 1, foot + 1)
        strip = np.dstack([canvas.rgb[above, x0 : x0 + 8], canvas.alpha[above, x0 : x0 + 8]])[::-1]
        fade = np.linspace(1, 0, count)[:, None, None]
        mirrored[foot + 1 : foot + 1 + count, x0 : x0 + 8] = strip * fade
    mirrored = cv2.GaussianBlur(mirrored, (0, 0), 7.0) * floor[..., None]
    return np.asarray(mirrored * strength, np.float32)


def _on_wall(wall: Floats, places: Floats) -> Floats:
    """Px of places (n, 2) given as shares 0..1 of a wall's quadrilateral."""
    square = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
    turn = cv2.getPerspectiveTransform(square, wall.astype(np.float32))
    return np.asarray(cv2.perspectiveTransform(places.reshape(1, -1, 2).astype(np.float32), turn)[0], float)
