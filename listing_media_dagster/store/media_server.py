"""A read-only web server for what the pipeline made, on this machine alone: the Dagster UI and people link to it.

It serves `listings/` of the media store, folder or S3 alike, with ranges so that films can be scrubbed. What people
dropped into the inbox is never served. It answers only to loopback names, and other web sites can't show its pictures.
"""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.utils import format_datetime, parsedate_to_datetime
from functools import lru_cache
from importlib.resources import files
from typing import Any
from urllib.parse import quote, urlsplit

from jinja2 import Environment, Template
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from listing_media_dagster.listing import is_listing_id
from listing_media_dagster.store.media_store import ListedObject, MediaStore, ObjectMissing, StoreError, key_problem

LOOPBACK = ("127.0.0.1", "localhost", "::1", "[::1]")
LISTINGS_PER_PAGE = 60
PUBLIC = "listings/"

# Only these are shown in the browser; anything else is offered as a download, whatever its name promises.
_SHOWN_AS = {
    ".avif": "image/avif",
    ".css": "text/css; charset=utf-8",
    ".gif": "image/gif",
    ".html": "text/html; charset=utf-8",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".m4a": "audio/mp4",
    ".mp4": "video/mp4",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".srt": "text/plain; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".vtt": "text/vtt; charset=utf-8",
    ".webp": "image/webp",
}
_SAFE = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Content-Security-Policy": (
        "default-src 'self' data: blob: 'unsafe-inline'; connect-src 'self'; object-src 'none'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'self' http://127.0.0.1:* http://localhost:*"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
}


@dataclass(frozen=True)
class Card:
    """One listing on the index page."""

    listing_id: str
    facts: str
    cover: str | None
    links: tuple[tuple[str, str], ...]

    @property
    def first_link(self) -> str:
        return self.links[0][1] if self.links else "#"


def create_app(store: MediaStore, *, allowed_hosts: tuple[str, ...] = ()) -> Starlette:
    """Return the web application that serves `store`.

    `allowed_hosts` are names besides the loopback ones that a browser may address it by; every other Host is refused,
    so that a web site whose name is made to point here (DNS rebinding) reads nothing.
    """

    async def index(request: Request) -> Response:
        page = request.query_params.get("page", "1")
        number = int(page) if re.fullmatch(r"[1-9]\d{0,5}", page) else 1
        return HTMLResponse(await run_in_threadpool(_index_page, store, number), headers={"Cache-Control": "no-store"})

    async def media(request: Request) -> Response:
        if re.match(r"[^/]+/raw_photos/", request.path_params["path"]):
            # Originals carry positions and unblurred faces, and companions are whatever a stranger delivered.
            return PlainTextResponse("What was delivered is not served; it lies in the media store.", 404)
        key = PUBLIC + request.path_params["path"]
        return await run_in_threadpool(_answer, store, key, request.method, request.headers)

    async def guarded(request: Request, answer: Any) -> Response:
        if is_foreign(request.headers):
            return PlainTextResponse("Other web sites can't use what is served here.", 403, _SAFE)
        try:
            response: Response = await answer(request)
        except StoreError as error:
            response = PlainTextResponse(f"The media store can't be read: {error}", 502)
        for name, value in _SAFE.items():
            response.headers.setdefault(name, value)
        return response

    async def guarded_index(request: Request) -> Response:
        return await guarded(request, index)

    async def guarded_media(request: Request) -> Response:
        return await guarded(request, media)

    return Starlette(
        routes=[
            Route("/", guarded_index),
            Route("/listings/{path:path}", guarded_media),
            Route("/favicon.ico", lambda _: Response(status_code=204)),  # every browser asks
        ],
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=[*LOOPBACK, *allowed_hosts], www_redirect=False),
        ],
    )


def serve(store: MediaStore, host: str = "127.0.0.1", port: int = 3001, *, allowed_hosts: tuple[str, ...] = ()) -> None:
    """Serve `store` on `host`:`port` until interrupted; raises `StoreError` if the port is taken."""
    import uvicorn

    try:
        listening = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise StoreError(f"{host}:{port} can't be listened on ({error.strerror}): choose another --port") from error
    app = create_app(store, allowed_hosts=allowed_hosts)
    config = uvicorn.Config(app, log_level="warning", access_log=False, server_header=False, lifespan="off")
    with listening:
        uvicorn.Server(config).run(sockets=[listening])


def is_foreign(headers: Mapping[str, str]) -> bool:
    """Say whether another web site's page asks for something to use in itself.

    A person following a link is welcome from anywhere, and so is a page served from this machine (the Dagster UI, which
    may be open under `localhost` while its pictures are linked under 127.0.0.1).
    """
    if headers.get("sec-fetch-site") != "cross-site":
        return False
    if headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document":
        return False
    referrer = headers.get("referer", "")
    return (urlsplit(referrer).hostname or "") not in LOOPBACK


@dataclass(frozen=True)
class Span:
    """Bytes `start` to `stop` (not included)."""

    start: int
    stop: int


def requested_span(header: str | None, size: int) -> Span | None:
    """Return the part of `size` bytes that a Range header asks for; None = the whole (also for what isn't understood).

    Raises `ValueError` if no byte of it exists (RFC 9110, 14.1.2). Several ranges at once get the whole, as allowed.
    """
    match = re.fullmatch(r"\s*bytes\s*=\s*(\d{0,18})\s*-\s*(\d{0,18})\s*", header or "")
    if match is None or not (match[1] or match[2]):
        return None
    if not match[1]:
        length = min(int(match[2]), size)
        if length == 0:
            raise ValueError("no byte of it exists")
        return Span(size - length, size)
    start = int(match[1])
    if match[2] and int(match[2]) < start:
        return None
    if start >= size:
        raise ValueError("no byte of it exists")
    return Span(start, min(int(match[2]) + 1, size) if match[2] else size)


def _answer(store: MediaStore, key: str, method: str, headers: Mapping[str, str]) -> Response:
    found = None if key_problem(key) else store.stat(key)
    if found is None:
        return _folder_answer(store, key)
    etag = f'"{found.etag}"' if found.etag else None
    modified = format_datetime(found.modified.replace(microsecond=0), usegmt=True)
    answer_headers = {
        "Accept-Ranges": "bytes",
        "Cache-Control": "no-cache",
        "Last-Modified": modified,
        **({"ETag": etag} if etag else {}),
        **_type_headers(key),
    }
    if _is_known(headers, etag, found):
        return Response(status_code=304, headers=answer_headers)
    unchanged = headers.get("if-range") in (None, etag, modified)
    try:
        span = requested_span(headers.get("range") if unchanged else None, found.size)
    except ValueError:
        return Response(status_code=416, headers={"Content-Range": f"bytes */{found.size}"})
    whole = Span(0, found.size)
    answer_headers["Content-Length"] = str((span or whole).stop - (span or whole).start)
    if span:
        answer_headers["Content-Range"] = f"bytes {span.start}-{span.stop - 1}/{found.size}"
    status = 206 if span else 200
    if method == "HEAD":
        return Response(status_code=status, headers=answer_headers)
    return StreamingResponse(_bytes_of(store, key, span or whole), status, answer_headers)


def _bytes_of(store: MediaStore, key: str, span: Span) -> Iterator[bytes]:
    yield from store.stream(key, span.start, span.stop)


def _is_known(headers: Mapping[str, str], etag: str | None, found: ListedObject) -> bool:
    asked = headers.get("if-none-match")
    if asked is not None:
        names = {name.strip().removeprefix("W/") for name in asked.split(",")}
        return "*" in names or (etag is not None and etag in names)
    try:
        since = parsedate_to_datetime(headers["if-modified-since"])
        return found.modified.replace(microsecond=0) <= since
    except (KeyError, ValueError, TypeError):
        return False


def _type_headers(key: str) -> dict[str, str]:
    name = key.rsplit("/", 1)[-1]
    extension = f".{name.rsplit('.', 1)[-1].lower()}" if "." in name else ""
    if extension in _SHOWN_AS:
        return {"Content-Type": _SHOWN_AS[extension]}
    kind = "application/zip" if extension == ".zip" else "application/octet-stream"
    return {"Content-Type": kind, "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}"}


def _folder_answer(store: MediaStore, key: str) -> Response:
    """Lead from a folder to the page in it (`…/listing_package` has an index.html), else say that nothing is there."""
    folder = key.rstrip("/")
    if not key_problem(folder):
        for page in ("index.html", "listing_package/index.html"):
            if store.exists(f"{folder}/{page}"):
                return RedirectResponse(f"/{quote(folder)}/{page}", 302)
    return PlainTextResponse("Nothing lies here. All listings: /", 404)


def _index_page(store: MediaStore, page: int) -> str:
    listings = [name for name in store.list_folders(PUBLIC) if is_listing_id(name)]
    first = (page - 1) * LISTINGS_PER_PAGE
    cards = [_card(store, listing_id) for listing_id in listings[first : first + LISTINGS_PER_PAGE]]
    count = len(listings)
    words = "1 listing" if count == 1 else f"{count:,} listings"
    return _template().render(
        title="Listing media",
        subtitle=words
        if count
        else "Nothing has been made yet. Drop a folder of photos into the inbox, or run make demo.",
        cards=cards,
        newer=f"/?page={page - 1}" if page > 1 else None,
        older=f"/?page={page + 1}" if first + LISTINGS_PER_PAGE < count else None,
        footer=f"Served from {store.url} to this machine only.",
    )


@lru_cache
def _template() -> Template:
    text = files(__package__).joinpath("media_index.html").read_text(encoding="utf-8")
    return Environment(autoescape=True).from_string(text)


def _card(store: MediaStore, listing_id: str) -> Card:
    report_key = f"{PUBLIC}{listing_id}/report.json"
    try:
        report = json.loads(store.read(report_key))
    except ObjectMissing:
        return Card(listing_id, "being made, or its run failed before the first report", None, ())
    except ValueError:
        report = {}
    made = {item["name"]: item["key"] for item in report.get("deliverables", ()) if {"name", "key"} <= item.keys()}
    keys = {
        "Gallery": made.get("index.html"),
        "Video": made.get("tour.mp4"),
        "Download": next((key for name, key in made.items() if name.endswith(".zip")), None),
        "Report": report_key,
    }
    cover = made.get("poster.jpg") or next((key for name, key in made.items() if name.endswith(".jpg")), None)
    return Card(
        listing_id,
        _facts(report),
        f"/{quote(cover)}" if cover else None,
        tuple((words, f"/{quote(key)}") for words, key in keys.items() if key),
    )


def _facts(report: Mapping[str, Any]) -> str:
    """Say in one line how many photos there are and what a person should look at."""
    statuses = [file.get("status") for file in report.get("files", ())]
    counted = [_count(len(report.get("photos", ())), "photo")]
    if "rejected" in statuses:
        counted.append(f"{statuses.count('rejected')} rejected")
    if "flagged" in statuses:
        counted.append(f"{statuses.count('flagged')} to look at")
    unpassed = sum(check.get("outcome") != "passed" for check in report.get("checks", ()))
    if unpassed:
        counted.append(_count(unpassed, "check") + " not passed")
    return " · ".join(counted)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
