"""The table of roles, and what is in it."""

from __future__ import annotations

import csv
import re
from collections import Counter
from pathlib import Path

import pytest

from atprobe.discover import role_of
from atprobe.discover._roles import _table
from atprobe.knowledge import default_root
from atprobe.model import Role

HEAD = "# source\nvid,pid,interface,role\n"


@pytest.mark.parametrize(
    ("vid", "pid", "interface", "role"),
    [
        ("2c7c", "0125", 0, Role.DIAG),
        ("2c7c", "0125", 1, Role.GNSS),
        ("2c7c", "0125", 2, Role.AT),
        ("2c7c", "0125", 3, Role.AT_SECONDARY),
        ("1e2d", "0061", 0, Role.PPP),
        ("2c7c", "0125", 4, Role.UNKNOWN),
        ("2c7c", "0125", None, Role.UNKNOWN),
        ("0403", "6001", 0, Role.UNKNOWN),
    ],
)
def test_installed_table(vid: str, pid: str, interface: int | None, role: Role) -> None:
    assert role_of(vid, pid, interface) is role


def test_installed_table_is_sorted_unique_and_says_where_it_comes_from() -> None:
    text = (default_root() / "ports.csv").read_text(encoding="utf-8")
    comments = [line for line in text.splitlines() if line.startswith("#")]
    assert any("ModemManager" in line for line in comments)
    rows = list(csv.DictReader(line for line in text.splitlines() if not line.startswith("#")))
    keys = [(row["vid"], row["pid"], int(row["interface"])) for row in rows]
    assert keys == sorted(keys)
    assert Counter(keys).most_common(1)[0][1] == 1
    assert all(re.fullmatch("[0-9a-f]{8}", vid + pid) for vid, pid, _ in keys)


def test_another_root_has_its_own_table(tmp_path: Path) -> None:
    (tmp_path / "ports.csv").write_text(HEAD + "0403,6001,0,gnss\n")
    assert role_of("0403", "6001", 0, tmp_path) is Role.GNSS
    assert role_of("2c7c", "0125", 2, tmp_path) is Role.UNKNOWN


def test_a_role_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "ports.csv").write_text(HEAD + "0403,6001,0,modem\n")
    with pytest.raises(ValueError, match="modem"):
        role_of("0403", "6001", 0, tmp_path)


def test_the_table_is_read_once(tmp_path: Path) -> None:
    (tmp_path / "ports.csv").write_text(HEAD + "0403,6001,0,at\n")
    before = _table.cache_info().misses
    for interface in range(50):
        role_of("0403", "6001", interface, tmp_path)
    assert _table.cache_info().misses == before + 1
