"""Catalogue entries as they go to other machines: held to exact files by their digests, and naming no place on here.

The files of a part that lies in a folder of one's own are known elsewhere by what is in them: `own/<digest>` in the
folder of models, where a bundle of weights brings them (`packing`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from listing_media_dagster.models.entry import CatalogueEntry, FileDigest, Part
from listing_media_dagster.models.first_fault import first_fault
from listing_media_dagster.models.weights_folder import (
    BadWeights,
    look_at_part,
    marked_for_tests,
    part_folder,
    weights_digest,
)
from listing_media_dagster.models.weights_lock import ModelsLock, locked_part, read_lock

OWN = "own"


def own_place(files: Mapping[str, FileDigest]) -> Path:
    """Return where the files of a part that no hub has lie below a folder of models."""
    listed = "".join(f"{name} {file.sha256}\n" for name, file in sorted(files.items()))
    return Path(OWN) / hashlib.sha256(listed.encode()).hexdigest()[:16]


def pinned(entry: CatalogueEntry, models_dir: Path) -> CatalogueEntry:
    """Return `entry` held to the files that are meant: those that `models.lock` has, or that lie in one's own folders.

    What was never pulled stays as the catalogue says it. Raises as `find_weights` does for folders of one's own.
    """
    lock = read_lock(models_dir.expanduser())
    told = {
        "parts": [_pinned_part(entry, part, lock) for part in entry.parts],
        "loras": [_pinned_part(entry, lora, lock) for lora in entry.loras],
        # the card that says so doesn't travel
        "test_only": entry.test_only or any(map(marked_for_tests, entry.all_parts)),
    }
    try:
        return CatalogueEntry.model_validate({**entry.model_dump(mode="json"), **told})
    except ValidationError as wrong:
        raise BadWeights(f"{entry.id} can't be described to another machine: {first_fault(wrong)}") from wrong


def pinned_digest(entry: CatalogueEntry) -> str | None:
    """Return what names the weights to which `entry` is held, as `WeightsFolder.weights_sha256`; None if it isn't."""
    parts = [part_folder(part, Path(), part.digests) for part in entry.all_parts if part.digests]
    return weights_digest(parts) if len(parts) == len(entry.all_parts) else None


def placed(entry: CatalogueEntry, models_dir: Path, known: CatalogueEntry | None = None) -> CatalogueEntry:
    """Return a pinned entry with its own folders where they lie here: in `models_dir`, or where `known` has them.

    `known` is what this machine's own catalogue says of the same model. What a pinned entry itself says of places is
    never gone by.
    """

    def at_home(part: Any) -> Any:
        if part.folder is None:
            return part
        unpacked = models_dir.expanduser() / own_place(part.digests)
        own = next((each.folder for each in known.all_parts if each.role == part.role), None) if known else None
        return part.model_copy(update={"folder": own if own and not unpacked.is_dir() else unpacked})

    return entry.model_copy(
        update={"parts": tuple(map(at_home, entry.parts)), "loras": tuple(map(at_home, entry.loras))}
    )


def _pinned_part(entry: CatalogueEntry, part: Part, lock: ModelsLock) -> dict[str, Any]:
    said = part.model_dump(mode="json")
    if part.folder is not None:
        files = look_at_part(entry, part, part.folder).files
        return {**said, "folder": own_place(files).as_posix(), **_exactly(files)}
    locked = locked_part(entry, part, lock)
    return said if locked is None else {**said, "revision": locked.revision, **_exactly(locked.files)}


def _exactly(files: Mapping[str, FileDigest]) -> dict[str, Any]:
    digests = {name: file.model_dump() for name, file in sorted(files.items())}
    return {"files": sorted(files), "optional_files": [], "digests": digests}
