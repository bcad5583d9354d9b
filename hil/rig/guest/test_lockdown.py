"""Settings of modems on a real bus: switched off, put back, and kept or lost over a restart that takes them off it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen

import pytest

from hil.rig import bus
from hil.rig.control import wait
from hil.rig.devices import DECOYS
from hil.rig.guest.conftest import ModemManager, Rig, Run
from hil.rig.usbip import ports

TELIT, QUECTEL = "he910", "ec25-ecm"
AUTOSEL, REGISTER = 'AT+QMBNCFG="AutoSel",0', "AT+QIOTREG=0"
RESTART = "AT+CFUN=1,1"
# Both can cut a service of the product; the second needs a restart.
INCLUDED = ("--include", "qiotreg", "--include", "qmbncfg-autosel")


class Lockdown:
    """The commands of lockdown, with a plan and a journal of their own."""

    def __init__(self, rig: Rig, folder: Path) -> None:
        self.rig, self._file = rig, str(folder / "plan.json")

    def plan(self, *arguments: str) -> list[str]:
        """Make a plan; returns its commands."""
        Path(self._file).unlink(missing_ok=True)
        run = self.run("plan", "--output", self._file, *arguments)
        assert run.code == 0, run.err
        return [step["command"] for module in run.json["modules"] for step in module["steps"]]

    def apply(self, *arguments: str) -> Run:
        return self.run("apply", self._file, "--yes", *arguments)

    @contextmanager
    def applying(self, *arguments: str) -> Iterator[Popen[str]]:
        with self.rig.running("lockdown", "apply", self._file, "--yes", "--format", "json", *arguments) as process:
            yield process

    def run(self, *arguments: str) -> Run:
        return self.rig.atprobe("lockdown", *arguments, "--format", "json", seconds=120)


def states(run: Run) -> dict[str, str]:
    return {change["command"]: change["state"] for change in run.json["changes"]}


def settings(rig: Rig, name: str) -> dict[str, list[str]]:
    """What a device would answer now, by query: asked of the bench, and not of atprobe."""
    return dict(rig.bench.status()[name]["settings"])


def writes(rig: Rig, name: str) -> list[str]:
    """The command lines that did more than read, in order."""
    return list(rig.bench.status()[name]["writes"])


def number(rig: Rig, name: str) -> str:
    """The number that the kernel gave a device when it came."""
    return (rig.device(name) / "devnum").read_text()


@pytest.fixture
def lockdown(rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lockdown:
    """Nothing is plugged in, so that what is has its settings as they came from the maker."""
    monkeypatch.setenv("ATPROBE_STATE_DIR", str(tmp_path / "state"))
    rig.plug()
    return Lockdown(rig, tmp_path)


def test_settings_are_switched_off_and_put_back_and_nothing_else_is_touched(rig: Rig, lockdown: Lockdown) -> None:
    rig.plug(TELIT, *DECOYS)
    was = settings(rig, TELIT)

    off = lockdown.plan()
    assert off == ["AT#SMSATRUN=0", "AT#TCPATRUNL=0", "AT#TCPATRUND=0"]
    assert writes(rig, TELIT) == []

    applied = lockdown.apply()
    assert (applied.code, states(applied)) == (0, dict.fromkeys(off, "done")), applied.err
    assert writes(rig, TELIT) == off
    assert settings(rig, TELIT)["AT#SMSATRUN?"] == ["#SMSATRUN: 0"]

    status = lockdown.run("status")
    assert (status.code, states(status)) == (0, dict.fromkeys(off, "done")), status.err

    restored = lockdown.run("restore", "--yes")
    assert (restored.code, states(restored)) == (0, dict.fromkeys(off, "undone")), restored.err
    assert writes(rig, TELIT) == [*off, "AT#TCPATRUND=1", "AT#TCPATRUNL=1", "AT#SMSATRUN=1"]
    assert settings(rig, TELIT) == was
    assert {what.split()[0] for what in rig.touched(TELIT)} == {"0"}
    assert {name: rig.touched(name) for name in DECOYS} == {name: {} for name in DECOYS}


def test_a_modem_that_restarts_is_found_again_under_another_name(rig: Rig, lockdown: Lockdown) -> None:
    rig.plug(QUECTEL, TELIT, *DECOYS)
    before, other, tty = number(rig, QUECTEL), number(rig, TELIT), rig.tty(QUECTEL)
    off = lockdown.plan(*INCLUDED)
    assert {REGISTER, AUTOSEL} < set(off)

    # A name that somebody has open is not given again, so that all names move by one.
    with open(rig.tty(QUECTEL, 0), "rb", buffering=0):
        applied = lockdown.apply("--reboot")
        bus.settled(rig.bench, [QUECTEL])

        assert (applied.code, states(applied)) == (0, dict.fromkeys(off, "done")), applied.err
        assert rig.tty(QUECTEL) != tty
    details = {change["command"]: change["detail"] for change in applied.json["changes"]}
    assert details[AUTOSEL] == "read again after the restart"
    assert number(rig, QUECTEL) != before
    assert settings(rig, QUECTEL)['AT+QMBNCFG="AutoSel"'] == ['+QMBNCFG: "AutoSel",0']
    assert writes(rig, QUECTEL) == [REGISTER, AUTOSEL, RESTART]
    assert number(rig, TELIT) == other
    assert writes(rig, TELIT) == [line for line in off if line not in (REGISTER, AUTOSEL)]
    assert {name: rig.touched(name) for name in DECOYS} == {name: {} for name in DECOYS}


def test_a_setting_that_a_restart_loses_is_said_to_be_lost(rig: Rig, lockdown: Lockdown) -> None:
    rig.plug(QUECTEL)
    rig.bench.forget(QUECTEL, "qmbncfg-autosel")
    lockdown.plan(*INCLUDED)

    applied = lockdown.apply("--reboot")

    assert (applied.code, states(applied)) == (5, {REGISTER: "done", AUTOSEL: "reverted"}), applied.err


def test_a_plug_that_is_pulled_in_the_middle_leaves_a_change_that_resume_ends(rig: Rig, lockdown: Lockdown) -> None:
    rig.plug(QUECTEL, *DECOYS)
    lockdown.plan(*INCLUDED)
    rig.bench.unplug_at(QUECTEL, 2, REGISTER)

    applied = lockdown.apply("--wait", "5")
    assert (applied.code, states(applied)) == (6, {REGISTER: "unknown", AUTOSEL: "not-sent"}), applied.err
    assert "Traceback" not in applied.err
    assert lockdown.run("status").code == 6

    replug_elsewhere(rig, QUECTEL)
    resumed = lockdown.run("resume", "--yes")

    assert (resumed.code, states(resumed)) == (0, {REGISTER: "done"}), resumed.err
    assert writes(rig, QUECTEL) == [REGISTER], "it was carried out, so that it need not be sent again"
    assert {name: rig.touched(name) for name in DECOYS} == {name: {} for name in DECOYS}


def test_a_plug_that_is_pulled_and_put_elsewhere_at_once_is_waited_for(rig: Rig, lockdown: Lockdown) -> None:
    rig.plug(QUECTEL)
    lockdown.plan(*INCLUDED)
    rig.bench.unplug_at(QUECTEL, 2, REGISTER)

    with lockdown.applying() as process:
        wait(lambda: rig.bench.status()[QUECTEL]["port"] is None, what="the plug to be pulled")
        replug_elsewhere(rig, QUECTEL)
        out, err = process.communicate(timeout=60)
    run = Run(process.returncode, out, err)

    assert (run.code, states(run)) == (0, {REGISTER: "done", AUTOSEL: "done"}), run.err
    assert writes(rig, QUECTEL) == [REGISTER, AUTOSEL]


def replug_elsewhere(rig: Rig, name: str) -> None:
    """Plug a device that was pulled into the last free port there is, and do not wait for its drivers."""
    rig.gone(name)
    rig.bench.attach(name, [row.port for row in ports() if row.free][-1], again=True)


def test_modem_manager_stands_aside_over_the_restart_and_comes_back(
    rig: Rig, lockdown: Lockdown, modem_manager: ModemManager
) -> None:
    def said(event: str) -> int:
        return modem_manager.log.read_text(errors="replace").count(f"device inhibition {event} for uid")

    rig.plug(QUECTEL)
    device, before = rig.device(QUECTEL), number(rig, QUECTEL)
    modem_manager.find(device)
    lockdown.plan(*INCLUDED)
    modem_manager.find(device)
    rig.bench.clear()

    seen = []
    with lockdown.applying("--reboot") as process:
        while process.poll() is None:
            inhibited = said("setup") > said("teardown")
            seen.append((device.exists(), inhibited, bool(modem_manager.modems())))
        run = Run(process.returncode, *process.communicate())

    assert (run.code, states(run)) == (0, {REGISTER: "done", AUTOSEL: "done"}), run.err
    assert {each for each in seen if not each[0]} == {(False, True, False)}, "off the bus, and not to be looked at"
    back = max(place for place, each in enumerate(seen) if not each[0])
    assert (True, True, False) in seen[back:], "there again, and still not to be looked at"
    assert number(rig, QUECTEL) != before
    assert writes(rig, QUECTEL).count(RESTART) == 1
    assert modem_manager.find(device) == "disabled"
    assert said("setup") == said("teardown")
