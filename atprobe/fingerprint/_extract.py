"""Reading a reply: which of its words are a manufacturer, a model, a revision, an IMEI.

Only V.250 and 3GPP TS 27.007 are known here, and the habits all makers share: a value may be bare, carry the
command's name before it (`+CGMM: "x"`), or stand in quotes; ATI answers with labelled lines (`Model: x`) or with
bare ones in the order manufacturer, model, revision.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from atprobe.knowledge import Command
from atprobe.model import Reply


class Kind(StrEnum):
    """What a text was given as."""

    MANUFACTURER = "manufacturer"
    MODEL = "model"
    REVISION = "revision"
    IMEI = "imei"
    BARE = "bare"
    """A line of ATI that nothing names."""
    LINE = "line"
    """A line as it came, whatever it is."""
    COMMAND = "command"
    """One name from a list of the commands a module knows, as `+CGMI` or `^SCFG`."""


@dataclass(frozen=True, slots=True)
class Observation:
    """One text a module gave, and the command that brought it."""

    kind: Kind
    text: str
    source: str


_PREFIX = re.compile(r"[+#^%]C?(?:G?M[IMR]|GSN)\s*:\s*(.*)", re.I)
_QUOTED = re.compile(r'"([^"]*)"')
_LABELLED = re.compile(
    r"(manufacturer|manufacture|model|model id|revision|imei)\s*:\s*(.*)",
    re.I,
)
_FURTHER = re.compile(r"ATI[1-9]")
_JOINT = re.compile(r"\s(?=(?:manufacturer|model|revision|svn|imei|\+gcap)\s?:)", re.I)
MAX_JOINED = 512
"""Characters of a line that is looked through for several labels."""
_OTHER_LABEL = re.compile(r"[A-Za-z+][A-Za-z0-9 ._-]{0,24}\s*:.*")
_REVISION_INSIDE = re.compile(r"(?P<before>\S.*?)[\s(]+Revision:\s*(?P<revision>[^\s()]+).*", re.I)
_COMMAND_NAME = re.compile(r"(?:AT)?([+#^%!$*&\\_][A-Z][A-Z0-9_-]*)", re.I)
_IMEI = re.compile(r"(?<!\d)\d{15}(?!\d)")
_KINDS = {"manufacturer": Kind.MANUFACTURER, "model": Kind.MODEL, "revision": Kind.REVISION}


def observe(command: Command, reply: Reply) -> tuple[Observation, ...]:
    """Everything a reply says, in the order it says it."""
    found: list[Observation] = []

    def add(kind: Kind, text: str) -> None:
        if text.strip():
            found.append(Observation(kind, text.strip(), command.send))

    # Some answer in full and then say ERROR, because one thing in it failed; what is labelled stands all the same.
    sound = [line for line in reply.text if reply.ok or _LABELLED.fullmatch(line)]
    lines = [piece for line in sound if not _is_question(line, command.send) for piece in _apart(line)]
    for line in lines if command.reads != "commands" else ():
        add(Kind.LINE, line)
    if command.reads == "identity":
        _identity(lines, add)
    elif command.reads is None and _FURTHER.fullmatch(command.send):
        # ATI1 to ATI9 answer what the maker likes; what is labelled there is what it says.
        _identity([line for line in lines if _LABELLED.fullmatch(line)], add)
    elif command.reads == "imei":
        for line in lines:
            for digits in _IMEI.findall(line):
                add(Kind.IMEI, digits)
    elif command.reads == "commands":
        for line in lines:
            for name in command_names(line):
                add(Kind.COMMAND, name)
    elif command.reads is not None:
        for line in lines:
            for value in values(line):
                labelled = _LABELLED.fullmatch(value)
                add(_KINDS[command.reads], labelled.group(2) if labelled else value)
    return tuple(found)


def values(line: str) -> list[str]:
    """The values of a line without the command's name and the quotes: `+GMM: "a","b"` gives a and b."""
    prefixed = _PREFIX.fullmatch(line)
    rest = prefixed.group(1) if prefixed else line
    if rest.startswith('"'):
        return [value for value in _QUOTED.findall(rest) if value.strip()]
    return [rest]


def command_names(line: str) -> list[str]:
    """The extended commands a line of AT+CLAC names, without AT and in capitals.

    27.007 8.37 wants one a line; in the field there are also lists with commas or blanks, with quotes, and with
    the form behind the name (`AT+CGMI=?`).
    """
    words = re.split(r'[\s,;"]+', re.sub(r"^\+CLAC\s*:", "", line, flags=re.I))
    found = (_COMMAND_NAME.match(word) for word in words)
    return [name.group(1).upper() for name in found if name]


def _identity(lines: list[str], add: Callable[[Kind, str], None]) -> None:
    bare: list[str] = []
    for line in lines:
        labelled = _LABELLED.fullmatch(line)
        joined = _REVISION_INSIDE.fullmatch(line)
        if labelled:
            name, text = labelled.group(1).lower(), labelled.group(2)
            for value in values(text):
                if name == "imei":
                    for digits in _IMEI.findall(value):
                        add(Kind.IMEI, digits)
                else:
                    add(_KINDS[{"manufacture": "manufacturer", "model id": "model"}.get(name, name)], value)
        elif joined:
            # The whole answer on one line, as a tool that joins lines leaves it.
            words = [word for word in joined["before"].split() if not word.upper().startswith("AT")]
            add(Kind.MANUFACTURER, words[0] if words else "")
            add(Kind.MODEL, " ".join(words[1:]))
            add(Kind.REVISION, joined["revision"])
        elif not _OTHER_LABEL.fullmatch(line) and not _is_command(line):
            bare.append(line)
    for line in bare:
        add(Kind.BARE, line)


def _apart(line: str) -> list[str]:
    """The labelled parts of an answer that a tool, or the module, put on one line."""
    return _JOINT.split(line) if _LABELLED.fullmatch(line) and len(line) <= MAX_JOINED else [line]


def _is_question(line: str, question: str) -> bool:
    """An echo that the line spoiled: it begins as the question did and is about as long."""
    start = question.upper().rstrip("?=")
    return len(start) > 3 and line.upper().startswith(start) and len(line) <= len(question) + 2


def _is_command(line: str) -> bool:
    """An echo of another command that got into the reply (Quectel M26 behind a gateway: `ATH`)."""
    return bool(re.fullmatch(r"AT[A-Z&+^%#!$*][\S]*|AT[A-Z]?", line, re.I)) and not re.search(r"\d{2}", line)
