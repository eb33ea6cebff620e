"""What a work function is given: the tasks in hand, and the bench it works at (device, weights, warm models)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

from listing_media_dagster.gpu.job import BadJob, Item, JobFolder, ModelJob
from listing_media_dagster.models.catalogue import catalogue_entry
from listing_media_dagster.models.entry import CatalogueEntry
from listing_media_dagster.models.pinned import placed
from listing_media_dagster.models.weights import BadWeights, ModelMissing, WeightsFolder, find_weights

if TYPE_CHECKING:
    from listing_media_dagster.models.hardware import Hardware

Loaded = TypeVar("Loaded")


@dataclass(frozen=True)
class Task:
    """One item of one job, with the folder that holds its files."""

    job: ModelJob
    item: Item
    folder: JobFolder

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The job's parameters, and the item's own over them."""
        return {**self.job.parameters, **self.item.parameters}

    def read(self, role: str) -> bytes:
        """Return an input of the item or, failing that, of its job. Raises `BadJob` if there is none or it differs."""
        file = self.item.inputs.get(role) or self.job.inputs.get(role)
        if file is None:
            raise BadJob(f"item {self.item.id} of job {self.job.id} has no input {role!r}")
        return self.folder.read(file)


@dataclass(frozen=True)
class Made:
    """What a work function gave for a task: encoded `outputs` by role (file name), and a `record` of them.

    "refused" is an answer, with its reason. A task that can't be answered is an exception, not a `Made`.
    """

    outputs: Mapping[str, bytes] = field(default_factory=dict)
    record: Mapping[str, Any] = field(default_factory=dict)
    outcome: Literal["ok", "refused"] = "ok"
    reason: str = ""


class KeptModels(Protocol):
    """Loaded models, kept from one task to the next while there is room."""

    def get(self, key: str, load: Callable[[], Loaded]) -> Loaded: ...


@dataclass(frozen=True)
class Bench:
    """Where the work is done: `device` is "cpu" or "cuda:N"; `own_weights` are folders given for an entry by hand.

    `catalogue` adds models of one's own; `entries` are those that the jobs in hand carry, which go before it. Weights
    made for tests are refused unless a test allows them. `served` are models that a server runs for this bench, by the
    ids that jobs name them by. `has_shell`: somebody can run commands there, such as `models pull`.
    """

    device: str
    models: KeptModels
    models_dir: Path
    own_weights: Mapping[str, Path] = field(default_factory=dict)
    catalogue: Path | None = None
    allow_test_weights: bool = False
    entries: Mapping[str, CatalogueEntry] = field(default_factory=dict)
    served: Mapping[str, Any] = field(default_factory=dict)
    has_shell: bool = True
    say: Callable[[Task, str], None] = lambda task, what: None
    stop_if_cancelled: Callable[[], None] = lambda: None

    @property
    def device_name(self) -> str:
        """Return "cpu" or the GPU's name, as results and reports say it."""
        if not self.device.startswith("cuda"):
            return self.device
        import torch

        return str(torch.cuda.get_device_name(self.device))

    @property
    def hardware(self) -> Hardware:
        """Return what the device is, found out by running a kernel on it."""
        return _look_at(self.device)

    def entry(self, entry_id: str) -> CatalogueEntry:
        """Return what the job in hand means by a model, else what this machine's catalogue has; else `LookupError`."""
        carried = self.entries.get(entry_id)
        if carried is None:
            return catalogue_entry(entry_id, self.catalogue)
        return placed(carried, self.models_dir, self._own_entry(entry_id))

    def find_weights(self, entry_id: str, sha256: str | None = None) -> WeightsFolder:
        """Return the entry's weights. Raises `ModelMissing`, or `BadWeights` if they aren't those of `sha256`."""
        entry = self.entry(entry_id)
        try:
            found = find_weights(
                entry,
                self.own_weights.get(entry_id),
                self.models_dir,
                allow_test_weights=self.allow_test_weights,
            )
        except ModelMissing as missing:
            if self.has_shell and self._can_pull(entry):
                raise
            raise ModelMissing(entry.title, _how_to_bring(entry_id)) from missing
        if sha256 is not None and found.weights_sha256 != sha256:
            raise BadWeights(f"{found.weights} isn't what the job was made for: {_how_to_bring(entry_id)}")
        return found

    def _own_entry(self, entry_id: str) -> CatalogueEntry | None:
        try:
            return catalogue_entry(entry_id, self.catalogue)
        except LookupError:
            return None

    def _can_pull(self, entry: CatalogueEntry) -> bool:
        """Tell whether `models pull` on this machine would fetch exactly that model, all of it."""
        own = self._own_entry(entry.id)
        return own is not None and not entry.has_own_folders and _origins(own) == _origins(entry)


def _origins(entry: CatalogueEntry) -> list[tuple[str | None, ...]]:
    return [(part.role, part.repo, part.revision) for part in entry.all_parts]


def _how_to_bring(model: str) -> str:
    return (
        f"pack it where the job comes from (`listing-media models pack {model} --to {model}.zip`), and here "
        f"`listing-media models unpack {model}.zip`; for sessions on Kaggle, there `listing-media kaggle setup {model}`"
    )


@cache
def _look_at(device: str) -> Hardware:
    from listing_media_dagster.models.hardware import probe_devices

    seen = {each.torch_device: each for each in probe_devices()}
    if device not in seen:
        raise LookupError(f"there is no device {device} for this process; there is {', '.join(seen)}")
    return seen[device]


WorkFunction = Callable[[Sequence[Task], Bench], Iterator[Made]]
"""Works off tasks of one kind, model and job parameters, and yields what it made of each, in their order."""
