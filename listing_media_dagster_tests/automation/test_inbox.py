"""Which drops become runs: decided without a store, a clock or Dagster."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from listing_media_dagster.automation.inbox import UploadCursor, group_drops, news, plan_tick
from listing_media_dagster.store.media_store import ListedObject

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOUR_AGO = NOON - timedelta(hours=1)


def put(key: str, etag: str = "1", size: int = 9, modified: datetime = HOUR_AGO) -> ListedObject:
    return ListedObject(f"inbox/{key}", size, etag, modified)


NEVER_TICKED = UploadCursor()


def tick(objects, cursor=NEVER_TICKED, now=NOON, quiet=120, cap=25, in_flight=frozenset(), until=None):  # type: ignore[no-untyped-def]
    return plan_tick(objects, cursor, now, quiet, cap, in_flight, until)


def requested(plan) -> list[str]:  # type: ignore[no-untyped-def]
    return [drop.listing_id for drop in plan.requests]


def test_a_declared_drop_is_taken_at_once() -> None:
    plan = tick([put("h/a.jpg"), put("h/_READY", size=0)])
    assert requested(plan) == ["h"]


def test_a_marker_that_arrives_before_the_last_photo_declares_nothing() -> None:
    plan = tick([put("h/a.jpg", modified=NOON), put("h/_READY", modified=NOON - timedelta(seconds=5))])
    assert requested(plan) == []
    assert "files may still be arriving" in plan.waiting["h"]


def test_an_undeclared_drop_is_taken_once_it_was_quiet_for_long_enough() -> None:
    arriving = [put("h/a.jpg", modified=NOON)]
    first = tick(arriving)
    assert requested(first) == []
    early = tick(arriving, first.cursor, NOON + timedelta(seconds=119))
    assert requested(early) == []
    assert requested(tick(arriving, early.cursor, NOON + timedelta(seconds=120))) == ["h"]


def test_files_that_keep_their_old_times_are_watched_before_they_are_believed() -> None:
    first = tick([put("h/a.jpg", modified=HOUR_AGO)])
    assert requested(first) == [], "an hour old by its time stamp, but seen for the first time"
    second = tick([put("h/a.jpg"), put("h/b.jpg")], first.cursor, NOON + timedelta(seconds=100))
    assert requested(second) == []
    third = tick([put("h/a.jpg"), put("h/b.jpg")], second.cursor, NOON + timedelta(seconds=130))
    assert requested(third) == [], "only 30 s since b.jpg came"
    assert requested(tick([put("h/a.jpg"), put("h/b.jpg")], third.cursor, NOON + timedelta(seconds=220))) == ["h"]


def test_a_clock_that_runs_ahead_delays_a_drop_no_longer_than_the_quiet_period() -> None:
    ahead = [put("h/a.jpg", modified=NOON + timedelta(days=2))]
    first = tick(ahead)
    assert requested(first) == []
    assert requested(tick(ahead, first.cursor, NOON + timedelta(seconds=121))) == ["h"]


def test_a_drop_is_requested_once_and_again_when_it_changes() -> None:
    drop = [put("h/a.jpg"), put("h/_READY")]
    first = tick(drop)
    again = tick(drop, first.cursor)
    assert requested(again) == []
    assert [settled.listing_id for settled in again.settle] == ["h"]
    assert requested(tick([put("h/a.jpg", etag="2"), put("h/_READY")], again.cursor)) == ["h"]
    assert requested(tick([*drop, put("h/b.jpg")], again.cursor)) == ["h"]


@pytest.mark.parametrize("change", [{"etag": "2"}, {"size": 10}])
def test_the_fingerprint_is_about_content(change: dict[str, object]) -> None:
    before = tick([put("h/a.jpg"), put("h/_READY")]).requests[0].fingerprint
    touched = tick([put("h/a.jpg", modified=HOUR_AGO - timedelta(days=1)), put("h/_READY", etag="other")])
    assert touched.requests[0].fingerprint == before
    assert tick([put("h/a.jpg", **change), put("h/_READY")]).requests[0].fingerprint != before  # type: ignore[arg-type]


def test_what_computers_leave_behind_is_no_change_and_no_drop() -> None:
    junk = [put("h/.DS_Store"), put("h/Thumbs.db"), put("h/__MACOSX/._a.jpg"), put("h/._a.jpg")]
    assert tick(junk).cursor.seen == {}
    bare = tick([put("h/a.jpg"), put("h/_READY")]).requests[0]
    littered = tick([put("h/a.jpg"), put("h/_READY"), *junk]).requests[0]
    assert bare.fingerprint == littered.fingerprint
    assert len(littered.objects) == 6, "they are put away with the drop all the same"


def test_a_listing_with_a_run_in_flight_waits() -> None:
    drop = [put("h/a.jpg"), put("h/_READY")]
    plan = tick(drop, in_flight={"h"})
    assert requested(plan) == []
    assert "in flight" in plan.waiting["h"]
    after = tick(drop, tick(drop).cursor, in_flight={"h"})
    assert after.settle == ()
    assert after.waiting["h"] == "its run isn't finished"


def test_a_tick_requests_no_more_than_its_cap_and_the_longest_waiting_first() -> None:
    drops = [
        put(f"house-{n}/{name}", modified=HOUR_AGO - timedelta(minutes=n)) for n in range(5) for name in ("a", "_READY")
    ]
    first = tick(drops, cap=2)
    assert requested(first) == ["house-4", "house-3"]
    assert len(first.waiting) == 3
    second = tick(drops, first.cursor, cap=2)
    assert requested(second) == ["house-2", "house-1"]
    assert requested(tick(drops, second.cursor, cap=2)) == ["house-0"]


def test_what_can_belong_to_no_listing_is_told_once_and_stops_nobody() -> None:
    objects = [
        put("loose.jpg"),
        put(".DS_Store"),
        put("12 Main St/a.jpg"),
        put("12 Main St/b.jpg"),
        put("../etc/a.jpg"),
        put("h/a.jpg"),
        put("h/tab\there.jpg"),
        put("h/_READY"),
    ]
    plan = tick(objects)
    assert requested(plan) == ["h"]
    assert [listed.key for listed in plan.requests[0].content] == ["inbox/h/a.jpg"]
    assert len(plan.problems) == 4
    assert any("'inbox/12 Main St'" in problem and "use 1 to 64 letters" in problem for problem in plan.problems)
    assert any("control character" in problem for problem in plan.problems)
    new, reported = news((), plan.problems, whole_inbox=True)
    assert len(new) == 4
    assert news(reported, plan.problems, whole_inbox=True) == ([], reported)
    assert news(reported, plan.problems[:1], whole_inbox=True) == ([], reported[:1]), "gone: forgotten"
    assert news(reported, (), whole_inbox=False) == ([], reported), "not looked at: remembered"


def test_a_drop_that_went_away_is_forgotten() -> None:
    first = tick([put("h/a.jpg"), put("h/_READY")])
    empty = tick([], first.cursor)
    assert empty.cursor.seen == {} and empty.cursor.requested == {}


def test_a_huge_inbox_is_worked_off_in_slices_without_forgetting_the_rest() -> None:
    slices = [[put("a/1"), put("a/_READY")], [put("b/1"), put("b/_READY")]]
    first = tick(slices[0], until="inbox/a/_READY")
    assert requested(first) == ["a"]
    second = tick(slices[1], first.cursor)
    assert requested(second) == ["b"]
    assert second.cursor.start_after is None
    third = tick(slices[0], second.cursor, until="inbox/a/_READY")
    assert requested(third) == [] and set(third.cursor.requested) == {"a", "b"}


def test_the_cursor_survives_a_round_trip_and_nonsense() -> None:
    cursor = tick([put("h/a.jpg"), put("h/_READY")]).cursor
    assert UploadCursor.parse(cursor.model_dump_json(exclude_defaults=True)) == cursor
    assert UploadCursor.parse("from another version") == UploadCursor()
    assert UploadCursor.parse(None) == UploadCursor()


def test_names_that_differ_only_in_case_are_two_listings() -> None:
    drops, _ = group_drops([put("House/a"), put("house/a")])
    assert [drop.listing_id for drop in drops] == ["House", "house"]
