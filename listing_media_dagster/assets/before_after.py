"""Before and after of a staged room, as a person judges it in the Dagster UI."""

from collections.abc import Sequence

import dagster as dg
import numpy as np

from listing_media_dagster.assets.contact import SHEET_PX
from listing_media_dagster.assets.stage_run import StageRun
from listing_media_dagster.delivery.naming import room_words
from listing_media_dagster.listing import Photo, RoomType
from listing_media_dagster.photo.encode import Rgb, encode_jpeg, resize_to_long_edge
from listing_media_dagster.settings import settings

ROLE = "before_after.jpg"
_GAP = 6


def draw_before_after(base: Rgb, staged: Rgb) -> Rgb:
    """Return the base above the staged picture, both uint8 (H, W, 3) sRGB of one size, as wide as the UI shows."""
    before, after = (resize_to_long_edge(picture, SHEET_PX) for picture in (base, staged))
    return np.vstack([before, np.full((_GAP, before.shape[1], 3), 255, np.uint8), after])


def encode_before_after(base: Rgb, staged: Rgb) -> bytes:
    """Return the drawn pair as a JPEG."""
    return encode_jpeg(draw_before_after(base, staged), 85)


def before_after_metadata(photos: Sequence[Photo], stage: StageRun) -> dict[str, dg.MetadataValue]:
    """Return the staged rooms as pictures; nothing if there are none."""
    shown = [
        f"{_title(photo)}\n\n![before and after]({stage.media.link(photo.attachments[ROLE].key, settings().media_url)})"
        for photo in photos
        if photo.is_staged and ROLE in photo.attachments
    ]
    return {"before_and_after": dg.MetadataValue.md("\n\n".join(shown))} if shown else {}


def _title(photo: Photo) -> str:
    staged = photo.facts["staged_as"]
    return f"**{room_words(RoomType(staged['room_type']))}, {staged['kit'].replace('_', ' ')}**"
