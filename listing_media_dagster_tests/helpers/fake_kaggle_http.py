"""How the tests' Kaggle is talked to: the client's calls, uploads, downloads and logs over HTTP, and their faults."""

from __future__ import annotations

import base64
import json
import re
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from listing_media_dagster_tests.helpers.fake_kaggle import FakeKaggle, Session

TOKEN, USER, KEY = "KGAT_0123456789abcdef-secret", "alice", "k3y-0123456789-secret"
LIVE = ("QUEUED", "RUNNING")
_LAST = {"Connection": "close"}
"""Nobody asks for more on a connection that a file came by."""


class Refused(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


class KaggleServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, kaggle: FakeKaggle) -> None:
        self.kaggle = kaggle
        self._talks, self._talks_change = 0, threading.Condition()
        super().__init__(("127.0.0.1", 0), _Handler)
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def process_request(self, request: Any, client_address: Any) -> None:
        self._count_talk(1)
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._count_talk(-1)

    def wait_until_nobody_talks(self, seconds: float) -> None:
        """Wait until what clients asked before they went away is over, lest it meddle with what comes next."""
        with self._talks_change:
            self._talks_change.wait_for(lambda: self._talks == 0, seconds)

    def _count_talk(self, change: int) -> None:
        with self._talks_change:
            self._talks += change
            self._talks_change.notify_all()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keep quiet: clients that are killed hang up in the middle."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: KaggleServer

    def log_message(self, *arguments: Any) -> None:
        pass

    @property
    def kaggle(self) -> FakeKaggle:
        return self.server.kaggle

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        named = re.fullmatch(r"/api/v1/[\w.]+/(\w+)", self._path())
        if named is None:
            return self._answer(404, {"code": 404, "message": "no such route"})
        call = named[1]
        self.kaggle.take_note(call, body.decode("utf8", "replace"))
        faults = self.kaggle.faults
        if call != "IntrospectToken" and not self._is_signed_in():
            return self._answer(401, {"code": 401, "message": "Unauthenticated"})
        if faults.answer_429 > 0 and call != "IntrospectToken":
            faults.answer_429 -= 1
            message = {"code": 429, "message": "Too many requests"}
            return self._answer(429, message, headers={"Retry-After": "0.02"})
        if faults.answer_503[call] > 0:
            faults.answer_503[call] -= 1
            return self._answer(503, b"<html>Service Unavailable</html>", content_type="text/html")
        try:
            answer = getattr(self.kaggle, f"call_{call}")(json.loads(body or b"{}"))
        except Refused as refused:
            return self._answer(refused.status, {"code": refused.status, "message": refused.message})
        if faults.answer_lost[call] > 0:
            faults.answer_lost[call] -= 1
            self.close_connection = True
            return self.connection.shutdown(socket.SHUT_RDWR)
        return self._answer(200, answer)

    def do_PUT(self) -> None:
        """Take an upload in Google's resumable way: 308 tells how much is there, 503 asks to go on."""
        length = int(self.headers.get("Content-Length") or 0)
        span = self.headers.get("Content-Range", "")
        body = self.rfile.read(length)
        faults = self.kaggle.faults
        self.kaggle.take_note("PUT", span or f"{length} bytes")
        blob = self.kaggle.blobs.get(self._path().rsplit("/", 1)[1])
        if blob is None:
            return self._answer(404)
        if faults.uploads_refused > 0:
            faults.uploads_refused -= 1
            return self._answer(400)
        path, total = blob["path"], int(blob.get("contentLength", 0))
        if span.startswith("bytes */"):
            have = path.stat().st_size
            if have >= total:
                return self._answer(200)
            return self._answer(308, headers={"Range": f"bytes=0-{have - 1}"} if have else {})
        start = int(re.findall(r"bytes (\d+)-", span)[0]) if span else 0
        if faults.cut_uploads > 0:
            faults.cut_uploads -= 1
            body = body[: len(body) // 2]
        with path.open("r+b") as file:
            file.seek(start)
            file.write(body)
            file.truncate()
        return self._answer(200 if path.stat().st_size == total else 503)

    def do_GET(self) -> None:
        if wanted := re.fullmatch(r"/out/(\d+)/(.+)", self._path()):
            session = self.kaggle.sessions[int(wanted[1]) - 1]
            return self._give_output(session.folder / "working" / wanted[2])
        if wanted := re.fullmatch(r"/api/v1/kernels/logs/stream/([^/]+)/([^/]+)", self._path()):
            try:
                session = self.kaggle._session({"userName": wanted[1], "kernelSlug": wanted[2]})
            except Refused as refused:
                return self._answer(refused.status, {"code": refused.status, "message": refused.message})
            return self._stream_log(session)
        return self._answer(404)

    def _give_output(self, path: Path) -> None:
        faults = self.kaggle.faults
        self.kaggle.take_note("GET", path.name)
        if not path.is_file():
            return self._answer(404, headers=_LAST)
        data = path.read_bytes()
        if faults.error_page_downloads > 0:
            faults.error_page_downloads -= 1
            return self._answer(503, b"<html>Service Unavailable</html>", content_type="text/html", headers=_LAST)
        if path.suffix == ".zip" and faults.truncated_downloads > 0:
            faults.truncated_downloads -= 1
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data[: len(data) // 2])
            self.close_connection = True
            return None
        if path.suffix == ".zip" and faults.tampered_downloads > 0:
            faults.tampered_downloads -= 1
            data = data[:-1] + bytes([data[-1] ^ 1])
        return self._answer(200, data, content_type="application/octet-stream", headers=_LAST)

    def _stream_log(self, session: Session) -> None:
        if session.status not in LIVE:
            return self._answer(200, json.dumps(session.log).encode(), content_type="application/octet-stream")
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        at = 0
        while at < len(session.log) or session.status in LIVE:
            for event in session.log[at:]:
                self.wfile.write(f"data: {json.dumps(event)}\n\n".encode())
                at += 1
            self.wfile.flush()
            time.sleep(0.02)
        self.wfile.write(b"data: END_OF_LOG\n\n")
        return None

    def _path(self) -> str:
        return unquote(urlsplit(self.path).path)  # through a proxy the request line holds the whole URL

    def _is_signed_in(self) -> bool:
        basic = base64.b64encode(f"{USER}:{KEY}".encode()).decode()
        return self.headers.get("Authorization", "") in (f"Bearer {TOKEN}", f"Basic {basic}")

    def _answer(
        self,
        status: int,
        body: bytes | dict[str, Any] = b"",
        *,
        content_type: str = "application/json",
        headers: dict[str, str] | None = None,
    ) -> None:
        data = json.dumps(body).encode() if isinstance(body, dict) else body
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(data)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)
