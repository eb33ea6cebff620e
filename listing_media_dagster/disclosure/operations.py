"""The one table from what was done to a photo to what has to be said about it, to people and to machines.

Labels, RESO fields, IPTC and C2PA all read the rows below, so that no two of them can tell different stories.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from listing_media_dagster.listing import Operation, OperationName, RoomType


class MediaAlteration(StrEnum):
    """RESO Data Dictionary 2.0, Media.MediaAlteration, as far as photos of an existing home need it."""

    NONE = "None"
    DECLUTTERED = "Decluttered - Item Removed"
    VIRTUAL_STAGING = "Virtual Staging - Item Addition"
    TWILIGHT = "Twilight Conversion"
    ENHANCEMENT = "Virtual Enhancements"
    RENOVATION = "Virtual Renovation"
    OTHER = "Other Media Modification"


class DigitalSourceType(StrEnum):
    """IPTC digital source types, from the least to the most synthetic; the order decides which one is stated."""

    DIGITAL_CAPTURE = "digitalCapture"
    COMPUTATIONAL_CAPTURE = "computationalCapture"
    ALGORITHMICALLY_ENHANCED = "algorithmicallyEnhanced"
    COMPOSITE_CAPTURE = "compositeCapture"
    COMPOSITE_SYNTHETIC = "compositeSynthetic"
    COMPOSITE_TRAINED = "compositeWithTrainedAlgorithmicMedia"

    @property
    def uri(self) -> str:
        return f"http://cv.iptc.org/newscodes/digitalsourcetype/{self.value}"


@dataclass(frozen=True)
class Row:
    """What one kind of operation means: `words` is for a buyer, the other columns are for MLS systems and browsers."""

    discloses: bool
    alteration: MediaAlteration
    source_type: DigitalSourceType | None
    """None: where the pixels come from is unchanged."""
    c2pa: tuple[str, ...]
    words: Callable[[Mapping[str, Any]], str]


def _said(text: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda _parameters: text


def _number(parameters: Mapping[str, Any], name: str) -> float:
    """Return a ledger entry's number; 0 when it holds none of that name."""
    value = parameters.get(name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0.0


def _verticals(parameters: Mapping[str, Any]) -> str:
    degrees = max(abs(_number(parameters, "roll_deg")), abs(_number(parameters, "pitch_deg")))
    return f"Vertical lines straightened ({degrees:.1f}°)" if degrees else "Vertical lines straightened"


def _white_balance(parameters: Mapping[str, Any]) -> str:
    mixed = ", lamp and daylight evened out" if parameters.get("mixed_light") is True else ""
    return f"Colours balanced for natural whites{mixed}"


def _exposure(parameters: Mapping[str, Any]) -> str:
    curve = _number(parameters, "curve")
    return "Brightened" if curve > 0.02 else "Darkened" if curve < -0.02 else "Brightness fine-tuned"


def _brackets(parameters: Mapping[str, Any]) -> str:
    frames = _number(parameters, "frames")
    return f"{frames:.0f} exposures merged into one" if frames else "Several exposures merged into one"


def _crop(parameters: Mapping[str, Any]) -> str:
    kept = _number(parameters, "kept_share")
    return f"Edges cropped ({1 - kept:.0%})" if 0 < kept < 0.995 else "Edges cropped"


def _privacy(parameters: Mapping[str, Any]) -> str:
    noun = {"face": "face", "plate": "number plate"}.get(str(parameters.get("kind")))
    count = round(_number(parameters, "count"))
    if noun is None or count < 1:
        return "Faces or number plates blurred for privacy"
    return f"{count} {noun}{'' if count == 1 else 's'} blurred for privacy"


def _staging(parameters: Mapping[str, Any]) -> str:
    style = parameters.get("style", parameters.get("kit"))
    suffix = f" ({style.replace('_', ' ')} style)" if isinstance(style, str) and style else ""
    return f"Virtually staged: furniture and decor were added digitally{suffix}"


_COMPOSITE = DigitalSourceType.COMPOSITE_TRAINED
_ENHANCED = DigitalSourceType.ALGORITHMICALLY_ENHANCED
_COMPUTED = DigitalSourceType.COMPUTATIONAL_CAPTURE
_NONE = MediaAlteration.NONE

TABLE: Mapping[OperationName, Row] = {
    OperationName.UPRIGHT: Row(False, _NONE, None, ("c2pa.orientation",), _said("Turned upright")),
    OperationName.COLOUR_PROFILE: Row(
        False, _NONE, None, ("c2pa.converted",), _said("Colours converted to the web standard (sRGB)")
    ),
    OperationName.FLATTEN: Row(False, _NONE, None, ("c2pa.edited",), _said("Transparent areas filled with white")),
    OperationName.BRACKET_MERGE: Row(False, _NONE, _COMPUTED, ("c2pa.created",), _brackets),
    OperationName.WINDOW_PULL: Row(
        False, _NONE, _COMPUTED, ("c2pa.created",), _said("The real view through the windows recovered")
    ),
    OperationName.LENS_CORRECTION: Row(False, _NONE, None, ("c2pa.edited",), _said("Lens distortion corrected")),
    OperationName.VERTICAL_CORRECTION: Row(False, _NONE, None, ("c2pa.orientation", "c2pa.edited"), _verticals),
    OperationName.CROP: Row(False, _NONE, None, ("c2pa.cropped",), _crop),
    OperationName.PRIVACY_BLUR: Row(False, MediaAlteration.OTHER, None, ("c2pa.edited",), _privacy),
    OperationName.WHITE_BALANCE: Row(False, _NONE, _ENHANCED, ("c2pa.adjustedColor",), _white_balance),
    OperationName.EXPOSURE: Row(False, _NONE, _ENHANCED, ("c2pa.adjustedColor",), _exposure),
    OperationName.LOCAL_TONE: Row(
        False, _NONE, _ENHANCED, ("c2pa.adjustedColor",), _said("Shadows opened, highlights kept")
    ),
    OperationName.DENOISE: Row(False, _NONE, _ENHANCED, ("c2pa.enhanced",), _said("Noise reduced")),
    OperationName.SHARPEN: Row(False, _NONE, _ENHANCED, ("c2pa.enhanced",), _said("Sharpened")),
    OperationName.SKY_REPLACEMENT: Row(
        True, MediaAlteration.ENHANCEMENT, _COMPOSITE, ("c2pa.placed", "c2pa.edited"), _said("The sky was replaced")
    ),
    OperationName.LAWN_GREENING: Row(
        True, MediaAlteration.ENHANCEMENT, _COMPOSITE, ("c2pa.edited",), _said("The lawn was made greener")
    ),
    OperationName.TWILIGHT_CONVERSION: Row(
        True, MediaAlteration.TWILIGHT, _COMPOSITE, ("c2pa.edited",), _said("A daytime photo was turned into twilight")
    ),
    # not c2pa.removed: that one is for ingredients of a composite
    OperationName.OBJECT_REMOVAL: Row(
        True,
        MediaAlteration.DECLUTTERED,
        _COMPOSITE,
        ("c2pa.deleted", "c2pa.edited"),
        _said("Objects were removed digitally"),
    ),
    OperationName.VIRTUAL_STAGING: Row(True, MediaAlteration.VIRTUAL_STAGING, _COMPOSITE, ("c2pa.edited",), _staging),
    OperationName.VIRTUAL_RENOVATION: Row(
        True,
        MediaAlteration.RENOVATION,
        _COMPOSITE,
        ("c2pa.edited",),
        _said("Surfaces or fixtures were changed digitally"),
    ),
    OperationName.DIFFUSION_ENHANCEMENT: Row(
        True,
        MediaAlteration.OTHER,
        _COMPOSITE,
        ("c2pa.edited",),
        _said("The picture was reworked by a generative model"),
    ),
    OperationName.DIFFUSION_UPSCALE: Row(
        True,
        MediaAlteration.OTHER,
        _COMPOSITE,
        ("c2pa.enhanced", "c2pa.resized"),
        _said("Enlarged by a generative model, which may have invented fine detail"),
    ),
    OperationName.ANIMATION: Row(
        True, MediaAlteration.OTHER, _COMPOSITE, ("c2pa.edited",), _said("Set in motion by a generative model")
    ),
    OperationName.RESIZE: Row(False, _NONE, None, ("c2pa.resized",), _said("Resized")),
    OperationName.LABEL: Row(False, _NONE, None, ("c2pa.addedText",), _said("A disclosure label was added")),
}

_IMAGE_OF: Mapping[RoomType, str] = {
    RoomType.EXTERIOR_FRONT: "Front of Structure",
    RoomType.EXTERIOR_BACK: "Back of Structure",
    RoomType.EXTERIOR_SIDE: "Side of Structure",
    RoomType.AERIAL: "Aerial View",
    RoomType.ENTRY: "Entry",
    RoomType.HALLWAY: "Hallway",
    RoomType.STAIRS: "Stairs",
    RoomType.LIVING_ROOM: "Living Room",
    RoomType.FAMILY_ROOM: "Family Room",
    RoomType.DINING_ROOM: "Dining Room",
    RoomType.KITCHEN: "Kitchen",
    RoomType.PRIMARY_BEDROOM: "Master Bedroom",
    RoomType.BEDROOM: "Bedroom",
    RoomType.CHILDRENS_ROOM: "Bedroom",
    RoomType.PRIMARY_BATHROOM: "Master Bathroom",
    RoomType.BATHROOM: "Bathroom",
    RoomType.HOME_OFFICE: "Office",
    RoomType.LAUNDRY: "Laundry",
    RoomType.CLOSET: "Closet",
    RoomType.BASEMENT: "Basement",
    RoomType.ATTIC: "Attic",
    RoomType.GARAGE: "Garage",
    RoomType.BALCONY: "Balcony",
    RoomType.PATIO: "Patio",
    RoomType.DECK: "Deck",
    RoomType.POOL: "Pool",
    RoomType.YARD: "Yard",
    RoomType.VIEW: "View",
    RoomType.FLOOR_PLAN: "Floor Plan",
    RoomType.OTHER: "Other",
}


def image_of(room: RoomType) -> str | None:
    """Return the RESO DD 2.0 `ImageOf` value for `room`; None when nobody knows what the photo shows."""
    return _IMAGE_OF.get(room)


def describe(operations: Iterable[Operation]) -> list[str]:
    """Say in plain words what was done, in the order it was done, each thing once."""
    return list(dict.fromkeys(TABLE[operation.name].words(operation.parameters) for operation in operations))


def needs_disclosure(operations: Iterable[Operation]) -> bool:
    """Whether a viewer must be told: content was added, removed or changed, or a generative model touched it.

    California Bus. & Prof. Code 10140.8 draws this line; where it is unclear (declutter, upscale) the answer is yes.
    """
    return any(TABLE[operation.name].discloses or operation.generative for operation in operations)


def media_alterations(operations: Iterable[Operation]) -> tuple[MediaAlteration, ...]:
    """Return the values for RESO `MediaAlteration` (a multi-value field), `None` alone when nothing was altered."""
    found = {_alteration_of(operation) for operation in operations} - {MediaAlteration.NONE}
    return tuple(value for value in MediaAlteration if value in found) or (MediaAlteration.NONE,)


def digital_source_type(operations: Iterable[Operation]) -> DigitalSourceType:
    """Return the one IPTC source type of the picture. IPTC 2025.1: single value, most synthetic wins."""
    order = list(DigitalSourceType)
    found = [source for operation in operations if (source := _source_of(operation)) is not None]
    return max(found, key=order.index, default=DigitalSourceType.DIGITAL_CAPTURE)


def c2pa_actions(operations: Sequence[Operation]) -> tuple[str, ...]:
    """Return the C2PA actions of the ledger in order, each once."""
    return tuple(dict.fromkeys(action for operation in operations for action in TABLE[operation.name].c2pa))


def _alteration_of(operation: Operation) -> MediaAlteration:
    stated = TABLE[operation.name].alteration
    return MediaAlteration.OTHER if operation.generative and stated is MediaAlteration.NONE else stated


def _source_of(operation: Operation) -> DigitalSourceType | None:
    """A row's source type, made exact by the entry: no trained model in it means a rendered or captured composite."""
    stated = TABLE[operation.name].source_type
    trained = operation.generative or operation.weights_sha256 is not None
    if operation.generative:
        return DigitalSourceType.COMPOSITE_TRAINED
    if stated is DigitalSourceType.COMPOSITE_TRAINED and not trained:
        if operation.name is OperationName.SKY_REPLACEMENT:
            return DigitalSourceType.COMPOSITE_CAPTURE
        return DigitalSourceType.COMPOSITE_SYNTHETIC
    return stated
