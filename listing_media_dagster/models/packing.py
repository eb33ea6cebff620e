"""A bundle of weights for a host without network or for a Kaggle dataset, and its way back.

A bundle is laid out like a folder of pulled models, so that it can also be used where it lies (`models_dir`):

    models.lock                                      of the packed models only: revisions, files, digests
    <owner>--<name>/<revision, 12>/…                 the files
    own/<digest>/…                                   files from folders of one's own, for jobs that carry their digests
    bundle.json                                      which models, and every file's digest; written last
"""

from __future__ import annotations

import errno
import hashlib
import shutil
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from listing_media_dagster.models.entry import CatalogueEntry, FileDigest, FilePattern, ModelId
from listing_media_dagster.models.first_fault import first_fault
from listing_media_dagster.models.pinned import OWN, own_place
from listing_media_dagster.models.weights import check
from listing_media_dagster.models.weights_folder import BadWeights, refuse_custom_code, sha256_of
from listing_media_dagster.models.weights_lock import (
    LOCK_NAME,
    ModelsLock,
    changing,
    read_lock,
    repository_folder,
    write_lock,
)

MANIFEST_NAME = "bundle.json"
_CHUNK = 1 << 22

Report = Callable[[str, int, int], None]
"""Told the file, the bytes done and the bytes in all."""


class BundleManifest(BaseModel):
    """What a bundle holds; every path is relative to it. `own` are those files that the lock has nothing of."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    models: tuple[ModelId, ...] = Field(min_length=1)
    lock: ModelsLock
    own: dict[FilePattern, FileDigest] = Field(default_factory=dict)
    files: dict[FilePattern, FileDigest] = Field(min_length=1)


def pack_models(
    entries: Sequence[CatalogueEntry], models_dir: Path, target: Path, report: Report | None = None
) -> BundleManifest:
    """Write the weights of `entries` to `target`: one zip if it ends in .zip, else a folder.

    Every file is hashed before it is packed. Raises `ModelMissing` or `BadWeights` as `check` does, `FileExistsError`
    if `target` is there, `OSError` if the disk is (or would be) full. What was begun and not finished is removed.
    """
    models_dir = models_dir.expanduser()
    if target.exists():
        raise FileExistsError(errno.EEXIST, f"{target} is there already; name another file or folder", str(target))
    sources = {name: path for entry in entries for name, path in _own_files(entry, models_dir).items()}
    lock = read_lock(models_dir)
    packed = ModelsLock(models={entry.id: lock.models[entry.id] for entry in entries if entry.id in lock.models})
    own = {name: FileDigest(sha256=sha256_of(path), size=path.stat().st_size) for name, path in sources.items()}
    files = {**_files_of(packed), **own}
    manifest = BundleManifest(models=tuple(entry.id for entry in entries), lock=packed, own=own, files=files)
    sources |= {name: models_dir / name for name in files if name not in own}
    target.parent.mkdir(parents=True, exist_ok=True)
    _require_disk(target.parent, manifest)
    begun = target.with_name(f".{target.name}.begun")
    _remove(begun)
    try:
        with _writer(begun, is_zip=target.suffix == ".zip") as write:
            for name, source in _with_progress(manifest, sources, report or (lambda *_: None)):
                write(name, source)
            write(LOCK_NAME, packed.model_dump_json(indent=2).encode())
            write(MANIFEST_NAME, manifest.model_dump_json(indent=2).encode())
        begun.replace(target)
    except BaseException:
        _remove(begun)
        raise
    return manifest


def unpack_models(bundle: Path, models_dir: Path, report: Report | None = None) -> BundleManifest:
    """Put the weights of `bundle` (a zip or a folder) among the pulled ones, every file checked on its way.

    Files outside the manifest are left behind. Raises `BadWeights` if the bundle is no bundle, if a file in it isn't
    what its manifest says, if a configuration asks for code of its own to be run, or if this machine holds another
    commit of a model, or other digests for the same one; nothing is locked then.
    """
    models_dir = models_dir.expanduser()
    models_dir.mkdir(parents=True, exist_ok=True)
    with changing(models_dir), _reader(bundle) as read:
        manifest = _read_manifest(bundle, read)
        lock = read_lock(models_dir)
        _require_no_contradiction(bundle, manifest, lock)
        _require_disk(models_dir, manifest)
        done, total = 0, sum(file.size for file in manifest.files.values())
        for name, expected in manifest.files.items():
            _unpack_file(bundle, read, name, expected, models_dir)
            done += expected.size
            if report:
                report(name, done, total)
        for locked in manifest.lock.models.values():
            for part in locked.parts.values():
                refuse_custom_code(part.root(models_dir), list(part.files))
        refuse_custom_code(models_dir, list(manifest.own))
        write_lock(models_dir, ModelsLock(models={**lock.models, **manifest.lock.models}))
    return manifest


def _own_files(entry: CatalogueEntry, models_dir: Path) -> dict[str, Path]:
    """Check all files of `entry`; return those from folders of one's own by the names they have in a bundle."""
    if all(part.packaged for part in entry.all_parts):
        raise BadWeights(f"{entry.id} comes with this package: there is nothing to be packed")
    own = {part.role for part in entry.all_parts if part.folder is not None}
    parts = [part for part in check(entry, models_dir).parts if part.role in own]
    return {f"{own_place(part.files)}/{name}": part.root / name for part in parts for name in part.files}


def _files_of(lock: ModelsLock) -> dict[str, FileDigest]:
    return {
        f"{repository_folder(part.repo, part.revision)}/{name}": file
        for locked in lock.models.values()
        for part in locked.parts.values()
        for name, file in part.files.items()
    }


def _with_progress(manifest: BundleManifest, sources: Mapping[str, Path], report: Report) -> Iterator[tuple[str, Path]]:
    done, total = 0, sum(file.size for file in manifest.files.values())
    for name, file in manifest.files.items():
        report(name, done, total)
        yield name, sources[name]
        done += file.size
    report("", total, total)


@contextmanager
def _writer(target: Path, *, is_zip: bool) -> Iterator[Callable[[str, Path | bytes], None]]:
    """Give a function that writes a file, or bytes, under a name into a folder, or uncompressed into a zip."""
    if not is_zip:

        def copy(name: str, source: Path | bytes) -> None:
            path = target / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(source, bytes):
                path.write_bytes(source)
            else:
                shutil.copyfile(source, path)

        yield copy
        return
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:

        def add(name: str, source: Path | bytes) -> None:
            if isinstance(source, bytes):
                archive.writestr(name, source)
            else:
                archive.write(source, name)

        yield add


@contextmanager
def _reader(bundle: Path) -> Iterator[Callable[[str], IO[bytes]]]:
    """Give a function that opens a file of `bundle` by its name; `KeyError` or `OSError` if it isn't in it."""
    if bundle.is_dir():
        yield lambda name: (bundle / name).open("rb")
        return
    try:
        archive = zipfile.ZipFile(bundle)
    except (OSError, zipfile.BadZipFile) as broken:
        raise BadWeights(f"{bundle} can't be opened: {broken}") from broken
    with archive:

        def opened(name: str) -> IO[bytes]:
            entry = archive.getinfo(name)
            if stat.S_ISLNK(entry.external_attr >> 16):
                raise KeyError(name)
            return archive.open(entry)

        yield opened


def _read_manifest(bundle: Path, read: Callable[[str], IO[bytes]]) -> BundleManifest:
    try:
        with read(MANIFEST_NAME) as file:
            manifest = BundleManifest.model_validate_json(file.read())
    except (KeyError, OSError) as absent:
        raise BadWeights(f"{bundle} is no bundle of weights: it has no {MANIFEST_NAME}") from absent
    except ValidationError as wrong:
        raise BadWeights(f"{bundle}: {MANIFEST_NAME}: {first_fault(wrong)}") from wrong
    if any("*" in name for name in manifest.files) or manifest.files != {**_files_of(manifest.lock), **manifest.own}:
        raise BadWeights(f"{bundle}: {MANIFEST_NAME} and the lock in it name other files")
    if any(not name.startswith(f"{OWN}/") for name in manifest.own):
        raise BadWeights(f"{bundle}: {MANIFEST_NAME} has files of one's own outside {OWN}/")
    return manifest


def _require_no_contradiction(bundle: Path, manifest: BundleManifest, lock: ModelsLock) -> None:
    for model_id, packed in manifest.lock.models.items():
        for role, part in packed.parts.items():
            held = lock.models[model_id].parts.get(role) if model_id in lock.models else None
            if held and (held.repo, held.revision) != (part.repo, part.revision):
                raise BadWeights(
                    f"{bundle} has {model_id} from commit {part.revision[:12]} of {part.repo}, models.lock here "
                    f"holds it to {held.revision[:12]} of {held.repo}; nothing was taken. If the other one is wanted, "
                    f"remove {model_id} from {LOCK_NAME} first"
                )
    here = _files_of(lock)
    other = [name for name, file in manifest.files.items() if name in here and here[name] != file]
    if other:
        raise BadWeights(
            f"{bundle}: {other[0]} isn't the one that models.lock on this machine holds; nothing was taken"
        )


def _unpack_file(
    bundle: Path, read: Callable[[str], IO[bytes]], name: str, expected: FileDigest, models_dir: Path
) -> None:
    path = models_dir / name
    path.parent.mkdir(parents=True, exist_ok=True)
    begun = path.with_name(f"{path.name}.begun")
    digest, size = hashlib.sha256(), 0
    try:
        with read(name) as source, begun.open("wb") as copy:
            while size <= expected.size and (chunk := source.read(_CHUNK)):
                digest.update(chunk)
                copy.write(chunk)
                size += len(chunk)
        if (digest.hexdigest(), size) != (expected.sha256, expected.size):
            raise BadWeights(f"{bundle}: {name} isn't the file that was packed; pack or copy the bundle again")
        begun.replace(path)
    except (KeyError, FileNotFoundError, zipfile.BadZipFile, zlib.error, RuntimeError, EOFError) as broken:
        raise BadWeights(f"{bundle}: {name} can't be read ({broken}); pack or copy the bundle again") from broken
    finally:
        begun.unlink(missing_ok=True)


def _require_disk(folder: Path, manifest: BundleManifest) -> None:
    needed, free = sum(file.size for file in manifest.files.values()), shutil.disk_usage(folder).free
    if free < needed * 1.02:
        text = f"{folder} has {free / 1e6:.0f} MB free, {needed / 1e6:.0f} MB are needed"
        raise OSError(errno.ENOSPC, text, str(folder))


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
