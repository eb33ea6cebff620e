"""`listing-media models`: what is listed, and that every refusal is one line and exit status 1."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from listing_media_dagster import cli_models
from listing_media_dagster.models import hardware
from listing_media_dagster.models.catalogue import catalogue, catalogue_entry
from listing_media_dagster.models.hardware import Hardware
from listing_media_dagster.settings import settings
from listing_media_dagster_tests.helpers.fake_hub import FakeHub, FakeRepo, running, safetensors

ENTRY = catalogue_entry("depth-anything-v2-small")
T4 = Hardware("cuda", "Tesla T4", 29, 14.6, 14.2, compute_capability=(7, 5), fp16=True)


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    part = ENTRY.parts[0]
    files = {"config.json": b"{}", "preprocessor_config.json": b"{}", "model.safetensors": safetensors(b"depth" * 9000)}
    with running(FakeHub({str(part.repo): FakeRepo(str(part.revision), files)})) as hub:
        yield hub


@pytest.fixture(autouse=True)
def _own_machine(tmp_path: Path, hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine with a T4, nothing pulled, and a hub of our own."""
    from huggingface_hub import constants

    monkeypatch.setattr(hardware, "probe", lambda: T4)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub-cache"))
    for name, value in {
        "COLUMNS": "400",
        "HF_ENDPOINT": hub.url,
        "LISTING_MEDIA_MODELS_DIR": str(tmp_path / "m"),
    }.items():
        monkeypatch.setenv(name, value)
    for console in (cli_models.say,):
        monkeypatch.setattr(console, "_width", 400)
    settings.cache_clear()
    yield
    settings.cache_clear()


def _run(*words: str) -> Result:
    return CliRunner().invoke(cli_models.app, list(words))


def test_the_list_says_what_fits_and_why_the_rest_doesnt() -> None:
    rows = json.loads(_run("list", "--json").stdout)
    assert {row["id"] for row in rows} == {entry.id for entry in catalogue().models}
    found = {(row["stage"], row["id"]): row for row in rows}
    sdxl = found["staging", "sdxl-union"]
    assert (sdxl["chosen"], sdxl["here"]) == (True, False)
    assert sdxl["reason"] == "would be used here (resident, float16) after `listing-media models pull sdxl-union`"
    assert found["staging", "qwen-image-edit"]["reason"] == "needs bfloat16, which Tesla T4 doesn't have"
    assert found["faces", "yunet"]["packaged"] and found["faces", "yunet"]["here"]
    assert "Tesla T4" in _run("list", "--stage", "depth").stdout
    assert [row["stage"] for row in json.loads(_run("list", "--json", "--stage", "depth").stdout)] == ["depth"]


def test_on_a_narrow_terminal_every_id_can_still_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    listed = _run("list").stdout
    assert [entry.id for entry in catalogue().models if entry.id not in listed] == []


def test_the_list_goes_by_the_models_that_the_settings_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LISTING_MEDIA_MODELS", "staging=sd15-inpaint, declutter=none")
    settings.cache_clear()
    found = {(row["stage"], row["id"]): row for row in json.loads(_run("list", "--json").stdout)}
    assert found["staging", "sd15-inpaint"]["chosen"]
    assert found["staging", "sdxl-union"]["reason"] == "sd15-inpaint was named"
    assert found["declutter", "sdxl-union"]["reason"] == "declutter=none is set, so no model does it"
    monkeypatch.setenv("LISTING_MEDIA_MODELS", "painting=auto")
    settings.cache_clear()
    done = _run("list")
    assert done.exit_code == 1 and "'painting=auto': write STAGE=MODEL" in done.stderr


def test_an_unknown_stage_names_the_known_ones() -> None:
    done = _run("list", "--stage", "painting")
    assert done.exit_code == 1
    assert "'painting'; there is staging, declutter" in done.stderr


def test_a_pull_shows_the_size_fetches_and_is_then_here(hub: FakeHub) -> None:
    planned = _run("pull", ENTRY.id, "--dry-run")
    assert planned.exit_code == 0 and "90.0 kB to fetch" in planned.stdout and "model.safetensors" in planned.stdout
    assert not [request for request in hub.requests if "/resolve/" in request]
    done = _run("pull", ENTRY.id)
    assert done.exit_code == 0, done.stderr
    assert "about 99 MB, once. Apache-2.0" in done.stderr and "90.0 kB to fetch" in done.stderr
    assert "is here: sha256" in done.stderr
    row = next(row for row in json.loads(_run("list", "--json").stdout) if row["id"] == ENTRY.id)
    assert row["here"] and row["reason"] == "is used here: resident, float16"
    assert "0.0 kB to fetch" in _run("pull", ENTRY.id, "--dry-run").stdout


def test_check_without_a_name_checks_whatever_was_pulled(tmp_path: Path) -> None:
    assert "No models were pulled" in _run("check").stderr
    _run("pull", ENTRY.id)
    assert f"{ENTRY.id} 3 files" in _run("check").stdout
    next((tmp_path / "m").rglob("model.safetensors")).write_bytes(b"\0" * 90108)
    done = _run("check", ENTRY.id)
    assert done.exit_code == 1 and "model.safetensors isn't the file that was pulled" in done.stderr


def test_check_without_a_name_finds_what_is_gone_of_what_was_pulled(tmp_path: Path) -> None:
    _run("pull", ENTRY.id)
    next((tmp_path / "m").rglob("model.safetensors")).unlink()
    done = _run("check")
    assert done.exit_code == 1 and f"is gone: `listing-media models pull {ENTRY.id}` fetches it again" in done.stderr
    assert "No models were pulled" not in done.stderr


@pytest.mark.parametrize("words", [("list",), ("pull", ENTRY.id), ("check",), ("check", ENTRY.id)])
def test_a_lock_that_cant_be_read_is_said_once_and_nothing_is_done(words: tuple[str, ...], tmp_path: Path) -> None:
    _run("pull", ENTRY.id)
    lock = tmp_path / "m" / "models.lock"
    lock.write_text("{broken")
    done = _run(*words)
    assert done.exit_code == 1 and "Traceback" not in done.stderr + done.stdout
    assert done.stderr.count("can't be read (the file: Invalid JSON") == 1
    assert "restore it, or remove it and pull the models again" in done.stderr
    assert lock.read_text() == "{broken"


def test_a_pull_of_what_is_here_says_so_and_asks_nobody(hub: FakeHub) -> None:
    _run("pull", ENTRY.id)
    asked = len(hub.requests)
    again = _run("pull", ENTRY.id)
    assert again.exit_code == 0 and "is here: sha256" in again.stderr and len(hub.requests) == asked


def test_a_bundle_goes_to_another_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _run("pull", ENTRY.id)
    done = _run("pack", ENTRY.id, "--to", str(tmp_path / "weights.zip"))
    assert done.exit_code == 0 and f"{ENTRY.id}, 3 files" in done.stderr
    again = _run("pack", ENTRY.id, "--to", str(tmp_path / "weights.zip"))
    assert again.exit_code == 1 and "is there already" in again.stderr
    monkeypatch.setenv("LISTING_MEDIA_MODELS_DIR", str(tmp_path / "elsewhere"))
    settings.cache_clear()
    assert _run("unpack", str(tmp_path / "weights.zip")).exit_code == 0
    assert f"{ENTRY.id} 3 files" in _run("check").stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("pull", "svd-xt"), "add svd-xt to LISTING_MEDIA_ALLOW_LICENCES"),
        (("pull", "wan22-5b"), "doesn't give out Wan-AI/Wan2.2-TI2V-5B-Diffusers"),
        (("pull", "nothing"), "no model is called 'nothing'; there is sdxl-union"),
        (("check", "sdxl-union"), "`listing-media models pull sdxl-union` fetches it once (10017 MB"),
        (("pack", "sdxl-union", "--to", "x.zip"), "`listing-media models pull sdxl-union`"),
        (("unpack", "{folder}"), "is no bundle of weights"),
    ],
)
def test_every_refusal_is_one_line(words: tuple[str, ...], said: str, tmp_path: Path) -> None:
    done = _run(*(word.format(folder=tmp_path) for word in words))
    assert done.exit_code == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr + done.stdout


def test_a_catalogue_of_your_own_is_listed_or_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "own.yaml"
    monkeypatch.setenv("LISTING_MEDIA_MODEL_CATALOGUE", str(own))
    settings.cache_clear()
    entry = {**ENTRY.model_dump(mode="json"), "id": "our-depth", "quality": 9}
    own.write_text(json.dumps({"models": [entry]}))
    rows = json.loads(_run("list", "--json", "--stage", "depth").stdout)
    assert [(row["id"], row["chosen"]) for row in rows] == [("depth-anything-v2-small", False), ("our-depth", True)]
    own.write_text("models: nonsense")
    catalogue.cache_clear()
    done = _run("list")
    assert done.exit_code == 1 and "own.yaml: models: " in done.stderr
