"""Talking to a ComfyUI server: upload, submit once, await, fetch, cancel; its errors in words that say what to do."""

from __future__ import annotations

import hashlib
import json
import random
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import requests

from listing_media_dagster.models.comfyui.workflow import title_of

LARGEST_RESULT = 512 * 2**20
TURNS = 8
SEEN_AS_JOB = uuid.UUID("5a8f4c52-3c1b-5c64-9d53-0c4f1f6f2b11")
"""Namespace of the ids we choose: the same graph gets the same id, so that it isn't run twice."""


class ComfyFailed(RuntimeError):
    """The server can't do it, or didn't; `str()` says what. `may_succeed_later` tells whether to try again."""

    def __init__(self, reason: str, *, may_succeed_later: bool = False) -> None:
        super().__init__(reason)
        self.may_succeed_later = may_succeed_later


@dataclass(frozen=True)
class ComfyUI:
    """A server at `url`; `api_key` goes into a header and nowhere else. `poll_seconds` between looks at a prompt."""

    url: str
    api_key: str | None = field(default=None, repr=False)
    poll_seconds: float = 1.0
    patience_seconds: float = 3600.0
    tries: int = 4

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.password:
            raise ValueError("the address of a ComfyUI server is http(s)://host[:port], without a user or password")

    def refusal(self) -> str | None:
        """Return why the server can't be used now, or None."""
        try:
            self._get("/system_stats", tries=1, timeout=5)
        except ComfyFailed as failed:
            return str(failed)
        return None

    def device(self) -> str:
        """Return the name of the server's first device, as it tells it."""
        devices = self._told("/system_stats").get("devices") or [{}]
        return str(devices[0].get("name", "unknown"))[:100]

    def upload(self, data: bytes, suffix: str) -> str:
        """Upload a file and return the name by which a graph finds it; the same bytes lie there once."""
        name = f"listing-media-{hashlib.sha256(data).hexdigest()[:32]}{suffix}"
        answer = self._try(
            lambda: requests.post(
                f"{self.url}/upload/image",
                files={"image": (name, data)},
                data={"overwrite": "true", "type": "input"},
                headers=self._headers(),
                timeout=120,
            )
        )
        placed = _json_of(answer)
        if not placed.get("name"):
            raise self._is_something_else("/upload/image")
        folder = placed.get("subfolder") or ""
        return f"{folder}/{placed['name']}" if folder else str(placed["name"])

    def run(self, graph: Mapping[str, Any], output: str, ask: Callable[[], None] = lambda: None) -> bytes:
        """Have `graph` run, once even if asked again, and return the file that its node `output` saved.

        `ask` is called at every look; what it raises cancels the prompt. Raises `ComfyFailed`.
        """
        prompt_id, finished = self._turn_of(graph)
        try:
            if finished is None and not self._is_queued(prompt_id):
                self._submit(graph, prompt_id)
            return self._fetch(finished or self._await(graph, prompt_id, ask), output)
        except ComfyFailed:
            raise
        except BaseException:
            self.cancel(prompt_id)
            raise

    def _turn_of(self, graph: Mapping[str, Any]) -> tuple[str, dict[str, Any] | None]:
        """Return the id to run `graph` under and how it ended, if it was run under that; what failed gets another."""
        for turn in range(TURNS):
            prompt_id = id_of(graph, turn)
            ended = self._history(prompt_id)
            if ended is None or _failure_of(ended) is None:
                return prompt_id, ended
        raise ComfyFailed(f"the workflow failed {TURNS} times: {_failure_of(ended or {})}")

    def cancel(self, prompt_id: str) -> None:
        """Stop the prompt, wherever it is; one that ended is left alone. Older servers get the older calls."""
        try:
            answer = requests.post(f"{self.url}/api/jobs/{prompt_id}/cancel", headers=self._headers(), timeout=10)
            if answer.status_code in (404, 405):
                self._post("/queue", {"delete": [prompt_id]})
                self._post("/interrupt", {"prompt_id": prompt_id})
        except (requests.RequestException, ComfyFailed):
            pass  # the caller is stopping; the server can't be reached to hear of it

    def _submit(self, graph: Mapping[str, Any], prompt_id: str) -> None:
        try:
            answer = requests.post(
                f"{self.url}/prompt",
                json={"prompt": graph, "prompt_id": prompt_id},
                headers=self._headers(),
                timeout=60,
            )
        except requests.RequestException as failed:
            # It may have arrived all the same: whoever asks again finds it under its id.
            raise self._is_silent(failed) from None
        if answer.status_code == 400:
            raise ComfyFailed(_why_refused(_json_of(answer), graph))
        self._require_ok(answer)
        given = _json_of(answer).get("prompt_id")
        if given != prompt_id:
            self.cancel(str(given))
            raise ComfyFailed(f"the server at {self.url} chooses its own prompt ids: update ComfyUI")

    def _await(self, graph: Mapping[str, Any], prompt_id: str, ask: Callable[[], None]) -> dict[str, Any]:
        """Return how the prompt ended. One that a restarted server forgot is submitted once more."""
        gives_up = time.monotonic() + self.patience_seconds
        missing, forgotten = 0, False
        while time.monotonic() < gives_up:
            ask()
            ended = self._history(prompt_id)
            if ended is not None:
                if (failure := _failure_of(ended)) is not None:
                    raise ComfyFailed(failure)
                return ended
            # it moves from the queue to the history between two looks; gone from both twice, it was lost
            missing = 0 if self._is_queued(prompt_id) else missing + 1
            if missing > 2:
                if forgotten:
                    raise ComfyFailed(f"{self.url} forgot the prompt twice: is it restarted?", may_succeed_later=True)
                self._submit(graph, prompt_id)
                missing, forgotten = 0, True
            time.sleep(self.poll_seconds)
        self.cancel(prompt_id)
        raise ComfyFailed(f"{self.url} hadn't finished after {self.patience_seconds:.0f} s", may_succeed_later=True)

    def _history(self, prompt_id: str) -> dict[str, Any] | None:
        found: dict[str, Any] | None = self._told(f"/history/{prompt_id}").get(prompt_id)
        return found

    def _is_queued(self, prompt_id: str) -> bool:
        queue = self._told("/queue")
        entries = [*queue.get("queue_running", []), *queue.get("queue_pending", [])]
        return any(len(entry) > 1 and entry[1] == prompt_id for entry in entries)

    def _fetch(self, finished: dict[str, Any], output: str) -> bytes:
        made = finished.get("outputs", {}).get(output, {})
        saved = [file for kind in ("images", "video", "videos", "gifs", "audio") for file in made.get(kind, [])]
        if not saved:
            raise ComfyFailed(f"the workflow ended, but its node {output} saved nothing")
        file = saved[0]
        query = {key: str(file.get(key, "")) for key in ("filename", "subfolder", "type")}
        answer = self._get("/view", params=query, stream=True, timeout=300)
        data = bytearray()
        try:
            for block in answer.iter_content(1 << 20):
                data += block
                if len(data) > LARGEST_RESULT:
                    raise ComfyFailed(f"the result of node {output} is larger than {LARGEST_RESULT >> 20} MB")
        except requests.RequestException as broken:
            raise ComfyFailed(f"the result of node {output} came incomplete", may_succeed_later=True) from broken
        if not data:
            raise ComfyFailed(f"the result of node {output} is empty", may_succeed_later=True)
        return bytes(data)

    def _told(self, path: str) -> dict[str, Any]:
        """Return what the server tells at `path`. Raises `ComfyFailed` where that isn't ComfyUI's."""
        try:
            body = self._get(path).json()
        except ValueError:
            body = None
        if not isinstance(body, dict):
            raise self._is_something_else(path)
        return body

    def _is_something_else(self, path: str) -> ComfyFailed:
        return ComfyFailed(
            f"what answers at {self.url} isn't ComfyUI ({path} isn't told as it would): is that its address?"
        )

    def _is_silent(self, failed: requests.RequestException) -> ComfyFailed:
        # its text may hold the address with a query, never the key: that is in a header
        reason = f"no ComfyUI answers at {self.url} ({type(failed).__name__})"
        return ComfyFailed(reason, may_succeed_later=True)

    def _get(self, path: str, *, tries: int | None = None, **how: Any) -> requests.Response:
        how.setdefault("timeout", 30)
        return self._try(lambda: requests.get(self.url + path, headers=self._headers(), **how), tries=tries)  # noqa: S113

    def _post(self, path: str, body: dict[str, Any]) -> None:
        requests.post(self.url + path, json=body, headers=self._headers(), timeout=10)

    def _try(self, send: Callable[[], requests.Response], *, tries: int | None = None) -> requests.Response:
        """Send again, with growing pauses, what the network or an overloaded server failed."""
        for attempt in range(tries or self.tries):
            if attempt:
                time.sleep(random.uniform(0.5, 1.0) * self.poll_seconds * 2**attempt)
            try:
                answer = send()
            except requests.RequestException as silent:
                failed = self._is_silent(silent)
                continue
            if answer.status_code < 500 and answer.status_code != 429:
                self._require_ok(answer)
                return answer
            failed = ComfyFailed(f"ComfyUI at {self.url} answered {answer.status_code}", may_succeed_later=True)
        raise failed

    def _require_ok(self, answer: requests.Response) -> None:
        if answer.status_code in (401, 403):
            raise ComfyFailed(f"ComfyUI at {self.url} wants a key: set LISTING_MEDIA_COMFYUI_API_KEY")
        if not answer.ok:
            raise ComfyFailed(
                f"ComfyUI at {self.url} answered {answer.status_code}", may_succeed_later=answer.status_code >= 500
            )

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.api_key}"} if self.api_key else {}


def id_of(graph: Mapping[str, Any], turn: int = 0) -> str:
    """Return the id under which `graph` is run: uploads are named by content, so equal graphs are equal work."""
    return str(uuid.uuid5(SEEN_AS_JOB, f"{turn} {json.dumps(graph, sort_keys=True)}"))


def _failure_of(ended: dict[str, Any]) -> str | None:
    status = ended.get("status", {})
    return _why_failed(status.get("messages", [])) if status.get("status_str") == "error" else None


def _json_of(answer: requests.Response) -> dict[str, Any]:
    try:
        body = answer.json()
    except ValueError:
        body = {}
    return body if isinstance(body, dict) else {}


def _why_refused(body: dict[str, Any], graph: Mapping[str, Any]) -> str:
    """Say what is wrong with a graph, node by node, as a person who made the workflow would look for it."""
    reasons = [
        f"node {node_id} ({_title(graph.get(node_id, {}))}): {error.get('message')}: {error.get('details', '')}".strip(
            ": "
        )
        for node_id, about in (body.get("node_errors") or {}).items()
        for error in about.get("errors", [])
    ]
    error = body.get("error") or {}
    if not reasons and isinstance(error, dict):
        reasons.append(f"{error.get('message', 'no reason given')}: {error.get('details', '')}".strip(": "))
    hint = ""
    if any("value_not_in_list" in str(each) or "not in list" in str(each).lower() for each in (body, reasons)):
        hint = "; is that model file on the server?"
    elif any("missing_node_type" in str(body) or "does not exist" in reason for reason in reasons):
        hint = "; install that custom node on the server"
    return f"ComfyUI refused the workflow: {'; '.join(reasons[:3])}{hint}"


def _title(node: Mapping[str, Any]) -> str:
    return title_of(node) or str(node.get("class_type", "?"))


def _why_failed(messages: list[Any]) -> str:
    for kind, about in (message for message in messages if isinstance(message, list) and len(message) == 2):
        if kind == "execution_interrupted":
            return "the prompt was cancelled on the ComfyUI server"
        if kind == "execution_error":
            what = str(about.get("exception_message", "")).strip().splitlines()
            node = f"node {about.get('node_id')} ({about.get('node_type')})"
            return (
                f"ComfyUI failed in {node}: {what[0][:300] if what else about.get('exception_type', 'no reason given')}"
            )
    return "ComfyUI failed without giving a reason"
