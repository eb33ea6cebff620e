"""Loaded models kept from one task to the next, for a process that works off one job."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

Loaded = TypeVar("Loaded")


class Kept:
    """Keeps whatever was loaded. Safe to use from several threads: what is asked for twice is loaded once."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._kept: dict[str, Any] = {}

    def get(self, key: str, load: Callable[[], Loaded]) -> Loaded:
        with self._turn:
            if key not in self._kept:
                self._kept[key] = load()
            kept: Loaded = self._kept[key]
            return kept
