"""What travels to another machine and comes back: the job's folder with this very package, and the verified results."""

from __future__ import annotations

import base64
import hashlib
import os
import tempfile
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import listing_media_dagster
from listing_media_dagster.gpu.job import BadJob, JobFolder, pack, unpack

DISTRIBUTION = "listing-media-dagster"
LEFT_AT_HOME = ("sample_listing/drop", "__pycache__")
"""Parts of the package that no worker needs."""
RETURNED = ("outputs", "result.json", "manifest.json")
RETURNED_PREFIX = ".returned-"
"""Begins the name of a folder beside the job's where what came back is looked at."""
WHEEL = b"Wheel-Version: 1.0\nGenerator: listing_media_dagster\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
_EPOCH = (1980, 1, 1, 0, 0, 0)


def build_wheel(into: Path) -> Path:
    """Write this package as a wheel into the folder `into` and return it; the same package gives the same bytes.

    It is written from the files that run here, in a checkout or installed, so a worker has the code its job was made
    with. No build tool and no network is needed.
    """
    about = distribution(DISTRIBUTION)
    metadata = about.read_text("METADATA") or about.read_text("PKG-INFO") or ""
    name, version = DISTRIBUTION.replace("-", "_"), listing_media_dagster.__version__
    info = f"{name}-{version}.dist-info"
    root = Path(listing_media_dagster.__file__).parent
    files = {
        f"{root.name}/{path.relative_to(root).as_posix()}": path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and not any(part in path.relative_to(root).as_posix() for part in LEFT_AT_HOME)
    }
    files[f"{info}/METADATA"] = metadata.encode()
    files[f"{info}/WHEEL"] = WHEEL
    files[f"{info}/RECORD"] = _record(files, f"{info}/RECORD").encode()
    wheel = into / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in files.items():
            archive.writestr(zipfile.ZipInfo(path, _EPOCH), data, zipfile.ZIP_DEFLATED)
    return wheel


def bundle_job(folder: JobFolder, bundle: Path) -> None:
    """Write one zip with everything a bare machine needs: job.zip (what is done already included) and the wheel."""
    with tempfile.TemporaryDirectory() as scratch:
        pack(folder, Path(scratch) / "job.zip")
        wheel = build_wheel(Path(scratch))
        temporary = bundle.with_name(f".{bundle.name}.{os.getpid()}")
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
            archive.write(Path(scratch) / "job.zip", "job.zip")
            archive.write(wheel, wheel.name)
        temporary.replace(bundle)


def bring_back(returned: Path, folder: JobFolder) -> None:
    """Take a job's results out of the zip `returned` into `folder`; `folder.result()` holds afterwards.

    Everything is checked beside the folder first, against the job as it was sent: nothing that was tampered with, cut
    off or made for other work gets in, no input is replaced, and of the zip only what its manifest vouches for is
    taken: each item's record is written anew from result.json. Raises `BadJob` naming what is wrong.
    """
    with tempfile.TemporaryDirectory(dir=folder.path.parent, prefix=RETURNED_PREFIX) as scratch:
        arrived = unpack(returned, Path(scratch))
        try:
            (arrived.path / "job.json").write_bytes((folder.path / "job.json").read_bytes())
        except IsADirectoryError as odd:
            raise BadJob(f"{returned.name} has a folder in the place of job.json") from odd
        for item in arrived.result().items:
            folder.finish_item(item, {role: arrived.read(file) for role, file in item.outputs.items()})
    folder.finish()


def pack_results(folder: JobFolder, bundle: Path) -> None:
    """Write the zip that `bring_back` takes: the results without the inputs. Raises `BadJob` if the job isn't done."""
    folder.result()
    temporary = bundle.with_name(f".{bundle.name}.{os.getpid()}")
    with zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
        for name in RETURNED:
            path = folder.path / name
            for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
                if file.is_file() and not file.name.startswith("."):
                    archive.write(file, file.relative_to(folder.path).as_posix())
    temporary.replace(bundle)


def _record(files: dict[str, bytes], own: str) -> str:
    lines = []
    for path, data in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        lines.append(f"{path},sha256={digest},{len(data)}")
    return "\n".join([*lines, f"{own},,", ""])


__all__ = ["BadJob", "bring_back", "build_wheel", "bundle_job", "pack_results"]
