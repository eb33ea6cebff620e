"""Bringing a diffusers pipeline into memory whole or not at all: every network of it must come from its file.

Classes come from diffusers and transformers only, so nothing that lies beside the weights is ever run.
diffusers and transformers warn of a tensor that a file lacks and go on with random numbers in its place.
"""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import ModuleType
from typing import Any

from listing_media_dagster.models.memory import is_out_of_memory
from listing_media_dagster.models.weights_folder import BadWeights


def load_pipeline(pipeline_class: Any, folder: Path, dtype: Any, variant: str | None = None) -> Any:
    """Return the pipeline in `folder` (laid out by diffusers), its networks in `dtype`, in the host's memory.

    Local files and safetensors alone; raises `BadWeights` saying what is absent, damaged or incomplete, and the
    allocator's error if there isn't room.
    """
    try:
        index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
        networks = {
            name: _load_network(_network_class(*source), folder / name, dtype, variant)
            for name, source in index.items()
            if isinstance(source, list) and _network_class(*source)
        }
        pipeline = pipeline_class.from_pretrained(folder, local_files_only=True, use_safetensors=True, **networks)
    except Exception as error:
        if isinstance(error, BadWeights) or is_out_of_memory(error):
            raise
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise BadWeights(f"{folder} can't be loaded: {reason}") from error
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def _network_class(library: str | None, name: str | None) -> Any:
    """Return the torch class that a line of model_index.json names; None for a tokenizer, a scheduler, nothing."""
    import torch

    if library is None or name is None:
        return None
    named = getattr(_library_named(library), name, None)
    return named if isinstance(named, type) and issubclass(named, torch.nn.Module) else None


def _library_named(library: str) -> ModuleType:
    """Return diffusers, transformers, or the module of one of diffusers' pipelines (LTX-2 has networks there)."""
    if library in ("diffusers", "transformers"):
        return importlib.import_module(library)
    own = getattr(importlib.import_module("diffusers.pipelines"), library, None)
    if not isinstance(own, ModuleType) or own.__name__ != f"diffusers.pipelines.{library}":
        raise ValueError(f"model_index.json asks for {library!r}, which is neither diffusers nor transformers")
    return own


def _load_network(network_class: Any, folder: Path, dtype: Any, variant: str | None) -> Any:
    network, found = network_class.from_pretrained(
        folder, dtype=dtype, variant=variant, local_files_only=True, use_safetensors=True, output_loading_info=True
    )
    absent = sorted(found["missing_keys"])
    if absent:
        raise BadWeights(f"{folder}: the file of weights lacks {len(absent)} tensors, {absent[0]} first: pull it again")
    return network.eval()
