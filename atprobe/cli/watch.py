"""`atprobe watch`: modules as they come and go."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import click

from atprobe import discover, fingerprint, report
from atprobe.cli import _probing
from atprobe.cli._exit import Exit, say
from atprobe.cli._interrupt import patience, stop
from atprobe.cli._options import Line, Output, Selectors, line_options, selector_options, surface_option
from atprobe.cli._output import view, write
from atprobe.discover import Choice
from atprobe.fingerprint import Outcome, Target
from atprobe.model import Device, Event, EventKind
from atprobe.report import Format, table
from atprobe.report.document import dumps, event_object

EPILOG = """\b
Examples:
  atprobe watch
  atprobe watch --count 1                          wait for one module, say who it is, and end
  atprobe watch --format jsonl | jq -r 'select(.event == "identified") | .module.identity.imei'
  atprobe watch --usb 2c7c:0125 --exec 'logger "$ATPROBE_EVENT $ATPROBE_MODEL at $ATPROBE_PORT"'

\b
What --exec runs gets the event on stdin as one line of JSON, and in its environment:
  ATPROBE_EVENT (added, identified, failed, removed), ATPROBE_PORT, ATPROBE_PATH (such as 1-1.2),
  ATPROBE_MAKER, ATPROBE_BRAND, ATPROBE_MODEL, ATPROBE_FIRMWARE, ATPROBE_IMEI; empty where not known
"""


@click.command("watch", epilog=EPILOG)
@selector_options
@line_options
@surface_option
@click.option(
    "--format",
    "format_",
    type=click.Choice([Format.TABLE.value, Format.JSONL.value]),
    default=Format.TABLE.value,
    show_default=True,
    help="table for people; jsonl, a line an event, for scripts.",
)
@click.option("--exec", "hook", metavar="CMD", help="Run this for every event, one after the other.")
@click.option("--count", type=click.IntRange(1), metavar="N", help="End after N modules were identified.")
@click.option("-v", "--verbose", is_flag=True, help="Show what was plugged in before it is identified.")
def command(
    *, selectors: Selectors, line: Line, format_: str, hook: str | None, count: int | None, verbose: bool
) -> int:
    """Say who each module is, now and as it is plugged in or out, until interrupted.

    Modules are chosen and asked as `probe` does. One that does not answer yet is asked again for half a minute.
    """
    profiles = _probing.load()
    output = Output(Format(format_), None, verbose, False)

    def choose(device: Device) -> Choice | None:
        wanted = discover.select(
            [device],
            ports=selectors.ports,
            usb=selectors.usb,
            everything=selectors.everything,
            usb_direct=selectors.usb_direct,
        )
        return next((choice for choice in wanted if choice.device is device), None)

    def ask(target: Target, gone: threading.Event) -> Outcome:
        return fingerprint.probe(
            [target],
            profiles,
            timeout=line.timeout,
            baud=line.baud,
            inhibit=line.inhibit,
            surfaces=line.surfaces,
            stop=gone,
        )

    identified = 0
    with patience(), _hook(hook) as run:
        for event in fingerprint.watch(profiles, choose, ask, stop):
            time = report.now()
            document = dumps(event_object(event, time)) + "\n"
            text = document if output.format is Format.JSONL else table.event_line(event, time, view(output))
            wanted = write(text, None)
            run(event, document)
            identified += event.kind is EventKind.IDENTIFIED
            if not wanted or (count is not None and identified >= count):
                return Exit.OK
    say("stopped")
    return Exit.INTERRUPTED


class _Run:
    """Runs the user's command for one event after the other, beside the watching."""

    def __init__(self, command: str | None) -> None:
        self._command = command
        self.pool = ThreadPoolExecutor(1, thread_name_prefix="exec")

    def __call__(self, event: Event, document: str) -> None:
        if self._command is not None:
            self.pool.submit(self._one, self._command, event, document).add_done_callback(_report)

    @staticmethod
    def _one(command: str, event: Event, document: str) -> None:
        # Whatever a module says goes into the environment, never into the command line that the shell reads.
        done = subprocess.run(command, shell=True, input=document, text=True, env=_environment(event), check=False)
        if done.returncode:
            say(f"--exec: the command ended with {done.returncode} for {event.kind}")


def _report(done: Future[None]) -> None:
    if (error := done.exception()) is not None:
        say(f"--exec: {error}")


@contextmanager
def _hook(command: str | None) -> Iterator[_Run]:
    run = _Run(command)
    try:
        yield run
    finally:
        run.pool.shutdown(wait=True)


def _environment(event: Event) -> dict[str, str]:
    identity = event.module.identity if event.module is not None else None
    device = event.module.device if event.module is not None else event.device
    port = next((port.path for port in device.ports if port.probed), "") or next(
        (port.path for port in device.ports if port.role.is_control), ""
    )
    values = {
        "EVENT": str(event.kind),
        "PORT": port,
        "PATH": device.usb.path if device.usb else None,
        **{name.upper(): getattr(identity, name, None) for name in ("maker", "brand", "model", "firmware", "imei")},
    }
    return {**os.environ, **{f"ATPROBE_{name}": _plain(value or "") for name, value in values.items()}}


def _plain(value: str) -> str:
    """What the environment can hold: no NUL, and nothing that has no encoding."""
    return value.replace("\0", "").encode("utf-8", "backslashreplace").decode("utf-8")
