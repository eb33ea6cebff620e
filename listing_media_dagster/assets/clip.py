"""The scoring encoder of this installation, loaded once a process; rooms and scores both ask it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from listing_media_dagster.models.clip import ClipScorer, find_clip_weights
from listing_media_dagster.models.weights import BadWeights, ModelMissing
from listing_media_dagster.settings import settings


@dataclass(frozen=True)
class NoScorer:
    """Why there is no encoder here, and how to get one."""

    reason: str


@lru_cache(maxsize=1)
def load_scorer() -> ClipScorer | NoScorer:
    """Return the encoder, or why it can't be had; nothing is downloaded here."""
    at = settings()
    try:
        return ClipScorer.load(find_clip_weights(at.clip_weights, at.models_dir.expanduser()))
    except (ModelMissing, BadWeights) as missing:
        return NoScorer(str(missing))
