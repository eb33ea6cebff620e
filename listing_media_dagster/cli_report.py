"""What a terminal shows of a listing's report: rejected files, staging, checks, seconds, where to look."""

from __future__ import annotations

import re
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
    """Print how many rooms are staged, and of the others, in a line a reason, why they aren't."""
    if "staged_photos" not in report["stages"]:
        return
    photos = report["photos"]
    staged = sum(any(done["name"] == OperationName.VIRTUAL_STAGING for done in photo["operations"]) for photo in photos)
    out.print(f"  {staged} of {_photos(len(photos))} virtually staged")
    others: dict[str, list[str]] = {}
    for photo in photos:
        files = ", ".join(photo["files"])
        if why := photo.get("not_staged"):
            measured = re.sub(r" \([a-z ]+ [\d.]+\)", "", why)
            others.setdefault(f"not staged, {measured}", []).append(files)
        for what, why in photo.get("not_altered", {}).items():
            others.setdefault(f"{what} not done, {why}", []).append(files)
    for why, names in others.items():
        out.print(f"  [dim]{escape(why)}: {escape(', '.join(names))}[/]", highlight=False)


def _photos(count: int) -> str:
    return f"{count} photo{'' if count == 1 else 's'}"


def _where(key: str) -> str:
    store = settings().store
    return f"{store.rstrip('/')}/{key}" if "://" in store else str(Path(store, key))
