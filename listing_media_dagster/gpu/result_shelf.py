"""Results that were made ahead, kept by item key until the job that wants them is sent.

<key>/      job folder with one item, and route.txt: by which route it was made
"""

from __future__ import annotations

import secrets
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from listing_media_dagster.gpu.job import BadJob, ItemResult, JobFolder

_FORGOTTEN_AFTER_SECONDS = 7 * 24 * 3600
_ITEM, _ROUTE = "item", "route.txt"


@dataclass(frozen=True)
class _Shelved:
    result: ItemResult
    outputs: Mapping[str, bytes]
    route: str


@dataclass(frozen=True)
class ResultShelf:
    root: Path

    def put(self, key: str, route: str, result: ItemResult, outputs: Mapping[str, bytes]) -> None:
        """Keep what an item of that key gave, all of it or nothing; what nobody wanted for a week is thrown away."""
        self.root.mkdir(parents=True, exist_ok=True)
        self._forget_old_ones()
        coming = self.root / f".{key}.{secrets.token_hex(8)}"
        coming.mkdir()
        JobFolder(coming).finish_item(result.model_copy(update={"item_id": _ITEM, "key": key}), outputs)
        (coming / _ROUTE).write_text(route)
        self.remove(key)
        try:
            coming.rename(self.root / key)
        except OSError:
            shutil.rmtree(coming, ignore_errors=True)
            if not self.holds(key):  # else another run was faster, with the same work
                raise

    def holds(self, key: str) -> bool:
        return self._found(key) is not None

    def finish_items(self, folder: JobFolder) -> dict[str, str]:
        """Finish those items of the job that results lie here for; return by which route each was made, by item id.

        They stay here until they are removed: the job may yet have to be sent again.
        """
        routes = {}
        job = folder.job
        for item in job.items:
            if found := self._found(job.item_key(item)):
                folder.finish_item(found.result.model_copy(update={"item_id": item.id}), found.outputs)
                routes[item.id] = found.route
        return routes

    def remove(self, key: str) -> None:
        shutil.rmtree(self.root / key, ignore_errors=True)

    def _found(self, key: str) -> _Shelved | None:
        """Return what lies here for the key; None if nothing does, or it isn't whole."""
        entry = JobFolder(self.root / key)
        result = entry.result_of(_ITEM)
        if result is None or result.key != key:
            return None
        try:
            outputs = {role: entry.read(file) for role, file in result.outputs.items()}
            return _Shelved(result, outputs, (entry.path / _ROUTE).read_text())
        except (BadJob, OSError):
            return None

    def _forget_old_ones(self) -> None:
        oldest = time.time() - _FORGOTTEN_AFTER_SECONDS
        for path in self.root.iterdir():
            try:
                if path.stat().st_mtime < oldest:
                    shutil.rmtree(path)
            except OSError:
                continue  # another process forgets it, too
