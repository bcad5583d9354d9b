"""UUCP lock files: how programs that use serial ports keep out of each other's way.

`LCK..NAME` in the lock folder holds the process id of whoever uses /dev/NAME: ten decimal digits, right-aligned,
and a line end (Filesystem Hierarchy Standard 3.0, section 5.9; "HDB" form after the HoneyDanBer UUCP). Some older
programs write four bytes in the machine's order instead. Programs disagree about devices in a folder of /dev: pppd,
gensio and lcd4linux write `LCK..pts_3` for /dev/pts/3, others `LCK..3`. The first form is written here, both are
respected, and both under the name that the user gave and under that of the device it leads to.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from atprobe.link._holders import program
from atprobe.link.errors import PortError
from atprobe.model import ProblemKind

try:
    import fcntl
except ImportError:  # Windows: no lock folder either
    fcntl = None  # type: ignore[assignment]

FOLDERS: tuple[Path, ...] = (Path("/run/lock"), Path("/var/lock"), Path("/run/lock/lockdev"))
"""Where locks are looked for; ours goes into the first of them that takes it. Fedora's minicom uses the last."""
UNFINISHED_SECONDS = 10.0
"""Age up to which a lock without a process id is somebody's who is about to write it."""

_TRIES = 5
_ours: set[Path] = set()
_guard = threading.Lock()


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock file as it was found.

    `held`: its process lives. `stale`: nobody's any more, and the next one takes it over. `unfinished`: somebody is
    about to write it. `unreadable`: this user may not know whose it is. `ours`: this very process holds it.
    """

    file: Path
    state: Literal["held", "stale", "unfinished", "unreadable", "ours"]
    pid: int | None = None
    name: str = "a program"


def lock(path: str, folders: Sequence[Path] | None = None) -> Callable[[], None]:
    """Lock the device at `path` and return what unlocks it again, which never raises.

    Raises PortError (busy) where a living process holds a lock on it, this one included. A lock whose process is
    gone is taken over. Where no folder may be written to, nothing is locked and others' locks still count.
    """
    found = _distinct(FOLDERS if folders is None else folders)
    own, *others = _names(path)
    for folder in found:
        for name in (own, *others):
            _respect(path, folder / name)
    for folder in found:
        if (unlock := _take(path, folder / own)) is not None:
            return unlock
    return lambda: None


def locks(path: str, folders: Sequence[Path] | None = None) -> tuple[Lock, ...]:
    """The locks that are there for the device at `path`. Only looks; never raises."""
    found = (
        _look(folder / name) for folder in _distinct(FOLDERS if folders is None else folders) for name in _names(path)
    )
    return tuple(each for each in found if each is not None)


def _distinct(folders: Sequence[Path]) -> list[Path]:
    """The folders that exist, each once: /var/lock is often a link to /run/lock."""
    return [Path(each) for each in dict.fromkeys(os.path.realpath(each) for each in folders if os.path.isdir(each))]


def _names(path: str) -> tuple[str, ...]:
    """The names a lock on this device may have; ours first."""
    names = []
    for each in (os.path.realpath(path), os.path.abspath(path)):
        names += [each.removeprefix("/dev/").strip("/").replace("/", "_"), os.path.basename(each)]
    return tuple(dict.fromkeys(f"LCK..{name}" for name in names))


def _take(path: str, file: Path) -> Callable[[], None] | None:
    """Create the lock in one step, with its content; None where that is not possible here."""
    draft = file.with_name(f"LTMP.{os.getpid()}.{os.urandom(4).hex()}")
    content = f"{os.getpid():10d}\n".encode()
    try:
        # Anyone may write to these folders: never through a link that somebody put there.
        with open(draft, "xb", opener=lambda name, flags: os.open(name, flags, 0o644)) as new:
            new.write(content)
            os.fchmod(new.fileno(), 0o644)  # others have to read it, whatever our umask says
        for _ in range(_TRIES):
            with _guard:
                try:
                    os.link(draft, file)
                    _ours.add(file)
                    return lambda: _release(file, content)
                except FileExistsError:
                    pass
                if _respect(path, file) and _replace(draft, file):
                    _ours.add(file)
                    return lambda: _release(file, content)
    except OSError:
        return None
    finally:
        with suppress(OSError):
            draft.unlink()
    return None


def _replace(draft: Path, stale: Path) -> bool:
    """Put `draft` in the place of a stale lock; False where someone else was quicker."""
    try:
        with _open(stale) as old:
            # Of two that find the same stale file only one gets past here, and the file may be new by then.
            fcntl.flock(old, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not os.path.samestat(os.fstat(old.fileno()), stale.stat()):
                return False
            draft.rename(stale)
            return True
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.EAGAIN):
            return False
        raise


def _respect(path: str, file: Path) -> bool:
    """Raise PortError (busy) where `file` is a living process's lock. True where it is there and nobody's any more."""
    found = _look(file)
    if found is None:
        return False
    message = {
        "unreadable": "is locked by another program",
        "unfinished": "is being locked by another program",
        "held": f"is locked by {found.name} (pid {found.pid})",
    }.get(found.state)
    if message is not None:
        raise PortError(ProblemKind.BUSY, path, message, _hint(file))
    if found.state == "ours":
        raise PortError(ProblemKind.BUSY, path, "is in use by this very program")
    return True


def _look(file: Path) -> Lock | None:
    """What the file at `file` says; None where there is none."""
    try:
        with _open(file) as lock_file:
            content, age = lock_file.read(64), time.time() - os.fstat(lock_file.fileno()).st_mtime
    except FileNotFoundError:
        return None
    except OSError:
        return Lock(file, "unreadable")  # not ours to read, so not ours to judge
    pid = _pid(content)
    if pid is None:
        return Lock(file, "unfinished" if age < UNFINISHED_SECONDS else "stale")
    if pid == os.getpid():
        return Lock(file, "ours" if file in _ours else "stale", pid)  # an earlier process may have had our number
    return Lock(file, "held", pid, program(pid)) if _alive(pid) else Lock(file, "stale", pid)


def _open(file: Path) -> BinaryIO:
    """Open a lock for reading; OSError where it is no plain file (a pipe would hang us)."""
    opened = os.fdopen(os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
    if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
        opened.close()
        raise OSError(errno.EINVAL, "not a plain file", str(file))
    return opened


def _hint(file: Path) -> str:
    return f"end that program, or wait for it, and try again; its lock is {file}"


def _pid(content: bytes) -> int | None:
    """The process id in a lock: decimal digits, perhaps followed by names, or four bytes in the machine's order."""
    if found := re.match(rb"\s*(\d{1,10})(?!\d)", content):
        pid = int(found.group(1))
    elif len(content) == 4:
        pid = int.from_bytes(content, sys.byteorder, signed=True)
    else:
        return None
    return pid if pid > 0 else None


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # it exists and belongs to somebody else
        pass
    return True


def _release(file: Path, content: bytes) -> None:
    with _guard:
        _ours.discard(file)
        with suppress(OSError):
            with _open(file) as lock_file:
                still_ours = lock_file.read(64) == content  # someone may have taken it for stale
            if still_ours:
                file.unlink()
