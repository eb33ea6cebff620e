"""Loaded models kept from one piece of work to the next: within a budget of memory, and not for ever.

A model that says `is_loaded` loads when it is used and then asks for room (`make_room_for`): one that is only at hand
takes none. Unloaded it stays a shell which loads again, so nobody who holds one is left with a broken model. `unload`
of a model in the middle of its work does nothing or waits; either way that work ends well.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

Loaded = TypeVar("Loaded")


@dataclass
class _Place:
    """Where one model is kept; `turn` lets one thread load it while the others wait."""

    turn: threading.RLock = field(default_factory=threading.RLock)
    model: Any = None
    was_given: bool = False
    needs_gb: float = 0.0
    last_used: float = 0.0

    @property
    def is_lazy(self) -> bool:
        """True of a model that loads when it is used."""
        return hasattr(self.model, "is_loaded")

    @property
    def is_warm(self) -> bool:
        """True of what takes memory: as it says itself, or because it was given to be used."""
        return bool(self.model.is_loaded) if self.is_lazy else self.was_given


class WarmModels:
    """Keeps models by key; the longest unused go first. Safe to use from several threads.

    `budget_gb` is what they may take together, `free_gb` measures what the device has left (both optional). What has
    been idle for `keep_seconds` is unloaded, by a timer.
    """

    def __init__(
        self,
        budget_gb: float | None = None,
        keep_seconds: float = 1800,
        free_gb: Callable[[], float] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._budget_gb = budget_gb
        self._keep_seconds = keep_seconds
        self._free_gb = free_gb
        self._clock = clock
        self._lock = threading.Lock()
        self._places: dict[str, _Place] = {}
        self._timer: threading.Timer | None = None
        _caches.add(self)

    def get(self, key: str, load: Callable[[], Loaded], needs_gb: float | None = None) -> Loaded:
        """Return the model kept under `key`, or what `load` gives, with room made for it.

        `needs_gb` is what `load` takes on the device. Without it room is made for what the model's entry says, at once
        or, if `load` returned a lazy model, when it loads. Where the other models are all in use it is given
        nevertheless: it is then up to the model to get by with less.
        """
        with self._lock:
            place = self._places.setdefault(key, _Place())
        with place.turn:
            if place.model is None:
                self._make_room(needs_gb or 0.0, place)
                place.model = load()
            if not place.was_given:
                place.needs_gb = _needs_gb(place.model) if needs_gb is None else needs_gb
                if not place.is_lazy:
                    self._make_room(place.needs_gb, place)
                place.was_given = True
            place.last_used = self._clock()
            model: Loaded = place.model
        self._look_again_in(self._keep_seconds)
        return model

    def make_room_for(self, model: object) -> None:
        """Unload others, the longest unused first, until `model` should fit, if it is kept here."""
        with self._lock:
            kept = [place for place in self._places.values() if place.model is model]
        for place in kept:
            place.last_used = self._clock()
            self._make_room(place.needs_gb, place)
            self._look_again_in(self._keep_seconds)

    def unload_expired(self) -> None:
        """Unload what has been idle for too long."""
        now = self._clock()
        for place in self._warm():
            if now - place.last_used >= self._keep_seconds:
                _unload(place)
        oldest = min((place.last_used for place in self._warm()), default=None)
        if oldest is not None:
            self._look_again_in(max(1.0, oldest + self._keep_seconds - now))

    def unload_all(self) -> bool:
        """Unload every model that isn't in the middle of its work; say whether that gave anything back."""
        return sum(_unload(place) for place in self._warm()) > 0

    def close(self) -> None:
        """Unload all and stop the timer."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
        self.unload_all()

    @property
    def warm_keys(self) -> tuple[str, ...]:
        """The keys of what is loaded, the longest unused first."""
        with self._lock:
            warm = [(place.last_used, key) for key, place in self._places.items() if place.is_warm]
        return tuple(key for _, key in sorted(warm))

    def _make_room(self, needs_gb: float, newcomer: _Place) -> None:
        for place in sorted(self._warm(), key=lambda place: place.last_used):
            if self._fits(needs_gb, newcomer):
                return
            if place is not newcomer:
                _unload(place)

    def _fits(self, needs_gb: float, newcomer: _Place) -> bool:
        taken_gb = sum(place.needs_gb for place in self._warm() if place is not newcomer)
        within_budget = self._budget_gb is None or taken_gb + needs_gb <= self._budget_gb
        return within_budget and (self._free_gb is None or needs_gb <= self._free_gb())

    def _warm(self) -> list[_Place]:
        with self._lock:
            return [place for place in self._places.values() if place.is_warm]

    def _look_again_in(self, seconds: float) -> None:
        with self._lock:
            if self._timer is None or not self._timer.is_alive():
                self._timer = threading.Timer(seconds, _unload_expired, [weakref.ref(self)])
                self._timer.daemon = True
                self._timer.start()


def make_room_for(model: object) -> None:
    """Have the caches that keep `model` make room for it: what a lazy model asks for before it loads."""
    for cache in list(_caches):
        cache.make_room_for(model)


def give_back_idle_models() -> bool:
    """Unload every kept model of this process that isn't in use, and say whether that gave anything back."""
    return sum(cache.unload_all() for cache in list(_caches)) > 0


_caches: weakref.WeakSet[WarmModels] = weakref.WeakSet()


def _unload(place: _Place) -> bool:
    """Unload a place's model unless it is being loaded or is at work; say whether its memory was given back."""
    if not place.turn.acquire(blocking=False):
        return False
    try:
        if not place.is_warm:
            return False
        unload = getattr(place.model, "unload", None)
        if unload is None:
            place.model = None
        else:
            unload()
        place.was_given = place.is_lazy
        return not place.is_warm  # a model at work stays as it is, and says so
    finally:
        place.turn.release()


def _needs_gb(model: Any) -> float:
    vram = getattr(getattr(model, "entry", None), "vram_gb", None)
    return float(vram.resident) if vram is not None else 0.0


def _unload_expired(cache: weakref.ref[WarmModels]) -> None:
    alive = cache()
    if alive is not None:
        alive.unload_expired()
