"""What a terminal shows of a listing's report: rejected files, staging, checks, seconds, where to look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from listing_media_dagster.listing import OperationName
from listing_media_dagster.settings import settings


def show_listing(report: dict[str, Any]) -> None:
    out = Console()
    files = report["files"]
    for status, colour in (("rejected", "red"), ("flagged", "yellow")):
        for file in files:
            if file["status"] == status:
                out.print(f"  [{colour}]{status}[/] {escape(file['file'])}: {escape(file['reason'])}", highlight=False)
    accepted = sum(file["status"] != "rejected" for file in files)
    out.print(f"  {accepted} of {len(files)} files accepted, {_photos(len(report['photos']))}")
    _show_staging(report, out)
    for check in report["checks"]:
        colour = {"passed": "green", "warned": "yellow", "failed": "red"}[check["outcome"]]
        out.print(f"  [{colour}]{check['outcome']}[/] {check['check']}: {escape(check['detail'])}", highlight=False)
    seconds = ", ".join(f"{asset} {stage['seconds']:.1f} s" for asset, stage in report["stages"].items())
    out.print(f"  {seconds}", highlight=False)
    package = f"listings/{report['listing_id']}/listing_package/"
    for deliverable in report["deliverables"]:
        opened = deliverable["media_type"] in ("text/html", "video/mp4", "application/zip")
        if opened and deliverable["key"].startswith(package):
            words = deliverable["description"] or deliverable["name"]
            out.print(
                f"  [bold]{escape(words)}[/]: {escape(_where(deliverable['key']))}", highlight=False, soft_wrap=True
            )


def _show_staging(report: dict[str, Any], out: Console) -> None:
    if "staged_photos" in report["stages"]:
        staged, others = staging_in_words(report["photos"])
        out.print(f"  {staged} of {_photos(len(report['photos']))} virtually staged")
        for why, files in others.items():
            out.print(f"  [dim]{escape(why)}: {escape(', '.join(files))}[/]", highlight=False)


def staging_in_words(photos: Sequence[Mapping[str, Any]]) -> tuple[int, dict[str, list[str]]]:
    """Return how many of a report's photos are delivered staged, and the files of the others by the reason."""
    staged = 0
    others: dict[str, list[str]] = {}
    for photo in photos:
        files = ", ".join(photo["files"])
        if any(done["name"] == OperationName.VIRTUAL_STAGING for done in photo["operations"]):
            rejected = [gate for gate in photo["verdicts"] if gate["gates"] and gate["outcome"] == "failed"]
            staged += not rejected
            for gate in rejected:
                others.setdefault(f"staged, but the unaltered photo is delivered, {gate['reason']}", []).append(files)
        if why := photo.get("not_staged"):
            others.setdefault(f"not staged, {why}", []).append(files)
        for what, why in photo.get("not_altered", {}).items():
            others.setdefault(f"{what} not done, {why}", []).append(files)
    return staged, others


def _photos(count: int) -> str:
    return f"{count} photo{'' if count == 1 else 's'}"


def _where(key: str) -> str:
    store = settings().store
    return f"{store.rstrip('/')}/{key}" if "://" in store else str(Path(store, key))
