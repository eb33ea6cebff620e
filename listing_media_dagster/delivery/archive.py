"""A listing's files as one zip that is the same bytes whenever the files are, and the checksums that prove it."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath

CHECKSUMS = "CHECKSUMS.sha256"

# the earliest date a zip can hold: archives of the same files are equal on every day
_DATE = (1980, 1, 1, 0, 0, 0)
_COMPRESSED_ALREADY = {".jpg", ".jpeg", ".png", ".webp", ".avif", ".mp4", ".zip", ".pdf"}
_RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{digit}" for port in ("com", "lpt") for digit in range(1, 10))}


class UnsafeName(ValueError):
    """A name that would leave the archive's folder, or can't exist on someone's computer."""


def check_name(name: str) -> str:
    """Return `name` if it is a relative path that unpacks everywhere to where it says, else raise `UnsafeName`."""
    parts = name.split("/")
    bad_part = any(
        part in ("", ".", "..") or part.endswith((".", " ")) or part.split(".")[0].lower() in _RESERVED
        for part in parts
    )
    if bad_part or any(sign in '\\\\:*?"<>|' or ord(sign) < 32 for sign in name):
        raise UnsafeName(f"{name!r} can't be the name of a delivered file")
    return name


def write_zip(files: Iterable[tuple[str, Callable[[], bytes] | Path]], output: Path) -> Path:
    """Write `files` (name in the archive, bytes or a file to read) to `output`, replacing it only when complete.

    Names keep their order; JPEG, WebP and MP4 are stored as they are, text is deflated. Raises `UnsafeName` for a
    name that isn't safe or comes twice (also when only its case differs).
    """
    seen: set[str] = set()
    output.parent.mkdir(parents=True, exist_ok=True)
    handle, partial = tempfile.mkstemp(prefix=f".{output.name}.", dir=output.parent)
    try:
        with os.fdopen(handle, "wb") as raw, zipfile.ZipFile(raw, "w", allowZip64=True) as archive:
            for name, content in files:
                if check_name(name).lower() in seen:
                    raise UnsafeName(f"{name!r} comes twice")
                seen.add(name.lower())
                _add(archive, name, content)
        Path(partial).chmod(0o644)
        Path(partial).replace(output)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise
    return output


def _add(archive: zipfile.ZipFile, name: str, content: Callable[[], bytes] | Path) -> None:
    entry = zipfile.ZipInfo(name, _DATE)
    entry.create_system = 3
    entry.external_attr = 0o100644 << 16
    stored = PurePosixPath(name).suffix.lower() in _COMPRESSED_ALREADY
    entry.compress_type = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
    if not isinstance(content, Path):
        archive.writestr(entry, content())
        return
    entry.file_size = content.stat().st_size
    with content.open("rb") as source, archive.open(entry, "w") as target:
        shutil.copyfileobj(source, target, 1 << 20)


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def checksum_list(digests: Iterable[tuple[str, str]]) -> str:
    """Return (name, sha256) pairs as text that `sha256sum --check` reads, sorted by name."""
    return "".join(f"{digest}  {name}\n" for name, digest in sorted(digests))
