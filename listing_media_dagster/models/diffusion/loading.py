"""Bringing a diffusers pipeline into memory from local safetensors: every tensor from its file, or not at all.

Classes come from diffusers and transformers only, so nothing that lies beside the weights is ever run. Models are read
one by one rather than by the pipeline, because only so do the libraries say which tensors a file lacks.
"""

from __future__ import annotations

import inspect
import json
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from listing_media_dagster.models.entry import CatalogueEntry, Lora
from listing_media_dagster.models.memory import is_out_of_memory
from listing_media_dagster.models.weights_folder import BadWeights, ModelMissing, WeightsFolder

_LIBRARIES = ("diffusers", "transformers")
_TALKATIVE = (*_LIBRARIES, "peft")
# The first looks for nudity, with a network of its own; the others serve picture prompts, which nobody gives here.
_LEFT_OUT = ("safety_checker", "feature_extractor", "image_encoder")


def load_pipeline(entry: CatalogueEntry, weights: WeightsFolder, dtype: str, kit: str | None, device: str) -> Any:
    """Return the pipeline of `entry` on `device`, its parts and the LoRAs for `kit` put in, its scheduler set.

    Raises `ModelMissing` if the libraries aren't installed, `BadWeights` naming the file if it can't be read whole or
    doesn't fit, and the allocator's error if there isn't room.
    """
    torch = _installed(entry)
    main = entry.parts[0]
    pipeline_class = _class_named(main.loads)
    folder = weights.part(main.role)
    placement = {"dtype": getattr(torch, dtype), "device": device}
    parts = _extra_parts(entry, weights, placement)
    with quietly(), _readable(folder, entry):
        wanted = inspect.signature(pipeline_class.__init__).parameters
        left_out: dict[str, Any] = {name: None for name in _LEFT_OUT if name in wanted}
        if "requires_safety_checker" in wanted:
            left_out["requires_safety_checker"] = False
        names = [name for name in wanted if name not in {*parts, *left_out}]
        own = _own_models(entry, folder, names, placement)
        pipeline = pipeline_class.from_pretrained(
            folder, use_safetensors=True, local_files_only=True, dtype=placement["dtype"], **own, **parts, **left_out
        )
    _set_scheduler(pipeline, entry)
    with quietly():
        melt_in_loras(pipeline, entry, weights, kit)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.vae.enable_slicing()  # decoding is the peak of memory, and gains nothing from being done for several
    return pipeline


def _installed(entry: CatalogueEntry) -> Any:
    try:
        import diffusers
        import torch
        import transformers
    except ImportError as error:
        how = "install what runs it: pip install 'listing-media-dagster[models]'"
        raise ModelMissing(entry.title, how) from error
    for library in (diffusers, transformers):
        library.utils.logging.disable_progress_bar()
    return torch


def _class_named(loads: str) -> Any:
    library, _, name = loads.rpartition(".")
    return getattr(import_module(library), name)


def _extra_parts(entry: CatalogueEntry, weights: WeightsFolder, placement: dict[str, Any]) -> dict[str, Any]:
    """Return the parts after the first as the pipeline's components: "vae", "controlnet" (a list where several)."""
    by_component: dict[str, list[Any]] = {}
    for part in entry.parts[1:]:
        folder = weights.part(part.role)
        with quietly():
            model = _read_model(entry, _class_named(part.loads), folder, part.variant, placement)
        by_component.setdefault(part.role.partition("-")[0], []).append(model)
    return {name: models[0] if len(models) == 1 else models for name, models in by_component.items()}


def _own_models(entry: CatalogueEntry, folder: Path, names: list[str], placement: dict[str, Any]) -> dict[str, Any]:
    """Return those of the pipeline's components `names` that hold weights."""
    import torch

    index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
    models = {}
    for name in names:
        library, class_name = index.get(name) or (None, None) if isinstance(index.get(name), list) else (None, None)
        if class_name is None:
            continue
        if library not in _LIBRARIES:
            raise ValueError(
                f"model_index.json has {name} from {library!r}, which isn't one of {', '.join(_LIBRARIES)}"
            )
        component_class = _class_named(f"{library}.{class_name}")
        if isinstance(component_class, type) and issubclass(component_class, torch.nn.Module):
            variant = entry.parts[0].variant
            models[name] = _read_model(entry, component_class, folder / name, variant, placement)
    return models


def _read_model(
    entry: CatalogueEntry, model_class: Any, folder: Path, variant: str | None, placement: dict[str, Any]
) -> Any:
    _refuse_damaged_files(entry, folder)
    with _readable(folder, entry):
        model, found = model_class.from_pretrained(
            folder,
            dtype=placement["dtype"],
            variant=variant,
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
        )
        absent = sorted(found["missing_keys"])
        if absent:
            raise ValueError(f"its weights lack {len(absent)} tensors, {absent[0]} first")
    return model.to(placement["device"]).eval()


def _refuse_damaged_files(entry: CatalogueEntry, folder: Path) -> None:
    """Open every file of weights in `folder`: the libraries don't always name the one that is cut short."""
    from safetensors import safe_open

    for file in sorted(folder.glob("*.safetensors")):
        with _readable(file, entry), safe_open(file, framework="pt"):
            pass


def _set_scheduler(pipeline: Any, entry: CatalogueEntry) -> None:
    sampling = entry.sampling
    if sampling is None or not (sampling.scheduler or sampling.scheduler_options):
        return
    scheduler_class = (
        _class_named(f"diffusers.{sampling.scheduler}") if sampling.scheduler else type(pipeline.scheduler)
    )
    pipeline.scheduler = scheduler_class.from_config(pipeline.scheduler.config, **sampling.scheduler_options)


def melt_in_loras(pipeline: Any, entry: CatalogueEntry, weights: WeightsFolder, kit: str | None) -> None:
    """Add the LoRAs to the weights themselves, so that a step costs what it costs without them.

    Raises `ModelMissing` without peft, `BadWeights` naming a file that can't be read or doesn't belong to `pipeline`.
    """
    loras = entry.loras_for(kit)
    if not loras:
        return
    try:
        import peft  # noqa: F401
    except ImportError as error:
        raise ModelMissing(entry.title, "its LoRAs need peft: pip install 'listing-media-dagster[models]'") from error
    for lora in loras:
        file = weights.file(lora.role)
        with _readable(file, entry):
            _melt_in(pipeline, lora, file)


def _melt_in(pipeline: Any, lora: Lora, file: Path) -> None:
    if not hasattr(pipeline, "load_lora_weights"):
        raise ValueError(f"a {type(pipeline).__name__} takes no LoRA")
    pipeline.load_lora_weights(
        file.parent, weight_name=file.name, adapter_name=lora.role, use_safetensors=True, local_files_only=True
    )
    changed = [name for name, adapters in pipeline.get_list_adapters().items() if lora.role in adapters]
    # diffusers goes on without a word if no tensor of the file belongs to this pipeline.
    if not changed:
        raise ValueError(f"none of its tensors belongs to a {type(pipeline).__name__}")
    pipeline.fuse_lora(components=changed, lora_scale=lora.weight, adapter_names=[lora.role])
    pipeline.unload_lora_weights()


@contextmanager
def _readable(path: Path, entry: CatalogueEntry) -> Iterator[None]:
    """Turn whatever the libraries raise over a bad file into `BadWeights` with the next step."""
    try:
        yield
    except Exception as error:
        if isinstance(error, BadWeights) or is_out_of_memory(error):
            raise
        reason = " ".join((str(error).strip() or type(error).__name__).split())[:300]
        raise BadWeights(f"{path} can't be loaded: {reason}; `{entry.pull_command}` fetches it again") from error


@contextmanager
def quietly() -> Iterator[None]:
    """Keep the libraries from logging, in this thread, what is said here in one line or isn't so."""
    thread = threading.get_ident()

    def of_another_thread(record: logging.LogRecord) -> bool:
        return record.thread != thread

    handlers = [handler for library in _TALKATIVE for handler in logging.getLogger(library).handlers]
    for handler in handlers:
        handler.addFilter(of_another_thread)
    try:
        yield
    finally:
        for handler in handlers:
            handler.removeFilter(of_another_thread)
