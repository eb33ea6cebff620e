"""Models kept warm: room is made for newcomers, what is idle goes, what is at work stays."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest

from listing_media_dagster.models.warm import WarmModels, give_back_idle_models, make_room_for


class Model:
    """Says what happens to it; `at_work` keeps it from being unloaded, as a model in the middle of a picture is."""

    def __init__(self, log: list[str], name: str) -> None:
        self.log, self.name, self.is_loaded, self.at_work = log, name, True, False
        log.append(f"load {name}")

    def unload(self) -> None:
        if not self.at_work:
            self.is_loaded = False
            self.log.append(f"unload {self.name}")


class LazyModel(Model):
    """Loads when it is used, after it asked for room, as the editors do."""

    def __init__(self, log: list[str], name: str, resident_gb: float) -> None:
        self.log, self.name, self.is_loaded, self.at_work = log, name, False, False
        self.entry = SimpleNamespace(vram_gb=SimpleNamespace(resident=resident_gb))

    def use(self) -> None:
        if not self.is_loaded:
            make_room_for(self)
            self.log.append(f"load {self.name}")
            self.is_loaded = True


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def log() -> list[str]:
    return []


@pytest.fixture
def caches() -> Iterator[Callable[..., WarmModels]]:
    made: list[WarmModels] = []

    def cache(**limits: object) -> WarmModels:
        made.append(WarmModels(**limits))  # type: ignore[arg-type]
        return made[-1]

    yield cache
    for each in made:
        each.close()
    made.clear()
    gc.collect()


def test_a_model_is_loaded_once_and_kept(caches: Callable[..., WarmModels], log: list[str]) -> None:
    warm = caches(budget_gb=10.0)
    first = warm.get("a", lambda: Model(log, "a"), needs_gb=4)
    assert warm.get("a", lambda: Model(log, "a"), needs_gb=4) is first
    assert log == ["load a"] and warm.warm_keys == ("a",)


def test_the_longest_unused_goes_before_a_load_that_does_not_fit(
    caches: Callable[..., WarmModels], log: list[str]
) -> None:
    clock = Clock()
    warm = caches(budget_gb=10.0, clock=clock)
    for clock.now, key in ((1.0, "a"), (2.0, "b"), (3.0, "a")):
        warm.get(key, lambda key=key: Model(log, key), needs_gb=4)  # type: ignore[misc]
    clock.now = 4.0
    warm.get("c", lambda: Model(log, "c"), needs_gb=5)
    assert log == ["load a", "load b", "unload b", "load c"], "room is made first, and no more of it than is needed"
    assert warm.warm_keys == ("a", "c")


def test_a_model_that_is_only_at_hand_takes_no_room(caches: Callable[..., WarmModels], log: list[str]) -> None:
    warm = caches(budget_gb=10.0)
    first = warm.get("first choice", lambda: LazyModel(log, "first choice", 8))
    first.use()
    second = warm.get("second choice", lambda: LazyModel(log, "second choice", 6))
    assert warm.warm_keys == ("first choice",)
    second.use()
    assert log == ["load first choice", "unload first choice", "load second choice"]


def test_whoever_holds_an_unloaded_model_uses_it_again_and_there_is_no_second_copy(
    caches: Callable[..., WarmModels], log: list[str]
) -> None:
    warm = caches(budget_gb=5.0)
    held = warm.get("a", lambda: LazyModel(log, "a", 4))
    held.use()
    warm.get("b", lambda: LazyModel(log, "b", 4)).use()
    assert warm.warm_keys == ("b",)
    held.use()
    assert warm.warm_keys == ("a",) and log == ["load a", "unload a", "load b", "unload b", "load a"]
    assert warm.get("a", lambda: LazyModel(log, "a", 4)) is held


def test_a_model_that_loaded_again_in_somebodys_hands_is_unloaded_with_the_others(
    caches: Callable[..., WarmModels], log: list[str]
) -> None:
    warm = caches()
    held = warm.get("a", lambda: Model(log, "a"))
    assert warm.unload_all()
    held.is_loaded = True
    assert warm.warm_keys == ("a",) and warm.unload_all() and not held.is_loaded


def test_a_model_at_work_keeps_its_memory(caches: Callable[..., WarmModels], log: list[str]) -> None:
    warm = caches(budget_gb=5.0)
    busy = warm.get("a", lambda: Model(log, "a"), needs_gb=4)
    busy.at_work = True
    warm.get("b", lambda: Model(log, "b"), needs_gb=4)
    assert set(warm.warm_keys) == {"a", "b"}, "over the budget, and it says so"
    assert warm.unload_all() and warm.warm_keys == ("a",)
    assert not warm.unload_all()


def test_what_the_device_really_has_left_counts_too(caches: Callable[..., WarmModels], log: list[str]) -> None:
    taken_by_others = 3.0
    warm = caches(free_gb=lambda: 10.0 - taken_by_others - 4.0 * (log.count("load a") - log.count("unload a")))
    warm.get("a", lambda: Model(log, "a"), needs_gb=4)
    warm.get("b", lambda: Model(log, "b"), needs_gb=3)
    assert log == ["load a", "load b"]
    warm.get("c", lambda: Model(log, "c"), needs_gb=6)
    assert log[2] == "unload a"


def test_what_is_idle_for_too_long_goes(caches: Callable[..., WarmModels], log: list[str]) -> None:
    clock = Clock()
    warm = caches(keep_seconds=100.0, clock=clock)
    warm.get("a", lambda: Model(log, "a"))
    clock.now = 60.0
    warm.get("b", lambda: Model(log, "b"))
    clock.now = 110.0
    warm.unload_expired()
    assert log == ["load a", "load b", "unload a"] and warm.warm_keys == ("b",)


def test_nobody_has_to_ask_for_idle_memory(caches: Callable[..., WarmModels], log: list[str]) -> None:
    gone = threading.Event()

    class Watched(Model):
        def unload(self) -> None:
            super().unload()
            gone.set()

    caches(keep_seconds=0.05).get("a", lambda: Watched(log, "a"))
    assert gone.wait(10) and log == ["load a", "unload a"]


def test_a_model_out_of_memory_can_ask_every_cache(caches: Callable[..., WarmModels], log: list[str]) -> None:
    for name in ("a", "b"):
        caches().get(name, lambda name=name: Model(log, name))  # type: ignore[misc]
    assert give_back_idle_models()
    assert sorted(log) == ["load a", "load b", "unload a", "unload b"]
    assert not give_back_idle_models(), "there is nothing left to give"


def test_a_load_that_fails_can_be_tried_again(caches: Callable[..., WarmModels], log: list[str]) -> None:
    def fails() -> Model:
        raise OSError("disk")

    warm = caches()
    with pytest.raises(OSError, match="disk"):
        warm.get("a", fails)
    assert warm.warm_keys == ()
    assert warm.get("a", lambda: Model(log, "a")).is_loaded


def test_threads_asking_for_one_model_load_it_once(caches: Callable[..., WarmModels], log: list[str]) -> None:
    warm = caches(budget_gb=5.0)

    def slowly() -> Model:
        time.sleep(0.02)
        return Model(log, "a")

    threads = [threading.Thread(target=lambda: warm.get("a", slowly, needs_gb=4)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert log == ["load a"]


def test_what_has_no_unload_is_let_go_and_loaded_anew(caches: Callable[..., WarmModels]) -> None:
    warm = caches()
    first = warm.get("numbers", lambda: [1])
    assert warm.unload_all() and warm.warm_keys == ()
    assert warm.get("numbers", lambda: [2]) == [2] and first == [1]


@pytest.mark.parametrize("module", ["warm", "diffusion"])
def test_naming_models_needs_no_torch(module: str) -> None:
    asked = f"import sys; import listing_media_dagster.models.{module}; print('torch' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "False"
