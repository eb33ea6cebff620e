"""The worker on real jobs: what it skips, what it survives, how it is stopped, and what it says."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from listing_media_dagster.gpu import worker
from listing_media_dagster.gpu.job import BadJob, JobFolder, pack
from listing_media_dagster.gpu.routes.route import Listener
from listing_media_dagster.gpu.work.bench import Bench, Made
from listing_media_dagster.gpu.work.table import Work
from listing_media_dagster.gpu.worker import Assignment, ProgressLine, work_off
from listing_media_dagster.models.warm import WarmModels
from listing_media_dagster_tests.helpers.jobs import write_enhance_job


def bench(tmp_path) -> Bench:
    return Bench("cpu", WarmModels(), tmp_path / "models")


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "listing_media_dagster.gpu.worker", *map(str, words)]


@pytest.fixture
def calls(monkeypatch):
    """Have enhancing done by a function that only notes which tasks it was given at once."""
    seen: list[list[str]] = []

    def note(tasks, bench):
        seen.append([f"{task.job.id}/{task.item.id}" for task in tasks])
        for task in tasks:
            if b"no picture" in task.read("picture"):
                raise ValueError("no picture")
            yield Made(outputs={"out.txt": task.item.id.encode()})

    monkeypatch.setattr(Work, "load", lambda self: note)
    return seen


def test_a_job_is_worked_off_and_every_digest_holds(tmp_path):
    folder = write_enhance_job(tmp_path / "job")
    assert work_off([Assignment(folder)], bench(tmp_path)) == set()
    result = folder.result()
    assert [item.outcome for item in result.items] == ["ok"] * 3
    assert all(item.outputs["enhanced.jpg"].size and item.record["operations"] for item in result.items)
    assert all(item.seconds > 0 and item.peak_memory_mb > 1 and item.device == "cpu" for item in result.items)


def test_the_same_job_gives_the_same_bytes_in_another_process(tmp_path):
    here, there = write_enhance_job(tmp_path / "here"), write_enhance_job(tmp_path / "there")
    work_off([Assignment(here)], bench(tmp_path))
    subprocess.run(command(there.path), check=True, stdout=subprocess.DEVNULL)
    assert [item.outputs for item in here.result().items] == [item.outputs for item in there.result().items]


def test_an_item_that_fails_is_recorded_and_the_others_go_on(tmp_path):
    folder = write_enhance_job(tmp_path / "job", spoilt=1)
    work_off([Assignment(folder)], bench(tmp_path))
    assert [item.outcome for item in folder.result().items] == ["ok", "failed", "ok"]
    assert folder.result().items[1].reason == "an input is no picture"


def test_a_failed_item_is_tried_again_and_finished_ones_are_not(tmp_path, calls):
    folder = write_enhance_job(tmp_path / "job", spoilt=1)
    work_off([Assignment(folder)], bench(tmp_path))
    work_off([Assignment(folder)], bench(tmp_path))
    assert [batch for batch in calls if len(batch) == 1][-1] == ["small-job/room-1"]
    assert sum(batch == ["small-job/room-0"] for batch in calls) == 1


def test_tasks_of_several_jobs_that_go_together_are_done_at_once(tmp_path, calls, monkeypatch):
    monkeypatch.setattr(worker, "tasks_at_once", lambda job: 4)
    folders = [write_enhance_job(tmp_path / name, 3, job_id=name) for name in ("one", "two")]
    assert work_off([Assignment(folder) for folder in folders], bench(tmp_path)) == set()
    assert calls == [["one/room-0", "one/room-1", "one/room-2", "two/room-0"], ["two/room-1", "two/room-2"]]
    assert all(folder.result() for folder in folders)


def test_one_bad_task_in_a_batch_fails_alone(tmp_path, calls, monkeypatch):
    monkeypatch.setattr(worker, "tasks_at_once", lambda job: 4)
    folder = write_enhance_job(tmp_path / "job", 4, spoilt=2)
    work_off([Assignment(folder)], bench(tmp_path))
    assert [item.outcome for item in folder.result().items] == ["ok", "ok", "failed", "ok"]


def test_a_cancelled_job_is_left_between_items_and_the_other_goes_on(tmp_path):
    cancelled, other = (write_enhance_job(tmp_path / name, 2, job_id=name) for name in ("one", "two"))
    done: list[str] = []
    listener = Listener(item_done=done.append, is_cancelled=lambda: bool(done))
    assert work_off([Assignment(cancelled, listener), Assignment(other)], bench(tmp_path)) == {"one"}
    assert done == ["room-0"] and set(cancelled.done()) == {"room-0"}
    with pytest.raises(BadJob, match="holds no finished job"):
        cancelled.result()
    assert other.result()


def test_a_worker_short_of_time_leaves_a_job_that_another_one_finishes(tmp_path):
    folder = write_enhance_job(tmp_path / "job")
    assert work_off([Assignment(folder)], bench(tmp_path), stop_at=time.monotonic() + 0.001) == {"small-job"}
    assert set(folder.done()) < {"room-0", "room-1", "room-2"}
    work_off([Assignment(folder)], bench(tmp_path))
    assert folder.result()


def test_a_worker_short_of_time_takes_no_more_tasks_at_once_than_it_gets_done(tmp_path, monkeypatch):
    now, taken = [0.0], []

    def take_ten_seconds_each(tasks, bench):
        taken.append(len(tasks))
        now[0] += 10.0 * len(tasks)
        yield from (Made(outputs={"out.txt": b""}) for _ in tasks)

    monkeypatch.setattr(Work, "load", lambda self: take_ten_seconds_each)
    monkeypatch.setattr(worker, "tasks_at_once", lambda job: 16)
    monkeypatch.setattr(worker, "time", SimpleNamespace(monotonic=lambda: now[0]))
    folder = write_enhance_job(tmp_path / "job", 8)
    assert work_off([Assignment(folder)], bench(tmp_path), stop_at=65.0) == {"small-job"}
    assert taken == [1, 5] and now[0] < 65 and len(folder.done()) == 6
    assert work_off([Assignment(folder)], bench(tmp_path)) == set()
    assert taken == [1, 5, 2]


def test_a_tampered_output_is_made_again(tmp_path):
    folder = write_enhance_job(tmp_path / "job")
    work_off([Assignment(folder)], bench(tmp_path))
    honest = folder.result()
    (folder.path / "outputs" / "room-1" / "enhanced.jpg").write_bytes(b"other bytes")
    assert set(folder.done()) == {"room-0", "room-2"}
    work_off([Assignment(folder)], bench(tmp_path))
    assert [item.outputs for item in folder.result().items] == [item.outputs for item in honest.items]


def test_a_zipped_job_is_unpacked_and_progress_is_told_line_by_line(tmp_path):
    bundle = tmp_path / "job.zip"
    pack(write_enhance_job(tmp_path / "job", 2), bundle)
    told = subprocess.run(command(bundle, "--into", tmp_path / "there"), check=True, capture_output=True, text=True)
    lines = [ProgressLine.read(line) for line in told.stdout.splitlines()]
    assert [line.event for line in lines if line] == ["began", "item", "item", "finished"]
    assert JobFolder(tmp_path / "there").result()


@pytest.mark.parametrize("what", ["nothing there", "no job", "no zip", "unknown kind"])
def test_a_bad_job_is_one_clear_line(tmp_path, what):
    path = tmp_path / "job"
    if what == "no job":
        path.mkdir()
    elif what == "no zip":
        path.write_bytes(b"no zip")
    elif what == "unknown kind":
        folder = write_enhance_job(path)
        folder.write("job.json", (path / "job.json").read_bytes().replace(b'"enhance"', b'"paint"'))
    told = subprocess.run(command(path), capture_output=True, text=True)
    assert told.returncode == 2 and told.stdout == ""
    assert len(told.stderr.splitlines()) == 1 and str(path.name) in told.stderr


def test_sigterm_stops_a_worker_after_the_item_in_hand(tmp_path):
    folder = write_enhance_job(tmp_path / "job", 3)
    picture = folder.path / "inputs" / "room-1.jpg"
    data = picture.read_bytes()
    picture.unlink()
    os.mkfifo(picture)
    with subprocess.Popen(command(folder.path), stdout=subprocess.PIPE, text=True) as working:
        with picture.open("wb") as handed_over:  # opens when the worker reads it: then the item is in hand
            os.kill(working.pid, signal.SIGTERM)
            handed_over.write(data)
        assert working.stdout
        last = ProgressLine.read(working.stdout.read().splitlines()[-1])
    assert working.returncode == 3
    assert last and (last.event, last.done) == ("stopped", 2)
    assert set(folder.done()) == {"room-0", "room-1"}


def test_the_worker_needs_neither_dagster_nor_torch(tmp_path):
    folder = write_enhance_job(tmp_path / "job", 1)
    script = (
        "import sys; from listing_media_dagster.gpu.worker import main; code = main(sys.argv[1:]);"
        "print(sorted({'dagster', 'torch', 'pydantic_settings', 'sqlalchemy'} & set(sys.modules)), file=sys.stderr);"
        "sys.exit(code)"
    )
    told = subprocess.run([sys.executable, "-c", script, str(folder.path)], capture_output=True, text=True, check=True)
    assert told.stderr.strip() == "[]"
    assert Path(folder.path, "manifest.json").exists()


def test_where_a_finished_item_cannot_be_taken_that_is_said_and_the_item_is_not_called_failed(
    tmp_path, calls, monkeypatch
):
    monkeypatch.setattr(worker, "tasks_at_once", lambda job: 3)
    folder = write_enhance_job(tmp_path / "job")

    def take(item_id: str) -> None:
        raise OSError(28, "the store is full")

    with pytest.raises(OSError, match="the store is full"):
        work_off([Assignment(folder, Listener(item_done=take))], bench(tmp_path))
    assert set(folder.done()) == {"room-0"}


@pytest.mark.parametrize(
    "line",
    [
        "chatter",
        "[1]",
        "[" * 100_000,
        '{"level": "info"}',
        '{"event": "item", "item": ["a"]}',
        '{"event": "say", "text": 5}',
        '{"event": "item", "item": "a", "peak_memory_mb": "much"}',
        '{"event": 1}',
    ],
)
def test_a_line_that_is_not_the_workers_is_none(line):
    assert ProgressLine.read(line) is None


@pytest.mark.parametrize(
    ("device", "code", "said"), [("gpu", 2, "cpu or cuda:N"), ("cuda:99", 4, "cuda:99 can't be used")]
)
def test_a_device_that_is_none_is_one_clear_line(tmp_path, device, code, said):
    folder = write_enhance_job(tmp_path / "job", 1)
    told = subprocess.run(command(folder.path, "--device", device), capture_output=True, text=True, check=False)
    assert told.returncode == code and said in told.stderr and "Traceback" not in told.stderr
    assert not folder.done()
