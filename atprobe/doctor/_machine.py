"""Checks of the whole machine: what keeps devices from being seen at all."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from shlex import quote as _quote

from atprobe.discover import Scan
from atprobe.doctor._complaint import Complaint, Gravity, Kind
from atprobe.doctor._devices import install
from atprobe.doctor._facts import Facts
from atprobe.doctor._host import Host
from atprobe.doctor._ports import BRLTTY
from atprobe.doctor._shell import as_root, script_as_root
from atprobe.model import Device

_USB = "/sys/bus/usb/devices"
_RULES = ("/etc/udev/rules.d", "/run/udev/rules.d", "/usr/lib/udev/rules.d", "/lib/udev/rules.d")
"""Where udev looks for rules, the first place counting most (udev(7))."""
_SHOWN = 8


def brltty(scanned: Scan, facts: Facts) -> Iterator[Complaint]:
    """The screen reader for braille displays has taken a serial adapter whose number some display has too."""
    host = facts.host
    rules = list(_brltty_rules(host))
    held = {path for path, holders in facts.held.items() if any(each.name == BRLTTY for each in holders)}
    for name in _usb_names(host):
        folder = f"{_USB}/{name}"
        file = next((file for file, line in rules if _claims(host, folder, line)), None)
        interfaces = [each for each in host.names(folder) if each.startswith(f"{name}:")]
        ports = [port for each in interfaces for port in _ttys(host, f"{folder}/{each}")]
        bound = {host.link_name(f"{folder}/{each}/driver") for each in interfaces}
        taken = file is not None and not ports and interfaces and bound <= {None, "usbfs"}
        if not taken and held.isdisjoint(ports):
            continue
        if file is not None:
            masked = f"/etc/udev/rules.d/{file}"
            fix = script_as_root(host.person, f"ln -sf /dev/null {_quote(masked)} && udevadm control --reload")
            why = f"{file} takes {_id(host, folder)} for a braille display and gives it to brltty"
        else:
            fix = as_root(host.person, "systemctl", "mask", "--now", "brltty.service")
            why = "brltty looks for braille displays on serial ports"
        yield Complaint(
            Kind.BRLTTY,
            Gravity.STOPS if BRLTTY in facts.programs else Gravity.MAY_STOP,
            f"brltty has the serial adapter {_id(host, folder)}",
            why,
            fix,
            "then plug it in again; where a braille display is in use, leave it and take another adapter",
            tuple(ports) or (f"usb {name}",),
        )


def libraries(scanned: Scan, facts: Facts) -> Iterator[Complaint]:
    """Libraries whose absence keeps devices from being seen. `scan` says so among its limits."""
    for library, kind in (("libudev", Kind.NO_LIBUDEV), ("libusb", Kind.NO_LIBUSB)):
        for limit in scanned.limits:
            what, _, why = limit.partition(": ")
            if what.startswith(library):
                fix = install(facts.host, library)
                yield Complaint(
                    kind, Gravity.NOTE, what, why, fix, None if fix else f"install {library}, if there is one"
                )


def over_current(scanned: Scan, facts: Facts) -> Iterator[Complaint]:
    """A hub has cut the power of a port. The kernel counts that (Linux 4.20 and newer)."""
    for hub in facts.host.names(_USB):
        for port in facts.host.names(f"{_USB}/{hub}") if ":" in hub else ():
            times = facts.host.number(f"{_USB}/{hub}/{port}/over_current_count") if "-port" in port else None
            if times:
                yield Complaint(
                    Kind.OVER_CURRENT,
                    Gravity.NOTE if any(device.modem for device in scanned.devices) else Gravity.MAY_STOP,
                    f"the USB port {port} has cut the power {times} times since the machine was started",
                    "what is plugged in there draws more than the port gives: modules take up to 2 A for moments",
                    None,
                    "use a hub with a supply of its own, or another port",
                )


def nothing(scanned: Scan, facts: Facts) -> Iterator[Complaint]:
    """No module is attached, or none that can be told for one."""
    if any(device.modem for device in scanned.devices):
        return
    ids = [_id(facts.host, f"{_USB}/{name}") for name in _usb_names(facts.host)]
    shown = ", ".join(ids[:_SHOWN]) + (f" and {len(ids) - _SHOWN} more" if len(ids) > _SHOWN else "")
    ports = [port.path for device in scanned.devices for port in device.ports]
    usb = f"{len(ids)} on USB ({shown})" if ids else "no device on USB"
    others = f"{len(ports)} on serial lines ({', '.join(ports[:_SHOWN])})" if ports else "no serial port"
    then = "if it is in that list, name its port with --port; if not, try another cable, port or supply"
    if ports:
        then = f"a module on a plain serial line cannot be told from outside: atprobe doctor --port {_quote(ports[0])}"
    if facts.host.engine is not None:
        then += "; a container sees only the devices it was started with"
    yield Complaint(
        Kind.NOTHING,
        Gravity.STOPS,
        "no cellular module is seen",
        f"looked at: {usb}; {others}; modem ports of PCIe cards. None has a number that is known for a module",
        "lsusb",
        then,
    )


def _brltty_rules(host: Host) -> Iterator[tuple[str, str]]:
    """The lines of brltty's rules that name a device, with their file. A file of one name hides those behind it."""
    seen = set()
    for folder in _RULES:
        for name in host.names(folder):
            if BRLTTY in name and name.endswith(".rules") and name not in seen:
                seen.add(name)
                for line in (host.read(f"{folder}/{name}") or "").splitlines():
                    if "PRODUCT}==" in line and not line.lstrip().startswith("#"):
                        yield name, line


def _claims(host: Host, folder: str, line: str) -> bool:
    """Whether a rule is about this device: its number, and whatever else of it the rule asks for."""
    numbers = re.search(r'PRODUCT\}=="([0-9a-f]+)/([0-9a-f]+)/', line)
    own = [(host.read(f"{folder}/{name}") or "").lstrip("0") for name in ("idVendor", "idProduct")]
    if numbers is None or [each.lstrip("0") for each in numbers.groups()] != own:
        return False
    asked = re.findall(r'ATTRS?\{(\w+)\}=="([^"]*)"', line)
    return all(fnmatchcase(host.read(f"{folder}/{name}") or "", pattern) for name, pattern in asked)


def _usb_names(host: Host) -> list[str]:
    """The places of the USB devices that are no hubs."""
    names = [name for name in host.names(_USB) if ":" not in name and host.read(f"{_USB}/{name}/idVendor")]
    return [name for name in names if host.read(f"{_USB}/{name}/bDeviceClass") != "09"]


def _ttys(host: Host, interface: str) -> Sequence[str]:
    names = [name for name in host.names(interface) if re.fullmatch(r"tty[A-Z]+\d+", name)]
    return [f"/dev/{name}" for name in [*names, *host.names(f"{interface}/tty")]]


def _id(host: Host, folder: str) -> str:
    vid, pid, product = (host.read(f"{folder}/{name}") for name in ("idVendor", "idProduct", "product"))
    return f"{vid}:{pid}" + (f" {product}" if product else "")


def unseen(facts: Facts, devices: Sequence[Device]) -> Iterator[str]:
    """What this user or this machine keeps from being seen, a sentence each."""
    if not facts.host.person.is_root:
        yield "other users' programs cannot be looked into: run as root to see whether one of them holds a port"
    if facts.managed is None and not facts.bus_client and any(device.bus in ("usb", "pci") for device in devices):
        yield "what ModemManager has is known only with its D-Bus client: pip install 'atprobe[modemmanager]'"


CHECKS = (brltty, libraries, over_current, nothing)
