"""Devices lent to one process at a time, without a GPU: the locks are real, the devices aren't."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys

import psutil
import pytest

from listing_media_dagster.gpu import devices as gpu_devices
from listing_media_dagster.gpu.children import child_environment, reap
from listing_media_dagster.gpu.devices import DeviceSlots, NoDevice, find_devices, kernel_problem
from listing_media_dagster_tests.helpers.gpu_runs import is_gone, until

HOLDER = """
import subprocess, sys, time
from pathlib import Path
from listing_media_dagster.gpu.children import child_environment
from listing_media_dagster.gpu.devices import DeviceSlots
slots = DeviceSlots(("gpu-a",), Path(sys.argv[1]), problem_of=lambda device: None)
slots.claim("run-1")
left_over = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(120)"], env=child_environment("run-1"))
print(left_over.pid, flush=True)
time.sleep(120)
"""


def slots(folder, *devices, problems=None):
    return DeviceSlots(devices, folder / "locks", problem_of=(problems or {}).get)


class Cancelled(Exception):
    pass


def cancelled():
    raise Cancelled


def test_a_device_is_lent_once_and_to_the_next_one_when_it_is_given_back(tmp_path):
    two = slots(tmp_path, "gpu-a", "gpu-b")
    first, second = two.claim("run-1"), two.claim("run-2")
    assert {first.device, second.device} == {"gpu-a", "gpu-b"}
    assert two.holders() == ["gpu-a by run-1", "gpu-b by run-2"]
    second.release()
    with two.claimed("run-3") as device:
        assert device == second.device
    assert two.holders() == ["gpu-a by run-1"]


def test_who_waits_says_for_whom_and_can_be_cancelled(tmp_path):
    one = slots(tmp_path, "gpu-a")
    one.claim("run-1")
    said = []
    calls = iter([lambda: None, cancelled])
    with pytest.raises(Cancelled):
        one.claim("run-2", say=said.append, stop_if_cancelled=lambda: next(calls)())
    assert said == ["waiting for a GPU: gpu-a by run-1 in use"]


def test_a_device_that_runs_no_kernel_is_passed_over(tmp_path):
    two = slots(tmp_path, "old", "good", problems={"old": "no kernel image"})
    assert two.claim("run-1").device == "good"


def test_without_a_usable_device_the_reasons_are_told_instead_of_waiting(tmp_path):
    with pytest.raises(NoDevice, match="old: no kernel image"):
        slots(tmp_path, "old", problems={"old": "no kernel image"}).claim("run-1")
    with pytest.raises(NoDevice, match="no CUDA device"):
        slots(tmp_path).claim("run-1")


@pytest.fixture
def usual_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(gpu_devices, "lock_folder", lambda: tmp_path / "locks")
    return tmp_path / "locks"


def test_the_usual_folder_of_locks_is_for_its_user_alone(usual_folder):
    with DeviceSlots(("gpu-a",), usual_folder, problem_of=lambda device: None).claimed("run-1"):
        assert stat.S_IMODE(usual_folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("planted", ["by another user", "open to all", "a link"])
def test_a_folder_of_locks_that_somebody_else_made_is_refused_and_nobody_is_killed(usual_folder, monkeypatch, planted):
    other = usual_folder.with_name("other")
    other.mkdir(mode=0o700)
    (other / "gpu-a.lock").write_text('{"owner": "run-1"}')
    if planted == "a link":
        usual_folder.symlink_to(other)
    else:
        other.rename(usual_folder)
    if planted == "open to all":
        usual_folder.chmod(0o777)
    if planted == "by another user":
        owner = usual_folder.stat().st_uid
        monkeypatch.setattr(os, "getuid", lambda: owner + 1)
    monkeypatch.setattr(gpu_devices, "reap", lambda owner: pytest.fail(f"{owner} was killed"))
    with pytest.raises(NoDevice, match="LISTING_MEDIA_GPU_LOCKS"):
        DeviceSlots(("gpu-a",), usual_folder, problem_of=lambda device: None).claim("run-2")


def test_a_killed_holder_leaves_neither_its_lock_nor_its_children(tmp_path):
    (tmp_path / "locks").mkdir()
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "locks")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        left_over = int(holder.stdout.readline())
        one = slots(tmp_path, "gpu-a")
        assert one.holders() == ["gpu-a by run-1"]
        holder.send_signal(signal.SIGKILL)
    assert psutil.pid_exists(left_over)
    one.claim("run-2")
    until(lambda: is_gone(left_over), "what the killed run left on the GPU is gone")


def test_reaping_spares_this_process_and_other_runs(monkeypatch):
    monkeypatch.setenv("LISTING_MEDIA_RUN_ID", "run-1")
    sleep = [sys.executable, "-c", "import time; time.sleep(120)"]
    with subprocess.Popen(sleep, env=child_environment("run-1")) as ours:
        with subprocess.Popen(sleep, env=child_environment("run-2")) as theirs:
            until(lambda: psutil.Process(theirs.pid).environ().get("LISTING_MEDIA_RUN_ID") == "run-2", "both started")
            assert ours.pid in reap("run-1")
            assert not is_gone(theirs.pid)
            theirs.kill()
        until(lambda: is_gone(ours.pid), "the run's process is gone")


def test_a_child_dies_with_its_parent():
    child = "from listing_media_dagster.gpu.children import die_with_parent as d; d(); print(1, flush=True); input()"
    parent = f"""
import subprocess, sys
from listing_media_dagster.gpu.children import child_environment
child = subprocess.Popen([sys.executable, "-c", {child!r}], env=child_environment("run-1", "gpu-a"),
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
child.wait()
"""
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True) as started:
        pid = int(started.stdout.readline())
        assert not is_gone(pid)
        started.kill()
    until(lambda: is_gone(pid), "the child is gone")


@pytest.fixture
def two_gpus(tmp_path, monkeypatch):
    """A machine whose driver tells of two GPUs."""
    smi = tmp_path / "nvidia-smi"
    smi.write_text("#!/bin/sh\necho '0, GPU-aaaa'; echo '1, GPU-bbbb'\n")
    smi.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.mark.parametrize(
    ("wanted", "visible", "found"),
    [
        ("auto", None, ("GPU-aaaa", "GPU-bbbb")),
        ("auto", "1", ("GPU-bbbb",)),
        ("auto", "", ()),
        ("none", None, ()),
        ("1,GPU-bbbb,0", None, ("GPU-bbbb", "GPU-aaaa")),
        ("MIG-cccc", None, ("MIG-cccc",)),
        ("GPU-bb,1", None, ("GPU-bbbb",)),
        ("GPU-,1", None, ("GPU-", "GPU-bbbb")),
        ("auto", "1,-1,0", ("GPU-bbbb",)),
        ("auto", "-1,0", ()),
    ],
)
def test_devices_have_one_name_each(two_gpus, monkeypatch, wanted, visible, found):
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert find_devices(wanted) == found


def test_a_machine_without_a_driver_has_no_devices(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert find_devices() == ()


def test_the_probe_says_why_a_device_cant_be_used(monkeypatch, tmp_path):
    (tmp_path / "torch.py").write_text("class cuda:\n    is_available = staticmethod(lambda: False)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert kernel_problem("GPU-aaaa") == "PyTorch finds no CUDA device"
