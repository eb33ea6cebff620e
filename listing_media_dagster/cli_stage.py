"""listing-media stage: one room furnished, from a photo or from the layout of an earlier staging."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape

from listing_media_dagster.listing import BadPhoto, Room, RoomType
from listing_media_dagster.settings import settings

if TYPE_CHECKING:
    from listing_media_dagster.staging.arrangement import Arrangement

say = Console(stderr=True)

Photo = Annotated[Path, typer.Argument(help="a corrected photo of an empty room", exists=True, dir_okay=False)]
Style = Annotated[str | None, typer.Option(help="design kit; default: scandinavian")]
RoomName = Annotated[RoomType, typer.Option("--room", help="what the room is to be furnished as")]
Seed = Annotated[int, typer.Option(min=0, help="another seed gives another furnishing")]
Layout = Annotated[Path | None, typer.Option(help="layout.json to render again instead of a new layout", exists=True)]
Out = Annotated[Path | None, typer.Option(help="folder for the results; default: beside the photo")]
Anyway = Annotated[bool, typer.Option("--anyway", help="stage a room that looks furnished, too")]


class BadLayout(ValueError):
    """A file that holds no arrangement."""


def stage(
    photo: Photo,
    style: Style = None,
    room: RoomName = RoomType.UNKNOWN,
    seed: Seed = 0,
    layout: Layout = None,
    out: Out = None,
    anyway: Anyway = False,
) -> None:
    """Furnish one photo of an empty room; exit with 1 and the reason where it would not come out well."""
    from listing_media_dagster.staging.back_ends import CannotStage
    from listing_media_dagster.staging.furniture.own_furniture import BadFurniture
    from listing_media_dagster.staging.kits import BadKit

    try:
        folder = _stage(photo, style, room, seed, layout, out, anyway)
    except (CannotStage, BadFurniture, BadKit, BadLayout, BadPhoto) as refused:
        for role, data in getattr(refused, "attachments", {}).items():
            _write(_folder(photo, out) / role, data)
        say.print(f"[red]{escape(photo.name)} is not staged:[/] {escape(str(refused))}", highlight=False)
        raise typer.Exit(1) from None
    Console().print(str(folder), highlight=False, markup=False)


def _stage(
    photo: Path, style: str | None, room: RoomType, seed: int, layout: Path | None, out: Path | None, anyway: bool
) -> Path:
    from listing_media_dagster.assets import before_after, furnishing
    from listing_media_dagster.assets.intake import intake_limits
    from listing_media_dagster.photo.decode import decode_upright
    from listing_media_dagster.photo.encode import encode_jpeg
    from listing_media_dagster.staging.back_ends import CannotStage, StagingRequest
    from listing_media_dagster.staging.kits import find_kit
    from listing_media_dagster.staging.seeds import furnish_until_accepted
    from listing_media_dagster.staging.suitability import judge_suitability

    replayed = _read_layout(layout) if layout else None
    back_end = furnishing.rendered_staging(settings())
    kit = find_kit(style or (replayed.kit if replayed else furnishing.DEFAULT_KIT), back_end.kits).id
    decoded = decode_upright(photo, intake_limits())
    refusal = None if anyway or replayed else judge_suitability(decoded.rgb).refusal
    if refusal:
        raise CannotStage(f"{refusal}; --anyway stages it all the same")
    known = room if room is not RoomType.UNKNOWN or not replayed else replayed.room_type
    request = StagingRequest(
        photo_id=photo.stem,
        base=decoded.rgb,
        room=Room(type=known),
        kit=kit,
        pieces_seed=seed,
        focal_length_35mm=decoded.facts.focal_length_35mm,
    )
    surveyed = back_end.survey(request)
    if replayed:
        staged = surveyed.render(replayed, _tell)
    else:
        staged, attempts = furnish_until_accepted(surveyed, seed, _tell)
        for attempt in attempts:
            if attempt.rejected:
                say.print(f"[yellow]seed {attempt.seed} was rejected:[/] {escape(attempt.rejected)}")
    if staged.rejection:
        raise CannotStage(f"no seed passed the structure gate: {staged.rejection}", staged.attachments)
    folder = _folder(photo, out)
    _write(folder / "staged.jpg", encode_jpeg(staged.rgb, 95))
    pair = encode_jpeg(before_after.draw_before_after(request.base, staged.rgb), 85)
    for role, data in {**staged.attachments, before_after.ROLE: pair}.items():
        _write(folder / role, data)
    return folder


def _read_layout(path: Path) -> Arrangement:
    from listing_media_dagster.staging.arrangement import Arrangement

    try:
        return Arrangement.model_validate(json.loads(path.read_text()))
    except (ValidationError, ValueError) as broken:
        first = str(broken).splitlines()
        raise BadLayout(f"{path.name} is no layout: {' '.join(first[:3])}") from None


def _folder(photo: Path, out: Path | None) -> Path:
    return out or photo.with_name(f"{photo.stem}-staged")


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _tell(what: str) -> None:
    say.print(f"  {what}", style="dim", highlight=False)
