"""What `atprobe scan` says of devices that real drivers serve, without touching one of them."""

from __future__ import annotations

import statistics
import time

from atprobe import discover, knowledge
from hil.rig.devices import DECOYS, DEVICES, Spec
from hil.rig.guest.conftest import Figure, Rig

WITH_PORT = {"option", "qcserial", "cdc_acm", "ftdi_sio", "qmi_wwan", "cdc_mbim"}
UNTOUCHED: dict[str, dict[str, object]] = {name: {} for name in DEVICES}


def expected(spec: Spec) -> dict[int, tuple[str, str | None]]:
    """By interface number, the role and the driver of each port that a device has."""
    interfaces = spec.layout.interfaces
    return {each.port: (str(each.role), each.driver) for each in interfaces if each.driver in WITH_PORT}


def test_every_port_of_every_device_has_its_role(rig: Rig) -> None:
    rig.plug(*DEVICES)

    run = rig.atprobe("scan", "--format", "json")

    assert run.code == 0, run.err
    devices = [module["device"] for module in run.json["modules"] if module["device"]["bus"] == "usb"]
    plugged = rig.bench.plugged()
    assert sorted(device["usb"]["path"] for device in devices) == sorted(plugged.values())
    found = {device["usb"]["path"]: device["ports"] for device in devices}
    roles = {
        name: {port["interface"]: (port["role"], port["driver"]) for port in found[plugged[name]]} for name in DEVICES
    }
    # No table knows this one, and classes tell of its first two interfaces only that they are for other things.
    assert roles.pop("unbound") == {2: ("unknown", None), 3: ("unknown", None)}
    assert roles == {name: expected(spec) for name, spec in DEVICES.items() if name != "unbound"}
    assert roles["ec25-adb"] == roles["ec25"]
    for name in roles:
        paths = {port["interface"]: port["path"] for port in found[plugged[name]]}
        ttys = {number: bound.tty for number, bound in rig.interfaces(name).items() if bound.tty}
        assert {number: paths[number] for number in ttys} == ttys, name

    direct = [port["path"] for port in found[plugged["unbound"]]]
    assert direct == [f"usb://{plugged['unbound']}/{number}" for number in (2, 3)]
    problems = [(problem["port"], problem["kind"]) for problem in run.json["problems"]]
    assert problems == [(f"usb {plugged['unbound']}", "no-driver")]
    assert {name: rig.touched(name) for name in DEVICES} == UNTOUCHED


def test_a_decoy_is_no_modem_and_a_scan_is_quick(rig: Rig, figure: Figure) -> None:
    rig.plug(*DEVICES)
    known = knowledge.load()

    seconds = []
    for _ in range(6):
        start = time.perf_counter()
        scanned = discover.scan(known)
        seconds.append(time.perf_counter() - start)

    figure(
        f"scan: {len(DEVICES)} devices in {statistics.median(seconds[1:]) * 1000:.0f} ms (the first {seconds[0]:.2f} s)"
    )
    assert scanned.limits == ()
    decoys = {rig.bench.plugged()[name] for name in DECOYS}
    modems = {device.usb.path: device.modem for device in scanned.devices if device.usb}
    assert {path for path, modem in modems.items() if not modem} == decoys
    assert not any(port.role.is_control for device in scanned.devices if not device.modem for port in device.ports)
    assert {name: rig.touched(name) for name in DEVICES} == UNTOUCHED
