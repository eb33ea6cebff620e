"""Room geometry: camera and scale recovered from path-traced empty rooms, against the cameras that took them.

Nothing is told but the pixels: no EXIF. What is found of the openings is counted on the same rooms and on rooms with
what is easily missed, as is how much of half walls is taken for floor. Rooms are rendered as they are needed, about 12
CPU seconds each, and kept in the folder that the environment's EMPTY_ROOMS names, if it does, so that the next run only
measures.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.empty_rooms import EmptyRoom, Photo, photograph, random_room
from benchmarks.framed_rooms import framed_room
from benchmarks.machine import machine
from benchmarks.openings import built_into, compared, found_in, half_walls_in, summary, ways_hidden
from listing_media_dagster.staging.room import NotARoom, PhotoCamera, RoomGeometry
from listing_media_dagster.staging.room_geometry import estimate_room_geometry

ROOMS, FRAMED_ROOMS = 64, 32
BARS = {"horizon_percent": 1.0, "yaw_degrees": 1.5, "scale_percent": 10.0}


@dataclass(frozen=True)
class Outcome:
    """Errors of one room: horizon in % of the height, yaw in degrees, size of a 2 m object on the floor in %."""

    room: EmptyRoom
    errors: dict[str, float]
    confidence: float
    seconds: float

    @property
    def missed(self) -> list[str]:
        return [name for name, bar in BARS.items() if self.errors[name] > bar]


def run() -> dict[str, Any]:
    """Return {ours, peers, ratio, machine}: the distribution of errors, and what the rooms beyond the bars have."""
    cv2.setNumThreads(1)
    outcomes, refused, pairs, hidden = [], [], [], []
    for number in range(ROOMS):
        room = random_room(number)
        photo = photo_of(room, f"{number:03d}")
        began = time.process_time()
        try:
            geometry = estimate_room_geometry(photo)
        except NotARoom as reason:
            refused.append({"room": number, "reason": str(reason), **room.traits})
            continue
        seconds = time.process_time() - began
        outcomes.append(Outcome(room, errors_of(room.photo_camera(), geometry), geometry.confidence, seconds))
        pairs += compared(built_into(room), found_in(geometry))
        hidden += ways_hidden(built_into(room), geometry, number)
    return {
        "ours": {
            "rooms": ROOMS,
            "refused": refused,
            "errors": {
                name: _spread([outcome.errors[name] for outcome in outcomes], bar) for name, bar in BARS.items()
            },
            "cpu_s": round(float(np.median([outcome.seconds for outcome in outcomes])), 2),
            "by_trait": _by_trait(outcomes),
            "by_confidence": _by_confidence(outcomes),
            "openings": {"rooms of chance": summary(pairs, hidden, len(outcomes)), **_easily_missed()},
            "beyond": [_described(outcome) for outcome in outcomes if outcome.missed],
        },
        "peers": {},
        "ratio": {"bar": BARS},
        "machine": machine(),
    }


def _easily_missed() -> dict[str, Any]:
    """Count openings in rooms with white doors, passages, niches and panelled walls, and floor seen on half walls."""
    pairs, hidden, rooms, on_half_walls = [], [], 0, []
    for number in range(FRAMED_ROOMS):
        room = framed_room(number)
        try:
            geometry = estimate_room_geometry(photo_of(room, f"framed_{number:03d}"))
        except NotARoom:
            continue
        rooms += 1
        pairs += compared(built_into(room), found_in(geometry))
        hidden += ways_hidden(built_into(room), geometry, number)
        on_half_walls += [float(geometry.floor[where].mean()) for where in half_walls_in(room)]
    return {
        "rooms with what is easily missed": summary(pairs, hidden, rooms),
        "share_of_half_walls_taken_for_floor": [round(share, 2) for share in sorted(on_half_walls)],
    }


def errors_of(camera: PhotoCamera, geometry: RoomGeometry) -> dict[str, float]:
    """Compare with the true camera. Scale: 2 m on the floor, wherever it shows up to 8 m away, as it comes out."""
    found, (width, height) = geometry.camera, camera.size
    horizon = np.mean([abs(found.horizon(x) - camera.horizon(x)) for x in (0.0, width / 2, width)])
    turns = [np.degrees(np.arctan2(each.axes[2, 0], -each.axes[2, 2])) for each in (found, camera)]
    ys, xs = np.nonzero(geometry.floor[20::40, 20::40])
    middles = camera.on_floor(np.column_stack([xs, ys]).astype(np.float64) * 40 + 20)
    sizes = []
    for middle in middles[np.isfinite(middles).all(axis=1) & (middles[:, 2] > -8)]:
        for half in ((1.0, 0, 0), (0, 0, 1.0)):
            ends = camera.project(np.array([middle - half, middle + half]))
            if np.isfinite(ends).all() and ((ends >= 0) & (ends <= camera.size)).all():
                sizes.append(float(np.linalg.norm(np.diff(found.on_floor(ends), axis=0))))
    known = [size for size in sizes if np.isfinite(size)]
    return {
        "horizon_percent": float(horizon / height * 100),
        "yaw_degrees": float(abs((turns[0] - turns[1] + 45) % 90 - 45)),
        "scale_percent": abs(float(np.median(known)) / 2 - 1) * 100 if known else 100.0,
    }


def photo_of(room: EmptyRoom, name: str) -> Photo:
    """Return the photo of a room, kept as `name` where a folder for that is named."""
    folder = os.environ.get("EMPTY_ROOMS")
    kept = Path(folder) / f"{name}.jpg" if folder else None
    if kept is None or not kept.exists():
        photo = photograph(room)
        if kept is None:
            return photo
        kept.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(kept), cv2.cvtColor(photo, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 93])
    return np.asarray(cv2.imread(str(kept), cv2.IMREAD_COLOR_RGB), np.uint8)


def _spread(values: list[float], bar: float) -> dict[str, float]:
    return {
        "median": round(float(np.median(values)), 2),
        "p90": round(float(np.percentile(values, 90)), 2),
        "worst": round(float(np.max(values)), 2),
        "share_within_bar": round(float(np.mean(np.asarray(values) <= bar)), 3),
    }


def _by_trait(outcomes: list[Outcome]) -> dict[str, dict[str, float]]:
    groups: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        for name, value in outcome.room.traits.items():
            groups.setdefault(f"{name}: {value}", []).append(outcome)
    return {
        name: {"rooms": len(group)} | {error: _median(group, error) for error in BARS} for name, group in groups.items()
    }


def _by_confidence(outcomes: list[Outcome]) -> dict[str, dict[str, float]]:
    parts = {"below 0.3": (0, 0.3), "0.3 to 0.6": (0.3, 0.6), "from 0.6": (0.6, 1.1)}
    found = {name: [o for o in outcomes if low <= o.confidence < high] for name, (low, high) in parts.items()}
    return {
        name: {
            "rooms": len(group),
            "frame_right": round(float(np.mean([_is_right(outcome) for outcome in group])), 3),
        }
        for name, group in found.items()
        if group
    }


def _is_right(outcome: Outcome) -> bool:
    """Furniture would look right: horizon within 2 %, yaw within 4 degrees."""
    return outcome.errors["horizon_percent"] < 2 and outcome.errors["yaw_degrees"] < 4


def _median(outcomes: list[Outcome], error: str) -> float:
    return round(float(np.median([outcome.errors[error] for outcome in outcomes])), 2)


def _described(outcome: Outcome) -> dict[str, Any]:
    errors = {name: round(error, 2) for name, error in outcome.errors.items()}
    traits = {name: str(value) for name, value in outcome.room.traits.items()}
    return {"room": outcome.room.number, "missed": outcome.missed, **errors, **traits} | {
        "confidence": round(outcome.confidence, 2),
        "camera_height_m": round(outcome.room.camera.position[1], 2),
    }
