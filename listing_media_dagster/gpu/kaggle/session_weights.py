"""Runs on Kaggle: makes one models folder of the weights attached to the session, and pulls what is missing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from pydantic import ValidationError

from listing_media_dagster.gpu.job_models import NamedModels, known_models
from listing_media_dagster.gpu.kaggle.shipment import T4
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


def pull_missing(jobs: Iterable[NamedModels], models_dir: Path, say: Callable[[str], None]) -> None:
    """Fetch from the hub what no bundle brought; what can't be had is said, and fails the items that need it.

    Where a bundle brought any model that does, no other is fetched in its stead. Licences were settled by whoever made
    the jobs.
    """
    from listing_media_dagster.models.weights_hub import HubUnreachable
    from listing_media_dagster.models.weights_pull import LicenceRefused, pull

    for model_id in dict.fromkeys(name for job in jobs for name in _missing(job, models_dir)):
        entry = catalogue_entry(model_id)
        say(f"fetching {entry.title}: {entry.size_mb} MB")
        try:
            pull(entry, models_dir, allowed_licences=entry.licence_ids)
        except (HubUnreachable, BadWeights, ModelMissing, LicenceRefused, OSError) as unavailable:
            say(f"{model_id}: {unavailable}")


def _missing(named: NamedModels, models_dir: Path) -> list[str]:
    here = {name for name in known_models((*named.one_of, *named.beside)) if is_here(catalogue_entry(name), models_dir)}
    one_is_here = any(name in here for name in named.one_of)
    wanted = named.weights_wanted(T4)
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
