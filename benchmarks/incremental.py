"""incremental: what one photo more costs a listing of 24, end to end, beside making the whole listing."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import cv2

from benchmarks.machine import machine, measure_child
from listing_media_dagster.sample_listing import sample_folder

PHOTOS = 24
ROUNDS = 3
SIZE = (4000, 3000)


def write_photos(folder: Path, count: int) -> list[Path]:
    """Write `count` different 12 MP photos made from the sample listing: crops, mirrored or not, of its rooms."""
    originals = [
        image for path in sorted(sample_folder().glob("*.jpg")) if (image := cv2.imread(str(path))) is not None
    ]
    written = []
    for number in range(count):
        image = originals[number % len(originals)]
        inset = 8 * (number // len(originals))
        image = image[inset : image.shape[0] - inset or None, inset : image.shape[1] - 2 * inset or None]
        enlarged = cv2.resize(image[:, ::-1] if number % 2 else image, SIZE, interpolation=cv2.INTER_CUBIC)
        path = folder / f"photo-{number:02d}.jpg"
        cv2.imwrite(str(path), enlarged, [cv2.IMWRITE_JPEG_QUALITY, 92])
        written.append(path)
    return written


def run() -> dict[str, Any]:
    """Measure a listing of 24 photos of 12 MP, one photo more (median of three times), and no change."""
    with tempfile.TemporaryDirectory() as scratch:
        photos, later = Path(scratch, "photos"), Path(scratch, "later")
        photos.mkdir()
        later.mkdir()
        extras = [path.rename(later / path.name) for path in write_photos(photos, PHOTOS + ROUNDS)[PHOTOS:]]
        whole = _run_listing(photos, scratch)
        rounds = []
        for extra in extras:
            extra.rename(photos / extra.name)
            rounds.append(_run_listing(photos, scratch))
        one_more = sorted(rounds, key=lambda measured: measured["wall_s"])[ROUNDS // 2]
        unchanged = _run_listing(photos, scratch)
    return {
        "name": "incremental",
        "ours": {"whole": whole, "one_more": one_more, "unchanged": unchanged, "photos": PHOTOS, "px": SIZE},
        "peers": {"the whole listing made anew": whole["wall_s"]},
        "ratio": {
            "one more photo to the whole": round(one_more["wall_s"] / whole["wall_s"], 4),
            "cores used": round(whole["cpu_s"] / whole["wall_s"], 2),
        },
        "bars": {"one more photo to the whole": 0.1, "peak_mb": 2048},
        "machine": machine(),
    }


def _run_listing(photos: Path, scratch: str) -> dict[str, float]:
    # bytecode as an installation has it: a checkout's may be missing, or forbidden to be written
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment = {
        **kept,
        "PYTHONPYCACHEPREFIX": f"{scratch}/bytecode",
        "DAGSTER_HOME": scratch,
        "LISTING_MEDIA_STORE": f"{scratch}/media",
    }
    command = [sys.executable, "-m", "listing_media_dagster.cli", "run", str(photos), "--listing", "bench"]
    return {name: round(value, 2) for name, value in measure_child(command, env=environment).items()}
