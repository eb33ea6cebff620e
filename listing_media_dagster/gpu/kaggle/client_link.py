"""The line to the client's own process: requests go out, and each gets its answers, whatever else is being asked."""

from __future__ import annotations

import itertools
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Mapping
from typing import Any

Message = dict[str, Any]
ENDED: Message = {"error": {"kind": "connection", "message": "the Kaggle client's process ended"}}


class Request:
    """A request that was made. Its answers come one by one: {"line": …}, and last {"value": …} or {"error": …}."""

    def __init__(self) -> None:
        self.answers: queue.SimpleQueue[Message] = queue.SimpleQueue()

    def next_answer(self, seconds: float) -> Message | None:
        """Return the next answer, waiting `seconds` at most; None if there was none."""
        try:
            return self.answers.get(timeout=seconds) if seconds else self.answers.get_nowait()
        except queue.Empty:
            return None


class ClientProcess:
    """The process that holds the unmodified client; it ends with this one, whatever ends this one."""

    def __init__(self, environment: Mapping[str, str] | None) -> None:
        # In its own group, so that a Ctrl-C for the run reaches it through us; no secret is in its arguments.
        self._process = subprocess.Popen(
            [sys.executable, "-m", "listing_media_dagster.gpu.kaggle.client_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=dict(os.environ if environment is None else environment),
            text=True,
            start_new_session=True,
        )
        if self._process.stdin is None or self._process.stdout is None:
            raise AssertionError("pipes were asked for")
        self._asked, self._answered = self._process.stdin, self._process.stdout
        self._numbers = itertools.count()
        self._open: dict[int, Request] = {}
        self._turn = threading.Lock()
        threading.Thread(target=self._read, daemon=True).start()

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, call: str, arguments: Mapping[str, Any]) -> Request:
        number, request = next(self._numbers), Request()
        with self._turn:
            self._open[number] = request
        try:
            self._asked.write(json.dumps({"number": number, "call": call, "arguments": arguments}) + "\n")
            self._asked.flush()
        except OSError:
            request.answers.put(ENDED)
        return request

    def close(self) -> None:
        self._process.kill()
        self._process.wait()

    def _read(self) -> None:
        for line in self._answered:
            message: Message = json.loads(line)
            number = message.pop("number")
            with self._turn:
                request = self._open.get(number) if "line" in message else self._open.pop(number, None)
            if request is not None:
                request.answers.put(message)
        with self._turn:
            for request in self._open.values():
                request.answers.put(ENDED)
