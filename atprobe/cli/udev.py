"""`atprobe udev`: rules for udev."""

from __future__ import annotations

import re
from pathlib import Path

import click

from atprobe import discover
from atprobe.cli import _probing
from atprobe.cli._exit import Exit
from atprobe.cli._options import OUTPUT_HELP, new_file
from atprobe.cli._output import write

EPILOG = """\b
Examples:
  atprobe udev rules
  atprobe udev rules --group gsm --output 78-atprobe.rules

\b
To install them, as root:
  atprobe udev rules --output /etc/udev/rules.d/78-atprobe.rules
  udevadm control --reload
  udevadm trigger --subsystem-match=usb --subsystem-match=tty --subsystem-match=usbmisc --subsystem-match=wwan
"""


def _group(ctx: click.Context, param: click.Parameter, value: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", value) is None:
        raise click.BadParameter(f"{value!r} is no name of a group")
    return value


@click.group("udev", epilog="\b\nExamples:\n  atprobe udev rules\n")
def command() -> None:
    """Give the ports of known modems roles, stable names and permissions, with udev."""


@command.command("rules", epilog=EPILOG)
@click.option(
    "--group",
    default=discover.DEFAULT_GROUP,
    show_default=True,
    metavar="NAME",
    callback=_group,
    help="The group that may talk to modems. It has to exist.",
)
@click.option("--output", "file", metavar="FILE", callback=new_file, help=OUTPUT_HELP)
def rules_command(group: str, file: Path | None) -> int:
    """Print a rules file for udev, made from the profiles.

    Each port of a known modem gets its role (the property ATPROBE_ROLE) and names such as /dev/atprobe/1-1.2-at. Ports
    that atprobe talks to, and the USB device itself, may be used by the group and by whoever sits at the machine.
    Nothing else is touched.
    """
    write(discover.udev_rules(_probing.load(), group), file)
    return Exit.OK
