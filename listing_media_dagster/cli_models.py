"""listing-media models: which weights there are and what fits here; fetching, checking, packing them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.table import Column, Table

from listing_media_dagster.settings import settings

if TYPE_CHECKING:
    from listing_media_dagster.models.entry import CatalogueEntry
    from listing_media_dagster.models.weights_folder import WeightsFolder
    from listing_media_dagster.models.weights_pull import PullPlan, PullProgress

app = typer.Typer(no_args_is_help=True, help=__doc__)
say = Console(stderr=True)
ModelId = Annotated[str, typer.Argument(help="id from `listing-media models list`")]
ModelIds = Annotated[list[str], typer.Argument(help="ids from `listing-media models list`")]


@app.command("list")
def list_models(
    stage: Annotated[str | None, typer.Option(help="only the models of this stage")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print a list of objects")] = False,
) -> None:
    """List the catalogue: what each stage would use on this machine, and why not the others."""
    from listing_media_dagster.models.hardware import probe

    hardware = probe()
    rows = _rows(stage)
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    # An id that is cut off can't be typed: on a narrow terminal the words around it give way.
    table = Table(Column("stage", no_wrap=True), Column("model", no_wrap=True), "what it is", "on this machine")
    for row in rows:
        mark = "[green]" if row["chosen"] else "" if row["fits"] else "[dim]"
        here = "[green]here" if row["here"] else "[yellow]not here"
        size = "in the package" if row["packaged"] else _in_words(row["size_mb"] * 1_000_000)
        what = f"{escape(row['title'])}\n[dim]{escape(row['licence'])}"
        table.add_row(row["stage"], f"{row['id']}\n[dim]{size}[/] {here}", what, mark + escape(row["reason"]))
    console = Console()
    console.print(escape(f"This machine: {hardware.describe()}"))
    if hardware.fault:
        console.print(f"[yellow]No GPU is used: {escape(hardware.fault)}")
    console.print(table)


@app.command()
def pull(
    models: ModelIds,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="say what would be fetched, and fetch nothing")] = False,
) -> None:
    """Fetch models' weights once, at the pinned revisions, and record their digests. A broken download goes on."""
    for model in models:
        done = _plan_or_say_why_not(model) if dry_run else pull_or_say_why_not(model, say)
        if not done:
            raise typer.Exit(1)


@app.command()
def check(
    models: Annotated[list[str] | None, typer.Argument(help="default: every model that was pulled")] = None,
) -> None:
    """Hash the pulled files anew and compare them with what was first pulled, without the network."""
    from listing_media_dagster.models.weights import BadWeights, ModelMissing
    from listing_media_dagster.models.weights import check as verify

    at = settings()
    entries = [_entry(model) for model in models] if models else _pulled()
    if not entries:
        say.print(f"No models were pulled into {at.models_dir}", highlight=False)
    sound = True
    for entry in entries:
        try:
            folder = verify(entry, at.models_dir)
        except (ModelMissing, BadWeights) as wrong:
            say.print(f"[red]{escape(str(wrong))}", highlight=False)
            sound = False
            continue
        files = sum(len(part.files) for part in folder.parts)
        Console().print(f"[green]{entry.id}[/] {files} files, {_in_words(folder.size)}, sha256 {folder.weights_sha256}")
    if not sound:
        raise typer.Exit(1)


@app.command()
def pack(
    models: ModelIds,
    to: Annotated[Path, typer.Option("--to", help="new folder, or new file ending in .zip")],
) -> None:
    """Pack pulled models for a host without network, or for a Kaggle dataset."""
    from listing_media_dagster.models.packing import pack_models

    entries = [_entry(model) for model in models]
    with _bar_or_say_why_not("packing") as report:
        manifest = pack_models(entries, settings().models_dir, to, report)
    size = _in_words(sum(file.size for file in manifest.files.values()))
    say.print(f"{to}: {', '.join(manifest.models)}, {len(manifest.files)} files, {size}", highlight=False)
    say.print(
        f"On the other machine: `listing-media models unpack {to.name}`, or use the unpacked folder where it lies: "
        "LISTING_MEDIA_MODELS_DIR",
        highlight=False,
    )


@app.command()
def unpack(bundle: Annotated[Path, typer.Argument(exists=True, help="zip or folder that `models pack` wrote")]) -> None:
    """Put a bundle's models among the pulled ones, every file checked against its digest."""
    from listing_media_dagster.models.packing import unpack_models

    with _bar_or_say_why_not("unpacking") as report:
        manifest = unpack_models(bundle, settings().models_dir, report)
    say.print(f"{', '.join(manifest.models)} in {settings().models_dir}", highlight=False)


def _pulled() -> list[CatalogueEntry]:
    """Return what `models.lock` says was pulled, however much of it still lies there."""
    from listing_media_dagster.models.weights import BadWeights
    from listing_media_dagster.models.weights_lock import read_lock

    try:
        locked = read_lock(settings().models_dir.expanduser()).models
    except BadWeights as unreadable:
        say.print(f"[red]{escape(str(unreadable))}", highlight=False)
        raise typer.Exit(1) from None
    return [entry for entry in _catalogue() if entry.id in locked]


def pull_or_say_why_not(model: str, console: Console) -> bool:
    """Fetch `model` with a progress bar; a hub that can't be reached costs one line, not the run."""
    from listing_media_dagster.models import weights, weights_pull

    at = settings()
    entry = _entry(model)
    damage = ""
    try:
        _say_it_is_here(weights.find_weights(entry, None, at.models_dir), console)
        return True
    except weights.ModelMissing:
        console.print(f"{entry.title}: about {_in_words(entry.size_mb * 1_000_000)}, once. {entry.licence}")
    except weights.BadWeights as damaged:
        damage = str(damaged)
        console.print(f"[yellow]{escape(damage)}", highlight=False)
    try:
        with _download_bar(console, entry) as report:
            folder = weights_pull.pull(entry, at.models_dir, progress=report, allowed_licences=at.allowed_licences)
    except (
        weights_pull.HubUnreachable,
        weights_pull.LicenceRefused,
        weights.BadWeights,
        weights.ModelMissing,
        OSError,
    ) as refused:
        if str(refused) != damage:  # a lock that can't be read
            console.print(f"[yellow]{escape(str(refused))}", highlight=False)
        return False
    _say_it_is_here(folder, console)
    return True


def _say_it_is_here(folder: WeightsFolder, console: Console) -> None:
    console.print(f"{folder.model_id} is here: sha256 {folder.weights_sha256}", highlight=False)


def _plan_or_say_why_not(model: str) -> bool:
    from listing_media_dagster.models import weights, weights_pull

    entry = _entry(model)
    try:
        plan = weights_pull.plan_pull(entry, settings().models_dir)
    except (weights_pull.HubUnreachable, weights.BadWeights, weights.ModelMissing) as refused:
        say.print(f"[yellow]{escape(str(refused))}", highlight=False)
        return False
    _print_plan(entry, plan)
    return True


def _print_plan(entry: CatalogueEntry, plan: PullPlan) -> None:
    table = Table("part", "from", "file", "size", "")
    for file in plan.files:
        source = f"{file.repo} @ {file.revision[:12]}"
        table.add_row(file.role, source, file.name, _in_words(file.size), "here" if file.is_here else "to fetch")
    Console().print(table)
    free = f"{_in_words(plan.free_bytes)} are free"
    Console().print(f"{entry.id}: {_in_words(plan.bytes_to_fetch)} to fetch, {free}", highlight=False)


def _rows(stage: str | None) -> list[dict[str, Any]]:
    """Return one row for each stage and model: what it is, and whether and how it would be used here."""
    from listing_media_dagster.models.entry import Stage
    from listing_media_dagster.models.hardware import probe
    from listing_media_dagster.models.shortlist import BadWishes
    from listing_media_dagster.models.weights import BadWeights, models_here
    from listing_media_dagster.wished_models import wished_choice

    at = settings()
    try:
        stages = [Stage(stage)] if stage else list(Stage)
    except ValueError:
        say.print(f"[red]no stage is called {stage!r}; there is {', '.join(Stage)}")
        raise typer.Exit(1) from None
    entries = _catalogue()
    try:
        here = models_here(entries, at.models_dir)
        choices = {each: wished_choice(each, probe(), entries, at) for each in stages}
    except (BadWeights, BadWishes) as unusable:
        say.print(f"[red]{escape(str(unusable))}", highlight=False)
        raise typer.Exit(1) from None
    rows = []
    for each, choice in choices.items():
        ways = {option.entry.id: f"{option.way}, {option.dtype}" for option in choice.options}
        for entry in (entry for entry in entries if each in entry.stages):
            chosen = choice.entry is not None and entry.id == choice.entry.id
            reason = f"is used here: {ways[entry.id]}" if chosen else choice.reasons[entry.id]
            if chosen and entry.id not in here:
                reason = f"would be used here ({ways[entry.id]}) after `{entry.pull_command}`"
            rows.append(
                {
                    "stage": str(each),
                    "id": entry.id,
                    "title": entry.title,
                    "licence": entry.licence,
                    "commercial_use": str(entry.commercial_use),
                    "size_mb": entry.size_mb,
                    "packaged": all(part.packaged for part in entry.parts),
                    "here": entry.id in here,
                    "fits": entry.id in ways,
                    "chosen": chosen,
                    "reason": reason,
                }
            )
    return rows


@contextmanager
def _download_bar(console: Console, entry: CatalogueEntry) -> Iterator[Callable[[PullProgress], None]]:
    """Show a bar; the first report, which knows the exact size, is said in a line of its own."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bars:
        task = bars.add_task(entry.id, total=None)

        def report(at: PullProgress) -> None:
            if at.done_bytes == 0 and bars.tasks[0].total is None:
                bars.console.print(f"{entry.id}: {_in_words(at.total_bytes)} to fetch", highlight=False)
            bars.update(task, description=at.file or entry.id, completed=at.done_bytes, total=at.total_bytes)

        yield report


@contextmanager
def _bar_or_say_why_not(what: str) -> Iterator[Callable[[str, int, int], None]]:
    """Show a bar while the block works; what it refuses costs one line and exit status 1."""
    from listing_media_dagster.models.weights import BadWeights, ModelMissing

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    try:
        with Progress(*columns, console=say, transient=True) as bars:
            task = bars.add_task(what, total=None)
            yield lambda file, done, total: bars.update(task, completed=done, total=total)
    except (BadWeights, ModelMissing) as refused:
        say.print(f"[red]{escape(str(refused))}", highlight=False)
        raise typer.Exit(1) from None
    except OSError as refused:
        say.print(f"[red]{escape(refused.strerror or str(refused))}", highlight=False)
        raise typer.Exit(1) from None


def _catalogue() -> list[CatalogueEntry]:
    from listing_media_dagster.models.catalogue import BadCatalogue, catalogue

    try:
        return list(catalogue(settings().model_catalogue).models)
    except BadCatalogue as wrong:
        say.print(f"[red]{escape(str(wrong))}", highlight=False)
        raise typer.Exit(1) from None


def _entry(model: str) -> CatalogueEntry:
    for entry in _catalogue():
        if entry.id == model:
            return entry
    say.print(f"[red]no model is called {model!r}; there is {', '.join(entry.id for entry in _catalogue())}")
    raise typer.Exit(1)


def _in_words(size: int) -> str:
    """Return bytes as people say them, in powers of 1000 as disks are sold."""
    for unit, factor in (("GB", 1_000_000_000), ("MB", 1_000_000)):
        if size >= factor:
            return f"{size / factor:.{1 if size < 10 * factor else 0}f} {unit}"
    return f"{size / 1000:.1f} kB"
