"""listing-media models: which weights there are, fetching them, checking them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from rich.table import Table

from listing_media_dagster.settings import settings

if TYPE_CHECKING:
    from listing_media_dagster.models.catalogue import CatalogueEntry

app = typer.Typer(no_args_is_help=True, help=__doc__)
say = Console(stderr=True)
ModelId = Annotated[str, typer.Argument(help="id from `listing-media models list`")]


@app.command("list")
def list_models() -> None:
    """List the catalogue and what of it is on this machine."""
    from listing_media_dagster.models.catalogue import catalogue
    from listing_media_dagster.models.weights import BadWeights, ModelMissing, find_weights

    table = Table("id", "what", "licence", "size", "here")
    for entry in catalogue().models:
        try:
            here = f"[green]{find_weights(entry, None, settings().models_dir).origin}"
        except (ModelMissing, BadWeights) as absent:
            here = f"[yellow]{absent}"
        table.add_row(entry.id, entry.title, entry.licence, f"{entry.size_mb} MB", here)
    Console().print(table)


@app.command()
def pull(model: ModelId) -> None:
    """Fetch a model's weights once, at the pinned revision, and record their digests."""
    if not pull_or_say_why_not(model, say):
        raise typer.Exit(1)


@app.command()
def check(model: ModelId) -> None:
    """Verify a pulled model against its recorded digests, without the network."""
    from listing_media_dagster.models.weights import BadWeights, ModelMissing
    from listing_media_dagster.models.weights import check as verify

    try:
        folder = verify(_entry(model), settings().models_dir)
    except (ModelMissing, BadWeights) as wrong:
        say.print(f"[red]{wrong}")
        raise typer.Exit(1) from None
    Console().print(f"[green]{model}[/] {folder.path} sha256 {folder.weights_sha256}")


def pull_or_say_why_not(model: str, console: Console) -> bool:
    """Fetch `model` with a progress bar; a hub that can't be reached costs one line, not the run."""
    from listing_media_dagster.models import weights, weights_pull

    entry = _entry(model)
    try:
        weights.find_weights(entry, None, settings().models_dir)
        return True
    except weights.ModelMissing:
        console.print(f"{entry.title}: {entry.size_mb} MB, once")
    except weights.BadWeights as damaged:
        console.print(f"[yellow]{damaged}")
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    try:
        with Progress(*columns, console=console, transient=True) as bars:
            task = bars.add_task(entry.id, total=None)
            folder = weights_pull.pull(
                entry,
                settings().models_dir,
                progress=lambda at: bars.update(task, completed=at.done_bytes, total=at.total_bytes),
            )
    except (weights_pull.HubUnreachable, weights.BadWeights, weights.ModelMissing, OSError) as unreachable:
        console.print(f"[yellow]{unreachable}", highlight=False)
        return False
    console.print(f"{entry.id} is here: sha256 {folder.weights_sha256}", highlight=False)
    return True


def _entry(model: str) -> CatalogueEntry:
    from listing_media_dagster.models.catalogue import catalogue_entry

    try:
        return catalogue_entry(model)
    except LookupError as unknown:
        say.print(f"[red]{unknown.args[0]}")
        raise typer.Exit(1) from None
