"""Intake: one tick of the upload sensor over a store of 1,000 listings and 100,000 objects, 10 drops of them new.

Ours lists `inbox/` only, since drops leave it once their run succeeded. The peer is how S3 sensors are usually written:
list everything under the prefix, sort by time, keep what is newer. Both ask the same server in a process of its own: it
finds a page by bisection as S3 does (moto searches all keys for every page, which would cost the peer 80 s) and counts.
"""

from __future__ import annotations

import bisect
import itertools
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

from benchmarks.machine import machine

LISTINGS, OBJECTS, NEW, FILES_A_DROP, TICKS, PAGE = 1_000, 100_000, 10, 10, 5, 1_000
BUCKET, PREFIX = "intake-benchmark", "media/"
KEYS = {"aws_access_key_id": "benchmark", "aws_secret_access_key": "benchmark", "region_name": "us-east-1"}


def run() -> dict[str, Any]:
    """Return `{name, ours, peers, ratio, machine}`; `ratio`: our seconds a tick on S3 over the peer's."""
    with tempfile.TemporaryDirectory() as folder:
        local = _tick_on_a_folder(Path(folder))
    with _s3_server() as server:
        ours = _tick_on_s3(server)
        peer = _timed(lambda: _list_everything(server), server)
    return {
        "name": "intake",
        "ours": {"s3": ours, "folder": local, "new_drops": NEW, "objects": OBJECTS},
        "peers": {"list everything, sort by time": peer},
        "ratio": round(ours["seconds"] / peer["seconds"], 3),
        "machine": machine(),
    }


@dataclass
class _Server:
    endpoint: str
    counter: Connection

    def requests(self) -> int:
        """Return how many requests came since the last time this was asked."""
        self.counter.send("count")
        return int(self.counter.recv())


def old_keys() -> Iterator[str]:
    """Yield the keys of a store in use: what listings consist of, and the drops they were made from."""
    each = OBJECTS // LISTINGS
    for number in range(LISTINGS - NEW):
        for photo in range(each * 3 // 4):
            yield f"listings/house-{number:04}/enhanced_photos/img-{photo:03}.jpg"
        for photo in range(each - each * 3 // 4):
            yield f"handled/house-{number:04}/0123456789ab/IMG_{photo:03}.jpg"


def new_keys() -> Iterator[str]:
    for number in range(LISTINGS - NEW, LISTINGS):
        yield from (f"inbox/house-{number:04}/IMG_{photo:03}.jpg" for photo in range(FILES_A_DROP))
        yield f"inbox/house-{number:04}/_READY"


class _Listing(BaseHTTPRequestHandler):
    """As much of S3 as a tick asks for: ListObjectsV2 over sorted keys, and 404 for everything else."""

    protocol_version = "HTTP/1.1"
    keys: ClassVar[list[str]] = []
    counted: ClassVar[int] = 0

    def do_GET(self) -> None:
        _Listing.counted += 1
        query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        if query.get("list-type") != "2":
            self._answer(404, b"")
            return
        prefix, after = query.get("prefix", ""), query.get("continuation-token") or query.get("start-after") or ""
        start = max(bisect.bisect_left(self.keys, prefix), bisect.bisect_right(self.keys, after) if after else 0)
        page = list(itertools.takewhile(lambda key: key.startswith(prefix), self.keys[start : start + PAGE]))
        full = len(page) == PAGE
        rows = "".join(
            f"<Contents><Key>{key}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
            f"<ETag>&quot;{hash(key):x}&quot;</ETag><Size>1</Size></Contents>"
            for key in page
        )
        token = f"<NextContinuationToken>{page[-1]}</NextContinuationToken>" if full else ""
        head = f"<KeyCount>{len(page)}</KeyCount><IsTruncated>{str(full).lower()}</IsTruncated>{token}"
        self._answer(200, f"<?xml version='1.0'?><ListBucketResult>{head}{rows}</ListBucketResult>".encode())

    def do_HEAD(self) -> None:
        _Listing.counted += 1
        self._answer(404, b"")

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response_only(status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _serve(counter: Connection) -> None:
    """Run in a process of its own: a server that is full already and counts what it is asked."""
    _Listing.keys = sorted(PREFIX + key for key in (*old_keys(), *new_keys()))
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Listing)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    counter.send(f"http://127.0.0.1:{server.server_port}")
    while counter.recv() == "count":
        counter.send(_Listing.counted)
        _Listing.counted = 0


@contextmanager
def _s3_server() -> Iterator[_Server]:
    context = get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there,), daemon=True)
    process.start()
    try:
        yield _Server(here.recv(), here)
    finally:
        process.terminate()
        process.join()


def _client(server: _Server) -> Any:
    import boto3

    return boto3.client("s3", endpoint_url=server.endpoint, **KEYS)


def _list_everything(server: _Server) -> int:
    pages = _client(server).get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=PREFIX)
    objects = sorted((entry for page in pages for entry in page.get("Contents", ())), key=lambda e: e["LastModified"])
    return len(objects)


def _timed(work: Callable[[], object], server: _Server | None = None, times: int = TICKS) -> dict[str, float]:
    seconds, requests = [], []
    for _ in range(times):
        if server:
            server.requests()
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
        requests.append(server.requests() if server else 0)
    median = {"seconds": round(statistics.median(seconds), 4), "slowest_s": round(max(seconds), 4)}
    return median | ({"requests": statistics.median(requests)} if server else {})


def _tick_on_s3(server: _Server) -> dict[str, float]:
    from listing_media_dagster.store.media_store import MediaStore

    store = MediaStore(
        f"s3://{BUCKET}/{PREFIX}",
        s3_endpoint=server.endpoint,
        access_key_id=KEYS["aws_access_key_id"],
        secret_access_key=KEYS["aws_secret_access_key"],
    )
    return _tick(store, server)


def _tick_on_a_folder(folder: Path) -> dict[str, float]:
    from listing_media_dagster.store.media_store import MediaStore

    made: set[str] = set()
    for key in (*old_keys(), *new_keys()):
        parent = os.path.dirname(f"{folder}/{key}")  # noqa: PTH120 - a hundred thousand times
        if parent not in made:
            Path(parent).mkdir(parents=True, exist_ok=True)
            made.add(parent)
        os.close(os.open(f"{folder}/{key}", os.O_CREAT | os.O_WRONLY))
    return _tick(MediaStore(str(folder)))


def _tick(store: Any, server: _Server | None = None) -> dict[str, float]:
    """Evaluate the real sensor on an instance that knows all the listings, each time as if the drops were new to it."""
    import dagster as dg

    from listing_media_dagster.automation import uploads
    from listing_media_dagster.store.photo_sets import MediaStoreResource

    class Opened(MediaStoreResource):
        def store(self) -> Any:
            return store

    with tempfile.TemporaryDirectory() as home, dg.DagsterInstance.local_temp(home) as instance:
        instance.add_dynamic_partitions("listings", [f"house-{number:04}" for number in range(LISTINGS - NEW)])

        def tick() -> None:
            with dg.build_sensor_context(instance=instance, resources={"media": Opened()}) as context:
                result = uploads.listing_uploads(context)
            assert isinstance(result, dg.SensorResult), result
            assert len(result.run_requests or []) == NEW, result

        return _timed(tick, server)
