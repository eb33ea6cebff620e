"""What every asset gives: a listing's photos after one stage, and what else that stage made."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from listing_media_dagster.listing.home import Listing
from listing_media_dagster.listing.noun import Noun
from listing_media_dagster.listing.photo import Photo, RejectedFile, StoredObject

ASSETS = (
    "raw_photos",
    "preprocessed_photos",
    "enhanced_photos",
    "staged_photos",
    "clip_scores",
    "tour_video",
    "listing_package",
)


class Deliverable(StoredObject):
    """A finished file for the customer."""

    name: str
    media_type: str
    description: str = ""


class StageRecord(Noun):
    """How a stage's value came to be: for the report and for whoever asks why it took so long."""

    seconds: float = 0.0
    finished_at: datetime | None = None
    run_id: str = ""
    computed: int = 0
    reused: int = 0
    route: str = "local"
    device: str = "cpu"
    messages: tuple[str, ...] = ()


class PhotoSet(Noun):
    """The value of every asset: one listing's photos after one stage, and what else that stage made."""

    listing: Listing
    asset: str
    photos: tuple[Photo, ...] = ()
    rejected: tuple[RejectedFile, ...] = ()
    deliverables: tuple[Deliverable, ...] = ()
    stage: StageRecord = StageRecord()
    companions: dict[str, StoredObject] = Field(default_factory=dict, description="by role: preview, agent's logo …")
    fingerprint: str = ""
    parameters: dict[str, Any] = Field(
        default_factory=dict, description="listing-wide decisions, such as the common white balance"
    )

    @property
    def listing_id(self) -> str:
        return self.listing.id

    def photo(self, photo_id: str) -> Photo | None:
        return next((photo for photo in self.photos if photo.photo_id == photo_id), None)
