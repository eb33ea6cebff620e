"""Every night: run again the listings that failed, stopped halfway, or were made by older code.

Whatever a stage made before is reused per photo, so running a whole listing again costs only what is missing.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import dagster as dg

from listing_media_dagster.automation.jobs import CODE_TAG, DROP_TAG, listing_media_job
from listing_media_dagster.automation.run_history import (
    ListingRun,
    chain_of,
    code_digest,
    failed_listings,
    latest_runs,
    listings_in_flight,
)
from listing_media_dagster.partitions import listings

RUNS_A_NIGHT = 200
ATTEMPTS = 3  # runs that fail alike, on the same drop and code, before a person has to look
VERSION_SECONDS = 25.0  # of the 60 s a schedule may take to decide
EVENTS_AT_ONCE = 500
FAILURES_LOOKED_BACK = timedelta(days=14)


@dataclass(frozen=True)
class StageState:
    """The latest materialization of one asset for one listing: its place in the event log and its code version."""

    storage_id: int
    code_version: str | None


@dataclass(frozen=True)
class ListingState:
    """What is known of one listing; `stages` holds the assets that were ever materialized, `runs` newest first."""

    listing_id: str
    stages: Mapping[str, StageState] = field(default_factory=dict)
    runs: Sequence[ListingRun] = ()


def reason_to_run(
    state: ListingState, chain: Mapping[str, str | None], upstream: Mapping[str, Sequence[str]]
) -> str | None:
    """Return why the listing isn't up to date, or None if it is.

    `chain` maps each asset to its code version, `upstream` to the assets it is made from.
    """
    if state.runs and state.runs[0].status is dg.DagsterRunStatus.FAILURE:
        return "its last run failed"
    missing = [asset for asset in chain if asset not in state.stages]
    if missing:
        return f"{', '.join(missing)} never made"
    changed = [asset for asset, version in chain.items() if state.stages[asset].code_version != version]
    if changed:
        return f"{', '.join(changed)} made by other code"
    for asset in chain:
        newer = [up for up in upstream[asset] if state.stages[up].storage_id > state.stages[asset].storage_id]
        if newer:
            return f"{asset} older than {', '.join(newer)}"
    return None


def reason_to_leave(state: ListingState, code: str, attempts: int = ATTEMPTS) -> str | None:
    """Return why the listing isn't run again although it isn't up to date, or None.

    A failing listing is given up after `attempts` failures in a row on the same input: the same drop and the same code.
    A run somebody started by hand carries neither tag and counts as one more failure on that input.
    """
    if state.runs and state.runs[0].status is dg.DagsterRunStatus.CANCELED:
        return "its last run was cancelled by a person"
    latest = state.runs[:attempts]
    if len(latest) < attempts or any(run.status is not dg.DagsterRunStatus.FAILURE for run in latest):
        return None
    drop = next((run.drop for run in state.runs if run.drop), None)
    alike = all(run.drop in (drop, None) and run.code in (code, None) for run in latest)
    return f"{attempts} runs failed on the same photos and code: a person has to look" if alike else None


def plan_night(
    states: Iterable[ListingState],
    chain: Mapping[str, str | None],
    upstream: Mapping[str, Sequence[str]],
    in_flight: Set[str],
    cap: int = RUNS_A_NIGHT,
    attempts: int = ATTEMPTS,
) -> tuple[dict[str, str], dict[str, str]]:
    """Return (listing -> why it is run, listing -> why it is left), failed ones first, at most `cap` to run."""
    code = code_digest(chain)
    wanted: list[tuple[bool, str, str]] = []
    left: dict[str, str] = {}
    for state in states:
        reason = reason_to_run(state, chain, upstream)
        if reason is None:
            continue
        if state.listing_id in in_flight:
            left[state.listing_id] = "a run of it is in flight"
        elif refusal := reason_to_leave(state, code, attempts):
            left[state.listing_id] = refusal
        else:
            failed = bool(state.runs) and state.runs[0].status is dg.DagsterRunStatus.FAILURE
            wanted.append((not failed, state.listing_id, reason))
    wanted.sort()
    left |= {listing: f"{cap} listings a night: next time" for _, listing, _ in wanted[cap:]}
    return {listing: reason for _, listing, reason in wanted[:cap]}, left


@dg.schedule(
    job=listing_media_job,
    cron_schedule="0 2 * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="At 02:00: runs listings again that failed, stopped halfway or were made by older code.",
)
def nightly_backfill(context: dg.ScheduleEvaluationContext) -> list[dg.RunRequest] | dg.SkipReason:
    if context.repository_def is None:
        return dg.SkipReason("the code location isn't loaded, so it isn't known what a listing consists of")
    chain, upstream = chain_of(context.repository_def)
    instance = context.instance
    when = context.scheduled_execution_time or datetime.now(UTC)
    states = read_states(instance, chain, upstream, since=when - FAILURES_LOOKED_BACK)
    run, left = plan_night(states, chain, upstream, listings_in_flight(instance))
    for listing, reason in left.items():
        context.log.info(f"{listing} is left alone: {reason}")
    if not run:
        return dg.SkipReason(f"every listing is up to date, or left alone ({len(left)})")
    runs = {state.listing_id: state.runs for state in states}
    return [_request(listing, reason, runs[listing], code_digest(chain), when) for listing, reason in run.items()]


def _request(listing_id: str, reason: str, runs: Sequence[ListingRun], code: str, when: datetime) -> dg.RunRequest:
    tags = {CODE_TAG: code, "listing_media/reason": reason[:200]}
    drop = next((run.drop for run in runs if run.drop), None)
    if drop:
        tags[DROP_TAG] = drop
    return dg.RunRequest(run_key=f"nightly:{when:%Y-%m-%d}:{listing_id}", partition_key=listing_id, tags=tags)


def made_by_other_code(
    instance: dg.DagsterInstance, asset: dg.AssetKey, latest: Mapping[str, int], version: str | None, deadline: float
) -> dict[str, str | None]:
    """Return listing -> code version where the latest materialization has another than `version`.

    `latest` maps listings to storage ids. Dagster indexes no code version by partition, so the events themselves are
    read, the oldest first, since those are the ones a release leaves behind; until `deadline` (monotonic seconds), or
    until a night's work is found.
    """
    oldest_first = sorted(latest, key=lambda listing: latest[listing])
    found: dict[str, str | None] = {}
    for start in range(0, len(oldest_first), EVENTS_AT_ONCE):
        if time.monotonic() > deadline or len(found) >= RUNS_A_NIGHT:
            break
        ids = [latest[listing] for listing in oldest_first[start : start + EVENTS_AT_ONCE]]
        which = dg.AssetRecordsFilter(asset_key=asset, storage_ids=ids)
        for record in instance.fetch_materializations(which, limit=EVENTS_AT_ONCE).records:
            event = record.asset_materialization
            made_by = ((event.tags if event else None) or {}).get("dagster/code_version")
            if made_by != version and record.partition_key is not None:
                found[record.partition_key] = made_by
    return found


def read_states(
    instance: dg.DagsterInstance,
    chain: Mapping[str, str | None],
    upstream: Mapping[str, Sequence[str]],
    *,
    since: datetime,
    attempts: int = ATTEMPTS,
) -> list[ListingState]:
    """Read the listings that may need a run: some queries an asset, and one for each listing that isn't up to date."""
    stages: dict[str, dict[str, StageState]] = {
        listing: {} for listing in instance.get_dynamic_partitions(str(listings.name))
    }
    log = instance.event_log_storage
    deadline = time.monotonic() + VERSION_SECONDS
    for asset, version in chain.items():
        key = dg.AssetKey.from_user_string(asset)
        ids = log.get_latest_storage_id_by_partition(key, dg.DagsterEventType.ASSET_MATERIALIZATION)
        live = {listing: storage_id for listing, storage_id in ids.items() if listing in stages}
        others = made_by_other_code(instance, key, live, version, deadline)
        for listing, storage_id in live.items():
            stages[listing][asset] = StageState(storage_id, others.get(listing, version))
    failed = failed_listings(instance, since)
    states = []
    for listing, known in stages.items():
        state = ListingState(listing, known)
        if listing in failed or reason_to_run(state, chain, upstream):
            states.append(ListingState(listing, known, latest_runs(instance, listing, max(attempts, 5))))
    return states
