"""Ctrl-C and its relatives.

Most of the time a signal raises KeyboardInterrupt, which ends the run at once. While ports are open it only
sets `stop`, so that they are closed in order and what is known is still printed; a second signal then raises.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

EXIT_CODE = 130

stop = threading.Event()
"""Set by the first signal; never cleared."""


class Interrupted(KeyboardInterrupt):
    """A signal wants the run to end.

    A class of its own, since CPython remembers a plain KeyboardInterrupt that passes through exec() (dataclasses
    and named tuples are made that way during imports), and then dies of SIGINT instead of returning our code.
    """


_patient = False
_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


def install() -> None:
    """Take the signals that end a program, except those that whoever started it wants ignored (nohup, `&`)."""
    for number in _SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _handle)


def ignore() -> None:
    """The run is over: a signal that comes late must not turn a decided exit code into a traceback."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def patience() -> Iterator[None]:
    """Inside, the first signal only sets `stop`, for those who watch it."""
    global _patient  # noqa: PLW0603  signals belong to the whole process
    _patient = True
    try:
        yield
    finally:
        _patient = False


def _handle(number: int, frame: FrameType | None) -> None:
    first = not stop.is_set()
    stop.set()
    if not (first and _patient):
        raise Interrupted
