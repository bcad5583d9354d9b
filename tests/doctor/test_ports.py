"""Checks of one port."""

from __future__ import annotations

import os
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from atprobe.doctor import Gravity, Kind
from atprobe.doctor import _ports as ports
from atprobe.link import Holder, Lock
from tests.doctor.machine import BOB, PORT, ROOT, SYSFS, Machine, modem, only, uart

BUS = "/dev/bus/usb/001/007"


def numbered(machine: Machine) -> str:
    """An undriven modem, which is reached through BUS."""
    machine.file(f"{SYSFS}/busnum", "1\n")
    machine.file(f"{SYSFS}/devnum", "7\n")
    return "usb://1-1/2"


class TestMissing:
    def test_nothing_to_say_of_one_that_is_there(self, machine: Machine) -> None:
        machine.port()
        assert list(ports.missing(modem(), PORT, machine.facts())) == []

    def test_neither_in_dev_nor_in_the_kernel(self, machine: Machine) -> None:
        found = only(ports.missing(uart(), "/dev/ttyS9", machine.facts()), Kind.MISSING)
        assert (found.fix, found.places) == ("atprobe scan", ("/dev/ttyS9",))

    @pytest.mark.parametrize(("mark", "engine"), [("/.dockerenv", "docker"), ("/run/.containerenv", "podman")])
    def test_a_container_was_not_given_it(self, mark: str, engine: str, machine: Machine) -> None:
        machine.file(mark)
        machine.file("/sys/class/tty/ttyUSB2/dev", "188:2\n")
        found = only(ports.missing(modem(), PORT, machine.facts()), Kind.MISSING)
        assert found.fix == f"{engine} run --device=/dev/ttyUSB2 IMAGE"

    def test_outside_a_container_it_is_made(self, machine: Machine) -> None:
        machine.file("/sys/class/tty/ttyUSB2/dev", "188:2\n")
        found = only(ports.missing(modem(), PORT, machine.facts()), Kind.MISSING)
        assert found.fix == "sudo mknod -m 660 /dev/ttyUSB2 c 188 2"

    def test_past_the_kernel_it_is_the_bus_that_is_missing(self, machine: Machine) -> None:
        path = numbered(machine)
        machine.file("/.dockerenv")
        found = only(ports.missing(modem(None, found=()), path, machine.facts()), Kind.MISSING)
        assert found.fix == "docker run --device=/dev/bus/usb IMAGE"
        machine.port(BUS)
        assert list(ports.missing(modem(None, found=()), path, machine.facts())) == []

    def test_a_place_on_the_bus_where_nothing_is(self, machine: Machine) -> None:
        only(ports.missing(uart("usb://9-9/2"), "usb://9-9/2", machine.facts()), Kind.MISSING)


def test_a_plain_file_is_no_port(machine: Machine) -> None:
    machine.file(PORT)
    only(ports.not_a_port(uart(PORT), PORT, machine.facts()), Kind.NOT_A_PORT)
    machine.port("/dev/ttyS0")
    assert list(ports.not_a_port(uart(), "/dev/ttyS0", machine.facts())) == []


class TestPermission:
    def test_none_where_it_may_be_opened(self, machine: Machine) -> None:
        machine.node()
        assert list(ports.permission(modem(), PORT, machine.facts())) == []

    def test_join_the_group(self, machine: Machine) -> None:
        machine.openable = False
        machine.node()
        found = only(ports.permission(modem(), PORT, machine.facts()), Kind.PERMISSION)
        assert found.fix == "sudo usermod -aG dialout bob"
        assert "it belongs to group dialout and has mode 0660, and bob is not in that group" in found.why
        assert found.then is not None
        assert "log out and in again" in found.then

    def test_a_member_by_now_and_not_yet_in_this_session(self, machine: Machine) -> None:
        machine.openable = False
        gid = machine.node()
        machine.person = replace(BOB, member=frozenset({gid}), groups=frozenset())
        found = only(ports.permission(modem(), PORT, machine.facts()), Kind.PERMISSION)
        assert found.fix == "newgrp dialout"
        assert "in this login session" in found.what

    def test_a_group_without_the_right_needs_a_rule(self, machine: Machine) -> None:
        machine.openable = False
        machine.node("/dev/wwan0at0", 0o600)
        found = only(ports.permission(uart("/dev/wwan0at0"), "/dev/wwan0at0", machine.facts()), Kind.PERMISSION)
        assert found.fix is not None
        assert found.fix.startswith('sudo "$(command -v atprobe)" udev rules --output /etc/udev/rules.d/')

    def test_in_the_group_and_still_not(self, machine: Machine) -> None:
        machine.openable = False
        gid = machine.node()
        machine.person = replace(BOB, member=frozenset({gid}), groups=frozenset({gid}))
        assert only(ports.permission(modem(), PORT, machine.facts()), Kind.PERMISSION).fix == f"getfacl {PORT}"

    def test_a_root_that_is_none(self, machine: Machine) -> None:
        machine.openable, machine.person = False, ROOT
        machine.node()
        found = only(ports.permission(modem(), PORT, machine.facts()), Kind.PERMISSION)
        assert found.fix == "docker run --device=/dev/ttyUSB2 IMAGE"

    def test_past_the_kernel_the_bus_counts(self, machine: Machine) -> None:
        path = numbered(machine)
        machine.openable = False
        machine.node(BUS, 0o664)
        found = only(ports.permission(modem(None, found=()), path, machine.facts()), Kind.PERMISSION)
        assert found.why.startswith(f"{BUS} belongs to group dialout")
        assert found.places == (path,)

    def test_hostile_names_stay_one_word(self, machine: Machine) -> None:
        machine.openable = False
        machine.node()
        machine.person = replace(BOB, name="bob; reboot")
        found = only(ports.permission(modem(), PORT, machine.facts()), Kind.PERMISSION)
        assert found.fix is not None
        assert shlex.split(found.fix)[-1] == "bob; reboot"


class TestHeld:
    def fix(self, machine: Machine, cgroup: str, name: str = "gpsd") -> str | None:
        machine.file("/proc/123/cgroup", cgroup)
        facts = machine.facts(held={PORT: (Holder(123, name),)})
        found = only(ports.held(modem(), PORT, facts), Kind.HELD)
        assert "(pid 123) has it open" in found.what
        assert "ps -fp 123" in found.why
        return found.fix

    def test_by_a_service(self, machine: Machine) -> None:
        group = "0::/system.slice/gpsd.service\n"
        assert self.fix(machine, group) == "sudo systemctl stop gpsd.service"
        machine.file("/lib/systemd/system/gpsd.socket")
        assert self.fix(machine, group) == "sudo systemctl stop gpsd.socket gpsd.service"

    def test_by_a_service_of_the_older_kind_of_groups(self, machine: Machine) -> None:
        group = "12:pids:/x\n1:name=systemd:/system.slice/smstools.service\n"
        assert self.fix(machine, group) == "sudo systemctl stop smstools.service"

    def test_by_a_service_of_the_user(self, machine: Machine) -> None:
        group = "0::/user.slice/user-1000.slice/user@1000.service/app.slice/tool.service\n"
        assert self.fix(machine, group) == "systemctl --user stop tool.service"

    def test_by_a_container(self, machine: Machine) -> None:
        group = f"0::/system.slice/docker-{'ab12' * 16}.scope\n"
        assert self.fix(machine, group) == "sudo docker stop ab12ab12ab12"

    def test_by_a_plain_program(self, machine: Machine) -> None:
        own = replace(BOB, uid=os.getuid() + 1)
        machine.person = own
        assert self.fix(machine, "0::/user.slice/session-3.scope\n", "minicom") == "sudo kill 123"
        machine.person = replace(BOB, uid=os.getuid())
        assert self.fix(machine, "", "minicom") == "kill 123"

    def test_hostile_names_of_groups_stay_one_word(self, machine: Machine) -> None:
        fix = self.fix(machine, "0::/system.slice/a;reboot.service\n")
        assert fix == "sudo systemctl stop 'a;reboot.service'"

    def test_those_with_a_check_of_their_own_are_left_to_it(self, machine: Machine) -> None:
        facts = machine.facts(held={PORT: (Holder(1, "ModemManager"), Holder(2, "brltty"))})
        assert list(ports.held(modem(), PORT, facts)) == []


class TestLocked:
    FILE = Path("/run/lock/LCK..ttyUSB2")

    def test_living(self, machine: Machine) -> None:
        facts = machine.facts(locks={PORT: (Lock(self.FILE, "held", 55, "pppd"),)})
        found = only(ports.locked(modem(), PORT, facts), Kind.LOCKED)
        assert found.gravity is Gravity.STOPS
        assert found.what == "pppd (pid 55) has locked it by /run/lock/LCK..ttyUSB2"
        assert found.fix == "sudo kill 55"

    def test_the_holder_is_named_once(self, machine: Machine) -> None:
        facts = machine.facts(locks={PORT: (Lock(self.FILE, "held", 55, "pppd"),)}, held={PORT: (Holder(55, "pppd"),)})
        assert list(ports.locked(modem(), PORT, facts)) == []

    def test_stale_stops_nothing(self, machine: Machine) -> None:
        facts = machine.facts(locks={PORT: (Lock(self.FILE, "stale", 55),)})
        found = only(ports.locked(modem(), PORT, facts), Kind.LOCKED)
        assert found.gravity is Gravity.NOTE
        assert found.fix == "sudo rm /run/lock/LCK..ttyUSB2"

    @pytest.mark.parametrize("state", ["unreadable", "unfinished"])
    def test_unclear(self, state: str, machine: Machine) -> None:
        facts = machine.facts(locks={PORT: (Lock(self.FILE, state),)})  # type: ignore[arg-type]
        assert only(ports.locked(modem(), PORT, facts), Kind.LOCKED).gravity is Gravity.STOPS
