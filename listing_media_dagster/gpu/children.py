"""Processes that work for a run: they carry its id, die with whoever started them, and can be found by that id.

    python -m listing_media_dagster.gpu.children PROGRAM [WORD …]

becomes a program that isn't ours and dies with us all the same. Dagster-free: workers import it.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence

import psutil

RUN_ID = "LISTING_MEDIA_RUN_ID"
PARENT = "LISTING_MEDIA_PARENT_PID"
_PR_SET_PDEATHSIG = 1
_SECONDS_BETWEEN_LOOKS = 1.0


def child_environment(run_id: str, device: str | None = None) -> dict[str, str]:
    """Return the environment for a process that works for the run: its id, its parent, and the one GPU it may see.

    Without a `device` it sees no GPU at all.
    """
    return {**parent_environment(), RUN_ID: run_id, **visible_to_cuda(device)}


def visible_to_cuda(device: str | None) -> dict[str, str]:
    """Return the variables that let CUDA see only `device`; they count until a process first uses CUDA."""
    return {"CUDA_VISIBLE_DEVICES": device or "", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}


def die_with_parent() -> None:
    """Have this process killed as soon as the one that started it is gone; call it first of all.

    On Linux the kernel does it, whatever this process is doing then (the thread that started us counts as the parent
    there, so start children from a thread that outlives them). Elsewhere a thread looks once a second, which a long
    call that doesn't let other threads run delays.
    """
    parent = int(os.environ.get(PARENT) or os.getppid())
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    else:
        threading.Thread(target=_die_once_adopted, args=(parent,), daemon=True).start()
    if os.getppid() != parent:  # it died before we could ask
        os.kill(os.getpid(), signal.SIGKILL)


def dying_with_us(command: Sequence[str]) -> list[str]:
    """Return the command that has a program which isn't ours die with the thread that starts it.

    Its environment is to be `parent_environment`. Without Linux it lives on.
    """
    return [sys.executable, "-m", __name__, *command]


def parent_environment() -> dict[str, str]:
    """Return the environment for a process that is to die with this one."""
    return {**os.environ, PARENT: str(os.getpid())}


def _die_once_adopted(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    os.kill(os.getpid(), signal.SIGKILL)


def reap(run_id: str, *, spare: frozenset[int] = frozenset()) -> list[int]:
    """Kill what still runs for a run that has ended, on this machine; return the process ids.

    Ours only, and never this process or those that started it.
    """
    this = psutil.Process()
    spared = {this.pid, *(parent.pid for parent in this.parents()), *spare}
    reaped = []
    for process in psutil.process_iter(["pid", "uids"]):
        if process.pid in spared or process.info["uids"] is None or process.info["uids"].real != os.getuid():
            continue
        try:
            if process.environ().get(RUN_ID) == run_id:
                process.kill()
                reaped.append(process.pid)
        except psutil.Error:
            continue  # gone already, or another container's
    return reaped


def kill_descendants() -> None:
    """Kill every process that this one started, and theirs."""
    for process in psutil.Process().children(recursive=True):
        try:
            process.kill()
        except psutil.Error:
            continue


if __name__ == "__main__":
    die_with_parent()
    os.execvp(sys.argv[1], sys.argv[1:])  # noqa: S606 - what we were told to become
