"""Runs on Kaggle: finds the shipment among the inputs, unpacks the package that came with it and hands over to it.

This text is all that Kaggle takes as a kernel, so it needs nothing but Python. @SHIPMENT@ is filled in beforehand.
"""

import hashlib
import importlib.metadata
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

SHIPMENT = "@SHIPMENT@"
INPUT, WORKING = Path("/kaggle/input"), Path("/kaggle/working")
DEEPEST = 6


def files_in_inputs():
    """Give every file; where a dataset is mounted has changed before: input/<slug> or input/datasets/<owner>/<slug>."""
    for folder, folders, names in os.walk(INPUT, followlinks=True):
        if len(Path(folder).relative_to(INPUT).parts) >= DEEPEST:
            folders.clear()
        for name in names:
            yield Path(folder) / name


def find_shipment(scratch):
    """Return the folder of this kernel's own shipment, unpacked by Kaggle or, failing that, here."""
    for path in files_in_inputs():
        if path.name == f"{SHIPMENT}.zip":
            with zipfile.ZipFile(path) as archive:
                archive.extractall(scratch / "shipment")
            path = scratch / "shipment" / "shipment.json"
        if path.name == "shipment.json" and json.loads(path.read_text())["shipment"] == SHIPMENT:
            return path.parent
    sys.exit(f"listing-media: the dataset of shipment {SHIPMENT} isn't attached; nothing was done")


def unpack_package(folder, order, scratch):
    wheel = folder / "package" / order["wheel"]
    if wheel.is_dir():
        return wheel
    if hashlib.sha256(wheel.read_bytes()).hexdigest() != order["wheel_sha256"]:
        sys.exit("listing-media: the package arrived damaged; nothing was done")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(scratch / "package")
    return scratch / "package"


def install_missing(order):
    """Install what the jobs import and this image lacks: from wheels among the inputs, or the index if allowed."""
    wanted = []
    for module, requirement in order["requirements"].items():
        name, _, version = requirement.partition("==")
        try:
            present = importlib.util.find_spec(module) is not None and (
                not version or importlib.metadata.version(name) == version
            )
        except importlib.metadata.PackageNotFoundError:
            present = False
        if not present:
            wanted.append(requirement)
    wheels = {str(path.parent) for path in files_in_inputs() if path.suffix == ".whl" and path.name != order["wheel"]}
    if not wanted or not (wheels or order["internet"]):
        if wanted:
            print(f"listing-media: not as asked for in this image: {', '.join(wanted)}", flush=True)
        return
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-input"]
    source = [] if order["internet"] else ["--no-index"]
    found = [word for folder in sorted(wheels) for word in ("--find-links", folder)]
    if subprocess.run([*pip, *source, *found, *wanted], check=False).returncode:  # noqa: S603
        print(f"listing-media: pip couldn't install {', '.join(wanted)}", flush=True)


def main():
    # Not under /kaggle/working: whatever lies there becomes an output.
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        shipment = find_shipment(scratch)
        order = json.loads((shipment / "shipment.json").read_text())
        package = unpack_package(shipment, order, scratch)
        install_missing(order)
        paths = [str(package), os.environ.get("PYTHONPATH", "")]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in paths if path)}
        session = [sys.executable, "-m", "listing_media_dagster.gpu.kaggle.session"]
        told = [str(shipment), str(INPUT), str(WORKING), str(scratch / "work")]
        sys.exit(subprocess.run([*session, *told], env=environment, check=False).returncode)  # noqa: S603


if __name__ == "__main__":
    main()
