"""Bringing an open_clip model into memory whole or not at all, at the price of one copy of its weights.

open_clip's own loader holds the random start and the file's tensors at once (1.2 GB for ViT-B/32), and without its
`require_pretrained` it hands out a random model where the file is missing.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def load_open_clip(folder: Path, weights: Path, device: str) -> tuple[Any, Any, Any]:
    """Return (model, preprocess, tokenizer) of the open_clip model in `folder`, ready to encode on `device`.

    `weights` is its safetensors file. Raises whatever the libraries raise where the file is damaged or doesn't fit the
    config; every parameter of a model that is returned comes from the file.
    """
    import open_clip

    source = f"local-dir:{folder}"
    with _without_word_of_random_weights():
        model, _, preprocess = open_clip.create_model_and_transforms(source, load_weights=False)
    if not _copy_in(model, weights):
        # A file of another layout, which open_clip knows how to convert.
        model, preprocess = open_clip.create_model_from_pretrained(source, return_transform=True)
    return model.to(device).eval(), preprocess, open_clip.get_tokenizer(source)


def _copy_in(model: Any, weights: Path) -> bool:
    """Fill `model` from `weights` if the two name the same tensors in the same shapes, else leave it and say False."""
    import torch
    from safetensors import safe_open

    wanted = model.state_dict()
    with safe_open(weights, framework="pt") as file:
        shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118 (no mapping)
    if shapes != {name: tuple(tensor.shape) for name, tensor in wanted.items()}:
        return False
    with torch.no_grad():
        for name, tensor in wanted.items():
            # Opened for each tensor: a mapping kept open would count all 600 MB a second time.
            with safe_open(weights, framework="pt") as file:
                tensor.copy_(file.get_tensor(name))
    return True


@contextmanager
def _without_word_of_random_weights() -> Iterator[None]:
    """Keep open_clip from warning, in this thread, of random weights that are about to be replaced."""
    thread = threading.get_ident()

    def about_something_else(record: logging.LogRecord) -> bool:
        return record.thread != thread or not str(record.msg).startswith("No pretrained weights loaded")

    root = logging.getLogger()
    root.addFilter(about_something_else)
    try:
        yield
    finally:
        root.removeFilter(about_something_else)
