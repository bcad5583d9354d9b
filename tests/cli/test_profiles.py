"""`atprobe profiles`: list, show, lint and test."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from atprobe import knowledge
from atprobe.cli._options import Output
from atprobe.cli.profiles import write_scores
from atprobe.emulator import scoring
from atprobe.model import Identity, Transcript, Truth
from atprobe.report import Format
from tests.cli.conftest import Cli
from tests.report.samples import HOSTILE

RULE = """\
firmware:
  - pattern: 'ZZ(?P<rest>\\d+)'
    strength: decisive
    claims: {firmware: '{0}'}
    examples:
      - text: ZZ12
        claims: {firmware: ZZ12}
    source: made up
    confidence: observed
commands:
  - send: ATI
    reads: identity
    settles: [model, firmware]
    tell: true
    source: made up
    confidence: observed
"""
TRANSCRIPT = """\
id: zenith-1
source: {{url: made-up, kind: log, fidelity: lines}}
truth: {{maker: {maker}, model: null, firmware: ZZ12}}
exchanges:
  - send: ATI
    recv: [ATI, Zenith, ZZ, "Revision: ZZ12", OK]
"""


def profile(root: Path, truth: str = "zenith", slug: str = "zenith") -> Path:
    folder = root / slug
    (folder / "transcripts").mkdir(parents=True)
    source = "sources:\n  - {url: 'https://example.org', date: '2026-01-02', says: name, confidence: documented}\n"
    (folder / "maker.yaml").write_text(f"name: Zenith\nkind: maker\n{source}")
    (folder / "identity.yaml").write_text(RULE)
    (folder / "transcripts" / "zenith-1.yaml").write_text(TRANSCRIPT.format(maker=truth))
    return root


class TestListAndShow:
    def test_list(self, cli: Cli) -> None:
        result = cli("profiles", "list")
        assert result.code == 0
        slugs = [line.split()[0] for line in result.out.splitlines()[1:]]
        assert slugs == list(knowledge.load().makers)

    def test_list_as_json(self, cli: Cli) -> None:
        rows = json.loads(cli("profiles", "list", "--format", "json").out)["profiles"]
        quectel = next(row for row in rows if row["slug"] == "quectel")
        assert quectel["name"] == "Quectel"
        assert "2c7c" in quectel["usb_vendors"]

    def test_show(self, cli: Cli) -> None:
        result = cli("profiles", "show", "quectel")
        assert result.code == 0
        for words in ("Quectel Wireless Solutions", "AT+QGMR", "NEVER SENT", "quectel-bg770a-gl-golden-070"):
            assert words in result.out

    def test_show_as_json(self, cli: Cli) -> None:
        (row,) = json.loads(cli("profiles", "show", "quectel", "--format", "json").out)["profiles"]
        assert "AT+QGMR" in [command["send"] for command in row["asked"]]
        assert row["transcripts"][0]["id"].startswith("quectel-")

    def test_a_maker_that_is_not_known(self, cli: Cli) -> None:
        result = cli("profiles", "show", "zenith")
        assert (result.code, result.err) == (
            2,
            "atprobe: zenith: no such profile. 'atprobe profiles list' shows which there are.\n",
        )

    def test_another_root(self, cli: Cli, tmp_path: Path) -> None:
        assert cli("profiles", "list", str(profile(tmp_path))).out.splitlines()[1].split()[:2] == ["zenith", "Zenith"]

    def test_coverage_is_counted_in_the_data(self, cli: Cli, tmp_path: Path) -> None:
        line = cli("profiles", "list", str(profile(tmp_path))).out.splitlines()[1]
        assert line.split() == ["zenith", "Zenith", "maker", "-", "0", "1", "0", "2026-01-02"]

    def test_surfaces_are_counted(self, cli: Cli) -> None:
        rows = json.loads(cli("profiles", "list", "--format", "json").out)["profiles"]
        counted = {row["slug"]: row["surfaces"] for row in rows}
        profiles = knowledge.load().profiles
        assert counted == {slug: len(profiles[slug].surfaces) for slug in counted}
        assert counted["quectel"] > 10

    def test_ties_are_shown(self, cli: Cli) -> None:
        result = cli("profiles", "show", "rolling")
        assert any(line.split()[:2] == ["former-parent", "Fibocom"] for line in result.out.splitlines())

    def test_the_coverage_page_is_up_to_date(self, cli: Cli) -> None:
        page = Path(__file__).parents[2] / "docs" / "coverage.md"
        assert cli("profiles", "coverage").out == page.read_text(encoding="utf-8")


DOCS = Path(__file__).parents[2] / "docs"


class TestSurfaces:
    def test_the_page_is_up_to_date(self, cli: Cli) -> None:
        arguments = ("profiles", "surfaces", "--format", "markdown", "--researched")
        made = cli(*arguments, str(DOCS / "surfaces-researched.csv")).out
        command = f"atprobe {' '.join(arguments)} docs/surfaces-researched.csv --output docs/surfaces.md"
        # No diff of the two: one line of it is longer than a screen.
        same = made == (DOCS / "surfaces.md").read_text(encoding="utf-8")
        assert same, f"docs/surfaces.md is not what the profiles give; make it anew: {command}"

    def test_table(self, cli: Cli) -> None:
        lines = cli("profiles", "surfaces", "quectel", "xinyi").out.splitlines()
        assert " ".join(lines[0].split()) == "SURFACE KIND REACH QUERY SWITCH SENT KEPT RESTART CONFIDENCE"
        known = knowledge.load().profiles
        names = [f"{slug}/{rule.id}" for slug in ("quectel", "xinyi") for rule in known[slug].surfaces]
        assert [line.split()[0] for line in lines[1:]] == names

    def test_json(self, cli: Cli) -> None:
        rows = json.loads(cli("profiles", "surfaces", "quectel", "--format", "json").out)["surfaces"]
        row = next(row for row in rows if row["surface"] == "quectel/qiotreg")
        assert row["settings"] == [{"read": "AT+QIOTREG?", "write": "AT+QIOTREG={mode}", "off": {"mode": "0"}}]
        assert (row["sent"], row["queries"]) == ("with --include", ["AT+QIOTREG?"])
        assert row["sources"]

    def test_all_of_them(self, cli: Cli) -> None:
        rows = json.loads(cli("profiles", "surfaces", "--format", "json").out)["surfaces"]
        assert len(rows) == sum(len(profile.surfaces) for profile in knowledge.load().profiles.values())

    def test_another_root_and_a_file(self, cli: Cli, tmp_path: Path) -> None:
        (tmp_path / "profiles").mkdir()
        root, file = profile(tmp_path / "profiles"), tmp_path / "page.md"
        result = cli("profiles", "surfaces", "--root", str(root), "--format", "markdown", "--output", str(file))
        assert (result.code, result.out) == (0, "")
        assert "0 surfaces." in file.read_text(encoding="utf-8")

    def test_a_maker_that_is_not_known(self, cli: Cli) -> None:
        result = cli("profiles", "surfaces", "quectel", "zenith")
        assert (result.code, result.err) == (
            2,
            "atprobe: zenith: no such profile. 'atprobe profiles list' shows which there are.\n",
        )

    def test_a_list_that_is_none(self, cli: Cli, tmp_path: Path) -> None:
        (tmp_path / "x.csv").write_text("a,b\n")
        result = cli("profiles", "surfaces", "--format", "markdown", "--researched", str(tmp_path / "x.csv"))
        assert result.code == 2
        assert "x.csv cannot be read: it does not have the columns number," in result.err


class TestLint:
    def test_the_installed_profiles_are_right(self, cli: Cli) -> None:
        assert cli("profiles", "lint") == (0, "no fault found\n", "")

    def test_faults_are_findings_and_name_file_line_and_remedy(self, cli: Cli, tmp_path: Path) -> None:
        file = profile(tmp_path) / "zenith" / "maker.yaml"
        file.write_text("name: Zenith\nkind: shop\n")
        result = cli("profiles", "lint", str(tmp_path))
        assert result.code == 1
        assert any(line.startswith(f"{file}:2: ") and "; " in line for line in result.out.splitlines())

    def test_faults_as_json(self, cli: Cli, empty_folder: Path) -> None:
        result = cli("profiles", "lint", str(empty_folder), "--format", "json")
        assert result.code == 1
        (fault,) = json.loads(result.out)["faults"]
        assert fault["path"] == str(empty_folder)
        assert fault["remedy"]

    def test_a_folder_that_is_not_there_is_wrong_usage(self, cli: Cli) -> None:
        assert cli("profiles", "lint", "/no/such/folder").code == 2


class TestTest:
    def test_all_right(self, cli: Cli, tmp_path: Path) -> None:
        result = cli("profiles", "test", str(profile(tmp_path)))
        assert result.code == 0
        assert result.out.splitlines()[1].split() == ["zenith", "1", "1", "1/1", "0", "0/0", "1/1"]
        assert result.out.splitlines()[2].split() == ["all", "1", "1", "1/1", "0", "0/0", "1/1"]

    def test_a_wrong_maker_is_a_finding(self, cli: Cli, tmp_path: Path) -> None:
        result = cli("profiles", "test", str(profile(tmp_path, truth="acme")))
        assert result.code == 1
        assert "missed: zenith-1: maker zenith, is acme\n" in result.out

    def test_transcripts_of_ones_own(self, cli: Cli, tmp_path: Path) -> None:
        root = profile(tmp_path)
        (file,) = (root / "zenith" / "transcripts").iterdir()
        for path in (file, file.parent):
            result = cli("profiles", "test", str(root), "--transcripts", str(path), "--format", "json")
            assert result.code == 0
            assert [row["maker"] for row in json.loads(result.out)["scores"]] == ["zenith"]

    def test_a_transcript_that_is_none_is_wrong_usage(self, cli: Cli, tmp_path: Path) -> None:
        (tmp_path / "x.yaml").write_text("id: x\n")
        result = cli("profiles", "test", "--transcripts", str(tmp_path / "x.yaml"))
        assert result.code == 2
        assert "x.yaml:1: the transcript lacks" in result.err

    def test_masked_labels_leave_behaviour_alone(self, cli: Cli) -> None:
        plain, masked = (cli("profiles", "test", "--format", "json", *more) for more in ([], ["--mask-labels"]))
        assert plain.code == masked.code == 0
        assert plain.out != masked.out

    def test_profiles_that_do_not_load(self, cli: Cli, tmp_path: Path) -> None:
        shutil.rmtree(profile(tmp_path) / "zenith" / "transcripts")
        (tmp_path / "zenith" / "maker.yaml").write_text("name: [\n")
        assert cli("profiles", "test", str(tmp_path)).code == 2


def output(format: Format = Format.TABLE) -> Output:
    return Output(format, None, False, False)


def result(name: str, maker: str | None, answer: str | None, model: str | None = None) -> scoring.Result:
    truth = Truth(maker=maker, model=model)
    held = {"maker": maker is not None, "model": model is not None, "firmware": False}
    right = {"maker": maker == answer, "model": False, "firmware": False}
    return scoring.Result(Transcript(name, "bytes", truth, ()), Identity(maker=answer), (), None, held, right)


class TestScores:
    SCORE = scoring.Score(
        (result("acme-1", "acme", "acme"), result("acme-2", "acme", "zenith", "A1"), result("zenith-1", None, None)),
        (("acme/acme-9", "no conversation"), ("acme/acme-8", "no conversation"), ("acme/acme-7", "nothing in it")),
    )

    def test_table(self, capsys: pytest.CaptureFixture[str]) -> None:
        write_scores(self.SCORE, output())
        _, unknown, acme, total, *rest = capsys.readouterr().out.splitlines()
        assert unknown.split() == ["?", "1", "1", "0/0", "0", "0/0", "0/0"]
        assert acme.split() == ["acme", "5", "2", "1/2", "1", "0/1", "0/0"]
        assert total.split() == ["all", "6", "3", "1/2", "1", "0/1", "0/0"]
        assert rest == [
            "missed: acme-2: maker zenith, is acme",
            "missed: acme-2: model unknown, is A1",
            "left out, no conversation:",
            "  acme/acme-9",
            "  acme/acme-8",
            "left out, nothing in it:",
            "  acme/acme-7",
        ]

    def test_json(self, capsys: pytest.CaptureFixture[str]) -> None:
        write_scores(self.SCORE, output(Format.JSON))
        shown = json.loads(capsys.readouterr().out)
        assert shown["scores"][1]["maker_right"] == 1
        assert shown["missed"][0] == {"id": "acme-2", "what": "maker", "answer": "zenith", "truth": "acme"}
        assert shown["left_out"][0] == {"id": "acme/acme-9", "reason": "no conversation"}

    @pytest.mark.parametrize("format", list(Format))
    def test_hostile_names(self, capsys: pytest.CaptureFixture[str], format: Format) -> None:
        for text in HOSTILE.values():
            write_scores(scoring.Score((result(text, text, None, text),), ((text, text),)), output(format))
            shown = capsys.readouterr().out
            assert all(character.isprintable() or character == "\n" for character in shown)
