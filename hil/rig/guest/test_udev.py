"""Our udev rules, carried out by udev itself as modems are plugged in."""

from __future__ import annotations

import grp
import os
import stat
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from atprobe import discover
from atprobe.discover import udev_rules
from atprobe.discover._rules import NAME
from atprobe.knowledge import Knowledge, Layout, load
from atprobe.model import Role
from hil.rig import bus
from hil.rig.control import wait
from hil.rig.devices import DECOYS, DEVICES
from hil.rig.guest.conftest import Rig

FOLDER = Path("/run/udev/rules.d")
LINKS = Path("/dev/atprobe")
Install = Callable[[Knowledge], None]


@pytest.fixture
def install(rig: Rig) -> Iterator[Install]:
    """Puts rules made from some knowledge in place. Everything is unplugged, so that udev sees all of it anew."""

    def put(knowledge: Knowledge) -> None:
        rig.plug()
        FOLDER.mkdir(parents=True, exist_ok=True)
        (FOLDER / NAME).write_text(udev_rules(knowledge))
        subprocess.run(["udevadm", "control", "--reload"], check=True)

    yield put
    rig.plug()
    (FOLDER / NAME).unlink()
    subprocess.run(["udevadm", "control", "--reload"], check=True)


def properties(path: str) -> dict[str, str]:
    """What udev keeps of a device node."""
    command = ["udevadm", "info", "--query=property", f"--name={path}"]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    return dict(line.split("=", 1) for line in run.stdout.splitlines() if "=" in line)


def links(device: str) -> dict[str, str]:
    """The names below /dev/atprobe of one device's ports, and where they lead."""
    return {each.name.removeprefix(f"{device}-"): os.readlink(each) for each in LINKS.glob(f"{device}-*")}


def node(device: str) -> str:
    """The node of a USB device as such."""
    numbers = [int((bus.DEVICES_DIR / device / name).read_text()) for name in ("busnum", "devnum")]
    return "/dev/bus/usb/{:03}/{:03}".format(*numbers)


def access(path: str) -> tuple[str, str]:
    status = os.stat(path)
    return grp.getgrgid(status.st_gid).gr_name, oct(stat.S_IMODE(status.st_mode))


def test_every_port_has_the_role_that_scan_gives_it(rig: Rig, install: Install) -> None:
    install(load())
    rig.plug(*DEVICES)

    seen = [port for device in discover.scan(load()).devices if device.modem for port in device.ports]
    seen = [port for port in seen if port.path.startswith("/dev/")]

    assert len(seen) > 20
    assert {p.path: properties(p.path).get("ATPROBE_ROLE") for p in seen} == {p.path: p.role for p in seen}


def test_names_and_permissions(rig: Rig, install: Install) -> None:
    install(load())
    rig.plug("ec25", "he910")
    ec25, he910 = (rig.bench.plugged()[name] for name in ("ec25", "he910"))

    ttys = {number: os.path.basename(bound.tty) for number, bound in rig.interfaces("ec25").items() if bound.tty}
    names = links(ec25)
    wdm = names.pop("qmi")
    assert names == {
        **{"diag": f"../{ttys[0]}", "gnss": f"../{ttys[1]}", "at": f"../{ttys[2]}", "at-secondary": f"../{ttys[3]}"},
        **{f"if{number:02x}": f"../{tty}" for number, tty in ttys.items()},
        "if04": wdm,
    }
    assert {"at", "at-secondary", "if00", "if0a"} <= links(he910).keys()
    at = rig.tty("ec25")
    assert access(at) == ("dialout", "0o660")
    assert access(node(ec25)) == ("dialout", "0o664")
    assert access(f"/dev/{os.path.basename(wdm)}") == ("root", "0o600")
    tags = properties(at)["CURRENT_TAGS"].strip(":").split(":")
    assert {"uaccess", "systemd"} <= set(tags)
    assert properties(at)["SYSTEMD_WANTS"] == "atprobe-watch.service"

    rig.unplug("ec25", "he910")
    wait(lambda: not LINKS.exists() or not list(LINKS.iterdir()), what="the names to go")


def test_decoys_get_nothing(rig: Rig, install: Install) -> None:
    rig.plug(*DECOYS)
    paths = [path for name in DECOYS for path in (rig.tty(name, 0), node(rig.bench.plugged()[name]))]
    before = {path: access(path) for path in paths}
    install(load())
    rig.plug(*DECOYS)

    for name in DECOYS:
        for path in (rig.tty(name, 0), node(rig.bench.plugged()[name])):
            found = properties(path)
            assert not any("ATPROBE" in key for key in found), found
            assert "uaccess" not in found.get("CURRENT_TAGS", "")
            assert "atprobe" not in found.get("DEVLINKS", "")
    assert {access(rig.tty(name, 0)) for name in DECOYS} <= set(before.values())
    assert not LINKS.exists() or not list(LINKS.iterdir())


def test_other_interfaces_are_looked_at(rig: Rig, install: Install) -> None:
    """A class that contradicts the numbers, and more than one AT port: what udev cannot see of one port alone."""
    known = load()
    layout = Layout(Role.AT, ("2c7c",), ("0125",), "ff/00/00")  # also that of interface 1, gnss by number
    known = replace(known, layouts=(layout, *known.layouts))
    install(known)
    rig.plug("ec25")

    roles = {n: properties(b.tty).get("ATPROBE_ROLE") for n, b in rig.interfaces("ec25").items() if b.tty}
    assert roles == {0: "unknown", 1: "at", 2: "at-secondary", 3: "at-secondary"}
    ttys = {number: os.path.basename(bound.tty) for number, bound in rig.interfaces("ec25").items() if bound.tty}
    assert links(rig.bench.plugged()["ec25"])["at-secondary"] == f"../{ttys[2]}", "the lower one has the name"


def test_what_modem_manager_says_is_heard(rig: Rig, install: Install, tmp_path: Path) -> None:
    """Its rules have to come before ours: here with tables that know nothing."""
    (tmp_path / "ports.csv").write_text("vid,pid,interface,role\n")
    (tmp_path / "modems.csv").write_text("vid,pid,driver\n")
    install(replace(load(), root=tmp_path))
    rig.plug("ec25")

    roles = {n: properties(b.tty).get("ATPROBE_ROLE") for n, b in rig.interfaces("ec25").items() if b.tty}
    assert roles == {0: "diag", 1: "gnss", 2: "at", 3: "at-secondary"}
