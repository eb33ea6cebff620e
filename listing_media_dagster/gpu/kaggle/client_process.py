"""The unmodified `kaggle` client in a process of its own: one JSON request a line in, JSON answers a line out.

Apart, because importing the client signs it in, reads the environment once and for all and may end the process, because
it knows no time limits (its process can be ended), and because it prints.
"""

from __future__ import annotations

import json
import os
import queue
import re
import threading
from collections.abc import Callable, Iterator
from typing import Any, TextIO

SECRETS = ("KAGGLE_API_TOKEN", "KAGGLE_KEY")
OUTPUTS_PER_PAGE = 200


class _Unusable(Exception):
    """An answer that isn't one; `kind` tells the other side what to make of it."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class _Client:
    """What is asked of Kaggle, each call by the name that a request gives."""

    def __init__(self) -> None:
        try:
            import kaggle  # type: ignore[import-untyped]
            from kaggle.api.kaggle_api_extended import KaggleApi  # type: ignore[import-untyped]
        except ImportError as absent:
            raise _Unusable("not installed", str(absent)) from absent

        class CheckedApi(KaggleApi):
            def _upload_blob(self, path: str, *arguments: Any, **options: Any) -> Any:
                # The client goes on without a file whose upload failed, and creates an empty dataset.
                token = super()._upload_blob(path, *arguments, **options)
                if token is None:
                    raise _Unusable("upload", f"the upload of {os.path.basename(path)} broke off")  # noqa: PTH119
                return token

        self.api = CheckedApi()
        try:
            self.api.authenticate()
        except SystemExit as refused:
            raise _Unusable("signed out", "Kaggle doesn't accept the credentials, or there are none") from refused
        self.version = kaggle.__version__

    def who_am_i(self) -> dict[str, Any]:
        values = self.api.config_values
        return {"user": values["username"], "method": values.get("auth_method", ""), "version": self.version}

    def quota(self) -> dict[str, Any]:
        answer = self.api.quota_view()
        gpu, refresh = answer.gpu_quota, answer.quota_refresh_time
        if gpu is None:
            raise _Unusable("refused", "Kaggle names no GPU quota for this account: is its phone number verified?")
        return {
            "used_seconds": gpu.time_used.total_seconds(),
            "allowed_seconds": gpu.total_time_allowed.total_seconds(),
            "refreshes_at": refresh.isoformat() if refresh else None,
        }

    def create_dataset(self, folder: str) -> dict[str, Any]:
        return _accepted(self.api.dataset_create_new(folder, public=False, quiet=True))

    def update_dataset(self, folder: str, notes: str) -> dict[str, Any]:
        return _accepted(self.api.dataset_create_version(folder, notes, quiet=True, delete_old_versions=True))

    def dataset_status(self, ref: str) -> str:
        return str(self.api.dataset_status(ref)).upper()

    def delete_dataset(self, ref: str) -> None:
        owner, slug = ref.split("/")
        self.api.dataset_delete(owner, slug, no_confirm=True)

    def push_kernel(self, folder: str, timeout_seconds: int, machine_shape: str) -> dict[str, Any]:
        answer = self.api.kernels_push(folder, timeout=str(timeout_seconds), acc=machine_shape)
        invalid = {
            name: getattr(answer, f"invalid_{name}_sources") or []
            for name in ("dataset", "competition", "kernel", "model")
        }
        return {
            "error": _without_secrets(answer.error or ""),
            "invalid": [f"{name} {source}" for name, sources in invalid.items() for source in sources],
            "url": answer.url or "",
            "version": answer.version_number,
        }

    def kernel_status(self, ref: str) -> dict[str, Any]:
        answer = self.api.kernels_status(ref)
        return {"status": answer.status.name, "failure": answer.failure_message or ""}

    def delete_kernel(self, ref: str) -> None:
        self.api.kernels_delete(ref, no_confirm=True)

    def outputs(self, ref: str) -> dict[str, Any]:
        """List every page; the files themselves aren't fetched here: 2.2.4 would keep error pages as results."""
        from kagglesdk.kernels.types.kernels_api_service import (  # type: ignore[import-untyped]
            ApiListKernelSessionOutputRequest,
        )

        user, slug = ref.split("/")
        files: dict[str, str] = {}
        log, page = "", None
        with self.api.build_kaggle_client() as kaggle:
            while True:
                request = ApiListKernelSessionOutputRequest()
                request.user_name, request.kernel_slug, request.page_size = user, slug, OUTPUTS_PER_PAGE
                if page:
                    request.page_token = page
                answer = kaggle.kernels.kernels_api_client.list_kernel_session_output(request)
                files |= {file.file_name: file.url for file in answer.files or []}
                log = log or answer.log or ""
                page = answer.next_page_token
                if not page:
                    return {"files": files, "log": log}

    def log(self, ref: str) -> Iterator[str]:
        """Give the log's lines from its beginning, while the session runs as they come."""
        for event in self.api.kernels_logs_stream(ref):
            yield str(event.get("data", ""))


def _accepted(answer: Any) -> dict[str, Any]:
    # A refusal comes with status 200.
    if answer.error or str(answer.status).lower() == "error":
        raise _Unusable("refused", answer.error or "Kaggle refused the dataset and didn't say why")
    return {"ref": answer.ref, "url": answer.url}


def _described(error: BaseException) -> dict[str, Any]:
    """Return what went wrong: its kind, one line without secrets, the HTTP status and the pause asked for."""
    import requests

    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, requests.RequestException):
        cause = cause.__cause__ or cause.__context__
    answer = getattr(cause, "response", None)
    if answer is not None:
        pause = answer.headers.get("Retry-After", "")
        described = {"kind": "http", "status": answer.status_code, "retry_after": _seconds(pause)}
    elif isinstance(error, _Unusable):
        described = {"kind": error.kind}
    elif cause is not None or isinstance(error, ConnectionError):
        return {"kind": "connection", "message": f"the connection broke ({type(cause or error).__name__})"}
    else:
        described = {"kind": "refused"}
    return {**described, "message": _without_secrets(str(error) or type(error).__name__)}


def _seconds(text: str) -> float | None:
    try:
        return max(0.0, float(text))
    except ValueError:
        return None


def _without_secrets(text: str) -> str:
    """Return the first line of `text`, without credentials and without the signatures in addresses."""
    for name in SECRETS:
        if os.environ.get(name):
            text = text.replace(os.environ[name], "***")
    return re.sub(r"(https?://[^\s?'\"]+)\?[^\s'\"]*", r"\1", (text.strip().splitlines() or [""])[0])[:500]


def _requests() -> Iterator[dict[str, Any]]:
    """Give the requests as they come. When the other side is gone this process ends, whatever it is doing."""
    waiting: queue.SimpleQueue[str] = queue.SimpleQueue()
    # Not sys.stdin: exit(), which the client calls, closes that, and would wait for the reader for ever.
    asked = os.fdopen(os.dup(0), encoding="utf-8")

    def read() -> None:
        for line in asked:
            waiting.put(line)
        os._exit(0)

    threading.Thread(target=read, daemon=True).start()
    while True:
        yield json.loads(waiting.get())


class _Desk:
    """Takes requests and answers them: one after the other, but for logs, which come beside everything else."""

    def __init__(self, answers: TextIO) -> None:
        self._answers, self._turn = answers, threading.Lock()
        self._client: _Client | None = None

    def take(self, request: dict[str, Any]) -> None:
        if request["call"] == "log":
            threading.Thread(target=self._do, args=(request,), daemon=True).start()
        else:
            self._do(request)

    def _do(self, request: dict[str, Any]) -> None:
        number = request["number"]
        try:
            self._client = self._client or _Client()
            call: Callable[..., Any] = getattr(self._client, request["call"])
            value = call(**request["arguments"])
            if isinstance(value, Iterator):
                for line in value:
                    self._answer(number=number, line=line)
                value = None
            self._answer(number=number, value=value)
        except (Exception, SystemExit) as error:
            self._answer(number=number, error=_described(error))

    def _answer(self, **what: Any) -> None:
        with self._turn:
            self._answers.write(json.dumps(what) + "\n")
            self._answers.flush()


def main() -> None:
    desk = _Desk(os.fdopen(os.dup(1), "w", encoding="utf-8"))
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    for request in _requests():
        desk.take(request)


if __name__ == "__main__":
    main()
