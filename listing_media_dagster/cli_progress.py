"""Progress bars for a run in this process: one line an asset, counted in photos."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

LOGGER = "listing_media_dagster.progress"


@contextmanager
def showing_progress(console: Console) -> Iterator[None]:
    """Show what `StageRun.progress` and `say` report while the block runs."""
    columns = (
        TextColumn("{task.description:<20}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[what]}", style="dim", markup=False),
    )
    logger = logging.getLogger(LOGGER)
    with Progress(*columns, console=console) as bars:
        handler = _Bars(bars)
        level = logger.level
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        try:
            yield
        finally:
            logger.removeHandler(handler)
            logger.setLevel(level)


class _Bars(logging.Handler):
    def __init__(self, bars: Progress) -> None:
        super().__init__(logging.INFO)
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}

    def emit(self, record: logging.LogRecord) -> None:
        fields = record.__dict__
        if "message_of" in fields:
            self._bars.console.print(f"[yellow]{escape(record.getMessage())}[/]", highlight=False)
        elif "step_of" in fields:
            if fields["step_of"] in self._tasks:
                self._bars.update(self._tasks[fields["step_of"]], what=fields["what"][:60])
        elif "asset" in fields:
            asset = fields["asset"]
            if asset not in self._tasks:
                self._tasks[asset] = self._bars.add_task(asset, total=fields["total"], what="")
            self._bars.update(
                self._tasks[asset], completed=fields["done"], total=fields["total"], what=fields["what"][:40]
            )
            if fields["done"] == fields["total"]:
                self._bars.update(self._tasks[asset], what="")
                self._bars.stop_task(self._tasks[asset])
