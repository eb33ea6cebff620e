"""preprocessed_photos: frames become pictures: upright, merged, straight, private, and named after what they show."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from itertools import groupby

import dagster as dg

from listing_media_dagster.assets.contact import with_contact_sheet
from listing_media_dagster.assets.intake import intake_limits
from listing_media_dagster.assets.rooms import decide_rooms
from listing_media_dagster.assets.shown import stage_metadata
from listing_media_dagster.assets.stage_asset import stage_asset
from listing_media_dagster.assets.stage_run import StageRun
from listing_media_dagster.listing import Listing, Operation, Photo, PhotoSet
from listing_media_dagster.photo import colour_profile, decode, encode, fusion, perspective, privacy
from listing_media_dagster.photo.decode import DecodedPhoto, decode_upright
from listing_media_dagster.photo.encode import Rgb, encode_jpeg, resize_to_long_edge
from listing_media_dagster.photo.fusion import fuse_brackets
from listing_media_dagster.photo.perspective import correct_geometry
from listing_media_dagster.photo.privacy import PrivacyDetectors, blur_private_regions
from listing_media_dagster.store.photo_sets import MediaStoreResource

# Kept nearly lossless: two more stages work on these pixels before a customer sees them.
WORKING_QUALITY = 97
BEFORE_LONG_EDGE = 1600
KEPT_FACTS = ("camera", "lens", "focal_length_mm", "focal_length_35mm")


@dataclass(frozen=True)
class Take:
    """What becomes one picture: a single frame, or a bracket set from dark to bright."""

    frames: tuple[Photo, ...]

    @property
    def reference(self) -> Photo:
        return next((frame for frame in self.frames if frame.bracket and frame.bracket.is_reference), self.frames[0])

    @property
    def exposures_ev(self) -> list[float]:
        return [frame.bracket.exposure_ev if frame.bracket else 0.0 for frame in self.frames]


@stage_asset(
    description="Upright sRGB pictures: brackets merged, verticals straight, metadata gone, faces blurred, room named.",
    kinds={"opencv"},
    code_version="1",
    checks={
        "private_details_are_blurred": "Warns when a kind of private detail can't be looked for on this installation."
    },
)
def preprocessed_photos(
    context: dg.AssetExecutionContext, raw_photos: PhotoSet, media: MediaStoreResource
) -> dg.MaterializeResult:
    stage = StageRun.begin(context, media)
    detectors = privacy.load_detectors()
    takes = {take.reference.photo_id: take for take in takes_of(raw_photos.photos, raw_photos.listing)}
    if not takes:
        raise dg.Failure(_nothing_left(raw_photos), allow_retries=False)
    versions = [module.VERSION for module in (colour_profile, decode, fusion, perspective, privacy, encode)]
    wanted = {
        photo_id: stage.fingerprint(
            frames=[(frame.image.sha256, frame.bracket) for frame in take.frames],
            versions=versions,
            not_looked_for=detectors.missing,
        )
        for photo_id, take in takes.items()
    }
    made = stage.each_photo(wanted, lambda photo_id: _prepare(takes[photo_id], stage, detectors))
    photos = decide_rooms(
        [_as_delivered(photo, takes[photo_id]) for photo_id, photo in made.items()], raw_photos.listing, stage
    )
    photo_set = PhotoSet(listing=raw_photos.listing, asset=stage.asset, photos=tuple(photos))
    photo_set = with_contact_sheet(photo_set, stage)
    check = _privacy_check(photo_set, detectors)
    photo_set = stage.finish(photo_set, [check])
    return dg.MaterializeResult(
        value=photo_set,
        metadata=stage_metadata(photo_set, stage, bracket_sets=sum(len(take.frames) > 1 for take in takes.values())),
        check_results=[check],
    )


def _nothing_left(raw_photos: PhotoSet) -> str:
    if not raw_photos.photos:
        return f"raw_photos of {raw_photos.listing_id} holds no photos: materialize it with photos in the inbox"
    return f"listing.yaml excludes all {len(raw_photos.photos)} photos: take at least one off its `exclude`"


def takes_of(photos: Iterable[Photo], listing: Listing) -> list[Take]:
    """Return what becomes a picture: bracket sets together, exact duplicates and excluded files left out."""
    digests: set[str] = set()
    kept = []
    for photo in photos:
        source = photo.sources[0]
        if source.sha256 in digests or photo.names & set(listing.exclude):
            continue
        digests.add(source.sha256)
        kept.append(photo)
    singles = [Take((photo,)) for photo in kept if photo.bracket is None]
    bracketed = sorted((photo for photo in kept if photo.bracket), key=_bracket_order)
    sets = [Take(tuple(frames)) for _, frames in groupby(bracketed, key=lambda photo: _bracket_order(photo)[0])]
    return sorted(singles + sets, key=lambda take: take.reference.sources[0].name)


def _bracket_order(photo: Photo) -> tuple[str, float]:
    return (photo.bracket.group, photo.bracket.exposure_ev) if photo.bracket else ("", 0.0)


def _prepare(take: Take, stage: StageRun, detectors: PrivacyDetectors) -> Photo:
    merged = _merge(take, stage, detectors)
    facts = take.reference.facts
    straight = correct_geometry(
        merged.rgb,
        camera=facts.get("camera"),
        lens=facts.get("lens"),
        focal_length_mm=facts.get("focal_length_mm"),
        focal_length_35mm=facts.get("focal_length_35mm"),
        f_number=facts.get("f_number"),
    )
    private = blur_private_regions(straight.rgb, detectors)
    photo_id = take.reference.photo_id
    encoded = encode_jpeg(private.rgb, WORKING_QUALITY, optimise=False)
    image, thumbnail = stage.write_picture(photo_id, private.rgb, encoded)
    before = stage.media.write(stage.key(f"before/{photo_id}.jpg"), merged.before)
    return Photo(
        photo_id=photo_id,
        sources=tuple(source for frame in take.frames for source in frame.sources),
        image=image,
        operations=(*merged.operations, *straight.operations, *private.operations),
        metrics={**merged.metrics, **straight.metrics},
        facts={**{name: facts.get(name) for name in KEPT_FACTS}, "merging": merged.notes},
        attachments={"before": before, "thumbnail": thumbnail},
    )


@dataclass(frozen=True)
class _Merged:
    rgb: Rgb
    before: bytes
    operations: tuple[Operation, ...]
    metrics: dict[str, float]
    notes: tuple[str, ...] = ()


def _merge(take: Take, stage: StageRun, detectors: PrivacyDetectors) -> _Merged:
    """Decode a frame, or decode and fuse a bracket set; `before` is the frame as the camera made it."""
    reference = _decode(take.reference, stage)
    before = _before(reference.rgb, detectors)
    if len(take.frames) == 1:
        return _Merged(reference.rgb, before, reference.operations, {})
    operations = reference.operations
    del reference  # a fused set holds many frames' worth of memory already
    fused = fuse_brackets(
        [partial(_frame, frame, stage) for frame in take.frames],
        take.exposures_ev,
        take.frames.index(take.reference),
    )
    return _Merged(fused.rgb, before, (*operations, *fused.operations), dict(fused.metrics), tuple(fused.notes))


def _decode(photo: Photo, stage: StageRun) -> DecodedPhoto:
    return decode_upright(stage.media.read_verified(photo.image), intake_limits())


def _frame(photo: Photo, stage: StageRun) -> Rgb:
    return _decode(photo, stage).rgb


def _before(rgb: Rgb, detectors: PrivacyDetectors) -> bytes:
    """Return the untouched look for before/after views, with what is private blurred in it too."""
    small = resize_to_long_edge(rgb, BEFORE_LONG_EDGE)
    return encode_jpeg(blur_private_regions(small, detectors).rgb, 85)


def _as_delivered(photo: Photo, take: Take) -> Photo:
    """Bring what may change without a pixel changing up to date: file names, capture time, notes."""
    merging = photo.facts.get("merging", ())
    return photo.model_copy(
        update={
            "sources": tuple(source for frame in take.frames for source in frame.sources),
            "captured_at": take.reference.captured_at,
            "notes": tuple(dict.fromkeys([*(note for frame in take.frames for note in frame.notes), *merging])),
        }
    )


def _privacy_check(photo_set: PhotoSet, detectors: PrivacyDetectors) -> dg.AssetCheckResult:
    blurred = sum(operation.name == "privacy_blur" for photo in photo_set.photos for operation in photo.operations)
    missing = ", ".join(detectors.missing)
    description = f"{blurred} photo{' has' if blurred == 1 else 's have'} blurred regions"
    if missing:
        description += f"; no detector for {missing} is installed: look for them yourself before publishing"
    return dg.AssetCheckResult(
        check_name="private_details_are_blurred",
        passed=not missing,
        severity=dg.AssetCheckSeverity.WARN,
        description=description,
        metadata={"photos_with_blur": blurred, "not_looked_for": missing or "nothing"},
    )
