"""CLIP as a judge on the ladder of seeds: does a staged room show what its caption says?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from listing_media_dagster.listing import Room, Verdict
from listing_media_dagster.models.captions import contrasts_for
from listing_media_dagster.models.clip import ClipScorer, judge
from listing_media_dagster.photo.encode import encode_jpeg
from listing_media_dagster.photo.stored import decode_stored
from listing_media_dagster.staging.back_ends import StagedRoom

STORED_QUALITY, SCORED_AT_PX = 95, 448


@dataclass(frozen=True)
class CaptionJudge:
    """Scores staged rooms with one encoder; `threshold` is a CLIPScore on the scale of OpenAI's ViT-B/32."""

    scorer: ClipScorer
    threshold: float

    def __call__(self, rooms: Sequence[StagedRoom]) -> list[Verdict]:
        """Return a verdict for each room: the one that the clip_scores stage reaches on the same picture."""
        scores = self.scorer.score(
            [as_scored(room.rgb) for room in rooms],
            [room.caption for room in rooms],
            [contrasts_for(Room(type=room.room_type), altered=True) for room in rooms],
        )
        verdicts = []
        for room, score in zip(rooms, scores, strict=True):
            verdict = judge(score.score, self.threshold, self.scorer.identity)
            seen = {"caption": room.caption, "cosine": score.cosine, "contrast": score.contrast}
            verdicts.append(verdict.model_copy(update={"evidence": {**verdict.evidence, **seen}}))
        return verdicts


def as_scored(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a picture as it is read when its delivery is decided on: stored as JPEG, decoded small."""
    data = encode_jpeg(rgb, STORED_QUALITY)
    stored = decode_stored(data, (rgb.shape[1], rgb.shape[0]), SCORED_AT_PX)
    assert stored is not None  # noqa: S101 - it was encoded two lines above
    return stored
