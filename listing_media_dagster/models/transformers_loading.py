"""Bringing a transformers model into memory whole or not at all: local, from safetensors, never from a pickle.

transformers itself warns of a tensor that the file lacks and goes on with random numbers in its place.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from listing_media_dagster.models.entry import CatalogueEntry
from listing_media_dagster.models.hardware import Hardware
from listing_media_dagster.models.memory import is_out_of_memory
from listing_media_dagster.models.weights_folder import BadWeights


def load_transformer(model_class: Any, folder: Path, entry: CatalogueEntry, hardware: Hardware) -> Any:
    """Return the model in `folder`, ready to predict on `hardware`.

    Raises `BadWeights` saying what is wrong, and the allocator's error if there isn't room.
    """
    model, found = _read(model_class, folder, dtype=dtype_on(entry, hardware))
    absent = sorted(found["missing_keys"])
    if absent:
        raise BadWeights(f"{folder}: the file of weights lacks {len(absent)} tensors, {absent[0]} first: pull it again")
    return model.to(hardware.torch_device).eval()


def load_image_processor(processor_class: Any, folder: Path) -> Any:
    """Return the image processor whose settings lie in `folder`."""
    try:
        return processor_class.from_pretrained(folder, local_files_only=True)
    except Exception as error:
        raise _unreadable(folder, error) from error


def dtype_on(entry: CatalogueEntry, hardware: Hardware) -> Any:
    """Return the torch dtype in which `entry` runs on `hardware`: its first choice that is native there, else fp32."""
    import torch

    native = {"float16": hardware.fp16, "bfloat16": hardware.bf16, "float32": True}
    return getattr(torch, next((dtype for dtype in entry.dtypes if native[dtype]), "float32"))


def _read(model_class: Any, folder: Path, dtype: Any) -> tuple[Any, dict[str, Any]]:
    try:
        model, found = model_class.from_pretrained(
            folder, dtype=dtype, local_files_only=True, use_safetensors=True, output_loading_info=True
        )
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise _unreadable(folder, error) from error
    return model, found


def _unreadable(folder: Path, error: Exception) -> BadWeights:
    reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
    return BadWeights(f"{folder} can't be loaded: {reason}")
