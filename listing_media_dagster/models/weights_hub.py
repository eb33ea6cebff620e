"""Talking to the Hugging Face hub: what a repository holds at a commit, and its files, each checked as it arrives."""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from listing_media_dagster.models.entry import CatalogueEntry, FileDigest, Part
from listing_media_dagster.models.weights_folder import BadWeights, matching, sha256_of

if TYPE_CHECKING:
    from huggingface_hub.utils import tqdm as hub_bar

_PLAIN_NAME = re.compile(r"(?:[A-Za-z0-9][\w.-]*/)*[A-Za-z0-9][\w.-]*")
_LONGEST_HEADER = 100_000_000  # bytes, as the safetensors library has it


class HubUnreachable(Exception):
    """The hub didn't answer, or the connection to it broke; one line that says so."""


@dataclass(frozen=True)
class RemoteFile:
    """A file as the hub declares it; large ones by sha256, small ones by their git blob id."""

    name: str
    size: int
    sha256: str | None
    git_blob: str | None


@dataclass(frozen=True)
class RemotePart:
    """What a part of an entry consists of at one full commit."""

    part: Part
    repo: str
    revision: str
    files: tuple[RemoteFile, ...]


def hub_address(endpoint: str | None) -> str:
    return endpoint or os.environ.get("HF_ENDPOINT") or "https://huggingface.co"


def without_secrets(text: str) -> str:
    """Return `text` without passwords and signatures in its addresses: a mirror's login, a signed download."""
    return re.sub(r"(https?://[^\s?]*)\?\S*", r"\1", re.sub(r"://[^/\s@]+@", "://", text))


def ask_hub(
    entry: CatalogueEntry, part: Part, revision: str | None, address: str, timeout_seconds: float
) -> RemotePart:
    """Return the full commit that `revision` (None = the default branch) means and the part's files there.

    Answers within `timeout_seconds`, whatever happens. Raises `HubUnreachable`, or `BadWeights` where the hub doesn't
    give out the repository, answers for another commit, or lacks a file.
    """
    repo, host = part.repo, without_secrets(address)
    assert repo is not None, "only parts that come from the hub are asked for"  # noqa: S101
    info = _answer_in_time(entry, part, revision, address, timeout_seconds)
    if revision is not None and info.sha != revision:
        raise BadWeights(f"{host} answered with commit {info.sha} where {revision} of {repo} was asked for")
    siblings = {each.rfilename: each for each in info.siblings or () if _PLAIN_NAME.fullmatch(each.rfilename)}
    sized = [name for name, sibling in siblings.items() if sibling.size is not None]
    found = {pattern: matching(pattern, sized) for pattern in part.patterns}
    absent = [pattern for pattern in part.files if not found[pattern]]
    if absent:
        pickles = sorted(name for name in siblings if name.endswith((".bin", ".pt", ".pth", ".ckpt")))[:1]
        instead = f"; it has {pickles[0]}, but pickled weights can run code and aren't fetched" if pickles else ""
        raise BadWeights(f"{repo} at {info.sha} has no {', '.join(absent)}{instead}")
    files = tuple(
        RemoteFile(
            name=name,
            size=siblings[name].size,
            sha256=siblings[name].lfs.sha256 if siblings[name].lfs else None,
            git_blob=siblings[name].blob_id,
        )
        for name in sorted({name for names in found.values() for name in names})
    )
    return RemotePart(part=part, repo=repo, revision=info.sha, files=files)


def download(
    remote: RemotePart, file: RemoteFile, root: Path, address: str, pull_command: str, report: Callable[[int], None]
) -> FileDigest:
    """Fetch one file into `root` and return its digest; `report` is told how many of its bytes are there.

    What is there of it already is kept and gone on from: the client's own download throws a partial file away, so that
    a slow line would never finish. Raises `HubUnreachable` if the connection breaks, `BadWeights` if the file isn't
    what the hub declared for it (it isn't kept then), `OSError` if the disk is full.
    """
    whole, host = root / file.name, without_secrets(address)
    whole.parent.mkdir(parents=True, exist_ok=True)
    part = whole.with_name(f"{whole.name}.part")
    if whole.is_file():  # of a pull that ended before it was through, or damaged since
        digest = _as_declared(whole, file)
        if digest is not None:
            report(file.size)
            return digest
        whole.unlink()
    _download_rest(remote, file, part, address, pull_command, report)
    digest = _as_declared(part, file)
    if digest is None:
        part.unlink()
        raise BadWeights(f"{file.name} from {host} isn't what it declares for it; it was not kept, try again")
    if file.name.endswith(".safetensors") and not _is_safetensors(part):
        part.unlink()
        raise BadWeights(f"{file.name} from {host} isn't in the safetensors format; it was not kept")
    part.replace(whole)
    return digest


def _download_rest(
    remote: RemotePart, file: RemoteFile, part: Path, address: str, pull_command: str, report: Callable[[int], None]
) -> None:
    from huggingface_hub import hf_hub_url
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers

    host = without_secrets(address)
    present = part.stat().st_size if part.is_file() else 0
    if present == file.size and present > 0:
        return
    resume_at = present if file.sha256 is not None and present < file.size else 0
    try:
        with _quiet_client(), part.open("ab") as out:
            out.truncate(resume_at)
            http_get(
                hf_hub_url(remote.repo, file.name, revision=remote.revision, endpoint=address),
                out,
                resume_size=resume_at,
                headers=build_hf_headers(token=_token(remote.part)),
                expected_size=file.size,
                tqdm_class=_reporting_bar(file.size, report),
            )
    except Exception as error:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise
        raise HubUnreachable(
            f"the download of {file.name} from {host} broke off ({_first_line(error)}); `{pull_command}` goes on"
        ) from error


def _answer_in_time(
    entry: CatalogueEntry, part: Part, revision: str | None, address: str, timeout_seconds: float
) -> Any:
    """Return the hub's description of the part's repository, or raise what can be said of its silence.

    The deadline is kept by a thread: name resolution and a server that trickles bytes know no other limit.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import (
        GatedRepoError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    host = without_secrets(address)
    answer: list[Any] = []

    def ask() -> None:
        try:
            api = HfApi(endpoint=address, token=_token(part))
            answer.append(
                api.model_info(str(part.repo), revision=revision, files_metadata=True, timeout=timeout_seconds)
            )
        except Exception as error:  # whatever it is, the caller below says it in one line
            answer.append(error)

    thread = threading.Thread(target=ask, name=f"ask-hub-{entry.id}", daemon=True)
    thread.start()
    thread.join(timeout_seconds)
    if not answer:
        raise HubUnreachable(f"{host} didn't answer within {timeout_seconds:g} s; {entry.title} was not pulled")
    info = answer[0]
    if isinstance(info, GatedRepoError):
        raise BadWeights(
            f"{part.repo} asks for consent to its licence: give it at {host}/{part.repo}, then `hf auth login`"
        ) from info
    if isinstance(info, RepositoryNotFoundError | RevisionNotFoundError):
        raise BadWeights(f"{host} doesn't give out {part.repo} at revision {revision or 'main'}") from info
    if isinstance(info, OfflineModeIsEnabled):
        raise HubUnreachable(f"HF_HUB_OFFLINE is set; {entry.title} was not pulled") from info
    if isinstance(info, Exception):
        raise HubUnreachable(f"{host} can't be reached ({_first_line(info)}); {entry.title} was not pulled") from info
    return info


def _token(part: Part) -> bool | None:
    """Return the client's "the login there is, if any" for gated repositories, and "none" for all others."""
    return None if part.gated else False


def _reporting_bar(size: int, report: Callable[[int], None]) -> type[hub_bar]:
    """Return a progress bar for the client that draws nothing and reports."""
    from huggingface_hub.utils import tqdm as hub_bar

    class Bar(hub_bar):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            self._done = int(kwargs.get("initial") or 0)
            super().__init__(*args, **{**kwargs, "disable": True})  # type: ignore[no-untyped-call]

        def update(self, n: float | None = 1) -> bool | None:
            self._done = max(0, min(self._done + int(n or 0), size))
            report(self._done)
            return None

    return Bar


@contextmanager
def _quiet_client() -> Iterator[None]:
    """Keep the client from logging each retry in two lines; the caller says it in one, if it comes to that."""
    log = logging.getLogger("huggingface_hub")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)


def _as_declared(path: Path, declared: RemoteFile) -> FileDigest | None:
    """Return the digest of a file that is what the hub declares, None for any other."""
    size = path.stat().st_size
    if size != declared.size:
        return None
    digest = sha256_of(path)
    if declared.sha256 is not None:
        is_same = digest == declared.sha256
    else:
        content = path.read_bytes()
        git_blob = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
        is_same = git_blob == declared.git_blob
    return FileDigest(sha256=digest, size=size) if is_same else None


def _is_safetensors(path: Path) -> bool:
    """Look whether the file begins as safetensors files do: 8 bytes of header length, then a JSON object."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        return 2 <= length <= min(_LONGEST_HEADER, path.stat().st_size - 8) and file.read(1) == b"{"


def _first_line(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return without_secrets(text.splitlines()[0])[:200]
