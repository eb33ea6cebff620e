"""A worker whose decoder does what the file tells it: the faults a hostile picture could cause, for real."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from pathlib import Path

from listing_media_dagster.photo.decode import IntakeLimits, inspect_photo
from listing_media_dagster.photo.isolation import serve
from listing_media_dagster.photo.metadata import PhotoFacts


def misbehave(path: Path, limits: IntakeLimits) -> PhotoFacts:
    order = path.read_bytes()[:40]
    if order.startswith(b"segfault"):
        ctypes.string_at(0)
    if order.startswith(b"abort"):
        os.abort()
    if order.startswith(b"leave"):
        os._exit(0)
    if order.startswith(b"spin"):
        while True:
            pass
    if order.startswith(b"sleep"):
        time.sleep(3600)
    if order.startswith(b"hoard"):
        hoard = [bytearray(64 * 2**20) for _ in range(1000)]
        raise AssertionError(f"{len(hoard)} blocks fit")
    if order.startswith(b"native hoard"):
        libc = ctypes.CDLL(None)
        libc.malloc.restype = ctypes.c_void_p
        libc.malloc.argtypes = [ctypes.c_size_t]
        while libc.malloc(64 * 2**20):
            pass
        os.abort()  # as C++ does on bad_alloc
    if order.startswith(b"killed once"):
        marker = path.with_suffix(".seen")
        if not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        path = path.with_name("good.jpg")
    if order.startswith(b"always killed"):
        os.kill(os.getpid(), signal.SIGKILL)
    if order.startswith(b"babble"):
        print("a library prints to standard output", flush=True)
        path = path.with_name("good.jpg")
    if order.startswith(b"raise"):
        raise RuntimeError("nobody expected this")
    if order.startswith(b"pid"):
        path.with_suffix(".pid").write_text(str(os.getpid()))
        path = path.with_name("good.jpg")
    if order.startswith(b"orphan"):
        path.with_suffix(".pid").write_text(str(os.getpid()))
        time.sleep(3600)
    return inspect_photo(path, limits)


if __name__ == "__main__":
    serve(misbehave)
    sys.exit(0)
