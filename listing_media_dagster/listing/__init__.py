"""The nouns every stage speaks: a listing, its photos, and what was done to each of them.

Pure data (pydantic, frozen); nothing in here reads or writes anything. This is their one address: where each is written
is this package's own affair.
"""

from listing_media_dagster.listing.home import ALL_FILES, Agent, GenerativeChoice, Listing, StageChoice
from listing_media_dagster.listing.noun import (
    LISTING_ID_PATTERN,
    BadListing,
    FileName,
    ListingId,
    Noun,
    Sha256,
    check_listing_id,
    fingerprint,
    is_listing_id,
    same_name,
)
from listing_media_dagster.listing.photo import (
    BadPhoto,
    BracketFrame,
    Operation,
    OperationName,
    Photo,
    RejectedFile,
    SourceFile,
    StoredImage,
    StoredObject,
    Verdict,
    photo_id_for,
)
from listing_media_dagster.listing.photo_set import ASSETS, Deliverable, PhotoSet, StageRecord
from listing_media_dagster.listing.room import EXTERIORS, WALK_ORDER, Room, RoomType

__all__ = [
    "ALL_FILES",
    "ASSETS",
    "EXTERIORS",
    "LISTING_ID_PATTERN",
    "WALK_ORDER",
    "Agent",
    "BadListing",
    "BadPhoto",
    "BracketFrame",
    "Deliverable",
    "FileName",
    "GenerativeChoice",
    "Listing",
    "ListingId",
    "Noun",
    "Operation",
    "OperationName",
    "Photo",
    "PhotoSet",
    "RejectedFile",
    "Room",
    "RoomType",
    "Sha256",
    "SourceFile",
    "StageChoice",
    "StageRecord",
    "StoredImage",
    "StoredObject",
    "Verdict",
    "check_listing_id",
    "fingerprint",
    "is_listing_id",
    "photo_id_for",
    "same_name",
]
