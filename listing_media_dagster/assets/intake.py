"""From a drop's files to photos and rejections: every file is looked at once, in a process of its own."""

import difflib
import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from listing_media_dagster.assets.drop import Drop, DropFile
from listing_media_dagster.assets.stage_run import StageRun, in_parallel
from listing_media_dagster.listing import (
    BadPhoto,
    BracketFrame,
    Listing,
    Photo,
    RejectedFile,
    SourceFile,
    StoredImage,
    StoredObject,
    photo_id_for,
    same_name,
)
from listing_media_dagster.photo import decode
from listing_media_dagster.photo.brackets import group_brackets
from listing_media_dagster.photo.decode import IntakeLimits
from listing_media_dagster.photo.duplicates import find_duplicates
from listing_media_dagster.photo.isolation import inspect_photos
from listing_media_dagster.photo.metadata import PhotoFacts
from listing_media_dagster.settings import settings
from listing_media_dagster.store.objects import key_problem

FILES_AT_A_TIME = 32
MUSIC = frozenset({".mp3", ".m4a", ".aac", ".ogg", ".opus", ".flac", ".wav"})


@dataclass(frozen=True)
class Delivery:
    """A file to look at: one of the drop, or an original of an earlier drop that an older version read."""

    name: str
    open_local: Callable[[], AbstractContextManager[Path]]


def intake_limits() -> IntakeLimits:
    """Return what may become a photo, as this installation is set."""
    at = settings()
    return IntakeLimits(
        max_bytes=at.max_file_mb * 2**20,
        max_pixels=at.max_megapixels * 1_000_000,
        min_short_edge=at.min_short_edge,
        decode_seconds=at.decode_seconds,
        decode_memory_bytes=at.decode_memory_mb * 2**20,
    )


def refuse_unread(files: Sequence[DropFile]) -> tuple[list[DropFile], list[RejectedFile]]:
    """Split off what needn't be read to be refused: names no store can hold, files too large, files too many."""
    at = settings()
    limit = at.max_file_mb * 2**20
    usable: list[DropFile] = []
    refused: list[RejectedFile] = []
    for file in files:
        if problem := key_problem(file.name):
            reason = f"its name can't be used: {problem}; rename it"
        elif file.size > limit:
            reason = f"the file has {file.size / 2**20:.0f} MB, the limit is {at.max_file_mb} MB: export it as JPEG"
        elif len(usable) >= at.max_files:
            reason = f"one of {len(files)} files, the limit is {at.max_files}: split the listing or raise the limit"
            reason += " (LISTING_MEDIA_MAX_FILES)"
        else:
            usable.append(file)
            continue
        refused.append(RejectedFile(name=file.name.encode(errors="backslashreplace").decode(), reason=reason))
    return usable, refused


def keep_companions(
    drop: Drop, files: Sequence[DropFile], listing: Listing, stage: StageRun
) -> tuple[dict[str, StoredObject], list[RejectedFile]]:
    """Keep the logo and the music that listing.yaml names, if they are what they should be; they are no photos."""
    kept = dict(stage.previous.companions) if stage.previous else {}
    kept = {name: stored for name, stored in kept.items() if name in (listing.agent.logo, listing.music)}
    refused = []
    for file in files:
        name = same_name(file.name)
        if name not in (listing.agent.logo, listing.music):
            continue
        with drop.open_local(file.name) as path:
            problem = _problem_of_companion(file.name, path, is_logo=name == listing.agent.logo)
            if problem:
                kept.pop(name, None)
                refused.append(RejectedFile(name=file.name, reason=problem))
            else:
                kept[name] = stage.media.write(stage.key(f"companions/{name}"), path)
    return kept, refused


def _problem_of_companion(name: str, path: Path, *, is_logo: bool) -> str | None:
    if not is_logo:
        known = ", ".join(sorted(MUSIC))
        return None if Path(name).suffix.lower() in MUSIC else f"named as music, but not one of {known}"
    (finding,) = inspect_photos([path], IntakeLimits(max_bytes=20 * 2**20, max_pixels=40_000_000, min_short_edge=16))
    return f"named as logo, but {finding}" if isinstance(finding, BadPhoto) else None


def take(deliveries: Sequence[Delivery], stage: StageRun) -> Iterator[Photo | RejectedFile]:
    """Yield what becomes of each file; what was read before, by this version, isn't read again."""
    known = {
        (source.name, source.sha256): photo
        for photo in stage.previous_photos
        if photo.fingerprint == _fingerprint(photo.sources[0].sha256, stage)
        for source in photo.sources
    }
    # In batches, so that a large drop in a bucket never lies on this machine's disk as a whole.
    for start in range(0, len(deliveries), FILES_AT_A_TIME):
        yield from _take_batch(deliveries[start : start + FILES_AT_A_TIME], known, len(deliveries), stage)


def _take_batch(
    deliveries: Sequence[Delivery], known: Mapping[tuple[str, str], Photo], total: int, stage: StageRun
) -> Iterator[Photo | RejectedFile]:
    unread: dict[Path, tuple[str, str]] = {}
    with ExitStack() as open_files:
        opened = [(delivery, open_files.enter_context(delivery.open_local())) for delivery in deliveries]

        def look(at: tuple[Delivery, Path]) -> tuple[str, Photo | None]:
            digest = _sha256(at[1])
            earlier = known.get((at[0].name, digest))
            return digest, earlier if earlier and not stage.media.verify([earlier.image]) else None

        looked = dict(in_parallel(opened, look))
        for delivery, path in opened:
            digest, earlier = looked[delivery, path]
            if earlier:
                stage.reused += 1
                yield earlier
            else:
                unread[path] = (delivery.name, digest)

        def one_done(path: Path) -> None:
            stage.computed += 1
            stage.progress(stage.reused + stage.computed, total, unread[path][0])

        findings = inspect_photos(list(unread), intake_limits(), workers=settings().workers, on_done=one_done)
        for (path, (name, digest)), facts in zip(unread.items(), findings, strict=True):
            if isinstance(facts, BadPhoto):
                yield RejectedFile(name=name, reason=str(facts), sha256=digest)
            else:
                yield _keep_original(path, name, digest, facts, stage)


def _keep_original(path: Path, name: str, digest: str, facts: PhotoFacts, stage: StageRun) -> Photo | RejectedFile:
    photo_id = photo_id_for(name, digest)
    original = stage.media.write(stage.key(f"{photo_id}.{_extension(facts.format)}"), path)
    if original.sha256 != digest:
        return RejectedFile(name=name, reason="the file changed while it was read; deliver it again")
    return Photo(
        photo_id=photo_id,
        sources=(SourceFile(name=name, key=original.key, sha256=digest),),
        image=StoredImage(**original.model_dump(), width=facts.width, height=facts.height),
        captured_at=facts.captured_at,
        notes=tuple(facts.notes),
        facts=facts.model_dump(mode="json"),
        fingerprint=_fingerprint(digest, stage),
    )


@dataclass(frozen=True)
class Earlier:
    """What earlier drops still contribute: photos as they were read, originals to read again, and what was replaced."""

    current: list[Photo]
    outdated: list[Delivery]
    replaced: list[RejectedFile]


def earlier_originals(taken: Sequence[Photo], stage: StageRun) -> Earlier:
    """Return what of earlier drops belongs to the listing beside what was `taken` from this one."""
    newest = {source.name: source.sha256 for photo in taken for source in photo.sources}
    earlier = Earlier([], [], [])
    for photo in stage.previous_photos:
        staying = tuple(source for source in photo.sources if source.name not in newest)
        if staying and photo.fingerprint == _fingerprint(photo.sources[0].sha256, stage):
            earlier.current.append(photo.model_copy(update={"sources": staying}))
        else:
            opened = partial(stage.media.open_local, photo.image)
            earlier.outdated.extend(Delivery(source.name, opened) for source in staying)
        earlier.replaced.extend(
            RejectedFile(
                name=source.name,
                reason="replaced by a newer upload of the same name",
                key=source.key,
                sha256=source.sha256,
                replaced_by=source.name,
            )
            for source in photo.sources
            if newest.get(source.name, source.sha256) != source.sha256
        )
    stage.reused += len(earlier.current)
    return earlier


def relate(photos: Iterable[Photo]) -> list[Photo]:
    """Merge what is one and the same, then mark duplicates and bracket sets: they depend on the listing as a whole."""
    merged: dict[str, Photo] = {}
    for photo in photos:
        sources = dict.fromkeys(
            (*merged[photo.photo_id].sources, *photo.sources) if photo.photo_id in merged else photo.sources
        )
        merged[photo.photo_id] = photo.model_copy(update={"sources": tuple(sources)})
    ordered = sorted(merged.values(), key=lambda photo: (photo.sources[0].name, photo.photo_id))
    facts = {photo.photo_id: PhotoFacts.model_validate(photo.facts) for photo in ordered}
    twins = find_duplicates(facts, {photo.photo_id: photo.sources[0].sha256 for photo in ordered})
    singles = {photo_id: fact for photo_id, fact in facts.items() if photo_id not in twins}
    frames = {
        photo_id: BracketFrame(group=bracket.group, exposure_ev=ev, is_reference=photo_id == bracket.reference)
        for bracket in group_brackets(singles)
        for photo_id, ev in zip(bracket.ids, bracket.exposures_ev, strict=True)
    }
    related = []
    for photo in ordered:
        twin = twins.get(photo.photo_id)
        notes = (*facts[photo.photo_id].notes, *_notes_on_twins(photo, merged[twin] if twin else None))
        change = {"duplicate_of": twin, "bracket": frames.get(photo.photo_id), "notes": notes}
        related.append(photo.model_copy(update=change))
    return related


def _notes_on_twins(photo: Photo, twin: Photo | None) -> Iterator[str]:
    if len(photo.sources) > 1:
        yield f"the same file was delivered as {', '.join(source.name for source in photo.sources)}"
    if twin is not None:
        exact = twin.sources[0].sha256 == photo.sources[0].sha256
        yield f"{'the same file as' if exact else 'nearly the same picture as'} {twin.sources[0].name}"


def unmatched_names(listing: Listing, photos: Iterable[Photo], others: Iterable[str]) -> list[str]:
    """Return what listing.yaml says of files that aren't there, such as a mistyped name in `exclude`."""
    there = {name for photo in photos for name in photo.names} | {same_name(name) for name in others}
    said: dict[str, Iterable[str]] = {
        "rooms": listing.rooms,
        "exclude": listing.exclude,
        "stage.include": listing.stage.include,
        "stage.exclude": listing.stage.exclude,
        "stage.kits": listing.stage.kits,
        "stage.same_room": [name for names in listing.stage.same_room for name in names],
        "generative": sorted(listing.generative.names),
        "agent.logo": filter(None, [listing.agent.logo]),
        "music": filter(None, [listing.music]),
    }
    return [
        f"{key}: {name}{_did_you_mean(name, there)}"
        for key, names in said.items()
        for name in names
        if name not in there
    ]


def _did_you_mean(name: str, there: Collection[str]) -> str:
    by_small_letters = {known.lower(): known for known in there}
    near = difflib.get_close_matches(name.lower(), by_small_letters, n=1, cutoff=0.8)
    return f", did you mean {by_small_letters[near[0]]}?" if near else ""


def _fingerprint(digest: str, stage: StageRun) -> str:
    return stage.fingerprint(original=digest, version=decode.VERSION)


def _extension(format_name: str) -> str:
    return {"JPEG": "jpg", "MPO": "jpg"}.get(format_name.upper(), format_name.lower())


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
