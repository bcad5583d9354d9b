"""What a module would say, without any I/O or clock: bytes and the time go in, bytes with a due time come out.

A `Player` answers command lines from one transcript. Faults change the answer of a healthy module into that of
a troublesome one; they are applied to the characters, after framing, so that every one works on any transcript.
"""

from __future__ import annotations

import re
from enum import StrEnum
from random import Random
from typing import NamedTuple

from atprobe.at import MAX_LINE, Form, normalise, split
from atprobe.at._results import is_final
from atprobe.emulator.memory import End, Memory, Reply
from atprobe.model import Exchange, Transcript


class Fault(StrEnum):
    """A way of being troublesome; several can be had at once."""

    MUTE = "mute"
    """Never answers."""
    GARBLE = "garble"
    """About one byte in eight of every answer is another one (at least one; the same ones in every run)."""
    URC_STORM = "urc-storm"
    """Unsolicited result codes before, inside and after every answer, and every 50 ms by themselves."""
    LATE = "late"
    """Every third answer comes `late_by` seconds late, and those behind it wait their turn."""
    HANGUP = "hangup"
    """The port goes away in the middle of the second answer."""
    NO_FINAL = "no-final"
    """Answers with information text end without a final result code."""
    ECHO_TWICE = "echo-twice"
    """Every command line is echoed twice."""
    NO_ECHO = "no-echo"
    """Echo is switched off (V.250 ATE0)."""
    LF = "lf"
    """Lines end with LF alone."""
    NMEA = "nmea"
    """A GNSS output: NMEA 0183 sentences four times a second, and no answers."""
    DIAG = "diag"
    """A diagnostic port: HDLC-like frames ten times a second, and no answers."""


class Output(NamedTuple):
    """Bytes to be sent at the time `due`, in the seconds of the caller's clock; `hangup`: then the port is gone.

    `back` is how many seconds later it is there again; None where it is gone for good.
    """

    due: float
    data: bytes
    hangup: bool = False
    back: float | None = None


TRUSTED = frozenset({"bytes", "log", "lines"})
"""The fidelities under which a missing final result code is the module's doing, not the source's."""

_DEAF = frozenset({Fault.MUTE, Fault.NMEA, Fault.DIAG})
_PARTING = 0.25
"""Seconds from the answer to a restart until the port goes: the kernel throws away with it what was not read."""
_PERIODS = {Fault.URC_STORM: 0.05, Fault.NMEA: 0.25, Fault.DIAG: 0.1}
_URCS = ("+CREG: 1", "RING", '^HCSQ:"LTE",50,45,121,20', "+CEREG: 1", "^RSSI:20")
_PIECE = re.compile(r"[^\r\n]*[\r\n]+|[^\r\n]+")
# A client that fears leftovers in the module's line buffer may send these first; no module minds them.
_IGNORED = "\0\x1a\x1b \t"


class Player:
    """A module that knows one transcript.

    `latency` is the time every answer takes, `late_by` the extra time of a late one, both in seconds. Commands
    are answered one after the other, as a module with one AT interpreter does. `urc_at` puts an unsolicited result
    code after so many lines of every answer that has them. `log` holds every line received, with its time, whether
    it was answered or not.

    `memory` holds settings: it is asked before the transcript. A module that restarts is gone for `boot_seconds`;
    whoever gives it its port calls `power_cycle` when that goes away.
    """

    def __init__(
        self,
        transcript: Transcript,
        faults: frozenset[Fault] = frozenset(),
        latency: float = 0.0,
        late_by: float = 4.0,
        urc_at: int | None = None,
        *,
        memory: Memory | None = None,
        boot_seconds: float = 1.0,
    ) -> None:
        self.log: list[tuple[float, str]] = []
        self._memory, self._boot_seconds = memory, boot_seconds
        self._faults, self._latency, self._late_by, self._urc_at = faults, latency, late_by, urc_at
        self._trusted = transcript.fidelity in TRUSTED
        self._script: dict[str, list[Exchange]] = {}
        self._unasked = ""
        self._echoes = self._spaced = False
        for exchange in transcript.exchanges:
            if exchange.send is None or exchange.send.startswith("("):
                self._unasked += _frame(exchange, "")
            else:
                self._script.setdefault(normalise(exchange.send), []).append(exchange)
                self._echoes = self._echoes or _echo_at(_lines(exchange), exchange.send) is not None
                self._spaced = self._spaced or "\r\n\r\nOK\r\n" in _frame(exchange, exchange.send)
        for exchange in transcript.exchanges:
            for part in _parts(exchange):
                self._script.setdefault(normalise(part.send or ""), [part])
        # V.250 5.3.1: a value left out is 0.
        for asked, recorded in (("ATI", "ATI0"), ("ATI0", "ATI")):
            if recorded in self._script:
                self._script.setdefault(asked, self._script[recorded])
        self._boot = self._unasked
        self._random = Random(transcript.id)
        self._line = b""
        self._answers = self._beats = self._urcs = 0
        self._free = 0.0
        self._down = False

    @property
    def period(self) -> float | None:
        """Seconds between two calls of `spontaneous`; None where this module says nothing unasked."""
        return min((_PERIODS[fault] for fault in self._faults if fault in _PERIODS), default=None)

    def start(self, now: float) -> list[Output]:
        """The module has booted: the transcript's unsolicited text, all of it, once."""
        unasked, self._unasked = self._unasked, ""
        return [Output(now, unasked.encode())] if unasked and not self._faults & _DEAF else []

    def power_cycle(self) -> None:
        """The module has lost its power, or restarts: what it has not stored is forgotten, and `start` follows."""
        self._unasked = self._boot or "\r\nRDY\r\n"
        self._line = b""
        self._answers = 0
        self._free = 0.0
        self._down = False
        if self._memory is not None:
            self._memory.power_cycle()

    def spontaneous(self) -> bytes:
        """What the module says unasked, one `period` after the last time."""
        self._beats += 1
        data = b""
        if Fault.URC_STORM in self._faults:
            data += self._urc().encode()
        if Fault.NMEA in self._faults:
            data += _nmea(self._beats // 4)
        if Fault.DIAG in self._faults:
            data += _diag(self._random)
        return data

    def receive(self, data: bytes, now: float) -> list[Output]:
        """Take bytes that arrived at `now`; returns the answers to the command lines they complete, in order.

        A command line ends at CR and LF means nothing (V.250 with S3=13, S4=10). Bytes of an unfinished line
        beyond `MAX_LINE` are dropped.
        """
        outputs: list[Output] = []
        *ended, rest = data.replace(b"\n", b"").split(b"\r")
        for part in ended:
            # Latin-1 knows every byte, so that the log shows whatever came.
            line = (self._line + part)[:MAX_LINE].decode("latin-1").strip(_IGNORED)
            self._line = b""
            if line:
                self.log.append((now, line))
                outputs += self._execute(line, now)
        self._line = (self._line + rest)[:MAX_LINE]
        return outputs

    def _execute(self, line: str, now: float) -> list[Output]:
        # V.250 5.2.1: what does not start with AT is no command line, and nothing answers it.
        if self._faults & _DEAF or self._down or not normalise(line).startswith("AT"):
            return []
        reply = None if self._memory is None else self._memory.answer(line)
        text = self._spoil(self._answer(line) if reply is None else self._told(reply, line), line, reply)
        leaving = self._leave(reply.end, now) if reply is not None and reply.end is not None else []
        if not text:
            return leaving
        data = text.encode()
        self._answers += 1
        due = max(now, self._free) + self._latency
        if Fault.LATE in self._faults and self._answers % 3 == 0:
            due += self._late_by
        self._free = due
        if Fault.GARBLE in self._faults:
            data = _garble(data, self._random)
        if Fault.HANGUP in self._faults and self._answers >= 2:
            # The pause lets a client read the half before the kernel throws it away with the port.
            return [Output(due, data[: len(data) // 2]), Output(due + 0.05, b"", hangup=True)]
        return [Output(due, data), *(output._replace(due=due + _PARTING) for output in leaving)]

    def _leave(self, end: End, now: float) -> list[Output]:
        self._down = True
        back = self._boot_seconds if end is End.RESTART else None
        return [Output(max(now, self._free), b"", hangup=True, back=back)]

    def _told(self, reply: Reply, line: str) -> str:
        """The characters of an answer from the memory, in the manner of the transcript."""
        lines = list(reply.lines)
        if self._spaced and len(lines) > 1:
            lines.insert(-1, "")
        return _frame(Exchange(line, (line, *lines) if self._echoes and lines else tuple(lines)), line)

    def _answer(self, line: str) -> str:
        command = normalise(line)
        replies = self._script.get(command)
        if replies is None:
            result = "OK" if command == "AT" else "ERROR"
            return _frame(Exchange(line, (line, result) if self._echoes else (result,)), line)
        exchange = replies.pop(0) if len(replies) > 1 else replies[0]
        text = _frame(exchange, line)
        # No text at all is a command that this module does not answer, and was recorded for that reason.
        if text and not self._trusted and not any(is_final(each, False, line) for each in _lines(exchange)):
            text += "OK\r\n" if text.endswith("\r\n\r\n") else "\r\nOK\r\n"
        return text

    def _spoil(self, text: str, line: str, reply: Reply | None) -> str:
        if not text:
            return text
        pieces = _PIECE.findall(text)
        contents = [piece.strip() for piece in pieces]
        echo = _echo_at(contents, line)
        if Fault.NO_FINAL in self._faults:
            final = [is_final(content, False, line) for content in contents]
            if any(c and not f and i != echo for i, (c, f) in enumerate(zip(contents, final, strict=True))):
                pieces = [piece for piece, f in zip(pieces, final, strict=True) if not f]
        if Fault.ECHO_TWICE in self._faults:
            pieces[echo or 0 : echo or 0] = [f"{line}\r"] * (2 if echo is None else 1)
        if Fault.NO_ECHO in self._faults and echo is not None:
            del pieces[echo]
        if self._urc_at is not None and self._urc_at <= len(pieces):
            pieces.insert(self._urc_at, self._urc())
        if Fault.URC_STORM in self._faults or (reply is not None and reply.flood):
            pieces.insert((len(pieces) + 1) // 2, self._urc())
            pieces = [self._urc(), *pieces, self._urc()]
        text = "".join(pieces)
        return text.replace("\r\n", "\n") if Fault.LF in self._faults else text

    def _urc(self) -> str:
        urc = _URCS[self._urcs % len(_URCS)]
        self._urcs += 1
        return f"\r\n{urc}\r\n"


def _lines(exchange: Exchange) -> tuple[str, ...]:
    return exchange.recv if exchange.raw is None else tuple(re.split(r"[\r\n]+", exchange.raw))


def _echo_at(lines: tuple[str, ...] | list[str], command: str) -> int | None:
    """The index of the echo. Only near the start, since AT+CLAC may list itself among its neighbours."""
    return next((i for i, line in enumerate(lines[:4]) if normalise(line) == normalise(command)), None)


def _parts(exchange: Exchange) -> list[Exchange]:
    """The answers to the single commands of a compound line: a module that knows the one knows the others.

    Lines that carry a command's name are its answer; what is left goes, block by block between blank lines or
    else line by line, to the commands that are left, in order.
    """
    commands = split(exchange.send or "")
    if len(commands) < 2:
        return []
    echo = _echo_at(exchange.recv, exchange.send or "")
    answers: dict[str, list[str]] = {}
    blocks: list[list[str]] = [[]]
    for line in exchange.recv[0 if echo is None else echo + 1 :]:
        name = next((name for name, _ in commands if line.upper().startswith(f"{name}:")), None)
        if name is not None:
            answers.setdefault(name, []).append(line)
        elif not line:
            blocks.append([])
        elif not is_final(line, False, exchange.send):
            blocks[-1].append(line)
    rest = [block for block in blocks if block]
    if len(rest) == 1:
        rest = [[line] for line in rest[0]]
    silent = [name for name, _ in commands if name not in answers]
    answers.update(zip(silent, rest, strict=False) if len(rest) <= len(silent) else ())
    endings = {Form.READ: "?", Form.TEST: "=?"}
    return [
        Exchange(f"AT{name}{endings.get(form, '')}", (*answers[name], "OK"))
        for name, form in commands
        if name in answers and form is not Form.SET
    ]


def _frame(exchange: Exchange, line: str) -> str:
    """The characters of an answer (V.250 5.7.1): echo and CR, then lines between CR LF.

    Blank lines are recorded as such, so each line brings its own end, and the CR LF that opens the block is
    added only where the record does not start with a blank line.
    """
    if exchange.raw is not None:
        return exchange.raw if not exchange.raw or exchange.raw[-1] in "\r\n" else exchange.raw + "\r\n"
    echo = None if exchange.send is None else _echo_at(exchange.recv, exchange.send)
    if echo is None:
        return _block(exchange.recv)
    return f"{_block(exchange.recv[:echo])}{line}\r{_block(exchange.recv[echo + 1 :])}"


def _block(lines: tuple[str, ...]) -> str:
    opening = "\r\n" if lines and lines[0] else ""
    return opening + "".join(f"{line}\r\n" for line in lines)


def _garble(data: bytes, random: Random) -> bytes:
    spoiled = bytearray(data)
    for index in random.sample(range(len(data)), k=len(data) // 8 + 1):
        spoiled[index] ^= random.randrange(1, 256)
    return bytes(spoiled)


def _nmea(second: int) -> bytes:
    clock = f"{second // 3600 % 24:02}{second // 60 % 60:02}{second % 60:02}.00"
    data = b""
    for body in (
        f"GPGGA,{clock},0000.0000,N,00000.0000,E,1,08,1.0,0.0,M,0.0,M,,",
        f"GPRMC,{clock},A,0000.0000,N,00000.0000,E,0.0,0.0,010100,,,A",
    ):
        checksum = 0
        for character in body.encode():
            checksum ^= character
        data += f"${body}*{checksum:02X}\r\n".encode()
    return data


def _diag(random: Random) -> bytes:
    payload = b"\x10\0\0" + random.randbytes(40)
    return payload.replace(b"\x7d", b"\x7d\x5d").replace(b"\x7e", b"\x7d\x5e") + b"\x7e"
