"""listing-media present, against a ComfyUI server that executes its graph."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from listing_media_dagster import sample_listing
from listing_media_dagster.cli import app
from listing_media_dagster.settings import settings
from listing_media_dagster_tests.helpers.fake_comfyui import fake_comfyui

PORTRAIT = Path(sample_listing.__file__).parent / "drop" / "IMG_2201.JPG"


@pytest.fixture
def present(monkeypatch, tmp_path):
    with fake_comfyui() as comfy:
        monkeypatch.setenv("LISTING_MEDIA_COMFYUI_URL", comfy.url)
        settings.cache_clear()

        def run(script: str):
            (tmp_path / "script.txt").write_text(script)
            arguments = ["present", str(PORTRAIT), str(tmp_path / "script.txt"), str(tmp_path / "film.mp4")]
            return CliRunner().invoke(app, arguments)

        yield run
    settings.cache_clear()


def test_a_film_of_a_person_who_speaks_is_written_and_said_to_be_generated(present, tmp_path):
    answer = present("Welcome to this home.")
    assert answer.exit_code == 0, answer.output
    assert (tmp_path / "film.mp4").read_bytes()[4:8] == b"ftyp"
    assert "AI-generated" in answer.output


def test_nothing_is_written_for_an_empty_script(present, tmp_path):
    answer = present(" ")
    assert answer.exit_code == 1
    assert "script is empty" in answer.output
    assert not (tmp_path / "film.mp4").exists()
