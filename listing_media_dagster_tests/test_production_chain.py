"""The whole chain where it runs in production: a drop in S3, run records in Postgres."""

import dagster as dg
import pytest

from listing_media_dagster.automation.uploads import listing_uploads
from listing_media_dagster.definitions import defs
from listing_media_dagster.partitions import listings
from listing_media_dagster.settings import settings
from listing_media_dagster.store import photo_sets
from listing_media_dagster_tests.helpers.pipeline import Pipeline, write_rooms


@pytest.fixture
def installation(tmp_path, monkeypatch, fresh_postgres_url, s3_server, s3_store_url):
    """An instance on Postgres and the settings of a store on S3, as `LISTING_MEDIA_*` would give them."""
    for name, value in s3_server.environment(s3_store_url).items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()
    photo_sets._open_store.cache_clear()
    storage = {"storage": {"postgres": {"postgres_url": fresh_postgres_url}}}
    with dg.DagsterInstance.local_temp(str(tmp_path), overrides=storage) as instance:
        yield instance, Pipeline(s3_store_url, "main-12")
    monkeypatch.undo()
    settings.cache_clear()
    photo_sets._open_store.cache_clear()


def tick(instance, cursor=None):
    context = dg.build_sensor_context(
        instance=instance, cursor=cursor, resources={"media": photo_sets.MediaStoreResource()}
    )
    return listing_uploads(context)


def test_a_drop_in_a_bucket_becomes_a_package_in_it_and_is_put_away(installation, tmp_path):
    instance, pipeline = installation
    for path in write_rooms(tmp_path / "drop", ["front.jpg", "kitchen.jpg"]).iterdir():
        pipeline.store.write(f"inbox/main-12/{path.name}", path)
    pipeline.store.write("inbox/main-12/_READY", b"")

    seen = tick(instance)
    (request,) = seen.run_requests
    (addition,) = seen.dynamic_partitions_requests
    instance.add_dynamic_partitions(str(listings.name), list(addition.partition_keys))
    run = defs.resolve_job_def("listing_media").execute_in_process(
        instance=instance, partition_key=request.partition_key, tags=request.tags
    )

    assert run.success
    assert instance.get_materialized_partitions(dg.AssetKey("listing_package")) == {"main-12"}
    files = {file.name for file in pipeline.photo_set("listing_package").deliverables}
    assert {"index.html", "video/tour.mp4", "main-12.zip"} <= files
    assert {file["status"] for file in pipeline.report()["files"]} == {"accepted"}

    again = tick(instance, seen.cursor)
    assert not again.run_requests
    later = tick(instance, again.cursor)
    assert not later.run_requests
    assert not list(pipeline.store.list("inbox/main-12/"))
    handled = {found.key.rsplit("/", 1)[-1] for found in pipeline.store.list("handled/main-12/")}
    assert {"front.jpg", "kitchen.jpg"} <= handled
