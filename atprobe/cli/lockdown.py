"""`atprobe lockdown`: switch remote update off, see what was switched, and put it back."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import click

from atprobe import discover, knowledge, lockdown
from atprobe.cli import _probing
from atprobe.cli._exit import Exit, Fatal, exit_code, say
from atprobe.cli._interrupt import patience, stop
from atprobe.cli._options import Line, Output, Selectors, line_options, new_file, selector_options
from atprobe.cli._output import view, write
from atprobe.fingerprint import Target
from atprobe.knowledge import Knowledge
from atprobe.lockdown import Journal, JournalError, PlanError, Run, Tools
from atprobe.model import Change, Module, Plan, Stage
from atprobe.report import Format, now
from atprobe.report.document import dumps
from atprobe.report.lockdown import changes_object, changes_table, counted, plan_table, progress
from atprobe.report.table import sentence

EPILOG = """\b
Examples:
  atprobe lockdown plan --output plan.json       what could be switched off, and how
  atprobe lockdown apply plan.json               ask, switch off, read back
  atprobe lockdown status                        what was changed when
  atprobe lockdown restore --port /dev/ttyUSB2   put it back

\b
Exit codes of apply, restore and resume:
  0  all done
  3  a module was not reached, or is not as it was when the plan was made; nothing was sent to it
  5  a change failed, and the module has its old setting
  6  a change failed, and its state is not known: run 'atprobe lockdown resume'
"""

_YES = click.option("--yes", is_flag=True, help="Do not ask.")
_WAIT = click.option(
    "--wait",
    type=click.FloatRange(0, 3600),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to look for a module that went away by itself.",
)
_QUIET = click.option("-q", "--quiet", is_flag=True, help="No progress and no notes on stderr.")
_FORMAT = click.option(
    "--format",
    "format_",
    type=click.Choice([Format.TABLE.value, Format.JSON.value]),
    default=Format.TABLE.value,
    show_default=True,
    help="table for people; json for scripts.",
)
_INCLUDE = "Plan this surface too, although switching it off can cut a service of the product. Can be repeated."


@click.group("lockdown", epilog=EPILOG)
def command() -> None:
    """Switch remote update off where the maker documented a switch, and put it back.

    Nothing is sent but what a plan says and you confirm. Every change is written down first, read back afterwards,
    and put back where it did not do what it should.
    """


@command.command("plan")
@selector_options
@line_options
@click.option("--include", multiple=True, metavar="SURFACE", help=_INCLUDE)
@click.option("--output", "file", metavar="FILE", callback=new_file, help="Write the plan to FILE, for apply.")
@_FORMAT
@_QUIET
def plan_command(
    *,
    selectors: Selectors,
    line: Line,
    include: tuple[str, ...],
    file: Path | None,
    format_: str,
    quiet: bool,
) -> int:
    """Say what would be sent to which module to switch remote update off. Sends nothing that writes.

    \b
    Examples:
      atprobe lockdown plan
      atprobe lockdown plan --port /dev/ttyUSB2 --include qiotreg --output plan.json
    """
    profiles = _probing.load()
    output = Output(Format(format_), file, False, quiet)
    modules, incomplete = _probe(_targets(profiles, selectors, output), profiles, line, output)
    try:
        plan = lockdown.make_plan(modules, include, profiles, now())
    except PlanError as error:
        raise Fatal(*error.problems) from error
    if file is not None:
        write(lockdown.dump(plan), file)
    shown = replace(output, file=None)
    write(lockdown.dump(plan) if output.format is Format.JSON else plan_table(plan, view(shown)), None)
    if file is not None and not quiet and any(module.steps for module in plan.modules):
        say(f"'atprobe lockdown apply {file}' carries it out")
    if not modules and not incomplete and not quiet:
        say("no modem is known here. 'atprobe scan' lists what is attached; name a port with --port, or try --all.")
    return exit_code({Exit.INCOMPLETE: incomplete, Exit.NOTHING: not modules})


@command.command("apply")
@click.argument("file", metavar="PLAN", type=click.Path(path_type=Path))
@line_options
@_YES
@_WAIT
@click.option("--reboot", is_flag=True, help="Restart modules whose change needs it, and read the change again.")
@_FORMAT
@_QUIET
def apply_command(*, file: Path, line: Line, yes: bool, wait: float, reboot: bool, format_: str, quiet: bool) -> int:
    """Carry a plan out: read everything again, ask, write down, send, read back.

    Refuses as a whole where a module is not there or not as it was when the plan was made.

    \b
    Examples:
      atprobe lockdown apply plan.json
      atprobe lockdown apply plan.json --yes --reboot --format json
    """
    profiles = _probing.load()
    output = Output(Format(format_), None, False, quiet)
    plan = _read_plan(file, profiles)
    if not any(module.steps for module in plan.modules):
        say("the plan has nothing to send")
        return Exit.OK
    ports = [module.port for module in plan.modules if module.steps]
    modules, _ = _probe(_known(profiles, ports)(), profiles, line, output, heard=False)
    different = lockdown.moved(plan, modules)
    if different:
        raise Fatal(
            *(f"{each.imei}: {each.text}" for each in different),
            "the plan does not fit any more, and nothing was sent; make a new one with 'atprobe lockdown plan'",
            code=Exit.INCOMPLETE,
        )
    _confirm(yes, lambda: plan_table(plan, view(output)), f"Send {counted(sum(len(m.steps) for m in plan.modules))}?")
    with _journal() as journal:
        tools = _tools(journal, profiles, ports, line=line, wait=wait, quiet=quiet)
        return _finish(lambda: lockdown.apply(plan, modules, tools, reboot=reboot), output)


@command.command("status")
@_FORMAT
@click.option("--all", "everything", is_flag=True, help="Also what was put back, or never took effect.")
def status_command(*, format_: str, everything: bool) -> int:
    """Say what was changed on which module, when, and by which plan. Opens no port.

    \b
    Examples:
      atprobe lockdown status
      atprobe lockdown status --all --format json
    """
    output = Output(Format(format_), None, False, False)
    shown = [each for each in _changes() if everything or each.stage.is_open or each.stage is Stage.DONE]
    _show(shown, output)
    return Exit.NOT_KNOWN if any(change.stage.is_open for change in shown) else Exit.OK


@command.command("restore")
@selector_options
@line_options
@click.option("--surface", "surfaces", multiple=True, metavar="SURFACE", help="Only this surface. Can be repeated.")
@_YES
@_WAIT
@_FORMAT
@_QUIET
def restore_command(
    *,
    selectors: Selectors,
    line: Line,
    surfaces: tuple[str, ...],
    yes: bool,
    wait: float,
    format_: str,
    quiet: bool,
) -> int:
    """Put what was changed back to the value read before, on the modules that are attached.

    \b
    Examples:
      atprobe lockdown restore
      atprobe lockdown restore --port /dev/ttyUSB2 --surface qiotreg --yes
    """
    wanted = [
        change
        for change in _changes()
        if (change.stage is Stage.DONE or change.stage.is_open) and (not surfaces or change.step.surface in surfaces)
    ]
    return _put_right(
        wanted,
        "put back",
        selectors=selectors,
        line=line,
        yes=yes,
        wait=wait,
        output=Output(Format(format_), None, False, quiet),
        run=lockdown.restore,
    )


@command.command("resume")
@selector_options
@line_options
@click.option("--undo", is_flag=True, help="Put back what was begun instead of finishing it.")
@_YES
@_WAIT
@_FORMAT
@_QUIET
def resume_command(
    *, selectors: Selectors, line: Line, undo: bool, yes: bool, wait: float, format_: str, quiet: bool
) -> int:
    """After a crash or a lost port: ask the modules what became of the changes that were begun, and finish or undo.

    \b
    Examples:
      atprobe lockdown resume
      atprobe lockdown resume --undo --yes
    """
    changes = _changes()
    begun = {(change.run, change.imei, change.step.surface) for change in changes if change.stage.is_open}
    wanted = [change for change in changes if (change.run, change.imei, change.step.surface) in begun]
    return _put_right(
        wanted,
        "undo" if undo else "finish",
        selectors=selectors,
        line=line,
        yes=yes,
        wait=wait,
        output=Output(Format(format_), None, False, quiet),
        run=lambda found, modules, tools: lockdown.resume(found, modules, tools, undo=undo),
    )


def _put_right(
    wanted: Sequence[Change],
    what: str,
    *,
    selectors: Selectors,
    line: Line,
    yes: bool,
    wait: float,
    output: Output,
    run: Callable[[Sequence[Change], Sequence[Module], Tools], Run],
) -> int:
    if not wanted:
        say(f"there is nothing to {what}; 'atprobe lockdown status --all' shows what was done")
        return Exit.OK
    profiles = _probing.load()
    ports = [*selectors.ports, *({change.port for change in wanted} if not selectors.ports else ())]
    targets = _targets(profiles, selectors, output) if _narrows(selectors) else _known(profiles, ports)()
    modules, _ = _probe(targets, profiles, line, output, heard=False)
    present = {module.identity.imei for module in modules}
    ours = [change for change in wanted if change.imei in present]
    absent = sorted({change.imei for change in wanted} - present)
    if absent and not (output.quiet or _narrows(selectors)):
        say(f"not attached, or not answering: {', '.join(absent)}")
    if not ours:
        raise Fatal(f"none of the modules to {what} answers; 'atprobe doctor' says why", code=Exit.INCOMPLETE)
    _confirm(yes, lambda: changes_table(ours, view(output)), f"{what.capitalize()} {len(ours)} changes?")
    with _journal() as journal:
        tools = _tools(journal, profiles, ports, line=line, wait=wait, quiet=output.quiet)
        code = _finish(lambda: run(ours, modules, tools), output)
    return Exit.INCOMPLETE if code is Exit.OK and absent and not _narrows(selectors) else code


def _narrows(selectors: Selectors) -> bool:
    return bool(selectors.ports or selectors.usb or selectors.everything or selectors.usb_direct)


def _targets(profiles: Knowledge, selectors: Selectors, output: Output) -> list[Target]:
    return [Target(*choice) for choice in _probing.choose(selectors, profiles, output)]


def _known(profiles: Knowledge, ports: Sequence[str]) -> Callable[[], list[Target]]:
    """What looks at everything a module may be at: every known modem, and the ports where modules were."""

    def look() -> list[Target]:
        devices = discover.scan(profiles).devices
        choices = discover.select(devices)
        taken = {path for choice in choices for path in choice.paths}
        more = discover.select(devices, ports=[port for port in ports if port not in taken]) if ports else ()
        named = [choice for choice in more if taken.isdisjoint(choice.paths)] if ports else []
        return [Target(*choice) for choice in (*choices, *named) if choice.paths]

    return look


def _probe(
    targets: Sequence[Target], profiles: Knowledge, line: Line, output: Output, *, heard: bool = True
) -> tuple[tuple[Module, ...], bool]:
    """The modules that answer, and whether some port did not. `heard`: what went wrong is worth a word."""
    with patience():
        outcome = _probing.ask(targets, profiles, line, output)
    if stop.is_set():
        raise Fatal("stopped; nothing was sent that writes", code=Exit.INTERRUPTED)
    if not output.quiet and heard:
        for problem in outcome.problems:
            say(sentence(problem))
    return outcome.modules, bool(outcome.problems)


def _read_plan(file: Path, profiles: Knowledge) -> Plan:
    try:
        if file.stat().st_size > lockdown.MAX_BYTES:
            raise Fatal(f"{file} is too large for a plan")
        return lockdown.load(file.read_text(encoding="utf-8"), profiles)
    except OSError as error:
        raise Fatal(f"{file} cannot be read: {error.strerror}. 'atprobe lockdown plan' makes one.") from error
    except UnicodeDecodeError as error:
        raise Fatal(f"{file} is no plan: it is not UTF-8 text") from error
    except PlanError as error:
        raise Fatal(*(f"{file}: {problem}" for problem in error.problems)) from error


def _confirm(yes: bool, show: Callable[[], str], question: str) -> None:
    if yes:
        return
    if sys.stdin is None or not sys.stdin.isatty():
        raise Fatal("nobody is here to ask; add --yes to go on without asking, and nothing was sent")
    click.echo(show(), err=True)
    if not click.confirm(question, err=True):
        raise Fatal("nothing was sent", code=Exit.INTERRUPTED)


def _journal() -> Journal:
    try:
        return Journal(knowledge.state_dir(), now)
    except JournalError as error:
        raise Fatal(
            str(error),
            "nothing was sent; set ATPROBE_STATE_DIR to a folder that can be written, or mend this one",
        ) from error


def _changes() -> list[Change]:
    if not (knowledge.state_dir() / lockdown.JOURNAL).exists():
        return []
    try:
        with Journal(knowledge.state_dir(), now, readonly=True) as journal:
            return journal.changes()
    except JournalError as error:
        raise Fatal(str(error)) from error


def _tools(
    journal: Journal, profiles: Knowledge, ports: Sequence[str], *, line: Line, wait: float, quiet: bool
) -> Tools:
    def tell(change: Change) -> None:
        if not quiet:
            say(progress(change))

    look = _known(profiles, ports)
    return Tools(profiles, journal, look, line.timeout, line.baud, line.inhibit, stop, tell, wait)


def _finish(run: Callable[[], Run], output: Output) -> Exit:
    """Run, show what became of it, and say it in an exit code."""
    try:
        with patience():
            result = run()
    except JournalError as error:
        raise Fatal(
            str(error), "a change may have been begun; 'atprobe lockdown resume' finds out", code=Exit.NOT_KNOWN
        ) from error
    _show(result.changes, output)
    for problem in result.problems:
        say(sentence(problem))
    return verdict(result)


def verdict(result: Run) -> Exit:
    """How a run went that wrote."""
    not_sent = any(change.stage is Stage.NOT_SENT for change in result.changes)
    unknown = any(change.stage.is_open for change in result.changes)
    return exit_code(
        {
            Exit.NOT_KNOWN: unknown,
            Exit.PUT_BACK: bool(result.failed) and not result.back,
            # What became of a module says more than that somebody had enough.
            Exit.INTERRUPTED: not_sent and stop.is_set() and not unknown and not result.failed,
            Exit.INCOMPLETE: bool(result.problems or result.moved or not_sent or (result.back and result.failed)),
        }
    )


def _show(changes: Sequence[Change], output: Output) -> None:
    if output.format is Format.JSON:
        write(dumps(changes_object(changes), indent=2) + "\n", None)
    else:
        write(changes_table(changes, view(output)), None)
