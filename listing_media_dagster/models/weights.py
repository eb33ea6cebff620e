"""Looking for weights on this machine: `find_weights` for a loader, `check` for whoever wants every byte hashed anew.

Nothing here asks the network; `weights_pull` does.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from listing_media_dagster.models.entry import CatalogueEntry, Part
from listing_media_dagster.models.weights_folder import (
    BadWeights,
    ModelMissing,
    Origin,
    PartFolder,
    WeightsCard,
    WeightsFolder,
    inspect_folder,
    look_at_part,
    marked_for_tests,
    matching,
    part_folder,
    refuse_test_weights,
    weights_digest,
)
from listing_media_dagster.models.weights_lock import ModelsLock, locked_part, read_lock, verify

__all__ = [
    "BadWeights",
    "ModelMissing",
    "WeightsFolder",
    "check",
    "find_weights",
    "is_here",
    "locked_weights",
    "models_here",
]


def find_weights(
    entry: CatalogueEntry,
    explicit: Path | None,
    models_dir: Path,
    *,
    hub_cache: Path | None = None,
    allow_test_weights: bool = False,
) -> WeightsFolder:
    """Find the weights of `entry` here: the folder named for them, else the pulled ones, else the hub's own cache.

    A folder that was named is taken or refused, never passed over. `hub_cache` is the Hugging Face cache (default: the
    usual place). Raises `ModelMissing` with the command that fetches them, `BadWeights` if what lies there was changed.
    """
    if explicit is not None:
        return inspect_folder(entry, explicit.expanduser(), allow_test_weights=allow_test_weights)
    models_dir = models_dir.expanduser()
    try:
        return gather_parts(entry, models_dir, allow_test_weights=allow_test_weights)
    except ModelMissing:
        cached = _in_hub_cache(entry, hub_cache)
        if cached is None:
            raise
        return cached


def check(entry: CatalogueEntry, models_dir: Path) -> WeightsFolder:
    """Hash every pulled file of `entry` anew and compare it with `models.lock`, offline.

    Raises `ModelMissing` if it wasn't pulled (at this revision), `BadWeights` naming the file that differs.
    """
    return gather_parts(entry, models_dir.expanduser(), thorough=True, allow_test_weights=True)


def gather_parts(
    entry: CatalogueEntry, models_dir: Path, *, thorough: bool = False, allow_test_weights: bool = False
) -> WeightsFolder:
    """Return every part of `entry`: the pulled ones as the lock has them, the others where the catalogue says.

    Raises `ModelMissing` naming the command that fetches what is absent, `BadWeights` for a file that differs.
    """
    lock = read_lock(models_dir)
    absent = [part for part in entry.all_parts if part.is_pulled and not _is_locked(entry, part, lock)]
    if absent:
        size = sum(part.size_mb for part in absent)
        raise ModelMissing(entry.title, f"`{entry.pull_command}` fetches it once ({size} MB, {entry.licence})")
    parts = [_part_here(entry, part, lock, models_dir, thorough=thorough) for part in entry.all_parts]
    digest = weights_digest(parts)
    main = parts[0]
    card = WeightsCard(
        repo=main.repo,
        revision=main.revision,
        pretrained=entry.pretrained,
        weights_sha256=digest,
        test_only=entry.test_only or any(marked_for_tests(part) for part in entry.all_parts),
    )
    refuse_test_weights(entry, card, main.root, allowed=allow_test_weights)
    first = entry.parts[0]
    origin: Origin = "pulled" if first.is_pulled else "package" if first.packaged else "own folder"
    return WeightsFolder(model_id=entry.id, parts=tuple(parts), weights_sha256=digest, origin=origin, card=card)


def _is_locked(entry: CatalogueEntry, part: Part, lock: ModelsLock) -> bool:
    locked = locked_part(entry, part, lock)
    return locked is not None and all(matching(pattern, list(locked.files)) for pattern in part.files)


def _part_here(entry: CatalogueEntry, part: Part, lock: ModelsLock, models_dir: Path, *, thorough: bool) -> PartFolder:
    locked = locked_part(entry, part, lock)
    if locked is None:
        return look_at_part(entry, part, part.folder or models_dir)
    root = verify(models_dir, locked, entry.pull_command, thorough=thorough)
    for name, known in part.digests.items():
        if name in locked.files and locked.files[name] != known:
            raise BadWeights(f"{root / name} isn't the file that the catalogue names: its digest differs")
    return part_folder(part, root, locked.files, locked.revision)


def _in_hub_cache(entry: CatalogueEntry, hub_cache: Path | None) -> WeightsFolder | None:
    """Return a model of one part as the hub's client keeps it, at the pinned revision; None if it isn't (all) there."""
    part = entry.parts[0]
    if len(entry.all_parts) > 1 or part.repo is None or part.revision is None:
        return None
    try:
        from huggingface_hub import try_to_load_from_cache
    except ImportError:
        return None
    exact = next((name for name in part.files if "*" not in name), None)
    found = exact and try_to_load_from_cache(part.repo, exact, revision=part.revision, cache_dir=hub_cache)
    if not isinstance(found, str):
        return None
    root = Path(found.removesuffix(str(exact)))
    try:
        here = look_at_part(entry, part, root)
    except ModelMissing:
        return None
    for name, file in here.files.items():
        # The cache names a large file's blob by its sha256: a blob that no longer has it was damaged.
        blob = (root / name).resolve().name
        if len(blob) == 64 and blob != file.sha256:
            raise BadWeights(f"{root / name} in the hub's cache is damaged: remove it, or run `{entry.pull_command}`")
    digest = weights_digest([here])
    card = WeightsCard(repo=part.repo, revision=root.name, pretrained=entry.pretrained, weights_sha256=digest)
    return WeightsFolder(model_id=entry.id, parts=(here,), weights_sha256=digest, origin="hub cache", card=card)


def locked_weights(entry: CatalogueEntry, models_dir: Path) -> tuple[str, str] | None:
    """Return commit and digest to which `models.lock` holds weights that needn't lie here; None if it doesn't.

    They are those of `find_weights` where they do. Raises `BadWeights` for a lock that can't be read.
    """
    models_dir = models_dir.expanduser()
    lock = read_lock(models_dir)
    parts = []
    for part in entry.all_parts:
        locked = locked_part(entry, part, lock)
        if locked is None or not _is_locked(entry, part, lock):
            return None
        parts.append(part_folder(part, locked.root(models_dir), locked.files, locked.revision))
    return str(parts[0].revision), weights_digest(parts)


def is_here(entry: CatalogueEntry, models_dir: Path) -> bool:
    """Look, without hashing anything, whether the files of `entry` lie on this machine with the sizes they should have.

    Quick enough to ask of every entry before one is chosen; `find_weights` has the last word.
    """
    models_dir = models_dir.expanduser()
    lock = read_lock(models_dir)
    return all(_part_is_here(entry, part, lock, models_dir) for part in entry.all_parts)


def models_here(entries: Iterable[CatalogueEntry], models_dir: Path) -> frozenset[str]:
    """Return the ids of those of `entries` that `is_here`, which is what `choose` wants to know."""
    return frozenset(entry.id for entry in entries if is_here(entry, models_dir))


def _part_is_here(entry: CatalogueEntry, part: Part, lock: ModelsLock, models_dir: Path) -> bool:
    if not part.is_pulled:
        return part.packaged or (part.folder is not None and part.folder.is_dir())
    locked = locked_part(entry, part, lock)
    if locked is None or not _is_locked(entry, part, lock):
        return False
    root = locked.root(models_dir)
    return all((root / name).is_file() and (root / name).stat().st_size == f.size for name, f in locked.files.items())
