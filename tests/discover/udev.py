"""As much of udev as our rules use, to see what they say of a device that is not there."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from fnmatch import translate
from functools import cache
from typing import Any

from atprobe.discover._rules import Rule, Section, Term
from atprobe.model import UsbInfo, UsbInterface


@dataclass
class Event:
    """One device's event: its keys (`KERNEL`, `ENV{...}`, `ATTR{...}`) and its parents', the nearest first.

    After `run`, `keys` holds what was assigned and `added` what was added to lists.
    """

    keys: dict[str, str]
    parents: list[dict[str, str]] = field(default_factory=list)
    descriptors: str | None = None
    added: dict[str, list[str]] = field(default_factory=dict)

    def run(self, sections: list[Section]) -> Event:
        """Carry the rules out."""
        target: str | None = None
        for rule in (rule for section in sections for rule in section.rules):
            labels = [term.value for term in rule if term.key == "LABEL"]
            if target is not None and target not in labels:
                continue
            target = self._carry_out(rule)
        assert target is None, f"there is no label {target} after the rule that goes to it"
        return self

    def _carry_out(self, rule: Rule) -> str | None:
        target, parent = None, self._parent(rule)
        if not all(self._matches(term) for term in rule if term.op in ("==", "!=") and not _of_parent(term)):
            return None
        if parent is None and any(_of_parent(term) for term in rule):
            return None
        for key, op, value in rule:
            text = self._filled(value, parent or {})
            if key == "GOTO":
                target = value
            elif op == "=" and key not in ("LABEL", "IMPORT{builtin}"):
                self.keys[key] = text
            elif op == "+=":
                self.added.setdefault(key, []).append(text)
        return target

    def _parent(self, rule: Rule) -> dict[str, str] | None:
        terms = [term for term in rule if _of_parent(term)]
        assert all(term.op == "==" for term in terms)
        for each in self.parents:
            if all(_fits(each.get(term.key, ""), term.value) for term in terms):
                return each
        return None

    def _matches(self, term: Term) -> bool:
        key, op, value = term
        if key == "PROGRAM":
            held = self.descriptors is not None
            self.keys["RESULT"] = self.descriptors or ""
        elif key == "TAG":
            held = any(_fits(tag, value) for tag in self.added.get(key, []))
        else:
            held = _fits(self.keys.get(key, ""), value)
        return held is (op == "==")

    def _filled(self, value: str, parent: dict[str, str]) -> str:
        def one(found: re.Match[str]) -> str:
            kind, name = found.group(1), found.group(2)
            if kind == "attr":
                return parent[f"ATTRS{{{name}}}"]
            if kind == "env":
                return self.keys.get(f"ENV{{{name}}}", "")
            return self.keys["KERNEL"] if kind == "kernel" else parent[kind]

        return re.sub(r"\$(attr|env|id|driver|kernel)(?:\{([^}]+)\})?", one, value)


def _of_parent(term: Term) -> bool:
    return term.key.startswith(("SUBSYSTEMS", "ATTRS{"))


def _fits(text: str, patterns: str) -> bool:
    return _compiled(patterns).match(text) is not None


@cache
def _compiled(patterns: str) -> re.Pattern[str]:
    """udev's patterns are fnmatch(3)'s, with alternatives between bars."""
    return re.compile("|".join(translate(pattern) for pattern in patterns.split("|")))


def port(usb: UsbInfo, interface: UsbInterface, name: str = "ttyUSB7", **env: str) -> Event:
    """The event of a port that hangs from that interface."""
    subsystem = next(s for start, s in _SUBSYSTEMS if name.startswith(start))
    keys = {"ACTION": "add", "SUBSYSTEM": subsystem, "KERNEL": name, "ENV{DEVNAME}": f"/dev/{name}"}
    keys |= {"ENV{ID_USB_INTERFACES}": _triples(usb)} | {f"ENV{{{key}}}": value for key, value in env.items()}
    one, two, three = interface.triple.split("/")
    above: dict[str, Any] = {
        "SUBSYSTEMS": "usb",
        "driver": interface.driver or "",
        "id": f"{usb.path}:1.{interface.number}",
        "ATTRS{bInterfaceNumber}": f"{interface.number:02x}",
        "ATTRS{bInterfaceClass}": one,
        "ATTRS{bInterfaceSubClass}": two,
        "ATTRS{bInterfaceProtocol}": three,
    }
    return Event(keys, [{"SUBSYSTEMS": "usb-serial"}, above, _device(usb)], descriptors(usb))


def node(usb: UsbInfo) -> Event:
    """The event of the device itself."""
    keys = {"ACTION": "add", "SUBSYSTEM": "usb", "ENV{DEVTYPE}": "usb_device", "KERNEL": usb.path or ""}
    keys |= {"ENV{DEVNAME}": "/dev/bus/usb/001/002", "ENV{ID_USB_INTERFACES}": _triples(usb)}
    return Event(keys, [_device(usb)])


_SUBSYSTEMS = (("tty", "tty"), ("cdc-wdm", "usbmisc"), ("wwan", "wwan"), ("mhi", "mhi_q"), ("hid", "usbmisc"))


def _device(usb: UsbInfo) -> dict[str, str]:
    ids = {"ATTRS{idVendor}": usb.vid or "", "ATTRS{idProduct}": usb.pid or ""}
    return {"SUBSYSTEMS": "usb", "driver": "usb", "id": usb.path or "", **ids}


def _triples(usb: UsbInfo) -> str:
    triples = dict.fromkeys(each.triple.replace("/", "") for each in usb.interfaces)
    return "".join(f":{triple}" for triple in triples) + ":"


def descriptors(usb: UsbInfo) -> str:
    """What od shows of the device's descriptors; an endpoint follows each interface (USB 2.0, 9.6)."""
    found = " 12 01 00 02 ef 02 01 40 09 02 20 00 01 01 00 a0 fa"
    for each in usb.interfaces:
        codes = each.triple.replace("/", " ")
        found += f" 09 04 {each.number:02x} 00 01 {codes} 00 07 05 81 02 00 02 00"
    return found
