"""From what a source of devices found to a device with ports and roles."""

from __future__ import annotations

from dataclasses import replace

import pytest

from atprobe.discover import Choice, new_id, obstacle, obstacles, select
from atprobe.discover._build import Found, interface_of, natural, pci_device, usb_device
from atprobe.knowledge import load
from atprobe.model import Device, Port, ProblemKind, Role, UsbInfo, UsbInterface

KNOWN = load()
SERIAL = ("ff", "00", "00")


def ec25(*drivers: str | None, ids: str = "2c7c:0125") -> UsbInfo:
    """An EC25 with these drivers on its interfaces 0, 1, ..."""
    vid, _, pid = ids.partition(":")
    interfaces = tuple(UsbInterface(number, *SERIAL, driver) for number, driver in enumerate(drivers))
    return UsbInfo(vid, pid, path="1-1", interfaces=interfaces)


def made(usb: UsbInfo, *found: Found) -> Device:
    device = usb_device(usb, found, KNOWN)
    assert device is not None
    return device


class TestUsb:
    def test_ports_in_the_order_of_their_interfaces(self) -> None:
        usb = ec25("option", "option", "option")
        device = made(usb, Found("/dev/ttyUSB7", 2), Found("/dev/ttyUSB10", 0), Found("/dev/ttyUSB9", 1))
        assert [(port.path, port.role) for port in device.ports] == [
            ("/dev/ttyUSB10", Role.DIAG),
            ("/dev/ttyUSB9", Role.GNSS),
            ("/dev/ttyUSB7", Role.AT),
        ]
        assert device.modem

    def test_what_the_driver_says_of_its_port_counts_most(self) -> None:
        assert made(ec25("hso"), Found("/dev/ttyHS0", 0, Role.PPP)).ports[0].role is Role.PPP

    def test_a_stranger_with_a_port_is_listed_and_one_without_is_not(self) -> None:
        stranger = ec25("cdc_acm", ids="2341:0043")
        device = made(stranger, Found("/dev/ttyACM0", 0))
        assert not device.modem
        assert device.ports == (Port("/dev/ttyACM0", Role.UNKNOWN, 0, "cdc_acm"),)
        assert usb_device(stranger, (), KNOWN) is None
        assert usb_device(ec25(None, ids="2341:0043"), (), KNOWN) is None


class TestWithoutDriver:
    def test_at_interfaces_of_a_known_modem(self) -> None:
        device = made(ec25(None, None, None, None, None))
        assert [(port.path, port.role) for port in device.ports] == [
            ("usb://1-1/2", Role.AT),
            ("usb://1-1/3", Role.AT_SECONDARY),
            ("usb://1-1/4", Role.UNKNOWN),
        ]

    def test_beside_a_tty_only_those_that_should_speak_at(self) -> None:
        device = made(ec25("option", None, None, "option", None), Found("/dev/ttyUSB0", 0), Found("/dev/ttyUSB1", 3))
        assert [port.path for port in device.ports] == ["/dev/ttyUSB0", "usb://1-1/2", "/dev/ttyUSB1"]

    def test_where_nobody_knows_the_drivers_nothing_is_said_of_them(self) -> None:
        device = usb_device(ec25(None, None, None), (), KNOWN, drivers_known=False)
        assert device is not None
        assert device.ports == ()


class TestFirmwareMode:
    """A boot loader speaks another language: nothing is sent to it, and nobody looks for a driver."""

    QDL = UsbInfo("05c6", "9008", path="1-1", interfaces=(UsbInterface(0, "ff", "ff", "ff", "qcserial"),))

    def test_it_is_said_and_never_chosen(self) -> None:
        device = made(self.QDL, Found("/dev/ttyUSB0", 0))
        assert device.firmware_mode == "qdl"
        for everything in (False, True):
            (choice,) = select([device], everything=everything)
            assert choice.paths == ()
            assert [problem.kind for problem in obstacles([choice], KNOWN)] == [ProblemKind.FIRMWARE_MODE]

    def test_nor_reached_without_a_driver(self) -> None:
        bare = replace(self.QDL, interfaces=(UsbInterface(0, "ff", "ff", "ff"),))
        device = made(bare)
        assert device.ports == ()
        assert select([device], usb_direct=True, everything=True) == (Choice(device, ()),)

    def test_a_number_that_a_module_at_work_has_too(self) -> None:
        usb = UsbInfo("413c", "81b6", path="1-1", interfaces=(UsbInterface(3, "ff", "00", "00", "qcserial"),))
        assert made(usb, Found("/dev/ttyUSB2", 3)).firmware_mode is None


class TestObstacles:
    def kind(self, device: Device) -> ProblemKind | None:
        problem = obstacle(device, KNOWN)
        return None if problem is None else problem.kind

    def test_none_where_an_at_port_is_there_or_no_modem(self) -> None:
        assert self.kind(made(ec25("option", "option", "option"), Found("/dev/ttyUSB2", 2))) is None
        assert self.kind(Device("usb", (Port("/dev/ttyACM0"),), ec25(ids="2341:0043"))) is None

    def test_no_driver_names_the_line_that_mends_it(self) -> None:
        problem = obstacle(made(ec25(None, None, None)), KNOWN)
        assert problem is not None
        assert problem.kind is ProblemKind.NO_DRIVER
        assert problem.port == "usb 1-1"
        assert "--usb-direct" in problem.hint
        assert "modprobe option; echo 2c7c 0125 > /sys/bus/usb-serial/drivers/option1/new_id" in problem.hint

    def test_the_driver_is_the_one_newer_kernels_bind(self) -> None:
        device = made(ec25(None, ids="1199:9071"))
        assert "echo 1199 9071 > /sys/bus/usb-serial/drivers/qcserial/new_id" in new_id(device, KNOWN)

    def test_a_composition_without_at(self) -> None:
        mbim = UsbInfo("2c7c", "0125", path="1-1", interfaces=(UsbInterface(12, "02", "0e", "00", "cdc_mbim"),))
        problem = obstacle(made(mbim, Found("/dev/cdc-wdm0", 12)), KNOWN)
        assert problem is not None
        assert problem.kind is ProblemKind.NO_AT_PORT
        assert "mbim" in problem.message
        assert "--all" not in problem.hint, "there is nothing more to ask"

    def test_what_else_there_is_to_ask_leaves_other_devices_alone(self) -> None:
        new = UsbInfo("2c7c", "9999", path="1-1", interfaces=(UsbInterface(2, "ff", "00", "00", "option"),))
        problem = obstacle(made(new, Found("/dev/ttyUSB2", 2)), KNOWN)
        assert problem is not None
        assert problem.kind is ProblemKind.NO_AT_PORT
        assert "try --all --usb 2c7c:9999, or" in problem.hint

    def test_a_disk_waits_to_be_switched(self) -> None:
        disk = UsbInfo("2c7c", "0125", path="1-1", interfaces=(UsbInterface(0, "08", "06", "50", "usb-storage"),))
        problem = obstacle(made(disk), KNOWN)
        assert problem is not None
        assert problem.kind is ProblemKind.STORAGE
        assert "usb_modeswitch -v 2c7c -p 0125" in problem.hint

    def test_only_what_was_chosen_without_a_port(self) -> None:
        device = made(ec25(None, None, None))
        found = obstacles([Choice(device, ()), Choice(device, ("usb://1-1/2",))], KNOWN)
        assert [problem.kind for problem in found] == [ProblemKind.NO_DRIVER]


class TestPci:
    @pytest.mark.parametrize(
        ("name", "role"),
        [
            ("wwan0at0", Role.AT),
            ("wwan0at1", Role.AT_SECONDARY),
            ("wwan0qmi0", Role.QMI),
            ("wwan0mbim0", Role.MBIM),
            ("wwan0qcdm0", Role.DIAG),
            ("wwan0xmmrpc0", Role.UNKNOWN),
            ("wwan0firehose0", Role.UNKNOWN),
            ("mhi_DUN", Role.AT),
            ("mhi_DUN2", Role.AT_SECONDARY),
            ("mhi_QMI0", Role.QMI),
            ("mhi_BHI", Role.UNKNOWN),
        ],
    )
    def test_roles(self, name: str, role: Role) -> None:
        assert pci_device([f"/dev/{name}"]).ports == (Port(f"/dev/{name}", role),)


def test_names() -> None:
    assert [interface_of(name) for name in ("1-1:1.2", "3-1.4:1.12", "1-1:x.3", "1-1", "usb1")] == [
        2,
        12,
        3,
        None,
        None,
    ]
    assert sorted(["ttyUSB10", "ttyUSB2", "ttyACM3"], key=natural) == ["ttyACM3", "ttyUSB2", "ttyUSB10"]
