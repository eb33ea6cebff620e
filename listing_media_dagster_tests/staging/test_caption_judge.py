"""CLIP on the ladder of seeds says what the clip_scores stage says of the stored picture."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from listing_media_dagster.listing import RoomType
from listing_media_dagster.staging.back_ends import Progress, StagedRoom
from listing_media_dagster.staging.caption_judge import SCORED_AT_PX, STORED_QUALITY, CaptionJudge, as_scored
from listing_media_dagster.staging.seeds import furnish_until_accepted

pytest.importorskip("open_clip")

from listing_media_dagster.gpu.work.pictures import decode_picture
from listing_media_dagster.models.clip import ClipScorer
from listing_media_dagster.photo.encode import encode_jpeg
from listing_media_dagster_tests.helpers.tiny_clip import save_clip_that_likes_bright_pictures


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> CaptionJudge:
    folder = save_clip_that_likes_bright_pictures(tmp_path_factory.mktemp("clip"))
    return CaptionJudge(ClipScorer.load(folder, allow_test_weights=True), threshold=0.75)


def picture(level: int, size: tuple[int, int] = (700, 1000)) -> NDArray[np.uint8]:
    noise = np.random.default_rng(level).normal(0, 12, (*size, 3))
    return np.asarray(np.clip(level + noise, 0, 255), np.uint8)


class Brightening:
    """A room that comes out brighter with each seed."""

    def furnish(self, seed: int, progress: Progress) -> StagedRoom:
        return StagedRoom(picture(30 + 100 * seed), (), RoomType.BEDROOM, "a photo of a bedroom with a bed")


def test_what_is_scored_is_what_will_be_read_back_from_the_store() -> None:
    rgb = picture(120)
    assert np.array_equal(as_scored(rgb), decode_picture(encode_jpeg(rgb, STORED_QUALITY), at_most=SCORED_AT_PX))
    assert as_scored(rgb).shape == (350, 500, 3)


def test_the_first_picture_that_shows_its_caption_is_taken_with_the_score_the_stage_will_find(
    judge: CaptionJudge,
) -> None:
    made, attempts = furnish_until_accepted(Brightening(), 0, lambda what: None, judge)
    (verdict,) = made.verdicts
    assert [attempt.rejected is None for attempt in attempts] == [False, False, True][-len(attempts) :]
    assert attempts[0].rejected is not None and "doesn't show enough of its caption" in attempts[0].rejected
    stored = decode_picture(encode_jpeg(made.rgb, STORED_QUALITY), at_most=SCORED_AT_PX)
    (later,) = judge.scorer.score([stored], [made.caption])
    assert verdict.score == later.score == attempts[-1].score and verdict.evidence["caption"] == made.caption
