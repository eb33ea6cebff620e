"""A process that has a job done on Kaggle and can be killed: python -m … JOB_FOLDER OUTBOX MEMORY.

MEMORY is the JSON of what it was told to remember; it goes on from there.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from listing_media_dagster.gpu.job import JobFolder
from listing_media_dagster.gpu.kaggle.client import BackOff
from listing_media_dagster.gpu.kaggle.drive import Patience
from listing_media_dagster.gpu.kaggle.outbox import Outbox
from listing_media_dagster.gpu.kaggle.shared_sessions import SharedSessions
from listing_media_dagster.gpu.kaggle.shipment import Limits
from listing_media_dagster.gpu.routes.route import Listener

if __name__ == "__main__":
    folder, outbox, memory = (Path(argument) for argument in sys.argv[1:])
    known = json.loads(memory.read_text()) if memory.exists() else None

    def say(line: str) -> None:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()

    def remember(what: dict[str, object]) -> None:
        memory.write_text(json.dumps(what))

    listener = Listener(say=say, item_done=lambda item: say(f"done {item}"), remember=remember)
    patience = Patience(tick=0.05, poll=0.2, poll_dataset=0.1, lost_push=2.0)
    limits, at_once = Limits(collect_seconds=0), BackOff(tries=5, first=0.02, longest=0.1)
    SharedSessions(Outbox(outbox), limits, patience, at_once).run(JobFolder(folder), listener, known)
