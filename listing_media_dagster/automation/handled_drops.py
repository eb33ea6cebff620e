"""Puts drops away once their run has succeeded: out of the inbox into `handled/`, never into nothing.

`handled/<listing_id>/<fingerprint12>.json` is written first and says which files belong to the drop, so that a move
that was interrupted goes on where it stopped and what arrived meanwhile stays in the inbox as a drop of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from listing_media_dagster.automation.inbox import READY_MARKER, Drop, is_left_by_computer
from listing_media_dagster.automation.run_history import ListingRun
from listing_media_dagster.listing import PhotoSet
from listing_media_dagster.listing_yaml import FILE_NAME
from listing_media_dagster.store.media_store import ListedObject, MediaStore, ObjectMissing, StoreError

MOVED_AT_ONCE = 8
DIGITS = 12

Result = TypeVar("Result")


class HandledFile(BaseModel):
    model_config = ConfigDict(frozen=True)

    name: str
    size: int
    etag: str | None
    sha256: str | None = None


class HandledDrop(BaseModel):
    """The record of a drop that a run has taken in."""

    model_config = ConfigDict(frozen=True)

    listing_id: str
    fingerprint: str
    run_id: str
    handled_at: datetime
    files: tuple[HandledFile, ...]

    @property
    def record_key(self) -> str:
        return f"handled/{self.listing_id}/{self.fingerprint[:DIGITS]}.json"

    def split(self, drop: Drop) -> tuple[tuple[ListedObject, ...], tuple[ListedObject, ...]]:
        """Return the drop's objects that belong to this record, and those that came later."""
        known = {(file.name, file.etag, file.size) for file in self.files}
        mine = tuple(o for o in drop.objects if (drop.name(o), o.etag, o.size) in known)
        return mine, tuple(o for o in drop.objects if o not in mine)


def run_that_took(drop: Drop, since: float, runs: Iterable[ListingRun]) -> ListingRun | None:
    """Return the successful run that saw this drop as it is now, or None.

    Either it was requested for exactly this fingerprint, or somebody started it after the drop had come to its present
    state (`since`, POSIX seconds).
    """
    mine = [run for run in runs if run.listing_id == drop.listing_id]
    return next((run for run in mine if run.drop == drop.fingerprint), None) or next(
        (run for run in mine if run.drop is None and run.created >= since), None
    )


def unaccounted(names_to_sha256: dict[str, str], raw_photos: PhotoSet) -> list[str]:
    """Return the names of delivered files whose bytes the listing's raw_photos manifest doesn't mention."""
    kept = {source.sha256 for photo in raw_photos.photos for source in photo.sources}
    kept |= {stored.sha256 for stored in raw_photos.companions.values()}
    kept |= {file.sha256 for file in raw_photos.rejected if file.sha256}
    # A file beyond the count limit is rejected unread: its name is all the manifest has.
    unread = {file.name for file in raw_photos.rejected if file.sha256 is None}
    return [name for name, sha256 in names_to_sha256.items() if sha256 not in kept and name not in unread]


def put_away(
    store: MediaStore, drop: Drop, run: ListingRun, raw_photos: PhotoSet, now: datetime, deadline: float
) -> tuple[bool, str | None]:
    """Move a drop out of the inbox; return (everything is gone, what is wrong).

    Nothing moves unless every photo's bytes are accounted for in the manifest and the kept originals are in the store.
    `deadline` is `time.monotonic()` seconds; what isn't moved by then is moved by `resume`.
    """
    photos = [o for o in drop.content if drop.name(o) != FILE_NAME]
    digests: dict[str, str] = {}
    for listed, sha256 in zip(photos, _in_threads(lambda o: store.sha256(o.key), photos, deadline), strict=False):
        digests[drop.name(listed)] = sha256
    if len(digests) < len(photos):
        return False, None  # out of time; this process remembers the digests it has
    lost = unaccounted(digests, raw_photos)
    if lost:
        return False, f"{drop.prefix} stays: run {run.run_id} didn't take in {', '.join(lost[:5])}"
    missing = [
        photo.image.key for photo in raw_photos.photos if not _lies_there(store, photo.image.key, photo.image.size)
    ]
    if missing:
        return False, f"{drop.prefix} stays: the kept originals {', '.join(missing[:5])} aren't in the store"
    record = HandledDrop(
        listing_id=drop.listing_id,
        fingerprint=drop.fingerprint,
        run_id=run.run_id,
        handled_at=now,
        files=tuple(
            HandledFile(name=drop.name(o), size=o.size, etag=o.etag, sha256=digests.get(drop.name(o)))
            for o in drop.objects
        ),
    )
    store.write(record.record_key, record.model_dump_json(indent=1).encode())
    return _move(store, drop, record, drop.objects, deadline), None


def find_record(store: MediaStore, listing_id: str, fingerprint: str) -> HandledDrop | None:
    try:
        return HandledDrop.model_validate_json(store.read(f"handled/{listing_id}/{fingerprint[:DIGITS]}.json"))
    except (ObjectMissing, ValidationError):
        return None


def resume(store: MediaStore, drop: Drop, record: HandledDrop, deadline: float) -> bool:
    """Go on putting away what `record` says; return whether all of it is gone from the inbox."""
    mine, _ = record.split(drop)
    return _move(store, drop, record, mine, deadline)


def _move(
    store: MediaStore, drop: Drop, record: HandledDrop, objects: tuple[ListedObject, ...], deadline: float
) -> bool:
    target = f"handled/{drop.listing_id}/{record.fingerprint[:DIGITS]}/"

    def move(listed: ListedObject) -> None:
        try:
            store.move(listed.key, target + drop.name(listed), etag=listed.etag)
        except ObjectMissing:
            return  # somebody took it away: also gone from the inbox
        except StoreError:
            after = store.stat(listed.key)
            if after is not None and (after.etag, after.size) == (listed.etag, listed.size):
                raise
            # It was replaced meanwhile: the new file is a new drop.

    # The marker goes last: a photographer who looks in sees an unfinished move as such.
    ordered = sorted(objects, key=lambda o: (drop.name(o) == READY_MARKER, is_left_by_computer(drop.name(o)), o.key))
    return len(_in_threads(move, ordered, deadline)) == len(ordered)


def _lies_there(store: MediaStore, key: str, size: int) -> bool:
    found = store.stat(key)
    return found is not None and found.size == size


def _in_threads(
    work: Callable[[ListedObject], Result], objects: Iterable[ListedObject], deadline: float
) -> list[Result]:
    """Return `work(object)` for the first objects, for as many as are begun before `deadline`."""
    results: list[Result] = []
    wanted = list(objects)
    with ThreadPoolExecutor(MOVED_AT_ONCE, thread_name_prefix="handled-drops") as pool:
        for start in range(0, len(wanted), MOVED_AT_ONCE):
            if time.monotonic() > deadline:
                break
            results += pool.map(work, wanted[start : start + MOVED_AT_ONCE])
    return results
