"""The models of a job on the machine that works it off: those of its list that run here, warm if they can be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from listing_media_dagster.gpu.job import ModelJob, ModelRef
from listing_media_dagster.gpu.work.bench import Bench
from listing_media_dagster.models.choose import choose
from listing_media_dagster.models.entry import CatalogueEntry, Stage
from listing_media_dagster.models.hardware import Hardware
from listing_media_dagster.models.model import ModelFailed
from listing_media_dagster.models.weights import BadWeights, ModelMissing, WeightsFolder

if TYPE_CHECKING:
    from listing_media_dagster.models.model import ImageEditor, Segmenter

Wrapped = TypeVar("Wrapped")
Wrap = Callable[[CatalogueEntry, WeightsFolder, Hardware], Wrapped]

FURTHER_MODELS = "further_models"
_OTHER_RECIPE = "the catalogue on this machine has another commit, steps or LoRAs for it than the job was made with"
SERVED = "comfyui/"
"""Begins the ids of models that a server runs."""


class NoModelHere(ModelFailed):
    """None of the models that a job names can be had on this machine; `str()` says why of each."""


@dataclass(frozen=True)
class ModelsFound(Generic[Wrapped]):
    """The models that run here, best first, and why the others don't."""

    models: tuple[Wrapped, ...]
    reasons: tuple[str, ...]

    def any(self) -> tuple[Wrapped, ...]:
        """Return them. Raises `NoModelHere` with the reasons if there is none."""
        if not self.models:
            raise NoModelHere("; ".join(self.reasons) or "the job names no model")
        return self.models


def models_of(job: ModelJob) -> tuple[ModelRef, ...]:
    """Return the models that may do the job: `model`, and those that may where it can't."""
    further = [ModelRef.model_validate(ref) for ref in job.parameters.get(FURTHER_MODELS, ())]
    return ((job.model,) if job.model else ()) + tuple(further)


def find_models(
    refs: Sequence[ModelRef],
    stage: Stage,
    bench: Bench,
    wrap: Wrap[Wrapped],
    variant: Callable[[CatalogueEntry], str] = lambda entry: "",
    *,
    slow_cpu: bool,
) -> ModelsFound[Wrapped]:
    """Return those of `refs` that this bench can run for `stage`, in the order in which they suit it.

    `wrap` makes the model of an entry; `variant` names what beside the entry makes it another one (a kit's LoRAs);
    `slow_cpu` allows minutes a picture on a CPU. Licences were settled by whoever made the job.
    """
    served = [bench.served[ref.id] for ref in refs if ref.id in bench.served]
    absent = [f"{ref.id}: only the route comfyui leads to it" for ref in refs if _is_served(ref) and not served]
    refs = [ref for ref in refs if not _is_served(ref)]
    if not refs:
        return ModelsFound(tuple(served), tuple(absent))
    entries: list[CatalogueEntry] = []
    for ref in refs:
        entry = _entry(ref, bench)
        if entry is None:
            absent.append(f"{ref.id}: the job doesn't carry it, and this machine's catalogue hasn't got it")
        elif ref.id not in bench.entries and ref.recipe not in (None, entry.recipe):
            absent.append(f"{entry.id}: {_OTHER_RECIPE}")
        else:
            entries.append(entry)
    digests = {ref.id: ref.weights_sha256 for ref in refs}
    hardware = bench.hardware
    choice = choose(
        stage,
        hardware,
        entries=entries,
        allowed_licences=[name for entry in entries for name in entry.licence_ids],
        slow_cpu=slow_cpu,
        test_weights=bench.allow_test_weights,
    )
    able = {option.entry.id for option in choice.options}
    reasons = absent + [f"{entry.id}: {choice.reasons[entry.id]}" for entry in entries if entry.id not in able]
    models: list[Wrapped] = list(served)
    for option in choice.options:
        entry = option.entry
        try:
            weights = bench.find_weights(entry.id, digests[entry.id])
            key = f"{entry.id}@{weights.weights_sha256}:{entry.recipe}:{variant(entry)}"
            models.append(bench.models.get(key, lambda: wrap(entry, weights, hardware)))  # noqa: B023 - called at once
        except (ModelMissing, BadWeights, ModelFailed) as unusable:
            reasons.append(f"{entry.id}: {unusable}")
    return ModelsFound(tuple(models), tuple(reasons))


def find_editors(
    refs: Sequence[ModelRef], stage: Stage, bench: Bench, kit: str | None = None, *, slow_cpu: bool
) -> ModelsFound[ImageEditor]:
    """Return the image editors among `refs` that run here, with the LoRAs of the design kit `kit`."""
    from listing_media_dagster.models.diffusion import editor_for

    def wrap(entry: CatalogueEntry, weights: WeightsFolder, hardware: Hardware) -> ImageEditor:
        try:
            return editor_for(entry, weights, hardware, kit=kit, allow_test_weights=bench.allow_test_weights)
        except LookupError as unknown:
            raise ModelFailed(str(unknown)) from unknown

    def loras_of_kit(entry: CatalogueEntry) -> str:
        """Most entries have none: one editor does for all kits, and stays loaded."""
        return ",".join(lora.role for lora in entry.loras_for(kit) if lora.kits)

    return find_models(refs, stage, bench, wrap, loras_of_kit, slow_cpu=slow_cpu)


def find_segmenter(named: ModelRef | None, bench: Bench) -> Segmenter | None:
    """Return the segmenter; None if none is named or it doesn't run here."""
    from listing_media_dagster.models.segment import AdeSegmenter

    if named is None:
        return None
    found = find_models([named], Stage.SEGMENTATION, bench, AdeSegmenter, slow_cpu=True)
    return found.models[0] if found.models else None


def _is_served(ref: ModelRef) -> bool:
    """Tell a workflow on a server from a catalogue entry, whose id has no slash."""
    return ref.id.startswith(SERVED)


def _entry(ref: ModelRef, bench: Bench) -> CatalogueEntry | None:
    try:
        return bench.entry(ref.id)
    except LookupError:
        return None
