"""From one photo to the room it shows: camera, floor and walls in metres, or the reason why none can be trusted."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from listing_media_dagster.photo.line_segments import Segments, find_segments
from listing_media_dagster.staging.doorframes import gradient_of
from listing_media_dagster.staging.flat_wall import flatten_wall
from listing_media_dagster.staging.floor import ALONG_AXIS, Boundary, find_boundary, reduced
from listing_media_dagster.staging.manhattan import Frame, angles_off, edge_weights, fit_frames, refine_frame
from listing_media_dagster.staging.openings import find_openings
from listing_media_dagster.staging.passages import with_passages
from listing_media_dagster.staging.room import NotARoom, PhotoCamera, RoomGeometry, Wall
from listing_media_dagster.staging.standing import without_standing_things
from listing_media_dagster.staging.uprights import find_uprights
from listing_media_dagster.staging.walls import ceiling_height, walls_behind

VERSION = "8"

CAMERA_HEIGHT, CAMERA_SPREAD = 1.38, 0.10
"""m, and its spread (log): tripods stand at chest height, a little over the middle of the room's height."""
USUAL_CEILING, CEILING_SPREAD = 2.58, 0.07
USUAL_DOOR, DOOR_SPREAD = 2.09, 0.04
"""m from the floor to the top of a door's opening or casing."""
LEAST_FLOOR = 0.04  # share of the picture
LEAST_CONFIDENCE = 0.12


@dataclass(frozen=True)
class Fit:
    """A frame with the floor boundary that is seen in it."""

    frame: Frame
    boundary: Boundary

    @property
    def badness(self) -> float:
        return self.boundary.cost - 0.5 * self.frame.support


def estimate_room_geometry(rgb: NDArray[np.uint8], focal_length_35mm: float | None = None) -> RoomGeometry:
    """Recover the room in rgb uint8 (H, W, 3) sRGB. `focal_length_35mm`: as EXIF gives it, for a 36 mm long edge.

    Raises `NotARoom` where no floor and walls can be trusted.
    """
    size = (rgb.shape[1], rgb.shape[0])
    if min(size) < 200:
        raise NotARoom(f"the photo is too small to measure ({size[0]} x {size[1]} px)")
    segments = find_segments(rgb)
    lab, scale = reduced(rgb)
    fit = _best_fit(segments, lab, scale, size, focal_length_35mm)
    camera = fit.frame.camera(CAMERA_HEIGHT)
    walls = walls_behind(fit.boundary, camera)
    if not walls:
        raise NotARoom("no wall is seen to meet the floor along a straight line")
    ceiling = ceiling_height(walls, segments, fit.frame, camera, lab, scale)
    walls = with_passages(walls, fit.boundary, camera, lab, scale, ceiling)
    walls = tuple(_with_what_is_on_it(wall, camera, lab, scale, ceiling) for wall in walls)
    factor, height_from = _scale(_door_heads(walls, camera), ceiling)
    camera, walls = replace(camera, height=CAMERA_HEIGHT * factor), tuple(wall.scaled(factor) for wall in walls)
    ceiling = ceiling * factor if ceiling else None
    floor = without_standing_things(fit.boundary.mask(size), lab, scale, segments, fit.frame)
    confidence = _confidence(fit, walls)
    if floor.mean() < LEAST_FLOOR:
        raise NotARoom("too little floor is in the picture")
    if confidence < LEAST_CONFIDENCE:
        raise NotARoom("the walls and the floor could not be told apart")
    focal_from = "EXIF" if focal_length_35mm else "estimated from the room's edges"
    return RoomGeometry(camera, floor, walls, ceiling, confidence, focal_from, height_from)


def _best_fit(
    segments: Segments,
    lab: NDArray[np.float32],
    scale: float,
    size: tuple[int, int],
    focal_length_35mm: float | None,
) -> Fit:
    """Let the floor's edge choose among the frames, then refine the frame by the edges on the walls."""
    weight = edge_weights(segments)
    frames = fit_frames(segments, weight, size, focal_length_35mm)
    if not frames:
        raise NotARoom("there are too few straight edges to tell which way the walls run")
    fits = [Fit(frame, find_boundary(lab, segments, frame, scale)) for frame in frames]
    best = min(fits, key=lambda fit: fit.badness)
    trusted = weight * _trust(segments, best)
    frame = refine_frame(segments, trusted, best.frame, focal_length_35mm)
    again = Fit(frame, find_boundary(lab, segments, frame, scale))
    return again if again.boundary.cost < best.boundary.cost + 0.03 else best


def _trust(segments: Segments, fit: Fit) -> NDArray[np.float64]:
    """What an edge counts by where it lies (n,): the walls' foot much, floor boards and patches of sun little."""
    width, height = fit.frame.size
    middle = segments.mean(axis=1) + np.array([width, height]) / 2
    column = np.clip(middle[:, 0] * fit.boundary.scale, 0, len(fit.boundary.y) - 1).astype(int)
    under = middle[:, 1] * fit.boundary.scale - fit.boundary.y[column]
    on_line = fit.boundary.label[column] >= 0
    along = np.abs(angles_off(segments, fit.frame)).min(axis=1) < ALONG_AXIS
    foot = (np.abs(under) < 2.5) & on_line & along
    return np.where(foot, 3.0, np.where(under > 2.5, 0.25, 1.0))


def _with_what_is_on_it(
    wall: Wall, camera: PhotoCamera, lab: NDArray[np.float32], scale: float, ceiling: float | None
) -> Wall:
    """Return the wall with its openings and with the upright edges that belong to none of them."""
    flat = flatten_wall(lab, scale, wall, camera, ceiling or 2.0 * camera.height)
    if flat is None:
        return wall
    gradient = gradient_of(flat)
    openings = find_openings(flat, gradient, wall, camera)
    return replace(wall, openings=openings, uprights=find_uprights(flat, gradient, openings, camera.height))


def _door_heads(walls: tuple[Wall, ...], camera: PhotoCamera) -> list[float]:
    """Heights of the doors' tops in camera heights."""
    doors = (opening for wall in walls for opening in wall.openings if opening.kind == "door")
    return [door.top / camera.height for door in doors if 0.3 < (door.span[1] - door.span[0]) / door.top < 0.55]


def _scale(doors: list[float], ceiling: float | None) -> tuple[float, str]:
    """Return by how much the assumed camera height is to be multiplied, and what that rests on.

    The most likely height given how high cameras, ceilings and doors usually are (weights 1 / spread², in logarithms).
    """
    total, trust, says = 0.0, 1 / CAMERA_SPREAD**2, "a usual camera height"
    if ceiling:
        weight = 1 / CEILING_SPREAD**2
        total, trust = total + weight * np.log(USUAL_CEILING / ceiling), trust + weight
        says = "the ceiling's height"
    if doors:
        weight = 1 / DOOR_SPREAD**2
        total += weight * np.log(USUAL_DOOR / (float(np.median(doors)) * CAMERA_HEIGHT))
        trust, says = trust + weight, "a door's height"
    return float(np.exp(np.clip(total / trust, np.log(0.8), np.log(1.3)))), says


def _confidence(fit: Fit, walls: tuple[Wall, ...]) -> float:
    """0..1: the floor's edge lies on sharp lines along the walls, and most of the photo's edges agree."""
    axes = [line.axis for line in fit.boundary.lines]
    straight = np.array([label >= 0 and axes[label] is not None for label in fit.boundary.label])
    parts = (
        (1.05 - fit.boundary.cost) / 0.75,
        float(straight.mean()) / 0.75,
        fit.frame.support / 0.4,
        0.7 + 0.15 * len(walls),
    )
    return float(np.prod(np.clip(parts, 0.0, 1.0)))
