"""GPU: staging, image-to-video, depth and CLIP with full-size random models, our path against plain diffusers.

Each part runs in a process of its own with a time limit of its own, so that all of them fit ten minutes and what was
measured before a failure is kept. SDXL is held against NVIDIA's MLPerf figure as well, which is text-to-image.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from typing import Any

from benchmarks.machine import machine

# MLPerf Inference v5.1, SDXL 1024x1024, 20 steps, guidance 8, fp8 TensorRT, offline, samples a second and GPU
# (mlcommons/inference_results_v5.1, summary_results.json: 19.19 on 8x H200-SXM, submission 5.1-0079; 18.10 on
# 8x H100-SXM, 5.1-0092).
MLPERF_SDXL = {"H200": 2.40, "H100": 2.26, "B200": 3.99, "L40S": 0.69, "L4": 0.25}
BARS = {"sdxl_20_over_plain": 1.8, "sdxl_20_over_mlperf": 0.5, "busy": 0.9}
# Seconds: building, a first picture, compiling and the measured job; together less than ten minutes. The part "graphs"
# compiles for minutes and is run by itself: python -m benchmarks.gpu graphs 580
PARTS = {"sdxl": 230, "klein": 90, "seeing": 55, "svd": 90, "wan": 95}


@dataclass(frozen=True)
class Figures:
    """What a part measured before its end; `fault` says how it ended if not well."""

    measured: dict[str, Any]
    fault: str | None = None


def run(tiny: bool = False) -> dict[str, Any]:
    """Return `{name, ours, peers, ratio, machine}`, or only why nothing was measured.

    `tiny` runs all of it on the CPU with tiny models, which proves the script and measures nothing.
    """
    gpu = None if tiny else _gpu()
    if gpu is None and not tiny:
        return {"name": "gpu", "not_run": "not run on a GPU: torch sees no CUDA device here", "machine": machine()}
    figures = {part: _told(part, run_part(part, seconds, tiny)) for part, seconds in PARTS.items()}
    measured = {part: each.measured for part, each in figures.items()}
    return {
        "name": "gpu",
        "ours": {part: _of(each, "ours") for part, each in measured.items()},
        "peers": {part: _of(each, "plain") for part, each in measured.items()},
        "ratio": ratios(measured, gpu or ""),
        "faults": {part: each.fault for part, each in figures.items() if each.fault},
        "built": {part: each["built"] for part, each in measured.items() if "built" in each},
        "machine": {**machine(), "gpu": gpu, "versions": _versions()},
    }


def run_part(part: str, seconds: float, tiny: bool = False) -> Figures:
    """Run one part in its own process and return what it printed, a JSON object a line, until its time was up."""
    command = [sys.executable, "-m", "benchmarks.gpu", part, str(seconds), *(["--tiny"] if tiny else [])]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    errors: list[str] = []
    reading = threading.Thread(target=lambda: errors.extend(process.stderr or ()), daemon=True)
    reading.start()
    timer = threading.Timer(seconds, _kill, (process,))
    timer.start()
    measured: dict[str, Any] = {}
    try:
        for line in process.stdout or ():
            if line.startswith("{"):
                measured.update(json.loads(line))
        code = process.wait()
    finally:
        timer.cancel()
        _kill(process)
    reading.join(timeout=5)
    if code == 0:
        return Figures(measured)
    why = next((line.strip() for line in reversed(errors) if line.strip()), "")
    return Figures(measured, f"cut off after {seconds:g} s" if code == -signal.SIGKILL else f"exit {code}: {why[:300]}")


def ratios(measured: dict[str, dict[str, Any]], gpu: str) -> dict[str, Any]:
    """Return ours over plain diffusers for every measurement both have, over MLPerf's for SDXL, and the bars."""
    found: dict[str, Any] = {}
    for part, each in measured.items():
        best: dict[str, float] = {}
        for name, figure in each.items():
            task, _, way = name.partition(" ")
            if way.startswith("ours") and "per_second" in figure:
                best[task] = max(best.get(task, 0.0), figure["per_second"])
        for task, ours in best.items():
            if plain := each.get(f"{task} plain", {}).get("per_second"):
                found[f"{part} {task} over plain"] = round(ours / plain, 2)
    official = next((rate for name, rate in MLPERF_SDXL.items() if name in gpu), None)
    sdxl = measured.get("sdxl", {}).items()
    text = max((each.get("per_second", 0.0) for name, each in sdxl if name.startswith("text20 ours")), default=0.0)
    if official and text:
        found["sdxl text20 over MLPerf"] = round(text / official, 2)
    return {**found, "bars": BARS}


def _told(part: str, figures: Figures) -> Figures:
    """Say on standard error what a part measured: whoever cuts the whole off keeps the parts that were through."""
    print(json.dumps({"part": part, **figures.measured, "fault": figures.fault}), file=sys.stderr, flush=True)
    return figures


def _of(measured: dict[str, Any], way: str) -> dict[str, Any]:
    return {name: figure for name, figure in measured.items() if name.partition(" ")[2].startswith(way)}


def _kill(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _gpu() -> str | None:
    try:
        import torch
    except ImportError:
        return None
    return str(torch.cuda.get_device_name(0)) if torch.cuda.is_available() else None


def _versions() -> dict[str, str]:
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for name in ("torch", "diffusers", "transformers", "open_clip_torch"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "missing"
    return found
