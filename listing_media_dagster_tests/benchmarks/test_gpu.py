"""The GPU benchmark end to end on the CPU with tiny models: what it builds, measures, keeps and refuses."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import benchmarks.gpu as gpu
from listing_media_dagster_tests.helpers.tiny_vision import on_one_thread


@pytest.mark.parametrize(
    ("part", "tasks"),
    [
        ("sdxl", {"steps8", "steps20", "text20"}),
        ("klein", {"steps4"}),
        ("svd", {"film"}),
        ("wan", {"film"}),
        ("seeing", {"depth"}),
        ("graphs", {"steps8"}),
    ],
)
def test_each_part_measures_plain_diffusers_and_ours(
    part: str, tasks: set[str], capsys: pytest.CaptureFixture[str]
) -> None:
    from benchmarks.gpu.bench import Bench
    from benchmarks.gpu.parts import PARTS

    with on_one_thread():
        PARTS[part](Bench.begin(60, tiny=True))
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    figures = {name: figure for line in said for name, figure in line.items() if name != "built"}
    assert set(figures) == {f"{task} {way}" for task in tasks for way in ("plain", "ours")}
    assert all(figure["per_second"] > 0 and figure["items"] >= 1 for figure in figures.values())
    found = gpu.ratios({part: figures}, "NVIDIA H200")
    assert {f"{part} {task} over plain" for task in tasks} <= set(found)
    assert ("sdxl text20 over MLPerf" in found) == (part == "sdxl")


def test_the_full_sizes_are_the_published_ones() -> None:
    import torch

    from benchmarks.gpu import architectures as built

    with torch.device("meta"):
        sdxl, klein = built.parameters(built.sdxl_union()), built.parameters(built.flux2_klein_4b())
        svd, wan = built.parameters(built.svd_xt()), built.parameters(built.wan_5b())
        depth = sum(parameter.numel() for parameter in built.depth_anything_small()[0].parameters())
    assert sdxl["unet"] == 2.567 and sdxl["controlnet"] == pytest.approx(1.25, abs=0.01)
    assert klein["transformer"] == 3.876 and klein["text_encoder"] == pytest.approx(4.02, abs=0.01)
    assert svd["unet"] == pytest.approx(1.525, abs=0.001)
    assert wan["transformer"] == 5.0 and wan["text_encoder"] == pytest.approx(5.68, abs=0.01)
    assert depth == pytest.approx(24.8e6, rel=0.01)


def test_a_part_that_hangs_is_cut_off_and_what_it_had_measured_is_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    spoken = tmp_path / "spoken"
    program = (
        'import pathlib, time; print(\'{"film plain": {"per_second": 2.0}}\', flush=True); '
        f"pathlib.Path({str(spoken)!r}).touch(); time.sleep(600)"
    )
    popen, timer = gpu.subprocess.Popen, threading.Timer

    def once_it_has_spoken(_seconds: float, kill: Callable[..., None], given: tuple[Any, ...]) -> threading.Timer:
        def look() -> None:
            if spoken.exists():
                kill(*given)
            else:
                once_it_has_spoken(_seconds, kill, given).start()

        return timer(0.02, look)

    monkeypatch.setattr(gpu.subprocess, "Popen", lambda _, **options: popen([sys.executable, "-c", program], **options))
    monkeypatch.setattr(gpu.threading, "Timer", once_it_has_spoken)
    figures = gpu.run_part("svd", 1.5)
    assert figures.measured == {"film plain": {"per_second": 2.0}} and figures.fault == "cut off after 1.5 s"


def test_a_part_that_fails_says_why() -> None:
    figures = gpu.run_part("no such part", 200)
    assert figures.measured == {} and figures.fault is not None and "no such part" in figures.fault


def test_without_a_gpu_nothing_is_claimed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "_gpu", lambda: None)
    result = gpu.run()
    assert result["not_run"].startswith("not run on a GPU") and "ours" not in result


def test_all_parts_together_end_within_ten_minutes() -> None:
    """With a minute to spare for whatever starts it."""
    assert sum(gpu.PARTS.values()) <= 560


def test_each_part_is_told_as_soon_as_it_is_through(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def cut_off_at_the_second(part: str, seconds: float, tiny: bool) -> gpu.Figures:
        if part != "sdxl":
            raise KeyboardInterrupt
        return gpu.Figures({"steps8 ours": {"per_second": 3.0}})

    monkeypatch.setattr(gpu, "run_part", cut_off_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        gpu.run(tiny=True)
    told = json.loads(capsys.readouterr().err)
    assert told == {"part": "sdxl", "steps8 ours": {"per_second": 3.0}, "fault": None}
