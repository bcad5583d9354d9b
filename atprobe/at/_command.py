"""Command lines: what is sent, how to compare two of them, and what kind each part is.

V.250 5.2: a command line is the prefix AT, a body of commands joined with or without semicolons, and CR.
Upper and lower case are equal outside quotes, and blanks mean nothing there.
"""

from __future__ import annotations

import re
from enum import StrEnum
from functools import lru_cache


class Form(StrEnum):
    """The form of one command (V.250 5.3 and 5.4, 3GPP TS 27.007 clause 4)."""

    BASIC = "basic"
    """`I`, `I9`, `&V`: a letter, perhaps after &, and a number."""
    EXECUTE = "execute"
    """`+CGMM`: an extended command with nothing behind it."""
    READ = "read"
    """`+CFUN?`"""
    TEST = "test"
    """`+CFUN=?`"""
    SET = "set"
    """`+CFUN=1`: anything with a value."""


_PART = re.compile(r'"[^"]*"?|[^"]+')
_EXTENDED = re.compile(r"([+^%#!$*_@\\-][A-Z0-9_./:-]*[A-Z0-9_])(.*)", re.S)


@lru_cache(maxsize=1024)
def normalise(command: str) -> str:
    """The one spelling of a command line: upper case and no blanks outside quotes, no line end."""
    return spelled(command)


def spelled(text: str) -> str:
    """The same for a text that a module sent: it may hold a secret, and nothing of it is kept."""
    return "".join(
        part if part.startswith('"') else re.sub(r"\s+", "", part).upper() for part in _PART.findall(text.strip())
    )


@lru_cache(maxsize=1024)
def split(command: str) -> tuple[tuple[str, Form], ...]:
    """The commands of a line with their forms: `ATI;+CGMM?` gives `("I", BASIC), ("+CGMM", READ)`.

    A text that does not start with AT has no commands.
    """
    line = normalise(command)
    if not line.startswith("AT"):
        return ()
    parts = [part for part in re.split(r';(?=(?:[^"]*"[^"]*")*[^"]*$)', line[2:]) if part]
    return tuple(_one(part) for part in parts)


def _one(part: str) -> tuple[str, Form]:
    extended = _EXTENDED.fullmatch(part)
    if extended is None:
        return part, Form.BASIC
    name, rest = extended.groups()
    if rest == "":
        form = Form.EXECUTE
    elif rest == "?":
        form = Form.READ
    elif rest == "=?":
        form = Form.TEST
    else:
        form = Form.SET
    return name, form


@lru_cache(maxsize=1024)
def names(command: str) -> frozenset[str]:
    """The names of the extended commands of a line, as answers carry them before the colon: `{"+CGMM"}`."""
    return frozenset(name for name, form in split(command) if form is not Form.BASIC)
