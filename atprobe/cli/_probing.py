"""One probe run from targets to exit code, for the commands that probe."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from atprobe import discover, fingerprint, knowledge
from atprobe.cli._exit import Exit, Fatal, exit_code, say
from atprobe.cli._interrupt import patience, stop
from atprobe.cli._options import Line, Output, Selectors
from atprobe.cli._output import view, write
from atprobe.discover import Choice
from atprobe.fingerprint import Outcome, Target
from atprobe.knowledge import Knowledge, ProfileError
from atprobe.model import Device, ProblemKind, Report
from atprobe.report import Format, make, now, render
from atprobe.report.table import sentence


def load() -> Knowledge:
    """The installed profiles. Raises Fatal with every fault where they cannot be used."""
    try:
        return knowledge.load()
    except ProfileError as error:
        faults = [str(problem) for problem in error.problems]
        raise Fatal(*faults, "the profiles cannot be used; install atprobe again, or mend them") from error


def choose(selectors: Selectors, profiles: Knowledge, output: Output) -> tuple[Choice, ...]:
    """What the user wants asked, out of what is attached."""
    return discover.select(
        attached(profiles, output),
        ports=selectors.ports,
        usb=selectors.usb,
        everything=selectors.everything,
        usb_direct=selectors.usb_direct,
    )


def attached(profiles: Knowledge, output: Output) -> tuple[Device, ...]:
    """What the bus shows; a person is told what this system keeps from being seen."""
    found = discover.scan(profiles)
    if not output.quiet:
        for limit in found.limits:
            say(limit)
    return found.devices


def run(choices: Sequence[Choice], profiles: Knowledge, line: Line, output: Output) -> Report:
    """Probe and print. Interrupted, it prints what is known by then."""
    started = now()
    with patience():
        outcome = ask([Target(*choice) for choice in choices], profiles, line, output)
        problems = (*discover.obstacles(choices, profiles), *outcome.problems)
        result = make(outcome.modules, problems, started, profiles.version)
        emit(result, output)
    if stop.is_set():
        cut_off = {problem.port for problem in outcome.problems if problem.kind is ProblemKind.INTERRUPTED}
        unfinished = sum(not cut_off.isdisjoint(choice.paths) for choice in choices)
        say(f"stopped; {unfinished} of {len(choices)} ports were not finished")
    return result


def ask(targets: Sequence[Target], profiles: Knowledge, line: Line, output: Output) -> Outcome:
    """Probe, and show a person how far it is."""
    progress = Progress(output)
    outcome = fingerprint.probe(
        targets,
        profiles,
        timeout=line.timeout,
        baud=line.baud,
        inhibit=line.inhibit,
        surfaces=line.surfaces,
        on_progress=progress,
        stop=stop,
    )
    progress.clear()
    return outcome


def verdict(result: Report) -> Exit:
    """How the run went."""
    return exit_code(
        {
            Exit.INTERRUPTED: stop.is_set(),
            Exit.INCOMPLETE: bool(result.problems),
            Exit.NOTHING: not result.modules,
        }
    )


def emit(result: Report, output: Output, *, passive: bool = False) -> None:
    """Print the report. Problems that it does not show to a person on stdout go to stderr too."""
    try:
        write(render(result, output.format, view(output, passive=passive)), output.file)
    finally:
        if not output.quiet and (output.file is not None or output.format is not Format.TABLE):
            for problem in result.problems:
                say(sentence(problem))


class Progress:
    """A line on stderr that says how far the run is, for a person who is looking."""

    def __init__(self, output: Output) -> None:
        self._wanted = not output.quiet and sys.stderr is not None and sys.stderr.isatty()
        self._shown = 0

    def __call__(self, done: int, total: int) -> None:
        """Show that so many ports are done."""
        if self._wanted:
            text = f"{done} of {total} ports done"
            print(f"\r{text}", end="", file=sys.stderr, flush=True)
            self._shown = len(text)

    def clear(self) -> None:
        """Take the line away, without control sequences that a simple terminal may not know."""
        if self._shown:
            print(f"\r{' ' * self._shown}\r", end="", file=sys.stderr, flush=True)
