"""The options that several commands share, each set of them packed into one value."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from atprobe.link import DEFAULT_BAUD, DEFAULT_TIMEOUT
from atprobe.report import Format

Command = Callable[..., int]

MAX_SECONDS = 3600
RATES = range(50, 12_000_001)
BAUD = click.IntRange(RATES[0], RATES[-1])
OUTPUT_HELP = "Write to FILE instead of stdout, all or nothing."


@dataclass(frozen=True, slots=True)
class Output:
    """Where results go and how. `file` is None for stdout."""

    format: Format
    file: Path | None
    verbose: bool
    quiet: bool


@dataclass(frozen=True, slots=True)
class Selectors:
    """Which ports to talk to, as `discover.select` takes it."""

    ports: tuple[str, ...]
    usb: tuple[tuple[str, str], ...]
    everything: bool
    usb_direct: bool


@dataclass(frozen=True, slots=True)
class Line:
    """How to talk to a port: `timeout` in seconds for one answer, `baud` in bit/s, None where it is to be found.

    `inhibit`: whether ModemManager is asked to stand aside. `surfaces`: whether the state of remote update is asked.
    """

    timeout: float
    baud: int | None
    inhibit: bool = True
    surfaces: bool = True


def _usb(ctx: click.Context, param: click.Parameter, values: Sequence[str]) -> tuple[tuple[str, str], ...]:
    found = [re.fullmatch(r"(?:0x)?([0-9a-f]{1,4}):(?:0x)?([0-9a-f]{1,4})", value.lower()) for value in values]
    for value, match in zip(values, found, strict=True):
        if match is None:
            raise click.BadParameter(f"{value!r} is not a pair of hexadecimal numbers like 2c7c:0125")
    return tuple((match.group(1).zfill(4), match.group(2).zfill(4)) for match in found if match)


def _seconds(ctx: click.Context, param: click.Parameter, value: float) -> float:
    if not 0 < value <= MAX_SECONDS:  # also true of "nan"
        raise click.BadParameter(f"{value:g} is not a number of seconds above 0 and up to {MAX_SECONDS}")
    return value


def _rate(ctx: click.Context, param: click.Parameter, value: str) -> int | None:
    if value.lower() == "auto":
        return None
    if not value.isdecimal() or int(value) not in RATES:
        raise click.BadParameter(f"{value!r} is neither auto nor a rate from {RATES[0]} to {RATES[-1]} bit/s")
    return int(value)


def new_file(ctx: click.Context, param: click.Parameter, value: str | None) -> Path | None:
    """A file that will be written; what would stop that is found out before any port is opened."""
    if value is None:
        return None
    path = Path(value)
    if path.is_dir():
        raise click.BadParameter(f"{path} is a folder")
    if not path.parent.is_dir():
        raise click.BadParameter(f"there is no folder {path.parent}")
    # A file is replaced, so its folder counts; a device or a pipe is written to.
    if not os.access(path if path.exists() and not path.is_file() else path.parent, os.W_OK):
        raise click.BadParameter(f"{path} may not be written")
    return path


def output_options(command: Command) -> Command:
    """--format, --output, -v and --quiet, handed over as `output`."""

    @click.option(
        "--format",
        "format_",
        type=click.Choice([each.value for each in Format]),
        default=Format.TABLE.value,
        show_default=True,
        help="table for people; json and jsonl for scripts.",
    )
    @click.option("--output", "file", metavar="FILE", callback=new_file, help=OUTPUT_HELP)
    @click.option("-v", "--verbose", is_flag=True, help="Show the evidence too.")
    @click.option("-q", "--quiet", is_flag=True, help="No progress and no notes on stderr.")
    @functools.wraps(command)
    def packed(*args: Any, format_: str, file: Path | None, verbose: bool, quiet: bool, **others: Any) -> int:
        return command(*args, output=Output(Format(format_), file, verbose, quiet), **others)

    return packed


def selector_options(command: Command) -> Command:
    """--port, --usb, --all and --usb-direct, handed over as `selectors`."""

    @click.option(
        "--port",
        "ports",
        multiple=True,
        metavar="PATH|URL",
        help="Talk to this port: /dev/ttyUSB2, socket://HOST:PORT, rfc2217://HOST:PORT. Can be repeated.",
    )
    @click.option(
        "--usb",
        multiple=True,
        metavar="VID:PID",
        callback=_usb,
        help="Only modems with this USB id. Can be repeated.",
    )
    @click.option("--all", "everything", is_flag=True, help="Also ports whose role is not known.")
    @click.option("--usb-direct", is_flag=True, help="Also modems without a driver, over their USB endpoints.")
    @functools.wraps(command)
    def packed(
        *args: Any,
        ports: tuple[str, ...],
        usb: tuple[tuple[str, str], ...],
        everything: bool,
        usb_direct: bool,
        **others: Any,
    ) -> int:
        return command(*args, selectors=Selectors(ports, usb, everything, usb_direct), **others)

    return packed


def line_options(command: Command) -> Command:
    """--timeout, --baud and --no-inhibit, handed over as `line`."""

    @click.option(
        "--timeout",
        type=float,
        default=DEFAULT_TIMEOUT,
        show_default=True,
        metavar="SECONDS",
        callback=_seconds,
        help="How long a module may take for one answer.",
    )
    @click.option(
        "--baud",
        default=str(DEFAULT_BAUD),
        show_default=True,
        metavar="N|auto",
        callback=_rate,
        help="Line rate in bit/s, auto to find it; matters on real serial lines only.",
    )
    @click.option(
        "--no-inhibit",
        is_flag=True,
        help="Skip devices that ModemManager manages instead of asking it to stand aside.",
    )
    @functools.wraps(command)
    def packed(*args: Any, timeout: float, baud: int | None, no_inhibit: bool, **others: Any) -> int:
        return command(*args, line=Line(timeout, baud, not no_inhibit), **others)

    return packed


def surface_option(command: Command) -> Command:
    """--no-surfaces, put into `line`; below `line_options`."""

    @click.option("--no-surfaces", is_flag=True, help="Ask who the module is, and nothing about remote update.")
    @functools.wraps(command)
    def packed(*args: Any, line: Line, no_surfaces: bool, **others: Any) -> int:
        return command(*args, line=replace(line, surfaces=not no_surfaces), **others)

    return packed
