"""From what is attached to what is wrong with it."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from atprobe import discover
from atprobe.discover import Scan
from atprobe.discover._build import Found
from atprobe.doctor import Checkup, Complaint, Gravity, Host, Kind, _examine, _facts, examine, here
from atprobe.doctor import _devices as devices
from atprobe.doctor import _machine as machines
from atprobe.doctor import _ports as ports
from atprobe.link import Holder, _locks
from atprobe.model import Device
from tests.doctor.machine import KNOWN, PORT, ROOT, SYSFS, Machine, modem, uart

SECOND = "/dev/ttyUSB3"


def two_ports() -> Device:
    return modem(*["option"] * 4, found=(Found(PORT, 2), Found(SECOND, 3)))


def checkup(machine: Machine, *attached: Device, ports: tuple[str, ...] = (), **facts: object) -> Checkup:
    return examine(Scan(attached), KNOWN, ports, facts=machine.facts(**facts))


def kinds(complaints: tuple[Complaint, ...]) -> list[tuple[Kind, Gravity]]:
    return [(each.kind, each.gravity) for each in complaints]


def test_a_sound_machine_has_no_complaint(machine: Machine) -> None:
    machine.port()
    machine.person = ROOT
    found = checkup(machine, modem())
    assert [(patient.ports, patient.complaints) for patient in found.patients] == [((PORT,), ())]
    assert (found.host, found.limits, found.well) == ((), (), True)


def test_nothing_attached(machine: Machine) -> None:
    found = checkup(machine)
    assert found.patients == ()
    assert kinds(found.host) == [(Kind.NOTHING, Gravity.STOPS)]
    assert found.well  # nothing is wrong with what is there


def test_other_serial_ports_are_left_alone_unless_named(machine: Machine) -> None:
    assert checkup(machine, uart()).patients == ()
    named = checkup(machine, uart(), modem(), ports=("/dev/ttyS0",))
    assert [patient.device for patient in named.patients] == [uart()]
    assert kinds(named.patients[0].complaints) == [(Kind.MISSING, Gravity.STOPS)]
    assert not named.well


def test_a_named_port_of_a_modem_has_the_modems_complaints_too(machine: Machine) -> None:
    machine.port()
    found = checkup(machine, two_ports(), ports=(PORT,), managed={two_ports(): True})
    assert found.patients[0].ports == (PORT,)
    assert kinds(found.patients[0].complaints) == [(Kind.MODEM_MANAGER, Gravity.STOPS)]


def test_a_free_port_beside_a_held_one_is_enough(machine: Machine) -> None:
    machine.port(PORT)
    machine.port(SECOND)
    held = {PORT: (Holder(9, "pppd"),)}
    found = checkup(machine, two_ports(), held=held)
    assert kinds(found.patients[0].complaints) == [(Kind.HELD, Gravity.NOTE)]
    assert found.well
    both = checkup(machine, two_ports(), held={**held, SECOND: (Holder(10, "pppd"),)})
    assert kinds(both.patients[0].complaints) == [(Kind.HELD, Gravity.STOPS)] * 2


def test_the_same_of_several_ports_is_said_once(machine: Machine) -> None:
    machine.openable = False
    machine.port(PORT)
    machine.port(SECOND)
    (patient,) = checkup(machine, two_ports()).patients
    assert [(each.kind, each.places) for each in patient.complaints] == [(Kind.PERMISSION, (PORT, SECOND))]


def test_what_stops_a_probe_comes_first(machine: Machine) -> None:
    for name, value in (("control", "auto"), ("runtime_status", "suspended"), ("autosuspend_delay_ms", "2")):
        machine.file(f"{SYSFS}/power/{name}", value)
    (patient,) = checkup(machine, modem()).patients
    assert kinds(patient.complaints) == [(Kind.MISSING, Gravity.STOPS), (Kind.AUTOSUSPEND, Gravity.MAY_STOP)]


def test_past_the_kernel_only_where_there_is_no_other_way(machine: Machine) -> None:
    undriven = modem(None, None, None, found=())
    machine.folder("/sys/module/option")
    (patient,) = checkup(machine, undriven).patients
    assert (kinds(patient.complaints), patient.ports) == ([(Kind.NO_DRIVER, Gravity.STOPS)], ())
    machine.root = machine.root / "without"
    (patient,) = checkup(machine, undriven).patients
    assert patient.ports[0] == "usb://1-1/2"
    assert Kind.MISSING in {each.kind for each in patient.complaints}


def test_what_befell_another_adapter_counts_only_where_the_port_is_missing(machine: Machine) -> None:
    machine.usb("1a86:7523", place="1-7", interfaces=1)
    machine.file("/usr/lib/udev/rules.d/85-brltty.rules", 'ENV{PRODUCT}=="1a86/7523/*", GOTO="somewhere"\n')
    missing = checkup(machine, ports=("/dev/ttyUSB0",))
    assert kinds(missing.host) == [(Kind.BRLTTY, Gravity.MAY_STOP)]
    machine.port("/dev/ttyUSB0")
    assert checkup(machine, ports=("/dev/ttyUSB0",)).host == ()
    assert kinds(checkup(machine).host) == [(Kind.BRLTTY, Gravity.MAY_STOP), (Kind.NOTHING, Gravity.STOPS)]


def test_what_cannot_be_seen(machine: Machine) -> None:
    scanned = Scan((), ("libusb is not here: a module may be missed", "roles go by number alone"))
    found = examine(scanned, KNOWN, facts=machine.facts())
    assert found.limits[-1] == "roles go by number alone"
    assert Kind.NO_LIBUSB in {each.kind for each in found.host}


@pytest.mark.parametrize("module", [ports, devices, machines])
def test_every_check_is_in_use(module: object) -> None:
    """A check is a public generator of complaints in one of these modules."""
    checks = {
        each
        for name, each in vars(module).items()
        if not name.startswith("_") and getattr(each, "__annotations__", {}).get("return") == "Iterator[Complaint]"
    }
    assert checks == set(module.CHECKS)  # type: ignore[attr-defined]


class TestHere:
    """The machine the tests run on."""

    def test_a_port_that_is_open_elsewhere_and_one_that_is_locked(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(_locks, "FOLDERS", (tmp_path,))
        port = tmp_path / "ttyTEST0"
        port.symlink_to("/dev/full")
        with open("/dev/full", "rb") as full, subprocess.Popen(["sleep", "60"], stdin=full) as other:
            (tmp_path / "LCK..ttyTEST0").write_text(f"{other.pid:10d}\n")
            facts = _facts.gather(here(), KNOWN, [], [str(port), "usb://1-1/2"])
            other.kill()
        assert other.pid in {holder.pid for holder in facts.held[str(port)]}
        assert [lock.pid for lock in facts.locks[str(port)]] == [other.pid]
        assert "usb://1-1/2" not in facts.locks
        assert facts.managed is None  # the tests have no bus
        assert facts.bus_client

    def test_who_asks(self) -> None:
        person = here().person
        assert person.uid == os.getuid()
        assert person.groups >= set(os.getgroups())
        assert person.member >= person.groups

    def test_a_look_around_opens_no_port(self) -> None:
        opened: list[str] = []

        def watch(event: str, arguments: tuple[object, ...]) -> None:
            if event == "open":
                opened.append(str(arguments[0]))

        sys.addaudithook(watch)
        examine(Scan((uart("/dev/null"),)), KNOWN, ["/dev/null"])
        assert opened
        assert [each for each in opened if each.startswith("/dev/")] == []


class TestUnreadable:
    """Whatever /sys and /proc do on being read, there is an answer."""

    def test_files_where_folders_should_be_and_the_other_way_round(self, machine: Machine) -> None:
        machine.file(SYSFS)
        machine.file("/sys/bus/usb/devices")
        machine.folder("/proc/1/environ")
        machine.folder(f"/lib/modules/{machine.host.release}/modules.dep")
        machine.folder(f"/lib/modules/{machine.host.release}/modules.alias")
        assert checkup(machine, modem(None, found=())).patients
        assert checkup(machine).host

    def test_names_that_no_file_can_have(self, machine: Machine) -> None:
        host = machine.host
        assert (host.read("/a\0b"), host.names("/a\0b"), host.stat("/a\0b"), host.exists("/a\0b")) == (
            None,
            [],
            None,
            False,
        )
        assert host.link_name("/a\0b") is None
        assert host.number("/a\0b") is None

    def test_bytes_that_are_no_text(self, machine: Machine) -> None:
        (machine.root / "x").write_bytes(b"\xff\xfe1\n")
        assert machine.host.read("/x") is not None
        assert machine.host.number("/x") is None

    def test_a_process_that_is_gone(self, machine: Machine) -> None:
        assert machine.host.cgroup(4) == ""
        machine.file("/proc/5/cgroup", "nonsense\n")
        assert machine.host.cgroup(5) == ""


def test_a_broken_libusb_counts_as_none(monkeypatch: pytest.MonkeyPatch, machine: Machine) -> None:
    def broken() -> bool:
        raise OSError("undefined symbol")

    monkeypatch.setattr(discover, "libusb_works", broken)
    assert not _facts.gather(machine.host, KNOWN, [], []).libusb


def test_a_patient_is_looked_at_by_itself(machine: Machine) -> None:
    (choice,) = _examine.chosen(Scan((modem(),)), ())
    facts = replace(machine.facts(), host=Host(ROOT, machine.root))
    assert kinds(_examine.patient(choice, facts).complaints) == [(Kind.MISSING, Gravity.STOPS)]
