"""A lockdown run in a process of its own, which can be killed: `child DO LINKS STATE KILL_AT`.

DO is `apply` or `restore`. At the stage KILL_AT (`journal`: before anything is written down) it kills itself with
SIGKILL; at `wait` it goes on and waits long for answers, so that somebody else can kill it.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

from atprobe.fingerprint import Target, probe
from atprobe.knowledge import load
from atprobe.lockdown import Journal, Tools, apply, make_plan, restore
from atprobe.model import Change, Device, Port
from atprobe.report import now
from tests.lockdown.bench import TWO, made_up


def main(do: str, links: str, state: str, kill_at: str) -> None:
    """See above."""
    knowledge = made_up(load(), TWO)

    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def targets() -> list[Target]:
        paths = [str(path) for path in Path(links).iterdir() if path.exists()]
        return [Target(Device("uart", (Port(path),)), (path,)) for path in paths]

    def tell(change: Change) -> None:
        if str(change.stage) == kill_at:
            die()

    modules = probe(targets(), knowledge, timeout=0.5).modules
    if kill_at == "journal":
        die()
    with Journal(Path(state), now) as journal:
        tools = Tools(
            knowledge,
            journal,
            targets,
            0.5,
            115200,
            True,
            threading.Event(),
            tell,
            back_seconds=0.5,
            write_seconds=30.0,
        )
        if do == "apply":
            apply(make_plan(modules, (), knowledge, now()), modules, tools)
        else:
            restore(journal.changes(), modules, tools)


if __name__ == "__main__":
    main(*sys.argv[1:])
