"""Results from Kaggle, streamed by our own code: nothing counts before its status, size and digest are checked."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import ValidationError

from listing_media_dagster.gpu.job import BadJob, ItemResult, JobFile, JobFolder, unpack
from listing_media_dagster.gpu.kaggle.session import ARCHIVE, MANIFEST, Returned

LARGEST_MANIFEST = 2**20
LARGEST_ARCHIVE = 20 * 10**9
"""Bytes: what Kaggle lets a session leave behind."""
CONNECT_SECONDS, READ_SECONDS = 20.0, 60.0


class BadOutput(Exception):
    """An output isn't what it should be, or didn't come; the message says which, without its signed address."""


@dataclass(frozen=True)
class Fetched:
    """What a session returned: its manifest, and the folder with `<ticket>/outputs/…`."""

    manifest: Returned
    folder: Path


def fetch_results(
    files: dict[str, str], shipment_id: str, into: Path, on_progress: Callable[[], None] = lambda: None
) -> Fetched:
    """Fetch and unpack a session's results to `into`; `files` are the addresses of its outputs by name.

    Nothing but the manifest and the archive it names is fetched, under names of our own. Raises `BadOutput`.
    """
    if MANIFEST not in files or ARCHIVE not in files:
        raise BadOutput(f"the session left no {MANIFEST}: it ended before its results were packed")
    into.mkdir(parents=True, exist_ok=True)
    download(files[MANIFEST], into / MANIFEST, LARGEST_MANIFEST, on_progress)
    try:
        manifest = Returned.model_validate_json((into / MANIFEST).read_bytes())
    except ValidationError as wrong:
        raise BadOutput(f"{MANIFEST} can't be read: {wrong.errors()[0]['msg']}") from wrong
    if manifest.shipment != shipment_id:
        raise BadOutput(f"{MANIFEST} is that of shipment {manifest.shipment}, not of {shipment_id}")
    if manifest.size > LARGEST_ARCHIVE:
        raise BadOutput(f"{ARCHIVE} is said to have {manifest.size} bytes; more than {LARGEST_ARCHIVE} aren't taken")
    digest, size = download(files[ARCHIVE], into / ARCHIVE, manifest.size, on_progress)
    if size != manifest.size:
        raise BadOutput(f"{ARCHIVE} has {size} bytes where the session wrote {manifest.size}")
    if digest != manifest.sha256:
        raise BadOutput(f"{ARCHIVE} isn't the one that the session wrote: its digest differs")
    unpacked = into / "unpacked"
    shutil.rmtree(unpacked, ignore_errors=True)
    try:
        unpack(into / ARCHIVE, unpacked)
    except BadJob as broken:
        raise BadOutput(str(broken)) from broken
    (into / ARCHIVE).unlink()
    return Fetched(manifest, unpacked)


def download(url: str, to: Path, largest: int, on_progress: Callable[[], None] = lambda: None) -> tuple[str, int]:
    """Stream `url` to the file `to` and return its sha256 and size; raises `BadOutput` unless all of it came."""
    import requests

    if urlsplit(url).scheme not in ("https", "http"):
        raise BadOutput(f"{to.name} was offered at an address that isn't one")
    digest, size = hashlib.sha256(), 0
    part = to.with_name(f".{to.name}.part")
    try:
        with requests.get(url, stream=True, timeout=(CONNECT_SECONDS, READ_SECONDS)) as answer:
            if answer.status_code != 200:
                raise BadOutput(f"{to.name} was answered with status {answer.status_code}")
            declared = answer.headers.get("Content-Length")
            with part.open("wb") as file:
                for piece in answer.iter_content(1 << 20):
                    size += len(piece)
                    if size > largest:
                        raise BadOutput(f"{to.name} goes on after {largest} bytes, which should be all")
                    digest.update(piece)
                    file.write(piece)
                    on_progress()
            if declared is not None and "Content-Encoding" not in answer.headers and size != int(declared):
                raise BadOutput(f"{to.name} broke off after {size} of {declared} bytes")
    except requests.RequestException as broken:
        raise BadOutput(f"{to.name} couldn't be fetched: the connection broke ({type(broken).__name__})") from broken
    part.replace(to)
    return digest.hexdigest(), size


def take_in(returned: Path, folder: JobFolder) -> set[str]:
    """Move the results in `returned` (`outputs/<item>/…`) into the job's `folder` and return the ids of those items.

    An item gets in only if it is the answer to this very job's item and each of its outputs has its digest.
    """
    arrived, job = JobFolder(returned), folder.job
    taken = set()
    for item in job.items:
        result = arrived.result_of(item.id)
        if result is None or result.item_id != item.id or result.key != job.item_key(item):
            continue
        try:
            outputs = {role: arrived.read(file) for role, file in _own_outputs(result).items()}
        except BadJob:
            continue
        folder.finish_item(result, outputs)
        taken.add(item.id)
    return taken


def _own_outputs(result: ItemResult) -> dict[str, JobFile]:
    for file in result.outputs.values():
        if not file.path.startswith(f"outputs/{result.item_id}/"):
            raise BadJob(f"{file.path} isn't an output of {result.item_id}")
    return dict(result.outputs)
