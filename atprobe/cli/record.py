"""`atprobe record`: a module's conversation as a transcript."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from atprobe import discover, fingerprint, knowledge
from atprobe.cli import _probing
from atprobe.cli._exit import Exit, Fatal, say
from atprobe.cli._interrupt import patience, stop
from atprobe.cli._options import OUTPUT_HELP, Line, line_options, new_file
from atprobe.cli._output import write
from atprobe.link import NotReadingError, PortError, Stopped
from atprobe.report.table import sentence

EPILOG = """\b
Examples:
  atprobe record --port /dev/ttyUSB2 --output my-module.yaml
  atprobe record --port /dev/ttyUSB2 --command AT+CLAC > my-module.yaml
  atprobe emulate my-module.yaml
"""


@click.command("record", epilog=EPILOG)
@click.option("--port", required=True, metavar="PATH|URL", help="The module's AT port.")
@click.option("--output", "file", metavar="FILE", callback=new_file, help=OUTPUT_HELP)
@click.option("--keep-identifiers", is_flag=True, help="Keep IMEI, IMSI, serial and phone numbers.")
@click.option("--command", "commands", multiple=True, metavar="CMD", help="Ask this too. Must be known to read only.")
@line_options
def command(port: str, file: Path | None, keep_identifiers: bool, commands: tuple[str, ...], line: Line) -> int:
    """Ask a module all that tells who it is, and write the conversation down as a transcript.

    A transcript can be played back with `atprobe emulate`, scored with `atprobe profiles test --transcripts FILE`
    and dropped into profiles/<maker>/transcripts: CONTRIBUTING.md walks through it. Fill in its `truth` first, from
    the label, the box or the data sheet.

    Hidden, unless --keep-identifiers: the unit's part of the IMEI; IMSI, ICCID, MEID, ESN, serial and phone numbers;
    keys and passwords are hidden always. Look the file over all the same before you publish it.
    """
    profiles = _probing.load()
    device, paths = discover.named(port, discover.scan(profiles).devices)
    try:
        with patience():
            transcript = fingerprint.record(
                device,
                paths[0],
                profiles,
                commands=commands,
                keep_identifiers=keep_identifiers,
                timeout=line.timeout,
                baud=line.baud,
                inhibit=line.inhibit,
                stop=stop,
            )
    except PortError as error:
        say(sentence(error.problem()))
        return Exit.INCOMPLETE
    except NotReadingError as error:
        raise Fatal(f"{error}. A command has to be in some profile to be asked; docs/profiles.md says how.") from error
    except Stopped:
        say("stopped; nothing was written")
        return Exit.INTERRUPTED
    write(knowledge.dump_transcript(transcript), file)
    if file is not None and sys.stderr is not None and sys.stderr.isatty():
        say(f"{file}: fill in its truth, then: atprobe profiles test --transcripts {file}")
    return Exit.OK
