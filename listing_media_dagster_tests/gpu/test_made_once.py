"""Routes and models of a process, asked for by steps that run beside each other."""

import threading
from concurrent.futures import ThreadPoolExecutor

from listing_media_dagster.gpu.made_once import MadeOnce


def test_threads_that_ask_at_the_same_time_get_the_same_thing():
    together, made = threading.Barrier(8), []

    @MadeOnce
    def make(name: str) -> object:
        made.append(name)
        threading.Event().wait(0.1)  # time enough for the others to come
        return object()

    def ask(_: int) -> object:
        together.wait(60)
        return make("a route")

    with ThreadPoolExecutor(8) as threads:
        got = set(threads.map(ask, range(8)))
    assert len(got) == 1 and made == ["a route"]
    make.cache_clear()
    assert make("a route") not in got
