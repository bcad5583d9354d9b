"""`atprobe probe`: who the attached modules are."""

from __future__ import annotations

import click

from atprobe.cli import _probing
from atprobe.cli._exit import say
from atprobe.cli._options import Line, Output, Selectors, line_options, output_options, selector_options, surface_option

EPILOG = """\b
Examples:
  atprobe probe                          every known modem
  atprobe probe --port /dev/ttyUSB2 -v   one port, with the evidence
  atprobe probe --usb 2c7c:0125          modems with this USB id
  atprobe probe --port socket://192.0.2.7:2001 --format json --output report.json
"""


@click.command("probe", epilog=EPILOG)
@selector_options
@line_options
@surface_option
@output_options
def command(selectors: Selectors, line: Line, output: Output) -> int:
    """Ask the attached modules who they are.

    Only commands that read are sent, and no setting is changed. Without a selector every known modem is asked,
    on its AT port; ports that are not known to be a modem's are left alone.
    """
    profiles = _probing.load()
    choices = _probing.choose(selectors, profiles, output)
    if not choices and not output.quiet:
        say("no modem is known here. 'atprobe scan' lists what is attached; name a port with --port, or try --all.")
    return _probing.verdict(_probing.run(choices, profiles, line, output))
