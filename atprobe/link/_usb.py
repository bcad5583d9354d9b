"""A modem's AT port straight over USB, where the kernel has no driver for it: bulk transfers through libusb.

The device is taken as it is: its configuration and its alternate settings are not changed, it is not reset, and no
driver is ever detached. An interface that a driver is bound to is refused; that driver's tty is the way to it.

Modules look at DTR before they answer, so it is raised with RTS, as the kernel's drivers do on opening (usb_wwan's
and cdc-acm's dtr_rts). It stays raised on closing, as on a tty here: to drop it can hang up a call (V.250 6.2.9, &D).
"""

from __future__ import annotations

import errno
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from atprobe.link.errors import PortError
from atprobe.model import ProblemKind

SYSFS = Path("/sys/bus/usb/devices")
WRITE_SECONDS = 2.0
"""How long a port may refuse to take a command line before it counts as silent."""
_CONTROL_SECONDS = 1.0

_URL = re.compile(r"usb://(\d+)-(\d+(?:\.\d+)*)/(\d+)")
_BULK, _IN = 2, 0x80  # USB 2.0 table 9-13: bmAttributes bits 1..0, bEndpointAddress bit 7
_CDC_DATA = 0x0A
_CS_INTERFACE, _UNION = 0x24, 0x06  # USB CDC 1.2 tables 12 and 13
# USB CDC PSTN 1.2, 6.3.12 SetControlLineState: bit 0 DTR, bit 1 RTS; to an interface, class request.
_SET_CONTROL_LINE_STATE, _TO_INTERFACE, _DTR_RTS = 0x22, 0x21, 0b11

_BY_ERRNO = {
    errno.ENODEV: (ProblemKind.VANISHED, "went away", None),
    errno.EIO: (ProblemKind.VANISHED, "went away", None),
    errno.ENOENT: (ProblemKind.MISSING, "no such USB interface", None),
    errno.EACCES: (
        ProblemKind.PERMISSION,
        "this user may not open it",
        "run as root, or install the rules that `atprobe udev rules` prints and plug the device in again",
    ),
    errno.EBUSY: (ProblemKind.BUSY, "is in use by another program", None),
    errno.EPIPE: (ProblemKind.UNUSABLE, "the device refuses transfers (stall)", None),
}


def open_usb(url: str, backend: Any = None) -> UsbTransport:
    """Claim an interface of a USB device: `usb://1-1.2/3` is interface 3 of the device at port 2 of the hub at port 1
    of bus 1, as sysfs and `lsusb -t` name places. Raises PortError. `backend` is pyusb's; its own choice where None.
    """
    found = _URL.fullmatch(url)
    if found is None:
        raise PortError(ProblemKind.UNUSABLE, url, "is not a USB place like usb://1-1.2/3")
    place, number = f"{found.group(1)}-{found.group(2)}", int(found.group(3))
    device = _find(url, int(found.group(1)), tuple(int(port) for port in found.group(2).split(".")), backend)
    if (driver := _driver(place, number)) is not None:
        raise _bound(url, driver)
    try:
        with _errors(url):
            return _claim(url, device, number)
    except TimeoutError:
        _dispose(device)
        raise PortError(ProblemKind.SILENT, url, "the device does not answer on USB") from None
    except BaseException:
        _dispose(device)
        raise


class UsbTransport:
    """A claimed interface with a bulk endpoint in each direction."""

    def __init__(self, path: str, device: Any, receive: Any, send: Any) -> None:
        self.path = path
        self._device, self._in, self._out = device, receive, send
        self._closed = False

    def read(self, seconds: float) -> bytes:
        # One packet at a time: a transfer ends with a short packet, and a longer one could wait for that in vain.
        try:
            with _errors(self.path):
                # 0 would mean for ever.
                return bytes(self._in.read(self._in.wMaxPacketSize, max(1, round(seconds * 1000))))
        except TimeoutError:
            return b""

    def write(self, data: bytes) -> None:
        # A transfer of whole packets needs an empty one behind it, or the device waits for more (USB 2.0, 5.8.3).
        ends_short = len(data) % self._out.wMaxPacketSize != 0
        deadline = time.monotonic() + WRITE_SECONDS
        try:
            with _errors(self.path):
                while data:
                    data = data[self._send(data, deadline) :]
                if not ends_short:
                    self._send(b"", deadline)
        except TimeoutError:
            raise PortError(ProblemKind.SILENT, self.path, "the port takes no bytes (flow control?)") from None

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            _dispose(self._device)

    def _send(self, data: bytes, deadline: float) -> int:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return int(self._out.write(data, max(1, round(left * 1000))))


def _find(url: str, bus: int, ports: tuple[int, ...], backend: Any) -> Any:
    try:
        import usb.core
    except ImportError as error:
        raise PortError(ProblemKind.UNUSABLE, url, "pyusb is missing", "pip install pyusb") from error

    def here(device: Any) -> bool:
        return bool(device.bus == bus and device.port_numbers == ports)

    try:
        with _errors(url):
            device = next(iter(usb.core.find(find_all=True, custom_match=here, backend=backend)), None)
    except usb.core.NoBackendError as error:
        hint = "install libusb (Debian: apt install libusb-1.0-0, Fedora: libusb1, OpenWrt: libusb-1.0)"
        raise PortError(ProblemKind.UNUSABLE, url, "libusb is missing", hint) from error
    if device is None:
        raise PortError(ProblemKind.MISSING, url, "no USB device is there")
    return device


def _driver(place: str, number: int) -> str | None:
    """The kernel's driver for an interface, from sysfs; None where it has none or cannot be told."""
    for folder in SYSFS.glob(f"{place}:*.{number}"):
        with suppress(OSError):
            name = (folder / "driver").readlink().name
            return None if name == "usbfs" else name  # usbfs stands for a program that has claimed it
    return None


def _bound(url: str, driver: str) -> PortError:
    return PortError(ProblemKind.BUSY, url, f"the kernel's driver {driver} is bound to it", "name that driver's tty")


def _claim(url: str, device: Any, number: int) -> UsbTransport:
    import usb.core
    import usb.util

    configuration = device.get_active_configuration()
    interface = usb.util.find_descriptor(configuration, bInterfaceNumber=number, bAlternateSetting=0)
    if interface is None:
        raise PortError(ProblemKind.MISSING, url, f"the device has no interface {number}")
    endpoints = [endpoint for endpoint in interface if endpoint.bmAttributes & 3 == _BULK]
    receive = next((endpoint for endpoint in endpoints if endpoint.bEndpointAddress & _IN), None)
    send = next((endpoint for endpoint in endpoints if not endpoint.bEndpointAddress & _IN), None)
    if receive is None or send is None or not receive.wMaxPacketSize or not send.wMaxPacketSize:
        raise PortError(ProblemKind.UNUSABLE, url, "the interface has no pair of bulk endpoints")
    with suppress(NotImplementedError):  # where libusb cannot tell, claiming does
        if device.is_kernel_driver_active(number):
            raise _bound(url, "of this interface")
    usb.util.claim_interface(device, number)
    control = _control_interface(configuration, interface)
    try:
        device.ctrl_transfer(
            _TO_INTERFACE, _SET_CONTROL_LINE_STATE, _DTR_RTS, control, timeout=round(_CONTROL_SECONDS * 1000)
        )
    except usb.core.USBError as error:
        # Some interfaces know no such request and answer AT all the same.
        if error.errno != errno.EPIPE and not isinstance(error, usb.core.USBTimeoutError):
            raise
    return UsbTransport(url, device, receive, send)


def _control_interface(configuration: Any, interface: Any) -> int:
    """Where an interface's line state is set: itself, or for a CDC data interface the one that a union ties it to."""
    number = int(interface.bInterfaceNumber)
    if interface.bInterfaceClass == _CDC_DATA:
        for other in configuration:
            for piece in _descriptors(bytes(other.extra_descriptors)):
                if piece[1:3] == bytes((_CS_INTERFACE, _UNION)) and number in piece[4:]:
                    return piece[3]
    return number


def _descriptors(data: bytes) -> Iterator[bytes]:
    while len(data) > 1 and data[0] > 1:
        yield data[: data[0]]
        data = data[data[0] :]


@contextmanager
def _errors(url: str) -> Iterator[None]:
    """What pyusb raises, as PortError; a timeout as TimeoutError."""
    from usb.core import USBError, USBTimeoutError

    try:
        yield
    except USBTimeoutError:
        raise TimeoutError from None
    except USBError as error:
        kind, message, hint = _BY_ERRNO.get(error.errno, (ProblemKind.UNUSABLE, f"cannot be used ({error})", None))
        raise PortError(kind, url, message, hint) from error


def _dispose(device: Any) -> None:
    """Release what was claimed and close the device."""
    import usb.util

    with suppress(Exception):
        usb.util.dispose_resources(device)
