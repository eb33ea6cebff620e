"""Bringing a whole diffusers pipeline into memory: its networks, those that replace them, its scheduler, its LoRAs.

Networks are read one by one rather than by the pipeline: only so do the libraries say which tensors a file lacks.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from listing_media_dagster.models.entry import CatalogueEntry, Lora
from listing_media_dagster.models.networks import class_named, is_network, quietly, read_network, readable
from listing_media_dagster.models.weights_folder import ModelMissing, WeightsFolder


def load_pipeline(entry: CatalogueEntry, weights: WeightsFolder, dtype: str, kit: str | None, device: str) -> Any:
    """Return the pipeline of `entry` on `device`, its parts and the LoRAs for `kit` put in, its scheduler set.

    Raises `ModelMissing` if the libraries aren't installed, `BadWeights` naming the file if it can't be read whole or
    doesn't fit, and the allocator's error if there isn't room.
    """
    _require_libraries(entry)
    main = entry.parts[0]
    folder = weights.part(main.role)
    parts = _extra_parts(entry, weights, dtype, device)
    with quietly(), readable(folder, entry):
        pipeline_class = class_named(*main.loads.split("."))
        wanted = inspect.signature(pipeline_class.__init__).parameters
        left_out = {name: None for name in pipeline_class._optional_components if not _brings(folder, name, parts)}
        names = [name for name in wanted if name not in {*parts, *left_out}]
        own = _own_networks(entry, folder, names, dtype, device)
        unasked = {"requires_safety_checker": False} if "requires_safety_checker" in wanted else {}
        pipeline = pipeline_class.from_pretrained(
            folder, use_safetensors=True, local_files_only=True, **own, **parts, **left_out, **unasked
        )
        _set_scheduler(pipeline, entry)
    with quietly():
        _melt_in_loras(pipeline, entry, weights, kit)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def _require_libraries(entry: CatalogueEntry) -> None:
    try:
        import diffusers
        import torch  # noqa: F401
        import transformers
    except ImportError as error:
        how = "install what runs it: pip install 'listing-media-dagster[models]'"
        raise ModelMissing(entry.title, how) from error
    for library in (diffusers, transformers):
        library.utils.logging.disable_progress_bar()


def _extra_parts(entry: CatalogueEntry, weights: WeightsFolder, dtype: str, device: str) -> dict[str, Any]:
    """Return the parts after the first as the pipeline's components: "vae", "controlnet" (a list where several)."""
    by_component: dict[str, list[Any]] = {}
    for part in entry.parts[1:]:
        network_class = class_named(*part.loads.split("."))
        network = read_network(network_class, weights.part(part.role), entry, dtype, device, part.variant)
        by_component.setdefault(part.role.partition("-")[0], []).append(network)
    return {name: networks[0] if len(networks) == 1 else networks for name, networks in by_component.items()}


def _brings(folder: Path, component: str, parts: Collection[str]) -> bool:
    """Tell what the entry has of a pipeline's optional components: of those that look for nudity, for example, none."""
    return component in parts or (folder / component).is_dir()


def _own_networks(entry: CatalogueEntry, folder: Path, names: list[str], dtype: str, device: str) -> dict[str, Any]:
    """Return those of the pipeline's components `names` that hold weights."""
    index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
    sources = {name: source for name in names if isinstance(source := index.get(name), list) and all(source)}
    classes = {name: class_named(*source) for name, source in sources.items()}
    variant = entry.parts[0].variant
    return {
        name: read_network(network_class, folder / name, entry, dtype, device, variant)
        for name, network_class in classes.items()
        if is_network(network_class)
    }


def _set_scheduler(pipeline: Any, entry: CatalogueEntry) -> None:
    sampling = entry.sampling
    if sampling is None or not (sampling.scheduler or sampling.scheduler_options):
        return
    named = class_named("diffusers", sampling.scheduler) if sampling.scheduler else type(pipeline.scheduler)
    pipeline.scheduler = named.from_config(pipeline.scheduler.config, **sampling.scheduler_options)


def _melt_in_loras(pipeline: Any, entry: CatalogueEntry, weights: WeightsFolder, kit: str | None) -> None:
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
        with readable(file, entry):
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
