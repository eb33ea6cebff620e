"""What stands where: the furniture of one photo as data, so that a staging can be read, kept and rendered again."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from listing_media_dagster.listing import Noun, RoomType

Metres = Annotated[float, Field(allow_inf_nan=False, ge=-100, le=100)]
Size = tuple[float, float, float]


class Finish(Noun):
    """A named surface in a colour: `surface` is one of `furniture.finishes.SURFACES`, `colour` sRGB as #rrggbb.

    `accent` is the second colour of patterned surfaces.
    """

    surface: str
    colour: str = Field(pattern=r"^#[0-9a-fA-F]{6}$")
    accent: str | None = Field(default=None, pattern=r"^#[0-9a-fA-F]{6}$")


class PlacedPiece(Noun):
    """One piece of furniture in the room's world (see `staging.room`), in metres.

    `size` is width, height, depth. The piece's own frame has its footprint's centre at the origin, its lowest point at
    y = 0 and its front toward +z; `turn` degrees counter-clockwise seen from above then `position` put it in the room.
    `finishes` gives each of the design's material roles its surface; `seed` varies folds, patterns and leaves.
    """

    name: str
    design: str
    size: Size
    position: tuple[Metres, Metres, Metres]
    turn: float = 0.0
    finishes: dict[str, Finish] = Field(default_factory=dict)
    seed: int = 0


class Arrangement(Noun):
    """All the pieces of one photo, with what they were chosen by."""

    kit: str
    room_type: RoomType
    seed: int
    pieces: tuple[PlacedPiece, ...]
    notes: tuple[str, ...] = ()
    camera: dict[str, Any] = Field(default_factory=dict, description="the camera the pieces were placed for")
