"""listing-media stage with paths, files and numbers that it can't use: one line, exit code 1, originals untouched."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from listing_media_dagster.cli import app
from listing_media_dagster.cli_stage import _pieces_seed

EMPTY_ROOM = Path(__file__).parent / "staging" / "rendered_rooms" / "sunless.jpg"


def complaint(*words: object) -> str:
    done = CliRunner().invoke(app, ["stage", *map(str, words)], env={"COLUMNS": "300"})
    assert done.exit_code == 1
    assert isinstance(done.exception, SystemExit)
    return " ".join(done.output.split())


@pytest.fixture
def room(tmp_path: Path) -> Path:
    return Path(shutil.copy(EMPTY_ROOM, tmp_path / "room.jpg"))


@pytest.mark.parametrize("below", ["", "/deeper"])
def test_results_that_cannot_be_written_are_refused_before_anything_is_rendered(room: Path, below: str) -> None:
    in_the_way = room.with_name("file")
    in_the_way.write_text("in the way")
    assert "is a file, not a folder for the results" in complaint(room, "--out", f"{in_the_way}{below}")
    assert in_the_way.read_text() == "in the way"
    assert "File name too long" in complaint(room, "--out", "x" * 300)


def test_a_photo_is_never_replaced_by_its_staging(room: Path) -> None:
    photo = room.rename(room.with_name("staged.jpg"))
    assert "would replace the photo" in complaint(photo, "--out", photo.parent)
    assert photo.read_bytes() == EMPTY_ROOM.read_bytes()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is no layout: Invalid JSON"),
        (b"\x93\x00\xff", "is no layout: Invalid JSON"),
        (b"[" * 100_000, "is no layout: Invalid JSON: recursion limit"),
        (b" " * 2_000_000, "is no layout: over 1 MB"),
        (b"[]", "is no layout: Input should be an object"),
        (b'{"kit": 7}', "is no layout: kit is 7"),
        (b'{"kit": "modern"}', "is no layout: room_type: Field required"),
    ],
)
def test_a_file_that_holds_no_layout_is_named(room: Path, content: bytes, said: str) -> None:
    layout = room.with_name("layout.json")
    layout.write_bytes(content)
    assert f"layout.json {said}" in complaint(room, "--layout", layout)


def test_a_piece_of_no_known_design_is_named(room: Path) -> None:
    layout = room.with_name("layout.json")
    piece = {"name": "seat", "design": "throne", "size": [1, 1, 1], "position": [0, 0, -3]}
    layout.write_text(json.dumps({"kit": "modern", "room_type": "living_room", "seed": 0, "pieces": [piece]}))
    assert "seat: unknown design 'throne'" in complaint(room, "--layout", layout)


def test_an_empty_style_is_no_kit(room: Path) -> None:
    assert "no design kit is called ''" in complaint(room, "--style", "")


def test_without_a_seed_the_photo_itself_chooses_the_furniture(room: Path) -> None:
    other = room.with_name("other") / room.name
    other.parent.mkdir()
    other.write_bytes(room.read_bytes() + b"other home")
    assert _pieces_seed(room) == _pieces_seed(room) != _pieces_seed(other)
