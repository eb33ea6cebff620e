"""Which room each photo shows: said by listing.yaml, read from the file name, recognised, or honestly unknown."""

from __future__ import annotations

from collections.abc import Sequence

from listing_media_dagster.assets.clip import NoScorer, load_scorer
from listing_media_dagster.assets.stage_run import StageRun
from listing_media_dagster.listing import Listing, Photo, Room, RoomType
from listing_media_dagster.photo.room_type import room_from_file_name


def decide_rooms(photos: Sequence[Photo], listing: Listing, stage: StageRun) -> list[Photo]:
    """Return the photos with their rooms: listing.yaml before file name before CLIP, else unknown."""
    rooms = {photo.photo_id: room_as_named(photo, listing) for photo in photos}
    unnamed = [photo for photo in photos if rooms[photo.photo_id].type is RoomType.UNKNOWN]
    rooms.update(_recognise(unnamed, stage))
    return [photo.model_copy(update={"room": rooms[photo.photo_id]}) for photo in photos]


def room_as_named(photo: Photo, listing: Listing) -> Room:
    """Return the room that listing.yaml or a file name states for a photo; `nobody` decided if neither does."""
    for name in sorted(photo.names):
        if name in listing.rooms:
            return Room(type=listing.rooms[name], confidence=1.0, decided_by="listing.yaml")
    stated = [room_from_file_name(source.name) for source in photo.sources]
    return max(stated, key=lambda room: room.confidence, default=Room())


def _recognise(photos: Sequence[Photo], stage: StageRun) -> dict[str, Room]:
    """Ask CLIP, if its weights are there, about the photos nobody named; what it said before is kept."""
    known = {photo.photo_id: photo.room for photo in stage.previous_photos}
    images = {photo.photo_id: photo.image.sha256 for photo in stage.previous_photos}
    rooms = {
        photo.photo_id: known[photo.photo_id]
        for photo in photos
        if images.get(photo.photo_id) == photo.image.sha256 and known[photo.photo_id].decided_by == "CLIP"
    }
    asked = [photo for photo in photos if photo.photo_id not in rooms]
    scorer = load_scorer() if asked else NoScorer("nobody asked")
    if isinstance(scorer, NoScorer):
        return rooms
    pixels = (stage.pixels(photo.image, at_most=448) for photo in asked)
    return rooms | dict(zip((photo.photo_id for photo in asked), scorer.classify_room(list(pixels)), strict=True))
