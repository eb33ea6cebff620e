"""listing-media: the pipeline from a terminal, through the same Dagster definitions that the UI and the daemon use."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from listing_media_dagster import cli_gpu, cli_kaggle, cli_models, cli_present, cli_settings, cli_stage
from listing_media_dagster.cli_progress import showing_progress
from listing_media_dagster.cli_report import show_listing
from listing_media_dagster.listing import BadListing, check_listing_id
from listing_media_dagster.settings import Settings, settings


class _Commands(typer.core.TyperGroup):
    """Answers what a person can put right (a store, a setting) with one line and exit code 1, not with a traceback."""

    def invoke(self, ctx: Any) -> Any:
        from listing_media_dagster.store.objects import StoreError

        try:
            return super().invoke(ctx)
        except StoreError as unusable:
            _complain(str(unusable))
        except ValidationError as invalid:
            if invalid.title != Settings.__name__:
                raise
            for error in invalid.errors():
                name = "_".join(str(part) for part in error["loc"]).upper()
                _complain(f"LISTING_MEDIA_{name} can't be {error['input']!r}: {error['msg']}")
        raise typer.Exit(1)


app = typer.Typer(
    cls=_Commands, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__, add_completion=False
)
say = Console(stderr=True)

Photos = Annotated[Path, typer.Argument(help="folder with the photos of one home", exists=True, file_okay=False)]
ListingId = Annotated[str, typer.Option("--listing", help="listing id; default: made from the folder's name")]
Style = Annotated[str | None, typer.Option(help="design kit for virtual staging")]
Strength = Annotated[float | None, typer.Option(min=0, max=1, help="of the enhancement")]
Store = Annotated[str | None, typer.Option(help="folder or s3://bucket/prefix; default: LISTING_MEDIA_STORE")]
AsJson = Annotated[bool, typer.Option("--json", help="print report.json and nothing else to standard output")]


@app.command()
def run(
    photos: Photos,
    listing: ListingId = "",
    style: Style = None,
    strength: Strength = None,
    store: Store = None,
    as_json: AsJson = False,
) -> None:
    """Take a folder of photos through the whole pipeline; exit with 1 if any stage failed."""
    _use_store(store)
    listing_id = _listing_id(listing, photos)
    if not listing:
        _refuse_another_home(listing_id, photos)
    succeeded = _run_listing(photos, listing_id, style=style, strength=strength)
    _conclude(listing_id, as_json=as_json, succeeded=succeeded)


@app.command()
def demo(
    photos: Annotated[Path | None, typer.Argument(help="your own photos; default: the sample listing")] = None,
    store: Store = None,
    no_pull: Annotated[bool, typer.Option("--no-pull", help="don't fetch the CLIP weights")] = False,
) -> None:
    """Run the sample listing, or your own photos, and say where to look."""
    from listing_media_dagster.sample_listing import sample_folder

    _use_store(store)
    folder = photos.expanduser() if photos else sample_folder()  # `make demo PHOTOS=~/…`: not every shell expands it
    if not folder.is_dir():
        _complain(f"{folder} is no folder; give the folder that holds the photos of one home")
        raise typer.Exit(1)
    if not no_pull:
        cli_models.pull_or_say_why_not("clip-vit-b32", say)
    listing_id = "sample-home" if photos is None else _listing_id("", folder)
    if photos is not None:
        _refuse_another_home(listing_id, folder)
    succeeded = _run_listing(folder, listing_id)
    _conclude(listing_id, as_json=False, succeeded=succeeded)


app.command()(cli_stage.stage)


@app.command()
def submit(photos: Photos, listing: ListingId = "", store: Store = None) -> None:
    """Copy a folder into the inbox and mark it ready; the upload sensor takes it from there."""
    from listing_media_dagster.assets.drop import READY_MARKER, FolderDrop, links_in_words
    from listing_media_dagster.listing_yaml import FILE_NAME, parse_listing_yaml

    _use_store(store)
    media = _media()
    listing_id = _listing_id(listing, photos)
    inbox = f"inbox/{listing_id}"
    drop = FolderDrop(photos)
    files = drop.files()
    if links := drop.links():
        say.print(f"[yellow]{escape(links_in_words(links))}[/]", highlight=False)
    try:
        text = drop.listing_yaml()
        if text is not None:
            parse_listing_yaml(text, listing_id)
    except BadListing as bad:
        _complain(f"{photos}: {bad}")
        raise typer.Exit(1) from None
    if not files and text is None:
        _complain(f"{photos} holds no photos: put JPEG, PNG, WebP, HEIC or AVIF files there")
        raise typer.Exit(1)
    if not listing and _known_digests(listing_id):
        say.print(f"[yellow]{listing_id} is a listing already: these files are added to it.[/]")
    for file in files:
        with drop.open_local(file.name) as path:
            media.write(f"{inbox}/{file.name}", path)
        say.print(f"  {file.name}", markup=False, highlight=False)
    if text is not None:
        media.write(f"{inbox}/{FILE_NAME}", text)
    media.write(f"{inbox}/{READY_MARKER}", b"")
    say.print(f"[green]{inbox} is ready; the listing_uploads sensor takes it on its next tick")


@app.command()
def status(listing: Annotated[str, typer.Argument(help="one listing; default: all")] = "", store: Store = None) -> None:
    """Show how far the listings are, or what became of one listing's files."""
    _use_store(store)
    media = _media()
    if listing:
        show_listing(_report(check_id(listing)))
        return
    table = Table("listing", "last stage", "photos", "rejected", "deliverables")
    for listing_id in media.list_folders("listings/"):
        report = _find_report(listing_id)
        if report is None:
            table.add_row(listing_id, "nothing yet", "", "", "")
            continue
        stages = list(report["stages"])
        rejected = sum(file["status"] == "rejected" for file in report["files"])
        table.add_row(
            listing_id,
            stages[-1],
            str(len(report["photos"])),
            str(rejected),
            str(len(report["deliverables"])),
        )
    if not table.row_count:
        say.print(f"no listing lies in {settings().store} yet", markup=False, highlight=False)
        return
    Console().print(table)


@app.command()
def doctor(store: Store = None) -> None:
    """Say what this machine can do, what is missing and how to get it."""
    from listing_media_dagster.doctor import examine

    _use_store(store)
    signs = {"ok": "[green]✓", "warn": "[yellow]!", "missing": "[red]✗"}
    table = Table(
        "", Column("what", no_wrap=True), *(Column(name, overflow="fold") for name in ("found", "to do")), box=None
    )
    findings = examine(settings())
    for finding in findings:
        table.add_row(signs[finding.level], finding.what, finding.detail, finding.fix or "")
    Console().print(table)
    if any(finding.level == "missing" and finding.required for finding in findings):
        raise typer.Exit(1)


@app.command("serve-media")
def serve_media(
    store: Store = None,
    host: Annotated[str, typer.Option(help="address to listen on; beyond 127.0.0.1 only behind a proxy")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free")] = 3001,
) -> None:
    """Serve the media store's finished files to browsers; `make ui` runs it beside Dagster."""
    from listing_media_dagster.store.media_server import serve

    _use_store(store)
    public = urlsplit(settings().media_url).hostname
    serve(_media(), host, port, allowed_hosts=(public,) if public else ())


app.command("settings")(cli_settings.show_settings)
app.add_typer(cli_models.app, name="models")
app.command("gpu-worker")(cli_gpu.gpu_worker)
app.add_typer(cli_kaggle.app, name="kaggle")
app.command()(cli_present.present)


@app.command("report-schema", hidden=True)
def report_schema() -> None:
    """Print the JSON schema of report.json (docs/report.schema.json)."""
    from listing_media_dagster.store.report import report_schema

    print(json.dumps(report_schema(), indent=2))


def check_id(text: str) -> str:
    try:
        return check_listing_id(text)
    except BadListing as bad:
        _complain(str(bad))
        raise typer.Exit(1) from None


def _listing_id(given: str, photos: Path) -> str:
    return check_id(given or re.sub(r"[^A-Za-z0-9_-]+", "-", photos.resolve().name).strip("-_")[:64] or "listing")


def _refuse_another_home(listing_id: str, photos: Path) -> None:
    """Two homes may lie in folders of one name, such as "photos"; the second must not take the first one's place."""
    from listing_media_dagster.assets.drop import FolderDrop

    known = _known_digests(listing_id)
    if not known or any(_sha256(photos / file.name) in known for file in FolderDrop(photos).files()):
        return
    _complain(
        f"{listing_id} is another home already: none of its photos lies in {photos}."
        f" `listing-media run {photos} --listing ID` gives this one an id of its own,"
        f" --listing {listing_id} replaces the other"
    )
    raise typer.Exit(1)


def _known_digests(listing_id: str) -> set[str]:
    from listing_media_dagster.store.photo_sets import MediaStoreResource

    known = MediaStoreResource().photo_sets().find(listing_id, "raw_photos")
    return {source.sha256 for photo in known.photos for source in photo.sources} if known else set()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _complain(sentence: str) -> None:
    say.print(f"[red]{escape(sentence)}[/]", highlight=False, soft_wrap=True)


def _use_store(url: str | None) -> None:
    if url is not None:
        os.environ["LISTING_MEDIA_STORE"] = url
        settings.cache_clear()


def _media() -> Any:
    from listing_media_dagster.store.photo_sets import MediaStoreResource

    return MediaStoreResource().store()


def _prepare_dagster_home() -> None:
    """Use DAGSTER_HOME, or else .dagster here with this folder's dagster.yaml.

    A home without a dagster.yaml gets one that keeps Dagster quiet: its telemetry is a call that nobody asked for.
    """
    named = os.environ.get("DAGSTER_HOME")
    home = Path(named or ".dagster").resolve()
    config = home / "dagster.yaml"
    try:
        home.mkdir(parents=True, exist_ok=True)
        if not config.exists():
            if not named and Path("dagster.yaml").exists():
                config.symlink_to(Path("dagster.yaml").resolve())
            else:
                config.write_text("telemetry: {enabled: false}\nnux: {enabled: false}\n")
    except OSError as error:
        _complain(
            f"{home} can't be made ({error.strerror}): set DAGSTER_HOME to a folder where run records may be kept"
        )
        raise typer.Exit(1) from None
    os.environ["DAGSTER_HOME"] = str(home)


def _run_listing(photos: Path, listing_id: str, *, style: str | None = None, strength: float | None = None) -> bool:
    from listing_media_dagster.unusable_settings import unknown_kit, unusable_settings

    wrong = unusable_settings(settings())
    if style is not None and not wrong:
        wrong += unknown_kit(style)
    if wrong:
        for sentence in wrong:
            _complain(sentence)
        raise typer.Exit(1)
    _prepare_dagster_home()
    _media().exists(f"listings/{listing_id}/report.json")  # a store that can't be reached is said before any work
    say.print(f"[bold]{listing_id}[/]  {escape(str(photos))}", highlight=False)
    with showing_progress(say):
        import dagster as dg

        from listing_media_dagster.automation.run_history import listings_in_flight
        from listing_media_dagster.automation.terminal_runs import end_lost_runs, held_by_this_process
        from listing_media_dagster.definitions import defs
        from listing_media_dagster.partitions import listings

        operations: dict[str, Any] = {"raw_photos": {"config": {"source": str(photos.resolve())}}}
        if style is not None:
            operations["staged_photos"] = {"config": {"style": style}}
        if strength is not None:
            operations["enhanced_photos"] = {"config": {"strength": strength}}
        with dg.DagsterInstance.get() as instance, held_by_this_process(instance) as tags:
            end_lost_runs(instance)
            if listing_id in listings_in_flight(instance):
                say.print(f"[yellow]Another run of {listing_id} is in flight: what both make is made twice.[/]")
            instance.add_dynamic_partitions(str(listings.name), [listing_id])
            result = defs.resolve_job_def("listing_media").execute_in_process(
                instance=instance,
                partition_key=listing_id,
                tags=tags,
                run_config={"ops": operations, "loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
                raise_on_error=False,
            )
    failed = [event for event in result.all_events if event.is_step_failure]
    for event in failed:
        say.print(f"[red]{event.step_key} failed:[/] {escape(_why(event))}", highlight=False, soft_wrap=True)
    for event in result.all_events:
        if event.is_job_failure and not failed:  # outside of any step
            _complain(f"the run failed: {_in_a_sentence(event.job_failure_data.error)}")
    return bool(result.success)


def _why(event: Any) -> str:
    failure = event.step_failure_data
    if failure.user_failure_data is not None and failure.user_failure_data.description:
        return str(failure.user_failure_data.description)
    return _in_a_sentence(failure.error)


def _in_a_sentence(error: Any) -> str:
    while error is not None and error.cause is not None:
        error = error.cause
    if error is None:
        return "see the run's log"
    if error.cls_name == "DagsterExecutionInterruptedError":
        return "interrupted; the same command goes on where it stopped"
    said = str(error.message).strip()
    return said.partition(": ")[2] if error.cls_name in ("StoreError", "ObjectMissing") else said


def _find_report(listing_id: str) -> dict[str, Any] | None:
    key = f"listings/{listing_id}/report.json"
    media = _media()
    report: dict[str, Any] | None = json.loads(media.read(key)) if media.exists(key) else None
    return report


def _report(listing_id: str) -> dict[str, Any]:
    report = _find_report(listing_id)
    if report is None:
        _complain(f"there is no listing {listing_id!r} in {settings().store}")
        raise typer.Exit(1)
    return report


def _conclude(listing_id: str, *, as_json: bool, succeeded: bool) -> None:
    report = _find_report(listing_id)
    if report is not None:
        if not succeeded:
            say.print("[yellow]The run failed: stages it didn't get to are reported as earlier runs left them.[/]")
        if as_json:
            sys.stdout.write(json.dumps(report, indent=1) + "\n")
        else:
            show_listing(report)
    if not succeeded:
        raise typer.Exit(1)


if __name__ == "__main__":
    app()
