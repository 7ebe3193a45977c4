"""The state of a collection in one SQLite file, which a kill at any instant leaves whole."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from data_tools import files
from data_tools.errors import DataError

NAME = "collection.sqlite"
_VERSION = 2

# state of a photo: found -> downloaded, or failed (tried again by the next download), or set_aside with its reason
_SCHEMA = """
CREATE TABLE IF NOT EXISTS queries (
    key TEXT PRIMARY KEY, class TEXT NOT NULL, kind TEXT NOT NULL, words TEXT NOT NULL, target INTEGER NOT NULL,
    licences TEXT NOT NULL, cursor INTEGER NOT NULL, page INTEGER NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL,
    anchor TEXT NOT NULL DEFAULT '', top INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS photos (
    id TEXT PRIMARY KEY, query TEXT NOT NULL, class TEXT NOT NULL, title TEXT NOT NULL, owner TEXT NOT NULL,
    owner_name TEXT NOT NULL, page TEXT NOT NULL, file TEXT NOT NULL, licence TEXT NOT NULL, licence_name TEXT NOT NULL,
    licence_url TEXT NOT NULL, tags TEXT NOT NULL, date_taken TEXT NOT NULL, date_upload INTEGER NOT NULL,
    date_found INTEGER NOT NULL, date_downloaded INTEGER, state TEXT NOT NULL, reason TEXT NOT NULL DEFAULT '',
    original TEXT NOT NULL DEFAULT '', bytes INTEGER, width INTEGER, height INTEGER, sha256 TEXT, phash TEXT
);
CREATE INDEX IF NOT EXISTS photos_of_query ON photos (query, state);
CREATE INDEX IF NOT EXISTS photos_by_state ON photos (state);
CREATE TABLE IF NOT EXISTS prepared (
    photo TEXT NOT NULL, size INTEGER NOT NULL, fit TEXT NOT NULL, file TEXT NOT NULL, sha256 TEXT NOT NULL,
    PRIMARY KEY (photo, size)
);
CREATE TABLE IF NOT EXISTS events (stage TEXT NOT NULL, what TEXT NOT NULL, count INTEGER NOT NULL,
    PRIMARY KEY (stage, what));
"""
# Layout 1 had its rates in the collection, and called queries done on one answer that was empty: they are asked again,
# from where they stood.
_FROM_LAYOUT_1 = """
ALTER TABLE queries ADD COLUMN anchor TEXT NOT NULL DEFAULT '';
ALTER TABLE queries ADD COLUMN top INTEGER NOT NULL DEFAULT 0;
UPDATE queries SET state = 'open', reason = '' WHERE state = 'done';
DROP TABLE IF EXISTS lanes;
"""
_PREPARED = "FROM prepared JOIN photos ON id = photo WHERE state = 'downloaded'"
BY_ID = "ORDER BY length(id), id"
# what files and folders are named after
PHOTO_ID = re.compile(r"[1-9][0-9]{0,18}")
CLASS_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


class Store:
    """The tables of one collection; every method is safe to call from several threads.

    Args:
        folder: the collection.
        create: make it if it is not there.
        alone: hold the collection for this process; without it, read while another process works.

    Raises:
        DataError: if it is not there, or is no collection.
        SuiteError: if it is in use.
    """

    def __init__(self, folder: Path, *, create: bool = False, alone: bool = True) -> None:
        self.folder = folder
        path = folder / NAME
        if create:
            folder.mkdir(parents=True, exist_ok=True)
        elif not path.is_file():
            raise DataError(f"--output {folder} holds no collection ({NAME}): start one with the command search")
        for ending in ("", "-journal", "-wal", "-shm"):  # SQLite opens these, too, and follows links
            files.require_own(folder / f"{NAME}{ending}")
        self._lock = threading.RLock()
        self._held = contextlib.ExitStack()
        if alone:
            busy = f"another command is working on {folder}: wait for its end, or stop it"
            self._held.enter_context(files.held(folder / ".lock", busy))
        try:
            self._open(path)
            self._check_names()
        except BaseException:
            self.close()
            raise

    def _open(self, path: Path) -> None:
        try:
            self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=60)
            self._connection.row_factory = sqlite3.Row
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=NORMAL")
            version = self._connection.execute("PRAGMA user_version").fetchone()[0]
            if version not in range(_VERSION + 1):
                raise DataError(
                    f"{path} has the layout {version}, this program knows {_VERSION}: use the newer program"
                )
            if version == 1:
                self._connection.execute("BEGIN IMMEDIATE")  # another process may be doing it, too
                if self._connection.execute("PRAGMA user_version").fetchone()[0] == 1:
                    for statement in _FROM_LAYOUT_1.split(";\n"):
                        self._connection.execute(statement)
                    self._connection.execute(f"PRAGMA user_version={_VERSION}")
                self._connection.execute("COMMIT")
            self._connection.executescript(_SCHEMA)
            self._connection.execute(f"PRAGMA user_version={_VERSION}")
        except sqlite3.Error as error:
            raise DataError(f"{path} cannot be used as a collection's state ({error})") from None

    def close(self) -> None:
        if hasattr(self, "_connection"):
            self._connection.close()
        self._held.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def path(self, text: str) -> Path:
        """The file of this collection that the state names `text`; the state may have come from elsewhere.

        Raises:
            DataError: if that is outside the collection's folder, by `..`, a root or a symbolic link.
        """
        path = self.folder / text
        if "\0" in text or not path.resolve().is_relative_to(self.folder.resolve()):
            raise DataError(
                f"{self.folder / NAME} names a file outside the collection, and is not to be trusted: {text!r}"
            )
        return path

    def _check_names(self) -> None:
        for identity, name in self.rows("SELECT id, class FROM photos UNION ALL SELECT '1', class FROM queries"):
            if not PHOTO_ID.fullmatch(str(identity)) or not CLASS_NAME.fullmatch(str(name)):
                raise DataError(
                    f"{self.folder / NAME} must have numbers as ids of photographs, and classes of small letters, "
                    f"digits, - and _, and is not to be trusted. "
                    f"Received: id {str(identity)[:80]!r}, class {str(name)[:80]!r}"
                )

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All that is written inside is written together, or not at all."""
        with self._lock:
            if self._connection.in_transaction:
                yield
                return
            with self._explained():
                self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                if self._connection.in_transaction:  # a full disk ends it by itself
                    self._connection.execute("ROLLBACK")
                raise
            with self._explained():
                self._connection.execute("COMMIT")

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn an error of the database into one that says the way out."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            raise DataError(
                f"{self.folder / NAME} cannot be used ({error}). If the disk has space, restore the file from a copy,\n"
                f"or rebuild it with sqlite3 {NAME} .recover, or start a new collection: the pictures stay"
            ) from None

    def rows(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        with self._lock, self._explained():
            return self._connection.execute(sql, values).fetchall()

    def value(self, sql: str, *values: Any) -> Any:
        """The first column of the first row; None without rows."""
        found = self.rows(sql, *values)
        return found[0][0] if found else None

    def write(self, sql: str, *values: Any) -> int:
        """Execute one statement; gives the number of rows it changed."""
        with self._lock, self._explained():
            return self._connection.execute(sql, values).rowcount

    def write_many(self, sql: str, rows: Iterable[tuple[Any, ...]]) -> None:
        with self.transaction(), self._explained():
            self._connection.executemany(sql, rows)

    def update(self, table: str, key: str, identity: str, **values: Any) -> None:
        """Set columns of the row of `table` whose column `key` is `identity`."""
        names = ", ".join(f"{name} = ?" for name in values)
        self.write(f"UPDATE {table} SET {names} WHERE {key} = ?", *values.values(), identity)

    def count(self, stage: str, what: str, times: int = 1) -> None:
        """Add to how often something happened, which `status` reports."""
        self.write(
            "INSERT INTO events VALUES (?, ?, ?) "
            "ON CONFLICT (stage, what) DO UPDATE SET count = count + excluded.count",
            *(stage, what, times),
        )


@dataclasses.dataclass(frozen=True)
class Prepared:
    """One prepared photograph as the state names it: nothing but the types is certain."""

    class_name: str
    file: str
    fit: str
    owner: str


class Snapshot:
    """What a collection's state says of its prepared photographs, all of it at one instant."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path = path
        self._connection = connection

    def downloaded(self) -> int:
        """How many photographs there are to prepare."""
        return self._rows("SELECT count(*) FROM photos WHERE state = 'downloaded'", (int,))[0][0]

    def sizes(self) -> set[int]:
        """At how many pixels photographs are prepared."""
        return {size for (size,) in self._rows(f"SELECT DISTINCT size {_PREPARED}", (int,))}

    def prepared(self, size: int) -> list[Prepared]:
        """The photographs that are prepared at so many pixels."""
        columns = f"SELECT class, prepared.file, fit, owner {_PREPARED} AND size = ?"
        return [Prepared(*row) for row in self._rows(columns, (str, str, str, str), size)]

    def _rows(self, query: str, types: tuple[type, ...], *values: int) -> list[tuple]:
        found = self._connection.execute(query, values).fetchall()
        if any(tuple(map(type, row)) != types for row in found):
            raise DataError(f"{self._path} is damaged: a value is of another type than it must be")
        return found


@contextlib.contextmanager
def snapshot(folder: Path) -> Iterator[Snapshot]:
    """Read the state of a collection that may come from elsewhere: nothing is written, and nothing in it is run.

    Raises:
        DataError: for a state that is damaged or none.
    """
    path = folder / NAME
    # beside a file that it could not lock, SQLite must be told that nobody writes
    at_rest = not os.access(folder, os.W_OK) and not path.with_name(f"{NAME}-wal").exists()
    place = f"file:{quote(str(path.resolve()))}?mode=ro{'&immutable=1' * at_rest}"
    try:
        with contextlib.closing(sqlite3.connect(place, uri=True, isolation_level=None)) as connection:
            connection.execute("PRAGMA trusted_schema=OFF")
            connection.execute("BEGIN")
            yield Snapshot(path, connection)
    except sqlite3.Error as error:
        raise DataError(f"{path} cannot be read as a collection's state ({error})") from None
