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
) -> tuple[Choice, ...]:
    """What to probe; no port is in it twice.

    `ports` are paths or URLs that the user named: these are taken whatever they are. `usb` are pairs of vendor
    and product id (four lower-case hex digits); they narrow the choice among `scanned`. Of a scanned device its
    control ports are taken, the primary AT port first. A device without a known control port is left alone,
    except with `everything`: then its ports of unknown role are taken. With `ports` alone nothing else is.
    """
    scanned, ports = tuple(scanned), tuple(ports)
    chosen = list(dict.fromkeys(named(port, scanned) for port in ports))
    taken = {path for choice in chosen for path in choice.paths}
    if usb or everything or not ports:
        for device in scanned:
            paths = _usable(device, everything)
            wanted = not usb or (device.usb is not None and (device.usb.vid, device.usb.pid) in usb)
            if wanted and paths and taken.isdisjoint(paths):
                chosen.append(Choice(device, paths))
    return tuple(chosen)


def named(path_or_url: str, scanned: Iterable[Device]) -> Choice:
    """The scanned device that has this port; else a device of its own for it.

    A symlink (`/dev/serial/by-id/...`) finds the port it leads to. Whether the port exists is not looked at.
    """
    if "://" in path_or_url:
        return _alone("url", path_or_url)
    path = os.path.realpath(path_or_url)
    for device in scanned:
        for port in device.ports:
            if os.path.realpath(port.path) == path:
                return Choice(device, (port.path,))
    return _alone("uart", path_or_url)


def _alone(bus: Literal["uart", "url"], path: str) -> Choice:
    return Choice(Device(bus, (Port(path),)), (path,))


def _usable(device: Device, everything: bool) -> tuple[str, ...]:
    control = [port for port in device.ports if port.role.is_control]
    if control:
        return tuple(port.path for port in sorted(control, key=lambda port: _PREFERENCE.index(port.role)))
    return tuple(port.path for port in device.ports if port.role is Role.UNKNOWN) if everything else ()
