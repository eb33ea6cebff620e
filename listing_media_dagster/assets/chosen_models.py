"""Which models this installation uses for a stage: what a job names and asks of a machine, or why there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from listing_media_dagster.gpu.devices import find_devices
from listing_media_dagster.gpu.job import Item, ModelJob, ModelRef, Needs, WorkKind
from listing_media_dagster.gpu.routes.cuda import look_at_gpus
from listing_media_dagster.gpu.work.models import FURTHER_MODELS
from listing_media_dagster.models.catalogue import catalogue
from listing_media_dagster.models.entry import CatalogueEntry, Stage
from listing_media_dagster.models.hardware import GIB, Hardware, memory_bytes
from listing_media_dagster.models.shortlist import NONE, Shortlist, read_wishes, shortlist
from listing_media_dagster.models.weights import BadWeights, ModelMissing, find_weights, locked_weights, models_here
from listing_media_dagster.models.weights_lock import LOCK_NAME
from listing_media_dagster.settings import Settings

# Routes to machines that have weights of their own, and hardware that nobody here can look at.
_ELSEWHERE = frozenset({"celery", "kaggle", "colab"})

COMFYUI = "comfyui"
_UNASKED = frozenset({Stage.STAGING, Stage.DEPTH, Stage.SEGMENTATION})

_takes_test_weights = False
"""Only a test sets this: what weights made for tests draw is noise."""


@dataclass(frozen=True)
class ChosenModels:
    """The models a job of `stage` names, best first; `refusal` says why there is none and what to do about it.

    `listed` tells how the choice came about, `damaged` of which models the weights that are here can't be used.
    """

    stage: Stage
    refs: tuple[ModelRef, ...]
    needs: Needs
    refusal: str = ""
    listed: str = ""
    damaged: tuple[str, ...] = ()

    @property
    def first(self) -> ModelRef | None:
        return self.refs[0] if self.refs else None

    def job(self, kind: WorkKind, items: Sequence[Item], **parameters: Any) -> ModelJob:
        """Return the job of doing `kind` of work with these models; it has no name yet."""
        return ModelJob(
            id="unnamed",
            kind=kind,
            model=self.first,
            parameters={**self.parameters, **parameters},
            items=tuple(items),
            needs=self.needs,
        )

    @property
    def parameters(self) -> dict[str, Any]:
        """What of a job's parameters names the models after the first."""
        return {FURTHER_MODELS: [ref.model_dump(mode="json") for ref in self.refs[1:]]}


def choose_models(stage: Stage, routes: Sequence[str], at: Settings) -> ChosenModels:
    """Return the models for `stage` of an installation whose jobs may take `routes`.

    For what is done unasked where there is a model, no GPU is looked at before its weights are here. Raises
    `BadCatalogue` or `BadWishes`, naming what to correct.
    """
    entries = [entry for entry in catalogue(at.model_catalogue).models if stage in entry.stages]
    wish = read_wishes(at.models, catalogue(at.model_catalogue).models).get(stage, "auto")
    here = models_here(entries, at.models_dir)
    found = shortlist(
        stage,
        _machines(routes, at) if here or stage not in _UNASKED else (_this_cpu(),),
        entries=entries,
        here=here,
        elsewhere=bool(_ELSEWHERE & set(routes)),
        wish=wish,
        allowed_licences=at.allowed_licences,
        test_weights=_takes_test_weights,
    )
    refs, damaged = _verified(found, here, at)
    needs = _needs(found)
    if (served := _served(stage, routes, at)) is not None and wish != NONE:
        # where its route comes first it is wanted before what lies here
        refs = (served, *refs) if routes[0] == COMFYUI else (*refs, served)
        return ChosenModels(stage, refs, needs if found.entries else Needs(gpu="optional"), "", f"{stage}: {served.id}")
    refusal = found.refusal or ("" if refs else "; ".join(damaged))
    return ChosenModels(stage, refs, needs, refusal, found.describe(), tuple(damaged))


def _served(stage: Stage, routes: Sequence[str], at: Settings) -> ModelRef | None:
    if COMFYUI not in routes or at.comfyui_url is None:
        return None
    from listing_media_dagster.gpu.routes.comfyui import served_models

    model = served_models(at).get(stage)
    return ModelRef(id=model.entry.id) if model else None


def _verified(found: Shortlist, here: frozenset[str], at: Settings) -> tuple[tuple[ModelRef, ...], list[str]]:
    """Return the models with the digests of their weights, and what is wrong with the weights of the others."""
    refs: list[ModelRef] = []
    damaged: list[str] = []
    for entry in found.entries:
        try:
            refs.append(_named(entry, at) if entry.id in here else _named_from_afar(entry, at))
        except (ModelMissing, BadWeights) as unusable:
            damaged.append(f"{entry.id}: {unusable}")
    return tuple(refs), damaged


def _named(entry: CatalogueEntry, at: Settings) -> ModelRef:
    weights = find_weights(entry, None, at.models_dir, allow_test_weights=_takes_test_weights)
    digest = weights.weights_sha256
    return ModelRef(id=entry.id, revision=weights.revision, weights_sha256=digest, recipe=entry.recipe)


def _named_from_afar(entry: CatalogueEntry, at: Settings) -> ModelRef:
    """Name a model whose weights aren't here, so that other weights are another reference: by the lock, or by pins.

    Raises `ModelMissing` where neither says which weights are meant: pictures of one kind would be kept as another's.
    """
    if (locked := locked_weights(entry, at.models_dir)) is not None:
        revision, digest = locked
        return ModelRef(id=entry.id, revision=revision, weights_sha256=digest, recipe=entry.recipe)
    if not entry.is_pinned:
        how = f"run `{entry.pull_command}` here once, or bring the {LOCK_NAME} of a machine that has it"
        raise ModelMissing(entry.title, f"the first pull decides which commit of it is meant: {how}")
    return ModelRef(id=entry.id, recipe=entry.recipe)


def _needs(found: Shortlist) -> Needs:
    """Return what the least of the models asks of a GPU; a CPU isn't ruled out, for there the embedded back end works.

    What of them doesn't fit where the job ends up, the worker passes over.
    """
    if not found.entries:
        return Needs()
    least = [entry.vram_gb.offload or entry.vram_gb.resident for entry in found.entries if entry.vram_gb]
    return Needs(gpu="optional" if least else "none", vram_gb=min(least, default=0.0), slow_cpu=found.on_cpu)


def _machines(routes: Sequence[str], at: Settings) -> tuple[Hardware, ...]:
    """Return the devices of this machine that `routes` lead to, in their order."""
    machines: list[Hardware] = []
    for route in routes:
        if route == "cuda":
            machines += [gpu for gpu in look_at_gpus(find_devices(at.gpu_devices)) if gpu.fault is None]
        elif route == "cpu":
            machines.append(_this_cpu())
    return tuple(machines)


def _this_cpu() -> Hardware:
    return Hardware(device="cpu", name="this machine's CPU", memory_gb=memory_bytes() / GIB)
