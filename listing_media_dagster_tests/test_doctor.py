"""The doctor finds what is wrong with machines made to be wrong, and survives what it can't examine."""

from __future__ import annotations

import json
import shutil
from collections import namedtuple
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from listing_media_dagster import doctor
from listing_media_dagster.doctor import Finding, examine
from listing_media_dagster.doctor_models import Probed, models_finding, probe_gpus
from listing_media_dagster.models.hardware import Hardware
from listing_media_dagster.settings import Settings

CPU = Hardware(device="cpu", name="CPU", memory_gb=16)
T4 = Hardware("cuda", "Tesla T4", 29, 14.6, 14.2, compute_capability=(7, 5), fp16=True)
FOUND = Probed(Finding("GPU", "ok", "not asked in this test"), CPU)


@pytest.fixture(autouse=True)
def _no_gpu_probe(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Importing torch in another process costs seconds; the probe has tests of its own."""
    if "probe" not in request.node.name:
        monkeypatch.setattr(doctor, "probe_gpus", lambda: FOUND)


@pytest.fixture(autouse=True)
def _empty_hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub-cache"))


def _settings(tmp_path: Path, **given: object) -> Settings:
    return Settings(_env_file=None, **{"store": str(tmp_path / "media"), "models_dir": tmp_path / "models", **given})


def _found(what: str, tmp_path: Path, environment: dict[str, str] | None = None, **given: object) -> Finding:
    findings = examine(_settings(tmp_path, **given), environment=environment or {})
    return next(finding for finding in findings if finding.what == what)


def test_this_machine_can_make_listings(tmp_path: Path) -> None:
    findings = {finding.what: finding for finding in examine(_settings(tmp_path), environment={})}
    for what in ("Python", "media store", "phone photos", "video", "virtual staging", "memory"):
        assert findings[what].level == "ok", findings[what]
    assert not any(finding.required for finding in findings.values() if finding.level == "missing")
    assert "HEIC, AVIF, WEBP" in findings["phone photos"].detail


def test_settings_that_no_run_can_use_are_missing_and_required(tmp_path: Path) -> None:
    finding = _found("settings", tmp_path, routes="cuda,gpu", gpu_devices="first", furniture=tmp_path / "none")
    assert (finding.level, finding.required) == ("missing", True)
    for said in (
        "LISTING_MEDIA_ROUTES names the route 'gpu'",
        "GPU_DEVICES names 'first'",
        "LISTING_MEDIA_FURNITURE: ",
    ):
        assert said in finding.detail


@pytest.mark.parametrize("devices", ["auto", "none", "0,1", "GPU-0a1b", "MIG-0a1b/1/0"])
def test_devices_named_as_cuda_names_them_are_right(tmp_path: Path, devices: str) -> None:
    assert _found("settings", tmp_path, gpu_devices=devices).level == "ok"


def test_a_variable_that_is_no_setting_is_told_with_what_was_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("LISTING_MEDIA_EXTRAS=production\nLISTING_MEDIA_WORKER=3\n")
    finding = _found("settings", tmp_path, {"LISTING_MEDIA_STROE": "x", "LISTING_MEDIA_STAGE": "named"})
    assert finding.level == "warn"
    assert finding.detail == (
        "LISTING_MEDIA_STROE in the environment is no setting: LISTING_MEDIA_STORE?; "
        "LISTING_MEDIA_WORKER in .env is no setting: LISTING_MEDIA_WORKERS?"
    )


def test_the_store_is_left_as_it_was(tmp_path: Path) -> None:
    assert _found("media store", tmp_path).level == "ok"
    assert not any(path.is_file() for path in (tmp_path / "media").rglob("*"))


@pytest.mark.parametrize(
    "given",
    [
        {"store": "ftp://elsewhere/media"},
        {"store": "s3://"},
        {"store": "s3://bucket", "s3_endpoint": "http://127.0.0.1:9", "s3_access_key_id": "only half"},
    ],
)
def test_a_store_that_cant_be_used_is_required_and_missing(tmp_path: Path, given: dict[str, str]) -> None:
    finding = _found("media store", tmp_path, **given)
    assert (finding.level, finding.required) == ("missing", True)
    assert finding.fix and "LISTING_MEDIA_STORE" in finding.fix


def test_a_file_in_the_stores_place_is_found(tmp_path: Path) -> None:
    (tmp_path / "media").write_text("a file where the folder should be")
    assert _found("media store", tmp_path).level == "missing"


def test_secrets_are_not_shown(tmp_path: Path) -> None:
    given = {"s3_access_key_id": "id", "s3_secret_access_key": "very-secret", "s3_endpoint": "http://127.0.0.1:9"}
    token = {"KAGGLE_API_TOKEN": "very-secret"}
    findings = examine(_settings(tmp_path, store=f"{tmp_path}/media", **given), environment=token)
    assert "very-secret" not in repr(findings)


def test_absent_weights_come_with_the_command_that_fetches_them(tmp_path: Path) -> None:
    finding = _found("CLIP scoring", tmp_path)
    assert finding.level == "warn" and "listing-media models pull clip-vit-b32" in (finding.fix or "")


def test_weights_that_were_changed_are_found(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "models.lock").write_text("{")
    assert _found("CLIP scoring", tmp_path).level == "missing"


@pytest.mark.parametrize(
    ("home", "level"), [(None, "warn"), ("relative", "missing"), ("{tmp}/absent", "missing"), ("{tmp}", "ok")]
)
def test_the_dagster_home_is_looked_at(tmp_path: Path, home: str | None, level: str) -> None:
    environment = {"DAGSTER_HOME": home.format(tmp=tmp_path)} if home else {}
    assert _found("Dagster home", tmp_path, environment).level == level


def test_a_postgres_address_from_an_unset_variable_is_named(tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_text("storage:\n  postgres:\n    postgres_url:\n      env: DAGSTER_PG_URL\n")
    environment = {"DAGSTER_HOME": str(tmp_path)}
    unset = _found("run storage", tmp_path, environment)
    assert unset.level == "missing" and "DAGSTER_PG_URL" in unset.detail
    wrong = _found("run storage", tmp_path, {**environment, "DAGSTER_PG_URL": "mysql://host/db"})
    assert wrong.level == "missing" and "host" not in wrong.detail
    right = _found("run storage", tmp_path, {**environment, "DAGSTER_PG_URL": "postgresql+psycopg2://u:p@host/db"})
    assert right.level == "ok" and "u:p" not in right.detail


def test_kaggle_credentials_that_others_can_read_are_pointed_out(tmp_path: Path) -> None:
    environment = {"HOME": str(tmp_path)}
    assert "no credentials" in _found("Kaggle", tmp_path, environment).detail
    (tmp_path / ".kaggle").mkdir()
    file = tmp_path / ".kaggle" / "kaggle.json"
    file.write_text("{}")
    file.chmod(0o644)
    assert _found("Kaggle", tmp_path, environment).fix == f"chmod 600 {file}"
    file.chmod(0o600)
    assert str(file) in _found("Kaggle", tmp_path, environment).detail


@pytest.mark.parametrize(
    ("free_gib", "level", "required"), [(0.5, "missing", True), (3, "warn", False), (50, "ok", False)]
)
def test_a_full_disk_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free_gib: float, level: str, required: bool
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**12, 0, int(free_gib * 2**30)))
    finding = _found("disk", tmp_path)
    assert (finding.level, finding.required) == (level, required)


def test_a_question_that_falls_over_costs_only_its_own_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fall() -> Finding:
        raise RuntimeError("libswscale is from another release")

    monkeypatch.setattr(doctor, "_video_encoder", fall)
    findings = {finding.what: finding for finding in examine(_settings(tmp_path), environment={})}
    assert findings["video"].level == "warn" and "libswscale" in findings["video"].detail
    assert findings["media store"].level == "ok"


def _says(*devices: Hardware) -> str:
    """Return a probe that finds these devices."""
    answer = json.dumps({"torch": "2", "devices": [asdict(device) for device in devices]})
    return f"print({answer!r})"


@pytest.mark.parametrize(
    ("code", "level", "says"),
    [
        ("import os; os.kill(os.getpid(), 11)", "missing", "exit status -11"),
        ("raise SystemExit('CUDA driver version is insufficient')", "missing", "insufficient"),
        ("import threading; threading.Event().wait()", "missing", "didn't end within"),
        (_says(CPU), "ok", "CPU"),
        (_says(T4, replace(T4, index=1), CPU), "ok", "Tesla T4, 14.2 of 14.6 GiB free, compute capability 7.5; Tesla"),
        (_says(replace(T4, fault="no kernels for sm_60"), CPU), "missing", "Tesla T4: no kernels for sm_60"),
        (_says(T4, replace(T4, name="P100", fault="no kernels"), CPU), "warn", "P100: no kernels"),
    ],
)
def test_a_gpu_probe_survives_any_driver(code: str, level: str, says: str) -> None:
    finding = probe_gpus(code=code, seconds=2).finding
    assert finding.level == level and says in finding.detail
    assert finding.fix or level == "ok"


def test_the_probe_in_its_own_process_gives_what_models_run_on() -> None:
    probed = probe_gpus(code=_says(T4, CPU), seconds=2)
    assert probed.hardware == T4


def test_models_that_fit_are_named_with_what_was_pulled(tmp_path: Path) -> None:
    finding = models_finding(_settings(tmp_path), T4)
    assert finding.level == "ok" and "staging sdxl-union (not pulled)" in finding.detail
    assert "svd-xt" not in finding.detail
    assert "animation svd-xt" in models_finding(_settings(tmp_path, allow_licences="svd-xt"), T4).detail


def test_a_model_catalogue_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("models: 7")
    finding = _found("models", tmp_path, model_catalogue=tmp_path / "own.yaml")
    assert finding.level == "missing" and "own.yaml: models" in finding.detail


def test_a_design_kit_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "kits").mkdir()
    (tmp_path / "kits" / "loft.yaml").write_text("id: loft\nsofa: big\n")
    staging = _found("virtual staging", tmp_path, design_kits=tmp_path / "kits")
    assert staging.level == "missing" and "loft.yaml: sofa: unknown key" in staging.detail
