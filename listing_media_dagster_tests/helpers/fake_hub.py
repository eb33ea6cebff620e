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
class FakeRepo:
    """One repository: the files at its newest commit, and at those before (`move_to`)."""

    commit: str
    files: dict[str, bytes]
    served: dict[str, bytes] = field(default_factory=dict)  # what is sent in place of what is declared
    break_after: dict[str, list[int]] = field(default_factory=dict)  # bytes of a file's next answers, then silence
    earlier: dict[str, dict[str, bytes]] = field(default_factory=dict)
    gated: bool = False

    def move_to(self, commit: str, files: dict[str, bytes]) -> None:
        self.earlier[self.commit] = self.files
        self.commit, self.files = commit, files

    def at(self, commit: str) -> dict[str, bytes] | None:
        return self.files if commit == self.commit else self.earlier.get(commit)

    def declaration(self, name: str, commit: str) -> dict[str, object]:
        def sibling(file: str, data: bytes) -> dict[str, object]:
            blob = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
            lfs = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}
            is_large = file.endswith(".safetensors")
            return {"rfilename": file, "size": len(data), "blobId": blob, **({"lfs": lfs} if is_large else {})}

        siblings = [sibling(file, data) for file, data in (self.at(commit) or {}).items()]
        return {"id": name, "modelId": name, "sha": commit, "siblings": siblings}


@dataclass
class FakeHub:
    repos: dict[str, FakeRepo]
    requests: list[str] = field(default_factory=list)
    logged_in: set[str] = field(default_factory=set)
    """Repositories that were asked for with a login."""
    url: str = ""

    def bytes_sent(self, name: str) -> list[str]:
        return [request for request in self.requests if request.startswith("GET") and name in request]


def safetensors(payload: bytes = b"") -> bytes:
    """Return a valid safetensors file without tensors, made as long and as much its own as `payload`."""
    header = json.dumps({"__metadata__": {"payload": payload.hex()}}).encode()
    return len(header).to_bytes(8, "little") + header


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
            asked = re.fullmatch(
                r"(?:/api/models)?/(?P<repo>[^/]+/[^/]+)(?:/(?P<what>revision|resolve)/(?P<commit>\w+)(?:/(?P<name>.+))?)?",
                self.path.partition("?")[0],
            )
            repo = hub.repos.get(asked["repo"]) if asked else None
            if asked and "Authorization" in self.headers:
                hub.logged_in.add(asked["repo"])
            if asked is None or repo is None:
                self._send(404, b"", {"X-Error-Code": "RepoNotFound"}, with_body)
            elif repo.gated and "Authorization" not in self.headers:
                self._send(403, b"", {"X-Error-Code": "GatedRepo"}, with_body)
            elif asked["commit"] is not None and repo.at(asked["commit"]) is None:
                self._send(404, b"", {"X-Error-Code": "RevisionNotFound"}, with_body)
            elif asked["what"] != "resolve":
                declared = json.dumps(repo.declaration(asked["repo"], asked["commit"] or repo.commit)).encode()
                self._send(200, declared, {"Content-Type": "application/json"}, with_body)
            elif asked["name"] not in (repo.at(asked["commit"]) or {}):
                self._send(404, b"", {"X-Error-Code": "EntryNotFound"}, with_body)
            else:
                self._send_file(repo, asked["commit"], asked["name"], wanted, with_body)

        def _send_file(self, repo: FakeRepo, commit: str, name: str, wanted: str, with_body: bool) -> None:
            declared = (repo.at(commit) or {})[name]
            data = repo.served.get(name, declared)
            etag = hashlib.sha256(declared).hexdigest()
            headers = {"ETag": f'"{etag}"', "X-Repo-Commit": commit, "Accept-Ranges": "bytes"}
            start = re.fullmatch(r"bytes=(\d+)-", wanted)
            first = int(start[1]) if start else 0
            if start:
                headers["Content-Range"] = f"bytes {first}-{len(data) - 1}/{len(data)}"
            breaks = repo.break_after.get(name, [])
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
