"""Real servers the tests start themselves: a Postgres, an S3 server (moto), and a proxy that makes S3 misbehave.

Each pytest worker has its own, on random ports of 127.0.0.1. A missing program skips with its reason, and fails where
CI=true.
"""

from __future__ import annotations

import contextlib
import http.client
import logging
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

import pytest

from listing_media_dagster.store.media_store import MediaStore


def not_here(reason: str) -> NoReturn:
    """Skip the test, or fail it where everything must be there."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def free_port() -> int:
    """Return a port that nobody has, of those that no system gives to outgoing connections: it stays free until it is
    listened on, and while a server that is killed and started again is away.
    """
    for port in secrets.SystemRandom().sample(range(12_000, 32_000), 100):
        with socket.socket() as listener, contextlib.suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port
    raise AssertionError("none of a hundred ports is free")


# --- Postgres ---------------------------------------------------------------------------------------------------------


def _postgres_programs() -> Path | None:
    """Return the folder with initdb and postgres: from PATH, or the newest of Debian's and Homebrew's folders."""
    on_path = shutil.which("initdb")
    if on_path:
        return Path(on_path).resolve().parent
    folders = [*Path("/usr/lib/postgresql").glob("*/bin"), *Path("/opt/homebrew/opt").glob("postgresql@*/bin")]
    found = [folder for folder in folders if (folder / "initdb").exists()]
    return max(
        found,
        key=lambda folder: [int(n) for n in "".join(c if c.isdigit() else " " for c in str(folder)).split()],
        default=None,
    )


def _postgres_user() -> str | None:
    """Postgres refuses to work as root: name the user it shall have, or None to keep ours."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


@contextlib.contextmanager
def running_postgres() -> Iterator[str]:
    """Give the SQLAlchemy URL of a fresh Postgres; TEST_PG_URL names one that runs already."""
    given = os.environ.get("TEST_PG_URL")
    if given:
        yield given
        return
    programs = _postgres_programs()
    if programs is None:
        not_here("Postgres isn't installed (no initdb on PATH or under /usr/lib/postgresql)")
    user = _postgres_user()
    data = Path(tempfile.mkdtemp(prefix="listing-media-postgres-"))
    if user:
        shutil.chown(data, user)
    port = free_port()
    log = (data.parent / f"{data.name}.log").open("wb")
    try:
        subprocess.run(
            [programs / "initdb", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "--no-sync", "-D", data],
            check=True,
            user=user,
            cwd="/",
            stdout=log,
            stderr=log,
        )
        quick = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=100")
        options = ["listen_addresses=127.0.0.1", f"unix_socket_directories={data}", *quick]
        server = subprocess.Popen(
            [programs / "postgres", "-D", data, "-p", str(port), *(word for o in options for word in ("-c", o))],
            user=user,
            cwd="/",
            stdout=log,
            stderr=log,
        )
        try:
            url = f"postgresql+psycopg2://postgres@127.0.0.1:{port}/postgres"
            _wait_for_postgres(port, server, Path(log.name))
            yield url
        finally:
            server.send_signal(3)  # SIGQUIT: stop at once, nothing here is worth a checkpoint
            server.wait(timeout=30)
    finally:
        log.close()
        Path(log.name).unlink(missing_ok=True)
        shutil.rmtree(data, ignore_errors=True)


def _wait_for_postgres(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    import psycopg2

    deadline = time.monotonic() + 60
    while True:
        try:
            psycopg2.connect(host="127.0.0.1", port=port, user="postgres", dbname="postgres").close()
            return
        except psycopg2.OperationalError:
            if server.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"Postgres didn't start:\n{log.read_text(errors='replace')[-2000:]}") from None
            time.sleep(0.02)


def _new_database(server_url: str) -> str:
    import sqlalchemy

    name = f"test_{secrets.token_hex(6)}"
    engine = sqlalchemy.create_engine(server_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return sqlalchemy.make_url(server_url).set(database=name).render_as_string(hide_password=False)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    with running_postgres() as url:
        yield url


@pytest.fixture(scope="session")
def postgres_url(postgres_server: str) -> str:
    """URL (postgresql+psycopg2://…) of a database that this worker's tests share."""
    return _new_database(postgres_server)


@pytest.fixture
def fresh_postgres_url(postgres_server: str) -> str:
    """URL of an empty database of the test's own."""
    return _new_database(postgres_server)


# --- S3 ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class S3Server:
    """A running S3 server and how to log in."""

    endpoint: str
    access_key_id: str = "test-access-key"
    secret_access_key: str = field(default="test-secret-never-to-be-printed", repr=False)
    region: str = "us-east-1"

    @cached_property
    def client(self) -> Any:
        import boto3

        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=self.region,
            aws_access_key_id=self.access_key_id,
            aws_secret_access_key=self.secret_access_key,
        )

    def new_store_url(self, prefix: str = "media") -> str:
        """Make a bucket and return the URL of a store in it."""
        bucket = f"listing-media-{secrets.token_hex(6)}"
        self.client.create_bucket(Bucket=bucket)
        return f"s3://{bucket}/{prefix}"

    def store(self, url: str, *, endpoint: str | None = None, timeout_seconds: float = 120.0) -> MediaStore:
        return MediaStore(
            url,
            s3_endpoint=endpoint or self.endpoint,
            s3_region=self.region,
            access_key_id=self.access_key_id,
            secret_access_key=self.secret_access_key,
            timeout_seconds=timeout_seconds,
        )

    def environment(self, url: str) -> dict[str, str]:
        """The settings of an installation whose media lies at `url`."""
        return {
            "LISTING_MEDIA_STORE": url,
            "LISTING_MEDIA_S3_ENDPOINT": self.endpoint,
            "LISTING_MEDIA_S3_REGION": self.region,
            "LISTING_MEDIA_S3_ACCESS_KEY_ID": self.access_key_id,
            "LISTING_MEDIA_S3_SECRET_ACCESS_KEY": self.secret_access_key,
        }


@contextlib.contextmanager
def running_s3() -> Iterator[S3Server]:
    try:
        from moto.server import ThreadedMotoServer
    except ImportError:
        not_here("moto[server] isn't installed: pip install 'listing-media-dagster[dev]'")
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        _, port = server.get_host_and_port()
        yield S3Server(f"http://127.0.0.1:{port}")
    finally:
        server.stop()


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    with running_s3() as server:
        yield server


@pytest.fixture
def s3_store_url(s3_server: S3Server) -> str:
    """s3://… of an empty store of the test's own; log in as `s3_server` says."""
    return s3_server.new_store_url()


# --- S3 on a bad day --------------------------------------------------------------------------------------------------


@dataclass
class Fault:
    """What happens to the next `times` requests whose "METHOD path" contains `matching`.

    `status` answers with an error; `cut` sends only half of the body, then hangs up; `hang` keeps the client waiting
    for so many seconds. With `applied` the server has done what was asked before the answer goes wrong.
    """

    matching: str = ""
    times: int = 1
    status: int | None = None
    cut: bool = False
    hang: float = 0.0
    applied: bool = False


class FaultProxy:
    """Stands between a client and an S3 server, notes every request, and spoils those it was told to."""

    def __init__(self, target: str) -> None:
        self.target = urlsplit(target)
        self.requests: list[str] = []
        self.faults: list[Fault] = []
        self.closing = threading.Event()
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_for(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"

    def spoil(self, **fault: Any) -> None:
        with self._lock:
            self.faults.append(Fault(**fault))

    def fault_for(self, line: str) -> Fault | None:
        with self._lock:
            self.requests.append(line)
            for fault in self.faults:
                if fault.times > 0 and fault.matching in line:
                    fault.times -= 1
                    return fault
        return None

    def close(self) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()


def _handler_for(proxy: FaultProxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:
            pass

        def _handle(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            fault = proxy.fault_for(f"{self.command} {self.path}")
            if fault is None or fault.applied or fault.cut:
                status, headers, answer = self._forward(body)
            if fault is None:
                self._answer(status, headers, answer)
                return
            if fault.hang:
                proxy.closing.wait(fault.hang)
            if fault.status is not None:
                code = "AccessDenied" if fault.status == 403 else "InternalError" if fault.status == 500 else "SlowDown"
                error = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>spoiled</Message></Error>"
                self._answer(fault.status, [("Content-Type", "application/xml")], error.encode())
                return
            if fault.cut:
                self._answer(status, headers, answer, sent=len(answer) // 2)
            self.close_connection = True
            with contextlib.suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)

        def _forward(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
            connection = http.client.HTTPConnection(proxy.target.hostname or "", proxy.target.port, timeout=60)
            try:
                connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
                for name, value in self.headers.items():
                    if name.lower() not in ("connection", "expect"):
                        connection.putheader(name, value)
                connection.endheaders(body or None)
                answer = connection.getresponse()
                return answer.status, answer.getheaders(), answer.read()
            finally:
                connection.close()

        def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes, sent: int | None = None) -> None:
            self.send_response_only(status)
            length = str(len(body))
            for name, value in headers:
                if name.lower() == "content-length" and self.command == "HEAD":
                    length = value
                elif name.lower() not in ("content-length", "connection", "transfer-encoding"):
                    self.send_header(name, value)
            self.send_header("Content-Length", length)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body[:sent])
                self.wfile.flush()

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _handle

    return Handler


@pytest.fixture
def s3_proxy(s3_server: S3Server) -> Iterator[FaultProxy]:
    proxy = FaultProxy(s3_server.endpoint)
    yield proxy
    proxy.close()
