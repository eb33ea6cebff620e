"""What stands where: the furniture of one photo as data, so that a staging can be read, kept and rendered again."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from listing_media_dagster.listing import Noun, RoomType

Metres = Annotated[float, Field(allow_inf_nan=False, ge=-100, le=100)]
Size = tuple[float, float, float]
Side = Annotated[float, Field(allow_inf_nan=False, ge=0.001, le=10)]
Degrees = Annotated[float, Field(allow_inf_nan=False, ge=-360, le=360)]
Seed = Annotated[int, Field(ge=0, le=4_000_000_000)]
Name = Annotated[str, Field(min_length=1, max_length=100)]
MOST_PIECES = 100


class Finish(Noun):
    """A named surface in a colour: `surface` is one of `furniture.finishes.SURFACES`, `colour` sRGB as #rrggbb.

    `accent` is the second colour of patterned surfaces.
    """

    surface: Name
    colour: str = Field(pattern=r"^#[0-9a-fA-F]{6}$")
    accent: str | None = Field(default=None, pattern=r"^#[0-9a-fA-F]{6}$")


class PlacedPiece(Noun):
    """One piece of furniture in the room's world (see `staging.room`), in metres.

    `size` is width, height, depth. The piece's own frame has its footprint's centre at the origin, its lowest point at
    y = 0 and its front toward +z; `turn` degrees counter-clockwise seen from above then `position` put it in the room.
    `finishes` gives each of the design's material roles its surface; `seed` varies folds, patterns and leaves.
    """

    name: Name
    design: Name
    size: tuple[Side, Side, Side]
    position: tuple[Metres, Metres, Metres]
    turn: Degrees = 0.0
    finishes: dict[str, Finish] = Field(default_factory=dict)
    seed: Seed = 0


class Arrangement(Noun):
    """All the pieces of one photo, with what they were chosen by."""

    kit: Name
    room_type: RoomType
    seed: Seed
    pieces: tuple[PlacedPiece, ...] = Field(min_length=1, max_length=MOST_PIECES)
    notes: tuple[str, ...] = ()
    camera: dict[str, Any] = Field(default_factory=dict, description="the camera the pieces were placed for")
