"""Why a module that is attached has no port to talk to, from the bus alone."""

from __future__ import annotations

from collections.abc import Iterable

from atprobe.discover._roles import pci_driver, serial_driver
from atprobe.discover._select import Choice
from atprobe.knowledge import Knowledge
from atprobe.model import Device, Problem, ProblemKind, Role

MASS_STORAGE = "08"
"""bInterfaceClass of a disk (USB Mass Storage Class Specification Overview)."""


def obstacle(device: Device, knowledge: Knowledge) -> Problem | None:
    """What keeps a modem without a usable AT port from being asked; None where nothing does, or it is no modem."""
    if not device.modem or any(port.role.is_control and "://" not in port.path for port in device.ports):
        return None
    where = called(device)
    usb = device.usb
    if device.firmware_mode is not None:
        return Problem(
            where,
            ProblemKind.FIRMWARE_MODE,
            f"waits for new firmware ({device.firmware_mode}) and does not speak AT",
            "take its power away for some seconds; if it comes back like this it needs its maker's firmware tool",
        )
    if usb is not None and usb.interfaces and all(i.interface_class == MASS_STORAGE for i in usb.interfaces):
        return Problem(
            where,
            ProblemKind.STORAGE,
            "shows the disk with its drivers and not yet its modem",
            f"install usb-modeswitch and plug it in again, or run: usb_modeswitch -v {usb.vid} -p {usb.pid} -K",
        )
    if any(port.path.startswith("usb://") for port in device.ports):
        return Problem(
            where,
            ProblemKind.NO_DRIVER,
            "no driver is bound to its serial interfaces, so it has no tty",
            f"try --usb-direct, or let the driver know it: {new_id(device, knowledge)}",
        )
    if device.pci is not None and not device.ports:
        return Problem(
            where,
            ProblemKind.NO_DRIVER,
            f"no driver has made a port of it ({device.pci.vid}:{device.pci.did})",
            f"load its driver: modprobe {pci_driver(device.pci, knowledge)}; a kernel that has none is too old for it",
        )
    return Problem(
        where,
        ProblemKind.NO_AT_PORT,
        f"has no port that is known to speak AT{_shows(device)}",
        f"name a port with --port, {_ask_all(device)}or switch the module to a composition with an AT port",
    )


def obstacles(choices: Iterable[Choice], knowledge: Knowledge) -> tuple[Problem, ...]:
    """A problem for each chosen modem that has no port to open, so that nobody takes it for absent."""
    found = (obstacle(choice.device, knowledge) for choice in choices if not choice.paths)
    return tuple(problem for problem in found if problem is not None)


def called(device: Device) -> str:
    """How a device without a usable port is called in a message: where it is, else its first port."""
    if device.usb is not None and device.usb.path:
        return f"usb {device.usb.path}"
    if device.pci is not None:
        return f"pci {device.pci.slot}"
    return device.ports[0].path if device.ports else device.bus


def new_id(device: Device, knowledge: Knowledge) -> str:
    """The command that binds a usb-serial driver to the device (Linux, Documentation/usb/usb-serial.rst)."""
    assert device.usb is not None
    driver = serial_driver(device.usb, knowledge)
    folder = f"/sys/bus/usb-serial/drivers/{_SERIAL_NAMES.get(driver, driver)}"
    return f"modprobe {driver}; echo {device.usb.vid} {device.usb.pid} > {folder}/new_id"


def _ask_all(device: Device) -> str:
    """What asks all ports of this device that may be for AT, and none of other devices'."""
    if all(port.role is not Role.UNKNOWN for port in device.ports):
        return ""
    ids = f" --usb {device.usb.vid}:{device.usb.pid}" if device.usb is not None else ""
    return f"try --all{ids}, "


_SERIAL_NAMES = {"option": "option1"}
"""Names of usb-serial drivers below /sys that are not those of their modules."""


def _shows(device: Device) -> str:
    seen = sorted({str(port.role) for port in device.ports})
    return f" (it has: {', '.join(seen)})" if seen else ""
