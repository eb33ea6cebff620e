"""The sensor that turns what people drop into the inbox into runs, and puts drops away once their run has succeeded.

It lists `inbox/` and nothing else, so a tick costs what lies there, however large the store has become. Decisions are
made by `inbox.plan_tick`; this reads, asks it, and yields.
"""

from __future__ import annotations

import json
import time
from collections.abc import Set
from datetime import UTC, datetime

import dagster as dg

from listing_media_dagster.automation.handled_drops import find_record, put_away, resume, run_that_took
from listing_media_dagster.automation.inbox import INBOX, Drop, TickPlan, UploadCursor, group_drops, news, plan_tick
from listing_media_dagster.automation.jobs import CODE_TAG, DROP_TAG, PRIORITY_TAG, listing_media_job
from listing_media_dagster.automation.run_history import (
    chain_of,
    code_digest,
    listings_in_flight,
    successful_runs,
    successful_runs_for,
)
from listing_media_dagster.automation.terminal_runs import end_lost_runs
from listing_media_dagster.listing import BadListing
from listing_media_dagster.listing_yaml import FILE_NAME, parse_listing_yaml
from listing_media_dagster.partitions import listings
from listing_media_dagster.settings import settings
from listing_media_dagster.store.media_store import ListedObject, MediaStore, StoreError
from listing_media_dagster.store.photo_sets import MediaStoreResource, PhotoSets

# A sensor's evaluation is cut off after 60 s; what these leave undone is done in the next tick.
LIST_SECONDS = 20.0
MOVE_SECONDS = 15.0


@dg.sensor(
    job=listing_media_job,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Runs a listing when its drop in the inbox is complete (_READY, or unchanged for a while).",
)
def listing_uploads(context: dg.SensorEvaluationContext, media: MediaStoreResource) -> dg.SensorResult | dg.SkipReason:
    now = datetime.now(UTC)
    cursor = UploadCursor.parse(context.cursor)
    try:
        store = media.store()
        objects, until, too_large = read_inbox(store, cursor.start_after, time.monotonic() + LIST_SECONDS)
    except StoreError as error:
        # Never taken for "the inbox is empty": that would forget every drop.
        return dg.SkipReason(f"the inbox can't be read: {error}")
    for lost in end_lost_runs(context.instance):
        context.log.warning(f"{lost}: its run by `listing-media run` was killed; it is marked as failed")
    in_flight = listings_in_flight(context.instance)
    deadline = time.monotonic() + MOVE_SECONDS
    objects, cursor, problems = _finish_moves(store, objects, cursor, deadline)
    at = settings()
    plan = plan_tick(objects, cursor, now, at.quiet_seconds, at.listings_per_tick, in_flight, until)
    moving, gone, more_problems = _put_away(context, store, media.photo_sets(), plan, now, deadline)
    new, reported = news(
        cursor.reported,
        (*too_large, *plan.problems, *problems, *more_problems),
        whole_inbox=cursor.start_after is None and until is None,
    )
    for problem in new:
        context.log.warning(problem)
    requested = {listing: drop for listing, drop in plan.cursor.requested.items() if listing not in gone}
    cursor = plan.cursor.model_copy(update={"moving": moving, "requested": requested, "reported": reported})
    requests = [_run_request(context, store, drop) for drop in plan.requests]
    return dg.SensorResult(
        run_requests=requests,
        skip_reason=None if requests else dg.SkipReason(_summary(plan, {*gone, *moving})),
        dynamic_partitions_requests=[listings.build_add_request([drop.listing_id for drop in plan.requests])]
        if requests
        else [],
        cursor=cursor.model_dump_json(exclude_defaults=True),
    )


def read_inbox(
    store: MediaStore, start_after: str | None, deadline: float
) -> tuple[list[ListedObject], str | None, list[str]]:
    """List the inbox after a key until `deadline` (monotonic seconds); return whole listings, where they end, problems.

    The end is None where the inbox was read to its end. A listing that the deadline cuts through is left for the next
    tick; one that fills a whole tick is passed over, so that it can't keep the others waiting for ever.
    """
    objects: list[ListedObject] = []
    for listed in store.list(INBOX, start_after=start_after):
        if time.monotonic() > deadline:
            folder = _folder(listed)
            whole = [earlier for earlier in objects if _folder(earlier) != folder]
            if whole:
                return whole, whole[-1].key, []
            if time.monotonic() > deadline + LIST_SECONDS / 2:
                problem = (
                    f"{INBOX}{folder} has more files than can be listed in a tick ({len(objects)} so far): split it"
                )
                return [], f"{INBOX}{folder}0", [problem]  # '0' is what follows '/': everything else comes after it
        objects.append(listed)
    return objects, None, []


def _folder(listed: ListedObject) -> str:
    return listed.key.removeprefix(INBOX).partition("/")[0]


def _finish_moves(
    store: MediaStore, objects: list[ListedObject], cursor: UploadCursor, deadline: float
) -> tuple[list[ListedObject], UploadCursor, list[str]]:
    """Go on with moves that ran out of time; return what is left in the inbox for the plan."""
    if not cursor.moving:
        return objects, cursor, []
    moving, problems = dict(cursor.moving), []
    drops = {drop.listing_id: drop for drop in group_drops(objects)[0]}
    taken: set[str] = set()
    for listing_id, fingerprint in cursor.moving.items():
        drop = drops.get(listing_id)
        try:
            record = find_record(store, listing_id, fingerprint) if drop else None
            if drop is None or record is None:
                del moving[listing_id]
                continue
            taken |= {listed.key for listed in record.split(drop)[0]}
            if resume(store, drop, record, deadline):
                del moving[listing_id]
        except StoreError as error:
            problems.append(f"the handled drop of {listing_id} can't be put away: {error}")
    left = [listed for listed in objects if listed.key not in taken]
    return left, cursor.model_copy(update={"moving": moving}), problems


def _put_away(
    context: dg.SensorEvaluationContext,
    store: MediaStore,
    photo_sets: PhotoSets,
    plan: TickPlan,
    now: datetime,
    deadline: float,
) -> tuple[dict[str, str], set[str], list[str]]:
    """Put away drops whose run succeeded; return moves that go on next tick, listings whose drop is gone, problems."""
    moving, left, problems = dict(plan.cursor.moving), set[str](), list[str]()
    if not plan.settle:
        return moving, left, problems
    since = {drop.listing_id: plan.cursor.seen[drop.listing_id].since for drop in plan.settle}
    runs = [
        *successful_runs_for(context.instance, {drop.fingerprint for drop in plan.settle}),
        *successful_runs(context.instance, since.keys(), since=min(since.values())),
    ]
    for drop in plan.settle:
        if drop.listing_id in moving or time.monotonic() > deadline:
            continue
        try:
            # Of a drop that was put away and delivered again, the run before says nothing.
            again = find_record(store, drop.listing_id, drop.fingerprint)
            news_since = again.handled_at.timestamp() if again else 0.0
            run = run_that_took(drop, since[drop.listing_id], [run for run in runs if run.created >= news_since])
            if run is None:
                continue
            raw_photos = photo_sets.find(drop.listing_id, "raw_photos")
            if raw_photos is None:
                continue
            gone, problem = put_away(store, drop, run, raw_photos, now, deadline)
        except StoreError as error:
            gone, problem = False, f"the handled drop of {drop.listing_id} can't be put away: {error}"
        if problem:
            problems.append(problem)
        elif gone and run is not None:
            left.add(drop.listing_id)
            context.log.info(f"{drop.prefix}: {len(drop.objects)} files put away, run {run.run_id} took them in")
        if not gone and find_record(store, drop.listing_id, drop.fingerprint):
            moving[drop.listing_id] = drop.fingerprint
    return moving, left, problems


def _run_request(context: dg.SensorEvaluationContext, store: MediaStore, drop: Drop) -> dg.RunRequest:
    tags = {DROP_TAG: drop.fingerprint}
    if context.repository_def is not None:
        tags[CODE_TAG] = code_digest(chain_of(context.repository_def)[0])
    priority = _priority(store, drop)
    if priority:
        tags[PRIORITY_TAG] = str(priority)
    return dg.RunRequest(
        run_key=f"{drop.listing_id}:{drop.fingerprint}{_return_suffix(store, drop)}",
        partition_key=drop.listing_id,
        tags=tags,
    )


def _priority(store: MediaStore, drop: Drop) -> int:
    """Read the run's place in the queue from listing.yaml; a bad file fails in its run, where the reason is shown."""
    listed = next((o for o in drop.content if drop.name(o) == FILE_NAME), None)
    if listed is None:
        return 0
    try:
        return parse_listing_yaml(store.read(listed.key), drop.listing_id).priority
    except (BadListing, StoreError):
        return 0


def _return_suffix(store: MediaStore, drop: Drop) -> str:
    """Give a drop that was put away before, or whose listing comes back from the archive, a run key of its own.

    Dagster drops a run key it has ever seen, and in a bucket the same photos have the same etags: what is delivered
    again, such as a photo taken back to what it was two drops ago, would never be run.
    """
    try:
        record = find_record(store, drop.listing_id, drop.fingerprint)
        handled = f":{record.handled_at.isoformat()}" if record else ""
        key = archive_record_key(drop.listing_id)
        return f"{handled}:{json.loads(store.read(key))['archived_at']}" if store.exists(key) else handled
    except (StoreError, ValueError, KeyError):
        return ""


def archive_record_key(listing_id: str) -> str:
    return f"listings/{listing_id}/archived.json"


UNTAKEN = "its run failed or was cancelled: run it again in the UI, or put a corrected drop there"


def _summary(plan: TickPlan, put_away: Set[str]) -> str:
    untaken = {drop.listing_id: UNTAKEN for drop in plan.settle if drop.listing_id not in put_away}
    staying = {**plan.waiting, **untaken}
    if not staying:
        return "nothing new in the inbox"
    parts = [f"{listing}: {reason}" for listing, reason in list(staying.items())[:10]]
    more = len(staying) - 10
    return "; ".join(parts) + (f"; and {more} more stay" if more > 0 else "")
