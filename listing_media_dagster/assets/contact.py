"""The contact sheet that each stage keeps of its photos, so that a person sees its work at a glance in the UI."""

from __future__ import annotations

from listing_media_dagster.assets.stage_run import THUMBNAIL_PX, StageRun
from listing_media_dagster.delivery.contact_sheet import Badge, SheetCell, draw_contact_sheet
from listing_media_dagster.delivery.naming import room_words
from listing_media_dagster.listing import Photo, PhotoSet, StoredObject
from listing_media_dagster.photo.encode import Rgb, encode_jpeg

SHEET_PX = 600  # as wide as the metadata column of the UI; anything wider is cut off there


def with_contact_sheet(photo_set: PhotoSet, stage: StageRun) -> PhotoSet:
    """Return the photo set with a contact sheet as its `preview`; the earlier one is kept if no photo changed."""
    shown = stage.fingerprint(
        sheet=[(photo.image.sha256, photo.room.type, _badges(photo)) for photo in photo_set.photos]
    )
    if stage.previous and stage.previous.parameters.get("preview_of") == shown:
        earlier = stage.previous.companions.get("preview")
        if earlier and not stage.media.verify([earlier]):
            return _keeping(photo_set, earlier, shown)
    cells = [
        SheetCell(
            number,
            _caption(photo),
            _thumbnail(photo, stage),
            _badges(photo),
        )
        for number, photo in enumerate(photo_set.photos, start=1)
    ]
    title = photo_set.listing.address or photo_set.listing_id
    sheet = draw_contact_sheet(cells, title, photo_set.asset.replace("_", " "), width=SHEET_PX)
    return _keeping(photo_set, stage.media.write(stage.key("contact_sheet.jpg"), encode_jpeg(sheet, 82)), shown)


def _thumbnail(photo: Photo, stage: StageRun) -> Rgb:
    """Return the picture a delivery would use, small."""
    thumbnail = photo.attachments.get("thumbnail")
    shown = photo.publishable_image or photo.image
    if thumbnail is not None and shown == photo.image:
        return stage.attached_pixels(thumbnail)
    return stage.pixels(shown, at_most=THUMBNAIL_PX)


def _keeping(photo_set: PhotoSet, sheet: StoredObject, shown: str) -> PhotoSet:
    return photo_set.model_copy(
        update={
            "companions": {**photo_set.companions, "preview": sheet},
            "parameters": {**photo_set.parameters, "preview_of": shown},
        }
    )


def _caption(photo: Photo) -> str:
    return f"{room_words(photo.room.type)} · {photo.sources[0].name.rsplit('/', 1)[-1]}"


def _badges(photo: Photo) -> tuple[Badge, ...]:
    badges = [Badge("staged" if photo.is_staged else "altered")] if photo.is_altered else []
    if photo.failed:
        badges.append(Badge("rejected", "problem"))
    if photo.notes:
        badges.append(Badge("look at", "warning"))
    return tuple(badges)
