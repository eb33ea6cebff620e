"""A listing's finished photos become the folder and the zip a customer gets.

Everything a file depends on is in its fingerprint, so a package made again computes only what changed.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from listing_media_dagster.delivery.archive import CHECKSUMS, checksum_list, sha256_of, write_zip
from listing_media_dagster.delivery.contact_sheet import Badge, SheetCell, draw_contact_sheet
from listing_media_dagster.delivery.gallery import Comparison, GalleryModel, GalleryPhoto, Picture, render_gallery
from listing_media_dagster.delivery.naming import PackageItem, alteration_words, plan_items, room_words
from listing_media_dagster.delivery.presets import PRESETS, Preset, Size, choose_presets, encode_sizes
from listing_media_dagster.disclosure import operations as disclosure
from listing_media_dagster.listing import Listing, OperationName, Photo, fingerprint
from listing_media_dagster.photo.encode import encode_jpeg

Rgb = NDArray[np.uint8]
Load = Callable[[], Rgb]
Progress = Callable[[int, int, str], None]

_BEFORE = Size(1600, media_type="image/webp", quality=80)
_SUMMARY = "listing-media.json"
_MEDIA_TYPES = {
    ".jpg": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
    ".mp4": "video/mp4",
    ".html": "text/html",
    ".json": "application/json",
    ".zip": "application/zip",
    ".sha256": "text/plain",
}


@dataclass(frozen=True)
class PackageInput:
    """A photo and how to read its pictures (uint8 (H, W, 3), sRGB): each is loaded only if a file has to be made of it.

    `publishable` gives `photo.publishable_image`, `base` the unaltered frame of an altered photo, `before` the picture
    as the photographer delivered it.
    """

    photo: Photo
    publishable: Load
    base: Load | None = None
    before: Load | None = None


@dataclass(frozen=True)
class PackageFile:
    """A file of the package: `name` is its path inside the folder; the zip, lying beside it, has its bare name."""

    name: str
    path: Path
    media_type: str
    description: str
    sha256: str
    size: int
    fingerprint: str = ""
    reused: bool = False


@dataclass(frozen=True)
class PackageResult:
    files: tuple[PackageFile, ...]
    items: tuple[PackageItem, ...]
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """photo id -> stems of its pictures in delivery order (an altered photo has two)"""
    computed: int = 0
    reused: int = 0

    @property
    def fingerprints(self) -> dict[str, str]:
        """Return fingerprint -> name of every file that a later package may reuse."""
        return {file.fingerprint: file.name for file in self.files if file.fingerprint}


@dataclass(frozen=True)
class _Made:
    """A photo's file as it was written, or found in an earlier package."""

    file: PackageFile
    width: int
    height: int


def build_package(
    inputs: Sequence[PackageInput],
    listing: Listing,
    outputs: Sequence[str] | None,
    folder: Path,
    *,
    video: Path | None = None,
    video_note: str = "",
    poster: Path | None = None,
    logo: Path | None = None,
    reuse: Callable[[str], Path | None] = lambda _fingerprint: None,
    progress: Progress = lambda _done, _total, _name: None,
    workers: int = 2,
) -> PackageResult:
    """Write the package of `listing` into `folder` (empty or absent) and `<listing>.zip` beside it.

    `outputs` names the presets (None: the usual ones); `reuse` finds an existing file by its fingerprint;
    `video_note` is what has to be disclosed of the video; `progress` hears (pictures done, pictures in all, name) from
    the worker threads. A photo that has nothing publishable is left out (its `names` are empty). One picture a worker
    is in memory at a time. Raises `UnknownOutput`, and `ValueError` when there is no photo or `folder` isn't empty.
    """
    presets = choose_presets(outputs)
    if folder.exists() and any(folder.iterdir()):
        raise ValueError(f"{folder} is not empty: a package is built in a folder of its own")
    items = plan_items([given.photo for given in inputs], listing.id)
    if not items:
        raise ValueError(f"{listing.id}: there is no photo to deliver")
    folder.mkdir(parents=True, exist_ok=True)
    by_photo = {given.photo.photo_id: given for given in inputs}
    bench, extras = _Bench(folder, reuse), _Extras(folder)
    done = count(1)

    def make(item: PackageItem) -> dict[str, list[_Made]]:
        made = bench.make_item(item, by_photo[item.photo.photo_id], presets)
        progress(next(done), len(items), item.stem)
        return made

    with ThreadPoolExecutor(workers, thread_name_prefix="package") as pool:
        making = pool.map(make, items)
        befores = pool.map(lambda item: bench.make_before(item, by_photo[item.photo.photo_id]), items)
        tour = extras.copy(video, "video/tour.mp4", f"Video tour: {video_note}" if video_note else "Video tour")
        still = extras.copy(poster, f"video/poster{poster.suffix.lower()}", "Still of the tour") if poster else None
        badge = extras.logo(logo)
        made = {item.stem: {**sizes, **before} for item, sizes, before in zip(items, making, befores, strict=True)}
    files = [entry.file for groups in made.values() for group in groups.values() for entry in group]
    model = replace(_gallery_model(items, made, listing, tour, still, badge), video_note=video_note)
    extras.write("contact-sheet.jpg", _contact_sheet(items, made, folder, model), "All photos on one sheet")
    extras.write("index.html", render_gallery(model).encode(), "Gallery: open it in any browser")
    summary = json.dumps(_summary(items, made, listing, tour, video_note), indent=2, ensure_ascii=False) + "\n"
    extras.write(_SUMMARY, summary.encode(), "Order, rooms, operations and disclosures of the photos")
    files += extras.files
    extras.write(CHECKSUMS, checksum_list((file.name, file.sha256) for file in files).encode(), "SHA-256 of every file")
    files = sorted([*files, extras.files[-1]], key=lambda file: file.name)
    archive = folder.parent / f"{listing.id}.zip"
    write_zip(((f"{listing.id}/{file.name}", file.path) for file in files), archive)
    files.append(_describe(archive.name, archive, "The whole package"))
    return PackageResult(
        files=tuple(files),
        items=items,
        names={
            given.photo.photo_id: tuple(item.stem for item in items if item.photo.photo_id == given.photo.photo_id)
            for given in inputs
        },
        computed=sum(bool(file.fingerprint) and not file.reused for file in files),
        reused=sum(file.reused for file in files),
    )


class _Bench:
    """Makes photo files, at most once and from pixels only when no earlier package holds the same file."""

    def __init__(self, folder: Path, reuse: Callable[[str], Path | None]) -> None:
        self.folder = folder
        self.reuse = reuse

    def make_item(self, item: PackageItem, given: PackageInput, presets: Sequence[Preset]) -> dict[str, list[_Made]]:
        """Make one picture in every size; keys are preset names."""
        load = given.publishable if item.shows != "original" else given.base
        if load is None:
            raise ValueError(f"{item.photo.photo_id} is altered, but its original was not given")
        wanted = {
            size: (preset, f"photos/{preset.name}/{item.stem}{size.suffix}{size.extension}")
            for preset in presets
            for size in preset.sizes
        }
        made = self._make(
            load,
            item.image.sha256,
            {
                size: (name, f"{room_words(item.photo.room.type)}: {preset.description}")
                for size, (preset, name) in wanted.items()
            },
        )
        groups: dict[str, list[_Made]] = {}
        for size, (preset, _name) in wanted.items():
            groups.setdefault(preset.name, []).append(made[size])
        return groups

    def make_before(self, item: PackageItem, given: PackageInput) -> dict[str, list[_Made]]:
        """Make the picture as photographed, for the gallery's comparison; no file where it may not be shown."""
        if given.before is None or not _shows_before(item):
            return {}
        sources = fingerprint(before=[source.sha256 for source in item.photo.sources])
        name = f"photos/before/{item.stem}-before{_BEFORE.extension}"
        return {"before": [*self._make(given.before, sources, {_BEFORE: (name, "As photographed")}).values()]}

    def _make(self, load: Load, image_sha256: str, wanted: Mapping[Size, tuple[str, str]]) -> dict[Size, _Made]:
        made: dict[Size, _Made] = {}
        for size, (name, words) in wanted.items():
            found = self.reuse(size.fingerprint(image_sha256))
            if found is not None:
                target = self._target(name)
                shutil.copyfile(found, target)
                with Image.open(target) as image:
                    made[size] = self._entry(name, words, size.fingerprint(image_sha256), image.size, reused=True)
        missing = [size for size in wanted if size not in made]
        for size, data, pixels in encode_sizes(load(), missing) if missing else ():
            name, words = wanted[size]
            self._target(name).write_bytes(data)
            made[size] = self._entry(name, words, size.fingerprint(image_sha256), pixels)
        return made

    def _target(self, name: str) -> Path:
        target = self.folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        return target

    def _entry(self, name: str, words: str, print_: str, pixels: tuple[int, int], *, reused: bool = False) -> _Made:
        return _Made(_describe(name, self.folder / name, words, print_, reused), *pixels)


class _Extras:
    """Writes what there is one of in a package, and keeps the list."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files: list[PackageFile] = []

    def write(self, name: str, data: bytes, words: str) -> str:
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_bytes(data)
        self.files.append(_describe(name, self.folder / name, words))
        return name

    def copy(self, source: Path | None, name: str, words: str) -> str | None:
        if source is None:
            return None
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, self.folder / name)
        self.files.append(_describe(name, self.folder / name, words))
        return name

    def logo(self, source: Path | None) -> Picture | None:
        """Redraw the agent's logo small and clean (an unreadable one is an error of Pillow's that names the file)."""
        if source is None:
            return None
        name = "agent-logo.png"
        with Image.open(source, formats=("PNG", "JPEG", "WEBP")) as image:
            small = image.convert("RGBA")
        small.thumbnail((480, 160))
        small.save(self.folder / name, "PNG")
        self.files.append(_describe(name, self.folder / name, "Agent's logo"))
        return Picture(name, small.width, small.height)


def _shows_before(item: PackageItem) -> bool:
    """Whether the photo as delivered may be shown: never where people or plates were blurred, it would undo that."""
    return item.shows != "altered" and bool(item.operations) and not _is_blurred(item.photo)


def _is_blurred(photo: Photo) -> bool:
    return any(operation.name is OperationName.PRIVACY_BLUR for operation in photo.operations)


def _describe(name: str, path: Path, words: str, print_: str = "", reused: bool = False) -> PackageFile:
    media_type = _MEDIA_TYPES.get(Path(name).suffix.lower(), "application/octet-stream")
    return PackageFile(name, path, media_type, words, sha256_of(path), path.stat().st_size, print_, reused)


def _gallery_model(
    items: Sequence[PackageItem],
    made: Mapping[str, Mapping[str, list[_Made]]],
    listing: Listing,
    video: str | None,
    poster: str | None,
    logo: Picture | None,
) -> GalleryModel:
    title = listing.address or listing.id
    pictures = {item.stem: _picture(made[item.stem]["web"]) for item in items}
    numbers = {item.stem: item.number for item in items}
    photos = []
    for item in items:
        groups = made[item.stem]
        comparison = None
        if item.shows == "altered" and item.pair:
            comparison = Comparison(pictures[item.pair], "Original", alteration_words(item.operations))
        elif "before" in groups:
            comparison = Comparison(_picture(groups["before"]), "As photographed", "Finished")
        caption = room_words(item.photo.room.type)
        label = _label(item, numbers)
        done = tuple(disclosure.describe(item.operations))
        photos.append(
            GalleryPhoto(
                number=item.number,
                caption=caption,
                alt=f"{caption}, {title}" + (f" ({label.lower()})" if label else ""),
                picture=pictures[item.stem],
                label=label,
                altered=item.shows == "altered",
                blurred=_is_blurred(item.photo),
                comparison=comparison,
                done=done,
                downloads=tuple(
                    (f"{PRESETS[preset].title} {entry.width} × {entry.height}", entry.file.name)
                    for preset, entries in groups.items()
                    if preset != "before"
                    for entry in entries
                    if entry.file.media_type == "image/jpeg"
                ),
            )
        )
    return GalleryModel(title, listing.headline, listing.agent, logo, tuple(photos), video, poster)


def _label(item: PackageItem, numbers: Mapping[str, int]) -> str | None:
    if item.shows == "altered":
        return alteration_words(item.operations)
    if item.shows == "original" and item.pair:
        return f"Original of photo {numbers[item.pair]}"
    return None


def _picture(made: Sequence[_Made]) -> Picture:
    shown = next((entry for entry in made if entry.file.media_type == "image/jpeg"), made[0])
    sources = tuple((entry.file.name, entry.width) for entry in made if entry.file.media_type == "image/webp")
    # a small photo gives several files of one width: a browser needs the first
    unique = {width: (name, width) for name, width in reversed(sources)}
    return Picture(shown.file.name, shown.width, shown.height, tuple(unique.values()))


def _contact_sheet(
    items: Sequence[PackageItem],
    made: Mapping[str, Mapping[str, list[_Made]]],
    folder: Path,
    model: GalleryModel,
) -> bytes:
    cells = []
    for item, photo in zip(items, model.photos, strict=True):
        thumbnail = _thumbnail(made[item.stem]["web"])
        with Image.open(folder / thumbnail.file.name) as image:
            rgb = np.asarray(image.convert("RGB"))
        # What was altered stands out from its original, as in the gallery.
        badges = (Badge(photo.label, "notice" if photo.altered else "aside"),) if photo.label else ()
        cells.append(SheetCell(item.number, photo.caption, rgb, badges))
    agent = ", ".join(words for words in (model.agent.name, model.agent.phone) if words)
    subtitle = " · ".join(words for words in (model.headline, model.summary, agent) if words)
    return encode_jpeg(draw_contact_sheet(cells, model.title, subtitle), 90)


def _thumbnail(made: Sequence[_Made], px: int = 800) -> _Made:
    """Return the file nearest to what a sheet's cell needs."""
    return min(made, key=lambda entry: abs(max(entry.width, entry.height) - px))


def _summary(
    items: Sequence[PackageItem],
    made: Mapping[str, Mapping[str, list[_Made]]],
    listing: Listing,
    video: str | None,
    video_note: str,
) -> dict[str, Any]:
    return {
        "listing_id": listing.id,
        "address": listing.address,
        "headline": listing.headline,
        "agent": listing.agent.model_dump(exclude={"logo"}),
        "video": video,
        **({"video_disclosure": video_note} if video_note else {}),
        "photos": [_photo_summary(item, made[item.stem]) for item in items],
    }


def _photo_summary(item: PackageItem, groups: Mapping[str, list[_Made]]) -> dict[str, Any]:
    ledger = item.operations
    return {
        "order": item.order,
        "name": item.stem,
        "photo_id": item.photo.photo_id,
        "room": item.photo.room.type,
        "image_of": disclosure.image_of(item.photo.room.type),
        "shows": item.shows,
        "pair": item.pair,
        "operations": [
            {"name": operation.name, "version": operation.version, "words": disclosure.describe([operation])[0]}
            for operation in ledger
        ],
        "disclosure": {
            "required": disclosure.needs_disclosure(ledger),
            "label": alteration_words(ledger) if item.shows == "altered" else None,
            "media_alteration": list(disclosure.media_alterations(ledger)),
            "digital_source_type": disclosure.digital_source_type(ledger).uri,
        },
        "files": {
            preset: [
                {"name": entry.file.name, "width": entry.width, "height": entry.height, "sha256": entry.file.sha256}
                for entry in entries
            ]
            for preset, entries in groups.items()
        },
    }
