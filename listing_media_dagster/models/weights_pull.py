"""Fetching weights from the hub: `pull` does it, `plan_pull` says what it would be. Nothing else ever downloads."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from listing_media_dagster.models.entry import CatalogueEntry, licence_refusal
from listing_media_dagster.models.weights import gather_parts
from listing_media_dagster.models.weights_folder import (
    CARD_NAME,
    BadWeights,
    ModelMissing,
    WeightsFolder,
    refuse_custom_code,
    write_whole,
)
from listing_media_dagster.models.weights_hub import (
    HubUnreachable,
    RemoteFile,
    RemotePart,
    ask_hub,
    download,
    hub_address,
)
from listing_media_dagster.models.weights_lock import (
    LockedModel,
    LockedPart,
    ModelsLock,
    changing,
    read_lock,
    repository_folder,
    verify,
    write_lock,
)

__all__ = ["HubUnreachable", "LicenceRefused", "PlannedFile", "PullPlan", "PullProgress", "plan_pull", "pull"]


class LicenceRefused(Exception):
    """The licence doesn't allow business use as it stands; the message says what it asks and how to allow the model."""


@dataclass(frozen=True)
class PullProgress:
    """How far a pull is. The first one has `done_bytes == 0`: the size is known before anything is fetched."""

    file: str
    done_bytes: int
    total_bytes: int


@dataclass(frozen=True)
class PlannedFile:
    """A file of an entry as the hub has it; `is_here` if an earlier pull, perhaps of another model, brought it."""

    role: str
    repo: str
    revision: str
    name: str
    size: int
    is_here: bool


@dataclass(frozen=True)
class PullPlan:
    """What a pull would fetch, and onto which disk."""

    files: tuple[PlannedFile, ...]
    free_bytes: int

    @property
    def bytes_to_fetch(self) -> int:
        return sum(file.size for file in self.files if not file.is_here)


def plan_pull(
    entry: CatalogueEntry, models_dir: Path, *, timeout_seconds: float = 10, endpoint: str | None = None
) -> PullPlan:
    """Ask the hub what a pull of `entry` would fetch; fetches and writes nothing. Raises as `pull` does."""
    _require_client(entry)
    models_dir = models_dir.expanduser()
    lock = read_lock(models_dir)
    remotes = _ask_for_parts(entry, lock, hub_address(endpoint), timeout_seconds)
    present = {(remote.part.role, file.name) for remote in remotes for file in _files_here(remote, lock, models_dir)}
    files = tuple(
        PlannedFile(
            role=remote.part.role,
            repo=remote.repo,
            revision=remote.revision,
            name=file.name,
            size=file.size,
            is_here=(remote.part.role, file.name) in present,
        )
        for remote in remotes
        for file in remote.files
    )
    return PullPlan(files=files, free_bytes=shutil.disk_usage(_existing(models_dir)).free)


def pull(
    entry: CatalogueEntry,
    models_dir: Path,
    *,
    timeout_seconds: float = 10,
    progress: Callable[[PullProgress], None] | None = None,
    endpoint: str | None = None,
    allowed_licences: Collection[str] = (),
) -> WeightsFolder:
    """Fetch `entry` from the hub into `models_dir` and lock its digests; returns at once where it is here, intact.

    Only the files of the entry are fetched, those that another model brought aren't fetched again, and a broken
    download goes on where it stopped. Every byte is checked against the digest that the hub declares for the pinned
    revision and against the lock of an earlier pull.
    Raises `HubUnreachable` if the hub hasn't answered within `timeout_seconds` (or breaks off), `BadWeights` if what it
    sent isn't what it should be, `LicenceRefused` unless every licence allows business or is in `allowed_licences`,
    `ModelMissing` if the client isn't installed, `OSError` if the disk is (or would be) full.
    """
    refusal = licence_refusal(entry, allowed_licences)
    if refusal:
        raise LicenceRefused(refusal)
    models_dir = models_dir.expanduser()
    if not any(part.is_pulled for part in entry.all_parts):
        return gather_parts(entry, models_dir, allow_test_weights=True)
    _require_client(entry)
    models_dir.mkdir(parents=True, exist_ok=True)
    with changing(models_dir):
        try:
            return gather_parts(entry, models_dir, allow_test_weights=True)
        except (BadWeights, ModelMissing):
            lock = read_lock(models_dir)  # a lock that can't be read ends the pull here
        address = hub_address(endpoint)
        remotes = _ask_for_parts(entry, lock, address, timeout_seconds)
        parts = _fetch(entry, remotes, lock, models_dir, address, progress or (lambda _: None))
        locked = LockedModel(parts=parts, pulled_at=datetime.now(UTC))
        write_lock(models_dir, ModelsLock(models={**lock.models, entry.id: locked}))
        folder = gather_parts(entry, models_dir, allow_test_weights=True)
        if len(entry.all_parts) == 1:
            write_whole(
                folder.parts[0].root / CARD_NAME, folder.card.model_dump_json(indent=2, exclude_none=True) + "\n"
            )
        return folder


def _require_client(entry: CatalogueEntry) -> None:
    try:
        import filelock  # noqa: F401
        import huggingface_hub  # noqa: F401
    except ImportError as error:
        how = "install the client first: pip install 'listing-media-dagster[models]'"
        raise ModelMissing(entry.title, how) from error


def _ask_for_parts(entry: CatalogueEntry, lock: ModelsLock, address: str, timeout_seconds: float) -> list[RemotePart]:
    """Ask the hub for every part that comes from it, at the pinned revision, else the one first pulled."""
    remotes = []
    for part in entry.all_parts:
        if part.repo is None:
            continue
        revision = part.revision or lock.revision_of(part.repo)
        remote = ask_hub(entry, part, revision, address, timeout_seconds)
        _require_same_as_first_pull(remote, lock)
        remotes.append(remote)
    return remotes


def _require_same_as_first_pull(remote: RemotePart, lock: ModelsLock) -> None:
    earlier = lock.files_of(remote.repo, remote.revision)
    for file in remote.files:
        known = remote.part.digests.get(file.name) or earlier.get(file.name)
        if known and (file.size != known.size or file.sha256 not in (None, known.sha256)):
            raise BadWeights(
                f"{file.name} of {remote.repo} isn't the one first pulled at {remote.revision[:12]}; "
                "it wasn't fetched. Find out who changed it before removing the entry from models.lock"
            )


def _files_here(remote: RemotePart, lock: ModelsLock, models_dir: Path) -> list[RemoteFile]:
    """Return the files of `remote` that lie here, intact, from an earlier pull."""
    earlier = lock.files_of(remote.repo, remote.revision)
    here = []
    for file in remote.files:
        if file.name not in earlier:
            continue
        one = LockedPart(repo=remote.repo, revision=remote.revision, files={file.name: earlier[file.name]})
        try:
            verify(models_dir, one, "")
        except BadWeights:
            continue
        here.append(file)
    return here


def _fetch(
    entry: CatalogueEntry,
    remotes: Sequence[RemotePart],
    lock: ModelsLock,
    models_dir: Path,
    address: str,
    report: Callable[[PullProgress], None],
) -> dict[str, LockedPart]:
    """Download what isn't here of `remotes` and return what there is then, by role."""
    here = {remote.part.role: _files_here(remote, lock, models_dir) for remote in remotes}
    wanted = [(remote, file) for remote in remotes for file in remote.files if file not in here[remote.part.role]]
    total = sum(file.size for _, file in wanted)
    _require_disk(models_dir, total - _already_arrived(wanted, models_dir))
    report(PullProgress(file=wanted[0][1].name if wanted else "", done_bytes=0, total_bytes=total))
    digests = {remote.part.role: dict(lock.files_of(remote.repo, remote.revision)) for remote in remotes}
    before = 0
    for remote, file in wanted:
        root = models_dir / repository_folder(remote.repo, remote.revision)

        def arrived(done: int, *, file: RemoteFile = file, before: int = before) -> None:
            report(PullProgress(file=file.name, done_bytes=before + done, total_bytes=total))

        digest = download(remote, file, root, address, entry.pull_command, arrived)
        known = remote.part.digests.get(file.name) or digests[remote.part.role].get(file.name)
        if known not in (None, digest):  # a small file, whose sha256 the hub doesn't declare
            (root / file.name).unlink()
            raise BadWeights(f"{file.name} of {remote.repo} isn't the one first pulled; it was not kept")
        digests[remote.part.role][file.name] = digest
        before += file.size
    for remote in remotes:
        root = models_dir / repository_folder(remote.repo, remote.revision)
        refuse_custom_code(root, [file.name for file in remote.files])
    return {
        remote.part.role: LockedPart(
            repo=remote.repo,
            revision=remote.revision,
            files={file.name: digests[remote.part.role][file.name] for file in remote.files},
        )
        for remote in remotes
    }


def _already_arrived(wanted: Sequence[tuple[RemotePart, RemoteFile]], models_dir: Path) -> int:
    """Return the bytes of broken-off downloads, which a pull goes on from."""
    parts = [
        models_dir / repository_folder(remote.repo, remote.revision) / f"{file.name}.part" for remote, file in wanted
    ]
    return sum(part.stat().st_size for part in parts if part.is_file())


def _require_disk(models_dir: Path, total: int) -> None:
    free = shutil.disk_usage(models_dir).free
    if free < total * 1.02:
        raise OSError(
            errno.ENOSPC, f"{models_dir} has {free / 1e6:.0f} MB free, {total / 1e6:.0f} MB are needed", str(models_dir)
        )


def _existing(folder: Path) -> Path:
    while not folder.exists():
        folder = folder.parent
    return folder
