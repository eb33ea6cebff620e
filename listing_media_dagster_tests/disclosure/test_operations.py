"""Whatever may change pixels has words for people, fields for MLS systems and one honest source type."""

from __future__ import annotations

import pytest

from listing_media_dagster.disclosure import operations as table
from listing_media_dagster.disclosure.operations import DigitalSourceType, MediaAlteration
from listing_media_dagster.listing import Operation, OperationName, RoomType

ALTERING = {
    OperationName.SKY_REPLACEMENT,
    OperationName.LAWN_GREENING,
    OperationName.TWILIGHT_CONVERSION,
    OperationName.OBJECT_REMOVAL,
    OperationName.VIRTUAL_STAGING,
    OperationName.VIRTUAL_RENOVATION,
    OperationName.DIFFUSION_ENHANCEMENT,
    OperationName.DIFFUSION_UPSCALE,
    OperationName.ANIMATION,
}


def done(name: OperationName, **fields: object) -> Operation:
    return Operation(name=name, version="1", **fields)


def test_there_is_exactly_one_row_for_every_operation() -> None:
    assert set(table.TABLE) == set(OperationName)


@pytest.mark.parametrize("name", OperationName)
def test_every_operation_has_words_a_buyer_understands(name: OperationName) -> None:
    (words,) = table.describe([done(name)])
    assert words[0].isupper() or words[0].isdigit()
    assert "_" not in words and "None" not in words and len(words) < 90
    assert all(action.startswith("c2pa.") for action in table.TABLE[name].c2pa) and table.TABLE[name].c2pa


@pytest.mark.parametrize("name", OperationName)
def test_disclosure_is_due_exactly_where_content_changes(name: OperationName) -> None:
    assert table.needs_disclosure([done(OperationName.EXPOSURE), done(name)]) is (name in ALTERING)
    if name in ALTERING:
        assert table.media_alterations([done(name)]) != (MediaAlteration.NONE,)


def test_any_generative_step_is_disclosed_whatever_its_name() -> None:
    ledger = [done(OperationName.DENOISE, generative=True)]
    assert table.needs_disclosure(ledger)
    assert table.media_alterations(ledger) == (MediaAlteration.OTHER,)
    assert table.digital_source_type(ledger) is DigitalSourceType.COMPOSITE_TRAINED


@pytest.mark.parametrize(
    ("operation", "words"),
    [
        (
            done(OperationName.VERTICAL_CORRECTION, parameters={"roll_deg": 0.2, "pitch_deg": -1.34}),
            "Vertical lines straightened (1.3°)",
        ),
        (done(OperationName.VERTICAL_CORRECTION), "Vertical lines straightened"),
        (done(OperationName.EXPOSURE, parameters={"curve": 0.42}), "Brightened"),
        (done(OperationName.EXPOSURE, parameters={"curve": -0.3}), "Darkened"),
        (done(OperationName.EXPOSURE, parameters={"curve": True}), "Brightness fine-tuned"),
        (done(OperationName.BRACKET_MERGE, parameters={"frames": 5}), "5 exposures merged into one"),
        (done(OperationName.CROP, parameters={"kept_share": 0.93}), "Edges cropped (7%)"),
        (done(OperationName.CROP, parameters={"kept_share": 0.999}), "Edges cropped"),
        (done(OperationName.PRIVACY_BLUR, parameters={"kind": "face", "count": 1}), "1 face blurred for privacy"),
        (
            done(OperationName.PRIVACY_BLUR, parameters={"kind": "plate", "count": 2}),
            "2 number plates blurred for privacy",
        ),
        (
            done(OperationName.WHITE_BALANCE, parameters={"mixed_light": True}),
            "Colours balanced for natural whites, lamp and daylight evened out",
        ),
        (
            done(OperationName.VIRTUAL_STAGING, parameters={"style": "warm_modern"}),
            "Virtually staged: furniture and decor were added digitally (warm modern style)",
        ),
    ],
)
def test_words_tell_how_much_was_done(operation: Operation, words: str) -> None:
    assert table.describe([operation]) == [words]


def test_a_step_repeated_is_told_once_and_in_order() -> None:
    ledger = [done(OperationName.SHARPEN), done(OperationName.DENOISE), done(OperationName.SHARPEN)]
    assert table.describe(ledger) == ["Sharpened", "Noise reduced"]
    assert table.describe([]) == []


def test_a_restaged_room_carries_both_alterations() -> None:
    ledger = [done(OperationName.VIRTUAL_STAGING), done(OperationName.OBJECT_REMOVAL), done(OperationName.SHARPEN)]
    assert table.media_alterations(ledger) == (MediaAlteration.DECLUTTERED, MediaAlteration.VIRTUAL_STAGING)


@pytest.mark.parametrize(
    ("ledger", "source_type"),
    [
        ([], "digitalCapture"),
        ([done(OperationName.CROP)], "digitalCapture"),
        ([done(OperationName.BRACKET_MERGE)], "computationalCapture"),
        ([done(OperationName.SHARPEN), done(OperationName.BRACKET_MERGE)], "algorithmicallyEnhanced"),
        ([done(OperationName.SKY_REPLACEMENT), done(OperationName.SHARPEN)], "compositeCapture"),
        ([done(OperationName.VIRTUAL_STAGING), done(OperationName.SHARPEN)], "compositeSynthetic"),
        ([done(OperationName.VIRTUAL_STAGING, generative=True)], "compositeWithTrainedAlgorithmicMedia"),
        (
            [done(OperationName.OBJECT_REMOVAL, weights_sha256="0" * 64), done(OperationName.VIRTUAL_STAGING)],
            "compositeWithTrainedAlgorithmicMedia",
        ),
    ],
)
def test_the_most_synthetic_source_type_is_the_one_stated(ledger: list[Operation], source_type: str) -> None:
    found = table.digital_source_type(ledger)
    assert found == source_type
    assert found.uri == f"http://cv.iptc.org/newscodes/digitalsourcetype/{source_type}"


def test_every_known_room_has_its_reso_name_and_an_unknown_one_has_none() -> None:
    for room in RoomType:
        assert (table.image_of(room) is None) is (room is RoomType.UNKNOWN), room
    assert table.image_of(RoomType.PRIMARY_BEDROOM) == "Master Bedroom"


def test_c2pa_actions_follow_the_ledger() -> None:
    ledger = [done(OperationName.OBJECT_REMOVAL), done(OperationName.VIRTUAL_STAGING)]
    assert table.c2pa_actions(ledger) == ("c2pa.deleted", "c2pa.edited")
