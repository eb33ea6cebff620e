"""listing-media settings: every setting, what it means, and what holds here; also the page of them in docs/."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from pydantic import SecretStr
from rich.console import Console
from rich.table import Column, Table

from listing_media_dagster.settings import Settings, settings

PAGE = """# Settings

Environment variables, or `.env` in the working directory ([.env.example](../.env.example)). `listing-media settings`
shows what holds on a machine. This page is written by `listing-media settings --page`.

| variable | default | meaning |
|---|---|---|
"""


def show_settings(
    page: Annotated[bool, typer.Option("--page", help="print docs/settings.md instead")] = False,
) -> None:
    """Show every setting, what it means and what holds here; secrets are never shown."""
    if page:
        typer.echo(settings_page(), nl=False)
        return
    here = settings()
    table = Table(Column("variable", no_wrap=True), *(Column(name, overflow="fold") for name in ("here", "meaning")))
    for name, field in Settings.model_fields.items():
        value = getattr(here, name)
        chosen = value != field.get_default()
        table.add_row(
            f"LISTING_MEDIA_{name.upper()}", f"[bold]{_told(value)}[/]" if chosen else _told(value), _meaning(name)
        )
    Console().print(table)


def settings_page() -> str:
    """Return docs/settings.md."""
    rows = [
        f"| `LISTING_MEDIA_{name.upper()}` | {_code(field.get_default())} | {_meaning(name)} |\n"
        for name, field in Settings.model_fields.items()
    ]
    return PAGE + "".join(rows)


def _meaning(name: str) -> str:
    return Settings.model_fields[name].description or ""


def _code(value: Any) -> str:
    return f"`{_told(value)}`" if _told(value) else ""


def _told(value: Any) -> str:
    if value is None:
        return ""
    return "********" if isinstance(value, SecretStr) else str(value)
