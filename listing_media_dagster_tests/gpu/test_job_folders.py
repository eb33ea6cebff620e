"""Job folders between attempts: found again with what was done, held by one process, forgotten in the end."""

import os
import subprocess
import sys
import threading
import time

import pytest

from listing_media_dagster.gpu import job_folders
from listing_media_dagster.gpu.job_folders import JobFolders
from listing_media_dagster.gpu.routes.route import JobCancelled, Listener
from listing_media_dagster.gpu.worker import Assignment, work_off
from listing_media_dagster_tests.gpu.test_worker import bench
from listing_media_dagster_tests.helpers.jobs import write_enhance_job


@pytest.fixture
def asked(tmp_path):
    source = write_enhance_job(tmp_path / "source", 2)
    return source.job, {file.path: source.read(file) for file in source.job.all_inputs()}


@pytest.fixture
def folders(tmp_path):
    return JobFolders(tmp_path / "work")


def test_an_attempt_that_failed_leaves_what_it_finished_to_the_next(folders, asked, tmp_path):
    told: list[str] = []
    with pytest.raises(RuntimeError), folders.opened(*asked) as folder:
        listener = Listener(item_done=told.append)
        work_off([Assignment(folder, listener)], bench(tmp_path), is_stopping=lambda: bool(told))
        done = set(folder.done())
        raise RuntimeError("the network is gone")
    with folders.opened(*asked) as folder:
        assert done and set(folder.done()) == done
    assert not folder.path.exists(), "a job that is done leaves nothing"


def test_a_folder_that_was_tampered_with_is_made_anew(folders, asked):
    with pytest.raises(RuntimeError), folders.opened(*asked) as folder:
        (folder.path / "inputs" / "room-0.jpg").write_bytes(b"other bytes")
        (folder.path / "outputs").mkdir()
        raise RuntimeError
    with folders.opened(*asked) as folder:
        assert all(folder.holds(file) for file in folder.job.all_inputs())
        assert not (folder.path / "outputs").exists()


def test_two_processes_never_work_on_one_folder(folders, asked):
    folders.root.mkdir(parents=True)
    script = (
        "import fcntl, sys; lock = open(sys.argv[1], 'w'); fcntl.flock(lock, fcntl.LOCK_EX);"
        "print('held', flush=True); sys.stdin.read()"
    )
    lock = folders.root / f"{asked[0].id}.lock"
    command = [sys.executable, "-c", script, str(lock)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout and other.stdin
        other.stdout.readline()
        stop = threading.Event()
        threading.Timer(0.2, stop.set).start()
        with pytest.raises(JobCancelled), folders.opened(*asked, is_cancelled=stop.is_set):
            pass
        other.kill()
        with folders.opened(*asked) as folder:
            assert folder.job == asked[0]


def test_a_lock_that_another_process_forgot_before_it_was_held_is_no_lock(folders, asked, monkeypatch):
    lock, held = folders.root / f"{asked[0].id}.lock", job_folders.lock_if_free

    def held_too_late(file):
        monkeypatch.setattr(job_folders, "lock_if_free", held)
        lock.unlink()
        return held(file)

    monkeypatch.setattr(job_folders, "lock_if_free", held_too_late)
    with folders.opened(*asked), lock.open("a") as there:
        assert not held(there.fileno())


A_FORTNIGHT_AGO = time.time() - 14 * 24 * 3600


def test_what_nobody_came_back_for_is_forgotten_after_a_week(folders, asked):
    folders.root.mkdir(parents=True)
    old, young, others = (folders.root / name for name in ("old-job", "young-job", "warm"))
    for path in (old, young, others):
        path.mkdir()
    for job in (old, young):
        job.with_suffix(".lock").touch()
    for path in (old, others, old.with_suffix(".lock")):
        os.utime(path, (A_FORTNIGHT_AGO, A_FORTNIGHT_AGO))
    with folders.opened(*asked):
        assert not old.exists() and not old.with_suffix(".lock").exists() and young.exists()
        assert others.exists(), "warm workers have their jobs there"


def test_what_somebody_holds_is_never_forgotten(folders, asked, tmp_path):
    another = write_enhance_job(tmp_path / "another", 1, job_id="another")
    with folders.opened(*asked) as held:
        for path in (held.path, held.path.with_suffix(".lock")):
            os.utime(path, (A_FORTNIGHT_AGO, A_FORTNIGHT_AGO))  # or the clock was put forward
        with folders.opened(another.job, {file.path: another.read(file) for file in another.job.all_inputs()}):
            assert held.job == asked[0] and held.path.with_suffix(".lock").exists()
