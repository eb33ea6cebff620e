"""Which model a stage runs on a given device, and why not another: a pure function of catalogue and hardware."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from listing_media_dagster.models.catalogue import catalogue
from listing_media_dagster.models.entry import CatalogueEntry, Dtype, Stage, Way, licence_refusal
from listing_media_dagster.models.hardware import GIB, Hardware

CPU_PATIENCE_SECONDS = 30
"""A picture may take so long on a CPU without anybody having asked for it."""

_SPARE_MEMORY_GB = 2.0  # for the process beside its weights


@dataclass(frozen=True)
class Option:
    """An entry that can be run, how, and in which dtype; `is_risky` if that dtype is known to overflow at times."""

    entry: CatalogueEntry
    way: Way
    dtype: Dtype
    is_risky: bool = False


@dataclass(frozen=True)
class Choice:
    """What a stage can run, best first, and of every entry that isn't the first the reason why not.

    If the first gives nothing usable, the next is tried.
    """

    stage: Stage
    options: tuple[Option, ...]
    reasons: Mapping[str, str]

    @property
    def entry(self) -> CatalogueEntry | None:
        return self.options[0].entry if self.options else None

    def describe(self) -> str:
        """Say in one line what was chosen and why the others weren't."""
        first = self.options[0] if self.options else None
        chosen = f"{first.entry.id} ({first.way}, {first.dtype})" if first else "nothing"
        others = "; ".join(f"{model_id}: {reason}" for model_id, reason in self.reasons.items())
        return f"{self.stage}: {chosen}" + (f". Not {others}" if others else "")


def choose(
    stage: Stage | str,
    hardware: Hardware,
    *,
    entries: Sequence[CatalogueEntry] | None = None,
    here: Collection[str] | None = None,
    allowed_licences: Collection[str] = (),
    slow_cpu: bool = False,
    test_weights: bool = False,
    only: str | None = None,
) -> Choice:
    """Return what to run `stage` with on `hardware`, with reasons.

    `entries` default to the shipped catalogue. `here` holds the ids of the entries whose weights are on this machine
    (None: wherever they are). `slow_cpu` says that minutes a picture on a CPU were asked for, `only` names the one
    entry to be considered.
    """
    stage = Stage(stage)
    candidates = [entry for entry in (catalogue().models if entries is None else entries) if stage in entry.stages]
    reasons: dict[str, str] = {}
    options: list[Option] = []
    for entry in candidates:
        refusal = _refusal(entry, here, allowed_licences, test_weights=test_weights, only=only)
        answer = refusal or _way_to_run(entry, hardware, slow_cpu=slow_cpu)
        if isinstance(answer, Option):
            options.append(answer)
        else:
            reasons[entry.id] = answer
    # Stable: of equals, the one that the catalogue names first.
    options.sort(key=lambda option: (option.is_risky, -option.entry.quality))
    for option in options[1:]:
        reasons[option.entry.id] = _runner_up(option, options[0])
    return Choice(stage=stage, options=tuple(options), reasons=reasons)


def _refusal(
    entry: CatalogueEntry,
    here: Collection[str] | None,
    allowed_licences: Collection[str],
    *,
    test_weights: bool,
    only: str | None,
) -> str | None:
    """Return why `entry` isn't considered on any hardware."""
    if only is not None and entry.id != only:
        return f"{only} was named"
    if entry.test_only and not test_weights:
        return "made for tests: its pictures mean nothing"
    refusal = licence_refusal(entry, allowed_licences)
    if refusal:
        return refusal
    if here is not None and entry.id not in here:
        return f"its weights aren't here: {entry.how_to_get}"
    return None


def _way_to_run(entry: CatalogueEntry, hardware: Hardware, *, slow_cpu: bool) -> Option | str:
    """Return how `entry` runs on `hardware`, or why it can't."""
    if hardware.device == "cpu" or entry.vram_gb is None:
        return _on_cpu(entry, hardware, slow_cpu=slow_cpu)
    sound = next((dtype for dtype in entry.dtypes if hardware.has(dtype)), None)
    dtype = sound or next((dtype for dtype in entry.risky_dtypes if hardware.has(dtype)), None)
    if dtype is None:
        return f"needs {' or '.join(entry.dtypes)}, which {hardware.name} doesn't have"
    # `vram_gb` is told for the first dtype.
    factor = 2 if dtype == "float32" and entry.dtypes[0] != "float32" else 1
    resident, offload = entry.vram_gb.resident * factor, (entry.vram_gb.offload or 0) * factor
    free = hardware.free_vram_gb
    if free >= resident:
        return Option(entry, "resident", dtype, is_risky=sound is None)
    if not offload or free < offload:
        turns = ", even with its parts brought in one at a time" if offload else ""
        return f"needs {offload or resident:g} GiB of VRAM{turns}; {free:.1f} are free"
    if hardware.memory_gb < _memory_gb(entry, dtype):
        return f"needs {_memory_gb(entry, dtype):.0f} GiB of memory to wait in, there are {hardware.memory_gb:.0f}"
    return Option(entry, "offload", dtype, is_risky=sound is None)


def _on_cpu(entry: CatalogueEntry, hardware: Hardware, *, slow_cpu: bool) -> Option | str:
    if entry.cpu_seconds is None:
        return f"needs a GPU ({hardware.fault})" if hardware.fault else "needs a GPU"
    if hardware.memory_gb < _memory_gb(entry, "float32"):
        return f"needs {_memory_gb(entry, 'float32'):.0f} GiB of memory, there are {hardware.memory_gb:.0f}"
    if entry.cpu_seconds > CPU_PATIENCE_SECONDS and not slow_cpu:
        return f"would take {entry.cpu_seconds / 60:.1f} minutes a picture on the CPU, which wasn't asked for"
    return Option(entry, "cpu", "float32")


def _memory_gb(entry: CatalogueEntry, dtype: Dtype) -> float:
    """Return the GiB of memory that the weights take in `dtype`, with some to spare."""
    is_widened = dtype == "float32" and entry.dtypes[0] != "float32" and entry.parts[0].variant == "fp16"
    return entry.size_mb * 1e6 / GIB * (2 if is_widened else 1) + _SPARE_MEMORY_GB


def _runner_up(option: Option, first: Option) -> str:
    if option.is_risky:
        return f"would run, but in {option.dtype}, which overflows at times; {first.entry.id} is sound"
    return f"would run; {first.entry.id} is preferred"
