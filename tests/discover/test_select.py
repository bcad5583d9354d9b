"""Which ports a run talks to, and which it leaves alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from atprobe.discover import Choice, named, select
from atprobe.model import Device, Port, Role, UsbInfo

MODEM = Device(
    "usb",
    (
        Port("/dev/ttyUSB0", Role.DIAG, 0),
        Port("/dev/ttyUSB1", Role.PPP, 1),
        Port("/dev/ttyUSB2", Role.AT_SECONDARY, 2),
        Port("/dev/ttyUSB3", Role.AT, 3),
    ),
    UsbInfo("2c7c", "0125"),
)
DIALLER = Device("usb", (Port("/dev/ttyUSB4", Role.GNSS), Port("/dev/ttyUSB5", Role.PPP)), UsbInfo("1e2d", "0061"))
STRANGER = Device("usb", (Port("/dev/ttyACM0"), Port("/dev/ttyACM1"), Port("/dev/x", Role.DIAG)), UsbInfo("2341", "1"))
UART = Device("uart", (Port("/dev/ttyS0"),))
ALL = (MODEM, DIALLER, STRANGER, UART)

MODEM_PATHS = ("/dev/ttyUSB3", "/dev/ttyUSB2", "/dev/ttyUSB1")


def chosen(choices: tuple[Choice, ...]) -> list[tuple[str, ...]]:
    return [choice.paths for choice in choices]


class TestSelect:
    def test_known_modems_by_their_control_ports_the_best_first(self) -> None:
        assert select(ALL) == (Choice(MODEM, MODEM_PATHS), Choice(DIALLER, ("/dev/ttyUSB5",)))

    def test_strangers_are_left_alone(self) -> None:
        assert select([STRANGER, UART]) == ()

    def test_everything_adds_ports_of_unknown_role_and_no_others(self) -> None:
        assert chosen(select(ALL, everything=True)) == [
            MODEM_PATHS,
            ("/dev/ttyUSB5",),
            ("/dev/ttyACM0", "/dev/ttyACM1"),
            ("/dev/ttyS0",),
        ]

    def test_usb_narrows(self) -> None:
        assert chosen(select(ALL, usb=[("1e2d", "0061")])) == [("/dev/ttyUSB5",)]
        assert select(ALL, usb=[("2341", "1")]) == ()
        assert chosen(select(ALL, usb=[("2341", "1")], everything=True)) == [("/dev/ttyACM0", "/dev/ttyACM1")]
        assert chosen(select(ALL, usb=[("2c7c", "0125"), ("1e2d", "0061")])) == [MODEM_PATHS, ("/dev/ttyUSB5",)]

    def test_named_ports_are_taken_alone_whatever_they_are(self) -> None:
        choices = select(ALL, ports=["/dev/ttyUSB0", "/dev/ttyS7", "/dev/ttyACM1"])
        assert chosen(choices) == [("/dev/ttyUSB0",), ("/dev/ttyS7",), ("/dev/ttyACM1",)]
        assert [choice.device.bus for choice in choices] == ["usb", "uart", "usb"]

    def test_no_port_twice(self) -> None:
        assert chosen(select(ALL, ports=["/dev/ttyS7", "/dev/ttyS7"])) == [("/dev/ttyS7",)]
        both = select([MODEM, DIALLER], ports=["/dev/ttyUSB2"], everything=True)
        assert chosen(both) == [("/dev/ttyUSB2",), ("/dev/ttyUSB5",)]

    def test_named_ports_and_usb_add_up(self) -> None:
        choices = select(ALL, ports=["/dev/ttyS0"], usb=[("1e2d", "0061")])
        assert chosen(choices) == [("/dev/ttyS0",), ("/dev/ttyUSB5",)]


class TestWithoutDriver:
    """A modem that no driver is bound to has USB interfaces for ports."""

    DIRECT = Device("usb", (Port("usb://1-1/2", Role.AT, 2), Port("usb://1-1/3")), UsbInfo("2c7c", "0999"), modem=True)
    BOTH = Device(
        "usb", (Port("usb://1-2/2", Role.AT, 2), Port("/dev/ttyUSB9", Role.AT_SECONDARY)), UsbInfo("2c7c", "0999")
    )

    def test_it_is_chosen_without_a_port_so_that_it_is_not_passed_over(self) -> None:
        assert select([self.DIRECT]) == (Choice(self.DIRECT, ()),)
        assert select([self.DIRECT], everything=True) == (Choice(self.DIRECT, ()),)
        assert select([self.DIRECT], usb=[("2c7c", "0125")]) == ()

    def test_usb_direct_takes_its_interfaces(self) -> None:
        assert select([self.DIRECT], usb_direct=True) == (Choice(self.DIRECT, ("usb://1-1/2",)),)
        assert select([STRANGER], usb_direct=True) == ()

    def test_of_a_modem_that_no_table_knows_every_interface_that_carries_bytes(self) -> None:
        ports = (Port("usb://1-1/0", Role.DIAG, 0), Port("usb://1-1/2"), Port("usb://1-1/3"))
        new = Device("usb", ports, UsbInfo("2c7c", "0999"), modem=True)
        assert select([new], usb_direct=True) == (Choice(new, ("usb://1-1/2", "usb://1-1/3")),)
        assert select([new]) == (Choice(new, ()),)

    def test_a_tty_goes_before_an_interface(self) -> None:
        assert chosen(select([self.BOTH], usb_direct=True)) == [("/dev/ttyUSB9", "usb://1-2/2")]
        assert chosen(select([self.BOTH])) == [("/dev/ttyUSB9",)]

    def test_it_can_be_named(self) -> None:
        assert named("usb://1-1/3", [self.DIRECT]) == Choice(self.DIRECT, ("usb://1-1/3",))


class TestNamed:
    @pytest.mark.parametrize("url", ["socket://192.0.2.7:2001", "rfc2217://[2001:db8::1]:2001"])
    def test_urls(self, url: str) -> None:
        assert named(url, ALL) == Choice(Device("url", (Port(url),)), (url,))

    def test_a_port_of_a_scanned_device(self) -> None:
        assert named("/dev/ttyUSB1", ALL) == Choice(MODEM, ("/dev/ttyUSB1",))

    def test_any_other_port(self) -> None:
        assert named("/dev/ttyAMA0", ALL) == Choice(Device("uart", (Port("/dev/ttyAMA0"),)), ("/dev/ttyAMA0",))

    def test_a_symlink_leads_to_the_port(self, tmp_path: Path) -> None:
        port = tmp_path / "ttyUSB0"
        port.touch()
        link = tmp_path / "by-id"
        link.symlink_to(port)
        device = Device("usb", (Port(str(port), Role.AT),), UsbInfo("2c7c", "0125"))
        assert named(str(link), [device]) == Choice(device, (str(port),))
