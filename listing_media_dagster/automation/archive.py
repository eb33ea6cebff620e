"""Archives listings nobody has touched for long: their partitions go, their media stay.

Dagster's pages and ticks slow down with every live partition. Nothing in the store is deleted; dropping photos for an
archived listing brings it back with everything it had.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Set
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg

from listing_media_dagster.automation.inbox import INBOX
from listing_media_dagster.automation.jobs import listing_media_job
from listing_media_dagster.automation.run_history import ListingRun, chain_of, latest_runs, listings_in_flight
from listing_media_dagster.automation.uploads import archive_record_key
from listing_media_dagster.partitions import listings
from listing_media_dagster.settings import settings
from listing_media_dagster.store.media_store import MediaStore, StoreError
from listing_media_dagster.store.photo_sets import MediaStoreResource

DELIVERED = "listing_package"
ARCHIVED_A_NIGHT = 200


@dataclass(frozen=True)
class ArchiveCandidate:
    """What must be known of a listing before it may be archived."""

    listing_id: str
    delivered: bool
    last_run: ListingRun | None
    has_drop: bool


def reason_to_keep(candidate: ArchiveCandidate, in_flight: Set[str], untouched_since: datetime) -> str | None:
    """Return why the listing stays, or None if it may be archived."""
    if candidate.listing_id in in_flight:
        return "a run of it is in flight"
    if candidate.has_drop:
        return "photos for it lie in the inbox"
    if not candidate.delivered:
        return "it was never delivered"
    run = candidate.last_run
    if run is not None and run.status is not dg.DagsterRunStatus.SUCCESS:
        return "its last run didn't succeed"
    if run is not None and max(run.created, run.ended or 0.0) >= untouched_since.timestamp():
        return "a run touched it lately"
    return None


def untouched_listings(
    instance: dg.DagsterInstance, assets: Mapping[str, str | None], untouched_since: datetime
) -> list[str]:
    """Return the listings of which no asset was materialized since then, those delivered the longest ago first.

    Two queries an asset: event ids grow with time, so the last one before that moment divides old from new.
    """
    latest: dict[str, int] = {}
    delivered: Mapping[str, int] = {}
    boundary = 0
    for asset in assets:
        key = dg.AssetKey.from_user_string(asset)
        ids = instance.event_log_storage.get_latest_storage_id_by_partition(
            key, dg.DagsterEventType.ASSET_MATERIALIZATION
        )
        delivered = ids if asset == DELIVERED else delivered
        for listing, storage_id in ids.items():
            latest[listing] = max(storage_id, latest.get(listing, 0))
        before = dg.AssetRecordsFilter(asset_key=key, before_timestamp=untouched_since.timestamp())
        newest_old = instance.fetch_materializations(before, limit=1).records
        boundary = max([boundary, *(record.storage_id for record in newest_old)])
    live = set(instance.get_dynamic_partitions(str(listings.name)))
    old = [listing for listing in live & delivered.keys() if latest[listing] <= boundary]
    return sorted(old, key=lambda listing: (delivered[listing], listing))


@dg.schedule(
    job=listing_media_job,
    cron_schedule="30 4 * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="At 04:30: removes the partitions of delivered listings untouched for LISTING_MEDIA_ARCHIVE_AFTER_DAYS;"
    " their media stay, and a new drop brings them back.",
)
def archive_old_listings(context: dg.ScheduleEvaluationContext, media: MediaStoreResource) -> dg.SkipReason:
    if context.repository_def is None:
        return dg.SkipReason("the code location isn't loaded, so it isn't known what a listing consists of")
    now = context.scheduled_execution_time or datetime.now(UTC)
    untouched_since = now - timedelta(days=settings().archive_after_days)
    chain, _ = chain_of(context.repository_def)
    archived, kept = [], 0
    try:
        store = media.store()
        for listing_id in untouched_listings(context.instance, chain, untouched_since)[:ARCHIVED_A_NIGHT]:
            reason = archive_listing(context.instance, store, listing_id, untouched_since, now)
            if reason is None:
                archived.append(listing_id)
            else:
                kept += 1
                context.log.info(f"{listing_id} isn't archived: {reason}")
    except StoreError as error:
        return dg.SkipReason(f"archived {len(archived)} listings, then the store failed: {error}")
    if archived:
        context.log.info(f"archived: {', '.join(archived)}")
    return dg.SkipReason(f"archived {len(archived)} listings, {kept} old ones stay")


def archive_listing(
    instance: dg.DagsterInstance, store: MediaStore, listing_id: str, untouched_since: datetime, now: datetime
) -> str | None:
    """Remove one listing's partition unless there is a reason to keep it; return that reason.

    Looks at everything again at the last moment: deleting a partition under a running step fails that step at its end.
    """
    candidate = ArchiveCandidate(
        listing_id=listing_id,
        delivered=True,
        last_run=next(iter(latest_runs(instance, listing_id, 1)), None),
        has_drop=next(iter(store.list(f"{INBOX}{listing_id}/")), None) is not None,
    )
    reason = reason_to_keep(candidate, listings_in_flight(instance), untouched_since)
    if reason is None:
        record = {
            "listing_id": listing_id,
            "archived_at": now.isoformat(),
            "how_to_bring_it_back": "drop photos for it",
        }
        store.write(archive_record_key(listing_id), json.dumps(record, indent=1).encode())
        instance.delete_dynamic_partition(str(listings.name), listing_id)
    return reason
