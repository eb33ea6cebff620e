"""Work functions that take a moment and no models, yet really alter and judge pictures: tidying, staging and so on.

They answer in the form of those they stand in for. A photo darker than 60 is refused by staging, one darker than 100 by
polishing. The source is a module of its own, so that a session elsewhere can be given it, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from listing_media_dagster.gpu.work.bench import Bench, Made, Task
from listing_media_dagster.gpu.work.pictures import decode_picture
from listing_media_dagster.photo.encode import encode_jpeg

CAPTION = "a photo of a room with a drawn box"
DONE: list[str] = []
"""What was done in this process: kind and item."""


def furnish_rooms(tasks: Sequence[Task], bench: Bench) -> Iterator[Made]:
    for task in tasks:
        room = _begun(task, "base", "stage")
        if room.mean() < 60:
            yield Made(outcome="refused", reason="too dark to be furnished")
            continue
        room[room.shape[0] // 2 :, 20:80] = (120, 60, 30)
        record = {
            "back_end": "drawn",
            "room_type": "bedroom",
            "caption": CAPTION,
            "passed_over": [],
            **_ledger("virtual_staging", task.item.seed),
        }
        yield Made(outputs={"staged.jpg": encode_jpeg(room, 95)}, record=record)


def declutter_rooms(tasks: Sequence[Task], bench: Bench) -> Iterator[Made]:
    for task in tasks:
        picture = _begun(task, "picture", "declutter")
        brighter = np.clip(picture.astype(np.int16) + 40, 0, 255).astype(np.uint8)
        yield Made(outputs={"altered.jpg": encode_jpeg(brighter, 95)}, record={**_ledger("object_removal", 1)})


def polish_pictures(tasks: Sequence[Task], bench: Bench) -> Iterator[Made]:
    for task in tasks:
        picture = _begun(task, "picture", "enhance")
        if picture.mean() < 100:
            yield Made(outcome="refused", reason="too dark to be polished")
            continue
        brighter = np.clip(picture.astype(np.int16) + 7, 0, 255).astype(np.uint8)
        yield Made(outputs={"altered.jpg": encode_jpeg(brighter, 95)}, record={**_ledger("diffusion_enhancement", 1)})


def score_pictures(tasks: Sequence[Task], bench: Bench) -> Iterator[Made]:
    for task in tasks:
        picture = _begun(task, "picture", "score")
        cosine = float(0.3 + picture.mean() / 10_000 + len(task.parameters["caption"]) / 1000)
        yield Made(record={"cosine": cosine, "score": 2.5 * cosine, "contrast": 0.9})


def _begun(task: Task, role: str, what: str) -> NDArray[np.uint8]:
    DONE.append(f"{what} {task.item.id}")
    return decode_picture(task.read(role)).copy()


def _ledger(name: str, seed: int) -> dict[str, Any]:
    operation = {
        "name": name,
        "version": "1",
        "tool": "stand-in",
        "seed": seed,
        "generative": name != "virtual_staging",
    }
    return {
        "operations": [operation],
        "verdicts": [{"gate": "structure", "outcome": "passed"}],
        "attempts": [{"seed": seed}],
    }


def put_in_place(set_attribute: Any = setattr) -> None:
    """Have these do the work in this process; a test's `monkeypatch.setattr` takes them away again."""
    from listing_media_dagster.gpu.work import alter, score, stage

    set_attribute(stage, "furnish_rooms", furnish_rooms)
    set_attribute(alter, "declutter_rooms", declutter_rooms)
    set_attribute(alter, "polish_pictures", polish_pictures)
    set_attribute(score, "score_pictures", score_pictures)
