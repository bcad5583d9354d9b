"""Loading profiles: what is right is kept, what is wrong is named with file, line and remedy."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from atprobe.knowledge import ProfileError, lint, load, state_dir
from atprobe.model import Claim, Strength
from tests.knowledge.conftest import IDENTITY, MAKER, Write


def test_a_sound_profile(write: Write) -> None:
    root = write()
    assert lint(root) == ()
    knowledge = load(root)
    maker = knowledge.makers["acme"]
    assert (maker.name, maker.kind, maker.country, maker.usb_vendors) == ("Acme", "maker", "NO", ("12ab",))
    assert knowledge.reading == {"AT+ACVER"}
    assert knowledge.unsolicited == (r"\+ACURC:.*",)
    assert knowledge.redact == (r"(?<=PIN: )\d+",)
    (rule,) = knowledge.profiles["acme"].firmware
    assert rule.strength is Strength.DECISIVE
    assert rule.match("ac25-1.0") == {Claim.MODEL: "ac25", Claim.FIRMWARE: "ac25-1.0"}
    assert rule.match("xAC25-1.0") is None
    (label,) = knowledge.profiles["acme"].labels
    assert label.match("Acme Inc.") == {Claim.BRAND: "acme"}


@pytest.mark.parametrize(
    ("find", "put", "line", "said"),
    [
        (
            "kind: maker",
            "kind: maker\nkind: brand",
            3,
            ("'kind' stands here a second time (first on line 2)", "keep one"),
        ),
        ("kind: maker", "kind: firm", 2, ("'firm' is not known here", "maker, chip, brand")),
        ("kind: maker", "kind: maker\nkynd: maker", 3, ("no key 'kynd'", "kind")),
        ("name: Acme\n", "", 1, ("lacks 'name'", "add a line")),
        ("country: NO", "country: Norway", 3, ("no country code", "two capital letters")),
        ('"12AB"', '"12ABC"', 4, ("no USB id", "four hex digits")),
        ("name: Acme", "name: [Acme", 2, ("not valid YAML", "quotes")),
    ],
)
def test_faults_of_maker(write: Write, find: str, put: str, line: int, said: tuple[str, str]) -> None:
    assert find in MAKER
    problem = lint(write(maker=MAKER.replace(find, put)))[0]
    assert problem.path.endswith("acme/maker.yaml")
    assert (problem.line, said[0] in problem.message, said[1] in problem.remedy) == (line, True, True), str(problem)


@pytest.mark.parametrize(
    ("find", "put", "line", "message"),
    [
        ("'Acme( Inc\\.)?'", "'Acme( Inc'", 2, "does not compile"),
        ("'Acme( Inc\\.)?'", "'Acme( ?[A-Z]+)+'", 2, "can take too long"),
        ("strength: strong", "strength: sure", 3, "'sure' is not known here"),
        ("text: AC25-1.0,", "text: AC25,", 9, "does not match"),
        ("model: AC25, firmware", "model: AC26, firmware", 9, "gives"),
        ("not: [AC2-1.0]", "not: [AC26-1.1]", 9, "matches and should not"),
        ("'{model}'", "'{modell}'", 9, "uses the group 'modell'"),
        ("settles: [firmware, model]", "settles: [firmwear]", 20, "'firmwear' is not known here"),
        ("send: AT+ACVER", "send: AT+ACBOOM", 18, "must never be sent: bare"),
        ("send: AT+ACVER", "send: AT+ACVER;+CFUN?", 18, "not one AT command"),
        ("send: AT+ACVER", "send: hello", 18, "not one AT command"),
        ("tell: true", "tell: yes", 21, "neither true nor false"),
        ("commands:", "commands: 5\nother:", 17, "must be a list"),
    ],
)
def test_faults_of_identity(write: Write, find: str, put: str, line: int, message: str) -> None:
    assert find in IDENTITY
    problems = lint(write(identity=IDENTITY.replace(find, put, 1)))
    assert problems
    assert problems[0].path.endswith("acme/identity.yaml")
    assert (problems[0].line, message in problems[0].message) == (line, True), str(problems[0])
    assert problems[0].remedy


@pytest.mark.parametrize("what", ["source", "confidence"])
def test_a_rule_without_source_or_confidence_is_refused(write: Write, what: str) -> None:
    line = {"source": "    source: public logs\n", "confidence": "    confidence: observed\n"}[what]
    problems = lint(write(identity=IDENTITY.replace(line, "", 1)))
    assert f"a rule of labels lacks '{what}'" in problems[0].message


def test_a_part_is_shared_by_the_rules_of_a_file(write: Write) -> None:
    text = IDENTITY.replace("(?P<rev>\\d\\.\\d)", "(?P<rev>(?&release))")
    rule = load(write(identity="parts: {release: '\\d\\.\\d'}\n" + text)).profiles["acme"].firmware[0]
    assert rule.match("AC25-1.0") == {Claim.MODEL: "AC25", Claim.FIRMWARE: "AC25-1.0"}
    assert "there is no part 'release'" in lint(write(identity=text))[0].message


TIE = """ties:
  - relation: parent
    name: Holding
    since: "2024-07"
    says: bought it
    source: register
    confidence: documented
"""


class TestTies:
    def test_a_sound_one(self, write: Write) -> None:
        maker = load(write(maker=MAKER + TIE)).makers["acme"]
        (tie,) = maker.ties
        assert (tie.relation, tie.name, tie.since, tie.until, tie.slug) == ("parent", "Holding", "2024-07", None, None)
        assert maker.last_fact == "2026-06-08"

    @pytest.mark.parametrize(
        ("find", "put", "said"),
        [
            ('    since: "2024-07"\n', "", "the tie has no date"),
            ('"2024-07"', "July 2024", "'July 2024' is no date"),
            ("relation: parent", "relation: friend", "'friend' is not known here"),
            ("    source: register\n", "", "lacks 'source'"),
            ("    confidence: documented\n", "", "lacks 'confidence'"),
            ("name: Holding", "name: Holding\n    slug: holding", "'holding' is no other profile"),
            ("name: Holding", "name: Holding\n    slug: acme", "'acme' is no other profile"),
        ],
    )
    def test_faults(self, write: Write, find: str, put: str, said: str) -> None:
        assert find in TIE
        assert said in lint(write(maker=MAKER + TIE.replace(find, put)))[0].message


def test_what_is_decisive_for_two_makers_is_decisive_for_none(write: Write) -> None:
    write()
    (problem, other) = lint(write(slug="other"))
    assert "'AC25-1.0' is decisive for" in problem.message
    assert {Path(p.path).parent.name for p in (problem, other)} == {"acme", "other"}
    assert lint(write(slug="other", identity=IDENTITY.replace("strength: decisive", "strength: strong"))) == ()


def test_a_setting_needs_a_source_that_shows_it_reads(write: Write) -> None:
    text = IDENTITY.replace("send: AT+ACVER", "send: AT+ACVER=1")
    assert lint(write(identity=text)) == ()
    assert (
        "form of a setting"
        in lint(write(identity=text.replace("confidence: documented", "confidence: inferred")))[0].message
    )


def test_every_fault_is_named_at_once(write: Write) -> None:
    with pytest.raises(ProfileError) as caught:
        load(write(maker="kind: x\n", identity=IDENTITY.replace("strength: strong", "strength: x")))
    assert len(caught.value.problems) == 4
    assert str(caught.value).count("\n") == 3


def test_one_makers_never_guards_all(write: Write) -> None:
    write()
    root = write(
        slug="other",
        identity=IDENTITY.replace("send: AT+ACVER", "send: AT+ACBOOM")
        .replace("never:", "redact: []\nnever:", 1)
        .replace("redact: ['", "x: ['"),
    )
    assert any("acme" in p.message or "other" in p.path for p in lint(root))


@pytest.mark.parametrize("text", [b"", b"\xff\xfe", b"a: &a [*a]", b"- " * 200 + b"x", b"x" * 5_000_000])
def test_hostile_files_give_one_clear_fault(write: Write, text: bytes) -> None:
    root = write()
    (root / "acme/identity.yaml").write_bytes(text)
    problems = lint(root)
    assert problems
    assert all(p.line >= 1 and p.remedy for p in problems)


def test_no_profiles(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match="holds no profiles"):
        load(tmp_path)
    with pytest.raises(ProfileError, match="holds no profiles"):
        load(tmp_path / "nowhere")


def test_what_was_checked_is_kept_until_the_content_changes(write: Write) -> None:
    root = write()
    first = load(root)
    (kept,) = state_dir().glob("profiles-*.json")
    data = json.loads(kept.read_text())
    data["acme"]["maker"]["name"] = "Kept"
    kept.write_text(json.dumps(data))
    os.chmod(kept, 0o600)
    assert load(root).makers["acme"].name == "Kept"
    write(identity=IDENTITY + "\n")
    again = load(root)
    assert again.makers["acme"].name == "Acme"
    assert again.version != first.version
    assert len(list(state_dir().glob("profiles-*.json"))) == 1


@pytest.mark.parametrize("spoil", ["garbage", "writable", "list"])
def test_a_kept_file_that_cannot_be_trusted_is_not_used(write: Write, spoil: str) -> None:
    root = write()
    load(root)
    (kept,) = state_dir().glob("profiles-*.json")
    text = kept.read_text().replace("Acme", "Evil")
    kept.write_text({"garbage": "{", "writable": text, "list": "[]"}[spoil])
    os.chmod(kept, 0o666 if spoil == "writable" else 0o600)
    assert load(root).makers["acme"].name == "Acme"


def test_a_state_folder_that_cannot_be_written_is_no_fault(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ATPROBE_STATE_DIR", str(tmp_path / "file" / "below"))
    assert load(write()).makers["acme"].name == "Acme"


def test_unchanged_profiles_need_no_yaml(write: Write) -> None:
    root = write()
    load(root)
    code = (
        "import sys, pathlib; from atprobe.knowledge import load; load(pathlib.Path(sys.argv[1]));"
        "assert 'yaml' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(root)], check=True)


def test_the_projects_own_profiles_are_sound() -> None:
    assert lint() == ()
