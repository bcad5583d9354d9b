"""ModemManager beside us: it holds the port that we want to ask, and lets go of it for as long as it is asked to."""

from __future__ import annotations

from hil.rig.control import wait
from hil.rig.devices import DEVICES
from hil.rig.guest.conftest import ModemManager, Rig


def test_it_takes_the_emulated_modem_for_a_real_one(rig: Rig, modem_manager: ModemManager) -> None:
    rig.plug("ec25-ecm")

    assert modem_manager.find(rig.device("ec25-ecm")) == "disabled"
    assert modem_manager.holds(rig.tty("ec25-ecm"))


def test_a_probe_works_while_it_stands_aside_and_it_comes_back(rig: Rig, modem_manager: ModemManager) -> None:
    rig.plug("ec25-ecm")
    device, tty = rig.device("ec25-ecm"), rig.tty("ec25-ecm")
    modem_manager.find(device)

    with modem_manager.inhibited(device):
        wait(lambda: not modem_manager.holds(tty), what="ModemManager to let go")
        run = rig.atprobe("probe", "--port", tty, "--format", "json")
        assert modem_manager.modems() == {}

    assert run.code == 0, run.err
    assert [module["identity"]["model"] for module in run.json["modules"]] == [DEVICES["ec25-ecm"].model]
    assert modem_manager.find(device) == "disabled"
