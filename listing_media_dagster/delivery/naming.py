"""In which order photos are delivered and what their files are called.

The order is that of RESO `Order`: the front first, then a walk through the home. An altered photo never travels
without its original, and never opens the listing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from listing_media_dagster.disclosure.operations import TABLE, needs_disclosure
from listing_media_dagster.listing import WALK_ORDER, Operation, OperationName, Photo, RoomType, StoredImage

# MLS Now 3.1: the primary photo is an unaltered exterior
OPENING_ROOMS = (RoomType.EXTERIOR_FRONT, RoomType.EXTERIOR_SIDE, RoomType.EXTERIOR_BACK, RoomType.AERIAL)
_RANK = {room: rank for rank, room in enumerate(WALK_ORDER)}

Shows = Literal["photo", "altered", "original"]
_TWIN: dict[Shows, Shows] = {"altered": "original", "original": "altered"}

_ROOM_WORDS = {
    RoomType.EXTERIOR_FRONT: "Front exterior",
    RoomType.EXTERIOR_BACK: "Back exterior",
    RoomType.EXTERIOR_SIDE: "Side exterior",
    RoomType.AERIAL: "Aerial view",
    RoomType.CHILDRENS_ROOM: "Children’s room",
    RoomType.OTHER: "Photo",
    RoomType.UNKNOWN: "Photo",
}


@dataclass(frozen=True)
class PackageItem:
    """One picture of the delivery. `order` counts from 0 (RESO); `stem` is its file name without size and extension."""

    order: int
    stem: str
    photo: Photo
    image: StoredImage
    shows: Shows
    """An altered picture and its original are two items, each naming the other in `pair`."""
    pair: str | None = None

    @property
    def number(self) -> int:
        return self.order + 1

    @property
    def operations(self) -> tuple[Operation, ...]:
        """The ledger of this very picture: of an original, what was done before anything was altered."""
        if self.shows == "altered" or not self.photo.is_altered:
            return self.photo.operations
        return unaltered_operations(self.photo.operations)


def room_words(room: RoomType) -> str:
    """Name `room` as a caption would; "Photo" when nobody knows."""
    return _ROOM_WORDS.get(room, room.value.replace("_", " ").capitalize())


def unaltered_operations(operations: Iterable[Operation]) -> tuple[Operation, ...]:
    """Return the ledger up to the first operation that must be disclosed: it is that of the base."""
    kept: list[Operation] = []
    for operation in operations:
        if needs_disclosure([operation]):
            break
        kept.append(operation)
    return tuple(kept)


def alteration_words(operations: Iterable[Operation]) -> str:
    """Return the short label of an altered picture, for captions and file names."""
    names = {operation.name for operation in operations if TABLE[operation.name].discloses or operation.generative}
    return "Virtually staged" if OperationName.VIRTUAL_STAGING in names else "Digitally altered"


def plan_items(photos: Sequence[Photo], listing_id: str) -> tuple[PackageItem, ...]:
    """Order `photos` for delivery and name them, as `01-front-exterior-<listing>`.

    Photos of the same kind of room keep their order; one with nothing publishable is left out. Every altered photo is
    followed by its original (Bay East, CRMLS and Realtracs accept that order). The first photo is an unaltered view of
    the house where there is one; a first photo that is altered has its original before it instead.
    """
    walk = sorted(photos, key=lambda photo: _RANK[photo.room.type])
    facades = [photo for photo in walk if photo.room.type in OPENING_ROOMS and _opens(photo)]
    if facades:
        opening = min(facades, key=lambda photo: OPENING_ROOMS.index(photo.room.type))
        walk = [opening, *(photo for photo in walk if photo is not opening)]
    pictures: list[tuple[Photo, StoredImage, Shows]] = []
    for photo in walk:
        image = photo.publishable_image
        if image is None:
            continue
        if photo.base is None or not photo.publishes_altered:
            pictures.append((photo, image, "photo"))
        elif pictures:
            pictures += [(photo, image, "altered"), (photo, photo.base, "original")]
        else:
            pictures += [(photo, photo.base, "original"), (photo, image, "altered")]
    digits = max(2, len(str(len(pictures))))
    stems = [
        f"{order + 1:0{digits}d}-{_slug(room_words(photo.room.type))}-{listing_id}{_suffix(photo, shows)}"
        for order, (photo, _image, shows) in enumerate(pictures)
    ]
    twins = {(photo.photo_id, shows): stem for stem, (photo, _image, shows) in zip(stems, pictures, strict=True)}
    return tuple(
        PackageItem(
            order, stems[order], photo, image, shows, twins[photo.photo_id, _TWIN[shows]] if shows in _TWIN else None
        )
        for order, (photo, image, shows) in enumerate(pictures)
    )


def _opens(photo: Photo) -> bool:
    return photo.publishable_image is not None and not photo.publishes_altered


def _slug(words: str) -> str:
    return words.lower().replace("’", "").replace(" ", "-")


def _suffix(photo: Photo, shows: Shows) -> str:
    return f"-{_slug(alteration_words(photo.operations))}" if shows == "altered" else ""
