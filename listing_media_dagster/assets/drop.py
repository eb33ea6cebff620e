"""What lies in front of the pipeline: the files of a drop, wherever they were dropped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

from listing_media_dagster.listing_yaml import FILE_NAME, check_size
from listing_media_dagster.store.media_store import MediaStore

INBOX = "inbox/"
READY_MARKER = "_READY"
# Written by computers rather than people; a Finder window opened on a drop mustn't make it a new one.
LEFT_BY_COMPUTERS = frozenset({"thumbs.db", "desktop.ini", ".ds_store"})


@dataclass(frozen=True)
class DropFile:
    """A file of a drop; `name` is its path relative to the drop, with '/'."""

    name: str
    size: int


class Drop(Protocol):
    """A place with one listing's files."""

    where: str

    def files(self) -> list[DropFile]: ...
    def open_local(self, name: str) -> AbstractContextManager[Path]: ...
    def listing_yaml(self) -> bytes | None: ...


class InboxDrop:
    """`inbox/<listing_id>/` of the media store."""

    def __init__(self, media: MediaStore, listing_id: str) -> None:
        self._media = media
        self._prefix = f"{INBOX}{listing_id}/"
        self.where = self._prefix

    def files(self) -> list[DropFile]:
        names = ((found.key.removeprefix(self._prefix), found.size) for found in self._media.list(self._prefix))
        return [DropFile(name, size) for name, size in names if _is_photo_or_companion(name)]

    def open_local(self, name: str) -> AbstractContextManager[Path]:
        return self._media.open_local(self._prefix + name)

    def listing_yaml(self) -> bytes | None:
        key = self._prefix + FILE_NAME
        found = self._media.stat(key)
        if found is None:
            return None
        check_size(found.size)
        return self._media.read(key)


class FolderDrop:
    """A folder of this machine, read where it is and never written to."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.where = str(root)

    def files(self) -> list[DropFile]:
        return sorted(self._walk(), key=lambda file: file.name)

    def links(self) -> list[str]:
        """Return what is left out for being a link, so that somebody can be told."""
        found = (path.relative_to(self._root).as_posix() for path in self._root.rglob("*") if path.is_symlink())
        return sorted(name for name in found if _is_photo_or_companion(name))

    def _walk(self) -> Iterator[DropFile]:
        for path in self._root.rglob("*"):
            name = path.relative_to(self._root).as_posix()
            # A link could lead anywhere on this machine; a pipe or device could block the run for ever.
            if path.is_file() and not path.is_symlink() and _is_photo_or_companion(name):
                yield DropFile(name, path.stat().st_size)

    def open_local(self, name: str) -> AbstractContextManager[Path]:
        return nullcontext(self._root / name)

    def listing_yaml(self) -> bytes | None:
        path = self._root / FILE_NAME
        if path.is_symlink() or not path.is_file():
            return None
        check_size(path.stat().st_size)
        return path.read_bytes()


def links_in_words(links: Sequence[str]) -> str:
    more = f" and {len(links) - 5} more" if len(links) > 5 else ""
    return f"links aren't followed, give the files themselves: {', '.join(links[:5])}{more}"


def is_left_by_computer(name: str) -> bool:
    """Say whether a computer rather than a person put the file there."""
    path = PurePosixPath(name)
    hidden = any(part.startswith(".") or part == "__MACOSX" for part in path.parts)
    return hidden or path.name.lower() in LEFT_BY_COMPUTERS


def _is_photo_or_companion(name: str) -> bool:
    return not is_left_by_computer(name) and name not in (READY_MARKER, FILE_NAME)
