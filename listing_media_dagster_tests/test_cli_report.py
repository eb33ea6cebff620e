"""What the terminal says of a report's staging."""

from __future__ import annotations

from typing import Any

from listing_media_dagster.cli_report import staging_in_words

STAGED = ({"name": "white_balance"}, {"name": "virtual_staging"})


def photo(file: str, operations: tuple[dict[str, str], ...] = (), outcome: str = "passed", **fields: Any) -> Any:
    verdict = {"gate": "structure", "gates": True, "outcome": outcome, "reason": "a window moved"}
    return {"files": [file], "operations": operations, "verdicts": [verdict] if operations else [], **fields}


def test_photos_with_one_reason_share_a_line() -> None:
    furnished = "the room is furnished: something stands before the walls"
    photos = [photo(f"{name}.jpg", not_staged=furnished) for name in "ab"]
    staged, others = staging_in_words([photo("c.jpg", STAGED), *photos])
    assert staged == 1
    assert others == {"not staged, the room is furnished: something stands before the walls": ["a.jpg", "b.jpg"]}


def test_a_rejected_staging_is_not_counted_and_its_reason_is_told() -> None:
    staged, others = staging_in_words([photo("a.jpg", STAGED, "failed"), photo("b.jpg", STAGED)])
    assert staged == 1
    assert others == {"staged, but the unaltered photo is delivered, a window moved": ["a.jpg"]}


def test_what_models_were_asked_for_in_vain_is_told() -> None:
    _, others = staging_in_words([photo("a.jpg", not_altered={"upscale": "its weights aren't here"})])
    assert others == {"upscale not done, its weights aren't here": ["a.jpg"]}
