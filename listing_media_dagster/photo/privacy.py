"""Faces (and plates, where someone brings a detector) made unrecognisable for good before anyone sees a photo."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from listing_media_dagster.listing import Operation, OperationName

VERSION = "1"
FACE_WEIGHTS = Path(__file__).parent / "weights" / "face_detection_yunet_2023mar.onnx"
FACE_WEIGHTS_SHA256 = "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"
SEARCH_SIDES = (2400, 640)
"""Long sides at which faces are searched: YuNet sees faces of about 10 to 300 px, so two sizes cover all of them."""
CANDIDATE_SCORE = 0.4
CONFIRMED_SCORE = 0.8
CONFIRM_FACE_PX = 96
MIN_FACE_PX = 16
"""Smaller than this nobody can be recognised, and patterns start to look like faces."""
BLOCKS_ACROSS = 6
"""A face keeps this many samples across: too few for anyone, or any program, to tell whose it was."""

Image = NDArray[np.uint8]


@dataclass(frozen=True)
class PrivateRegion:
    """A box (x, y, width, height) in px of the picture it was found in; kind: 'face' or 'plate'; score 0..1."""

    kind: str
    box: tuple[int, int, int, int]
    score: float


class RegionDetector(Protocol):
    """Finds private regions in rgb uint8 (H, W, 3) sRGB. Implementations may be called from several threads."""

    weights_sha256: str

    def find(self, rgb: Image) -> list[PrivateRegion]: ...


@dataclass(frozen=True)
class PrivacyDetectors:
    """What can be found here; `missing` names the kinds nothing is there for, so that the caller can warn."""

    faces: RegionDetector | None = None
    plates: RegionDetector | None = None

    @property
    def missing(self) -> tuple[str, ...]:
        return tuple(kind for kind in ("faces", "plates") if getattr(self, kind) is None)


@dataclass(frozen=True)
class PrivacyResult:
    """rgb: uint8 (H, W, 3) sRGB, the input itself if nothing was found."""

    rgb: Image
    operations: tuple[Operation, ...]
    regions: tuple[PrivateRegion, ...]


class YuNetFaces:
    """OpenCV zoo's YuNet (Wu et al. 2023) at two sizes; what it suspects is looked at again, enlarged."""

    def __init__(self, weights: bytes) -> None:
        self.weights_sha256 = hashlib.sha256(weights).hexdigest()
        self._turn = threading.Lock()  # the network keeps state between setInputSize and detect
        level = cv2.utils.logging.getLogLevel()
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)  # it warns about a target nobody asked for
        try:
            self._network = cv2.FaceDetectorYN.create(
                "onnx", np.frombuffer(weights, np.uint8), np.zeros(0, np.uint8), (320, 320), CANDIDATE_SCORE, 0.3, 200
            )
        finally:
            cv2.utils.logging.setLogLevel(level)

    def find(self, rgb: Image) -> list[PrivateRegion]:
        """Return each face once, best first."""
        candidates: list[PrivateRegion] = []
        for side in SEARCH_SIDES:
            candidates += self._search(rgb, min(side / max(rgb.shape[:2]), 2.0))
        large = [face for face in _without_repeats(candidates) if max(face.box[2:]) >= MIN_FACE_PX]
        confirmed = [face for face in (self._look_again(rgb, face) for face in large) if face is not None]
        return _without_repeats(confirmed)

    def _search(self, rgb: Image, scale: float) -> list[PrivateRegion]:
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        size = (max(32, round(rgb.shape[1] * scale)), max(32, round(rgb.shape[0] * scale)))
        resized = cv2.cvtColor(cv2.resize(rgb, size, interpolation=how), cv2.COLOR_RGB2BGR)
        with self._turn:
            self._network.setInputSize(size)
            _, rows = self._network.detect(resized)
        if rows is None:
            return []
        across, down = rgb.shape[1] / size[0], rgb.shape[0] / size[1]
        return [
            PrivateRegion(
                "face", (round(x * across), round(y * down), round(w * across), round(h * down)), float(score)
            )
            for x, y, w, h, score in np.asarray(rows, np.float64)[:, [0, 1, 2, 3, 14]]
        ]

    def _look_again(self, rgb: Image, face: PrivateRegion) -> PrivateRegion | None:
        """The face as seen in a close-up of a fixed size, or None: patterns that are no face rarely pass twice."""
        x, y, w, h = face.box
        margin = round(1.0 * max(w, h))
        left, top = max(0, x - margin), max(0, y - margin)
        close = rgb[top : y + h + margin, left : x + w + margin]
        if min(close.shape[:2]) < 8:
            return None
        seen = self._search(np.ascontiguousarray(close), CONFIRM_FACE_PX / max(w, h, 1))
        here = PrivateRegion("face", (x - left, y - top, w, h), face.score)
        again = [other for other in seen if _overlap(other, here) > 0.3 and other.score >= CONFIRMED_SCORE]
        return face if again else None


def load_detectors() -> PrivacyDetectors:
    """The detectors shipped with the package: faces, no plates (no free detector may be passed on).

    Raises ValueError if the weights aren't the ones this code was tested with.
    """
    weights = FACE_WEIGHTS.read_bytes()
    found = hashlib.sha256(weights).hexdigest()
    if found != FACE_WEIGHTS_SHA256:
        raise ValueError(
            f"{FACE_WEIGHTS.name} is damaged: sha256 {found[:12]}… instead of {FACE_WEIGHTS_SHA256[:12]}…; reinstall it"
        )
    return PrivacyDetectors(faces=YuNetFaces(weights))


def blur_private_regions(rgb: Image, detectors: PrivacyDetectors) -> PrivacyResult:
    """Make faces and plates unrecognisable. rgb: uint8 (H, W, 3) sRGB, never written to."""
    result = rgb
    operations: list[Operation] = []
    regions: list[PrivateRegion] = []
    for kind, detector in (("face", detectors.faces), ("plate", detectors.plates)):
        found = detector.find(rgb) if detector is not None else []
        if detector is None or not found:
            continue
        if result is rgb:
            result = rgb.copy()
        changed = tuple(box for region in found if (box := _blur(result, region.box)) is not None)
        regions += found
        scores = [round(region.score, 2) for region in found]
        operations.append(
            Operation(
                name=OperationName.PRIVACY_BLUR,
                parameters={"kind": kind, "count": len(found), "scores": scores},
                version=VERSION,
                weights_sha256=detector.weights_sha256,
                region=changed,
            )
        )
    return PrivacyResult(result, tuple(operations), tuple(regions))


def _blur(rgb: Image, box: tuple[int, int, int, int]) -> tuple[int, int, int, int] | None:
    """Blur an ellipse round `box` in place, its edge softened outwards; return the box of changed pixels."""
    x, y, w, h = box
    centre, half = (x + w / 2, y + h / 2), (0.72 * w, 0.72 * h)  # the ellipse holds the box's corners but for 2 %
    feather = 0.12 * max(w, h)
    left, top = max(0, int(centre[0] - half[0] - feather)), max(0, int(centre[1] - half[1] - feather))
    right, bottom = int(centre[0] + half[0] + feather) + 1, int(centre[1] + half[1] + feather) + 1
    patch = rgb[top:bottom, left:right]
    if patch.size == 0:
        return None
    height, width = patch.shape[:2]
    block = max(w, h) / BLOCKS_ACROSS
    coarse = cv2.resize(
        patch, (max(1, round(width / block)), max(1, round(height / block))), interpolation=cv2.INTER_AREA
    )
    smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    smooth = cv2.GaussianBlur(smooth, (0, 0), max(1.0, 0.35 * block))
    rows, columns = np.mgrid[top : top + height, left : left + width].astype(np.float32)
    away = np.hypot((columns + 0.5 - centre[0]) / half[0], (rows + 0.5 - centre[1]) / half[1]) - 1
    share = np.clip(1 - away * min(half) / max(feather, 1), 0, 1)[..., None]
    patch[:] = np.round(patch * (1 - share) + smooth * share).astype(np.uint8)
    return left, top, width, height


def _overlap(a: PrivateRegion, b: PrivateRegion) -> float:
    """Intersection over union of two boxes, 0..1."""
    ax, ay, aw, ah = a.box
    bx, by, bw, bh = b.box
    wide = min(ax + aw, bx + bw) - max(ax, bx)
    high = min(ay + ah, by + bh) - max(ay, by)
    common = max(0, wide) * max(0, high)
    return common / max(1, aw * ah + bw * bh - common)


def _without_repeats(regions: Sequence[PrivateRegion]) -> list[PrivateRegion]:
    kept: list[PrivateRegion] = []
    for region in sorted(regions, key=lambda region: -region.score):
        if all(_overlap(region, other) < 0.3 for other in kept):
            kept.append(region)
    return kept
