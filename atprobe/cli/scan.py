"""`atprobe scan`: what is attached."""

from __future__ import annotations

import click

from atprobe import discover, report
from atprobe.cli import _probing
from atprobe.cli._exit import Exit, say
from atprobe.cli._options import Output, output_options
from atprobe.model import Identity, Module, Timing

EPILOG = """\b
Examples:
  atprobe scan
  atprobe scan --format jsonl | jq -r '.device.ports[].path'
"""


@click.command("scan", epilog=EPILOG)
@output_options
def command(output: Output) -> int:
    """List what is attached and the role of each port. Opens nothing.

    The json and jsonl reports are those of `probe`, with nothing known of any identity and no port probed; a modem
    that could not be probed as it is stands among the problems.
    """
    started = report.now()
    profiles = _probing.load()
    devices = _probing.attached(profiles, output)
    modules = [Module(device, Identity(), Timing(0.0, 0, 0.0)) for device in devices]
    found = (discover.obstacle(device, profiles) for device in devices)
    obstacles = tuple(obstacle for obstacle in found if obstacle is not None)
    _probing.emit(report.make(modules, obstacles, started, profiles.version), output, passive=True)
    if devices:
        return Exit.OK
    if not output.quiet:
        say("nothing is attached that could be a modem. Check the cable, and that its driver is loaded.")
    return Exit.NOTHING
