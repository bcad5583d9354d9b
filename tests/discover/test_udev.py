"""The scan on buses that `hil/rig` recorded, shown again by umockdev: real drivers' sysfs, without the machine."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from atprobe.discover._udev import _USB
from hil.rig.devices import DECOYS, DEVICES, MODEMS

BUSES = Path(__file__).parent / "buses"
Scan = Callable[..., list[dict[str, Any]]]


def bus(names: Iterable[str]) -> str:
    """Several recordings as one: what they share, such as the host controllers, only once."""
    blocks: dict[str, str] = {}
    for name in names:
        for block in (BUSES / f"{name}.umockdev").read_text().strip().split("\n\n"):
            blocks.setdefault(block.partition("\n")[0], block)
    return "\n\n".join(blocks.values()) + "\n\n"


@pytest.fixture(scope="session")
def scanned(tmp_path_factory: pytest.TempPathFactory) -> Scan:
    if sys.platform != "linux":
        pytest.skip("umockdev is for Linux")
    if shutil.which("umockdev-run") is None:
        pytest.fail("umockdev-run is missing: apt install umockdev")

    def scan(text: str, *options: str, command: str = "scan") -> list[dict[str, Any]]:
        file = tmp_path_factory.mktemp("bus") / "bus.umockdev"
        file.write_text(text)
        run = ["umockdev-run", "-d", str(file), "--", sys.executable, "-m", "atprobe", command, "--format", "json"]
        done = subprocess.run([*run, *options], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode in (0, 3, 4), done.stderr
        report = json.loads(done.stdout)
        return [*report["modules"], *report["problems"]]

    return scan


@pytest.fixture(scope="session")
def everything(scanned: Scan) -> list[dict[str, Any]]:
    return scanned(bus(DEVICES))


def usb(found: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The USB devices among what was found, by their path."""
    devices = [each["device"] for each in found if "device" in each]
    return {device["usb"]["path"]: device for device in devices if device["usb"] is not None}


def path_of(name: str) -> str:
    """Where a device was plugged in when it was recorded."""
    places = re.findall(r"^P: \S*/(\d+-[\d.]+)$", (BUSES / f"{name}.umockdev").read_text(), re.M)
    assert len(places) == 1
    return str(places[0])


def test_one_device_for_each_that_is_plugged_in(everything: list[dict[str, Any]]) -> None:
    assert set(usb(everything)) == {path_of(name) for name in DEVICES}


def test_the_ports_of_a_device_that_is_just_going_are_nobody_elses(scanned: Scan) -> None:
    """Its own entry goes first: the ports left behind are no PCIe modem and no UART."""
    whole = bus(["em7455", "ec25"])
    assert "E: DEVTYPE=usb_device\n" in whole
    assert [each["device"]["bus"] for each in scanned(whole)] == ["usb", "usb"]
    assert scanned(whole.replace("E: DEVTYPE=usb_device\n", "")) == []


@pytest.mark.parametrize("name", DEVICES)
def test_descriptors_drivers_and_roles(everything: list[dict[str, Any]], name: str) -> None:
    device, layout = usb(everything)[path_of(name)], DEVICES[name].layout
    assert (device["usb"]["vid"], device["usb"]["pid"]) == (f"{layout.vid:04x}", f"{layout.pid:04x}")
    names = tuple(device["usb"][key] for key in ("manufacturer", "product", "serial"))
    assert names == layout.strings
    expected = {each.number: each.driver for each in layout.interfaces}
    assert {each["number"]: each["driver"] for each in device["usb"]["interfaces"]} == expected
    roles = {each.number: str(each.role) for each in layout.interfaces if each.number == each.port}
    found = {port["interface"]: port["role"] for port in device["ports"] if not port["path"].startswith("usb://")}
    assert found == {number: roles[number] for number in found}
    assert {number for number in roles if expected[number] in ("option", "qcserial", "ftdi_sio")} <= set(found)


@pytest.mark.parametrize("name", DEVICES)
def test_modems_are_known_as_such_and_decoys_are_not(everything: list[dict[str, Any]], name: str) -> None:
    device = usb(everything)[path_of(name)]
    assert device["modem"] is (name in MODEMS)
    if name in DECOYS:
        assert {port["role"] for port in device["ports"]} == {"unknown"}


def test_a_module_without_a_driver_has_usb_ports_and_a_way_out(everything: list[dict[str, Any]]) -> None:
    place = path_of("unbound")
    assert [(port["path"], port["role"]) for port in usb(everything)[place]["ports"]] == [
        (f"usb://{place}/2", "unknown"),
        (f"usb://{place}/3", "unknown"),
    ]
    (problem,) = (each for each in everything if each.get("kind") == "no-driver")
    assert problem["port"] == f"usb {place}"


@pytest.mark.parametrize(
    ("name", "wanted"),
    [("1-1", True), ("1-10", True), ("3-1.4.10", True), ("1-10:1.12", True), ("1-0:1.0", False), ("usb1", False)],
)
def test_root_hubs_are_not_looked_at(name: str, wanted: bool) -> None:
    assert (_USB[1].fullmatch(name) is not None) is wanted


def test_without_libudev_the_same_serial_ports_have_the_same_roles(
    everything: list[dict[str, Any]], tmp_path: Path
) -> None:
    (tmp_path / "bus.umockdev").write_text(bus(DEVICES))
    body = "import sys; sys.modules['pyudev'] = None; sys.argv[:] = ['atprobe', 'scan', '--format', 'json']"
    run = ["umockdev-run", "-d", str(tmp_path / "bus.umockdev"), "--", sys.executable, "-c"]
    done = subprocess.run(
        [*run, f"{body}; from atprobe.cli import main; main()"], capture_output=True, text=True, timeout=60, check=False
    )

    assert "libudev is not here" in done.stderr
    without, with_udev = usb(json.loads(done.stdout)["modules"]), usb(everything)
    assert set(without) == set(with_udev)
    for place, device in with_udev.items():
        assert without[place]["modem"] is device["modem"]
        assert without[place]["ports"] == [port for port in device["ports"] if "cdc-wdm" not in port["path"]]


class TestHints:
    """What ModemManager's rules left in udev's database counts where nothing better is known."""

    HINT = "E: ID_MM_PORT_TYPE_AT_PRIMARY=1\n"

    def roles(self, found: list[dict[str, Any]]) -> list[str]:
        (device,) = usb(found).values()
        return [port["role"] for port in device["ports"]]

    def test_they_are_used(self, scanned: Scan) -> None:
        text = bus(["arduino"])
        mark = "E: SUBSYSTEM=tty\n"
        assert mark in text
        assert self.roles(scanned(text)) == ["unknown"]
        assert self.roles(scanned(text.replace(mark, mark + self.HINT))) == ["at"]

    def test_what_is_known_by_number_goes_before_them(self, scanned: Scan) -> None:
        text = bus(["ec25"]).replace("E: SUBSYSTEM=tty\n", "E: SUBSYSTEM=tty\n" + self.HINT)
        assert self.roles(scanned(text)) == ["diag", "gnss", "at", "at-secondary", "qmi"]


def test_a_port_that_is_just_leaving_has_no_name_and_is_left_out(scanned: Scan) -> None:
    text = re.sub(r"N: ttyUSB10\n|E: DEVNAME=/dev/ttyUSB10\n", "", bus(["ec25"]))
    (device,) = usb(scanned(text)).values()
    assert [port["interface"] for port in device["ports"]] == [0, 1, 3, 4]


class TestOthers:
    PCI = (
        "P: /devices/pci0000:00/0000:00:1c.0/0000:02:00.0\nE: SUBSYSTEM=pci\nE: PCI_ID=14C3:4D75\n\n"
        "P: /devices/pci0000:00/0000:00:1c.0/0000:02:00.0/wwan/wwan0\nE: SUBSYSTEM=wwan\nE: DEVTYPE=wwan_dev\n\n"
        "P: /devices/pci0000:00/0000:00:1c.0/0000:02:00.0/wwan/wwan0/wwan0{name}\nN: wwan0{name}\n"
        "E: SUBSYSTEM=wwan\nE: DEVTYPE=wwan_port\nE: DEVNAME=/dev/wwan0{name}\n\n"
    )
    UART = (
        "P: /devices/platform/soc/{name}\nE: SUBSYSTEM=platform\n\n"
        "P: /devices/platform/soc/{name}/tty/{name}\nN: {name}\nE: SUBSYSTEM=tty\nE: DEVNAME=/dev/{name}\n{more}\n"
    )

    def test_a_pcie_modem_is_one_device_in_its_slot(self, scanned: Scan) -> None:
        blocks: dict[str, str] = {}
        for name in ("at0", "at1", "mbim0"):
            for block in self.PCI.format(name=name).strip().split("\n\n"):
                blocks[block.partition("\n")[0]] = block
        (device,) = (each["device"] for each in scanned("\n\n".join(blocks.values()) + "\n\n"))
        assert device["bus"] == "pci"
        assert device["pci"] == {"vid": "14c3", "did": "4d75", "slot": "0000:02:00.0"}
        assert [(port["path"], port["role"]) for port in device["ports"]] == [
            ("/dev/wwan0at0", "at"),
            ("/dev/wwan0at1", "at-secondary"),
            ("/dev/wwan0mbim0", "mbim"),
        ]

    @pytest.mark.parametrize(("ids", "listed"), [("14C3:4D75", True), ("8086:7560", True), ("8086:10D3", False)])
    def test_a_card_without_a_port_is_listed_if_it_is_a_modem(self, scanned: Scan, ids: str, listed: bool) -> None:
        found = scanned(f"P: /devices/pci0000:00/0000:02:00.0\nE: SUBSYSTEM=pci\nE: PCI_ID={ids}\n\n")
        assert [each["kind"] for each in found if "kind" in each] == ["no-driver"] * listed
        assert len(found) == 2 * listed

    def test_a_uart_is_listed_and_a_slot_without_hardware_is_not(self, scanned: Scan) -> None:
        text = self.UART.format(name="ttyAMA0", more="A: type=32\\n\n")
        text += self.UART.format(name="ttyS3", more="A: type=0\\n\n")
        text += "P: /devices/virtual/tty/ttyprintk\nN: ttyprintk\nE: SUBSYSTEM=tty\nE: DEVNAME=/dev/ttyprintk\n\n"
        devices = [each["device"] for each in scanned(text)]
        assert [(device["bus"], device["ports"][0]["path"]) for device in devices] == [("uart", "/dev/ttyAMA0")]

    def test_nothing_of_them_is_opened_without_being_named(self, scanned: Scan) -> None:
        text = self.UART.format(name="ttyAMA0", more="A: type=32\\n\n") + bus(DECOYS)
        assert scanned(text, command="probe") == []
