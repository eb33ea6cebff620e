"""Keeping to the memory there is: batches that shrink when a device runs out of it, and giving back what is cached."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from listing_media_dagster.models.model import ModelFailed
from listing_media_dagster.models.warm import give_back_idle_models

Item = TypeVar("Item")
Result = TypeVar("Result")


def is_out_of_memory(error: BaseException) -> bool:
    """Say whether `error` means that the device (or the host) has no memory left for what was asked."""
    import torch

    # cuDNN and cuBLAS report it as a plain RuntimeError; so does the CPU allocator.
    words = ("out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "can't allocate memory")
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and any(word in str(error) for word in words)
    )


def release_cached_memory() -> None:
    """Hand memory that no tensor uses back to the device."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def in_batches(
    items: Sequence[Item], run: Callable[[Sequence[Item]], Sequence[Result]], batch: int, what: str
) -> list[Result]:
    """Return what `run` makes of each item, `batch` at a time, in halves where the memory doesn't hold as many.

    Raises `ModelFailed` naming `what` if not even one item fits; whatever else `run` raises passes through.
    """
    done: list[Result] = []
    asked_others = False
    while len(done) < len(items):
        chunk = items[len(done) : len(done) + batch]
        try:
            done += run(chunk)
            continue
        except Exception as error:
            if not is_out_of_memory(error):
                raise
        # Outside the `except`: the traceback holds on to the tensors that didn't fit.
        release_cached_memory()
        if len(chunk) > 1:
            batch = len(chunk) // 2
        elif asked_others or not give_back_idle_models():
            raise ModelFailed(f"{what}: not even one picture fits into the memory of the device")
        else:
            asked_others = True
    return done


def in_batches_of_one_shape(
    inputs: Sequence[Any], run: Callable[[Sequence[Any]], Sequence[Result]], batch: int, what: str
) -> list[Result]:
    """Return what `in_batches` gives, in the order of `inputs`, where only arrays of one `shape` can go together."""
    alike: dict[tuple[int, ...], list[int]] = {}
    for place, each in enumerate(inputs):
        alike.setdefault(tuple(each.shape), []).append(place)
    done: dict[int, Result] = {}
    for places in alike.values():
        done.update(zip(places, in_batches([inputs[place] for place in places], run, batch, what), strict=True))
    return [done[place] for place in range(len(inputs))]
