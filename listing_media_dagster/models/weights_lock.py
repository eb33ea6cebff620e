"""`models.lock`: what was pulled first, and the check that every later load finds exactly that.

    MODELS_DIR/models.lock                           revision, files, digests and sizes of each model's parts
    MODELS_DIR/<owner>--<name>/<revision, 12>/…      the files, as in the repository; models share them
    MODELS_DIR/.verified.json                        which files were hashed, and their times then

A file is hashed when it is first met and whenever its size or a time of it has changed; `thorough` hashes it anyway.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from listing_media_dagster.models.entry import CatalogueEntry, FileDigest, FilePattern, Part, Repository, Revision
from listing_media_dagster.models.first_fault import first_fault
from listing_media_dagster.models.weights_folder import BadWeights, digests_of, write_whole

LOCK_NAME = "models.lock"
VERIFIED_NAME = ".verified.json"


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class LockedPart(_Record):
    """What was pulled of one repository, at which full commit."""

    repo: Repository
    revision: Revision
    files: dict[FilePattern, FileDigest] = Field(min_length=1)

    def root(self, models_dir: Path) -> Path:
        return models_dir / repository_folder(self.repo, self.revision)


class LockedModel(_Record):
    """What was pulled first, and what every later load must find."""

    parts: dict[str, LockedPart]
    pulled_at: datetime


class ModelsLock(_Record):
    models: dict[str, LockedModel] = Field(default_factory=dict)

    def revision_of(self, repo: str) -> str | None:
        """Return the commit at which any model's part of `repo` was pulled: models that share one share its files."""
        for locked in self.models.values():
            for part in locked.parts.values():
                if part.repo == repo:
                    return part.revision
        return None

    def files_of(self, repo: str, revision: str) -> dict[str, FileDigest]:
        """Return every file that was ever pulled of `repo` at `revision`."""
        return {
            name: file
            for locked in self.models.values()
            for part in locked.parts.values()
            if (part.repo, part.revision) == (repo, revision)
            for name, file in part.files.items()
        }


def repository_folder(repo: str, revision: str) -> str:
    return f"{repo.replace('/', '--')}/{revision[:12]}"


def read_lock(models_dir: Path) -> ModelsLock:
    """Return `models.lock` of `models_dir` (empty if there is none); raises `BadWeights` if it can't be read."""
    path = models_dir / LOCK_NAME
    try:
        return ModelsLock.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return ModelsLock()
    except (OSError, ValidationError) as error:
        fault = first_fault(error) if isinstance(error, ValidationError) else error.strerror
        raise BadWeights(
            f"{path} can't be read ({fault}): restore it, or remove it and pull the models again"
        ) from error


def write_lock(models_dir: Path, lock: ModelsLock) -> None:
    """Replace `models.lock` in one step."""
    write_whole(models_dir / LOCK_NAME, lock.model_dump_json(indent=2) + "\n")


@contextmanager
def changing(models_dir: Path) -> Iterator[None]:
    """Let one process at a time add models to `models_dir`, which has to be there; others wait."""
    import filelock

    with filelock.FileLock(models_dir / ".pull.lock"):
        yield


def locked_part(entry: CatalogueEntry, part: Part, lock: ModelsLock) -> LockedPart | None:
    """Return what was pulled for `part`, or None if nothing was, or it isn't what the catalogue now asks for."""
    locked = lock.models.get(entry.id)
    found = locked.parts.get(part.role) if locked else None
    if found is None or found.repo != part.repo or part.revision not in (None, found.revision):
        return None
    return found


def verify(models_dir: Path, locked: LockedPart, pull_command: str, *, thorough: bool = False) -> Path:
    """Return the folder of a pulled part after checking its files against the lock.

    Raises `BadWeights` naming the file that is gone or differs.
    """
    root = locked.root(models_dir)
    stamps = _read_stamps(models_dir)
    unknown = []
    for name, expected in locked.files.items():
        path = root / name
        if not path.is_file():
            raise BadWeights(f"{path} is gone: `{pull_command}` fetches it again")
        if path.stat().st_size != expected.size:
            raise BadWeights(_another_file(path, pull_command))
        if thorough or stamps.get(_key(models_dir, path)) != [*_stamp(path), expected.sha256]:
            unknown.append(name)
    found = digests_of(root, unknown, anew=thorough)
    for name, file in found.items():
        if file != locked.files[name]:
            raise BadWeights(_another_file(root / name, pull_command))
    if found:
        fresh = {_key(models_dir, root / name): [*_stamp(root / name), file.sha256] for name, file in found.items()}
        _write_stamps(models_dir, {**_read_stamps(models_dir), **fresh})
    return root


def _another_file(path: Path, pull_command: str) -> str:
    return f"{path} isn't the file that was pulled: `{pull_command}` fetches it again"


def _key(models_dir: Path, path: Path) -> str:
    return path.relative_to(models_dir).as_posix()


def _stamp(path: Path) -> list[int]:
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]


def _read_stamps(models_dir: Path) -> dict[str, list[object]]:
    try:
        stamps = json.loads((models_dir / VERIFIED_NAME).read_bytes())
    except (OSError, ValueError):
        return {}
    return stamps if isinstance(stamps, dict) else {}


def _write_stamps(models_dir: Path, stamps: Mapping[str, list[object]]) -> None:
    """Keep the stamps; where they can't be kept (weights on a read-only disk), the next process hashes again."""
    with suppress(OSError):
        write_whole(models_dir / VERIFIED_NAME, json.dumps(stamps, indent=1))
