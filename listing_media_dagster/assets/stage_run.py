"""One stage working on one listing: what it can reuse, what it makes anew, how far it is.

Every asset goes through here, so that reuse by fingerprint, progress, timing and the manifest mean the same everywhere.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

import cv2
import dagster as dg
import numpy as np
from numpy.typing import NDArray

from listing_media_dagster.listing import Photo, PhotoSet, StoredImage, StoredObject, fingerprint
from listing_media_dagster.photo.encode import encode_jpeg, resize_to_long_edge
from listing_media_dagster.photo.stored import decode_stored
from listing_media_dagster.settings import settings
from listing_media_dagster.store.media_store import MediaStore, StoreError
from listing_media_dagster.store.photo_sets import MediaStoreResource, folder

THUMBNAIL_PX = 400

Item = TypeVar("Item")
Result = TypeVar("Result")

progress_log = logging.getLogger("listing_media_dagster.progress")


@dataclass
class StageRun:
    """A stage of one listing in progress. `code_version` is part of every fingerprint.

    A stage that `keeps_each` records every photo as it is finished: a run that ends early loses none of them. It is
    for work that takes longer than a record does.
    """

    listing_id: str
    asset: str
    code_version: str
    media: MediaStore
    run_id: str
    previous: PhotoSet | None
    keeps_each: bool = False
    computed: int = 0
    reused: int = 0
    messages: list[str] = field(default_factory=list)
    _began: float = field(default_factory=time.monotonic)

    @classmethod
    def begin(
        cls, context: dg.AssetExecutionContext, media: MediaStoreResource, *, keeps_each: bool = False
    ) -> StageRun:
        asset = context.asset_key.path[-1]
        listing_id = context.partition_key
        return cls(
            listing_id=listing_id,
            asset=asset,
            code_version=context.assets_def.code_versions_by_key[context.asset_key] or "",
            media=media.store(),
            run_id=context.run.run_id,
            previous=media.photo_sets().find(listing_id, asset),
            keeps_each=keeps_each,
        )

    @property
    def previous_photos(self) -> tuple[Photo, ...]:
        return self.previous.photos if self.previous else ()

    def key(self, name: str) -> str:
        """Return the store key of a file of this stage."""
        return f"{folder(self.listing_id, self.asset)}/{name}"

    def fingerprint(self, **what_made_it: Any) -> str:
        return fingerprint(asset=self.asset, code=self.code_version, **what_made_it)

    def reusable(self, photo_id: str, wanted: str) -> Photo | None:
        """Return the photo this stage made before if nothing that made it has changed and the store still has it."""
        photo = self.previous.photo(photo_id) if self.previous else None
        if photo is None or photo.fingerprint != wanted:
            photo = self._recorded(photo_id)
        if photo is None or photo.fingerprint != wanted:
            return None
        return None if self.media.verify([photo.image, *photo.attachments.values()]) else photo

    def _recorded(self, photo_id: str) -> Photo | None:
        """Return the photo that a run finished before it ended early."""
        key = self._record_key(photo_id)
        if not self.keeps_each or not self.media.exists(key):
            return None
        return Photo.model_validate_json(self.media.read(key))

    def _record_key(self, photo_id: str) -> str:
        return self.key(f"{photo_id}/photo.json")

    def each_photo(
        self,
        wanted: Mapping[str, str],
        make: Callable[[str], Photo],
        *,
        workers: int | None = None,
    ) -> dict[str, Photo]:
        """Return a photo for every id in `wanted` (id -> fingerprint): the one made before, or else `make(id)`."""
        done = self.reuse(wanted)
        missing = [photo_id for photo_id in wanted if photo_id not in done]
        for photo_id, photo in in_parallel(
            missing, lambda photo_id: self.keep(make(photo_id), wanted), workers=workers
        ):
            done[photo_id] = photo
            self.tell_made(photo_id, len(wanted))
        return {photo_id: done[photo_id] for photo_id in wanted}

    def reuse(self, wanted: Mapping[str, str]) -> dict[str, Photo]:
        """Return the photos of `wanted` (id -> fingerprint) that were made before."""
        looked_for = in_parallel(list(wanted), lambda photo_id: self.reusable(photo_id, wanted[photo_id]))
        done = {photo_id: photo for photo_id, photo in looked_for if photo}
        self.reused += len(done)
        self.progress(len(done), len(wanted), "reused" if done else "")
        return done

    def keep(self, photo: Photo, wanted: Mapping[str, str]) -> Photo:
        """Return a photo just made with its fingerprint, recorded so that an early end of the run doesn't lose it."""
        photo = photo.model_copy(update={"fingerprint": wanted[photo.photo_id]})
        if self.keeps_each:
            self.media.write(self._record_key(photo.photo_id), photo.model_dump_json().encode())
        return photo

    def tell_made(self, photo_id: str, total: int) -> None:
        """Count a photo as made and show how far the stage is."""
        self.computed += 1
        self.progress(self.reused + self.computed, total, photo_id)

    def progress(self, done: int, total: int, what: str = "") -> None:
        progress_log.info(
            "%s %s: %d of %d %s", self.listing_id, self.asset, done, total, what,
            extra={"listing_id": self.listing_id, "asset": self.asset, "done": done, "total": total, "what": what},
        )  # fmt: skip

    def tell_step(self, what: str) -> None:
        """Tell what is being done within work that takes long."""
        progress_log.info(
            "%s %s: %s", self.listing_id, self.asset, what, extra={"step_of": self.asset, "what": what}
        )  # fmt: skip

    def say(self, message: str) -> None:
        """Keep a message for the report and show it in the run's log."""
        self.messages.append(message)
        progress_log.info("%s %s: %s", self.listing_id, self.asset, message, extra={"message_of": self.asset})

    def write_picture(self, photo_id: str, rgb: NDArray[np.uint8], encoded: bytes) -> tuple[StoredImage, StoredObject]:
        """Store a photo's picture (`rgb`, already encoded) and its thumbnail, from which contact sheets are made."""
        height, width = rgb.shape[:2]
        stored = self.media.write(self.key(f"{photo_id}.jpg"), encoded)
        small = encode_jpeg(resize_to_long_edge(rgb, THUMBNAIL_PX), 85, optimise=False)
        thumbnail = self.media.write(self.key(f"thumbnails/{photo_id}.jpg"), small)
        return StoredImage(**stored.model_dump(), width=width, height=height), thumbnail

    def pixels(self, image: StoredImage, *, at_most: int | None = None) -> NDArray[np.uint8]:
        """Return one of the pipeline's own pictures as uint8 (H, W, 3) sRGB after checking its digest.

        `at_most` px on the long edge lets the decoder skip work; the result may be up to twice as large.
        """
        # These are the pipeline's own files, checked against the digest written with them.
        decoded = decode_stored(self.media.read_verified(image), (image.width, image.height), at_most)
        return _picture(image, decoded)

    def attached_pixels(self, attachment: StoredObject) -> NDArray[np.uint8]:
        """Return an attached picture as uint8 (H, W, 3) sRGB after checking its digest."""
        return _picture(attachment, decode_stored(self.media.read_verified(attachment), (1, 1)))

    def finish(self, photo_set: PhotoSet, checks: Iterable[dg.AssetCheckResult] = ()) -> PhotoSet:
        """Return the photo set with how it came to be: seconds, reuse, messages, and the checks' outcome."""
        record = photo_set.stage.model_copy(
            update={
                "seconds": time.monotonic() - self._began,
                "finished_at": datetime.now(UTC),
                "run_id": self.run_id,
                "computed": self.computed,
                "reused": self.reused,
                "messages": tuple(self.messages),
            }
        )
        parameters = {**photo_set.parameters, "checks": [_as_report(check) for check in checks]}
        return photo_set.model_copy(update={"stage": record, "parameters": parameters})


def in_parallel(
    items: Sequence[Item], work: Callable[[Item], Result], *, workers: int | None = None
) -> Iterable[tuple[Item, Result]]:
    """Yield (item, work(item)) as they finish; after the first error no further item is begun."""
    side_by_side = max(1, min(workers or settings().workers, len(items)))
    # Threads within each photo would only fight over the same cores; a photo alone gets them all.
    cv2.setNumThreads(max(1, (os.cpu_count() or 1) // side_by_side))
    with ThreadPoolExecutor(max_workers=side_by_side, thread_name_prefix="photo") as pool:
        running = {pool.submit(work, item): item for item in items}
        try:
            for finished in as_completed(running):
                yield running[finished], finished.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _picture(stored: StoredObject, decoded: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
    if decoded is None:
        raise StoreError(f"{stored.key} is no picture; materialize the asset that made it again")
    return decoded


def _as_report(check: dg.AssetCheckResult) -> dict[str, str]:
    outcome = "passed" if check.passed else ("failed" if check.severity == dg.AssetCheckSeverity.ERROR else "warned")
    return {"check": check.check_name or "", "outcome": outcome, "detail": check.description or ""}
