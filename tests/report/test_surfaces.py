"""The page of surfaces: what stands in it, and that no text can become markup."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from atprobe.knowledge import Knowledge, Platform, Profile, Query, Reboot, SettingRule, SurfaceRule, SwitchRule
from atprobe.model import Reach, SurfaceKind
from atprobe.report import surfaces

SWITCH = SwitchRule(
    (SettingRule("AT+ACFOTA?", r"\+ACFOTA: (?P<mode>\d),(?P<day>\d)", "AT+ACFOTA={mode},{day}", (), (("mode", "0"),)),),
    "stops it",
    "yes",
    "no",
    "documented",
    "a manual",
)
RULE = SurfaceRule(
    "acfota",
    "Acme's updates",
    SurfaceKind.FOTA,
    Reach.VENDOR,
    "acme",
    "observed",
    ("https://acme.example/a_b (says | so)",),
    (Query("AT+ACFOTA?"),),
    SWITCH,
    for_models="AC1|AC2",
)


def page(*rules: SurfaceRule, reboot: Reboot | None = None, platforms: tuple[Platform, ...] = ()) -> str:
    profile = Profile("acme", None, surfaces=rules, reboot=reboot, platforms=platforms)
    return surfaces.render(Knowledge({"acme": profile}, "1", Path()), ["acme"], [])


def cells(text: str) -> list[str]:
    """The cells of the last row, split where Markdown splits."""
    row = [line for line in text.splitlines() if line.startswith("|")][-1]
    return [each.strip() for each in row.replace("\\|", "\0").strip("|").split("|")]


class TestPage:
    def test_a_surface_with_a_switch(self) -> None:
        assert cells(page(RULE)) == [
            "`acme/acfota`",
            "Acme's updates<br>models `AC1\0AC2`",
            "fota",
            "vendor",
            "`AT+ACFOTA?`",
            "`AT+ACFOTA={mode},{day}`, off: mode 0",
            "yes",
            "yes",
            "no",
            "observed, documented",
            "https://acme.example/a_b (says \0 so)",
        ]

    def test_without_a_switch_the_advice_stands_there(self) -> None:
        row = cells(page(replace(RULE, switch=None, queries=(), advice="guard the port")))
        assert row[4:9] == ["none", "none. guard the port", "", "", ""]

    @pytest.mark.parametrize(
        ("switch", "sent"),
        [
            (SWITCH, "yes"),
            (replace(SWITCH, opt_in=True), "with --include"),
            (replace(SWITCH, opt_in=True, confidence="inferred"), "never"),
        ],
    )
    def test_what_is_sent(self, switch: SwitchRule, sent: str) -> None:
        assert cells(page(replace(RULE, switch=switch)))[6] == sent

    def test_the_totals_count_what_is_sent(self) -> None:
        opted = replace(RULE, switch=replace(SWITCH, opt_in=True))
        inferred = replace(RULE, switch=replace(SWITCH, confidence="inferred"))
        text = page(RULE, RULE, opted, inferred, replace(RULE, switch=None, advice="none"))
        assert "\n5 surfaces. 2 have a switch that is planned where they are on, 1 one that" in text
        assert "of 2 there is only advice" in text

    def test_platform_and_restart(self) -> None:
        text = page(
            reboot=Reboot("AT+CFUN=1,1", 60.0, "a manual"), platforms=(Platform("chips"), Platform("tiles", "A|B"))
        )
        assert (
            "Asked too: the surfaces of chips, tiles (models `A\\|B`). Restarts with `AT+CFUN=1,1`, back within 60 s."
            in text
        )

    def test_a_maker_without_surfaces_has_no_section(self) -> None:
        assert "## " not in page()

    def test_what_was_left_out(self) -> None:
        row = {
            "number": "A01",
            "maker": "Acme",
            "models": "",
            "feature": "<b>",
            "surfaces": "acme/acfota",
            "reason": "",
        }
        rows = [row, {**row, "number": "A02", "surfaces": "", "reason": "no *source*"}]
        text = surfaces.render(Knowledge({}, "1", Path()), [], rows)
        assert text.endswith("\n- A02, Acme, &lt;b&gt;: no \\*source\\*\n")
        assert "A01" not in text


class TestEscapes:
    @pytest.mark.parametrize(
        ("text", "shown"),
        [
            ("a|b", "a\\|b"),
            ("a\r\n\n| b |\tc", "a \\| b \\| c"),
            ("<script>&lt;", "&lt;script&gt;&amp;lt;"),
            ("[x](y) `z` *s* \\", "\\[x\\](y) \\`z\\` \\*s\\* \\\\"),
            ("at_QREGSWT_req _it_", "at_QREGSWT_req \\_it\\_"),
        ],
    )
    def test_text(self, text: str, shown: str) -> None:
        assert surfaces.cell(text) == shown

    @pytest.mark.parametrize(
        ("text", "shown"),
        [
            ('AT+QCFG="a<b"', '`AT+QCFG="a<b"`'),
            ("a|b", "`a\\|b`"),
            ("a`b|", "a\\`b\\|"),
            ("a\\|b", "a\\\\\\|b"),
            ("a\nb", "a b"),
        ],
    )
    def test_code(self, text: str, shown: str) -> None:
        assert surfaces.code(text) == shown

    def test_hostile_profile(self) -> None:
        bad = "x|y\n| <b> `c` |"
        rule = replace(RULE, title=bad, who=bad, for_models=bad, not_models=bad, sources=(bad,), queries=(Query(bad),))
        text = page(replace(rule, switch=replace(SWITCH, leaves=bad)))
        assert len(cells(text)) == len(surfaces.COLUMNS)
        assert "<b>" not in text


class TestResearched:
    HEAD = "number,maker,models,feature,surfaces,reason\n"

    def test_rows(self) -> None:
        (row,) = surfaces.read_researched([self.HEAD, 'A01,Acme,AC1,fota,,"none, so far"\n'])
        assert row["reason"] == "none, so far"

    @pytest.mark.parametrize(
        "lines", [[], ["a,b\n"], [HEAD, "A01,Acme\n"], [HEAD, "1,2,3,4,5,6,7\n"], [HEAD, '"a"b\n']]
    )
    def test_what_is_no_such_list(self, lines: list[str]) -> None:
        with pytest.raises(ValueError, match=r"."):
            surfaces.read_researched(lines)
