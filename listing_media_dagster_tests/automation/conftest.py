"""A small listing pipeline with the real partitions, job, store and manifests, so that runs take milliseconds."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.remote_origin import InProcessCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

from listing_media_dagster.automation import archive, nightly, uploads
from listing_media_dagster.automation.jobs import listing_media_job
from listing_media_dagster.listing import Listing, Photo, PhotoSet, RejectedFile, SourceFile, StoredImage, photo_id_for
from listing_media_dagster.partitions import listings
from listing_media_dagster.settings import Settings
from listing_media_dagster.store.media_store import MediaStore
from listing_media_dagster.store.photo_sets import MediaStoreResource

# A queued run must say where its job would be loaded from; nothing in these tests launches it.
SOMEWHERE = RemoteJobOrigin(
    RemoteRepositoryOrigin(InProcessCodeLocationOrigin(LoadableTargetOrigin(module_name="nowhere")), "__repository__"),
    "listing_media",
)


@dataclass
class Studio:
    """An installation: instance, store and code location, with a clock and a code version the test sets."""

    instance: dg.DagsterInstance
    store: MediaStore
    monkeypatch: pytest.MonkeyPatch
    settings: Settings
    code_version: str = "1"
    failing: set[str] = field(default_factory=set)
    repositories: dict[str, dg.RepositoryDefinition] = field(default_factory=dict)
    cursor: str | None = None
    requests: list[dg.RunRequest] = field(default_factory=list)

    def drop(self, listing: str, *names: str, ready: bool = True, content: bytes = b"pixels of ") -> None:
        for name in names:
            self.store.write(f"inbox/{listing}/{name}", content + name.encode())
        if ready:
            self.store.write(f"inbox/{listing}/_READY", b"")

    def keys(self, prefix: str = "") -> list[str]:
        return [listed.key for listed in self.store.list(prefix)]

    @property
    def resources(self) -> dict[str, Any]:
        return {"media": MediaStoreResource()}

    @property
    def repository(self) -> dg.RepositoryDefinition:
        if self.code_version not in self.repositories:
            definitions = dg.Definitions(assets=self.assets(), jobs=[listing_media_job], resources=self.resources)
            self.repositories[self.code_version] = definitions.get_repository_def()
        return self.repositories[self.code_version]

    def assets(self) -> list[dg.AssetsDefinition]:
        studio = self

        @dg.asset(partitions_def=listings, group_name="listing_media", code_version=self.code_version)
        def raw_photos(context) -> None:
            if context.partition_key in studio.failing:
                raise dg.Failure("nothing readable", allow_retries=False)
            take_in(studio.store, context.partition_key)

        @dg.asset(
            deps=[raw_photos], partitions_def=listings, group_name="listing_media", code_version=self.code_version
        )
        def listing_package(context) -> None:
            if f"{context.partition_key} package" in studio.failing:
                raise dg.Failure("no package", allow_retries=False)

        return [raw_photos, listing_package]

    def tick(self, **settings: Any) -> dg.SensorResult | dg.SkipReason:
        """Evaluate the upload sensor as the daemon would: partitions are added, the cursor is kept."""
        at = self.settings.model_copy(update=settings)
        self.monkeypatch.setattr(uploads, "settings", lambda: at)
        context = dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursor,
            resources=self.resources,
            repository_def=self.repository,
        )
        with context:
            result = uploads.listing_uploads(context)
        assert isinstance(result, (dg.SensorResult, dg.SkipReason))
        if isinstance(result, dg.SensorResult):
            self.cursor = result.cursor
            self.requests = list(result.run_requests or [])
            for request in result.dynamic_partitions_requests or []:
                self.instance.add_dynamic_partitions("listings", list(request.partition_keys))
        else:
            self.requests = []
        return result

    def run(self, listing: str, selection: list[str] | None = None, **tags: str) -> dg.ExecuteInProcessResult:
        """Run a listing in this process, with the tags of its run request if there is one."""
        request = next((request for request in self.requests if request.partition_key == listing), None)
        job = self.repository.get_job("listing_media")
        return job.execute_in_process(
            instance=self.instance,
            partition_key=listing,
            tags={**(dict(request.tags) if request else {}), **tags},
            asset_selection=[dg.AssetKey(name) for name in selection] if selection else None,
            raise_on_error=False,
        )

    def unfinished_run(self, listing: str, status: dg.DagsterRunStatus, **tags: str) -> dg.DagsterRun:
        return self.instance.add_run(
            dg.DagsterRun(
                job_name="listing_media",
                run_id=os.urandom(16).hex(),
                status=status,
                remote_job_origin=SOMEWHERE,
                tags={"dagster/partition": listing, **tags},
            )
        )

    def night(self, when: datetime) -> dict[str, dg.RunRequest]:
        with dg.build_schedule_context(
            instance=self.instance,
            scheduled_execution_time=when,
            resources=self.resources,
            repository_def=self.repository,
        ) as context:
            result = nightly.nightly_backfill(context)
        found = [] if isinstance(result, dg.SkipReason) else list(result)  # type: ignore[call-overload]
        self.requests = found
        return {str(request.partition_key): request for request in found}

    def archive(self, when: datetime) -> str:
        self.monkeypatch.setattr(archive, "settings", lambda: self.settings)
        with dg.build_schedule_context(
            instance=self.instance,
            scheduled_execution_time=when,
            resources=self.resources,
            repository_def=self.repository,
        ) as context:
            result = archive.archive_old_listings(context)
        assert isinstance(result, dg.SkipReason)
        return str(result.skip_message)


def take_in(store: MediaStore, listing: str) -> None:
    """Do to a drop what raw_photos does: keep originals, write the manifest; files named bad* are rejected."""
    photos, rejected = [], []
    for listed in store.list(f"inbox/{listing}/"):
        name = listed.key.split("/", 2)[2]
        if name in ("_READY", "listing.yaml", ".DS_Store"):
            continue
        data = store.read(listed.key)
        sha256 = store.sha256(listed.key)
        if name.startswith("bad"):
            rejected.append(RejectedFile(name=name, reason="no photo", sha256=sha256))
            continue
        photo_id = photo_id_for(name, sha256)
        kept = store.write(f"listings/{listing}/raw_photos/{photo_id}.jpg", data)
        photos.append(
            Photo(
                photo_id=photo_id,
                sources=(SourceFile(name=name, key=kept.key, sha256=sha256),),
                image=StoredImage(**kept.model_dump(), width=1, height=1),
            )
        )
    photo_set = PhotoSet(
        listing=Listing(id=listing), asset="raw_photos", photos=tuple(photos), rejected=tuple(rejected)
    )
    store.write(f"listings/{listing}/raw_photos/manifest.json", photo_set.model_dump_json().encode())


@pytest.fixture(params=["folder", "s3"])
def studio(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Studio]:
    if request.param == "folder":
        store = MediaStore(str(tmp_path / "media"))
    else:
        store = request.getfixturevalue("s3_server").store(request.getfixturevalue("s3_store_url"))
    yield from new_studio(store, monkeypatch)


@pytest.fixture
def local_studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Studio]:
    yield from new_studio(MediaStore(str(tmp_path / "media")), monkeypatch)


def new_studio(store: MediaStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[Studio]:
    monkeypatch.setattr(MediaStoreResource, "store", lambda self: store)
    with dg.DagsterInstance.ephemeral() as instance:
        # A schedule's test context takes only instances on disk; those cost a second each.
        monkeypatch.setattr(dg.ScheduleEvaluationContext, "instance", instance)
        yield Studio(instance, store, monkeypatch, Settings(_env_file=None, quiet_seconds=120))


DAY = timedelta(days=1)
