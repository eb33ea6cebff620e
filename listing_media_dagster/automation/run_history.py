"""What the instance knows of listings' runs, read with as few queries as can be."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from datetime import UTC, datetime

import dagster as dg

from listing_media_dagster.automation.jobs import CODE_TAG, DROP_TAG, PARTITION_TAG
from listing_media_dagster.partitions import listings

IN_FLIGHT = (
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
    dg.DagsterRunStatus.MANAGED,
)
RANGE_TAG = "dagster/asset_partition_range_start"
ASKED_AT_ONCE = 200


@dataclass(frozen=True)
class ListingRun:
    """One run of one listing; times in POSIX seconds."""

    run_id: str
    listing_id: str
    status: dg.DagsterRunStatus
    created: float
    ended: float | None
    drop: str | None
    code: str | None

    @classmethod
    def of(cls, record: dg.RunRecord) -> ListingRun:
        run = record.dagster_run
        return cls(
            run_id=run.run_id,
            listing_id=run.tags.get(PARTITION_TAG, ""),
            status=run.status,
            created=record.create_timestamp.replace(tzinfo=record.create_timestamp.tzinfo or UTC).timestamp(),
            ended=record.end_time,
            drop=run.tags.get(DROP_TAG),
            code=run.tags.get(CODE_TAG),
        )


class EveryListing(Set[str]):
    """The set that holds whatever you ask for: a run over a range of partitions may concern any listing."""

    def __contains__(self, listing_id: object) -> bool:
        return True

    def __iter__(self) -> Iterator[str]:
        raise TypeError("every listing can't be enumerated")

    def __len__(self) -> int:
        raise TypeError("every listing can't be counted")


def listings_in_flight(instance: dg.DagsterInstance) -> Set[str]:
    """Return the listings with a run that is queued, running or being cancelled."""
    records = instance.get_run_records(dg.RunsFilter(statuses=list(IN_FLIGHT)))
    tags = [record.dagster_run.tags for record in records]
    if any(RANGE_TAG in run_tags for run_tags in tags):
        return EveryListing()
    return {run_tags[PARTITION_TAG] for run_tags in tags if PARTITION_TAG in run_tags}


def latest_runs(instance: dg.DagsterInstance, listing_id: str, limit: int) -> list[ListingRun]:
    """Return the listing's latest runs, the newest first."""
    records = instance.get_run_records(dg.RunsFilter(tags={PARTITION_TAG: listing_id}), limit=limit)
    return [ListingRun.of(record) for record in records]


def successful_runs(instance: dg.DagsterInstance, listing_ids: Collection[str], *, since: float) -> list[ListingRun]:
    """Return the runs of these listings that succeeded and were created after `since`, the newest first."""
    found: list[ListingRun] = []
    wanted = sorted(listing_ids)
    for start in range(0, len(wanted), ASKED_AT_ONCE):
        which = dg.RunsFilter(
            tags={PARTITION_TAG: wanted[start : start + ASKED_AT_ONCE]},
            statuses=[dg.DagsterRunStatus.SUCCESS],
            created_after=datetime.fromtimestamp(since, UTC),
        )
        found += [ListingRun.of(record) for record in instance.get_run_records(which)]
    return found


def successful_runs_for(instance: dg.DagsterInstance, fingerprints: Iterable[str]) -> list[ListingRun]:
    """Return the runs that succeeded for one of these drops, whenever that was."""
    found: list[ListingRun] = []
    wanted = sorted(fingerprints)
    for start in range(0, len(wanted), ASKED_AT_ONCE):
        which = dg.RunsFilter(
            tags={DROP_TAG: wanted[start : start + ASKED_AT_ONCE]}, statuses=[dg.DagsterRunStatus.SUCCESS]
        )
        found += [ListingRun.of(record) for record in instance.get_run_records(which)]
    return found


def code_digest(code_versions: Mapping[str, str | None]) -> str:
    """Return 16 hex digits that change whenever any asset's code version does."""
    rows = sorted(code_versions.items())
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:16]


def failed_listings(instance: dg.DagsterInstance, since: datetime) -> Set[str]:
    """Return the listings of which any run failed after `since`."""
    which = dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE], updated_after=since)
    return {
        record.dagster_run.tags[PARTITION_TAG]
        for record in instance.get_run_records(which)
        if PARTITION_TAG in record.dagster_run.tags
    }


def chain_of(repository: dg.RepositoryDefinition) -> tuple[dict[str, str | None], dict[str, list[str]]]:
    """Return the listing job's assets in pipeline order with their code versions, and what each is made from."""
    graph = repository.asset_graph
    selected = {key for key in graph.materializable_asset_keys if graph.get(key).partitions_def == listings}
    ordered = [key for key in graph.toposorted_asset_keys if key in selected]
    versions = {key.to_user_string(): graph.get(key).code_version for key in ordered}
    made_from = {
        key.to_user_string(): [up.to_user_string() for up in graph.get(key).parent_keys if up in selected]
        for key in ordered
    }
    return versions, made_from
