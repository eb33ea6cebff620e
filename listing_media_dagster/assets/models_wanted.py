"""Which models a job may use: those the settings name, or those pulled here that a GPU of this machine runs."""

from __future__ import annotations

from collections.abc import Sequence

from listing_media_dagster.gpu.devices import find_devices
from listing_media_dagster.gpu.job import ModelRef, Needs
from listing_media_dagster.gpu.routes.cuda import look_at_gpus
from listing_media_dagster.models.catalogue import CatalogueEntry, Stage, catalogue, catalogue_entry, licence_refusal
from listing_media_dagster.models.choose import choose
from listing_media_dagster.models.weights import BadWeights, ModelMissing, find_weights, models_here
from listing_media_dagster.settings import Settings, settings


class ModelRefused(ValueError):
    """A model that the settings name and that can't be used; the message says why and what to do."""


def staging_models(at: Settings) -> tuple[ModelRef, ...]:
    """Return the diffusion models that may stage, best first. Raises `ModelRefused` for one that was named in vain."""
    wanted = at.staging_models.strip()
    if wanted == "auto":
        entries = _runnable_here(Stage.STAGING, at)
    else:
        named = [name.strip() for name in wanted.split(",") if name.strip() not in ("", "none")]
        entries = [_named(name, Stage.STAGING, at) for name in named]
    return tuple(_ref(entry, at) for entry in entries)


def needs_of(models: Sequence[ModelRef]) -> Needs:
    """Return what a job wants of its machine: a GPU on which at least one of its models runs, if it has any."""
    own = settings().model_catalogue
    needed = [entry.vram_gb for entry in (catalogue_entry(model.id, own) for model in models) if entry.vram_gb]
    if not needed:
        return Needs(gpu="none")
    return Needs(gpu="optional", vram_gb=min(vram.offload or vram.resident for vram in needed))


def _runnable_here(stage: Stage, at: Settings) -> list[CatalogueEntry]:
    devices = find_devices(at.gpu_devices)
    if not devices:
        return []
    entries = catalogue(at.model_catalogue).models
    here = models_here([entry for entry in entries if stage in entry.stages], at.models_dir)
    if not here:
        return []
    sound = [gpu for gpu in look_at_gpus(devices) if gpu.fault is None]
    if not sound:
        return []
    hardware = max(sound, key=lambda gpu: gpu.free_vram_gb)
    choice = choose(stage, hardware, entries=entries, here=here, allowed_licences=at.allowed_licences)
    return [option.entry for option in choice.options]


def _named(name: str, stage: Stage, at: Settings) -> CatalogueEntry:
    try:
        entry = catalogue_entry(name, at.model_catalogue)
    except LookupError as unknown:
        raise ModelRefused(f"LISTING_MEDIA_STAGING_MODELS: {unknown}") from None
    if stage not in entry.stages:
        raise ModelRefused(f"LISTING_MEDIA_STAGING_MODELS: {name} isn't for {stage.value}; it is for {entry.purpose}")
    refusal = licence_refusal(entry, at.allowed_licences)
    if refusal:
        raise ModelRefused(f"LISTING_MEDIA_STAGING_MODELS: {name}: {refusal}")
    return entry


def _ref(entry: CatalogueEntry, at: Settings) -> ModelRef:
    """Return how a job names the entry: with the digest of the weights where they are here."""
    try:
        weights = find_weights(entry, None, at.models_dir)
    except (ModelMissing, BadWeights):
        return ModelRef(id=entry.id)
    return ModelRef(id=entry.id, revision=weights.revision, weights_sha256=weights.weights_sha256)
