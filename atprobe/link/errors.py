"""What can go wrong with a port, each with a reason and what to do about it."""

from __future__ import annotations

from atprobe.model import Problem, ProblemKind

_HINTS = {
    ProblemKind.MISSING: "check the cable and the name; `atprobe doctor` says what else may be amiss",
    ProblemKind.BUSY: "`atprobe doctor` says who holds it; stop that program and try again",
    ProblemKind.PERMISSION: "run as root, or join the group that owns the port: `atprobe doctor` names it",
    ProblemKind.SILENT: "try the device's other ports, another --baud, or a longer --timeout",
    ProblemKind.NMEA: "this is a position output; name the module's AT port instead",
    ProblemKind.BINARY: "this looks like a diagnostic port; name the module's AT port instead",
    ProblemKind.VANISHED: "the device was unplugged or restarted; plug it in again and repeat",
    ProblemKind.GARBLED: "check --baud and the wiring; repeat, and try the device's other ports",
    ProblemKind.UNUSABLE: "name a serial port, a wwan AT port, or a socket:// or rfc2217:// URL",
    ProblemKind.INTERRUPTED: "repeat the command to probe it",
}


class PortError(Exception):
    """A port could not be used. `kind` is the reason, `hint` what to do next (the kind's usual one where not given)."""

    def __init__(self, kind: ProblemKind, port: str, message: str, hint: str | None = None) -> None:
        super().__init__(f"{port}: {message}")
        self.kind = kind
        self.port = port
        self.message = message
        self.hint = _HINTS[kind] if hint is None else hint

    def problem(self) -> Problem:
        """The same as a value for a report."""
        return Problem(self.port, self.kind, self.message, self.hint)


class NotReadingError(Exception):
    """A command that the loaded profiles do not declare as reading was about to be sent. Nothing was written."""

    def __init__(self, command: str) -> None:
        super().__init__(f"{command} is not a reading command of the loaded profiles; nothing was sent")
        self.command = command


class NotConsentedError(Exception):
    """A command that no confirmed plan holds was about to be written. Nothing was."""

    def __init__(self, command: str) -> None:
        super().__init__(f"{command} is not part of the confirmed plan; nothing was sent")
        self.command = command


class NeverError(Exception):
    """A command that some profile says must never be sent was about to be sent. Nothing was."""

    def __init__(self, command: str) -> None:
        super().__init__(f"{command} must never be sent: a profile forbids it; nothing was sent")
        self.command = command
