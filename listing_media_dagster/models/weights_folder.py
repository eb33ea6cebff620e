"""Weights lying on this machine: whose they are, their digests, and the lock that holds every load to the first pull.

Nothing here touches the network; `weights` does the pulling and the looking-for.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from listing_media_dagster.listing import Sha256
from listing_media_dagster.models.catalogue import CatalogueEntry

CARD_NAME = "listing_media.json"
LOCK_NAME = "models.lock"


class ModelMissing(Exception):
    """A model can't be had on this machine; `how_to_get_it` is the exact next step."""

    def __init__(self, model: str, how_to_get_it: str) -> None:
        super().__init__(f"{model} isn't here: {how_to_get_it}")
        self.model = model
        self.how_to_get_it = how_to_get_it


class BadWeights(Exception):
    """Weights are here or were offered, but aren't what they should be; the message names file and next step."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class WeightsCard(_Record):
    """`listing_media.json` beside the weights: whose they are. A pull writes it; a folder of your own may bring one."""

    repo: str | None = None
    revision: str | None = None
    pretrained: str | None = Field(default=None, description="whose training, for example 'openai'")
    weights_sha256: Sha256 | None = None
    calibrated_threshold: float | None = Field(
        default=None,
        gt=0,
        le=2.5,
        description="score below which this encoder's images are rejected, as measured for it",
    )
    test_only: bool = Field(default=False, description="made for tests: refused wherever results matter")


class WeightsFolder(_Record):
    """A folder of weights that was looked at: everything a loader and a ledger need to know of it."""

    model_id: str
    path: Path
    weights: Path
    weights_sha256: Sha256
    origin: Literal["own folder", "pulled", "hub cache"]
    card: WeightsCard = WeightsCard()

    @property
    def revision(self) -> str | None:
        return self.card.revision


class LockedFile(_Record):
    sha256: Sha256
    size: int = Field(ge=0)


class LockedModel(_Record):
    """What was pulled first, and what every later load must find."""

    repo: str
    revision: str
    files: dict[str, LockedFile]
    pulled_at: datetime


class ModelsLock(_Record):
    models: dict[str, LockedModel] = Field(default_factory=dict)


def read_lock(models_dir: Path) -> ModelsLock:
    """Return `models.lock` of `models_dir` (empty if there is none); raises `BadWeights` if it can't be read."""
    path = models_dir / LOCK_NAME
    try:
        return ModelsLock.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return ModelsLock()
    except ValidationError as error:
        raise BadWeights(
            f"{path} can't be read ({error.error_count()} faults): restore it, or remove it and pull the models again"
        ) from error


def lock_model(models_dir: Path, model_id: str, locked: LockedModel) -> None:
    """Record `locked` in `models.lock`, replacing the file in one step."""
    lock = ModelsLock(models={**read_lock(models_dir).models, model_id: locked})
    write_whole(models_dir / LOCK_NAME, lock.model_dump_json(indent=2) + "\n")


def write_whole(path: Path, text: str) -> None:
    """Write `text` so that a reader sees the old file or the new one, never half of it."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def sha256_of(path: Path) -> str:
    """Return the file's sha256 in hex; hashed once per process while its size, inode and time stay as they are."""
    stat = path.stat()
    return _sha256_of_unchanged(str(path.resolve()), stat.st_size, stat.st_mtime_ns, stat.st_ino)


@lru_cache(maxsize=256)
def _sha256_of_unchanged(path: str, size: int, mtime_ns: int, inode: int) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def inspect_folder(
    entry: CatalogueEntry,
    folder: Path,
    *,
    origin: Literal["own folder", "pulled", "hub cache"] = "own folder",
    card: WeightsCard | None = None,
    allow_test_weights: bool = False,
) -> WeightsFolder:
    """Look at `folder` as weights for `entry`, digest included.

    `card` says whose weights these are when the caller knows; otherwise the folder's own `listing_media.json` does.
    Raises `ModelMissing` where a needed file is absent, `BadWeights` where the card doesn't fit the weights or marks
    them as made for tests (unless `allow_test_weights`).
    """
    absent = [name for name in entry.files if not (folder / name).is_file()]
    if absent:
        pickles = sorted(path.name for pattern in ("*.bin", "*.pt", "*.pth") for path in folder.glob(pattern))
        why = f" ({pickles[0]} isn't read: pickled weights can run code)" if pickles else ""
        raise ModelMissing(
            entry.title,
            f"the folder {folder} has no {' and no '.join(absent)}{why}; `{entry.pull_command}` fetches them",
        )
    card = card or _read_card(folder)
    digest = sha256_of(folder / entry.weights)
    if card.weights_sha256 not in (None, digest):
        raise BadWeights(
            f"{folder / entry.weights} has the digest {digest[:12]}…, its {CARD_NAME} says "
            f"{str(card.weights_sha256)[:12]}…: the file was changed or damaged, fetch it again"
        )
    if card.test_only and not allow_test_weights:
        raise BadWeights(
            f"the weights in {folder} were made for tests and say nothing about photos; "
            f"`{entry.pull_command}` fetches real ones"
        )
    return WeightsFolder(
        model_id=entry.id,
        path=folder,
        weights=folder / entry.weights,
        weights_sha256=digest,
        origin=origin,
        card=card,
    )


def _read_card(folder: Path) -> WeightsCard:
    path = folder / CARD_NAME
    try:
        return WeightsCard.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return WeightsCard()
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise BadWeights(f"{path}: {where}: {first['msg']}") from error
