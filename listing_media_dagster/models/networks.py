"""Bringing networks into memory from local safetensors: every tensor from its file, or not at all.

Classes come from diffusers and transformers only, so nothing that lies beside the weights is ever run, and the network
isn't asked. Both libraries warn of a tensor that a file lacks and go on with random numbers in its place: not here.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from listing_media_dagster.models.entry import CatalogueEntry
from listing_media_dagster.models.hardware import Hardware
from listing_media_dagster.models.memory import is_out_of_memory
from listing_media_dagster.models.model import ModelFailed
from listing_media_dagster.models.weights_folder import BadWeights

_LIBRARIES = ("diffusers", "transformers")
_TALKATIVE = (*_LIBRARIES, "peft")


def dtype_on(entry: CatalogueEntry, hardware: Hardware) -> str:
    """Return the number format for `entry`: the first that `hardware` has natively, risky ones after the sound ones.

    Raises `ModelFailed` if it has none of them.
    """
    dtype = next((each for each in (*entry.dtypes, *entry.risky_dtypes) if hardware.has(each)), None)
    if dtype is None:
        wanted = " or ".join(entry.dtypes)
        raise ModelFailed(f"{entry.title} needs {wanted}, which {hardware.name} doesn't have natively")
    return dtype


def read_network(
    network_class: Any, folder: Path, entry: CatalogueEntry, dtype: str, device: str, variant: str | None = None
) -> Any:
    """Return the network in `folder` on `device`, ready to predict; `variant` is the infix of its weight files.

    Raises `BadWeights` naming what can't be read whole, and the allocator's error if there isn't room.
    """
    import torch

    _refuse_damaged_files(folder, entry)
    with quietly(), readable(folder, entry):
        network, found = network_class.from_pretrained(
            folder,
            dtype=getattr(torch, dtype),
            variant=variant,
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
        )
        absent = sorted(found["missing_keys"])
        if absent:
            raise ValueError(f"its weights lack {len(absent)} tensors, {absent[0]} first")
    return network.to(device).eval()


def read_image_processor(processor_class: Any, folder: Path, entry: CatalogueEntry) -> Any:
    """Return the image processor whose settings lie in `folder`."""
    with readable(folder, entry):
        return processor_class.from_pretrained(folder, local_files_only=True)


def class_named(library: str, name: str) -> Any:
    """Return what `library` calls `name`: diffusers, transformers, or the module of one of diffusers' pipelines.

    LTX-2 has networks in its module. Raises `ValueError` for any other library: its code isn't run.
    """
    if library in _LIBRARIES:
        return getattr(import_module(library), name)
    own = getattr(import_module("diffusers.pipelines"), library, None)
    if not isinstance(own, ModuleType) or own.__name__ != f"diffusers.pipelines.{library}":
        raise ValueError(f"{name} is from {library!r}, which isn't one of {', '.join(_LIBRARIES)}")
    return getattr(own, name)


def is_network(named: Any) -> bool:
    """Tell a class that holds weights from a tokenizer, a scheduler, a processor."""
    import torch

    return isinstance(named, type) and issubclass(named, torch.nn.Module)


@contextmanager
def readable(path: Path, entry: CatalogueEntry) -> Iterator[None]:
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


def _refuse_damaged_files(folder: Path, entry: CatalogueEntry) -> None:
    """Open every file of weights in `folder`: the libraries don't always name the one that is cut short."""
    from safetensors import safe_open

    for file in sorted(folder.glob("*.safetensors")):
        with readable(file, entry), safe_open(file, framework="pt"):
            pass
