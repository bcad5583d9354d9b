"""Checks of one device: has it a driver, an AT port, the right mode, and is ModemManager's hand on it."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator

from atprobe import discover
from atprobe.doctor._complaint import Complaint, Gravity, Kind
from atprobe.doctor._facts import Facts
from atprobe.doctor._host import Driver, Host
from atprobe.doctor._ports import stop_command
from atprobe.doctor._shell import as_root, atprobe_as_root, script_as_root, write_as_root
from atprobe.link import MODEM_MANAGER
from atprobe.model import Device, ProblemKind, UsbInfo

SHORT_MS = 2000
"""Up to this long without traffic before it sleeps counts as short; it is the kernel's own default for USB devices."""
_MODES = {
    "qdl": "Qualcomm's download mode",
    "fastboot": "fastboot mode",
    "flash-loader": "its flash loader",
}


def unauthorised(device: Device, facts: Facts) -> Iterator[Complaint]:
    """Somebody (USBGuard, a kernel option) has kept the device from being used."""
    if device.usb is None or device.sysfs is None or facts.host.read(f"{device.sysfs}/authorized") != "0":
        return
    guard = "usbguard" in facts.programs or "usbguard-daemon" in facts.programs
    yield Complaint(
        Kind.UNAUTHORISED,
        Gravity.STOPS,
        "is not authorised to be used",
        "USBGuard holds it back"
        if guard
        else "the kernel holds it back (usbcore.authorized_default, or a program did)",
        write_as_root(facts.host.person, "1", f"{device.sysfs}/authorized"),
        "to allow it for good, use usbguard's own allow-device" if guard else None,
        (discover.called(device),),
    )


def firmware_mode(device: Device, facts: Facts) -> Iterator[Complaint]:
    """The module waits for new firmware."""
    mode = device.firmware_mode
    if mode is not None and device.usb is not None:
        yield Complaint(
            Kind.FIRMWARE_MODE,
            Gravity.STOPS,
            f"is in {_MODES.get(mode, mode)} and waits for firmware",
            f"{device.usb.vid}:{device.usb.pid} is the number of that mode, and nothing in it speaks AT; an update "
            "that broke off leaves a module so, or one that finds no firmware to start",
            None,
            "take its power away for some seconds; if it comes back like this, it needs its maker's firmware tool",
            (discover.called(device),),
        )


def storage(device: Device, facts: Facts) -> Iterator[Complaint]:
    """The module shows its driver disk."""
    if device.usb is None or _obstacle(device, facts) is not ProblemKind.STORAGE:
        return
    absent = not facts.host.has_command("usb_modeswitch")
    yield Complaint(
        Kind.STORAGE,
        Gravity.STOPS,
        "shows the disk with its drivers and not yet its modem",
        "it waits to be switched, which usb_modeswitch does on plugging in"
        + (", and that is not installed here" if absent else ""),
        as_root(facts.host.person, "usb_modeswitch", "-v", str(device.usb.vid), "-p", str(device.usb.pid), "-K"),
        "install usb-modeswitch first; with it, plugging in again is enough" if absent else None,
        (discover.called(device),),
    )


def no_driver(device: Device, facts: Facts) -> Iterator[Complaint]:
    """No driver is bound to the serial interfaces: not loaded, not there, or it does not know the number."""
    usb, host = device.usb, facts.host
    if usb is None or _obstacle(device, facts) is not ProblemKind.NO_DRIVER or _held_back(device, facts):
        return
    what = "no driver is bound to its serial interfaces, so it has no tty"
    place = (discover.called(device),)
    driver, named = wanted_driver(device, facts)
    state = host.driver(driver)
    fix: str | None
    then = "or leave it so and use `atprobe probe --usb-direct`"
    if host.engine is not None:
        then = f"in a container this is to be done on the host, by its root; {then}"
    interface = _free_interface(device, host)
    if state is Driver.ABSENT:
        why = f"this kernel ({host.release}) has no driver {driver}; atprobe can reach the endpoints without one"
        fix = atprobe_as_root(host.person, "probe", "--usb-direct", "--usb", f"{usb.vid}:{usb.pid}")
        yield Complaint(Kind.NO_DRIVER, Gravity.STOPS, what, why, fix, None, place)
        return
    if state is Driver.AVAILABLE and named:
        why = f"the kernel's driver {driver} knows this number and is not loaded"
        fix = as_root(host.person, "modprobe", driver)
    elif state is Driver.LOADED and named and interface is not None:
        why = f"the driver {driver} is loaded and knows this number, and somebody has taken it off"
        fix = write_as_root(host.person, interface, f"/sys/bus/usb/drivers/{driver}/bind")
    else:
        loaded = {Driver.LOADED: "is loaded", Driver.AVAILABLE: "is not loaded"}.get(state, "cannot be seen from here")
        why = f"the driver {driver} {loaded}, and this kernel's does not know {usb.vid}:{usb.pid}"
        if state is Driver.UNKNOWN:
            why = f"the kernel's modules are not to be seen from here; what is wanted is its driver {driver}"
        # This goes to a shell as it is; no kernel gives other numbers than these.
        plain = re.fullmatch("[0-9a-f]{8}", f"{usb.vid}{usb.pid}")
        fix = script_as_root(host.person, discover.new_id(device, facts.knowledge)) if plain else None
    yield Complaint(Kind.NO_DRIVER, Gravity.STOPS, what, why, fix, then, place)


def no_pci_driver(device: Device, facts: Facts) -> Iterator[Complaint]:
    """A PCIe card of which no driver has made a port."""
    driver = None if device.pci is None else discover.pci_driver(device.pci, facts.knowledge)
    if device.pci is None or driver is None or _obstacle(device, facts) is not ProblemKind.NO_DRIVER:
        return
    host, then = facts.host, None
    fix: str | None = as_root(host.person, "modprobe", driver)
    match host.driver(driver):
        case Driver.LOADED:
            why = f"its driver {driver} is loaded; the kernel's log says what keeps it"
            fix = script_as_root(host.person, f"dmesg | grep {shlex.quote(device.pci.slot)}")
        case Driver.ABSENT:
            why, fix = f"this kernel ({host.release}) has no driver {driver}", None
            then = "a newer kernel, or the maker's own driver, has one"
        case Driver.AVAILABLE:
            why = f"its driver {driver} is not loaded"
        case Driver.UNKNOWN:
            why = f"the kernel's modules are not to be seen from here; what is wanted is its driver {driver}"
    what = f"no driver has made a port of it ({device.pci.vid}:{device.pci.did})"
    yield Complaint(Kind.NO_DRIVER, Gravity.STOPS, what, why, fix, then, (discover.called(device),))


def no_libusb(device: Device, facts: Facts) -> Iterator[Complaint]:
    """The way around a missing driver is closed too."""
    if facts.libusb or device.usb is None or _obstacle(device, facts) is not ProblemKind.NO_DRIVER:
        return
    yield Complaint(
        Kind.NO_LIBUSB,
        Gravity.STOPS if needs_direct(device, facts) else Gravity.NOTE,
        "cannot be reached without a driver: libusb is not here",
        "`atprobe probe --usb-direct` goes through libusb 1.0",
        install(facts.host, "libusb"),
        None if install(facts.host, "libusb") else "install libusb 1.0 from this system's packages",
        (discover.called(device),),
    )


def no_at_port(device: Device, facts: Facts) -> Iterator[Complaint]:
    """What the module shows has no AT port in it."""
    problem = discover.obstacle(device, facts.knowledge)
    if problem is None or problem.kind is not ProblemKind.NO_AT_PORT or _held_back(device, facts):
        return
    others = [port for port in device.ports if port.role == "unknown"]
    ids = [] if device.usb is None else ["--usb", f"{device.usb.vid}:{device.usb.pid}"]
    then = "switch the module to a composition with an AT port, as its maker describes"
    yield Complaint(
        Kind.NO_AT_PORT,
        Gravity.STOPS,
        problem.message,
        "a module shows the ports of the composition it is set to, and this one has none that is known for AT",
        shlex.join(["atprobe", "probe", "--all", *ids]) if others else None,
        f"if that finds nothing, {then}" if others else then,
        (discover.called(device),),
    )


def autosuspend(device: Device, facts: Facts) -> Iterator[Complaint]:
    """The device sleeps, and is put to sleep soon after each word."""
    if device.sysfs is None or device.usb is None:
        return
    power = f"{device.sysfs}/power"
    delay = facts.host.number(f"{power}/autosuspend_delay_ms")
    if (
        facts.host.read(f"{power}/control") == "auto"
        and facts.host.read(f"{power}/runtime_status") == "suspended"
        and delay is not None
        and 0 <= delay <= SHORT_MS
    ):
        yield Complaint(
            Kind.AUTOSUSPEND,
            Gravity.MAY_STOP,
            "sleeps to save power (USB autosuspend)",
            f"it goes to sleep {delay} ms after the last word, and some modules miss the first commands on waking",
            write_as_root(facts.host.person, "on", f"{power}/control"),
            "until it is plugged in again; laptop-mode tools such as TLP and powertop set it back",
            (discover.called(device),),
        )


def modem_manager(device: Device, facts: Facts) -> Iterator[Complaint]:
    """ModemManager manages the device, or has its ports open."""
    if device.bus not in ("usb", "pci"):
        return
    host = facts.host
    place = (discover.called(device),)
    holders = [each for port in device.ports for each in facts.held.get(port.path, ()) if each.name == MODEM_MANAGER]
    stop = as_root(host.person, "systemctl", "stop", MODEM_MANAGER)
    if facts.managed is None:
        if MODEM_MANAGER not in facts.programs:
            return
        gravity = Gravity.STOPS if holders else Gravity.MAY_STOP
        what = "ModemManager has it" if holders else "ModemManager runs, and may have it"
        if facts.bus_client:
            why, fix = "its bus does not answer, so it cannot be asked to stand aside for a probe", stop
            then = f"and start it again after: {as_root(host.person, 'systemctl', 'start', MODEM_MANAGER)}"
        else:
            why = "it would stand aside for a probe, and the D-Bus client that asks it is not installed"
            fix, then = "pip install 'atprobe[modemmanager]'", f"or: {stop}"
        yield Complaint(Kind.MODEM_MANAGER, gravity, what, why, fix, then, place)
    elif device in facts.managed:
        gravity, what = Gravity.STOPS, "ModemManager has it"
        if facts.managed[device]:
            what = "ModemManager has it, and it is connected"
            why = "to make room for a probe would cut the connection, so atprobe does not ask"
            fix, then = (
                "mmcli -m any --simple-disconnect",
                "ends the connection; if that must not be, probe another day",
            )
        elif host.person.is_root:
            gravity, why = (
                Gravity.NOTE,
                "a probe asks it to stand aside and lets it back afterwards; there is nothing to do",
            )
            fix, then = None, None
        else:
            why = f"its usual D-Bus policy lets root alone ask it to stand aside, and this is {host.person}"
            fix, then = atprobe_as_root(host.person, "probe"), f"or: {stop}"
        yield Complaint(Kind.MODEM_MANAGER, gravity, what, why, fix, then, place)
    elif holders:
        yield Complaint(
            Kind.MODEM_MANAGER,
            Gravity.MAY_STOP,
            f"ModemManager (pid {holders[0].pid}) has it open and does not manage it",
            "it is still finding out what this is, which takes up to a minute after plugging in",
            stop_command(host, holders[0].pid),
            "or wait half a minute",
            place,
        )


def wanted_driver(device: Device, facts: Facts) -> tuple[str, bool]:
    """The driver that should serve the device's free interfaces, and whether this kernel itself would choose it."""
    for alias in _modaliases(device, facts.host):
        for module in facts.host.drivers_for(alias):
            return module, True
    return discover.serial_driver(device.usb or UsbInfo(), facts.knowledge), False


def needs_direct(device: Device, facts: Facts) -> bool:
    """Whether the only way to the device is past the kernel, for want of a driver."""
    if device.usb is None or _obstacle(device, facts) is not ProblemKind.NO_DRIVER:
        return False
    return facts.host.driver(wanted_driver(device, facts)[0]) is Driver.ABSENT


def install(host: Host, library: str) -> str | None:
    """The command that installs a library here; None where this system's package tool is not known."""
    packages = {
        "libusb": {"apt-get": "libusb-1.0-0", "dnf": "libusb1", "opkg": "libusb-1.0-0"},
        "libudev": {"apt-get": "libudev1", "dnf": "systemd-libs"},
    }[library]
    for tool, package in packages.items():
        if host.has_command(tool):
            return as_root(host.person, tool, "install", package)
    return None


def _obstacle(device: Device, facts: Facts) -> ProblemKind | None:
    problem = discover.obstacle(device, facts.knowledge)
    return None if problem is None else problem.kind


def _held_back(device: Device, facts: Facts) -> bool:
    """Whether another check says why there is no AT port."""
    return any(unauthorised(device, facts))


def _free(device: Device, host: Host) -> Iterator[str]:
    """The folders of the interfaces without a driver that should have one, below /sys."""
    numbers = {port.interface for port in device.ports if port.path.startswith("usb://")}
    base = os.path.basename(device.sysfs or "")
    for name in host.names(device.sysfs or ""):
        found = re.fullmatch(rf"{re.escape(base)}:\d+\.(\d+)", name)
        if found and int(found.group(1)) in numbers:
            yield f"{device.sysfs}/{name}"


def _free_interface(device: Device, host: Host) -> str | None:
    return next((os.path.basename(folder) for folder in _free(device, host)), None)


def _modaliases(device: Device, host: Host) -> Iterator[str]:
    for folder in _free(device, host):
        if alias := host.read(f"{folder}/modalias"):
            yield alias


CHECKS = (
    unauthorised,
    firmware_mode,
    storage,
    no_driver,
    no_pci_driver,
    no_libusb,
    no_at_port,
    autosuspend,
    modem_manager,
)
