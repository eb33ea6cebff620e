"""What is known of a home beside its photos, as listing.yaml says it."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, field_validator

from listing_media_dagster.listing.noun import FileName, ListingId, Noun
from listing_media_dagster.listing.room import RoomType


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
