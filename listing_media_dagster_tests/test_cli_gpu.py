"""listing-media gpu-worker: what it refuses with one line, and that it works off a job and ends when it is told to."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from listing_media_dagster.cli import app
from listing_media_dagster.gpu.celery.board import Board
from listing_media_dagster.gpu.routes.celery import CeleryRoute
from listing_media_dagster.gpu.routes.route import Listener
from listing_media_dagster.settings import settings
from listing_media_dagster.store.media_store import MediaStore
from listing_media_dagster_tests.helpers.gpu_runs import end_with_children, until
from listing_media_dagster_tests.helpers.jobs import write_enhance_job
from listing_media_dagster_tests.helpers.warm_workers import PASSWORD, running_redis


@pytest.fixture
def broker(tmp_path, monkeypatch):
    with running_redis(tmp_path / "redis") as redis:
        monkeypatch.setenv("LISTING_MEDIA_BROKER", redis.url)
        monkeypatch.setenv("LISTING_MEDIA_STORE", str(tmp_path / "media"))
        monkeypatch.setenv("LISTING_MEDIA_WORK_DIR", str(tmp_path / "work"))
        monkeypatch.setenv("LISTING_MEDIA_GPU_LOCKS", str(tmp_path / "locks"))
        settings.cache_clear()
        yield redis
    settings.cache_clear()


def test_a_worker_works_off_a_real_job_and_stops_when_told_to(broker, tmp_path):
    program = Path(sys.executable).parent / "listing-media"
    with (tmp_path / "log").open("wb") as log:
        worker = subprocess.Popen([program, "gpu-worker", "--processes", "1"], stdout=log, stderr=log)
    try:
        until(lambda: Board(broker.url).workers(), "the worker is there")
        checked = CliRunner().invoke(app, ["gpu-worker", "--check"])
        assert checked.exit_code == 0 and "on cpu-0" in checked.output

        folder = write_enhance_job(tmp_path / "job")
        CeleryRoute(broker.url, lambda: MediaStore(str(tmp_path / "media"))).run(folder, Listener())
        assert {item.outcome for item in folder.result().items} == {"ok"}

        worker.send_signal(signal.SIGTERM)
        assert worker.wait(timeout=120) == 0
        until(lambda: not Board(broker.url).workers(), "it has said that it leaves")
        assert PASSWORD not in (tmp_path / "log").read_text()
    finally:
        end_with_children(worker)


def test_without_a_worker_the_check_fails(broker):
    checked = CliRunner().invoke(app, ["gpu-worker", "--check"])
    assert checked.exit_code == 1 and "no worker of this machine is there" in checked.output


def test_a_machine_without_a_gpu_is_told_how_to_work_without_one(broker, monkeypatch):
    monkeypatch.setenv("PATH", os.devnull)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    refused = CliRunner().invoke(app, ["gpu-worker"])
    assert refused.exit_code == 1 and "--processes 1" in refused.output


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (None, "LISTING_MEDIA_BROKER isn't set"),
        ("amqp://guest@127.0.0.1", "has to be a redis:// or rediss:// URL"),
        (
            f"redis://:{PASSWORD}@127.0.0.1:9/0",
            "the broker doesn't answer (ConnectionError): is Redis running at 127.0.0.1:9",
        ),
    ],
)
def test_a_broker_that_cant_be_used_is_refused_with_one_line(monkeypatch, url, said):
    monkeypatch.delenv("LISTING_MEDIA_BROKER", raising=False)
    if url:
        monkeypatch.setenv("LISTING_MEDIA_BROKER", url)
    settings.cache_clear()
    refused = CliRunner().invoke(app, ["gpu-worker"])
    settings.cache_clear()
    assert refused.exit_code == 1
    assert said in refused.output and refused.output.count("\n") == 1 and PASSWORD not in refused.output


def test_a_store_that_cant_be_used_is_said_in_one_line_before_any_work(broker, monkeypatch):
    monkeypatch.setenv("LISTING_MEDIA_STORE", "gs://a-bucket")
    settings.cache_clear()
    refused = CliRunner().invoke(app, ["gpu-worker", "--processes", "1"])
    assert refused.exit_code == 1
    assert "gs://a-bucket" in refused.output and refused.output.count("\n") == 1
