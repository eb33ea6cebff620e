"""Runs on Kaggle: makes one models folder of the weights attached to the session, and pulls what is missing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from pydantic import ValidationError

from listing_media_dagster.models.catalogue import catalogue_entry
from listing_media_dagster.models.packing import MANIFEST_NAME, BundleManifest
from listing_media_dagster.models.weights import BadWeights, ModelMissing, is_here
from listing_media_dagster.models.weights_lock import ModelsLock, write_lock

DEEPEST = 8


def gather_bundles(inputs: Path, models_dir: Path) -> tuple[str, ...]:
    """Link every file of the bundles under `inputs` (see `models.packing`) into `models_dir`; return the models' ids.

    Nothing is copied: the inputs may be tens of gigabytes and can't be written to. Digests are checked on loading.
    """
    models_dir.mkdir(parents=True, exist_ok=True)
    lock = ModelsLock()
    for folder, manifest in _bundles(inputs):
        for name in manifest.files:
            link = models_dir / name
            if not link.exists() and (folder / name).is_file():
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to((folder / name).resolve())
        lock = ModelsLock(models={**lock.models, **manifest.lock.models})
    write_lock(models_dir, lock)
    return tuple(lock.models)


def pull_missing(model_ids: Iterable[str], models_dir: Path, say: Callable[[str], None]) -> None:
    """Fetch from the hub what no bundle brought; what can't be had is said, and fails the items that need it."""
    from listing_media_dagster.models.weights_hub import HubUnreachable
    from listing_media_dagster.models.weights_pull import LicenceRefused, pull

    for model_id in model_ids:
        try:
            entry = catalogue_entry(model_id)
            if any(part.is_pulled for part in entry.all_parts) and not is_here(entry, models_dir):
                say(f"fetching {entry.title}: {entry.size_mb} MB")
                pull(entry, models_dir)
        except (LookupError, HubUnreachable, BadWeights, ModelMissing, LicenceRefused, OSError) as unavailable:
            say(f"{model_id}: {unavailable}")


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
