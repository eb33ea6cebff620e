"""The CLIP benchmark's two ways agree on every score, so that its ratio compares like with like."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import clip
from listing_media_dagster_tests.helpers.tiny_clip import save_tiny_clip
from listing_media_dagster_tests.helpers.tiny_vision import on_one_thread


def test_ours_and_one_by_one_give_the_same_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    def tiny(folder: Path) -> Path:
        return save_tiny_clip(folder)

    monkeypatch.setattr(clip, "save_full_size_clip", tiny)
    with on_one_thread():
        result = clip.run(photos=5, size=(320, 240), rounds=1)
    assert result["largest_difference_of_cosines"] < 1e-4
    assert result["ratio"]["bar"] == 1.5 and result["ratio"]["cpu_s"] > 0 and result["photos"] == 5
    assert json.loads(json.dumps(result)) == result
