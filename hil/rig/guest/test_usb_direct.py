"""A modem to which no driver binds: what is said of it, and the two ways to it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from atprobe import discover, knowledge
from hil.rig import bus
from hil.rig.control import wait
from hil.rig.devices import DEVICES
from hil.rig.guest.conftest import Rig

NAME = "unbound"
SPEC = DEVICES[NAME]


def number(rig: Rig) -> str:
    """Of the device on its bus: a new one each time that it is plugged in, or reset and found to be another."""
    return (rig.device(NAME) / "devnum").read_text()


def hint(problem: dict[str, Any]) -> str:
    """The command that the hint of a problem ends with."""
    found = re.search(r"modprobe option; echo 2c7c 0904 > \S+/new_id", problem["hint"])
    assert found is not None, problem
    return found.group()


@pytest.fixture
def forgotten(rig: Rig) -> Iterator[None]:
    """What a driver was told of the device is forgotten at the end: these have no remove_id, so it is loaded anew."""
    yield
    rig.plug()
    subprocess.run(["modprobe", "-r", "option"], check=True)
    subprocess.run(["modprobe", "option"], check=True)


def test_over_libusb_it_is_identified_as_often_as_wanted(rig: Rig) -> None:
    rig.plug(NAME)
    device, before = rig.bench.plugged()[NAME], number(rig)

    for _ in range(2):
        rig.bench.clear()
        run = rig.atprobe("probe", "--usb-direct", "--usb", "2c7c:0904", "--format", "json")

        assert (run.code, run.json["problems"]) == (0, []), run.err
        (module,) = run.json["modules"]
        assert (module["identity"]["maker"], module["identity"]["model"]) == (SPEC.maker, SPEC.model)
        assert [port["path"] for port in module["device"]["ports"] if port["probed"]] == [f"usb://{device}/{SPEC.at}"]
        assert {what.split()[0] for what in rig.touched(NAME)} == {str(SPEC.at)}
        assert {bound.driver for bound in rig.interfaces(NAME).values()} == {None}
        assert number(rig) == before


def test_the_hint_makes_it_an_ordinary_modem(rig: Rig, forgotten: None) -> None:
    rig.plug(NAME)

    refused = rig.atprobe("probe", "--format", "json")
    assert (refused.code, refused.json["modules"]) == (3, [])
    (problem,) = refused.json["problems"]
    assert (problem["port"], problem["kind"]) == (f"usb {rig.bench.plugged()[NAME]}", "no-driver")
    assert "--usb-direct" in problem["hint"]
    assert rig.touched(NAME) == {}

    subprocess.run(["sh", "-c", hint(problem)], check=True)
    wait(lambda: len(bus.ttys()) == len(SPEC.layout.interfaces), what="its ttys")
    subprocess.run(["udevadm", "settle"], check=True)
    rig.bench.clear()

    # A port whose role no table knows is asked only where that is said, which is what the next hint says.
    known = knowledge.load()
    (problem,) = filter(None, (discover.obstacle(device, known) for device in discover.scan(known).devices))
    assert problem.kind == "no-at-port"
    assert problem.hint is not None
    assert "--all --usb 2c7c:0904" in problem.hint

    run = rig.atprobe("probe", "--all", "--usb", "2c7c:0904", "--format", "json")

    assert (run.code, run.json["problems"]) == (0, []), run.err
    assert [module["identity"]["model"] for module in run.json["modules"]] == [SPEC.model]
    (port,) = (port for port in run.json["modules"][0]["device"]["ports"] if port["probed"])
    assert (port["path"], port["driver"]) == (rig.tty(NAME), "option")
