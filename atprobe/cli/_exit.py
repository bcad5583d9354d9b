"""Exit codes, and saying something on stderr."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from enum import IntEnum
from typing import IO

from atprobe.report.escape import visible


class Exit(IntEnum):
    """The exit codes that scripts rely on."""

    OK = 0
    FINDINGS = 1
    USAGE = 2
    INCOMPLETE = 3
    """Some port could not be probed."""
    NOTHING = 4
    """Nothing was found."""
    PUT_BACK = 5
    """A change failed and was put back."""
    NOT_KNOWN = 6
    """A change failed and the state is not known."""
    INTERRUPTED = 130


_PRECEDENCE = (Exit.INTERRUPTED, Exit.NOT_KNOWN, Exit.PUT_BACK, Exit.INCOMPLETE, Exit.FINDINGS, Exit.NOTHING)


def exit_code(holding: dict[Exit, bool]) -> Exit:
    """The one code for everything that is true of a run; OK where nothing is."""
    return next((code for code in _PRECEDENCE if holding.get(code)), Exit.OK)


class Fatal(Exception):
    """The command cannot be carried out. `messages` say why and what to do; `code` is the exit code."""

    def __init__(self, *messages: str, code: Exit = Exit.USAGE) -> None:
        super().__init__("\n".join(messages))
        self.messages = messages
        self.code = code


def say(message: str) -> None:
    """One line on stderr, safe to show."""
    with suppress(OSError, ValueError):  # nobody listens
        print(f"atprobe: {visible(message, limit=2000)}", file=sys.stderr)


def abandon(stream: IO[str]) -> None:
    """Nothing more can be written there. Without this the interpreter would try once more on its way out."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
