"""One conversation with one port, in reading commands only.

The reply ends the wait, not the clock: a deadline matters only where a module stays silent. A reply with no
final result code ends when the port has been quiet for a while. After a deadline passed, the session asks a
plain AT and reads until the answers are in step again, so that a late result is never taken for the next
command's; where the late reply itself turns up, it is handed back as what it is.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Container
from dataclasses import replace

from atprobe.at import Completed, Conversation, Event, Stray, carries, names, normalise, spelled
from atprobe.link.errors import NeverError, NotReadingError, PortError
from atprobe.link.transport import Transport
from atprobe.model import Ended, Exchange, ProblemKind, Reply

DEFAULT_TIMEOUT = 3.0
"""Seconds a module may take for one answer."""
WAKE_TRIES = 3
WAKE_SECONDS = 1.0
"""A module answers a plain AT at once or is asleep, and the first AT wakes it."""
QUIET_SECONDS = 1.0
"""Silence after information text that ends a reply without a final result code."""
QUIET_SECONDS_KNOWN = 0.4
"""The same on a port that has been seen to leave final result codes out."""
PATIENCE = 30
"""Deadlines' worth of time that late and missing answers may cost in all before the port is given up."""
SETTLE_SECONDS = 0.25
"""Silence after which two answers are in step again."""
STOP_SECONDS = 0.2
"""How often a wait looks whether the user has had enough."""
MAX_RAW = 64 * 1024
"""Bytes of one answer kept for the transcript."""


class Stopped(Exception):
    """The user stopped the run."""


class Session:
    """A conversation in reading commands. Raises PortError from any method that talks.

    `reading` holds the normalised commands that may be sent; plain AT always may. `forbidden` says of a command line
    whether it must never be sent, whoever asks. `redact` holds patterns of secrets: what they match, or what the groups
    of a pattern match where it has any, is replaced before anything is stored or returned.
    """

    def __init__(
        self,
        transport: Transport,
        reading: Container[str],
        *,
        unsolicited: tuple[str, ...] = (),
        redact: tuple[str, ...] = (),
        forbidden: Callable[[str], bool] = lambda line: False,
        timeout: float = DEFAULT_TIMEOUT,
        stop: threading.Event | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._transport = transport
        self._reading = reading
        self._redact = re.compile("|".join(f"(?:{p})" for p in redact), re.I) if redact else None
        self._forbidden = forbidden
        self._conversation = Conversation(unsolicited)
        self._timeout = timeout
        self._stop = stop
        self._clock = clock
        self._quiet = QUIET_SECONDS
        self._suspicious = False
        self._wasted = 0.0
        self._strays: list[Stray] = []
        self._raw = bytearray()
        self._swallowing = False
        self.exchanges: list[Exchange] = []
        """What was sent and what came back, in order, secrets replaced."""
        self.replies: list[Reply] = []

    @property
    def module_seconds(self) -> float:
        """Time spent waiting for the module so far."""
        return sum(reply.seconds for reply in self.replies)

    def wake(self) -> None:
        """Ask a plain AT until it is answered with OK; tells what the port is where it never is."""
        try:
            self._wake()
        finally:
            self._forget()

    def _wake(self) -> None:
        for _ in range(WAKE_TRIES):
            reply = self._exchange("AT", min(self._timeout, WAKE_SECONDS))
            if reply.ok and reply.final is not None:
                self._conversation.forgive()
                return
            if reply.final is not None:
                # The line buffer held something, and our AT was its end; or this was an older command's result.
                self._settle()
                if any(stray.final == "OK" for stray in self._strays):
                    return
        raise self._diagnosis()

    def ask(self, command: str, timeout: float | None = None) -> Reply:
        """Send one reading command and return its reply; `timeout` in seconds overrides the session's.

        Raises NotReadingError before a byte is written where the command is not in the vocabulary, and NeverError where
        a profile forbids it.
        """
        if normalise(command) != "AT" and normalise(command) not in self._reading:
            raise NotReadingError(command)
        self._refuse_forbidden(command)
        return self._converse(command, timeout)

    def _refuse_forbidden(self, command: str) -> None:
        if self._forbidden(command):
            raise NeverError(command)

    def _converse(self, command: str, timeout: float | None) -> Reply:
        """Send a command that may be sent, and find its reply among whatever else comes."""
        try:
            return self._find_reply(command, timeout)
        finally:
            self._forget()

    def _forget(self) -> None:
        """Let go of what came beside the replies, which may hold secrets, and keep in mind that something came."""
        self._suspicious = self._suspicious or bool(self._strays)
        self._strays.clear()
        self._raw.clear()
        self._conversation.forget()

    def _find_reply(self, command: str, timeout: float | None) -> Reply:
        self._arrived()
        self._suspicious = self._suspicious or bool(self._strays)
        self._strays.clear()
        place = len(self.replies)
        reply = self._exchange(command, self._timeout if timeout is None else timeout)
        if reply.ended is Ended.TIMEOUT:
            reply = self._resynchronise(reply)
            if reply.ended is Ended.LATE:
                self.exchanges[-1] = Exchange(command, (*reply.text, reply.final or ""))
        elif self._suspicious or (self._conversation.owed and not self._conversation.echoes):
            reply = self._second_thought(reply)
        self.replies[place] = reply
        return reply

    def _exchange(self, command: str, timeout: float) -> Reply:
        self._raw.clear()
        data = self._conversation.send(command)
        self._transport.write(data)
        start = self._clock()
        reply = self._await(start + timeout)
        reply = replace(self._clean(reply), seconds=self._clock() - start)
        self.replies.append(reply)
        raw = bytes(self._raw).decode("utf-8", "backslashreplace")
        last = re.split(r"[\r\n]", raw)[-1]
        # An answer that breaks off must not go on in the next one, where nothing says what of it is secret.
        broken = self._hide(last) != last or carries(last.strip(), names(command))
        self._swallowing = reply.final is None and broken
        raw = self._hide(raw)
        self.exchanges.append(Exchange(command, tuple(re.split(r"\r*\n|\r+", raw.rstrip("\r\n"))), raw))
        return reply

    def _await(self, deadline: float) -> Reply:
        """Read until the present command is answered, the port is quiet after text, or the deadline passes."""
        heard = self._clock()
        while True:
            limit = min(deadline, heard + self._quiet) if self._conversation.has_text else deadline
            now = self._clock()
            if now >= limit:
                break
            data = self._read(limit - now)
            if not data:
                continue
            before = self._conversation.progress
            if (completed := self._sort(self._conversation.receive(data))) is not None:
                return completed
            if self._conversation.progress != before:
                heard = self._clock()
        if (completed := self._sort(self._conversation.flush())) is not None:
            return completed
        reply = self._conversation.abandon()
        if reply.ended is Ended.QUIET:
            self._quiet = QUIET_SECONDS_KNOWN
        return reply

    def _resynchronise(self, missed: Reply) -> Reply:
        """After a deadline: ask AT until it is answered, then read until quiet; returns what became of `missed`."""
        late: Reply | None = None
        start = self._clock() - missed.seconds
        for _ in range(WAKE_TRIES):
            in_step = self._exchange("AT", self._timeout)
            self.exchanges.pop()  # ours, and not part of what the module was asked
            if in_step.final is not None:
                self._settle()
            text = in_step.text or tuple(line for line in in_step.unsolicited if carries(line, names(missed.command)))
            if late is None and in_step.final is not None and (text or not in_step.ok):
                # AT has no information text and no error: without an echo this can only be the missed reply.
                late = replace(missed, text=text, final=in_step.final, ended=Ended.LATE)
            for stray in self._strays:
                text = tuple(line for line in stray.text if spelled(line) not in ("AT", normalise(missed.command)))
                if text and late is None:
                    late = replace(missed, text=text, final=stray.final, ended=Ended.LATE)
            if in_step.final is None and self._strays:
                self._conversation.echoes = None  # results come without the echo that was seen before: trust it no more
            self._strays.clear()
            if in_step.final is not None:
                self._conversation.forgive()
                self._suspicious = True
                self._wasted += self._clock() - start
                if self._wasted > PATIENCE * self._timeout:
                    break
                return self._clean(late) if late else missed
        gone = self._wasted <= PATIENCE * self._timeout
        what = "stopped answering after" if gone else "answers too late or not at all, up to"
        raise PortError(ProblemKind.SILENT, self._transport.path, f"{what} {missed.command}")

    def _second_thought(self, reply: Reply) -> Reply:
        """On a port that has sent results nobody waited for: is another result coming, and whose is this one?"""
        self._settle()
        for stray in self._strays:
            if not reply.text and (stray.text or not reply.ok):
                reply = self._clean(replace(reply, text=stray.text, final=stray.final))
        self._strays.clear()
        return reply

    def _settle(self) -> None:
        """Read until the port has been quiet for a moment, or until it is plain that it never will be."""
        start = quiet_since = self._clock()
        while (now := self._clock()) - quiet_since < SETTLE_SECONDS and now - start < 4 * SETTLE_SECONDS:
            data = self._read(SETTLE_SECONDS - (now - quiet_since))
            if data:
                quiet_since = self._clock()
                self._sort(self._conversation.receive(data))
        self._sort(self._conversation.flush())

    def _arrived(self) -> None:
        """Take what has arrived since the last reply, without waiting."""
        for _ in range(16):  # a port that never stops talking must not hold us here
            data = self._read(0)
            if not data:
                break
            self._sort(self._conversation.receive(data))

    def _sort(self, events: list[Event]) -> Reply | None:
        """The reply that is complete, if one is; strays are kept for those who ask whose they are."""
        reply = None
        for event in events:
            if isinstance(event, Completed):
                reply = event.reply
            else:
                self._strays.append(event)
        return reply

    def _read(self, seconds: float) -> bytes:
        if self._stop is not None and self._stop.is_set():
            raise Stopped
        data = self._transport.read(min(seconds, STOP_SECONDS))
        if self._swallowing and data:
            end = re.search(rb"[\r\n]", data)
            data = data[end.start() :] if end else b""
            self._swallowing = end is None
        if len(self._raw) < MAX_RAW:
            self._raw += data[: MAX_RAW - len(self._raw)]
        return data

    def _clean(self, reply: Reply) -> Reply:
        if self._redact is None:
            return reply
        return replace(
            reply,
            text=tuple(self._hide(line) for line in reply.text),
            unsolicited=tuple(self._hide(line) for line in reply.unsolicited),
            final=reply.final and self._hide(reply.final),
            echo=reply.echo and self._hide(reply.echo),
        )

    def _hide(self, text: str) -> str:
        if self._redact is None:
            return text
        # A NUL is no part of any line, and must not keep a pattern from matching.
        bare = text.replace("\0", "")
        hidden = self._redact.sub(_hidden, bare)
        return text if hidden == bare else hidden

    def _diagnosis(self) -> PortError:
        path, conversation = self._transport.path, self._conversation
        if conversation.nmea_lines:
            return PortError(ProblemKind.NMEA, path, "streams NMEA 0183 sentences and does not answer AT")
        if conversation.binary_lines:
            return PortError(ProblemKind.BINARY, path, "sends binary data and does not answer AT")
        if any(reply.text or reply.unsolicited or reply.final for reply in self.replies):
            return PortError(ProblemKind.GARBLED, path, "answers AT with something that is not AT")
        return PortError(ProblemKind.SILENT, path, "did not answer AT")


def _hidden(found: re.Match[str]) -> str:
    """What is shown in place of a secret. Of a match with groups only these are secret, and an empty one is not."""
    spans = [span for span in map(found.span, range(1, len(found.groups()) + 1)) if span[0] < span[1]]
    if found.lastindex is None:
        return "(redacted)"
    text, start = found.string, found.start()
    shown = ""
    for begin, end in spans:
        shown += text[start:begin] + "(redacted)"
        start = end
    return shown + text[start : found.end()]
