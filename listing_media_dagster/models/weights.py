"""Getting weights: `pull` fetches a catalogue entry from the hub, `find_weights` and `check` look without the network.

Nothing is ever downloaded except by `pull`.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from listing_media_dagster.models.catalogue import CatalogueEntry
from listing_media_dagster.models.weights_folder import (
    CARD_NAME,
    BadWeights,
    LockedFile,
    LockedModel,
    ModelMissing,
    WeightsCard,
    WeightsFolder,
    inspect_folder,
    lock_model,
    read_lock,
    sha256_of,
    write_whole,
)

if TYPE_CHECKING:
    from huggingface_hub.utils import tqdm as hub_bar

__all__ = [
    "BadWeights",
    "HubUnreachable",
    "ModelMissing",
    "PullProgress",
    "WeightsFolder",
    "check",
    "find_weights",
    "pull",
]


class HubUnreachable(Exception):
    """The hub didn't answer, or the connection to it broke; one line that says so."""


@dataclass(frozen=True)
class PullProgress:
    """How far a pull is. The first one has `done_bytes == 0`: the size is known before anything is fetched."""

    file: str
    done_bytes: int
    total_bytes: int


@dataclass(frozen=True)
class _RemoteFile:
    name: str
    size: int
    sha256: str | None  # of large files; the small ones are known by their git blob id
    git_blob: str | None


def find_weights(
    entry: CatalogueEntry,
    explicit: Path | None,
    models_dir: Path,
    *,
    hub_cache: Path | None = None,
    allow_test_weights: bool = False,
) -> WeightsFolder:
    """Find the weights of `entry` here: the folder named for them, else the pulled ones, else the hub's own cache.

    A folder that was named is taken or refused, never passed over. `hub_cache` is the Hugging Face cache (default: the
    usual place). Raises `ModelMissing` with the command that fetches them, `BadWeights` if what lies there was changed.
    """
    if explicit is not None:
        return inspect_folder(entry, explicit.expanduser(), allow_test_weights=allow_test_weights)
    models_dir = models_dir.expanduser()
    if _is_pulled(entry, models_dir):
        return check(entry, models_dir)
    cached = _in_hub_cache(entry, hub_cache)
    if cached is not None:
        return cached
    raise ModelMissing(entry.title, f"`{entry.pull_command}` fetches it once ({entry.size_mb} MB, {entry.licence})")


def check(entry: CatalogueEntry, models_dir: Path) -> WeightsFolder:
    """Verify every pulled file of `entry` against `models.lock`, offline.

    Raises `ModelMissing` if it wasn't pulled (at this revision), `BadWeights` naming the file that differs.
    """
    models_dir = models_dir.expanduser()
    if not _is_pulled(entry, models_dir):
        raise ModelMissing(entry.title, f"`{entry.pull_command}` fetches it once ({entry.size_mb} MB)")
    locked = read_lock(models_dir).models[entry.id]
    folder = models_dir / entry.id
    for name, expected in locked.files.items():
        path = folder / name
        if not path.is_file():
            raise BadWeights(f"{path} is gone: `{entry.pull_command}` fetches it again")
        if path.stat().st_size != expected.size or sha256_of(path) != expected.sha256:
            raise BadWeights(f"{path} isn't the file that was pulled: `{entry.pull_command}` fetches it again")
    return inspect_folder(entry, folder, origin="pulled", card=_card_of(entry, locked))


def pull(
    entry: CatalogueEntry,
    models_dir: Path,
    *,
    timeout_seconds: float = 10,
    progress: Callable[[PullProgress], None] | None = None,
    endpoint: str | None = None,
) -> WeightsFolder:
    """Fetch `entry` from the hub into `models_dir` and lock its digests; returns at once where it is here, intact.

    Only the files of the entry are fetched; a broken download goes on where it stopped. Every byte is checked against
    the digest that the hub declares for the pinned revision and against the lock of an earlier pull.
    Raises `HubUnreachable` if the hub hasn't answered within `timeout_seconds` (or breaks off), `BadWeights` if what it
    sent isn't what it should be, `ModelMissing` if the client isn't installed, `OSError` if the disk is full.
    """
    try:
        import filelock
        import huggingface_hub  # noqa: F401
    except ImportError as error:
        raise ModelMissing(
            entry.title, "install the client first: pip install 'listing-media-dagster[models]'"
        ) from error
    report = progress or (lambda _: None)
    models_dir = models_dir.expanduser()
    models_dir.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(models_dir / ".pull.lock"):
        if _is_pulled(entry, models_dir):
            try:
                return check(entry, models_dir)
            except BadWeights:
                pass  # fetched again below, and held to the lock
        address = endpoint or os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
        earlier = read_lock(models_dir).models.get(entry.id)
        revision = entry.revision or (earlier.revision if earlier else None)
        revision, remote = _ask_hub(entry, revision, address, timeout_seconds)
        total = sum(file.size for file in remote)
        _require_disk(models_dir, total)
        report(PullProgress(file=entry.weights, done_bytes=0, total_bytes=total))
        incoming = models_dir / f".incoming-{entry.id}-{revision[:12]}"
        _download(entry, remote, revision, incoming, address, report)
        locked = LockedModel(
            repo=entry.repo,
            revision=revision,
            files={file.name: _verified(incoming / file.name, file, address) for file in remote},
            pulled_at=datetime.now(UTC),
        )
        _require_same_as_first_pull(entry, locked, earlier, incoming)
        _move_in(entry, locked, incoming, models_dir)
        return check(entry, models_dir)


def _is_pulled(entry: CatalogueEntry, models_dir: Path) -> bool:
    locked = read_lock(models_dir).models.get(entry.id)
    return locked is not None and locked.repo == entry.repo and entry.revision in (None, locked.revision)


def _card_of(entry: CatalogueEntry, locked: LockedModel) -> WeightsCard:
    return WeightsCard(
        repo=locked.repo,
        revision=locked.revision,
        pretrained=entry.pretrained,
        weights_sha256=locked.files[entry.weights].sha256,
    )


def _in_hub_cache(entry: CatalogueEntry, hub_cache: Path | None) -> WeightsFolder | None:
    try:
        from huggingface_hub import try_to_load_from_cache
    except ImportError:
        return None
    found = [
        try_to_load_from_cache(entry.repo, name, revision=entry.revision, cache_dir=hub_cache) for name in entry.files
    ]
    paths = [Path(path) for path in found if isinstance(path, str)]
    if len(paths) < len(entry.files):
        return None
    folder = paths[0].parent
    # The cache names a large file's blob by its sha256: a blob that no longer has it was damaged.
    blob = (folder / entry.weights).resolve().name
    digest = sha256_of(folder / entry.weights)
    if len(blob) == 64 and blob != digest:
        raise BadWeights(
            f"{folder / entry.weights} in the hub's cache is damaged: remove it, or run `{entry.pull_command}`"
        )
    card = WeightsCard(repo=entry.repo, revision=folder.name, pretrained=entry.pretrained, weights_sha256=digest)
    return inspect_folder(entry, folder, origin="hub cache", card=card)


def _ask_hub(
    entry: CatalogueEntry, revision: str | None, address: str, timeout_seconds: float
) -> tuple[str, tuple[_RemoteFile, ...]]:
    """Return the full commit and the entry's files as the hub declares them, within `timeout_seconds` whatever happens.

    The deadline is kept by a thread: name resolution and a server that trickles bytes know no other limit.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import (
        GatedRepoError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    answer: list[Any] = []

    def ask() -> None:
        try:
            api = HfApi(endpoint=address, token=False)
            answer.append(api.model_info(entry.repo, revision=revision, files_metadata=True, timeout=timeout_seconds))
        except Exception as error:  # whatever it is, the caller below says it in one line
            answer.append(error)

    thread = threading.Thread(target=ask, name=f"ask-hub-{entry.id}", daemon=True)
    thread.start()
    thread.join(timeout_seconds)
    if not answer:
        raise HubUnreachable(f"{address} didn't answer within {timeout_seconds:g} s; {entry.title} was not pulled")
    info = answer[0]
    if isinstance(info, RepositoryNotFoundError | RevisionNotFoundError | GatedRepoError):
        raise BadWeights(f"{address} doesn't give out {entry.repo} at revision {revision or 'main'}") from info
    if isinstance(info, OfflineModeIsEnabled):
        raise HubUnreachable(f"HF_HUB_OFFLINE is set; {entry.title} was not pulled") from info
    if isinstance(info, Exception):
        raise HubUnreachable(
            f"{address} can't be reached ({_first_line(info)}); {entry.title} was not pulled"
        ) from info
    if revision is not None and info.sha != revision:
        raise BadWeights(f"{address} answered with commit {info.sha} where {revision} was asked for")
    siblings = {sibling.rfilename: sibling for sibling in info.siblings or ()}
    absent = [name for name in entry.files if name not in siblings or siblings[name].size is None]
    if absent:
        raise BadWeights(f"{entry.repo} at {info.sha} has no {', '.join(absent)}")
    return info.sha, tuple(
        _RemoteFile(
            name=name,
            size=siblings[name].size,
            sha256=siblings[name].lfs.sha256 if siblings[name].lfs else None,
            git_blob=siblings[name].blob_id,
        )
        for name in entry.files
    )


def _require_disk(models_dir: Path, total: int) -> None:
    free = shutil.disk_usage(models_dir).free
    if free < total * 1.02:
        raise OSError(
            errno.ENOSPC, f"{models_dir} has {free / 1e6:.0f} MB free, {total / 1e6:.0f} MB are needed", str(models_dir)
        )


def _download(
    entry: CatalogueEntry,
    remote: tuple[_RemoteFile, ...],
    revision: str,
    incoming: Path,
    address: str,
    report: Callable[[PullProgress], None],
) -> None:
    """Fetch `remote` into the folder `incoming`; what is there of a file already is kept and gone on from.

    The client's own `hf_hub_download` throws a partial file away, so that a slow line would never finish.
    """
    from huggingface_hub import hf_hub_url
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers

    incoming.mkdir(exist_ok=True)
    total = sum(file.size for file in remote)
    before = 0
    for file in remote:
        whole, part = incoming / file.name, incoming / f"{file.name}.part"
        if whole.is_file():
            whole.replace(part)
        present = part.stat().st_size if part.is_file() else 0
        resume_at = present if file.sha256 is not None and present <= file.size else 0
        try:
            with _quiet_client(), part.open("ab") as out:
                out.truncate(resume_at)
                http_get(
                    hf_hub_url(entry.repo, file.name, revision=revision, endpoint=address),
                    out,
                    resume_size=resume_at,
                    headers=build_hf_headers(token=False),
                    expected_size=file.size,
                    tqdm_class=_reporting_bar(file, before, total, report),
                )
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise
            raise _broken(entry, file, address, error) from error
        except Exception as error:
            raise _broken(entry, file, address, error) from error
        part.replace(whole)
        before += file.size


def _reporting_bar(file: _RemoteFile, before: int, total: int, report: Callable[[PullProgress], None]) -> type[hub_bar]:
    """Return a progress bar for the client that draws nothing and reports."""
    from huggingface_hub.utils import tqdm as hub_bar

    class Bar(hub_bar):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            self._done = int(kwargs.get("initial") or 0)
            super().__init__(*args, **{**kwargs, "disable": True})  # type: ignore[no-untyped-call]

        def update(self, n: float | None = 1) -> bool | None:
            self._done = max(0, min(self._done + int(n or 0), file.size))
            report(PullProgress(file=file.name, done_bytes=before + self._done, total_bytes=total))
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


def _broken(entry: CatalogueEntry, file: _RemoteFile, address: str, error: Exception) -> HubUnreachable:
    return HubUnreachable(
        f"the download of {file.name} from {address} broke off ({_first_line(error)}); `{entry.pull_command}` goes on"
    )


def _verified(path: Path, declared: _RemoteFile, address: str) -> LockedFile:
    """Return the digest of a downloaded file that is what the hub declared; otherwise remove it and raise."""
    size, digest = path.stat().st_size, sha256_of(path)
    if declared.sha256 is not None:
        matches = digest == declared.sha256
    else:
        content = path.read_bytes()
        git_blob = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
        matches = git_blob == declared.git_blob
    if size != declared.size or not matches:
        path.unlink()
        raise BadWeights(f"{path.name} from {address} isn't what it declares for it; it was not kept, try again")
    return LockedFile(sha256=digest, size=size)


def _require_same_as_first_pull(
    entry: CatalogueEntry, locked: LockedModel, earlier: LockedModel | None, incoming: Path
) -> None:
    if earlier is None or earlier.revision != locked.revision or earlier.repo != locked.repo:
        return
    changed = [name for name, file in locked.files.items() if name in earlier.files and earlier.files[name] != file]
    if changed:
        shutil.rmtree(incoming)
        raise BadWeights(
            f"{changed[0]} of {entry.repo} isn't the one first pulled at {locked.revision[:12]}; it was not kept. "
            "Find out who changed it before removing the entry from models.lock"
        )


def _move_in(entry: CatalogueEntry, locked: LockedModel, incoming: Path, models_dir: Path) -> None:
    write_whole(incoming / CARD_NAME, _card_of(entry, locked).model_dump_json(indent=2, exclude_none=True) + "\n")
    folder = models_dir / entry.id
    if folder.exists():
        shutil.rmtree(folder)
    incoming.replace(folder)
    lock_model(models_dir, entry.id, locked)


def _first_line(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:200]
