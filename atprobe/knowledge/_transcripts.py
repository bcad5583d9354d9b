"""Transcripts: real conversations as YAML files, in and out. The format is in docs/profiles.md."""

from __future__ import annotations

import re
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from atprobe.knowledge import _yaml
from atprobe.knowledge._root import default_root
from atprobe.knowledge._yaml import Node, ProfileError, ProfileProblem
from atprobe.model import Exchange, Transcript, Truth, UsbInfo, UsbInterface, is_imei

_REMEDY = "see docs/profiles.md, section Transcripts"


def load_transcript(path: Path) -> Transcript:
    """Read one transcript. Raises ProfileError with file, line and remedy."""
    node = _yaml.read(path)
    top = _mapping(node)
    source = _mapping(_need(node, "source"))
    truth = _mapping(_need(node, "truth"))
    exchanges = _need(node, "exchanges").value
    if not isinstance(exchanges, list):
        raise top["exchanges"].fail("exchanges must be a list", _REMEDY)
    usb = _mapping(top["usb"]) if "usb" in top and top["usb"].value is not None else None
    return Transcript(
        id=_text(_need(node, "id")) or "",
        fidelity=_text(source["fidelity"]) or "" if "fidelity" in source else "",
        truth=Truth(**{f.name: _text(truth[f.name]) for f in fields(Truth) if f.name in truth}),
        exchanges=tuple(_exchange(item) for item in exchanges),
        source=_text(source["url"]) or "" if "url" in source else "",
        usb=_usb(usb) if usb else None,
        path=str(path),
    )


def transcripts(root: Path | None = None, slug: str | None = None) -> tuple[Transcript, ...]:
    """The transcripts that belong to the profiles, in order of maker and name. Raises ProfileError."""
    return tuple(load_transcript(path) for path in transcript_paths(root or default_root(), slug))


def transcript_paths(root: Path, slug: str | None = None) -> list[Path]:
    """The transcript files of the profiles below `root`, in order."""
    return sorted(root.glob(f"{slug or '*'}/transcripts/*.yaml"))


def check_transcript(path: Path, known: set[str]) -> list[ProfileProblem]:
    """The faults of one transcript of a profile: form, a truth no profile stands for, numbers of real units."""
    try:
        transcript = load_transcript(path)
    except ProfileError as error:
        return list(error.problems)
    text = path.read_text(encoding="utf-8")
    problems = []
    for line, content in enumerate(text.splitlines(), 1):
        for digits in re.findall(r"(?<![0-9])[0-9]{15}(?![0-9])", content):
            if is_imei(digits) and digits[8:14] != "000000":
                remedy = "keep its first 8 digits, put 000000 and the check digit behind them"
                problems.append(ProfileProblem(str(path), line, "holds the whole IMEI of a real unit", remedy))
    truth = transcript.truth.maker
    if truth is not None and truth not in known:
        problems.append(ProfileProblem(str(path), 1, f"{truth!r} is no profile", "name a folder of profiles/, or null"))
    return problems


def dump_transcript(transcript: Transcript) -> str:
    """A transcript as YAML text, in the same format `load_transcript` reads."""
    import yaml

    data: dict[str, Any] = {
        "id": transcript.id,
        "source": {"url": transcript.source or None, "kind": "recorded", "fidelity": transcript.fidelity},
        "truth": asdict(transcript.truth),
    }
    if transcript.usb is not None:
        data["usb"] = {key: value for key, value in asdict(transcript.usb).items() if value not in (None, ())}
        if transcript.usb.interfaces:
            data["usb"]["interfaces"] = [_interface_entry(each) for each in transcript.usb.interfaces]
    data["exchanges"] = [
        {"send": e.send, "recv": list(e.recv), **({"raw": e.raw} if e.raw is not None else {})}
        for e in transcript.exchanges
    ]
    return str(yaml.safe_dump(data, sort_keys=False, allow_unicode=False, width=120))


def _interface_entry(interface: UsbInterface) -> dict[str, Any]:
    entry = {
        "number": interface.number,
        "class": interface.interface_class,
        "subclass": interface.subclass,
        "protocol": interface.protocol,
        "driver": interface.driver,
    }
    return {key: value for key, value in entry.items() if value is not None}


def _usb(usb: dict[str, Node]) -> UsbInfo:
    named = ("vid", "pid", "manufacturer", "product", "serial", "path")
    vid, pid, manufacturer, product, serial, path = (_text(usb[name]) if name in usb else None for name in named)
    node = usb.get("interfaces")
    if node is not None and node.value is not None and not isinstance(node.value, list):
        raise node.fail("interfaces must be a list", _REMEDY)
    listed = node.value if node is not None and isinstance(node.value, list) else []
    return UsbInfo(vid, pid, manufacturer, product, serial, path, interfaces=tuple(_interface(item) for item in listed))


def _interface(node: Node) -> UsbInterface:
    number = _text(_need(node, "number")) or ""
    if not re.fullmatch(r"[0-9]{1,3}", number):
        raise node.fail(f"{number!r} is no interface number", _REMEDY)
    entry = _mapping(node)
    keys = ("class", "subclass", "protocol", "driver")
    interface_class, subclass, protocol, driver = (_text(entry[key]) if key in entry else None for key in keys)
    return UsbInterface(int(number), interface_class, subclass, protocol, driver)


def _exchange(node: Node) -> Exchange:
    entry = _mapping(node)
    recv = _need(node, "recv")
    if not isinstance(recv.value, list):
        raise recv.fail("recv must be a list of lines", _REMEDY)
    send = _text(_need(node, "send"))
    raw = _text(entry["raw"]) if "raw" in entry else None
    return Exchange(send, tuple(_text(line) or "" for line in recv.value), raw)


def _mapping(node: Node) -> dict[str, Node]:
    if not isinstance(node.value, dict):
        raise node.fail("a mapping is expected here", _REMEDY)
    return node.value


def _need(node: Node, key: str) -> Node:
    entries = _mapping(node)
    if key not in entries:
        raise node.fail(f"the transcript lacks {key!r}", f"add `{key}:` ({_REMEDY})")
    return entries[key]


def _text(node: Node) -> str | None:
    if node.value is not None and not isinstance(node.value, str):
        raise node.fail("a text is expected here", _REMEDY)
    return node.value
