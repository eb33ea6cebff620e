"""A small synthetic home to film, and a segment store in a folder."""

import hashlib
import shutil
from pathlib import Path

import cv2
import numpy as np

from listing_media_dagster.listing import RoomType
from listing_media_dagster.tour.storyboard import Shot, Titles

SIZE = (320, 180)
TITLES = Titles("12 Elm Street, Springfield", "Just listed", "A. Broker", "555 0100")


def photo(seed: int, width: int = 480, height: int = 320) -> np.ndarray:
    """Return a picture with structure at all scales, its own for each seed: uint8 (height, width, 3)."""
    rng = np.random.default_rng(seed)
    picture = np.zeros((height, width, 3), np.float32)
    for grain in (4, 16, 64):
        noise = rng.integers(0, 256, (height // grain + 2, width // grain + 2, 3)).astype(np.float32)
        picture += cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC) / 3
    return np.clip(picture, 0, 255).astype(np.uint8)


class Home:
    """Photos by id; counts how often each is loaded."""

    def __init__(self, count: int) -> None:
        self.photos = {f"photo-{seed}": photo(seed) for seed in range(count)}
        self.loaded: list[str] = []

    def add(self, photo_id: str, picture: np.ndarray) -> None:
        self.photos[photo_id] = picture

    def load(self, photo_id: str) -> np.ndarray:
        self.loaded.append(photo_id)
        return self.photos[photo_id]

    @property
    def shots(self) -> list[Shot]:
        return [
            Shot(name, hashlib.sha256(rgb.tobytes()).hexdigest(), rgb.shape[1], rgb.shape[0], RoomType.BEDROOM)
            for name, rgb in self.photos.items()
        ]


class SegmentFolder:
    """Keeps segments as files named by fingerprint."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()

    def cached(self, fingerprint: str) -> Path | None:
        path = self.folder / f"{fingerprint}.mp4"
        return path if path.exists() else None

    def keep(self, fingerprint: str, path: Path) -> None:
        shutil.copy(path, self.folder / f"{fingerprint}.mp4")
