"""Opening files in processes of their own: every fault rejects its file and no other."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest

from listing_media_dagster.listing import BadPhoto
from listing_media_dagster.photo.decode import IntakeLimits, inspect_photo
from listing_media_dagster.photo.isolation import Outcome, inspect_photos
from listing_media_dagster.photo.metadata import PhotoFacts
from listing_media_dagster_tests.photo.delivered_files import encode, expose, radiance

HOSTILE = (sys.executable, "-m", "listing_media_dagster_tests.photo.hostile_worker")
GOOD = encode(expose(radiance(1), 0.0))


@pytest.fixture
def drop(tmp_path: Path) -> Callable[..., list[Path]]:
    """Write one file an order, `good.jpg` among them."""

    def write(*orders: str) -> list[Path]:
        (tmp_path / "good.jpg").write_bytes(GOOD)
        paths = []
        for order in orders:
            path = tmp_path / ("good.jpg" if order == "good" else f"{order.replace(' ', '_')}.jpg")
            if order != "good":
                path.write_bytes(order.encode())
            paths.append(path)
        return paths

    return write


def told(outcomes: list[Outcome]) -> list[str]:
    return ["accepted" if isinstance(outcome, PhotoFacts) else str(outcome) for outcome in outcomes]


def test_outcomes_come_in_order_and_equal_those_of_decoding_here(tmp_path: Path) -> None:
    paths = []
    for at in range(5):
        paths.append(tmp_path / f"{at}.jpg")
        paths[-1].write_bytes(encode(expose(radiance(at), 0.0)) if at != 2 else b"GIF89a")
    done: list[Path] = []
    outcomes = inspect_photos(paths, on_done=done.append)
    assert isinstance(outcomes[2], BadPhoto)
    assert "GIF" in str(outcomes[2])
    for at in (0, 1, 3, 4):
        assert outcomes[at] == inspect_photo(paths[at])
    assert sorted(done) == sorted(paths)


def test_no_files_need_no_process() -> None:
    assert inspect_photos([], worker_command=("/nonexistent",)) == []


def test_crash_rejects_its_file_alone(drop: Callable[..., list[Path]]) -> None:
    orders = ("good", "segfault", "abort", "good", "leave", "raise", "always killed", "good")
    outcomes = told(inspect_photos(drop(*orders), workers=2, worker_command=HOSTILE))
    for order, outcome in zip(orders, outcomes, strict=True):
        assert outcome == "accepted" if order == "good" else "crash" in outcome, order


def test_hang_is_ended_after_its_seconds(drop: Callable[..., list[Path]]) -> None:
    limits = IntakeLimits(decode_seconds=2)
    outcomes = told(inspect_photos(drop("spin", "sleep", "good", "good"), limits, workers=2, worker_command=HOSTILE))
    assert outcomes[2:] == ["accepted", "accepted"]
    assert all("longer than 2 s" in outcome for outcome in outcomes[:2])


@pytest.mark.skipif(sys.platform != "linux", reason="macOS can't limit address space")
def test_memory_is_limited(drop: Callable[..., list[Path]]) -> None:
    limits = IntakeLimits(decode_memory_bytes=256 * 2**20)
    outcomes = inspect_photos(drop("good", "hoard", "native hoard", "good"), limits, workers=1, worker_command=HOSTILE)
    first, hoard, native, last = told(outcomes)
    assert first == last == "accepted"
    assert "more than the 0.2 GB of memory" in hoard
    assert "crash" in native


@pytest.mark.skipif(sys.platform != "linux", reason="macOS can't limit address space")
def test_real_decoder_out_of_memory_is_a_reason(tmp_path: Path) -> None:
    (tmp_path / "large.jpg").write_bytes(encode(np.zeros((6000, 8000, 3), np.uint8)))
    (tmp_path / "good.jpg").write_bytes(GOOD)
    limits = IntakeLimits(decode_memory_bytes=120 * 2**20)
    outcomes = inspect_photos([tmp_path / "large.jpg", tmp_path / "good.jpg"], limits, workers=1)
    large, good = told(outcomes)
    assert "memory" in large
    assert good == "accepted"


def test_process_killed_from_outside_is_tried_again(drop: Callable[..., list[Path]]) -> None:
    assert told(inspect_photos(drop("killed once"), worker_command=HOSTILE)) == ["accepted"]


def test_one_process_serves_many_files_and_ends_with_the_call(drop: Callable[..., list[Path]], tmp_path: Path) -> None:
    paths = drop("pid one", "babble on standard output", "pid two")
    assert told(inspect_photos(paths, workers=1, worker_command=HOSTILE)) == ["accepted"] * 3
    pids = {int(path.with_suffix(".pid").read_text()) for path in (paths[0], paths[2])}
    assert len(pids) == 1
    assert not psutil.pid_exists(pids.pop())


def test_worker_that_cannot_start_is_an_error_not_a_rejection(drop: Callable[..., list[Path]]) -> None:
    with pytest.raises(RuntimeError, match="can't start a process"):
        inspect_photos(drop("good"), worker_command=(sys.executable, "-c", "raise SystemExit(3)"))


def test_error_in_the_callers_callback_ends_the_processes(drop: Callable[..., list[Path]]) -> None:
    def refuse(path: Path) -> None:
        raise KeyError(path.name)

    with pytest.raises(KeyError):
        inspect_photos(drop("good", "sleep", "sleep"), workers=2, worker_command=HOSTILE, on_done=refuse)
    assert not [thread for thread in threading.enumerate() if "work" in thread.name]


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel ends the worker on Linux alone")
def test_worker_dies_with_a_killed_parent(drop: Callable[..., list[Path]]) -> None:
    (path,) = drop("orphan")
    program = (
        "import sys; from pathlib import Path; from listing_media_dagster.photo.isolation import inspect_photos; "
        f"inspect_photos([Path(sys.argv[1])], worker_command={HOSTILE!r})"
    )
    parent = subprocess.Popen([sys.executable, "-c", program, str(path)])
    try:
        pid_file = path.with_suffix(".pid")
        assert _within(60, lambda: pid_file.exists() and pid_file.read_text() != "")
        worker = psutil.Process(int(pid_file.read_text()))
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait()
        assert _within(30, lambda: not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE)
    finally:
        parent.kill()
        parent.wait()


def _within(seconds: float, happened: Callable[[], bool]) -> bool:
    pause, deadline = threading.Event(), time.monotonic() + seconds
    while time.monotonic() < deadline:
        if happened():
            return True
        pause.wait(0.02)
    return False


def test_works_in_a_program_without_a_main_guard(tmp_path: Path) -> None:
    (tmp_path / "good.jpg").write_bytes(GOOD)
    program = tmp_path / "program.py"
    program.write_text(
        "from pathlib import Path\n"
        "from listing_media_dagster.photo.isolation import inspect_photos\n"
        f"print(inspect_photos([Path({str(tmp_path / 'good.jpg')!r})])[0].width)\n"
    )
    shown = subprocess.run([sys.executable, str(program)], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert shown.stdout == "480\n"


def test_a_process_that_opens_strangers_files_is_told_no_secret(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from listing_media_dagster.photo import isolation

    monkeypatch.setenv("LISTING_MEDIA_S3_SECRET_ACCESS_KEY", "canary")
    monkeypatch.setenv("DAGSTER_POSTGRES_URL", "postgresql://user:canary@host/db")
    given: list[dict[str, str]] = []
    start = isolation.subprocess.Popen

    def noted(*words: object, **options: object) -> object:
        given.append(dict(options["env"]))  # type: ignore[call-overload]
        return start(*words, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(isolation.subprocess, "Popen", noted)
    path = tmp_path / "good.jpg"
    path.write_bytes(GOOD)
    (facts,) = inspect_photos([path])
    assert not isinstance(facts, BadPhoto)
    assert given
    assert not [name for environment in given for name, value in environment.items() if "canary" in value]
