"""listing-media present: a film of a person who speaks a script, by a workflow on a ComfyUI server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from listing_media_dagster.settings import settings

say = Console(stderr=True)


def present(
    portrait: Annotated[Path, typer.Argument(help="photo of the person", exists=True, dir_okay=False)],
    script: Annotated[Path, typer.Argument(help="text file with what is said", exists=True, dir_okay=False)],
    film: Annotated[Path, typer.Argument(help="MP4 to write")],
    seed: Annotated[int, typer.Option(min=0)] = 0,
) -> None:
    """Have a person speak a script: the portrait and the text are sent to the ComfyUI server of the settings.

    The film shows somebody saying what they never said: ask them first, and label it where you publish it.
    """
    from listing_media_dagster.gpu.routes.comfyui import presenter_of
    from listing_media_dagster.listing import BadPhoto
    from listing_media_dagster.models.comfyui.workflow import BadWorkflow
    from listing_media_dagster.models.model import ModelFailed
    from listing_media_dagster.photo.decode import decode_upright

    try:
        presenter = presenter_of(settings())
        words = script.read_text(encoding="utf-8")
        with say.status(f"waiting for {presenter.entry.title}"):
            made = presenter.present(decode_upright(portrait).rgb, words, seed)
    except (BadPhoto, BadWorkflow, ModelFailed, UnicodeDecodeError, ValueError) as failed:
        say.print(f"[red]{escape(str(failed))}[/]", highlight=False)
        raise typer.Exit(1) from None
    partial = film.with_name(f".{film.name}.part")
    partial.write_bytes(made)
    partial.replace(film)
    say.print(f"{escape(str(film))}: AI-generated; label it where you publish it", highlight=False)
