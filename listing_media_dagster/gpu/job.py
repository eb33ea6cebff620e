"""Model work as data: a folder that any machine with this package can work off, leave in the middle and go on with.

    job.json            what is to be done (`ModelJob`)
    inputs/             the files that the items name
    outputs/<item>/     what an item gave, and item.json (`ItemResult`), written last: it makes the item done
    result.json         every item's result (`JobResult`)
    manifest.json       the digest of every output and of result.json, written last: it makes the job done

Nothing here knows Dagster, settings or the store: the same code reads the folder in this process, in a warm worker, in
a Kaggle kernel and in Colab.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import stat
import zipfile
import zlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, ValidationError, model_validator

from listing_media_dagster.listing import Noun, Sha256, fingerprint
from listing_media_dagster.models.first_fault import first_fault

ItemId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,120}$")]
JobId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,80}$")]
Role = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,80}$")]
LARGEST_UNPACKED = 32 * 2**30
"""Bytes: a bundle that would unpack to more is refused."""


# RuntimeError: an encrypted entry.
_BROKEN_ZIP = (OSError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError)


class BadJob(ValueError):
    """A job folder or bundle that can't be used; the message names the file and what is wrong with it."""


class WorkKind(StrEnum):
    """What can be asked of a worker; `gpu.work` holds one function for each."""

    STAGE = "stage"
    ENHANCE = "enhance"
    UPSCALE = "upscale"
    DECLUTTER = "declutter"
    ANIMATE = "animate"
    SCORE = "score"
    DEPTH = "depth"
    CHAIN = "chain"


class ModelRef(Noun):
    """A catalogue entry as locked: the same reference means the same weights, used alike, on every machine.

    `recipe` is the entry's (`CatalogueEntry.recipe`), pinned commits included: it names the weights where their digest
    isn't known; None where nothing but the weights counts.
    """

    id: str
    revision: str | None = None
    weights_sha256: Sha256 | None = None
    recipe: Sha256 | None = None


class Needs(Noun):
    """What a job wants of the machine it runs on: `optional` runs on a GPU if one is to be had.

    `slow_cpu`: its model may take minutes a picture on a CPU, where there is no GPU.
    """

    gpu: Literal["none", "optional", "required"] = "none"
    vram_gb: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    slow_cpu: bool = False


class JobFile(Noun):
    """A file of a job: its path relative to the job's folder, with '/'."""

    path: str = Field(pattern=r"^(inputs|outputs)(/[A-Za-z0-9][A-Za-z0-9._-]{0,150}){1,4}$")
    sha256: Sha256
    size: int = Field(ge=0)


class Item(Noun):
    """One picture's worth of work; the same item with the same seed gives the same outputs."""

    id: ItemId
    inputs: dict[Role, JobFile] = Field(default_factory=dict)
    parameters: dict[str, Any] = Field(default_factory=dict)
    seed: int = Field(default=0, ge=0, le=4_000_000_000)


class ModelJob(Noun):
    """What is to be done. `model` is None where the embedded back end does it; `inputs` serve all items.

    `entries` tell a machine whose catalogue may be another what the models are that are named anywhere in the job:
    catalogue entries held to digests (`gpu.job_models`). They are no part of what makes work the same: references are.
    """

    id: JobId
    kind: WorkKind
    model: ModelRef | None = None
    entries: tuple[dict[str, Any], ...] = ()
    parameters: dict[str, Any] = Field(default_factory=dict)
    inputs: dict[Role, JobFile] = Field(default_factory=dict)
    items: tuple[Item, ...] = Field(min_length=1)
    needs: Needs = Needs()

    @model_validator(mode="after")
    def _item_ids_are_unique(self) -> Self:
        twice = sorted(item_id for item_id, times in Counter(item.id for item in self.items).items() if times > 1)
        if twice:
            raise ValueError(f"these item ids are there twice: {', '.join(twice[:5])}")
        return self

    def all_inputs(self) -> list[JobFile]:
        return [*self.inputs.values(), *(file for item in self.items for file in item.inputs.values())]

    def item_key(self, item: Item) -> str:
        """Return what names an item's result for ever: equal keys are equal work, in whichever job they come."""
        digests = {role: file.sha256 for role, file in {**self.inputs, **item.inputs}.items()}
        return fingerprint(
            kind=self.kind,
            model=self.model.model_dump() if self.model else None,
            parameters=self.parameters,
            item=item.parameters,
            seed=item.seed,
            inputs=digests,
        )


class ItemResult(Noun):
    """What became of an item: "refused" is an answer (with its reason), "failed" wasn't one.

    `record` is what the kind of work says about its outputs: operations, verdicts, facts. `lacks_models` tells of a
    failure that another machine might not share: none of the models that were named can be had on this one.
    """

    item_id: ItemId
    key: str
    outcome: Literal["ok", "refused", "failed"]
    reason: str = ""
    lacks_models: bool = False
    outputs: dict[Role, JobFile] = Field(default_factory=dict)
    record: dict[str, Any] = Field(default_factory=dict)
    seconds: float = 0.0
    peak_memory_mb: float = 0.0
    device: str = "cpu"


class JobResult(Noun):
    job_id: JobId
    items: tuple[ItemResult, ...]

    @property
    def lacks_models(self) -> bool:
        """True where not one item could be done for want of models."""
        return all(item.lacks_models for item in self.items)


@dataclass(frozen=True)
class JobFolder:
    """A job on disk. Every file in it is written whole or not at all."""

    path: Path

    @classmethod
    def create(cls, path: Path, job: ModelJob, files: Mapping[str, bytes]) -> JobFolder:
        """Write `job` with its input `files` (by path as the job names them) to the new or empty folder `path`.

        Raises `BadJob` if a file that the job names isn't given, or has another digest.
        """
        path.mkdir(parents=True, exist_ok=True)
        folder = cls(path)
        for file in job.all_inputs():
            if file.path not in files:
                raise BadJob(f"job {job.id} names {file.path}, which wasn't given")
            data = files[file.path]
            if _described(file.path, data) != file:
                raise BadJob(f"job {job.id}: {file.path} isn't the file that the job names")
            folder.write(file.path, data)
        folder.write("job.json", job.model_dump_json(indent=1).encode())
        return folder

    @property
    def job(self) -> ModelJob:
        """Return what is to be done. Raises `BadJob` naming what is wrong with job.json."""
        try:
            return ModelJob.model_validate_json((self.path / "job.json").read_bytes())
        except OSError as unread:
            raise BadJob(f"{self.path / 'job.json'} can't be read: {unread.strerror}") from unread
        except ValidationError as wrong:
            raise BadJob(f"{self.path / 'job.json'}: {first_fault(wrong)}") from wrong

    def read(self, file: JobFile) -> bytes:
        """Return a file's bytes. Raises `BadJob` if it is gone or isn't what it was."""
        try:
            data = (self.path / file.path).read_bytes()
        except OSError as unread:
            raise BadJob(f"{self.path / file.path} can't be read: {unread.strerror}") from unread
        if _described(file.path, data) != file:
            raise BadJob(f"{self.path / file.path} isn't the file that was written: its digest differs")
        return data

    def write(self, path: str, data: bytes) -> None:
        target = self.path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        # A name of its own: two who were handed the same job, in two containers perhaps, never write a mixture.
        temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
        try:
            temporary.write_bytes(data)
            temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise

    def done(self) -> dict[str, ItemResult]:
        """Return by item id the results whose outputs are all there and intact, failures left out.

        They are what a worker that goes on with the job need not do again.
        """
        job = self.job
        done = {item.id: self._done(job, item) for item in job.items}
        return {item_id: result for item_id, result in done.items() if result}

    def done_item(self, item_id: str) -> ItemResult | None:
        """Return one item's result as `done` would."""
        job = self.job
        return next((self._done(job, item) for item in job.items if item.id == item_id), None)

    def _done(self, job: ModelJob, item: Item) -> ItemResult | None:
        result = self.result_of(item.id)
        if not result or result.outcome == "failed" or result.key != job.item_key(item):
            return None
        return result if all(self.holds(file) for file in result.outputs.values()) else None

    def finish_item(self, result: ItemResult, outputs: Mapping[str, bytes]) -> ItemResult:
        """Write an item's `outputs` (file names by role are the roles themselves), then its result, and return that."""
        paths = {role: f"outputs/{result.item_id}/{role}" for role in outputs}
        for role, data in outputs.items():
            self.write(paths[role], data)
        described = {role: _described(paths[role], data) for role, data in outputs.items()}
        result = result.model_copy(update={"outputs": described})
        self.write(f"outputs/{result.item_id}/item.json", result.model_dump_json(indent=1).encode())
        return result

    def finish(self) -> JobResult:
        """Write result.json and, last, the digest manifest. Raises `BadJob` while an item has no result."""
        job = self.job
        results = {item.id: self.result_of(item.id) for item in job.items}
        missing = [item_id for item_id, result in results.items() if result is None]
        if missing:
            raise BadJob(f"job {job.id} isn't done: no result of {', '.join(missing[:5])}")
        result = JobResult(job_id=job.id, items=tuple(each for each in results.values() if each))
        data = result.model_dump_json(indent=1).encode()
        self.write("result.json", data)
        digests = {file.path: file.sha256 for each in result.items for file in each.outputs.values()}
        digests["result.json"] = hashlib.sha256(data).hexdigest()
        self.write("manifest.json", json.dumps({"job": job.id, "sha256": digests}, indent=1).encode())
        return result

    def result(self) -> JobResult:
        """Return the finished job's result, every digest checked. Raises `BadJob` naming what is missing or off."""
        try:
            manifest = json.loads((self.path / "manifest.json").read_bytes())
            digests, job_id = dict(manifest["sha256"]), str(manifest["job"])
            data = (self.path / "result.json").read_bytes()
            result = JobResult.model_validate_json(data)
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as unfinished:
            raise BadJob(f"{self.path} holds no finished job: {unfinished}") from unfinished
        job = self.job
        if {job_id, result.job_id} != {job.id} or digests.get("result.json") != hashlib.sha256(data).hexdigest():
            raise BadJob(f"{self.path}: result.json isn't the one that the manifest was written for")
        if [each.item_id for each in result.items] != [item.id for item in job.items]:
            raise BadJob(f"{self.path}: the result has other items than the job")
        for item, each in zip(job.items, result.items, strict=True):
            if each.key != job.item_key(item):
                raise BadJob(f"{self.path}: the result of {item.id} is that of other work")
            for file in each.outputs.values():
                if not file.path.startswith(f"outputs/{each.item_id}/") or digests.get(file.path) != file.sha256:
                    raise BadJob(f"{self.path}: {file.path} isn't in the manifest with its digest")
                self.read(file)
        return result

    def result_of(self, item_id: str) -> ItemResult | None:
        """Return what is recorded of an item, unverified; None if nothing readable is."""
        try:
            return ItemResult.model_validate_json((self.path / "outputs" / item_id / "item.json").read_bytes())
        except (OSError, ValidationError):
            return None

    def holds(self, file: JobFile) -> bool:
        """Return whether the file is here, whole and unchanged."""
        try:
            self.read(file)
        except BadJob:
            return False
        return True


def job_file(path: str, data: bytes) -> JobFile:
    """Return what a job says of an input: `path` begins with "inputs/"."""
    return _described(path, data)


def pack(folder: JobFolder, bundle: Path) -> None:
    """Write the job folder as one zip; pictures are stored as they are, since they are compressed already."""
    temporary = bundle.with_name(f".{bundle.name}.{os.getpid()}")
    with zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(folder.path.rglob("*")):
            if path.is_file() and not path.name.startswith("."):
                archive.write(path, path.relative_to(folder.path).as_posix())
    temporary.replace(bundle)


def unpack(bundle: Path, into: Path) -> JobFolder:
    """Unpack a zipped job into the folder `into`. Raises `BadJob` if it is broken, too large or leads outside."""
    into.mkdir(parents=True, exist_ok=True)
    inside = into.resolve()
    try:
        with zipfile.ZipFile(bundle) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > LARGEST_UNPACKED:
                raise BadJob(f"{bundle.name} would unpack to more than {LARGEST_UNPACKED >> 30} GiB")
            for entry in archive.infolist():
                if entry.is_dir():
                    continue
                target = (into / entry.filename).resolve()
                if not target.is_relative_to(inside) or stat.S_ISLNK(entry.external_attr >> 16):
                    raise BadJob(f"{bundle.name}: {entry.filename!r} leads out of the job's folder")
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(entry) as packed, target.open("wb") as unpacked:
                    shutil.copyfileobj(packed, unpacked, 1 << 20)
    except _BROKEN_ZIP as broken:
        raise BadJob(f"{bundle.name} can't be unpacked: {broken}") from broken
    return JobFolder(into)


def _described(path: str, data: bytes) -> JobFile:
    return JobFile(path=path, sha256=hashlib.sha256(data).hexdigest(), size=len(data))
