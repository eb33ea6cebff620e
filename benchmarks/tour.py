"""Tour video: photos to a finished 1080p30 film, against what one would write by hand.

Peers do the same work on the same photos for the same time on screen: a push-in read straight from the full-resolution
photo with `cv2.warpAffine`, converted and encoded in one go (x264's default preset and a fast one), and `zoompan` of
the ffmpeg program.
"""

from __future__ import annotations

import resource
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import machine
from listing_media_dagster.listing import RoomType, fingerprint
from listing_media_dagster.tour.render import render_tour
from listing_media_dagster.tour.storyboard import Shot, Titles, build_storyboard

PHOTOS, WIDTH, HEIGHT, SIZE, FPS = 4, 4000, 3000, (1920, 1080), 30
TITLES = Titles("12 Elm Street, Springfield", "Just listed")


def run() -> dict[str, Any]:
    """Return `{name, ours, peers, ratio, machine}`; `ratio`: our CPU seconds a film second over the best peer's."""
    photos = {f"photo-{seed}": _photo(seed) for seed in range(PHOTOS)}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ours = _ours(photos, folder)
        peers: dict[str, Any] = {
            f"warp each frame from full resolution, one encode, x264 {preset}": _warp(photos, folder, preset)
            for preset in ("medium", "veryfast")
        }
        zoompan = "ffmpeg zoompan"
        peers[zoompan] = _zoompan(photos, folder) if shutil.which("ffmpeg") else "missing: ffmpeg isn't installed"
    best = min(peer["cpu_seconds_per_film_second"] for peer in peers.values() if isinstance(peer, dict))
    return {
        "name": "tour",
        "ours": ours,
        "peers": peers,
        "ratio": round(ours["cpu_seconds_per_film_second"] / best, 3),
        "machine": machine(),
    }


def _photo(seed: int) -> NDArray[np.uint8]:
    """Return 12 MP with edges, texture and smooth parts, uint8 (HEIGHT, WIDTH, 3), sRGB."""
    rng = np.random.default_rng(seed)
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    cv2.resize(rng.integers(90, 200, (4, 5, 3), np.uint8), (WIDTH, HEIGHT), dst=picture, interpolation=cv2.INTER_CUBIC)
    for _ in range(160):
        x, y, w, h = (int(v) for v in rng.integers((0, 0, 40, 40), (WIDTH, HEIGHT, 900, 700)))
        cv2.rectangle(picture, (x, y), (x + w, y + h), rng.integers(20, 235, 3).tolist(), -1, cv2.LINE_AA)
    grain = rng.integers(0, 12, (HEIGHT // 2, WIDTH // 2, 3), np.uint8)
    return np.asarray(cv2.add(picture, cv2.resize(grain, (WIDTH, HEIGHT))), dtype=np.uint8)


def _timed(work: Callable[[], float]) -> dict[str, float]:
    """Run `work` (returns seconds of film) three times; medians."""
    walls, cpus, films = [], [], []
    for _ in range(3):
        wall, cpu = time.perf_counter(), _cpu_seconds()
        films.append(work())
        walls.append(time.perf_counter() - wall)
        cpus.append(_cpu_seconds() - cpu)
    film, wall, cpu = (statistics.median(values) for values in (films, walls, cpus))
    return {
        "film_seconds": round(film, 2),
        "wall_seconds": round(wall, 2),
        "cpu_seconds_per_film_second": round(cpu / film, 3),
        "times_real_time": round(film / wall, 2),
    }


def _cpu_seconds() -> float:
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _ours(photos: dict[str, NDArray[np.uint8]], folder: Path) -> dict[str, Any]:
    shots = [Shot(key, fingerprint(photo=key), WIDTH, HEIGHT, RoomType.BEDROOM) for key in photos]
    board = build_storyboard(shots, TITLES, size=SIZE, fps=FPS)
    kept: dict[str, Path] = {}

    def keep(name: str, path: Path) -> None:
        kept[name] = Path(shutil.copy(path, folder / path.name))

    def film(*, fresh: bool) -> float:
        if fresh:
            kept.clear()
        return render_tour(
            board, photos.__getitem__, folder / "ours.mp4", cached_segment=kept.get, keep_segment=keep
        ).seconds

    before = _peak_mb()
    figures: dict[str, Any] = dict(_timed(lambda: film(fresh=True)))
    figures["peak_mb_above_start"] = round(_peak_mb() - before)
    figures["megabits_per_second"] = round((folder / "ours.mp4").stat().st_size * 8 / board.seconds / 1e6, 2)
    start = time.perf_counter()
    film(fresh=False)
    figures["wall_seconds_nothing_new"] = round(time.perf_counter() - start, 2)
    for segment in board.segments:
        if board.photo_clips[1] in (segment.clip, segment.incoming):
            kept.pop(segment.fingerprint)
    start = time.perf_counter()
    film(fresh=False)
    figures["wall_seconds_one_photo_new"] = round(time.perf_counter() - start, 2)
    return figures


def _warp(photos: dict[str, NDArray[np.uint8]], folder: Path, preset: str) -> dict[str, Any]:
    import av

    seconds = 3.5

    def film() -> float:
        with av.open(str(folder / "warp.mp4"), "w") as container:
            stream: Any = container.add_stream("libx264", rate=FPS, options={"crf": "19", "preset": preset})
            stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
            for index, rgb in enumerate(photos.values()):
                for step in range(round(seconds * FPS)):
                    width = WIDTH * (1 - 0.1 * step / (seconds * FPS))
                    scale = width / SIZE[0]
                    left, top = (WIDTH - width) / 2, (HEIGHT - width * 9 / 16) / 2
                    matrix = np.array([[scale, 0, left], [0, scale, top]])
                    picture = cv2.warpAffine(rgb, matrix, SIZE, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
                    frame = av.VideoFrame.from_ndarray(np.asarray(picture, dtype=np.uint8), format="rgb24")
                    frame.pts = index * round(seconds * FPS) + step
                    frame.time_base = Fraction(1, FPS)
                    container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        return len(photos) * seconds

    figures: dict[str, Any] = dict(_timed(film))
    figures["megabits_per_second"] = round((folder / "warp.mp4").stat().st_size * 8 / (len(photos) * seconds) / 1e6, 2)
    return figures


def _zoompan(photos: dict[str, NDArray[np.uint8]], folder: Path) -> dict[str, Any]:
    paths = []
    for key, rgb in photos.items():
        paths.append(folder / f"{key}.jpg")
        cv2.imwrite(str(paths[-1]), cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
    seconds = 3.5
    frames = round(seconds * FPS)

    def film() -> float:
        for path in paths:
            zoom = (
                f"zoompan=z='1+0.1*on/{frames}':x='(iw-iw/zoom)/2':y='(ih-ih/zoom)/2':d={frames}:s=1920x1080:fps={FPS}"
            )
            command = [
                "ffmpeg",
                "-y",
                "-loglevel",
                "error",
                "-i",
                str(path),
                "-vf",
                f"crop=iw:iw*9/16,{zoom}",
                "-crf",
                "19",
            ]
            subprocess.run([*command, "-pix_fmt", "yuv420p", str(folder / "zoompan.mp4")], check=True)
        return len(paths) * seconds

    return dict(_timed(film))
