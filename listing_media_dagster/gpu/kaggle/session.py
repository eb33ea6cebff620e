"""Runs on Kaggle, inside the kernel: splits a shipment's jobs over the GPUs, has them worked off, packs the results.

    python -m listing_media_dagster.gpu.kaggle.session SHIPMENT_FOLDER INPUT WORKING SCRATCH

Writes results.zip (`<ticket>/outputs/…`) to WORKING and, last, results.json (`Returned`) with its digest.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import threading
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from listing_media_dagster.gpu.job import BadJob, JobFolder, ModelJob
from listing_media_dagster.gpu.job_models import NamedModels, models_named
from listing_media_dagster.gpu.kaggle.session_weights import gather_bundles, pull_missing
from listing_media_dagster.listing import Noun, Sha256

ARCHIVE, MANIFEST, ORDER = "results.zip", "results.json", "shipment.json"
GRACE_SECONDS = 60.0


class Order(Noun):
    """shipment.json: what the kernel is told. `requirements` are the modules its jobs import, and what brings them."""

    shipment: str
    tickets: tuple[str, ...]
    work_seconds: float = Field(gt=0)
    wheel: str
    wheel_sha256: Sha256
    internet: bool = False
    requirements: dict[str, str] = Field(default_factory=dict)


class Returned(Noun):
    """results.json: what the session gives back. `errors` say by ticket why items of it have no result."""

    shipment: str
    sha256: Sha256
    size: int = Field(ge=0)
    device: str
    seconds: float
    errors: dict[str, str] = Field(default_factory=dict)


@dataclass(frozen=True)
class Lane:
    """One GPU's share of the work: a folder with a part of every job in it, and the process that works it off."""

    folder: Path
    device: str
    environment: dict[str, str]

    def start(self, models_dir: Path, seconds: float) -> subprocess.Popen[str]:
        options = ["--device", self.device, "--models-dir", str(models_dir), "--stop-after", f"{seconds:.0f}"]
        return subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "listing_media_dagster.gpu.kaggle.lane", str(self.folder), *options],
            env={**os.environ, **self.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )


def share_out(job: ModelJob, lanes: int, first: int = 0) -> list[ModelJob | None]:
    """Return the parts of `job` for so many lanes, the items dealt out from the lane `first` on; None where none is."""
    parts = [job.items[(lane - first) % lanes :: lanes] for lane in range(lanes)]
    return [job.model_copy(update={"items": part}) if part else None for part in parts]


def main(shipment: Path, inputs: Path, working: Path, scratch: Path) -> int:
    began = time.monotonic()
    order = Order.model_validate_json((shipment / ORDER).read_bytes())
    jobs = {ticket: JobFolder(shipment / "jobs" / ticket) for ticket in order.tickets}
    gpus = gpu_names()
    if not gpus and any(folder.job.needs.gpu == "required" for folder in jobs.values()):
        return _give_up("this session has no GPU; nothing was done")
    _say(f"{len(jobs)} jobs, {sum(len(each.job.items) for each in jobs.values())} items, {gpu_words(gpus)}")
    lanes = lay_out(jobs, gpus, scratch)
    models_dir = scratch / "models"
    attached = gather_bundles(inputs, models_dir)
    _say(f"weights attached: {', '.join(attached) or 'none'}")
    if order.internet:
        pull_missing([named for each in jobs.values() for named in named_in(each)], models_dir, _say)
    seconds = order.work_seconds - (time.monotonic() - began)
    endings = run_lanes(lanes, models_dir, seconds)
    errors = {ticket: why for ticket in jobs if (why := why_unfinished(ticket, jobs[ticket], lanes, endings))}
    pack_up(order, lanes, working, gpu_words(gpus), time.monotonic() - began, errors)
    return 0


def named_in(folder: JobFolder) -> tuple[NamedModels, ...]:
    """Return the models that a job names; none of one that its lane will refuse."""
    try:
        return models_named(folder.job)
    except BadJob:
        return ()


def lay_out(jobs: dict[str, JobFolder], gpus: list[str], scratch: Path) -> list[Lane]:
    """Make a lane for each GPU, or one without; the jobs' inputs stay where they are."""
    count = max(1, len(gpus))
    lanes = []
    for number in range(count):
        visible = {"CUDA_VISIBLE_DEVICES": str(number)} if gpus else {}
        lanes.append(Lane(scratch / f"lane{number}", "cuda:0" if gpus else "cpu", visible))
    dealt = 0
    for ticket, folder in jobs.items():
        parts = share_out(folder.job, count, first=dealt % count)
        dealt += len(folder.job.items)
        for lane, part in zip(lanes, parts, strict=True):
            if part is not None:
                place = lane.folder / ticket
                place.mkdir(parents=True)
                (place / "job.json").write_text(part.model_dump_json())
                if (folder.path / "inputs").is_dir():
                    (place / "inputs").symlink_to((folder.path / "inputs").resolve())
    return [lane for lane in lanes if lane.folder.exists()]


def run_lanes(lanes: list[Lane], models_dir: Path, seconds: float) -> dict[Path, str]:
    """Work all lanes off at the same time and pass on what they say; return the last words of those that crashed."""
    running = {lane.folder: lane.start(models_dir, seconds) for lane in lanes}
    last_words: dict[Path, str] = {}

    def pass_on(folder: Path, process: subprocess.Popen[str]) -> None:
        for line in process.stdout or ():
            sys.stdout.write(line)
            sys.stdout.flush()
            if line.strip() and not line.startswith("{"):
                last_words[folder] = line.strip()

    speakers = [threading.Thread(target=pass_on, args=each) for each in running.items()]
    for speaker in speakers:
        speaker.start()
    hard_end = time.monotonic() + seconds + GRACE_SECONDS
    for process in running.values():
        try:
            process.wait(max(1.0, hard_end - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    for speaker in speakers:
        speaker.join(5)
    codes = {folder: process.returncode for folder, process in running.items()}
    return {
        folder: f"the worker ended with {code}{': ' + last_words[folder] if folder in last_words else ''}"
        for folder, code in codes.items()
        if code not in (0, None)
    }


def why_unfinished(ticket: str, folder: JobFolder, lanes: list[Lane], endings: dict[Path, str]) -> str:
    """Return why items of a job have no result: its lane said so, or crashed, or time was up; "" if all have."""
    for lane in lanes:
        place = JobFolder(lane.folder / ticket)
        if not place.path.exists() or all(place.result_of(item.id) for item in place.job.items):
            continue
        refused = place.path / "refused.txt"
        if refused.exists():
            return refused.read_text()
        return endings.get(lane.folder, "the session's time was up")
    return ""


def pack_up(
    order: Order, lanes: list[Lane], working: Path, device: str, seconds: float, errors: dict[str, str]
) -> None:
    """Write the outputs of all lanes as one zip, then its digest: without that the zip counts for nothing."""
    working.mkdir(parents=True, exist_ok=True)
    archive_path = working / ARCHIVE
    with zipfile.ZipFile(archive_path, "w", zipfile.ZIP_STORED) as archive:
        for lane in lanes:
            for ticket in order.tickets:
                outputs = lane.folder / ticket / "outputs"
                for path in sorted(outputs.rglob("*")):
                    if path.is_file() and not path.name.startswith("."):
                        archive.write(path, f"{ticket}/{path.relative_to(outputs.parent).as_posix()}")
    with archive_path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    returned = Returned(
        shipment=order.shipment,
        sha256=digest,
        size=archive_path.stat().st_size,
        device=device,
        seconds=round(seconds, 1),
        errors=errors,
    )
    (working / MANIFEST).write_text(returned.model_dump_json(indent=1))
    _say(f"done in {seconds:.0f} s; {returned.size / 1e6:.1f} MB of results")


def gpu_names() -> list[str]:
    """Return the GPUs of this machine as the driver lists them; none without a driver."""
    try:
        ask = ["nvidia-smi", "-L"]
        listed = subprocess.run(ask, capture_output=True, text=True, timeout=30, check=False).stdout  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return []
    return re.findall(r"^GPU \d+: (.*?)(?: \(UUID|$)", listed, flags=re.MULTILINE)


def gpu_words(gpus: list[str]) -> str:
    return f"{len(gpus)} x {gpus[0]}" if gpus else "no GPU"


def _say(line: str) -> None:
    sys.stdout.write(json.dumps({"event": "session", "text": line}) + "\n")
    sys.stdout.flush()


def _give_up(why: str) -> int:
    sys.stdout.write(f"listing-media: {why}\n")
    return 2


if __name__ == "__main__":
    sys.exit(main(*(Path(argument) for argument in sys.argv[1:5])))
