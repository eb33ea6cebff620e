"""Results that were made ahead: found by their key, taken whole or not at all, thrown away when nobody wants them."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from listing_media_dagster.gpu.job import ItemResult, JobFolder
from listing_media_dagster.gpu.result_shelf import ResultShelf
from listing_media_dagster_tests.helpers.jobs import write_enhance_job


@pytest.fixture
def folder(tmp_path: Path) -> JobFolder:
    return write_enhance_job(tmp_path / "job", 2)


@pytest.fixture
def shelf(tmp_path: Path) -> ResultShelf:
    return ResultShelf(tmp_path / "shelf")


def put(shelf: ResultShelf, folder: JobFolder, number: int, data: bytes = b"a picture") -> str:
    item = folder.job.items[number]
    key = folder.job.item_key(item)
    result = ItemResult(item_id=item.id, key=key, outcome="ok", record={"operations": []}, device="T4")
    shelf.put(key, "kaggle", result, {"enhanced.jpg": data})
    return key


def test_what_was_made_ahead_makes_an_item_done(shelf: ResultShelf, folder: JobFolder) -> None:
    key = put(shelf, folder, 1)
    assert shelf.finish_items(folder) == {"room-1": "kaggle"}
    done = folder.done()["room-1"]
    assert (done.device, folder.read(done.outputs["enhanced.jpg"])) == ("T4", b"a picture")
    assert shelf.holds(key), "the job may have to be sent again"
    shelf.remove(key)
    assert not shelf.holds(key) and not list(shelf.root.iterdir())


def test_a_refusal_is_an_answer_too(shelf: ResultShelf, folder: JobFolder) -> None:
    item = folder.job.items[0]
    key = folder.job.item_key(item)
    shelf.put(key, "kaggle", ItemResult(item_id=item.id, key=key, outcome="refused", reason="too dark"), {})
    assert shelf.finish_items(folder) == {"room-0": "kaggle"} and folder.done()["room-0"].reason == "too dark"


@pytest.mark.parametrize("what", ["an output", "the record", "its key", "an output that is gone"])
def test_what_was_tampered_with_is_not_used(shelf: ResultShelf, folder: JobFolder, what: str) -> None:
    key = put(shelf, folder, 0)
    entry = shelf.root / key / "outputs" / "item"
    if what == "an output":
        (entry / "enhanced.jpg").write_bytes(b"a forgery")
    elif what == "an output that is gone":
        (entry / "enhanced.jpg").unlink()
    elif what == "its key":
        (shelf.root / key).rename(shelf.root / folder.job.item_key(folder.job.items[1]))
    else:
        (entry / "item.json").write_text("{")
    assert shelf.finish_items(folder) == {} and not folder.done()
    assert put(shelf, folder, 0) and set(shelf.finish_items(folder)) == {"room-0"}, "what is put there anew counts"


def test_of_two_runs_that_put_the_same_work_there_either_may_be_faster(shelf: ResultShelf, folder: JobFolder) -> None:
    class Slower(ResultShelf):
        def remove(self, key: str) -> None:
            super().remove(key)
            put(shelf, folder, 0)

    key = put(Slower(shelf.root), folder, 0)
    assert shelf.holds(key) and [path.name for path in shelf.root.iterdir()] == [key]


def test_what_nobody_wanted_for_a_week_is_thrown_away(shelf: ResultShelf, folder: JobFolder) -> None:
    old = put(shelf, folder, 0)
    last_week = time.time() - 8 * 24 * 3600
    os.utime(shelf.root / old, (last_week, last_week))
    new = put(shelf, folder, 1)
    assert not shelf.holds(old) and shelf.holds(new)
