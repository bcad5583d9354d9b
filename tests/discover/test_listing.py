"""From what the system lists to devices with ports and roles."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import usb.core
from serial.tools import list_ports
from serial.tools.list_ports_common import ListPortInfo

from atprobe.discover import _listing, _udev, scan
from atprobe.discover._listing import devices, pci_devices
from atprobe.knowledge import Knowledge, load
from atprobe.model import Device, Port, Role, UsbInfo, UsbInterface

KNOWN = load()


def serial_devices(infos: list[ListPortInfo]) -> tuple[Device, ...]:
    return _listing.serial_devices(infos, KNOWN)


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
            UsbInfo("2c7c", "0125", "Maker", "Thing", None, "1-1.2", tuple(UsbInterface(n) for n in range(4))),
            modem=True,
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
        single = info("/dev/ttyUSB0", "2c7c:0125", "3-4")
        single.usb_interface_path = str(tmp_path / "3-4:1.2")  # type: ignore[attr-defined]
        (device,) = serial_devices([single])
        assert device.ports == (Port("/dev/ttyUSB0", Role.AT, 2),)
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


class TestSysfs:
    """Linux without libudev: pyserial names the folders, and the descriptors are in them."""

    @staticmethod
    def interface(folder: Path, number: int, codes: str, driver: str | None) -> Path:
        made = folder / f"{folder.name}:1.{number}"
        made.mkdir(parents=True)
        for name, code in zip(("Class", "SubClass", "Protocol"), codes.split("/"), strict=True):
            (made / f"bInterface{name}").write_text(f"{code}\n")
        if driver:
            (made / "driver").symlink_to(f"/drivers/{driver}")
        return made

    def test_interfaces_with_class_and_driver(self, tmp_path: Path) -> None:
        folder = tmp_path / "1-1.2"
        made = [self.interface(folder, 0, "ff/00/00", "option"), self.interface(folder, 5, "ff/42/01", None)]
        port = info("/dev/ttyUSB0", "2c7c:0125", "1-1.2")
        port.usb_device_path, port.usb_interface_path = str(folder), str(made[0])  # type: ignore[attr-defined]
        (device,) = serial_devices([port])
        assert device.usb is not None
        assert device.usb.interfaces == (
            UsbInterface(0, "ff", "00", "00", "option"),
            UsbInterface(5, "ff", "42", "01", None),
        )
        assert device.usb.path == "1-1.2"
        assert device.sysfs == str(folder)
        assert device.ports == (Port("/dev/ttyUSB0", Role.DIAG, 0, "option"),)

    def test_an_interface_without_a_driver_that_should_speak_at_is_a_port(self, tmp_path: Path) -> None:
        folder = tmp_path / "1-1"
        made = self.interface(folder, 1, "ff/00/00", "option")
        self.interface(folder, 2, "ff/00/00", None)
        port = info("/dev/ttyUSB0", "2c7c:0125", "1-1")
        port.usb_device_path, port.usb_interface_path = str(folder), str(made)  # type: ignore[attr-defined]
        (device,) = serial_devices([port])
        assert device.ports[1] == Port("usb://1-1/2", Role.AT, 2)


class TestLibusb:
    """Without udev a module that no driver knows shows through libusb alone."""

    class Seen(list[list[SimpleNamespace]]):
        """A device as pyusb gives it: configurations of interfaces."""

        bus, port_numbers, idVendor, idProduct = 3, (1, 4), 0x2C7C, 0x0125

    @staticmethod
    def descriptor(number: int, one: int, two: int, three: int) -> SimpleNamespace:
        return SimpleNamespace(
            bInterfaceNumber=number, bInterfaceClass=one, bInterfaceSubClass=two, bInterfaceProtocol=three
        )

    def test_a_modem_without_a_tty(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        seen = self.Seen([[self.descriptor(2, 0xFF, 0, 0), self.descriptor(5, 0xFF, 0x42, 1)]])
        monkeypatch.setattr(list_ports, "comports", list)
        monkeypatch.setattr("usb.core.find", lambda find_all: iter([seen]))
        (device,) = devices(KNOWN, tmp_path)
        assert device.modem
        assert device.ports == (Port("usb://3-1.4/2", Role.AT, 2),)

    def test_what_has_a_tty_is_not_listed_twice(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        seen = self.Seen([[self.descriptor(2, 0xFF, 0, 0)]])
        monkeypatch.setattr(list_ports, "comports", lambda: ec25("3-1.4"))
        monkeypatch.setattr("usb.core.find", lambda find_all: iter([seen]))
        assert len(devices(KNOWN, tmp_path)) == 1

    def test_a_stranger_is_not_listed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        seen = self.Seen([[self.descriptor(0, 0xFF, 0, 0)]])
        seen.idVendor, seen.idProduct = 0x0403, 0x6001
        monkeypatch.setattr(list_ports, "comports", list)
        monkeypatch.setattr("usb.core.find", lambda find_all: iter([seen]))
        assert devices(KNOWN, tmp_path) == ()

    def test_no_libusb(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def find(find_all: bool) -> None:
            raise usb.core.NoBackendError("No backend available")

        monkeypatch.setattr(list_ports, "comports", list)
        monkeypatch.setattr("usb.core.find", find)
        assert devices(KNOWN, tmp_path) == ()


class TestPci:
    def test_ports_are_grouped_by_device(self) -> None:
        names = ["wwan0qmi0", "wwan1at0", "wwan0at1", "wwan0at0", "wwan1mbim0", "wwan0firehose0", "wwan0", "mhi_DUN"]
        dev = Path("/dev")
        found = pci_devices(names, dev)
        assert [device.ports for device in found] == [
            (Port("/dev/mhi_DUN", Role.AT),),
            (
                Port("/dev/wwan0at0", Role.AT),
                Port("/dev/wwan0at1", Role.AT_SECONDARY),
                Port("/dev/wwan0qmi0", Role.QMI),
            ),
            (Port("/dev/wwan1at0", Role.AT), Port("/dev/wwan1mbim0", Role.MBIM)),
        ]
        assert all(device.bus == "pci" and device.modem for device in found)


class TestScan:
    @pytest.fixture(autouse=True)
    def _no_usb(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("usb.core.find", lambda find_all: iter(()))

    def test_both_kinds_are_found(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "wwan0at0").touch()
        monkeypatch.setattr(list_ports, "comports", lambda: ec25("1-1"))
        assert [device.bus for device in devices(KNOWN, tmp_path)] == ["usb", "pci"]

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
        assert paths(devices(KNOWN, tmp_path)) == [["/dev/ttyS0"]]

    def test_nothing_is_opened(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        # A pipe without a writer blocks whoever opens it for reading: a scan that opened it would not return.
        os.mkfifo(tmp_path / "wwan0at0")
        monkeypatch.setattr(list_ports, "comports", list)
        assert paths(devices(KNOWN, tmp_path)) == [[str(tmp_path / "wwan0at0")]]

    def test_without_udev_the_listing_is_used_and_says_what_it_cannot_see(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def missing(knowledge: Knowledge) -> None:
            raise ImportError("No library named udev")

        monkeypatch.setattr(_udev, "devices", missing)
        monkeypatch.setattr(list_ports, "comports", lambda: ec25("1-1"))
        monkeypatch.setattr(_listing, "libusb_works", lambda: False)
        found = scan(KNOWN)
        assert [device.bus for device in found.devices if device.bus == "usb"] == ["usb"]
        assert "libudev" in found.limits[0]
        assert "libusb" in found.limits[1]
