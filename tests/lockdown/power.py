"""A disk that can lose its power: what the journal and SQLite did to a folder, in order, and what a cut leaves of it.

What the disk promises is what POSIX does, and no more: bytes of a file are safe once the file was synced, and a name
in a folder once the folder was. Everything else may have landed or not, in any order, in part.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import apsw
import pytest

from atprobe.lockdown import _journal

SECTOR = 512


@dataclass(frozen=True, slots=True)
class Write:
    """Bytes for a file. Files have numbers here: one name can come to mean another file."""

    file: int
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Truncate:
    """A file got this size."""

    file: int
    size: int


@dataclass(frozen=True, slots=True)
class Sync:
    """A file's bytes are safe now."""

    file: int


@dataclass(frozen=True, slots=True)
class Make:
    """A name for a new file, or for a new folder where there is no file."""

    path: str
    file: int | None


@dataclass(frozen=True, slots=True)
class Remove:
    """A name is gone."""

    path: str


@dataclass(frozen=True, slots=True)
class SyncFolder:
    """What was made and removed in a folder until now is safe."""

    path: str


Event = Write | Truncate | Sync | Make | Remove | SyncFolder
Image = dict[str, bytes | None]
"""A folder: the bytes of every file, by path; None for a folder in it."""


def read_image(root: Path) -> Image:
    """What is in a folder."""
    return {
        str(path.relative_to(root)): path.read_bytes() if path.is_file() else None for path in sorted(root.rglob("*"))
    }


def write_image(image: Image, root: Path) -> None:
    """Make `root` that folder."""
    root.mkdir(exist_ok=True)
    for path in sorted(root.rglob("*"), reverse=True):
        name = str(path.relative_to(root))
        if path.is_file():
            path.unlink()
        elif name not in image:
            path.rmdir()
    for name, data in sorted(image.items()):
        if data is None:
            (root / name).mkdir(exist_ok=True)
        else:
            (root / name).write_bytes(data)


class Recorder:
    """Everything that is done to `root` while `recording`. Where `refuse` says so, it fails instead."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.start = read_image(root)
        self.events: list[Event] = []
        self.refuse: Callable[[Event], bool] = lambda event: False
        self._numbers = {path: number for number, path in enumerate(self.start)}
        self._next = len(self.start)

    def disk(self) -> Disk:
        """The disk as it was before the first event."""
        disk = Disk()
        for number, (path, data) in enumerate(self.start.items()):
            disk.names[path] = None if data is None else number
            if data is not None:
                disk.files[number] = File(data, data)
        return disk

    def name(self, path: object) -> str | None:
        """The path within `root`; None for one outside it."""
        real = Path(os.path.realpath(str(path)))
        return str(real.relative_to(self.root)) if real.is_relative_to(self.root) else None

    def number(self, path: str) -> int:
        """The number of the file that has this name now."""
        return self._numbers[path]

    def add(self, event: Event, do: Callable[[], object] = lambda: None, error: Exception | None = None) -> None:
        """Do it, and write it down. Raises `error`, or what SQLite takes from its VFS, where it is refused."""
        if self.refuse(event):
            raise error or (apsw.FullError if isinstance(event, Write) else apsw.IOError)("refused")
        do()
        self.events.append(event)

    def make_file(self, path: str, do: Callable[[], Any], error: Exception | None = None) -> Any:
        """Do what opens or makes this file, and write it down where it was not there. Raises as `add`."""
        if (self.root / path).exists():
            return do()
        self._numbers[path] = self._next
        self._next += 1
        made: list[Any] = []
        self.add(Make(path, self._numbers[path]), lambda: made.append(do()), error)
        return made[0]


class _Vfs(apsw.VFS):
    def __init__(self, name: str, recorder: Recorder) -> None:
        super().__init__(name, "")
        self._recorder = recorder

    def xOpen(self, name: Any, flags: list[int]) -> Any:
        path = self._recorder.name(name.filename() if isinstance(name, apsw.URIFilename) else name) if name else None
        if path is None:
            return apsw.VFSFile("", name, flags)
        # As SQLite's own: the first sync of a rollback journal that was opened to be made syncs its folder too.
        fresh = bool(flags[0] & apsw.SQLITE_OPEN_CREATE and flags[0] & apsw.SQLITE_OPEN_MAIN_JOURNAL)
        return self._recorder.make_file(path, lambda: _VfsFile(self._recorder, path, fresh, name, flags))

    def xDelete(self, filename: str, syncdir: bool) -> None:
        path = self._recorder.name(filename)
        assert path is not None
        self._recorder.add(Remove(path), lambda: super(_Vfs, self).xDelete(filename, syncdir))
        if syncdir:
            self._recorder.add(SyncFolder(os.path.dirname(path)))

    def excepthook(self, *_: Any, **__: Any) -> bool:
        """What is refused reaches the caller of SQLite; it need not be shown as well."""
        return True


class _VfsFile(apsw.VFSFile):
    def __init__(self, recorder: Recorder, path: str, fresh: bool, name: Any, flags: list[int]) -> None:
        super().__init__("", name, flags)
        self._recorder, self._path, self._fresh = recorder, path, fresh
        self._file = recorder.number(path)

    def xWrite(self, data: Any, offset: int) -> None:
        event = Write(self._file, offset, bytes(data))
        self._recorder.add(event, lambda: super(_VfsFile, self).xWrite(data, offset))

    def xTruncate(self, newsize: int) -> None:
        self._recorder.add(Truncate(self._file, newsize), lambda: super(_VfsFile, self).xTruncate(newsize))

    def xSync(self, flags: int) -> None:
        self._recorder.add(Sync(self._file), lambda: super(_VfsFile, self).xSync(flags))
        if self._fresh:
            self._recorder.add(SyncFolder(os.path.dirname(self._path)))
            self._fresh = False

    def excepthook(self, *_: Any, **__: Any) -> bool:
        """As above."""
        return True


class _Rows:
    def __init__(self, rows: list[Any], lastrowid: int) -> None:
        self.lastrowid = lastrowid
        self._rows = rows

    def fetchone(self) -> Any:
        return self._rows[0] if self._rows else None

    def fetchall(self) -> list[Any]:
        return self._rows

    def __iter__(self) -> Iterator[Any]:
        return iter(self._rows)


class _Connection:
    """apsw with as much of sqlite3's face as the journal looks at. No implicit transactions: neither has them."""

    def __init__(self, path: str, vfs: str, synchronous: str, uri: bool) -> None:
        self._synchronous = synchronous
        flags = apsw.SQLITE_OPEN_READWRITE | (apsw.SQLITE_OPEN_URI if uri else apsw.SQLITE_OPEN_CREATE)
        self._db = apsw.Connection(path, flags, vfs)

    @property
    def in_transaction(self) -> bool:
        return self._db.in_transaction

    def execute(self, statement: str, values: Sequence[Any] = ()) -> _Rows:
        statement = statement.replace("synchronous=EXTRA", f"synchronous={self._synchronous}")
        try:
            rows = self._db.execute(statement, values).fetchall()
        except apsw.Error as error:
            raise sqlite3.OperationalError(str(error)) from error
        return _Rows(rows, self._db.last_insert_rowid())

    def close(self) -> None:
        self._db.close(True)


@contextmanager
def recording(root: Path, synchronous: str = "EXTRA") -> Iterator[Recorder]:
    """While inside, every Journal works on a disk that is recorded. `synchronous` is what it gets for EXTRA."""
    recorder = Recorder(root.resolve())
    vfs = _Vfs(f"recorded-{id(recorder)}", recorder)
    mkdir, open_, fsync = os.mkdir, os.open, os.fsync
    broken = OSError(errno.EIO, "refused")

    def connect(path: object, *, timeout: float, isolation_level: None, uri: bool = False) -> _Connection:
        return _Connection(str(path), f"recorded-{id(recorder)}", synchronous, uri)

    def record_mkdir(path: Any, mode: int = 0o777) -> None:
        if (name := recorder.name(path)) is None or os.path.exists(path) or not os.path.exists(os.path.dirname(path)):
            mkdir(path, mode)
        else:
            recorder.add(Make(name, None), lambda: mkdir(path, mode), broken)

    def record_open(path: Any, flags: int, mode: int = 0o777, **others: Any) -> int:
        name = recorder.name(path) if flags & os.O_CREAT and not others else None
        do = partial(open_, path, flags, mode, **others)
        return do() if name is None else int(recorder.make_file(name, do, broken))

    def record_fsync(descriptor: int) -> None:
        path = recorder.name(os.readlink(f"/proc/self/fd/{descriptor}"))
        if path is not None:
            assert (recorder.root / path).is_dir()
            recorder.add(SyncFolder("" if path == "." else path), error=broken)
        fsync(descriptor)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_journal, "sqlite3", SimpleNamespace(connect=connect, Error=sqlite3.Error))
        patch.setattr(os, "mkdir", record_mkdir)
        patch.setattr(os, "open", record_open)
        patch.setattr(os, "fsync", record_fsync)
        try:
            yield recorder
        finally:
            vfs.unregister()


@dataclass(slots=True)
class File:
    """A file's safe bytes, its bytes as a reader sees them, and what lies between."""

    safe: bytes = b""
    seen: bytes = b""
    pending: list[Write | Truncate] = field(default_factory=list)


class Disk:
    """The state of a disk while events come in, and what a cut may leave of it."""

    def __init__(self) -> None:
        self.files: dict[int, File] = {}
        self.names: dict[str, int | None] = {}
        self.pending: list[Make | Remove] = []

    def take(self, event: Event) -> None:
        """The event happened."""
        match event:
            case Write() | Truncate():
                file = self.files[event.file]
                file.seen = landed(file.seen, event)
                file.pending.append(event)
            case Sync():
                file = self.files[event.file]
                file.safe, file.pending = file.seen, []
            case SyncFolder():
                in_it = [each for each in self.pending if os.path.dirname(each.path) == event.path]
                self.names = _named(self.names, in_it)
                self.pending = [each for each in self.pending if each not in in_it]
            case Make() | Remove():
                self.pending.append(event)
                if isinstance(event, Make) and event.file is not None:
                    self.files[event.file] = File()

    def everything(self) -> Image:
        """All of it landed."""
        return self._image(self.pending, lambda file: file.seen)

    def least(self) -> Image:
        """Only what is safe."""
        return self._image((), lambda file: file.safe)

    def corners(self, torn: Write | None = None) -> list[Image]:
        """Names all landed or only the safe ones, and bytes likewise; on top of each, as much of another write."""
        images = []
        for names in (self.pending, ()):
            for name in ("seen", "safe"):

                def bytes_of(file: File, name: str = name) -> bytes:
                    data: bytes = getattr(file, name)
                    return landed(data, torn) if torn is not None and file is self.files[torn.file] else data

                images.append(self._image(names, bytes_of))
        return images

    def any_of_it(self, chance: Random) -> Image:
        """Some of what is not safe landed, each as a whole or torn."""
        share = chance.choice((0.1, 0.5, 0.9))
        fill = chance.choice((b"\0", b"\xff", chance.randbytes(1)))

        def bytes_of(file: File) -> bytes:
            data = file.safe
            for event in file.pending:
                if chance.random() < share:
                    data = landed(data, event, fill) if chance.random() < 0.5 else _torn(data, event, fill, chance)
            return data

        return self._image([each for each in self.pending if chance.random() < share], bytes_of)

    def _image(self, pending: Sequence[Make | Remove], bytes_of: Callable[[File], bytes]) -> Image:
        names = _named(self.names, pending)
        image: Image = {}
        for path, number in sorted(names.items()):
            folder = os.path.dirname(path)
            # Where the folder's own name is lost, all in it is.
            if folder == "" or folder in image:
                image[path] = None if number is None else bytes_of(self.files[number])
        return image


def landed(data: bytes, event: Write | Truncate, fill: bytes = b"\0") -> bytes:
    """Bytes after a write or a change of size; a gap is filled with `fill`."""
    if isinstance(event, Truncate):
        return data[: event.size] + fill * (event.size - len(data))
    if not event.data:
        return data
    data += fill * (event.offset - len(data))
    return data[: event.offset] + event.data + data[event.offset + len(event.data) :]


def _torn(data: bytes, event: Write | Truncate, fill: bytes, chance: Random) -> bytes:
    """Bytes after a write of which some sectors landed, and the last one of these in part; or only the new size."""
    if isinstance(event, Truncate):
        return data
    end = event.offset + len(event.data)
    if chance.random() < 0.5:
        data += fill * (end - len(data))
    for start in range(0, len(event.data), SECTOR):
        if chance.random() < 0.5:
            part = event.data[start : start + chance.choice((SECTOR, chance.randrange(SECTOR)))]
            data = landed(data, Write(event.file, event.offset + start, part), fill)
    return data


def _named(names: dict[str, int | None], events: Sequence[Make | Remove]) -> dict[str, int | None]:
    names = dict(names)
    for event in events:
        if isinstance(event, Make):
            names[event.path] = event.file
        else:
            names.pop(event.path, None)
    return names
