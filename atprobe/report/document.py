"""A report as the plain values of the JSON contract (`schema.json`), shared by `json` and `jsonl`."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any

from atprobe.model import Device, Event, Evidence, Identity, Module, Problem, Report, Surface, Switch, UsbInfo
from atprobe.report import EVENT_ID, SCHEMA_ID


def document(report: Report) -> dict[str, Any]:
    """The whole report as one JSON object."""
    return {
        "schema": SCHEMA_ID,
        "tool": {"version": report.tool_version, "profiles": report.profiles_version},
        "host": dict(report.host),
        "started": report.started,
        "finished": report.finished,
        "modules": [module_object(module) for module in report.modules],
        "problems": [problem_object(problem) for problem in report.problems],
    }


def module_object(module: Module) -> dict[str, Any]:
    """One entry of `modules`. Findings are empty until something fills them."""
    return {
        "device": _device(module.device),
        "identity": _identity(module.identity),
        "surfaces": [_surface(surface) for surface in module.surfaces],
        "findings": [],
        "timing": {
            "seconds": round(module.timing.seconds, 3),
            "commands": module.timing.commands,
            "module_seconds": round(module.timing.module_seconds, 3),
        },
    }


def _surface(surface: Surface) -> dict[str, Any]:
    return {
        "id": surface.id,
        "title": surface.title,
        "kind": str(surface.kind),
        "reach": str(surface.reach),
        "state": str(surface.state),
        "answer": surface.answer,
        "means": surface.means,
        "switch": None if surface.switch is None else _switch(surface.switch),
        "advice": surface.advice,
    }


def _switch(switch: Switch) -> dict[str, Any]:
    return {
        "commands": list(switch.commands),
        "effect": switch.effect,
        "leaves": switch.leaves,
        "risk": switch.risk,
        "persistent": switch.persistent,
        "reboot": switch.reboot,
        "confidence": switch.confidence,
        "source": switch.source,
        "automated": switch.automated,
        "opt_in": switch.opt_in,
    }


def problem_object(problem: Problem) -> dict[str, Any]:
    """One entry of `problems`."""
    return {"port": problem.port, "kind": str(problem.kind), "message": problem.message, "hint": problem.hint}


def event_object(event: Event, time: str) -> dict[str, Any]:
    """One line of `watch --format jsonl`; `time` is when it happened, as `report.now` gives it."""
    return {
        "schema": EVENT_ID,
        "event": str(event.kind),
        "time": time,
        "device": _device(event.device),
        "module": None if event.module is None else module_object(event.module),
        "problems": [problem_object(problem) for problem in event.problems],
    }


def dumps(value: Any, *, indent: int | None = None) -> str:
    """`value` as JSON in printable ASCII, so that it cannot disturb a terminal or a log, whatever it quotes."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, indent=indent)
    return text.replace("\x7f", "\\u007f")  # DEL is ASCII, so ensure_ascii leaves it


def _device(device: Device) -> dict[str, Any]:
    return {
        "bus": device.bus,
        "usb": None if device.usb is None else _usb(device.usb),
        "pci": None if device.pci is None else asdict(device.pci),
        "modem": device.modem,
        "ports": [
            {
                "path": port.path,
                "role": str(port.role),
                "interface": port.interface,
                "driver": port.driver,
                "probed": port.probed,
            }
            for port in device.ports
        ],
    }


def _usb(usb: UsbInfo) -> dict[str, Any]:
    interfaces = [
        {
            "number": each.number,
            "class": each.interface_class,
            "subclass": each.subclass,
            "protocol": each.protocol,
            "driver": each.driver,
        }
        for each in usb.interfaces
    ]
    return {**asdict(replace(usb, interfaces=())), "interfaces": interfaces}


def _identity(identity: Identity) -> dict[str, Any]:
    return {
        "maker": identity.maker,
        "brand": identity.brand,
        "model": identity.model,
        "variant": identity.variant,
        "firmware": identity.firmware,
        "build": identity.build,
        "hardware": identity.hardware,
        "imei": identity.imei,
        "confidence": round(identity.confidence, 4),
        "conflicts": list(identity.conflicts),
        "evidence": [_evidence(item) for item in identity.evidence],
    }


def _evidence(item: Evidence) -> dict[str, Any]:
    return {
        "claim": str(item.claim),
        "value": item.value,
        "strength": str(item.strength),
        "source": item.source,
        "text": item.text,
    }
