"""The kernel's own drivers bind to our devices as they would to real ones."""

from __future__ import annotations

import pytest
import serial

from hil.rig.bus import ttys
from hil.rig.devices import DEVICES
from hil.rig.guest.conftest import Rig


def test_every_interface_has_the_driver_it_has_in_the_field(rig: Rig) -> None:
    rig.plug(*DEVICES)

    for name, spec in DEVICES.items():
        drivers = {number: bound.driver for number, bound in rig.interfaces(name).items()}
        assert drivers == {interface.number: interface.driver for interface in spec.layout.interfaces}, name


def test_drivers_ask_for_nothing_that_a_device_does_not_know(rig: Rig) -> None:
    rig.plug(*DEVICES)

    assert {name: status["unanswered"] for name, status in rig.bench.status().items()} == {name: {} for name in DEVICES}


def test_plugging_and_unplugging_leaves_nothing_behind(rig: Rig) -> None:
    rig.plug()
    assert ttys() == set()

    for _ in range(3):
        rig.plug("ec25", "he910", "ftdi")
        assert len(ttys()) == 4 + 6 + 1
        rig.unplug("ec25", "he910", "ftdi")
        assert ttys() == set()


def test_a_port_carries_answers_and_what_the_module_says_by_itself(rig: Rig) -> None:
    rig.plug("ec25")

    with serial.Serial(rig.tty("ec25"), timeout=20) as port:
        port.write(b"AT\r")
        assert port.read_until(b"OK\r\n").endswith(b"OK\r\n")
        rig.bench.say("ec25", 2, '\r\n+CMTI: "ME",3\r\n')
        assert port.read_until(b"3\r\n") == b'\r\n+CMTI: "ME",3\r\n'
        assert rig.traffic("ec25")["commands"] == ["AT"]
        assert rig.traffic("ec25")["opened"] >= 1
        rig.unplug("ec25")
        with pytest.raises(OSError):
            port.read(1)
