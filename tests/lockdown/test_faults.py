"""The fault table: every fault at every moment of a run.

Each cell asserts the same three things. What is said of a setting is true, or it is said that nobody knows (exit 6).
`resume` brings every change to an end that is true. And the two settings of the surface end up alike: never half.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from atprobe.cli._exit import Exit
from atprobe.cli.lockdown import verdict
from atprobe.emulator import Fault, Trouble
from atprobe.knowledge import Knowledge
from atprobe.lockdown import Run, apply, restore, resume
from atprobe.model import Change, Stage
from tests.lockdown.bench import ONE, TWO, Bench, bench

BEFORE, AFTER = ("+XTWO: a,4", "+XTWO: b,5"), ("+XTWO: a,0", "+XTWO: b,0")
MOMENTS = ("before the journal", "before sending", "before the reply", "before reading back", "during restore")
STAGE_OF = {
    "before sending": Stage.SENDING,
    "before reading back": Stage.ANSWERED,
    "during restore": Stage.UNDOING,
}
HAS_OLD_VALUE = {Stage.NOT_SENT, Stage.UNCHANGED, Stage.UNDONE, Stage.REVERTED}


def is_true(it: Bench, changes: Sequence[Change]) -> bool:
    """Whether what is said of every change is what the module has; nothing is said of an open one."""
    lines = it.reads("AT+XTWO?") or ()
    return all(
        change.stage.is_open or lines[number] == (BEFORE if change.stage in HAS_OLD_VALUE else AFTER)[number]
        for number, change in enumerate(changes)
    )


def check(it: Bench, result: Run) -> None:
    """What a run says is true, or it says that it does not know."""
    code = verdict(result)
    assert is_true(it, result.changes), [(change.stage, change.detail) for change in result.changes]
    assert (code is Exit.NOT_KNOWN) == any(change.stage.is_open for change in result.changes)
    if not result.back:
        assert (code is Exit.OK) == all(change.stage is Stage.DONE for change in result.changes)


def converge(it: Bench, *, undo: bool = False) -> None:
    """With the fault gone, resume ends every change in truth, and the surface as a whole."""
    with it.journal() as journal:
        if any(change.stage.is_open for change in journal.changes()):
            result = resume(journal.changes(), it.probe(), it.tools(journal), undo=undo)
            assert not any(change.stage.is_open for change in result.changes), [c.detail for c in result.changes]
        assert is_true(it, journal.changes())
        assert it.reads("AT+XTWO?") in (BEFORE, AFTER)


@contextmanager
def thief(it: Bench) -> Iterator[None]:
    """Another process of the same user reads the port, and takes answers away."""
    code = (
        "import os, select, sys\n"
        "port = os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)\n"
        "print('in', flush=True)\n"
        "while True:\n"
        "    select.select([port], [], [])\n"
        "    try:\n"
        "        os.read(port, 64)\n"
        "    except BlockingIOError:\n"
        "        pass\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, it.emulator.ports[0]], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdout is not None
    process.stdout.readline()  # empty where it may not open the port: then our claim holds
    try:
        yield
    finally:
        process.kill()
        process.communicate()


class _Fault:
    """One fault: how it begins, before the reply in particular, and how it ends."""

    def __init__(self, it: Bench) -> None:
        self.it = it
        self.end: Callable[[], object] = self._heal

    def begin(self, name: str) -> None:
        it = self.it
        if name == "port lost":
            it.emulator.pull(0)
        elif name == "module restarts":
            it.emulator.pull(0)
            threading.Timer(0.15, it.emulator.replug, (0,)).start()
        elif name == "other process":
            opened = thief(it)
            opened.__enter__()
            self.end = lambda: opened.__exit__(None, None, None)
        else:
            it.memory.troubles = {
                "says OK and changes nothing": {Trouble.IGNORE},
                "ERROR": {Trouble.REFUSE},
                "no answer": {Trouble.DEAD},
                "URC storm": {Trouble.FLOOD},
            }[name]

    def begin_with_the_write(self, name: str) -> None:
        """As `begin`, at the moment at which the module has the command and has not answered."""
        special = {
            "port lost": Trouble.DROP,
            "module restarts": Trouble.REBOOT,
            "no answer": Trouble.MUTE,
        }
        if name in special:
            self.it.memory.troubles = {special[name]}
        else:
            self.begin(name)

    def _heal(self) -> None:
        self.it.memory.troubles = set()
        if not Path(self.it.emulator.ports[0]).exists() or not self.it.targets():
            self.it.emulator.replug(0)


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize(
    "fault",
    [
        "port lost",
        "module restarts",
        "says OK and changes nothing",
        "ERROR",
        "no answer",
        "URC storm",
        "other process",
    ],
)
def test_what_the_module_or_the_port_does(knowledge: Knowledge, tmp_path: Path, fault: str, moment: str) -> None:
    storm = frozenset({Fault.URC_STORM}) if fault == "URC storm" else frozenset()
    with bench(knowledge, tmp_path, TWO, faults=storm) as it:
        trouble = _Fault(it)
        with it.journal() as journal:
            plan, modules = it.plan(), it.probe()
            if moment == "during restore":
                assert verdict(apply(plan, modules, it.tools(journal))) is Exit.OK
            if moment == "before the journal":
                trouble.begin(fault)
            elif moment == "before the reply":
                trouble.begin_with_the_write(fault)
            else:

                def tell(change: Change) -> None:
                    if change.stage is STAGE_OF[moment]:
                        it.on_stage = lambda change: None
                        trouble.begin(fault)

                it.on_stage = tell
            if moment == "during restore":
                result = restore(journal.changes(), it.probe(), it.tools(journal))
            else:
                result = apply(plan, modules, it.tools(journal))
            if fault == "module restarts":
                wait_for(lambda: bool(it.targets()))
            check(it, result)
        trouble.end()
        wait_for(lambda: bool(it.probe()))
        converge(it)


@pytest.mark.parametrize("undo", [False, True], ids=["finish", "undo"])
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("fault", ["SIGKILL", "power cut"])
def test_what_befalls_this_machine(knowledge: Knowledge, tmp_path: Path, fault: str, moment: str, undo: bool) -> None:
    with bench(knowledge, tmp_path, TWO) as it:
        if moment == "during restore":
            with it.journal() as journal:
                assert verdict(apply(it.plan(), it.probe(), it.tools(journal))) is Exit.OK
        stage = {"before the journal": "journal", "before the reply": "wait"}.get(moment, "")
        stage = stage or str(STAGE_OF[moment])
        it.memory.writes.clear()
        if moment == "before the reply":
            it.memory.troubles = {Trouble.MUTE}
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.lockdown.child",
                "restore" if moment == "during restore" else "apply",
                str(tmp_path / "links"),
                str(it.state),
                stage,
            ],
            cwd=Path(__file__).parents[2],
        )
        if moment == "before the reply":
            wait_for(lambda: bool(it.memory.writes))
            process.send_signal(signal.SIGKILL)
        assert process.wait(30) == -signal.SIGKILL
        it.memory.troubles = set()
        it.unclaim()
        if fault == "power cut":  # the module loses power with the machine
            it.emulator.pull(0)
            it.emulator.replug(0)
        with it.journal() as journal:
            changes = journal.changes()
            assert is_true(it, changes)
            assert bool(changes) == (moment != "before the journal")
            assert all(change.stage.is_open for change in changes[:1]) or moment == "during restore"
        converge(it, undo=undo)
        if moment != "before the journal":
            back = undo or moment == "during restore"
            assert it.reads("AT+XTWO?") == (BEFORE if back else AFTER)


def test_a_command_that_never_arrived_and_one_that_did_look_alike_until_asked(
    knowledge: Knowledge, tmp_path: Path
) -> None:
    for number, trouble in enumerate((Trouble.SWALLOW, Trouble.MUTE)):
        with bench(knowledge, tmp_path / str(number), TWO) as it, it.journal() as journal:
            plan, modules = it.plan(), it.probe()
            it.memory.troubles = {trouble}
            it.on_stage = lambda change: None
            result = apply(plan, modules, it.tools(journal))
            check(it, result)
            assert result.changes[0].stage is (Stage.UNCHANGED if trouble is Trouble.SWALLOW else Stage.DONE)


def test_what_was_read_back_is_read_again_where_the_module_restarted_later(
    knowledge: Knowledge, tmp_path: Path
) -> None:
    with bench(knowledge, tmp_path, ONE, TWO) as it, it.journal() as journal:
        plan, modules = it.plan(), it.probe()
        it.memory.forgetful = {"one"}
        it.memory.after, it.memory.troubles = 1, {Trouble.REBOOT}
        result = apply(plan, modules, it.tools(journal, back_seconds=3.0))
        assert [change.stage for change in result.changes] == [Stage.REVERTED, Stage.DONE, Stage.DONE]
        assert verdict(result) is Exit.PUT_BACK
        assert (it.reads("AT+XONE?"), it.reads("AT+XTWO?")) == (("+XONE: 3",), AFTER)


def wait_for(ready: Callable[[], bool], seconds: float = 5.0) -> None:
    """Until it is so; fails after a while."""
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_the_thief_takes_what_is_sent(knowledge: Knowledge, tmp_path: Path) -> None:
    """Else the cells above would prove nothing."""
    if os.geteuid() != 0:
        pytest.skip("only root may open a port that another process has claimed (TIOCEXCL)")
    with bench(knowledge, tmp_path, TWO) as it, it.journal() as journal:
        plan, modules = it.plan(), it.probe()
        with thief(it):
            results = [apply(plan, modules, it.tools(journal)) for _ in range(3)]
        assert any(verdict(result) is not Exit.OK for result in results)
