"""atprobe on ports that real drivers serve."""

from __future__ import annotations

from hil.rig.devices import DECOYS, DEVICES, MODEMS
from hil.rig.guest.conftest import Rig

BOUND = tuple(name for name in MODEMS if name != "unbound")


def test_every_modem_with_a_driver_is_found_on_one_port_and_nothing_else_is_touched(rig: Rig) -> None:
    rig.plug(*DEVICES)

    run = rig.atprobe("probe", "--format", "json")

    assert run.code == 3, "one modem has no driver"
    plugged = rig.bench.plugged()
    names = {path: name for name, path in plugged.items()}
    found = {
        names[module["device"]["usb"]["path"]]: (module["identity"]["maker"], module["identity"]["model"])
        for module in run.json["modules"]
    }
    assert found == {name: (DEVICES[name].maker, DEVICES[name].model) for name in BOUND}
    (problem,) = run.json["problems"]
    assert (problem["port"], problem["kind"]) == (f"usb {plugged['unbound']}", "no-driver")
    assert {name: rig.touched(name) for name in DECOYS} == {name: {} for name in DECOYS}
    assert rig.touched("unbound") == {}
    for name in BOUND:
        # One port of a modem is enough, and the best one at that.
        assert {what.split()[0] for what in rig.touched(name)} == {str(DEVICES[name].at)}, name


def test_modems_that_are_unplugged_meanwhile_have_vanished(rig: Rig) -> None:
    rig.plug("ec25", "rm520n")
    ttys = rig.tty("ec25"), rig.tty("rm520n")
    rig.bench.unplug_after("ec25", 2, received=1)
    rig.bench.unplug_after("rm520n", 2, commands=3)

    run = rig.atprobe("probe", "--port", ttys[0], "--port", ttys[1], "--format", "json")

    assert run.code == 3, run.err
    assert sorted((problem["port"], problem["kind"]) for problem in run.json["problems"]) == sorted(
        (tty, "vanished") for tty in ttys
    )
    assert "Traceback" not in run.err
    rig.gone("ec25", "rm520n")


def test_a_stream_of_positions_is_said_to_be_one_and_a_mute_port_is_given_up(rig: Rig) -> None:
    rig.plug("ec25", "rm520n")
    rig.bench.mute("ec25", 2)
    stream, mute = rig.tty("rm520n", 1), rig.tty("ec25")

    run = rig.atprobe("probe", "--port", stream, "--port", mute, "--format", "json")

    assert run.code == 3
    assert {problem["port"]: problem["kind"] for problem in run.json["problems"]} == {stream: "nmea", mute: "silent"}
    rig.unplug("ec25")
