"""Getting results out: to stdout, or into a file that is either complete or not there."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from atprobe.cli._exit import Exit, Fatal, abandon
from atprobe.cli._options import Output
from atprobe.report import View


def view(output: Output, *, passive: bool = False) -> View:
    """How the output will be looked at: by a person only where stdout is a terminal and gets it."""
    terminal = output.file is None and sys.stdout is not None and sys.stdout.isatty()
    colour = terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return View(output.verbose, terminal, colour, shutil.get_terminal_size().columns, passive)


def write(text: str, file: Path | None) -> bool:
    """Write all of `text` to stdout or `file`; raises Fatal where that fails.

    A reader of stdout who has seen enough and went away is no failure: the rest is not written, the run goes on.
    False then, so that a run that has no other end can end.
    """
    try:
        if file is None:
            if sys.stdout is not None:
                sys.stdout.write(text)
                sys.stdout.flush()
        elif file.exists() and not file.is_file():
            file.write_text(text, encoding="utf-8", errors="backslashreplace")  # a device or a pipe: never replace it
        else:
            _replace(text, Path(os.path.realpath(file)))
    except OSError as error:
        if file is None:
            abandon(sys.stdout)
            if isinstance(error, BrokenPipeError):
                return False
        raise Fatal(
            f"{file or 'the output'} could not be written: {error.strerror}. Check the space and the permissions.",
            code=Exit.INCOMPLETE,
        ) from error
    return True


def _replace(text: str, file: Path) -> None:
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name[:100]}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace", newline="") as temporary:
            temporary.write(text)
            temporary.flush()
            os.fsync(temporary.fileno())
        os.chmod(name, _mode(file))
        os.replace(name, file)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise


def _mode(file: Path) -> int:
    """The permissions of the file that is replaced, or those a new file would have had."""
    with suppress(OSError):
        return file.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
