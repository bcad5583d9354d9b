"""A checkup as text: for people, and as documents with the schema name `atprobe.doctor/1`.

json: `{"schema", "devices": [{"bus", "place", "name", "modem", "ports", "ok", "complaints"}], "host": [complaint],
"limits": [text]}`; a complaint is `{"kind", "gravity", "places", "what", "why", "fix", "then"}`. jsonl: a line for
each device, `{"schema", ...}`, and for each complaint about the machine, `{"schema", "complaint": {...}}`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from atprobe.discover import called
from atprobe.doctor import Checkup, Complaint, Patient
from atprobe.report import Format
from atprobe.report.document import dumps
from atprobe.report.escape import visible

SCHEMA_ID = "atprobe.doctor/1"
_LIMIT = 2000
"""Characters of one line: a command has to be shown whole."""


def render(checkup: Checkup, format: Format) -> str:
    """The checkup in the format asked for."""
    if format is Format.JSON:
        return dumps({"schema": SCHEMA_ID, **_document(checkup)}, indent=2) + "\n"
    if format is Format.JSONL:
        lines = [_patient(each) for each in checkup.patients]
        lines += [{"complaint": _complaint(each)} for each in checkup.host]
        return "".join(dumps({"schema": SCHEMA_ID, **line}) + "\n" for line in lines)
    return "".join(visible(line, _LIMIT) + "\n" for line in _lines(checkup))


def _document(checkup: Checkup) -> dict[str, Any]:
    return {
        "devices": [_patient(each) for each in checkup.patients],
        "host": [_complaint(each) for each in checkup.host],
        "limits": list(checkup.limits),
    }


def _patient(patient: Patient) -> dict[str, Any]:
    device = patient.device
    return {
        "bus": device.bus,
        "place": called(device),
        "name": _name(patient),
        "modem": device.modem,
        "ports": list(patient.ports),
        "ok": patient.well,
        "complaints": [_complaint(each) for each in patient.complaints],
    }


def _complaint(complaint: Complaint) -> dict[str, Any]:
    return {
        "kind": str(complaint.kind),
        "gravity": str(complaint.gravity),
        "places": list(complaint.places),
        "what": complaint.what,
        "why": complaint.why,
        "fix": complaint.fix,
        "then": complaint.then,
    }


def _lines(checkup: Checkup) -> Iterator[str]:
    for patient in checkup.patients:
        head = [called(patient.device), _name(patient) or "", ", ".join(patient.ports)]
        where = "  ".join(dict.fromkeys(part for part in head if part))
        yield f"{where}: {'ok' if patient.well else 'cannot be probed as it is'}"
        for complaint in patient.complaints:
            yield from _said(complaint)
    if checkup.host:
        yield "this machine:"
    for complaint in checkup.host:
        yield from _said(complaint)
    if checkup.limits:
        yield "not seen from here:"
    for limit in checkup.limits:
        yield f"  {limit}"


def _said(complaint: Complaint) -> Iterator[str]:
    where = f"{', '.join(complaint.places)}: " if complaint.places else ""
    yield f"  {complaint.gravity}: {where}{complaint.what}"
    yield f"    why:  {complaint.why}"
    if complaint.fix is not None:
        yield f"    fix:  {complaint.fix}"
    if complaint.then is not None:
        yield f"    {'then:' if complaint.fix is not None else 'fix: '} {complaint.then}"


def _name(patient: Patient) -> str | None:
    usb = patient.device.usb
    if usb is None:
        return None
    return " ".join([f"{usb.vid}:{usb.pid}", *(name for name in (usb.manufacturer, usb.product) if name)])
