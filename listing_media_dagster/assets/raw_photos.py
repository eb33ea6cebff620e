"""raw_photos: what the photographer delivered, byte for byte, every file accepted or rejected with its reason."""

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

import dagster as dg
from pydantic import Field

from listing_media_dagster.assets.drop import Drop, FolderDrop, InboxDrop, links_in_words
from listing_media_dagster.assets.furnishing import with_known_kits
from listing_media_dagster.assets.intake import (
    Delivery,
    earlier_originals,
    keep_companions,
    refuse_unread,
    relate,
    take,
    unmatched_names,
)
from listing_media_dagster.assets.shown import stage_metadata
from listing_media_dagster.assets.stage_asset import stage_asset
from listing_media_dagster.assets.stage_run import StageRun
from listing_media_dagster.listing import (
    BadListing,
    Listing,
    Photo,
    PhotoSet,
    RejectedFile,
    check_listing_id,
    same_name,
)
from listing_media_dagster.listing_yaml import parse_listing_yaml
from listing_media_dagster.store.photo_sets import MediaStoreResource


class IntakeConfig(dg.Config):
    """Where the photos are."""

    source: str | None = Field(
        None,
        description="a folder of this machine with exactly this listing's files; default: its drop",
    )


NOT_READ_YET = ("music", "rule_profile", "callback_url")
"""Keys of listing.yaml that no stage reads: whoever gives one is told."""


@stage_asset(
    description="Originals as delivered, kept byte for byte; every file is accepted or rejected with a reason.",
    kinds={"pillow"},
    code_version="1",
    checks={"every_file_is_a_photo": "Warns when files were rejected, or flagged for a person to look at."},
)
def raw_photos(
    context: dg.AssetExecutionContext, config: IntakeConfig, media: MediaStoreResource
) -> dg.MaterializeResult:
    _check_partition(context)
    stage = StageRun.begin(context, media)
    if config.source is None:
        _refuse_to_forget(stage)
    drop = _drop(config, stage)
    listing = _listing(drop, stage)
    files, refused = refuse_unread(drop.files())
    companions, bad_companions = keep_companions(drop, files, listing, stage)
    refused += bad_companions
    set_aside = {*companions, *(same_name(file.name) for file in bad_companions)}

    dropped = [
        Delivery(file.name, partial(drop.open_local, file.name))
        for file in files
        if same_name(file.name) not in set_aside
    ]
    taken, unfit = _sorted_out(take(dropped, stage))
    refused += unfit
    if config.source is None:  # a folder given as source is the whole listing; a drop adds to what was there
        earlier = earlier_originals(taken, stage)
        read_again, unfit = _sorted_out(take(earlier.outdated, stage))
        taken += [*earlier.current, *read_again]
        refused += [*unfit, *earlier.replaced, *_still_refused(stage, {file.name for file in files})]
    photo_set = PhotoSet(
        listing=listing,
        asset=stage.asset,
        photos=tuple(relate(taken)),
        rejected=tuple(refused),
        companions=companions,
    )
    unmatched = unmatched_names(listing, photo_set.photos, [*companions, *(file.name for file in refused)])
    for name in unmatched:
        stage.say(f"listing.yaml names a file that isn't there ({name})")
    if isinstance(drop, FolderDrop) and (links := drop.links()):
        stage.say(links_in_words(links))
    for key in NOT_READ_YET:
        if getattr(listing, key) is not None:
            stage.say(f"{key} in listing.yaml is kept, but nothing reads it yet")
    check = _check(photo_set, unmatched)
    photo_set = stage.finish(photo_set, [check])
    if not photo_set.photos:
        # So that the report says what was wrong with each file; photos taken in before stay what they were.
        media.photo_sets().save(photo_set.model_copy(update={"photos": stage.previous_photos}))
        raise dg.Failure(_nothing_to_work_with(drop, photo_set), allow_retries=False)
    return dg.MaterializeResult(value=photo_set, metadata=stage_metadata(photo_set, stage), check_results=[check])


def _sorted_out(outcomes: Iterable[Photo | RejectedFile]) -> tuple[list[Photo], list[RejectedFile]]:
    photos: list[Photo] = []
    refused: list[RejectedFile] = []
    for outcome in outcomes:
        if isinstance(outcome, Photo):
            photos.append(outcome)
        else:
            refused.append(outcome)
    return photos, refused


def _still_refused(stage: StageRun, delivered_now: set[str]) -> list[RejectedFile]:
    """Return the rejections of earlier drops that nobody has answered by delivering the file again."""
    earlier = stage.previous.rejected if stage.previous else ()
    return [file for file in earlier if file.name not in delivered_now and not file.replaced_by]


def _check_partition(context: dg.AssetExecutionContext) -> None:
    try:
        check_listing_id(context.partition_key)
    except BadListing as bad:
        raise dg.Failure(str(bad), allow_retries=False) from None


def _refuse_to_forget(stage: StageRun) -> None:
    """Fail rather than take a drop for the whole listing because what earlier drops brought can't be read."""
    key = stage.key("manifest.json")
    if stage.previous is None and stage.media.exists(key):
        raise dg.Failure(
            f"{key} can't be read, so nobody knows which photos earlier drops brought: restore it, or run once with"
            " a folder that holds all of the listing's photos as `source`",
            allow_retries=False,
        )


def _drop(config: IntakeConfig, stage: StageRun) -> Drop:
    if config.source is None:
        return InboxDrop(stage.media, stage.listing_id)
    folder = Path(config.source).expanduser()
    if not folder.is_dir():
        raise dg.Failure(f"{folder} is no folder: give the folder that holds the photos", allow_retries=False)
    return FolderDrop(folder.resolve())


def _listing(drop: Drop, stage: StageRun) -> Listing:
    """Read the drop's listing.yaml; a later drop without one keeps what an earlier one said."""
    try:
        text = drop.listing_yaml()
        if text is not None:
            return with_known_kits(parse_listing_yaml(text, stage.listing_id))
    except BadListing as bad:
        raise dg.Failure(f"{drop.where}: {bad}", allow_retries=False) from None
    return stage.previous.listing if stage.previous else Listing(id=stage.listing_id)


def _check(photo_set: PhotoSet, unmatched: Sequence[str]) -> dg.AssetCheckResult:
    flagged = [photo for photo in photo_set.photos if photo.notes]
    text = f"{len(photo_set.photos)} accepted ({len(flagged)} flagged), {len(photo_set.rejected)} rejected"
    if unmatched:
        text += f"; listing.yaml names files that aren't there ({', '.join(unmatched)})"
    return dg.AssetCheckResult(
        check_name="every_file_is_a_photo",
        passed=bool(photo_set.photos) and not (photo_set.rejected or flagged or unmatched),
        severity=dg.AssetCheckSeverity.WARN,
        description=text,
        metadata={"accepted": len(photo_set.photos), "flagged": len(flagged), "rejected": len(photo_set.rejected)},
    )


def _nothing_to_work_with(drop: Drop, photo_set: PhotoSet) -> str:
    if not photo_set.rejected:
        return f"{drop.where} holds no photos: put JPEG, PNG, WebP, HEIC or AVIF files there and run again"
    reasons = "; ".join(f"{file.name}: {file.reason}" for file in photo_set.rejected[:10])
    more = f" (and {len(photo_set.rejected) - 10} more, see report.json)" if len(photo_set.rejected) > 10 else ""
    return f"none of the {len(photo_set.rejected)} files in {drop.where} can be used. {reasons}{more}"
