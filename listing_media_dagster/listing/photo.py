"""A photo of a listing: its pixels as a claim about the store, what was done to them, and what gates say of it."""

from __future__ import annotations

import re
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from pydantic import Field

from listing_media_dagster.listing.noun import Noun, Sha256, same_name
from listing_media_dagster.listing.room import Room


class BadPhoto(Exception):
    """A file that can't become a photo of the listing; `str()` is the reason a photographer reads."""


class OperationName(StrEnum):
    """Everything that may change pixels. `disclosure.operations` holds one row for each."""

    UPRIGHT = "upright"
    COLOUR_PROFILE = "colour_profile"
    FLATTEN = "flatten"
    BRACKET_MERGE = "bracket_merge"
    WINDOW_PULL = "window_pull"
    LENS_CORRECTION = "lens_correction"
    VERTICAL_CORRECTION = "vertical_correction"
    CROP = "crop"
    PRIVACY_BLUR = "privacy_blur"
    WHITE_BALANCE = "white_balance"
    EXPOSURE = "exposure"
    LOCAL_TONE = "local_tone"
    DENOISE = "denoise"
    SHARPEN = "sharpen"
    SKY_REPLACEMENT = "sky_replacement"
    LAWN_GREENING = "lawn_greening"
    TWILIGHT_CONVERSION = "twilight_conversion"
    OBJECT_REMOVAL = "object_removal"
    VIRTUAL_STAGING = "virtual_staging"
    VIRTUAL_RENOVATION = "virtual_renovation"
    DIFFUSION_ENHANCEMENT = "diffusion_enhancement"
    DIFFUSION_UPSCALE = "diffusion_upscale"
    ANIMATION = "animation"
    RESIZE = "resize"
    LABEL = "label"


class Operation(Noun):
    """One change of pixels: the ledger entry from which every label and disclosure is derived."""

    name: OperationName
    parameters: dict[str, Any] = Field(default_factory=dict)
    tool: str = "listing_media_dagster"
    version: str
    weights_sha256: Sha256 | None = None
    seed: int | None = None
    generative: bool = False
    region: tuple[tuple[int, int, int, int], ...] | None = Field(
        default=None, description="changed boxes as (x, y, width, height) px; None = the whole image"
    )


class Verdict(Noun):
    """What a quality gate says of one image, with the evidence it rests on."""

    gate: Literal["clip", "structure"]
    outcome: Literal["passed", "failed", "not_scored"]
    score: float | None = None
    threshold: float | None = None
    reason: str = ""
    gates: bool = Field(default=True, description="False: recorded for information, decides nothing")
    evidence: dict[str, Any] = Field(default_factory=dict)


class StoredObject(Noun):
    """A claim about the media store: these bytes lie under this key."""

    key: str
    sha256: Sha256
    size: int = Field(ge=0)
    etag: str | None = Field(default=None, description="of a bucket: equal etags are equal bytes, unread")


class StoredImage(StoredObject):
    width: int = Field(gt=0)
    height: int = Field(gt=0)


class SourceFile(Noun):
    """A file as the photographer delivered it; `name` is relative to the drop, `key` its byte-identical copy."""

    name: str
    key: str
    sha256: Sha256


class BracketFrame(Noun):
    """Which bracket set a raw frame belongs to, and its exposure relative to the set's middle frame in EV."""

    group: str
    exposure_ev: float
    is_reference: bool


class Photo(Noun):
    photo_id: str
    sources: tuple[SourceFile, ...]
    image: StoredImage
    base: StoredImage | None = Field(
        default=None, description="of an altered image: the unaltered frame it stays paired with"
    )
    room: Room = Room()
    captured_at: datetime | None = None
    bracket: BracketFrame | None = None
    duplicate_of: str | None = None
    operations: tuple[Operation, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    notes: tuple[str, ...] = Field(
        default=(), description="what a person should look at; any note makes the file 'flagged'"
    )
    metrics: dict[str, float] = Field(default_factory=dict)
    route: str | None = None
    device: str | None = None
    facts: dict[str, Any] = Field(default_factory=dict, description="what was read or measured: camera facts, the look")
    attachments: dict[str, StoredObject] = Field(default_factory=dict, description="depth, mask, layout, previews …")
    fingerprint: str = ""

    @property
    def names(self) -> frozenset[str]:
        """What a person may call the photo: its id and its files' names, with and without their folder."""
        files = [same_name(source.name) for source in self.sources]
        return frozenset([self.photo_id, *files, *(file.rsplit("/", 1)[-1] for file in files)])

    @property
    def is_altered(self) -> bool:
        return self.base is not None

    @property
    def is_staged(self) -> bool:
        return any(operation.name is OperationName.VIRTUAL_STAGING for operation in self.operations)

    @property
    def failed(self) -> bool:
        return any(verdict.gates and verdict.outcome == "failed" for verdict in self.verdicts)

    @property
    def publishable_image(self) -> StoredImage | None:
        """The image a delivery may use: of a rejected one its base, if it has one."""
        return self.base if self.failed else self.image

    @property
    def publishes_altered(self) -> bool:
        return self.is_altered and not self.failed

    def described_as(self, earlier: Photo) -> Photo:
        """Return this photo with what may change without a pixel changing taken from the stage before."""
        return self.model_copy(
            update={
                "sources": earlier.sources,
                "captured_at": earlier.captured_at,
                "notes": earlier.notes,
                "room": earlier.room,
            }
        )


class RejectedFile(Noun):
    """A delivered file that is no photo of the listing, and why, in a photographer's words."""

    name: str
    reason: str
    key: str | None = Field(default=None, description="where its untouched bytes are kept")
    sha256: Sha256 | None = None
    replaced_by: str | None = Field(default=None, description="name of the newer upload that took its place")


def photo_id_for(file_name: str, sha256: str) -> str:
    """Stable id of a photo: slug of its file name plus 8 hex digits of its content."""
    stem = file_name.rsplit("/", 1)[-1].rsplit(".", 1)[0].lower()
    slug = re.sub(r"[^a-z0-9]+", "-", stem).strip("-")[:40].strip("-") or "photo"
    return f"{slug}-{sha256[:8]}"
