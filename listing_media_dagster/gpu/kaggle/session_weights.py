"""Runs on Kaggle: makes one models folder of the weights attached to the session, and pulls what is missing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from pydantic import ValidationError

from listing_media_dagster.gpu.job_models import NamedModels, pull_named
from listing_media_dagster.gpu.kaggle.shipment import T4
from listing_media_dagster.models.entry import CatalogueEntry
from listing_media_dagster.models.packing import MANIFEST_NAME, BundleManifest
from listing_media_dagster.models.pinned import placed
from listing_media_dagster.models.weights import is_here
from listing_media_dagster.models.weights_lock import ModelsLock, write_lock

DEEPEST = 8


def gather_bundles(inputs: Path, models_dir: Path) -> tuple[str, ...]:
    """Link every file of the bundles under `inputs` (see `models.packing`) into `models_dir`; return the models' ids.

    Nothing is copied: the inputs may be tens of gigabytes and can't be written to. Digests are checked on loading.
    """
    models_dir.mkdir(parents=True, exist_ok=True)
    lock = ModelsLock()
    models: list[str] = []
    for folder, manifest in _bundles(inputs):
        for name in manifest.files:
            link = models_dir / name
            if not link.exists() and (folder / name).is_file():
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to((folder / name).resolve())
        lock = ModelsLock(models={**lock.models, **manifest.lock.models})
        models += manifest.models
    write_lock(models_dir, lock)
    return tuple(dict.fromkeys(models))


def pull_missing(jobs: Iterable[NamedModels], models_dir: Path, say: Callable[[str], None]) -> None:
    """Fetch from the hub what no bundle brought of the models that jobs name.

    Where a bundle brought any model that does, no other is fetched in its stead, and none whose other parts, from
    folders of whoever made the job, no bundle brought.
    """
    missing = {name: named for named in jobs for name in _missing(named, models_dir)}
    for name, named in missing.items():
        pull_named(named.known()[name], models_dir, say)


def _missing(named: NamedModels, models_dir: Path) -> list[str]:
    def can_be_whole(entry: CatalogueEntry) -> bool:
        return all(part.folder is None or part.folder.is_dir() for part in placed(entry, models_dir).all_parts)

    here = {name for name, entry in named.known().items() if is_here(placed(entry, models_dir), models_dir)}
    one_is_here = any(name in here for name in named.one_of)
    wanted = named.weights_wanted(T4, can_be_whole)
    return [name for name in wanted if name not in here and not (one_is_here and name in named.one_of)]


def _bundles(inputs: Path) -> Iterable[tuple[Path, BundleManifest]]:
    for folder, folders, names in os.walk(inputs, followlinks=True):
        place = Path(folder)
        if len(place.relative_to(inputs).parts) >= DEEPEST:
            folders.clear()
        if MANIFEST_NAME in names:
            try:
                yield place, BundleManifest.model_validate_json((place / MANIFEST_NAME).read_bytes())
            except ValidationError:
                continue
