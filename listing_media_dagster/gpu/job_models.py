"""Which models a job may need where it is done, wherever its parameters name them, and which a GPU there can hold."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from listing_media_dagster.gpu.job import ModelJob, ModelRef
from listing_media_dagster.gpu.work.chain_order import Step, steps_of
from listing_media_dagster.models.catalogue import catalogue_entry
from listing_media_dagster.models.choose import Option, choose
from listing_media_dagster.models.entry import CatalogueEntry
from listing_media_dagster.models.hardware import Hardware

REFERENCE_KEYS = frozenset(ModelRef.model_fields)


@dataclass(frozen=True)
class NamedModels:
    """`one_of`: ids of models of which any one does, best first; `beside`: those that are wanted whichever that is."""

    one_of: tuple[str, ...]
    beside: tuple[str, ...]

    def weights_wanted(self, gpu: Hardware) -> tuple[str, ...]:
        """Return the models whose weights a machine with `gpu` should have: the best that it runs, and all beside."""
        options = [option for name in self.one_of if (entry := _entry(name)) and (option := _option(entry, gpu))]
        best = [option.entry.id for option in sorted(options, key=lambda option: option.is_risky)[:1]]
        wanted = [*best, *(name for name in self.beside if _entry(name))]
        return tuple(name for name in dict.fromkeys(wanted) if _has_weights(name))


def weights_wanted(job: ModelJob, gpu: Hardware) -> tuple[str, ...]:
    """Return the models whose weights a machine with `gpu` should have for all steps of the job."""
    wanted = [name for step in steps_of(job) for name in models_named(step).weights_wanted(gpu)]
    return tuple(dict.fromkeys(wanted))


def models_named(job: ModelJob | Step) -> NamedModels:
    """Return what `job` names: its model, those listed as alternatives, and single ones (a segmenter, a judge)."""
    one_of: list[str] = [job.model.id] if job.model else []
    beside: list[str] = []

    def look(value: Any, into: list[str]) -> None:
        if isinstance(value, dict):
            if value.keys() >= REFERENCE_KEYS:
                into.append(str(value["id"]))
                return
            for inner in value.values():
                look(inner, beside)
        elif isinstance(value, list | tuple):
            for inner in value:
                look(inner, one_of)

    look(job.parameters, beside)
    return NamedModels(tuple(dict.fromkeys(one_of)), tuple(dict.fromkeys(beside)))


def known_models(names: Iterable[str]) -> list[str]:
    """Return those that the package's own catalogue has: machines elsewhere know no other."""
    return [name for name in names if _entry(name)]


def _entry(name: str) -> CatalogueEntry | None:
    try:
        return catalogue_entry(name)
    except LookupError:
        return None


def _has_weights(name: str) -> bool:
    entry = _entry(name)
    return entry is not None and any(part.is_pulled for part in entry.all_parts)


def _option(entry: CatalogueEntry, gpu: Hardware) -> Option | None:
    """Return how `gpu` runs a model; its licence was settled by whoever made the job."""
    options = choose(entry.stages[0], gpu, entries=[entry], allowed_licences=entry.licence_ids, slow_cpu=True).options
    return options[0] if options else None
