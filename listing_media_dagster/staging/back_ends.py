"""The contract between the pipeline and whatever can furnish a room: survey a photo once, furnish it by seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from listing_media_dagster.listing import Operation, Room, RoomType, Verdict


class CannotStage(ValueError):
    """The room can't be furnished well; `str()` says why, as a photographer would put it.

    `attachments` are encoded pictures by role that show what was made of the photo.
    """

    def __init__(self, reason: str, attachments: Mapping[str, bytes] | None = None) -> None:
        super().__init__(reason)
        self.attachments = dict(attachments or {})


@dataclass(frozen=True)
class StagingRequest:
    """One room to furnish. `base` is uint8 (H, W, 3) sRGB, and nothing outside the furniture may change in it.

    `kit` names the design kit. Photos of the same room share their `pieces_seed`, and with it their furniture.
    """

    photo_id: str
    base: NDArray[np.uint8]
    room: Room
    kit: str
    pieces_seed: int = 0
    focal_length_35mm: float | None = None


@dataclass(frozen=True)
class StagedRoom:
    """A furnished room at the base's size; `attachments` are encoded files by role, such as depth.png.

    `room_type` is what it was furnished as, `caption` what CLIP should see in it.
    """

    rgb: NDArray[np.uint8]
    operations: tuple[Operation, ...]
    room_type: RoomType
    caption: str
    verdicts: tuple[Verdict, ...] = ()
    attachments: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def rejection(self) -> str | None:
        """Return why a gate rejects the picture, or None."""
        return next((verdict.reason for verdict in self.verdicts if verdict.outcome == "failed"), None)


Progress = Callable[[str], None]


class SurveyedRoom(Protocol):
    """A room whose geometry is known."""

    def furnish(self, seed: int, progress: Progress) -> StagedRoom:
        """Return the room furnished; another seed gives another layout. Raises `CannotStage`."""
        ...


class StagingBackEnd(Protocol):
    @property
    def name(self) -> str: ...

    def version_for(self, kit: str) -> str:
        """Return what goes into fingerprints: it changes whenever the same request gives other pixels."""
        ...

    def survey(self, request: StagingRequest) -> SurveyedRoom:
        """Return the room that the photo shows. Raises `CannotStage` where it would not come out well."""
        ...
