"""A model hub on 127.0.0.1 that speaks as much of the real one's HTTP as a pull needs, and misbehaves on request."""

from __future__ import annotations

import hashlib
import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class FakeHub:
    repo: str
    commit: str
    files: dict[str, bytes]
    served: dict[str, bytes] = field(default_factory=dict)  # what is sent in place of what is declared
    break_after: dict[str, list[int]] = field(default_factory=dict)  # bytes of a file's next answers, then silence
    requests: list[str] = field(default_factory=list)
    url: str = ""

    def declaration(self) -> dict[str, object]:
        def sibling(name: str, data: bytes) -> dict[str, object]:
            blob = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
            lfs = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}
            is_large = name.endswith(".safetensors")
            return {"rfilename": name, "size": len(data), "blobId": blob, **({"lfs": lfs} if is_large else {})}

        siblings = [sibling(name, data) for name, data in self.files.items()]
        return {"id": self.repo, "modelId": self.repo, "sha": self.commit, "siblings": siblings}

    def bytes_sent(self, name: str) -> list[str]:
        return [request for request in self.requests if request.startswith("GET") and name in request]


@contextmanager
def running(hub: FakeHub) -> Iterator[FakeHub]:
    """Serve `hub` until the block ends; its address is `hub.url`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def log_message(self, *_: object) -> None:
            pass

        def _answer(self, *, with_body: bool) -> None:
            wanted = self.headers.get("Range", "")
            hub.requests.append(f"{self.command} {self.path} {wanted}".strip())
            path = self.path.partition("?")[0]
            if path in (f"/api/models/{hub.repo}", f"/api/models/{hub.repo}/revision/{hub.commit}"):
                self._send(200, json.dumps(hub.declaration()).encode(), {"Content-Type": "application/json"}, with_body)
                return
            name = path.removeprefix(f"/{hub.repo}/resolve/{hub.commit}/")
            if name == path or name not in hub.files:
                kind = "EntryNotFound" if name != path else "RevisionNotFound"
                self._send(404, b"", {"X-Error-Code": kind}, with_body)
                return
            self._send_file(name, wanted, with_body)

        def _send_file(self, name: str, wanted: str, with_body: bool) -> None:
            data = hub.served.get(name, hub.files[name])
            declared = hashlib.sha256(hub.files[name]).hexdigest()
            headers = {"ETag": f'"{declared}"', "X-Repo-Commit": hub.commit, "Accept-Ranges": "bytes"}
            start = re.fullmatch(r"bytes=(\d+)-", wanted)
            first = int(start[1]) if start else 0
            if start:
                headers["Content-Range"] = f"bytes {first}-{len(data) - 1}/{len(data)}"
            breaks = hub.break_after.get(name, [])
            breaks_at = breaks.pop(0) if with_body and breaks else None
            self._send(206 if start else 200, data[first:], headers, with_body, breaks_at)

        def _send(
            self, status: int, body: bytes, headers: dict[str, str], with_body: bool, breaks_at: int | None = None
        ) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if with_body:
                self.wfile.write(body if breaks_at is None else body[:breaks_at])
            if breaks_at is not None:
                self.close_connection = True

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    hub.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def silent_port() -> Iterator[str]:
    """Give the address of a server that accepts connections and never says a word."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(8)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
