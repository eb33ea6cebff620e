"""Progress of a run in this process: a bar an asset on a terminal, else a line now and then, as a log wants it."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

LOGGER = "listing_media_dagster.progress"


@contextmanager
def showing_progress(console: Console) -> Iterator[None]:
    """Show what `StageRun.progress` and `say` report while the block runs."""
    if not console.is_terminal:
        with _listening(_Lines(console)):
            yield
        return
    columns = (
        TextColumn("{task.description:<20}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[what]}", style="dim", markup=False),
    )
    with Progress(*columns, console=console) as bars, _listening(_Bars(bars)):
        yield


@contextmanager
def _listening(handler: logging.Handler) -> Iterator[None]:
    logger = logging.getLogger(LOGGER)
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


class _Lines(logging.Handler):
    """Bars can't be redrawn in a file or a pipe: a line when a stage is done, and in between one in half a minute."""

    SECONDS_BETWEEN = 30.0

    def __init__(self, console: Console) -> None:
        super().__init__(logging.INFO)
        self._console = console
        self._told = time.monotonic()
        self._last = ""

    def emit(self, record: logging.LogRecord) -> None:
        fields = record.__dict__
        if "message_of" in fields:
            self._print(record.getMessage())
        elif "asset" in fields and (fields["done"] == fields["total"] or self._is_due):
            self._print(f"{fields['asset']} {fields['done']}/{fields['total']}")

    @property
    def _is_due(self) -> bool:
        return time.monotonic() - self._told >= self.SECONDS_BETWEEN

    def _print(self, line: str) -> None:
        if line != self._last:  # a stage of which everything is reused is told to be done twice
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)
        self._told, self._last = time.monotonic(), line


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
