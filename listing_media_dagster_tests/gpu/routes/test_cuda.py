"""The cuda route without a GPU: real locks and jobs, devices that were only said to be there."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from listing_media_dagster.gpu.devices import DeviceSlots
from listing_media_dagster.gpu.job import Needs
from listing_media_dagster.gpu.routes import cuda
from listing_media_dagster.gpu.routes.here import work_here
from listing_media_dagster.gpu.routes.route import JobCancelled, Listener, RouteFailed
from listing_media_dagster.models.hardware import Hardware
from listing_media_dagster.settings import Settings
from listing_media_dagster_tests.helpers.jobs import write_enhance_job

H200 = Hardware("cuda", "NVIDIA H200", 128, vram_gb=139.8, free_vram_gb=139.0, compute_capability=(9, 0), bf16=True)


@pytest.fixture
def slots(tmp_path):
    return DeviceSlots(("GPU-1",), tmp_path / "locks", lambda device: None)


@pytest.fixture
def route(tmp_path, monkeypatch, slots):
    monkeypatch.setattr(cuda, "find_devices", lambda wanted: slots.devices)
    monkeypatch.setattr(cuda, "look_at_gpus", lambda devices: (H200,) * len(devices))
    monkeypatch.setattr(cuda, "slots_here", lambda at: slots)
    monkeypatch.setattr(cuda, "work_here", lambda folder, listener, device, at: work_here(folder, listener, "cpu", at))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.delenv("LISTING_MEDIA_RUN_ID", raising=False)
    return cuda.open_route(Settings(models_dir=tmp_path))


def test_a_gpu_that_is_large_enough_is_taken_and_kept_for_the_runs_next_job(route, slots, tmp_path):
    assert route.refusal(Needs(gpu="required", vram_gb=80)) is None
    assert "the NVIDIA H200 has 139.8" in route.refusal(Needs(gpu="optional", vram_gb=200))
    folder = write_enhance_job(tmp_path / "job", 1)
    report = route.run(folder, Listener())
    assert folder.result() and report.run_seconds > 0
    assert slots.holders() == ["GPU-1 by small-job"]
    said = []
    again = write_enhance_job(tmp_path / "next", 1, job_id="next-job")
    route.run(again, Listener(say=said.append))
    assert again.result() and slots.holders() == ["GPU-1 by small-job"]
    assert not [line for line in said if "waiting" in line]


def test_steps_that_ask_at_the_same_time_share_the_runs_one_gpu(route, slots, tmp_path, monkeypatch):
    jobs = [write_enhance_job(tmp_path / name, 1, job_id=name) for name in ("one", "two")]
    probed, waits = threading.Event(), threading.Event()

    def problem_of(device):
        probed.set()
        return None if waits.wait(60) else "the other step never came"

    monkeypatch.setattr(cuda, "slots_here", lambda at: replace(slots, problem_of=problem_of))
    stop = threading.Event()
    other = Listener(say=lambda line: waits.set(), is_cancelled=stop.is_set)
    with ThreadPoolExecutor(2) as steps:
        first = steps.submit(route.run, jobs[0], Listener())
        assert probed.wait(60)
        second = steps.submit(route.run, jobs[1], other)
        first.result(60)
        try:
            second.result(60)
        finally:
            stop.set()
    assert all(job.result() for job in jobs) and slots.holders() == ["GPU-1 by one"]


def test_a_gpu_that_is_held_and_too_small_for_the_next_job_lets_it_go_elsewhere(route, slots, tmp_path, monkeypatch):
    route.run(write_enhance_job(tmp_path / "job", 1), Listener())
    larger = replace(H200, name="NVIDIA B300", vram_gb=270.0)
    monkeypatch.setattr(cuda, "find_devices", lambda wanted: ("GPU-1", "GPU-2"))
    monkeypatch.setattr(cuda, "look_at_gpus", lambda devices: (H200, larger)[: len(devices)])
    needs = Needs(gpu="optional", vram_gb=200)
    assert "the NVIDIA H200 has 139.8" in route.refusal(needs)
    with pytest.raises(RouteFailed, match="200 GB of GPU memory are needed"):
        route.run(write_enhance_job(tmp_path / "large", 1, needs=needs), Listener())


def test_of_two_jobs_that_race_for_one_gpu_one_waits(route, slots, tmp_path):
    folder, said = write_enhance_job(tmp_path / "job", 1), []
    claim = slots.claim("another run")

    def hear(line):
        if not said:  # half a second from when it is known to wait, however busy the machine is
            threading.Timer(0.5, claim.release).start()
        said.append(line)

    report = route.run(folder, Listener(say=hear))
    assert report.queue_seconds >= 0.5 and folder.result()
    assert said[0] == "waiting for a GPU: GPU-1 by another run in use"


def test_a_job_that_is_cancelled_while_it_waits_for_a_gpu_lets_go(route, slots, tmp_path):
    folder, stop = write_enhance_job(tmp_path / "job", 1), threading.Event()
    claim = slots.claim("another run")
    threading.Timer(0.3, stop.set).start()
    with pytest.raises(JobCancelled):  # nobody else would end the wait: the other run keeps its GPU until afterwards
        route.run(folder, Listener(is_cancelled=stop.is_set))
    claim.release()
    assert slots.holders() == []


def test_a_gpu_that_broke_since_it_was_looked_at_lets_the_job_go_elsewhere(route, slots, tmp_path, monkeypatch):
    broken = DeviceSlots(slots.devices, slots.folder, lambda device: "an illegal memory access")
    monkeypatch.setattr(cuda, "slots_here", lambda at: broken)
    with pytest.raises(RouteFailed, match="an illegal memory access") as failed:
        route.run(write_enhance_job(tmp_path / "job", 1), Listener())
    assert not failed.value.may_succeed_later


def test_without_a_gpu_nothing_is_asked_of_torch():
    assert cuda.open_route(Settings(gpu_devices="none")).refusal(Needs(gpu="optional")) == "no CUDA device"
