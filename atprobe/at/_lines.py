"""Bytes in, lines out.

A line ends at CR or LF, whichever comes; blank lines are dropped, so `\\r\\n`, `\\r\\r\\n` and a flood of blank
lines are all one line end. The one place where the kind of line end matters is a result code under V0: a
digit closed by CR and not by CR LF. Such a digit is held back until the next byte (or `flush`) tells.

The buffer never looks at a byte twice and never keeps more than MAX_LINE bytes of an unfinished line, so a
peer that drips bytes costs linear time and one that never ends a line costs bounded memory.
"""

from __future__ import annotations

import re
from typing import NamedTuple

MAX_LINE = 8192
"""Bytes of one line that are kept; the longest seen from a real module is about 400."""

_ENDS = re.compile(rb"[\r\n]+")
_V0_DIGIT = re.compile(rb"[0-9]")


class Line(NamedTuple):
    """One line without its end. `numeric`: a digit closed by a bare CR. `cut`: longer than MAX_LINE."""

    text: str
    numeric: bool = False
    cut: bool = False


class LineBuffer:
    """Splits a byte stream into lines; see the module's comment."""

    def __init__(self) -> None:
        self._tail = bytearray()
        self._cut = False
        self._held: bytes | None = None

    @property
    def unfinished(self) -> bool:
        """Whether a line has begun and not ended."""
        return bool(self._tail)

    def feed(self, data: bytes) -> list[Line]:
        """Take bytes, return the lines they complete."""
        lines: list[Line] = []
        if not data:
            return lines
        if self._held is not None:
            lines.append(Line(self._held.decode("ascii"), numeric=data[0] != 0x0A))
            self._held = None
        start = 0
        for end in _ENDS.finditer(data):
            self._keep(data[start : end.start()])
            self._close(end.group(), at_end=end.end() == len(data), lines=lines)
            start = end.end()
        self._keep(data[start:])
        return lines

    def flush(self) -> list[Line]:
        """The line has been quiet: what is unfinished is all there will be."""
        lines: list[Line] = []
        if self._held is not None:
            lines.append(Line(self._held.decode("ascii"), numeric=True))
            self._held = None
        self._close(b"\n", at_end=False, lines=lines)
        return lines

    def _keep(self, data: bytes) -> None:
        room = MAX_LINE - len(self._tail)
        if len(data) > room:
            self._cut = True
        self._tail += data[: max(room, 0)]

    def _close(self, ends: bytes, *, at_end: bool, lines: list[Line]) -> None:
        raw, cut = bytes(self._tail), self._cut
        self._tail.clear()
        self._cut = False
        if _V0_DIGIT.fullmatch(raw) and ends[:1] == b"\r":
            if ends == b"\r" and at_end:
                self._held = raw
            else:
                lines.append(Line(raw.decode("ascii"), numeric=ends[1:2] != b"\n"))
            return
        text = _decode(raw).strip()
        if text:
            lines.append(Line(text, cut=cut))


def _decode(raw: bytes) -> str:
    raw = raw.replace(b"\0", b"")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")
