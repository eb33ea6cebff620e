"""The models that a job names, wherever it does: what they are, and which of them a machine elsewhere should have."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from listing_media_dagster.gpu.job import BadJob, ModelJob, ModelRef
from listing_media_dagster.gpu.work.chain_order import Step, steps_of
from listing_media_dagster.models.catalogue import catalogue, catalogue_entry
from listing_media_dagster.models.choose import Option, choose
from listing_media_dagster.models.entry import CatalogueEntry
from listing_media_dagster.models.first_fault import first_fault
from listing_media_dagster.models.hardware import Hardware
from listing_media_dagster.models.pinned import pinned, pinned_digest, placed

REFERENCE_KEYS = frozenset(ModelRef.model_fields)
Obtainable = Callable[[CatalogueEntry], bool]


def carrying_entries(job: ModelJob, own_catalogue: Path | None, models_dir: Path) -> ModelJob:
    """Return `job` with what this installation's catalogue says of the models it names, held to the weights meant.

    So a machine with another catalogue uses exactly those. Workflows on a server, and weights that were given in the
    catalogue's stead, go by their reference alone. Raises as `pinned` does.
    """
    refs = list(dict.fromkeys(ref for step in steps_of(job) for ref, _ in _references(step)))
    if not refs:
        return job
    known = {entry.id: entry for entry in catalogue(own_catalogue).models}
    held = {ref: pinned(known[ref.id], models_dir) for ref in refs if ref.id in known}
    meant = {entry.id: entry for ref, entry in held.items() if _is_meant(ref, entry)}
    return job.model_copy(update={"entries": tuple(entry.model_dump(mode="json") for entry in meant.values())})


def _is_meant(ref: ModelRef, entry: CatalogueEntry) -> bool:
    digest = pinned_digest(entry)
    return digest is None or ref.weights_sha256 in (None, digest)


def entries_of(job: ModelJob) -> dict[str, CatalogueEntry]:
    """Return the entries that the job carries, by id. Raises `BadJob` naming what is wrong with one."""
    try:
        entries = [CatalogueEntry.model_validate(entry) for entry in job.entries]
    except ValidationError as wrong:
        raise BadJob(f"job {job.id} carries a model that can't be: {first_fault(wrong)}") from wrong
    for entry in entries:
        loose = [part.role for part in entry.all_parts if part.folder is not None and not part.digests]
        if loose:
            raise BadJob(f"job {job.id}: {entry.id} has no digests for {', '.join(loose)}")
    return {entry.id: entry for entry in entries}


@dataclass(frozen=True)
class NamedModels:
    """`one_of`: ids of models of which any one does, best first; `beside`: those that are wanted whichever that is.

    `entries` are what the job carries of them; the others are those of the package's catalogue.
    """

    one_of: tuple[str, ...]
    beside: tuple[str, ...]
    entries: Mapping[str, CatalogueEntry] = field(default_factory=dict)

    def entry(self, name: str) -> CatalogueEntry | None:
        """Return what is called `name`; None for what only the machine that made the job knows."""
        try:
            return self.entries.get(name) or catalogue_entry(name)
        except LookupError:
            return None

    def known(self) -> dict[str, CatalogueEntry]:
        return {name: entry for name in (*self.one_of, *self.beside) if (entry := self.entry(name))}

    def weights_wanted(self, gpu: Hardware, obtainable: Obtainable = lambda entry: True) -> tuple[str, ...]:
        """Return the models whose weights a machine with `gpu` should have: the best that it runs, and all beside.

        Of those that are `obtainable` there.
        """
        known = {name: entry for name, entry in self.known().items() if obtainable(entry)}
        options = [option for name in self.one_of if name in known and (option := _option(known[name], gpu))]
        best = [option.entry.id for option in sorted(options, key=lambda option: option.is_risky)[:1]]
        wanted = [*best, *(name for name in self.beside if name in known)]
        return tuple(name for name in dict.fromkeys(wanted) if _has_weights(known[name]))


def models_named(job: ModelJob) -> tuple[NamedModels, ...]:
    """Return what each step of `job` names (of any but a chain there is one)."""
    entries = entries_of(job)
    return tuple(_models_named(step, entries) for step in steps_of(job))


def weights_wanted(job: ModelJob, gpu: Hardware, obtainable: Obtainable = lambda entry: True) -> tuple[str, ...]:
    """Return the models whose weights a machine with `gpu` should have for all steps of the job."""
    wanted = [name for named in models_named(job) for name in named.weights_wanted(gpu, obtainable)]
    return tuple(dict.fromkeys(wanted))


def out_of_reach(job: ModelJob, gpu: Hardware) -> str | None:
    """Return a model that a step of `job` can't do without though the hub hasn't got all of it; None if there is none.

    Part of it lies in a folder of the machine that made the job, and no other model does.
    """
    for named in models_named(job):
        one_of = set(named.one_of)
        wanted = [name for name in named.weights_wanted(gpu) if name in one_of]
        if wanted and not one_of & {*named.weights_wanted(gpu, on_the_hub)}:
            return wanted[0]
    return None


def on_the_hub(entry: CatalogueEntry) -> bool:
    return not entry.has_own_folders


def pull_models(job: ModelJob, models: Iterable[str], models_dir: Path, say: Callable[[str], None]) -> None:
    """Fetch those of the job's `models`, as `pull_named` does. Raises `BadJob` if it doesn't name one of them."""
    known = {name: entry for named in models_named(job) for name, entry in named.known().items()}
    for name in models:
        if name not in known:
            raise BadJob(f"job {job.id} names no model {name!r} that could be fetched")
        pull_named(known[name], models_dir, say)


def pull_named(entry: CatalogueEntry, models_dir: Path, say: Callable[[str], None]) -> None:
    """Fetch from the hub what isn't here of a job's model; what can't be had is said, and fails the items that need it.

    Licences were settled by whoever made the job.
    """
    from listing_media_dagster.models.weights import BadWeights, ModelMissing
    from listing_media_dagster.models.weights_hub import HubUnreachable
    from listing_media_dagster.models.weights_pull import LicenceRefused, pull

    say(f"fetching {entry.title}: {entry.size_mb} MB")
    try:
        pull(placed(entry, models_dir), models_dir, allowed_licences=entry.licence_ids)
    except (HubUnreachable, BadWeights, ModelMissing, LicenceRefused, OSError) as unavailable:
        say(f"{entry.id}: {unavailable}")


def _models_named(step: Step, entries: Mapping[str, CatalogueEntry]) -> NamedModels:
    references = list(_references(step))
    one_of = dict.fromkeys(ref.id for ref, is_alternative in references if is_alternative)
    beside = dict.fromkeys(ref.id for ref, is_alternative in references if not is_alternative)
    return NamedModels(tuple(one_of), tuple(beside), entries)


def _references(step: Step) -> Iterator[tuple[ModelRef, bool]]:
    """Yield the step's model and those listed as its alternatives (True), and single ones: a segmenter, a judge."""
    if step.model:
        yield step.model, True
    yield from _references_in(step.parameters, is_alternative=False)


def _references_in(value: Any, *, is_alternative: bool) -> Iterator[tuple[ModelRef, bool]]:
    if isinstance(value, dict) and value.keys() >= REFERENCE_KEYS:
        yield ModelRef.model_validate(value), is_alternative
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _references_in(inner, is_alternative=False)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _references_in(inner, is_alternative=True)


def _has_weights(entry: CatalogueEntry) -> bool:
    return any(not part.packaged for part in entry.all_parts)


def _option(entry: CatalogueEntry, gpu: Hardware) -> Option | None:
    """Return how `gpu` runs a model; its licence was settled by whoever made the job."""
    options = choose(entry.stages[0], gpu, entries=[entry], allowed_licences=entry.licence_ids, slow_cpu=True).options
    return options[0] if options else None
