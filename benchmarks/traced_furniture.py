"""Honest stagings as the path-traced back end hands them over, and lies told about the rooms behind them.

The rooms are the sample listing's and rendered ones, whose true openings, walls and edges are known from their plans;
the gate is told only what was recovered from the photo, as in production.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest.mock import patch

import cv2
import numpy as np

from benchmarks.annotated_rooms import SAMPLE_ROOMS, AnnotatedRoom, MarkedOpening
from benchmarks.empty_rooms import TAKEN, EmptyRoom, photograph, random_room
from benchmarks.painted_furniture import Floats, Image, Mask, Rgb
from listing_media_dagster.listing import RoomType
from listing_media_dagster.photo.decode import decode_upright
from listing_media_dagster.staging import composite
from listing_media_dagster.staging.furniture.designs import library
from listing_media_dagster.staging.kits import load_kits
from listing_media_dagster.staging.layout import NoSpace, arrange
from listing_media_dagster.staging.rendered import LEAST_CONFIDENCE
from listing_media_dagster.staging.room import NotARoom, PhotoCamera, RoomGeometry
from listing_media_dagster.staging.room_geometry import estimate_room_geometry

LONG_SIDE = 1000
TRACED_AT: dict[str, Any] = {"PIXELS": 160_000, "EMPTY_PIXELS": 20_000, "MIRROR_PIXELS": 50_000}
"""Fewer pixels than a listing gets, for time: light and shadow hardly change, and the alpha is as sharp."""
STAGED = ("DSC_0412", "DSC_0421")
"""The sample's photos of empty rooms in which furniture fits."""
FURNISHED_AS = (
    RoomType.LIVING_ROOM,
    RoomType.PRIMARY_BEDROOM,
    RoomType.DINING_ROOM,
    RoomType.HOME_OFFICE,
    RoomType.CHILDRENS_ROOM,
)
DOOR, WINDOW = (0.85, 0.0, 2.05), (1.1, 0.9, 2.05)
"""Invented openings: width, bottom and top in m."""


@dataclass(frozen=True)
class TracedStaging:
    """A staged photo and what the gate is told; `truth` marks the room's true architecture."""

    name: str
    base: Rgb
    rgb: Rgb
    furniture: Image
    changed: Mask
    geometry: RoomGeometry
    truth: AnnotatedRoom

    def over(self, lied: Rgb) -> Rgb:
        """Return the same furniture, shadows and reflections laid over a room that was lied about, (H, W, 3)."""
        before, after, lie = (_light(image) for image in (self.base, self.rgb, lied))
        open_share = 1 - self.furniture[..., None]
        shade = np.clip((after + 1e-3) / (before + 1e-3), 0, 1) * (open_share > 0.99)
        # behind half transparent pixels the room is as shaded as beside them
        near = cv2.GaussianBlur((open_share > 0.99).astype(np.float32), (0, 0), 2.0)
        near = near[..., None] if near.ndim == 2 else near
        beside = cv2.GaussianBlur(shade.astype(np.float32), (0, 0), 2.0) / np.maximum(near, 1e-3)
        shade = np.where(open_share > 0.99, shade, np.clip(beside, 0, 1))
        mixed = _levels(after + open_share * shade * (lie - before))
        return np.where(lied == self.base, self.rgb, mixed).astype(np.uint8)


def sample_rooms() -> list[AnnotatedRoom]:
    return [room for room in SAMPLE_ROOMS if room.name in STAGED]


def stage_photo(room: AnnotatedRoom, number: int, turn: int) -> TracedStaging | None:
    """Return one staging of a marked photo, `number` and `turn` choosing kit, room and layout."""
    rgb = decode_upright(room.file).rgb
    factor = min(1.0, LONG_SIDE / max(rgb.shape[:2]))
    base = np.asarray(cv2.resize(rgb, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA), np.uint8)
    return _staged(base, room, number, turn)


def stage_rendered(number: int, turn: int) -> TracedStaging | None:
    """Return one staging of the rendered room of that number."""
    room = random_room(number)
    return _staged(_photo_of(room), marked(room), number, turn)


def _photo_of(room: EmptyRoom) -> Rgb:
    """Return the photo, from the folder that the environment's EMPTY_ROOMS names if it is kept there."""
    folder = os.environ.get("EMPTY_ROOMS")
    kept = Path(folder) / f"{room.number:03d}.jpg" if folder else None
    if kept is not None and kept.exists():
        return np.asarray(cv2.imread(str(kept), cv2.IMREAD_COLOR_RGB), np.uint8)
    return photograph(room)


def _staged(base: Rgb, truth: AnnotatedRoom, number: int, turn: int) -> TracedStaging | None:
    """Stage, or take the staging from the folder that TRACED_STAGINGS names; None for a room that is refused."""
    name = f"{truth.name}_{turn}"
    folder = os.environ.get("TRACED_STAGINGS")
    kept = Path(folder) / f"{name}.npz" if folder else None
    try:
        geometry = estimate_room_geometry(base)
        if geometry.confidence < LEAST_CONFIDENCE:
            return None
        if kept is not None and kept.exists():
            with np.load(kept) as was:
                return TracedStaging(name, base, was["rgb"], was["furniture"], was["changed"], geometry, truth)
        kits = load_kits()
        names = ["modern", *sorted(set(kits) - {"modern"})]
        kit = names[(number + 3 * turn) % len(names)] if turn else "modern"
        kind = FURNISHED_AS[(number + turn) % len(FURNISHED_AS)] if turn else RoomType.LIVING_ROOM
        arrangement = arrange(geometry, kits[kit], kind, turn % 3, 7 + turn)
    except (NotARoom, NoSpace):
        return None
    with patch.multiple(composite, **TRACED_AT):
        made = composite.render_staging(base, geometry, arrangement, library(), turn)
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(kept, rgb=made.rgb, furniture=made.furniture, changed=made.edit_mask)
    return TracedStaging(name, base, made.rgb, made.furniture, made.edit_mask, geometry, truth)


def marked(room: EmptyRoom) -> AnnotatedRoom:
    """Return where the photo of a rendered room truly shows its floor, walls, edges and openings."""
    camera, (width, height, depth) = room.photo_camera(), room.size
    plan = _Plan(camera, room.camera.position, width, depth)
    walls = {side: plan.ahead(side) for side in ("west", "north", "east")}
    seen = {side: span for side, span in walls.items() if span[1] - span[0] > 0.3}
    outlines = {side: plan.outline(side, (low, 0.0, high, height)) for side, (low, high) in seen.items()}
    openings = [
        MarkedOpening("window" if kind == "window" else "door", plan.outline(side, opening))
        for side in seen
        for kind, opening in room.openings[side]
        if seen[side][0] <= opening[0] and opening[2] <= seen[side][1]
    ]
    edges = [edge for outline in outlines.values() for edge in (outline[[0, 1]], outline[[2, 3]])]
    edges += [plan.outline("north", (x, 0.0, x, height))[[0, 3]] for x in (0.0, width)]
    edges = [edge.ravel() for edge in edges if _length_seen(edge) > 0.08]
    spots = {kind: _bare_spots(plan, room, seen, size) for kind, size in (("door", DOOR), ("window", WINDOW))}
    return AnnotatedRoom(
        Path(f"{room.number:03d}.jpg"), tuple(o for o in openings if _share_seen(o.outline) > 0.5), plan.floor(),
        tuple(outline for outline in outlines.values() if _share_seen(outline) > 0.1), np.array(edges).reshape(-1, 4),
        _middling(spots["window"]), _middling(spots["door"]),
    )  # fmt: skip


@dataclass(frozen=True)
class _Plan:
    """Where places in a rendered room, m from its north-west corner, show in the photo, as shares of its size."""

    camera: PhotoCamera
    stand: tuple[float, float, float]
    width: float
    depth: float

    def seen(self, points: Floats) -> Floats:
        """Return the places (N, 2) of points (N, 3); NaN for what isn't 0.3 m ahead."""
        moved = np.asarray(points, float) - np.array([self.stand[0], 0, self.stand[2]])
        ahead = (moved - self.camera.position) @ self.camera.axes[2] > 0.3
        return np.where(ahead[:, None], self.camera.project(moved) / np.array(TAKEN), np.nan)

    def on_wall(self, side: str, along: Floats, height: Floats) -> Floats:
        fixed = np.full_like(along, self.width if side == "east" else 0.0)
        columns = [along, height, fixed] if side == "north" else [fixed, height, along]
        return np.column_stack(columns)

    def ahead(self, side: str) -> tuple[float, float]:
        """Return the stretch of a wall, m along it, that lies before the camera from floor to ceiling."""
        along = np.linspace(0, self.width if side == "north" else self.depth, 120)
        shown = [self.seen(self.on_wall(side, along, np.full_like(along, h))) for h in (0.0, 2.4)]
        known = along[np.isfinite(np.hstack(shown)).all(axis=1)]
        return (float(known.min()), float(known.max())) if len(known) else (0.0, 0.0)

    def outline(self, side: str, place: tuple[float, float, float, float]) -> Floats:
        """Return the corners (4, 2), clockwise from top left, of (left, bottom, right, top) m on a wall."""
        low, bottom, high, top = place
        along = np.array([low, high, high, low]) if side != "west" else np.array([high, low, low, high])
        return self.seen(self.on_wall(side, along, np.array([top, top, bottom, bottom])))

    def floor(self) -> Floats:
        x, z = np.meshgrid(np.linspace(0, self.width, 60), np.linspace(0, self.depth, 60))
        shown = self.seen(np.column_stack([x.ravel(), np.zeros(x.size), z.ravel()]))
        shown = shown[np.isfinite(shown).all(axis=1)].clip(-3, 4)
        return np.asarray(cv2.convexHull(shown.astype(np.float32))[:, 0], float)


def _bare_spots(
    plan: _Plan, room: EmptyRoom, seen: dict[str, tuple[float, float]], size: tuple[float, float, float]
) -> list[Floats]:
    """Return outlines where an opening of (width, bottom, top) m would fit in sight, 0.15 m clear of the true ones."""
    wide, bottom, top = size
    spots = []
    for side, (low, high) in seen.items():
        taken = sorted((left, right) for _, (left, _, right, _) in room.openings[side])
        ends = [(low, low), *taken, (high, high)]
        for (_, left), (right, _) in pairwise(ends):
            if right - left >= wide + 0.3:
                for at in np.arange(left + 0.15, right - wide - 0.1, 0.25):
                    outline = plan.outline(side, (float(at), bottom, float(at) + wide, top))
                    if _share_seen(outline) > 0.98:
                        spots.append(outline)
    return spots


def _middling(spots: list[Floats]) -> Floats:
    """Return the spot (4, 2) that takes up nearest to a twentieth of the picture; zeros if there is none."""
    return min(spots, key=lambda spot: abs(_area(spot) - 0.05), default=np.zeros((4, 2)))


def _area(outline: Floats) -> float:
    return float(cv2.contourArea(outline.astype(np.float32)))


def _share_seen(outline: Floats) -> float:
    """Return how much of an outline, in shares of the picture, lies inside the picture."""
    picture = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
    area = _area(outline)
    inside = cv2.intersectConvexConvex(cv2.convexHull(outline.astype(np.float32)), picture)[0]
    return float(inside / area) if area > 0 else 0.0


def _length_seen(edge: Floats) -> float:
    points = edge[0] + np.linspace(0, 1, 50)[:, None] * (edge[1] - edge[0])
    inside = ((points >= 0) & (points <= 1)).all(axis=1)
    return float(inside.mean() * np.linalg.norm(edge[1] - edge[0])) if np.isfinite(edge).all() else 0.0


def _light(rgb: Rgb) -> Image:
    return np.asarray((rgb.astype(np.float32) / 255) ** 2.2, np.float32)


def _levels(light: Image) -> Image:
    return np.asarray(np.clip(255 * np.maximum(light, 0) ** (1 / 2.2) + 0.5, 0, 255), np.float32)
