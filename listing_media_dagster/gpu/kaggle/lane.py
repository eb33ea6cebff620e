"""Runs on Kaggle: one process for one GPU works off its part of every job, models staying loaded from job to job.

What it says goes out as JSON lines: the worker's `ProgressLine` with the ticket that it is about.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from pathlib import Path

from listing_media_dagster.gpu.job import BadJob, JobFolder
from listing_media_dagster.gpu.kaggle.shipment import KAGGLES_LONGEST_SESSION, T4_MEMORY_GB
from listing_media_dagster.gpu.routes.route import Listener
from listing_media_dagster.gpu.work.bench import Bench
from listing_media_dagster.gpu.worker import Assignment, check_job, keep_standard_output, work_off
from listing_media_dagster.models.warm import WarmModels


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("lane", type=Path)
    parser.add_argument("--device", required=True)
    parser.add_argument("--models-dir", type=Path, required=True)
    parser.add_argument("--stop-after", type=float, required=True)
    given = parser.parse_args()
    stop_at = time.monotonic() + given.stop_after
    stopping: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: stopping.append(number))
    assignments = [each for place in sorted(given.lane.iterdir()) if (each := _assignment(JobFolder(place)))]
    bench = Bench(given.device, WarmModels(T4_MEMORY_GB, KAGGLES_LONGEST_SESSION), given.models_dir, has_shell=False)
    work_off(assignments, bench, stop_at=stop_at, is_stopping=lambda: bool(stopping))
    return 0


def _assignment(folder: JobFolder) -> Assignment | None:
    """Return the job as an assignment; one that this version can't do is refused by itself, and the others go on."""
    try:
        check_job(folder.job)
    except BadJob as bad:
        (folder.path / "refused.txt").write_text(str(bad))
        return None
    ticket = folder.path.name

    def item_done(item_id: str) -> None:
        result = folder.result_of(item_id)
        _write(ticket, event="item", item=item_id, outcome=result.outcome if result else "")

    return Assignment(folder, Listener(say=lambda line: _write(ticket, event="say", text=line), item_done=item_done))


def _write(ticket: str, **what: str) -> None:
    sys.stdout.write(json.dumps({"ticket": ticket, **what}) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    keep_standard_output()
    sys.exit(main())
