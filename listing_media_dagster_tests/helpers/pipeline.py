"""The pipeline's assets, run in this process on an ephemeral instance and a store of the test's own."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import dagster as dg
import numpy as np
from numpy.typing import NDArray

from listing_media_dagster.assets.clip_scores import clip_scores
from listing_media_dagster.assets.enhanced_photos import enhanced_photos
from listing_media_dagster.assets.listing_package import listing_package
from listing_media_dagster.assets.preprocessed_photos import preprocessed_photos
from listing_media_dagster.assets.raw_photos import raw_photos
from listing_media_dagster.assets.stage_run import StageRun
from listing_media_dagster.assets.staged_photos import staged_photos
from listing_media_dagster.assets.tour_video import tour_video
from listing_media_dagster.gpu.model_router import ModelRouter
from listing_media_dagster.listing import Listing, Photo, PhotoSet, Room, RoomType, SourceFile, photo_id_for
from listing_media_dagster.partitions import listings
from listing_media_dagster.photo.encode import encode_jpeg
from listing_media_dagster.store.media_store import MediaStore
from listing_media_dagster.store.photo_sets import MediaStoreResource, PhotoSetIOManager

CHAIN = [
    raw_photos,
    preprocessed_photos,
    enhanced_photos,
    staged_photos,
    clip_scores,
    tour_video,
    listing_package,
]
LISTING = "house-1"


@dataclass
class Pipeline:
    """One listing's pipeline over `store_url`; `run` materializes the named stages."""

    store_url: str
    listing_id: str = LISTING

    @property
    def resource(self) -> MediaStoreResource:
        return MediaStoreResource(url=self.store_url)

    @property
    def store(self) -> MediaStore:
        return self.resource.store()

    def run(
        self,
        *stages: str,
        source: Path | None = None,
        config: Mapping[str, Mapping[str, Any]] | None = None,
        instance: dg.DagsterInstance | None = None,
    ) -> dg.ExecuteInProcessResult:
        chosen = [asset for asset in CHAIN if not stages or asset.key.path[-1] in stages]
        operations = {name: {"config": dict(values)} for name, values in (config or {}).items()}
        if source is not None:
            operations["raw_photos"] = {"config": {"source": str(source)}}
        instance = instance or dg.DagsterInstance.ephemeral()
        instance.add_dynamic_partitions(str(listings.name), [self.listing_id])
        return dg.materialize(
            [*chosen, *(asset.to_source_assets()[0] for asset in CHAIN if asset not in chosen)],
            selection=[asset.key for asset in chosen],
            partition_key=self.listing_id,
            instance=instance,
            resources={
                "media": self.resource,
                "photo_sets": PhotoSetIOManager(media=self.resource),
                "router": ModelRouter(),
            },
            run_config={"ops": operations, "loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            raise_on_error=False,
        )

    def photo_set(self, asset: str) -> PhotoSet:
        return self.resource.photo_sets().load(self.listing_id, asset)

    def report(self) -> dict[str, Any]:
        report: dict[str, Any] = json.loads(self.store.read(f"listings/{self.listing_id}/report.json"))
        return report


def save_stage(pipeline: Pipeline, asset: str, pictures: Mapping[str, NDArray[np.uint8]], **listing: Any) -> None:
    """Save what `asset` would have made of `pictures` (uint8 (H, W, 3) sRGB, by file name), without running anything.

    A picture's room is told by its file name; `listing` says what listing.yaml would.
    """
    stage = StageRun(pipeline.listing_id, asset, "1", pipeline.store, "run", None)
    photos = []
    for name, rgb in pictures.items():
        photo_id = photo_id_for(name, hashlib.sha256(rgb.tobytes()).hexdigest())
        encoded = encode_jpeg(rgb, 95)
        image, thumbnail = stage.write_picture(photo_id, rgb, encoded)
        source = SourceFile(name=name, key=image.key, sha256=image.sha256)
        room = Room(type=RoomType(name.rsplit(".", 1)[0].replace("-", "_")), confidence=1.0, decided_by="file name")
        photos.append(
            Photo(photo_id=photo_id, sources=(source,), image=image, room=room, attachments={"thumbnail": thumbnail})
        )
    about = Listing.model_validate({"id": pipeline.listing_id, **listing})
    pipeline.resource.photo_sets().save(PhotoSet(listing=about, asset=asset, photos=tuple(photos)))


def failure_of(result: dg.ExecuteInProcessResult) -> str:
    """Return what the failed step told a person."""
    (event,) = [event for event in result.all_events if event.is_step_failure]
    failure = event.step_failure_data
    if failure.user_failure_data and failure.user_failure_data.description:
        return str(failure.user_failure_data.description)
    return str(failure.error_display_string)


def draw_room(seed: int, size: tuple[int, int] = (600, 400)) -> NDArray[np.uint8]:
    """Return a drawn room, uint8 (H, W, 3) sRGB: walls, floor, window, and a few things of its own colours."""
    dice = np.random.default_rng(seed)
    width, height = size
    room = np.full((height, width, 3), dice.integers(170, 215), np.uint8)
    cv2.rectangle(room, (0, int(height * 0.7)), (width, height), [int(c) for c in dice.integers(90, 150, 3)], -1)
    for _ in range(9):
        x, y = int(dice.integers(0, width - 60)), int(dice.integers(height // 4, height - 50))
        w, h = (int(side) for side in dice.integers(20, 120, 2))
        cv2.rectangle(room, (x, y), (x + w, y + h), [int(c) for c in dice.integers(20, 235, 3)], -1)
    cv2.rectangle(room, (width // 3, height // 6), (width // 2, height // 2), (235, 240, 245), -1)
    grain = dice.normal(0, 2.5, room.shape)
    return np.clip(room + grain, 0, 255).astype(np.uint8)


def write_rooms(folder: Path, names: Sequence[str], size: tuple[int, int] = (600, 400)) -> Path:
    """Write a different drawn room for each name."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        seed = sum(ord(letter) * place for place, letter in enumerate(name, start=1))
        cv2.imwrite(str(folder / name), cv2.cvtColor(draw_room(seed, size), cv2.COLOR_RGB2BGR))
    return folder
