"""The nouns of staging: the camera and the room that one photo shows, in metres.

The world is right-handed: x to the right along the horizontal wall direction nearest the picture's x, y up, z toward
the viewer. The floor is y = 0, the camera stands at (0, height, 0) and looks toward -z.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from listing_media_dagster.staging.arrays import Floats


@dataclass(frozen=True)
class PhotoCamera:
    """The pinhole that took a photo of `size` (width, height) px.

    `axes` is (3, 3): rows are the unit vectors right, up and forward of the camera in the world. `centre` is the
    principal point in px, `height` the camera's height over the floor in m.
    """

    size: tuple[int, int]
    focal_px: float
    centre: tuple[float, float]
    axes: Floats
    height: float

    @property
    def position(self) -> Floats:
        return np.array([0.0, self.height, 0.0])

    def rays(self, points: Floats) -> Floats:
        """Return the unit directions in the world (N, 3) in which pixels (N, 2) look."""
        points = np.asarray(points, float).reshape(-1, 2)
        across = (points - self.centre) / self.focal_px
        rays = np.column_stack([across[:, 0], -across[:, 1], np.ones(len(points))])
        return np.asarray((rays / np.linalg.norm(rays, axis=1, keepdims=True)) @ self.axes)

    def project(self, points: Floats) -> Floats:
        """Return the pixels (N, 2) of world points (N, 3) m; NaN for those behind the camera."""
        seen = (np.asarray(points, float).reshape(-1, 3) - self.position) @ self.axes.T
        depth = np.where(seen[:, 2] > 1e-6, seen[:, 2], np.nan)
        return np.asarray(np.column_stack([seen[:, 0], -seen[:, 1]]) / depth[:, None] * self.focal_px + self.centre)

    def on_floor(self, points: Floats) -> Floats:
        """Return the floor points (N, 3) m that pixels (N, 2) show; NaN at and above the horizon."""
        rays = self.rays(points)
        steps = np.where(rays[:, 1] < -1e-6, -self.height / np.minimum(rays[:, 1], -1e-6), np.nan)
        return np.asarray(self.position + rays * steps[:, None])

    def horizon(self, x: float) -> float:
        """Return the y in px at which the horizon crosses the picture's column `x`."""
        right, up, forward = self.axes[:, 1]  # the world's up in the camera's axes
        return float(self.centre[1] + (right * (x - self.centre[0]) + forward * self.focal_px) / up)

    def scaled(self, size: tuple[int, int]) -> PhotoCamera:
        """Return the same camera for the same picture at another `size` (width, height)."""
        factor = size[0] / self.size[0]
        centre = (self.centre[0] * factor, self.centre[1] * size[1] / self.size[1])
        return replace(self, size=size, focal_px=self.focal_px * factor, centre=centre)


OpeningKind = Literal["window", "door", "passage", "niche"]
"""A passage is walked through and has no door; a niche is a recess or a serving hatch that begins over the floor."""


@dataclass(frozen=True)
class Opening:
    """What is framed in a wall: `outline` (4, 2) px, `span` m along the wall with casings, `bottom` and `top` m."""

    kind: OpeningKind
    outline: Floats
    span: tuple[float, float]
    bottom: float
    top: float

    @property
    def is_walked_through(self) -> bool:
        return self.kind in ("door", "passage")

    def scaled(self, factor: float) -> Opening:
        """Return the same opening where a metre is `factor` as long."""
        span = (self.span[0] * factor, self.span[1] * factor)
        return replace(self, span=span, bottom=self.bottom * factor, top=self.top * factor)


@dataclass(frozen=True)
class Upright:
    """An upright edge on a wall, `at` m along it, seen from `bottom` to `top` m over the floor."""

    at: float
    bottom: float
    top: float

    def scaled(self, factor: float) -> Upright:
        """Return the same edge where a metre is `factor` as long."""
        return Upright(self.at * factor, self.bottom * factor, self.top * factor)


@dataclass(frozen=True)
class Wall:
    """The plane `axis` = `offset` m as far as it is seen; `facing` is the sign of its normal, which points inward.

    `span` is what is seen of it, along the other horizontal axis, in m. `uprights` are edges on it that belong to none
    of its `openings`.
    """

    axis: Literal["x", "z"]
    offset: float
    facing: Literal[-1, 1]
    span: tuple[float, float]
    openings: tuple[Opening, ...] = ()
    uprights: tuple[Upright, ...] = ()

    def points(self, along: Sequence[float], height: float) -> Floats:
        """Return the points (N, 3) m of the wall at the places `along` it, all at `height`."""
        placed = [(self.offset, height, at) if self.axis == "x" else (at, height, self.offset) for at in along]
        return np.array(placed, float).reshape(-1, 3)

    def has_edge_within(self, left: float, right: float, low: float, high: float) -> bool:
        """Say whether an upright edge crosses the part from `left` to `right` m along and `low` to `high` m up."""
        return any(left < edge.at < right and edge.bottom < high and edge.top > low for edge in self.uprights)

    def scaled(self, factor: float) -> Wall:
        """Return the same wall where a metre is `factor` as long."""
        span = (self.span[0] * factor, self.span[1] * factor)
        openings = tuple(opening.scaled(factor) for opening in self.openings)
        uprights = tuple(upright.scaled(factor) for upright in self.uprights)
        return replace(self, offset=self.offset * factor, span=span, openings=openings, uprights=uprights)


@dataclass(frozen=True)
class RoomGeometry:
    """A room as one photo shows it. `floor` is the mask (H, W) of what is seen of the floor, at the camera's size.

    `confidence` is 0..1; `focal_from` and `height_from` say what the focal length and the scale rest on.
    """

    camera: PhotoCamera
    floor: NDArray[np.bool_]
    walls: tuple[Wall, ...]
    ceiling: float | None
    confidence: float
    focal_from: str
    height_from: str

    def wall_edges(self) -> list[tuple[float, float, float, float]]:
        """Return the lines (x1, y1, x2, y2) px at which the walls meet floor and ceiling, as far as both ends show."""
        heights = (0.0,) if self.ceiling is None else (0.0, self.ceiling)
        ends = [self.camera.project(wall.points(wall.span, height)) for wall in self.walls for height in heights]
        return [(*first, *second) for first, second in ends if np.isfinite([first, second]).all()]


class NotARoom(ValueError):
    """No room could be recovered from the photo, or none that furniture would stand right in; `str()` says why."""
