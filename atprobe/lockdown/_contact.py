"""A writing conversation with one module, found by its IMEI wherever it is now."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from atprobe.fingerprint import Interview, Target, manners
from atprobe.knowledge import Knowledge
from atprobe.link import Access, PortError, Transport
from atprobe.link.writing import Consent, WritingSession
from atprobe.model import Device, Module, ProblemKind, Reply, Timing

AGAIN_SECONDS = 0.5
"""How often a module that went away is looked for."""


@dataclass(frozen=True, slots=True)
class Where:
    """How modules are reached: `targets` looks at what is attached now, each time it is called."""

    knowledge: Knowledge
    access: Access
    timeout: float
    write_seconds: float
    targets: Callable[[], Sequence[Target]]


class Contact:
    """The conversation with the module of one IMEI; `port` is where it was last. Raises PortError."""

    def __init__(self, where: Where, imei: str, port: str, consent: Consent) -> None:
        self._where, self._imei, self._consent = where, imei, consent
        self.port = port
        self.openings = 0
        """How often the conversation was begun: more than once where the module went away meanwhile."""
        self._transport: Transport | None = None
        self._session: WritingSession | None = None

    def open(self, seconds: float = 0.0) -> Module:
        """Find the module, looking for it for so many seconds; returns what it says of itself, surfaces too."""
        deadline = time.monotonic() + seconds
        while True:
            error = PortError(ProblemKind.MISSING, self.port, f"no module with the IMEI {self._imei} answers")
            for device, path in self._candidates():
                try:
                    if (module := self._try(device, path)) is not None:
                        return module
                except PortError as failed:
                    # What is wrong where it was last says more than that it is nowhere else.
                    error = failed if path == self.port else error
            left = deadline - time.monotonic()
            if left <= 0:
                raise error
            time.sleep(min(AGAIN_SECONDS, left))

    def ask(self, line: str) -> Reply:
        """Ask a reading command; finds the module again first where the port was lost, at once or not at all."""
        return self._talk(lambda session: session.ask(line))

    def write(self, line: str) -> Reply:
        """Send a command of the consent."""
        return self._talk(lambda session: session.write(line, self._where.write_seconds))

    @property
    def is_lost(self) -> bool:
        """True where there is no conversation at present."""
        return self._session is None

    def close(self) -> None:
        """Give the port back."""
        if self._transport is not None:
            self._transport.close()
        self._transport = self._session = None

    def _talk(self, say: Callable[[WritingSession], Reply]) -> Reply:
        if self._session is None:
            self.open()
        assert self._session is not None
        try:
            return say(self._session)
        except PortError:
            self.close()
            raise

    def _candidates(self) -> list[tuple[Device, str]]:
        """Every port the module may be at, the last known one first."""
        found = [(target.device, path) for target in self._where.targets() for path in target.paths]
        return sorted(found, key=lambda each: each[1] != self.port)

    def _try(self, device: Device, path: str) -> Module | None:
        """The module at that port if it is ours; else None, and the port is closed."""
        transport = self._where.access.open(device, path)
        try:
            # A change is never left half-way for a signal: the run stops between two of them.
            polite = manners(self._where.knowledge, self._where.timeout, None)
            session = WritingSession(transport, **polite, consent=self._consent)
            session.wake()
            interview = Interview(self._where.knowledge, device.usb)
            if interview.run(session.ask).imei == self._imei:
                surfaces = interview.survey(session.ask)
                self.port, self._transport, self._session = path, transport, session
                self.openings += 1
                return Module(device, interview.identity, Timing(0.0, 0, 0.0), surfaces)
        finally:
            if self._transport is not transport:
                transport.close()
        return None
