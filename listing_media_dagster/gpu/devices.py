"""The GPUs of this machine, lent to one process at a time: a file lock a device, held by whoever works on it.

The kernel drops such a lock the moment its holder ends, however it ends: no slot can leak, and no daemon, database or
timeout is asked whether it did. Runs and warm workers take from the same folder of locks. Dagster-free.
"""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from listing_media_dagster.gpu.children import reap, visible_to_cuda
from listing_media_dagster.gpu.file_lock import lock_if_free
from listing_media_dagster.settings import Settings

_NVIDIA_SMI_SECONDS = 20
_PROBE_SECONDS = 180
_SECONDS_BETWEEN_TRIES = 0.5
_LONGEST_RECORD = 4096


class NoDevice(Exception):
    """No GPU can be had here, however long one waits; `str()` says why of each."""


def kernel_problem(device: str) -> str | None:
    """Return why CUDA can't run a kernel on `device`, or None if it can.

    Looked into by a process of its own: using CUDA takes hundreds of MB of VRAM that are given back only when the
    process ends, and settles for good which devices it sees.
    """
    command = [sys.executable, "-m", "listing_media_dagster.gpu.kernel_probe"]
    try:
        probed = subprocess.run(  # noqa: S603 (our own module; the device goes by environment)
            command,
            env={**os.environ, **visible_to_cuda(device)},
            capture_output=True,
            text=True,
            timeout=_PROBE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"a small kernel didn't finish within {_PROBE_SECONDS} s"
    lines = (probed.stdout if probed.returncode == 1 else probed.stderr).strip().splitlines()
    return None if probed.returncode == 0 else (lines[-1] if lines else f"its probe ended with {probed.returncode}")


def lock_folder() -> Path:
    """Return where this user's locks lie unless an installation says otherwise."""
    return Path(tempfile.gettempdir()) / f"listing-media-gpu-{os.getuid()}"


def find_devices(wanted: str = "auto") -> tuple[str, ...]:
    """Return the devices to lend out, as CUDA_VISIBLE_DEVICES names them.

    `wanted` is "auto" (those that CUDA_VISIBLE_DEVICES lets us see, else all), "none", or a list such as "0,1".
    A device has one name only, its UUID where nvidia-smi tells it: otherwise it could be lent twice.
    """
    said = os.environ.get("CUDA_VISIBLE_DEVICES") if wanted == "auto" else wanted
    if said is not None and said.strip() in ("", "none", "-1"):
        return ()
    installed = _installed()
    if said is None:
        return tuple(dict.fromkeys(installed.values()))
    names = [name.strip() for name in said.split(",") if name.strip()]
    names = names[: names.index("-1")] if "-1" in names else names  # CUDA reads no further
    return tuple(dict.fromkeys(_one_name(name, installed) for name in names))


def _one_name(name: str, installed: Mapping[str, str]) -> str:
    """Return the UUID that CUDA takes `name` for: an index, a UUID, or the beginning of a single one."""
    begun = [uuid for uuid in installed.values() if name.startswith("GPU-") and uuid.startswith(name)]
    return begun[0] if len(begun) == 1 else installed.get(name, name)


def _installed() -> dict[str, str]:
    """Return UUIDs by index, in the order of the PCI bus; empty where there is no NVIDIA driver."""
    try:
        asked = subprocess.run(
            ["nvidia-smi", "--query-gpu=index,uuid", "--format=csv,noheader"],  # noqa: S607 (its place differs)
            capture_output=True,
            text=True,
            timeout=_NVIDIA_SMI_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return {}
    if asked.returncode:
        return {}
    rows = [[cell.strip() for cell in line.split(",")] for line in asked.stdout.splitlines()]
    return {row[0]: row[1] for row in rows if len(row) == 2 and row[1].startswith("GPU-")}


@dataclass
class Claim:
    """A device that is ours until `release`, or until this process ends."""

    device: str
    _lock: int

    def release(self) -> None:
        # Said before the lock goes: whoever finds a name kills what is left of that run.
        _write_owner(self._lock, "")
        os.close(self._lock)


@dataclass(frozen=True)
class DeviceSlots:
    """The devices that processes of this machine share. `problem_of` is asked before a device is given out."""

    devices: tuple[str, ...]
    folder: Path = field(default_factory=lock_folder)
    problem_of: Callable[[str], str | None] = kernel_problem

    @contextmanager
    def claimed(
        self,
        owner: str,
        *,
        say: Callable[[str], None] = lambda line: None,
        stop_if_cancelled: Callable[[], None] = lambda: None,
    ) -> Iterator[str]:
        """Give a device for the length of the block, as `claim` does."""
        claim = self.claim(owner, say=say, stop_if_cancelled=stop_if_cancelled)
        try:
            yield claim.device
        finally:
            claim.release()

    def claim(
        self,
        owner: str,
        *,
        say: Callable[[str], None] = lambda line: None,
        stop_if_cancelled: Callable[[], None] = lambda: None,
    ) -> Claim:
        """Wait for a device that nobody holds and that runs kernels; `owner` is the run's id, or names a worker.

        What a holder that was killed left running is killed before its device is given to the next one.
        Raises `NoDevice` if there is none to wait for or the locks can't be trusted, and whatever `stop_if_cancelled`
        raises.
        """
        problems: dict[str, str] = {}
        waits_for: list[str] = []
        while True:
            stop_if_cancelled()
            claim = self._try(owner, problems)
            if claim is not None:
                return claim
            if set(problems) >= set(self.devices):
                raise NoDevice("; ".join(f"{name}: {why}" for name, why in problems.items()) or "no CUDA device")
            if waits_for != (holders := self.holders()):
                waits_for = holders
                say(f"waiting for a GPU: {', '.join(waits_for) or 'one'} in use")
            time.sleep(_SECONDS_BETWEEN_TRIES)

    def holders(self) -> list[str]:
        """Return what is held and by whom, one line a device, for people to read."""
        found = []
        for device in self.devices:
            lock = self._open(device)
            if not lock_if_free(lock):
                found.append(f"{device} by {_owner(lock) or 'somebody'}")
            os.close(lock)
        return found

    def _try(self, owner: str, problems: dict[str, str]) -> Claim | None:
        for device in self.devices:
            if device in problems:
                continue
            lock = self._open(device)
            if not lock_if_free(lock):
                os.close(lock)
                continue
            before = _owner(lock)
            if before:
                reap(before)
            problem = self.problem_of(device)
            if problem is None:
                _write_owner(lock, owner)
                return Claim(device, lock)
            problems[device] = problem
            os.close(lock)
        return None

    def _open(self, device: str) -> int:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.folder == lock_folder():
            _require_ours(self.folder)
        name = re.sub(r"[^A-Za-z0-9-]", "_", device)
        # Not for whoever else can write to the folder for temporary files to choose what we open.
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        return os.open(self.folder / f"{name}.lock", flags, 0o600)


def slots_here(at: Settings) -> DeviceSlots:
    """Return the devices that this machine's runs and workers share, as the installation says."""
    return DeviceSlots(find_devices(at.gpu_devices), at.gpu_locks or lock_folder())


def _require_ours(folder: Path) -> None:
    """Raise `NoDevice` for a folder that somebody else may have made: its locks block GPUs, its owners get killed."""
    seen = folder.lstat()
    if not stat.S_ISDIR(seen.st_mode) or seen.st_uid != os.getuid() or seen.st_mode & 0o022:
        raise NoDevice(
            f"the folder of GPU locks {folder} belongs to another user or can be written by others: "
            "remove it, or name one of your own in LISTING_MEDIA_GPU_LOCKS"
        )


def _owner(lock: int) -> str:
    try:
        return str(json.loads(os.pread(lock, _LONGEST_RECORD, 0))["owner"])
    except (ValueError, KeyError, TypeError):
        return ""


def _write_owner(lock: int, owner: str) -> None:
    os.ftruncate(lock, 0)
    os.pwrite(lock, json.dumps({"owner": owner, "pid": os.getpid()}).encode(), 0)
