"""Evidence to identity: behaviour before label, unknown before wrong, conflicts said aloud."""

from pathlib import Path
from typing import ClassVar

import pytest

from atprobe.fingerprint import Interview
from atprobe.knowledge import Knowledge, load
from atprobe.model import Claim, Ended, Identity, Reply, Strength, UsbInfo, is_imei

MAKER = r"""
labels:
  - {pattern: 'name', strength: strong, examples: [{text: name, claims: {}}], source: x, confidence: observed}
models:
  - pattern: 'NA\d\d'
    strength: strong
    claims: {model: '{0}'}
    examples: [{text: NA25, claims: {model: NA25}}]
    source: x
    confidence: observed
firmware:
  - pattern: 'NAME-\d'
    strength: decisive
    claims: {firmware: '{0}'}
    examples: [{text: NAME-1, claims: {firmware: NAME-1}}]
    source: x
    confidence: observed
  - pattern: 'LIKE-NAME-\d'
    strength: strong
    claims: {firmware: '{0}'}
    examples: [{text: LIKE-NAME-1, claims: {firmware: LIKE-NAME-1}}]
    source: x
    confidence: observed
  - pattern: 'SHARED-\d'
    strength: strong
    claims: {firmware: '{0}'}
    examples: [{text: SHARED-1, claims: {firmware: SHARED-1}}]
    source: x
    confidence: observed
dialect:
  - {pattern: '\+NAME\w*', strength: strong, examples: [{text: +NAMEX}], source: x, confidence: observed}
commands:
  - send: AT+NAME
    settles: [build]
    tell: true
    source: x
    confidence: documented
    answers:
      - pattern: 'tell name (?P<b>.+)'
        strength: decisive
        claims: {build: '{b}'}
        examples: [{text: tell name 9, claims: {build: '9'}}]
        source: x
        confidence: observed
"""
CHIP = r"""
labels:
  - {pattern: Silicon, strength: none, examples: [{text: Silicon, claims: {}}], source: x, confidence: observed}
firmware:
  - pattern: 'BASE\.\d'
    strength: decisive
    claims: {firmware: '{0}'}
    examples: [{text: BASE.1, claims: {firmware: BASE.1}}]
    source: x
    confidence: observed
"""
SHOP = (
    "labels: [{pattern: Shop, strength: strong, examples: [{text: Shop, claims: {}}], source: x, confidence: observed}]"
)
SOURCES = 'sources: [{url: x, date: "2026", says: x, confidence: documented}]\n'
GENERIC = """
commands:
  - {send: ATI, reads: identity, settles: [brand, model, firmware, imei], source: V.250, confidence: documented}
  - {send: AT+CGMI, reads: manufacturer, settles: [brand], source: "27.007", confidence: documented}
  - {send: AT+CGMM, reads: model, settles: [model], source: "27.007", confidence: documented}
  - {send: AT+CGMR, reads: revision, settles: [firmware], source: "27.007", confidence: documented}
  - {send: AT+CGSN, reads: imei, settles: [imei], source: "27.007", confidence: documented}
  - {send: AT+GSN, reads: imei, settles: [imei], same_as: AT+CGSN, source: V.250, confidence: documented}
  - {send: AT+GMI, reads: manufacturer, settles: [brand], same_as: AT+CGMI, source: V.250, confidence: documented}
  - {send: AT+GMM, reads: model, settles: [model], same_as: AT+CGMM, source: V.250, confidence: documented}
  - {send: AT+CLAC, reads: commands, settles: [], tell: true, source: "27.007", confidence: documented}
"""


def _maker(name: str) -> str:
    return MAKER.replace("name", name).replace("NAME", name.upper()).replace("NA", name[:2].upper())


@pytest.fixture(scope="module")
def knowledge(tmp_path_factory: pytest.TempPathFactory) -> Knowledge:
    """Two makers, acme and bolt, that share one behaviour, a brand that sells acme's, and the standard commands."""
    root: Path = tmp_path_factory.mktemp("profiles")
    for slug, who, how in (
        ("acme", 'name: Acme\nkind: maker\nusb_vendors: ["12ab"]\n', _maker("acme")),
        ("bolt", 'name: Bolt\nkind: maker\nusb_vendors: ["34cd"]\n', _maker("bolt")),
        ("shop", "name: Shop\nkind: brand\n", SHOP),
        ("silicon", "name: Silicon\nkind: chip\n", CHIP),
        ("generic", "", GENERIC),
    ):
        (root / slug).mkdir()
        if who:
            (root / slug / "maker.yaml").write_text(who + SOURCES)
        (root / slug / "identity.yaml").write_text(how)
    return load(root)


def interview(
    knowledge: Knowledge, answers: dict[str, list[str]], usb: UsbInfo | None = None
) -> tuple[Identity, list[str]]:
    asked: list[str] = []

    def ask(command: str, _: float | None) -> Reply:
        asked.append(command)
        if command in answers:
            return Reply(command, tuple(answers[command]), "OK")
        return Reply(command, (), "ERROR")

    return Interview(knowledge, usb).run(ask), asked


def test_settled_by_one_answer_stops_after_the_makers_own_question(knowledge: Knowledge) -> None:
    identity, asked = interview(
        knowledge,
        {"ATI": ["acme", "AC25", "Revision: ACME-1", "IMEI: 490154200000000"], "AT+ACME": ["tell acme 9"]},
    )
    assert (identity.maker, identity.brand, identity.model) == ("acme", "acme", "AC25")
    assert (identity.firmware, identity.build, identity.imei) == ("ACME-1", "9", "490154200000000")
    assert identity.confidence > 0.95
    assert identity.conflicts == ()
    assert asked == ["ATI", "AT+ACME"]


def test_only_what_is_open_is_asked(knowledge: Knowledge) -> None:
    _, asked = interview(knowledge, {"ATI": ["acme", "AC25", "Revision: ACME-1"], "AT+ACME": ["tell acme 9"]})
    assert asked == ["ATI", "AT+CGSN", "AT+GSN", "AT+ACME"]


def test_behaviour_beats_label_and_the_conflict_is_said(knowledge: Knowledge) -> None:
    identity, _ = interview(knowledge, {"AT+CGMI": ["bolt"], "AT+CGMR": ["ACME-1"]})
    assert (identity.maker, identity.brand) == ("acme", "bolt")
    assert any("'bolt' speaks for Bolt" in conflict for conflict in identity.conflicts)
    assert identity.confidence < 0.9


def test_a_brand_is_not_a_maker(knowledge: Knowledge) -> None:
    identity, _ = interview(knowledge, {"AT+CGMI": ["Shop"], "AT+CGMR": ["ACME-1"]})
    assert (identity.maker, identity.brand) == ("acme", "shop")
    assert identity.conflicts == ()


def test_an_unknown_label_is_reported(knowledge: Knowledge) -> None:
    identity, _ = interview(knowledge, {"AT+CGMI": ["Baiwang"], "AT+CGMR": ["ACME-1"]})
    assert (identity.maker, identity.brand) == ("acme", None)
    assert any("'Baiwang'" in conflict for conflict in identity.conflicts)


def test_a_strangers_model_proves_nothing_by_looking_alike(knowledge: Knowledge) -> None:
    stranger, _ = interview(knowledge, {"AT+CGMI": ["Someone"], "AT+CGMM": ["AC25"]})
    nameless, _ = interview(knowledge, {"AT+CGMM": ["AC25"]})
    behaving, _ = interview(knowledge, {"AT+CGMI": ["Someone"], "AT+CGMM": ["AC25"], "AT+CGMR": ["ACME-1"]})
    assert (stranger.maker, stranger.model) == (None, "AC25")
    assert (nameless.maker, behaving.maker) == ("acme", "acme")


def test_a_name_alone_against_unfamiliar_words_is_doubted(knowledge: Knowledge) -> None:
    doubted, _ = interview(knowledge, {"AT+CGMI": ["acme"], "AT+CGMM": ["QX77"]})
    assert (doubted.maker, doubted.brand, doubted.model) == ("acme", "acme", "QX77")
    assert doubted.confidence <= 0.5
    refused, _ = interview(knowledge, {"AT+CGMI": ["acme"], "AT+CGMM": ["QX77"], "AT+CGMR": ["9.9.9"]})
    assert (refused.maker, refused.brand, refused.model) == (None, "acme", "QX77")
    for identity in (doubted, refused):
        assert any("only its label speaks for Acme" in conflict for conflict in identity.conflicts)
    familiar, _ = interview(knowledge, {"AT+CGMI": ["acme"], "AT+CGMM": ["AC25"], "AT+CGMR": ["9.9.9"]})
    assert (familiar.maker, familiar.conflicts) == ("acme", ())
    assert familiar.confidence > 0.5


def test_the_first_bare_line_of_ati_is_a_label_too(knowledge: Knowledge) -> None:
    identity, _ = interview(knowledge, {"ATI": ["Baiwang", "AC25", "Revision: ACME-1"]})
    assert (identity.maker, identity.brand) == ("acme", None)
    assert any("'Baiwang'" in conflict for conflict in identity.conflicts)
    stranger, _ = interview(knowledge, {"ATI": ["Baiwang", "AC25"]})
    assert stranger.maker is None


def test_long_texts_match_nothing(knowledge: Knowledge) -> None:
    identity, _ = interview(knowledge, {"AT+CGMM": ["A" * 100_000], "ATI": ["x" * 8192] * 60})
    assert (identity.maker, identity.model) == (None, None)


def test_a_shared_behaviour_is_decided_by_the_label(knowledge: Knowledge) -> None:
    identity, _ = interview(knowledge, {"AT+CGMI": ["bolt"], "AT+CGMR": ["SHARED-1"]})
    assert identity.maker == "bolt"


def test_strong_behaviour_against_label_and_model_together_is_unknown(knowledge: Knowledge) -> None:
    """A form that two makers might come upon is no match for two things the module says of itself."""
    both, _ = interview(knowledge, {"AT+CGMI": ["acme"], "AT+CGMM": ["AC25"], "AT+CGMR": ["LIKE-BOLT-1"]})
    assert both.maker is None
    assert both.conflicts
    label, _ = interview(knowledge, {"AT+CGMI": ["acme"], "AT+CGMR": ["LIKE-BOLT-1"]})
    assert label.maker == "bolt"
    decisive, _ = interview(knowledge, {"AT+CGMI": ["acme"], "AT+CGMM": ["AC25"], "AT+CGMR": ["BOLT-1"]})
    assert decisive.maker == "bolt"


def test_a_shared_behaviour_alone_is_unknown(knowledge: Knowledge) -> None:
    identity, asked = interview(knowledge, {"AT+CGMR": ["SHARED-1"]})
    assert identity.maker is None
    assert identity.confidence == 0
    assert identity.firmware == "SHARED-1"
    assert {"AT+ACME", "AT+BOLT"} <= set(asked)


def test_a_silent_label_is_found_out_by_a_tell(knowledge: Knowledge) -> None:
    identity, _ = interview(knowledge, {"AT+BOLT": ["tell bolt 7"]})
    assert (identity.maker, identity.build) == ("bolt", "7")


def test_a_list_of_what_is_stored_says_not_what_runs(knowledge: Knowledge) -> None:
    identity, _ = interview(knowledge, {"AT+BOLT": ["tell bolt 7", "tell bolt 8"]})
    assert (identity.maker, identity.build) == ("bolt", None)


def test_a_label_without_behaviour_is_put_to_the_test(knowledge: Knowledge) -> None:
    honest, _ = interview(knowledge, {"AT+CGMI": ["acme"], "AT+ACME": ["tell acme 9"]})
    liar, _ = interview(knowledge, {"AT+CGMI": ["acme"], "AT+BOLT": ["tell bolt 9"]})
    alone, _ = interview(knowledge, {"AT+CGMI": ["acme"]})
    assert (honest.maker, liar.maker, alone.maker) == ("acme", "bolt", "acme")
    assert liar.conflicts
    assert honest.confidence > alone.confidence


def test_usb_numbers_order_the_questions_and_decide_nothing(knowledge: Knowledge) -> None:
    usb = UsbInfo("34cd", "0001", "bolt", "thing")
    identity, asked = interview(knowledge, {}, usb)
    assert identity.maker is None
    assert asked.index("AT+BOLT") < asked.index("AT+ACME")
    assert {e.strength for e in identity.evidence} == {Strength.HINT}
    other, _ = interview(knowledge, {"AT+CGMR": ["ACME-1"]}, usb)
    assert other.maker == "acme"


def test_a_chip_maker_is_named_only_where_no_module_maker_shows(knowledge: Knowledge) -> None:
    bare, _ = interview(knowledge, {"AT+CGMI": ["Silicon"], "AT+CGMR": ["BASE.1"]})
    assert (bare.maker, bare.brand, bare.conflicts) == ("silicon", "silicon", ())
    for answers in (
        {"AT+CGMI": ["acme"], "AT+CGMM": ["AC25"]},
        {"AT+CGMI": ["Silicon"], "AT+ACME": ["tell acme 9"]},
    ):
        built_on_it, _ = interview(knowledge, {**answers, "AT+CGMR": ["BASE.1"]})
        assert (built_on_it.maker, built_on_it.firmware, built_on_it.conflicts) == ("acme", "BASE.1", ())
        assert built_on_it.brand != "silicon"
    named_otherwise, _ = interview(knowledge, {"AT+CGMI": ["Someone"], "AT+CGMR": ["BASE.1"]})
    assert named_otherwise.maker is None
    sold, _ = interview(knowledge, {"AT+CGMI": ["Shop"], "AT+CGMR": ["BASE.1"]})
    assert (sold.maker, sold.brand) == ("silicon", "shop")


class TestTheListOfCommands:
    LIST: ClassVar = [f"AT+X{letter}" for letter in "ABCDEFGHIJKLMNOPQRSTU"]

    def test_names_in_it_tell_the_maker(self, knowledge: Knowledge) -> None:
        identity, _ = interview(knowledge, {"AT+CLAC": [*self.LIST, "AT+BOLTCFG"]})
        assert identity.maker == "bolt"
        assert [e.text for e in identity.evidence if e.source == "AT+CLAC"] == ["+BOLTCFG"]

    def test_what_it_lacks_is_not_asked(self, knowledge: Knowledge) -> None:
        _, asked = interview(knowledge, {"AT+CLAC": [*self.LIST, "AT+ACME"]})
        assert "AT+BOLT" not in asked

    def test_a_short_list_rules_nothing_out(self, knowledge: Knowledge) -> None:
        _, asked = interview(knowledge, {"AT+CLAC": self.LIST[:3]})
        assert {"AT+ACME", "AT+BOLT"} <= set(asked)

    def test_it_is_not_asked_of_a_module_whose_maker_is_proven(self, knowledge: Knowledge) -> None:
        _, asked = interview(knowledge, {"AT+CGMR": ["ACME-1"]})
        assert "AT+CLAC" not in asked


def test_label_and_model_together_spare_the_other_makers_questions(knowledge: Knowledge) -> None:
    identity, asked = interview(knowledge, {"ATI": ["acme", "AC25"]})
    assert identity.maker == "acme"
    assert "AT+ACME" in asked
    assert "AT+BOLT" not in asked


def test_v250_names_are_the_fallback_for_what_matters_most(knowledge: Knowledge) -> None:
    """A module that answers some +CG command is asked +GMM after a failed +CGMM, yet not +GSN for the IMEI."""
    identity, asked = interview(knowledge, {"AT+CGMR": ["ACME-1"], "AT+GMM": ["AC25"]})
    assert identity.model == "AC25"
    assert "AT+GSN" not in asked
    _, asked = interview(knowledge, {})
    assert {"AT+GSN", "AT+GMM", "AT+GMI"} <= set(asked)
    _, asked = interview(knowledge, {"ATI": ["AC25", "Revision: ACME-1"]})
    assert "AT+CGMI" in asked
    assert "AT+GMI" not in asked


def test_a_module_that_refuses_its_makers_commands_is_not_asked_the_lesser_ones(tmp_path: Path) -> None:
    further = "".join(
        f"  - {{send: AT+ACME{n}, settles: [hardware], source: x, confidence: documented}}\n" for n in range(4)
    )
    for slug, text in (("acme", _maker("acme") + further), ("generic", GENERIC)):
        (tmp_path / slug).mkdir()
        (tmp_path / slug / "identity.yaml").write_text(text)
    (tmp_path / "acme" / "maker.yaml").write_text("name: Acme\nkind: maker\n" + SOURCES)
    _, asked = interview(load(tmp_path), {"ATI": ["acme", "AC25", "Revision: ACME-1", "IMEI: 490154200000000"]})
    assert [line for line in asked if line.startswith("AT+ACME")] == ["AT+ACME", "AT+ACME0"]


def test_a_number_is_no_model(knowledge: Knowledge) -> None:
    answers = {
        "AT+CGMI": ["QUALCOMM INCORPORATED"],
        "AT+CGMM": ["4105"],
        "AT+CGMR": ["X-1  1  [Jul 11 2018 00:00:00]"],
    }
    identity, _ = interview(knowledge, answers)
    assert (identity.maker, identity.model, identity.firmware) == (None, None, "X-1")


@pytest.mark.parametrize("text", ["V1.1", "R309", "Rev 1.00", "000D6F0000D5E2C2", "invalid_param", "88"])
def test_versions_addresses_and_error_words_are_no_models(knowledge: Knowledge, text: str) -> None:
    identity, _ = interview(knowledge, {"AT+CGMM": [text]})
    assert identity.model is None


def test_a_question_for_the_thing_itself_beats_a_line_of_ati(knowledge: Knowledge) -> None:
    identity, _ = interview(knowledge, {"ATI": ["NEO", "N58", "V001"], "AT+CGMR": ["N58-R04-STD-BZ-03"]})
    assert (identity.model, identity.firmware) == ("N58", "N58-R04-STD-BZ-03")


def test_every_claim_rests_on_text(knowledge: Knowledge) -> None:
    identity, _ = interview(knowledge, {"ATI": ["acme", "AC25", "Revision: ACME-1"]})
    model = next(e for e in identity.evidence if e.claim is Claim.MODEL and e.strength is Strength.STRONG)
    assert (model.value, model.text, model.source) == ("AC25", "AC25", "ATI")


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("490154200000000", True),
        ("490154200000001", False),
        ("000000000000000", False),
        ("49015420000000", False),
        ("4901542000000001", False),
        ("49015420000000X", False),
        ("٤٩٠١٥٤٢٠٣٢٣٧٥١٨", False),
    ],
)
def test_imei(text: str, valid: bool) -> None:
    assert is_imei(text) is valid


def test_an_invalid_imei_is_not_reported_as_one(knowledge: Knowledge) -> None:
    identity, _ = interview(knowledge, {"AT+CGSN": ["490154200000001"]})
    assert identity.imei is None
    assert any("490154200000001" in conflict for conflict in identity.conflicts)


def test_a_module_that_answers_nonsense_to_everything_is_left_alone(knowledge: Knowledge) -> None:
    count = 0

    def ask(command: str, _: float | None) -> Reply:
        nonlocal count
        count += 1
        return Reply(command, ("nonsense",) * 50, "OK")

    identity = Interview(knowledge).run(ask)
    assert identity.maker is None
    assert count < 12


def test_a_module_that_ignores_commands_is_given_less_time_for_them(knowledge: Knowledge) -> None:
    waited: list[float | None] = []

    def ask(command: str, seconds: float | None) -> Reply:
        waited.append(seconds)
        return Reply(command, (), None, Ended.TIMEOUT)

    Interview(knowledge).run(ask)
    assert waited[0] is None
    assert set(waited[1:]) == {0.5}
    assert len(waited) <= len(knowledge.reading)


def test_a_command_for_some_models_is_asked_of_those_alone() -> None:
    own = load()
    imei = {"AT+CGSN=1": ["+CGSN:490154200000000"]}
    bc95, asked = interview(own, {"AT+CGMI": ["Quectel"], "AT+CGMM": ["BC95HB-02-STD_850"], **imei})
    assert (bc95.model, bc95.imei) == ("BC95", "490154200000000")
    ec25, asked = interview(own, {"AT+CGMI": ["Quectel"], "AT+CGMM": ["EC25"], **imei})
    assert ec25.imei is None
    assert "AT+CGSN=1" not in asked
