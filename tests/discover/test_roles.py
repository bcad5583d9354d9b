"""What an interface is for: by class, then by number, then by what others say."""

from __future__ import annotations

import csv
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from atprobe.discover import firmware_mode, is_modem, roles
from atprobe.discover._roles import port_table
from atprobe.knowledge import Knowledge, Layout, default_root, load
from atprobe.model import Role, UsbInfo, UsbInterface

INSTALLED = load()
FF = ("ff", "00", "00")
ADB = ("ff", "42", "01")


def usb(*codes: tuple[str, str, str], ids: str = "2c7c:0125", drivers: str = "") -> UsbInfo:
    """A device with these interfaces, numbered from 0; `drivers` are those of the interfaces, a word each."""
    vid, _, pid = ids.partition(":")
    names = drivers.split() + [None] * len(codes)
    return UsbInfo(vid, pid, interfaces=tuple(UsbInterface(n, *code, names[n]) for n, code in enumerate(codes)))


def knowledge(root: Path, *layouts: Layout, ports: str = "", modems: str = "", vendors: str = "") -> Knowledge:
    (root / "ports.csv").write_text(f"# source\nvid,pid,interface,role\n{ports}")
    (root / "modems.csv").write_text(f"# source\nvid,pid,driver\n{modems}")
    return Knowledge({}, "", root, layouts=layouts, modem_vendors=frozenset(vendors.split()))


class TestOrder:
    """Each source speaks only where those before it are silent."""

    ONE = usb(FF, drivers="option")
    TABLE = "2c7c,0125,0,gnss\n"

    def test_class_before_number(self, tmp_path: Path) -> None:
        known = knowledge(tmp_path, Layout(Role.PPP, triple="ff/00"), Layout(Role.QMI, driver="option"), ports="")
        assert roles(self.ONE, known, {0: Role.AT}) == {0: Role.PPP}
        known = knowledge(tmp_path / "..", Layout(Role.DIAG, triple="ff/00"), ports=self.TABLE)
        assert roles(self.ONE, known, {0: Role.AT}) == {0: Role.DIAG}

    def test_number_before_hint(self, tmp_path: Path) -> None:
        known = knowledge(tmp_path, Layout(Role.QMI, driver="option"), ports=self.TABLE)
        assert roles(self.ONE, known, {0: Role.AT}) == {0: Role.GNSS}

    def test_hint_before_driver(self, tmp_path: Path) -> None:
        known = knowledge(tmp_path, Layout(Role.QMI, driver="option"))
        assert roles(self.ONE, known, {0: Role.AT}) == {0: Role.AT}

    def test_driver_last(self, tmp_path: Path) -> None:
        known = knowledge(tmp_path, Layout(Role.QMI, driver="option"))
        assert roles(self.ONE, known) == {0: Role.QMI}
        assert roles(usb(FF, drivers="cdc_acm"), known) == {0: Role.UNKNOWN}

    def test_nothing_known(self, tmp_path: Path) -> None:
        assert roles(self.ONE, knowledge(tmp_path)) == {0: Role.UNKNOWN}

    def test_the_first_layout_that_fits(self, tmp_path: Path) -> None:
        known = knowledge(tmp_path, Layout(Role.AT, triple="ff/00/00"), Layout(Role.DIAG, triple="ff"))
        assert roles(self.ONE, known) == {0: Role.AT}


class TestLayouts:
    @pytest.mark.parametrize(
        ("layout", "fits"),
        [
            (Layout(Role.AT, triple="ff"), True),
            (Layout(Role.AT, triple="ff/42"), True),
            (Layout(Role.AT, triple="ff/42/01"), True),
            (Layout(Role.AT, triple="ff/42/02"), False),
            (Layout(Role.AT, triple="ff/4"), False),
            (Layout(Role.AT, vendors=("2c7c",)), True),
            (Layout(Role.AT, vendors=("12d1",)), False),
            (Layout(Role.AT, vendors=("2c7c",), products=("0125",)), True),
            (Layout(Role.AT, vendors=("2c7c",), products=("0121",)), False),
            (Layout(Role.AT, number=0), True),
            (Layout(Role.AT, number=1), False),
            (Layout(Role.AT, driver="option"), True),
            (Layout(Role.AT, driver="qcserial"), False),
        ],
    )
    def test_every_field_has_to_fit(self, layout: Layout, fits: bool) -> None:
        device = usb(ADB, drivers="option")
        assert layout.fits(device, device.interfaces[0]) is fits

    def test_what_is_not_known_of_an_interface_fits_no_class(self) -> None:
        device = UsbInfo("2c7c", "0125", interfaces=(UsbInterface(0),))
        assert not Layout(Role.AT, triple="ff").fits(device, device.interfaces[0])

    def test_of_several_at_ports_the_first_is_the_one_to_talk_to(self, tmp_path: Path) -> None:
        known = knowledge(tmp_path, Layout(Role.AT, triple="ff"))
        assert roles(usb(FF, FF, FF), known) == {0: Role.AT, 1: Role.AT_SECONDARY, 2: Role.AT_SECONDARY}


class TestComposition:
    """Numbers are believed as long as no class gives them the lie."""

    TABLE = "2c7c,0125,0,diag\n2c7c,0125,1,at\n2c7c,0125,2,at-secondary\n"
    CLASSES = Layout(Role.ADB, triple="ff/42/01")

    def test_an_interface_behind_the_known_ones_changes_nothing(self, tmp_path: Path) -> None:
        known = knowledge(tmp_path, self.CLASSES, ports=self.TABLE)
        found = roles(usb(FF, FF, FF, ADB), known)
        assert found == {0: Role.DIAG, 1: Role.AT, 2: Role.AT_SECONDARY, 3: Role.ADB}

    def test_an_interface_between_them_makes_every_number_doubtful(self, tmp_path: Path) -> None:
        known = knowledge(tmp_path, self.CLASSES, ports=self.TABLE)
        found = roles(usb(FF, ADB, FF, FF), known, {2: Role.AT})
        assert found == {0: Role.UNKNOWN, 1: Role.ADB, 2: Role.UNKNOWN, 3: Role.UNKNOWN}


class TestInstalled:
    @pytest.mark.parametrize(
        ("ids", "number", "role"),
        [
            ("2c7c:0125", 0, Role.DIAG),
            ("2c7c:0125", 1, Role.GNSS),
            ("2c7c:0125", 2, Role.AT),
            ("2c7c:0125", 3, Role.AT_SECONDARY),
            ("1e2d:0061", 0, Role.PPP),
            ("2c7c:0125", 4, Role.UNKNOWN),
            ("0403:6001", 0, Role.UNKNOWN),
        ],
    )
    def test_by_number(self, ids: str, number: int, role: Role) -> None:
        assert roles(usb(*[FF] * 5, ids=ids), INSTALLED)[number] is role

    @pytest.mark.parametrize("driver", [("qmi_wwan", Role.QMI), ("cdc_mbim", Role.MBIM), ("option", Role.UNKNOWN)])
    def test_by_driver(self, driver: tuple[str, Role]) -> None:
        assert roles(usb(("ff", "ff", "ff"), ids="dead:beef", drivers=driver[0]), INSTALLED) == {0: driver[1]}

    def test_no_layout_opens_a_port_of_any_device(self) -> None:
        assert [each for each in INSTALLED.layouts if each.role.is_control and not each.vendors] == []

    def test_tables_are_sorted_unique_and_say_where_they_come_from(self) -> None:
        ids = ("vid", "pid")
        tables = (
            ("ports.csv", (*ids, "interface")),
            ("modems.csv", ids),
            ("firmware-modes.csv", ids),
            ("modems-pci.csv", ("vid", "did")),
        )
        for name, keys in tables:
            text = (default_root() / name).read_text(encoding="utf-8")
            assert "Source:" in text.splitlines()[1] + text.splitlines()[2]
            rows = list(csv.DictReader(line for line in text.splitlines() if not line.startswith("#")))
            found = [tuple(row[key].zfill(4) for key in keys) for row in rows]
            assert found == sorted(found)
            assert Counter(found).most_common(1)[0][1] == 1
            assert all(re.fullmatch("[0-9a-f]{8}", row[keys[0]] + row[keys[1]]) for row in rows)


class TestTables:
    def test_a_role_that_does_not_exist_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="modem"):
            roles(usb(FF), knowledge(tmp_path, ports="2c7c,0125,0,modem\n"))

    def test_a_table_is_read_once(self, tmp_path: Path) -> None:
        known = knowledge(tmp_path, ports="2c7c,0125,0,at\n")
        before = port_table.cache_info().misses
        for _ in range(50):
            roles(usb(FF), known)
        assert port_table.cache_info().misses == before + 1


class TestModem:
    def test_by_vendor_by_table_or_not_at_all(self, tmp_path: Path) -> None:
        known = knowledge(tmp_path, ports="0001,0002,3,at\n", modems="0003,0004,option\n", vendors="0005")
        modems = {
            ids
            for ids in ("0001:0002", "0001:0003", "0003:0004", "0003:0005", "0005:1234")
            if is_modem(usb(ids=ids), known)
        }
        assert modems == {"0001:0002", "0003:0004", "0005:1234"}
        assert not is_modem(replace(usb(ids="0005:1234"), vid=None), known)

    def test_in_a_mode_for_new_firmware_it_is_one_too(self, tmp_path: Path) -> None:
        assert firmware_mode(usb(ids="33f8:d00d"), INSTALLED) == "fastboot"
        assert firmware_mode(usb(ids="05c6:9008"), INSTALLED) == "qdl"
        assert firmware_mode(usb(ids="2c7c:0125"), INSTALLED) is None
        assert is_modem(usb(ids="33f8:d00d"), INSTALLED)
