"""Talking to a USB interface without a kernel driver, through the real pyusb and a backend that plays the device."""

from __future__ import annotations

import errno
import subprocess
import sys
import time
from array import array
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import usb.backend
import usb.core

from atprobe.link import PortError, Session, _usb, open_port
from atprobe.link._usb import UsbTransport, open_usb
from atprobe.model import ProblemKind

URL = "usb://1-1.2/3"
BULK_IN, BULK_OUT, INTERRUPT = (0x85, 2), (0x04, 2), (0x86, 3)
UNION = bytes((5, 0x24, 0x00, 0x10, 0x01)) + bytes((5, 0x24, 0x06, 2, 3))


def descriptor(zeros: str, **fields: object) -> SimpleNamespace:
    """A descriptor with the given fields, and those named in `zeros`."""
    return SimpleNamespace(**{**dict.fromkeys(["bLength", "bDescriptorType", *zeros.split()], 0), **fields})


class Backend(usb.backend.IBackend):  # type: ignore[misc]
    """One USB device among others. What must never be done to it is not here, and raises NotImplementedError."""

    def __init__(self) -> None:
        self.interfaces = {
            2: SimpleNamespace(kind=0x02, endpoints=[INTERRUPT], extra=b""),
            3: SimpleNamespace(kind=0xFF, endpoints=[INTERRUPT, BULK_IN, BULK_OUT], extra=b""),
        }
        self.packet = 512
        self.bound: set[int] = set()
        self.fail: dict[str, BaseException] = {}
        self.did: list[str] = []
        self.written: list[bytes] = []
        self.unread: list[bytes] = []
        self.waits: list[int] = []
        self.open = 0
        self.claimed: set[int] = set()
        self.takes = 10_000
        self.answer: Callable[[bytes], bytes] = lambda line: b""

    def _do(self, what: str) -> None:
        self.did.append(what)
        if what in self.fail:
            raise self.fail[what]

    def enumerate_devices(self) -> list[tuple[int, tuple[int, ...]]]:
        self._do("enumerate")
        return [(1, ()), (1, (1,)), (2, (1, 2)), (1, (1, 2)), (1, (1, 2, 1))]

    def get_device_descriptor(self, dev: tuple[int, tuple[int, ...]]) -> Any:
        ports = dev[1] or None
        return descriptor(
            "bcdUSB bDeviceClass bDeviceSubClass bDeviceProtocol bMaxPacketSize0 idVendor idProduct bcdDevice"
            " iManufacturer iProduct iSerialNumber speed",
            bNumConfigurations=1,
            address=7,
            bus=dev[0],
            port_number=ports[-1] if ports else 0,
            port_numbers=ports,
        )

    def get_configuration_descriptor(self, dev: object, config: int) -> Any:
        if config > 0:
            raise IndexError
        return descriptor(
            "wTotalLength iConfiguration bmAttributes bMaxPower",
            bNumInterfaces=len(self.interfaces),
            bConfigurationValue=1,
            extra_descriptors=b"",
        )

    def get_interface_descriptor(self, dev: object, intf: int, alt: int, config: int) -> Any:
        if alt > 0 or intf >= len(self.interfaces):
            raise IndexError
        number, each = list(self.interfaces.items())[intf]
        return descriptor(
            "bAlternateSetting bInterfaceSubClass bInterfaceProtocol iInterface",
            bInterfaceNumber=number,
            bNumEndpoints=len(each.endpoints),
            bInterfaceClass=each.kind,
            extra_descriptors=each.extra,
        )

    def get_endpoint_descriptor(self, dev: object, ep: int, intf: int, alt: int, config: int) -> Any:
        address, kind = list(self.interfaces.values())[intf].endpoints[ep]
        return descriptor(
            "bInterval bRefresh bSynchAddress",
            bEndpointAddress=address,
            bmAttributes=kind,
            wMaxPacketSize=self.packet,
            extra_descriptors=b"",
        )

    def open_device(self, dev: object) -> object:
        self._do("open")
        self.open += 1
        return dev

    def close_device(self, dev_handle: object) -> None:
        self._do("close")
        self.open -= 1

    def get_configuration(self, dev_handle: object) -> int:
        self._do("configuration")
        return 1

    def is_kernel_driver_active(self, dev_handle: object, intf: int) -> bool:
        self._do("driver")
        return intf in self.bound

    def claim_interface(self, dev_handle: object, intf: int) -> None:
        self._do("claim")
        self.claimed.add(intf)

    def release_interface(self, dev_handle: object, intf: int) -> None:
        self._do("release")
        self.claimed.remove(intf)

    def ctrl_transfer(self, dev_handle: object, *request: Any) -> int:
        kind, number, value, index, data, timeout = request
        assert len(data) == 0
        assert timeout > 0
        self._do(f"control {kind:02x} {number:02x} {value} {index}")
        return 0

    def bulk_write(self, dev_handle: object, ep: int, intf: int, data: array[int], timeout: int) -> int:
        assert (ep, intf, timeout > 0) == (BULK_OUT[0], 3, True)
        self._do("write")
        taken = bytes(data)[: self.takes]
        self.written.append(taken)
        if answer := self.answer(taken):
            self.unread.append(answer)
        return len(taken)

    def bulk_read(self, dev_handle: object, ep: int, intf: int, buff: array[int], timeout: int) -> int:
        assert (ep, intf) == (BULK_IN[0], 3)
        assert timeout > 0  # 0 would be for ever
        assert len(buff) % self.packet == 0
        self._do("read")
        self.waits.append(timeout)
        if not self.unread:
            raise usb.core.USBTimeoutError("Operation timed out", -7, errno.ETIMEDOUT)
        data = self.unread.pop(0)
        buff[: len(data)] = array("B", data)
        return len(data)


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Backend:
    monkeypatch.setattr(_usb, "SYSFS", tmp_path)
    return Backend()


def failure(backend: Backend, url: str = URL) -> PortError:
    with pytest.raises(PortError) as caught:
        open_usb(url, backend)
    assert caught.value.hint
    assert backend.open == 0
    assert backend.claimed == set()
    return caught.value


def usb_error(number: int) -> usb.core.USBError:
    return usb.core.USBError("text", -1, number)


def test_a_conversation(backend: Backend) -> None:
    backend.answer = lambda line: line + b"\r\nOK\r\n"
    port = open_usb(URL, backend)
    assert backend.claimed == {3}
    session = Session(port, frozenset())
    session.wake()
    assert session.replies[0].ok
    port.close()
    assert backend.written == [b"AT\r"]
    assert (backend.claimed, backend.open) == (set(), 0)
    port.close()


def test_dtr_is_raised_once_and_not_dropped(backend: Backend) -> None:
    open_usb(URL, backend).close()
    assert [each for each in backend.did if each.startswith("control")] == ["control 21 22 3 3"]


def test_of_a_cdc_data_interface_the_control_interface_is_told(backend: Backend) -> None:
    backend.interfaces[2].extra = UNION
    backend.interfaces[3].kind = 0x0A
    port = open_usb(URL, backend)
    assert "control 21 22 3 2" in backend.did
    port.close()
    assert backend.claimed == set()


@pytest.mark.parametrize("extra", [b"", b"\0\0\0", b"\x05\x24", UNION[:-1] + b"\x09", b"\xff\x24\x06\x02"])
def test_a_union_that_makes_no_sense(backend: Backend, extra: bytes) -> None:
    backend.interfaces[2].extra = extra
    backend.interfaces[3].kind = 0x0A
    open_usb(URL, backend).close()
    assert "control 21 22 3 3" in backend.did


@pytest.mark.parametrize("error", [usb_error(errno.EPIPE), usb.core.USBTimeoutError("t", -7, errno.ETIMEDOUT)])
def test_an_interface_without_line_state_is_used_all_the_same(backend: Backend, error: BaseException) -> None:
    backend.fail["control 21 22 3 3"] = error
    open_usb(URL, backend).close()


def test_reading(backend: Backend) -> None:
    port = open_usb(URL, backend)
    assert port.read(0) == b""
    assert port.read(0.2) == b""
    assert backend.waits == [1, 200]
    backend.unread = [b"x" * 512, b"OK\r\n"]
    assert port.read(1) == b"x" * 512
    assert port.read(1) == b"OK\r\n"
    port.close()


@pytest.mark.parametrize(
    ("size", "transfers"), [(511, [511]), (512, [512, 0]), (1024, [1024, 0]), (1025, [1025]), (3, [3])]
)
def test_whole_packets_are_ended_by_an_empty_one(backend: Backend, size: int, transfers: list[int]) -> None:
    port = open_usb(URL, backend)
    port.write(b"x" * size)
    assert [len(each) for each in backend.written] == transfers
    port.close()


def test_what_is_taken_in_parts_is_sent_on(backend: Backend) -> None:
    backend.takes = 2
    port = open_usb(URL, backend)
    port.write(b"AT+CGMM\r")
    assert b"".join(backend.written) == b"AT+CGMM\r"
    port.close()


def test_a_port_that_takes_nothing(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_usb, "WRITE_SECONDS", 0.05)
    port = open_usb(URL, backend)
    backend.takes = 0
    start = time.monotonic()
    with pytest.raises(PortError) as caught:
        port.write(b"AT\r")
    assert caught.value.kind is ProblemKind.SILENT
    assert time.monotonic() - start < 2
    backend.fail["write"] = usb.core.USBTimeoutError("t", -7, errno.ETIMEDOUT)
    with pytest.raises(PortError, match="takes no bytes"):
        port.write(b"AT\r")
    port.close()


@pytest.mark.parametrize("what", ["read", "write"])
@pytest.mark.parametrize("number", [errno.ENODEV, errno.EIO])
def test_unplugged(backend: Backend, what: str, number: int) -> None:
    port = open_usb(URL, backend)
    backend.fail[what] = backend.fail["release"] = usb_error(number)
    with pytest.raises(PortError) as caught:
        port.read(1) if what == "read" else port.write(b"AT\r")
    assert caught.value.kind is ProblemKind.VANISHED
    port.close()
    assert backend.open == 0


@pytest.mark.parametrize(
    ("what", "number", "kind"),
    [
        ("open", errno.EACCES, ProblemKind.PERMISSION),
        ("open", errno.ENODEV, ProblemKind.VANISHED),
        ("configuration", errno.EIO, ProblemKind.VANISHED),
        ("claim", errno.EBUSY, ProblemKind.BUSY),
        ("claim", errno.ENOENT, ProblemKind.MISSING),
        ("claim", errno.EINVAL, ProblemKind.UNUSABLE),
        ("control 21 22 3 3", errno.ENODEV, ProblemKind.VANISHED),
    ],
)
def test_failures_have_a_name_and_leave_nothing_open(
    backend: Backend, what: str, number: int, kind: ProblemKind
) -> None:
    backend.fail[what] = usb_error(number)
    assert failure(backend).kind is kind


def test_no_permission_names_the_rules(backend: Backend) -> None:
    backend.fail["open"] = usb_error(errno.EACCES)
    assert "atprobe udev rules" in failure(backend).hint


def test_a_device_that_hangs(backend: Backend) -> None:
    backend.fail["configuration"] = usb.core.USBTimeoutError("t", -7, errno.ETIMEDOUT)
    assert failure(backend).kind is ProblemKind.SILENT


@pytest.mark.parametrize("url", ["usb://1-1.3/3", "usb://3-1.2/3", "usb://1-1/9", "usb://1-1.2/9"])
def test_missing(backend: Backend, url: str) -> None:
    assert failure(backend, url).kind is ProblemKind.MISSING


@pytest.mark.parametrize("url", ["usb://", "usb://1/2", "usb://1-1.2", "usb://1-1..2/3", "usb://usb1/0", URL + "/"])
def test_a_place_that_is_none(url: str) -> None:
    with pytest.raises(PortError) as caught:
        open_port(url)
    assert caught.value.kind is ProblemKind.UNUSABLE


def test_an_interface_without_bulk_endpoints(backend: Backend) -> None:
    assert failure(backend, "usb://1-1.2/2").kind is ProblemKind.UNUSABLE
    assert "claim" not in backend.did


def test_a_bound_driver_is_named_and_the_device_not_even_opened(backend: Backend, tmp_path: Path) -> None:
    (tmp_path / "1-1.2:1.3").mkdir()
    driver = tmp_path / "1-1.2:1.3" / "driver"
    driver.symlink_to("../../drivers/option")
    error = failure(backend)
    assert (error.kind, error.message) == (ProblemKind.BUSY, "the kernel's driver option is bound to it")
    assert "tty" in error.hint
    assert backend.did == ["enumerate"]
    driver.unlink()
    driver.symlink_to("../../drivers/usbfs")
    open_usb(URL, backend).close()


def test_a_bound_driver_where_there_is_no_sysfs(backend: Backend) -> None:
    backend.bound = {3}
    assert failure(backend).kind is ProblemKind.BUSY
    assert "claim" not in backend.did


def test_a_system_that_cannot_tell_about_drivers(backend: Backend) -> None:
    backend.fail["driver"] = NotImplementedError("is_kernel_driver_active")
    open_usb(URL, backend).close()


def test_no_libusb(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object, **__: object) -> None:
        raise usb.core.NoBackendError("No backend available")

    monkeypatch.setattr(usb.core, "find", none)
    with pytest.raises(PortError) as caught:
        open_port(URL)
    assert caught.value.kind is ProblemKind.UNUSABLE
    assert "libusb-1.0-0" in caught.value.hint


def test_no_pyusb(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "usb.core", None)
    with pytest.raises(PortError) as caught:
        open_port(URL)
    assert (caught.value.kind, caught.value.hint) == (ProblemKind.UNUSABLE, "pip install pyusb")


def test_the_url_leads_here(monkeypatch: pytest.MonkeyPatch, backend: Backend) -> None:
    find = usb.core.find
    monkeypatch.setattr(usb.core, "find", lambda **options: find(**{**options, "backend": backend}))
    port = open_port(URL)
    assert isinstance(port, UsbTransport)
    assert port.path == URL
    port.close()


def test_pyusb_is_loaded_only_where_it_is_wanted() -> None:
    code = "import sys, atprobe.fingerprint, atprobe.link; print(*{'usb', 'jeepney', 'pyudev'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
