"""The whole engine on every transcript the project has: right often enough, wrong never, and nothing ever set."""

import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest

from atprobe.at import Form, normalise, split
from atprobe.emulator import Fault
from atprobe.emulator.scoring import Result, Score, mask, replay, score
from atprobe.knowledge import Knowledge, load, load_transcript, transcripts
from atprobe.model import Exchange, Transcript, Truth

FIRST_MAKERS = {"quectel", "fibocom", "simcom", "telit", "cinterion", "sierra", "ublox", "huawei"}


@pytest.fixture(scope="module")
def knowledge() -> Knowledge:
    return load()


@pytest.fixture(scope="module")
def own(knowledge: Knowledge) -> Score:
    return score(knowledge, transcripts())


@pytest.fixture(scope="module")
def masked(knowledge: Knowledge) -> Score:
    return score(knowledge, transcripts(), mask_labels=True)


def strangers_transcripts() -> list[Transcript]:
    folder = Path(__file__).parent.parent / "transcripts"
    return [load_transcript(path) for path in sorted(folder.glob("*/*.yaml"))]


@pytest.fixture(scope="module")
def strangers(knowledge: Knowledge) -> Score:
    """What speaks AT and is no cellular module of a known maker: analog modems, Wi-Fi, Bluetooth, nameless sticks."""
    return score(knowledge, strangers_transcripts())


def results(*scores: Score) -> Iterator[Result]:
    return (result for each in scores for result in each.results)


def share(found: Score, what: str) -> float:
    right, total = (sum(int(getattr(row, f"{what}_{which}")) for row in found.rows) for which in ("right", "total"))
    return right / total


def figures(found: Score) -> list[tuple[str, bool, dict[str, bool]]]:
    return [(r.transcript.id, r.wrong_maker, {f: r.right[f] for f in r.right if r.held[f]}) for r in found.results]


def test_the_first_makers_are_there_in_numbers(own: Score) -> None:
    assert {row.maker for row in own.rows if row.replayed >= 10} >= FIRST_MAKERS
    assert sum(row.replayed for row in own.rows) > 390


def test_no_wrong_maker_at_all(own: Score, masked: Score, strangers: Score, knowledge: Knowledge) -> None:
    assert len(strangers.results) > 20
    hidden = score(knowledge, strangers_transcripts(), mask_labels=True)
    told = score(knowledge, transcripts(), with_usb=True)
    every = results(own, masked, strangers, hidden, told)
    assert [result.transcript.id for result in every if result.wrong_maker] == []


def test_right_often_enough(own: Score) -> None:
    assert share(own, "maker") >= 0.98
    assert share(own, "model") >= 0.96
    assert share(own, "firmware") >= 0.96


def test_what_the_bus_says_is_not_needed(own: Score, knowledge: Knowledge) -> None:
    told = score(knowledge, transcripts(), with_usb=True)
    for what in ("maker", "model", "firmware"):
        assert share(own, what) >= share(told, what)


def test_few_questions_settle_a_module_that_answers_the_standard_ones(own: Score) -> None:
    standard = {"AT+CGMI", "AT+CGMM", "AT+CGMR"}
    every, full = [], []
    for result in own.results:
        known = {normalise(exchange.send or "") for exchange in result.transcript.exchanges}
        every.append(len(result.commands) - result.commands.count("AT"))
        if "ATI" in known or known >= standard:
            full.append(every[-1])
    assert len(full) > 250
    assert statistics.median(full) <= 4
    # The others are excerpts, and answer most questions with ERROR because nobody wrote the answer down.
    assert statistics.median(every) <= 5


@pytest.mark.parametrize("fault", [Fault.NO_ECHO, Fault.LF])
def test_echo_and_line_ends_change_nothing(knowledge: Knowledge, own: Score, fault: Fault) -> None:
    assert figures(score(knowledge, transcripts(), faults=frozenset({fault}))) == figures(own)


def test_an_unsolicited_code_at_any_line_boundary_changes_nothing(knowledge: Knowledge, own: Score) -> None:
    """In turn after every line of an answer; long answers are all alike beyond the first fifteen."""
    for boundary in range(16):
        disturbed = score(knowledge, transcripts(), urc_at=boundary)
        assert figures(disturbed) == figures(own), boundary


@pytest.mark.parametrize("fault", [Fault.ECHO_TWICE, Fault.NO_FINAL, Fault.URC_STORM, Fault.LATE, Fault.GARBLE])
def test_trouble_on_the_line_makes_no_maker_wrong_and_few_unknown(
    knowledge: Knowledge, own: Score, fault: Fault
) -> None:
    troubled = score(knowledge, transcripts(), faults=frozenset({fault}))
    assert [result.transcript.id for result in troubled.results if result.wrong_maker] == []
    if fault is not Fault.GARBLE:
        for what in ("maker", "model", "firmware"):
            assert share(troubled, what) >= share(own, what) - 0.02


def test_behaviour_tells_the_maker_where_the_label_does_not(masked: Score) -> None:
    assert share(masked, "maker") >= 0.85


def test_what_is_left_out_has_a_reason(own: Score) -> None:
    assert all(reason for _, reason in own.left_out)
    assert len(own.left_out) + len(own.results) == len(transcripts())


def test_nothing_is_ever_set(own: Score, strangers: Score) -> None:
    """Three commands have the form of a setting and only read.

    AT+CGSN=1 asks for the IMEI (27.007 5.4; the BC95 and its like need it). AT^VERSION=1 and AT+VERSION=1 show the
    revision of an MV31 or MV32, which ModemManager asks of those two alone.
    """
    sent = {command for result in results(own, strangers) for command in result.commands}
    assert len(sent) > 20
    for command in sent - {"AT", "AT+CGSN=1", "AT^VERSION=1", "AT+VERSION=1"}:
        for name, form in split(command):
            assert form is not Form.SET, command
            assert form is not Form.BASIC or name.startswith("I"), command


def test_every_other_command_of_the_profiles_has_the_form_of_a_question(knowledge: Knowledge) -> None:
    """Of those that ask who a module is; what asks for the state of a surface is listed one by one below."""
    sent = {normalise(command.send) for profile in knowledge.profiles.values() for command in profile.commands}
    assert _settings(sent) <= {"AT+CGSN=1", "AT^VERSION=1", "AT+VERSION=1"}


READING_SETS = {
    # A key alone reads it: the sources of each are in the surfaces.yaml of its maker.
    'AT+QABFOTA="activeslot"',
    'AT+QCFG="usbcfg"',
    'AT+QLWCFG="startup"',
    'AT+QMBNCFG="AutoSel"',
    'AT+UPGRADE="AUTO"',
    'AT+UPGRADE="PERIOD"',
    'AT+MPDSREGCFG="state"',
    'AT+MFWCFG="url"',
    'AT#XCARRIERCFG="auto_startup"',
    'AT#XCARRIERCFG="auto_register"',
    # The operator alone reads; a second value writes.
    "AT+SELFREGISTER=0",
    "AT+SELFREGISTER=1",
    "AT+SELFREGISTER=2",
    # 0 reads, 1 writes, 2 clears everything.
    'AT+SYSNV=0,"self_register"',
    # The write needs a second value.
    "AT+UFOTACONF=2",
    "AT%GETACFG=modem_apps.LWM2M.AppEnable",
    "AT%GETACFG=LWM2M.Config.AutoConnect",
    'AT^SRVCTL="MODS","status"',
    'AT^SRVCFG="MODS","fwdownload/deferLimit"',
    'AT^SRVCFG="MODS","fwupdate/deferLimit"',
    'AT^SRVCFG="MODS","usm/downloadMode"',
    'AT^SNLWM2M="status/stack","attus"',
    'AT^SNLWM2M="status/stack","verizonus"',
}


def test_what_asks_for_a_state_in_the_form_of_a_setting_is_known_one_by_one(knowledge: Knowledge) -> None:
    asked = {
        normalise(query.send)
        for profile in knowledge.profiles.values()
        for surface in profile.surfaces
        for query in surface.queries
    }
    assert _settings(asked) == {normalise(command) for command in READING_SETS}


def _settings(commands: set[str]) -> set[str]:
    return {command for command in commands if Form.SET in {form for _, form in split(command)}}


def test_masking_leaves_no_name_and_all_else(knowledge: Knowledge) -> None:
    given = Transcript(
        "x",
        "bytes",
        Truth(),
        (
            Exchange("ATI", ("ATI", "Quectel_Ltd", "Quectel_BC66", "Revision: BC66NBR01A10", "OK")),
            Exchange("AT+CGMI", ('+CGMI: "Fibocom Wireless Inc."', "OK"), '+CGMI: "Fibocom Wireless Inc."\r\nOK\r\n'),
            Exchange("AT+SIMCOMATI", ("AT+SIMCOMATI", "Manufacturer: SIMCOM INCORPORATED", "OK")),
        ),
    )
    one, two, three = mask(knowledge, given).exchanges
    assert one.recv == ("ATI", "ACME", "ACME_BC66", "Revision: BC66NBR01A10", "OK")
    assert (two.recv, two.raw) == (('+CGMI: "ACME"', "OK"), '+CGMI: "ACME"\r\nOK\r\n')
    assert three.recv == ("AT+SIMCOMATI", "Manufacturer: ACME", "OK")


def test_a_wrong_answer_counts_as_wrong(knowledge: Knowledge) -> None:
    """The score can fail: a transcript whose truth is another maker's."""
    exchanges = (Exchange("ATI", ("Quectel", "EC25", "Revision: EC25EFAR06A06M4G", "", "OK")),)
    result = replay(knowledge, Transcript("x", "bytes", Truth("telit", model="LE910", firmware="1"), exchanges))
    assert result.wrong_maker
    assert result.right == {"maker": False, "model": False, "firmware": False}
    assert result.held == {"maker": True, "model": False, "firmware": False}


def test_a_conversation_without_identity_is_left_out(knowledge: Knowledge) -> None:
    silent = Transcript("x", "bytes", Truth("telit", model="LE910"), (Exchange("AT+CSQ", ("+CSQ: 1,99", "OK")),))
    empty = Transcript("y", "bytes", Truth("telit"), ())
    found = score(knowledge, [silent, empty])
    assert [identifier for identifier, _ in found.left_out] == ["telit/x", "telit/y"]
    (row,) = found.rows
    assert (row.maker, row.transcripts, row.replayed) == ("telit", 2, 0)


@pytest.mark.parametrize(
    ("identifier", "maker", "brand"),
    [
        ("quectel-dji-baiwang-qdc507-runbook-030", "quectel", "dji"),
        ("fibocom-nl668t-gl-dji-baiwang-006", "fibocom", "fibocom"),  # the dongle says Baiwang on the bus alone
        ("foxconn-dw5821e-dell-4116-h", "foxconn", "dell"),
        ("foxconn-dw5821e-customer-telit-w2", "foxconn", "telit"),
        ("foxconn-t77w676-telit-ln940-004", "foxconn", None),  # it calls itself Qualcomm
        ("meig-slm770a-teltonika-3-0-26", "meig", None),
        ("huawei-k3770-gammu-016", "huawei", "vodafone"),
        ("sierra-em7455-dell-locked-queries-005", "sierra", "dell"),
        ("sierra-em7455b-dw5811e-reference-006", "sierra", "dell"),
        ("sierra-c885-att-mercury-mm-test-d2", "sierra", "sierra"),
        ("ublox-sara-r410m-particle-boron-005", "ublox", "ublox"),  # what is on the box no answer says
        ("ublox-sara-r410m-mkr-nb1500-004", "ublox", "ublox"),
        ("sequans-fipy-cgmi-pycom-202", "sequans", "pycom"),
        ("novatel-xu870-dell-001", "novatel", "dell"),
        ("wavecom-westermo-gdw11-manual-003", "wavecom", "westermo"),
    ],
)
def test_rebadges_come_out_right_from_the_conversation(
    own: Score, identifier: str, maker: str, brand: str | None
) -> None:
    (result,) = [result for result in own.results if result.transcript.id == identifier]
    assert (result.identity.maker, result.identity.brand) == (maker, brand)


@pytest.mark.parametrize(
    ("answers", "whose"),
    [
        (("Thales", "MV31-W", "T99W175.F0.1.0.0.9.GC.004"), ("foxconn", "cinterion")),
        (("HP", "HP lt4220", "T77W676.F0.0.0.4.7.GC.017"), ("foxconn", "hp")),
        (("Lenovo", "T99W175", "T99W175.F0.6.0.0.6.CC.005"), ("foxconn", "lenovo")),
        (("Dell", "DW5930e", "T99W175.F0.1.0.0.9.DF.015"), ("foxconn", "dell")),
        # one that imitates another
        (("SIMCOM INCORPORATED", "SIM7600E", "EC25EFAR06A06M4G"), ("quectel", "simcom")),
    ],
)
def test_a_rebadge_by_the_makers_grammar(
    knowledge: Knowledge, answers: tuple[str, str, str], whose: tuple[str, str]
) -> None:
    """Made up of texts that each are real."""
    pairs = zip(("AT+CGMI", "AT+CGMM", "AT+CGMR"), answers, strict=True)
    talk = tuple(Exchange(send, (text, "", "OK")) for send, text in pairs)
    identity = replay(knowledge, Transcript("x", "lines", Truth(), talk)).identity
    assert (identity.maker, identity.brand) == whose
