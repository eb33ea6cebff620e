"""Which room each photo shows: said by listing.yaml, read from the file name, recognised, or honestly unknown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from listing_media_dagster.assets.clip import NoScorer, load_scorer
from listing_media_dagster.assets.stage_run import StageRun
from listing_media_dagster.listing import Listing, Photo, Room, RoomType
from listing_media_dagster.photo.room_type import room_from_file_name

# Enough to keep the encoder busy; pictures are held in memory so many at a time.
PHOTOS_AT_A_TIME = 16


def decide_rooms(photos: Sequence[Photo], listing: Listing, stage: StageRun) -> list[Photo]:
    """Return the photos with their rooms: listing.yaml before file name before CLIP, else unknown."""
    named = [photo.model_copy(update={"room": room_as_named(photo, listing)}) for photo in photos]
    unnamed = [photo for photo in named if photo.room.type is RoomType.UNKNOWN]
    recognised = {photo.photo_id: photo for photo in _recognise(unnamed, stage)}
    return [recognised.get(photo.photo_id, photo) for photo in named]


def room_as_named(photo: Photo, listing: Listing) -> Room:
    """Return the room that listing.yaml or a file name states for a photo; `nobody` decided if neither does."""
    for name in sorted(photo.names):
        if name in listing.rooms:
            return Room(type=listing.rooms[name], confidence=1.0, decided_by="listing.yaml")
    stated = [room_from_file_name(source.name) for source in photo.sources]
    return max(stated, key=lambda room: room.confidence, default=Room())


def _recognise(photos: Sequence[Photo], stage: StageRun) -> Iterator[Photo]:
    """Ask CLIP, if its weights are there, about the photos nobody named; what it answered before is kept."""
    scorer = load_scorer() if photos else NoScorer("nobody asked")
    if isinstance(scorer, NoScorer):
        return
    asked = []
    for photo in photos:
        before = stage.previous.photo(photo.photo_id) if stage.previous else None
        answer = before.facts.get("clip_answer") if before else None
        of = [photo.image.sha256, scorer.identity.weights_sha256]
        if answer and answer["of"] == of:
            yield _answered(photo, Room.model_validate(answer["room"]), of)
        else:
            asked.append((photo, of))
    for start in range(0, len(asked), PHOTOS_AT_A_TIME):
        batch = asked[start : start + PHOTOS_AT_A_TIME]
        rooms = scorer.classify_room([stage.pixels(photo.image, at_most=448) for photo, _ in batch])
        for (photo, of), room in zip(batch, rooms, strict=True):
            yield _answered(photo, room, of)


def _answered(photo: Photo, room: Room, of: list[str]) -> Photo:
    answer = {"of": of, "room": room.model_dump(mode="json")}
    return photo.model_copy(update={"room": room, "facts": {**photo.facts, "clip_answer": answer}})
