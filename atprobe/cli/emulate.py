"""`atprobe emulate`: recorded modules on ptys or TCP ports."""

from __future__ import annotations

from pathlib import Path

import click

from atprobe import knowledge
from atprobe.cli._exit import Exit, Fatal, say
from atprobe.cli._interrupt import stop
from atprobe.cli._options import BAUD
from atprobe.cli._output import write
from atprobe.emulator import Emulator, Fault, Spec
from atprobe.knowledge import ProfileError
from atprobe.model import Transcript
from atprobe.report.escape import visible

EPILOG = """\b
Examples:
  atprobe emulate quectel/quectel-bg770a-gl-golden-070
  atprobe emulate my-module.yaml --latency 20 --fault urc-storm
  atprobe emulate telit/telit-fn990-swpkgv-007 --count 32 --link-dir /tmp/modems
  atprobe emulate my-module.yaml --tcp
"""


@click.command("emulate", epilog=EPILOG)
@click.argument("names", nargs=-1, required=True, metavar="TRANSCRIPT|MAKER/ID...")
@click.option("--latency", type=click.FloatRange(0, 60_000), default=0.0, metavar="MS", help="Time of every answer.")
@click.option("--count", type=click.IntRange(1, 1000), default=1, metavar="N", help="Ports for each transcript.")
@click.option("--baud", type=BAUD, metavar="N", help="Send no faster than N bit/s.")
@click.option(
    "--fault",
    "faults",
    multiple=True,
    type=click.Choice([fault.value for fault in Fault]),
    help="Misbehave. Can be repeated.",
)
@click.option("--tcp", is_flag=True, help="Serve on free TCP ports of this machine instead of ptys.")
@click.option("--link-dir", type=click.Path(file_okay=False, path_type=Path), metavar="DIR", help="Put symlinks here.")
@click.option("--log", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Append what is received.")
def command(
    *,
    names: tuple[str, ...],
    latency: float,
    count: int,
    baud: int | None,
    faults: tuple[str, ...],
    tcp: bool,
    link_dir: Path | None,
    log: Path | None,
) -> int:
    """Play recorded modules until interrupted. Prints a line for each port: its path and the transcript's id.

    A name is a transcript file, or MAKER/ID for one that comes with atprobe.
    """
    specs = [
        Spec(
            transcript,
            faults=frozenset(Fault(fault) for fault in faults),
            latency=latency / 1000,
            baud=baud,
            tcp=0 if tcp else None,
        )
        for transcript in map(find, names)
        for _ in range(count)
    ]
    try:
        with Emulator(specs, log_file=log, link_dir=link_dir) as emulator:
            for port, link, spec in zip(emulator.ports, emulator.links, specs, strict=True):
                write(f"{link or port}  {visible(spec.transcript.id)}\n", None)
            emulator.serve_forever()
    except OSError as error:
        raise Fatal(f"the ports cannot be served: {error}. Check the folder, the permissions and --count.") from error
    if stop.is_set():
        say("stopped")
        return Exit.INTERRUPTED
    return Exit.OK


def find(name: str) -> Transcript:
    """The transcript of that file or MAKER/ID. Raises Fatal where there is none, or where it is not one."""
    path = Path(name)
    maker, _, identifier = name.partition("/")
    if not path.is_file() and identifier:
        path = knowledge.default_root() / maker / "transcripts" / f"{identifier}.yaml"
    if not path.is_file():
        raise Fatal(f"{name}: no such transcript. 'atprobe profiles show MAKER' lists those of a maker.")
    try:
        return knowledge.load_transcript(path)
    except ProfileError as error:
        raise Fatal(*(str(problem) for problem in error.problems)) from error
