"""What runs again at night, decided on real run records and materializations."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import dagster as dg

from listing_media_dagster.automation.jobs import DROP_TAG
from listing_media_dagster.automation.nightly import ATTEMPTS, ListingState, StageState, plan_night
from listing_media_dagster.automation.run_history import ListingRun, code_digest
from listing_media_dagster_tests.automation.conftest import Studio

CHAIN = {"raw_photos": "1", "listing_package": "1"}
UPSTREAM = {"raw_photos": [], "listing_package": ["raw_photos"]}


def tonight() -> datetime:
    return datetime.now(UTC) + timedelta(hours=1)


def deliver(studio: Studio, *listings: str) -> None:
    for listing in listings:
        studio.drop(listing, "a.jpg")
    studio.tick()
    for listing in listings:
        studio.run(listing)
    studio.tick()


def test_listings_that_are_up_to_date_are_left_alone(local_studio: Studio) -> None:
    deliver(local_studio, "house-1", "house-2")
    assert local_studio.night(tonight()) == {}


def test_a_listing_without_any_run_is_run(local_studio: Studio) -> None:
    local_studio.instance.add_dynamic_partitions("listings", ["house-1"])
    [request] = local_studio.night(tonight()).values()
    assert request.partition_key == "house-1"
    assert "never made" in request.tags["listing_media/reason"]


def test_a_failed_listing_is_run_again_with_the_drop_it_failed_on(local_studio: Studio) -> None:
    local_studio.failing = {"house-1"}
    deliver(local_studio, "house-1", "house-2")
    drop = next(r.drop for r in runs_of(local_studio, "house-1"))
    requests = local_studio.night(tonight())
    assert list(requests) == ["house-1"]
    assert requests["house-1"].tags[DROP_TAG] == drop
    local_studio.failing = set()
    assert local_studio.run("house-1").success
    local_studio.tick()
    assert local_studio.keys("inbox/") == [], "the night's run took the drop in"
    assert local_studio.night(tonight() + timedelta(days=1)) == {}


def runs_of(studio: Studio, listing: str) -> list[ListingRun]:
    from listing_media_dagster.automation.run_history import latest_runs

    return latest_runs(studio.instance, listing, 10)


def test_a_new_drop_that_fails_on_a_delivered_listing_is_noticed(local_studio: Studio) -> None:
    deliver(local_studio, "house-1")
    local_studio.failing = {"house-1"}
    local_studio.drop("house-1", "b.jpg")
    local_studio.tick()
    local_studio.run("house-1")
    assert list(local_studio.night(tonight())) == ["house-1"]


def test_a_run_that_stopped_halfway_is_finished(local_studio: Studio) -> None:
    local_studio.drop("house-1", "a.jpg")
    local_studio.tick()
    local_studio.run("house-1", selection=["raw_photos"])
    requests = local_studio.night(tonight())
    assert requests["house-1"].tags["listing_media/reason"] == "listing_package never made"


def test_a_stage_older_than_what_it_is_made_from_is_made_again(local_studio: Studio) -> None:
    deliver(local_studio, "house-1")
    local_studio.run("house-1", selection=["raw_photos"])
    requests = local_studio.night(tonight())
    assert requests["house-1"].tags["listing_media/reason"] == "listing_package older than raw_photos"


def test_listings_made_by_older_code_are_made_again(local_studio: Studio) -> None:
    deliver(local_studio, "house-1")
    local_studio.code_version = "2"
    requests = local_studio.night(tonight())
    assert "made by other code" in requests["house-1"].tags["listing_media/reason"]
    local_studio.run("house-1")
    assert local_studio.night(tonight()) == {}


def test_a_listing_with_a_run_in_flight_is_left_alone(local_studio: Studio) -> None:
    local_studio.failing = {"house-1"}
    deliver(local_studio, "house-1")
    local_studio.unfinished_run("house-1", dg.DagsterRunStatus.QUEUED)
    assert local_studio.night(tonight()) == {}


def test_a_listing_that_keeps_failing_is_given_up_until_something_changes(local_studio: Studio) -> None:
    local_studio.failing = {"house-1"}
    deliver(local_studio, "house-1")
    attempts = 1
    for night in range(6):
        if not local_studio.night(tonight() + timedelta(days=night)):
            break
        local_studio.run("house-1")
        attempts += 1
    assert attempts == ATTEMPTS
    local_studio.code_version = "2"
    assert list(local_studio.night(tonight())) == ["house-1"], "other code may do better"
    local_studio.code_version = "1"
    assert local_studio.night(tonight()) == {}
    local_studio.drop("house-1", "b.jpg")
    local_studio.tick()
    assert len(local_studio.requests) == 1
    local_studio.run("house-1")
    assert list(local_studio.night(tonight())) == ["house-1"], "other photos may do better"


def test_a_cancelled_listing_waits_for_the_person_who_cancelled_it(local_studio: Studio) -> None:
    local_studio.instance.add_dynamic_partitions("listings", ["house-1"])
    local_studio.unfinished_run("house-1", dg.DagsterRunStatus.CANCELED)
    assert local_studio.night(tonight()) == {}


def test_an_archived_listing_is_not_run(local_studio: Studio) -> None:
    local_studio.failing = {"house-1"}
    deliver(local_studio, "house-1")
    local_studio.instance.delete_dynamic_partition("listings", "house-1")
    assert local_studio.night(tonight()) == {}


def test_each_night_asks_with_its_own_run_key(local_studio: Studio) -> None:
    local_studio.instance.add_dynamic_partitions("listings", ["house-1"])
    keys = {local_studio.night(tonight() + timedelta(days=n))["house-1"].run_key for n in range(2)}
    assert len(keys) == 2


# --- the decision alone -----------------------------------------------------------------------------------------------


def failed(listing: str, count: int, *, drop: str | None = "d", code: str | None = None) -> ListingState:
    code = code_digest(CHAIN) if code is None else code
    runs = [
        ListingRun(f"r{n}", listing, dg.DagsterRunStatus.FAILURE, 100.0 - n, None, drop, code or None)
        for n in range(count)
    ]
    return ListingState(listing, {}, runs)


def test_failed_listings_come_first_and_a_night_has_its_cap() -> None:
    states = [ListingState("a"), ListingState("b"), failed("z", 1), failed("y", 2)]
    run, left = plan_night(states, CHAIN, UPSTREAM, frozenset(), cap=3)
    assert list(run) == ["y", "z", "a"]
    assert left == {"b": "3 listings a night: next time"}


def test_runs_started_by_hand_count_as_failures_on_the_same_input() -> None:
    by_hand = ListingRun("h", "a", dg.DagsterRunStatus.FAILURE, 200.0, None, None, None)
    state = failed("a", 2)
    state = ListingState("a", {}, [by_hand, *state.runs])
    run, left = plan_night([state], CHAIN, UPSTREAM, frozenset())
    assert run == {} and "a person has to look" in left["a"]


def test_failures_on_other_photos_or_code_do_not_count() -> None:
    recent = failed("a", 1, drop="new")
    older = failed("a", 5, drop="old")
    run, _ = plan_night([ListingState("a", {}, [*recent.runs, *older.runs])], CHAIN, UPSTREAM, frozenset())
    assert list(run) == ["a"]
    run, _ = plan_night([failed("b", 5, code="an older release")], CHAIN, UPSTREAM, frozenset())
    assert list(run) == ["b"]


def test_one_success_among_the_failures_starts_the_count_again() -> None:
    state = failed("a", 5)
    success = ListingRun("s", "a", dg.DagsterRunStatus.SUCCESS, 99.5, None, "d", None)
    run, _ = plan_night(
        [ListingState("a", {}, [state.runs[0], success, *state.runs[1:]])], CHAIN, UPSTREAM, frozenset()
    )
    assert list(run) == ["a"]


def test_stages_in_order_need_nothing() -> None:
    stages = {"raw_photos": StageState(1, "1"), "listing_package": StageState(2, "1")}
    assert plan_night([ListingState("a", stages)], CHAIN, UPSTREAM, frozenset()) == ({}, {})
