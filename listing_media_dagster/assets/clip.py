"""The scoring encoder of this installation, loaded once a process; rooms and scores both ask it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from listing_media_dagster.gpu.job import ModelRef
from listing_media_dagster.gpu.routes.here import models_here
from listing_media_dagster.gpu.work.score import scorer_key
from listing_media_dagster.models.clip import CLIP_MODEL_ID, ClipIdentity, ClipScorer, find_clip_weights
from listing_media_dagster.models.weights import BadWeights, ModelMissing
from listing_media_dagster.settings import settings


@dataclass(frozen=True)
class NoScorer:
    """Why there is no encoder here, and how to get one."""

    reason: str


def find_scorer() -> ModelRef | None:
    """Return which encoder a job is to score with, without loading it; None if its weights aren't here."""
    at = settings()
    try:
        found = find_clip_weights(at.clip_weights, at.models_dir.expanduser())
    except (ModelMissing, BadWeights):
        return None
    return ModelRef(id=CLIP_MODEL_ID, revision=found.revision, weights_sha256=found.weights_sha256)


def model_ref(identity: ClipIdentity) -> ModelRef:
    """Return how a job names a loaded encoder."""
    return ModelRef(id=CLIP_MODEL_ID, revision=identity.revision, weights_sha256=identity.weights_sha256)


@lru_cache(maxsize=1)
def load_scorer() -> ClipScorer | NoScorer:
    """Return the encoder, or why it can't be had; nothing is downloaded here."""
    at = settings()
    try:
        found = find_clip_weights(at.clip_weights, at.models_dir.expanduser())
        # Kept where jobs worked off in this process look for it.
        model = ModelRef(id=CLIP_MODEL_ID, revision=found.revision, weights_sha256=found.weights_sha256)
        return models_here().get(scorer_key(model), lambda: ClipScorer.load(found))
    except (ModelMissing, BadWeights) as missing:
        return NoScorer(str(missing))
