"""The kernel's own drivers bind to our devices as they would to real ones."""

from __future__ import annotations

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
