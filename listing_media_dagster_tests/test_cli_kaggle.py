"""`listing-media kaggle setup` against the fake Kaggle, through the unmodified client."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from listing_media_dagster import cli_kaggle
from listing_media_dagster.gpu.kaggle.setup import dataset_slug
from listing_media_dagster.settings import settings
from listing_media_dagster_tests.helpers.fake_kaggle import TOKEN, FakeKaggle, running_kaggle


@pytest.fixture
def kaggle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeKaggle]:
    with running_kaggle(tmp_path / "kaggle") as kaggle:
        for name in ("no_proxy", "NO_PROXY", "LISTING_MEDIA_KAGGLE_DATASETS"):
            monkeypatch.delenv(name, raising=False)
        for name, value in kaggle.client_environment(tmp_path).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("LISTING_MEDIA_KAGGLE_DIR", str(tmp_path / "work"))
        monkeypatch.setattr(cli_kaggle.say, "_width", 400)
        settings.cache_clear()
        yield kaggle
        settings.cache_clear()


def setup(*words: str, answer: str = "") -> Result:
    return CliRunner().invoke(cli_kaggle.app, ["setup", *words], input=answer)


def test_it_says_who_is_signed_in_and_what_is_left(kaggle: FakeKaggle) -> None:
    kaggle.gpu_seconds_used = 3600 * 7.5
    done = setup()
    assert done.exit_code == 0, done.output
    assert "Signed in as alice (access token, client" in done.output
    assert "22.5 of 30 GPU hours left this week" in done.output
    assert TOKEN not in done.output and not kaggle.datasets


def test_wheels_are_uploaded_once_agreed_and_become_a_new_version_later(kaggle: FakeKaggle, tmp_path: Path) -> None:
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    with zipfile.ZipFile(wheels / "thing-1-py3-none-any.whl", "w") as wheel:
        wheel.writestr("thing.py", "")
    refused = setup("--wheels", str(wheels), answer="n\n")
    assert refused.exit_code == 1 and not kaggle.datasets
    done = setup("--wheels", str(wheels), answer="y\n")
    assert done.exit_code == 0, done.output
    assert "LISTING_MEDIA_KAGGLE_DATASETS=alice/listing-media-wheels-python" in done.output
    assert kaggle.datasets["alice/listing-media-wheels-python"].private
    again = setup("--wheels", str(wheels), "--yes")
    assert again.exit_code == 0, again.output
    assert kaggle.datasets["alice/listing-media-wheels-python"].version == 2


def test_what_cannot_be_uploaded_is_said_in_one_line(
    kaggle: FakeKaggle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    assert "holds no wheels" in setup("--wheels", str(tmp_path / "empty")).output
    monkeypatch.setenv("LISTING_MEDIA_MODELS_DIR", str(tmp_path / "models"))
    settings.cache_clear()
    missing = setup("sdxl-union")
    assert missing.exit_code == 1 and "models pull sdxl-union" in missing.output
    monkeypatch.setenv("KAGGLE_API_TOKEN", "wrong")
    wrong = setup()
    assert wrong.exit_code == 1 and "doesn't accept the credentials" in wrong.output
    monkeypatch.delenv("KAGGLE_API_TOKEN")
    unsigned = setup()
    assert unsigned.exit_code == 1 and "KAGGLE_USERNAME and KAGGLE_KEY" in unsigned.output


def test_dataset_names_are_ones_that_kaggle_takes() -> None:
    assert dataset_slug("weights", "sdxl-union") == "listing-media-weights-sdxl-union"
    long = dataset_slug("weights", "a-very-long-model-name-of-many-words-v2.5")
    assert len(long) <= 50 and long != dataset_slug("weights", "a-very-long-model-name-of-many-words-v2.6")
