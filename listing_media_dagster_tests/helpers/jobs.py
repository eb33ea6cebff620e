"""Small real model jobs: drawn rooms to be enhanced by the embedded back end, a few milliseconds each, no weights."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from listing_media_dagster.gpu.job import Item, JobFolder, ModelJob, Needs, WorkKind, job_file
from listing_media_dagster.gpu.work.enhance import PICTURE
from listing_media_dagster.photo.encode import encode_jpeg


def write_enhance_job(
    path: Path,
    items: int = 3,
    *,
    job_id: str = "small-job",
    size: tuple[int, int] = (320, 213),
    needs: Needs | None = None,
    spoilt: int | None = None,
    first_room: int = 0,
) -> JobFolder:
    """Write a job of `items` drawn rooms called room-0, room-1 … to the new folder `path`.

    The picture of item number `spoilt` is no picture: that item fails. Jobs with other rooms begin at `first_room`.
    """
    files: dict[str, bytes] = {}
    wanted = []
    for number in range(items):
        name = f"inputs/room-{number}.jpg"
        drawn = encode_jpeg(_draw_room(first_room + number, size), 90, optimise=False)
        files[name] = b"no picture" if number == spoilt else drawn
        wanted.append(Item(id=f"room-{number}", inputs={PICTURE: job_file(name, files[name])}))
    job = ModelJob(id=job_id, kind=WorkKind.ENHANCE, items=tuple(wanted), needs=needs or Needs(gpu="optional"))
    return JobFolder.create(path, job, files)


def _draw_room(seed: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    dice = np.random.default_rng(seed)
    width, height = size
    room = np.full((height, width, 3), dice.integers(160, 220), np.uint8)
    cv2.rectangle(room, (0, height * 2 // 3), (width, height), [int(c) for c in dice.integers(90, 150, 3)], -1)
    cv2.rectangle(room, (width // 3, height // 6), (width // 2, height // 2), (235, 240, 245), -1)
    return np.clip(room + dice.normal(0, 2.5, room.shape), 0, 255).astype(np.uint8)
