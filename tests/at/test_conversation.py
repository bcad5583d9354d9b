"""Replies from bytes: echo, unsolicited codes, missing and doubled result codes, noise, hostile floods."""

import itertools
import random
from pathlib import Path

import pytest

from atprobe.at import Completed, Conversation, Event, Stray
from atprobe.knowledge import load_transcript, transcripts
from atprobe.model import Ended, Reply


def converse(command: str, *chunks: bytes, unsolicited: tuple[str, ...] = ()) -> list[Event]:
    conversation = Conversation(unsolicited)
    conversation.send(command)
    events = [event for chunk in chunks for event in conversation.receive(chunk)]
    events += conversation.flush()
    if not any(isinstance(event, Completed) for event in events):
        events.append(Completed(conversation.abandon()))
    return events


def reply_to(command: str, data: bytes, unsolicited: tuple[str, ...] = ()) -> Reply:
    event = converse(command, data, unsolicited=unsolicited)[0]
    assert isinstance(event, Completed)
    return event.reply


@pytest.mark.parametrize(
    "data",
    [
        b"AT+CGMM\r\r\nEC25\r\n\r\nOK\r\n",
        b"\r\nEC25\r\n\r\nOK\r\n",
        b"AT+CGMM\r\nEC25\r\nOK\r\n",
        b"at+cgmm\nEC25\nOK\n",
        b"EC25\rOK\r",
        b"\r\n" * 40 + b"EC25\r\n" + b"\r\n" * 40 + b"OK\r\n",
        b"AT+CGMM\r\r\nAT+CGMM\r\r\nEC25\r\n\r\nOK\r\n",
        b"EC25\r\nAT+CGMM\r\r\nOK\r\n",
        b"+Q+AT+CGMM\r\r\nEC25\r\nOK\r\n",
        b"\r\nEC25\r\n0\r",
        b"\0\0EC25\0\r\nOK\r\n",
        b"\xff\xff\r\nEC25\r\nOK\r\n",
        b"$GPRMC,,V,,,,,,,,,,N*53\r\nEC25\r\n$GPGGA,1,2*00\r\nOK\r\n",
        b'RING\r\n\r\nEC25\r\n+CREG: 1\r\nOK\r\n+CMTI: "SM",1\r\n',
        b"AT+CGMM\r\r\nEC25\r\nOK",
    ],
)
def test_one_value_however_it_is_framed(data: bytes) -> None:
    reply = reply_to("AT+CGMM", data)
    assert reply.text == ("EC25",)
    assert reply.ok
    assert reply.ended is Ended.FINAL


def test_what_comes_before_the_echo_was_not_asked_for() -> None:
    reply = reply_to("AT+QGMR", b'+QGPSURC: "xtradataexpire",0\r\nAT+QGMR\r\r\nEG25GGBR07A08M2G\r\nOK\r\n')
    assert reply.text == ("EG25GGBR07A08M2G",)
    assert reply.unsolicited == ('+QGPSURC: "xtradataexpire",0',)


def test_the_commands_own_name_is_never_unsolicited() -> None:
    assert reply_to("AT+CPIN?", b"+CPIN: READY\r\n\r\nOK\r\n").text == ("+CPIN: READY",)
    assert reply_to("AT+CGMM", b"+CPIN: READY\r\nX1\r\nOK\r\n").unsolicited == ("+CPIN: READY",)


def test_makers_add_their_own_unsolicited_codes() -> None:
    data = b"SMS DONE\r\nSIM7670G\r\nOK\r\n"
    assert reply_to("AT+CGMM", data).text == ("SMS DONE", "SIM7670G")
    assert reply_to("AT+CGMM", data, unsolicited=("SMS DONE",)).text == ("SIM7670G",)


def test_a_command_list_that_names_itself_loses_nothing() -> None:
    listed = ("ATA", "ATI", "AT&F", "AT+CGMM", "AT+CLCK")
    data = b"\r\n".join(line.encode() for line in ("ATA", "ATI", "AT&F", "AT+CLAC", "AT+CGMM", "AT+CLCK", "OK", ""))
    reply = reply_to("AT+CLAC", b"AT+CLAC\r\r\n" + data)
    assert [line for line in reply.text if line != "AT+CLAC"] == list(listed)


@pytest.mark.parametrize(
    "code",
    [
        "ERROR",
        "+CME ERROR: 10",
        "+CME ERROR: SIM not inserted",
        "+CME Error: no network service",
        "+CMS ERROR: 500",
        "COMMAND NOT SUPPORT",
        " OK ",
    ],
)
def test_final_result_codes(code: str) -> None:
    reply = reply_to("AT+CPIN?", f"\r\n{code}\r\n".encode())
    assert reply.final == code.strip()
    assert reply.ok == (code.strip() == "OK")


def test_a_call_that_ends_is_not_our_result() -> None:
    assert reply_to("AT+CGMM", b"NO CARRIER\r\nEC25\r\nOK\r\n").text == ("EC25",)
    assert reply_to("ATD*99#", b"NO CARRIER\r\n").final == "NO CARRIER"


def test_a_value_that_looks_like_a_numeric_code() -> None:
    assert reply_to("AT+CGMM", b"\r\n0\r\n\r\nOK\r\n").text == ("0",)
    assert reply_to("AT+CGMM", b"\r\nEC25\r\n4\r").final == "4"


def test_no_final_result_code() -> None:
    reply = reply_to("AT+CGMM", b"AT+CGMM\r\r\nT99W175\r\n")
    assert (reply.text, reply.final, reply.ended) == (("T99W175",), None, Ended.QUIET)
    assert reply.ok
    nothing = reply_to("AT+CGMM", b"AT+CGMM\r")
    assert (nothing.text, nothing.ended, nothing.ok) == ((), Ended.TIMEOUT, False)


def test_a_second_result_code_is_stray() -> None:
    first, second = converse("AT", b"\r\nERROR\r\n\r\nOK\r\n")
    assert isinstance(first, Completed)
    assert first.reply.final == "ERROR"
    assert second == Stray((), "OK")


def test_a_late_result_is_not_taken_for_the_next_commands() -> None:
    conversation = Conversation()
    conversation.send("AT")
    conversation.receive(b"AT\r\r\nOK\r\n")
    conversation.send("AT+GTPKGVER?")
    assert conversation.abandon().ended is Ended.TIMEOUT
    conversation.send("AT+CGSN")
    events = conversation.receive(b"+GTPKGVER: old\r\nOK\r\nAT+CGSN\r\r\n490154200000000\r\nOK\r\n")
    assert isinstance(events[0], Stray)
    assert isinstance(events[1], Completed)
    assert events[1].reply.text == ("490154200000000",)
    assert conversation.owed == 0


def test_lines_of_a_late_reply_are_known_by_their_name_without_an_echo() -> None:
    conversation = Conversation()
    conversation.send("AT+GTPKGVER?")
    conversation.abandon()
    conversation.send("AT+CGSN")
    (event,) = conversation.receive(b"+GTPKGVER: old\r\n490154200000000\r\nOK\r\n")
    assert isinstance(event, Completed)
    assert event.reply.text == ("490154200000000",)


def test_noise_is_counted_and_kept_out() -> None:
    conversation = Conversation()
    conversation.send("AT")
    conversation.receive(b"\x7e\x10\x00\x81\x93\x02\xff\x7e\r\n$GPGGA,1,2,3*00\r\n")
    assert (conversation.binary_lines, conversation.nmea_lines) == (1, 1)
    assert conversation.abandon().text == ()


def test_a_flood_of_lines_is_bounded() -> None:
    reply = reply_to("AT+CLAC", b"x" * 100 + b"\r\n" + b"line\r\n" * 200_000 + b"OK\r\n")
    assert reply.overflow
    assert len(reply.text) <= 4096
    assert reply.final == "OK"


@pytest.mark.parametrize("command", ["", "AT\r", "AT+CGMM\nAT&F", "AT+Ü"])
def test_only_one_printable_line_is_a_command(command: str) -> None:
    with pytest.raises(ValueError, match="one line of printable ASCII"):
        Conversation().send(command)


def test_one_command_at_a_time() -> None:
    conversation = Conversation()
    conversation.send("AT")
    with pytest.raises(ValueError, match="still being answered"):
        conversation.send("ATI")


def test_every_transcript_reads_the_same_however_it_is_cut() -> None:
    chance = random.Random(27007)
    count = 0
    strangers = sorted((Path(__file__).parent.parent / "transcripts").glob("*/*.yaml"))
    for transcript in (*transcripts(), *map(load_transcript, strangers)):
        for exchange in transcript.exchanges:
            command = exchange.send or "AT"
            if not (command.isascii() and command.isprintable()):
                continue
            raw = (exchange.raw or "\r\n".join(exchange.recv) + "\r\n").encode()
            whole = converse(command, raw)
            assert converse(command, *(raw[i : i + 1] for i in range(len(raw)))) == whole, transcript.id
            for _ in range(3):
                places = sorted({0, len(raw), *(chance.randrange(len(raw) + 1) for _ in range(6))})
                pieces = [raw[a:b] for a, b in itertools.pairwise(places)]
                assert converse(command, *pieces) == whole, transcript.id
            count += 1
    assert count > 1200
