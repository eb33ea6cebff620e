"""Runs that `listing-media run` executes in its own process, and how to tell that one was lost.

No launcher started them, so Dagster's run monitoring asks nobody about them: one whose process was killed would be
"started" for ever, and every later drop of its listing would wait for it. Such a run is told by a file lock that the
kernel drops with its process.
"""

from __future__ import annotations

import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg

from listing_media_dagster.automation.jobs import PARTITION_TAG
from listing_media_dagster.gpu.file_lock import lock_if_free

PROCESS_TAG = "listing_media/terminal"
"""Host and name of the lock. A host judges its own runs alone: it can't see the locks of others."""
_UNFINISHED = (
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
)


@contextmanager
def held_by_this_process(instance: dg.DagsterInstance) -> Iterator[dict[str, str]]:
    """Give the tags of a run that this process executes while the block lasts."""
    name = uuid.uuid4().hex
    lock = _lock(instance, name)
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        lock_if_free(file.fileno())  # nobody else knows the name
        try:
            # Dagster can't start such a run again: it doesn't know where its job would be loaded from.
            yield {PROCESS_TAG: f"{socket.gethostname()}/{name}", "dagster/max_retries": "0"}
        finally:
            lock.unlink(missing_ok=True)


def end_lost_runs(instance: dg.DagsterInstance) -> list[str]:
    """Mark runs as failed whose process on this host is gone; return the listings they were of."""
    ended = []
    for record in instance.get_run_records(dg.RunsFilter(statuses=list(_UNFINISHED))):
        run = record.dagster_run
        host, _, name = run.tags.get(PROCESS_TAG, "").partition("/")
        if not name or host != socket.gethostname() or _is_held(_lock(instance, name)):
            continue
        instance.report_run_failed(run, "the process of `listing-media run` that executed it is gone")
        _lock(instance, name).unlink(missing_ok=True)
        ended.append(run.tags.get(PARTITION_TAG, run.run_id))
    return ended


def _lock(instance: dg.DagsterInstance, name: str) -> Path:
    return Path(instance.root_directory) / "terminal-runs" / f"{name}.lock"


def _is_held(lock: Path) -> bool:
    try:
        with lock.open() as file:
            return not lock_if_free(file.fileno())
    except FileNotFoundError:
        return False
