"""The back ends that can furnish a room, and the contract between them and the pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from listing_media_dagster.listing import Operation, Room, Verdict


@dataclass(frozen=True)
class StagingRequest:
    """One room to furnish. `base` is uint8 (H, W, 3) sRGB, and nothing outside the furniture may change in it."""

    photo_id: str
    base: NDArray[np.uint8]
    room: Room
    style: str
    seed: int
    focal_length_35mm: float | None = None


@dataclass(frozen=True)
class StagedRoom:
    """A furnished room at the base's size; `attachments` are encoded files by role, such as depth.png."""

    rgb: NDArray[np.uint8]
    operations: tuple[Operation, ...]
    verdicts: tuple[Verdict, ...] = ()
    attachments: Mapping[str, bytes] = field(default_factory=dict)


class StagingBackEnd(Protocol):
    name: str
    version: str

    def refusal(self, request: StagingRequest) -> str | None:
        """Return why this back end can't furnish the room well, or None if it will try."""
        ...

    def stage(self, request: StagingRequest) -> StagedRoom: ...


def available_back_ends() -> tuple[StagingBackEnd, ...]:
    """Return the installed back ends, best first."""
    return ()
