"""`atprobe schema`: the JSON Schema of the reports."""

from __future__ import annotations

import click

from atprobe import report
from atprobe.cli._exit import Exit
from atprobe.cli._output import write

EPILOG = """\b
Examples:
  atprobe schema > report.schema.json
"""


@click.command("schema", epilog=EPILOG)
def command() -> int:
    """Print the JSON Schema (2020-12) of `--format json`; that of a `jsonl` line is at `$defs/line`."""
    write(report.schema(), None)
    return Exit.OK
