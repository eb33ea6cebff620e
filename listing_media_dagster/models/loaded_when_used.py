"""A model that comes into memory when it is first used and leaves it when asked, unless it is at work just then."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from listing_media_dagster.models.entry import CatalogueEntry
from listing_media_dagster.models.hardware import Hardware
from listing_media_dagster.models.memory import is_out_of_memory, release_cached_memory
from listing_media_dagster.models.model import ModelFailed
from listing_media_dagster.models.networks import dtype_on, read_network
from listing_media_dagster.models.warm import give_back_idle_models, make_room_for
from listing_media_dagster.models.weights_folder import WeightsFolder


class GivesWay(ABC):
    """A model whose users take turns, and that gives its memory back unless it is at work just then."""

    def __init__(self) -> None:
        self._turn = threading.Lock()

    @property
    @abstractmethod
    def is_loaded(self) -> bool: ...

    def load(self) -> None:
        """Bring the weights into memory, if they aren't. Raises `ModelMissing`, `BadWeights` or `ModelFailed`."""
        with self._turn:
            self._load()

    def unload(self) -> None:
        """Give the memory back, unless the model is at work; what is asked of it next loads it again."""
        # Never waits: two models that ran out of memory could ask each other.
        if not self._turn.acquire(blocking=False):
            return
        try:
            if self.is_loaded:
                self._let_go()
                release_cached_memory()
        finally:
            self._turn.release()

    @abstractmethod
    def _load(self) -> None:
        """Bring the weights into memory, if they aren't."""

    @abstractmethod
    def _let_go(self) -> None:
        """Let go of what was loaded."""


class LoadedWhenUsed(GivesWay):
    """What models of one part have in common. Safe to use from several threads: they take turns."""

    def __init__(self, entry: CatalogueEntry, folder: WeightsFolder, hardware: Hardware) -> None:
        super().__init__()
        self.entry, self.weights_sha256, self._hardware = entry, folder.weights_sha256, hardware
        self._path = folder.part(entry.parts[0].role)
        self._loaded = False

    @property
    def is_loaded(self) -> bool:
        return self._loaded

    def _let_go(self) -> None:
        self._loaded = False
        self._drop()

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        """Keep others waiting, and the weights in memory, while the block runs."""
        with self._turn:
            self._load()
            yield

    def _load(self) -> None:
        if self._loaded:
            return
        make_room_for(self)
        if not self._read_if_it_fits() and not (give_back_idle_models() and self._read_if_it_fits()):
            raise ModelFailed(f"{self.entry.title} doesn't fit into the memory of {self._hardware.name}")
        self._loaded = True

    def _network(self, network_class: Any) -> Any:
        """Return the network in the main part's folder, on the device."""
        dtype = dtype_on(self.entry, self._hardware)
        return read_network(network_class, self._path, self.entry, dtype, self._hardware.torch_device)

    def _read_if_it_fits(self) -> bool:
        try:
            self._read()
            return True
        except Exception as error:
            if not is_out_of_memory(error):
                raise
        # Outside the `except`: the traceback holds on to the tensors that didn't fit.
        self._drop()
        release_cached_memory()
        return False

    @abstractmethod
    def _read(self) -> None:
        """Bring the weights into memory."""

    @abstractmethod
    def _drop(self) -> None:
        """Let go of them; also after a `_read` that broke off."""
