"""Writing to a module. Imported by `lockdown` and by nobody else; a contract checked in CI holds that."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from atprobe.at import normalise
from atprobe.link.errors import NotConsentedError
from atprobe.link.session import Session
from atprobe.model import Reply


class Consent:
    """The command lines that a confirmed plan lets be sent to one module."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = frozenset(normalise(line) for line in lines)

    def __contains__(self, line: str) -> bool:
        return normalise(line) in self._lines


class WritingSession(Session):
    """A conversation that may also send what `consent` holds. For everything else see `Session`."""

    def __init__(self, *arguments: Any, consent: Consent, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self._consent = consent

    def write(self, command: str, timeout: float | None = None) -> Reply:
        """Send one command of the consent and return its reply; `timeout` in seconds overrides the session's.

        Raises NotConsentedError, or NeverError where a profile forbids the command, before a byte is written.
        """
        if command not in self._consent:
            raise NotConsentedError(command)
        self._refuse_forbidden(command)
        return self._converse(command, timeout)
