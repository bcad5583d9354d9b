"""What a run found, as text: one module per output format, each with `render(report, view) -> str`.

A new format is a new module here and a line in `Format`.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
from importlib import import_module, resources
from typing import cast

import atprobe
from atprobe.model import Module, Problem, Report

SCHEMA_ID = "atprobe.report/1"
EVENT_ID = "atprobe.event/1"


class Format(StrEnum):
    """The output formats; each value is the name of the module here that makes it."""

    TABLE = "table"
    """For people. Its layout may change; scripts read `json` or `jsonl`."""
    JSON = "json"
    """One document, as `schema.json` describes it."""
    JSONL = "jsonl"
    """One line for each module and each problem; see `jsonl.py`."""


@dataclass(frozen=True, slots=True)
class View:
    """How a person looks at the output; machine formats take no notice of it.

    `verbose` adds the evidence. `terminal` says that a terminal of `width` columns shows the text, so that long
    cells may be folded; without it the text is plain, aligned and never folded. `colour` allows colours.
    `passive` says that nothing was probed, so that devices and their ports are shown instead of identities.
    """

    verbose: bool = False
    terminal: bool = False
    colour: bool = False
    width: int = 80
    passive: bool = False


PLAIN = View()


def now() -> str:
    """The time as reports carry it: ISO 8601, UTC, milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def make(modules: Sequence[Module], problems: Sequence[Problem], started: str, profiles_version: str) -> Report:
    """A report of this machine, finished now. `started` is a time as `now` gives it."""
    host = {
        "name": platform.node(),
        "system": platform.system(),
        "release": platform.release(),
        "machine": platform.machine(),
    }
    return Report(tuple(modules), tuple(problems), started, now(), atprobe.__version__, profiles_version, host)


def render(report: Report, format: Format, view: View = PLAIN) -> str:
    """The report as text in the format asked for, ending in a line end unless there is nothing to say."""
    module = import_module(f"{__name__}.{format}")
    return cast(Callable[[Report, View], str], module.render)(report, view)


@cache
def schema() -> str:
    """The JSON Schema of `json` documents; below `$defs` are those of `jsonl` lines (`line`) and events (`event`)."""
    return resources.files(__name__).joinpath("schema.json").read_text(encoding="utf-8")
