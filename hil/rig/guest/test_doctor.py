"""What `atprobe doctor` says of modems that cannot be probed, and what a probe then says of them."""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from atprobe import discover, doctor, knowledge
from atprobe.report import Format
from atprobe.report.doctor import render
from hil.rig.control import wait
from hil.rig.devices import DECOYS, DEVICES
from hil.rig.guest.conftest import Rig, Run

DOCTOR = ("doctor", "--format", "json")


def complaints(rig: Rig, run: Run) -> dict[str, list[tuple[str, str]]]:
    """Of each device that is mentioned: kind and gravity of what is complained of."""
    names = {path: name for name, path in rig.bench.plugged().items()}
    return {
        names[device["place"].removeprefix("usb ")]: [(each["kind"], each["gravity"]) for each in device["complaints"]]
        for device in run.json["devices"]
    }


def whole(run: Run) -> list[dict[str, Any]]:
    return [each for device in run.json["devices"] for each in device["complaints"]]


@contextmanager
def another(*ttys: str) -> Iterator[int]:
    """A program that has these ports open, without a lock or a claim; its process id."""
    files = [open(tty, "rb", buffering=0) for tty in ttys]  # noqa: SIM115
    numbers = tuple(file.fileno() for file in files)
    with subprocess.Popen(["sleep", "300"], pass_fds=numbers) as process:
        for file in files:
            file.close()
        try:
            yield process.pid
        finally:
            process.kill()


def test_what_stops_a_probe(rig: Rig) -> None:
    """All at once: a held modem, a locked one, one asleep, one without a driver, and two devices that are no modems."""
    rig.plug("ec25", "rm520n", "em7455", "unbound", *DECOYS)
    held, locked = ([rig.tty(name, number) for number in (2, 3)] for name in ("ec25", "rm520n"))
    power = rig.device("em7455") / "power"
    (power / "control").write_text("auto")
    wait(lambda: (power / "runtime_status").read_text() == "suspended\n", what="it to fall asleep")
    locks = [Path("/run/lock", f"LCK..{Path(tty).name}") for tty in locked]
    with another(*held) as holder, another() as locker:
        for lock in locks:
            lock.write_text(f"{locker:10d}\n")
        rig.bench.clear()

        run = rig.atprobe(*DOCTOR)

        assert run.code == 1, run.err
        assert complaints(rig, run) == {
            "ec25": [("held", "stops")],
            "rm520n": [("locked", "stops")] * 2,
            "em7455": [("autosuspend", "may-stop")],
            "unbound": [("no-driver", "stops")],
        }
        fixes = [each["fix"] for each in whole(run)]
        assert fixes[:3] == [f"kill {holder}", f"kill {locker}", f"kill {locker}"]
        assert (power / "runtime_status").read_text() == "suspended\n"
        everybody = ("ec25", "rm520n", "em7455", "unbound", *DECOYS)
        assert {name: rig.touched(name) for name in everybody} == {name: {} for name in everybody}

        probe = rig.atprobe("probe", "--format", "json")

        assert probe.code == 3
        assert [module["identity"]["model"] for module in probe.json["modules"]] == [DEVICES["em7455"].model]
        problems = {problem["port"]: (problem["kind"], problem["message"]) for problem in probe.json["problems"]}
        assert {kind for kind, _ in problems.values()} == {"busy", "no-driver"}
        assert f"held by sleep (pid {holder})" in problems[held[0]][1]
        assert f"locked by sleep (pid {locker})" in problems[locked[0]][1]
        assert {name: rig.touched(name) for name in ("ec25", "rm520n")} == {"ec25": {}, "rm520n": {}}
        for lock in locks:
            lock.unlink()
    assert list(Path("/run/lock").glob("L*")) == []


def test_who_may_not_open_a_port_is_told_so(rig: Rig, tmp_path: Path) -> None:
    """In a process of this one's own kind: another user's could not read a Python in somebody's home."""
    rig.plug("ec25", *DECOYS)
    known = knowledge.load()
    assert doctor.examine(discover.scan(known), known).well, "root may do anything"

    with (tmp_path / "report").open("w+") as report:
        if not (child := os.fork()):
            code = 99
            try:
                os.setgroups(())
                os.setgid(pwd.getpwnam("nobody").pw_gid)
                os.setuid(pwd.getpwnam("nobody").pw_uid)
                checkup = doctor.examine(discover.scan(known), known)
                report.write(render(checkup, Format.JSON))
                report.flush()
                code = int(not checkup.well)
            finally:
                os._exit(code)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        report.seek(0)
        run = Run(code, report.read(), "")

    assert run.code == 1
    assert complaints(rig, run) == {"ec25": [("permission", "stops")]}
    assert whole(run)[0]["fix"] == "sudo usermod -aG dialout nobody"


def test_nothing_is_said_of_what_is_no_modem(rig: Rig) -> None:
    rig.plug(*DECOYS)
    known = knowledge.load()

    checkup = doctor.examine(discover.scan(known), known)

    assert checkup.patients == ()
    assert [complaint.kind for complaint in checkup.host] == ["nothing"]
    assert {name: rig.touched(name) for name in DECOYS} == {name: {} for name in DECOYS}
