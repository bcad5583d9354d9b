"""Checks of one device."""

from __future__ import annotations

from dataclasses import replace

import pytest

from atprobe.discover._build import Found, pci_device, usb_device
from atprobe.doctor import Complaint, Gravity, Kind
from atprobe.doctor import _devices as devices
from atprobe.link import Holder
from atprobe.model import Device, PciInfo, Port, Role, UsbInfo, UsbInterface
from tests.doctor.machine import KNOWN, MODULES, PORT, ROOT, SYSFS, Machine, modem, only, uart

ALIAS = "usb:v2C7Cp0125d0318dcEFdsc02dp01icFFisc00ip00in02"
NEW_ID = "modprobe option; echo 2c7c 0125 > /sys/bus/usb-serial/drivers/option1/new_id"


def undriven() -> Device:
    return modem(None, None, None, found=())


def test_unauthorised(machine: Machine) -> None:
    machine.file(f"{SYSFS}/authorized", "0\n")
    bare = Device("usb", (), UsbInfo("2c7c", "0125", path="1-1"), SYSFS, True)
    found = only(devices.unauthorised(bare, machine.facts()), Kind.UNAUTHORISED)
    assert found.fix == f"echo 1 | sudo tee {SYSFS}/authorized"
    guarded = only(
        devices.unauthorised(bare, machine.facts(programs=frozenset({"usbguard-daemon"}))), Kind.UNAUTHORISED
    )
    assert "USBGuard" in guarded.why
    # What follows from it is not complained of too.
    assert list(devices.no_at_port(bare, machine.facts())) == []
    machine.file(f"{SYSFS}/authorized", "1\n")
    assert list(devices.unauthorised(bare, machine.facts())) == []


@pytest.mark.parametrize(("ids", "mode"), [("05c6:9008", "download mode"), ("33f8:d00d", "fastboot")])
@pytest.mark.parametrize("driver", ["qcserial", None])
def test_firmware_mode(ids: str, mode: str, driver: str | None, machine: Machine) -> None:
    device = modem(driver, ids=ids, found=(Found("/dev/ttyUSB0", 0),) if driver else ())
    found = only(devices.firmware_mode(device, machine.facts()), Kind.FIRMWARE_MODE)
    assert mode in found.what
    assert found.fix is None
    assert found.then is not None
    # Nobody is sent to look for an AT port or a driver.
    assert list(devices.no_at_port(device, machine.facts())) == []
    assert list(devices.no_driver(device, machine.facts())) == []


def test_storage(machine: Machine) -> None:
    disk = UsbInfo("2c7c", "0125", path="1-1", interfaces=(UsbInterface(0, "08", "06", "50", "usb-storage"),))
    device = usb_device(disk, (), KNOWN)
    assert device is not None
    found = only(devices.storage(device, machine.facts()), Kind.STORAGE)
    assert found.fix == "sudo usb_modeswitch -v 2c7c -p 0125 -K"
    assert "not installed" in found.why
    machine.commands.add("usb_modeswitch")
    assert "not installed" not in only(devices.storage(device, machine.facts()), Kind.STORAGE).why
    assert list(devices.storage(modem(), machine.facts())) == []


class TestNoPciDriver:
    CARD = pci_device((), "/sys/devices/pci0000:00/0000:02:00.0", PciInfo("14c3", "4d75", "0000:02:00.0"))

    def found(self, machine: Machine) -> Complaint:
        return only(devices.no_pci_driver(self.CARD, machine.facts()), Kind.NO_DRIVER)

    def test_not_loaded(self, machine: Machine) -> None:
        machine.file(f"{MODULES}/modules.dep", "kernel/drivers/net/wwan/t7xx/mtk_t7xx.ko:\n")
        assert self.found(machine).fix == "sudo modprobe mtk_t7xx"

    def test_this_kernel_has_none(self, machine: Machine) -> None:
        machine.file(f"{MODULES}/modules.dep", "kernel/drivers/usb/serial/option.ko:\n")
        assert "has no driver mtk_t7xx" in self.found(machine).why
        assert self.found(machine).fix is None

    def test_loaded_and_without_a_port(self, machine: Machine) -> None:
        machine.folder("/sys/module/mtk_t7xx")
        assert self.found(machine).fix == "sudo sh -c 'dmesg | grep 0000:02:00.0'"

    def test_none_where_there_is_a_port(self, machine: Machine) -> None:
        card = pci_device(["/dev/wwan0at0"], self.CARD.sysfs, self.CARD.pci)
        assert list(devices.no_pci_driver(card, machine.facts())) == []


class TestNoDriver:
    def fix(self, machine: Machine, why: str) -> str | None:
        found = only(devices.no_driver(undriven(), machine.facts()), Kind.NO_DRIVER)
        assert why in found.why
        assert found.gravity is Gravity.STOPS
        return found.fix

    def known(self, machine: Machine) -> None:
        machine.file(
            f"{MODULES}/modules.alias", "# x\nalias pci:v1 x\nalias usb:v2C7Cp0125d*dc*dsc*dp*icFFisc* option\n"
        )
        machine.file(f"{SYSFS}/1-1:1.2/modalias", ALIAS + "\n")

    def test_none_where_there_is_one(self, machine: Machine) -> None:
        assert list(devices.no_driver(modem(), machine.facts())) == []

    @pytest.mark.parametrize("name", ["option.ko", "option.ko.xz", "option.ko.zst"])
    def test_not_loaded(self, name: str, machine: Machine) -> None:
        self.known(machine)
        machine.file(f"{MODULES}/modules.dep", f"kernel/drivers/usb/serial/{name}: kernel/usbserial.ko\n")
        assert self.fix(machine, "is not loaded") == "sudo modprobe option"

    def test_loaded_and_taken_off(self, machine: Machine) -> None:
        self.known(machine)
        machine.folder("/sys/module/option")
        assert self.fix(machine, "taken it off") == "echo 1-1:1.2 | sudo tee /sys/bus/usb/drivers/option/bind"

    def test_patterns_of_other_numbers_are_not_even_compared(
        self, machine: Machine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A kernel has some thousands of them, which took seconds on a small machine."""
        start = ALIAS[: ALIAS.index("d", len("usb:v2C7Cp"))]
        patterns = [f"usb:v05C6p{number:04X}d*" for number in range(1000)] + ["usb:v*p*d*ic03*", f"{start}d[0-9]*"]
        machine.file(f"{MODULES}/modules.alias", "".join(f"alias {pattern} option\n" for pattern in patterns))
        compared: list[str] = []
        monkeypatch.setattr("atprobe.doctor._host.fnmatchcase", lambda _, pattern: compared.append(pattern))
        assert machine.host.drivers_for(ALIAS) == []
        assert compared == patterns[-2:]

    def test_does_not_know_the_number(self, machine: Machine) -> None:
        machine.folder("/sys/module/option")
        machine.file(f"{SYSFS}/1-1:1.2/modalias", ALIAS)
        assert self.fix(machine, "does not know 2c7c:0125") == f"sudo sh -c '{NEW_ID}'"
        machine.person = ROOT
        assert self.fix(machine, "does not know 2c7c:0125") == NEW_ID

    @pytest.mark.parametrize("list_of", ["modules.dep", "modules.builtin"])
    def test_not_loaded_and_does_not_know_it(self, list_of: str, machine: Machine) -> None:
        machine.file(f"{MODULES}/{list_of}", "kernel/drivers/usb/serial/option.ko\n")
        assert self.fix(machine, "does not know") == f"sudo sh -c '{NEW_ID}'"

    def test_the_flat_folder_of_openwrt(self, machine: Machine) -> None:
        machine.file(f"{MODULES}/option.ko")
        assert self.fix(machine, "is not loaded") == f"sudo sh -c '{NEW_ID}'"

    def test_this_kernel_has_none(self, machine: Machine) -> None:
        machine.file(f"{MODULES}/modules.dep", "kernel/drivers/usb/serial/cp210x.ko:\nkernel/optional.ko:\n")
        direct = 'sudo "$(command -v atprobe)" probe --usb-direct --usb 2c7c:0125'
        assert self.fix(machine, "has no driver option") == direct
        assert devices.needs_direct(undriven(), machine.facts())

    def test_a_kernel_without_modules_at_all(self, machine: Machine) -> None:
        self.fix(machine, "has no driver option")
        machine.file("/proc/modules")
        assert self.fix(machine, "not to be seen from here") == f"sudo sh -c '{NEW_ID}'"

    def test_numbers_that_are_none_reach_no_shell(self, machine: Machine) -> None:
        machine.file("/proc/modules")
        device = undriven()
        assert device.usb is not None
        odd = replace(device, usb=replace(device.usb, pid="$(reboot)"), modem=True)
        assert only(devices.no_driver(odd, machine.facts()), Kind.NO_DRIVER).fix is None


def test_no_libusb(machine: Machine) -> None:
    machine.commands.add("apt-get")
    found = only(devices.no_libusb(undriven(), machine.facts(libusb=False)), Kind.NO_LIBUSB)
    assert found.gravity is Gravity.STOPS  # no driver at all: nothing but libusb is left
    assert found.fix == "sudo apt-get install libusb-1.0-0"
    machine.folder("/sys/module/option")
    assert only(devices.no_libusb(undriven(), machine.facts(libusb=False)), Kind.NO_LIBUSB).gravity is Gravity.NOTE
    assert list(devices.no_libusb(undriven(), machine.facts())) == []
    assert list(devices.no_libusb(modem(), machine.facts(libusb=False))) == []


def test_no_at_port(machine: Machine) -> None:
    mbim = UsbInfo("2c7c", "0125", path="1-1", interfaces=(UsbInterface(12, "02", "0e", "00", "cdc_mbim"),))
    device = usb_device(mbim, (Found("/dev/cdc-wdm0", 12),), KNOWN, sysfs=SYSFS)
    assert device is not None
    found = only(devices.no_at_port(device, machine.facts()), Kind.NO_AT_PORT)
    assert "mbim" in found.what
    assert found.fix is None
    unknown = replace(device, ports=(Port("/dev/ttyUSB0", Role.UNKNOWN),))
    assert only(devices.no_at_port(unknown, machine.facts()), Kind.NO_AT_PORT).fix == (
        "atprobe probe --all --usb 2c7c:0125"
    )
    assert list(devices.no_at_port(modem(), machine.facts())) == []


class TestAutosuspend:
    def lay_out(self, machine: Machine, control: str, status: str, delay: str) -> None:
        for name, value in (("control", control), ("runtime_status", status), ("autosuspend_delay_ms", delay)):
            machine.file(f"{SYSFS}/power/{name}", value + "\n")

    def test_asleep(self, machine: Machine) -> None:
        self.lay_out(machine, "auto", "suspended", "2000")
        found = only(devices.autosuspend(modem(), machine.facts()), Kind.AUTOSUSPEND)
        assert found.gravity is Gravity.MAY_STOP
        assert found.fix == f"echo on | sudo tee {SYSFS}/power/control"
        machine.person = ROOT
        assert only(devices.autosuspend(modem(), machine.facts()), Kind.AUTOSUSPEND).fix == (
            f"echo on > {SYSFS}/power/control"
        )

    @pytest.mark.parametrize(
        "values", [("on", "suspended", "0"), ("auto", "active", "0"), ("auto", "suspended", "60000"), ("", "", "x")]
    )
    def test_awake(self, values: tuple[str, str, str], machine: Machine) -> None:
        self.lay_out(machine, *values)
        assert list(devices.autosuspend(modem(), machine.facts())) == []


class TestModemManager:
    HELD = {PORT: (Holder(77, "ModemManager"),)}  # noqa: RUF012
    RUNS = frozenset({"ModemManager"})

    def test_not_there(self, machine: Machine) -> None:
        assert list(devices.modem_manager(modem(), machine.facts())) == []
        assert list(devices.modem_manager(modem(), machine.facts(managed=None))) == []
        assert list(devices.modem_manager(uart(), machine.facts(managed=None, programs=self.RUNS))) == []

    def test_root_has_nothing_to_do(self, machine: Machine) -> None:
        machine.person = ROOT
        found = only(devices.modem_manager(modem(), machine.facts(managed={modem(): False})), Kind.MODEM_MANAGER)
        assert (found.gravity, found.fix) == (Gravity.NOTE, None)

    def test_others_may_not_ask_it(self, machine: Machine) -> None:
        found = only(devices.modem_manager(modem(), machine.facts(managed={modem(): False})), Kind.MODEM_MANAGER)
        assert (found.gravity, found.fix) == (Gravity.STOPS, 'sudo "$(command -v atprobe)" probe')

    def test_a_connection_is_not_cut(self, machine: Machine) -> None:
        machine.person = ROOT
        found = only(devices.modem_manager(modem(), machine.facts(managed={modem(): True})), Kind.MODEM_MANAGER)
        assert found.gravity is Gravity.STOPS
        assert found.fix is not None
        assert "disconnect" in found.fix

    @pytest.mark.parametrize("held", [True, False])
    def test_without_its_client(self, held: bool, machine: Machine) -> None:
        facts = machine.facts(managed=None, programs=self.RUNS, bus_client=False, held=self.HELD if held else {})
        found = only(devices.modem_manager(modem(), facts), Kind.MODEM_MANAGER)
        assert found.gravity is (Gravity.STOPS if held else Gravity.MAY_STOP)
        assert found.fix == "pip install 'atprobe[modemmanager]'"

    def test_its_bus_does_not_answer(self, machine: Machine) -> None:
        facts = machine.facts(managed=None, programs=self.RUNS)
        found = only(devices.modem_manager(modem(), facts), Kind.MODEM_MANAGER)
        assert found.fix == "sudo systemctl stop ModemManager"

    def test_still_finding_out(self, machine: Machine) -> None:
        found = only(devices.modem_manager(modem(), machine.facts(held=self.HELD)), Kind.MODEM_MANAGER)
        assert found.gravity is Gravity.MAY_STOP
        assert "pid 77" in found.what
