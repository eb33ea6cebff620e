"""A Kaggle of the tests' own: datasets, resumable uploads, kernels that really run, outputs, logs, quota, and faults.

It answers the unmodified `kaggle` client, which reaches it through KAGGLE_API_ENVIRONMENT=LOCALHOST and http_proxy (see
`client_environment`). A pushed kernel runs in a subprocess with a private /kaggle and two make-believe T4s.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
import uuid
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from listing_media_dagster_tests.helpers.fake_kaggle_http import KEY, LIVE, TOKEN, USER, KaggleServer, Refused

__all__ = ["KEY", "TOKEN", "USER", "Dataset", "FakeKaggle", "Faults", "running_kaggle"]


@dataclass
class Faults:
    """What shall go wrong. Counters count down; names of calls are those of the API ("SaveKernel")."""

    polls_until_ready: int = 0
    dataset_fails: bool = False
    cut_uploads: int = 0
    uploads_refused: int = 0
    answer_429: int = 0
    answer_503: Counter[str] = field(default_factory=Counter)
    answer_lost: Counter[str] = field(default_factory=Counter)
    """The call is done, but the connection breaks before its answer."""
    lose_datasets: bool = False
    save_error: str = ""
    polls_until_visible: int = 0
    """So many status calls after its push, a kernel still can't be found."""
    gpu_session_cap: int = 2
    gpus: int = 2
    broken_second_gpus: int = 0
    """The second GPU of so many sessions kills every process that touches it."""
    mount: Literal["old", "new"] = "new"
    unpack_archives: bool = True
    session_seconds: float | None = None
    """Ends sessions after so long, as if the session timeout that was asked for had passed."""
    failure_message: str = ""
    truncated_downloads: int = 0
    error_page_downloads: int = 0
    tampered_downloads: int = 0


@dataclass
class Session:
    id: int
    ref: str
    request: dict[str, Any]
    folder: Path
    inputs: dict[str, Path]
    status: str = "QUEUED"
    failure: str | None = None
    log: list[dict[str, Any]] = field(default_factory=list)
    process: subprocess.Popen[str] | None = None
    runs: threading.Thread | None = None

    @property
    def has_gpu(self) -> bool:
        return bool(self.request.get("enableGpu") or "Tesla" in (self.request.get("machineShape") or ""))


@dataclass
class Dataset:
    title: str
    folder: Path
    private: bool
    polls_left: int
    version: int = 1


class FakeKaggle:
    """The state of one account.

    `image` are modules (source by file name) that its sessions find beside those of the tests' own Python. `may_start`
    holds queued kernels back while it is cleared; `held` names calls (and "PUT", and outputs by file name) that aren't
    done before it is emptied.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server = KaggleServer(self)
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.lock = threading.RLock()
        self._forget()

    def reset(self) -> None:
        """Kill the sessions that still run, let what is under way come to its end, and forget everything."""
        self.held = set()
        for session in self.sessions:
            self._end(session)
        self.may_start.set()
        for session in self.sessions:
            if session.runs is not None:
                session.runs.join(30)
        self.server.wait_until_nobody_talks(10)
        self._forget()

    def _forget(self) -> None:
        self.faults = Faults()
        self.blobs: dict[str, dict[str, Any]] = {}
        self.datasets: dict[str, Dataset] = {}
        self.kernels: dict[str, list[Session]] = {}
        self.sessions: list[Session] = []
        self.calls: list[tuple[str, str]] = []
        self.gpu_seconds_used = 0.0
        self.gpu_seconds_allowed = 30 * 3600.0
        self.held: set[str] = set()
        self.image: dict[str, str] = {}
        self.may_start = threading.Event()
        self.may_start.set()

    def take_note(self, call: str, what: str) -> None:
        """Record a call, and hold it back for as long as the test wants."""
        self.calls.append((call, what))
        while call in self.held or what in self.held:
            time.sleep(0.01)

    def count(self, call: str) -> int:
        return sum(name == call for name, _ in self.calls)

    @property
    def uploaded(self) -> list[Path]:
        return [blob["path"] for blob in self.blobs.values()]

    @property
    def live_gpu_sessions(self) -> int:
        return sum(session.has_gpu and session.status in LIVE for session in self.sessions)

    def offer_outputs(self, files: dict[str, bytes]) -> dict[str, str]:
        """Have a finished session that left these files, and return their addresses by name."""
        session = Session(
            len(self.sessions) + 1, f"{USER}/finished", {}, self.folder / uuid.uuid4().hex, {}, "COMPLETE"
        )
        self.sessions.append(session)
        (session.folder / "working").mkdir(parents=True)
        for name, data in files.items():
            (session.folder / "working" / name).write_bytes(data)
        return {name: f"{self.url}/out/{session.id}/{name}?signature=x" for name in files}

    def client_environment(self, home: Path, *, auth: Literal["token", "legacy", "none"] = "token") -> dict[str, str]:
        """Return the environment in which the unmodified client talks to this server and knows nothing of any other."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("KAGGLE_")}
        for proxy in ("no_proxy", "NO_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
            kept.pop(proxy, None)
        credentials = {
            "token": {"KAGGLE_API_TOKEN": TOKEN},
            "legacy": {"KAGGLE_USERNAME": USER, "KAGGLE_KEY": KEY},
            "none": {},
        }[auth]
        own = {"HOME": str(home), "KAGGLE_CONFIG_DIR": str(home / "kaggle"), "TMPDIR": str(home)}
        return kept | credentials | own | {"KAGGLE_API_ENVIRONMENT": "LOCALHOST", "http_proxy": self.url}

    # --- the API's calls: each takes the request's JSON and returns the answer's -------------------------------------

    def call_IntrospectToken(self, asked: dict[str, Any]) -> dict[str, Any]:
        valid = asked.get("token") == TOKEN
        return {"active": valid, "username": USER if valid else "", "scope": "resources.admin:*"}

    def call_StartBlobUpload(self, asked: dict[str, Any]) -> dict[str, Any]:
        token = uuid.uuid4().hex
        path = self.folder / "blobs" / token
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        self.blobs[token] = {**asked, "path": path}
        return {"token": token, "createUrl": f"{self.url}/upload/{token}?signature={uuid.uuid4().hex}"}

    def call_CreateDataset(self, asked: dict[str, Any]) -> dict[str, Any]:
        ref = f"{asked['ownerSlug']}/{asked['slug']}"
        if not re.fullmatch(r"[a-z0-9-]{6,50}", asked["slug"]) or not 6 <= len(asked["title"]) <= 50:
            return {"status": "error", "error": f"slug or title of {ref} is invalid"}
        if ref in self.datasets:
            return {"status": "error", "error": f"{ref} is already in use"}
        polls = self.faults.polls_until_ready
        self.datasets[ref] = Dataset(asked["title"], self._mount(ref, asked), bool(asked.get("isPrivate")), polls)
        return {"ref": f"/{ref}", "url": f"{self.url}/datasets/{ref}", "status": "ok", "error": ""}

    def call_CreateDatasetVersion(self, asked: dict[str, Any]) -> dict[str, Any]:
        ref, dataset = self._dataset(asked)
        dataset.folder = self._mount(ref, asked["body"])
        dataset.version += 1
        return {"ref": f"/{ref}", "url": f"{self.url}/datasets/{ref}", "status": "ok", "error": ""}

    def call_GetDatasetStatus(self, asked: dict[str, Any]) -> dict[str, Any]:
        _, dataset = self._dataset(asked)
        if self.faults.dataset_fails:
            return {"status": "FAILED"}
        if dataset.polls_left > 0:
            dataset.polls_left -= 1
            return {"status": "BLOBS_RECEIVED"}
        return {"status": "READY"}

    def call_DeleteDataset(self, asked: dict[str, Any]) -> dict[str, Any]:
        ref, _ = self._dataset(asked)
        del self.datasets[ref]
        return {}

    def call_SaveKernel(self, asked: dict[str, Any]) -> dict[str, Any]:
        with self.lock:
            if self.faults.save_error:
                return {"error": self.faults.save_error}
            sources = asked.get("datasetDataSources", [])
            invalid = [
                each
                for each in sources
                if self.faults.lose_datasets or each not in self.datasets or self.datasets[each].polls_left
            ]
            folder = self.folder / "sessions" / uuid.uuid4().hex
            inputs = {each: self.datasets[each].folder for each in sources if each not in invalid}
            session = Session(len(self.sessions) + 1, asked["slug"], asked, folder, inputs)
            if session.has_gpu and self.live_gpu_sessions >= self.faults.gpu_session_cap:
                return {"error": f"Maximum batch GPU session count of {self.faults.gpu_session_cap} reached."}
            self.sessions.append(session)
            versions = self.kernels.setdefault(session.ref, [])
            versions.append(session)
            session.runs = threading.Thread(target=self._run, args=(session,), daemon=True)
            session.runs.start()
        answer = {"ref": f"/code/{session.ref}", "url": f"{self.url}/code/{session.ref}", "kernelId": session.id}
        return answer | {"versionNumber": len(versions), "invalidDatasetSources": invalid}

    def call_GetKernelSessionStatus(self, asked: dict[str, Any]) -> dict[str, Any]:
        session = self._session(asked)
        if self.faults.polls_until_visible > 0:
            self.faults.polls_until_visible -= 1
            raise Refused(404, "Not found")
        return {"status": session.status, **({"failureMessage": session.failure} if session.failure else {})}

    def call_ListKernelSessionOutput(self, asked: dict[str, Any]) -> dict[str, Any]:
        session = self._session(asked)
        working = session.folder / "working"
        names = sorted(str(path.relative_to(working)) for path in working.rglob("*") if path.is_file())
        at, size = int(asked.get("pageToken") or 0), min(int(asked.get("pageSize") or 20), 200)
        page = [
            {"fileName": name, "url": f"{self.url}/out/{session.id}/{name}?sig=x"} for name in names[at : at + size]
        ]
        more = {"nextPageToken": str(at + size)} if at + size < len(names) else {}
        return {"files": page, "log": json.dumps(session.log), **more}

    def call_DeleteKernel(self, asked: dict[str, Any]) -> dict[str, Any]:
        session = self._session(asked)
        del self.kernels[session.ref]
        self._end(session)
        return {}

    def call_GetAcceleratorQuotaStatistics(self, asked: dict[str, Any]) -> dict[str, Any]:
        gpu = {"timeUsed": f"{int(self.gpu_seconds_used)}s", "totalTimeAllowed": f"{int(self.gpu_seconds_allowed)}s"}
        tpu = {"timeUsed": "0s", "totalTimeAllowed": "72000s"}
        return {"quotaRefreshTime": "2026-11-28T00:00:00.000Z", "gpuQuota": gpu, "tpuQuota": tpu}

    def _end(self, session: Session) -> None:
        """Have a session end, with all that its kernel started, or never begin."""
        with self.lock:
            session.status = "CANCEL_REQUESTED" if session.status in LIVE else session.status
            if session.process is not None and session.process.poll() is None:
                _kill_group(session.process)

    # --- what the calls stand on ------------------------------------------------------------------------------------

    def _dataset(self, asked: dict[str, Any]) -> tuple[str, Dataset]:
        ref = f"{asked.get('ownerSlug') or USER}/{asked.get('datasetSlug') or asked.get('slug')}"
        if ref not in self.datasets:
            raise Refused(404, "Dataset not found")
        return ref, self.datasets[ref]

    def _session(self, asked: dict[str, Any]) -> Session:
        ref = f"{asked['userName']}/{asked['kernelSlug']}"
        if ref not in self.kernels:
            raise Refused(403, "Permission 'kernels.get' was denied")
        return self.kernels[ref][-1]

    def _mount(self, ref: str, asked: dict[str, Any]) -> Path:
        folder = self.folder / "datasets" / ref / uuid.uuid4().hex[:8]
        folder.mkdir(parents=True)
        for file in asked.get("files", []):
            blob = self.blobs[file["token"]]
            if blob["name"].endswith(".zip") and self.faults.unpack_archives:
                with zipfile.ZipFile(blob["path"]) as archive:
                    archive.extractall(folder / blob["name"].removesuffix(".zip"))
            else:
                shutil.copy(blob["path"], folder / blob["name"])
        return folder

    def _run(self, session: Session) -> None:
        """Run a pushed script in a subprocess with a /kaggle of its own, until it ends, is deleted or times out."""
        inputs = session.folder / "input"
        working = session.folder / "working"
        working.mkdir(parents=True)
        for ref, folder in session.inputs.items():
            owner, slug = ref.split("/")
            place = inputs / slug if self.faults.mount == "old" else inputs / "datasets" / owner / slug
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(folder)
        script = session.folder / "script.py"
        script.write_text(session.request.get("text", "").replace("/kaggle/", f"{session.folder}/"))
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("KAGGLE_", "LISTING_"))
        }
        environment["PATH"] = f"{self._make_believe_gpus(session)}{os.pathsep}{environment['PATH']}"
        # What a session installs goes where its Python finds it, and never to where the tests run.
        installed = str(session.folder / "installed")
        environment |= {"PIP_TARGET": installed, "PIP_NO_INDEX": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
        environment["PYTHONPATH"] = os.pathsep.join([str(self._make_believe_torch(session)), installed])
        environment |= {"KAGGLE_KERNEL_RUN_TYPE": "Batch", "PYTHONUNBUFFERED": "1", "TMPDIR": str(session.folder)}
        self.may_start.wait()
        with self.lock:
            if session.status != "QUEUED":
                session.status = "CANCEL_ACKNOWLEDGED"
                return
            started = time.monotonic()
            session.status = "RUNNING"
            session.process = subprocess.Popen(
                [sys.executable, script],
                cwd=working,
                env=environment,
                text=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        limit = self.faults.session_seconds or session.request.get("sessionTimeoutSeconds")
        timer = threading.Timer(limit, _kill_group, (session.process,)) if limit else None
        if timer:
            timer.start()
        assert session.process.stdout is not None
        for line in session.process.stdout:
            seconds = round(time.monotonic() - started, 3)
            session.log.append({"stream_name": "stdout", "time": seconds, "data": line})
        code = session.process.wait()
        if timer:
            timer.cancel()
        _kill_group(session.process)
        if session.has_gpu:
            self.gpu_seconds_used += time.monotonic() - started
        if session.status == "CANCEL_REQUESTED":
            session.status = "CANCEL_ACKNOWLEDGED"
        elif code == 0:
            session.status = "COMPLETE"
        else:
            session.failure = self.faults.failure_message or f"exit code {code}"
            session.status = "ERROR"

    def _make_believe_gpus(self, session: Session) -> Path:
        programs = session.folder / "bin"
        programs.mkdir(exist_ok=True)
        names = "\n".join(
            f"GPU {n}: Tesla T4 (UUID: GPU-{n})" for n in range(self.faults.gpus if session.has_gpu else 0)
        )
        smi = programs / "nvidia-smi"
        smi.write_text(f"#!/bin/sh\ncat <<'END'\n{names}\nEND\n")
        smi.chmod(0o755)
        return programs

    def _make_believe_torch(self, session: Session) -> Path:
        """Write what of torch a worker asks about the GPU it works on, for sessions that have one."""
        image = session.folder / "image"
        image.mkdir()
        for name, source in self.image.items():
            (image / name).write_text(source)
        if session.has_gpu and self.faults.gpus:
            dies = self.faults.broken_second_gpus > 0
            self.faults.broken_second_gpus -= dies
            (image / "torch.py").write_text(_TORCH.replace("DIES", str(dies)))
        return image

    def close(self) -> None:
        self.reset()
        self.server.shutdown()
        self.server.server_close()


_TORCH = """
import os
class cuda:
    def get_device_name(device):
        if DIES and os.environ.get("CUDA_VISIBLE_DEVICES") == "1":
            print("CUDA error: the GPU fell off the bus", flush=True)
            os._exit(134)
        return "Tesla T4"
    def reset_peak_memory_stats(device): pass
    def max_memory_allocated(device): return 3 * 2**30
"""


def _kill_group(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, 9)


@contextlib.contextmanager
def running_kaggle(folder: Path) -> Iterator[FakeKaggle]:
    """Give a fake that listens on a free port of 127.0.0.1 until the block ends."""
    kaggle = FakeKaggle(folder)
    try:
        yield kaggle
    finally:
        kaggle.close()
