"""One end of an AT conversation, without any I/O: commands out, bytes in, events back.

The strategy: lines are collected until a final result code comes. Only then is it decided which of them are
the reply, because only then is it known whether an echo came, and where:

- lines after the echo are the reply, lines before it came unasked;
- with no line behind the echo, the echo was late and the lines before it are the reply;
- with no echo at all, every line is the reply.

Lines that a list of unsolicited result codes names are taken out on the way, unless they carry the name of
the command that was asked. A command that was given up on (`abandon`) may still be answered: while one is
owed, a result code that arrives before the echo of the present command is the old one's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from atprobe.at._command import names, normalise, spelled
from atprobe.at._lines import Line, LineBuffer
from atprobe.at._results import is_final
from atprobe.model import Ended, Reply

MAX_LINES = 4096
"""Lines of one reply that are kept; the longest real one, AT+CLAC, has some hundreds."""
MAX_CHARACTERS = 512 * 1024

MAX_UNSOLICITED = 512
"""Characters: longer lines are no unsolicited result code."""

STANDARD_UNSOLICITED = (
    r"RING|\+(?:CRING|C(?:5G|G|E)?REG|CMTI|CMT|CDSI?|CBMI?|CUSD|CCWA|CLIP|CSS[IU]|CTZ[EV]|CTZDST|CGEV|CIEV"
    r"|CPIN|CFUN|CSCON|CCWV|COLP|NITZ)\b.*"
    r"|NO CARRIER|BUSY|NO ANSWER|NO DIAL ?TONE"
)
"""Unsolicited result codes of V.250, 3GPP TS 27.005 and TS 27.007; makers add theirs in their profiles."""

_NMEA = re.compile(r"\$[A-Z]{2}[A-Z0-9]{3},[^*]{0,200}(?:\*[0-9A-F]{2})?")
_NAME = re.compile(r"([+^%#!$*_][A-Z0-9_]+)\s*[:=]", re.I)
_UNREADABLE = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\xa1\ufffd\xff]")


@dataclass(frozen=True, slots=True)
class Completed:
    """The reply to the present command is complete."""

    reply: Reply


@dataclass(frozen=True, slots=True)
class Stray:
    """A result code nobody was waiting for: a second one, or that of a command given up on."""

    text: tuple[str, ...]
    final: str


Event = Completed | Stray


class Conversation:
    """The state of one AT conversation. Feed it what the port says; it never reads, waits or looks at a clock.

    `unsolicited` holds further patterns of unsolicited result codes, each matched against a whole line.
    """

    def __init__(self, unsolicited: tuple[str, ...] = ()) -> None:
        self._lines = LineBuffer()
        self._unsolicited_pattern = re.compile("|".join(f"(?:{p})" for p in (STANDARD_UNSOLICITED, *unsolicited)), re.I)
        self._command: str | None = None
        self._own: frozenset[str] = frozenset()
        self._before: list[str] = []
        self._after: list[str] = []
        self._echo: str | None = None
        self._unasked: list[str] = []
        self._of_owed: list[str] = []
        self._kept = 0
        self._overflow = False
        self._owed: list[frozenset[str]] = []
        self.echoes: bool | None = None
        """Whether this port echoes, as far as seen; None until the first reply."""
        self.nmea_lines = 0
        self.binary_lines = 0

    @property
    def owed(self) -> int:
        """How many commands were given up on and may still be answered."""
        return len(self._owed)

    @property
    def has_text(self) -> bool:
        """Whether information text for the present command has arrived."""
        return bool(self._after) or (self._echo is None and bool(self._before))

    @property
    def progress(self) -> tuple[int, bool]:
        """Changes while a reply grows, and not where only unsolicited codes or noise come in."""
        return len(self._before) + len(self._after), self._lines.unfinished

    def send(self, command: str) -> bytes:
        """Begin a command line; returns the bytes to write. Raises ValueError on a line end inside it."""
        if not command or not command.isascii() or not command.isprintable():
            raise ValueError(f"a command line is one line of printable ASCII, not {command!r}")
        if self._command is not None:
            raise ValueError(f"{self._command!r} is still being answered")
        self._command, self._own = command, names(command)
        self._reset()
        return command.encode("ascii") + b"\r"

    def receive(self, data: bytes) -> list[Event]:
        """Take bytes from the port; returns what they complete."""
        return self._take(self._lines.feed(data))

    def flush(self) -> list[Event]:
        """The port has been quiet: take an unfinished line as finished."""
        return self._take(self._lines.flush())

    def abandon(self) -> Reply:
        """End the present command without a final result code: quiet after text, or nothing in time.

        The result code may still come; it is owed from now on and will not be taken for another command's.
        """
        if self._command is None:
            raise ValueError("no command is being answered")
        self._owed.append(self._own)
        return self._complete(None, Ended.QUIET if self.has_text else Ended.TIMEOUT)

    def forgive(self) -> None:
        """Nothing more is owed: the port answered in step, or was quiet long enough."""
        self._owed.clear()

    def forget(self) -> None:
        """Let go of all that has come, but for the beginning of a line whose end is still awaited."""
        if self._command is not None:
            self._lines = LineBuffer()
        self._reset()

    def _reset(self) -> None:
        self._before, self._after, self._unasked, self._of_owed = [], [], [], []
        self._echo, self._kept, self._overflow = None, 0, False

    def _take(self, lines: list[Line]) -> list[Event]:
        events: list[Event] = []
        for line in lines:
            event = self._line(line)
            if event is not None:
                events.append(event)
        return events

    def _line(self, line: Line) -> Event | None:
        text = line.text
        if self._is_noise(text):
            return None
        if is_final(text, line.numeric, self._command):
            return self._final(text)
        if self._command is not None and self._is_echo(text):
            self._echo = text
            return None
        if self._kept > MAX_CHARACTERS or len(self._before) + len(self._after) + len(self._unasked) >= MAX_LINES:
            self._overflow = True
            return None
        self._kept += len(text)
        self._overflow = self._overflow or line.cut
        if any(carries(text, owed) for owed in self._owed) and not carries(text, self._own):
            self._of_owed.append(text)
        elif self._came_unasked(text):
            self._unasked.append(text)
        elif self._echo is None:
            self._before.append(text)
        else:
            self._after.append(text)
        return None

    def _final(self, code: str) -> Event:
        stale = self._owed and self._echo is None and self.echoes is True
        if self._command is None or stale:
            if self._owed:
                self._owed.pop(0)
            stray = Stray((*self._before, *self._of_owed), code)
            self._before, self._of_owed, self._kept = [], [], 0
            return stray
        return Completed(self._complete(code, Ended.FINAL))

    def _complete(self, code: str | None, ended: Ended) -> Reply:
        assert self._command is not None
        if self._after:
            text, unasked = self._after, self._before + self._unasked + self._of_owed
        else:
            text, unasked = self._before, self._unasked + self._of_owed
        if code is not None:
            self.echoes = self._echo is not None
        reply = Reply(self._command, tuple(text), code, ended, self._echo, tuple(unasked), self._overflow)
        self._command, self._own = None, frozenset()
        self._reset()
        return reply

    def _is_noise(self, text: str) -> bool:
        if _NMEA.fullmatch(text) and "$GPS" not in (self._command or "").upper():
            self.nmea_lines += 1
            return True
        bad = len(_UNREADABLE.findall(text))
        if bad and (bad * 4 > len(text) or not any(c.isalnum() and c.isascii() for c in text)):
            self.binary_lines += 1
            return True
        return False

    def _is_echo(self, text: str) -> bool:
        """The command itself, perhaps behind characters that were left over in the module's line buffer."""
        assert self._command is not None
        seen, sent = spelled(text), normalise(self._command)
        if seen == sent:
            # AT+CLAC lists itself among its neighbours: no echo, or the lines before it would be lost.
            return not all(line.upper().startswith("AT") for line in self._before[-2:]) or len(self._before) < 2
        return self._echo is None and not self._before and len(sent) > 2 and seen.endswith(sent)

    def _came_unasked(self, text: str) -> bool:
        brief = len(text) <= MAX_UNSOLICITED
        return brief and not carries(text, self._own) and bool(self._unsolicited_pattern.fullmatch(text))


def carries(line: str, of: frozenset[str]) -> bool:
    """Whether a line begins with one of these command names, as the answer to that command does."""
    name = _NAME.match(line)
    return name is not None and name.group(1).upper() in of
