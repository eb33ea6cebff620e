"""CLIP scoring with a tiny model that was taught what to like: pass, fail, refuse, and never random weights."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from listing_media_dagster.disclosure.operations import image_of
from listing_media_dagster.listing import Room, RoomType
from listing_media_dagster.models.captions import ROOM_WORDS, SEEN_AS
from listing_media_dagster.models.clip import (
    ClipIdentity,
    ClipScorer,
    caption_for,
    contrasts_for,
    find_clip_weights,
    judge,
)
from listing_media_dagster.models.weights import BadWeights, ModelMissing
from listing_media_dagster_tests.helpers.tiny_clip import (
    Lesson,
    Rgb,
    save_clip_that_likes_bright_pictures,
    save_tiny_clip,
)

KITCHEN, BEDROOM = "a photo of a kitchen", "a photo of a bedroom"


def _picture(seed: int) -> Rgb:
    blocks = np.random.default_rng(seed).integers(0, 256, (4, 6, 3))
    return np.kron(blocks, np.ones((40, 40, 1))).astype(np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    lessons = [
        Lesson(_picture(1), KITCHEN, 0.40),
        Lesson(_picture(2), KITCHEN, 0.20),
        Lesson(_picture(3), BEDROOM, -0.3),
    ]
    return save_tiny_clip(tmp_path_factory.mktemp("tiny-clip"), lessons)


@pytest.fixture(scope="module")
def scorer(folder: Path) -> ClipScorer:
    return ClipScorer.load(folder, allow_test_weights=True)


OPENAI = ClipIdentity(model="ViT-B-32-quickgelu", pretrained="openai", weights_sha256="0" * 64)


def test_a_score_is_two_and_a_half_times_the_cosine_and_never_negative(scorer: ClipScorer) -> None:
    good, bad, opposite = scorer.score([_picture(1), _picture(2), _picture(3)], [KITCHEN, KITCHEN, BEDROOM])
    assert good.cosine == pytest.approx(0.40, abs=0.01) and good.score == pytest.approx(2.5 * good.cosine, abs=1e-4)
    assert bad.cosine == pytest.approx(0.20, abs=0.01)
    assert opposite.cosine == pytest.approx(-0.30, abs=0.01) and opposite.score == 0.0


def test_a_fitting_picture_passes_and_another_fails(scorer: ClipScorer) -> None:
    good, bad = scorer.score([_picture(1), _picture(2)], [KITCHEN, KITCHEN])
    assert judge(good.score, 0.75, scorer.identity).outcome == "passed"
    failed = judge(bad.score, 0.75, scorer.identity)
    assert failed.outcome == "failed" and "0.75" in failed.reason
    assert failed.evidence["weights_sha256"] == scorer.identity.weights_sha256
    assert failed.evidence["formula"] == "2.5*max(cos,0)"


def test_the_batch_a_picture_is_in_moves_its_score_by_its_last_digit_at_most(scorer: ClipScorer) -> None:
    """A value that lies between two digits is rounded to either: sums come out another way in another batch."""
    pictures = [_picture(seed) for seed in range(20)]
    alone = [scorer.score([picture], [KITCHEN])[0] for picture in pictures]
    for one, other in zip(scorer.score(pictures, [KITCHEN] * 20), alone, strict=True):
        assert one.cosine == pytest.approx(other.cosine, abs=1.1e-5)
        assert one.score == pytest.approx(other.score, abs=2.6e-5)
        assert one.contrast == pytest.approx(other.contrast, abs=1.1e-4)
    assert len({each.cosine for each in alone}) == 20, "a mix-up of pictures would go unnoticed"


def test_the_contrast_is_the_captions_share_among_the_others(scorer: ClipScorer) -> None:
    (against_same,) = scorer.score([_picture(1)], [KITCHEN], [[KITCHEN]])
    (alone,) = scorer.score([_picture(1)], [KITCHEN], [[]])
    (against_others,) = scorer.score([_picture(1)], [KITCHEN], [contrasts_for(Room(), altered=True)])
    assert (against_same.contrast, alone.contrast) == (0.5, 1.0)
    assert 0 < against_others.contrast < 0.5


def test_a_picture_without_a_caption_is_a_mistake(scorer: ClipScorer) -> None:
    with pytest.raises(ValueError, match="2 images"):
        scorer.score([_picture(1), _picture(2)], [KITCHEN])


def test_no_pictures_have_no_scores(scorer: ClipScorer) -> None:
    assert scorer.score([], []) == [] and scorer.classify_room([]) == []


@pytest.mark.parametrize("shape", [(1, 1, 3), (7, 900, 3), (600, 20, 3)])
def test_odd_sizes_are_scored(scorer: ClipScorer, shape: tuple[int, int, int]) -> None:
    (score,) = scorer.score([np.full(shape, 128, np.uint8)], [KITCHEN])
    assert -1 <= score.cosine <= 1


def test_one_threshold_doesnt_judge_another_encoder() -> None:
    other = OPENAI.model_copy(update={"pretrained": "laion400m_e32"})
    refused = judge(0.99, 0.75, other)
    assert refused.outcome == "not_scored" and "laion400m_e32" in refused.reason and refused.threshold is None
    calibrated = other.model_copy(update={"calibrated_threshold": 0.6})
    assert judge(0.61, 0.75, calibrated).outcome == "passed"
    assert judge(0.59, 0.75, calibrated).outcome == "failed"
    assert judge(0.59, 0.75, calibrated).threshold == 0.6


def test_openais_encoder_is_held_to_the_threshold_as_set() -> None:
    assert judge(0.75, 0.75, OPENAI).outcome == "passed"
    assert judge(0.7499, 0.75, OPENAI).outcome == "failed"
    assert judge(0.7499, 0.5, OPENAI).outcome == "passed"


def test_a_room_that_cant_be_told_stays_unknown(scorer: ClipScorer) -> None:
    assert scorer.classify_room([_picture(5)]) == [Room()]


@pytest.mark.parametrize("kind", [RoomType.STAIRS, RoomType.BEDROOM])
def test_a_room_that_is_plain_to_see_is_named_with_its_confidence(tmp_path: Path, kind: RoomType) -> None:
    (room,) = _taught_to_see(f"a photo of {SEEN_AS[kind][0]}.", tmp_path).classify_room([_picture(1)])
    assert (room.type, room.decided_by) == (kind, "CLIP")
    assert 0.9 <= room.confidence <= 1.0


def test_an_empty_room_is_not_guessed_at(tmp_path: Path) -> None:
    scorer = _taught_to_see("a photo of an empty unfurnished room.", tmp_path)
    assert scorer.classify_room([_picture(1)]) == [Room()]


def _taught_to_see(caption: str, folder: Path) -> ClipScorer:
    save_tiny_clip(folder, [Lesson(_picture(1), caption, 0.999)], logit_scale=1000.0)
    return ClipScorer.load(folder, allow_test_weights=True)


def test_every_kind_told_by_sight_has_a_reso_name_and_an_unknown_one_has_none() -> None:
    kinds = [kind for kind in SEEN_AS if kind is not RoomType.UNKNOWN]
    assert all(image_of(kind) for kind in kinds) and image_of(RoomType.UNKNOWN) is None
    assert (image_of(RoomType.LIVING_ROOM), image_of(RoomType.KITCHEN)) == ("Living Room", "Kitchen")


def test_weights_made_for_tests_are_refused_elsewhere(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(BadWeights, match="made for tests"):
        find_clip_weights(folder, tmp_path)
    with pytest.raises(BadWeights, match="made for tests"):
        ClipScorer.load(folder)
    found = find_clip_weights(folder, tmp_path, allow_test_weights=True)
    with pytest.raises(BadWeights, match="made for tests"):
        ClipScorer.load(found)
    assert ClipScorer.load(found, allow_test_weights=True).identity.test_only


def test_absent_weights_say_how_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="listing-media models pull clip-vit-b32"):
        find_clip_weights(None, tmp_path, hub_cache=tmp_path)
    with pytest.raises(ModelMissing, match=r"no open_clip_config\.json"):
        ClipScorer.load(tmp_path, allow_test_weights=True)


def test_a_cut_off_file_never_becomes_a_random_model(folder: Path, tmp_path: Path) -> None:
    cut = _copy(folder, tmp_path / "cut")
    whole = (cut / "open_clip_model.safetensors").read_bytes()
    (cut / "open_clip_model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadWeights, match="can't be loaded"):
        ClipScorer.load(cut, allow_test_weights=True)


def test_weights_of_another_shape_never_become_a_random_model(folder: Path, tmp_path: Path) -> None:
    other = _copy(folder, tmp_path / "other")
    config = json.loads((other / "open_clip_config.json").read_text())
    config["model_cfg"]["vision_cfg"]["layers"] = 2
    (other / "open_clip_config.json").write_text(json.dumps(config))
    with pytest.raises(BadWeights, match="can't be loaded"):
        ClipScorer.load(other, allow_test_weights=True)


def test_openais_weights_under_another_configuration_are_refused(folder: Path, tmp_path: Path) -> None:
    claimed = _copy(folder, tmp_path / "claimed")
    (claimed / "listing_media.json").write_text('{"pretrained": "openai"}')
    with pytest.raises(BadWeights, match="ViT-B-32-quickgelu"):
        ClipScorer.load(claimed)


def test_a_folder_of_unknown_origin_is_scored_but_not_judged(folder: Path, tmp_path: Path) -> None:
    unknown = _copy(folder, tmp_path / "unknown")
    (unknown / "listing_media.json").unlink()
    scorer = ClipScorer.load(find_clip_weights(unknown, tmp_path))
    (score,) = scorer.score([_picture(1)], [KITCHEN])
    verdict = judge(score.score, 0.75, scorer.identity)
    assert verdict.outcome == "not_scored" and "listing_media.json" in verdict.reason


def test_a_card_with_a_slip_names_the_field(folder: Path, tmp_path: Path) -> None:
    slipped = _copy(folder, tmp_path / "slipped")
    (slipped / "listing_media.json").write_text('{"pretraned": "openai"}')
    with pytest.raises(BadWeights, match="pretraned"):
        find_clip_weights(slipped, tmp_path)


def test_the_bright_loving_model_tells_bright_from_dark_for_any_caption(tmp_path: Path) -> None:
    scorer = ClipScorer.load(save_clip_that_likes_bright_pictures(tmp_path), allow_test_weights=True)
    bright, dark = np.full((300, 400, 3), 220, np.uint8), np.full((300, 400, 3), 25, np.uint8)
    for caption in (KITCHEN, caption_for(Room(type=RoomType.LIVING_ROOM), "modern", altered=True)):
        light, night = scorer.score([bright, dark], [caption, caption])
        assert judge(light.score, 0.75, scorer.identity).outcome == "passed"
        assert judge(night.score, 0.75, scorer.identity).outcome == "failed"


@pytest.mark.parametrize(
    ("room", "style", "altered", "caption"),
    [
        (RoomType.KITCHEN, None, False, "a photo of a kitchen"),
        (RoomType.LIVING_ROOM, "modern", False, "a photo of a living room"),
        (RoomType.LIVING_ROOM, "modern", True, "a photo of a modern living room with a sofa and a rug"),
        (RoomType.BEDROOM, "industrial_loft", True, "a photo of an industrial loft bedroom with a bed and nightstands"),
        (RoomType.HOME_OFFICE, None, True, "a photo of a home office with a desk and a chair"),
        (RoomType.ATTIC, "Rustic", True, "a photo of a rustic attic room with furniture"),
        (RoomType.EXTERIOR_FRONT, "modern", True, "a photo of the front of a house"),
        (RoomType.UNKNOWN, None, False, "a photo of a home"),
        (RoomType.BEDROOM, " ", True, "a photo of a bedroom with a bed and nightstands"),
    ],
)
def test_captions_say_what_should_be_visible(room: RoomType, style: str | None, altered: bool, caption: str) -> None:
    assert caption_for(Room(type=room), style, altered) == caption


def test_every_room_has_words_and_never_contrasts_with_itself() -> None:
    assert set(ROOM_WORDS) == set(RoomType)
    for kind in RoomType:
        assert caption_for(Room(type=kind), None, False) not in contrasts_for(Room(type=kind), altered=True)


def _copy(folder: Path, to: Path) -> Path:
    to.mkdir()
    for path in folder.iterdir():
        (to / path.name).write_bytes(path.read_bytes())
    return to
