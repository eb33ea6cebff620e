"""A job's folder in the store: what lies there already isn't sent again, unless it is another answer."""

from __future__ import annotations

from listing_media_dagster.gpu.celery.shelf import Shelf, job_digest
from listing_media_dagster.gpu.job import ItemResult
from listing_media_dagster.store.media_store import MediaStore
from listing_media_dagster_tests.helpers.jobs import write_enhance_job


def test_an_item_that_was_done_anew_takes_the_place_of_the_one_before_though_it_is_as_long(tmp_path):
    folder, shelf = write_enhance_job(tmp_path / "job", 1), Shelf(MediaStore(str(tmp_path / "media")), "a-job")
    shelf.put_up(folder)
    (item,) = folder.job.items
    failed = ItemResult(item_id=item.id, key=folder.job.item_key(item), outcome="failed", reason="out of memory")
    for reason in ("out of memory", "out of colour"):
        folder.finish_item(failed.model_copy(update={"reason": reason}), {})
        shelf.put_item(folder, item.id)
    there = shelf.fetch(tmp_path / "there", job_digest(folder)).result_of(item.id)
    assert there and there.reason == "out of colour"
