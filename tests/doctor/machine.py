"""A machine laid out in a folder: its /sys, /proc, /dev and /lib."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from atprobe.discover._build import Found, usb_device
from atprobe.doctor import Complaint, Facts, Host, Kind, Person
from atprobe.knowledge import load
from atprobe.model import Device, Port, UsbInfo, UsbInterface

KNOWN = load()
BOB = Person("bob", 1000, frozenset({1000}), frozenset({1000}))
ROOT = Person("root", 0, frozenset({0}), frozenset({0}))
SYSFS = "/sys/devices/pci0/usb1/1-1"
RELEASE = "6.1-test"
MODULES = f"/lib/modules/{RELEASE}"
PORT = "/dev/ttyUSB2"


class Machine:
    """Writes files of a machine, and says what it would be like to be on it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.commands: set[str] = set()
        self.openable = True
        self.person = BOB

    def file(self, path: str, text: str = "") -> Path:
        where = self.root / path.lstrip("/")
        where.parent.mkdir(parents=True, exist_ok=True)
        where.write_text(text)
        return where

    def folder(self, path: str) -> None:
        (self.root / path.lstrip("/")).mkdir(parents=True, exist_ok=True)

    def link(self, path: str, target: str) -> None:
        where = self.root / path.lstrip("/")
        where.parent.mkdir(parents=True, exist_ok=True)
        where.symlink_to(target)

    def port(self, path: str = PORT) -> None:
        """A character device: any of this machine's will do, since nothing is opened."""
        self.link(path, "/dev/null")

    def node(self, path: str = PORT, mode: int = 0o660) -> int:
        """A file of a group that is not root's; returns the group."""
        where = self.file(path)
        if os.getuid() == 0:
            os.chown(where, -1, 20)
        where.chmod(mode)
        return where.stat().st_gid

    def usb(self, ids: str = "2c7c:0125", place: str = "1-1", interfaces: int = 0, **attributes: str) -> str:
        """A USB device in /sys/bus/usb/devices; returns its folder."""
        folder = f"/sys/bus/usb/devices/{place}"
        vid, _, pid = ids.partition(":")
        for name, value in {"idVendor": vid, "idProduct": pid, "bDeviceClass": "00", **attributes}.items():
            self.file(f"{folder}/{name}", value + "\n")
        for number in range(interfaces):
            self.folder(f"{folder}/{place}:1.{number}")
        return folder

    @property
    def host(self) -> Host:
        return Host(
            self.person,
            self.root,
            RELEASE,
            may_open=lambda path: self.openable,
            has_command=self.commands.__contains__,
            group_name=lambda gid: "dialout",
        )

    def facts(self, **facts: Any) -> Facts:
        return replace(Facts(self.host, KNOWN), **facts)


def modem(*drivers: str | None, found: Iterable[Found] | None = None, ids: str = "2c7c:0125") -> Device:
    """An EC25 with these drivers on its interfaces; by default with the AT port /dev/ttyUSB2."""
    vid, _, pid = ids.partition(":")
    drivers = drivers or ("option",) * 3
    interfaces = tuple(UsbInterface(number, "ff", "00", "00", driver) for number, driver in enumerate(drivers))
    usb = UsbInfo(vid, pid, path="1-1", interfaces=interfaces)
    device = usb_device(usb, list((Found(PORT, 2),) if found is None else found), KNOWN, sysfs=SYSFS)
    assert device is not None
    return device


def uart(path: str = "/dev/ttyS0") -> Device:
    return Device("uart", (Port(path),))


def only(complaints: Iterable[Complaint], kind: Kind) -> Complaint:
    """The one complaint that is there, which must be of that kind."""
    (found,) = complaints
    assert found.kind is kind
    assert found.what and found.why
    return found
