"""What a work function is given: the tasks in hand, and the bench it works at (device, weights, warm models)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

from listing_media_dagster.gpu.job import BadJob, Item, JobFolder, ModelJob

if TYPE_CHECKING:
    from listing_media_dagster.models.hardware import Hardware
    from listing_media_dagster.models.weights import WeightsFolder

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

    `catalogue` adds models of one's own. Weights made for tests are refused unless a test allows them. `served` are
    models that a server runs for this bench, by the ids that jobs name them by.
    """

    device: str
    models: KeptModels
    models_dir: Path
    own_weights: Mapping[str, Path] = field(default_factory=dict)
    catalogue: Path | None = None
    allow_test_weights: bool = False
    served: Mapping[str, Any] = field(default_factory=dict)
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

    def find_weights(self, entry_id: str, sha256: str | None = None) -> WeightsFolder:
        """Return the entry's weights. Raises `ModelMissing`, or `BadWeights` if they aren't those of `sha256`."""
        from listing_media_dagster.models.catalogue import catalogue_entry
        from listing_media_dagster.models.weights import BadWeights, find_weights

        found = find_weights(
            catalogue_entry(entry_id, self.catalogue),
            self.own_weights.get(entry_id),
            self.models_dir,
            allow_test_weights=self.allow_test_weights,
        )
        if sha256 is not None and found.weights_sha256 != sha256:
            raise BadWeights(f"{found.weights} isn't what the job was made for; pull {entry_id} again on this machine")
        return found


@cache
def _look_at(device: str) -> Hardware:
    from listing_media_dagster.models.hardware import probe_devices

    seen = {each.torch_device: each for each in probe_devices()}
    if device not in seen:
        raise LookupError(f"there is no device {device} for this process; there is {', '.join(seen)}")
    return seen[device]


WorkFunction = Callable[[Sequence[Task], Bench], Iterator[Made]]
"""Works off tasks of one kind, model and job parameters, and yields what it made of each, in their order."""
