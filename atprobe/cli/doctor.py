"""`atprobe doctor`: what stops a probe, why, and what mends it."""

from __future__ import annotations

from collections.abc import Sequence

import click

from atprobe import discover, doctor
from atprobe.cli import _probing
from atprobe.cli._exit import Exit, exit_code
from atprobe.cli._options import Output, output_options
from atprobe.cli._output import write
from atprobe.report import doctor as text

EPILOG = """\b
Examples:
  atprobe doctor                       every modem
  atprobe doctor --port /dev/ttyUSB2   one port, also on a plain serial line
  atprobe doctor --format json | jq -r '.devices[].complaints[].fix'

\b
Exit codes:
  0  nothing stops a probe
  1  something does, or may
  4  no modem is attached
"""


def _local(ctx: click.Context, param: click.Parameter, values: Sequence[str]) -> tuple[str, ...]:
    for value in values:
        if not doctor.is_local(value):
            raise click.BadParameter(f"{value} leads away from this machine; doctor looks at this one")
    return tuple(values)


@click.command("doctor", epilog=EPILOG)
@click.option(
    "--port", "ports", multiple=True, metavar="PATH", callback=_local, help="Only this port. Can be repeated."
)
@output_options
def command(ports: tuple[str, ...], output: Output) -> int:
    """Say what stops a probe, why, and the one command that mends it.

    Opens no port, sends nothing and changes nothing: the commands it shows are for you to run.
    """
    profiles = _probing.load()
    checkup = doctor.examine(discover.scan(profiles), profiles, ports)
    write(text.render(checkup, output.format), output.file)
    return exit_code({Exit.FINDINGS: not checkup.well, Exit.NOTHING: not checkup.patients})
