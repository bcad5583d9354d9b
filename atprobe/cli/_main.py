"""The group of commands. A command's module is imported when that command runs, and not for the list of them."""

from __future__ import annotations

import io
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from typing import IO

import click

import atprobe
from atprobe.cli._exit import Exit, Fatal, abandon, say

COMMANDS = {
    "scan": "List what is attached and the role of each port. Opens nothing.",
    "probe": "Ask the attached modules who they are. Reads only.",
    "lockdown": "Switch remote update off, see what was switched, put it back.",
    "watch": "Say who each module is as it is plugged in or out.",
    "doctor": "Say what stops a probe, and what mends it. Opens nothing.",
    "demo": "Probe emulated modules, to see what it looks like.",
    "emulate": "Play recorded modules on ptys or TCP ports.",
    "record": "Write a module's conversation to a transcript.",
    "profiles": "List, show, check and test the profiles of the makers.",
    "udev": "Print udev rules: roles, stable names and permissions for modems.",
    "schema": "Print the JSON Schema of the reports.",
}
"""Each command is the module of that name here, with its `command`; the text is its line in `--help`."""


class Commands(click.Group):
    """Finds commands by `COMMANDS`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, imported now; None where there is none."""
        if cmd_name not in COMMANDS:
            return None
        command = import_module(f"atprobe.cli.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _version(ctx: click.Context, param: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        click.echo(f"atprobe {atprobe.__version__}")
        ctx.exit()


EPILOG = """\b
Examples:
  atprobe scan
  atprobe probe
  atprobe probe --port /dev/ttyUSB2 --format json
  atprobe demo

\b
Exit codes:
  0    all well
  1    findings
  2    wrong usage
  3    some port could not be probed
  4    nothing found
  5    a change failed and was put back
  6    a change failed and the state is not known
  130  interrupted
"""


@click.group(
    "atprobe",
    cls=Commands,
    epilog=EPILOG,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version.")
@click.pass_context
def program(ctx: click.Context) -> int | None:
    """Find the cellular modules attached to this machine and say who really made them."""
    if ctx.invoked_subcommand is not None:
        return None
    click.echo(ctx.get_help())
    return Exit.USAGE


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command line (default: this process's) and return its exit code. Errors become messages."""
    streams = [stream for stream in (sys.stdout, sys.stderr) if stream is not None]
    for stream in streams:
        if isinstance(stream, io.TextIOWrapper):
            # A locale that lacks a character must not end the run.
            stream.reconfigure(errors="backslashreplace")
    code = _invoke(arguments)
    for stream in streams:
        code = _flush(stream, code)
    return code


def _invoke(arguments: Sequence[str] | None) -> int:
    try:
        code = program.main(args=arguments, prog_name="atprobe", standalone_mode=False)
    except click.UsageError as error:
        where = error.ctx.command_path if error.ctx else "atprobe"
        say(f"{error.format_message().rstrip('.')}. '{where} --help' shows how it is used.")
        return Exit.USAGE
    except Fatal as error:
        for message in error.messages:
            say(message)
        return error.code
    except (click.Abort, KeyboardInterrupt):
        say("stopped")
        return Exit.INTERRUPTED
    except SystemExit:
        return Exit.OK  # click's own way out where the reader of a help text has seen enough
    except Exception:
        # Python would leave with 1, which says "findings" to a script.
        for line in traceback.format_exc().splitlines():
            say(line)
        say("this is a fault in atprobe; please report it with the lines above")
        return Exit.INCOMPLETE
    return int(code or 0)


def _flush(stream: IO[str], code: int) -> int:
    """Write out what is buffered now, while a failure can still be dealt with."""
    try:
        stream.flush()
    except BrokenPipeError:
        abandon(stream)
    except OSError as error:
        abandon(stream)
        say(f"the output could not be written: {error.strerror}")
        return Exit.INCOMPLETE
    return code
