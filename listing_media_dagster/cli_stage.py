"""listing-media stage: one room furnished, from a photo or from the layout of an earlier staging."""

from __future__ import annotations

import hashlib
import os
import reprlib
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape

from listing_media_dagster.listing import BadPhoto, Room, RoomType
from listing_media_dagster.settings import settings

if TYPE_CHECKING:
    from listing_media_dagster.gpu.job import ItemResult
    from listing_media_dagster.gpu.work.staging_order import StagingOrder
    from listing_media_dagster.photo.encode import Rgb
    from listing_media_dagster.staging.arrangement import Arrangement

say = Console(stderr=True)

Photo = Annotated[Path, typer.Argument(help="a corrected photo of an empty room", exists=True, dir_okay=False)]
Style = Annotated[str | None, typer.Option(help="design kit; default: scandinavian")]
RoomName = Annotated[RoomType, typer.Option("--room", help="what the room is to be furnished as")]
Seed = Annotated[
    int | None,
    typer.Option(min=0, max=2_000_000_000, help="another seed gives another furnishing; default: each photo its own"),
]
Layout = Annotated[
    Path | None,
    typer.Option(
        help="layout.json to render again instead of a new layout", exists=True, dir_okay=False, readable=True
    ),
]
Out = Annotated[Path | None, typer.Option(help="folder for the results; default: beside the photo")]
Anyway = Annotated[bool, typer.Option("--anyway", help="stage a room that looks furnished, too")]


LAYOUT_BYTES = 1024 * 1024
RESULTS = {
    *("staged.jpg", "before_after.jpg", "layout.json", "depth.png"),
    *("mask.png", "furniture.png", "geometry.jpg"),
}


class BadLayout(ValueError):
    """A file that holds no arrangement."""


class BadOutput(ValueError):
    """A folder that can't take the results."""


def stage(
    photo: Photo,
    style: Style = None,
    room: RoomName = RoomType.UNKNOWN,
    seed: Seed = None,
    layout: Layout = None,
    out: Out = None,
    anyway: Anyway = False,
) -> None:
    """Furnish one photo of an empty room; exit with 1 and the reason where it would not come out well."""
    from listing_media_dagster.staging.back_ends import CannotStage
    from listing_media_dagster.staging.furniture.own_furniture import BadFurniture
    from listing_media_dagster.staging.kits import BadKit

    try:
        folder = _results_folder(photo, out)
        try:
            _stage(photo, style, room, seed, layout, folder, anyway)
        except CannotStage as refused:
            _write_all(folder, refused.attachments)
            raise
    except (CannotStage, BadFurniture, BadKit, BadLayout, BadOutput, BadPhoto) as refused:
        say.print(f"[red]{escape(photo.name)} is not staged:[/] {escape(str(refused))}", highlight=False)
        raise typer.Exit(1) from None
    Console().print(str(folder), highlight=False, markup=False)


def _stage(
    photo: Path, style: str | None, room: RoomType, seed: int | None, layout: Path | None, folder: Path, anyway: bool
) -> None:
    from listing_media_dagster.assets import before_after, furnishing
    from listing_media_dagster.assets.intake import intake_limits
    from listing_media_dagster.gpu.work.pictures import decode_picture
    from listing_media_dagster.gpu.work.staging_order import STAGED, StagingOrder
    from listing_media_dagster.photo.decode import decode_upright
    from listing_media_dagster.staging.back_ends import CannotStage
    from listing_media_dagster.staging.kits import find_kit
    from listing_media_dagster.staging.suitability import judge_suitability

    replayed = _read_layout(layout) if layout else None
    wanted = style if style is not None else (replayed.kit if replayed else furnishing.DEFAULT_KIT)
    kit = find_kit(wanted, furnishing.installed_kits())
    decoded = decode_upright(photo, intake_limits())
    refusal = None if anyway or replayed else judge_suitability(decoded.rgb).refusal
    if refusal:
        raise CannotStage(f"{refusal}; --anyway stages it all the same")
    known = room if room is not RoomType.UNKNOWN or not replayed else replayed.room_type
    order = StagingOrder(
        room=Room(type=known),
        kit=kit,
        pieces_seed=_pieces_seed(photo) if seed is None else seed,
        focal_length_35mm=decoded.facts.focal_length_35mm,
        **({"layout": replayed} if replayed else {}),
    )
    with _worked_off(decoded.rgb, order, seed or 0) as (result, outputs):
        for attempt in result.record.get("attempts", ()):
            if attempt.get("rejected"):
                say.print(f"[yellow]seed {attempt['seed']} was rejected:[/] {escape(attempt['rejected'])}")
        encoded = outputs.pop(STAGED, None)
        if encoded is None:
            raise CannotStage(result.reason, outputs)
        rejection = next((gate["reason"] for gate in result.record["verdicts"] if gate["outcome"] == "failed"), None)
        if rejection:
            raise CannotStage(f"no seed passed the gates: {rejection}", outputs)
        pair = before_after.encode_before_after(decoded.rgb, decode_picture(encoded))
        _write_all(folder, {STAGED: encoded, **outputs, before_after.ROLE: pair})


def _pieces_seed(photo: Path) -> int:
    """Return the seed of the pieces that a listing would give this photo, so that two homes don't get one room."""
    from listing_media_dagster.listing import photo_id_for
    from listing_media_dagster.staging.same_room import pieces_seed_of

    return pieces_seed_of(photo_id_for(photo.name, hashlib.sha256(photo.read_bytes()).hexdigest()))


@contextmanager
def _worked_off(base: Rgb, order: StagingOrder, seed: int) -> Iterator[tuple[ItemResult, dict[str, bytes]]]:
    """Have the room furnished where this installation lets model work go; give its result and its files by role."""
    from listing_media_dagster.assets.staging_job import one_room_job
    from listing_media_dagster.gpu.choice import decide_policy
    from listing_media_dagster.gpu.job import JobFolder
    from listing_media_dagster.gpu.router import Dispatcher, dispatch
    from listing_media_dagster.gpu.routes.route import RouteFailed
    from listing_media_dagster.gpu.routes.table import UnknownRoute, open_route
    from listing_media_dagster.models.catalogue import BadCatalogue
    from listing_media_dagster.models.shortlist import BadWishes
    from listing_media_dagster.staging.back_ends import CannotStage

    try:
        policy = decide_policy(settings().routes)
        with tempfile.TemporaryDirectory(prefix="listing-media-stage-") as place:
            folder = JobFolder.create(Path(place) / "job", *one_room_job(base, order, seed, policy.routes))
            routed = dispatch(
                folder,
                policy,
                lambda name: open_route(name, settings()),
                Dispatcher(say=_tell, decided=lambda decision: _tell(str(decision))),
            )
            (result,) = routed.result.items
            if result.outcome == "failed":
                raise CannotStage(result.reason)
            yield result, {role: folder.read(file) for role, file in result.outputs.items()}
    except (RouteFailed, UnknownRoute, BadCatalogue, BadWishes) as failed:
        raise CannotStage(str(failed)) from failed


def _read_layout(path: Path) -> Arrangement:
    from listing_media_dagster.staging.arrangement import Arrangement

    if path.stat().st_size > LAYOUT_BYTES:
        raise BadLayout(f"{path.name} is no layout: over {LAYOUT_BYTES >> 20} MB; give the layout.json of a staging")
    try:
        return Arrangement.model_validate_json(path.read_bytes())
    except ValidationError as broken:
        first = broken.errors()[0]
        where = ".".join(map(str, first["loc"]))
        given = "" if first["type"] == "missing" else f" is {reprlib.repr(first['input'])[:60]}"
        value = f"{where}{given}: " if where else ""
        raise BadLayout(
            f"{path.name} is no layout: {value}{first['msg']}; correct it, or stage the photo anew"
        ) from None
    except OSError as unread:
        raise BadLayout(f"{path.name} can't be read ({unread.strerror})") from None


def _results_folder(photo: Path, out: Path | None) -> Path:
    """Return the folder for the results. Raises BadOutput if it can't take them or the photo would go."""
    folder = out or photo.with_name(f"{photo.stem}-staged")
    existing = next(place for place in (folder, *folder.absolute().parents) if os.path.lexists(place))
    if not existing.is_dir():
        raise BadOutput(f"{existing} is a file, not a folder for the results; choose another --out")
    try:
        folder.exists()  # raises for a name that no folder can have
        tempfile.TemporaryFile(dir=existing).close()
    except OSError as refused:
        raise BadOutput(f"nothing can be written to {existing} ({refused.strerror}); choose another --out") from None
    if folder.resolve() == photo.resolve().parent and photo.name.lower() in RESULTS:
        raise BadOutput(f"a result in {folder} would replace the photo; choose another --out")
    return folder


def _write_all(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write each file whole, in place of one of its name: a link is replaced, what it leads to is not."""
    if not files:  # a refusal without a picture leaves no folder behind
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in files.items():
            part = folder / f".{name}.part"
            part.unlink(missing_ok=True)
            part.write_bytes(data)
            part.replace(folder / name)
    except OSError as refused:
        raise BadOutput(
            f"the results can't be written to {folder} ({refused.strerror}); choose another --out"
        ) from None


def _tell(what: str) -> None:
    say.print(f"  {what}", style="dim", highlight=False)
