"""The upload sensor on real stores, with real run records: nothing is run twice, nothing is lost."""

from __future__ import annotations

import json
import time

import dagster as dg
import pytest

from listing_media_dagster.automation import uploads
from listing_media_dagster.automation.handled_drops import find_record
from listing_media_dagster.automation.inbox import UploadCursor
from listing_media_dagster.automation.jobs import DROP_TAG
from listing_media_dagster.automation.uploads import read_inbox
from listing_media_dagster.store.media_store import StoreError
from listing_media_dagster_tests.automation.conftest import Studio


def test_a_drop_becomes_a_partition_and_one_run(studio: Studio) -> None:
    studio.drop("house-1", "a.jpg", "b.jpg")
    studio.tick()
    [request] = studio.requests
    assert request.partition_key == "house-1"
    assert request.run_key == f"house-1:{request.tags[DROP_TAG]}"
    assert studio.instance.get_dynamic_partitions("listings") == ["house-1"]
    result = studio.tick()
    assert studio.requests == []
    assert isinstance(result, dg.SensorResult)


def test_a_handled_drop_leaves_the_inbox_with_everything_in_it(studio: Studio) -> None:
    studio.drop("house-1", "a.jpg", "bad.txt", "sub/c #1.jpg", "listing.yaml", ".DS_Store")
    studio.tick()
    assert studio.run("house-1").success
    fingerprint = studio.requests[0].tags[DROP_TAG]
    before = {key.removeprefix("inbox/house-1/"): studio.store.read(key) for key in studio.keys("inbox/")}
    studio.tick()
    assert studio.keys("inbox/") == []
    folder = f"handled/house-1/{fingerprint[:12]}/"
    assert {key.removeprefix(folder): studio.store.read(key) for key in studio.keys(folder)} == before
    record = find_record(studio.store, "house-1", fingerprint)
    assert record is not None and {file.name for file in record.files} == set(before)
    studio.tick()
    assert studio.requests == []


def test_a_drop_stays_until_its_run_succeeded(studio: Studio) -> None:
    studio.drop("house-1", "a.jpg")
    inbox = studio.keys("inbox/")
    studio.failing = {"house-1 package"}
    studio.tick()
    studio.tick()
    assert studio.keys("inbox/") == inbox, "not run yet"
    assert not studio.run("house-1").success
    result = studio.tick()
    assert studio.keys("inbox/") == inbox, "raw_photos has everything, but the run failed"
    assert "house-1: its run failed or was cancelled" in str(result.skip_reason)  # type: ignore[union-attr]
    studio.failing = set()
    assert studio.run("house-1").success
    result = studio.tick()
    assert studio.keys("inbox/") == []
    assert "nothing new in the inbox" in str(result.skip_reason)  # type: ignore[union-attr]


def test_a_run_started_by_hand_counts_if_it_began_after_the_drop_was_complete(local_studio: Studio) -> None:
    studio = local_studio
    studio.drop("house-1", "a.jpg")
    studio.tick()
    studio.requests = []
    assert studio.run("house-1").success  # no tags of ours
    studio.tick()
    assert studio.keys("inbox/") == []


@pytest.mark.parametrize(
    "status", [dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
)
def test_nothing_is_requested_or_moved_while_a_run_is_in_flight(
    local_studio: Studio, status: dg.DagsterRunStatus
) -> None:
    studio = local_studio
    studio.drop("house-1", "a.jpg")
    studio.tick()
    assert studio.run("house-1").success
    other = studio.unfinished_run("house-1", status)
    studio.tick()
    assert "inbox/house-1/a.jpg" in studio.keys("inbox/")
    studio.drop("house-1", "b.jpg")
    studio.tick()
    assert studio.requests == []
    studio.instance.delete_run(other.run_id)
    studio.tick()
    assert [request.partition_key for request in studio.requests] == ["house-1"]


def test_a_run_over_a_range_of_partitions_holds_every_listing_back(local_studio: Studio) -> None:
    studio = local_studio
    studio.drop("house-1", "a.jpg")
    studio.unfinished_run("", dg.DagsterRunStatus.STARTED, **{"dagster/asset_partition_range_start": "a"})
    studio.tick()
    assert studio.requests == []


def test_a_changed_listing_runs_again(studio: Studio) -> None:
    studio.drop("house-1", "a.jpg")
    studio.tick()
    first = studio.requests[0].run_key
    studio.run("house-1")
    studio.tick()
    studio.drop("house-1", "b.jpg")
    studio.tick()
    assert len(studio.requests) == 1
    assert studio.requests[0].run_key != first


def test_a_photo_taken_back_to_what_it_was_runs_again(studio: Studio) -> None:
    keys = []
    for content in (b"first ", b"second ", b"first ", b"first "):
        studio.drop("house-1", "a.jpg", content=content)
        studio.tick()
        keys += [request.run_key for request in studio.requests]
        studio.failing = {"house-1 package"}
        assert not studio.run("house-1").success
        studio.tick()
        assert "inbox/house-1/a.jpg" in studio.keys("inbox/"), "an earlier run says nothing about this drop"
        studio.failing = set()
        assert studio.run("house-1", **{DROP_TAG: UploadCursor.parse(studio.cursor).requested["house-1"]}).success
        studio.tick()
        assert studio.keys("inbox/") == []
    assert len(set(keys)) == 4, "Dagster would launch no run for a key it has seen"


def test_photos_that_arrive_while_a_drop_is_put_away_are_a_drop_of_their_own(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    studio.drop("house-1", *(f"{n}.jpg" for n in range(12)))
    studio.tick()
    assert studio.run("house-1").success
    move = studio.store.move

    def move_while_somebody_uploads(src: str, dst: str, *, etag: str | None = None) -> None:
        if src.endswith("/3.jpg"):
            studio.drop("house-1", "3.jpg", ready=False, content=b"a better ")
            studio.drop("house-1", "new.jpg", ready=False)
        move(src, dst, etag=etag)

    monkeypatch.setattr(studio.store, "move", move_while_somebody_uploads)
    studio.tick()
    monkeypatch.setattr(studio.store, "move", move)
    assert studio.keys("inbox/") == ["inbox/house-1/3.jpg", "inbox/house-1/new.jpg"]
    assert studio.store.read("inbox/house-1/3.jpg") == b"a better 3.jpg"
    studio.drop("house-1")
    studio.tick()
    assert len(studio.requests) == 1


def test_a_move_that_ran_out_of_time_goes_on_next_tick_without_another_run(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    studio.drop("house-1", *(f"{n:02}.jpg" for n in range(20)))
    studio.tick()
    assert studio.run("house-1").success
    moved: list[str] = []
    move = studio.store.move

    def slow_move(src: str, dst: str, *, etag: str | None = None) -> None:
        move(src, dst, etag=etag)
        moved.append(src)
        monkeypatch.setattr(uploads.time, "monotonic", lambda: 1e12)

    monkeypatch.setattr(studio.store, "move", slow_move)
    studio.tick()
    monkeypatch.undo()
    studio.monkeypatch.setattr(uploads.MediaStoreResource, "store", lambda self: studio.store)
    assert 0 < len(moved) < 21
    assert studio.keys("inbox/")
    assert UploadCursor.parse(studio.cursor).moving
    studio.drop("house-1", "late.jpg", ready=False)
    studio.tick()
    assert studio.requests == [], "what is left of a handled drop is no new drop, and late.jpg isn't quiet yet"
    assert studio.keys("inbox/") == ["inbox/house-1/late.jpg"]
    assert UploadCursor.parse(studio.cursor).moving == {}


def test_a_file_the_run_did_not_take_in_keeps_the_drop_where_it_is_and_is_told_once(
    local_studio: Studio, caplog: pytest.LogCaptureFixture
) -> None:
    studio = local_studio
    studio.drop("house-1", "a.jpg")
    studio.tick()
    assert studio.run("house-1").success
    manifest = json.loads(studio.store.read("listings/house-1/raw_photos/manifest.json"))
    studio.store.write("listings/house-1/raw_photos/manifest.json", json.dumps({**manifest, "photos": []}).encode())
    studio.tick()
    studio.tick()
    assert "inbox/house-1/a.jpg" in studio.keys("inbox/")
    [problem] = UploadCursor.parse(studio.cursor).reported
    assert "didn't take in a.jpg" in problem


def test_a_kept_original_that_vanished_keeps_the_drop(local_studio: Studio) -> None:
    studio = local_studio
    studio.drop("house-1", "a.jpg")
    studio.tick()
    assert studio.run("house-1").success
    for key in studio.keys("listings/"):
        if key.endswith(".jpg"):
            studio.store.delete(key)
    studio.tick()
    assert "inbox/house-1/a.jpg" in studio.keys("inbox/")


def test_a_lost_cursor_costs_no_second_run(studio: Studio) -> None:
    studio.drop("house-1", "a.jpg")
    studio.tick()
    key = studio.requests[0].run_key
    assert studio.run("house-1").success
    studio.cursor = None
    studio.tick()
    assert [request.run_key for request in studio.requests] == [key], "Dagster launches a run key once"
    studio.tick()
    assert studio.keys("inbox/") == []


def test_an_unreadable_inbox_is_skipped_and_nothing_is_forgotten(
    local_studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    studio = local_studio
    studio.drop("house-1", "a.jpg")
    studio.tick()
    cursor = studio.cursor

    def broken(*_: object, **__: object) -> None:
        raise StoreError("can't list inbox/ in s3://bucket: timed out")

    monkeypatch.setattr(studio.store, "list", broken)
    result = studio.tick()
    assert isinstance(result, dg.SkipReason)
    assert "timed out" in str(result.skip_message)
    assert studio.cursor == cursor


def test_folders_that_can_be_no_listing_are_reported_and_stop_nobody(studio: Studio) -> None:
    studio.drop("12 Main St.", "a.jpg")
    studio.drop("house-1", "a.jpg")
    studio.tick()
    assert [request.partition_key for request in studio.requests] == ["house-1"]
    assert len(UploadCursor.parse(studio.cursor).reported) == 1
    assert studio.instance.get_dynamic_partitions("listings") == ["house-1"]


def test_runs_are_capped_and_the_rest_follows(local_studio: Studio) -> None:
    for number in range(5):
        local_studio.drop(f"house-{number}", "a.jpg")
    seen = []
    for _ in range(3):
        local_studio.tick(listings_per_tick=2)
        seen += [request.partition_key for request in local_studio.requests]
    assert sorted(seen) == [f"house-{number}" for number in range(5)]


def test_an_undeclared_drop_waits_for_quiet(local_studio: Studio) -> None:
    local_studio.drop("house-1", "a.jpg", ready=False)
    result = local_studio.tick()
    assert local_studio.requests == []
    assert "files may still be arriving" in str(result.skip_reason)  # type: ignore[union-attr]
    local_studio.tick(quiet_seconds=0)
    assert len(local_studio.requests) == 1


def test_priority_comes_from_the_listing(studio: Studio) -> None:
    studio.store.write("inbox/rush/listing.yaml", b"priority: 7\n")
    studio.drop("rush", "a.jpg")
    studio.store.write("inbox/odd/listing.yaml", b"priority: [\n")
    studio.drop("odd", "a.jpg")
    studio.tick()
    tags = {request.partition_key: request.tags for request in studio.requests}
    assert tags["rush"]["dagster/priority"] == "7"
    assert "dagster/priority" not in tags["odd"]


def test_a_huge_inbox_is_listed_in_slices(local_studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(4):
        local_studio.drop(f"house-{number}", "a.jpg", "b.jpg")
    clock = iter(range(10_000))
    monkeypatch.setattr(uploads.time, "monotonic", lambda: next(clock))
    objects, until, problems = read_inbox(local_studio.store, None, 5)
    assert until == "inbox/house-1/b.jpg"
    assert len(objects) == 6 and problems == []
    rest, end, _ = read_inbox(local_studio.store, until, 1e9)
    assert end is None
    assert {listed.key.split("/")[1] for listed in rest} == {"house-2", "house-3"}


def test_one_listing_of_endless_files_cannot_starve_the_others(
    local_studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    local_studio.drop("endless", *(f"{n:03}.jpg" for n in range(60)))
    local_studio.drop("house-1", "a.jpg")
    clock = iter(range(10_000))
    monkeypatch.setattr(uploads.time, "monotonic", lambda: next(clock))
    objects, until, [problem] = read_inbox(local_studio.store, None, 10)
    assert objects == [] and "inbox/endless has more files" in problem
    after, end, _ = read_inbox(local_studio.store, until, 1e9)
    assert [listed.key for listed in after] == ["inbox/house-1/_READY", "inbox/house-1/a.jpg"]
    assert end is None


def test_a_tick_over_a_large_store_reads_only_the_inbox(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(30):
        studio.store.write(f"listings/old-{number}/raw_photos/a.jpg", b"x")
        studio.store.write(f"handled/old-{number}/0123456789ab/a.jpg", b"x")
    studio.drop("house-1", "a.jpg")
    listed: list[str] = []
    whole = studio.store._backend.list
    monkeypatch.setattr(
        studio.store._backend, "list", lambda prefix, after: (listed.append(prefix), whole(prefix, after))[1]
    )
    began = time.monotonic()
    studio.tick()
    assert listed == ["inbox/"]
    assert time.monotonic() - began < 30
