"""How a stage's value is kept: its manifest beside its pictures, every claim in it checked when it is read again."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import dagster as dg
from pydantic import Field, ValidationError

from listing_media_dagster.listing import ASSETS, PhotoSet, StoredObject
from listing_media_dagster.settings import settings
from listing_media_dagster.store.media_store import MediaStore, StoreError
from listing_media_dagster.store.report import build_report


def folder(listing_id: str, asset: str) -> str:
    return f"listings/{listing_id}/{asset}"


def manifest_key(listing_id: str, asset: str) -> str:
    return f"{folder(listing_id, asset)}/manifest.json"


def claims(photo_set: PhotoSet) -> Iterator[StoredObject]:
    """Yield every object that a photo set says is in the store."""
    for photo in photo_set.photos:
        yield photo.image
        if photo.base:
            yield photo.base
        yield from photo.attachments.values()
    yield from photo_set.deliverables
    yield from photo_set.companions.values()


class ClaimBroken(StoreError):
    """The store no longer holds what a manifest says; trying again doesn't help, materializing the asset does."""


class PhotoSets:
    """The photo sets of one media store: what each stage of each listing last claimed."""

    def __init__(self, media: MediaStore) -> None:
        self._media = media

    def find(self, listing_id: str, asset: str) -> PhotoSet | None:
        """Return what the stage last wrote, unverified; None if it never did or an older version can't be read."""
        key = manifest_key(listing_id, asset)
        if not self._media.exists(key):
            return None
        try:
            return PhotoSet.model_validate_json(self._media.read(key))
        except ValidationError:
            return None  # written by an incompatible version: made anew rather than guessed at

    def load(self, listing_id: str, asset: str) -> PhotoSet:
        """Return what the stage last wrote after checking that every object is there with its digest.

        Raises `ClaimBroken` naming what is missing or changed and which asset to materialize.
        """
        photo_set = self.find(listing_id, asset)
        remedy = f"materialize {asset} for partition {listing_id} again"
        if photo_set is None:
            raise ClaimBroken(f"{manifest_key(listing_id, asset)} is missing or unreadable; {remedy}")
        problems = self._media.verify(claims(photo_set))
        if problems:
            raise ClaimBroken(
                f"{asset} of {listing_id} no longer matches the store: {'; '.join(problems[:5])}; {remedy}"
            )
        return photo_set

    def save(self, photo_set: PhotoSet) -> None:
        """Write the manifest and the listing's report.json, then remove what else lies in the stage's folder.

        In this order a run that dies in between leaves files too many, never a claim too many, and the next run removes
        them: a customer who copies the package's folder gets the package alone. Originals stay for ever.
        """
        listing_id, asset = photo_set.listing_id, photo_set.asset
        manifest = photo_set.model_dump_json(indent=1, exclude_defaults=True)
        self._media.write(manifest_key(listing_id, asset), manifest.encode())
        self.write_report(listing_id)
        if asset != ASSETS[0]:
            kept = {manifest_key(listing_id, asset), *(claim.key for claim in claims(photo_set))}
            for listed in list(self._media.list(f"{folder(listing_id, asset)}/")):
                if listed.key not in kept:
                    self._media.delete(listed.key)

    def write_report(self, listing_id: str) -> dict[str, Any]:
        """Write and return the machine-readable summary of all stages so far."""
        stages = [found for asset in ASSETS if (found := self.find(listing_id, asset)) is not None]
        report = build_report(listing_id, stages)
        self._media.write(f"listings/{listing_id}/report.json", report.model_dump_json(indent=1).encode())
        return report.model_dump(mode="json")


class MediaStoreResource(dg.ConfigurableResource):  # type: ignore[type-arg]  # annotating it breaks nesting
    """The media store of this installation, as `LISTING_MEDIA_STORE` and its neighbours describe it."""

    url: str = Field(default="", description="overrides LISTING_MEDIA_STORE")

    def store(self) -> MediaStore:
        return _open_store(self.url or settings().store)

    def photo_sets(self) -> PhotoSets:
        return PhotoSets(self.store())


@lru_cache(maxsize=8)
def _open_store(url: str) -> MediaStore:
    """One store a process and place, so that a digest it has checked isn't computed again."""
    at = settings()
    secret = at.s3_secret_access_key
    return MediaStore(
        url,
        s3_endpoint=at.s3_endpoint,
        s3_region=at.s3_region,
        access_key_id=at.s3_access_key_id,
        secret_access_key=secret.get_secret_value() if secret else None,
    )


class PhotoSetIOManager(dg.ConfigurableIOManager):
    """Dagster's door to `PhotoSets`: an asset's value is its photo set, one listing a partition."""

    media: MediaStoreResource

    def handle_output(self, context: dg.OutputContext, obj: PhotoSet) -> None:
        self.media.photo_sets().save(obj)

    def load_input(self, context: dg.InputContext) -> PhotoSet:
        asset = context.asset_key.path[-1]
        try:
            return self.media.photo_sets().load(context.partition_key, asset)
        except ClaimBroken as broken:
            raise dg.Failure(str(broken), allow_retries=False) from None
