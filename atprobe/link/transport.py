"""Opening a port and moving bytes: ttys, wwan character devices, and pyserial's URLs.

A port is left as it was found: the line settings are restored, the claim is released, and DTR is not dropped
on close (HUPCL stays cleared, since to restore it would hang up a call). Nothing here pulses DTR or RTS; the
kernel itself raises both when a tty is opened.
"""

from __future__ import annotations

import errno
import os
import re
import select
import stat
import struct
import sys
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from typing import Any, Protocol, runtime_checkable

import serial

from atprobe.link._holders import Holder, holders, refuse_held
from atprobe.link._locks import lock
from atprobe.link.errors import PortError
from atprobe.model import ProblemKind

try:
    import fcntl
    import termios
except ImportError:  # Windows
    fcntl = termios = None  # type: ignore[assignment]

DEFAULT_BAUD = 115200
WRITE_SECONDS = 2.0
"""How long a port may refuse to take a command line before it counts as silent."""

_WWAN = re.compile(r"/dev/wwan\d+at\d+")
_CHUNK = 65536


class Transport(Protocol):
    """An open port. All methods raise PortError."""

    path: str

    def read(self, seconds: float) -> bytes:
        """What has arrived, waiting up to `seconds` for a first byte; empty where nothing came."""

    def write(self, data: bytes) -> None:
        """Send all of `data`."""

    def close(self) -> None:
        """Release the port; never raises."""


@runtime_checkable
class Rated(Transport, Protocol):
    """A port on a line that has a rate."""

    def set_baud(self, baud: int) -> None:
        """Change the rate, in bit/s; what is under way is lost. Raises ValueError where the port has no such rate."""


def open_port(
    path: str, baud: int = DEFAULT_BAUD, *, held: Mapping[str, Collection[Holder]] | None = None
) -> Transport:
    """Open and claim a port: a tty, `/dev/wwan*at*`, `socket://HOST:PORT`, `rfc2217://HOST:PORT` or `usb://1-1.2/3`.

    `baud` is the line rate in bit/s; it means something on real serial lines only. `held` is what `holders` said of
    this port and others; it is asked where not given, which costs a walk through /proc.

    A device that another process has locked, claimed or merely open is not touched. Raises PortError.
    """
    if path.startswith("usb://"):
        from atprobe.link._usb import open_usb

        return open_usb(path)
    if "://" in path:
        return _open_url(path, baud)
    if os.name != "posix":
        return _SerialTransport(path, _open_serial(path, baud))
    _check_device(path)
    refuse_held(path, (holders([path]) if held is None else held).get(path, ()))
    unlock = lock(path)
    try:
        return _open_wwan(path, unlock) if _WWAN.fullmatch(path) else _open_tty(path, baud, unlock)
    except BaseException:
        unlock()
        raise


class _FdTransport:
    """A port behind a file descriptor: select tells when to read, so no call waits longer than asked."""

    def __init__(self, path: str, fd: int, release: Callable[[], None]) -> None:
        self.path = path
        self._fd = fd
        self._release = release
        self._closed = False

    def read(self, seconds: float) -> bytes:
        try:
            ready, _, _ = select.select([self._fd], [], [], max(0.0, seconds))
            if not ready:
                return b""
            data = os.read(self._fd, _CHUNK)
        except BlockingIOError:
            return b""
        except (OSError, ValueError) as error:
            raise _vanished(self.path) from error
        if not data:
            raise _vanished(self.path)
        return data

    def write(self, data: bytes) -> None:
        deadline = time.monotonic() + WRITE_SECONDS
        while data:
            try:
                _, ready, _ = select.select([], [self._fd], [], max(0.0, deadline - time.monotonic()))
                if not ready:
                    raise PortError(ProblemKind.SILENT, self.path, "the port takes no bytes (flow control?)")
                data = data[os.write(self._fd, data) :]
            except BlockingIOError:
                continue
            except (OSError, ValueError) as error:
                raise _vanished(self.path) from error

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            with suppress(Exception):
                self._release()


class _TtyTransport(_FdTransport):
    """A tty that pyserial has opened and set up."""

    def __init__(self, path: str, port: serial.Serial, release: Callable[[], None]) -> None:
        super().__init__(path, port.fileno(), release)
        self._port = port

    def set_baud(self, baud: int) -> None:
        try:
            self._port.baudrate = baud
            termios.tcflush(self._fd, termios.TCIOFLUSH)
        except (OSError, termios.error) as error:
            raise _vanished(self.path) from error


class _SerialTransport:
    """A port that only pyserial can read (RFC 2217, Windows). It was opened with a short read timeout."""

    def __init__(self, path: str, port: serial.Serial) -> None:
        self.path = path
        self._port = port

    def read(self, seconds: float) -> bytes:
        deadline = time.monotonic() + seconds
        try:
            while True:
                data = self._port.read(1)
                if data:
                    return bytes(data + self._port.read(self._port.in_waiting))
                if time.monotonic() >= deadline:
                    return b""
        except (serial.SerialException, OSError) as error:
            raise _vanished(self.path) from error

    def write(self, data: bytes) -> None:
        try:
            self._port.write(data)
        except (serial.SerialException, OSError) as error:
            raise _vanished(self.path) from error

    def set_baud(self, baud: int) -> None:
        try:
            self._port.baudrate = baud
            self._port.reset_input_buffer()
        except (serial.SerialException, OSError) as error:
            raise _vanished(self.path) from error

    def close(self) -> None:
        with suppress(Exception):
            self._port.close()


class _Tty(serial.Serial):
    """pyserial's tty, with the line settings found on opening kept for closing."""

    found: list[Any] | None = None

    def _reconfigure_port(self, force_update: bool = False) -> None:
        if self.found is None and self.fd is not None:
            if _claimed(self.fd):
                raise OSError(errno.EBUSY, "is claimed")
            self.found = termios.tcgetattr(self.fd)
        super()._reconfigure_port(force_update)  # type: ignore[misc]


def _claimed(fd: int) -> bool:
    """Whether someone has claimed this tty with TIOCEXCL. Root can open it all the same, so root has to ask.

    A claim ends with the last close of the tty, so that of a program that crashed is gone unless a third still has
    the tty open.
    """
    if sys.platform != "linux":
        return False
    # TIOCGEXCL is _IOR('T', 0x40, int) in asm-generic/ioctls.h; Python's termios does not have it. MIPS, PowerPC,
    # SPARC and Alpha write "reads" as 2 << 29 where all others have 2 << 30.
    request = 0x40045440 if os.uname().machine.startswith(("mips", "ppc", "sparc", "alpha")) else 0x80045440
    state = bytearray(struct.calcsize("i"))
    try:
        fcntl.ioctl(fd, request, state)
    except OSError:  # a kernel before 3.8
        return False
    return any(state)


def _open_tty(path: str, baud: int, unlock: Callable[[], None]) -> Transport:
    port = _Tty()
    port.port, port.baudrate, port.exclusive = path, baud, True
    try:
        port.open()
    except (serial.SerialException, OSError, ValueError, termios.error) as error:
        raise _open_failure(path, error) from error
    fd = port.fileno()

    def release() -> None:
        with suppress(OSError, termios.error):
            fcntl.ioctl(fd, termios.TIOCNXCL)
        if port.found is not None:
            settings = list(port.found)
            settings[2] &= ~termios.HUPCL
            with suppress(termios.error):
                termios.tcsetattr(fd, termios.TCSANOW, settings)
        port.close()
        unlock()

    try:
        fcntl.ioctl(fd, termios.TIOCEXCL)
        settings = termios.tcgetattr(fd)
        settings[2] &= ~termios.HUPCL
        termios.tcsetattr(fd, termios.TCSANOW, settings)
    except (OSError, termios.error) as error:
        release()
        raise _vanished(path) from error
    return _TtyTransport(path, port, release)


def _open_wwan(path: str, unlock: Callable[[], None]) -> Transport:
    """Kernels before 5.19 give wwan AT ports no line settings at all, so pyserial cannot open them."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise _open_failure(path, error) from error

    def release() -> None:
        os.close(fd)
        unlock()

    return _FdTransport(path, fd, release)


def _open_url(url: str, baud: int) -> Transport:
    port = _open_serial(url, baud)
    if url.startswith("socket://") and os.name == "posix":
        return _FdTransport(url, port.fileno(), port.close)
    return _SerialTransport(url, port)


def _open_serial(path: str, baud: int) -> serial.Serial:
    try:
        return serial.serial_for_url(path, baudrate=baud, timeout=0.05)
    except (serial.SerialException, OSError, ValueError) as error:
        raise _open_failure(path, error) from error


def _check_device(path: str) -> None:
    try:
        found = os.stat(path)
    except OSError as error:
        raise _open_failure(path, error) from error
    if stat.S_ISCHR(found.st_mode) and sys.platform == "linux" and os.major(found.st_rdev) == 1:
        # Everybody has /dev/null open, and that says nothing (major 1 in Linux's admin-guide/devices.txt).
        raise PortError(ProblemKind.UNUSABLE, path, "is not a serial port")
    if not stat.S_ISCHR(found.st_mode):
        # A left-over file named like a port would answer with whatever was written to it.
        raise PortError(ProblemKind.UNUSABLE, path, "is not a device")


_BY_ERRNO = {
    errno.ENOENT: (ProblemKind.MISSING, "no such port"),
    errno.ENODEV: (ProblemKind.MISSING, "no such port"),
    errno.ENXIO: (ProblemKind.MISSING, "no such port"),
    errno.ECONNREFUSED: (ProblemKind.MISSING, "nothing listens there"),
    errno.EACCES: (ProblemKind.PERMISSION, "this user may not open it"),
    errno.EPERM: (ProblemKind.PERMISSION, "this user may not open it"),
    errno.EBUSY: (ProblemKind.BUSY, "is in use"),
    errno.EAGAIN: (ProblemKind.BUSY, "is in use"),
    errno.ENOTTY: (ProblemKind.UNUSABLE, "is not a serial port"),
    errno.EIO: (ProblemKind.VANISHED, "went away while it was being opened"),
}


def _open_failure(path: str, error: Exception) -> PortError:
    number = getattr(error, "errno", None)
    if termios is not None and isinstance(error, termios.error):
        number = error.args[0]
    if number is None and "exclusively lock" in str(error):
        number = errno.EBUSY
    if number is None:  # pyserial's URL handlers put the errno into the text
        found = re.search(r"\[Errno (-?\d+)\]", str(error))
        number = int(found.group(1)) if found else None
    if number in _BY_ERRNO:
        kind, message = _BY_ERRNO[number]
        return PortError(kind, path, message)
    if "://" in path and isinstance(error, serial.SerialException):
        return PortError(ProblemKind.MISSING, path, f"cannot be reached ({error})")
    return PortError(ProblemKind.UNUSABLE, path, f"cannot be opened ({error})")


def _vanished(path: str) -> PortError:
    return PortError(ProblemKind.VANISHED, path, "went away")
