"""Things of which a process has one, whichever of its threads ask for it first."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import cache, update_wrapper
from typing import Generic, ParamSpec, TypeVar

Asked = ParamSpec("Asked")
Made = TypeVar("Made")


class MadeOnce(Generic[Asked, Made]):
    """A function that makes one thing for the same arguments; `functools.cache` lets threads that meet make two."""

    def __init__(self, make: Callable[Asked, Made]) -> None:
        self._kept = cache(make)
        self._turn = threading.RLock()
        update_wrapper(self, make)

    def __call__(self, *args: Asked.args, **kwargs: Asked.kwargs) -> Made:
        with self._turn:
            return self._kept(*args, **kwargs)  # type: ignore[arg-type]  # they have to be hashable

    def cache_clear(self) -> None:
        self._kept.cache_clear()
