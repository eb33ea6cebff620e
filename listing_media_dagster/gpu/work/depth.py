"""Depth: how near what is at each pixel of a picture, as a 16-bit PNG, 0 the farthest and 65535 the nearest.

An item has the input `picture`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from listing_media_dagster.gpu.work.bench import Bench, Made, Task
from listing_media_dagster.gpu.work.models import find_models, models_of
from listing_media_dagster.gpu.work.pictures import decode_picture
from listing_media_dagster.models.entry import Stage

PICTURE, NEARNESS = "picture", "nearness.png"


def measure_depth(tasks: Sequence[Task], bench: Bench) -> Iterator[Made]:
    from listing_media_dagster.models.depth import DepthAnything

    estimator, *_ = find_models(models_of(tasks[0].job), Stage.DEPTH, bench, DepthAnything, slow_cpu=True).any()
    for nearness in estimator.nearness([decode_picture(task.read(PICTURE)) for task in tasks]):
        levels = np.rint(np.clip(nearness, 0, 1) * 65535).astype(np.uint16)
        yield Made(
            outputs={NEARNESS: cv2.imencode(".png", levels)[1].tobytes()},
            record={"model": estimator.entry.id, "weights_sha256": estimator.weights_sha256},
        )
