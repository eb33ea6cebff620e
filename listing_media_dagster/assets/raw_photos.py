"""raw_photos: what the photographer delivered, byte for byte, every file accepted or rejected with its reason."""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import dagster as dg
from pydantic import Field

from listing_media_dagster.assets.drop import Drop, DropFile, FolderDrop, InboxDrop
from listing_media_dagster.assets.shown import stage_metadata
from listing_media_dagster.assets.stage_asset import stage_asset
from listing_media_dagster.assets.stage_run import StageRun
from listing_media_dagster.listing import (
    BadListing,
    BadPhoto,
    BracketFrame,
    Listing,
    Photo,
    PhotoSet,
    RejectedFile,
    SourceFile,
    StoredImage,
    StoredObject,
    check_listing_id,
    photo_id_for,
)
from listing_media_dagster.listing_yaml import parse_listing_yaml
from listing_media_dagster.photo.brackets import group_brackets
from listing_media_dagster.photo.decode import IntakeLimits
from listing_media_dagster.photo.duplicates import find_duplicates
from listing_media_dagster.photo.isolation import inspect_photos
from listing_media_dagster.photo.metadata import PhotoFacts
from listing_media_dagster.settings import settings
from listing_media_dagster.store.objects import key_problem
from listing_media_dagster.store.photo_sets import MediaStoreResource

FILES_AT_A_TIME = 32


class IntakeConfig(dg.Config):
    """Where the photos are."""

    source: str | None = Field(
        None,
        description="a folder of this machine with exactly this listing's files; default: its drop",
    )


@stage_asset(
    description="Originals as delivered, kept byte for byte; every file is accepted or rejected with a reason.",
    kinds={"pillow"},
    code_version="1",
    checks={"every_file_is_a_photo": "Warns when files were rejected, or flagged for a person to look at."},
)
def raw_photos(
    context: dg.AssetExecutionContext, config: IntakeConfig, media: MediaStoreResource
) -> dg.MaterializeResult:
    listing_id = _partition(context)
    stage = StageRun.begin(context, media)
    drop = _drop(config, stage)
    listing = _listing(drop, listing_id, stage)
    files, unusable = _usable_names(drop.files())
    files, too_many = _within_count(files, settings().max_files)
    companions = _keep_companions(drop, files, listing, stage)
    photo_files = [file for file in files if file.name not in companions]

    delivered, refused = _take(drop, photo_files, stage)
    photos, superseded = _with_earlier_photos(delivered, stage, only_this_drop=config.source is not None)
    photos = _relate(photos)
    photo_set = PhotoSet(
        listing=listing,
        asset=stage.asset,
        photos=tuple(photos),
        rejected=(*unusable, *too_many, *refused, *superseded),
        companions=companions,
    )
    check = _check(photo_set)
    photo_set = stage.finish(photo_set, [check])
    if not photos:
        media.photo_sets().save(photo_set)  # so that the report says what was wrong with each file
        raise dg.Failure(_nothing_to_work_with(drop, photo_set), allow_retries=False)
    return dg.MaterializeResult(value=photo_set, metadata=stage_metadata(photo_set, stage), check_results=[check])


def _partition(context: dg.AssetExecutionContext) -> str:
    try:
        return check_listing_id(context.partition_key)
    except BadListing as bad:
        raise dg.Failure(str(bad), allow_retries=False) from None


def _drop(config: IntakeConfig, stage: StageRun) -> Drop:
    if config.source is None:
        return InboxDrop(stage.media, stage.listing_id)
    folder = Path(config.source).expanduser()
    if not folder.is_dir():
        raise dg.Failure(f"{folder} is no folder: give the folder that holds the photos", allow_retries=False)
    return FolderDrop(folder.resolve())


def _listing(drop: Drop, listing_id: str, stage: StageRun) -> Listing:
    """Read the drop's listing.yaml; a later drop without one keeps what an earlier one said."""
    text = drop.listing_yaml()
    if text is None:
        return stage.previous.listing if stage.previous else Listing(id=listing_id)
    try:
        return parse_listing_yaml(text, listing_id)
    except BadListing as bad:
        raise dg.Failure(f"{drop.where}: {bad}", allow_retries=False) from None


def _usable_names(files: list[DropFile]) -> tuple[list[DropFile], list[RejectedFile]]:
    """Leave out files whose names no store can hold, such as those with a tab in them."""
    problems = {file: problem for file in files if (problem := key_problem(file.name))}
    refused = [
        RejectedFile(
            name=file.name.encode(errors="backslashreplace").decode(),
            reason=f"its name can't be used: {problem}; rename it",
        )
        for file, problem in problems.items()
    ]
    return [file for file in files if file not in problems], refused


def _within_count(files: list[DropFile], limit: int) -> tuple[list[DropFile], list[RejectedFile]]:
    reason = (
        f"the drop has {len(files)} files and the limit is {limit}; split the listing or raise LISTING_MEDIA_MAX_FILES"
    )
    return files[:limit], [RejectedFile(name=file.name, reason=reason) for file in files[limit:]]


def _keep_companions(drop: Drop, files: list[DropFile], listing: Listing, stage: StageRun) -> dict[str, StoredObject]:
    """Keep the logo and the music that listing.yaml names; they are no photos of the home."""
    named = {listing.agent.logo, listing.music}
    kept = dict(stage.previous.companions) if stage.previous else {}
    kept = {name: stored for name, stored in kept.items() if name in named}
    for file in files:
        if file.name in named:
            with drop.open_local(file.name) as path:
                kept[file.name] = stage.media.write(stage.key(f"companions/{file.name}"), path)
    return kept


def _take(drop: Drop, files: list[DropFile], stage: StageRun) -> tuple[list[Photo], list[RejectedFile]]:
    """Validate each file by decoding it in a process of its own, and keep the originals of those that are photos."""
    taken: list[Photo] = []
    refused: list[RejectedFile] = []
    # In batches, so that a large drop in a bucket never lies on this machine's disk as a whole.
    for start in range(0, len(files), FILES_AT_A_TIME):
        for outcome in _take_batch(drop, files[start : start + FILES_AT_A_TIME], len(files), stage):
            if isinstance(outcome, Photo):
                taken.append(outcome)
            else:
                refused.append(outcome)
    return taken, refused


def _take_batch(drop: Drop, files: list[DropFile], total: int, stage: StageRun) -> Iterator[Photo | RejectedFile]:
    known = {(source.name, source.sha256): photo for photo in _earlier(stage) for source in photo.sources}
    unknown: dict[Path, tuple[DropFile, str]] = {}
    with ExitStack() as open_files:
        for file in files:
            path = open_files.enter_context(drop.open_local(file.name))
            digest = _sha256(path)
            earlier = known.get((file.name, digest))
            if earlier and not stage.media.verify([earlier.image]):
                stage.reused += 1
                yield earlier
            else:
                unknown[path] = (file, digest)

        def one_done(path: Path) -> None:
            stage.computed += 1
            stage.progress(stage.reused + stage.computed, total, unknown[path][0].name)

        findings = inspect_photos(list(unknown), intake_limits(), workers=settings().workers, on_done=one_done)
        for (path, (file, digest)), facts in zip(unknown.items(), findings, strict=True):
            if isinstance(facts, BadPhoto):
                yield RejectedFile(name=file.name, reason=str(facts), sha256=digest)
            else:
                yield _keep_original(path, file, digest, facts, stage)


def _keep_original(path: Path, file: DropFile, digest: str, facts: PhotoFacts, stage: StageRun) -> Photo | RejectedFile:
    photo_id = photo_id_for(file.name, digest)
    original = stage.media.write(stage.key(f"{photo_id}.{_extension(facts.format)}"), path)
    if original.sha256 != digest:
        return RejectedFile(name=file.name, reason="the file changed while it was read; deliver it again")
    return Photo(
        photo_id=photo_id,
        sources=(SourceFile(name=file.name, key=original.key, sha256=digest),),
        image=StoredImage(**original.model_dump(), width=facts.width, height=facts.height),
        captured_at=facts.captured_at,
        notes=tuple(facts.notes),
        facts=facts.model_dump(mode="json"),
        fingerprint=digest,
    )


def _earlier(stage: StageRun) -> tuple[Photo, ...]:
    return stage.previous.photos if stage.previous else ()


def _with_earlier_photos(
    delivered: list[Photo], stage: StageRun, *, only_this_drop: bool
) -> tuple[list[Photo], list[RejectedFile]]:
    """Add the photos of earlier drops; a newer upload of the same file name takes the older one's place.

    A folder given as `source` is the whole listing, so nothing is added to it.
    """
    newest = {photo.sources[0].name: photo for photo in delivered}
    ids = {photo.photo_id for photo in delivered}
    photos = list({photo.photo_id: photo for photo in delivered}.values())
    replaced: list[RejectedFile] = []
    if not only_this_drop:
        for photo in _earlier(stage):
            source = photo.sources[0]
            if photo.photo_id in ids:
                continue
            if source.name in newest:
                reason = "replaced by a newer upload of the same name"
                replaced.append(
                    RejectedFile(
                        name=source.name, reason=reason, key=source.key, sha256=source.sha256, replaced_by=source.name
                    )
                )
            else:
                photos.append(photo)
    return sorted(photos, key=lambda photo: (photo.sources[0].name, photo.photo_id)), replaced


def _relate(photos: list[Photo]) -> list[Photo]:
    """Mark duplicates and the frames of bracket sets; both depend on the listing as a whole."""
    facts = {photo.photo_id: PhotoFacts.model_validate(photo.facts) for photo in photos}
    digests = {photo.photo_id: photo.sources[0].sha256 for photo in photos}
    twins = find_duplicates(facts, digests)
    frames: Mapping[str, BracketFrame] = {
        photo_id: BracketFrame(group=bracket.group, exposure_ev=ev, is_reference=photo_id == bracket.reference)
        for bracket in group_brackets({photo_id: fact for photo_id, fact in facts.items() if photo_id not in twins})
        for photo_id, ev in zip(bracket.ids, bracket.exposures_ev, strict=True)
    }
    names = {photo.photo_id: photo.sources[0].name for photo in photos}
    related = []
    for photo in photos:
        twin = twins.get(photo.photo_id)
        notes = tuple(facts[photo.photo_id].notes)
        if twin:
            exact = digests[twin] == digests[photo.photo_id]
            notes += (f"{'the same file as' if exact else 'nearly the same picture as'} {names[twin]}",)
        related.append(
            photo.model_copy(update={"duplicate_of": twin, "bracket": frames.get(photo.photo_id), "notes": notes})
        )
    return related


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


def _extension(format_name: str) -> str:
    return {"JPEG": "jpg", "MPO": "jpg"}.get(format_name.upper(), format_name.lower())


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check(photo_set: PhotoSet) -> dg.AssetCheckResult:
    flagged = [photo for photo in photo_set.photos if photo.notes]
    clean = not photo_set.rejected and not flagged
    return dg.AssetCheckResult(
        check_name="every_file_is_a_photo",
        passed=clean,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{len(photo_set.photos)} accepted ({len(flagged)} flagged), {len(photo_set.rejected)} rejected",
        metadata={"accepted": len(photo_set.photos), "flagged": len(flagged), "rejected": len(photo_set.rejected)},
    )


def _nothing_to_work_with(drop: Drop, photo_set: PhotoSet) -> str:
    if not photo_set.rejected:
        return f"{drop.where} holds no photos: put JPEG, PNG, WebP, HEIC or AVIF files there and run again"
    reasons = "; ".join(f"{file.name}: {file.reason}" for file in photo_set.rejected[:10])
    more = f" (and {len(photo_set.rejected) - 10} more, see report.json)" if len(photo_set.rejected) > 10 else ""
    return f"none of the {len(photo_set.rejected)} files in {drop.where} can be used. {reasons}{more}"
