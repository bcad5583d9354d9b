"""What a USB device says of itself, as values, and the descriptors made from them (USB 2.0, 9.6; CDC 1.2; MBIM 1.0)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from atprobe.model import Role
from hil.rig.usbip import Speed

_DEVICE, _CONFIGURATION, _STRING, _INTERFACE, _ENDPOINT, _ASSOCIATION = 1, 2, 3, 4, 5, 11
_CS_INTERFACE = 0x24
_MAC = 4


class Pipe(IntEnum):
    """An endpoint's direction and transfer type."""

    INTERRUPT_IN = 0x83
    BULK_IN = 0x82
    BULK_OUT = 0x02


class Interface(NamedTuple):
    """One interface descriptor with what follows it.

    `port` is the interface that a user of the function knows it by: of a CDC pair the control interface, whose
    number the driver's tty has. `driver` is the one expected to bind. `alternate`: endpoints only in setting 1.
    """

    number: int
    triple: tuple[int, int, int]
    pipes: tuple[Pipe, ...]
    role: Role
    driver: str | None
    port: int
    functional: bytes = b""
    association: bytes = b""
    alternate: bool = False


@dataclass(frozen=True)
class Layout:
    """A device as the bus shows it. `strings`: manufacturer, product, serial number; `attributes`: of 9.6.3."""

    vid: int
    pid: int
    strings: tuple[str, str, str | None]
    interfaces: tuple[Interface, ...]
    release: int = 0x0100
    triple: tuple[int, int, int] = (0, 0, 0)
    speed: Speed = Speed.HIGH
    attributes: int = 0xA0
    milliampere: int = 500
    mac: str | None = None


BULK = (Pipe.BULK_IN, Pipe.BULK_OUT)
SERIAL = (Pipe.INTERRUPT_IN, *BULK)


def vendor(
    number: int,
    triple: tuple[int, int, int],
    role: Role,
    driver: str | None,
    pipes: tuple[Pipe, ...] = SERIAL,
    *,
    functional: bool = False,
) -> tuple[Interface, ...]:
    """A vendor-specific function. `functional`: with the CDC descriptors that many Qualcomm firmwares leave in."""
    extra = _functional(0x00, 0x10, 0x01) + _functional(0x01, 0, 0) + _functional(0x02, 2) + _functional(0x06, 0, 0)
    return (Interface(number, triple, pipes, role, driver, number, extra if functional else b""),)


def acm(
    number: int,
    role: Role,
    triple: tuple[int, int, int] = (2, 2, 1),
    driver: str | None = "cdc_acm",
    *,
    associated: bool = True,
) -> tuple[Interface, ...]:
    """A CDC Abstract Control Model function: interfaces `number` and the next one."""
    data = number + 1
    functional = (
        _functional(0x00, 0x10, 0x01)
        + _functional(0x01, 3, data)
        + _functional(0x02, 2)
        + _functional(0x06, number, data)
    )
    control = Interface(number, triple, (Pipe.INTERRUPT_IN,), role, driver, number, functional)
    return (
        control._replace(association=_associated(number, triple) if associated else b""),
        Interface(data, (10, 0, 0), BULK, role, driver, number),
    )


def mbim(number: int) -> tuple[Interface, ...]:
    """A Mobile Broadband Interface Model function: interfaces `number` and the next one."""
    data, triple = number + 1, (2, 14, 0)
    functional = (
        _functional(0x00, 0x20, 0x01)
        + _functional(0x06, number, data)
        # Version, control message size, filters and their size, segment size, capabilities
        + _functional(0x1B, *struct.pack("<HHBBHB", 0x0100, 512, 32, 192, 1500, 0))
        # Version, outstanding messages, MTU
        + _functional(0x1C, *struct.pack("<HBH", 0x0100, 1, 1500))
    )
    control = Interface(number, triple, (Pipe.INTERRUPT_IN,), Role.MBIM, "cdc_mbim", number, functional)
    return (
        control._replace(association=_associated(number, triple)),
        Interface(data, (10, 0, 2), BULK, Role.MBIM, "cdc_mbim", number, alternate=True),
    )


def ecm(number: int) -> tuple[Interface, ...]:
    """A CDC Ethernet function: interfaces `number` and the next one. The device has to have `mac`."""
    data, triple = number + 1, (2, 6, 0)
    functional = (
        _functional(0x00, 0x10, 0x01)
        + _functional(0x06, number, data)
        # Number of the string with the MAC, statistics, segment size, filters
        + _functional(0x0F, *struct.pack("<BIHHB", _MAC, 0, 1514, 0, 0))
    )
    control = Interface(number, triple, (Pipe.INTERRUPT_IN,), Role.UNKNOWN, "cdc_ether", number, functional)
    return (
        control._replace(association=_associated(number, triple)),
        Interface(data, (10, 0, 0), BULK, Role.UNKNOWN, "cdc_ether", number, alternate=True),
    )


class Descriptors:
    """The bytes of one layout, and where its endpoints lead. Endpoint numbers are allotted in order."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self.out: dict[int, int] = {}
        """The port that each OUT endpoint belongs to."""
        self.bulk_in: dict[int, int] = {}
        """The endpoint number on which each port talks to the host."""
        self._addresses: dict[tuple[int, Pipe], int] = {}
        self._allot()
        self.device = self._device()
        self.configuration = self._configuration()

    def string(self, index: int) -> bytes | None:
        if index == 0:
            return bytes([4, _STRING]) + struct.pack("<H", 0x0409)
        strings = (*self._layout.strings, self._layout.mac)
        text = strings[index - 1] if index <= len(strings) else None
        if text is None:
            return None
        encoded = text.encode("utf-16-le")
        return bytes([2 + len(encoded), _STRING]) + encoded

    def _allot(self) -> None:
        ins = outs = 0
        for interface in self._layout.interfaces:
            for pipe in interface.pipes:
                if pipe is Pipe.BULK_OUT:
                    outs += 1
                    self._addresses[interface.number, pipe] = outs
                    self.out[outs] = interface.port
                else:
                    ins += 1
                    self._addresses[interface.number, pipe] = ins | 0x80
                    if pipe is Pipe.BULK_IN:
                        self.bulk_in[interface.port] = ins
        if max(ins, outs) > 15:
            raise ValueError("more endpoints than USB has numbers for")

    def _device(self) -> bytes:
        layout = self._layout
        serial = 3 if layout.strings[2] else 0
        fields = (0x0200, *layout.triple, 64, layout.vid, layout.pid, layout.release, 1, 2, serial, 1)
        return struct.pack("<BBHBBBBHHHBBBB", 18, _DEVICE, *fields)

    def _configuration(self) -> bytes:
        layout = self._layout
        body = b"".join(map(self._interface, layout.interfaces))
        numbers = {interface.number for interface in layout.interfaces}
        fields = (9 + len(body), len(numbers), 1, 0, layout.attributes, layout.milliampere // 2)
        return struct.pack("<BBHBBBBB", 9, _CONFIGURATION, *fields) + body

    def _interface(self, interface: Interface) -> bytes:
        def head(setting: int, endpoints: int) -> bytes:
            return bytes([9, _INTERFACE, interface.number, setting, endpoints, *interface.triple, 0])

        endpoints = b"".join(self._endpoint(interface.number, pipe) for pipe in interface.pipes)
        count = len(interface.pipes)
        if interface.alternate:
            return head(0, 0) + interface.functional + head(1, count) + endpoints
        return interface.association + head(0, count) + interface.functional + endpoints

    def _endpoint(self, number: int, pipe: Pipe) -> bytes:
        high = self._layout.speed is Speed.HIGH
        size, interval = (16, 9 if high else 32) if pipe is Pipe.INTERRUPT_IN else (512 if high else 64, 0)
        return struct.pack("<BBBBHB", 7, _ENDPOINT, self._addresses[number, pipe], pipe & 3, size, interval)


def _functional(subtype: int, *data: int) -> bytes:
    return bytes([3 + len(data), _CS_INTERFACE, subtype, *data])


def _associated(first: int, triple: tuple[int, int, int]) -> bytes:
    return bytes([8, _ASSOCIATION, first, 2, *triple, 0])
