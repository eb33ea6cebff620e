"""The run's own eye on whether it is still wanted: a run that nobody watches over any more must not go on working."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import wait

import dagster as dg

from listing_media_dagster.gpu.children import RUN_ID, kill_descendants

_SECONDS_TO_SAY_SO = 15.0


@contextmanager
def ended_with_its_owner(instance: dg.DagsterInstance, run_id: str, *, look_every: float = 5.0) -> Iterator[None]:
    """End this process, with all that it started, once its code server is gone or its run was ended by others.

    A run is a child of the code server. Without it nobody can cancel the run, and run monitoring takes it for lost and
    starts it again: then two would work on one listing and one GPU. The same if a run that didn't answer was marked as
    ended, which is looked for every `look_every` seconds. A run that no code server started (`listing-media run`) is
    left alone.
    """
    over = threading.Event()
    parent = multiprocessing.parent_process()
    if parent is not None:
        watched = (instance, run_id, parent.sentinel, look_every, over)
        threading.Thread(target=_watch, args=watched, name="run-watch", daemon=True).start()
    before = os.environ.get(RUN_ID)
    os.environ[RUN_ID] = run_id  # what the run starts is known by it
    try:
        yield
    finally:
        over.set()
        if before is None:
            del os.environ[RUN_ID]
        else:
            os.environ[RUN_ID] = before


def _watch(instance: dg.DagsterInstance, run_id: str, parent: int, look_every: float, over: threading.Event) -> None:
    while not over.is_set():
        if wait([parent], look_every):
            if not over.is_set():
                _end(instance, run_id, "its code server ended, and run monitoring will find that out")
            return
        if _ended_by_others(instance, run_id) and not over.is_set():
            _end(instance, run_id, "its record says that it has ended")


def _ended_by_others(instance: dg.DagsterInstance, run_id: str) -> bool:
    try:
        run = instance.get_run_by_id(run_id)
    except Exception:  # a database that can't be asked now says nothing about the run
        return False
    return run is None or run.is_finished


def _end(instance: dg.DagsterInstance, run_id: str, reason: str) -> None:
    kill_descendants()
    said = threading.Thread(target=_say, args=(instance, run_id, f"This run was stopped: {reason}."), daemon=True)
    said.start()
    said.join(_SECONDS_TO_SAY_SO)
    os.kill(os.getpid(), signal.SIGKILL)


def _say(instance: dg.DagsterInstance, run_id: str, what: str) -> None:
    # Not marked as failed here: Dagster would try to retry it while there is no code server, and never again.
    run = instance.get_run_by_id(run_id)
    if run is not None:
        instance.report_engine_event(what, run)
