"""Rooms whose geometry is known exactly: a box with openings, seen by a camera that stands in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from listing_media_dagster.staging.arrays import Floats
from listing_media_dagster.staging.room import Opening, PhotoCamera, RoomGeometry, Wall

# kind, from and to along the wall from the room's own corner, bottom, top, in m
Hole = tuple[str, float, float, float, float]


def camera_at(
    height: float = 1.4,
    yaw: float = 0.0,
    pitch: float = -2.0,
    roll: float = 0.0,
    focal_35mm: float = 20.0,
    size: tuple[int, int] = (960, 640),
) -> PhotoCamera:
    """Return a pinhole: yaw to the right, pitch up, roll clockwise, in degrees; `focal_35mm` for a 36 mm width."""
    y, p, r = np.radians([yaw, pitch, roll])
    forward = np.array([np.sin(y) * np.cos(p), np.sin(p), -np.cos(y) * np.cos(p)])
    right = np.array([np.cos(y), 0.0, np.sin(y)])
    up = np.cross(right, forward)
    axes = np.array([np.cos(r) * right - np.sin(r) * up, np.sin(r) * right + np.cos(r) * up, forward])
    return PhotoCamera(size, size[0] * focal_35mm / 36, (size[0] / 2, size[1] / 2), axes, height)


def box_room(
    width: float,
    depth: float,
    stand: tuple[float, float],
    camera: PhotoCamera,
    holes: Mapping[str, Sequence[Hole]] | None = None,
    ceiling: float = 2.6,
) -> RoomGeometry:
    """Return the room `width` by `depth` m as seen by a camera `stand` (x, z) m from its far left corner.

    `holes` are the openings of the walls north (far), south, west (left) and east, from the wall's left or far end.
    """
    low, high = np.array([-stand[0], -stand[1]]), np.array([width - stand[0], depth - stand[1]])
    sides = {
        "north": ("z", low[1], 1, (low[0], high[0])),
        "south": ("z", high[1], -1, (low[0], high[0])),
        "west": ("x", low[0], 1, (low[1], high[1])),
        "east": ("x", high[0], -1, (low[1], high[1])),
    }
    points, hit = _first_hits(camera, low, high, ceiling)
    walls = []
    for number, (name, (axis, offset, facing, whole)) in enumerate(sides.items()):
        along = points[hit == number][:, 0 if axis == "z" else 2]
        if len(along) < 30:
            continue
        span = (max(float(along.min()), whole[0]), min(float(along.max()), whole[1]))
        openings = tuple(
            opening
            for hole in (holes or {}).get(name, ())
            if (opening := _opening(camera, hole, axis, offset, whole[0], span)) is not None
        )
        walls.append(Wall(axis, float(offset), facing, span, openings))  # type: ignore[arg-type]
    floor = (hit == 4).reshape(camera.size[1], camera.size[0])
    return RoomGeometry(camera, floor, tuple(walls), ceiling, 1.0, "known", "known")


def _first_hits(camera: PhotoCamera, low: Floats, high: Floats, ceiling: float) -> tuple[Floats, Floats]:
    """Return where each pixel's ray meets the box (N, 3) m, and what: north, south, west, east, floor, ceiling."""
    columns, rows = np.meshgrid(np.arange(camera.size[0]) + 0.5, np.arange(camera.size[1]) + 0.5)
    rays = camera.rays(np.column_stack([columns.ravel(), rows.ravel()]))
    with np.errstate(divide="ignore", invalid="ignore"):
        steps = np.column_stack(
            [
                low[1] / rays[:, 2],
                high[1] / rays[:, 2],
                low[0] / rays[:, 0],
                high[0] / rays[:, 0],
                -camera.height / rays[:, 1],
                (ceiling - camera.height) / rays[:, 1],
            ]
        )
    steps = np.where(steps > 0, steps, np.inf)
    hit = steps.argmin(1)
    return camera.position + rays * steps.min(1)[:, None], hit


def _opening(
    camera: PhotoCamera, hole: Hole, axis: str, offset: float, start: float, seen: tuple[float, float]
) -> Opening | None:
    kind, first, last, bottom, top = hole
    left, right = max(start + first, seen[0]), min(start + last, seen[1])
    if right - left < 0.1:
        return None
    corners = [(left, bottom), (right, bottom), (right, top), (left, top)]
    points = [(offset, y, along) if axis == "x" else (along, y, offset) for along, y in corners]
    outline = camera.project(np.array(points))
    if not np.isfinite(outline).all():
        return None
    return Opening(kind, outline, (left, right), bottom, top)  # type: ignore[arg-type]


def sample_living_room() -> RoomGeometry:
    """The living room of the sample listing as its camera really stood."""
    camera = camera_at(1.38, -24.0, -2.6, 0.7, 18.0, (1200, 800))
    return box_room(
        5.6,
        6.4,
        (4.75, 6.05),
        camera,
        {
            "north": [("window", 0.75, 2.25, 0.45, 2.28), ("window", 3.0, 4.5, 0.45, 2.28)],
            "east": [("window", 1.3, 2.9, 0.75, 2.28)],
            "west": [("door", 1.55, 2.42, 0.0, 2.06)],
        },
        2.62,
    )


def sample_bedroom() -> RoomGeometry:
    """The bedroom of the sample listing; its built-in wardrobe is taken as the west wall."""
    camera = camera_at(1.42, -19.0, -2.2, -0.8, 18.0, (1200, 800))
    return box_room(
        3.4,
        4.7,
        (2.75, 4.45),
        camera,
        {"north": [("window", 0.65, 2.25, 0.8, 2.25)], "east": [("door", 2.9, 3.75, 0.0, 2.05)]},
        2.58,
    )
