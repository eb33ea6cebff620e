"""Where jobs lie while they are worked on: found again by an attempt that comes later, held by one at a time."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from listing_media_dagster.gpu.file_lock import lock_if_free
from listing_media_dagster.gpu.job import BadJob, JobFolder, ModelJob
from listing_media_dagster.gpu.routes.route import JobCancelled
from listing_media_dagster.gpu.transport import RETURNED_PREFIX

_FORGOTTEN_AFTER_SECONDS = 7 * 24 * 3600
_SECONDS_BETWEEN_TRIES = 0.5


@dataclass(frozen=True)
class JobFolders:
    root: Path

    @contextmanager
    def opened(
        self, job: ModelJob, files: Mapping[str, bytes], is_cancelled: Callable[[], bool] = lambda: False
    ) -> Iterator[JobFolder]:
        """Give the job's folder, with what an earlier attempt finished, or a new one.

        It stays if the block fails, so that the next attempt goes on with it, and is removed otherwise. Whoever comes
        while another process has it waits, or raises `JobCancelled`.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        self._forget_old_ones()
        with _held(self.root / f"{job.id}.lock", is_cancelled):
            folder = self._found(job) or self._new(job, files)
            yield folder
            shutil.rmtree(folder.path, ignore_errors=True)

    def _found(self, job: ModelJob) -> JobFolder | None:
        folder = JobFolder(self.root / job.id)
        try:
            same = folder.job == job
        except BadJob:
            return None
        return folder if same and all(folder.holds(file) for file in job.all_inputs()) else None

    def _new(self, job: ModelJob, files: Mapping[str, bytes]) -> JobFolder:
        shutil.rmtree(self.root / job.id, ignore_errors=True)
        return JobFolder.create(self.root / job.id, job, files)

    def _forget_old_ones(self) -> None:
        """Remove what nobody has come back for, and nobody holds; what else lies in the folder is others' affair."""
        oldest = time.time() - _FORGOTTEN_AFTER_SECONDS
        for path in [*self.root.glob("*.lock"), *self.root.glob(f"{RETURNED_PREFIX}*")]:
            try:
                if path.stat().st_mtime >= oldest:
                    continue
                if path.is_dir():
                    shutil.rmtree(path)
                    continue
                with path.open("a") as lock:
                    if lock_if_free(lock.fileno()):
                        shutil.rmtree(path.with_suffix(""), ignore_errors=True)
                        path.unlink()
            except OSError:
                continue  # another process forgets it, too


@contextmanager
def _held(path: Path, is_cancelled: Callable[[], bool]) -> Iterator[None]:
    """Hold the lock `path`, once nobody else does; raises `JobCancelled` if that is no longer wanted."""
    while True:
        with path.open("w") as lock:
            if lock_if_free(lock.fileno()) and _is_at(path, lock.fileno()):
                yield
                return
        if is_cancelled():
            raise JobCancelled
        time.sleep(_SECONDS_BETWEEN_TRIES)


def _is_at(path: Path, file: int) -> bool:
    """Tell whether `file` still lies at `path`: one that was forgotten since it was opened locks nobody out."""
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False
