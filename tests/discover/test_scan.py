"""From what the system lists to devices with ports and roles."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from serial.tools import list_ports
from serial.tools.list_ports_common import ListPortInfo

from atprobe.discover import scan
from atprobe.discover._scan import serial_devices, wwan_devices
from atprobe.model import Device, Port, Role, UsbInfo


def info(device: str, usb: str | None = None, location: str | None = None, serial: str | None = None) -> ListPortInfo:
    """A listed port; `usb` is VID:PID."""
    made = ListPortInfo(device, skip_link_detection=True)
    if usb is not None:
        vid, _, pid = usb.partition(":")
        made.vid, made.pid = int(vid, 16), int(pid, 16)
        made.manufacturer, made.product = "Maker", "Thing"
    made.location, made.serial_number = location, serial
    return made


def paths(devices: tuple[Device, ...]) -> list[list[str]]:
    return [[port.path for port in device.ports] for device in devices]


def ec25(place: str, first: int = 0, serial: str | None = None) -> list[ListPortInfo]:
    return [info(f"/dev/ttyUSB{first + n}", "2c7c:0125", f"{place}:1.{n}", serial) for n in range(4)]


class TestSerial:
    def test_a_modem_is_one_device_with_roles(self) -> None:
        (device,) = serial_devices(ec25("1-1.2"))
        assert device == Device(
            "usb",
            (
                Port("/dev/ttyUSB0", Role.DIAG, 0),
                Port("/dev/ttyUSB1", Role.GNSS, 1),
                Port("/dev/ttyUSB2", Role.AT, 2),
                Port("/dev/ttyUSB3", Role.AT_SECONDARY, 3),
            ),
            UsbInfo("2c7c", "0125", "Maker", "Thing", None, "1-1.2"),
        )

    def test_two_of_one_kind_stay_apart_by_place(self) -> None:
        devices = serial_devices([*ec25("1-1"), *ec25("1-2", 4)])
        assert [device.usb.path for device in devices if device.usb] == ["1-1", "1-2"]

    def test_two_of_one_kind_stay_apart_by_serial_number(self) -> None:
        assert len(serial_devices([*ec25("1-1", serial="A"), *ec25("1-1", 4, serial="B")])) == 2

    def test_without_place_and_serial_number_ports_stay_apart(self) -> None:
        devices = serial_devices([info("/dev/ttyUSB0", "2c7c:0125"), info("/dev/ttyUSB1", "2c7c:0125")])
        assert paths(devices) == [["/dev/ttyUSB0"], ["/dev/ttyUSB1"]]

    def test_ports_come_in_the_order_of_their_numbers(self) -> None:
        numbers = [10, 9, 2, 11]
        devices = serial_devices([info(f"/dev/ttyUSB{n}", "2c7c:0125", f"1-1:1.{n}") for n in numbers])
        assert paths(devices) == [["/dev/ttyUSB2", "/dev/ttyUSB9", "/dev/ttyUSB10", "/dev/ttyUSB11"]]

    def test_the_interface_number_is_decimal(self) -> None:
        (device,) = serial_devices([info("/dev/ttyUSB0", "2c7c:0125", "1-1:1.10")])
        assert device.ports[0].interface == 10

    def test_windows_locations(self) -> None:
        (device,) = serial_devices([info("COM7", "2c7c:0125", "1-3:x.2"), info("COM8", "2c7c:0125", "1-3:x.3")])
        assert [port.role for port in device.ports] == [Role.AT, Role.AT_SECONDARY]

    def test_a_location_without_interface_gives_no_role(self) -> None:
        (device,) = serial_devices([info("/dev/cu.usbmodem1", "2c7c:0125", "20-1")])
        assert device.ports == (Port("/dev/cu.usbmodem1"),)

    def test_linux_knows_the_interface_of_a_device_with_one(self, tmp_path: Path) -> None:
        interface = tmp_path / "3-4:1.2"
        interface.mkdir()
        (interface / "driver").symlink_to(tmp_path / "drivers" / "option")
        single = info("/dev/ttyUSB0", "2c7c:0125", "3-4")
        single.usb_interface_path = str(interface)  # type: ignore[attr-defined]
        (device,) = serial_devices([single])
        assert device.ports == (Port("/dev/ttyUSB0", Role.AT, 2, "option"),)
        assert device.usb is not None
        assert device.usb.path == "3-4"

    @pytest.mark.parametrize("usb", ["0403:6001", "10c4:ea60", "1a86:7523", "2341:0043", "067b:2303"])
    @pytest.mark.parametrize("interface", range(5))
    def test_a_stranger_never_gets_a_control_role(self, usb: str, interface: int) -> None:
        (device,) = serial_devices([info("/dev/ttyUSB0", usb, f"1-1:1.{interface}")])
        assert device.ports[0].role is Role.UNKNOWN

    def test_a_port_that_is_not_on_usb_is_a_device_of_its_own(self) -> None:
        assert serial_devices([info("/dev/ttyS1"), info("/dev/ttyS0")]) == (
            Device("uart", (Port("/dev/ttyS0"),)),
            Device("uart", (Port("/dev/ttyS1"),)),
        )


class TestWwan:
    def test_ports_are_grouped_by_device(self) -> None:
        names = ["wwan0qmi0", "wwan1at0", "wwan0at1", "wwan0at0", "wwan1mbim0", "wwan0firehose0", "wwan0"]
        dev = Path("/dev")
        assert wwan_devices(names, dev) == (
            Device(
                "pci",
                (
                    Port("/dev/wwan0at0", Role.AT),
                    Port("/dev/wwan0at1", Role.AT_SECONDARY),
                    Port("/dev/wwan0qmi0", Role.QMI),
                ),
            ),
            Device("pci", (Port("/dev/wwan1at0", Role.AT), Port("/dev/wwan1mbim0", Role.MBIM))),
        )


class TestScan:
    def test_both_kinds_are_found(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "wwan0at0").touch()
        monkeypatch.setattr(list_ports, "comports", lambda: ec25("1-1"))
        assert [device.bus for device in scan(tmp_path)] == ["usb", "pci"]

    def test_a_device_that_leaves_during_the_listing_is_no_error(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        left = TypeError("int() argument must be a string")
        answers: Iterator[Exception | list[ListPortInfo]] = iter([left, [info("/dev/ttyS0")]])

        def comports() -> list[ListPortInfo]:
            answer = next(answers)
            if isinstance(answer, Exception):
                raise answer
            return answer

        monkeypatch.setattr(list_ports, "comports", comports)
        assert paths(scan(tmp_path)) == [["/dev/ttyS0"]]

    def test_nothing_is_opened(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        # A pipe without a writer blocks whoever opens it for reading: a scan that opened it would not return.
        os.mkfifo(tmp_path / "wwan0at0")
        monkeypatch.setattr(list_ports, "comports", list)
        assert paths(scan(tmp_path)) == [[str(tmp_path / "wwan0at0")]]
