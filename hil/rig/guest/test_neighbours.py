"""Others who use the ports: ModemManager beside us, programs that have a port open, and those that have locked one."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from hil.rig.control import wait
from hil.rig.devices import DEVICES
from hil.rig.guest.conftest import ModemManager, Rig, Run

NAME = "ec25-ecm"
LOCKS = Path("/run/lock")


def log(modem_manager: ModemManager, event: str) -> int:
    """How often ModemManager has said of a device that its inhibition was "setup" or "teardown"."""
    return modem_manager.log.read_text(errors="replace").count(f"device inhibition {event} for uid")


def found(run: Run) -> list[str]:
    return [module["identity"]["model"] for module in run.json["modules"]]


def busy(run: Run) -> str:
    """What the only problem of a run says, which found nothing since its port is another's."""
    (problem,) = run.json["problems"]
    assert (run.code, run.json["modules"], problem["kind"]) == (3, [], "busy"), run.err
    return str(problem["message"])


def test_it_takes_the_emulated_modem_for_a_real_one(rig: Rig, modem_manager: ModemManager) -> None:
    rig.plug(NAME)

    assert modem_manager.find(rig.device(NAME)) == "disabled"
    assert modem_manager.holds(rig.tty(NAME))


def test_without_leave_to_ask_it_nothing_is_done(rig: Rig, modem_manager: ModemManager) -> None:
    rig.plug(NAME)
    modem_manager.find(rig.device(NAME))
    rig.bench.clear()

    run = rig.atprobe("probe", "--no-inhibit", "--format", "json")

    assert "ModemManager" in busy(run)
    assert log(modem_manager, "setup") == 0
    assert rig.touched(NAME) == {}
    assert modem_manager.holds(rig.tty(NAME))


def test_it_stands_aside_for_a_probe_and_comes_back(rig: Rig, modem_manager: ModemManager) -> None:
    rig.plug(NAME)
    device, tty = rig.device(NAME), rig.tty(NAME)
    modem_manager.find(device)
    rig.bench.clear()
    before = log(modem_manager, "setup")

    seen = []
    with rig.running("probe", "--format", "json") as process:
        while process.poll() is None:
            if log(modem_manager, "setup") > log(modem_manager, "teardown"):
                seen.append((modem_manager.modems(), modem_manager.holds(tty)))
        run = Run(process.returncode, *process.communicate())

    assert (run.code, run.json["problems"], found(run)) == (0, [], [DEVICES[NAME].model]), run.err
    assert ({}, False) in seen
    assert modem_manager.find(device) == "disabled"
    assert log(modem_manager, "setup") == log(modem_manager, "teardown") == before + 1


def test_it_comes_back_where_we_are_killed(rig: Rig, modem_manager: ModemManager) -> None:
    """The end of our connection to the bus is enough. What signals do is tested without the rig."""
    rig.plug(NAME)
    device, lock = rig.device(NAME), LOCKS / f"LCK..{os.path.basename(rig.tty(NAME))}"
    modem_manager.find(device)
    before = log(modem_manager, "setup")

    with rig.running("probe", "--format", "json") as process:
        wait(lambda: log(modem_manager, "setup") > before, what="the inhibition", every=0.02)
        rig.bench.mute(NAME, 2)
        wait(lock.exists, 20, "atprobe to open the port", every=0.02)
        assert log(modem_manager, "teardown") == before
        process.kill()
        code = process.wait(20)
    rig.bench.mute(NAME, 2, on=False)

    assert code == -signal.SIGKILL
    wait(lambda: log(modem_manager, "teardown") == before + 1, what="the end of the inhibition")
    assert modem_manager.find(device) == "disabled"
    lock.unlink()  # nobody was left to do that
