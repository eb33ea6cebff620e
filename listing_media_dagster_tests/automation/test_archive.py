"""Archiving: partitions of old, delivered listings go; nothing in use, nothing in the store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from listing_media_dagster.automation import archive
from listing_media_dagster.automation.archive import ArchiveCandidate, reason_to_keep
from listing_media_dagster.automation.run_history import ListingRun
from listing_media_dagster_tests.automation.conftest import Studio
from listing_media_dagster_tests.automation.test_nightly import deliver

NEXT_YEAR = datetime.now(UTC) + timedelta(days=400)
NEXT_WEEK = datetime.now(UTC) + timedelta(days=7)


def partitions(studio: Studio) -> list[str]:
    return sorted(studio.instance.get_dynamic_partitions("listings"))


def test_an_old_delivered_listing_is_archived_and_its_media_stay(studio: Studio) -> None:
    deliver(studio, "house-1")
    before = set(studio.keys())
    assert "archived 1 listings" in studio.archive(NEXT_YEAR)
    assert partitions(studio) == []
    assert set(studio.keys()) == before | {"listings/house-1/archived.json"}


def test_a_listing_that_was_touched_lately_stays(local_studio: Studio) -> None:
    deliver(local_studio, "house-1")
    local_studio.archive(NEXT_WEEK)
    assert partitions(local_studio) == ["house-1"]


@pytest.mark.parametrize(
    "status", [dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED]
)
def test_a_listing_with_a_run_in_flight_is_never_archived(local_studio: Studio, status: dg.DagsterRunStatus) -> None:
    deliver(local_studio, "house-1")
    local_studio.unfinished_run("house-1", status)
    local_studio.archive(NEXT_YEAR)
    assert partitions(local_studio) == ["house-1"]


def test_a_run_that_starts_while_others_are_archived_saves_its_listing(
    local_studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver(local_studio, "house-1", "house-2")
    whole = archive.untouched_listings

    def look_then_launch(*args: object) -> list[str]:
        found = whole(*args)  # type: ignore[arg-type]
        local_studio.unfinished_run("house-2", dg.DagsterRunStatus.STARTED)
        return found

    monkeypatch.setattr(archive, "untouched_listings", look_then_launch)
    local_studio.archive(NEXT_YEAR)
    assert partitions(local_studio) == ["house-2"]


def test_undelivered_failed_and_dropped_listings_stay(local_studio: Studio) -> None:
    local_studio.failing = {"no-package package"}
    deliver(local_studio, "no-package", "failed-later", "dropped-again")
    local_studio.failing = {"failed-later"}
    local_studio.requests = []
    local_studio.run("failed-later")
    local_studio.drop("dropped-again", "new.jpg", ready=False)
    local_studio.instance.add_dynamic_partitions("listings", ["never-run"])
    local_studio.archive(NEXT_YEAR)
    assert partitions(local_studio) == ["dropped-again", "failed-later", "never-run", "no-package"]


def test_the_same_photos_dropped_again_bring_an_archived_listing_back(studio: Studio) -> None:
    deliver(studio, "house-1")
    first = studio.instance.get_runs()[0].tags["listing_media/drop"]
    studio.archive(NEXT_YEAR)
    studio.drop("house-1", "a.jpg")
    studio.tick()
    [request] = studio.requests
    assert partitions(studio) == ["house-1"]
    assert request.run_key != f"house-1:{first}", "Dagster would drop a run key it has seen"
    assert studio.run("house-1").success
    studio.tick()
    assert studio.keys("inbox/") == []


def test_every_reason_to_keep_is_told() -> None:
    now = datetime(2026, 11, 20, tzinfo=UTC)
    old = ListingRun("r", "a", dg.DagsterRunStatus.SUCCESS, now.timestamp() - 1e6, now.timestamp() - 1e6, None, None)
    ready = ArchiveCandidate("a", delivered=True, last_run=old, has_drop=False)
    assert reason_to_keep(ready, frozenset(), now) is None
    assert reason_to_keep(ready, {"a"}, now) == "a run of it is in flight"
    assert reason_to_keep(ArchiveCandidate("a", False, old, False), frozenset(), now) == "it was never delivered"
    assert reason_to_keep(ArchiveCandidate("a", True, old, True), frozenset(), now) == "photos for it lie in the inbox"
    recent = ListingRun("r", "a", dg.DagsterRunStatus.SUCCESS, old.created, now.timestamp() + 1, None, None)
    assert reason_to_keep(ArchiveCandidate("a", True, recent, False), frozenset(), now) == "a run touched it lately"
    broken = ListingRun("r", "a", dg.DagsterRunStatus.FAILURE, old.created, None, None, None)
    assert reason_to_keep(ArchiveCandidate("a", True, broken, False), frozenset(), now) == "its last run didn't succeed"
