"""What is seen of a serial device that is no modem when somebody does not leave it alone.

That scan, probe, doctor and watch do leave it alone stands in the tests of each; here is the proof that those can fail.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hil.rig.control import wait
from hil.rig.devices import DECOYS
from hil.rig.guest.conftest import Rig

# The program with tables of its own, in the folder that is its first argument.
MISTAKEN = """
import sys
from dataclasses import replace
from pathlib import Path
from atprobe import knowledge
known = replace(knowledge.load(), root=Path(sys.argv.pop(1)))
knowledge.load = lambda: known
from atprobe.cli import main
sys.exit(main())
"""


@pytest.mark.parametrize("name", DECOYS)
def test_opening_one_is_seen(rig: Rig, name: str) -> None:
    """Proves that the tests here can fail: what every one of them asks tells of an open port without a byte."""
    rig.plug(*DECOYS)

    os.close(os.open(rig.tty(name, 0), os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK))

    wait(lambda: rig.touched(name).get("0 opened"), what="the open to be seen")
    assert rig.touched(name).keys() >= {"0 line_state", "0 opened"}
    assert "0 received" not in rig.touched(name)


def test_whoever_asks_for_everything_does_touch_them(rig: Rig) -> None:
    """Proves that the tests here can fail: without the guard, bytes arrive."""
    rig.plug(*DECOYS)

    ids = ("--usb", "2341:0043", "--usb", "0403:6001")
    run = rig.atprobe("probe", "--all", *ids, "--timeout", "0.5", "--format", "json")

    assert run.code == 3
    assert [problem["kind"] for problem in run.json["problems"]] == ["silent"] * 2
    assert all(rig.touched(name)["0 received"] for name in DECOYS)


def test_a_mistaken_table_does_touch_them(rig: Rig, tmp_path: Path) -> None:
    """Proves that the tests here can fail: with an Arduino taken for a modem, `watch` asks it."""
    (tmp_path / "ports.csv").write_text("vid,pid,interface,role\n2341,0043,0,at\n")
    (tmp_path / "modems.csv").write_text("vid,pid,driver\n")
    (tmp_path / "modems-pci.csv").write_text("vid,did,driver\n")
    rig.plug(*DECOYS)

    with subprocess.Popen([sys.executable, "-c", MISTAKEN, str(tmp_path), "watch"], stdout=subprocess.DEVNULL) as watch:
        try:
            wait(lambda: rig.touched("arduino").get("0 received") or watch.poll() is not None, what="a byte")
            assert watch.poll() is None
            watch.terminate()
            watch.wait(20)  # it has a lock to remove
        finally:
            watch.kill()

    assert rig.touched("ftdi") == {}
