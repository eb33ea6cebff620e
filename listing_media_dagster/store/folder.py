"""A media store in a local folder: every key is a plain file that people may open, copy and drop.

Plain file calls instead of obstore's `LocalStore`, which fails a whole listing over one file whose name has a tab,
can't read `name#1`, and doesn't sync before it renames, so that a power cut could leave an empty file under a finished
name.
"""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from listing_media_dagster.store.objects import PARTIAL_PREFIX, ListedObject, Names, ObjectMissing, StoreError

CHUNK_BYTES = 4 * 2**20
OPEN_ATTEMPTS = 20


class Folder:
    """Back end of `MediaStore` for a local folder; keys have been checked before they come here."""

    def __init__(self, root: Path) -> None:
        self.root = root.expanduser().absolute()
        self.url = self.root.as_uri()

    def path(self, key: str) -> Path:
        """Return the file of `key`, refusing links that lead out of its top folder.

        `inbox` itself may be a link to another disk (people do that); a link dropped *into* it must not reach other
        files.
        """
        path = self.root / key
        if path.is_symlink() or self._leads_out(key):
            raise StoreError(f"{key} in {self.root} is or lies behind a symbolic link: put the file itself there")
        return path

    def _leads_out(self, key: str) -> bool:
        """Say whether a folder below the top folder of `key` is a link, and the file then lies outside of it."""
        top, *below = PurePosixPath(key).parent.parts or ("",)
        folder = self.root / top
        for name in below:
            folder /= name
            if folder.is_symlink():  # rare: resolving every path would take longer than all else `stat` does
                home, there = (os.path.realpath(self.root / path) for path in (top, key))
                return not there.startswith(home + os.sep)
        return False

    def stat(self, key: str) -> ListedObject | None:
        try:
            status = self.path(key).stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        return _listed(key, status) if _is_file(status) else None

    def chunks(self, key: str, size: int | None = None, start: int = 0) -> Iterator[bytes]:
        try:
            file = self.path(key).open("rb")
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise ObjectMissing(f"{key} isn't in {self.root}") from None
        with file:
            file.seek(start)
            while chunk := file.read(CHUNK_BYTES):
                yield chunk

    def write(self, key: str, chunks: Iterator[bytes], size: int) -> ListedObject:
        return self._put(key, chunks, os.replace)

    def create(self, key: str, data: bytes) -> ListedObject | None:
        """Write `data` unless the key is taken. `os.link` is the file system's own "only if absent"."""
        try:
            return self._put(key, iter((data,)), os.link)
        except FileExistsError:
            return None

    def _put(self, key: str, chunks: Iterator[bytes], publish: Callable[[Path, Path], None]) -> ListedObject:
        target = self.path(key)
        if target.is_dir():
            raise StoreError(f"{key} in {self.root} is a folder: remove or rename it to write that file")
        partial = target.parent / f"{PARTIAL_PREFIX}{secrets.token_hex(8)}"
        try:
            with self._opened(partial) as file:
                for chunk in chunks:
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
            publish(partial, target)
            status = target.stat()
        except FileExistsError:
            raise  # `create` found the key taken
        except OSError as error:
            if error.filename and not Path(error.filename).is_relative_to(self.root):
                raise  # it is the source that can't be read
            raise StoreError(f"can't write {key} in {self.root}: {_remedy(error)}") from None
        finally:
            _forget(partial)
        _sync_folder(target.parent)
        return _listed(key, status)

    @staticmethod
    def _opened(partial: Path) -> BinaryIO:
        """Open a new file, again if another process pruned its empty folder between mkdir and open."""
        for attempt in range(1, OPEN_ATTEMPTS + 1):
            try:
                partial.parent.mkdir(parents=True, exist_ok=True)
                return partial.open("xb")
            except FileNotFoundError:
                if attempt == OPEN_ATTEMPTS:
                    raise
        raise AssertionError("unreachable")

    def copy(self, source: str, target: str) -> None:
        self._put(target, self.chunks(source), os.replace)

    def delete(self, key: str) -> None:
        path = self.path(key)
        path.unlink(missing_ok=True)
        self._prune(path.parent)

    def _prune(self, folder: Path) -> None:
        """Remove folders that have become empty, so that they don't look like listings; the top ones stay."""
        while folder != self.root and folder.parent != self.root:
            try:
                folder.rmdir()
            except OSError:
                return
            folder = folder.parent

    def list(self, prefix: str, start_after: str | None) -> Iterator[ListedObject]:
        found = [listed for listed in self._walk(prefix.rpartition("/")[0]) if listed.key.startswith(prefix)]
        found.sort(key=lambda listed: os.fsencode(listed.key))
        after = os.fsencode(start_after) if start_after is not None else None
        yield from (listed for listed in found if after is None or os.fsencode(listed.key) > after)

    def _walk(self, folder: str) -> Iterator[ListedObject]:
        try:
            entries = list(os.scandir(self.root / folder))
        except (FileNotFoundError, NotADirectoryError):
            if not self.root.parent.exists():
                raise StoreError(f"{self.root} can't be reached: is the disk mounted?") from None
            return
        for entry in entries:
            key = f"{folder}/{entry.name}" if folder else entry.name
            # Files may vanish between the two calls: photographers move them while we look.
            try:
                if entry.is_dir(follow_symlinks=not folder):
                    yield from self._walk(key)
                elif entry.is_file(follow_symlinks=False) and not entry.name.startswith(PARTIAL_PREFIX):
                    yield _listed(key, entry.stat(follow_symlinks=False))
            except FileNotFoundError:
                continue

    def list_folders(self, prefix: str) -> Names:
        folder, _, start = prefix.rpartition("/")
        try:
            entries = list(os.scandir(self.root / folder))
        except (FileNotFoundError, NotADirectoryError):
            return []
        names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=not folder)]
        return sorted(name for name in names if name.startswith(start))


def _remedy(error: OSError) -> str:
    """Say what the operating system said and what a person can do about it."""
    said = error.strerror or str(error) or type(error).__name__
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{said}; free some space, or let LISTING_MEDIA_STORE name a folder on another disk"
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return f"{said}; let this user write there, or let LISTING_MEDIA_STORE name another folder"
    return f"{said}; check that LISTING_MEDIA_STORE names a folder on a disk that is mounted"


def _forget(partial: Path) -> None:
    """Remove an unfinished file; where that isn't possible the error that left it unfinished says more."""
    with suppress(OSError):
        partial.unlink(missing_ok=True)


def _is_file(status: os.stat_result) -> bool:
    return status.st_mode & 0o170000 == 0o100000


def _listed(key: str, status: os.stat_result) -> ListedObject:
    # The inode as well: another file of the same size and time (cp -p, rsync -t) renamed over the old one is a change.
    etag = f"{status.st_ino:x}-{status.st_mtime_ns:x}-{status.st_size:x}"
    return ListedObject(key, status.st_size, etag, datetime.fromtimestamp(status.st_mtime, UTC))


def _sync_folder(folder: Path) -> None:
    """Make a rename survive a power cut. Some network mounts refuse to sync folders; they have their own rules."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    except OSError:
        pass
    finally:
        os.close(descriptor)
