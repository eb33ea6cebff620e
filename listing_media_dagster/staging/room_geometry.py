"""From one photo to the room it shows: camera, floor and walls in metres, or the reason why none can be trusted."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from listing_media_dagster.photo.line_segments import find_segments
from listing_media_dagster.staging.manhattan import edge_weights, fit_frames
from listing_media_dagster.staging.room import NotARoom, PhotoCamera, RoomGeometry, Wall

VERSION = "1"
CAMERA_HEIGHT = 1.4  # m


def estimate_room_geometry(rgb: NDArray[np.uint8], focal_length_35mm: float | None = None) -> RoomGeometry:
    """Recover the room in rgb uint8 (H, W, 3) sRGB. `focal_length_35mm`: as EXIF gives it, for a 36 mm long edge.

    Raises `NotARoom` where no floor and walls can be trusted.
    """
    height, width = rgb.shape[:2]
    segments = find_segments(rgb)
    frames = fit_frames(segments, edge_weights(segments), (width, height), focal_length_35mm)
    if not frames:
        raise NotARoom("there are too few straight edges to tell which way the walls run")
    frame = frames[0]
    camera = frame.camera(CAMERA_HEIGHT)
    floor = _simple_floor(rgb, camera)
    if floor.mean() < 0.03:
        raise NotARoom("too little floor is seen")
    focal_from = "EXIF" if focal_length_35mm else "estimated from the room's lines"
    return RoomGeometry(
        camera, floor, _simple_walls(camera, floor), None, frame.support, focal_from, "assumed camera height"
    )


def _simple_floor(rgb: NDArray[np.uint8], camera: PhotoCamera) -> NDArray[np.bool_]:
    height, width = rgb.shape[:2]
    scale = 320 / max(width, height)
    small = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    lab = cv2.GaussianBlur(cv2.cvtColor(small, cv2.COLOR_RGB2LAB), (0, 0), 2.0).astype(np.int32) // [16, 8, 8]
    rows, columns = lab.shape[:2]
    code = lab[..., 0] * 4096 + lab[..., 1] * 64 + lab[..., 2]
    seed = np.zeros((rows, columns), bool)
    seed[int(0.85 * rows) :, int(0.25 * columns) : int(0.75 * columns)] = True
    above = np.zeros_like(seed)
    above[: max(1, round(camera.horizon(width / 2) * scale))] = True
    counts = np.zeros((2, code.max() + 1))
    for number, region in enumerate((seed, above)):
        np.add.at(counts[number], code[region], 1 / region.sum())
    likely = (counts[0] + 1e-5) > (counts[1] + 1e-5)
    mask = (likely[code] & ~above).astype(np.uint8)
    mask = np.asarray(cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8)))
    mask = np.asarray(cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8)))
    _, labels = cv2.connectedComponents(mask)
    kept = np.bincount(labels[seed & (mask > 0)], minlength=labels.max() + 1).argmax()
    floor = ((labels == kept) & (mask > 0)).astype(np.float32)
    return np.asarray(cv2.resize(floor, (width, height), interpolation=cv2.INTER_LINEAR) > 0.5)


def _simple_walls(camera: PhotoCamera, floor: NDArray[np.bool_]) -> tuple[Wall, ...]:
    """Walls just behind the farthest floor that is seen each way."""
    ys, xs = np.nonzero(floor[::8, ::8])
    points = camera.on_floor(np.column_stack([xs, ys]) * 8.0)
    points = points[np.isfinite(points).all(axis=1)]
    left, right = np.percentile(points[:, 0], [1, 99])
    back, front = np.percentile(points[:, 2], [2, 99])
    return (
        Wall("z", float(back), 1, (float(left), float(right))),
        Wall("x", float(left), 1, (float(back), float(front))),
        Wall("x", float(right), -1, (float(back), float(front))),
    )
