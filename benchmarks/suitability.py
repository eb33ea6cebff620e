"""Whether photos stay accepted or refused when the same view is taken a little differently.

Real photos are measured where they lie beside the checkout; else the sample listing's alone are.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.annotated_rooms import PHOTOS, SAMPLE
from benchmarks.machine import machine
from listing_media_dagster.photo.decode import decode_upright
from listing_media_dagster.staging.suitability import judge_suitability

Photo = NDArray[np.uint8]
LONG_SIDE = 1600
EMPTY_IN_SAMPLE = ("DSC_0412.JPG", "DSC_0421.JPG")
OTHER_IN_SAMPLE = ("01-front.jpg", "03-kitchen.jpg", "bathroom.jpg", "DSC_0430.JPG", "DSC_0431.JPG", "DSC_0432.JPG")


def brighter(rgb: Photo, stops: float) -> Photo:
    """Return the photo exposed by so many stops more, in linear light."""
    light = (rgb / 255.0) ** 2.2 * 2.0**stops
    return np.asarray(255 * np.clip(light, 0, 1) ** (1 / 2.2) + 0.5, np.uint8)


def cropped(rgb: Photo, share: float, toward: float = 0.5) -> Photo:
    """Return a part of the photo `share` as wide and high; `toward` 0 keeps the left upper corner."""
    height, width = (round(side * share) for side in rgb.shape[:2])
    top, left = (round((whole - part) * toward) for whole, part in zip(rgb.shape[:2], (height, width), strict=True))
    return np.ascontiguousarray(rgb[top : top + height, left : left + width])


def rolled(rgb: Photo, degrees: float) -> Photo:
    """Return the photo of a camera turned about its axis, cropped to what it shows."""
    height, width = rgb.shape[:2]
    slope = abs(np.tan(np.radians(degrees)))
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1 + slope * max(width / height, height / width))
    return np.asarray(cv2.warpAffine(rgb, matrix, (width, height), flags=cv2.INTER_AREA), np.uint8)


def recompressed(rgb: Photo, quality: int) -> Photo:
    coded = cv2.imencode(".jpg", rgb, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)


TAKES: dict[str, Callable[[Photo], Photo]] = {
    "as taken": lambda rgb: rgb,
    "mirrored": lambda rgb: np.ascontiguousarray(rgb[:, ::-1]),
    "0.7 stops darker": lambda rgb: brighter(rgb, -0.7),
    "0.7 stops brighter": lambda rgb: brighter(rgb, 0.7),
    "80 % crop": lambda rgb: cropped(rgb, 0.8),
    "90 % crop, right lower": lambda rgb: cropped(rgb, 0.9, 1.0),
    "3 degrees of roll": lambda rgb: rolled(rgb, 3.0),
    "JPEG of quality 60": lambda rgb: recompressed(rgb, 60),
    "half size": lambda rgb: np.asarray(cv2.resize(rgb, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.uint8),
}


def run() -> dict[str, Any]:
    """Return {ours, peers, ratio, machine}: how many of the empty and the other photos are accepted in each take."""
    cv2.setNumThreads(1)
    empty, other = _photos()
    photos = [(path, True) for path in empty] + [(path, False) for path in other]
    accepted: dict[str, dict[str, int]] = {take: {"empty": 0, "other": 0} for take in TAKES}
    flipped = []
    for path, is_empty in photos:
        rgb = decode_upright(path).rgb
        scale = min(1.0, LONG_SIDE / max(rgb.shape[:2]))
        rgb = np.asarray(cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
        for take, retake in TAKES.items():
            taken = judge_suitability(retake(rgb)).refusal is None
            accepted[take]["empty" if is_empty else "other"] += taken
            if taken != is_empty:
                flipped.append(f"{path.name}, {take}")
    return {
        "ours": {"empty": len(empty), "other": len(other), "accepted": accepted, "wrong": flipped},
        "peers": {},
        "ratio": {},
        "machine": machine(),
    }


def _photos() -> tuple[list[Path], list[Path]]:
    """Return the photos of empty rooms, and of furnished and cluttered rooms, kitchens, bathrooms and fronts."""
    empty, other = ([SAMPLE / name for name in names] for names in (EMPTY_IN_SAMPLE, OTHER_IN_SAMPLE))
    if PHOTOS.is_dir():
        empty += sorted((PHOTOS / "empty_rooms").iterdir())
        other += sorted([*(PHOTOS / "cluttered").iterdir(), *(PHOTOS / "listings").glob("house-*/*.jpg")])
    return empty, other
