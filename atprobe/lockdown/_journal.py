"""What was changed in which module, and how far each change got: a SQLite database that a power cut does not harm.

Nothing is ever rewritten: a change is one row, and each stage it reaches another. SQLite's rollback journal with
`synchronous=EXTRA` puts each on the disk, folder entries too, before the next byte goes to the module.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Self

from atprobe.lockdown._plan import read_step
from atprobe.model import Change, ModulePlan, Stage, Step

JOURNAL = "journal.sqlite3"
"""The name of its file."""
VERSION = 1

SCRIPT = """
CREATE TABLE run (id INTEGER PRIMARY KEY, time TEXT NOT NULL, plan TEXT NOT NULL);
CREATE TABLE change (
  id INTEGER PRIMARY KEY, run INTEGER NOT NULL REFERENCES run, imei TEXT NOT NULL, maker TEXT NOT NULL, model TEXT,
  firmware TEXT, port TEXT NOT NULL, surface TEXT NOT NULL, step TEXT NOT NULL);
CREATE TABLE stage (
  id INTEGER PRIMARY KEY, change INTEGER NOT NULL REFERENCES change, time TEXT NOT NULL, stage TEXT NOT NULL,
  detail TEXT);
CREATE INDEX stage_of ON stage (change, id);
"""


_ABOUT = ("id", "run", "plan", "imei", "maker", "model", "firmware", "port")


class JournalError(Exception):
    """The journal cannot be used, so nothing may be sent."""


class Journal:
    """The journal in a folder, made where it is missing. Raises JournalError from every method.

    `clock` gives the time as it is written down. `readonly` opens what is there, makes nothing and writes nothing
    down; it only takes back what a power cut left half done.
    """

    def __init__(self, folder: Path, clock: Callable[[], str], *, readonly: bool = False) -> None:
        self.path = folder / JOURNAL
        self._clock = clock
        with self._errors():
            if readonly:
                # Not "ro": SQLite then reads nothing that a power cut left half done, as it may not take that back.
                uri = f"{self.path.absolute().as_uri()}?mode=rw"
                self._db = sqlite3.connect(uri, uri=True, timeout=10, isolation_level=None)
            else:
                folder.mkdir(parents=True, exist_ok=True)
                # It holds IMEIs: nobody else's business.
                os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
                self._db = sqlite3.connect(self.path, timeout=10, isolation_level=None)
            try:
                if readonly:
                    self._db.execute("PRAGMA query_only=ON")
                else:
                    self._prepare()
                self._check()
            except BaseException:
                self._db.close()
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def begin(self, plan: str, modules: tuple[ModulePlan, ...]) -> list[Change]:
        """Write a run and all its changes down, at once, before anything is sent."""
        time = self._clock()
        changes: list[Change] = []
        with self._errors(), self._transaction():
            run = self._insert("INSERT INTO run (time, plan) VALUES (?, ?)", time, plan)
            for module in modules:
                for step in module.steps:
                    change = self._insert(
                        "INSERT INTO change (run, imei, maker, model, firmware, port, surface, step)"
                        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                        run,
                        module.imei,
                        module.maker,
                        module.model,
                        module.firmware,
                        module.port,
                        step.surface,
                        json.dumps(_plain(step)),
                    )
                    self._stage(change, time, Stage.PLANNED, None)
                    changes.append(
                        Change(
                            change,
                            run,
                            plan,
                            module.imei,
                            module.maker,
                            module.model,
                            module.firmware,
                            module.port,
                            step,
                            Stage.PLANNED,
                            time,
                        )
                    )
        return changes

    def note(self, change: Change, stage: Stage, detail: str | None = None) -> Change:
        """Write down that a change reached a stage; it is on the disk when this returns."""
        time = self._clock()
        with self._errors(), self._transaction():
            self._stage(change.id, time, stage, detail)
        return replace(change, stage=stage, time=time, detail=detail)

    def changes(self) -> list[Change]:
        """Every change with its last stage, oldest first."""
        with self._errors():
            if self._is_empty():
                return []
            rows = self._db.execute(
                "SELECT c.id, c.run, r.plan, c.imei, c.maker, c.model, c.firmware, c.port, c.step, s.stage, s.time,"
                " s.detail FROM change c JOIN run r ON r.id = c.run"
                " JOIN stage s ON s.id = (SELECT max(id) FROM stage WHERE change = c.id) ORDER BY c.id"
            ).fetchall()
            return [
                Change(
                    **dict(zip(_ABOUT, row, strict=False)),
                    step=read_step(json.loads(row[8])),
                    stage=Stage(row[9]),
                    time=row[10],
                    detail=row[11],
                )
                for row in rows
            ]

    def history(self, change: Change) -> list[tuple[str, Stage, str | None]]:
        """Every stage of a change, with its time and detail, in order."""
        with self._errors():
            rows = self._db.execute("SELECT time, stage, detail FROM stage WHERE change = ? ORDER BY id", (change.id,))
            return [(time, Stage(stage), detail) for time, stage, detail in rows]

    def _prepare(self) -> None:
        self._db.execute("PRAGMA journal_mode=DELETE")
        self._db.execute("PRAGMA synchronous=EXTRA")
        self._db.execute("PRAGMA foreign_keys=ON")
        with self._transaction():
            if self._version() == 0:
                _settle(self.path)
                for statement in SCRIPT.split(";"):
                    self._db.execute(statement)
                self._db.execute(f"PRAGMA user_version={VERSION}")

    def _check(self) -> None:
        if self._version() != VERSION and not self._is_empty():
            raise JournalError(f"{self.path} was written by another version of atprobe; move it away, or use that one")

    def _version(self) -> int:
        return int(self._db.execute("PRAGMA user_version").fetchone()[0])

    def _is_empty(self) -> bool:
        """True where the power was cut before the tables were made, so nothing was begun."""
        return not self._db.execute("PRAGMA page_count").fetchone()[0]

    def _insert(self, statement: str, *values: object) -> int:
        return int(self._db.execute(statement, values).lastrowid or 0)

    def _stage(self, change: int, time: str, stage: Stage, detail: str | None) -> None:
        self._insert(
            "INSERT INTO stage (change, time, stage, detail) VALUES (?, ?, ?, ?)", change, time, str(stage), detail
        )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise JournalError(f"the journal {self.path} cannot be used: {error}") from error


def _settle(path: Path) -> None:
    """Put the folders above a file on the disk, whoever made them; SQLite sees to what is in the last one only."""
    for folder in path.resolve().parents:
        # As SQLite does, go on where a folder cannot be synced: it is none in which something was made just now.
        with suppress(OSError):
            descriptor = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def _plain(step: Step) -> dict[str, object]:
    return {**asdict(step), "before": dict(step.before), "after": dict(step.after)}
