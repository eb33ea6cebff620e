"""What a picture of the sample home is made of before any light is traced: the camera, the parts and their lights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from listing_media_dagster.path_tracer.materials import Colour, Image, Material
from listing_media_dagster.path_tracer.solids import Part


@dataclass(frozen=True)
class Camera:
    """A pinhole at (x, y up, z) m. Degrees: yaw 0 looks along -z and grows to the right, pitch up, roll clockwise."""

    position: tuple[float, float, float]
    yaw: float
    pitch: float
    roll: float
    focal_35mm: float  # the long edge of the picture is 36 mm
    portrait: bool = False

    def axes(self) -> NDArray[np.float64]:
        """Rows: right, up, forward of the camera in the world."""
        yaw, pitch, roll = np.radians([self.yaw, self.pitch, self.roll])
        forward = np.array([np.sin(yaw) * np.cos(pitch), np.sin(pitch), -np.cos(yaw) * np.cos(pitch)])
        right = np.array([np.cos(yaw), 0.0, np.sin(yaw)])
        up = np.cross(right, forward)
        return np.array([np.cos(roll) * right - np.sin(roll) * up, np.cos(roll) * up + np.sin(roll) * right, forward])

    def focal_px(self, width: int, height: int) -> float:
        return self.focal_35mm / 36.0 * max(width, height)

    def directions(self, width: int, height: int) -> Image:
        """Unit ray of every pixel centre in the world, (height, width, 3)."""
        x = (np.arange(width) + 0.5 - width / 2) / self.focal_px(width, height)
        y = (np.arange(height) + 0.5 - height / 2) / self.focal_px(width, height)
        rays = np.stack([*np.meshgrid(x, -y), np.ones((height, width))], -1)
        rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
        return (rays @ self.axes()).astype(np.float32)


@dataclass(frozen=True)
class Scene:
    """Parts, their materials and the groups of light that fall on them.

    `lights` gives for each group the materials that shine in it with their radiance, `distant` its mitsuba emitters.
    A shining part exists only in its own group (a bright window pane is no obstacle to the sun), unless its material
    is in `solid_lights`.
    """

    parts: tuple[Part, ...]
    materials: Mapping[str, Material]
    lights: Mapping[str, Mapping[str, Colour]] = field(default_factory=dict)
    distant: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    solid_lights: frozenset[str] = frozenset({"lamp"})
