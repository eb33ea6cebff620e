"""The nouns every stage speaks: a listing, its photos, and what was done to each of them.

Pure data (pydantic, frozen); nothing in here reads or writes anything.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, field_validator

LISTING_ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"
ListingId = Annotated[str, StringConstraints(pattern=LISTING_ID_PATTERN)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]

ASSETS = (
    "raw_photos",
    "preprocessed_photos",
    "enhanced_photos",
    "staged_photos",
    "clip_scores",
    "tour_video",
    "listing_package",
)


class BadPhoto(Exception):
    """A file that can't become a photo of the listing; `str()` is the reason a photographer reads."""


class BadListing(ValueError):
    """A listing id or listing.yaml that can't be used; the message names the value and the next step."""


class Noun(BaseModel):
    # Models are built when first used: a decoder process needs few of them.
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


def is_listing_id(text: str) -> bool:
    return re.fullmatch(LISTING_ID_PATTERN, text) is not None


def check_listing_id(text: str) -> str:
    """Return `text` if it may name a listing (a partition, a folder, part of URLs), else raise `BadListing`."""
    if not is_listing_id(text):
        raise BadListing(
            f"{text!r} can't be a listing id: use 1 to 64 letters, digits, '-' or '_', starting with a letter or digit"
        )
    return text


def same_name(name: str) -> str:
    """Return the form in which file names are compared: a Mac hands 'ü' over as two signs, people type one."""
    return unicodedata.normalize("NFC", name)


FileName = Annotated[str, AfterValidator(same_name)]


class RoomType(StrEnum):
    """What a photo shows. RESO `ImageOf` strings are derived from these in `disclosure`."""

    EXTERIOR_FRONT = "exterior_front"
    EXTERIOR_BACK = "exterior_back"
    EXTERIOR_SIDE = "exterior_side"
    AERIAL = "aerial"
    ENTRY = "entry"
    HALLWAY = "hallway"
    STAIRS = "stairs"
    LIVING_ROOM = "living_room"
    FAMILY_ROOM = "family_room"
    DINING_ROOM = "dining_room"
    KITCHEN = "kitchen"
    PRIMARY_BEDROOM = "primary_bedroom"
    BEDROOM = "bedroom"
    CHILDRENS_ROOM = "childrens_room"
    PRIMARY_BATHROOM = "primary_bathroom"
    BATHROOM = "bathroom"
    HOME_OFFICE = "home_office"
    LAUNDRY = "laundry"
    CLOSET = "closet"
    BASEMENT = "basement"
    ATTIC = "attic"
    GARAGE = "garage"
    BALCONY = "balcony"
    PATIO = "patio"
    DECK = "deck"
    POOL = "pool"
    YARD = "yard"
    VIEW = "view"
    FLOOR_PLAN = "floor_plan"
    OTHER = "other"
    UNKNOWN = "unknown"


EXTERIORS = frozenset(
    {
        RoomType.EXTERIOR_FRONT,
        RoomType.EXTERIOR_BACK,
        RoomType.EXTERIOR_SIDE,
        RoomType.AERIAL,
        RoomType.BALCONY,
        RoomType.PATIO,
        RoomType.DECK,
        RoomType.POOL,
        RoomType.YARD,
        RoomType.VIEW,
    }
)


# A visit: in from the front, day rooms, bedrooms, the rest, outside again. Photo lists and films follow it.
WALK_ORDER = (
    RoomType.EXTERIOR_FRONT,
    RoomType.ENTRY,
    RoomType.HALLWAY,
    RoomType.LIVING_ROOM,
    RoomType.FAMILY_ROOM,
    RoomType.DINING_ROOM,
    RoomType.KITCHEN,
    RoomType.STAIRS,
    RoomType.PRIMARY_BEDROOM,
    RoomType.PRIMARY_BATHROOM,
    RoomType.BEDROOM,
    RoomType.CHILDRENS_ROOM,
    RoomType.BATHROOM,
    RoomType.HOME_OFFICE,
    RoomType.CLOSET,
    RoomType.LAUNDRY,
    RoomType.ATTIC,
    RoomType.BASEMENT,
    RoomType.OTHER,
    RoomType.UNKNOWN,
    RoomType.GARAGE,
    RoomType.BALCONY,
    RoomType.DECK,
    RoomType.PATIO,
    RoomType.POOL,
    RoomType.YARD,
    RoomType.EXTERIOR_BACK,
    RoomType.EXTERIOR_SIDE,
    RoomType.VIEW,
    RoomType.AERIAL,
    RoomType.FLOOR_PLAN,
)


class Room(Noun):
    """What the photo shows, how sure that is (0..1), and who said so."""

    type: RoomType = RoomType.UNKNOWN
    confidence: float = Field(default=0.0, ge=0.0, le=1.0)
    decided_by: Literal["listing.yaml", "file name", "CLIP", "nobody"] = "nobody"


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


class Agent(Noun):
    name: str | None = None
    phone: str | None = None
    logo: FileName | None = Field(default=None, description="file name of the logo in the drop")


class StageChoice(Noun):
    """Which photos to stage and how: file names or photo ids."""

    include: tuple[FileName, ...] = ()
    exclude: tuple[FileName, ...] = ()
    kits: dict[FileName, str] = Field(default_factory=dict, description="file name -> design kit, where not `style`")
    same_room: tuple[tuple[FileName, ...], ...] = Field(
        default=(), description="files that show one room and get the same furniture"
    )


ALL_FILES = ("all",)


def _files_or_all(value: Any) -> Any:
    if isinstance(value, str):
        if value != "all":
            raise ValueError("give a list of file names, or the word all")
        return ALL_FILES
    return value


class GenerativeChoice(Noun):
    """What generative models may do to photos beside staging, which is nothing unless a person asks for it.

    File names or photo ids; `ALL_FILES` stands for every photo.
    """

    declutter: tuple[FileName, ...] = Field(default=(), description="rooms from which things that lie about are taken")
    enhance: Annotated[tuple[FileName, ...], BeforeValidator(_files_or_all)] = Field(
        default=(), description="photos that a diffusion model reworks lightly"
    )
    upscale: Annotated[tuple[FileName, ...], BeforeValidator(_files_or_all)] = Field(
        default=(), description="photos that are enlarged, with invented fine detail"
    )
    animate: Annotated[tuple[FileName, ...], BeforeValidator(_files_or_all)] = Field(
        default=(), description="photos that an image-to-video model sets in motion in the film"
    )

    @property
    def names(self) -> frozenset[str]:
        """Every file that is named."""
        return frozenset((*self.declutter, *self.enhance, *self.upscale, *self.animate)) - frozenset(ALL_FILES)


class Listing(Noun):
    """What is known of a home beside its photos: listing.yaml, overridden by a run's configuration."""

    id: ListingId
    address: str | None = None
    headline: str | None = None
    agent: Agent = Agent()
    style: str | None = Field(default=None, description="design kit for virtual staging")
    strength: float | None = Field(default=None, ge=0.0, le=1.0, description="of the enhancement; default 1.0")
    rooms: dict[FileName, RoomType] = Field(default_factory=dict, description="file name -> room type")
    stage: StageChoice = StageChoice()
    generative: GenerativeChoice = GenerativeChoice()
    exclude: tuple[FileName, ...] = Field(default=(), description="file names that are left out of the listing")
    music: FileName | None = None
    outputs: tuple[str, ...] | None = Field(default=None, description="delivery sizes, for example mls, web, original")
    rule_profile: str | None = None
    callback_url: str | None = None
    priority: int = 0
    routes: tuple[str, ...] | None = Field(
        default=None, description="ways model work may go, best first, of those that the installation has enabled"
    )

    @field_validator("callback_url")
    @classmethod
    def _callback_is_http(cls, url: str | None) -> str | None:
        if url is not None and not re.match(r"https?://", url):
            raise ValueError("must start with https:// or http://")
        return url

    def overridden_by(self, **changes: Any) -> Listing:
        """Return this listing with every change that is not None applied and validated."""
        given = {name: value for name, value in changes.items() if value is not None}
        return Listing.model_validate({**self.model_dump(), **given})


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


def fingerprint(**what_made_it: Any) -> str:
    """Hash of everything that determines an output: input digests, parameters, code version, weights, seeds."""
    canonical = json.dumps(what_made_it, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()


def photo_id_for(file_name: str, sha256: str) -> str:
    """Stable id of a photo: slug of its file name plus 8 hex digits of its content."""
    stem = file_name.rsplit("/", 1)[-1].rsplit(".", 1)[0].lower()
    slug = re.sub(r"[^a-z0-9]+", "-", stem).strip("-")[:40].strip("-") or "photo"
    return f"{slug}-{sha256[:8]}"
