"""Weights lying on this machine, as a loader gets them: each part's folder, its files, their digests, whose they are.

Nothing here touches the network; `weights` looks for them and pulls them, `weights_lock` holds them to the first pull.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatchcase
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from listing_media_dagster.listing import Sha256
from listing_media_dagster.models.entry import CatalogueEntry, FileDigest, Part
from listing_media_dagster.models.first_fault import first_fault

CARD_NAME = "listing_media.json"
WEIGHT_SUFFIXES = (".safetensors", ".onnx")
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")

Origin = Literal["own folder", "pulled", "hub cache", "package"]


class ModelMissing(Exception):
    """A model can't be had on this machine; `how_to_get_it` is the exact next step."""

    def __init__(self, model: str, how_to_get_it: str) -> None:
        super().__init__(f"{model} isn't here: {how_to_get_it}")
        self.model = model
        self.how_to_get_it = how_to_get_it

    def __reduce__(self) -> tuple[type[ModelMissing], tuple[str, str]]:
        return type(self), (self.model, self.how_to_get_it)


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


class PartFolder(_Record):
    """Where the files of one part lie, by their names in the repository; `path` is what `from_pretrained` wants."""

    role: str
    root: Path
    path: Path
    files: dict[str, FileDigest]
    repo: str | None = None
    revision: str | None = None

    @property
    def weights(self) -> tuple[Path, ...]:
        return tuple(self.root / name for name in sorted(self.files) if name.endswith(WEIGHT_SUFFIXES))


class WeightsFolder(_Record):
    """Weights that were looked at, digests included: everything a loader and a ledger need to know of them.

    `weights_sha256` is the digest of the model's file of weights; of a model with several, that of their list.
    """

    model_id: str
    parts: tuple[PartFolder, ...] = Field(min_length=1)
    weights_sha256: Sha256
    origin: Origin
    card: WeightsCard = WeightsCard()

    def part(self, role: str) -> Path:
        """Return the folder of the part called `role`, as `from_pretrained` wants it, or raise `LookupError`."""
        return self._part(role).path

    def file(self, role: str) -> Path:
        """Return the one file of weights of a part that has only one, such as a LoRA; else raise `LookupError`."""
        weights = self._part(role).weights
        if len(weights) != 1:
            raise LookupError(f"{self.model_id}: part {role!r} has {len(weights)} files of weights, not one")
        return weights[0]

    @property
    def path(self) -> Path:
        """The main part's folder."""
        return self.parts[0].path

    @property
    def weights(self) -> Path:
        """The main part's (first) file of weights."""
        return self.parts[0].weights[0]

    @property
    def revision(self) -> str | None:
        return self.card.revision

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for part in self.parts for file in part.files.values())

    def _part(self, role: str) -> PartFolder:
        for part in self.parts:
            if part.role == role:
                return part
        raise LookupError(f"{self.model_id} has no part {role!r}; it has {', '.join(part.role for part in self.parts)}")


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
    """Return the file's sha256 in hex; hashed once per process while its size, inode and times stay as they are."""
    stat = path.stat()
    return _sha256_of_unchanged(str(path.resolve()), stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)


@lru_cache(maxsize=1024)
def _sha256_of_unchanged(path: str, size: int, mtime_ns: int, ctime_ns: int, inode: int) -> str:
    return _hash(Path(path))


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digests_of(root: Path, names: Sequence[str], *, anew: bool = False) -> dict[str, FileDigest]:
    """Return each file's digest and size, several files hashed at a time; `anew` whatever was hashed before."""
    digest = _hash if anew else sha256_of
    with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
        digests = list(pool.map(lambda name: digest(root / name), names))
    return {
        name: FileDigest(sha256=digest, size=(root / name).stat().st_size)
        for name, digest in zip(names, digests, strict=True)
    }


def weights_digest(parts: Sequence[PartFolder]) -> str:
    """Return what names a model by its weights: its only file's digest, else that of the list of all files."""
    weights = [file for part in parts for name, file in part.files.items() if name.endswith(WEIGHT_SUFFIXES)]
    if len(weights) == 1:
        return weights[0].sha256
    listed = sorted(f"{part.role}/{name} {file.sha256}\n" for part in parts for name, file in part.files.items())
    return hashlib.sha256("".join(listed).encode()).hexdigest()


def matching(pattern: str, names: Sequence[str]) -> list[str]:
    """Return those of `names` that `pattern` means; unlike fnmatch's, its "*" doesn't cross a "/"."""
    depth = pattern.count("/")
    return [name for name in names if name.count("/") == depth and fnmatchcase(name, pattern)]


def inspect_folder(
    entry: CatalogueEntry,
    folder: Path,
    *,
    origin: Origin = "own folder",
    card: WeightsCard | None = None,
    allow_test_weights: bool = False,
) -> WeightsFolder:
    """Look at `folder` as weights for `entry`, digests included.

    A model of one part lies in the folder itself, each part of a model of several in a subfolder named after its role.
    `card` says whose weights these are when the caller knows; otherwise the folder's own `listing_media.json` does.
    Raises `ModelMissing` where a needed file is absent, `BadWeights` where the card doesn't fit the weights, marks
    them as made for tests (unless `allow_test_weights`), or a configuration asks for code of its own to be run.
    """
    parts = []
    for part in entry.all_parts:
        root = folder if len(entry.all_parts) == 1 else folder / part.role
        parts.append(look_at_part(entry, part, part.folder or root))
    card = card or _read_card(folder)
    digest = weights_digest(parts)
    if card.weights_sha256 not in (None, digest):
        raise BadWeights(
            f"{parts[0].weights[0]} has the digest {digest[:12]}…, its {CARD_NAME} says "
            f"{str(card.weights_sha256)[:12]}…: the file was changed or damaged, fetch it again"
        )
    refuse_test_weights(entry, card, folder, allowed=allow_test_weights)
    return WeightsFolder(model_id=entry.id, parts=tuple(parts), weights_sha256=digest, origin=origin, card=card)


def refuse_test_weights(entry: CatalogueEntry, card: WeightsCard, folder: Path, *, allowed: bool) -> None:
    """Raise `BadWeights` if the entry or the card says that these weights were made for tests, unless `allowed`."""
    if (card.test_only or entry.test_only) and not allowed:
        raise BadWeights(
            f"the weights in {folder} were made for tests and say nothing about photos; "
            f"`{entry.pull_command}` fetches real ones"
        )


def marked_for_tests(part: Part) -> bool:
    """Return whether a part that lies in a folder of one's own has a card there that says "made for tests"."""
    return part.folder is not None and _read_card(part.folder).test_only


def look_at_part(entry: CatalogueEntry, part: Part, root: Path) -> PartFolder:
    """Find the files of `part` in the folder `root` and digest them. Raises as `inspect_folder` does."""
    if part.packaged:
        root = Path(str(files("listing_media_dagster")))
    present = _files_below(root, part)
    found = {pattern: matching(pattern, present) for pattern in part.patterns}
    names = sorted({name for each in found.values() for name in each})
    absent = [pattern for pattern in part.files if not found[pattern]] + _absent_shards(root, names)
    if absent:
        lacks = f"the folder {root} has no {' and no '.join(absent)}"
        raise ModelMissing(entry.title, lacks + _instead(entry, part, root))
    refuse_custom_code(root, names)
    digests = digests_of(root, names)
    for name, known in part.digests.items():
        if name in digests and digests[name] != known:
            raise BadWeights(f"{root / name} isn't the file that the catalogue names: its digest differs")
    return part_folder(part, root, digests)


def part_folder(part: Part, root: Path, digests: Mapping[str, FileDigest], revision: str | None = None) -> PartFolder:
    path = root / part.subfolder if part.subfolder else root
    return PartFolder(
        role=part.role, root=root, path=path, files=dict(digests), repo=part.repo, revision=revision or part.revision
    )


def refuse_custom_code(root: Path, names: Sequence[str]) -> None:
    """Raise `BadWeights` if a configuration asks a loader to run code that comes with the weights."""
    for name in names:
        if not name.endswith(".json") or not name.rpartition("/")[2].startswith(
            ("config", "model_index", "tokenizer_c")
        ):
            continue
        try:
            config = json.loads((root / name).read_text(encoding="utf-8"))
        except ValueError as wrong:
            raise BadWeights(f"{root / name} isn't JSON: {wrong}") from wrong
        if _asks_for_code(config):
            raise BadWeights(f"{root / name} asks for code of its own to be run (auto_map): this model is refused")


def _asks_for_code(config: Any) -> bool:
    if not isinstance(config, dict):
        return False
    return "auto_map" in config or isinstance(config.get("_class_name"), list)


def _files_below(root: Path, part: Part) -> list[str]:
    """Return the names of the files that patterns of `part` could mean, relative to `root`."""
    depth = max(pattern.count("/") for pattern in part.patterns)
    tops = ["/".join(["*"] * (level + 1)) for level in range(depth + 1)]
    if part.packaged:
        return [name for name in part.files if (root / name).is_file()]
    return [path.relative_to(root).as_posix() for top in tops for path in root.glob(top) if path.is_file()]


def _absent_shards(root: Path, names: Sequence[str]) -> list[str]:
    """Return the files of weights that an index among `names` lists and that aren't there."""
    absent = []
    for index in (name for name in names if name.endswith(".safetensors.index.json")):
        try:
            shards = set(json.loads((root / index).read_text(encoding="utf-8"))["weight_map"].values())
        except (ValueError, KeyError, TypeError, AttributeError) as wrong:
            raise BadWeights(f"{root / index} is no index of weights: {wrong}") from wrong
        folder = index.rpartition("/")[0]
        listed = (f"{folder}/{shard}" if folder else shard for shard in shards)
        absent += sorted(name for name in listed if not (root / name).is_file())
    return absent


def _instead(entry: CatalogueEntry, part: Part, root: Path) -> str:
    pickles = (
        sorted(path.name for pattern in PICKLES for path in root.glob(f"**/{pattern}"))[:1] if root.is_dir() else []
    )
    why = f" ({pickles[0]} isn't read: pickled weights can run code)" if pickles else ""
    return f"{why}; " + (f"`{entry.pull_command}` fetches them" if part.is_pulled else "no pull fetches that part")


def _read_card(folder: Path) -> WeightsCard:
    path = folder / CARD_NAME
    try:
        return WeightsCard.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return WeightsCard()
    except ValidationError as error:
        raise BadWeights(f"{path}: {first_fault(error)}") from error
