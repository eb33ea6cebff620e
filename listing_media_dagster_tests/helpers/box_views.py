"""The sample listing's rooms as the boxes they are: true depths, and what a camera that moves through them sees."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

import listing_media_dagster.sample_listing as sample_listing

Rgb = NDArray[np.uint8]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class BoxRoom:
    """An empty room of known size and the photo of it, reduced to `width` px."""

    photo: Rgb
    size: Floats  # m: x right, y up, z
    position: Floats
    axes: Floats  # rows: the camera's right, down and forward, in the room
    focal: float  # px

    @classmethod
    def of(cls, name: str, width: int = 960) -> BoxRoom:
        folder = Path(sample_listing.__file__).parent
        told = json.loads((folder / "cameras.json").read_text())[name]
        with Image.open(folder / "drop" / name) as image:
            scale = width / told["size_px"][0]
            full = np.asarray(image.convert("RGB"))
        photo = np.asarray(
            cv2.resize(full, (width, round(full.shape[0] * scale)), interpolation=cv2.INTER_AREA), np.uint8
        )
        yaw, pitch, roll = (np.radians(told[f"{angle}_deg"]) for angle in ("yaw", "pitch", "roll"))
        forward = np.array([np.sin(yaw) * np.cos(pitch), np.sin(pitch), -np.cos(yaw) * np.cos(pitch)])
        right = np.array([np.cos(yaw), 0.0, np.sin(yaw)])
        up = np.cross(right, forward)
        turned = np.cos(roll) * right - np.sin(roll) * up
        axes = np.stack([turned, -(np.cos(roll) * up + np.sin(roll) * right), forward])
        return cls(photo, np.array(told["room_size_m"]), np.array(told["position_m"]), axes, told["focal_px"] * scale)

    @cached_property
    def nearness(self) -> NDArray[np.float32]:
        """Return inverse depth, scaled to 0 farthest to 1 nearest, (H, W)."""
        inverse = 1 / self._points(np.zeros(3))[..., 2]
        low, high = inverse.min(), inverse.max()
        return np.asarray((inverse - low) / (high - low), np.float32)

    def seen_after(self, right: float = 0, up: float = 0, forward: float = 0) -> Rgb:
        """Return what the camera sees once it has moved by so many metres, black where the photo shows nothing."""
        moved = np.array([right, -up, forward])
        points = self._points(moved) + moved
        at = points[..., :2] / points[..., 2:] * self.focal + np.array(self.photo.shape[1::-1]) / 2 - 0.5
        map_x, map_y = (at[..., axis].astype(np.float32) for axis in (0, 1))
        return np.asarray(cv2.remap(self.photo, map_x, map_y, cv2.INTER_CUBIC), np.uint8)

    def _points(self, moved: Floats) -> Floats:
        """Return the room's points (H, W, 3) that a camera `moved` (in its own axes) sees, in that camera's axes."""
        height, width = self.photo.shape[:2]
        x, y = np.meshgrid(np.arange(width) + 0.5 - width / 2, np.arange(height) + 0.5 - height / 2)
        rays = np.dstack([x, y, np.full_like(x, self.focal)]) / self.focal
        towards = rays @ self.axes
        origin = self.position + moved @ self.axes
        with np.errstate(divide="ignore"):
            hits = np.where(towards > 0, self.size - origin, origin) / np.abs(towards)
        return np.asarray(rays * hits.min(axis=2, keepdims=True))


def filmed(frame: Rgb, seed: int) -> Rgb:
    """Return `frame` as a video model hands it over: softer, with a trace of noise, the exposure a little off."""
    rng = np.random.default_rng(seed)
    soft = cv2.GaussianBlur(frame, (0, 0), 0.9).astype(np.float32)
    return np.clip(soft * rng.uniform(0.97, 1.03) + rng.normal(0, 2.0, frame.shape), 0, 255).astype(np.uint8)
