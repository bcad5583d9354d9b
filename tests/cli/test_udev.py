"""`atprobe udev`: the rules, printed or written."""

from __future__ import annotations

from pathlib import Path

import pytest

from atprobe import discover, knowledge
from tests.cli.conftest import Cli


def test_prints_the_rules(cli: Cli) -> None:
    result = cli("udev", "rules")
    assert (result.code, result.out) == (0, discover.udev_rules(knowledge.load()))


def test_writes_them_for_another_group(cli: Cli, tmp_path: Path) -> None:
    result = cli("udev", "rules", "--group", "gsm", "--output", str(tmp_path / "78-atprobe.rules"))
    assert (result.code, result.out) == (0, "")
    assert (tmp_path / "78-atprobe.rules").read_text() == discover.udev_rules(knowledge.load(), "gsm")


@pytest.mark.parametrize("name", ["", 'x", RUN+="reboot', "a b", "a\nb", "-x"])
def test_a_group_s_name_adds_no_rules(cli: Cli, name: str) -> None:
    result = cli("udev", "rules", f"--group={name}")
    assert (result.code, result.out) == (2, "")
    assert "is no name of a group" in result.err


def test_says_how_to_install_them(cli: Cli) -> None:
    shown = cli("udev", "rules", "--help").out
    assert "/etc/udev/rules.d/78-atprobe.rules" in shown
    assert "udevadm control --reload" in shown
