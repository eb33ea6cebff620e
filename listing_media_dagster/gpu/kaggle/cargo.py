"""What is sent to Kaggle: a folder that becomes the dataset (one zip), and a folder that becomes the kernel."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import shutil
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from listing_media_dagster.gpu.job import WorkKind
from listing_media_dagster.gpu.kaggle.session import ORDER, Order
from listing_media_dagster.gpu.kaggle.shipment import MACHINE_SHAPE, Limits, Shipment, Ticket
from listing_media_dagster.gpu.transport import build_wheel

SCRIPT = Path(__file__).with_name("kernel_script.py")
EVERY_JOB = {
    "pydantic": "pydantic",
    "yaml": "pyyaml",
    "numpy": "numpy",
    "cv2": "opencv-python-headless",
    "PIL": "pillow",
    "psutil": "psutil",
    "simplejpeg": "simplejpeg",
}
EMBEDDED_STAGING = {"mitsuba": "mitsuba", "trimesh": "trimesh", "pyoidn": "pyoidn"}
DIFFUSION = {"torch": "torch", "safetensors": "safetensors", "accelerate": "accelerate", "peft": "peft"}
FILM = {"av": "av"}
SCORING = {"torch": "torch", "open_clip": "open-clip-torch"}
SAME_AS_HERE = ("diffusers", "transformers")
"""Their pipelines change with every release: the session is given the versions that run here."""


def write_dataset(into: Path, shipment: Shipment, bundles: Mapping[str, Path], limits: Limits) -> None:
    """Write the dataset's folder: one zip with the order, the package and the jobs (`bundles`: job zips by ticket)."""
    with tempfile.TemporaryDirectory() as scratch:
        wheel = build_wheel(Path(scratch))
        order = Order(
            shipment=shipment.id,
            tickets=tuple(bundles),
            work_seconds=shipment.work_seconds,
            wheel=wheel.name,
            wheel_sha256=hashlib.sha256(wheel.read_bytes()).hexdigest(),
            internet=limits.internet,
            requirements=requirements(shipment.tickets),
        )
        # Kaggle unpacks the archive; job zips inside it might or might not be, so they go in unpacked.
        with zipfile.ZipFile(into / f"{shipment.id}.zip", "w", zipfile.ZIP_STORED) as archive:
            archive.writestr(ORDER, order.model_dump_json(indent=1))
            archive.write(wheel, f"package/{wheel.name}")
            for ticket, bundle in bundles.items():
                with zipfile.ZipFile(bundle) as job:
                    for name in job.namelist():
                        with (
                            job.open(name) as source,
                            archive.open(f"jobs/{ticket}/{name}", "w", force_zip64=True) as to,
                        ):
                            shutil.copyfileobj(source, to, 1 << 20)
    write_dataset_metadata(into, shipment.ref, shipment.title)


def write_dataset_metadata(folder: Path, ref: str, title: str) -> None:
    metadata = {"id": ref, "title": title, "licenses": [{"name": "unknown"}]}
    (folder / "dataset-metadata.json").write_text(json.dumps(metadata))


def write_kernel(into: Path, shipment: Shipment, limits: Limits) -> None:
    """Write the kernel's folder: the script, told which shipment is its own, and what it is to be given."""
    (into / "kernel.py").write_text(SCRIPT.read_text().replace("@SHIPMENT@", shipment.id))
    metadata = {
        "id": shipment.ref,
        "title": shipment.title,
        "code_file": "kernel.py",
        "language": "python",
        "kernel_type": "script",
        "is_private": True,
        "enable_gpu": True,
        "enable_internet": limits.internet,
        "machine_shape": MACHINE_SHAPE,
        "dataset_sources": [shipment.ref, *limits.datasets],
        "model_sources": list(limits.models),
    }
    (into / "kernel-metadata.json").write_text(json.dumps(metadata))


def requirements(tickets: Iterable[Ticket]) -> dict[str, str]:
    """Return by module what brings the modules that these jobs import."""
    wanted = dict(EVERY_JOB)
    for part in (part for ticket in tickets for part in ticket.parts):
        if part.kind is WorkKind.SCORE:
            wanted |= SCORING
        elif part.model is not None:
            wanted |= DIFFUSION | {name: _as_here(name) for name in SAME_AS_HERE}
        if part.kind is WorkKind.STAGE:
            wanted |= EMBEDDED_STAGING | SCORING  # where no model can, and for the judge of the pictures
        elif part.kind is WorkKind.ANIMATE:
            wanted |= FILM
    return wanted


def _as_here(name: str) -> str:
    try:
        return f"{name}=={importlib.metadata.version(name)}"
    except importlib.metadata.PackageNotFoundError:
        return name
