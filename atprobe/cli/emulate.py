"""`atprobe emulate`: recorded modules on ptys or TCP ports."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click

from atprobe import knowledge
from atprobe.cli._exit import Exit, Fatal, say
from atprobe.cli._interrupt import stop
from atprobe.cli._options import BAUD
from atprobe.cli._output import write
from atprobe.cli._probing import load
from atprobe.emulator import Emulator, Fault, Memory, Spec, Trouble
from atprobe.knowledge import Knowledge, ProfileError
from atprobe.model import Transcript
from atprobe.report.escape import visible

EPILOG = """\b
Examples:
  atprobe emulate quectel/quectel-bg770a-gl-golden-070
  atprobe emulate my-module.yaml --latency 20 --fault urc-storm
  atprobe emulate telit/telit-fn990-swpkgv-007 --count 32 --link-dir /tmp/modems
  atprobe emulate my-module.yaml --tcp
  atprobe emulate my-module.yaml --surfaces --link-dir /tmp/modems
  atprobe emulate my-module.yaml --surfaces --trouble ignore
  atprobe emulate my-module.yaml --surfaces --trouble reboot --boot 20
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
@click.option("--surfaces", is_flag=True, help="Have the settings of the maker's surfaces, and let them be changed.")
@click.option(
    "--trouble",
    "troubles",
    multiple=True,
    type=click.Choice([trouble.value for trouble in Trouble]),
    help="Do not do what a command that changes a setting asks for. Can be repeated; needs --surfaces.",
)
@click.option(
    "--boot",
    type=click.FloatRange(0, 600),
    metavar="SECONDS",
    help="How long a restart takes (default 1). A pty comes back as another one, its symlink stays; needs --surfaces.",
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
    surfaces: bool,
    troubles: tuple[str, ...],
    boot: float | None,
    tcp: bool,
    link_dir: Path | None,
    log: Path | None,
) -> int:
    """Play recorded modules until interrupted. Prints a line for each port: its path and the transcript's id.

    A name is a transcript file, or MAKER/ID for one that comes with atprobe.
    """
    if not surfaces and (troubles or boot is not None):
        raise Fatal("--trouble and --boot are for modules with settings: add --surfaces.")
    known = load() if surfaces else None
    specs = [
        Spec(
            transcript,
            faults=frozenset(Fault(fault) for fault in faults),
            latency=latency / 1000,
            baud=baud,
            tcp=0 if tcp else None,
            memory=remember(transcript, known, troubles) if known else None,
            boot_seconds=1.0 if boot is None else boot,
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


def remember(transcript: Transcript, known: Knowledge, troubles: Iterable[str] = ()) -> Memory:
    """The settings of the module of a transcript. Raises Fatal where its maker's profile describes none."""
    truth = transcript.truth
    if truth.maker not in known.profiles:
        who = f"the maker {truth.maker!r} has no profile" if truth.maker else "it does not say who made the module"
        raise Fatal(f"{transcript.id}: {who}, so its settings are not known. See `truth.maker` of the transcript.")
    rules = known.surfaces_of(truth.maker, truth.model)
    if not rules:
        model = f" for the model {truth.model}" if truth.model and known.surfaces_of(truth.maker) else ""
        raise Fatal(f"{transcript.id}: the profile of {truth.maker} has no surfaces{model}; leave --surfaces out.")
    memory = Memory(rules, known.reboot_of(truth.maker, truth.model), reading=known.reading)
    memory.troubles.update(map(Trouble, troubles))
    return memory
