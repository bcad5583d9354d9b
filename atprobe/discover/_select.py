"""Which ports of which devices to talk to."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from typing import Literal, NamedTuple

from atprobe.model import Device, Port, Role

_PREFERENCE = (Role.AT, Role.AT_SECONDARY, Role.PPP)


class Choice(NamedTuple):
    """A device, and the paths of its ports that may be opened, the most fitting one first."""

    device: Device
    paths: tuple[str, ...]


def select(
    scanned: Iterable[Device],
    *,
    ports: Iterable[str] = (),
    usb: Collection[tuple[str, str]] = (),
    everything: bool = False,
    usb_direct: bool = False,
) -> tuple[Choice, ...]:
    """What to probe; no port is in it twice.

    `ports` are paths or URLs that the user named: these are taken whatever they are. `usb` are pairs of vendor
    and product id (four lower-case hex digits); they narrow the choice among `scanned`. Of a scanned device its
    control ports are taken, the primary AT port first. A modem that has none comes without a path, so that its
    being there is not passed over; any other device without one is left alone. `everything` takes ports of unknown
    role too, and `usb_direct` the interfaces of modems that no driver is bound to. With `ports` alone nothing else
    is taken. A module that waits for new firmware is talked to in another language, and only by who names its port.
    """
    scanned, ports = tuple(scanned), tuple(ports)
    chosen = list(dict.fromkeys(named(port, scanned) for port in ports))
    taken = {path for choice in chosen for path in choice.paths}
    if usb or everything or usb_direct or not ports:
        for device in scanned:
            paths = _usable(device, everything, usb_direct)
            wanted = not usb or (device.usb is not None and (device.usb.vid, device.usb.pid) in usb)
            if wanted and (paths or device.modem) and taken.isdisjoint(paths):
                chosen.append(Choice(device, paths))
    return tuple(chosen)


def named(path_or_url: str, scanned: Iterable[Device]) -> Choice:
    """The scanned device that has this port; else a device of its own for it.

    A symlink (`/dev/serial/by-id/...`) finds the port it leads to. Whether the port exists is not looked at.
    """
    is_url = "://" in path_or_url
    path = path_or_url if is_url else os.path.realpath(path_or_url)
    for device in scanned:
        for port in device.ports:
            if path == (port.path if "://" in port.path else os.path.realpath(port.path)):
                return Choice(device, (port.path,))
    return _alone("url" if is_url else "uart", path_or_url)


def _alone(bus: Literal["uart", "url"], path: str) -> Choice:
    return Choice(Device(bus, (Port(path),)), (path,))


def _usable(device: Device, everything: bool, usb_direct: bool) -> tuple[str, ...]:
    if device.firmware_mode is not None:
        return ()
    ports = [port for port in device.ports if usb_direct or not _is_direct(port)]
    control = [port for port in ports if port.role.is_control]
    if control:
        # A tty is used before an interface without a driver: whoever bound the driver wants it so.
        return tuple(
            port.path for port in sorted(control, key=lambda port: (_is_direct(port), _PREFERENCE.index(port.role)))
        )
    # A modem that no driver knows is often too new for any table: which interface speaks AT is found by asking.
    unknown = [port for port in ports if port.role is Role.UNKNOWN]
    return tuple(port.path for port in unknown if everything or (device.modem and _is_direct(port)))


def _is_direct(port: Port) -> bool:
    return port.path.startswith("usb://")
