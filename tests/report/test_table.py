"""The table for people: what it says, that it is aligned, and that nothing in it can drive a terminal."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from atprobe.model import Claim, Evidence, Reach, Report, State, Strength, Surface, SurfaceKind
from atprobe.report import Format, View, render
from atprobe.report.table import sentence
from tests.report.samples import BUILD, EMPTY, HOSTILE, IMEI, MODULE, PROBLEM, REBADGE, REPORT, UNKNOWN, hostile

PLAIN = View()
TERMINAL = View(terminal=True, width=100)
COLOUR = View(terminal=True, colour=True, width=100)


def table(report: Report = REPORT, view: View = PLAIN) -> str:
    return render(report, Format.TABLE, view)


def row(text: str, start: str) -> list[str]:
    """The cells of the line that begins with `start`."""
    (line,) = [line for line in text.splitlines() if line.startswith(start)]
    return re.split(r" {2,}", line)


class TestModules:
    def test_a_row_says_who_it_is(self) -> None:
        only = table(replace(REPORT, modules=(MODULE,), problems=()))
        assert row(only, "PORT") == ["PORT", "MAKER", "MODEL", "FIRMWARE", "IMEI", "SURE"]
        assert row(only, "/dev/ttyUSB2") == ["/dev/ttyUSB2", "quectel", "EC25-E", BUILD, IMEI, "97%"]

    def test_a_brand_is_shown_where_it_differs(self) -> None:
        both = table(replace(REPORT, modules=(MODULE, REBADGE)))
        assert row(both, "PORT")[2] == "BRAND"
        assert row(both, "/dev/ttyUSB2")[2] == "-"
        assert row(both, "/dev/ttyS1")[:4] == ["/dev/ttyS1", "quectel", "dji", "QDC507"]

    def test_a_rebadge_says_which_words_speak_for_whom(self) -> None:
        evidence = (
            Evidence(Claim.MAKER, "quectel", Strength.STRONG, "AT+CGMM", "QDC507", "quectel"),
            Evidence(Claim.MAKER, "quectel", Strength.DECISIVE, "ATI", "QDC507GLEFM21", "quectel", behaviour=True),
            Evidence(Claim.BRAND, "dji", Strength.STRONG, "AT+CGMI", "Baiwang", None),
        )
        rebadge = replace(REBADGE, identity=replace(REBADGE.identity, evidence=evidence))
        text = table(replace(REPORT, modules=(MODULE, rebadge)))
        words = "'Baiwang' (AT+CGMI) speaks for dji as brand; 'QDC507GLEFM21' (ATI) speaks for quectel as maker"
        assert f"Sold under another name:\n  /dev/ttyS1: {words}\n" in text
        assert "Sold under" not in table(replace(REPORT, modules=(MODULE,)))

    def test_an_unknown_module_is_called_unknown(self) -> None:
        assert row(table(), "socket://") == ["socket://192.0.2.7:2001", "unknown", "-", "-", "-", "-", "-"]

    def test_names_that_do_not_repeat_each_other_are_both_shown(self) -> None:
        identity = replace(MODULE.identity, variant="Mini PCIe", build="25.117")
        only = table(replace(REPORT, modules=(replace(MODULE, identity=identity),)))
        assert row(only, "/dev/ttyUSB2")[2:4] == ["EC25 / Mini PCIe", "EC25EFAR06A06M4G / 25.117"]

    @pytest.mark.parametrize(("confidence", "shown"), [(0.999, "99%"), (1.0, "100%"), (0.29, "29%"), (0.0, "0%")])
    def test_confidence_is_never_rounded_up(self, confidence: float, shown: str) -> None:
        module = replace(MODULE, identity=replace(MODULE.identity, confidence=confidence))
        assert row(table(replace(REPORT, modules=(module,))), "/dev/ttyUSB2")[-1] == shown

    def test_conflicts_and_problems_follow(self) -> None:
        text = table()
        assert "Conflicts:\n  /dev/ttyS1: it calls itself DJI\n" in text
        assert text.endswith("Not probed:\n  /dev/ttyUSB9: no such port. Check the cable.\n")

    def test_evidence_is_shown_on_request_only(self) -> None:
        assert "AT+QGMR" not in table()
        text = table(view=View(verbose=True))
        assert "/dev/ttyUSB2: 7 commands in 0.35 s, 0.25 s of it waiting for the module\n" in text
        assert row(text, "maker") == ["maker", "quectel", "decisive", "AT+QGMR", BUILD]

    def test_nothing_found(self) -> None:
        assert table(EMPTY) == "No module was found.\n"

    def test_problems_alone(self) -> None:
        assert table(replace(EMPTY, problems=(PROBLEM,))).startswith("Not probed:\n")


class TestDevices:
    def test_every_port_with_its_role(self) -> None:
        text = table(replace(REPORT, problems=()), View(passive=True))
        assert row(text, "BUS") == ["BUS", "DEVICE", "PORT", "ROLE", "INTERFACE", "DRIVER"]
        first, second = [line for line in text.splitlines() if line.startswith("usb")]
        name = "2c7c:0125 Quectel EC25-E"
        assert re.split(" {2,}", first) == ["usb 1-1.2", name, "/dev/ttyUSB2", "at", "2", "option"]
        assert re.split(" {2,}", second) == ["usb 1-1.2", name, "/dev/ttyUSB1", "gnss", "1", "option"]
        assert row(text, "uart") == ["uart", "-", "/dev/ttyS1", "unknown", "-", "-"]

    def test_nothing_attached(self) -> None:
        assert table(EMPTY, View(passive=True)) == "Nothing is attached that could be a modem.\n"


class TestLayout:
    def test_plain_columns_line_up_and_lines_have_no_tail(self) -> None:
        lines = table().splitlines()[:4]
        assert lines[0].index("FIRMWARE") == lines[1].index(BUILD) == lines[2].index("QDC507GLEFM21")
        assert lines[0].index("SURE") == lines[1].index("97%") == lines[2].index("80%")
        assert all(line == line.rstrip() for line in lines)

    def test_wide_characters_take_two_columns(self) -> None:
        wide = replace(MODULE, identity=replace(MODULE.identity, model="移远", variant=None))
        header, *rows = table(replace(REPORT, modules=(wide, MODULE), problems=())).splitlines()
        assert header.index("FIRMWARE") == rows[1].index(BUILD) == rows[0].index(BUILD) + len("移远")

    def test_plain_text_is_neither_folded_nor_cut(self) -> None:
        long = "A" * 300
        module = replace(MODULE, identity=replace(MODULE.identity, build=long, firmware=None))
        assert long in table(replace(REPORT, modules=(module,)))

    @pytest.mark.parametrize("width", [60, 80, 100, 200])
    def test_a_terminal_folds_and_loses_nothing(self, width: int) -> None:
        text = table(replace(REPORT, problems=()), View(terminal=True, width=width))
        assert max(map(len, text.splitlines()[:6])) <= width
        assert "…" not in text
        if width >= 80:
            assert IMEI in text
        assert sorted(re.sub(r"\s", "", text)) == sorted(re.sub(r"\s", "", table(replace(REPORT, problems=()))))

    def test_a_very_narrow_terminal_wraps_by_itself(self) -> None:
        assert table(view=View(terminal=True, width=40)) == table()

    def test_colour_is_for_those_who_want_it(self) -> None:
        assert "\x1b[" in table(view=COLOUR)
        assert "\x1b" not in table(view=TERMINAL)
        assert "\x1b" not in table(view=PLAIN)

    def test_both_layouts_say_the_same(self) -> None:
        wide = View(terminal=True, width=400, verbose=True)
        words = [re.split(r"\s+", table(view=view)) for view in (View(verbose=True), wide)]
        assert words[0] == words[1]

    @pytest.mark.parametrize("format", list(Format))
    def test_rich_is_imported_for_a_terminal_only(self, format: Format) -> None:
        code = (
            "import sys; from atprobe.report import Format, View, render; from tests.report.samples import REPORT;"
            f"render(REPORT, Format({format.value!r}), View(terminal={{}})); print('rich' in sys.modules)"
        )
        for terminal in (False, True):
            run = [sys.executable, "-c", code.format(terminal)]
            done = subprocess.run(run, capture_output=True, text=True, check=True)
            assert done.stdout.strip() == str(terminal and format is Format.TABLE)


class TestHostileText:
    @pytest.mark.parametrize("name", HOSTILE)
    @pytest.mark.parametrize("view", [PLAIN, TERMINAL, View(verbose=True), View(passive=True)])
    def test_nothing_gets_through(self, name: str, view: View) -> None:
        text = table(hostile(HOSTILE[name]), view)
        assert all(character.isprintable() or character == "\n" for character in text)
        assert len(text) < 100_000

    @pytest.mark.parametrize("name", HOSTILE)
    def test_colours_are_our_own(self, name: str) -> None:
        text = table(hostile(HOSTILE[name]), COLOUR)
        assert "\x1b" not in re.sub(r"\x1b\[[01]m", "", text)

    @pytest.mark.parametrize("name", HOSTILE)
    def test_it_cannot_add_a_line(self, name: str) -> None:
        tame = len(table(hostile("x")).splitlines())
        assert len(table(hostile(HOSTILE[name])).splitlines()) == tame

    @pytest.mark.parametrize("name", HOSTILE)
    def test_a_sentence_is_one_safe_line(self, name: str) -> None:
        assert sentence(hostile(HOSTILE[name]).problems[0]).isprintable()

    def test_markup_is_shown_as_it_is(self) -> None:
        wide = View(terminal=True, width=400)
        assert HOSTILE["markup"] in table(hostile(HOSTILE["markup"]), wide)


def test_unknown_modules_do_not_hide_known_ones() -> None:
    assert row(table(replace(REPORT, modules=(UNKNOWN, MODULE))), "/dev/ttyUSB2")[1] == "quectel"


class TestSurfaces:
    def shown(self, *surfaces: Surface, verbose: bool = False) -> str:
        module = replace(MODULE, surfaces=surfaces)
        return table(replace(REPORT, modules=(module,), problems=()), View(verbose=verbose))

    def surface(self, name: str, state: State, reach: Reach = Reach.VENDOR, **others: Any) -> Surface:
        return Surface(name, f"the {name}", SurfaceKind.FOTA, reach, state, "quectel", **others)

    def test_what_is_on_stands_there_and_the_rest_is_counted(self) -> None:
        text = self.shown(
            self.surface("first", State.ON, means="it calls home"),
            self.surface("second", State.UNKNOWN),
            self.surface("third", State.OFF),
            self.surface("fourth", State.ABSENT),
        )
        assert "1 on, 1 unknown, 1 off" in text
        assert "the first: it calls home" in text
        assert "the second" not in text and "The state of 1 more cannot be read" in text

    def test_what_only_the_host_can_do_is_not_from_afar(self) -> None:
        text = self.shown(self.surface("local", State.ON, Reach.HOST))
        afar, _, local = text.partition("By who has the AT port, and nobody else:")
        assert "from afar" not in afar and "the local" in local
        assert text.splitlines()[1].endswith("-")

    def test_verbose_shows_all_with_answer_and_advice(self) -> None:
        text = self.shown(self.surface("gone", State.ABSENT, answer="ERROR", advice="nothing to do"), verbose=True)
        assert "the gone. Nothing to do [ERROR]" in text

    def test_hostile_answers_are_escaped(self) -> None:
        text = self.shown(self.surface("x", State.ON, answer="\x1b[31m", means="\u202e"), verbose=True)
        assert "\x1b" not in text and "\u202e" not in text
