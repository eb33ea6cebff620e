"""The poller is killed at every stage, by SIGKILL, and the next one goes on: one upload, one kernel, one result."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from listing_media_dagster.gpu.job import JobFolder
from listing_media_dagster_tests.helpers.fake_kaggle import FakeKaggle


def start_poller(kaggle: FakeKaggle, folder: JobFolder, place: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "listing_media_dagster_tests.gpu.kaggle.poller", str(folder.path)]
    return subprocess.Popen(
        [*command, str(place / "outbox"), str(place / "memory.json")],
        env=kaggle.client_environment(place),
        cwd=Path(__file__).parents[3],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def kill_once(happened: Callable[[], Any], poller: subprocess.Popen[str]) -> None:
    """Kill the poller as soon as something `happened`; its client's process must end with it."""
    until = time.monotonic() + 120
    while not happened():
        assert poller.poll() is None, poller.stdout and poller.stdout.read()
        assert time.monotonic() < until, "it never happened"
        time.sleep(0.01)
    children = psutil.Process(poller.pid).children(recursive=True)
    poller.kill()
    poller.wait()
    _, alive = psutil.wait_procs(children, timeout=30)
    assert not alive, f"left behind: {alive}"


def test_killed_while_uploading_waiting_pushing_queued_running_and_downloading(
    kaggle: FakeKaggle, make_job: Callable[..., JobFolder], tmp_path: Path
) -> None:
    folder = make_job(items=2)
    kaggle.held = {"PUT"}
    kill_once(lambda: kaggle.count("PUT"), start_poller(kaggle, folder, tmp_path))

    kaggle.held = set()
    kaggle.faults.polls_until_ready = 10_000
    kill_once(lambda: kaggle.datasets, start_poller(kaggle, folder, tmp_path))

    for dataset in kaggle.datasets.values():
        dataset.polls_left = 0
    kaggle.may_start.clear()
    kaggle.held = {"SaveKernel"}
    kill_once(lambda: kaggle.count("SaveKernel"), start_poller(kaggle, folder, tmp_path))

    kaggle.held = set()  # the dead one's push arrives now
    kill_once(lambda: kaggle.count("GetKernelSessionStatus") >= 2, start_poller(kaggle, folder, tmp_path))

    kaggle.may_start.set()
    kaggle.held = {"results.zip"}
    kill_once(lambda: ("GET", "results.zip") in kaggle.calls, start_poller(kaggle, folder, tmp_path))

    kaggle.held = set()
    last = start_poller(kaggle, folder, tmp_path)
    said, _ = last.communicate(timeout=120)
    assert last.returncode == 0, said
    assert [item.outcome for item in folder.result().items] == ["ok", "ok"]
    assert (len(kaggle.sessions), kaggle.count("SaveKernel")) == (1, 1)
    assert kaggle.count("CreateDataset") == 1
    assert not kaggle.kernels and not kaggle.datasets
