"""Photo: a 12 MP JPEG to the finished full-resolution base, against `darktable-cli` with its defaults.

Both start from the same JPEG file in a process of their own and write a JPEG of the same size; CPU seconds (user and
system, all threads) and peak memory are the kernel's figures, interpreter start and imports included. Each runs once
uncounted first: files are read from disk and, as an installed package has it, Python's bytecode is there.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import machine, measure_child

SIZE = (4032, 3024)
REPEATS = 3
BAR = 0.7

_WRITE = (
    "import sys; from pathlib import Path; from benchmarks.photo import write_photo; write_photo(Path(sys.argv[1]))"
)

_FULL = """
import sys
from pathlib import Path
from listing_media_dagster.photo.decode import decode_upright
from listing_media_dagster.photo.encode import encode_jpeg
from listing_media_dagster.photo.enhance import agree_on_look, enhance, estimate_look
from listing_media_dagster.photo.perspective import correct_geometry
import cv2
cv2.setNumThreads(1)  # as the stages do: they work on several photos at a time instead
photo, made = map(Path, sys.argv[1:])
rgb = correct_geometry(decode_upright(photo).rgb).rgb
estimate = estimate_look(rgb)
done = enhance(rgb, estimate, agree_on_look({"photo": estimate}))
assert done.operations, "nothing was done"
made.write_bytes(encode_jpeg(done.rgb, 95, optimise=False))
"""

_ENHANCE_ALONE = """
import json, resource, sys, time
import cv2, psutil
from listing_media_dagster.photo.enhance import agree_on_look, enhance, estimate_look
rgb = cv2.imread(sys.argv[1], cv2.IMREAD_COLOR_RGB)
enhance(rgb[:64, :64].copy(), estimate_look(rgb[:64, :64].copy()), agree_on_look({}))
before, began = psutil.Process().memory_info().rss / 2**20, time.process_time()
estimate = estimate_look(rgb)
measured = time.process_time()
enhance(rgb, estimate, agree_on_look({"photo": estimate}))
ended, peak = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
cost = {"estimate_cpu_s": measured - began, "enhance_cpu_s": ended - measured, "extra_mb": peak - before}
print(json.dumps(cost))
"""


def run() -> dict[str, Any]:
    """Return {name, ours, peers, ratio, machine}: medians over `REPEATS` interleaved rounds."""
    darktable = shutil.which("darktable-cli")
    with tempfile.TemporaryDirectory(prefix="photo-") as folder:
        photo = Path(folder) / "photo.jpg"
        # in a process of its own: a child's peak memory starts at its parent's
        subprocess.run([sys.executable, "-c", _WRITE, str(photo)], check=True)
        # bytecode of its own: a checkout's may be missing, stale, or forbidden to be written
        bytecode = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
        bytecode["PYTHONPYCACHEPREFIX"] = f"{folder}/bytecode"
        ours, theirs, alone = [], [], []
        measure_child([sys.executable, "-c", _FULL, str(photo), f"{folder}/warm-up.jpg"], env=bytecode)
        if darktable:
            measure_child(_darktable(darktable, photo, folder, REPEATS))
        for number in range(REPEATS):
            command = [sys.executable, "-c", _FULL, str(photo), f"{folder}/ours{number}.jpg"]
            ours.append(measure_child(command, env=bytecode))
            alone.append(_alone(photo))
            if darktable:
                theirs.append(measure_child(_darktable(darktable, photo, folder, number)))
        sizes = {path.name: _size(path) for path in sorted(Path(folder).glob("*0.jpg"))}
    report: dict[str, Any] = {
        "name": "photo",
        "ours": _median(ours) | {"what": "decode, geometry, enhance, encode; process start included"} | _median(alone),
        "peers": {"darktable-cli": f"missing: install darktable (got {darktable})"},
        "ratio": {},
        "machine": machine(),
        "pixels": SIZE[0] * SIZE[1],
        "output_sizes": sizes,
        "rounds": REPEATS,
    }
    if darktable:
        report["peers"] = {"darktable-cli": _median(theirs) | {"version": _version(darktable)}}
        report["ratio"] = {
            "cpu_s": round(report["ours"]["cpu_s"] / report["peers"]["darktable-cli"]["cpu_s"], 3),
            "peak_mb": round(report["ours"]["peak_mb"] / report["peers"]["darktable-cli"]["peak_mb"], 3),
            "bar": {"cpu_s": BAR},
        }
    return report


def write_photo(path: Path) -> Path:
    """A drawn 12 MP room in warm evening light, under-exposed, noisy, a bright window in view, as a camera's JPEG."""
    width, height = SIZE
    chance = np.random.default_rng(3)
    across = np.linspace(0, 1, width, dtype=np.float32)[None, :, None]
    down = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    light = 0.16 + 0.22 * across + 0.10 * (1 - down) + np.zeros((height, width, 3), np.float32)
    floor = np.array(
        [[0, height], [width, height], [int(0.8 * width), int(0.68 * height)], [int(0.2 * width), int(0.68 * height)]]
    )
    cv2.fillPoly(light, [floor], (0.20, 0.11, 0.05))
    grain = cv2.resize(chance.random((height // 4, width // 40), np.float32), (width, height))
    light[int(0.68 * height) :] *= (0.7 + 0.6 * grain[int(0.68 * height) :])[..., None]
    view = cv2.resize(chance.random((40, 30, 3), np.float32), (width // 5, height // 3))
    light[height // 6 : height // 6 + height // 3, width // 2 : width // 2 + width // 5] = 0.5 + 0.7 * view
    for _ in range(120):
        x, y = int(chance.integers(0, width)), int(chance.integers(height // 3, height))
        w, h = chance.integers(height // 40, height // 7, 2)
        cv2.rectangle(
            light, (x, y), (int(x + w), int(y + h)), (chance.random(3) * 0.4 + 0.01).tolist(), -1, cv2.LINE_AA
        )
    light *= np.array([1.25, 1.0, 0.62], np.float32) * 0.6
    light += chance.standard_normal(light.shape, np.float32) * np.float32(0.004)
    coded = (np.clip(light, 0, 1) ** np.float32(1 / 2.2) * 255 + 0.5).astype(np.uint8)
    cv2.imwrite(str(path), cv2.cvtColor(coded, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 92])
    return path


def _darktable(program: str, photo: Path, folder: str, number: int) -> list[str]:
    # A configuration of its own each time: no edits, presets or caches of an earlier run; same JPEG quality as ours.
    return [
        program, str(photo), f"{folder}/darktable{number}.jpg", "--core",
        "--configdir", f"{folder}/config{number}", "--cachedir", f"{folder}/cache{number}", "--library", ":memory:",
        "--conf", "plugins/imageio/format/jpeg/quality=95",
    ]  # fmt: skip


def _alone(photo: Path) -> dict[str, float]:
    import json

    done = subprocess.run([sys.executable, "-c", _ENHANCE_ALONE, str(photo)], capture_output=True, check=True)
    return dict(json.loads(done.stdout))


def _median(rounds: list[dict[str, float]]) -> dict[str, Any]:
    return {key: round(statistics.median(each[key] for each in rounds), 3) for key in rounds[0]}


def _size(path: Path) -> list[int]:
    image: NDArray[Any] | None = cv2.imread(str(path))
    if image is None:
        raise OSError(f"{path.name} holds no picture")
    return [image.shape[1], image.shape[0]]


def _version(program: str) -> str:
    return subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout.splitlines()[0]
