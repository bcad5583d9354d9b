"""Checks of the whole machine."""

from __future__ import annotations

import pytest

from atprobe.discover import Scan
from atprobe.doctor import Gravity, Kind
from atprobe.doctor import _machine as machines
from atprobe.link import Holder
from tests.doctor.machine import ROOT, Machine, modem, only, uart

NOTHING = Scan(())
RULE = 'ENV{{PRODUCT}}=="1a86/7523/*", {more}ENV{{BRLTTY_BRAILLE_DRIVER}}="xx", GOTO="somewhere"\n'
RUNS = frozenset({"brltty"})


class TestBrltty:
    def rules(self, machine: Machine, more: str = "", folder: str = "/usr/lib/udev/rules.d") -> None:
        machine.file(f"{folder}/85-brltty.rules", "# a comment\n" + RULE.format(more=more))

    def test_has_taken_an_adapter(self, machine: Machine) -> None:
        self.rules(machine)
        machine.usb("1a86:7523", interfaces=1, product="USB Serial")
        found = only(machines.brltty(NOTHING, machine.facts(programs=RUNS)), Kind.BRLTTY)
        assert (found.gravity, found.places) == (Gravity.STOPS, ("usb 1-1",))
        assert found.what == "brltty has the serial adapter 1a86:7523 USB Serial"
        assert found.fix == (
            "sudo sh -c 'ln -sf /dev/null /etc/udev/rules.d/85-brltty.rules && udevadm control --reload'"
        )
        assert only(machines.brltty(NOTHING, machine.facts()), Kind.BRLTTY).gravity is Gravity.MAY_STOP

    def test_through_usbfs(self, machine: Machine) -> None:
        self.rules(machine)
        folder = machine.usb("1a86:7523", interfaces=1)
        machine.link(f"{folder}/1-1:1.0/driver", "../../../drivers/usbfs")
        only(machines.brltty(NOTHING, machine.facts()), Kind.BRLTTY)

    def test_not_where_the_adapter_has_its_tty(self, machine: Machine) -> None:
        self.rules(machine)
        folder = machine.usb("1a86:7523", interfaces=1)
        machine.folder(f"{folder}/1-1:1.0/ttyUSB0")
        assert list(machines.brltty(NOTHING, machine.facts(programs=RUNS))) == []

    def test_holds_the_tty(self, machine: Machine) -> None:
        folder = machine.usb("1a86:7523", interfaces=1)
        machine.folder(f"{folder}/1-1:1.0/ttyUSB0")
        facts = machine.facts(programs=RUNS, held={"/dev/ttyUSB0": (Holder(9, "brltty"),)})
        found = only(machines.brltty(NOTHING, facts), Kind.BRLTTY)
        assert found.places == ("/dev/ttyUSB0",)
        assert found.fix == "sudo systemctl mask --now brltty.service"

    @pytest.mark.parametrize("ids", ["1a86:7522", "2c7c:0125"])
    def test_not_another_device(self, ids: str, machine: Machine) -> None:
        self.rules(machine)
        machine.usb(ids, interfaces=1)
        assert list(machines.brltty(NOTHING, machine.facts(programs=RUNS))) == []

    def test_not_where_the_rule_asks_for_another_maker(self, machine: Machine) -> None:
        self.rules(machine, more='ATTRS{manufacturer}=="Braille*", ')
        machine.usb("1a86:7523", interfaces=1, manufacturer="QinHeng")
        assert list(machines.brltty(NOTHING, machine.facts())) == []

    def test_not_where_the_rule_is_masked_or_a_comment(self, machine: Machine) -> None:
        machine.usb("1a86:7523", interfaces=1)
        machine.file("/lib/udev/rules.d/85-brltty.rules", "#" + RULE.format(more=""))
        assert list(machines.brltty(NOTHING, machine.facts())) == []
        self.rules(machine)
        only(machines.brltty(NOTHING, machine.facts()), Kind.BRLTTY)
        machine.link("/etc/udev/rules.d/85-brltty.rules", "/dev/null")
        assert list(machines.brltty(NOTHING, machine.facts())) == []


def test_libraries(machine: Machine) -> None:
    scanned = Scan((), ("libudev is not here: much is missing", "libusb is not here: less is", "roles go by number"))
    machine.commands.add("opkg")
    machine.person = ROOT
    found = list(machines.libraries(scanned, machine.facts()))
    assert [(each.kind, each.fix) for each in found] == [
        (Kind.NO_LIBUDEV, None),
        (Kind.NO_LIBUSB, "opkg install libusb-1.0-0"),
    ]
    assert all(each.gravity is Gravity.NOTE for each in found)


def test_over_current(machine: Machine) -> None:
    counter = "/sys/bus/usb/devices/1-0:1.0/usb1-port2/over_current_count"
    machine.file(counter, "0\n")
    assert list(machines.over_current(NOTHING, machine.facts())) == []
    machine.file(counter, "3\n")
    found = only(machines.over_current(NOTHING, machine.facts()), Kind.OVER_CURRENT)
    assert "usb1-port2 has cut the power 3 times" in found.what
    assert found.gravity is Gravity.MAY_STOP
    seen = Scan((modem(),))
    assert only(machines.over_current(seen, machine.facts()), Kind.OVER_CURRENT).gravity is Gravity.NOTE


class TestNothing:
    def test_says_what_was_looked_at(self, machine: Machine) -> None:
        machine.usb("1a86:7523", product="USB Serial")
        machine.usb("1d6b:0002", place="usb1", bDeviceClass="09")
        found = only(machines.nothing(NOTHING, machine.facts()), Kind.NOTHING)
        assert "1 on USB (1a86:7523 USB Serial); no serial port" in found.why
        assert found.fix == "lsusb"
        assert found.then is not None
        assert "another cable" in found.then

    def test_a_plain_line_may_lead_to_one(self, machine: Machine) -> None:
        found = only(machines.nothing(Scan((uart(),)), machine.facts()), Kind.NOTHING)
        assert "/dev/ttyS0" in found.why
        assert found.then is not None
        assert "atprobe doctor --port /dev/ttyS0" in found.then

    def test_not_where_there_is_a_modem(self, machine: Machine) -> None:
        assert list(machines.nothing(Scan((modem(),)), machine.facts())) == []


class TestUnseen:
    def test_other_users_programs(self, machine: Machine) -> None:
        assert any("run as root" in each for each in machines.unseen(machine.facts(), []))
        machine.person = ROOT
        assert list(machines.unseen(machine.facts(), [])) == []

    def test_what_modem_manager_has(self, machine: Machine) -> None:
        machine.person = ROOT
        facts = machine.facts(managed=None, bus_client=False)
        (limit,) = machines.unseen(facts, [modem()])
        assert "ModemManager" in limit
