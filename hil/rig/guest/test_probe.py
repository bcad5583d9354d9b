"""atprobe on ports that real drivers serve."""

from __future__ import annotations

import pytest

from hil.rig.devices import DECOYS, DEVICES, MODEMS
from hil.rig.guest.conftest import Rig

BOUND = tuple(name for name in MODEMS if name != "unbound")


def test_each_modem_is_identified_on_its_at_port(rig: Rig) -> None:
    rig.plug(*DEVICES)
    names = {rig.tty(name): name for name in BOUND}

    run = rig.atprobe("probe", *(word for tty in names for word in ("--port", tty)), "--format", "json")

    assert run.code == 0, run.err
    found = {}
    for module in run.json["modules"]:
        (port,) = (port for port in module["device"]["ports"] if port["probed"])
        found[names[port["path"]]] = (module["identity"]["maker"], module["identity"]["model"])
    assert found == {name: (DEVICES[name].maker, DEVICES[name].model) for name in BOUND}


def test_nothing_but_control_ports_of_known_modems_is_touched(rig: Rig) -> None:
    rig.plug(*DEVICES)

    scan, probe = rig.atprobe("scan"), rig.atprobe("probe", "--format", "json")

    assert (scan.code, probe.code) == (0, 0)
    assert len(probe.json["modules"]) >= 5
    assert {name: rig.touched(name) for name in DECOYS} == {name: {} for name in DECOYS}
    for name in BOUND:
        # One port of a modem is enough, and the best one at that.
        assert {what.split()[0] for what in rig.touched(name)} <= {str(DEVICES[name].at)}, name


@pytest.mark.parametrize("limit", [{"received": 1}, {"commands": 3}])
def test_a_modem_that_is_unplugged_meanwhile_has_vanished(rig: Rig, limit: dict[str, int]) -> None:
    rig.plug("ec25")
    tty = rig.tty("ec25")
    rig.bench.unplug_after("ec25", 2, **limit)

    run = rig.atprobe("probe", "--port", tty, "--format", "json")

    assert run.code == 3, run.err
    assert [(problem["port"], problem["kind"]) for problem in run.json["problems"]] == [(tty, "vanished")]
    assert "Traceback" not in run.err
    rig.gone("ec25")


def test_a_stream_of_positions_is_said_to_be_one(rig: Rig) -> None:
    rig.plug("ec25")

    run = rig.atprobe("probe", "--port", rig.tty("ec25", 1), "--format", "json")

    assert run.code == 3
    assert [problem["kind"] for problem in run.json["problems"]] == ["nmea"]


def test_a_mute_port_is_given_up(rig: Rig) -> None:
    rig.plug("ec25")
    rig.bench.mute("ec25", 2)

    run = rig.atprobe("probe", "--port", rig.tty("ec25"), "--format", "json")

    assert run.code == 3
    assert [problem["kind"] for problem in run.json["problems"]] == ["silent"]
    rig.unplug("ec25")
