"""Brackets: align and merge five hand-held 12 MP frames, against `align_image_stack` and `enfuse`.

Both start from the same JPEG files in processes of their own; CPU seconds and peak memory are the kernel's figures.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

SIZE = (4240, 2832)
EXPOSURES_EV = (-4.0, -2.0, 0.0, 2.0, 4.0)
REPEATS = 3
PEERS = ("align_image_stack", "enfuse")

_OURS = """
import sys, cv2
from listing_media_dagster.photo.fusion import fuse_brackets
paths, out = sys.argv[1:-1], sys.argv[-1]
def opened(path):
    return lambda: cv2.cvtColor(cv2.imread(path), cv2.COLOR_BGR2RGB)
fused = fuse_brackets([opened(path) for path in paths], [-4.0, -2.0, 0.0, 2.0, 4.0], 2)
assert fused.metrics["frames_merged"] == 5, fused.notes
cv2.imwrite(out, cv2.cvtColor(fused.rgb, cv2.COLOR_RGB2BGR))
"""

# A child's peak memory starts at that of the process that forked it, so a small one has to start the commands.
_MEASURE = """
import json, os, sys
began = os.times().elapsed
pid = os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ, file_actions=[
    (os.POSIX_SPAWN_OPEN, 1, sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), (os.POSIX_SPAWN_DUP2, 1, 2)])
_, status, used = os.wait4(pid, 0)
print(json.dumps([os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime,
                  os.times().elapsed - began, used.ru_maxrss / 1024]))
"""


@dataclass(frozen=True)
class Usage:
    """What one command and its children cost."""

    cpu_seconds: float
    wall_seconds: float
    peak_mb: float


def run() -> dict[str, Any]:
    """Return {name, ours, peers, ratio, machine}: medians over `REPEATS` interleaved rounds."""
    missing = [peer for peer in PEERS if shutil.which(peer) is None]
    with tempfile.TemporaryDirectory(prefix="brackets-") as folder:
        frames = [str(path) for path in write_bracket(Path(folder))]
        ours, align, enfuse = [], [], []
        for _ in range(REPEATS):
            ours.append(measure([sys.executable, "-c", _OURS, *frames, f"{folder}/ours.tif"], folder))
            if not missing:
                align.append(measure(["align_image_stack", "-a", f"{folder}/aligned_", *frames], folder))
                aligned = sorted(str(path) for path in Path(folder).glob("aligned_*.tif"))
                enfuse.append(measure(["enfuse", "-o", f"{folder}/enfuse.tif", *aligned], folder))
    report: dict[str, Any] = {
        "name": "brackets",
        "ours": _median(ours) | {"what": "decode, align and fuse 5 frames, Python start included"},
        "peers": dict.fromkeys(missing, "missing: install hugin-tools and enfuse"),
        "ratio": {},
        "machine": {"processor": platform.processor() or platform.machine(), "cpus": os.cpu_count()},
        "pixels": SIZE[0] * SIZE[1],
        "rounds": REPEATS,
    }
    if not missing:
        both = _median(align)["cpu_seconds"] + _median(enfuse)["cpu_seconds"]
        report["peers"] = {
            "align_image_stack": _median(align) | {"version": _version("align_image_stack")},
            "enfuse": _median(enfuse) | {"version": _version("enfuse")},
        }
        report["ratio"] = {
            "cpu_seconds": round(report["ours"]["cpu_seconds"] / both, 3),
            "peak_mb": round(report["ours"]["peak_mb"] / _median(enfuse)["peak_mb"], 3),
            "bar": {"cpu_seconds": 0.7, "peak_mb": 1.0},
        }
    return report


def measure(command: list[str], folder: str) -> Usage:
    """Run `command` to its end in `folder`; raises CalledProcessError with its output if it fails."""
    program = shutil.which(command[0]) or command[0]
    log = Path(folder) / "output.log"
    launcher = [sys.executable, "-S", "-E", "-c", _MEASURE, str(log), program, *command[1:]]
    done = subprocess.run(launcher, cwd=folder, capture_output=True, text=True, check=True)
    code, cpu_seconds, wall_seconds, peak_mb = json.loads(done.stdout)
    if code:
        raise subprocess.CalledProcessError(code, command, log.read_text(errors="replace"))
    return Usage(cpu_seconds, wall_seconds, peak_mb)


def write_bracket(folder: Path) -> list[Path]:
    """Five hand-held exposures of one drawn room with a bright window, as JPEG files."""
    width, height = SIZE
    light = room_light(width, height)
    chance = np.random.default_rng(1)
    paths = []
    for number, ev in enumerate(EXPOSURES_EV):
        angle, shift = chance.normal(0, 0.25), chance.normal(0, 12, 2)
        if ev == 0:
            angle, shift = 0.0, np.zeros(2)
        shake = cv2.getRotationMatrix2D((width / 2, height / 2), float(angle), 1.0)
        shake = shake + np.column_stack([np.zeros((2, 2)), shift])
        seen = cv2.warpAffine(light, shake, SIZE, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        noise = chance.standard_normal(light.shape, np.float32) * np.float32(0.003)
        exposed = np.clip(np.asarray(seen, np.float32) * np.float32(2**ev) + noise, 0, 1)
        path = folder / f"frame{number}.jpg"
        coded = (exposed ** np.float32(1 / 2.2) * 255 + 0.5).astype(np.uint8)
        cv2.imwrite(str(path), coded, [cv2.IMWRITE_JPEG_QUALITY, 92])
        paths.append(path)
    return paths


def room_light(width: int, height: int) -> NDArray[np.float32]:
    """Linear light of a room: textured walls and furniture about 0.04, a window view of 0.8 to 3. float32 (h, w, 3)."""
    chance = np.random.default_rng(0)
    small = chance.random((height // 60, width // 60, 3), np.float32)
    light = 0.06 + 0.1 * cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    fine = cv2.resize(chance.random((height // 4, width // 4), np.float32), (width, height))
    light *= (0.7 + 0.6 * fine)[..., None]
    for _ in range(90):
        x, y = int(chance.integers(0, width)), int(chance.integers(0, height))
        w, h = chance.integers(height // 40, height // 6, 2)
        shade = (chance.random(3) * 0.35 + 0.01).tolist()
        cv2.rectangle(light, (x, y), (int(x + w), int(y + h)), shade, -1, cv2.LINE_AA)
    left, top, right, bottom = int(0.55 * width), int(0.15 * height), int(0.85 * width), int(0.6 * height)
    view = cv2.resize(
        chance.random((30, 40, 3), np.float32), (right - left, bottom - top), interpolation=cv2.INTER_LINEAR
    )
    light[top:bottom, left:right] = 2 + 6 * view * (0.6 + 0.4 * fine[top:bottom, left:right, None])
    for x in np.linspace(left, right, 5):
        cv2.line(light, (int(x), top), (int(x), bottom), (0.03, 0.03, 0.04), max(2, width // 200), cv2.LINE_AA)
    return np.asarray(light * np.float32(0.4), np.float32)


def _median(usages: list[Usage]) -> dict[str, Any]:
    return {
        "cpu_seconds": round(statistics.median(usage.cpu_seconds for usage in usages), 2),
        "wall_seconds": round(statistics.median(usage.wall_seconds for usage in usages), 2),
        "peak_mb": round(statistics.median(usage.peak_mb for usage in usages), 1),
    }


def _version(program: str) -> str:
    flag = "--version" if program == "enfuse" else "-h"
    done = subprocess.run([program, flag], capture_output=True, text=True, check=False)
    lines = [line for line in (done.stdout + done.stderr).splitlines() if "ersion" in line or program in line.lower()]
    return lines[0].strip() if lines else "unknown"


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
