"""Staging: a 2 MP photo of the sample's living room to its furnished room, against tracing the whole picture.

Each runs in a process of its own, interpreter start and imports included; CPU seconds are of all threads. The peer
traces every pixel of the picture at full size, with and without furniture, with as many samples as ours.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.machine import machine, measure_child

BAR = {"wall_s": 20.0, "peak_mb": 1536}

_OURS = """
import json, sys
from pathlib import Path
from benchmarks.staging import stage_sample
Path(sys.argv[1]).write_text(json.dumps(stage_sample()))
"""

_NAIVE = """
import json, sys
from pathlib import Path
from benchmarks.staging import trace_whole_sample
Path(sys.argv[1]).write_text(json.dumps(trace_whole_sample()))
"""


def run() -> dict[str, Any]:
    """Return {name, ours, peers, ratio, machine}; `parts_s` says where the time goes."""
    with tempfile.TemporaryDirectory(prefix="staging-") as folder:
        ours = _measured(_OURS, Path(folder) / "ours.json")
        naive = _measured(_NAIVE, Path(folder) / "naive.json")
    return {
        "name": "staging",
        "ours": ours,
        "peers": {"whole picture at equal samples": naive},
        "ratio": {key: round(ours[key] / naive[key], 3) for key in ("wall_s", "cpu_s", "peak_mb")},
        "bar": BAR,
        "within_bar": all(ours[key] <= most for key, most in BAR.items()),
        "machine": machine(),
    }


def stage_sample() -> dict[str, Any]:
    """Stage the sample's living room and return what each part of it took, s."""
    from time import perf_counter

    from listing_media_dagster.listing import RoomType
    from listing_media_dagster.staging.composite import render_staging
    from listing_media_dagster.staging.furniture.designs import library
    from listing_media_dagster.staging.kits import load_kits
    from listing_media_dagster.staging.layout import arrange
    from listing_media_dagster.staging.room_geometry import estimate_room_geometry

    began = perf_counter()
    base = _two_megapixels()
    decoded = perf_counter()
    geometry = estimate_room_geometry(base)
    recovered = perf_counter()
    arrangement = arrange(geometry, load_kits()["scandinavian"], RoomType("living_room"), 0, 0)
    arranged = perf_counter()
    staged = render_staging(base, geometry, arrangement, library(), 0)
    parts = {"decode": decoded - began, "geometry": recovered - decoded, "layout": arranged - recovered}
    return {
        "parts_s": {name: round(seconds, 2) for name, seconds in {**parts, **staged.seconds}.items()},
        "pieces": len(arrangement.pieces),
        "changed": round(float(staged.edit_mask.mean()), 3),
    }


def trace_whole_sample() -> dict[str, Any]:
    """Trace the same room twice, furnished and empty, every pixel of it, without denoising."""
    from listing_media_dagster.listing import RoomType
    from listing_media_dagster.staging.composite import GUIDE_SAMPLES, SAMPLES
    from listing_media_dagster.staging.furniture.designs import library
    from listing_media_dagster.staging.kits import load_kits
    from listing_media_dagster.staging.layout import arrange
    from listing_media_dagster.staging.light import estimate_light
    from listing_media_dagster.staging.render import Stage, trace, whole
    from listing_media_dagster.staging.room_geometry import estimate_room_geometry
    from listing_media_dagster.staging.scene import furniture, stand_in

    base = _two_megapixels()
    geometry = estimate_room_geometry(base)
    arrangement = arrange(geometry, load_kits()["scandinavian"], RoomType("living_room"), 0, 0)
    parts, materials = furniture(arrangement, library())
    room = stand_in(geometry, parts)
    empty = estimate_light(base, geometry, room, 0).stage(room)
    full = Stage([*empty.parts, *parts], {**empty.materials, **materials}, empty.shining)
    for stage in (full, empty):
        trace(stage, geometry.camera, whole(geometry.camera), SAMPLES[0], GUIDE_SAMPLES, 0)
    return {"pieces": len(arrangement.pieces)}


def _two_megapixels() -> Any:
    import cv2

    import listing_media_dagster.sample_listing as sample
    from listing_media_dagster.photo.decode import decode_upright

    photo = decode_upright(Path(sample.__file__).parent / "drop" / "DSC_0412.JPG").rgb
    factor = (2e6 / (photo.shape[0] * photo.shape[1])) ** 0.5
    return cv2.resize(photo, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)


def _measured(code: str, told: Path) -> dict[str, Any]:
    figures = measure_child([sys.executable, "-c", code, str(told)])
    return {key: round(value, 2) for key, value in figures.items()} | json.loads(told.read_text())
