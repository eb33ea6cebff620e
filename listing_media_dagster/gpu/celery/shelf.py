"""A job's folder in the media store, file by file: what a worker finishes lies there as soon as it is finished.

So a worker on another machine goes on where one died, and no picture goes through Redis. The folder's name holds the
digest of job.json, and that the digests of all inputs: whoever fetches a job knows that it is the one that was put up.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from listing_media_dagster.gpu.job import BadJob, ItemResult, JobFolder, JobResult
from listing_media_dagster.store.media_store import MediaStore
from listing_media_dagster.store.objects import ObjectMissing

_ENDS = ("result.json", "manifest.json")


def job_digest(folder: JobFolder) -> str:
    return hashlib.sha256((folder.path / "job.json").read_bytes()).hexdigest()


@dataclass(frozen=True)
class Shelf:
    """Where one job lies in the store. Raises `StoreError` where the store can't be reached."""

    media: MediaStore
    name: str

    def put_up(self, folder: JobFolder, stop_if_cancelled: Callable[[], None] = lambda: None) -> None:
        """Copy a job to the store, and the items that are done; job.json comes last. What is there isn't sent again."""
        for file in folder.job.all_inputs():
            stop_if_cancelled()
            there = self.media.stat(self._key(file.path))
            if there is None or there.size != file.size:
                self.media.write(self._key(file.path), folder.read(file))
        for item_id in folder.done():
            self.put_item(folder, item_id)
        self._put(folder, "job.json")

    def fetch(self, into: Path, sha256: str) -> JobFolder:
        """Copy what isn't here of a job and its finished items from the store. Raises `BadJob` if it is another."""
        folder = JobFolder(into)
        data = self._read("job.json")
        if hashlib.sha256(data).hexdigest() != sha256:
            raise BadJob(f"{self._key('job.json')} isn't the job that was put up")
        folder.write("job.json", data)
        job = folder.job
        for file in job.all_inputs():
            if not folder.holds(file):
                folder.write(file.path, self._read(file.path))
                folder.read(file)
        here = folder.done()
        for item in job.items:
            if item.id not in here:
                self.fetch_item(folder, item.id)
        return folder

    def put_item(self, folder: JobFolder, item_id: str) -> None:
        """Copy what an item gave to the store; item.json, which makes it done, comes last."""
        path = f"outputs/{item_id}/item.json"
        result = folder.result_of(item_id)
        if result is None or self._has(path, (folder.path / path).read_bytes()):
            return
        for file in result.outputs.values():
            self.media.write(self._key(file.path), folder.read(file))
        self._put(folder, path)

    def fetch_item(self, folder: JobFolder, item_id: str) -> bool:
        """Copy what an item gave from the store; False if it isn't there, or not as its result says."""
        path = f"outputs/{item_id}/item.json"
        try:
            data = self._read(path)
            result = ItemResult.model_validate_json(data)
            for file in result.outputs.values():
                if not file.path.startswith(f"outputs/{item_id}/"):
                    return False
                folder.write(file.path, self._read(file.path))
                folder.read(file)
        except (ObjectMissing, ValidationError, BadJob):
            return False
        folder.write(path, data)
        return True

    def put_result(self, folder: JobFolder) -> None:
        """Copy what ends a job to the store: result.json, then manifest.json. Items are there already."""
        for name in _ENDS:
            self._put(folder, name)

    def fetch_result(self, folder: JobFolder, stop_if_cancelled: Callable[[], None] = lambda: None) -> JobResult:
        """Copy a finished job from the store, and return its result once every digest agrees. Raises `BadJob`."""
        try:
            ends = {name: self._read(name) for name in _ENDS}
        except ObjectMissing as missing:
            raise BadJob(str(missing)) from missing
        for item in folder.job.items:
            stop_if_cancelled()
            if folder.done_item(item.id) is None:
                self.fetch_item(folder, item.id)
        for name, data in ends.items():
            folder.write(name, data)
        return folder.result()

    def clear(self) -> None:
        for listed in list(self.media.list(f"{self._key('')}")):
            self.media.delete(listed.key)

    def _has(self, path: str, data: bytes) -> bool:
        try:
            return self._read(path) == data
        except ObjectMissing:
            return False

    def _put(self, folder: JobFolder, path: str) -> None:
        self.media.write(self._key(path), folder.path / path)

    def _read(self, path: str) -> bytes:
        return self.media.read(self._key(path))

    def _key(self, path: str) -> str:
        return f"jobs/{self.name}/{path}"
