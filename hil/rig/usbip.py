"""A USB device played by this process, for the kernel's vhci_hcd: the device's end of the USB/IP protocol.

`vhci_hcd` takes any connected stream socket, so no network and no usbip(8) are needed: `attach` gives the kernel
one end of a socket pair, and a thread serves the other. The messages are those of the kernel's
Documentation/usb/usbip_protocol.rst; isochronous transfers are left out.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections import Counter, deque
from enum import IntEnum
from pathlib import Path
from typing import NamedTuple, Protocol

VHCI = Path("/sys/devices/platform/vhci_hcd.0")

_COMMAND = struct.Struct(">5I")  # command, sequence number, device, direction, endpoint
_SUBMIT = struct.Struct(">I4i8s")  # flags, length, start frame, packets, interval, setup
_UNLINK = struct.Struct(">I24x")  # sequence number of what is to be cancelled
_SUBMITTED = struct.Struct(">5I5i8x")  # the command's five, then status, length, start frame, packets, errors
_UNLINKED = struct.Struct(">5Ii24x")  # the command's five, then status

_CMD_SUBMIT, _CMD_UNLINK, _RET_SUBMIT, _RET_UNLINK = 1, 2, 3, 4
_IN = 1
_EPIPE, _ECONNRESET = 32, 104
_FREE = 4  # VDEV_ST_NULL in the status file
_KEPT = 1 << 16


class Speed(IntEnum):
    """The kernel's numbers."""

    FULL = 2
    HIGH = 3


class Stall(Exception):
    """The device does not know this control request."""


class Setup(NamedTuple):
    """The eight bytes that open a control transfer (USB 2.0, 9.3)."""

    kind: int
    request: int
    value: int
    recipient: int
    """wIndex: which interface or endpoint."""
    length: int


class Device(Protocol):
    """What is asked of a device. All calls come from one thread."""

    speed: Speed

    def control(self, setup: Setup, data: bytes) -> bytes:
        """Answer a control transfer; raises Stall where it is not known."""

    def receive(self, endpoint: int, data: bytes) -> None:
        """Take what the host sent to a bulk or interrupt endpoint."""


class Plug:
    """A device in a port of the virtual host controller; see `attach`."""

    def __init__(self, device: Device, port: int, end: socket.socket) -> None:
        self.port = port
        self._device, self._socket = device, end
        # Transfers that the host has asked for and there is no data yet, and the other way round, by endpoint.
        self._waiting: dict[int, deque[tuple[int, int]]] = {}
        self._data: dict[int, bytearray] = {}
        # An answer must be sent in the same breath as its transfer is taken off the list: an answer to one that
        # has been cancelled meanwhile makes the kernel drop the device.
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._serve, daemon=True, name=f"vhci port {port}")
        self._thread.start()

    def send(self, endpoint: int, data: bytes, *, if_wanted: bool = False) -> None:
        """Data for the host. `if_wanted`: dropped unless the host is reading right now, as a stream is."""
        with self._lock:
            if if_wanted and not self._waiting.get(endpoint):
                return
            kept = self._data.setdefault(endpoint, bytearray())
            kept += data
            del kept[:-_KEPT]
            self._pump(endpoint)

    def detach(self) -> None:
        """Pull the plug. The kernel finishes it on its own."""
        (VHCI / "detach").write_text(str(self.port))

    def _serve(self) -> None:
        try:
            while True:
                self._command()
        except (EOFError, OSError):
            self._socket.close()

    def _command(self) -> None:
        command, number, _, direction, endpoint = _COMMAND.unpack(self._read(_COMMAND.size))
        if command == _CMD_UNLINK:
            (victim,) = _UNLINK.unpack(self._read(_UNLINK.size))
            with self._lock:
                self._socket.sendall(_UNLINKED.pack(_RET_UNLINK, number, 0, 0, 0, self._cancel(victim)))
            return
        _, length, _, _, _, raw = _SUBMIT.unpack(self._read(_SUBMIT.size))
        data = b"" if direction == _IN else self._read(length)
        if endpoint == 0:
            self._control(number, Setup(*struct.unpack("<BBHHH", raw)), data)
        elif direction == _IN:
            with self._lock:
                self._waiting.setdefault(endpoint, deque()).append((number, length))
                self._pump(endpoint)
        else:
            with self._lock:
                self._answer(number, length=len(data))
            self._device.receive(endpoint, data)

    def _control(self, number: int, setup: Setup, data: bytes) -> None:
        try:
            answer, status = self._device.control(setup, data), 0
        except Stall:
            answer, status = b"", -_EPIPE
        with self._lock:
            if setup.kind & 0x80:
                self._answer(number, status, answer[: setup.length])
            else:
                self._answer(number, status, length=len(data))

    def _pump(self, endpoint: int) -> None:
        waiting, data = self._waiting.get(endpoint), self._data.get(endpoint)
        while waiting and data:
            number, length = waiting.popleft()
            self._answer(number, 0, bytes(data[:length]))
            del data[:length]

    def _cancel(self, victim: int) -> int:
        """The status for the kernel: cancelled, or 0 where the answer is out already."""
        for waiting in self._waiting.values():
            for transfer in waiting:
                if transfer[0] == victim:
                    waiting.remove(transfer)
                    return -_ECONNRESET
        return 0

    def _answer(self, number: int, status: int = 0, data: bytes = b"", length: int | None = None) -> None:
        actual = len(data) if length is None else length
        self._socket.sendall(_SUBMITTED.pack(_RET_SUBMIT, number, 0, 0, 0, status, actual, 0, 0, 0) + data)

    def _read(self, count: int) -> bytes:
        data = bytearray()
        while len(data) < count:
            part = self._socket.recv(count - len(data))
            if not part:
                raise EOFError
            data += part
        return bytes(data)


def attach(device: Device, port: int | None = None) -> Plug:
    """Plug a device into that port of the virtual host controllers, or else into one of the least busy of them.

    Each controller takes half a second to look at a new device, one after the other.
    """
    rows = ports()
    used = Counter(row.controller for row in rows if not row.free)
    free = sorted((row for row in rows if row.free), key=lambda row: (used[row.controller], row.port))
    if not free or (port is not None and port not in {row.port for row in free}):
        raise OSError(f"port {port} of the virtual host controller is not free")
    port = free[0].port if port is None else port
    ours, theirs = socket.socketpair()
    # Socket buffers of the default size would do for a modem, but a full one would block the kernel's thread.
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    plug = Plug(device, port, ours)
    with theirs:
        # The second last number is any: it names the device to the far end, which is us.
        (VHCI / "attach").write_text(f"{port} {theirs.fileno()} {port + 1} {int(device.speed)}")
    return plug


class Socket(NamedTuple):
    """A high-speed port, and the name in /sys/bus/usb/devices of the device in it once the kernel has looked at it."""

    controller: int
    port: int
    free: bool
    name: str | None


def ports() -> list[Socket]:
    """The high-speed ports of all controllers, in the order of their numbers."""
    rows = []
    files = {int(file.suffix[1:] or 0): file for file in VHCI.glob("status*")}
    for controller in sorted(files):
        for line in files[controller].read_text().splitlines():
            # hub port sta spd dev sockfd local_busid
            if line.startswith("hs"):
                fields = line.split()
                name = fields[6] if fields[6] != "0-0" else None
                rows.append(Socket(controller, int(fields[1]), int(fields[2]) == _FREE, name))
    return rows
