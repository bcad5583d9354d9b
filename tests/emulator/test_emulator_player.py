"""The module without its port: framing, scripts, echo and faults, byte for byte."""

from __future__ import annotations

import re
import tracemalloc
from typing import Any

import pytest

from atprobe.at import MAX_LINE
from atprobe.emulator import Fault, Output, Player
from atprobe.model import Exchange, Transcript, Truth

IMEI = "490154200000000"  # a TAC, zeros and the check digit: nobody's


def play(*exchanges: Exchange, fidelity: str = "lines", faults: set[Fault] | None = None, **how: Any) -> Player:
    transcript = Transcript("synthetic-player", fidelity, Truth(), exchanges)
    return Player(transcript, frozenset(faults or ()), **how)


def said(player: Player, *commands: str, now: float = 0.0) -> bytes:
    """All bytes of the answers to `commands`, sent at once."""
    sent = "".join(f"{command}\r" for command in commands).encode()
    return b"".join(output.data for output in player.receive(sent, now))


ATI = Exchange("ATI", ("Maker", "Model", "", "OK"))
ATI_ECHO = Exchange("ATI", ("ATI", "Maker", "Model", "", "OK"))
CGSN = Exchange("AT+CGSN", (IMEI, "", "OK"))


class TestScript:
    def test_command_lines_are_compared_without_case_and_blanks(self) -> None:
        assert IMEI.encode() in said(play(CGSN), " at + cgsn")

    def test_a_quoted_value_keeps_its_case(self) -> None:
        player = play(Exchange('AT^X="a"', ("small", "OK")))
        assert b"small" in said(player, 'at^x="a"')
        assert said(player, 'AT^X="A"') == b"\r\nERROR\r\n"

    def test_repeated_sends_give_successive_answers_and_the_last_one_stays(self) -> None:
        player = play(Exchange("AT+CSQ", ("+CSQ: 1,99", "OK")), ATI, Exchange("at+csq", ("+CSQ: 2,99", "OK")))
        answers = [said(player, "AT+CSQ") for _ in range(3)]
        assert [re.findall(rb"\d,", answer) for answer in answers] == [[b"1,"], [b"2,"], [b"2,"]]

    def test_an_unknown_command_is_an_error(self) -> None:
        assert said(play(ATI), "AT+CGSN") == b"\r\nERROR\r\n"

    def test_plain_at_is_ok_where_the_transcript_does_not_say(self) -> None:
        assert said(play(ATI), "at") == b"\r\nOK\r\n"

    def test_plain_at_is_what_the_transcript_says(self) -> None:
        assert said(play(Exchange("AT", ("ERROR",))), "AT") == b"\r\nERROR\r\n"

    def test_what_is_no_command_line_is_logged_and_not_answered(self) -> None:
        player = play(ATI)
        assert said(player, "+++", "", "hello") == b""
        assert [line for _, line in player.log] == ["+++", "hello"]

    def test_a_line_ends_at_cr_alone_and_may_come_in_pieces(self) -> None:
        player = play(ATI)
        assert player.receive(b"AT\nI\n", 0.0) == []
        assert [output.data for output in player.receive(b"\r\nAT\r", 0.0)] == [
            b"\r\nMaker\r\nModel\r\n\r\nOK\r\n",
            b"\r\nOK\r\n",
        ]
        assert [line for _, line in player.log] == ["ATI", "AT"]

    def test_leftover_control_characters_do_not_hide_a_command(self) -> None:
        assert said(play(ATI), "\x1b\x00ATI").endswith(b"OK\r\n")

    def test_a_line_without_end_is_cut_and_the_next_one_is_answered(self) -> None:
        player = play(ATI)
        tracemalloc.start()
        for _ in range(100):
            player.receive(b"x" * MAX_LINE, 0.0)
        assert tracemalloc.get_traced_memory()[0] < 10 * MAX_LINE
        tracemalloc.stop()
        assert said(player, "", "AT") == b"\r\nOK\r\n"
        assert [len(line) for _, line in player.log] == [MAX_LINE, 2]

    def test_the_log_has_every_line_with_its_time(self) -> None:
        player = play(ATI)
        said(player, "ATI", now=1.5)
        said(player, "AT+CFUN=1", now=2.5)
        assert player.log == [(1.5, "ATI"), (2.5, "AT+CFUN=1")]

    @pytest.mark.parametrize("send", [None, "(boot)"])
    def test_unsolicited_text_comes_once_at_the_start(self, send: str | None) -> None:
        player = play(Exchange(send, ("RDY", "", "APP RDY")), ATI, Exchange(None, ("+CPIN: READY",)))
        assert player.start(3.0) == [Output(3.0, b"\r\nRDY\r\n\r\nAPP RDY\r\n\r\n+CPIN: READY\r\n")]
        assert player.start(4.0) == []
        assert b"RDY" not in said(player, "ATI", "(boot)")


class TestFraming:
    @pytest.mark.parametrize(
        ("recv", "expected"),
        [
            (("ATI", "X", "", "OK"), b"ATI\r\r\nX\r\n\r\nOK\r\n"),
            (("ATI", "", "X", "", "OK"), b"ATI\r\r\nX\r\n\r\nOK\r\n"),
            (("X", "OK"), b"\r\nX\r\nOK\r\n"),
            (("", "X", "OK", ""), b"\r\nX\r\nOK\r\n\r\n"),
            (("", "", "X", "OK"), b"\r\n\r\nX\r\nOK\r\n"),
            (("", "ATI", "OK"), b"\r\nATI\r\r\nOK\r\n"),
            (("+URC: 1", "ATI", "X", "OK"), b"\r\n+URC: 1\r\nATI\r\r\nX\r\nOK\r\n"),
            (("ATI",), b"ATI\r"),
            (("Müller", "OK"), b"\r\nM\xc3\xbcller\r\nOK\r\n"),
        ],
    )
    def test_lines(self, recv: tuple[str, ...], expected: bytes) -> None:
        assert said(play(Exchange("ATI", recv)), "ATI") == expected

    def test_the_echo_is_what_was_sent_not_what_was_recorded(self) -> None:
        assert said(play(ATI_ECHO), "ati").startswith(b"ati\r\r\nMaker")

    @pytest.mark.parametrize(
        ("raw", "expected"),
        [
            ("ATI\r\r\r\n\nX\n\r\nOK\r\n", b"ATI\r\r\r\n\nX\n\r\nOK\r\n"),
            ("X\r\nOK", b"X\r\nOK\r\n"),
            ("X\r\n0\r", b"X\r\n0\r"),
            ("Ünit\r\nOK\r\n", b"\xc3\x9cnit\r\nOK\r\n"),
            ("", b""),
        ],
    )
    def test_raw_text_is_sent_as_it_is(self, raw: str, expected: bytes) -> None:
        assert said(play(Exchange("ATI", ("not", "this"), raw=raw), fidelity="bytes"), "ATI") == expected

    @pytest.mark.parametrize("fidelity", ["bytes", "log", "lines"])
    def test_a_trusted_source_without_result_code_means_none(self, fidelity: str) -> None:
        assert said(play(Exchange("ATI", ("X",)), fidelity=fidelity), "ATI") == b"\r\nX\r\n"

    @pytest.mark.parametrize(
        ("recv", "expected"),
        [
            (("X",), b"\r\nX\r\n\r\nOK\r\n"),
            (("X", ""), b"\r\nX\r\n\r\nOK\r\n"),
            (("X", "OK"), b"\r\nX\r\nOK\r\n"),
            (("+CME ERROR: 4",), b"\r\n+CME ERROR: 4\r\n"),
            (("OK", "+URC: 1"), b"\r\nOK\r\n+URC: 1\r\n"),
            ((), b""),
        ],
    )
    def test_other_sources_left_the_ok_out(self, recv: tuple[str, ...], expected: bytes) -> None:
        assert said(play(Exchange("ATI", recv), fidelity="excerpt"), "ATI") == expected

    @pytest.mark.parametrize(("raw", "oks"), [("X", 1), ("X\r\nOK\r\n", 1)])
    def test_the_ok_is_added_to_raw_text_too(self, raw: str, oks: int) -> None:
        answer = said(play(Exchange("ATI", ("X",), raw=raw), fidelity="reconstructed"), "ATI")
        assert answer.count(b"OK\r\n") == oks


class TestEcho:
    @pytest.mark.parametrize(
        "echoing", [ATI_ECHO, Exchange("ATI", ("",), raw="ATI\r\r\nX\r\nOK\r\n"), Exchange("ATI", ("+URC: 1", "ATI"))]
    )
    def test_a_module_that_echoed_once_echoes_what_is_not_in_its_transcript(self, echoing: Exchange) -> None:
        assert said(play(CGSN, echoing), "at", "at+x") == b"at\r\r\nOK\r\nat+x\r\r\nERROR\r\n"

    def test_a_recorded_answer_without_echo_stays_without(self) -> None:
        assert said(play(ATI_ECHO, CGSN), "AT+CGSN").startswith(b"\r\n" + IMEI.encode())

    def test_a_command_that_lists_itself_is_no_echo(self) -> None:
        listing = Exchange("AT+CLAC", ("ATA", "ATD", "ATE", "ATI", "AT+CLAC", "OK"))
        assert said(play(listing), "AT") == b"\r\nOK\r\n"


class TestTime:
    def test_latency_counts_from_the_command(self) -> None:
        assert [output.due for output in play(ATI, latency=0.5).receive(b"ATI\r", 10.0)] == [10.5]

    def test_commands_are_answered_one_after_the_other(self) -> None:
        outputs = play(ATI, latency=0.5).receive(b"ATI\rAT\rAT\r", 10.0)
        assert [output.due for output in outputs] == [10.5, 11.0, 11.5]

    def test_a_quiet_module_says_nothing_unasked(self) -> None:
        player = play(ATI)
        assert (player.period, player.spontaneous(), player.start(0.0)) == (None, b"", [])


class TestFaults:
    @pytest.mark.parametrize("fault", [Fault.MUTE, Fault.NMEA, Fault.DIAG])
    def test_a_deaf_port_answers_nothing_and_logs_all(self, fault: Fault) -> None:
        player = play(Exchange(None, ("RDY",)), ATI, faults={fault})
        assert player.start(0.0) == []
        assert said(player, "ATI", "AT", "AT+X") == b""
        assert len(player.log) == 3

    def test_mute_is_silent(self) -> None:
        assert play(faults={Fault.MUTE}).period is None

    def test_garble_spoils_every_answer_in_the_same_way_each_run(self) -> None:
        clean = said(play(ATI), "ATI", "AT", "ATI")
        first, second = (play(ATI, faults={Fault.GARBLE}) for _ in range(2))
        spoiled = [said(first, command) for command in ("ATI", "AT", "ATI")]
        assert len(b"".join(spoiled)) == len(clean)
        assert spoiled[1] != b"\r\nOK\r\n"
        assert spoiled[0] != spoiled[2], "the noise is not the same for every answer"
        different = sum(a != b for a, b in zip(clean, b"".join(spoiled), strict=True))
        assert 3 <= different < len(clean) / 2
        assert len({a ^ b for a, b in zip(clean, b"".join(spoiled), strict=True)}) > 2, "not always the same bit"
        assert b"".join(spoiled) == said(second, "ATI", "AT", "ATI")

    def test_urc_storm_surrounds_and_interrupts_every_answer(self) -> None:
        player = play(ATI_ECHO, faults={Fault.URC_STORM})
        urc = rb"\r\n(?:\+CE?REG: 1|RING|\^HCSQ:.*|\^RSSI:20)\r\n"
        for command in ("ATI", "AT", "AT+X"):
            answer = said(player, command)
            assert re.fullmatch(urc + command.encode().replace(b"+", rb"\+") + rb"\r[^$]*" + urc, answer)
            assert len(re.findall(urc, answer)) == 3
        calm = re.sub(urc, b"", said(player, "ATI"))
        assert calm == said(play(ATI_ECHO), "ATI"), "taking the storm out leaves the answer whole"

    def test_urc_storm_also_comes_unasked(self) -> None:
        player = play(faults={Fault.URC_STORM})
        assert player.period == 0.05
        assert {player.spontaneous() for _ in range(20)} >= {b"\r\n+CREG: 1\r\n", b"\r\nRING\r\n"}

    def test_late_is_every_third_answer_and_delays_those_behind_it(self) -> None:
        player = play(faults={Fault.LATE}, latency=1.0)
        assert [output.due for output in player.receive(b"AT\r" * 4, 0.0)] == [1.0, 2.0, 7.0, 8.0]
        assert [output.due for output in player.receive(b"AT\r" * 2, 100.0)] == [101.0, 106.0]

    def test_late_by_is_adjustable(self) -> None:
        player = play(faults={Fault.LATE}, late_by=0.25)
        assert [output.due for output in player.receive(b"AT\r" * 3, 0.0)] == [0.0, 0.0, 0.25]

    def test_hangup_comes_in_the_middle_of_the_second_answer(self) -> None:
        player = play(ATI, faults={Fault.HANGUP})
        whole = b"\r\nMaker\r\nModel\r\n\r\nOK\r\n"
        assert player.receive(b"ATI\r", 0.0) == [Output(0.0, whole)]
        half, end = player.receive(b"ATI\r", 1.0)
        assert (half.due, half.hangup) == (1.0, False)
        assert whole.startswith(half.data) and 0 < len(half.data) < len(whole)
        assert (end.data, end.hangup) == (b"", True) and end.due >= half.due

    def test_no_final_leaves_the_text_and_nothing_else(self) -> None:
        player = play(ATI_ECHO, Exchange("AT+CGMM", ("X", "OK"), raw="X\r\nOK\r\n"), faults={Fault.NO_FINAL})
        assert said(player, "ATI") == b"ATI\r\r\nMaker\r\nModel\r\n\r\n"
        assert said(player, "AT+CGMM") == b"X\r\n"

    def test_no_final_keeps_a_result_code_that_is_the_whole_answer(self) -> None:
        player = play(ATI_ECHO, faults={Fault.NO_FINAL})
        assert said(player, "AT", "AT+X") == b"AT\r\r\nOK\r\nAT+X\r\r\nERROR\r\n"

    def test_no_final_applies_to_an_ok_that_was_added(self) -> None:
        player = play(Exchange("ATI", ("X",)), fidelity="excerpt", faults={Fault.NO_FINAL})
        assert said(player, "ATI").split() == [b"X"]

    @pytest.mark.parametrize("exchange", [ATI, ATI_ECHO, Exchange("ATI", (), raw="ATI\r\r\nMaker\r\nOK\r\n")])
    def test_echo_twice_with_and_without_recorded_echo(self, exchange: Exchange) -> None:
        player = play(exchange, faults={Fault.ECHO_TWICE})
        answer = said(player, "ATI")
        assert answer.startswith(b"ATI\rATI\r\r\nMaker\r\n") and answer.count(b"ATI") == 2
        assert said(player, "AT") == b"AT\rAT\r\r\nOK\r\n"

    def test_nmea_sentences_are_sound_and_nowhere(self) -> None:
        player = play(faults={Fault.NMEA})
        assert player.period is not None and player.period <= 1
        said_by_then = [player.spontaneous() for _ in range(9)]
        assert said_by_then[0] != said_by_then[8], "the clock goes on"
        sentences = b"".join(said_by_then).decode().split("\r\n")[:-1]
        assert len(sentences) >= 9
        for sentence in sentences:
            match = re.fullmatch(r"\$(GP[A-Z]{3},.*0000\.0000,N,00000\.0000,E,.*)\*([0-9A-F]{2})", sentence)
            assert match is not None, sentence
            checksum = 0
            for character in match[1]:
                checksum ^= ord(character)
            assert checksum == int(match[2], 16)

    def test_diag_is_framed_binary_with_nuls(self) -> None:
        player = play(faults={Fault.DIAG})
        frames = [player.spontaneous() for _ in range(50)]
        assert player.period is not None
        assert all(b"\0" in frame and frame.endswith(b"\x7e") and frame.count(b"\x7e") == 1 for frame in frames)
        assert any(max(frame) > 0x7F for frame in frames)
        assert len(set(frames)) == 50

    def test_faults_add_up(self) -> None:
        player = play(ATI_ECHO, faults={Fault.ECHO_TWICE, Fault.NO_FINAL, Fault.URC_STORM})
        answer = said(player, "ATI")
        assert answer.count(b"ATI\r") == 2 and b"Model" in answer and b"OK" not in answer and b"+CREG: 1" in answer


def test_a_compound_line_answers_for_each_of_its_commands() -> None:
    def player() -> Player:
        return play(
            Exchange(
                "ATI;+CSUB;+CSQ;&D2",
                ("", "Quectel", "EC25", "Revision: EC25X", "", "SubEdition: V01", "", "+CSQ: 30,99", "", "OK"),
            ),
            Exchange("AT+CGMM;+QGMR", ("RM521F-GL", "RM521FGLEAR05A02M4G")),
        )

    assert said(player(), "ATI").split() == [b"Quectel", b"EC25", b"Revision:", b"EC25X", b"OK"]
    assert said(player(), "AT+CSUB").split() == [b"SubEdition:", b"V01", b"OK"]
    assert said(player(), "AT+CSQ").split() == [b"+CSQ:", b"30,99", b"OK"]
    assert said(player(), "AT+CGMM").split() == [b"RM521F-GL", b"OK"]
    assert said(player(), "AT+QGMR").split() == [b"RM521FGLEAR05A02M4G", b"OK"]
    assert said(player(), "AT&D2").split() == [b"ERROR"]
