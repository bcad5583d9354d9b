"""udev rules: the roles that `roles` gives, on known modems and on nothing else."""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from atprobe.discover import firmware_mode, is_modem, roles, udev_rules
from atprobe.discover._roles import NO_PORT_DRIVERS, port_table
from atprobe.discover._rules import NAME, sections
from atprobe.discover._udev import HINTS
from atprobe.knowledge import load, transcripts
from atprobe.model import UsbInfo, UsbInterface
from tests.discover.udev import Event, node, port

INSTALLED = load()
RULES = sections(INSTALLED)
PATH = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))
FOLDER = Path(__file__).parents[2] / "udev"
RECORDED = {
    t.id: t.usb
    for t in transcripts()
    if t.usb is not None and t.usb.interfaces
    # A real network card has a class that says so; some recordings have its driver only.
    if not any(each.interface_class is None and each.driver in NO_PORT_DRIVERS for each in t.usb.interfaces)
}
ROLE = "ENV{ATPROBE_ROLE}"

DIAG, PLAIN, ADB, MBIM = "ff/ff/ff", "ff/00/00", "ff/42/01", "02/0e/00"
EC25 = "2c7c:0125"


def _codes(triple: str) -> tuple[str, str, str]:
    one, two, three = triple.split("/")
    return one, two, three


def device(ids: str, *triples: str, drivers: str = "") -> UsbInfo:
    """A device with an interface for each of the class/subclass/protocol triples, numbered from 0."""
    vid, _, pid = ids.partition(":")
    names = [None if name == "-" else name for name in drivers.split()] + [None] * len(triples)
    interfaces = [UsbInterface(n, *_codes(triple), driver=names[n]) for n, triple in enumerate(triples)]
    return UsbInfo(vid, pid, path="1-1.2", interfaces=tuple(interfaces))


def by_rules(usb: UsbInfo) -> dict[int, str | None]:
    """The role of each of the device's interfaces, None where the rules leave it alone."""
    return {each.number: port(usb, each).run(RULES).keys.get(ROLE) for each in usb.interfaces}


def event(usb: UsbInfo, number: int = 0, name: str = "ttyUSB7", **env: str) -> Event:
    return port(usb, usb.interfaces[number], name, **env).run(RULES)


def untouched(done: Event) -> bool:
    """Whether nothing is left on the device that the rules made."""
    kept = {key for key in done.keys if key.startswith("ENV{") and not key.startswith("ENV{.")}
    return kept <= {"ENV{DEVNAME}", "ENV{DEVTYPE}", "ENV{ID_USB_INTERFACES}"} and not done.added


class TestRoles:
    @pytest.mark.parametrize("name", RECORDED)
    def test_recorded_devices_get_what_discover_says(self, name: str) -> None:
        usb = RECORDED[name]
        found = by_rules(usb)
        if all(role is None for role in found.values()):
            assert firmware_mode(usb, INSTALLED) or not is_modem(usb, INSTALLED)
            assert not any(role.is_control for role in roles(usb, INSTALLED).values())
        else:
            assert found == roles(usb, INSTALLED)

    def test_any_composition_of_a_known_modem_gets_what_discover_says(self) -> None:
        chance = random.Random(1)
        devices = {(vid, pid) for vid, pid, _ in port_table(INSTALLED.root)}
        devices |= {(vid, pid) for each in INSTALLED.layouts for vid in each.vendors for pid in each.products}
        devices |= {(vid, "ffff") for vid in INSTALLED.modem_vendors}
        classes = sorted({each.triple for each in INSTALLED.layouts if each.triple and each.triple.count("/") == 2})
        for vid, pid in sorted(devices):
            own = [e.triple for e in INSTALLED.layouts if vid in e.vendors and e.triple in classes]
            usual = [PLAIN] * 15 + [DIAG, ADB, MBIM, "02/02/01", "0a/00/00", "08/06/50", "e0/01/03", "02/06/00"]
            triples = chance.choices([*usual, *classes, *(own * 5)], k=chance.randint(2, 9))
            usb = device(f"{vid}:{pid}", *triples)
            assert by_rules(usb) == roles(usb, INSTALLED), (vid, pid, triples)

    def test_drivers_speak_last(self) -> None:
        gobi = device("1199:9051", DIAG, PLAIN, PLAIN, PLAIN, drivers="qcserial - qcserial qcserial")
        assert by_rules(gobi) == roles(gobi, INSTALLED) == {0: "diag", 1: "unknown", 2: "gnss", 3: "at"}

    def test_modem_manager_speaks_where_classes_and_numbers_are_silent(self) -> None:
        for name, role in HINTS.items():
            assert event(device(EC25, *[PLAIN] * 7), 6, **{name: "1"}).keys[ROLE] == role
        assert event(device(EC25, *[PLAIN] * 7), 2, ID_MM_PORT_TYPE_GPS="1").keys[ROLE] == "at"
        assert event(device(EC25, ADB, ADB), 0, ID_MM_PORT_TYPE_GPS="1").keys[ROLE] == "adb"

    def test_a_contradiction_silences_modem_manager_too(self) -> None:
        shifted = device(EC25, DIAG, PLAIN, ADB, PLAIN, PLAIN)  # number 2 is the AT port
        assert by_rules(shifted) == {0: "unknown", 1: "unknown", 2: "adb", 3: "unknown", 4: "unknown"}
        assert event(shifted, 3, ID_MM_PORT_TYPE_AT_PRIMARY="1").keys[ROLE] == "unknown"

    def test_without_the_descriptors_the_rest_still_holds(self) -> None:
        shifted = device(EC25, DIAG, PLAIN, ADB, PLAIN, PLAIN)
        blind = port(shifted, shifted.interfaces[3])
        blind.descriptors = None
        assert blind.run(RULES).keys[ROLE] == "at-secondary"

    def test_option_s_own_driver_speaks_first(self) -> None:
        for kind, role in {"Control": "at", "Modem": "ppp", "Diagnostic": "diag"}.items():
            usb = device("0af0:6971", DIAG)
            one = port(usb, usb.interfaces[0], "ttyHS3")
            one.keys["ATTR{hsotype}"] = kind
            one.run(RULES)
            assert one.keys[ROLE] == role
            assert one.added["SYMLINK"] == [f"atprobe/1-1.2-{role}"]

    @pytest.mark.parametrize(
        ("name", "role"),
        [
            ("wwan0at0", "at"),
            ("wwan1at1", "at-secondary"),
            ("wwan0qmi0", "qmi"),
            ("wwan0mbim0", "mbim"),
            ("wwan0qcdm0", "diag"),
            ("wwan0xmmrpc0", "unknown"),
            ("mhi_DUN", "at"),
            ("mhi_DUN1", "at-secondary"),
            ("mhi_MBIM", "mbim"),
        ],
    )
    def test_pci_express(self, name: str, role: str) -> None:
        subsystem = "wwan" if name.startswith("wwan") else "mhi_q"
        keys = {"ACTION": "add", "SUBSYSTEM": subsystem, "KERNEL": name, "ENV{DEVNAME}": f"/dev/{name}"}
        done = Event(keys, [{"SUBSYSTEMS": "pci"}]).run(RULES)
        assert done.keys[ROLE] == role
        assert done.keys["ENV{ID_ATPROBE}"] == "1"
        assert done.added["SYMLINK"] == [f"atprobe/{name}"]


class TestNames:
    def test_role_and_interface(self) -> None:
        done = event(device(EC25, DIAG, PLAIN, PLAIN, PLAIN), 2)
        assert done.added["SYMLINK"] == ["atprobe/1-1.2-at", "atprobe/1-1.2-if02"]

    def test_an_unknown_port_has_its_interface(self) -> None:
        assert event(device(EC25, *[PLAIN] * 7), 6).added["SYMLINK"] == ["atprobe/1-1.2-if06"]

    def test_the_lower_interface_has_the_role_s_name(self) -> None:
        fn990 = device("1bc7:1073", "ff/ff/40", "ff/ff/40", "ff/ff/40")
        done = [event(fn990, number) for number in range(3)]
        assert [each.keys[ROLE] for each in done] == ["at", "at-secondary", "at-secondary"]
        priorities = [int(each.added["OPTIONS"][0].removeprefix("link_priority=")) for each in done]
        assert priorities == sorted(set(priorities), reverse=True)

    def test_a_wwan_port_of_a_usb_modem_does_not_compete_with_its_cdc_wdm(self) -> None:
        usb = device(EC25, DIAG, PLAIN, PLAIN, PLAIN, DIAG, drivers="option option option option qmi_wwan")
        assert event(usb, 4, "cdc-wdm0").added["SYMLINK"] == ["atprobe/1-1.2-qmi", "atprobe/1-1.2-if04"]
        wwan = event(usb, 4, "wwan0qmi0")
        assert wwan.keys[ROLE] == "qmi"
        assert wwan.added["SYMLINK"] == ["atprobe/wwan0qmi0"]


class TestAccess:
    MODEM = device(EC25, DIAG, PLAIN, PLAIN, PLAIN)

    @pytest.mark.parametrize(("number", "given"), [(0, False), (1, False), (2, True), (3, True)])
    def test_of_ports_that_are_talked_to(self, number: int, given: bool) -> None:
        done = event(self.MODEM, number)
        assert ("GROUP" in done.keys, "MODE" in done.keys, "uaccess" in done.added.get("TAG", [])) == (given,) * 3
        assert done.added.get("RUN{builtin}", []) == ["uaccess"] * given

    def test_of_the_device(self) -> None:
        done = node(self.MODEM).run(sections(INSTALLED, "gsm"))
        assert (done.keys["GROUP"], done.keys["MODE"], done.added["TAG"]) == ("gsm", "0664", ["uaccess"])
        assert done.added["RUN{builtin}"] == ["uaccess"]
        assert done.keys["ENV{ID_ATPROBE}"] == "1"
        assert ROLE not in done.keys

    def test_the_first_at_port_may_start_a_watch(self) -> None:
        wants = [event(self.MODEM, number).added.get("ENV{SYSTEMD_WANTS}") for number in range(4)]
        assert wants == [None, None, ["atprobe-watch.service"], None]


class TestOthers:
    @pytest.mark.parametrize(
        "usb",
        [
            device("2341:0043", "02/02/01", "0a/00/00"),  # Arduino Uno
            device("0403:6001", DIAG),  # FTDI
            device("10c4:ea60", PLAIN),  # CP210x
            device("1546:01a8", "02/02/01", "0a/00/00"),  # u-blox M8, a GNSS receiver; 1546 makes modems too
            device("12d1:107e", "06/01/01", "08/06/50", ADB),  # a phone of Huawei's
            device("18d1:4ee7", ADB),
        ],
        ids=lambda usb: f"{usb.vid}:{usb.pid}",
    )
    def test_get_nothing(self, usb: UsbInfo) -> None:
        assert not is_modem(usb, INSTALLED)
        assert untouched(node(usb).run(RULES))
        assert all(
            untouched(event(usb, n, name)) for n in range(len(usb.interfaces)) for name in ("ttyACM0", "ttyUSB0")
        )

    def test_a_device_with_a_class_of_an_at_port_is_a_modem(self) -> None:
        usb = device("12d1:fffe", "ff/02/01", "ff/02/12")
        assert by_rules(usb) == {0: "ppp", 1: "at"}
        assert node(usb).run(RULES).keys["ENV{ID_ATPROBE}"] == "1"

    def test_a_module_that_waits_for_new_firmware_gets_nothing(self) -> None:
        for vid, pid in (("05c6", "9008"), ("1199", "68a4"), ("0489", "e0b7")):
            usb = device(f"{vid}:{pid}", DIAG)
            assert firmware_mode(usb, INSTALLED)
            assert untouched(node(usb).run(RULES))
            assert untouched(event(usb))

    def test_a_number_that_a_module_at_work_has_too_is_a_modem_s(self) -> None:
        usb = device("413c:81b6", DIAG, "0a/00/00", PLAIN, PLAIN, drivers="qcserial - qcserial qcserial")
        assert firmware_mode(usb, INSTALLED)
        assert by_rules(usb)[3] == "at"

    @pytest.mark.parametrize(
        ("subsystem", "name"), [("tty", "ttyS0"), ("tty", "tty1"), ("usbmisc", "hiddev0"), ("block", "sda")]
    )
    def test_things_that_are_no_port(self, subsystem: str, name: str) -> None:
        keys = {"ACTION": "add", "SUBSYSTEM": subsystem, "KERNEL": name, "ENV{DEVNAME}": f"/dev/{name}"}
        assert untouched(Event(keys, [{"SUBSYSTEMS": "pci"}]).run(RULES))

    def test_a_stranger_costs_ten_lines(self) -> None:
        """The section that strangers leave in."""
        assert len(RULES[0].rules) <= 10


class TestFile:
    TEXT = udev_rules(INSTALLED)

    def test_the_one_in_the_repository(self) -> None:
        same = (FOLDER / NAME).read_text() == self.TEXT
        assert same, "make it anew with: atprobe udev rules --output udev/78-atprobe.rules"

    def test_is_plain_text_that_every_udev_can_read(self) -> None:
        assert self.TEXT.isascii()
        assert max(len(line) for line in self.TEXT.splitlines()) < 8000, "udev's limit is 16 kB"

    def test_every_label_that_is_gone_to_is_there(self) -> None:
        assert set(re.findall(r'GOTO="(\w+)"', self.TEXT)) == set(re.findall(r'LABEL="(\w+)"', self.TEXT))

    def test_the_group_can_be_chosen(self) -> None:
        mine = udev_rules(INSTALLED, "gsm")
        assert mine == self.TEXT.replace('GROUP="dialout"', 'GROUP="gsm"')
        assert mine != self.TEXT

    def test_no_port_of_the_table_is_left_out(self) -> None:
        for vid, pid, number in port_table(INSTALLED.root):
            assert f"{vid}:{pid}:{number:02x}" in self.TEXT


@pytest.mark.skipif(sys.platform != "linux", reason="udev is Linux's")
class TestUdevItself:
    """udev's own parser, on rules folders that only its process sees."""

    def complaints(self, rules: str, folder: Path) -> list[str]:
        if shutil.which("udevadm", path=PATH) is None:
            pytest.fail("udevadm is missing; install it (Debian: apt-get install udev) and repeat")
        (folder / NAME).write_text(rules)
        # A processor has no node: nothing is made for it below /dev.
        script = 'mount -t tmpfs none /run && mkdir -p /run/udev/rules.d && cp "$0" /run/udev/rules.d/ || exit 99;'
        script += " udevadm test /sys/devices/system/cpu/cpu0 2>&1"
        apart = ["unshare", "--map-root-user", "--mount", "sh", "-c", script, str(folder / NAME)]
        run = subprocess.run(apart, capture_output=True, text=True, env={"PATH": PATH}, check=False)
        if f"/run/udev/rules.d/{NAME}" not in run.stdout:
            pytest.skip(f"no file system of one's own to be had here: {run.stderr.strip()}")
        return [line for line in run.stdout.splitlines() if NAME in line and "Reading rules file" not in line]

    def test_has_nothing_to_say_of_our_rules(self, tmp_path: Path) -> None:
        assert self.complaints(udev_rules(INSTALLED, "root"), tmp_path) == []

    @pytest.mark.parametrize("line", ['KERNEL=="x", NONSENSE="1"', 'GOTO="nowhere"', 'KERNEL="x"'])
    def test_would_say_so(self, line: str, tmp_path: Path) -> None:
        assert self.complaints(f"{udev_rules(INSTALLED, 'root')}{line}\n", tmp_path)
