"""How a step that runs beside its run's main thread learns that it is to stop: signals reach the main thread alone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

_stops: dict[tuple[str, str], threading.Event] = {}


@contextmanager
def stoppable(run_id: str, step_key: str, stop: threading.Event) -> Iterator[None]:
    """Let the step find `stop` while the block runs."""
    _stops[run_id, step_key] = stop
    try:
        yield
    finally:
        del _stops[run_id, step_key]


def is_stopping(run_id: str, step_key: str) -> bool:
    stop = _stops.get((run_id, step_key))
    return stop is not None and stop.is_set()
