"""Scoring: how well pictures show what their captions say, with the encoder that the job names.

An item has the input `picture` and the parameters `caption` and `contrasts` (see `models.captions`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from listing_media_dagster.gpu.job import BadJob, ModelRef
from listing_media_dagster.gpu.work.bench import Bench, Made, Task
from listing_media_dagster.gpu.work.pictures import decode_picture
from listing_media_dagster.models.clip import CLIP_MODEL_ID, ClipScorer

PICTURE = "picture"
AT_MOST_PX = 448
"""Pictures are decoded this small: the encoder sees 224 px."""


def score_pictures(tasks: Sequence[Task], bench: Bench) -> Iterator[Made]:
    """Yield each picture's cosine, score and contrast, with the encoder's identity."""
    scorer = scorer_of(tasks[0].job.model, bench)
    scores = scorer.score(
        [decode_picture(task.read(PICTURE), at_most=AT_MOST_PX) for task in tasks],
        [task.parameters["caption"] for task in tasks],
        [task.parameters["contrasts"] for task in tasks],
    )
    for score in scores:
        yield Made(record={**score._asdict(), "scorer": scorer.identity.model_dump(mode="json")})


def scorer_of(model: ModelRef | None, bench: Bench) -> ClipScorer:
    """Return the encoder, warm if it can be. Raises `BadJob`, `ModelMissing` or `BadWeights`."""
    if model is None or model.id != CLIP_MODEL_ID:
        raise BadJob(f"pictures are scored with {CLIP_MODEL_ID}, not {model.id if model else 'no model'}")
    return bench.models.get(
        scorer_key(model), lambda: ClipScorer.load(bench.find_weights(model.id, model.weights_sha256), bench.device)
    )


def scorer_key(model: ModelRef) -> str:
    """Return what the loaded encoder is kept under."""
    return f"{model.id}@{model.weights_sha256}"
