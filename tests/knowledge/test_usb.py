"""usb.yaml: what is right is kept, what is wrong is named with file, line and remedy; and the tables beside it."""

import csv
import re
from collections import Counter
from pathlib import Path

import pytest

from atprobe.knowledge import default_root, lint, load
from atprobe.model import Role, UsbInfo, UsbInterface
from tests.knowledge.conftest import Write

USB = """\
modem_vendors: ["12AB"]
layouts:
  - class: FF/42/01
    role: adb
    source: public log
    confidence: observed
  - products: ["0001", "0002"]
    class: ff/ff
    number: 3
    role: at
    source: public manual
    confidence: documented
  - vendors: ["34cd"]
    driver: acme_serial
    number: 0
    role: diag
    source: public code
    confidence: observed-in-code
"""


def with_usb(root: Path, text: str, slug: str = "acme") -> Path:
    (root / slug).mkdir(exist_ok=True)
    (root / slug / "usb.yaml").write_text(text, encoding="utf-8")
    return root


def test_a_sound_usb_file(write: Write) -> None:
    root = with_usb(write(), USB)
    assert lint(root) == ()
    knowledge = load(root)
    assert knowledge.modem_vendors == {"12ab"}
    adb, at, diag = knowledge.layouts
    assert (adb.role, adb.vendors, adb.triple) == (Role.ADB, ("12ab",), "ff/42/01")
    assert (at.role, at.vendors, at.products, at.triple, at.number) == (
        Role.AT,
        ("12ab",),
        ("0001", "0002"),
        "ff/ff",
        3,
    )
    assert (diag.vendors, diag.triple, diag.number, diag.driver) == (("34cd",), None, 0, "acme_serial")


@pytest.mark.parametrize(
    ("vid", "pid", "interface", "role"),
    [
        ("12ab", "9999", UsbInterface(0, "ff", "42", "01"), Role.ADB),
        ("34cd", "9999", UsbInterface(0, "ff", "42", "01"), None),
        ("12ab", "0002", UsbInterface(3, "ff", "ff", "40"), Role.AT),
        ("12ab", "0002", UsbInterface(4, "ff", "ff", "40"), None),
        ("12ab", "0003", UsbInterface(3, "ff", "ff", "40"), None),
        ("12ab", "0001", UsbInterface(3, "ff", "fe", "40"), None),
        ("12ab", "0001", UsbInterface(3), None),
        ("34cd", "0001", UsbInterface(0, "ff", "00", "00", "acme_serial"), Role.DIAG),
        ("34cd", "0001", UsbInterface(0, driver="acme_serial"), Role.DIAG),
        ("34cd", "0001", UsbInterface(0, "ff", "00", "00", "other"), None),
        ("34cd", "0001", UsbInterface(1, "ff", "00", "00", "acme_serial"), None),
    ],
)
def test_what_a_layout_fits(write: Write, vid: str, pid: str, interface: UsbInterface, role: Role | None) -> None:
    usb = UsbInfo(vid=vid, pid=pid, interfaces=(interface,))
    fitting = [each.role for each in load(with_usb(write(), USB)).layouts if each.fits(usb, interface)]
    assert fitting == ([role] if role else [])


@pytest.mark.parametrize(
    ("find", "put", "line", "said"),
    [
        ("FF/42/01", "ff-42-01", 3, ("is no class", "ff/42/01")),
        ("FF/42/01", "ff/42/01/00", 3, ("is no class", "ff/42/01")),
        ("FF/42/01", "255/66/1", 3, ("is no class", "hex")),
        ("number: 3", "number: 256", 9, ("'256' is no interface number", "decimal")),
        ("number: 3", "number: 0x3", 9, ("is no interface number", "decimal")),
        ("number: 3", "number: -1", 9, ("is no interface number", "decimal")),
        ("    class: ff/ff\n", "", 7, ("names neither class nor driver", "ports.csv")),
        ("role: at", "role: modem", 10, ("'modem' is not known here", "at-secondary")),
        ("role: at", "role: unknown", 10, ("'unknown' is not known here", "at-secondary")),
        ('"0001", "0002"', '"1", "0002"', 7, ("is no USB id", "four hex digits")),
        ('"12AB"', '"12ABC"', 1, ("is no USB id", "four hex digits")),
        ("    source: public manual\n", "", 7, ("lacks 'source'", "add a line")),
        ("confidence: documented", "confidence: sure", 12, ("'sure' is not known here", "documented")),
        ("    number: 3\n", "    numbre: 3\n", 9, ("no key 'numbre'", "number")),
        ("modem_vendors:", "vendors:", 1, ("no key 'vendors'", "modem_vendors")),
    ],
)
def test_faults_of_usb(write: Write, find: str, put: str, line: int, said: tuple[str, str]) -> None:
    assert find in USB
    problem = lint(with_usb(write(), USB.replace(find, put, 1)))[0]
    assert problem.path.endswith("acme/usb.yaml")
    assert (problem.line, said[0] in problem.message, said[1] in problem.remedy) == (line, True, True), str(problem)


GENERIC = "layouts:\n  - {class: ff/ff/40, role: %s, source: public log, confidence: observed%s}\n"


@pytest.mark.parametrize("role", ["at", "at-secondary", "ppp"])
def test_a_control_role_for_any_device(write: Write, role: str) -> None:
    root = with_usb(write(), GENERIC % (role, ""), "generic")
    problem = next(each for each in lint(root) if each.path.endswith("generic/usb.yaml"))
    assert (problem.line, "would open a port of any device" in problem.message) == (2, True), str(problem)


@pytest.mark.parametrize(("role", "vendors"), [("diag", ""), ("mbim", ""), ("at", ', vendors: ["34cd"]')])
def test_what_may_stand_in_generic(write: Write, role: str, vendors: str) -> None:
    root = with_usb(write(), GENERIC % (role, vendors), "generic")
    assert not [each for each in lint(root) if each.path.endswith("generic/usb.yaml")]


def test_a_layout_of_a_maker_without_vendor(write: Write) -> None:
    maker = (write() / "acme" / "maker.yaml").read_text(encoding="utf-8").replace('usb_vendors: ["12AB"]\n', "")
    problem = lint(with_usb(write(maker=maker), USB))[0]
    assert (problem.line, "has no vendor" in problem.message) == (3, True), str(problem)


def test_the_installed_layouts_say_where_they_stand() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in default_root().glob("*/usb.yaml"))
    rows = re.findall(r"^  - \{.*$", text, re.M)
    assert len(rows) == len(load().layouts)
    assert all(re.search(r'source: "https://[^"]+", confidence: ', row) for row in rows)


@pytest.mark.parametrize("name", ["ports.csv", "modems.csv"])
def test_the_installed_tables_are_sorted_unique_and_say_where_they_stand(name: str) -> None:
    lines = (default_root() / name).read_text(encoding="utf-8").splitlines()
    assert any(line.startswith("# Source: ") for line in lines)
    rows = list(csv.DictReader(line for line in lines if not line.startswith("#")))
    keys = [(row["vid"], row["pid"], int(row.get("interface", 0))) for row in rows]
    assert keys == sorted(keys)
    assert Counter(keys).most_common(1)[0][1] == 1
    assert all(re.fullmatch("[0-9a-f]{8}", vid + pid) and number < 256 for vid, pid, number in keys)
