"""`atprobe doctor` from the command line to the exit code."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from atprobe.link import PortError, _locks
from atprobe.model import Device, Port, ProblemKind, Role, UsbInfo, UsbInterface
from tests.buses import Manager, managed
from tests.buses import modem as bus_modem
from tests.cli.conftest import ATPROBE, Cli, Probing

USB = UsbInfo("2c7c", "0125", "Quectel", "EC25", path="1-1", interfaces=(UsbInterface(2, "ff", "00", "00", "option"),))


def modem(path: str) -> Device:
    return Device("usb", (Port(path, Role.AT, 2, "option"),), USB, "/sys/devices/nosuch", True)


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A port that is there, and that nobody uses."""
    monkeypatch.setattr(_locks, "FOLDERS", ())  # another test's pty may have had the same number
    master, slave = os.openpty()
    path = os.ttyname(slave)
    os.close(slave)
    yield path
    os.close(master)


def test_all_well(cli: Cli, machine: Probing, port: str) -> None:
    machine.devices = (modem(port),)
    result = cli("doctor")
    assert result.code == 0
    assert f"usb 1-1  2c7c:0125 Quectel EC25  {port}: ok\n" in result.out


def test_findings(cli: Cli, machine: Probing) -> None:
    machine.devices = (modem("/dev/ttyNOSUCH2"),)
    result = cli("doctor")
    assert result.code == 1
    assert "stops: /dev/ttyNOSUCH2: there is no such port" in result.out
    assert "fix:  atprobe scan" in result.out


def test_no_modem(cli: Cli, machine: Probing) -> None:
    result = cli("doctor", "--format", "json")
    assert result.code == 4
    document = json.loads(result.out)
    assert document["schema"] == "atprobe.doctor/1"
    assert "nothing" in [each["kind"] for each in document["host"]]


def test_one_port_even_of_a_plain_line(cli: Cli, machine: Probing, tmp_path: Path, port: str) -> None:
    machine.devices = (modem("/dev/ttyNOSUCH2"),)
    result = cli("doctor", "--port", port, "--format", "jsonl")
    assert result.code == 0
    (line,) = result.out.splitlines()
    assert json.loads(line)["ports"] == [port]
    (tmp_path / "port").touch()
    result = cli("doctor", "--port", str(tmp_path / "port"))
    assert (result.code, "is not a port" in result.out) == (1, True)


def test_a_port_elsewhere_is_none_of_its_business(cli: Cli, machine: Probing) -> None:
    result = cli("doctor", "--port", "socket://192.0.2.7:2001")
    assert result.code == 2
    assert "leads away from this machine" in result.err


def test_modem_manager_is_asked_what_it_has_and_nothing_else(
    cli: Cli, machine: Probing, modem_manager: Callable[..., Manager], monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = modem_manager(objects=managed(bus_modem("/sys/devices/nosuch", "ttyNOSUCH2", state=11)))
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", fake.address)
    machine.devices = (modem("/dev/ttyNOSUCH2"),)
    result = cli("doctor")
    assert result.code == 1
    assert "stops: usb 1-1: ModemManager has it, and it is connected\n" in result.out
    assert fake.said() == []


def test_into_a_file(cli: Cli, machine: Probing, tmp_path: Path) -> None:
    assert cli("doctor", "--output", str(tmp_path / "out")).code == 4
    assert "no cellular module" in (tmp_path / "out").read_text()


@pytest.mark.parametrize("kind", [ProblemKind.BUSY, ProblemKind.PERMISSION, ProblemKind.MISSING])
def test_a_probe_that_fails_sends_people_here(kind: ProblemKind) -> None:
    assert "`atprobe doctor`" in PortError(kind, "/dev/ttyUSB2", "").hint


BUS = """\
P: /devices/pci0000:00/usb1/1-1
N: bus/usb/001/002
E: BUSNUM=001
E: DEVNAME=/dev/bus/usb/001/002
E: DEVNUM=002
E: DEVTYPE=usb_device
E: DRIVER=usb
E: MAJOR=189
E: MINOR=1
E: PRODUCT=2c7c/125/318
E: SUBSYSTEM=usb
E: TYPE=239/2/1
A: authorized=1\\n
A: bDeviceClass=ef\\n
A: busnum=1\\n
A: devnum=2\\n
A: idProduct=0125\\n
A: idVendor=2c7c\\n
A: manufacturer=Quectel\\n
A: product=EC25-E\\n
A: power/control=auto\\n
A: power/autosuspend_delay_ms=2000\\n
A: power/runtime_status={status}\\n

P: /devices/pci0000:00/usb1/1-1/1-1:1.2
E: DEVTYPE=usb_interface
{driver}E: INTERFACE=255/0/0
E: MODALIAS=usb:v2C7Cp0125d0318dcEFdsc02dp01icFFisc00ip00in02
E: PRODUCT=2c7c/125/318
E: SUBSYSTEM=usb
A: bInterfaceNumber=02\\n
A: modalias=usb:v2C7Cp0125d0318dcEFdsc02dp01icFFisc00ip00in02\\n
"""
TTY = """
P: /devices/pci0000:00/usb1/1-1/1-1:1.2/ttyUSB2/tty/ttyUSB2
N: ttyUSB2
E: DEVNAME=/dev/ttyUSB2
E: MAJOR=188
E: MINOR=2
E: SUBSYSTEM=tty
A: dev=188:2\\n
"""


@pytest.mark.skipif(shutil.which("umockdev-run") is None, reason="needs umockdev")
class TestWithUdev:
    """The whole way, from udev's list of a described bus."""

    def doctor(self, folder: Path, description: str) -> tuple[int, dict[str, object], str]:
        (folder / "bus").write_text(description)
        command = ["umockdev-run", "-d", str(folder / "bus"), "--", *ATPROBE, "doctor", "--format", "json"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=os.environ, check=False)
        assert done.stderr == ""
        document = json.loads(done.stdout)
        (device,) = document["devices"]
        return done.returncode, device, " ".join(f"{each['kind']}={each['fix']}" for each in device["complaints"])

    def test_sound(self, tmp_path: Path) -> None:
        code, device, complaints = self.doctor(tmp_path, BUS.format(status="active", driver="E: DRIVER=option\n") + TTY)
        assert (code, complaints) == (0, "")
        assert device["ports"] == ["/dev/ttyUSB2"]

    def test_asleep(self, tmp_path: Path) -> None:
        code, _, complaints = self.doctor(tmp_path, BUS.format(status="suspended", driver="E: DRIVER=option\n") + TTY)
        assert code == 1
        assert complaints.startswith("autosuspend=echo on ")

    def test_not_in_dev(self, tmp_path: Path) -> None:
        sound = BUS.format(status="active", driver="E: DRIVER=option\n") + TTY
        code, _, complaints = self.doctor(tmp_path, sound.replace("N: ttyUSB2\n", ""))
        assert code == 1
        assert complaints.startswith("missing=")
        assert "/dev/ttyUSB2" in complaints

    def test_without_a_driver(self, tmp_path: Path) -> None:
        code, device, complaints = self.doctor(tmp_path, BUS.format(status="active", driver=""))
        assert code == 1
        assert "no-driver=" in complaints
        assert device["modem"] is True
