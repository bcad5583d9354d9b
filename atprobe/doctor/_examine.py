"""From what is attached to what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from atprobe import discover
from atprobe.discover import Choice, Scan
from atprobe.doctor import _devices, _machine, _ports
from atprobe.doctor._complaint import Checkup, Complaint, Gravity, Kind, Patient
from atprobe.doctor._facts import Facts, gather
from atprobe.doctor._host import Host, here
from atprobe.knowledge import Knowledge


def examine(
    scanned: Scan, knowledge: Knowledge, ports: Sequence[str] = (), host: Host | None = None, facts: Facts | None = None
) -> Checkup:
    """Everything that stops a probe of the modems in `scanned`, or of `ports` alone where some are named.

    Opens no port, sends nothing and changes nothing. `facts` are gathered from `host` (default: this machine) unless
    they are given.
    """
    choices = chosen(scanned, ports)
    devices = [choice.device for choice in choices]
    paths = [path for choice in choices for path in choice.paths]
    every = [*paths, *(port.path for device in scanned.devices for port in device.ports)]
    facts = facts or gather(host or here(), knowledge, devices, list(dict.fromkeys(every)))
    limits = (*_machine.unseen(facts, devices), *_other_limits(scanned))
    checks = [_machine.libraries, _machine.brltty] if ports else _machine.CHECKS
    patients = tuple(patient(choice, facts, named=bool(ports)) for choice in choices)
    about_machine = [complaint for check in checks for complaint in check(scanned, facts)]
    if ports and not any(each.kind is Kind.MISSING for one in patients for each in one.complaints):
        # The ports asked for are there: what has befallen other devices is beside the point.
        about_machine = [each for each in about_machine if not each.places or not set(paths).isdisjoint(each.places)]
    return Checkup(patients, tuple(about_machine), limits)


def chosen(scanned: Scan, ports: Sequence[str]) -> tuple[Choice, ...]:
    """The devices to look at, with the ports that a probe would open."""
    if ports:
        return tuple(dict.fromkeys(discover.named(port, scanned.devices) for port in ports))
    chosen = discover.select(scanned.devices, usb_direct=True)
    return tuple(choice for choice in chosen if choice.device.modem)


def patient(choice: Choice, facts: Facts, *, named: bool = False) -> Patient:
    """One device. A port reached past the kernel counts where the user named it, or where there is no other way."""
    device = choice.device
    direct = named or _devices.needs_direct(device, facts)
    paths = [path for path in choice.paths if direct or not path.startswith("usb://")]
    found = [*_of_device(choice, facts), *_merged(_of_ports(choice, paths, facts))]
    order = list(Gravity)
    return Patient(device, tuple(paths), tuple(sorted(found, key=lambda each: order.index(each.gravity))))


def _of_device(choice: Choice, facts: Facts) -> Iterator[Complaint]:
    for check in _devices.CHECKS if choice.device.modem else ():
        yield from check(choice.device, facts)


def _of_ports(choice: Choice, paths: Sequence[str], facts: Facts) -> list[Complaint]:
    """Where one of several ports is free, a probe takes that one, and what is wrong with the others stops nothing."""
    found: list[Complaint] = []
    stopped = 0
    for path in paths:
        own = _of_port(choice, path, facts)
        stopped += any(each.gravity is Gravity.STOPS for each in own)
        found += own
    if stopped < len(paths):
        return [replace(each, gravity=Gravity.NOTE) for each in found]
    return found


def _of_port(choice: Choice, path: str, facts: Facts) -> list[Complaint]:
    return [complaint for check in _ports.CHECKS for complaint in check(choice.device, path, facts)]


def _merged(complaints: Sequence[Complaint]) -> list[Complaint]:
    """What is the same for several ports is said once."""
    found: dict[Complaint, tuple[str, ...]] = {}
    for each in complaints:
        key = replace(each, places=())
        found[key] = (*found.get(key, ()), *each.places)
    return [replace(each, places=places) for each, places in found.items()]


def _other_limits(scanned: Scan) -> Iterator[str]:
    """What `_machine.libraries` does not speak of."""
    for limit in scanned.limits:
        if not limit.startswith(("libudev", "libusb")):
            yield limit
