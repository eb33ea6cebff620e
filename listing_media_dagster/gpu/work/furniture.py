"""The furniture that users bring, as one file of a job: packed the same way each time, so that its digest holds."""

from __future__ import annotations

import io
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

from listing_media_dagster.gpu.job import BadJob
from listing_media_dagster.gpu.work.bench import Bench, Task
from listing_media_dagster.staging.furniture.designs import Design, library
from listing_media_dagster.staging.furniture.own_furniture import BadFurniture, load_own_furniture

PACKED_FURNITURE = "furniture.zip"
MOST_BYTES = 256 * 2**20


def pack_furniture(folder: Path) -> bytes:
    """Return the folder as a zip. Raises `BadFurniture` if it is too large to travel."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    if sum(path.stat().st_size for path in files) > MOST_BYTES:
        raise BadFurniture(f"{folder} is over {MOST_BYTES >> 20} MiB: keep in it only the pieces in use")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in files:
            entry = zipfile.ZipInfo(path.relative_to(folder).as_posix())  # of 1980, whenever it was changed
            archive.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def designs_of(task: Task, bench: Bench) -> Mapping[str, Design]:
    """Return the built-in designs and those that the job brings. Raises `BadFurniture` or `BadJob`."""
    brought = task.job.inputs.get(PACKED_FURNITURE)
    if brought is None:
        return library()
    own = bench.models.get(f"furniture@{brought.sha256}", lambda: _unpacked(task.read(PACKED_FURNITURE)))
    return {**library(), **own}


def _unpacked(packed: bytes) -> dict[str, Design]:
    with tempfile.TemporaryDirectory(prefix="listing-media-furniture-") as folder:
        inside = Path(folder).resolve()
        try:
            with zipfile.ZipFile(io.BytesIO(packed)) as archive:
                entries = archive.infolist()
                if sum(entry.file_size for entry in entries) > MOST_BYTES:
                    raise BadJob(f"{PACKED_FURNITURE} would unpack to more than {MOST_BYTES >> 20} MiB")
                for entry in entries:
                    target = (inside / entry.filename).resolve()
                    if not target.is_relative_to(inside):
                        raise BadJob(f"{PACKED_FURNITURE}: {entry.filename!r} leads out of its folder")
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(archive.read(entry))
        except (OSError, zipfile.BadZipFile, NotImplementedError) as broken:
            raise BadJob(f"{PACKED_FURNITURE} can't be unpacked: {broken}") from broken
        return load_own_furniture(inside)
